/* Access logs of one place: a list of {filter, logger}. */
#include "proxy/access_log.h"

#include <envoy/config/accesslog/v3/accesslog.pb-c.h>

#include "config/config.h"
#include "proxy/access_log_filter.h"
#include "proxy/conf_ctx.h"

typedef Envoy__Config__Accesslog__V3__AccessLog message;

struct entry {
    const struct weir_log_filter *filter; // NULL: everything
    const struct weir_access_logger_ops *ops;
    void *conf;
};
struct weir_access_logs {
    uint32_t n;
    struct entry v[];
};

static bool is_named(const struct weir_access_logger_ops *ops, struct weir_slice name)
{
    if (weir_slice_eq(name, weir_slice_str(ops->name)))
        return true;
    for (const char *const *alias = ops->aliases; alias && *alias; alias++)
        if (weir_slice_eq(name, weir_slice_str(*alias)))
            return true;
    return false;
}

/* By the type of its configuration; by name only when there is no type. */
static const struct weir_access_logger_ops *find(const struct weir_access_logger_registry *registry,
                                                 struct weir_slice type, struct weir_slice name)
{
    for (uint32_t i = 0; registry && i < registry->n; i++) {
        const struct weir_access_logger_ops *ops = registry->v[i];
        if (type.len ? weir_slice_eq(type, weir_slice_str(ops->type)) : is_named(ops, name))
            return ops;
    }
    return NULL;
}

static enum weir_err read_entry(struct weir_conf_ctx *ctx, const message *m, struct entry *ret)
{
    enum weir_err result = WEIR_OK;
    const Google__Protobuf__Any *config =
        m->config_type_case == ENVOY__CONFIG__ACCESSLOG__V3__ACCESS_LOG__CONFIG_TYPE_TYPED_CONFIG
            ? m->typed_config
            : NULL;
    struct weir_any any = weir_config_any(ctx->config, config);
    if (m->filter)
        result = weir_log_filter_new(ctx, m->filter, &ret->filter);
    ret->ops = find(ctx->access_loggers, any.type, weir_slice_str(m->name));
    if (!ret->ops) {
        if (weir_config_refuse_extension(ctx->config, &m->base, "access logger", any, m->name))
            weir_config_hint(ctx->config, "there are envoy.access_loggers.file, .stdout and .stderr");
        return WEIR_ERR_INVALID;
    }
    if (!any.msg) {
        if (any.type.len)
            return WEIR_ERR_INVALID; // reported when the file was read
        weir_config_error(ctx->config, m, NULL, -1, "%s needs a typed_config", ret->ops->name);
        weir_config_hint(ctx->config, "write typed_config: {\"@type\": type.googleapis.com/%s}",
                         ret->ops->type);
        return WEIR_ERR_INVALID;
    }
    return ret->ops->parse(ctx, any.msg, &ret->conf) == WEIR_OK ? result : WEIR_ERR_INVALID;
}

enum weir_err weir_access_logs_new(struct weir_conf_ctx *ctx, void *const *access_logs, size_t n,
                                   struct weir_access_logs **ret)
{
    *ret = NULL;
    if (n == 0)
        return WEIR_OK;
    enum weir_err result = WEIR_OK;
    struct weir_access_logs *logs = weir_arena_zalloc(ctx->arena, sizeof(*logs) + n * sizeof(logs->v[0]));
    logs->n = (uint32_t)n;
    for (size_t i = 0; i < n; i++)
        if (read_entry(ctx, access_logs[i], &logs->v[i]) != WEIR_OK)
            result = WEIR_ERR_INVALID;
    if (result == WEIR_OK)
        *ret = logs;
    return result;
}

void weir_access_logs_write(const struct weir_access_logs *logs, const struct weir_log_context *context)
{
    for (uint32_t i = 0; logs && i < logs->n; i++) {
        const struct entry *e = &logs->v[i];
        if (!e->filter || weir_log_filter_match(e->filter, context))
            e->ops->log(e->conf, context);
    }
}
