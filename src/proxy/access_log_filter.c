/* Access-log filters: one row each of {how it is read, how it decides}. Rule: Envoy 1.39 access_log_impl.cc. Runtime keys have their
 * default values as long as no runtime layer can change them. */
#include "proxy/access_log_filter.h"

#include <envoy/config/accesslog/v3/accesslog.pb-c.h>
#include <envoy/type/matcher/v3/metadata.pb-c.h>
#include <google/protobuf/wrappers.pb-c.h>

#include "config/config.h"
#include "event/loop.h"
#include "http/headers.h"
#include "proxy/conf_ctx.h"
#include "proxy/formatter.h"
#include "proxy/string_match.h"
#include "proxy/value.h"
#include "proxy/worker.h"

#define DEPTH_MAX 16u

typedef Envoy__Config__Accesslog__V3__AccessLogFilter message;
typedef Envoy__Config__Accesslog__V3__ComparisonFilter comparison;
typedef Envoy__Type__Matcher__V3__ValueMatcher value_message;

/* A condition on a metadata value. */
struct value_match {
    int kind; // match_pattern_case of ValueMatcher
    bool want;
    double from, to; // to == from: exact
    struct weir_string_match string;
    const struct value_match *any; // OR's alternatives, a list's element
    uint32_t n_any;
};

struct weir_log_filter {
    bool (*match)(const struct weir_log_filter *f, const struct weir_log_context *c);
    const struct weir_log_filter **inner; // AND, OR
    uint32_t n_inner;
    Envoy__Config__Accesslog__V3__ComparisonFilter__Op op;
    uint64_t value;
    uint64_t set; // bits: response flags, gRPC statuses, log types
    bool exclude, invert, if_missing;
    uint32_t numerator, denominator;
    struct weir_header_match *header;
    struct weir_slice path[16];
    uint32_t n_path;
    struct value_match condition;
};

struct reader {
    struct weir_conf_ctx *ctx;
    unsigned depth;
};

static enum weir_err refuse(struct reader *r, const void *msg, const char *field, int index, const char *text)
{
    weir_config_error(r->ctx->config, msg, field, index, "%s", text);
    return WEIR_ERR_INVALID;
}

/* ---- numbers ---- */

static bool compare(const struct weir_log_filter *f, uint64_t got)
{
    switch (f->op) {
    case ENVOY__CONFIG__ACCESSLOG__V3__COMPARISON_FILTER__OP__EQ:
        return got == f->value;
    case ENVOY__CONFIG__ACCESSLOG__V3__COMPARISON_FILTER__OP__GE:
        return got >= f->value;
    case ENVOY__CONFIG__ACCESSLOG__V3__COMPARISON_FILTER__OP__LE:
        return got <= f->value;
    case ENVOY__CONFIG__ACCESSLOG__V3__COMPARISON_FILTER__OP__NE:
        return got != f->value;
    default:
        return false;
    }
}
static bool match_status(const struct weir_log_filter *f, const struct weir_log_context *c)
{
    return compare(f, c->info->status);
}
static bool match_duration(const struct weir_log_filter *f, const struct weir_log_context *c)
{
    uint64_t start = c->info->start_ns, end = c->info->end_ns;
    return end >= start && compare(f, (end - start) / 1000000);
}
static void read_comparison(struct weir_log_filter *f, const comparison *m)
{
    if (!m)
        return; // the reader has reported it: required
    f->op = m->op;
    f->value = m->value ? m->value->default_value : 0;
}
static enum weir_err read_status(struct reader *r, const message *m, struct weir_log_filter *f)
{
    (void)r;
    read_comparison(f, m->status_code_filter->comparison);
    return WEIR_OK;
}
static enum weir_err read_duration(struct reader *r, const message *m, struct weir_log_filter *f)
{
    (void)r;
    read_comparison(f, m->duration_filter->comparison);
    return WEIR_OK;
}

/* ---- plain facts ---- */

static bool match_not_health_check(const struct weir_log_filter *f, const struct weir_log_context *c)
{
    (void)f;
    return !c->info->health_check;
}
static bool match_traceable(const struct weir_log_filter *f, const struct weir_log_context *c)
{
    (void)f;
    return c->info->traced;
}
static enum weir_err read_nothing(struct reader *r, const message *m, struct weir_log_filter *f)
{
    (void)r;
    (void)m;
    (void)f;
    return WEIR_OK;
}

/* ---- a share of requests ---- */

/* The same request gives the same answer everywhere unless independence is asked for: its id decides. */
static bool match_runtime(const struct weir_log_filter *f, const struct weir_log_context *c)
{
    if (f->numerator >= f->denominator)
        return true;
    if (f->numerator == 0)
        return false;
    struct weir_slice id = WEIR_S_NONE;
    uint64_t number = 0;
    if (!f->invert && c->request_headers)
        id = weir_headers_get(c->request_headers, WEIR_H_X_REQUEST_ID);
    if (id.len < 8 || weir_parse_hex(weir_slice_first(id, 8), UINT32_MAX, &number) != WEIR_OK)
        number = c->worker ? weir_loop_random(c->worker->loop) : 0;
    return number % f->denominator < f->numerator;
}
static enum weir_err read_runtime(struct reader *r, const message *m, struct weir_log_filter *f)
{
    (void)r;
    const Envoy__Config__Accesslog__V3__RuntimeFilter *runtime = m->runtime_filter;
    static const uint32_t denominators[] = {100, 10000, 1000000};
    f->denominator = 100;
    f->invert = runtime->use_independent_randomness;
    if (!runtime->percent_sampled)
        return WEIR_OK;
    unsigned denominator = (unsigned)runtime->percent_sampled->denominator;
    f->numerator = runtime->percent_sampled->numerator;
    if (denominator < WEIR_COUNTOF(denominators))
        f->denominator = denominators[denominator];
    return WEIR_OK;
}

/* ---- combinations ---- */

static bool match_all(const struct weir_log_filter *f, const struct weir_log_context *c)
{
    for (uint32_t i = 0; i < f->n_inner; i++)
        if (!f->inner[i]->match(f->inner[i], c))
            return false;
    return true;
}
static bool match_any(const struct weir_log_filter *f, const struct weir_log_context *c)
{
    for (uint32_t i = 0; i < f->n_inner; i++)
        if (f->inner[i]->match(f->inner[i], c))
            return true;
    return false;
}
static enum weir_err read_filter(struct reader *r, const message *m, const struct weir_log_filter **ret);
static enum weir_err read_inner(struct reader *r, message *const *v, size_t n, struct weir_log_filter *f)
{
    enum weir_err result = WEIR_OK;
    f->inner = WEIR_ARENA_ARRAY(r->ctx->arena, const struct weir_log_filter *, n);
    f->n_inner = (uint32_t)n;
    for (size_t i = 0; i < n; i++)
        if (read_filter(r, v[i], &f->inner[i]) != WEIR_OK)
            result = WEIR_ERR_INVALID;
    return result;
}
static enum weir_err read_and(struct reader *r, const message *m, struct weir_log_filter *f)
{
    return read_inner(r, m->and_filter->filters, m->and_filter->n_filters, f);
}
static enum weir_err read_or(struct reader *r, const message *m, struct weir_log_filter *f)
{
    return read_inner(r, m->or_filter->filters, m->or_filter->n_filters, f);
}

/* ---- headers ---- */

static bool match_header(const struct weir_log_filter *f, const struct weir_log_context *c)
{
    return c->request_headers && weir_header_matches(f->header, 1, c->request_headers);
}
static enum weir_err read_header(struct reader *r, const message *m, struct weir_log_filter *f)
{
    void *const matcher = m->header_filter->header;
    return matcher ? weir_header_matches_new(r->ctx, &matcher, 1, &f->header) : WEIR_ERR_INVALID;
}

/* ---- sets ---- */

static bool match_flags(const struct weir_log_filter *f, const struct weir_log_context *c)
{
    return f->set ? (c->info->flags & f->set) != 0 : c->info->flags != 0;
}
static enum weir_err read_flags(struct reader *r, const message *m, struct weir_log_filter *f)
{
    static const char *const names[] = {
#define X(id, brief, full) brief,
        WEIR_RESPONSE_FLAGS(X)
#undef X
    };
    enum weir_err result = WEIR_OK;
    const Envoy__Config__Accesslog__V3__ResponseFlagFilter *flags = m->response_flag_filter;
    for (size_t i = 0; i < flags->n_flags; i++) {
        uint64_t before = f->set;
        for (unsigned k = 0; k < WEIR_COUNTOF(names); k++)
            if (strcmp(names[k], flags->flags[i]) == 0)
                f->set |= UINT64_C(1) << k;
        if (f->set == before) {
            weir_config_error(r->ctx->config, flags, "flags", (int)i,
                              "there is no response flag \"%s\" (or it stands here twice)", flags->flags[i]);
            result = WEIR_ERR_INVALID;
        }
    }
    return result;
}

static bool match_grpc(const struct weir_log_filter *f, const struct weir_log_context *c)
{
    uint64_t status = 0;
    if (!weir_format_grpc_status(c, &status))
        return false;
    return (status < 64 && (f->set >> status & 1)) != f->exclude;
}
static enum weir_err read_grpc(struct reader *r, const message *m, struct weir_log_filter *f)
{
    (void)r;
    f->exclude = m->grpc_status_filter->exclude;
    for (size_t i = 0; i < m->grpc_status_filter->n_statuses; i++)
        f->set |= UINT64_C(1) << (m->grpc_status_filter->statuses[i] & 63);
    return WEIR_OK;
}

static bool match_type(const struct weir_log_filter *f, const struct weir_log_context *c)
{
    return (f->set >> c->type & 1) != f->exclude;
}
static enum weir_err read_type(struct reader *r, const message *m, struct weir_log_filter *f)
{
    (void)r;
    f->exclude = m->log_type_filter->exclude;
    for (size_t i = 0; i < m->log_type_filter->n_types; i++)
        f->set |= UINT64_C(1) << (m->log_type_filter->types[i] & 63);
    return WEIR_OK;
}

/* ---- metadata ---- */

static bool value_matches(const struct value_match *m, const struct weir_value *value)
{
    enum weir_value_kind kind = value ? value->kind : WEIR_VALUE_NULL;
    switch (m->kind) {
    case ENVOY__TYPE__MATCHER__V3__VALUE_MATCHER__MATCH_PATTERN_NULL_MATCH:
        return kind == WEIR_VALUE_NULL;
    case ENVOY__TYPE__MATCHER__V3__VALUE_MATCHER__MATCH_PATTERN_BOOL_MATCH:
        return kind == WEIR_VALUE_BOOL && value->boolean == m->want;
    case ENVOY__TYPE__MATCHER__V3__VALUE_MATCHER__MATCH_PATTERN_PRESENT_MATCH:
        return (kind != WEIR_VALUE_NULL) == m->want;
    case ENVOY__TYPE__MATCHER__V3__VALUE_MATCHER__MATCH_PATTERN_DOUBLE_MATCH:
        if (kind != WEIR_VALUE_NUMBER)
            return false;
        return m->from >= m->to ? !(value->number < m->from) && !(value->number > m->from)
                                : value->number >= m->from && value->number < m->to;
    case ENVOY__TYPE__MATCHER__V3__VALUE_MATCHER__MATCH_PATTERN_STRING_MATCH:
        return kind == WEIR_VALUE_STRING && weir_string_match(&m->string, value->string);
    case ENVOY__TYPE__MATCHER__V3__VALUE_MATCHER__MATCH_PATTERN_LIST_MATCH:
        for (uint32_t i = 0; kind == WEIR_VALUE_LIST && i < value->items.n; i++)
            if (value_matches(m->any, &value->items.v[i]))
                return true;
        return false;
    case ENVOY__TYPE__MATCHER__V3__VALUE_MATCHER__MATCH_PATTERN_OR_MATCH:
        for (uint32_t i = 0; i < m->n_any; i++)
            if (value_matches(&m->any[i], value))
                return true;
        return false;
    default:
        return false;
    }
}

static enum weir_err read_value(struct reader *r, const value_message *m, struct value_match *ret);

static enum weir_err read_values(struct reader *r, value_message *const *v, size_t n, struct value_match *ret)
{
    enum weir_err result = WEIR_OK;
    struct value_match *any = WEIR_ARENA_ARRAY(r->ctx->arena, struct value_match, n);
    for (size_t i = 0; i < n; i++)
        if (read_value(r, v[i], &any[i]) != WEIR_OK)
            result = WEIR_ERR_INVALID;
    ret->any = any;
    ret->n_any = (uint32_t)n;
    return result;
}

static enum weir_err read_value(struct reader *r, const value_message *m, struct value_match *ret)
{
    if (!m || r->depth >= DEPTH_MAX)
        return WEIR_ERR_INVALID;
    enum weir_err result = WEIR_OK;
    ret->kind = (int)m->match_pattern_case;
    r->depth++;
    switch (ret->kind) {
    case ENVOY__TYPE__MATCHER__V3__VALUE_MATCHER__MATCH_PATTERN_BOOL_MATCH:
        ret->want = m->bool_match;
        break;
    case ENVOY__TYPE__MATCHER__V3__VALUE_MATCHER__MATCH_PATTERN_PRESENT_MATCH:
        ret->want = m->present_match;
        break;
    case ENVOY__TYPE__MATCHER__V3__VALUE_MATCHER__MATCH_PATTERN_DOUBLE_MATCH:
        if (m->double_match->match_pattern_case ==
            ENVOY__TYPE__MATCHER__V3__DOUBLE_MATCHER__MATCH_PATTERN_RANGE) {
            ret->from = m->double_match->range->start;
            ret->to = m->double_match->range->end;
        } else {
            ret->from = ret->to = m->double_match->exact;
        }
        break;
    case ENVOY__TYPE__MATCHER__V3__VALUE_MATCHER__MATCH_PATTERN_STRING_MATCH:
        result = weir_string_match_new(r->ctx, m->string_match, &ret->string);
        break;
    case ENVOY__TYPE__MATCHER__V3__VALUE_MATCHER__MATCH_PATTERN_LIST_MATCH:
        result = read_values(r, &m->list_match->one_of, 1, ret);
        break;
    case ENVOY__TYPE__MATCHER__V3__VALUE_MATCHER__MATCH_PATTERN_OR_MATCH:
        result = read_values(r, m->or_match->value_matchers, m->or_match->n_value_matchers, ret);
        break;
    default:
        break;
    }
    r->depth--;
    return result;
}

static bool match_metadata(const struct weir_log_filter *f, const struct weir_log_context *c)
{
    const struct weir_value *value = weir_info_metadata(c->info, f->path[0]);
    for (uint32_t i = 1; i < f->n_path; i++)
        value = weir_value_get(value, f->path[i]);
    if (!value)
        return f->if_missing;
    return value_matches(&f->condition, value) != f->invert;
}
static bool match_always(const struct weir_log_filter *f, const struct weir_log_context *c)
{
    (void)f;
    (void)c;
    return true;
}
static enum weir_err read_metadata(struct reader *r, const message *m, struct weir_log_filter *f)
{
    const Envoy__Type__Matcher__V3__MetadataMatcher *matcher = m->metadata_filter->matcher;
    f->if_missing =
        !m->metadata_filter->match_if_key_not_found || m->metadata_filter->match_if_key_not_found->value;
    if (!matcher) {
        f->match = match_always;
        return WEIR_OK;
    }
    if (matcher->n_path >= WEIR_COUNTOF(f->path))
        return refuse(r, matcher, "path", -1, "the path is longer than 15 keys");
    f->invert = matcher->invert;
    f->path[f->n_path++] = weir_arena_dup(r->ctx->arena, weir_slice_str(matcher->filter));
    for (size_t i = 0; i < matcher->n_path; i++)
        f->path[f->n_path++] = weir_arena_dup(r->ctx->arena, weir_slice_str(matcher->path[i]->key));
    return read_value(r, matcher->value, &f->condition);
}

static enum weir_err read_extension(struct reader *r, const message *m, struct weir_log_filter *f)
{
    (void)f;
    weir_config_error(r->ctx->config, m, "extension_filter", -1,
                      "filter \"%s\" is known to Envoy, not implemented by weir yet",
                      m->extension_filter->name);
    return WEIR_ERR_INVALID;
}

/* ---- the table, by number of the oneof's member ---- */

static const struct row {
    enum weir_err (*read)(struct reader *r, const message *m, struct weir_log_filter *f);
    bool (*match)(const struct weir_log_filter *f, const struct weir_log_context *c);
} rows[] = {
#define ROW(id) [ENVOY__CONFIG__ACCESSLOG__V3__ACCESS_LOG_FILTER__FILTER_SPECIFIER_##id]
    ROW(STATUS_CODE_FILTER) = {read_status, match_status},
    ROW(DURATION_FILTER) = {read_duration, match_duration},
    ROW(NOT_HEALTH_CHECK_FILTER) = {read_nothing, match_not_health_check},
    ROW(TRACEABLE_FILTER) = {read_nothing, match_traceable},
    ROW(RUNTIME_FILTER) = {read_runtime, match_runtime},
    ROW(AND_FILTER) = {read_and, match_all},
    ROW(OR_FILTER) = {read_or, match_any},
    ROW(HEADER_FILTER) = {read_header, match_header},
    ROW(RESPONSE_FLAG_FILTER) = {read_flags, match_flags},
    ROW(GRPC_STATUS_FILTER) = {read_grpc, match_grpc},
    ROW(EXTENSION_FILTER) = {read_extension, NULL},
    ROW(METADATA_FILTER) = {read_metadata, match_metadata},
    ROW(LOG_TYPE_FILTER) = {read_type, match_type},
};

static enum weir_err read_filter(struct reader *r, const message *m, const struct weir_log_filter **ret)
{
    unsigned which = (unsigned)m->filter_specifier_case;
    if (which >= WEIR_COUNTOF(rows) || !rows[which].read)
        return WEIR_ERR_INVALID; // reported: the oneof is required
    if (r->depth >= DEPTH_MAX)
        return refuse(r, m, NULL, -1, "filters are nested more than 16 deep");
    struct weir_log_filter *f = WEIR_ARENA_NEW(r->ctx->arena, struct weir_log_filter);
    f->match = rows[which].match;
    r->depth++;
    enum weir_err result = rows[which].read(r, m, f);
    r->depth--;
    *ret = f;
    return result;
}

enum weir_err weir_log_filter_new(struct weir_conf_ctx *ctx, const void *filter,
                                  const struct weir_log_filter **ret)
{
    struct reader r = {.ctx = ctx};
    return read_filter(&r, filter, ret);
}

bool weir_log_filter_match(const struct weir_log_filter *filter, const struct weir_log_context *c)
{
    return filter->match(filter, c);
}
