/* admin: the endpoints over a small fake process. Expected texts are what Envoy 1.39 answers for the same configuration. */
#include "admin/admin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/log.h"

static const char bootstrap_yaml[] =
    "admin: {address: {socket_address: {address: 127.0.0.1, port_value: 9901}}}\n"
    "static_resources:\n"
    "  listeners:\n"
    "  - name: main\n"
    "    address: {socket_address: {address: 127.0.0.1, port_value: 10000}}\n"
    "    filter_chains:\n"
    "    - filters:\n"
    "      - name: hcm\n"
    "        typed_config:\n"
    "          '@type': "
    "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager\n"
    "          stat_prefix: in\n"
    "          route_config: {name: r, virtual_hosts: []}\n"
    "  clusters:\n"
    "  - name: service1\n"
    "    connect_timeout: 1s\n"
    "    load_assignment: {cluster_name: service1, endpoints: [{lb_endpoints: [{endpoint: {address: "
    "{socket_address: "
    "{address: 127.0.0.1, port_value: 1}}}}]}]}\n"
    "    transport_socket:\n"
    "      name: tls\n"
    "      typed_config:\n"
    "        '@type': type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext\n"
    "        common_tls_context: {tls_certificates: [{private_key: {inline_string: SECRET}}]}\n";

struct fixture {
    struct weir_diag diag;
    struct weir_config *config;
    struct weir_stats *stats;
    struct weir_stats_worker *cells;
    struct weir_admin *admin;
    enum weir_admin_state state;
    bool unhealthy;
    unsigned n_quit, n_reopened, n_drained;
    struct weir_cluster cluster, *cluster_list[1];
    struct weir_clusters clusters;
    struct weir_host host, *host_list[1];
    struct weir_listener listener, *listener_list[1];
    struct weir_addr addrs[2];
};

static enum weir_admin_state get_state(void *arg)
{
    return ((struct fixture *)arg)->state;
}
static bool get_healthy(void *arg)
{
    return !((struct fixture *)arg)->unhealthy;
}
static uint64_t get_uptime(void *arg)
{
    (void)arg;
    return 75;
}
static const struct weir_clusters *get_clusters(void *arg)
{
    return &((struct fixture *)arg)->clusters;
}
static struct weir_config *get_config(void *arg)
{
    return ((struct fixture *)arg)->config;
}
static int64_t get_loaded(void *arg)
{
    (void)arg;
    return INT64_C(1795455156245000000);
}
static void quit(void *arg)
{
    ((struct fixture *)arg)->n_quit++;
}
static void reopen(void *arg)
{
    ((struct fixture *)arg)->n_reopened++;
}
static void set_health(void *arg, bool healthy)
{
    ((struct fixture *)arg)->unhealthy = !healthy;
}
static void drain(void *arg, bool graceful, bool skip_exit, bool inbound_only)
{
    assert_true(graceful);
    assert_false(skip_exit);
    assert_true(inbound_only);
    ((struct fixture *)arg)->n_drained++;
}
static struct weir_listener *const *get_listeners(void *arg, uint32_t *ret_n)
{
    *ret_n = 1;
    return ((struct fixture *)arg)->listener_list;
}
static const struct weir_admin_option *get_options(void *arg, uint32_t *ret_n)
{
    static const struct weir_admin_option options[] = {
        {"concurrency", WEIR_ADMIN_OPTION_NUMBER, NULL, 2},
        {"config_path", WEIR_ADMIN_OPTION_TEXT, "a\"b.yaml", 0},
        {"drain_time", WEIR_ADMIN_OPTION_SECONDS, NULL, 600},
        {"cpuset_threads", WEIR_ADMIN_OPTION_BOOL, NULL, 0},
    };
    (void)arg;
    *ret_n = WEIR_COUNTOF(options);
    return options;
}

static void make_resources(struct fixture *f)
{
    const Envoy__Config__Bootstrap__V3__Bootstrap *b = f->config->bootstrap;
    f->cluster.name = f->cluster.stat_name = WEIR_S("service1");
    f->cluster.proto = b->static_resources->clusters[0];
    pthread_mutex_init(&f->cluster.hosts_lock, NULL);
    for (unsigned p = 0; p < WEIR_PRIORITIES; p++) {
        f->cluster.resources[p].connections.max = f->cluster.resources[p].pending.max =
            f->cluster.resources[p].requests.max = 1024;
        f->cluster.resources[p].retries.max = 3;
    }
    assert_int_equal(weir_addr_parse_ip(WEIR_S("127.0.0.1"), 1, &f->host.addr), WEIR_OK);
    f->host.address_text = WEIR_S("127.0.0.1:1");
    f->host.refs = 1; // never the last
    f->host.weight = 1;
    f->host.stats = weir_stats_register_hidden(f->stats, WEIR_HOST_STAT_COUNT);
    f->host_list[0] = &f->host;
    f->cluster.hosts = weir_host_set_new(f->host_list, 1, 140);
    f->cluster_list[0] = &f->cluster;
    f->clusters.n = 1;
    f->clusters.v = f->cluster_list;
    assert_int_equal(weir_addr_parse_ip(WEIR_S("127.0.0.1"), 10000, &f->addrs[0]), WEIR_OK);
    assert_int_equal(weir_addr_parse_ip(WEIR_S("::1"), 10001, &f->addrs[1]), WEIR_OK);
    f->listener.name = WEIR_S("main");
    f->listener.addrs = f->addrs;
    f->listener.n_addrs = 1;
    f->listener.proto = b->static_resources->listeners[0];
    f->listener_list[0] = &f->listener;
}

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    weir_diag_init(&f->diag);
    f->config = weir_config_new(&f->diag);
    if (weir_config_load(f->config, NULL, bootstrap_yaml) != WEIR_OK) {
        weir_diag_print(&f->diag, stderr, &(struct weir_diag_style){0});
        fail();
    }
    f->stats = weir_stats_new();
    f->cells = weir_stats_add_worker(f->stats);
    const struct weir_stats_scope root = {WEIR_S("server."), WEIR_S("server."), NULL, 0};
    weir_stat_inc(f->cells, weir_stats_register(f->stats, &root, WEIR_S("requests"), WEIR_STAT_COUNTER));
    weir_stat_set(f->cells, weir_stats_register(f->stats, &root, WEIR_S("live"), WEIR_STAT_GAUGE), 1);
    make_resources(f);
    const struct weir_admin_sources sources = {
        .arg = f,
        .stats = f->stats,
        .cells = f->cells,
        .version = "0.1.0",
        .state = get_state,
        .healthy = get_healthy,
        .uptime_s = get_uptime,
        .clusters = get_clusters,
        .listeners = get_listeners,
        .config = get_config,
        .loaded_wall_ns = get_loaded,
        .options = get_options,
        .quit = quit,
        .drain_listeners = drain,
        .set_health = set_health,
        .reopen_logs = reopen,
    };
    f->admin = weir_admin_new(&sources);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    weir_admin_free(f->admin);
    weir_host_set_unref(f->cluster.hosts);
    pthread_mutex_destroy(&f->cluster.hosts_lock);
    weir_stats_free(f->stats);
    weir_config_free(f->config);
    weir_diag_fini(&f->diag);
    test_free(f);
    return 0;
}

static void ask(struct fixture *f, const char *method, const char *path, const char *body, uint32_t status,
                const char *want)
{
    struct weir_admin_response response;
    weir_admin_handle(f->admin, weir_slice_str(method), weir_slice_str(path), weir_slice_str(body),
                      &response);
    const char *got = response.body.ptr ? response.body.ptr : "";
    if (response.status != status)
        fail_msg("%s: %u: %s", path, response.status, got);
    if (strcmp(got, want) != 0)
        fail_msg("%s:\n%s\nwanted\n%s", path, got, want);
    weir_str_fini(&response.body);
}

/* Only some part of the answer. */
static void ask_part(struct fixture *f, const char *method, const char *path, uint32_t status,
                     const char *type, const char *part, bool there)
{
    struct weir_admin_response response;
    weir_admin_handle(f->admin, weir_slice_str(method), weir_slice_str(path), WEIR_S_NONE, &response);
    const char *got = response.body.ptr ? response.body.ptr : "";
    if (response.status != status || strcmp(response.content_type, type) != 0)
        fail_msg("%s: %u %s: %s", path, response.status, response.content_type, got);
    if ((strstr(got, part) != NULL) != there)
        fail_msg("%s:\n%s\n%s\n%s", path, got, there ? "lacks" : "has", part);
    weir_str_fini(&response.body);
}
#define TEXT "text/plain; charset=UTF-8"
#define JSON "application/json"

static void test_ready(void **state)
{
    struct fixture *f = *state;
    ask(f, "GET", "/ready", "", 200, "LIVE\n");
    f->unhealthy = true;
    ask(f, "GET", "/ready", "", 503, "DRAINING\n");
    f->state = WEIR_ADMIN_INITIALIZING;
    ask(f, "GET", "/ready", "", 503, "INITIALIZING\n");
    f->state = WEIR_ADMIN_PRE_INITIALIZING;
    ask(f, "GET", "/ready", "", 503, "PRE_INITIALIZING\n");
}

static void test_changes_need_post(void **state)
{
    struct fixture *f = *state;
    static const char *const paths[] = {"/quitquitquit",    "/healthcheck/fail", "/healthcheck/ok",
                                        "/reset_counters",  "/reopen_logs",      "/logging",
                                        "/drain_listeners", "/runtime_modify"};
    for (size_t i = 0; i < WEIR_COUNTOF(paths); i++) {
        ask(f, "GET", paths[i], "", 405, "Method GET not allowed, POST required.");
        ask_part(f, "HEAD", paths[i], 405, TEXT, "Method HEAD not allowed", true);
    }
    assert_int_equal(f->n_quit + f->n_reopened + f->n_drained + f->unhealthy, 0);
    ask(f, "POST", "/quitquitquit", "", 200, "OK\n");
    ask(f, "POST", "/reopen_logs", "", 200, "OK\n");
    ask(f, "POST", "/healthcheck/fail", "", 200, "OK\n");
    assert_true(f->unhealthy);
    ask(f, "POST", "/healthcheck/ok", "", 200, "OK\n");
    assert_false(f->unhealthy);
    ask(f, "POST", "/drain_listeners?graceful&inboundonly", "", 200, "OK\n");
    assert_int_equal(f->n_quit, 1);
    assert_int_equal(f->n_reopened, 1);
    assert_int_equal(f->n_drained, 1);
}

static void test_paths(void **state)
{
    struct fixture *f = *state;
    static const char *const unknown[] = {"/nope",   "",         "/stats/", "/ready/",  "/../ready",
                                          "//ready", "/%72eady", "*",       "/ready;x", "http://h/ready"};
    for (size_t i = 0; i < WEIR_COUNTOF(unknown); i++)
        ask_part(
            f, "GET", unknown[i], 404, TEXT,
            "invalid path. admin commands are:\n  /: Admin home page\n  /certs: print certs on machine\n",
            true);
    ask_part(f, "GET", "/help", 200, TEXT, "admin commands are:\n  /: Admin home page\n", true);
    ask_part(f, "GET", "/help", 200, TEXT, "  /quitquitquit (POST): exit the server\n", true);
    ask_part(f, "GET", "/", 200, "text/html; charset=UTF-8", "<form action='quitquitquit' method='post'>",
             true);
    ask(f, "GET", "/ready?&&=&a=%zz%4&b#frag", "", 200, "LIVE\n");
}

static void test_stats(void **state)
{
    struct fixture *f = *state;
    ask(f, "GET", "/stats", "", 200, "server.live: 1\nserver.requests: 1\n");
    ask(f, "GET", "/stats?filter=%5Eserver%5C.l", "", 200, "server.live: 1\n");
    ask(f, "GET", "/stats?type=counters", "", 200, "server.requests: 1\n");
    ask(f, "GET", "/stats?type=x", "", 400, "invalid &type= param");
    ask(f, "GET", "/stats?filter=((", "", 400, "Invalid regular expression in filter: unclosed group: ((");
    ask(f, "GET", "/stats?format=nope", "", 400, "usage: /stats?format=(json|prometheus|text)\n\n");
    ask(f, "GET", "/stats?histogram_buckets=nope", "", 400,
        "usage: /stats?histogram_buckets=(cumulative|disjoint|detailed|summary)\n");
    ask_part(
        f, "GET", "/stats?format=json", 200, JSON,
        "{\"stats\":[{\"name\":\"server.live\",\"value\":1},{\"name\":\"server.requests\",\"value\":1}]}",
        true);
    ask(f, "GET", "/stats?format=json&filter=nope", "", 200, "{\"stats\":[]}");
    ask(f, "GET", "/stats/prometheus", "", 200,
        "# TYPE envoy_server_requests counter\nenvoy_server_requests{} 1\n# TYPE envoy_server_live "
        "gauge\nenvoy_server_live{} 1\n");
    ask(f, "POST", "/reset_counters", "", 200, "OK\n");
    ask(f, "GET", "/stats?usedonly", "", 200, "server.live: 1\n");
}

static void test_clusters(void **state)
{
    struct fixture *f = *state;
#define HOST "service1::127.0.0.1:1::"
    weir_stat_add(f->cells, f->host.stats + WEIR_HOST_STAT_rq_total, 7);
    weir_stat_inc(f->cells, f->host.stats + WEIR_HOST_STAT_cx_active);
    ask(f, "GET", "/clusters", "", 200,
        "service1::observability_name::service1\nservice1::default_priority::max_connections::1024\n"
        "service1::default_priority::max_pending_requests::1024\nservice1::default_priority::max_requests::"
        "1024\n"
        "service1::default_priority::max_retries::3\nservice1::high_priority::max_connections::1024\n"
        "service1::high_priority::max_pending_requests::1024\nservice1::high_priority::max_requests::1024\n"
        "service1::high_priority::max_retries::3\nservice1::added_via_api::false\n" HOST "cx_active::1\n" HOST
        "cx_connect_fail::0\n" HOST "cx_total::0\n" HOST "rq_active::0\n" HOST "rq_error::0\n" HOST
        "rq_pending_active::0\n" HOST "rq_success::0\n" HOST "rq_timeout::0\n" HOST "rq_total::7\n" HOST
        "hostname::\n" HOST "health_flags::healthy\n" HOST "weight::1\n" HOST "region::\n" HOST
        "zone::\n" HOST "sub_zone::\n" HOST "canary::false\n" HOST "priority::0\n" HOST
        "success_rate::-1\n" HOST "local_origin_success_rate::-1\n");
    ask(f, "GET", "/clusters?filter=other", "", 200, "");
    atomic_store(&f->host.flags, WEIR_HOST_FAILED_ACTIVE_HC | WEIR_HOST_FAILED_OUTLIER);
    ask_part(f, "GET", "/clusters", 200, TEXT, "health_flags::/failed_active_hc/failed_outlier_check\n",
             true);
    ask_part(f, "GET", "/clusters?format=json", 200, JSON,
             "     \"health_status\": {\n      \"failed_active_health_check\": true,\n", true);
    ask_part(f, "GET", "/clusters?format=json", 200, JSON,
             "      {\n       \"value\": \"7\",\n       \"name\": \"rq_total\"\n      },\n      {\n       "
             "\"type\": \"GAUGE\",\n       \"value\": \"1\",\n       \"name\": \"cx_active\"\n      }",
             true);
}

static void test_listeners(void **state)
{
    struct fixture *f = *state;
    ask(f, "GET", "/listeners", "", 200, "main::127.0.0.1:10000\n");
    ask(f, "GET", "/listeners?format=json", "", 200,
        "{\n \"listener_statuses\": [\n  {\n   \"name\": \"main\",\n   \"local_address\": {\n    "
        "\"socket_address\": {\n"
        "     \"address\": \"127.0.0.1\",\n     \"port_value\": 10000\n    }\n   }\n  }\n ]\n}\n");
    f->listener.n_addrs = 2;
    ask(f, "GET", "/listeners", "", 200, "main::127.0.0.1:10000\nmain::[::1]:10001\n");
    ask_part(f, "GET", "/listeners?format=json", 200, JSON, "\"additional_local_addresses\": [", true);
}

static void test_config_dump(void **state)
{
    struct fixture *f = *state;
    static const char *const sections[] = {
        "BootstrapConfigDump\"", "ClustersConfigDump\"", "ListenersConfigDump\"", "ScopedRoutesConfigDump\"",
        "RoutesConfigDump\"",    "SecretsConfigDump\"",  "\"route_config\": {",   "2026-11-23T17:32:36.245Z"};
    for (size_t i = 0; i < WEIR_COUNTOF(sections); i++)
        ask_part(f, "GET", "/config_dump", 200, JSON, sections[i], true);
    ask_part(f, "GET", "/config_dump", 200, JSON, "SECRET", false);
    ask_part(f, "GET", "/config_dump?resource=static_clusters", 200, JSON, "SECRET", false);
    ask_part(f, "GET", "/config_dump", 200, JSON, "EndpointsConfigDump", false);
    ask_part(f, "GET", "/config_dump?include_eds", 200, JSON, "EndpointsConfigDump", true);
    ask(f, "GET", "/config_dump?resource=static_clusters&mask=cluster.name", "", 200,
        "{\n \"configs\": [\n  {\n   \"@type\": "
        "\"type.googleapis.com/envoy.admin.v3.ClustersConfigDump.StaticCluster\",\n"
        "   \"cluster\": {\n    \"@type\": \"type.googleapis.com/envoy.config.cluster.v3.Cluster\",\n    "
        "\"name\": \"service1\"\n"
        "   }\n  }\n ]\n}\n");
    ask(f, "GET", "/config_dump?mask=bootstrap.admin.address", "", 200,
        "{\n \"configs\": [\n  {\n   \"@type\": "
        "\"type.googleapis.com/envoy.admin.v3.BootstrapConfigDump\",\n   \"bootstrap\": {\n"
        "    \"admin\": {\n     \"address\": {\n      \"socket_address\": {\n       \"address\": "
        "\"127.0.0.1\",\n"
        "       \"port_value\": 9901\n      }\n     }\n    }\n   }\n  }\n ]\n}\n");
    ask(f, "GET", "/config_dump?resource=nope", "", 404, "nope not found in config dump");
    ask(f, "GET", "/config_dump?resource=bootstrap", "", 400,
        "bootstrap is not a repeated field. Use ?mask=bootstrap to get only this field");
    ask(f, "GET", "/config_dump?resource=dynamic_listeners", "", 200, "{}\n");
    ask(f, "GET", "/config_dump?resource=static_listeners&name_regex=nope", "", 200, "{}\n");
    ask_part(f, "GET", "/config_dump?resource=static_listeners&name_regex=ma.n", 200, JSON,
             "ListenersConfigDump.StaticListener", true);
    ask(f, "GET", "/config_dump?mask=nope", "", 400,
        "FieldMask nope could not be successfully applied to any configs.");
    ask(f, "GET", "/config_dump?resource=static_clusters&mask=nope", "", 400,
        "FieldMask nope could not be successfully used.");
    ask_part(f, "GET", "/config_dump?name_regex=((", 400, "text/plain", "unclosed group", true);
}

static void test_logging(void **state)
{
    struct fixture *f = *state;
    weir_log_set_level(WEIR_LOG_INFO);
    ask_part(f, "POST", "/logging", 200, TEXT, "active loggers:\n  main: info\n", true);
    ask_part(f, "POST", "/logging?level=debug", 200, TEXT, "  http: debug\n", true);
    ask_part(f, "POST", "/logging?http=error", 200, TEXT, "  http: error\n", true);
    ask_part(f, "POST", "/logging?paths=http:info,wasm:trace", 200, TEXT, "  wasm: trace\n", true);
    ask_part(f, "POST", "/logging?paths=http:debug,nope:trace", 400, TEXT, "error: unknown logger name\n",
             true);
    assert_int_equal(weir_log_levels[WEIR_LOGC_HTTP], WEIR_LOG_INFO); // all or nothing
    ask_part(f, "POST", "/logging?level=nope", 400, TEXT, "error: unknown logger level\n", true);
    ask_part(f, "POST", "/logging?level=info&x=y", 400, TEXT, "error: invalid number of parameters\n", true);
    ask_part(f, "POST", "/logging?level=&paths=", 200, TEXT, "active loggers:", true);
    weir_log_set_level(WEIR_LOG_INFO);
}

static void test_rest(void **state)
{
    struct fixture *f = *state;
    ask(f, "GET", "/certs", "", 200, "{\n \"certificates\": []\n}\n");
    ask(f, "GET", "/init_dump", "", 200, "{}\n");
    ask(f, "GET", "/runtime", "", 200, "{\n \"entries\": {},\n \"layers\": []\n}\n");
    ask(f, "GET", "/hot_restart_version", "", 200, "disabled");
    ask(f, "POST", "/runtime_modify?a=b", "", 503, "No admin layer specified");
    ask(f, "POST", "/runtime_modify", "a=b", 503, "No admin layer specified");
    ask_part(f, "GET", "/memory", 200, JSON, "\"total_physical_bytes\": \"", true);
    ask(f, "GET", "/server_info", "", 200,
        "{\n \"version\": \"0.1.0\",\n \"state\": \"LIVE\",\n \"uptime_current_epoch\": \"75s\",\n "
        "\"uptime_all_epochs\": \"75s\",\n"
        " \"hot_restart_version\": \"disabled\",\n \"command_line_options\": {\n  \"concurrency\": 2,\n"
        "  \"config_path\": \"a\\\"b.yaml\",\n  \"drain_time\": \"600s\",\n  \"cpuset_threads\": false\n "
        "}\n}\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_ready),       TEST(test_changes_need_post), TEST(test_paths),
        TEST(test_stats),       TEST(test_clusters),          TEST(test_listeners),
        TEST(test_config_dump), TEST(test_logging),           TEST(test_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
