/* The loop on the real world: turns, tasks, deferred free, posts from other threads, random numbers, running out of descriptors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "event/loop.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/acceptor.h"

static struct weir_loop *loop;

static int setup(void **state WEIR_UNUSED)
{
    loop = weir_loop_new(&weir_world_uv, NULL, "test", 0);
    return 0;
}
static int teardown(void **state WEIR_UNUSED)
{
    weir_loop_free(loop);
    return 0;
}

/* ---- tasks and deferred free ---- */

static char order[32];
static void note(char c)
{
    size_t len = strlen(order);
    assert_true(len + 1 < sizeof(order));
    order[len] = c;
}

static struct weir_task first_task, second_task, cancelled_task;
static void free_note(void *arg, void *ptr)
{
    note(*(const char *)arg);
    weir_free(ptr);
}
static void on_second(struct weir_task *task WEIR_UNUSED)
{
    note('2');
}
static void on_first(struct weir_task *task)
{
    static char letter = 'a', later = 'b';
    note('1');
    weir_loop_at_end(loop, &second_task);
    weir_loop_at_end(loop, &second_task);
    weir_loop_defer_free(loop, free_note, &letter, weir_zalloc(8));
    weir_loop_defer_free(loop, free_note, &later, weir_zalloc(8));
    assert_false(weir_list_linked(&task->link));
    weir_task_cancel(&cancelled_task);
}
static void on_cancelled(struct weir_task *task WEIR_UNUSED)
{
    note('x');
}
static void on_stop_timer(struct weir_timer *timer WEIR_UNUSED)
{
    note('t');
    weir_loop_at_end(loop, &first_task);
    weir_loop_at_end(loop, &cancelled_task);
    weir_loop_stop(loop);
}

static void test_end_of_turn(void **state WEIR_UNUSED)
{
    struct weir_timer timer;
    memset(order, 0, sizeof(order));
    weir_task_init(&first_task, on_first);
    weir_task_init(&second_task, on_second);
    weir_task_init(&cancelled_task, on_cancelled);
    weir_timer_init(&timer, on_stop_timer);
    weir_timer_set(loop, &timer, 1);
    weir_loop_run(loop);
    assert_string_equal(order, "t12ab");
}

static void test_timers_follow_the_clock(void **state WEIR_UNUSED)
{
    struct weir_timer timer;
    memset(order, 0, sizeof(order));
    weir_task_init(&first_task, on_second);
    weir_task_init(&cancelled_task, on_second);
    weir_timer_init(&timer, on_stop_timer);
    uint64_t before = loop->ops->now_ns(loop);
    weir_timer_set(loop, &timer, 30);
    weir_loop_run(loop);
    assert_true(loop->ops->now_ns(loop) - before >= 29000000);
    assert_true(loop->wall_ns > INT64_C(1600000000) * 1000000000);
}

/* ---- posts ---- */

enum { N_THREADS = 4, N_POSTS = 5000 };
static uint32_t next_of[N_THREADS];
static uint32_t n_run;

static void on_post(void *arg)
{
    uint32_t value = (uint32_t)(uintptr_t)arg;
    assert_int_equal(value % N_POSTS, next_of[value / N_POSTS]); /* in order per thread */
    next_of[value / N_POSTS]++;
    if (++n_run == N_THREADS * N_POSTS) {
        weir_loop_stop(loop);
    }
}
static void *post_many(void *arg)
{
    for (uint32_t i = 0; i < N_POSTS; i++) {
        weir_loop_post(loop, on_post, (void *)((uintptr_t)arg * N_POSTS + i));
    }
    return NULL;
}

static void test_posts_from_many_threads(void **state WEIR_UNUSED)
{
    pthread_t threads[N_THREADS];
    for (uintptr_t i = 0; i < N_THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, post_many, (void *)i), 0);
    }
    weir_loop_run(loop);
    for (size_t i = 0; i < N_THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(n_run, N_THREADS * N_POSTS);
    weir_loop_post(loop, on_post, NULL); /* never runs: dropped with the loop */
}

static void test_random_numbers(void **state WEIR_UNUSED)
{
    uint32_t seen[7] = {0};
    for (int i = 0; i < 70000; i++) {
        uint64_t n = weir_loop_random_below(loop, 7);
        assert_true(n < 7);
        seen[n]++;
    }
    for (size_t i = 0; i < 7; i++) {
        assert_in_range(seen[i], 9000, 11000);
    }
    assert_true(weir_loop_random(loop) != weir_loop_random(loop));
}

/* ---- out of file descriptors ---- */

enum { CLIENTS = 3 };
static int n_accepted, n_pauses;
static weir_sock accepted[CLIENTS];
static struct weir_timer release_timer;
static struct rlimit old_limit;

static void on_accept(struct weir_acceptor *acceptor WEIR_UNUSED, weir_sock sock,
                      const struct weir_addr *peer)
{
    assert_true(weir_addr_is_loopback(peer));
    accepted[n_accepted++] = sock;
    if (n_accepted == CLIENTS) {
        weir_loop_stop(loop);
    }
}
static void on_pause(struct weir_acceptor *acceptor WEIR_UNUSED, enum weir_err err, uint32_t pause_ms)
{
    assert_int_equal(err, WEIR_ERR_LIMIT);
    assert_true(pause_ms >= 10);
    n_pauses++;
}
static void on_release(struct weir_timer *timer WEIR_UNUSED)
{
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old_limit), 0);
}

/* One connection gets the main loop's reserve; the others wait, and are served when descriptors are there again. */
static void test_accept_survives_running_out(void **state WEIR_UNUSED)
{
    static const struct weir_acceptor_ops ops = {on_accept, on_pause};
    struct weir_acceptor acceptor;
    struct weir_addr addr;
    weir_sock clients[CLIENTS];
    int error;
    weir_acceptor_init(&acceptor, loop, &ops);
    assert_int_equal(weir_addr_parse_ip(WEIR_S("127.0.0.1"), 0, &addr), WEIR_OK);
    assert_int_equal(weir_acceptor_open(&acceptor, &addr, &(struct weir_listen_opts){.reuse_port = true}),
                     WEIR_OK);
    for (int i = 0; i < CLIENTS; i++) {
        assert_int_equal(
            loop->ops->connect(loop, &acceptor.local.sa, acceptor.local.len, NULL, 0, &clients[i], &error),
            WEIR_OK);
    }
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old_limit), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){3, old_limit.rlim_max}), 0);
    weir_timer_init(&release_timer, on_release);
    weir_timer_set(loop, &release_timer, 50);
    weir_loop_run(loop);
    assert_int_equal(n_accepted, CLIENTS);
    assert_in_range(n_pauses, 1, 6);
    for (int i = 0; i < CLIENTS; i++) {
        loop->ops->close(loop, clients[i], false);
        loop->ops->close(loop, accepted[i], true);
    }
    weir_acceptor_close(&acceptor);
}

static void test_listen_errors(void **state WEIR_UNUSED)
{
    static const struct weir_acceptor_ops ops = {on_accept, on_pause};
    struct weir_acceptor a, b;
    struct weir_addr addr;
    weir_acceptor_init(&a, loop, &ops);
    weir_acceptor_init(&b, loop, &ops);
    assert_int_equal(weir_addr_parse_ip(WEIR_S("127.0.0.1"), 0, &addr), WEIR_OK);
    assert_int_equal(weir_acceptor_open(&a, &addr, &(struct weir_listen_opts){0}), WEIR_OK);
    assert_int_equal(weir_acceptor_open(&b, &a.local, &(struct weir_listen_opts){0}), WEIR_ERR_EXISTS);
    assert_int_equal(weir_addr_parse_ip(WEIR_S("192.0.2.1"), 0, &addr), WEIR_OK);
    assert_int_equal(weir_acceptor_open(&b, &addr, &(struct weir_listen_opts){0}), WEIR_ERR_NOT_FOUND);
    weir_acceptor_close(&a);
    weir_acceptor_close(&b);
    /* A Unix socket file that was left behind is replaced. */
    char path[64];
    int path_len = snprintf(path, sizeof(path), "/tmp/weir-test-loop-%d.sock", (int)getpid());
    assert_int_equal(weir_addr_parse_unix(weir_slice(path, (size_t)path_len), &addr), WEIR_OK);
    struct weir_listen_opts unix_opts = {.unix_mode = 0600};
    assert_int_equal(weir_acceptor_open(&a, &addr, &unix_opts), WEIR_OK);
    weir_acceptor_close(&a);
    assert_int_equal(weir_acceptor_open(&a, &addr, &unix_opts), WEIR_OK);
    weir_acceptor_close(&a);
    assert_int_equal(unlink(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_end_of_turn, setup, teardown),
        cmocka_unit_test_setup_teardown(test_timers_follow_the_clock, setup, teardown),
        cmocka_unit_test_setup_teardown(test_posts_from_many_threads, setup, teardown),
        cmocka_unit_test_setup_teardown(test_random_numbers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_accept_survives_running_out, setup, teardown),
        cmocka_unit_test_setup_teardown(test_listen_errors, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
