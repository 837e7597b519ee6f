/* Connection pools and attempts, against scripted servers in the simulated world. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "envoy/config/cluster/v3/cluster.pb-c.h"
#include "event/sim.h"
#include "proxy/up_request.h"
#include "upstream/cluster_config.h"

struct fixture {
    struct weir_sim *sim;
    struct weir_loop *loop;
    struct weir_stats *stats;
    struct weir_stats_worker *sw;
    struct weir_diag diag;
    struct weir_config *config;
    struct weir_cluster *cluster;
    struct weir_clusters *set;
    struct weir_clusters_worker *cws;
    struct weir_cluster_worker *cw;
    struct weir_addr addr;
    const struct weir_sim_step_of *script;
    size_t n_steps;
    uint32_t n_accepted;
};

/* A request and what came of it. */
struct call {
    struct weir_up_request up;
    struct weir_arena arena;
    struct weir_headers headers;
    struct fixture *fx;
    uint32_t status, body_len;
    bool connected, done, failed;
    enum weir_reset reason;
    char detail[128];
    uint64_t conn_id;
    bool reused;
};

static void on_accept(struct weir_sim_peer *peer, void *arg)
{
    struct fixture *fx = arg;
    fx->n_accepted++;
    weir_sim_peer_script(peer, fx->script, fx->n_steps);
}

static void serve(struct fixture *fx, enum weir_sim_server_mode mode, const struct weir_sim_step_of *script,
                  size_t n)
{
    fx->script = script;
    fx->n_steps = n;
    weir_sim_serve(fx->sim, &fx->addr.sa, fx->addr.len,
                   &(struct weir_sim_server){.mode = mode, .on_accept = on_accept, .arg = fx});
}

/* `extra`: more fields of the cluster. */
static void make(struct fixture *fx, const char *extra)
{
    char yaml[1024];
    *fx = (struct fixture){0};
    fx->sim = weir_sim_new(&(struct weir_sim_opts){.seed = 3, .spurious = -1});
    fx->loop = weir_loop_new(&weir_world_sim, fx->sim, "worker", 1);
    fx->stats = weir_stats_new();
    fx->sw = weir_stats_add_worker(fx->stats);
    weir_diag_init(&fx->diag);
    fx->config = weir_config_new(&fx->diag);
    snprintf(yaml, sizeof(yaml),
             "name: up\nconnect_timeout: 1s\nload_assignment: {cluster_name: x, endpoints: [{lb_endpoints: "
             "[{endpoint: {address: "
             "{socket_address: {address: 10.0.0.1, port_value: 80}}}}]}]}\n%s",
             extra);
    ProtobufCMessage *msg = NULL;
    if (weir_config_read_text(fx->config, WEIR_S("t.yaml"), weir_slice_str(yaml),
                              &envoy__config__cluster__v3__cluster__descriptor, &msg) != WEIR_OK)
        fail_msg("%s", yaml);
    fx->cluster = weir_cluster_new(fx->config, (const Envoy__Config__Cluster__V3__Cluster *)(const void *)msg,
                                   fx->stats);
    if (!fx->cluster) {
        weir_diag_print(&fx->diag, stderr, &(struct weir_diag_style){.format = WEIR_DIAG_TEXT});
        fail();
    }
    fx->set = weir_clusters_new(&fx->cluster, 1);
    fx->cws = weir_clusters_worker_new(fx->loop, fx->sw);
    weir_clusters_worker_set(fx->cws, fx->set);
    fx->cw = weir_clusters_worker_find(fx->cws, WEIR_S("up"));
    assert_int_equal(weir_addr_parse_ip(WEIR_S("10.0.0.1"), 80, &fx->addr), WEIR_OK);
}

static void drop(struct fixture *fx)
{
    weir_clusters_worker_free(fx->cws);
    weir_clusters_unref(fx->set);
    weir_cluster_unref(fx->cluster);
    weir_sim_settle(fx->sim);
    assert_int_equal(weir_sim_open_sockets(fx->sim), 0);
    weir_loop_free(fx->loop);
    weir_sim_free(fx->sim);
    weir_config_free(fx->config);
    weir_diag_fini(&fx->diag);
    weir_stats_free(fx->stats);
}

static uint64_t stat(struct fixture *fx, const char *name)
{
    char full[96];
    uint64_t value = UINT64_MAX;
    snprintf(full, sizeof(full), "cluster.up.%s", name);
    if (!weir_stats_lookup(fx->stats, weir_slice_str(full), &value))
        fail_msg("no stat %s", full);
    return value;
}

static struct call *call_of(struct weir_up_request *up)
{
    return WEIR_CONTAINER_OF(up, struct call, up);
}
static void call_connection(struct weir_up_request *up)
{
    call_of(up)->connected = true;
    call_of(up)->conn_id = up->conn->conn.id;
    call_of(up)->reused = up->reused;
}
static void call_headers(struct weir_up_request *up, struct weir_headers *h, bool end_stream)
{
    call_of(up)->status = weir_headers_status(h);
    call_of(up)->done = end_stream;
}
static void call_data(struct weir_up_request *up, struct weir_buf *data, bool end_stream)
{
    call_of(up)->body_len += (uint32_t)data->len;
    call_of(up)->done = end_stream;
    weir_buf_clear(data);
}
static void call_failed(struct weir_up_request *up, enum weir_reset reason, const char *detail)
{
    struct call *c = call_of(up);
    c->failed = true;
    c->reason = reason;
    snprintf(c->detail, sizeof(c->detail), "%s", detail);
}
static void call_watermark(struct weir_up_request *up, bool above)
{
    (void)up, (void)above;
}
static const struct weir_up_request_ops call_ops = {
    .on_connection = call_connection,
    .on_headers = call_headers,
    .on_data = call_data,
    .on_failed = call_failed,
    .on_watermark = call_watermark,
};

static enum weir_pool_verdict start(struct fixture *fx, struct call *c, bool fresh, bool end_stream)
{
    *c = (struct call){.fx = fx, .up = {.ops = &call_ops, .pool_request.fresh = fresh}};
    weir_arena_init(&c->arena, &fx->loop->arenas);
    weir_headers_init(&c->headers, &c->arena);
    weir_headers_add(&c->headers, WEIR_H_METHOD, end_stream ? WEIR_S("GET") : WEIR_S("POST"));
    weir_headers_add(&c->headers, WEIR_H_PATH, WEIR_S("/"));
    weir_headers_add(&c->headers, WEIR_H_AUTHORITY, WEIR_S("h"));
    struct weir_host *host = weir_cluster_pick(fx->cw, NULL);
    assert_non_null(host);
    return weir_up_request_start(&c->up, fx->cw, host, WEIR_PRIORITY_DEFAULT, fx->loop, &c->arena,
                                 &c->headers, end_stream);
}

static void end(struct call *c)
{
    weir_up_request_end(&c->up);
    weir_arena_fini(&c->arena);
}

static void get_200(struct fixture *fx, struct call *c)
{
    (void)start(fx, c, false, true);
    weir_sim_run_for(fx->sim, 50);
    if (!c->done || c->status != 200 || c->body_len != 2)
        fail_msg("status %u, failed %d %s", c->status, c->failed, c->detail);
    end(c);
}

static const struct weir_sim_step_of answers[] = {
    {WEIR_SIM_EXPECT, "\r\n\r\n", 0},
    {WEIR_SIM_SEND, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", 0},
    {WEIR_SIM_REPEAT, NULL, 0}};
static const struct weir_sim_step_of slow_answers[] = {
    {WEIR_SIM_EXPECT, "\r\n\r\n", 0},
    {WEIR_SIM_SLEEP, NULL, 20000},
    {WEIR_SIM_SEND, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", 0},
    {WEIR_SIM_REPEAT, NULL, 0}};

static void test_a_connection_is_used_again(void **state)
{
    (void)state;
    struct fixture fx;
    struct call a, b;
    make(&fx, "");
    serve(&fx, WEIR_SIM_ACCEPT, answers, WEIR_COUNTOF(answers));
    get_200(&fx, &a);
    get_200(&fx, &b);
    assert_int_equal(a.conn_id, b.conn_id);
    assert_false(a.reused);
    assert_true(b.reused);
    assert_int_equal(stat(&fx, "upstream_cx_total"), 1);
    assert_int_equal(stat(&fx, "upstream_rq_total"), 2);
    assert_int_equal(stat(&fx, "upstream_rq_active"), 0);
    assert_int_equal(stat(&fx, "upstream_cx_active"), 1);
    assert_int_equal(stat(&fx, "upstream_rq_pending_total"), 1);
    assert_int_equal(fx.loop->bufs.n_blocks_live, fx.loop->read_block ? 1 : 0);
    drop(&fx);
}

static void test_the_latest_used_comes_first(void **state)
{
    (void)state;
    struct fixture fx;
    struct call a, b, c;
    make(&fx, "");
    serve(&fx, WEIR_SIM_ACCEPT, slow_answers, WEIR_COUNTOF(slow_answers));
    assert_int_equal(start(&fx, &a, false, true), WEIR_POOL_WAITING);
    weir_sim_run_for(fx.sim, 5);
    assert_int_equal(start(&fx, &b, false, true), WEIR_POOL_WAITING);
    weir_sim_run_for(fx.sim, 100);
    assert_true(a.done && b.done && a.conn_id != b.conn_id);
    assert_int_equal(fx.n_accepted, 2);
    end(&a);
    end(&b);
    get_200(&fx, &c);
    assert_int_equal(c.conn_id, b.conn_id);
    drop(&fx);
}

static void test_a_fresh_one_on_request(void **state)
{
    (void)state;
    struct fixture fx;
    struct call a, b;
    make(&fx, "");
    serve(&fx, WEIR_SIM_ACCEPT, answers, WEIR_COUNTOF(answers));
    get_200(&fx, &a);
    assert_int_equal(start(&fx, &b, true, true), WEIR_POOL_WAITING);
    weir_sim_run_for(fx.sim, 50);
    assert_true(b.done && !b.reused);
    end(&b);
    drop(&fx);
}

static void expect_failure(const char *extra, enum weir_sim_server_mode mode, enum weir_reset reason,
                           const char *row)
{
    struct fixture fx;
    struct call a, b;
    make(&fx, extra);
    serve(&fx, mode, NULL, 0);
    (void)start(&fx, &a, false, true);
    (void)start(&fx, &b, false, true);
    weir_sim_run_for(fx.sim, 1500);
    assert_true(a.failed && b.failed);
    assert_int_equal(a.reason, reason);
    assert_int_equal(stat(&fx, row), 2);
    assert_int_equal(stat(&fx, "upstream_rq_pending_failure_eject"), 2);
    assert_int_equal(stat(&fx, "upstream_rq_pending_active"), 0);
    assert_int_equal(stat(&fx, "upstream_cx_active"), 0);
    end(&a);
    end(&b);
    drop(&fx);
}

static void test_refused(void **state)
{
    (void)state;
    expect_failure("", WEIR_SIM_REFUSE, WEIR_RESET_REMOTE_CONN_FAILURE, "upstream_cx_connect_fail");
}

static void test_connect_timeout(void **state)
{
    (void)state;
    expect_failure("", WEIR_SIM_BLACKHOLE, WEIR_RESET_CONN_TIMEOUT, "upstream_cx_connect_timeout");
}

static void test_requests_have_a_breaker(void **state)
{
    (void)state;
    struct fixture fx;
    struct call a, b;
    make(&fx, "circuit_breakers: {thresholds: [{max_requests: 1}]}\n");
    serve(&fx, WEIR_SIM_ACCEPT, slow_answers, WEIR_COUNTOF(slow_answers));
    get_200(&fx, &a);
    assert_int_equal(start(&fx, &a, false, true), WEIR_POOL_READY);
    assert_int_equal(stat(&fx, "circuit_breakers.default.rq_open"), 1);
    assert_int_equal(start(&fx, &b, false, true), WEIR_POOL_WAITING);
    weir_sim_run_for(fx.sim, 10);
    assert_true(b.failed && b.reason == WEIR_RESET_OVERFLOW);
    assert_int_equal(stat(&fx, "upstream_rq_pending_overflow"), 1);
    weir_sim_run_for(fx.sim, 50);
    assert_true(a.done);
    assert_int_equal(stat(&fx, "circuit_breakers.default.rq_open"), 0);
    end(&a);
    end(&b);
    drop(&fx);
}

static void test_pending_requests_have_a_breaker(void **state)
{
    (void)state;
    struct fixture fx;
    struct call a, b;
    make(&fx, "circuit_breakers: {thresholds: [{max_pending_requests: 1}]}\n");
    serve(&fx, WEIR_SIM_ACCEPT, answers, WEIR_COUNTOF(answers));
    assert_int_equal(start(&fx, &a, false, true), WEIR_POOL_WAITING);
    assert_int_equal(start(&fx, &b, false, true), WEIR_POOL_OVERFLOW);
    end(&b);
    weir_sim_run_for(fx.sim, 50);
    assert_true(a.done);
    end(&a);
    drop(&fx);
}

static void test_connections_have_a_breaker_and_requests_wait_in_order(void **state)
{
    (void)state;
    struct fixture fx;
    struct call c[3];
    make(&fx, "circuit_breakers: {thresholds: [{max_connections: 1}]}\n");
    serve(&fx, WEIR_SIM_ACCEPT, slow_answers, WEIR_COUNTOF(slow_answers));
    for (int i = 0; i < 3; i++)
        assert_int_equal(start(&fx, &c[i], false, true), WEIR_POOL_WAITING);
    weir_sim_run_for(fx.sim, 30);
    assert_true(c[0].done && !c[1].done && !c[2].connected);
    weir_sim_run_for(fx.sim, 20);
    assert_true(c[1].done && !c[2].done);
    weir_sim_run_for(fx.sim, 60);
    assert_true(c[2].done);
    assert_int_equal(fx.n_accepted, 1);
    assert_true(stat(&fx, "upstream_cx_overflow") > 0);
    for (int i = 0; i < 3; i++)
        end(&c[i]);
    drop(&fx);
}

static void test_idle_ones_are_closed(void **state)
{
    (void)state;
    struct fixture fx;
    struct call a;
    make(&fx, "common_http_protocol_options: {idle_timeout: 2s}\n");
    serve(&fx, WEIR_SIM_ACCEPT, answers, WEIR_COUNTOF(answers));
    get_200(&fx, &a);
    weir_sim_run_for(fx.sim, 1900);
    assert_int_equal(stat(&fx, "upstream_cx_active"), 1);
    weir_sim_run_for(fx.sim, 300);
    assert_int_equal(stat(&fx, "upstream_cx_active"), 0);
    assert_int_equal(stat(&fx, "upstream_cx_idle_timeout"), 1);
    drop(&fx);
}

static void test_used_up_ones_are_closed(void **state)
{
    (void)state;
    struct fixture fx;
    struct call c[3];
    make(&fx, "max_requests_per_connection: 2\n");
    serve(&fx, WEIR_SIM_ACCEPT, answers, WEIR_COUNTOF(answers));
    for (int i = 0; i < 3; i++)
        get_200(&fx, &c[i]);
    assert_int_equal(c[0].conn_id, c[1].conn_id);
    assert_true(c[1].conn_id != c[2].conn_id);
    assert_int_equal(stat(&fx, "upstream_cx_max_requests"), 1);
    drop(&fx);
}

static void test_unasked_bytes_end_an_idle_connection(void **state)
{
    (void)state;
    static const struct weir_sim_step_of chatty[] = {
        {WEIR_SIM_EXPECT, "\r\n\r\n", 0},
        {WEIR_SIM_SEND, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", 0},
        {WEIR_SIM_SLEEP, NULL, 60000},
        {WEIR_SIM_SEND, "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil", 0}};
    struct fixture fx;
    struct call a, b;
    make(&fx, "");
    serve(&fx, WEIR_SIM_ACCEPT, chatty, WEIR_COUNTOF(chatty));
    get_200(&fx, &a);
    weir_sim_run_for(fx.sim, 100);
    assert_int_equal(stat(&fx, "upstream_cx_active"), 0);
    assert_int_equal(stat(&fx, "upstream_cx_protocol_error"), 1);
    get_200(&fx, &b);
    drop(&fx);
}

static void test_a_connection_that_closes_is_not_used_again(void **state)
{
    (void)state;
    static const struct weir_sim_step_of once[] = {
        {WEIR_SIM_EXPECT, "\r\n\r\n", 0},
        {WEIR_SIM_SEND, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", 0},
        {WEIR_SIM_CLOSE, NULL, 0}};
    static const struct weir_sim_step_of says_close[] = {
        {WEIR_SIM_EXPECT, "\r\n\r\n", 0},
        {WEIR_SIM_SEND, "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok", 0}};
    struct fixture fx;
    struct call a, b;
    make(&fx, "");
    serve(&fx, WEIR_SIM_ACCEPT, once, WEIR_COUNTOF(once));
    get_200(&fx, &a);
    get_200(&fx, &b);
    assert_true(a.conn_id != b.conn_id);
    serve(&fx, WEIR_SIM_ACCEPT, says_close, WEIR_COUNTOF(says_close));
    get_200(&fx, &a);
    get_200(&fx, &b);
    assert_true(a.conn_id != b.conn_id);
    assert_int_equal(stat(&fx, "upstream_cx_active"), 0);
    drop(&fx);
}

static void test_a_reset_is_a_failure(void **state)
{
    (void)state;
    static const struct weir_sim_step_of script[] = {{WEIR_SIM_EXPECT, "\r\n\r\n", 0},
                                                     {WEIR_SIM_RESET, NULL, 0}};
    struct fixture fx;
    struct call a;
    make(&fx, "");
    serve(&fx, WEIR_SIM_ACCEPT, script, WEIR_COUNTOF(script));
    (void)start(&fx, &a, false, true);
    weir_sim_run_for(fx.sim, 50);
    assert_true(a.failed && a.reason == WEIR_RESET_CONN_TERMINATION && !a.up.unsent);
    assert_int_equal(stat(&fx, "upstream_rq_active"), 0);
    end(&a);
    drop(&fx);
}

static void test_an_early_answer_costs_the_connection(void **state)
{
    (void)state;
    struct fixture fx;
    struct call a;
    make(&fx, "");
    serve(&fx, WEIR_SIM_ACCEPT, answers, WEIR_COUNTOF(answers));
    (void)start(&fx, &a, false, false);
    weir_sim_run_for(fx.sim, 50);
    assert_true(a.done && a.status == 200);
    end(&a);
    weir_sim_run_for(fx.sim, 50);
    assert_int_equal(stat(&fx, "upstream_cx_active"), 0);
    assert_int_equal(stat(&fx, "upstream_rq_active"), 0);
    drop(&fx);
}

static void test_giving_up_while_waiting(void **state)
{
    (void)state;
    struct fixture fx;
    struct call a, b;
    make(&fx, "");
    serve(&fx, WEIR_SIM_ACCEPT, answers, WEIR_COUNTOF(answers));
    (void)start(&fx, &a, false, true);
    end(&a);
    weir_sim_run_for(fx.sim, 50);
    assert_false(a.connected);
    assert_int_equal(stat(&fx, "upstream_rq_pending_active"), 0);
    get_200(&fx, &b); /* on the connection that was opened for the other */
    assert_int_equal(fx.n_accepted, 1);
    drop(&fx);
}

static void test_a_cluster_that_leaves_finishes_its_requests(void **state)
{
    (void)state;
    struct fixture fx;
    struct call a;
    make(&fx, "");
    serve(&fx, WEIR_SIM_ACCEPT, slow_answers, WEIR_COUNTOF(slow_answers));
    get_200(&fx, &a);
    assert_int_equal(start(&fx, &a, false, true), WEIR_POOL_READY);
    struct weir_clusters *none = weir_clusters_new(NULL, 0);
    weir_clusters_worker_set(fx.cws, none);
    weir_clusters_unref(none);
    assert_null(weir_clusters_worker_find(fx.cws, WEIR_S("up")));
    weir_sim_run_for(fx.sim, 50);
    assert_true(a.done && a.status == 200);
    end(&a);
    weir_sim_run_for(fx.sim, 50);
    assert_int_equal(weir_sim_open_sockets(fx.sim), 0);
    drop(&fx);
}

static void test_a_body_waits_for_the_connection(void **state)
{
    (void)state;
    static const struct weir_sim_step_of echo[] = {
        {WEIR_SIM_EXPECT, "\r\n\r\n", 0},
        {WEIR_SIM_EXPECT, "2\r\nlo\r\n0\r\n\r\n", 0},
        {WEIR_SIM_SEND, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", 0}};
    struct fixture fx;
    struct call a;
    struct weir_buf body;
    make(&fx, "");
    serve(&fx, WEIR_SIM_ACCEPT, echo, WEIR_COUNTOF(echo));
    (void)start(&fx, &a, false, false);
    weir_buf_init(&body, &fx.loop->bufs);
    weir_buf_add(&body, WEIR_S("hel"));
    weir_up_request_data(&a.up, &body, false);
    weir_sim_run_for(fx.sim, 20);
    weir_buf_add(&body, WEIR_S("lo"));
    weir_up_request_data(&a.up, &body, true);
    weir_sim_run_for(fx.sim, 50);
    assert_true(a.done);
    end(&a);
    weir_sim_run_for(fx.sim, 10);
    drop(&fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_connection_is_used_again),
        cmocka_unit_test(test_the_latest_used_comes_first),
        cmocka_unit_test(test_a_fresh_one_on_request),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_connect_timeout),
        cmocka_unit_test(test_requests_have_a_breaker),
        cmocka_unit_test(test_pending_requests_have_a_breaker),
        cmocka_unit_test(test_connections_have_a_breaker_and_requests_wait_in_order),
        cmocka_unit_test(test_idle_ones_are_closed),
        cmocka_unit_test(test_used_up_ones_are_closed),
        cmocka_unit_test(test_unasked_bytes_end_an_idle_connection),
        cmocka_unit_test(test_a_connection_that_closes_is_not_used_again),
        cmocka_unit_test(test_a_reset_is_a_failure),
        cmocka_unit_test(test_an_early_answer_costs_the_connection),
        cmocka_unit_test(test_giving_up_while_waiting),
        cmocka_unit_test(test_a_cluster_that_leaves_finishes_its_requests),
        cmocka_unit_test(test_a_body_waits_for_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
