/* The decisions behind retries. Rule: Envoy's RetryStateImpl; "http_filters/router_filter" names the conditions. */
#include "proxy/retry.h"

#include "config/config.h"
#include "config/supported.h"
#include "config/values.h"
#include "envoy/config/route/v3/route_components.pb-c.h"
#include "proxy/conf_ctx.h"

typedef Envoy__Config__Route__V3__RetryPolicy RetryPolicy;

/* Envoy's defaults. */
#define BASE_MS        25
#define MAX_OF_BASE    10
#define PREVIOUS_HOSTS "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
/* x-envoy-max-retries beyond this says nothing: the breaker allows fewer. */
#define HEADER_RETRIES_MAX 100

#define BIT(id)            (1u << WEIR_RETRY_BIT_##id)

/* ---- reading ---- */

static const struct weir_supported_field back_off_table[] = {{.name = "base_interval"},
                                                             {.name = "max_interval"}};
static const struct weir_supported_fields back_off_fields =
    WEIR_SUPPORTED(envoy__config__route__v3__retry_policy__retry_back_off__descriptor, back_off_table);

static const struct weir_supported_field policy_table[] = {
    {.name = "retry_on"},
    {.name = "num_retries"},
    {.name = "per_try_timeout"},
    {.name = "retry_host_predicate", .note = "envoy.retry_host_predicates.previous_hosts"},
    {.name = "host_selection_retry_max_attempts"},
    {.name = "retriable_status_codes"},
    {.name = "retry_back_off", .nested = &back_off_fields},
    {.name = "retriable_headers"},
    {.name = "retriable_request_headers"},
};
const struct weir_supported_fields weir_retry_policy_fields =
    WEIR_SUPPORTED(envoy__config__route__v3__retry_policy__descriptor, policy_table);

static const struct weir_slice names[WEIR_RETRY_BIT_COUNT] = {
#define X(id, name) WEIR_S_INIT(name),
    WEIR_RETRY_ON(X)
#undef X
};

/* The bits that a comma list names; `*ret_unknown` = the first that is no condition. */
static uint32_t parse_on(struct weir_slice list, struct weir_slice *ret_unknown)
{
    uint32_t on = 0;
    struct weir_slice token;
    while (weir_slice_next(&list, ',', &token)) {
        size_t bit = 0;
        token = weir_slice_trim(token);
        while (bit < WEIR_COUNTOF(names) && !weir_slice_eq(token, names[bit]))
            bit++;
        if (bit < WEIR_COUNTOF(names))
            on |= 1u << bit;
        else if (token.len && !ret_unknown->ptr)
            *ret_unknown = token;
    }
    return on;
}

static bool read_back_off(struct weir_conf_ctx *ctx, const RetryPolicy *from,
                          struct weir_retry_policy *policy)
{
    policy->base_ms = BASE_MS;
    policy->max_ms = BASE_MS * MAX_OF_BASE;
    if (!from->retry_back_off)
        return true;
    policy->base_ms = WEIR_MAX(weir_duration_ms(from->retry_back_off->base_interval, BASE_MS), 1);
    policy->max_ms = weir_duration_ms(from->retry_back_off->max_interval, policy->base_ms * MAX_OF_BASE);
    if (policy->max_ms >= policy->base_ms)
        return true;
    weir_config_error(ctx->config, from->retry_back_off, "max_interval", -1, "is less than base_interval");
    return false;
}

static bool read_predicates(struct weir_conf_ctx *ctx, const RetryPolicy *from,
                            struct weir_retry_policy *policy)
{
    for (size_t i = 0; i < from->n_retry_host_predicate; i++) {
        const Envoy__Config__Route__V3__RetryPolicy__RetryHostPredicate *p = from->retry_host_predicate[i];
        const Google__Protobuf__Any *any =
            p->config_type_case ==
                    ENVOY__CONFIG__ROUTE__V3__RETRY_POLICY__RETRY_HOST_PREDICATE__CONFIG_TYPE_TYPED_CONFIG
                ? p->typed_config
                : NULL;
        struct weir_slice type = weir_config_any(ctx->config, any).type;
        if (weir_slice_eq(type, WEIR_S(PREVIOUS_HOSTS)) ||
            (!type.len && strcmp(p->name, "envoy.retry_host_predicates.previous_hosts") == 0)) {
            policy->skip_previous_hosts = true;
            continue;
        }
        weir_config_error(ctx->config, p, NULL, -1,
                          "retry host predicate %s: known to Envoy, not implemented by weir yet", p->name);
        return false;
    }
    return true;
}

const struct weir_retry_policy *weir_retry_policy_new(struct weir_conf_ctx *ctx, const void *retry_policy)
{
    const RetryPolicy *from = retry_policy;
    struct weir_retry_policy *policy = WEIR_ARENA_NEW(ctx->arena, struct weir_retry_policy);
    bool ok = true; /* fields are checked with the route's */
    struct weir_slice unknown = WEIR_S_NONE;
    policy->on = parse_on(weir_proto_str(from->retry_on), &unknown);
    if (unknown.ptr)
        weir_config_warn(ctx->config, from, "retry_on", -1, "\"%.*s\" is no condition to retry on",
                         WEIR_SARG(unknown));
    policy->num_retries = weir_u32_value(from->num_retries, 1);
    policy->per_try_timeout_ms = weir_duration_ms(from->per_try_timeout, 0);
    policy->host_attempts = from->host_selection_retry_max_attempts > 0
                                ? (uint32_t)WEIR_MIN(from->host_selection_retry_max_attempts, 100)
                                : 1;
    uint32_t *codes = WEIR_ARENA_ARRAY(ctx->arena, uint32_t, from->n_retriable_status_codes + 1);
    for (size_t i = 0; i < from->n_retriable_status_codes; i++)
        codes[i] = from->retriable_status_codes[i];
    policy->status_codes = codes;
    policy->n_status_codes = (uint32_t)from->n_retriable_status_codes;
    policy->n_headers = (uint32_t)from->n_retriable_headers;
    policy->n_request_headers = (uint32_t)from->n_retriable_request_headers;
    ok &= weir_header_matches_new(ctx, (void *const *)from->retriable_headers, from->n_retriable_headers,
                                  &policy->headers) == WEIR_OK;
    ok &= weir_header_matches_new(ctx, (void *const *)from->retriable_request_headers,
                                  from->n_retriable_request_headers, &policy->request_headers) == WEIR_OK;
    ok &= read_back_off(ctx, from, policy);
    ok &= read_predicates(ctx, from, policy);
    return ok ? policy : NULL;
}

/* ---- one request ---- */

static struct weir_slice take_header(struct weir_headers *h, enum weir_header_id id)
{
    struct weir_slice value = weir_headers_get(h, id);
    if (value.ptr)
        (void)weir_headers_remove(h, id);
    return value;
}

static bool any_header_matches(const struct weir_header_match *v, uint32_t n, const struct weir_headers *h)
{
    for (uint32_t i = 0; i < n; i++)
        if (weir_header_matches(&v[i], 1, h))
            return true;
    return false;
}

bool weir_retry_init(struct weir_retry *retry, const struct weir_retry_policy *policy,
                     struct weir_headers *request)
{
    static const struct weir_retry_policy none = {
        .num_retries = 1, .base_ms = BASE_MS, .max_ms = BASE_MS * MAX_OF_BASE, .host_attempts = 1};
    *retry = (struct weir_retry){.policy = policy ? policy : &none};
    policy = retry->policy;
    retry->on = policy->on;
    retry->left = policy->num_retries;
    retry->per_try_timeout_ms = policy->per_try_timeout_ms;
    struct weir_slice unknown = WEIR_S_NONE, value;
    uint64_t number;
    value = take_header(request, WEIR_H_X_ENVOY_RETRY_ON);
    if (value.ptr)
        retry->on |= parse_on(value, &unknown);
    value = take_header(request, WEIR_H_X_ENVOY_RETRY_GRPC_ON);
    if (value.ptr)
        retry->on |= parse_on(value, &unknown);
    value = take_header(request, WEIR_H_X_ENVOY_MAX_RETRIES);
    if (value.ptr && weir_parse_u64(value, HEADER_RETRIES_MAX, &number) == WEIR_OK)
        retry->left = (uint32_t)number;
    value = take_header(request, WEIR_H_X_ENVOY_UPSTREAM_RQ_PER_TRY_TIMEOUT_MS);
    if (value.ptr && weir_parse_u64(value, UINT32_MAX, &number) == WEIR_OK)
        retry->per_try_timeout_ms = number;
    value = take_header(request, WEIR_H_X_ENVOY_RETRIABLE_STATUS_CODES);
    if (value.ptr && weir_parse_u64(weir_slice_trim(weir_slice_first(value, weir_slice_find(value, ','))),
                                    999, &number) == WEIR_OK)
        retry->code = (uint32_t)number;
    if (policy->n_request_headers &&
        !any_header_matches(policy->request_headers, policy->n_request_headers, request))
        retry->on = 0;
    return retry->on != 0;
}

static bool is_retriable_grpc(uint32_t on, const struct weir_headers *response)
{
    static const struct {
        uint32_t status, bit;
    } rows[] = {{1, BIT(GRPC_CANCELLED)},
                {4, BIT(GRPC_DEADLINE_EXCEEDED)},
                {8, BIT(GRPC_RESOURCE_EXHAUSTED)},
                {13, BIT(GRPC_INTERNAL)},
                {14, BIT(GRPC_UNAVAILABLE)}};
    uint64_t status;
    struct weir_slice value = weir_headers_get(response, WEIR_H_GRPC_STATUS);
    if (!value.ptr || weir_parse_u64(value, 999, &status) != WEIR_OK)
        return false;
    for (size_t i = 0; i < WEIR_COUNTOF(rows); i++)
        if (rows[i].status == status && (on & rows[i].bit))
            return true;
    return false;
}

static bool is_retriable_code(const struct weir_retry *retry, uint32_t status)
{
    if (status && status == retry->code)
        return true;
    for (uint32_t i = 0; i < retry->policy->n_status_codes; i++)
        if (retry->policy->status_codes[i] == status)
            return true;
    return false;
}

static bool wants_after_headers(const struct weir_retry *retry, const struct weir_headers *response)
{
    uint32_t on = retry->on, status = weir_headers_status(response);
    if (weir_headers_has(response, WEIR_H_X_ENVOY_RATELIMITED))
        return (on & BIT(RATELIMITED)) != 0;
    if ((on & BIT(5XX)) && status >= 500)
        return true;
    if ((on & BIT(GATEWAY_ERROR)) && status >= 502 && status <= 504)
        return true;
    if ((on & BIT(RETRIABLE_4XX)) && status == 409)
        return true;
    if ((on & BIT(STATUS_CODES)) && is_retriable_code(retry, status))
        return true;
    if ((on & BIT(HEADERS)) && any_header_matches(retry->policy->headers, retry->policy->n_headers, response))
        return true;
    return is_retriable_grpc(on, response);
}

static bool wants_after_reset(const struct weir_retry *retry, enum weir_reset reason, bool sent)
{
    uint32_t on = retry->on;
    if (reason == WEIR_RESET_OVERFLOW)
        return false;
    if (on & (BIT(5XX) | BIT(GATEWAY_ERROR) | BIT(RESET)))
        return true;
    if ((on & BIT(RESET_BEFORE_REQUEST)) && !sent)
        return true;
    if ((on & BIT(REFUSED_STREAM)) && reason == WEIR_RESET_REMOTE_REFUSED)
        return true;
    bool no_connection = reason == WEIR_RESET_REMOTE_CONN_FAILURE ||
                         reason == WEIR_RESET_LOCAL_CONN_FAILURE || reason == WEIR_RESET_CONN_TIMEOUT;
    return (on & BIT(CONNECT_FAILURE)) && no_connection;
}

/* There is a reason to; is there leave to? */
static enum weir_retry_verdict take_retry(struct weir_retry *retry, struct weir_cluster_worker *cw,
                                          enum weir_priority priority)
{
    struct weir_cluster *cluster = weir_cluster_worker_conf(cw);
    struct weir_stats_worker *sw = weir_cluster_worker_stats(cw);
    weir_retry_release(retry, sw);
    if (retry->left == 0) {
        weir_cluster_count(sw, cluster, WEIR_CLUSTER_STAT_upstream_rq_retry_limit_exceeded);
        return WEIR_RETRY_LIMIT;
    }
    retry->left--;
    if (!weir_resource_take(&cluster->resources[priority].retries, sw)) {
        weir_cluster_count(sw, cluster, WEIR_CLUSTER_STAT_upstream_rq_retry_overflow);
        return WEIR_RETRY_OVERFLOW;
    }
    retry->taken = &cluster->resources[priority].retries;
    retry->n_made++;
    weir_cluster_count(sw, cluster, WEIR_CLUSTER_STAT_upstream_rq_retry);
    weir_cluster_count(sw, cluster, WEIR_CLUSTER_STAT_upstream_rq_retry_backoff_exponential);
    return WEIR_RETRY_YES;
}

/* No reason for another attempt: one that was made before was worth it. */
static enum weir_retry_verdict no_more(struct weir_retry *retry, struct weir_cluster_worker *cw,
                                       bool answered)
{
    struct weir_stats_worker *sw = weir_cluster_worker_stats(cw);
    if (answered && retry->n_made)
        weir_cluster_count(sw, weir_cluster_worker_conf(cw), WEIR_CLUSTER_STAT_upstream_rq_retry_success);
    weir_retry_release(retry, sw);
    return WEIR_RETRY_NO;
}

enum weir_retry_verdict weir_retry_on_headers(struct weir_retry *retry, const struct weir_headers *response,
                                              struct weir_cluster_worker *cw, enum weir_priority priority)
{
    return wants_after_headers(retry, response) ? take_retry(retry, cw, priority) : no_more(retry, cw, true);
}

enum weir_retry_verdict weir_retry_on_reset(struct weir_retry *retry, enum weir_reset reason, bool sent,
                                            struct weir_cluster_worker *cw, enum weir_priority priority)
{
    return wants_after_reset(retry, reason, sent) ? take_retry(retry, cw, priority)
                                                  : no_more(retry, cw, false);
}

uint64_t weir_retry_backoff_ms(const struct weir_retry *retry, uint64_t random)
{
    uint64_t limit = retry->policy->base_ms;
    for (uint32_t i = 1; i < retry->n_made && limit < retry->policy->max_ms; i++)
        limit *= 2;
    limit = WEIR_MIN(limit, retry->policy->max_ms);
    return limit ? random % limit : 0;
}

void weir_retry_release(struct weir_retry *retry, struct weir_stats_worker *sw)
{
    if (retry->taken)
        weir_resource_give(WEIR_TAKE(retry->taken), sw);
}
