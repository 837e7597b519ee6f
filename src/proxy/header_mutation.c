/* Adding and removing configured headers. Rule: Envoy's HeaderParser::evaluateHeaders and HeaderValueOption. */
#include "proxy/header_mutation.h"

#include "config/config.h"
#include "config/values.h"
#include "envoy/config/common/mutation_rules/v3/mutation_rules.pb-c.h"
#include "envoy/config/core/v3/base.pb-c.h"
#include "proxy/conf_ctx.h"
#include "proxy/formatter.h"

typedef Envoy__Config__Core__V3__HeaderValueOption Option;
typedef Envoy__Config__Common__MutationRules__V3__HeaderMutation Mutation;

enum append_action { APPEND_OR_ADD, ADD_IF_ABSENT, OVERWRITE_OR_ADD, OVERWRITE_IF_EXISTS };

struct addition {
    struct weir_slice name; /* lower-case */
    enum weir_header_id id;
    enum append_action action;
    bool keep_empty;
    struct weir_slice literal; /* present: no operators */
    const struct weir_format *format;
};
/* One step: a removal has a name alone. */
struct step {
    bool removes;
    struct addition a;
};
struct weir_header_mutation {
    struct step *steps;
    size_t n;
    bool one_level; /* removals first, then the additions of one level of the route configuration */
};

/* Additions of a level whose values need no memory of the stream's. */
#define ADDITIONS_AT_ONCE 16

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
        {ENVOY__CONFIG__CORE__V3__HEADER_VALUE_OPTION__HEADER_APPEND_ACTION__APPEND_IF_EXISTS_OR_ADD,
         APPEND_OR_ADD},
        {ENVOY__CONFIG__CORE__V3__HEADER_VALUE_OPTION__HEADER_APPEND_ACTION__ADD_IF_ABSENT, ADD_IF_ABSENT},
        {ENVOY__CONFIG__CORE__V3__HEADER_VALUE_OPTION__HEADER_APPEND_ACTION__OVERWRITE_IF_EXISTS_OR_ADD,
         OVERWRITE_OR_ADD},
        {ENVOY__CONFIG__CORE__V3__HEADER_VALUE_OPTION__HEADER_APPEND_ACTION__OVERWRITE_IF_EXISTS,
         OVERWRITE_IF_EXISTS},
    };
    *ret = APPEND_OR_ADD;
    for (size_t i = 0; i < WEIR_COUNTOF(actions); i++)
        if (actions[i].from == option->append_action)
            *ret = actions[i].to;
    if (!option->append)
        return WEIR_OK;
    if (*ret != APPEND_OR_ADD) {
        weir_config_error(ctx->config, option, "append", -1,
                          "\"append\" and \"append_action\" contradict each other");
        weir_config_hint(ctx->config, "leave \"append\" out");
        return WEIR_ERR_INVALID;
    }
    if (!option->append->value)
        *ret = OVERWRITE_OR_ADD;
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
    enum weir_err err = weir_format_new(ctx->arena, text, (struct weir_format_options){.omit_empty = true},
                                        &error, &a->format);
    if (err != WEIR_OK) {
        weir_config_error(ctx->config, header, field, -1, "%s", error.message);
        if (error.hint[0])
            weir_config_hint(ctx->config, "%s", error.hint);
        return WEIR_ERR_INVALID;
    }
    if (!weir_format_literal(a->format, &a->literal)) {
        a->literal = WEIR_S_NONE;
        return WEIR_OK;
    }
    if (!a->literal.ptr)
        a->literal = WEIR_S("");
    if (weir_header_value_valid(a->literal))
        return WEIR_OK;
    weir_config_error(ctx->config, header, field, -1, "control characters may not stand in a header");
    return WEIR_ERR_INVALID;
}

/* `any_name`: pseudo-headers and host may be changed. */
static enum weir_err read_addition(struct weir_conf_ctx *ctx, const Option *option, bool any_name,
                                   struct addition *a)
{
    if (!option->header)
        return WEIR_ERR_INVALID; /* the schema's rule has said so */
    a->name = weir_arena_dup_lower(ctx->arena, weir_slice_str(option->header->key));
    a->id = weir_header_id_of(a->name);
    a->keep_empty = option->keep_empty_value;
    bool may = any_name || may_change(a->name);
    if (!may || !weir_header_name_valid(a->name)) {
        weir_config_error(ctx->config, option->header, "key", -1,
                          may ? "\"%s\" is not a header name"
                              : ":-prefixed or host headers may not be modified (\"%s\")",
                          option->header->key);
        if (weir_slice_eq(a->name, WEIR_S("host")) || weir_slice_eq(a->name, WEIR_S(":authority")))
            weir_config_hint(ctx->config, "host_rewrite_literal of a route changes the host");
        return WEIR_ERR_INVALID;
    }
    enum weir_err err = read_action(ctx, option, &a->action);
    enum weir_err value_err = read_value(ctx, option->header, a);
    if (a->id == WEIR_H_HOST) { /* maps hold it as :authority */
        a->id = WEIR_H_AUTHORITY;
        a->name = weir_header_name(WEIR_H_AUTHORITY);
    }
    if (a->name.ptr[0] == ':' && a->action == APPEND_OR_ADD)
        a->action = OVERWRITE_OR_ADD;
    return err != WEIR_OK ? err : value_err;
}

static void set_removal(struct weir_conf_ctx *ctx, const char *name, struct step *step)
{
    step->removes = true;
    step->a.name = weir_arena_dup_lower(ctx->arena, weir_slice_str(name));
    step->a.id = weir_header_id_of(step->a.name);
}

static struct weir_header_mutation *new_steps(struct weir_conf_ctx *ctx, size_t n)
{
    struct weir_header_mutation *m = WEIR_ARENA_NEW(ctx->arena, struct weir_header_mutation);
    m->steps = WEIR_ARENA_ARRAY(ctx->arena, struct step, n);
    m->n = n;
    return m;
}

enum weir_err weir_header_mutation_new(struct weir_conf_ctx *ctx,
                                       const struct weir_header_mutation_source *source,
                                       const struct weir_header_mutation **ret)
{
    *ret = NULL;
    if (source->n_add == 0 && source->n_remove == 0)
        return WEIR_OK;
    struct weir_header_mutation *m = new_steps(ctx, source->n_remove + source->n_add);
    m->one_level = true;
    enum weir_err result = WEIR_OK;
    for (size_t i = 0; i < source->n_remove; i++) {
        set_removal(ctx, source->remove[i], &m->steps[i]);
        if (may_change(m->steps[i].a.name))
            continue;
        weir_config_error(ctx->config, source->owner, source->remove_field, (int)i,
                          ":-prefixed or host headers may not be removed (\"%s\")", source->remove[i]);
        result = WEIR_ERR_INVALID;
    }
    for (size_t i = 0; i < source->n_add; i++)
        if (read_addition(ctx, source->add[i], false, &m->steps[source->n_remove + i].a) != WEIR_OK)
            result = WEIR_ERR_INVALID;
    *ret = m;
    return result;
}

static enum weir_err read_step(struct weir_conf_ctx *ctx, const Mutation *from, struct step *step)
{
    switch (from->action_case) {
    case ENVOY__CONFIG__COMMON__MUTATION_RULES__V3__HEADER_MUTATION__ACTION_APPEND:
        return read_addition(ctx, from->append, true, &step->a);
    case ENVOY__CONFIG__COMMON__MUTATION_RULES__V3__HEADER_MUTATION__ACTION_REMOVE:
        set_removal(ctx, from->remove, step);
        if (may_change(step->a.name))
            return WEIR_OK;
        weir_config_error(ctx->config, from, "remove", -1,
                          ":-prefixed or host headers may not be removed (\"%s\")", from->remove);
        return WEIR_ERR_INVALID;
    case ENVOY__CONFIG__COMMON__MUTATION_RULES__V3__HEADER_MUTATION__ACTION_REMOVE_ON_MATCH:
        weir_config_error(ctx->config, from, "remove_on_match", -1,
                          "known to Envoy, not implemented by weir yet");
        return WEIR_ERR_INVALID;
    case ENVOY__CONFIG__COMMON__MUTATION_RULES__V3__HEADER_MUTATION__ACTION__NOT_SET:
    default:
        return WEIR_ERR_INVALID; /* the schema's rule has said so */
    }
}

enum weir_err weir_header_mutation_list_new(struct weir_conf_ctx *ctx, void *const *mutations, size_t n,
                                            const struct weir_header_mutation **ret)
{
    *ret = NULL;
    if (n == 0)
        return WEIR_OK;
    struct weir_header_mutation *m = new_steps(ctx, n);
    enum weir_err result = WEIR_OK;
    for (size_t i = 0; i < n; i++)
        if (read_step(ctx, mutations[i], &m->steps[i]) != WEIR_OK)
            result = WEIR_ERR_INVALID;
    *ret = m;
    return result;
}

static bool has(const struct weir_headers *h, const struct addition *a)
{
    return a->id != WEIR_H_OTHER ? weir_headers_has(h, a->id) : weir_headers_find_name(h, a->name) != NULL;
}

static void remove_named(struct weir_headers *h, struct weir_slice name, enum weir_header_id id)
{
    if (id != WEIR_H_OTHER)
        (void)weir_headers_remove(h, id);
    else
        (void)weir_headers_remove_name(h, name);
}

/* What an addition comes to. Absent: nothing is to be done. */
static struct weir_slice value_of(const struct addition *a, const struct weir_headers *h, const struct weir_log_context *context)
{
    bool exists = (a->action == ADD_IF_ABSENT || a->action == OVERWRITE_IF_EXISTS) && has(h, a);
    if ((a->action == ADD_IF_ABSENT && exists) || (a->action == OVERWRITE_IF_EXISTS && !exists))
        return WEIR_S_NONE;
    struct weir_slice value = a->literal;
    if (!value.ptr) {
        value = weir_format_eval(a->format, context);
        if (!weir_header_value_valid(value))
            return WEIR_S_NONE;
    }
    if (value.len == 0)
        return a->keep_empty ? WEIR_S("") : WEIR_S_NONE;
    return value;
}

static bool overwrites(const struct addition *a)
{
    return a->action == OVERWRITE_OR_ADD || a->action == OVERWRITE_IF_EXISTS;
}

static void put(const struct addition *a, struct weir_headers *h, struct weir_slice value)
{
    if (overwrites(a))
        remove_named(h, a->name, a->id);
    weir_headers_add_name_borrow(h, a->name, a->id, value);
}

/* The additions of one level: all values are computed on the headers as they were, then those that overwrite are put, then the others
 * (Envoy's HeaderParser: what one row adds, another of the same level does not see). */
static void apply_additions(const struct weir_header_mutation *m, size_t first, struct weir_headers *h,
                            const struct weir_log_context *context)
{
    struct weir_slice values[ADDITIONS_AT_ONCE];
    size_t n = m->n - first;
    struct weir_slice *v = n <= WEIR_COUNTOF(values) ? values : weir_arena_alloc(h->arena, n * sizeof(*v));
    for (size_t i = 0; i < n; i++)
        v[i] = value_of(&m->steps[first + i].a, h, context);
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < n; i++)
            if (v[i].ptr && overwrites(&m->steps[first + i].a) == (pass == 0))
                put(&m->steps[first + i].a, h, v[i]);
}

void weir_header_mutation_apply(const struct weir_header_mutation *mutation, struct weir_headers *h,
                                const struct weir_log_context *context)
{
    if (!mutation)
        return;
    for (size_t i = 0; i < mutation->n; i++) {
        const struct step *step = &mutation->steps[i];
        if (step->removes) {
            remove_named(h, step->a.name, step->a.id);
        } else if (mutation->one_level) {
            apply_additions(mutation, i, h, context);
            return;
        } else { /* a list of mutations: each sees what the ones before did */
            struct weir_slice value = value_of(&step->a, h, context);
            if (value.ptr)
                put(&step->a, h, value);
        }
    }
}
