/* Names of clusters, looked up in the simulated world. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "envoy/config/cluster/v3/cluster.pb-c.h"
#include "event/sim.h"
#include "upstream/cluster_config.h"
#include "upstream/cluster_dns.h"

struct fixture {
    struct weir_sim *sim;
    struct weir_loop *loop;
    struct weir_stats *stats;
    struct weir_stats_worker *sw;
    struct weir_diag diag;
    struct weir_config *config;
    struct weir_clusters *set;
    struct weir_cluster *cluster; /* the first of the set */
    struct weir_cluster_dns *dns;
    int n_changed, n_warm;
};

static void on_changed(void *arg, struct weir_cluster *cluster)
{
    (void)cluster;
    ((struct fixture *)arg)->n_changed++;
}
static void on_warm(void *arg)
{
    ((struct fixture *)arg)->n_warm++;
}
static const struct weir_cluster_dns_ops ops = {on_changed, on_warm};

static struct weir_cluster *read_cluster(struct fixture *fx, const char *fields)
{
    char yaml[1024];
    ProtobufCMessage *msg = NULL;
    snprintf(yaml, sizeof(yaml), "name: up\n%s", fields);
    enum weir_err err = weir_config_read_text(fx->config, WEIR_S("t.yaml"), weir_slice_str(yaml),
                                              &envoy__config__cluster__v3__cluster__descriptor, &msg);
    struct weir_cluster *cluster =
        err == WEIR_OK
            ? weir_cluster_new(fx->config, (const Envoy__Config__Cluster__V3__Cluster *)(const void *)msg,
                               fx->stats)
            : NULL;
    return cluster;
}

static void make(struct fixture *fx, const char *fields)
{
    *fx = (struct fixture){0};
    fx->sim = weir_sim_new(&(struct weir_sim_opts){.seed = 5});
    fx->loop = weir_loop_new(&weir_world_sim, fx->sim, "main", 0);
    fx->stats = weir_stats_new();
    fx->sw = weir_stats_add_worker(fx->stats);
    weir_diag_init(&fx->diag);
    fx->config = weir_config_new(&fx->diag);
    fx->cluster = read_cluster(fx, fields);
    if (!fx->cluster) {
        weir_diag_print(&fx->diag, stderr, &(struct weir_diag_style){.format = WEIR_DIAG_TEXT});
        fail();
    }
    fx->set = weir_clusters_new(&fx->cluster, 1);
    fx->dns = weir_cluster_dns_new(fx->loop, fx->sw, &ops, fx);
}

static void drop(struct fixture *fx)
{
    weir_cluster_dns_free(fx->dns);
    weir_clusters_unref(fx->set);
    weir_cluster_unref(fx->cluster);
    weir_loop_free(fx->loop);
    weir_sim_free(fx->sim);
    weir_config_free(fx->config);
    weir_diag_fini(&fx->diag);
    weir_stats_free(fx->stats);
}

/* "10.0.0.1 ::1": the addresses of `host`; "" = it is gone, NULL = the servers fail. */
static void resolve_to(struct fixture *fx, const char *host, const char *addrs, uint32_t ttl_s)
{
    struct sockaddr_storage v[4];
    uint32_t n = 0;
    struct weir_slice rest = weir_slice_str(addrs), text;
    while (addrs && n < 4 && weir_slice_next(&rest, ' ', &text) && text.len) {
        struct weir_addr addr;
        assert_int_equal(weir_addr_parse_ip(text, 0, &addr), WEIR_OK);
        memset(&v[n], 0, sizeof(v[n]));
        memcpy(&v[n++], &addr.sa, addr.len);
    }
    weir_sim_dns_set(fx->sim, weir_slice_str(host), v, n, ttl_s, addrs ? WEIR_ERR_NOT_FOUND : WEIR_ERR_IO);
}

static void expect_hosts(struct fixture *fx, const char *want)
{
    struct weir_host_set *set = weir_cluster_hosts(fx->cluster);
    struct weir_str got;
    weir_str_init(&got, 512);
    for (uint32_t i = 0; i < set->n; i++)
        weir_str_printf(&got, "%s%.*s", i ? " " : "", WEIR_SARG(set->hosts[i]->address_text));
    weir_host_set_unref(set);
    if (!weir_slice_eq(weir_str_slice(&got), weir_slice_str(want)))
        fail_msg("hosts: %.*s, want %s", WEIR_SARG(weir_str_slice(&got)), want);
    weir_str_fini(&got);
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

#define ENDPOINT(name) "{endpoint: {address: {socket_address: {address: " name ", port_value: 80}}}}"
#define STRICT         "type: STRICT_DNS\ndns_lookup_family: V4_ONLY\n"
#define ONE            "load_assignment: {cluster_name: up, endpoints: [{lb_endpoints: [" ENDPOINT("svc.test") "]}]}\n"

static void test_members_follow_the_name(void **state)
{
    (void)state;
    struct fixture fx;
    make(&fx, STRICT ONE);
    resolve_to(&fx, "svc.test", "10.0.0.1 10.0.0.2", 60);
    assert_false(weir_cluster_dns_set(fx.dns, fx.set));
    expect_hosts(&fx, "");
    weir_sim_run_for(fx.sim, 1000);
    expect_hosts(&fx, "10.0.0.1:80 10.0.0.2:80");
    assert_int_equal(fx.n_warm, 1);
    assert_int_equal(fx.n_changed, 1);
    struct weir_host_set *before = weir_cluster_hosts(fx.cluster);
    weir_sim_run_for(fx.sim, 5500);
    assert_int_equal(fx.n_changed, 1);
    assert_true(stat(&fx, "update_no_rebuild") >= 1);
    resolve_to(&fx, "svc.test", "10.0.0.2 10.0.0.3", 60);
    weir_sim_run_for(fx.sim, 5500);
    assert_int_equal(fx.n_changed, 2);
    struct weir_host_set *after = weir_cluster_hosts(fx.cluster);
    bool same = false;
    for (uint32_t i = 0; i < after->n; i++)
        same |= after->hosts[i] == before->hosts[1];
    assert_true(same); /* who stays is the same object */
    assert_int_equal(after->n, 2);
    weir_host_set_unref(before);
    weir_host_set_unref(after);
    drop(&fx);
}

static void test_failures_keep_the_last_good_members(void **state)
{
    (void)state;
    struct fixture fx;
    make(&fx, STRICT "dns_failure_refresh_rate: {base_interval: 1s, max_interval: 2s}\n" ONE);
    resolve_to(&fx, "svc.test", "10.0.0.1", 60);
    (void)weir_cluster_dns_set(fx.dns, fx.set);
    weir_sim_run_for(fx.sim, 1000);
    resolve_to(&fx, "svc.test", NULL, 0);
    weir_sim_run_for(fx.sim, 12000);
    expect_hosts(&fx, "10.0.0.1:80");
    assert_true(stat(&fx, "update_failure") >= 3);
    resolve_to(&fx, "svc.test", "", 0);
    weir_sim_run_for(fx.sim, 5000);
    expect_hosts(&fx, "10.0.0.1:80");
    assert_true(stat(&fx, "update_empty") >= 1);
    resolve_to(&fx, "svc.test", "10.0.0.9", 60);
    weir_sim_run_for(fx.sim, 5000);
    expect_hosts(&fx, "10.0.0.9:80");
    drop(&fx);
}

static void test_an_unknown_name_does_not_hold_the_start(void **state)
{
    (void)state;
    struct fixture fx;
    make(&fx, STRICT ONE);
    assert_false(weir_cluster_dns_set(fx.dns, fx.set));
    weir_sim_run_for(fx.sim, 2000);
    assert_int_equal(fx.n_warm, 1);
    expect_hosts(&fx, "");
    drop(&fx);
}

static void test_families(void **state)
{
    (void)state;
    static const struct {
        const char *family, *addrs, *want;
    } rows[] = {
        {"AUTO", "10.0.0.1 fd00::1", "[fd00::1]:80"},
        {"AUTO", "10.0.0.1", "10.0.0.1:80"},
        {"V4_ONLY", "10.0.0.1 fd00::1", "10.0.0.1:80"},
        {"V4_ONLY", "fd00::1", ""},
        {"V6_ONLY", "10.0.0.1 fd00::1", "[fd00::1]:80"},
        {"V4_PREFERRED", "10.0.0.1 fd00::1", "10.0.0.1:80"},
        {"V4_PREFERRED", "fd00::1", "[fd00::1]:80"},
        {"ALL", "10.0.0.1 fd00::1", "10.0.0.1:80 [fd00::1]:80"},
    };
    for (size_t i = 0; i < WEIR_COUNTOF(rows); i++) {
        struct fixture fx;
        char yaml[512];
        snprintf(yaml, sizeof(yaml), "type: STRICT_DNS\ndns_lookup_family: %s\n%s", rows[i].family, ONE);
        make(&fx, yaml);
        resolve_to(&fx, "svc.test", rows[i].addrs, 60);
        (void)weir_cluster_dns_set(fx.dns, fx.set);
        weir_sim_run_for(fx.sim, 2000);
        expect_hosts(&fx, rows[i].want);
        drop(&fx);
    }
}

static void test_time_to_live_where_asked(void **state)
{
    (void)state;
    struct fixture fx;
    make(&fx, STRICT "respect_dns_ttl: true\n" ONE);
    resolve_to(&fx, "svc.test", "10.0.0.1", 30);
    (void)weir_cluster_dns_set(fx.dns, fx.set);
    weir_sim_run_for(fx.sim, 25000);
    assert_int_equal(stat(&fx, "update_attempt"), 1);
    weir_sim_run_for(fx.sim, 10000);
    assert_int_equal(stat(&fx, "update_attempt"), 2);
    drop(&fx);
}

static void test_several_names_and_an_address(void **state)
{
    (void)state;
    struct fixture fx;
    make(&fx, STRICT "load_assignment: {cluster_name: up, endpoints: [{lb_endpoints: [" ENDPOINT(
                  "10.9.9.9") ", " ENDPOINT("a.test") "]}, {priority: 1, "
                                                      "lb_endpoints: [" ENDPOINT("b.test") ", " ENDPOINT(
                                                          "a.test") "]}]}\n");
    resolve_to(&fx, "a.test", "10.0.0.1", 60);
    resolve_to(&fx, "b.test", "10.0.0.2 10.0.0.3", 60);
    (void)weir_cluster_dns_set(fx.dns, fx.set);
    weir_sim_run_for(fx.sim, 2000);
    struct weir_host_set *set = weir_cluster_hosts(fx.cluster);
    assert_int_equal(set->n, 5);
    assert_int_equal(set->n_priorities, 2);
    assert_int_equal(set->hosts[1]->priority, 0);
    assert_int_equal(set->hosts[2]->priority, 1);
    weir_host_set_unref(set);
    drop(&fx);
}

static void test_logical_keeps_one(void **state)
{
    (void)state;
    struct fixture fx;
    make(&fx, "type: LOGICAL_DNS\ndns_lookup_family: V4_ONLY\n" ONE);
    resolve_to(&fx, "svc.test", "10.0.0.1 10.0.0.2", 60);
    (void)weir_cluster_dns_set(fx.dns, fx.set);
    weir_sim_run_for(fx.sim, 2000);
    expect_hosts(&fx, "10.0.0.1:80");
    assert_null(read_cluster(
        &fx, "type: LOGICAL_DNS\nload_assignment: {cluster_name: up, endpoints: [{lb_endpoints: [" ENDPOINT(
                 "a") "," ENDPOINT("b") "]}]}\n"));
    assert_null(read_cluster(&fx, ONE)); /* STATIC with a name */
    drop(&fx);
}

static void test_a_changed_cluster_begins_with_what_is_known(void **state)
{
    (void)state;
    struct fixture fx;
    make(&fx, STRICT ONE);
    resolve_to(&fx, "svc.test", "10.0.0.1", 60);
    (void)weir_cluster_dns_set(fx.dns, fx.set);
    weir_sim_run_for(fx.sim, 2000);
    struct weir_cluster *changed = read_cluster(&fx, STRICT "connect_timeout: 9s\n" ONE);
    struct weir_clusters *set = weir_clusters_new(&changed, 1);
    assert_true(weir_cluster_dns_set(fx.dns, set));
    weir_cluster_unref(fx.cluster);
    fx.cluster = changed;
    expect_hosts(&fx, "10.0.0.1:80");
    weir_clusters_unref(fx.set);
    fx.set = set;
    weir_sim_run_for(fx.sim, 1000);
    drop(&fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members_follow_the_name),
        cmocka_unit_test(test_failures_keep_the_last_good_members),
        cmocka_unit_test(test_an_unknown_name_does_not_hold_the_start),
        cmocka_unit_test(test_families),
        cmocka_unit_test(test_time_to_live_where_asked),
        cmocka_unit_test(test_several_names_and_an_address),
        cmocka_unit_test(test_logical_keeps_one),
        cmocka_unit_test(test_a_changed_cluster_begins_with_what_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
