/* Reading per-route configuration of filters: by the type in the Any, else by the entry's name; FilterConfig is looked through.
 * Rule: Envoy's PerFilterConfigs. */
#include "proxy/per_filter.h"

#include "config/config.h"
#include "config/schema.h"
#include "envoy/config/route/v3/route_components.pb-c.h"
#include "proxy/conf_ctx.h"
#include "proxy/route_priv.h"

/* The map entries of all four messages look like this one's. */
typedef Envoy__Config__Route__V3__Route__TypedPerFilterConfigEntry Entry;
typedef Envoy__Config__Route__V3__FilterConfig FilterConfig;

/* The filter whose per-route message is of `type`; without a type the filter of that name. */
static const struct weir_filter_ops *find_filter(const struct weir_conf_ctx *ctx, struct weir_slice type,
                                                 struct weir_slice name)
{
    if (!ctx->http_filters)
        return NULL;
    for (uint32_t i = 0; type.len && i < ctx->http_filters->n; i++) {
        const struct weir_filter_ops *ops = ctx->http_filters->v[i];
        if (ops->route_type && weir_slice_eq(weir_slice_str(ops->route_type), type))
            return ops;
    }
    return weir_filter_registry_find(ctx->http_filters, type, name);
}

static const ProtobufCMessage *empty_message(struct weir_arena *arena, const ProtobufCMessageDescriptor *type)
{
    ProtobufCMessage *msg = weir_arena_zalloc(arena, type->sizeof_message);
    type->message_init(msg);
    return msg;
}

static enum weir_err parse(struct weir_conf_ctx *ctx, const Entry *entry, const struct weir_any *any,
                           bool optional, struct weir_per_filter_entry *to)
{
    to->ops = find_filter(ctx, any->type, to->name);
    if (!to->ops) {
        if (optional)
            return WEIR_OK;
        weir_config_error(ctx->config, entry, NULL, -1, "per-route configuration of %.*s: %s",
                          WEIR_SARG(any->type.len ? any->type : to->name),
                          any->type.len ? "known to Envoy, not implemented by weir yet"
                                        : "no filter of this name");
        return WEIR_ERR_INVALID;
    }
    bool right_type = any->type.len == 0 ||
                      (to->ops->route_type && weir_slice_eq(any->type, weir_slice_str(to->ops->route_type)));
    if (!to->ops->parse_route || !right_type) {
        weir_config_error(ctx->config, entry, NULL, -1, "%s takes %s%s on a route", to->ops->name,
                          to->ops->parse_route ? "a " : "no configuration",
                          to->ops->parse_route ? to->ops->route_type : "");
        return WEIR_ERR_INVALID;
    }
    const ProtobufCMessage *msg = any->msg;
    if (!msg) {
        const ProtobufCMessageDescriptor *type = weir_schema_type(weir_slice_str(to->ops->route_type));
        if (!type)
            return WEIR_ERR_INVALID;
        msg = empty_message(ctx->arena, type);
    }
    void *conf = NULL;
    enum weir_err err = to->ops->parse_route(ctx, msg, &conf);
    to->conf = conf;
    return err;
}

static enum weir_err read_entry(struct weir_conf_ctx *ctx, const Entry *entry,
                                struct weir_per_filter_entry *to)
{
    to->name = weir_arena_dup(ctx->arena, weir_slice_str(entry->key));
    struct weir_any any = weir_config_any(ctx->config, entry->value);
    const FilterConfig *wrapper = (const FilterConfig *)(const void *)weir_config_any_as(
        ctx->config, entry->value, &envoy__config__route__v3__filter_config__descriptor);
    if (!wrapper)
        return parse(ctx, entry, &any, false, to);
    to->disabled = wrapper->disabled;
    if (!wrapper->config)
        return WEIR_OK;
    any = weir_config_any(ctx->config, wrapper->config);
    return parse(ctx, entry, &any, wrapper->is_optional, to);
}

enum weir_err weir_per_filter_new(struct weir_conf_ctx *ctx, void *const *entries, size_t n,
                                  const struct weir_per_filter **ret)
{
    *ret = NULL;
    if (n == 0)
        return WEIR_OK;
    struct weir_per_filter *all = WEIR_ARENA_NEW(ctx->arena, struct weir_per_filter);
    all->v = WEIR_ARENA_ARRAY(ctx->arena, struct weir_per_filter_entry, n);
    all->n = (uint32_t)n;
    enum weir_err result = WEIR_OK;
    for (size_t i = 0; i < n; i++)
        if (read_entry(ctx, entries[i], &all->v[i]) != WEIR_OK)
            result = WEIR_ERR_INVALID;
    *ret = all;
    return result;
}
