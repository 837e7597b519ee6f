/* Finding filters: by the type of their message, else, as in files of Envoy before 1.22, by name alone. */
#include "proxy/filter_registry.h"

#include "config/api_rules.h"

static bool named(const char *name, const char *const *aliases, struct weir_slice wanted)
{
    if (weir_slice_eq(weir_slice_str(name), wanted)) return true;
    for (; aliases && *aliases; aliases++)
        if (weir_slice_eq(weir_slice_str(*aliases), wanted)) return true;
    return false;
}

static bool typed(const char *type, struct weir_slice wanted)
{
    return type && weir_slice_eq(weir_slice_str(type), wanted);
}

const struct weir_filter_ops *weir_filter_registry_find(const struct weir_filter_registry *reg, struct weir_slice type,
                                                        struct weir_slice name)
{
    for (uint32_t i = 0; i < reg->n; i++) {
        const struct weir_filter_ops *ops = reg->v[i];
        if (type.len ? typed(ops->type, type) : named(ops->name, ops->aliases, name)) return ops;
    }
    return NULL;
}

const struct weir_net_filter_ops *weir_net_filter_registry_find(const struct weir_net_filter_registry *reg, struct weir_slice type,
                                                                struct weir_slice name)
{
    for (uint32_t i = 0; i < reg->n; i++) {
        const struct weir_net_filter_ops *ops = reg->v[i];
        if (type.len ? typed(ops->type, type) : named(ops->name, ops->aliases, name)) return ops;
    }
    return NULL;
}

static int compare_type(const void *key, const void *element)
{
    const ProtobufCMessageDescriptor *const *type = element;
    return strcmp(key, (*type)->name);
}

const ProtobufCMessage *weir_conf_empty_message(struct weir_conf_ctx *ctx, const ProtobufCMessage *owner, const char *type)
{
    const ProtobufCMessageDescriptor *const *found =
        type ? bsearch(type, weir_api_messages, weir_api_n_messages, sizeof *weir_api_messages, compare_type) : NULL;
    if (!found) return NULL;
    ProtobufCMessage *empty = weir_arena_zalloc(ctx->arena, (*found)->sizeof_message);
    protobuf_c_message_init(*found, empty);
    if (owner) weir_config_warn_untyped(ctx->config, owner, "typed_config", *found);
    return empty;
}
