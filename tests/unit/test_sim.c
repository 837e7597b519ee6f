/* The simulated world: a small relay between scripted clients and servers over many seeds, each twice to see that it repeats itself; and the world's own
 * promises one by one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/mem.h"
#include "event/sim.h"
#include "net/acceptor.h"
#include "net/conn.h"

static struct weir_addr addr_of(const char *ip, uint16_t port)
{
    struct weir_addr addr;
    assert_int_equal(weir_addr_parse_ip(weir_slice_str(ip), port, &addr), WEIR_OK);
    return addr;
}

/* ---- a relay ---- */

struct relay {
    struct weir_loop *loop;
    struct weir_acceptor acceptor;
    struct weir_addr upstream;
    int n_open;
};
struct pair {
    struct relay *relay;
    struct weir_conn down, up;
    int n_closed;
};

static struct pair *pair_of(struct weir_conn *conn, struct weir_conn **ret_other)
{
    struct pair *pair = conn->initiated ? WEIR_CONTAINER_OF(conn, struct pair, up)
                                        : WEIR_CONTAINER_OF(conn, struct pair, down);
    *ret_other = conn->initiated ? &pair->down : &pair->up;
    return pair;
}

static void relay_data(struct weir_conn *conn, bool eof)
{
    struct weir_conn *other;
    (void)pair_of(conn, &other);
    assert_true(conn->in.len <= conn->in_limit);
    weir_conn_write(other, &conn->in);
    if (eof) {
        weir_conn_shutdown_write(other);
    }
}

static void relay_watermark(struct weir_conn *conn, bool above)
{
    struct weir_conn *other;
    (void)pair_of(conn, &other);
    if (other->state != WEIR_CONN_NONE) {
        weir_conn_read_disable(other, above);
    }
}

static void free_pair(void *arg WEIR_UNUSED, void *ptr)
{
    struct pair *pair = ptr;
    weir_conn_fini(&pair->down);
    weir_conn_fini(&pair->up);
    weir_free(pair);
}

static void relay_closed(struct weir_conn *conn, enum weir_conn_end end)
{
    struct weir_conn *other;
    struct pair *pair = pair_of(conn, &other);
    bool orderly = end == WEIR_CONN_END_REMOTE || end == WEIR_CONN_END_LOCAL;
    weir_conn_close(other, orderly ? WEIR_CONN_CLOSE_FLUSH : WEIR_CONN_CLOSE_RESET);
    if (++pair->n_closed == 2) {
        pair->relay->n_open--;
        weir_loop_defer_free(pair->relay->loop, free_pair, NULL, pair);
    }
}

static const struct weir_conn_ops RELAY_OPS = {NULL, relay_data, relay_watermark, relay_closed};

static struct weir_transport *raw(struct weir_loop *loop)
{
    return weir_transport_raw.create(&weir_transport_raw, loop, WEIR_S_NONE, WEIR_S_NONE);
}

static void setup_conn(struct weir_conn *conn, struct weir_loop *loop)
{
    weir_conn_init(conn, loop, &RELAY_OPS);
    conn->eof_wanted = true;
    conn->in_limit = 5000;
    conn->out_mark.high = 3000;
}

static void relay_accept(struct weir_acceptor *acceptor, weir_sock sock, const struct weir_addr *peer)
{
    struct relay *relay = WEIR_CONTAINER_OF(acceptor, struct relay, acceptor);
    struct pair *pair = WEIR_NEW(struct pair);
    pair->relay = relay;
    relay->n_open++;
    setup_conn(&pair->down, relay->loop);
    setup_conn(&pair->up, relay->loop);
    assert_int_equal(weir_conn_accept(&pair->down, sock, peer, raw(relay->loop)), WEIR_OK);
    weir_conn_connect(&pair->up, &relay->upstream, NULL, raw(relay->loop), 1000);
}

static const struct weir_acceptor_ops RELAY_ACCEPTOR_OPS = {relay_accept, NULL};

static void relay_start(struct relay *relay, struct weir_sim *sim)
{
    struct weir_addr listen = addr_of("0.0.0.0", 10000);
    *relay = (struct relay){.upstream = addr_of("10.0.0.1", 80)};
    relay->loop = weir_loop_new(&weir_world_sim, sim, "worker_0", 1);
    weir_acceptor_init(&relay->acceptor, relay->loop, &RELAY_ACCEPTOR_OPS);
    assert_int_equal(weir_acceptor_open(&relay->acceptor, &listen, &(struct weir_listen_opts){0}), WEIR_OK);
}

static void relay_end(struct relay *relay)
{
    assert_int_equal(relay->n_open, 0);
    weir_acceptor_close(&relay->acceptor);
    weir_loop_free(relay->loop);
}

/* ---- peers that check what comes ---- */

#define LONGEST 60000

/* One direction's bytes: a pattern from a start, of a length. */
struct flow {
    uint64_t start;
    size_t len, got;
    bool eof, whole, reset;
};

static char flow_byte(uint64_t start, size_t i)
{
    return (char)((start + i * 7 + (i >> 7)) & 0xff);
}

static void flow_send(struct weir_sim_peer *peer, const struct flow *flow)
{
    static char bytes[LONGEST];
    for (size_t i = 0; i < flow->len; i++) {
        bytes[i] = flow_byte(flow->start, i);
    }
    weir_sim_peer_send(peer, weir_slice(bytes, flow->len));
}

static void flow_check(struct flow *flow, struct weir_slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        assert_true(flow->got < flow->len && bytes.ptr[i] == flow_byte(flow->start, flow->got));
        flow->got++;
    }
}

/* A client of the relay; its server takes part through `serving`, matched by order of connections' first byte: here there is one. */
struct exchange {
    struct flow request, response;
    struct weir_sim_peer *client, *server;
    bool answered_early;
};

static void client_connected(struct weir_sim_peer *peer)
{
    struct exchange *x = weir_sim_peer_arg(peer);
    flow_send(peer, &x->request);
    weir_sim_peer_shutdown(peer);
}
static void client_data(struct weir_sim_peer *peer, struct weir_slice bytes)
{
    flow_check(&((struct exchange *)weir_sim_peer_arg(peer))->response, bytes);
    if (weir_sim_random(weir_sim_peer_sim(peer), 20) == 0) { /* a slow reader */
        weir_sim_peer_pause(peer, true);
        weir_sim_peer_pause(peer, false);
    }
}
static void client_eof(struct weir_sim_peer *peer)
{
    struct flow *flow = &((struct exchange *)weir_sim_peer_arg(peer))->response;
    flow->eof = true;
    assert_int_equal(flow->got, flow->len); /* an orderly end is never a cut */
    weir_sim_peer_close(peer);
}
static void client_reset(struct weir_sim_peer *peer)
{
    ((struct exchange *)weir_sim_peer_arg(peer))->response.reset = true;
}
static const struct weir_sim_peer_ops CLIENT = {client_connected, client_data, client_eof, client_reset};

static void server_data(struct weir_sim_peer *peer, struct weir_slice bytes)
{
    flow_check(&((struct exchange *)weir_sim_peer_arg(peer))->request, bytes);
}
static void server_eof(struct weir_sim_peer *peer)
{
    struct exchange *x = weir_sim_peer_arg(peer);
    x->request.eof = true;
    assert_int_equal(x->request.got, x->request.len);
    flow_send(peer, &x->response);
    weir_sim_peer_close(peer);
}
static void server_reset(struct weir_sim_peer *peer)
{
    ((struct exchange *)weir_sim_peer_arg(peer))->request.reset = true;
}
static const struct weir_sim_peer_ops SERVER = {NULL, server_data, server_eof, server_reset};

/* ---- many seeds ---- */

static uint64_t digest_of_run(uint64_t seed, int loose_reset)
{
    struct weir_sim *sim = weir_sim_new(&(struct weir_sim_opts){.seed = seed, .loose_reset = loose_reset});
    struct relay relay;
    struct exchange x = {.request = {.start = seed, .len = weir_sim_random(sim, LONGEST)},
                         .response = {.start = seed * 3, .len = weir_sim_random(sim, LONGEST)}};
    struct weir_addr listen = addr_of("127.0.0.1", 10000);
    relay_start(&relay, sim);
    weir_sim_serve(sim, &relay.upstream.sa, relay.upstream.len,
                   &(struct weir_sim_server){.ops = &SERVER, .arg = &x});
    x.client = weir_sim_dial(sim, &listen.sa, listen.len, &CLIENT, &x);
    while (weir_sim_step(sim)) {
    }
    assert_true(weir_sim_peer_ended(x.client));
    if (loose_reset <= 0) {
        assert_true(x.request.eof && x.response.eof);
        assert_false(x.request.reset || x.response.reset);
    } else {
        assert_true(x.response.eof || x.response.reset);
    }
    assert_int_equal(weir_sim_open_sockets(sim), 1);
    relay_end(&relay);
    uint64_t digest = weir_sim_digest(sim);
    weir_sim_free(sim);
    return digest;
}

static void test_relay_over_many_seeds(void **state WEIR_UNUSED)
{
    uint64_t first = 1, last = 500, before = 0;
    const char *only = getenv("WEIR_SEED");
    if (only && !weir_parse_u64(weir_slice_str(only), UINT64_MAX, &first)) {
        last = first;
    }
    for (uint64_t seed = first; seed <= last; seed++) {
        uint64_t digest = digest_of_run(seed, 0);
        assert_true(digest != before);
        before = digest;
        (void)digest_of_run(seed, 30);
    }
}

static void test_a_seed_repeats_itself(void **state WEIR_UNUSED)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        assert_true(digest_of_run(seed, 20) == digest_of_run(seed, 20));
    }
}

/* ---- one promise at a time ---- */

static struct weir_sim *sim;
static struct relay relay;

static int setup(void **state WEIR_UNUSED)
{
    sim = weir_sim_new(&(struct weir_sim_opts){.seed = 5});
    relay_start(&relay, sim);
    return 0;
}
static int teardown(void **state WEIR_UNUSED)
{
    relay_end(&relay);
    weir_sim_free(sim);
    return 0;
}

static struct weir_sim_peer *dial(const struct weir_sim_step_of *steps, size_t n)
{
    struct weir_addr listen = addr_of("127.0.0.1", 10000);
    struct weir_sim_peer *peer = weir_sim_dial(sim, &listen.sa, listen.len, NULL, NULL);
    weir_sim_peer_script(peer, steps, n);
    return peer;
}

static void accept_with_script(struct weir_sim_peer *peer, void *arg)
{
    const struct weir_sim_step_of *steps = arg;
    size_t n = 0;
    while (steps[n].what != WEIR_SIM_CLOSE) {
        n++;
    }
    weir_sim_peer_script(peer, steps, n + 1);
}

static void serve_script(const struct weir_sim_step_of *steps)
{
    struct weir_sim_server server = {.on_accept = accept_with_script};
    server.arg = (void *)(uintptr_t)steps;
    weir_sim_serve(sim, &relay.upstream.sa, relay.upstream.len, &server);
}

static void test_scripts(void **state WEIR_UNUSED)
{
    static const struct weir_sim_step_of server[] = {
        {WEIR_SIM_EXPECT, "one", 0},  {WEIR_SIM_SEND, "ONE", 0},          {WEIR_SIM_EXPECT, "two", 0},
        {WEIR_SIM_SLEEP, NULL, 5000}, {WEIR_SIM_SEND_SLOWLY, "TWO", 100}, {WEIR_SIM_CLOSE, NULL, 0},
    };
    static const struct weir_sim_step_of client[] = {
        {WEIR_SIM_SEND, "one", 0},   {WEIR_SIM_EXPECT, "ONE", 0},    {WEIR_SIM_SEND, "two", 0},
        {WEIR_SIM_EXPECT, "TWO", 0}, {WEIR_SIM_EXPECT_EOF, NULL, 0}, {WEIR_SIM_CLOSE, NULL, 0},
    };
    serve_script(server);
    uint64_t before = weir_sim_now_ns(sim);
    struct weir_sim_peer *peer = dial(client, WEIR_COUNTOF(client));
    weir_sim_settle(sim);
    assert_true(weir_sim_peer_script_done(peer));
    assert_true(weir_sim_peer_ended(peer));
    assert_true(weir_slice_eq(weir_sim_peer_received(peer), WEIR_S("ONETWO")));
    assert_true(weir_sim_now_ns(sim) - before > 5300000);
}

static bool ended(void *arg)
{
    return weir_sim_peer_ended(arg);
}

static void test_server_modes(void **state WEIR_UNUSED)
{
    static const struct {
        enum weir_sim_server_mode mode;
        uint64_t ms;
    } rows[] = {{WEIR_SIM_REFUSE, 0}, {WEIR_SIM_UNREACHABLE, 0}, {WEIR_SIM_BLACKHOLE, 1000}};
    static const struct weir_sim_step_of client[] = {{WEIR_SIM_SEND, "x", 0}, {WEIR_SIM_EXPECT, "never", 0}};
    for (size_t i = 0; i < WEIR_COUNTOF(rows); i++) {
        weir_sim_serve(sim, &relay.upstream.sa, relay.upstream.len,
                       &(struct weir_sim_server){.mode = rows[i].mode});
        uint64_t before = weir_sim_now_ns(sim);
        struct weir_sim_peer *peer = dial(client, WEIR_COUNTOF(client));
        assert_true(weir_sim_run_until(sim, ended, peer, 5000));
        assert_true(weir_sim_peer_saw_reset(peer));
        uint64_t ms = (weir_sim_now_ns(sim) - before) / 1000000;
        assert_in_range(ms, rows[i].ms, rows[i].ms + 2);
        weir_sim_settle(sim);
    }
}

static void test_a_paused_peer_pushes_back(void **state WEIR_UNUSED)
{
    static const struct weir_sim_step_of server[] = {{WEIR_SIM_PAUSE, NULL, 0},
                                                     {WEIR_SIM_SLEEP, NULL, 50000},
                                                     {WEIR_SIM_RESUME, NULL, 0},
                                                     {WEIR_SIM_EXPECT_EOF, NULL, 0},
                                                     {WEIR_SIM_CLOSE, NULL, 0}};
    static const struct weir_sim_step_of client[] = {{WEIR_SIM_EXPECT_EOF, NULL, 0},
                                                     {WEIR_SIM_CLOSE, NULL, 0}};
    static char lots[500000];
    serve_script(server);
    struct weir_sim_peer *peer = dial(client, WEIR_COUNTOF(client));
    weir_sim_peer_send(peer, weir_slice(lots, sizeof(lots)));
    weir_sim_peer_shutdown(peer);
    for (int i = 0; i < 40; i++) { /* the relay holds no more than its limits allow */
        weir_sim_run_for(sim, 1);
        assert_true(relay.loop->bufs.n_blocks_live < 12);
    }
    weir_sim_settle(sim);
    assert_true(weir_sim_peer_ended(peer) && weir_sim_peer_saw_eof(peer));
}

static int n_resolved;
static enum weir_err resolved_err;
static void on_resolved(void *arg WEIR_UNUSED, enum weir_err err, const struct weir_resolved *result)
{
    n_resolved++;
    resolved_err = err;
    assert_true((result == NULL) == (err != WEIR_OK));
}

static void test_names(void **state WEIR_UNUSED)
{
    static const struct {
        const char *name;
        int family;
        enum weir_err want;
    } rows[] = {{"a.test", AF_INET, WEIR_OK},
                {"A.TEST", AF_UNSPEC, WEIR_OK},
                {"a.test", AF_INET6, WEIR_ERR_NOT_FOUND},
                {"b.test", AF_INET, WEIR_ERR_TIMEOUT},
                {"c.test", AF_INET, WEIR_ERR_NOT_FOUND},
                {"1.2.3.4", AF_INET, WEIR_OK}};
    struct sockaddr_storage ss = {0};
    struct weir_addr addr = addr_of("10.9.8.7", 0);
    memcpy(&ss, &addr.in, sizeof(addr.in));
    weir_sim_dns_set(sim, WEIR_S("a.test"), &ss, 1, 30, WEIR_OK);
    weir_sim_dns_set(sim, WEIR_S("b.test"), NULL, 0, 0, WEIR_ERR_TIMEOUT);
    for (size_t i = 0; i < WEIR_COUNTOF(rows); i++) {
        n_resolved = 0;
        (void)relay.loop->ops->resolve(relay.loop, weir_slice_str(rows[i].name), rows[i].family, on_resolved,
                                       NULL);
        void *cancelled = relay.loop->ops->resolve(relay.loop, WEIR_S("a.test"), AF_INET, on_resolved, NULL);
        relay.loop->ops->resolve_cancel(relay.loop, cancelled);
        assert_int_equal(n_resolved, 0);
        weir_sim_settle(sim);
        assert_int_equal(n_resolved, 1);
        assert_int_equal(resolved_err, rows[i].want);
    }
}

static int n_posts;
static void count_post(void *arg)
{
    struct weir_loop *back_to = arg;
    n_posts++;
    if (back_to) {
        weir_loop_post(back_to, count_post, NULL);
    }
}

static void test_two_loops_post_to_each_other(void **state WEIR_UNUSED)
{
    struct weir_loop *other = weir_loop_new(&weir_world_sim, sim, "worker_1", 2);
    weir_loop_post(other, count_post, relay.loop);
    weir_sim_settle(sim);
    assert_int_equal(n_posts, 2);
    assert_true(weir_loop_random(other) != weir_loop_random(relay.loop));
    weir_loop_free(other);
}

static void test_clocks(void **state WEIR_UNUSED)
{
    uint64_t mono = weir_sim_now_ns(sim);
    weir_sim_jump_wall(sim, INT64_C(3600) * 1000000000);
    weir_sim_run_for(sim, 250);
    assert_true(weir_sim_now_ns(sim) - mono >= 250000000);
    assert_true(weir_sim_now_ns(sim) - mono < 251000000);
    assert_int_equal(relay.loop->ops->wall_ns(relay.loop) / 1000000000, 1767225600 + 3600);
}

static char last_line[400];
static int n_lines;
static void keep_line(void *arg WEIR_UNUSED, const char *line)
{
    n_lines++;
    (void)snprintf(last_line, sizeof(last_line), "%s", line);
}

static void test_trace_tells_what_happens(void **state WEIR_UNUSED)
{
    struct weir_sim *traced = weir_sim_new(&(struct weir_sim_opts){.seed = 1, .trace = keep_line});
    struct weir_addr nowhere = addr_of("10.0.0.9", 9);
    (void)weir_sim_dial(traced, &nowhere.sa, nowhere.len, NULL, NULL);
    weir_sim_settle(traced);
    assert_true(n_lines >= 3);
    weir_sim_note(traced, "the %s", "end");
    assert_non_null(strstr(last_line, "the end"));
    weir_sim_free(traced);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_relay_over_many_seeds),
        cmocka_unit_test(test_a_seed_repeats_itself),
        cmocka_unit_test_setup_teardown(test_scripts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_server_modes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_paused_peer_pushes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_names, setup, teardown),
        cmocka_unit_test_setup_teardown(test_two_loops_post_to_each_other, setup, teardown),
        cmocka_unit_test_setup_teardown(test_clocks, setup, teardown),
        cmocka_unit_test(test_trace_tells_what_happens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
