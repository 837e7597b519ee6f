/* Timer wheel: against a sorted model on a fake clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "event/loop.h"

/* A world with nothing but a clock that the test moves. */
static uint64_t clock_ns;
static uint64_t alarm_ms;
static int n_alarms;

static void fake_init(struct weir_loop *loop WEIR_UNUSED, void *arg WEIR_UNUSED)
{
    alarm_ms = UINT64_MAX;
    n_alarms = 0;
}
static void fake_fini(struct weir_loop *loop WEIR_UNUSED)
{
}
static uint64_t fake_now(struct weir_loop *loop WEIR_UNUSED)
{
    return clock_ns;
}
static int64_t fake_wall(struct weir_loop *loop WEIR_UNUSED)
{
    return (int64_t)clock_ns;
}
static void fake_random(struct weir_loop *loop WEIR_UNUSED, void *out, size_t len)
{
    memset(out, 1, len);
}
static void fake_alarm(struct weir_loop *loop WEIR_UNUSED, uint64_t at_ms)
{
    alarm_ms = at_ms;
    n_alarms++;
}
static const struct weir_world_ops FAKE = {
    .init = fake_init,
    .fini = fake_fini,
    .now_ns = fake_now,
    .wall_ns = fake_wall,
    .random = fake_random,
    .alarm = fake_alarm,
};

static struct weir_loop *loop;

static void go_to(uint64_t ms)
{
    clock_ns = ms * 1000000;
    weir_loop_turn_begin(loop);
    if (alarm_ms <= ms) {
        alarm_ms = UINT64_MAX;
        weir_loop_on_alarm(loop);
    }
    weir_loop_turn_end(loop);
}

/* Lets the clock jump from alarm to alarm, as an idle worker does. */
static void run_until(uint64_t ms)
{
    while (alarm_ms < ms) {
        go_to(WEIR_MAX(alarm_ms, clock_ns / 1000000));
    }
    go_to(ms);
}

struct probe {
    struct weir_timer timer;
    uint64_t fired_ms;
    int n_fired;
    uint64_t rearm_ms;
};
static void on_probe(struct weir_timer *timer)
{
    struct probe *p = WEIR_CONTAINER_OF(timer, struct probe, timer);
    p->fired_ms = loop->now_ms;
    p->n_fired++;
    if (p->rearm_ms) {
        weir_timer_set(loop, timer, p->rearm_ms);
    }
}

static int setup(void **state WEIR_UNUSED)
{
    clock_ns = UINT64_C(123456789) * 1000000;
    loop = weir_loop_new(&FAKE, NULL, "test", 1);
    return 0;
}
static int teardown(void **state WEIR_UNUSED)
{
    weir_loop_free(loop);
    return 0;
}

static void test_fires_to_the_millisecond(void **state WEIR_UNUSED)
{
    static const uint64_t delays[] = {0,    1,    2,     63,    64,      65,       100,
                                      4095, 4096, 15000, 60000, 3600000, 86400000, 5000000000};
    struct probe probes[WEIR_COUNTOF(delays)] = {0};
    uint64_t start = loop->now_ms;
    for (size_t i = 0; i < WEIR_COUNTOF(delays); i++) {
        weir_timer_init(&probes[i].timer, on_probe);
        weir_timer_set(loop, &probes[i].timer, delays[i]);
        assert_true(weir_timer_armed(&probes[i].timer));
        assert_int_equal(probes[i].n_fired, 0);
    }
    run_until(start + 6000000000);
    for (size_t i = 0; i < WEIR_COUNTOF(delays); i++) {
        assert_int_equal(probes[i].n_fired, 1);
        assert_false(weir_timer_armed(&probes[i].timer));
        assert_true(probes[i].fired_ms == start + WEIR_MAX(delays[i], 1));
    }
    assert_true(alarm_ms == UINT64_MAX);
}

static void test_never_early_within_a_millisecond(void **state WEIR_UNUSED)
{
    struct probe p = {0};
    clock_ns += 999999;
    weir_loop_turn_begin(loop);
    weir_timer_init(&p.timer, on_probe);
    weir_timer_set(loop, &p.timer, 5);
    uint64_t set_ns = clock_ns;
    run_until(loop->now_ms + 20);
    assert_true(p.fired_ms * 1000000 >= set_ns + 5000000);
}

static void test_stop_and_rearm(void **state WEIR_UNUSED)
{
    struct probe a = {0}, b = {0};
    uint64_t start = loop->now_ms;
    weir_timer_init(&a.timer, on_probe);
    weir_timer_init(&b.timer, on_probe);
    weir_timer_stop(loop, &a.timer);
    weir_timer_set(loop, &a.timer, 10);
    weir_timer_set(loop, &a.timer, 500);
    weir_timer_set(loop, &b.timer, 10);
    weir_timer_stop(loop, &b.timer);
    weir_timer_stop(loop, &b.timer);
    run_until(start + 1000);
    assert_true(a.fired_ms == start + 500);
    assert_int_equal(a.n_fired, 1);
    assert_int_equal(b.n_fired, 0);
    a.rearm_ms = 7;
    weir_timer_set(loop, &a.timer, 7);
    run_until(start + 1000 + 70);
    assert_int_equal(a.n_fired, 11);
    weir_timer_stop(loop, &a.timer);
}

/* A request's time-out is set and stopped again and again: the world must hardly notice. */
static void test_request_timeouts_ask_for_few_alarms(void **state WEIR_UNUSED)
{
    struct probe p = {0};
    weir_timer_init(&p.timer, on_probe);
    for (int i = 0; i < 100000; i++) {
        clock_ns += 20000; /* 50,000 requests a second for 2 seconds */
        weir_loop_turn_begin(loop);
        if (alarm_ms <= loop->now_ms) {
            weir_loop_on_alarm(loop);
        }
        weir_timer_set(loop, &p.timer, 15000);
        weir_timer_stop(loop, &p.timer);
    }
    assert_true(n_alarms < 10);
    assert_int_equal(p.n_fired, 0);
}

static void test_random_operations_agree_with_a_model(void **state WEIR_UNUSED)
{
    enum { N = 64 };
    struct probe probes[N] = {0};
    uint64_t due[N] = {0}; /* 0 = not armed */
    uint64_t random = 1;
    for (size_t i = 0; i < N; i++) {
        weir_timer_init(&probes[i].timer, on_probe);
    }
    for (int step = 0; step < 200000; step++) {
        random = random * 6364136223846793005ULL + 1442695040888963407ULL;
        size_t i = (random >> 33) % N;
        uint64_t range = UINT64_C(1) << ((random >> 40) % 30);
        if (random >> 62 == 0) {
            weir_timer_stop(loop, &probes[i].timer);
            due[i] = 0;
        } else if (random >> 62 == 1) {
            uint64_t to = loop->now_ms + (random >> 20) % (range / 8 + 2);
            run_until(to);
            for (size_t k = 0; k < N; k++) {
                if (due[k] && due[k] <= to) {
                    assert_true(probes[k].fired_ms == due[k]);
                    due[k] = 0;
                }
                assert_true(weir_timer_armed(&probes[k].timer) == (due[k] != 0));
            }
        } else {
            uint64_t delay = (random >> 15) % range;
            weir_timer_set(loop, &probes[i].timer, delay);
            due[i] = loop->now_ms + WEIR_MAX(delay, 1);
        }
    }
    for (size_t i = 0; i < N; i++) {
        weir_timer_stop(loop, &probes[i].timer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_fires_to_the_millisecond, setup, teardown),
        cmocka_unit_test_setup_teardown(test_never_early_within_a_millisecond, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stop_and_rearm, setup, teardown),
        cmocka_unit_test_setup_teardown(test_request_timeouts_ask_for_few_alarms, setup, teardown),
        cmocka_unit_test_setup_teardown(test_random_operations_agree_with_a_model, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
