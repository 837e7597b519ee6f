/* /clusters, as text and as JSON. Rule: Envoy 1.39 clusters_handler.cc. */
#include "admin/admin_priv.h"
#include "admin/json_parts.h"

/* Counts of a host in order of name, as the text has them; the JSON lists counters first. */
static const struct {
    const char *name;
    enum weir_host_stat stat;
    bool gauge;
} host_rows[] = {
    {"cx_active", WEIR_HOST_STAT_cx_active, true},
    {"cx_connect_fail", WEIR_HOST_STAT_cx_connect_fail, false},
    {"cx_total", WEIR_HOST_STAT_cx_total, false},
    {"rq_active", WEIR_HOST_STAT_rq_active, true},
    {"rq_error", WEIR_HOST_STAT_rq_error, false},
    {"rq_pending_active", WEIR_HOST_STAT_rq_pending_active, true},
    {"rq_success", WEIR_HOST_STAT_rq_success, false},
    {"rq_timeout", WEIR_HOST_STAT_rq_timeout, false},
    {"rq_total", WEIR_HOST_STAT_rq_total, false},
};

/* Why a host may not be used: words of the text, fields of HostHealthStatus in the JSON. */
static const struct {
    uint32_t flag;
    const char *text, *json;
} health_rows[] = {
    {WEIR_HOST_FAILED_ACTIVE_HC, "/failed_active_hc", "failed_active_health_check"},
    {WEIR_HOST_FAILED_OUTLIER, "/failed_outlier_check", "failed_outlier_check"},
    {WEIR_HOST_FAILED_EDS, "/failed_eds_health", NULL},
    {WEIR_HOST_DEGRADED_ACTIVE_HC, "/degraded_active_hc", "failed_active_degraded_check"},
    {WEIR_HOST_DEGRADED_EDS, "/degraded_eds_health", NULL},
    {WEIR_HOST_PENDING_REMOVE, "/pending_dynamic_removal", "pending_dynamic_removal"},
    {WEIR_HOST_PENDING_ACTIVE_HC, "/pending_active_hc", "pending_active_hc"},
    {WEIR_HOST_IMMEDIATE_HC_FAIL, "/excluded_via_immediate_hc_fail", "excluded_via_immediate_hc_fail"},
};

static const char *const priority_names[WEIR_PRIORITIES] = {"default", "high"};

struct limit {
    const char *name;
    int64_t max;
};
#define LIMITS 4u
static void limits_of(const struct weir_cluster *c, unsigned priority, struct limit out[LIMITS])
{
    const struct weir_resources *r = &c->resources[priority];
    out[0] = (struct limit){"max_connections", r->connections.max};
    out[1] = (struct limit){"max_pending_requests", r->pending.max};
    out[2] = (struct limit){"max_requests", r->requests.max};
    out[3] = (struct limit){"max_retries", r->retries.max};
}

static uint64_t count_of(struct weir_admin_call *call, const struct weir_host *host, enum weir_host_stat stat)
{
    return host->stats ? weir_stats_value(call->sources->stats, host->stats + stat) : 0;
}

/* ---- text ---- */

static void text_host(struct weir_admin_call *call, const struct weir_cluster *c,
                      const struct weir_host *host)
{
    struct weir_str *out = call->body;
    uint32_t flags = atomic_load_explicit(&host->flags, memory_order_relaxed);
    struct weir_slice at =
        weir_arena_printf(call->arena, "%.*s::%.*s::", WEIR_SARG(c->name), WEIR_SARG(host->address_text));
    for (size_t i = 0; i < WEIR_COUNTOF(host_rows); i++)
        weir_str_printf(out, "%.*s%s::%llu\n", WEIR_SARG(at), host_rows[i].name,
                        (unsigned long long)count_of(call, host, host_rows[i].stat));
    weir_str_printf(out, "%.*shostname::%.*s\n%.*shealth_flags::", WEIR_SARG(at), WEIR_SARG(host->hostname),
                    WEIR_SARG(at));
    for (size_t i = 0; i < WEIR_COUNTOF(health_rows); i++)
        if (flags & health_rows[i].flag)
            weir_str_adds(out, health_rows[i].text);
    weir_str_adds(out, flags ? "\n" : "healthy\n");
    weir_str_printf(out, "%.*sweight::%u\n", WEIR_SARG(at), host->weight);
    weir_str_printf(out, "%.*sregion::%.*s\n", WEIR_SARG(at), WEIR_SARG(host->region));
    weir_str_printf(out, "%.*szone::%.*s\n", WEIR_SARG(at), WEIR_SARG(host->zone));
    weir_str_printf(out, "%.*ssub_zone::%.*s\n", WEIR_SARG(at), WEIR_SARG(host->sub_zone));
    weir_str_printf(out, "%.*scanary::%s\n", WEIR_SARG(at), host->canary ? "true" : "false");
    weir_str_printf(out, "%.*spriority::%u\n", WEIR_SARG(at), host->priority);
    weir_str_printf(out, "%.*ssuccess_rate::-1\n%.*slocal_origin_success_rate::-1\n", WEIR_SARG(at),
                    WEIR_SARG(at));
}

static void text_cluster(struct weir_admin_call *call, struct weir_cluster *c)
{
    struct weir_str *out = call->body;
    struct limit limits[LIMITS];
    weir_str_printf(out, "%.*s::observability_name::%.*s\n", WEIR_SARG(c->name), WEIR_SARG(c->stat_name));
    for (unsigned p = 0; p < WEIR_PRIORITIES; p++) {
        limits_of(c, p, limits);
        for (unsigned i = 0; i < LIMITS; i++)
            weir_str_printf(out, "%.*s::%s_priority::%s::%lld\n", WEIR_SARG(c->name), priority_names[p],
                            limits[i].name, (long long)limits[i].max);
    }
    weir_str_printf(out, "%.*s::added_via_api::false\n", WEIR_SARG(c->name));
    struct weir_host_set *hosts = weir_cluster_hosts(c);
    for (uint32_t i = 0; hosts && i < hosts->n; i++)
        text_host(call, c, hosts->hosts[i]);
    weir_host_set_unref(hosts);
}

/* ---- JSON ---- */

static void json_counts(struct weir_admin_call *call, const struct weir_host *host)
{
    struct weir_str *out = call->body;
    weir_str_adds(out, ",\"stats\":[");
    for (int gauges = 0; gauges < 2; gauges++) {
        for (size_t i = 0; i < WEIR_COUNTOF(host_rows); i++) {
            if (host_rows[i].gauge != (gauges != 0))
                continue;
            uint64_t value = count_of(call, host, host_rows[i].stat);
            weir_str_adds(out, out->ptr[out->len - 1] == '[' ? "{" : ",{");
            if (gauges)
                weir_str_adds(out, "\"type\":\"GAUGE\",");
            if (value)
                weir_str_printf(out, "\"value\":\"%llu\",", (unsigned long long)value);
            weir_str_printf(out, "\"name\":\"%s\"}", host_rows[i].name);
        }
    }
    weir_str_addc(out, ']');
}

static void json_host(struct weir_admin_call *call, const struct weir_host *host)
{
    struct weir_str *out = call->body;
    uint32_t flags = atomic_load_explicit(&host->flags, memory_order_relaxed);
    weir_str_adds(out, "{\"address\":");
    weir_admin_json_address(out, &host->addr);
    json_counts(call, host);
    weir_str_adds(out, ",\"health_status\":{");
    for (size_t i = 0; i < WEIR_COUNTOF(health_rows); i++) {
        if (!(flags & health_rows[i].flag) || !health_rows[i].json)
            continue;
        weir_admin_json_member(out, health_rows[i].json);
        weir_str_adds(out, "true");
    }
    const char *eds = flags & WEIR_HOST_FAILED_EDS     ? "UNHEALTHY"
                      : flags & WEIR_HOST_DEGRADED_EDS ? "DEGRADED"
                                                       : "HEALTHY";
    weir_admin_json_text(out, "eds_health_status", weir_slice_str(eds));
    weir_str_printf(out, "},\"weight\":%u", host->weight);
    if (host->hostname.len)
        weir_admin_json_text(out, "hostname", host->hostname);
    if (host->priority)
        weir_str_printf(out, ",\"priority\":%u", host->priority);
    weir_str_adds(out, ",\"locality\":{");
    if (host->region.len)
        weir_admin_json_text(out, "region", host->region);
    if (host->zone.len)
        weir_admin_json_text(out, "zone", host->zone);
    if (host->sub_zone.len)
        weir_admin_json_text(out, "sub_zone", host->sub_zone);
    weir_str_adds(out, "}}");
}

static void json_cluster(struct weir_admin_call *call, struct weir_cluster *c)
{
    struct weir_str *out = call->body;
    struct limit limits[LIMITS];
    struct weir_host_set *hosts = weir_cluster_hosts(c);
    if (out->ptr[out->len - 1] != '[')
        weir_str_addc(out, ',');
    weir_str_addc(out, '{');
    weir_admin_json_text(out, "name", c->name);
    if (hosts && hosts->n) {
        weir_str_adds(out, ",\"host_statuses\":[");
        for (uint32_t i = 0; i < hosts->n; i++) {
            if (i)
                weir_str_addc(out, ',');
            json_host(call, hosts->hosts[i]);
        }
        weir_str_addc(out, ']');
    }
    weir_host_set_unref(hosts);
    weir_str_adds(out, ",\"circuit_breakers\":{\"thresholds\":[");
    for (unsigned p = 0; p < WEIR_PRIORITIES; p++) {
        limits_of(c, p, limits);
        weir_str_adds(out, p ? ",{\"priority\":\"HIGH\"" : "{");
        for (unsigned i = 0; i < LIMITS; i++) {
            weir_admin_json_member(out, limits[i].name);
            weir_str_printf(out, "%lld", (long long)limits[i].max);
        }
        weir_str_addc(out, '}');
    }
    weir_str_adds(out, "]}");
    weir_admin_json_text(out, "observability_name", c->stat_name);
    weir_str_addc(out, '}');
}

static void clusters(struct weir_admin_call *call)
{
    const struct weir_regex *filter = NULL;
    bool json = weir_slice_eq(weir_admin_param_of(call, "format"), WEIR_S("json"));
    const struct weir_clusters *all =
        call->sources->clusters ? call->sources->clusters(call->sources->arg) : NULL;
    if (!weir_admin_regex_of(call, "filter", &filter))
        return;
    if (json)
        weir_str_adds(call->body, "{\"cluster_statuses\":[");
    size_t before = call->body->len;
    for (uint32_t i = 0; all && i < all->n; i++) {
        if (filter && !weir_regex_search(filter, all->v[i]->name))
            continue;
        if (json)
            json_cluster(call, all->v[i]);
        else
            text_cluster(call, all->v[i]);
    }
    if (!json)
        return;
    bool none = call->body->len == before;
    if (none)
        weir_str_clear(call->body);
    weir_str_adds(call->body, none ? "{}" : "]}");
    weir_admin_reply_json(call);
}

static const struct weir_admin_param_doc params[] = {
    {"filter", "Regular expression (Google re2) for filtering clusters by name", NULL},
    {"format", "Format to use", "One of (text, json)"},
    {NULL, NULL, NULL},
};
static const struct weir_admin_endpoint endpoints[] = {
    {"/clusters", "upstream cluster status", false, clusters, params},
};
const struct weir_admin_group weir_admin_clusters_group = {endpoints, WEIR_COUNTOF(endpoints)};
