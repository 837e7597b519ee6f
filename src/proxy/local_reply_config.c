/* local_reply_config: the first mapper whose filter matches a local reply changes its status, body and headers; then the body is
 * formatted. Rule: Envoy's LocalReply::LocalReplyImpl::rewrite. */
#include "config/config.h"
#include "config/supported.h"
#include "config/values.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb-c.h"
#include "proxy/access_log_filter.h"
#include "proxy/data_source.h"
#include "proxy/formatter.h"
#include "proxy/header_mutation.h"
#include "proxy/local_reply.h"

typedef Envoy__Extensions__Filters__Network__HttpConnectionManager__V3__LocalReplyConfig LocalReplyConfig;
typedef Envoy__Extensions__Filters__Network__HttpConnectionManager__V3__ResponseMapper ResponseMapper;
typedef Envoy__Config__Core__V3__SubstitutionFormatString FormatString;
#define DESCRIPTOR(name) envoy__extensions__filters__network__http_connection_manager__v3__##name##__descriptor

#define BODY_MAX (1u << 20) /* of a mapper; Envoy has no limit */

static const struct weir_supported_field mapper_fields_table[] = {
    {.name = "filter"},     {.name = "status_code"}, {.name = "body"}, {.name = "body_format_override"},
    {.name = "headers_to_add"},
};
static const struct weir_supported_fields mapper_fields = WEIR_SUPPORTED(DESCRIPTOR(response_mapper), mapper_fields_table);
static const struct weir_supported_field fields_table[] = {
    {.name = "mappers", .nested = &mapper_fields},
    {.name = "body_format"},
};
static const struct weir_supported_fields fields = WEIR_SUPPORTED(DESCRIPTOR(local_reply_config), fields_table);

struct body_format {
    const struct weir_format *format; /* NULL = the body as it is */
    struct weir_slice content_type;
};
struct mapper {
    const struct weir_log_filter *filter;
    uint32_t status; /* 0 = as it is */
    struct weir_slice body; /* absent = as it is */
    struct body_format format;
    const struct weir_header_mutation *headers;
};
struct weir_local_reply_conf {
    struct mapper *mappers;
    size_t n_mappers;
    struct body_format format;
};

/* ---- reading ---- */

static bool read_format(struct weir_conf_ctx *ctx, const FormatString *msg, struct body_format *ret)
{
    if (!msg) return true;
    bool json = msg->format_case == ENVOY__CONFIG__CORE__V3__SUBSTITUTION_FORMAT_STRING__FORMAT_JSON_FORMAT;
    ret->content_type = weir_proto_str(msg->content_type);
    if (!ret->content_type.len) ret->content_type = json ? WEIR_S("application/json") : WEIR_S("text/plain");
    return weir_format_new_conf(ctx, msg, json, (struct weir_format_options){0}, &ret->format) == WEIR_OK;
}

static bool read_mapper(struct weir_conf_ctx *ctx, const ResponseMapper *msg, struct mapper *ret)
{
    struct weir_header_mutation_source headers = {
        .owner = msg, .add_field = "headers_to_add", .add = (void *const *)(void *)msg->headers_to_add, .n_add = msg->n_headers_to_add};
    bool ok = weir_log_filter_new(ctx, msg->filter, &ret->filter) == WEIR_OK;
    ret->status = weir_u32_value(msg->status_code, 0);
    if (msg->body) ok &= weir_data_source_read(ctx, msg->body, BODY_MAX, &ret->body) == WEIR_OK;
    ok &= read_format(ctx, msg->body_format_override, &ret->format);
    ok &= weir_header_mutation_new(ctx, &headers, &ret->headers) == WEIR_OK;
    return ok;
}

enum weir_err weir_local_reply_conf_new(struct weir_conf_ctx *ctx, const ProtobufCMessage *message,
                                        struct weir_local_reply_conf **ret)
{
    const LocalReplyConfig *msg = (const LocalReplyConfig *)(const void *)message;
    struct weir_local_reply_conf *conf = WEIR_ARENA_NEW(ctx->arena, struct weir_local_reply_conf);
    bool ok = weir_config_check_supported(ctx->config, msg, &fields);
    conf->n_mappers = msg->n_mappers;
    conf->mappers = WEIR_ARENA_ARRAY(ctx->arena, struct mapper, msg->n_mappers + 1);
    for (size_t i = 0; i < msg->n_mappers; i++) ok &= read_mapper(ctx, msg->mappers[i], &conf->mappers[i]);
    ok &= read_format(ctx, msg->body_format, &conf->format);
    *ret = conf;
    return ok ? WEIR_OK : WEIR_ERR_INVALID;
}

/* ---- applying ---- */

static const struct mapper *find_mapper(const struct weir_local_reply_conf *conf, const struct weir_log_context *context)
{
    for (size_t i = 0; i < conf->n_mappers; i++)
        if (weir_log_filter_match(conf->mappers[i].filter, context)) return &conf->mappers[i];
    return NULL;
}

void weir_local_reply_rewrite(const struct weir_local_reply_conf *conf, struct weir_stream *s, struct weir_local_reply_text *text)
{
    const struct body_format *format = &conf->format;
    struct weir_log_context context = {
        .worker = s->worker,
        .info = &s->info,
        .request_headers = s->request.headers,
        .response_headers = &s->response_headers,
        .arena = &s->arena,
    };
    const struct mapper *mapper = find_mapper(conf, &context);
    if (mapper) {
        if (mapper->body.ptr) text->body = mapper->body;
        if (mapper->status) {
            text->status = s->info.status = mapper->status;
            weir_headers_set_status(&s->response_headers, mapper->status);
        }
        s->info.local_reply_body = text->body;
        weir_header_mutation_apply(mapper->headers, &s->response_headers, &context);
        if (mapper->format.format) format = &mapper->format;
    }
    if (!format->format) return;
    text->body = weir_format_eval(format->format, &context);
    text->content_type = format->content_type;
}
