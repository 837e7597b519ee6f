/* local_reply_config: how the bodies of local replies are formatted. */
#include "config/config.h"
#include "config/supported.h"
#include "config/values.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb-c.h"
#include "proxy/formatter.h"
#include "proxy/local_reply.h"

typedef Envoy__Extensions__Filters__Network__HttpConnectionManager__V3__LocalReplyConfig LocalReplyConfig;

static const struct weir_supported_field fields[] = {
    {.name = "body_format"},
};
static const struct weir_supported_fields supported = WEIR_SUPPORTED(
    envoy__extensions__filters__network__http_connection_manager__v3__local_reply_config__descriptor, fields);

struct body_format {
    const struct weir_format *format; /* NULL = the body as it is */
    struct weir_slice content_type;
};
struct weir_local_reply_conf {
    struct body_format body;
};

static enum weir_err read_format(struct weir_conf_ctx *ctx, const Envoy__Config__Core__V3__SubstitutionFormatString *msg,
                                 struct body_format *ret)
{
    if (!msg) return WEIR_OK;
    bool json = msg->format_case == ENVOY__CONFIG__CORE__V3__SUBSTITUTION_FORMAT_STRING__FORMAT_JSON_FORMAT;
    ret->content_type = weir_proto_str(msg->content_type);
    if (!ret->content_type.len) ret->content_type = json ? WEIR_S("application/json") : WEIR_S("text/plain");
    return weir_format_new_conf(ctx, msg, false, (struct weir_format_options){0}, &ret->format);
}

enum weir_err weir_local_reply_conf_new(struct weir_conf_ctx *ctx, const ProtobufCMessage *message,
                                        struct weir_local_reply_conf **ret)
{
    const LocalReplyConfig *msg = (const LocalReplyConfig *)(const void *)message;
    struct weir_local_reply_conf *conf = WEIR_ARENA_NEW(ctx->arena, struct weir_local_reply_conf);
    bool ok = weir_config_check_supported(ctx->config, msg, &supported);
    ok &= read_format(ctx, msg->body_format, &conf->body) == WEIR_OK;
    *ret = conf;
    return ok ? WEIR_OK : WEIR_ERR_INVALID;
}

void weir_local_reply_rewrite(const struct weir_local_reply_conf *conf, struct weir_stream *s, struct weir_local_reply_text *text)
{
    if (!conf->body.format) return;
    struct weir_log_context context = {
        .worker = s->worker,
        .info = &s->info,
        .request_headers = s->request.headers,
        .response_headers = &s->response_headers,
        .arena = &s->arena,
    };
    text->body = weir_format_eval(conf->body.format, &context);
    text->content_type = conf->body.content_type;
}
