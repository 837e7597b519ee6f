/* stats: registry, histograms, and the three printed forms. The expected texts are what Envoy 1.39 prints for the same values. */
#include "stats/stats.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"
#include "stats/histogram.h"
#include "stats/labels.h"
#include "stats/print.h"

static const struct weir_tag cluster_tags[] = {{WEIR_S_INIT("envoy_cluster_name"), WEIR_S_INIT("service1")}};
static const struct weir_stats_scope cluster_scope = {WEIR_S_INIT("cluster.service1."),
                                                      WEIR_S_INIT("cluster."), cluster_tags, 1};
static const struct weir_stats_scope root = {WEIR_S_INIT(""), WEIR_S_INIT(""), NULL, 0};
static const struct weir_stat_def rows[] = {
    {"upstream_rq_total", WEIR_STAT_COUNTER},
    {"upstream_cx_active", WEIR_STAT_GAUGE},
    {"upstream_rq_time", WEIR_STAT_HISTOGRAM},
};

static void test_counts_over_workers(void **state)
{
    (void)state;
    struct weir_stats *stats = weir_stats_new();
    struct weir_stats_worker *w1 = weir_stats_add_worker(stats);
    weir_stat base = weir_stats_register_group(stats, &cluster_scope, rows, WEIR_COUNTOF(rows));
    struct weir_stats_worker *w2 = weir_stats_add_worker(stats);
    assert_true(base > 0);
    assert_int_equal(weir_stats_register_group(stats, &cluster_scope, rows, WEIR_COUNTOF(rows)), base);
    assert_int_equal(
        weir_stats_register(stats, &cluster_scope, WEIR_S("upstream_cx_active"), WEIR_STAT_GAUGE), base + 1);
    assert_int_equal(
        weir_stats_register(stats, &cluster_scope, WEIR_S("upstream_cx_active"), WEIR_STAT_COUNTER), 0);
    weir_stat_inc(w1, base);
    weir_stat_add(w2, base, 4);
    weir_stat_inc(w1, base + 1);
    weir_stat_dec(w2, base + 1);
    weir_stat_inc(w2, base + 1);
    assert_int_equal(weir_stats_value(stats, base), 5);
    assert_int_equal(weir_stats_value(stats, base + 1), 1);
    uint64_t value = 0;
    assert_true(weir_stats_lookup(stats, WEIR_S("cluster.service1.upstream_rq_total"), &value));
    assert_int_equal(value, 5);
    assert_false(weir_stats_lookup(stats, WEIR_S("cluster.service1.upstream_rq_tota"), &value));
    weir_stat_set_global(stats, base + 1, 42);
    assert_int_equal(weir_stats_value(stats, base + 1), 42);
    weir_stats_reset_counters(stats);
    assert_int_equal(weir_stats_value(stats, base), 0);
    assert_int_equal(weir_stats_value(stats, base + 1), 42);
    weir_stat_inc(w1, base);
    assert_int_equal(weir_stats_value(stats, base), 1);
    weir_stat_inc(w1, 0); // nobody's cell
    weir_stat_record(w1, 0, 3);
    weir_stat_record(w1, base + 2, 3);
    assert_int_equal(weir_stats_value(stats, base + 2), 1);
    weir_stats_free(stats);
}

static void test_group_over_single_rows_counts_once(void **state)
{
    (void)state;
    struct weir_stats *stats = weir_stats_new();
    struct weir_stats_worker *w = weir_stats_add_worker(stats);
    weir_stat single =
        weir_stats_register(stats, &cluster_scope, WEIR_S("upstream_rq_total"), WEIR_STAT_COUNTER);
    weir_stat base = weir_stats_register_group(stats, &cluster_scope, rows, WEIR_COUNTOF(rows));
    assert_int_not_equal(single, base);
    weir_stat_inc(w, single);
    weir_stat_inc(w, base);
    uint64_t value = 0;
    assert_true(weir_stats_lookup(stats, WEIR_S("cluster.service1.upstream_rq_total"), &value));
    assert_int_equal(value, 2);
    weir_stats_free(stats);
}

static void test_many_names(void **state)
{
    (void)state;
    struct weir_stats *stats = weir_stats_new();
    struct weir_stats_worker *w = weir_stats_add_worker(stats);
    char name[32];
    for (int i = 0; i < 10000; i++) {
        (void)snprintf(name, sizeof(name), "c%d", i);
        weir_stat stat = weir_stats_register(stats, &root, weir_slice_str(name), WEIR_STAT_COUNTER);
        assert_int_equal(stat, i + 1);
        weir_stat_add(w, stat, (uint64_t)i);
    }
    for (int i = 0; i < 10000; i++) {
        uint64_t value = 0;
        (void)snprintf(name, sizeof(name), "c%d", i);
        assert_true(weir_stats_lookup(stats, weir_slice_str(name), &value));
        assert_int_equal(value, i);
    }
    weir_stats_free(stats);
}

static void test_hidden_cells_are_reused(void **state)
{
    (void)state;
    struct weir_stats *stats = weir_stats_new();
    struct weir_stats_worker *w = weir_stats_add_worker(stats);
    weir_stat first = weir_stats_register_hidden(stats, 9);
    weir_stat_add(w, first + 8, 7);
    assert_int_equal(weir_stats_value(stats, first + 8), 7);
    weir_stats_release_hidden(stats, first, 9);
    assert_int_not_equal(weir_stats_register_hidden(stats, 4), first);
    assert_int_equal(weir_stats_register_hidden(stats, 9), first);
    assert_int_equal(weir_stats_value(stats, first + 8), 0);
    weir_stats_free(stats);
}

static bool no_clusters(void *arg, struct weir_slice name)
{
    (void)arg;
    return !weir_slice_starts_with(name, WEIR_S("cluster."));
}

static void test_matcher(void **state)
{
    (void)state;
    struct weir_stats *stats = weir_stats_new();
    struct weir_stats_worker *w = weir_stats_add_worker(stats);
    weir_stats_set_matcher(stats, no_clusters, NULL);
    weir_stat base = weir_stats_register_group(stats, &cluster_scope, rows, WEIR_COUNTOF(rows));
    assert_true(base > 0);
    weir_stat_inc(w, base);
    assert_int_equal(weir_stats_register(stats, &cluster_scope, WEIR_S("x"), WEIR_STAT_COUNTER), 0);
    weir_stat_inc(w, weir_stats_register(stats, &root, WEIR_S("y"), WEIR_STAT_COUNTER));
    struct weir_str out;
    weir_str_init(&out, 4096);
    struct weir_stats_style style = {0};
    weir_stats_print(stats, &style, &out);
    assert_string_equal(out.ptr, "y: 1\n");
    weir_str_fini(&out);
    weir_stats_free(stats);
}

static void test_histogram_bins(void **state)
{
    (void)state;
    static const struct {
        uint64_t value;
        double low, width;
    } cases[] = {
        {0, 0, 0},
        {1, 1, 0.1},
        {9, 9, 0.1},
        {10, 10, 1},
        {38, 38, 1},
        {99, 99, 1},
        {100, 100, 10},
        {109, 100, 10},
        {110, 110, 10},
        {127, 120, 10},
        {128, 120, 10},
        {999, 990, 10},
        {1000, 1000, 100},
        {8192, 8100, 100},
        {99999, 99000, 1000},
        {1000000, 1000000, 100000},
        {UINT64_MAX, 18e18, 1e18},
    };
    for (size_t i = 0; i < WEIR_COUNTOF(cases); i++) {
        struct weir_histogram h = {0};
        struct weir_histogram_bins bins = {0};
        weir_histogram_record(&h, cases[i].value);
        struct weir_histogram_data data = weir_histogram_data(&h, &bins);
        assert_int_equal(data.n_bins, 1);
        if (data.bins[0].low != cases[i].low || data.bins[0].width != cases[i].width)
            fail_msg("%llu is in %g + %g", (unsigned long long)cases[i].value, data.bins[0].low,
                     data.bins[0].width);
        weir_histogram_fini(&h);
        weir_free(bins.v);
    }
}

static void test_quantiles(void **state)
{
    (void)state;
    struct weir_histogram h = {0};
    struct weir_histogram_bins bins = {0};
    struct weir_histogram_data data = weir_histogram_data(&h, &bins);
    assert_true(isnan(weir_histogram_quantile(&data, 50)));
    for (uint64_t i = 1; i <= 10000; i++)
        weir_histogram_record(&h, i);
    data = weir_histogram_data(&h, &bins);
    assert_int_equal(data.count, 10000);
    assert_int_equal(data.sum, 50005000);
    for (size_t i = 1; i < WEIR_COUNTOF(weir_histogram_quantiles); i++) {
        double want = weir_histogram_quantiles[i] * 100,
               got = weir_histogram_quantile(&data, weir_histogram_quantiles[i]);
        if (fabs(got - want) > want * 0.05)
            fail_msg("P%g is %g, wanted %g", weir_histogram_quantiles[i], got, want);
    }
    assert_int_equal(weir_histogram_count_upto(&data, 0.5), 0);
    assert_int_equal(weir_histogram_count_upto(&data, 5), 5);
    assert_int_equal(weir_histogram_count_upto(&data, 3600000), 10000);
    weir_histogram_fini(&h);
    weir_free(bins.v);
}

static void test_labels(void **state)
{
    (void)state;
    static const struct {
        const char *in, *name, *label, *value;
        uint32_t n;
    } cases[] = {
        {"cluster.upstream_rq_503", "cluster.upstream_rq", "envoy_response_code", "503", 1},
        {"http.downstream_rq_5xx", "http.downstream_rq_xx", "envoy_response_code_class", "5", 1},
        {"listener.worker_12.downstream_cx_total", "listener.worker_downstream_cx_total", "envoy_worker_id",
         "12", 1},
        {"worker_0.x", "worker_x", "envoy_worker_id", "0", 1},
        {"my_worker_0.x", "my_worker_0.x", NULL, NULL, 0},
        {"worker_0", "worker_0", NULL, NULL, 0},
        {"upstream_rq_total", "upstream_rq_total", NULL, NULL, 0},
        {"upstream_rq_50", "upstream_rq_50", NULL, NULL, 0},
        {"wasmcustom.hits_;method=GET;code=200;", "wasmcustom.hits", "method", "GET", 2},
        {"hits;a=;rest", "hitsrest", "a", "", 1},
        {"hits;=x", "hits;=x", NULL, NULL, 0},
        {"a;b", "a;b", NULL, NULL, 0},
        {";k=v;", ";k=v;", NULL, NULL, 0},
        {"", "", NULL, NULL, 0},
    };
    for (size_t i = 0; i < WEIR_COUNTOF(cases); i++) {
        struct weir_stat_labels labels;
        weir_stat_labels_of(&labels, weir_slice_str(cases[i].in), NULL, 0);
        if (!weir_slice_eq(labels.name, weir_slice_str(cases[i].name)) || labels.n != cases[i].n)
            fail_msg("%s: \"%.*s\", %u labels", cases[i].in, WEIR_SARG(labels.name), labels.n);
        if (!cases[i].n)
            continue;
        assert_true(weir_slice_eq(labels.tags[0].name, weir_slice_str(cases[i].label)));
        assert_true(weir_slice_eq(labels.tags[0].value, weir_slice_str(cases[i].value)));
    }
}

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text, *compact;
    } cases[] = {
        {0, "0", "0"},
        {1.05, "1.05", "1.05"},
        {1.0142857142857142, "1.0142857142857142", "1.0142857142857142"},
        {38.5, "38.5", "38.5"},
        {10000, "10000", "10000"},
        {300000, "300000", "3e+05"},
        {1800000, "1800000", "1800000"},
        {1e18, "1e+18", "1e+18"},
        {100, "100", "100"},
    };
    for (size_t i = 0; i < WEIR_COUNTOF(cases); i++) {
        struct weir_str out;
        weir_str_init(&out, 100);
        weir_stats_print_number(&out, cases[i].value, false);
        assert_string_equal(out.ptr, cases[i].text);
        weir_str_clear(&out);
        weir_stats_print_number(&out, cases[i].value, true);
        assert_string_equal(out.ptr, cases[i].compact);
        weir_str_fini(&out);
    }
}

/* ---- printing ---- */

static struct weir_stats *sample(void)
{
    static const struct weir_tag listener_tags[] = {
        {WEIR_S_INIT("envoy_listener_address"), WEIR_S_INIT("a\"b\\c\nd")}};
    const struct weir_stats_scope listener = {WEIR_S("listener.x."), WEIR_S("listener."), listener_tags, 1};
    const struct weir_stats_scope guest = {WEIR_S("wasmcustom."), WEIR_S("wasmcustom."), NULL, 0};
    struct weir_stats *stats = weir_stats_new();
    struct weir_stats_worker *w = weir_stats_add_worker(stats);
    weir_stat base = weir_stats_register_group(stats, &cluster_scope, rows, WEIR_COUNTOF(rows));
    weir_stat accepted = weir_stats_register(stats, &listener, WEIR_S("accepted"), WEIR_STAT_HISTOGRAM);
    weir_stat_add(w, base, 3);
    for (int i = 0; i < 4; i++)
        weir_stat_record(w, base + 2, 0);
    for (int i = 0; i < 2; i++)
        weir_stat_record(w, base + 2, 1);
    (void)accepted;
    weir_stat_inc(w,
                  weir_stats_register(stats, &cluster_scope, WEIR_S("upstream_rq_2xx"), WEIR_STAT_COUNTER));
    weir_stat_inc(w,
                  weir_stats_register(stats, &cluster_scope, WEIR_S("upstream_rq_200"), WEIR_STAT_COUNTER));
    weir_stat_set(w, weir_stats_register(stats, &root, WEIR_S("server.live"), WEIR_STAT_GAUGE), 1);
    weir_stat_inc(w, weir_stats_register(stats, &guest, WEIR_S("hits_;method=GET;"), WEIR_STAT_COUNTER));
    weir_stat_inc(w, weir_stats_register(stats, &listener, WEIR_S("downstream_cx_total"), WEIR_STAT_COUNTER));
    return stats;
}

static void check(const struct weir_stats_style *style, const char *want)
{
    struct weir_stats *stats = sample();
    struct weir_str out;
    weir_str_init(&out, 1 << 20);
    weir_stats_print(stats, style, &out);
    assert_string_equal(out.ptr, want);
    weir_str_fini(&out);
    weir_stats_free(stats);
}

#define TEXT_COUNTS                            \
    "cluster.service1.upstream_cx_active: 0\n" \
    "cluster.service1.upstream_rq_200: 1\n"    \
    "cluster.service1.upstream_rq_2xx: 1\n"    \
    "cluster.service1.upstream_rq_total: 3\n"  \
    "listener.x.downstream_cx_total: 1\n"      \
    "server.live: 1\n"                         \
    "wasmcustom.hits_;method=GET;: 1\n"
#define TEXT_SUMMARY                                                                           \
    "P0(0,0) P25(0,0) P50(0,0) P75(1.0333333333333334,1.0333333333333334) "                    \
    "P90(1.0666666666666667,1.0666666666666667) P95(1.0666666666666667,1.0666666666666667) "   \
    "P99(1.0666666666666667,1.0666666666666667) P99.5(1.0666666666666667,1.0666666666666667) " \
    "P99.9(1.0666666666666667,1.0666666666666667) P100(1.0666666666666667,1.0666666666666667)\n"

static void test_text(void **state)
{
    (void)state;
    check(&(struct weir_stats_style){.format = WEIR_STATS_TEXT}, TEXT_COUNTS
          "cluster.service1.upstream_rq_time: " TEXT_SUMMARY "listener.x.accepted: No recorded values\n");
    check(&(struct weir_stats_style){.kinds = 1u << WEIR_STAT_HISTOGRAM,
                                     .buckets = WEIR_STATS_BUCKETS_CUMULATIVE,
                                     .used_only = true},
          "cluster.service1.upstream_rq_time: B0.5(4,4) B1(6,6) B5(6,6) B10(6,6) B25(6,6) B50(6,6) B100(6,6) "
          "B250(6,6) "
          "B500(6,6) B1000(6,6) B2500(6,6) B5000(6,6) B10000(6,6) B30000(6,6) B60000(6,6) B300000(6,6) "
          "B600000(6,6) "
          "B1.8e+06(6,6) B3.6e+06(6,6)\n");
    check(&(struct weir_stats_style){.kinds = 1u << WEIR_STAT_HISTOGRAM,
                                     .buckets = WEIR_STATS_BUCKETS_DISJOINT,
                                     .used_only = true},
          "cluster.service1.upstream_rq_time: B0.5(4,4) B1(2,2) B5(0,0) B10(0,0) B25(0,0) B50(0,0) B100(0,0) "
          "B250(0,0) "
          "B500(0,0) B1000(0,0) B2500(0,0) B5000(0,0) B10000(0,0) B30000(0,0) B60000(0,0) B300000(0,0) "
          "B600000(0,0) "
          "B1.8e+06(0,0) B3.6e+06(0,0)\n");
    check(&(struct weir_stats_style){.kinds = 1u << WEIR_STAT_HISTOGRAM,
                                     .buckets = WEIR_STATS_BUCKETS_DETAILED},
          "cluster.service1.upstream_rq_time:\n  totals=0,0:4, 1,0.1:2\n  intervals=0,0:4, 1,0.1:2\n  "
          "summary=" TEXT_SUMMARY "listener.x.accepted: No recorded values\n");
}

static void test_filter(void **state)
{
    (void)state;
    struct weir_regex *re = NULL;
    assert_int_equal(weir_regex_new(WEIR_S("rq_total$|live"), NULL, &re), WEIR_OK);
    check(&(struct weir_stats_style){.filter = re},
          "cluster.service1.upstream_rq_total: 3\nserver.live: 1\n");
    check(&(struct weir_stats_style){.filter = re, .kinds = 1u << WEIR_STAT_GAUGE, .format = WEIR_STATS_JSON},
          "{\"stats\":[{\"name\":\"server.live\",\"value\":1}]}");
    weir_regex_free(re);
}

static void test_json(void **state)
{
    (void)state;
    check(&(struct weir_stats_style){.format = WEIR_STATS_JSON,
                                     .kinds = 1u << WEIR_STAT_HISTOGRAM | 1u << WEIR_STAT_GAUGE},
          "{\"stats\":[{\"name\":\"cluster.service1.upstream_cx_active\",\"value\":0},{\"name\":\"server."
          "live\",\"value\":1},"
          "{\"histograms\":{\"supported_quantiles\":[0,25,50,75,90,95,99,99.5,99.9,100],\"computed_"
          "quantiles\":["
          "{\"name\":\"cluster.service1.upstream_rq_time\",\"values\":[{\"cumulative\":0,\"interval\":0},"
          "{\"cumulative\":0,\"interval\":0},{\"cumulative\":0,\"interval\":0},"
          "{\"cumulative\":1.0333333333333334,\"interval\":1.0333333333333334},"
          "{\"cumulative\":1.0666666666666667,\"interval\":1.0666666666666667},"
          "{\"cumulative\":1.0666666666666667,\"interval\":1.0666666666666667},"
          "{\"cumulative\":1.0666666666666667,\"interval\":1.0666666666666667},"
          "{\"cumulative\":1.0666666666666667,\"interval\":1.0666666666666667},"
          "{\"cumulative\":1.0666666666666667,\"interval\":1.0666666666666667},"
          "{\"cumulative\":1.0666666666666667,\"interval\":1.0666666666666667}]},"
          "{\"name\":\"listener.x.accepted\",\"values\":[{\"cumulative\":null,\"interval\":null},"
          "{\"cumulative\":null,\"interval\":null},{\"cumulative\":null,\"interval\":null},"
          "{\"cumulative\":null,\"interval\":null},{\"cumulative\":null,\"interval\":null},"
          "{\"cumulative\":null,\"interval\":null},{\"cumulative\":null,\"interval\":null},"
          "{\"cumulative\":null,\"interval\":null},{\"cumulative\":null,\"interval\":null},"
          "{\"cumulative\":null,\"interval\":null}]}]}}]}");
}

static void test_prometheus(void **state)
{
    (void)state;
    check(&(struct weir_stats_style){.format = WEIR_STATS_PROMETHEUS,
                                     .kinds = 1u << WEIR_STAT_COUNTER | 1u << WEIR_STAT_GAUGE},
          "# TYPE envoy_cluster_upstream_rq counter\n"
          "envoy_cluster_upstream_rq{envoy_response_code=\"200\",envoy_cluster_name=\"service1\"} 1\n"
          "# TYPE envoy_cluster_upstream_rq_total counter\n"
          "envoy_cluster_upstream_rq_total{envoy_cluster_name=\"service1\"} 3\n"
          "# TYPE envoy_cluster_upstream_rq_xx counter\n"
          "envoy_cluster_upstream_rq_xx{envoy_response_code_class=\"2\",envoy_cluster_name=\"service1\"} 1\n"
          "# TYPE envoy_listener_downstream_cx_total counter\n"
          "envoy_listener_downstream_cx_total{envoy_listener_address=\"a\\\"b\\\\c\\nd\"} 1\n"
          "# TYPE hits counter\n"
          "hits{method=\"GET\"} 1\n"
          "# TYPE envoy_cluster_upstream_cx_active gauge\n"
          "envoy_cluster_upstream_cx_active{envoy_cluster_name=\"service1\"} 0\n"
          "# TYPE envoy_server_live gauge\n"
          "envoy_server_live{} 1\n");
    check(
        &(struct weir_stats_style){.format = WEIR_STATS_PROMETHEUS,
                                   .kinds = 1u << WEIR_STAT_HISTOGRAM,
                                   .used_only = true,
                                   .buckets = WEIR_STATS_BUCKETS_CUMULATIVE},
#define BUCKET(le, n) \
    "envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name=\"service1\",le=\"" le "\"} " n "\n"
        "# TYPE envoy_cluster_upstream_rq_time histogram\n" BUCKET("0.5", "4") BUCKET("1", "6")
            BUCKET("5", "6") BUCKET("10", "6") BUCKET("25", "6") BUCKET("50", "6") BUCKET("100", "6") BUCKET(
                "250", "6") BUCKET("500", "6") BUCKET("1000", "6") BUCKET("2500", "6") BUCKET("5000", "6")
                BUCKET("10000", "6") BUCKET("30000", "6") BUCKET("60000", "6") BUCKET("300000", "6")
                    BUCKET("600000", "6") BUCKET("1800000", "6") BUCKET("3600000", "6") BUCKET(
                        "+Inf",
                        "6") "envoy_cluster_upstream_rq_time_sum{envoy_cluster_name=\"service1\"} 2\n"
                             "envoy_cluster_upstream_rq_time_count{envoy_cluster_name=\"service1\"} 6\n");
}

static void test_intervals(void **state)
{
    (void)state;
    struct weir_stats *stats = weir_stats_new();
    struct weir_stats_worker *w = weir_stats_add_worker(stats);
    weir_stat stat = weir_stats_register(stats, &root, WEIR_S("t"), WEIR_STAT_HISTOGRAM);
    struct weir_str out;
    weir_str_init(&out, 4096);
    weir_stat_record(w, stat, 0);
    weir_stats_flush(stats);
    weir_stat_record(w, stat, 1);
    weir_stats_flush(stats);
    weir_stats_print(stats, &(struct weir_stats_style){.buckets = WEIR_STATS_BUCKETS_DETAILED}, &out);
    assert_non_null(strstr(out.ptr, "totals=0,0:1, 1,0.1:1\n  intervals=1,0.1:1\n"));
    weir_str_clear(&out);
    weir_stats_flush(stats);
    weir_stats_print(stats, &(struct weir_stats_style){0}, &out);
    assert_non_null(strstr(out.ptr, "t: P0(nan,0) P25(nan,0)"));
    weir_str_fini(&out);
    weir_stats_free(stats);
}

static void test_output_cap(void **state)
{
    (void)state;
    struct weir_stats *stats = sample();
    struct weir_str out;
    weir_str_init(&out, 64);
    weir_stats_print(stats, &(struct weir_stats_style){.format = WEIR_STATS_PROMETHEUS}, &out);
    assert_true(out.overflow);
    assert_true(out.len <= 64);
    weir_str_fini(&out);
    weir_stats_free(stats);
}

/* Several threads count and register while one reads. */
struct racer {
    struct weir_stats *stats;
    struct weir_stats_worker *cells;
    int id;
};
static void *race(void *arg)
{
    struct racer *r = arg;
    char name[32];
    weir_stat shared = weir_stats_register(r->stats, &root, WEIR_S("shared"), WEIR_STAT_COUNTER);
    weir_stat time = weir_stats_register(r->stats, &root, WEIR_S("time"), WEIR_STAT_HISTOGRAM);
    for (int i = 0; i < 2000; i++) {
        (void)snprintf(name, sizeof(name), "own.%d.%d", r->id, i % 500);
        weir_stat_inc(r->cells,
                      weir_stats_register(r->stats, &root, weir_slice_str(name), WEIR_STAT_COUNTER));
        weir_stat_inc(r->cells, shared);
        weir_stat_record(r->cells, time, (uint64_t)i);
    }
    return NULL;
}
static void test_threads(void **state)
{
    (void)state;
    struct weir_stats *stats = weir_stats_new();
    struct racer racers[3];
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        racers[i] = (struct racer){stats, weir_stats_add_worker(stats), i};
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    struct weir_str out;
    weir_str_init(&out, 1 << 22);
    for (int i = 0; i < 20; i++) {
        weir_str_clear(&out);
        weir_stats_print(stats, &(struct weir_stats_style){.format = (enum weir_stats_format)(i % 3)}, &out);
        weir_stats_flush(stats);
    }
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    uint64_t value = 0;
    assert_true(weir_stats_lookup(stats, WEIR_S("shared"), &value));
    assert_int_equal(value, 6000);
    assert_true(weir_stats_lookup(stats, WEIR_S("time"), &value));
    assert_int_equal(value, 6000);
    weir_str_fini(&out);
    weir_stats_free(stats);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts_over_workers),
        cmocka_unit_test(test_group_over_single_rows_counts_once),
        cmocka_unit_test(test_many_names),
        cmocka_unit_test(test_hidden_cells_are_reused),
        cmocka_unit_test(test_matcher),
        cmocka_unit_test(test_histogram_bins),
        cmocka_unit_test(test_quantiles),
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_filter),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_prometheus),
        cmocka_unit_test(test_intervals),
        cmocka_unit_test(test_output_cap),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
