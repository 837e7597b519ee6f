/* Connections: the same cases on every world, a server's and a client's connection on one loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "event/sim.h"
#include "net/acceptor.h"
#include "net/conn.h"

#define BIG           (1u << 20) /* more than the socket buffers of both ends, which are kept small */
#define BIG_SIM       150000     /* the same for simulated ones */
#define SOCKET_BUFFER 100000

static size_t big;

/* One end: what it did and saw. Behaviour by flags, so that a case reads as a few assignments. */
struct end {
    struct weir_conn conn;
    const char *name;
    /* what to do */
    bool echo;            /* sends back what comes */
    bool keep;            /* leaves what comes in conn.in */
    bool close_on_eof;    /* FLUSH */
    bool close_on_data;   /* NOW, without reading on */
    bool disable_on_eof; /* with `keep`: leaves it there and stops reading */
    const char *reply_on_data;
    bool reset_on_data;
    bool close_on_connected;
    /* what happened */
    char *got;
    size_t n_got;
    int n_connected, n_closed, n_rose, n_fell;
    bool eof;
    enum weir_conn_end end;
    bool in_call; /* inside one of our calls: no event may come */
};

struct fixture {
    struct weir_loop *loop;
    struct weir_acceptor acceptor;
    struct end server, client;
    struct weir_timer timer, guard;
    int n_accepted;
    int stop_after_closed; /* ends the run when that many ends are closed */
    bool stop_on_timer;
};
static struct fixture f;

static struct end *end_of(struct weir_conn *conn)
{
    return WEIR_CONTAINER_OF(conn, struct end, conn);
}

static void call_close(struct end *e, enum weir_conn_close_how how)
{
    e->in_call = true;
    weir_conn_close(&e->conn, how);
    e->in_call = false;
}

static void send_text(struct end *e, const char *text)
{
    struct weir_buf data;
    weir_buf_init(&data, &f.loop->bufs);
    weir_buf_add(&data, weir_slice_str(text));
    e->in_call = true;
    weir_conn_write(&e->conn, &data);
    e->in_call = false;
}

static char pattern(size_t i)
{
    return (char)(i * 31 + (i >> 8) + (i >> 16));
}

static void send_pattern(struct end *e, size_t len)
{
    static char bytes[BIG];
    struct weir_buf data;
    assert_true(len <= sizeof(bytes));
    for (size_t i = 0; i < len; i++) {
        bytes[i] = pattern(i);
    }
    weir_buf_init(&data, &f.loop->bufs);
    weir_buf_add(&data, weir_slice(bytes, len));
    weir_conn_write(&e->conn, &data);
}

static bool is_pattern(const struct end *e, size_t len)
{
    for (size_t i = 0; i < e->n_got && i < len; i++) {
        if (e->got[i] != pattern(i)) {
            return false;
        }
    }
    return e->n_got == len;
}

static void on_connected(struct weir_conn *conn)
{
    struct end *e = end_of(conn);
    assert_false(e->in_call);
    assert_true(conn->state == WEIR_CONN_OPEN);
    e->n_connected++;
    if (e->close_on_connected) {
        call_close(e, WEIR_CONN_CLOSE_NOW);
    }
}

static void on_data(struct weir_conn *conn, bool eof)
{
    struct end *e = end_of(conn);
    assert_false(e->in_call);
    assert_true(conn->state == WEIR_CONN_OPEN);
    assert_int_equal(conn->read_disabled, 0);
    size_t len = conn->in.len;
    e->eof = eof;
    if (e->keep) {
        e->n_got = len;
        if (eof && e->disable_on_eof) {
            weir_conn_read_disable(conn, true);
        }
        return;
    }
    assert_true(e->n_got + len <= BIG);
    (void)weir_buf_peek(&conn->in, 0, e->got + e->n_got, len);
    e->n_got += len;
    if (e->echo) {
        weir_conn_write(conn, &conn->in);
    } else {
        weir_buf_drain(&conn->in, len);
    }
    if (e->reply_on_data && len > 0) {
        send_text(e, WEIR_TAKE(e->reply_on_data));
    }
    if (e->reset_on_data || e->close_on_data) {
        call_close(e, e->reset_on_data ? WEIR_CONN_CLOSE_RESET : WEIR_CONN_CLOSE_NOW);
    }
    if (eof && e->close_on_eof) {
        call_close(e, WEIR_CONN_CLOSE_FLUSH);
    }
}

static void on_watermark(struct weir_conn *conn, bool above)
{
    struct end *e = end_of(conn);
    *(above ? &e->n_rose : &e->n_fell) += 1;
}

static void on_closed(struct weir_conn *conn, enum weir_conn_end end)
{
    struct end *e = end_of(conn);
    assert_false(e->in_call);
    assert_int_equal(conn->state, WEIR_CONN_CLOSED);
    e->n_closed++;
    e->end = end;
    if (f.server.n_closed + f.client.n_closed == f.stop_after_closed) {
        weir_loop_stop(f.loop);
    }
}

static const struct weir_conn_ops OPS = {on_connected, on_data, on_watermark, on_closed};

static void small_buffers(weir_sock sock)
{
    const struct weir_world_ops *world = f.loop->ops;
    assert_int_equal(world->set_option(f.loop, sock, SOL_SOCKET, SO_SNDBUF, SOCKET_BUFFER), WEIR_OK);
    assert_int_equal(world->set_option(f.loop, sock, SOL_SOCKET, SO_RCVBUF, SOCKET_BUFFER), WEIR_OK);
}

static void on_accept(struct weir_acceptor *acceptor WEIR_UNUSED, weir_sock sock,
                      const struct weir_addr *peer)
{
    struct weir_transport *t =
        weir_transport_raw.create(&weir_transport_raw, f.loop, WEIR_S_NONE, WEIR_S_NONE);
    f.n_accepted++;
    small_buffers(sock);
    assert_int_equal(weir_conn_accept(&f.server.conn, sock, peer, t), WEIR_OK);
    assert_int_equal(f.server.conn.state, WEIR_CONN_OPEN);
    assert_int_equal(weir_addr_port(&f.server.conn.local), weir_addr_port(&f.acceptor.local));
}

static const struct weir_acceptor_ops ACCEPTOR_OPS = {on_accept, NULL};

static void on_guard(struct weir_timer *timer WEIR_UNUSED)
{
    fail_msg("the case did not end");
}

static void on_stop_timer(struct weir_timer *timer WEIR_UNUSED)
{
    weir_loop_stop(f.loop);
}

static void connect_client(uint64_t timeout_ms)
{
    struct weir_transport *t =
        weir_transport_raw.create(&weir_transport_raw, f.loop, WEIR_S_NONE, WEIR_S_NONE);
    f.client.in_call = true;
    weir_conn_connect(&f.client.conn, &f.acceptor.local, NULL, t, timeout_ms);
    f.client.in_call = false;
    small_buffers(f.client.conn.io.sock);
}

static void setup_end(struct end *e, const char *name)
{
    e->name = name;
    e->got = weir_xalloc(BIG);
    weir_conn_init(&e->conn, f.loop, &OPS);
}

static int setup(const struct weir_world_ops *ops, void *arg)
{
    struct weir_addr addr;
    f = (struct fixture){.stop_after_closed = 2};
    f.loop = weir_loop_new(ops, arg, "test", 1);
    setup_end(&f.server, "server");
    setup_end(&f.client, "client");
    weir_timer_init(&f.timer, on_stop_timer);
    weir_timer_init(&f.guard, on_guard);
    weir_timer_set(f.loop, &f.guard, 20000);
    weir_acceptor_init(&f.acceptor, f.loop, &ACCEPTOR_OPS);
    assert_int_equal(weir_addr_parse_ip(WEIR_S("127.0.0.1"), 0, &addr), WEIR_OK);
    assert_int_equal(weir_acceptor_open(&f.acceptor, &addr, &(struct weir_listen_opts){0}), WEIR_OK);
    return 0;
}

static int teardown(void **state WEIR_UNUSED)
{
    weir_timer_stop(f.loop, &f.guard);
    weir_timer_stop(f.loop, &f.timer);
    weir_acceptor_close(&f.acceptor);
    weir_conn_fini(&f.client.conn);
    weir_conn_fini(&f.server.conn);
    weir_loop_free(f.loop);
    weir_free(f.client.got);
    weir_free(f.server.got);
    return 0;
}

static void run_for(uint64_t ms)
{
    uint64_t since_turn_ms = (f.loop->ops->now_ns(f.loop) - f.loop->now_ns) / 1000000;
    weir_timer_set(f.loop, &f.timer, ms + since_turn_ms);
    weir_loop_run(f.loop);
}

/* Runs until `e` has got `n` bytes, looking each millisecond: how long that takes depends on the machine. */
static struct {
    const struct end *end;
    size_t n;
} awaited;

static void on_look(struct weir_timer *timer)
{
    if (awaited.end->n_got >= awaited.n) {
        weir_loop_stop(f.loop);
    } else {
        weir_timer_set(f.loop, timer, 1);
    }
}

static void run_until_got(const struct end *e, size_t n)
{
    struct weir_timer look;
    awaited.end = e;
    awaited.n = n;
    weir_timer_init(&look, on_look);
    weir_timer_set(f.loop, &look, 1);
    weir_loop_run(f.loop);
    weir_timer_stop(f.loop, &look);
    assert_true(e->n_got >= n);
}

/* ---- cases ---- */

static void test_echo_of_a_lot(void **state WEIR_UNUSED)
{
    f.server.echo = f.server.close_on_eof = f.server.conn.eof_wanted = f.client.conn.eof_wanted = true;
    f.client.close_on_eof = true;
    connect_client(1000);
    send_pattern(&f.client, big); /* before it is connected */
    weir_conn_shutdown_write(&f.client.conn);
    weir_loop_run(f.loop);
    assert_true(is_pattern(&f.server, big));
    assert_true(is_pattern(&f.client, big));
    assert_int_equal(f.client.n_connected, 1);
    assert_int_equal(f.server.n_connected, 0);
    assert_int_equal(f.client.conn.bytes_written, big);
    assert_int_equal(f.client.conn.bytes_read, big);
    assert_int_equal(f.client.n_closed, 1);
    assert_int_equal(f.server.n_closed, 1);
    assert_int_equal(f.server.end, WEIR_CONN_END_LOCAL);
}

static void test_refused(void **state WEIR_UNUSED)
{
    f.stop_after_closed = 1;
    weir_acceptor_close(&f.acceptor);
    connect_client(1000);
    assert_int_equal(f.client.n_closed, 0);
    weir_loop_run(f.loop);
    assert_int_equal(f.client.end, WEIR_CONN_END_CONNECT_FAILED);
    assert_string_equal(f.client.conn.failure, "delayed connect error: Connection refused");
    assert_int_equal(f.client.n_connected, 0);
}

static void test_fin_ends_a_connection_without_half_close(void **state WEIR_UNUSED)
{
    f.server.close_on_data = true;
    connect_client(1000);
    send_text(&f.client, "x");
    weir_loop_run(f.loop);
    assert_int_equal(f.server.end, WEIR_CONN_END_LOCAL);
    assert_int_equal(f.client.end, WEIR_CONN_END_REMOTE);
    assert_true(f.client.eof);
}

static void test_reset_after_data_is_no_eof(void **state WEIR_UNUSED)
{
    connect_client(1000);
    send_text(&f.client, "x");
    run_until_got(&f.server, 1);
    send_text(&f.server, "partial");
    run_until_got(&f.client, 7);
    call_close(&f.server, WEIR_CONN_CLOSE_RESET);
    weir_loop_run(f.loop);
    assert_memory_equal(f.client.got, "partial", 7);
    assert_int_equal(f.client.end, WEIR_CONN_END_RESET);
    assert_false(f.client.eof);
}

static void test_half_close_lets_the_answer_through(void **state WEIR_UNUSED)
{
    f.server.conn.eof_wanted = f.client.conn.eof_wanted = true;
    f.server.close_on_eof = f.client.close_on_eof = true;
    f.server.reply_on_data = "answer";
    connect_client(1000);
    send_text(&f.client, "question");
    weir_conn_shutdown_write(&f.client.conn);
    weir_loop_run(f.loop);
    assert_memory_equal(f.client.got, "answer", 6);
    assert_true(f.client.eof && f.server.eof);
}

static void test_read_disable_holds_back_and_marks_tell(void **state WEIR_UNUSED)
{
    f.client.conn.out_mark.high = 100000;
    f.server.conn.eof_wanted = true;
    f.server.close_on_eof = true;
    connect_client(1000);
    send_text(&f.client, "x");
    run_until_got(&f.server, 1);
    assert_int_equal(f.server.n_got, 1);
    f.server.n_got = 0;
    weir_conn_read_disable(&f.server.conn, true);
    weir_conn_read_disable(&f.server.conn, true);
    send_pattern(&f.client, big);
    run_for(50);
    assert_int_equal(f.server.n_got, 0);
    assert_int_equal(f.client.n_rose, 1);
    weir_conn_read_disable(&f.server.conn, false);
    run_for(20);
    assert_int_equal(f.server.n_got, 0);
    weir_conn_read_disable(&f.server.conn, false);
    weir_conn_shutdown_write(&f.client.conn);
    weir_loop_run(f.loop);
    assert_true(is_pattern(&f.server, big));
    assert_int_equal(f.client.n_fell, 1);
}

static void test_full_input_pauses_until_reread(void **state WEIR_UNUSED)
{
    f.server.keep = true;
    f.server.conn.in_limit = 1000;
    f.server.conn.eof_wanted = true;
    connect_client(1000);
    send_pattern(&f.client, 100000);
    run_until_got(&f.server, 1000);
    run_for(20);
    assert_int_equal(f.server.conn.in.len, 1000);
    f.server.n_got = 0;
    f.server.keep = false;
    f.server.close_on_eof = true;
    weir_conn_reread(&f.server.conn);
    weir_conn_shutdown_write(&f.client.conn);
    weir_loop_run(f.loop);
    assert_true(is_pattern(&f.server, 100000));
}

/* The peer's end must wait until the owner has taken what came before it. */
static void test_end_waits_for_what_is_held_back(void **state WEIR_UNUSED)
{
    f.server.keep = f.server.disable_on_eof = true;
    connect_client(1000);
    send_text(&f.client, "x");
    run_until_got(&f.server, 1);
    call_close(&f.client, WEIR_CONN_CLOSE_FLUSH);
    run_for(20);
    assert_true(f.server.eof);
    assert_int_equal(f.server.n_closed, 0);
    f.server.keep = false;
    f.server.n_got = 0;
    weir_conn_read_disable(&f.server.conn, false);
    weir_loop_run(f.loop);
    assert_int_equal(f.server.n_got, 1);
    assert_int_equal(f.server.end, WEIR_CONN_END_REMOTE);
}

static void test_flush_writes_all_before_closing(void **state WEIR_UNUSED)
{
    connect_client(1000);
    send_text(&f.client, "x");
    run_until_got(&f.server, 1);
    weir_conn_read_disable(&f.client.conn, true);
    send_pattern(&f.server, big);
    call_close(&f.server, WEIR_CONN_CLOSE_FLUSH);
    send_text(&f.server, "too late");
    run_for(50);
    assert_int_equal(f.server.n_closed, 0);
    weir_conn_read_disable(&f.client.conn, false);
    weir_loop_run(f.loop);
    assert_true(is_pattern(&f.client, big));
    assert_int_equal(f.client.end, WEIR_CONN_END_REMOTE);
}

static void test_flush_gives_up_without_progress(void **state WEIR_UNUSED)
{
    f.stop_after_closed = 1;
    f.server.conn.delayed_close_ms = 30;
    connect_client(1000);
    send_text(&f.client, "x");
    run_until_got(&f.server, 1);
    weir_conn_read_disable(&f.client.conn, true);
    send_pattern(&f.server, big);
    call_close(&f.server, WEIR_CONN_CLOSE_FLUSH);
    weir_loop_run(f.loop);
    assert_int_equal(f.server.n_closed, 1);
    assert_int_equal(f.server.end, WEIR_CONN_END_LOCAL);
}

static void test_delayed_close_waits_for_the_peer(void **state WEIR_UNUSED)
{
    f.client.conn.eof_wanted = true;
    f.server.conn.delayed_close_ms = 5000;
    connect_client(1000);
    send_pattern(&f.client, 200000);
    run_until_got(&f.server, 1000);
    send_text(&f.server, "error");
    call_close(&f.server, WEIR_CONN_CLOSE_FLUSH_DELAY);
    send_pattern(&f.client, 200000); /* is thrown away, and makes no reset */
    run_until_got(&f.client, 5);
    run_for(30);
    assert_memory_equal(f.client.got, "error", 5);
    assert_true(f.client.eof);
    assert_int_equal(f.client.n_closed, 0);
    assert_int_equal(f.server.n_closed, 0);
    call_close(&f.client, WEIR_CONN_CLOSE_NOW);
    weir_loop_run(f.loop);
    assert_int_equal(f.server.end, WEIR_CONN_END_LOCAL);
}

static void test_delayed_close_ends_by_itself(void **state WEIR_UNUSED)
{
    f.stop_after_closed = 1;
    f.client.conn.eof_wanted = true;
    f.server.conn.delayed_close_ms = 20;
    connect_client(1000);
    send_text(&f.client, "x");
    run_until_got(&f.server, 1);
    uint64_t before = weir_loop_now_ms(f.loop);
    call_close(&f.server, WEIR_CONN_CLOSE_FLUSH_DELAY);
    weir_loop_run(f.loop);
    assert_int_equal(f.server.n_closed, 1);
    assert_true(weir_loop_now_ms(f.loop) - before >= 20);
    assert_true(f.client.eof);
}

/* A server answers early and closes with the rest of the request unread: the client must still get the answer. */
static void test_answer_before_a_reset_is_read(void **state WEIR_UNUSED)
{
    f.server.reply_on_data = "413";
    f.server.conn.in_limit = 1000;
    connect_client(1000);
    send_pattern(&f.client, big);
    run_until_got(&f.client, 3);
    weir_conn_read_disable(&f.server.conn, true);
    send_pattern(&f.client, big);
    run_for(30);
    call_close(&f.server, WEIR_CONN_CLOSE_FLUSH);
    weir_loop_run(f.loop);
    assert_memory_equal(f.client.got, "413", 3);
    assert_int_equal(f.client.end, WEIR_CONN_END_RESET);
}

static void test_close_while_connecting(void **state WEIR_UNUSED)
{
    f.stop_after_closed = 1;
    connect_client(1000);
    call_close(&f.client, WEIR_CONN_CLOSE_FLUSH);
    weir_loop_run(f.loop);
    assert_int_equal(f.client.end, WEIR_CONN_END_LOCAL);
    assert_int_equal(f.client.n_connected, 0);
}

static void test_close_from_on_connected(void **state WEIR_UNUSED)
{
    f.client.close_on_connected = true;
    connect_client(1000);
    weir_loop_run(f.loop);
    assert_int_equal(f.client.end, WEIR_CONN_END_LOCAL);
    assert_int_equal(f.server.end, WEIR_CONN_END_REMOTE);
}

static void test_fini_is_silent(void **state WEIR_UNUSED)
{
    connect_client(1000);
    send_text(&f.client, "x");
    run_until_got(&f.server, 1);
    f.stop_after_closed = 1;
    weir_conn_fini(&f.client.conn);
    weir_loop_run(f.loop);
    assert_int_equal(f.client.n_closed, 0);
    assert_int_equal(f.server.n_closed, 1);
}

#define CASES(X)                                     \
    X(test_echo_of_a_lot)                            \
    X(test_refused)                                  \
    X(test_fin_ends_a_connection_without_half_close) \
    X(test_reset_after_data_is_no_eof)               \
    X(test_half_close_lets_the_answer_through)       \
    X(test_read_disable_holds_back_and_marks_tell)   \
    X(test_full_input_pauses_until_reread)           \
    X(test_end_waits_for_what_is_held_back)          \
    X(test_flush_writes_all_before_closing)          \
    X(test_flush_gives_up_without_progress)          \
    X(test_delayed_close_waits_for_the_peer)         \
    X(test_delayed_close_ends_by_itself)             \
    X(test_answer_before_a_reset_is_read)            \
    X(test_close_while_connecting)                   \
    X(test_close_from_on_connected)                  \
    X(test_fini_is_silent)

static int setup_uv(void **state WEIR_UNUSED)
{
    big = BIG;
    return setup(&weir_world_uv, NULL);
}

static struct weir_sim *sim;
static uint64_t seed;

static int setup_sim(void **state WEIR_UNUSED)
{
    big = BIG_SIM;
    sim = weir_sim_new(&(struct weir_sim_opts){.seed = seed});
    return setup(&weir_world_sim, sim);
}

static int teardown_sim(void **state)
{
    int result = teardown(state);
    weir_sim_free(sim);
    return result;
}

/* Every case with many seeds; a failure names the seed. */
static void test_all_with_many_seeds(void **state)
{
    static void (*const cases[])(void **) = {
#define X(name) name,
        CASES(X)
#undef X
    };
    const char *only = getenv("WEIR_SEED");
    uint64_t first = 1, last = 200;
    if (only && !weir_parse_u64(weir_slice_str(only), UINT64_MAX, &first)) {
        last = first;
    }
    for (seed = first; seed <= last; seed++) {
        for (size_t i = 0; i < WEIR_COUNTOF(cases); i++) {
            setup_sim(state);
            cases[i](state);
            teardown_sim(state);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define X(name) {#name " (sockets)", name, setup_uv, teardown, NULL},
        CASES(X)
#undef X
#define X(name) {#name " (simulated)", name, setup_sim, teardown_sim, NULL},
            CASES(X)
#undef X
                cmocka_unit_test(test_all_with_many_seeds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
