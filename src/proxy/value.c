/* Values: the small typed tree that dynamic metadata is made of. */
#include "proxy/value.h"

#include <envoy/config/core/v3/base.pb-c.h>
#include <google/protobuf/struct.pb-c.h>

#include "stats/print.h"

#define DEPTH_MAX 32u

const struct weir_value *weir_value_get(const struct weir_value *value, struct weir_slice key)
{
    if (!value || value->kind != WEIR_VALUE_STRUCT)
        return NULL;
    for (uint32_t i = 0; i < value->items.n; i++) {
        if (weir_slice_eq(value->items.keys[i], key))
            return &value->items.v[i];
    }
    return NULL;
}

static void print(const struct weir_value *value, struct weir_str *out, unsigned depth)
{
    enum weir_value_kind kind = value && depth < DEPTH_MAX ? value->kind : WEIR_VALUE_NULL;
    switch (kind) {
    case WEIR_VALUE_NULL:
        weir_str_adds(out, "null");
        break;
    case WEIR_VALUE_BOOL:
        weir_str_adds(out, value->boolean ? "true" : "false");
        break;
    case WEIR_VALUE_NUMBER:
        weir_stats_print_number(out, value->number, true);
        break;
    case WEIR_VALUE_STRING:
        weir_str_addc(out, '"');
        weir_str_add_json(out, value->string);
        weir_str_addc(out, '"');
        break;
    case WEIR_VALUE_LIST:
    case WEIR_VALUE_STRUCT:
        weir_str_addc(out, kind == WEIR_VALUE_LIST ? '[' : '{');
        for (uint32_t i = 0; i < value->items.n; i++) {
            if (i)
                weir_str_addc(out, ',');
            if (kind == WEIR_VALUE_STRUCT) {
                weir_str_addc(out, '"');
                weir_str_add_json(out, value->items.keys[i]);
                weir_str_adds(out, "\":");
            }
            print(&value->items.v[i], out, depth + 1);
        }
        weir_str_addc(out, kind == WEIR_VALUE_LIST ? ']' : '}');
        break;
    }
}

void weir_value_print_json(const struct weir_value *value, struct weir_str *out)
{
    print(value, out, 0);
}

static void copy(struct weir_arena *arena, const Google__Protobuf__Value *from, struct weir_value *to,
                 unsigned depth)
{
    *to = (struct weir_value){.kind = WEIR_VALUE_NULL};
    if (!from || depth >= DEPTH_MAX)
        return;
    if (from->kind_case == GOOGLE__PROTOBUF__VALUE__KIND_BOOL_VALUE) {
        to->kind = WEIR_VALUE_BOOL;
        to->boolean = from->bool_value;
    } else if (from->kind_case == GOOGLE__PROTOBUF__VALUE__KIND_NUMBER_VALUE) {
        to->kind = WEIR_VALUE_NUMBER;
        to->number = from->number_value;
    } else if (from->kind_case == GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE) {
        to->kind = WEIR_VALUE_STRING;
        to->string = weir_slice_str(from->string_value);
    } else if (from->kind_case == GOOGLE__PROTOBUF__VALUE__KIND_LIST_VALUE) {
        const Google__Protobuf__ListValue *list = from->list_value;
        to->kind = WEIR_VALUE_LIST;
        to->items.n = (uint32_t)list->n_values;
        to->items.v = WEIR_ARENA_ARRAY(arena, struct weir_value, list->n_values);
        for (size_t i = 0; i < list->n_values; i++)
            copy(arena, list->values[i], &to->items.v[i], depth + 1);
    } else if (from->kind_case == GOOGLE__PROTOBUF__VALUE__KIND_STRUCT_VALUE) {
        const Google__Protobuf__Struct *fields = from->struct_value;
        to->kind = WEIR_VALUE_STRUCT;
        to->items.n = (uint32_t)fields->n_fields;
        to->items.v = WEIR_ARENA_ARRAY(arena, struct weir_value, fields->n_fields);
        to->items.keys = WEIR_ARENA_ARRAY(arena, struct weir_slice, fields->n_fields);
        for (size_t i = 0; i < fields->n_fields; i++) {
            to->items.keys[i] = weir_slice_str(fields->fields[i]->key);
            copy(arena, fields->fields[i]->value, &to->items.v[i], depth + 1);
        }
    }
}

const struct weir_value *weir_value_from_proto(struct weir_arena *arena, const void *value)
{
    struct weir_value *to = WEIR_ARENA_NEW(arena, struct weir_value);
    copy(arena, value, to, 0);
    return to;
}

const struct weir_value *weir_metadata_find(struct weir_arena *arena, const void *metadata,
                                            const struct weir_slice *path, uint32_t n)
{
    const Envoy__Config__Core__V3__Metadata *m = metadata;
    if (!m || n == 0)
        return NULL;
    const Google__Protobuf__Struct *fields = NULL;
    for (size_t i = 0; i < m->n_filter_metadata; i++) {
        if (weir_slice_eq(weir_slice_str(m->filter_metadata[i]->key), path[0]))
            fields = m->filter_metadata[i]->value;
    }
    if (!fields)
        return NULL;
    Google__Protobuf__Value whole = GOOGLE__PROTOBUF__VALUE__INIT;
    const Google__Protobuf__Value *at = &whole;
    for (uint32_t depth = 1; depth < n; depth++) {
        at = NULL;
        for (size_t i = 0; fields && i < fields->n_fields; i++) {
            if (weir_slice_eq(weir_slice_str(fields->fields[i]->key), path[depth]))
                at = fields->fields[i]->value;
        }
        if (!at)
            return NULL;
        fields = at->kind_case == GOOGLE__PROTOBUF__VALUE__KIND_STRUCT_VALUE ? at->struct_value : NULL;
    }
    if (at != &whole)
        return weir_value_from_proto(arena, at);
    /* The whole name space: a value of its own around the fields. */
    struct weir_value *all = WEIR_ARENA_NEW(arena, struct weir_value);
    all->kind = WEIR_VALUE_STRUCT;
    all->items.n = (uint32_t)fields->n_fields;
    all->items.v = WEIR_ARENA_ARRAY(arena, struct weir_value, fields->n_fields);
    all->items.keys = WEIR_ARENA_ARRAY(arena, struct weir_slice, fields->n_fields);
    for (size_t i = 0; i < fields->n_fields; i++) {
        all->items.keys[i] = weir_slice_str(fields->fields[i]->key);
        copy(arena, fields->fields[i]->value, &all->items.v[i], 1);
    }
    return all;
}
