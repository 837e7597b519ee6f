/* Adding and removing configured headers. Rule: Envoy's HeaderParser::evaluateHeaders and HeaderValueOption. */
#include "proxy/header_mutation.h"

#include "config/config.h"
#include "config/values.h"
#include "envoy/config/core/v3/base.pb-c.h"
#include "proxy/conf_ctx.h"
#include "proxy/formatter.h"

typedef Envoy__Config__Core__V3__HeaderValueOption Option;

enum append_action { APPEND_OR_ADD, ADD_IF_ABSENT, OVERWRITE_OR_ADD, OVERWRITE_IF_EXISTS };

struct addition {
    struct weir_slice name; /* lower-case */
    enum weir_header_id id;
    enum append_action action;
    bool keep_empty;
    struct weir_slice literal;         /* present: no operators */
    const struct weir_format *format;
};
struct removal {
    struct weir_slice name;
    enum weir_header_id id;
};
struct weir_header_mutation {
    struct addition *add;
    struct removal *remove;
    size_t n_add, n_remove;
};

static bool may_change(struct weir_slice lower)
{
    return lower.len > 0 && lower.ptr[0] != ':' && !weir_slice_eq(lower, WEIR_S("host"));
}

static enum weir_err read_action(struct weir_conf_ctx *ctx, const Option *option, enum append_action *ret)
{
    static const struct {
        Envoy__Config__Core__V3__HeaderValueOption__HeaderAppendAction from;
        enum append_action to;
    } actions[] = {
        {ENVOY__CONFIG__CORE__V3__HEADER_VALUE_OPTION__HEADER_APPEND_ACTION__APPEND_IF_EXISTS_OR_ADD, APPEND_OR_ADD},
        {ENVOY__CONFIG__CORE__V3__HEADER_VALUE_OPTION__HEADER_APPEND_ACTION__ADD_IF_ABSENT, ADD_IF_ABSENT},
        {ENVOY__CONFIG__CORE__V3__HEADER_VALUE_OPTION__HEADER_APPEND_ACTION__OVERWRITE_IF_EXISTS_OR_ADD, OVERWRITE_OR_ADD},
        {ENVOY__CONFIG__CORE__V3__HEADER_VALUE_OPTION__HEADER_APPEND_ACTION__OVERWRITE_IF_EXISTS, OVERWRITE_IF_EXISTS},
    };
    *ret = APPEND_OR_ADD;
    for (size_t i = 0; i < WEIR_COUNTOF(actions); i++)
        if (actions[i].from == option->append_action) *ret = actions[i].to;
    if (!option->append) return WEIR_OK;
    if (*ret != APPEND_OR_ADD) {
        weir_config_error(ctx->config, option, "append", -1, "\"append\" and \"append_action\" contradict each other");
        weir_config_hint(ctx->config, "leave \"append\" out");
        return WEIR_ERR_INVALID;
    }
    if (!option->append->value) *ret = OVERWRITE_OR_ADD;
    return WEIR_OK;
}

static enum weir_err read_value(struct weir_conf_ctx *ctx, const Envoy__Config__Core__V3__HeaderValue *header,
                                struct addition *a)
{
    struct weir_slice text = weir_slice_str(header->value);
    const char *field = "value";
    if (header->raw_value.len > 0) {
        text = weir_slice((const char *)header->raw_value.data, header->raw_value.len);
        field = "raw_value";
    }
    struct weir_format_error error;
    enum weir_err err = weir_format_new(ctx->arena, text, (struct weir_format_options){.omit_empty = true}, &error, &a->format);
    if (err != WEIR_OK) {
        weir_config_error(ctx->config, header, field, -1, "%s", error.message);
        if (error.hint[0]) weir_config_hint(ctx->config, "%s", error.hint);
        return WEIR_ERR_INVALID;
    }
    if (!weir_format_literal(a->format, &a->literal)) {
        a->literal = WEIR_S_NONE;
        return WEIR_OK;
    }
    if (!a->literal.ptr) a->literal = WEIR_S("");
    if (weir_header_value_valid(a->literal)) return WEIR_OK;
    weir_config_error(ctx->config, header, field, -1, "control characters may not stand in a header");
    return WEIR_ERR_INVALID;
}

static enum weir_err read_addition(struct weir_conf_ctx *ctx, const Option *option, struct addition *a)
{
    if (!option->header) return WEIR_ERR_INVALID; /* the schema's rule has said so */
    a->name = weir_arena_dup_lower(ctx->arena, weir_slice_str(option->header->key));
    a->id = weir_header_id_of(a->name);
    a->keep_empty = option->keep_empty_value;
    if (!may_change(a->name) || !weir_header_name_valid(a->name)) {
        weir_config_error(ctx->config, option->header, "key", -1,
                          may_change(a->name) ? "\"%s\" is not a header name"
                                              : ":-prefixed or host headers may not be modified (\"%s\")", option->header->key);
        if (weir_slice_eq(a->name, WEIR_S("host")) || weir_slice_eq(a->name, WEIR_S(":authority")))
            weir_config_hint(ctx->config, "host_rewrite_literal of a route changes the host");
        return WEIR_ERR_INVALID;
    }
    enum weir_err err = read_action(ctx, option, &a->action);
    enum weir_err value_err = read_value(ctx, option->header, a);
    return err != WEIR_OK ? err : value_err;
}

enum weir_err weir_header_mutation_new(struct weir_conf_ctx *ctx, const struct weir_header_mutation_source *source,
                                       const struct weir_header_mutation **ret)
{
    *ret = NULL;
    if (source->n_add == 0 && source->n_remove == 0) return WEIR_OK;
    struct weir_header_mutation *m = WEIR_ARENA_NEW(ctx->arena, struct weir_header_mutation);
    enum weir_err result = WEIR_OK;
    m->n_add = source->n_add;
    m->add = WEIR_ARENA_ARRAY(ctx->arena, struct addition, source->n_add + 1);
    for (size_t i = 0; i < source->n_add; i++)
        if (read_addition(ctx, source->add[i], &m->add[i]) != WEIR_OK) result = WEIR_ERR_INVALID;
    m->n_remove = source->n_remove;
    m->remove = WEIR_ARENA_ARRAY(ctx->arena, struct removal, source->n_remove + 1);
    for (size_t i = 0; i < source->n_remove; i++) {
        m->remove[i].name = weir_arena_dup_lower(ctx->arena, weir_slice_str(source->remove[i]));
        m->remove[i].id = weir_header_id_of(m->remove[i].name);
        if (may_change(m->remove[i].name)) continue;
        weir_config_error(ctx->config, source->owner, source->remove_field, (int)i,
                          ":-prefixed or host headers may not be removed (\"%s\")", source->remove[i]);
        result = WEIR_ERR_INVALID;
    }
    *ret = m;
    return result;
}

static bool has(const struct weir_headers *h, const struct addition *a)
{
    return a->id != WEIR_H_OTHER ? weir_headers_has(h, a->id) : weir_headers_find_name(h, a->name) != NULL;
}

static void remove_named(struct weir_headers *h, struct weir_slice name, enum weir_header_id id)
{
    if (id != WEIR_H_OTHER) (void)weir_headers_remove(h, id);
    else (void)weir_headers_remove_name(h, name);
}

static void apply_addition(const struct addition *a, struct weir_headers *h, const struct weir_log_context *context)
{
    bool exists = a->action != APPEND_OR_ADD && has(h, a);
    if ((a->action == ADD_IF_ABSENT && exists) || (a->action == OVERWRITE_IF_EXISTS && !exists)) return;
    struct weir_slice value = a->literal;
    if (!value.ptr) {
        value = weir_format_eval(a->format, context);
        if (!weir_header_value_valid(value)) return;
    }
    if (value.len == 0 && !a->keep_empty) return;
    if (exists) remove_named(h, a->name, a->id);
    weir_headers_add_name_borrow(h, a->name, a->id, value);
}

void weir_header_mutation_apply(const struct weir_header_mutation *mutation, struct weir_headers *h,
                                const struct weir_log_context *context)
{
    if (!mutation) return;
    for (size_t i = 0; i < mutation->n_remove; i++) remove_named(h, mutation->remove[i].name, mutation->remove[i].id);
    for (size_t i = 0; i < mutation->n_add; i++) apply_addition(&mutation->add[i], h, context);
}
