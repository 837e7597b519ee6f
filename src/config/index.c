/* The side tables of a configuration, and reporting by message: consumers hold Envoy's structs, and these
 * tables lead from such a struct back to the line, the column and the path that its user wrote. */
#include "config/index.h"

#include "base/mem.h"
#include "base/str.h"
#include "config/schema.h"

#define PATH_MAX_LEN 4096

/* ---- pointer map ---- */

static size_t slot_of(const struct weir_ptr_map *map, const void *key)
{
    uint64_t hash = (uint64_t)(uintptr_t)key * 0x9e3779b97f4a7c15u;
    size_t at = (size_t)(hash >> 32) & (map->cap - 1);
    while (map->slots[at].key && map->slots[at].key != key)
        at = (at + 1) & (map->cap - 1);
    return at;
}

void weir_ptr_map_fini(struct weir_ptr_map *map)
{
    weir_free(map->slots);
    *map = (struct weir_ptr_map){0};
}

void *weir_ptr_map_get(const struct weir_ptr_map *map, const void *key)
{
    return map->cap && key ? map->slots[slot_of(map, key)].value : NULL;
}

static void grow(struct weir_ptr_map *map)
{
    struct weir_ptr_map bigger = {.len = map->len, .cap = map->cap ? map->cap * 2 : 64};
    bigger.slots = weir_zalloc(bigger.cap * sizeof(*bigger.slots));
    for (size_t i = 0; i < map->cap; i++) {
        if (map->slots[i].key)
            bigger.slots[slot_of(&bigger, map->slots[i].key)] = map->slots[i];
    }
    weir_free(map->slots);
    *map = bigger;
}

void weir_ptr_map_set(struct weir_ptr_map *map, const void *key, void *value)
{
    if ((map->len + 1) * 4 > map->cap * 3)
        grow(map);
    struct weir_ptr_slot *slot = &map->slots[slot_of(map, key)];
    map->len += slot->key == NULL;
    *slot = (struct weir_ptr_slot){key, value};
}

/* ---- places ---- */

void weir_index_add(struct weir_config *conf, const ProtobufCMessage *msg, const ProtobufCMessage *parent,
                    const ProtobufCFieldDescriptor *field, uint32_t index, const struct weir_node *node)
{
    struct weir_place *place = weir_index_place(conf, msg);
    if (place) {
        place->older = place->node;
        place->node = node;
        return;
    }
    place = WEIR_ARENA_NEW(&conf->index->arena, struct weir_place);
    *place = (struct weir_place){.msg = msg, .parent = parent, .field = field, .index = index, .node = node};
    weir_ptr_map_set(&conf->index->places, msg, place);
}

struct weir_place *weir_index_place(const struct weir_config *conf, const void *msg)
{
    return weir_ptr_map_get(&conf->index->places, msg);
}

void weir_index_set_any(struct weir_config *conf, const Google__Protobuf__Any *any, struct weir_any content,
                        const ProtobufCMessageDescriptor *wrapper)
{
    struct weir_any_slot *slot = WEIR_ARENA_NEW(&conf->arena, struct weir_any_slot);
    *slot = (struct weir_any_slot){content, wrapper};
    weir_ptr_map_set(&conf->index->anys, any, slot);
}

const struct weir_any_slot *weir_index_any(const struct weir_config *conf, const Google__Protobuf__Any *any)
{
    return weir_ptr_map_get(&conf->index->anys, any);
}

void weir_index_mark_bad(struct weir_config *conf, const ProtobufCMessage *msg,
                         const ProtobufCFieldDescriptor *field)
{
    struct weir_place *place = weir_index_place(conf, msg);
    if (!place || !field || weir_index_is_bad(conf, msg, field))
        return;
    struct weir_bad_field *bad = WEIR_ARENA_NEW(&conf->index->arena, struct weir_bad_field);
    *bad = (struct weir_bad_field){place->bad, field};
    place->bad = bad;
    conf->index->any_bad = true;
}

bool weir_index_is_bad(const struct weir_config *conf, const ProtobufCMessage *msg,
                       const ProtobufCFieldDescriptor *field)
{
    if (!conf->index->any_bad)
        return false;
    const struct weir_place *place = weir_index_place(conf, msg);
    for (const struct weir_bad_field *bad = place ? place->bad : NULL; bad; bad = bad->next) {
        if (bad->field == field)
            return true;
    }
    return false;
}

/* ---- paths ---- */

static bool is_wrapper_value(const ProtobufCMessage *msg)
{
    return weir_schema_known_type(msg->descriptor) == WEIR_TYPE_WRAPPER;
}

static void add_field(struct weir_str *out, const ProtobufCMessage *msg,
                      const ProtobufCFieldDescriptor *field, int index)
{
    if (!field || is_wrapper_value(msg))
        return;
    if (weir_schema_is_map_entry(msg->descriptor))
        return; // the entry has printed its key
    if (out->len > 0)
        weir_str_addc(out, '.');
    weir_str_adds(out, field->name);
    if (index < 0)
        return;
    const ProtobufCMessage *entry =
        weir_schema_is_map(field) ? weir_schema_sub(msg, field, (size_t)index) : NULL;
    if (!entry || entry->descriptor->fields[0].type != PROTOBUF_C_TYPE_STRING) {
        if (field->label == PROTOBUF_C_LABEL_REPEATED)
            weir_str_printf(out, "[%d]", index);
        return;
    }
    const char *key = *(const char *const *)weir_schema_member(entry, &entry->descriptor->fields[0]);
    weir_str_printf(out, "[\"%s\"]", key ? key : "");
}

static void add_path(struct weir_str *out, const struct weir_config *conf, const void *msg)
{
    const struct weir_place *place = weir_index_place(conf, msg);
    if (!place || !place->parent)
        return;
    add_path(out, conf, place->parent);
    if (place->field) {
        add_field(out, place->parent, place->field, (int)place->index);
        return;
    }
    const struct weir_any_slot *slot = weir_index_any(conf, (const Google__Protobuf__Any *)place->parent);
    if (slot && slot->wrapper && slot->content.msg == msg)
        weir_str_adds(out, ".value");
}

static void add_place(struct weir_str *out, const struct weir_config *conf, const void *msg,
                      const ProtobufCFieldDescriptor *field, int index)
{
    if (!msg)
        return;
    add_path(out, conf, msg);
    add_field(out, msg, field, index);
}

static const ProtobufCFieldDescriptor *field_named(const void *msg, const char *name)
{
    const ProtobufCMessage *message = msg;
    if (!message || !name)
        return NULL;
    return protobuf_c_message_descriptor_get_field_by_name(message->descriptor, name);
}

struct weir_slice weir_config_path(struct weir_config *conf, const void *msg, const char *field, int index)
{
    struct weir_str str;
    weir_str_init(&str, PATH_MAX_LEN);
    add_place(&str, conf, msg, field_named(msg, field), index);
    struct weir_slice path = str.len ? weir_arena_dup(&conf->arena, weir_str_slice(&str)) : WEIR_S("");
    weir_str_fini(&str);
    return path;
}

/* ---- positions ---- */

static const struct weir_pair *pair_of(const struct weir_node *node, const ProtobufCFieldDescriptor *field)
{
    if (!node || node->kind != WEIR_NODE_MAP)
        return NULL;
    for (size_t i = 0; i < node->map.n; i++) {
        const struct weir_pair *pair = &node->map.pairs[i];
        if (weir_schema_is_named(field, pair->key) && pair->value->kind != WEIR_NODE_NULL)
            return pair;
    }
    return NULL;
}

/* The element `index` of a list, nulls not counted (they mean "unset"); NULL when there are fewer. */
static const struct weir_node *item_at(const struct weir_node *list, int index)
{
    for (size_t i = 0; i < list->list.n; i++) {
        if (list->list.items[i]->kind == WEIR_NODE_NULL)
            continue;
        if (index-- == 0)
            return list->list.items[i];
    }
    return NULL;
}

static struct weir_pos field_pos(const struct weir_place *place, const ProtobufCFieldDescriptor *field,
                                 int index)
{
    const struct weir_pair *pair = pair_of(place->node, field);
    if (!pair)
        pair = pair_of(place->older, field);
    if (!pair)
        return place->node->pos;
    if (index >= 0 && pair->value->kind == WEIR_NODE_LIST) {
        const struct weir_node *item = item_at(pair->value, index);
        return item ? item->pos : pair->value->pos;
    }
    bool scalar = pair->value->kind != WEIR_NODE_LIST && pair->value->kind != WEIR_NODE_MAP;
    return scalar ? pair->value->pos : pair->key_pos;
}

struct weir_pos weir_config_pos(const struct weir_config *conf, const void *msg, const char *field, int index)
{
    const struct weir_place *place = weir_index_place(conf, msg);
    if (!place)
        return (struct weir_pos){0};
    if (!place->node) {
        /* A text from a control plane, or a message without a text of its own: the nearest one around it. */
        return place->parent ? weir_config_pos(conf, place->parent, NULL, -1)
                             : (struct weir_pos){.source = (uint16_t)place->index};
    }
    const ProtobufCFieldDescriptor *descriptor = field_named(msg, field);
    if (!descriptor)
        return place->node->pos;
    const ProtobufCMessage *element = NULL;
    if (index >= 0 && descriptor->type == PROTOBUF_C_TYPE_MESSAGE) {
        element = weir_schema_sub(msg, descriptor, (size_t)index);
    }
    const struct weir_place *inner = element ? weir_index_place(conf, element) : NULL;
    return inner && inner->node ? inner->node->pos : field_pos(place, descriptor, index);
}

bool weir_config_is_set(const struct weir_config *conf, const void *msg, const char *field)
{
    const ProtobufCFieldDescriptor *descriptor = field_named(msg, field);
    if (!descriptor)
        return false;
    if (weir_schema_count(msg, descriptor) > 0)
        return true;
    const struct weir_place *place = weir_index_place(conf, msg);
    return place && (pair_of(place->node, descriptor) || pair_of(place->older, descriptor));
}

/* ---- reports ---- */

void weir_index_vreport(struct weir_config *conf, enum weir_severity severity, struct weir_pos pos,
                        const void *msg, const ProtobufCFieldDescriptor *field, int index, const char *fmt,
                        va_list args)
{
    struct weir_str path;
    weir_str_init(&path, PATH_MAX_LEN);
    if (!weir_diag_is_full(conf->diag, severity))
        add_place(&path, conf, msg, field, index);
    weir_diag_vreport(conf->diag, severity, pos, weir_str_slice(&path), fmt, args);
    weir_str_fini(&path);
}

void weir_index_report(struct weir_config *conf, enum weir_severity severity, struct weir_pos pos,
                       const void *msg, const ProtobufCFieldDescriptor *field, int index, const char *fmt,
                       ...)
{
    va_list args;
    va_start(args, fmt);
    weir_index_vreport(conf, severity, pos, msg, field, index, fmt, args);
    va_end(args);
}

void weir_config_error(struct weir_config *conf, const void *msg, const char *field, int index,
                       const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    weir_index_vreport(conf, WEIR_SEVERITY_ERROR, weir_config_pos(conf, msg, field, index), msg,
                       field_named(msg, field), index, fmt, args);
    va_end(args);
}

void weir_config_warn(struct weir_config *conf, const void *msg, const char *field, int index,
                      const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    weir_index_vreport(conf, WEIR_SEVERITY_WARNING, weir_config_pos(conf, msg, field, index), msg,
                       field_named(msg, field), index, fmt, args);
    va_end(args);
}
