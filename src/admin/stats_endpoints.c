/* /stats, /stats/prometheus, /reset_counters. */
#include "admin/admin_priv.h"
#include "stats/print.h"

static const struct {
    const char *name;
    unsigned kinds;
} types[] = {
    {"All", 0},
    {"Counters", 1u << WEIR_STAT_COUNTER},
    {"Gauges", 1u << WEIR_STAT_GAUGE},
    {"Histograms", 1u << WEIR_STAT_HISTOGRAM},
    {"TextReadouts", 1u << 31}, // there are none
};

static bool read_type(struct weir_admin_call *call, struct weir_stats_style *style)
{
    struct weir_slice type = weir_admin_param_of(call, "type");
    if (type.len == 0)
        return true;
    for (size_t i = 0; i < WEIR_COUNTOF(types); i++) {
        if (!weir_slice_eq_nocase(type, weir_slice_str(types[i].name)))
            continue;
        style->kinds = types[i].kinds;
        return true;
    }
    weir_admin_fail(call, 400, "invalid &type= param");
    return false;
}

static bool read_buckets(struct weir_admin_call *call, struct weir_stats_style *style)
{
    static const char *const names[] = {
#define X(id, name) name,
        WEIR_STATS_BUCKETS(X)
#undef X
    };
    struct weir_slice buckets = weir_admin_param_of(call, "histogram_buckets");
    if (buckets.len == 0 || weir_slice_eq(buckets, WEIR_S("none")))
        return true;
    for (size_t i = 0; i < WEIR_COUNTOF(names); i++) {
        if (!weir_slice_eq(buckets, weir_slice_str(names[i])))
            continue;
        style->buckets = (enum weir_stats_buckets)i;
        return true;
    }
    weir_admin_fail(call, 400, "usage: /stats?histogram_buckets=(cumulative|disjoint|detailed|summary)\n");
    return false;
}

static bool read_format(struct weir_admin_call *call, struct weir_stats_style *style)
{
    struct weir_slice format = weir_admin_param_of(call, "format");
    if (format.len == 0 || weir_slice_eq(format, WEIR_S("text")))
        return true;
    if (weir_slice_eq(format, WEIR_S("json"))) {
        style->format = WEIR_STATS_JSON;
        return true;
    }
    if (weir_slice_eq(format, WEIR_S("prometheus"))) {
        style->format = WEIR_STATS_PROMETHEUS;
        style->buckets = WEIR_STATS_BUCKETS_CUMULATIVE;
        return true;
    }
    weir_admin_fail(call, 400, "usage: /stats?format=(json|prometheus|text)\n\n");
    return false;
}

static void print(struct weir_admin_call *call, struct weir_stats_style *style)
{
    style->used_only = weir_admin_param_of(call, "usedonly").ptr != NULL;
    if (!read_type(call, style) || !read_buckets(call, style) ||
        !weir_admin_regex_of(call, "filter", &style->filter))
        return;
    if (call->sources->refresh)
        call->sources->refresh(call->sources->arg);
    if (style->format == WEIR_STATS_JSON)
        call->response->content_type = "application/json";
    weir_stats_print(call->sources->stats, style, call->body);
}

static void stats(struct weir_admin_call *call)
{
    struct weir_stats_style style = {0};
    if (read_format(call, &style))
        print(call, &style);
}

static void prometheus(struct weir_admin_call *call)
{
    struct weir_stats_style style = {.format = WEIR_STATS_PROMETHEUS,
                                     .buckets = WEIR_STATS_BUCKETS_CUMULATIVE};
    print(call, &style);
}

static void reset_counters(struct weir_admin_call *call)
{
    weir_stats_reset_counters(call->sources->stats);
    weir_str_adds(call->body, "OK\n");
}

static const struct weir_admin_param_doc stats_params[] = {
    {"usedonly", "Only include stats that have been written by system since restart", NULL},
    {"filter", "Regular expression (Google re2) for filtering stats", NULL},
    {"format", "Format to use", "One of (text, json, prometheus)"},
    {"type", "Stat types to include.", "One of (All, Counters, Histograms, Gauges, TextReadouts)"},
    {"histogram_buckets", "Histogram bucket display mode",
     "One of (cumulative, disjoint, detailed, summary)"},
    {NULL, NULL, NULL},
};
static const struct weir_admin_param_doc prometheus_params[] = {
    {"usedonly", "Only include stats that have been written by system since restart", NULL},
    {"filter", "Regular expression (Google re2) for filtering stats", NULL},
    {"histogram_buckets", "Histogram bucket display mode", "One of (cumulative, summary)"},
    {NULL, NULL, NULL},
};
static const struct weir_admin_endpoint endpoints[] = {
    {"/stats", "print server stats", false, stats, stats_params},
    {"/stats/prometheus", "print server stats in prometheus format", false, prometheus, prometheus_params},
    {"/reset_counters", "reset all counters to zero", true, reset_counters, NULL},
};
const struct weir_admin_group weir_admin_stats_group = {endpoints, WEIR_COUNTOF(endpoints)};
