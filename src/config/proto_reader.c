/* The one reader of messages: walks a node tree along protobuf-c's descriptors. It has no field list of its
 * own, so that every field that Envoy knows is known here. It goes on after a mistake, to report all of them
 * in one run.
 *
 * What is left after mistakes is safe to look at: a message member that the text names is never NULL, a text
 * never NULL, a repeated field holds only elements that were read. */
#include "config/proto_reader.h"

#include "config/hints.h"

#define SEEN_MAX 256 // fields of one message; Envoy's largest has about 70

/* ---- reports ---- */

bool weir_reader_fail(struct weir_reader *reader, const struct weir_spot *spot, struct weir_pos pos,
                      const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    weir_index_vreport(reader->conf, WEIR_SEVERITY_ERROR, pos, spot->msg, spot->field, spot->index, fmt,
                       args);
    va_end(args);
    weir_index_mark_bad(reader->conf, spot->msg, spot->field);
    return false;
}

void weir_reader_warn(struct weir_reader *reader, const struct weir_spot *spot, struct weir_pos pos,
                      const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    weir_index_vreport(reader->conf, WEIR_SEVERITY_WARNING, pos, spot->msg, spot->field, spot->index, fmt,
                       args);
    va_end(args);
}

/* ---- Any ---- */

static bool is_optional(const struct weir_reader *reader, const struct weir_spot *spot)
{
    const struct weir_place *place = weir_index_place(reader->conf, spot->msg);
    const struct weir_node *node = place ? place->node : NULL;
    const struct weir_node *flag = weir_node_get(node, WEIR_S("is_optional"));
    if (!flag)
        flag = weir_node_get(node, WEIR_S("isOptional"));
    return flag && flag->kind == WEIR_NODE_BOOL && flag->scalar.is_true;
}

/* The message name in "type.googleapis.com/NAME"; absent after a report. */
static struct weir_slice type_name(struct weir_reader *reader, const struct weir_spot *spot,
                                   struct weir_pos pos, struct weir_slice url)
{
    size_t slash = weir_slice_rfind(url, '/');
    if (slash > 0 && slash + 1 < url.len)
        return weir_slice_from(url, slash + 1);
    struct weir_slice name = slash < url.len ? weir_slice_from(url, slash + 1) : url;
    weir_reader_fail(reader, spot, pos, "a type URL has a host and a message name");
    if (name.len > 0) {
        weir_diag_hint(reader->conf->diag, "write \"type.googleapis.com/%.*s\"", WEIR_SARG(name));
    } else {
        weir_diag_hint(reader->conf->diag,
                       "as in \"type.googleapis.com/envoy.extensions.filters.http.router.v3.Router\"");
    }
    return WEIR_S_NONE;
}

/* The type of that name; NULL after a report, or in silence when the filter around it is optional. */
static const ProtobufCMessageDescriptor *find_type(struct weir_reader *reader, const struct weir_spot *spot,
                                                   struct weir_pos pos, struct weir_slice name)
{
    const ProtobufCMessageDescriptor *type = weir_schema_type(name);
    if (type)
        return type;
    if (is_optional(reader, spot)) {
        weir_reader_warn(reader, spot, pos, "no message type %.*s: skipped, since it is optional",
                         WEIR_SARG(name));
    } else {
        weir_hint_unknown_type(reader, spot, pos, name);
    }
    return NULL;
}

static void report_no_type(struct weir_reader *reader, const struct weir_spot *spot,
                           const struct weir_node *node)
{
    const struct weir_place *place = weir_index_place(reader->conf, spot->msg);
    const struct weir_node *name = place ? weir_node_get(place->node, WEIR_S("name")) : NULL;
    const char *type = NULL;
    if (name && name->kind == WEIR_NODE_STRING)
        type = weir_hint_type_of_extension(name->scalar.text);
    weir_reader_fail(reader, spot, node->pos, "\"@type\" is missing: it says which message this is");
    weir_diag_hint(reader->conf->diag, "add \"@type\": type.googleapis.com/%s",
                   type ? type : "<full name of the message>");
}

/* Makes `type` the content of `any` and reads it from `node`. */
static void read_content(struct weir_reader *reader, const Google__Protobuf__Any *any,
                         const ProtobufCMessageDescriptor *type, const ProtobufCMessageDescriptor *wrapper,
                         const struct weir_node *node, struct weir_slice skip)
{
    ProtobufCMessage *msg = weir_schema_new(reader->arena, type);
    weir_index_set_any(reader->conf, any, (struct weir_any){weir_slice_str(type->name), msg}, wrapper);
    weir_index_add(reader->conf, msg, &any->base, NULL, 0, node);
    struct weir_spot spot = {.msg = msg, .index = -1};
    if (skip.len > 0) {
        weir_reader_fields(reader, msg, node, skip);
    } else {
        weir_reader_message(reader, &spot, msg, node);
    }
}

void weir_reader_typed_struct(struct weir_reader *reader, const struct weir_spot *spot,
                              const Google__Protobuf__Any *any, const ProtobufCMessageDescriptor *wrapper,
                              struct weir_pos pos, struct weir_slice url, const struct weir_node *value)
{
    struct weir_slice name = type_name(reader, spot, pos, url);
    if (!name.ptr)
        return;
    weir_index_set_any(reader->conf, any, (struct weir_any){weir_arena_dup(reader->arena, name), NULL},
                       wrapper);
    const ProtobufCMessageDescriptor *type = find_type(reader, spot, pos, name);
    if (type)
        read_content(reader, any, type, wrapper, value, WEIR_S_NONE);
}

/* {"@type": ".../TypedStruct", type_url: ..., value: {...}}: the message that it stands for. */
static void read_typed_struct(struct weir_reader *reader, const struct weir_spot *spot,
                              const Google__Protobuf__Any *any, const ProtobufCMessageDescriptor *wrapper,
                              const struct weir_node *node)
{
    const struct weir_node *url = NULL, *value = NULL;
    for (size_t i = 0; i < node->map.n; i++) {
        const struct weir_pair *pair = &node->map.pairs[i];
        if (weir_slice_eq(pair->key, WEIR_S("@type")) || pair->value->kind == WEIR_NODE_NULL)
            continue;
        const ProtobufCFieldDescriptor *field = weir_schema_field(wrapper, pair->key);
        if (field && strcmp(field->name, "type_url") == 0) {
            url = pair->value;
        } else if (field) {
            value = pair->value;
        } else {
            weir_reader_fail(reader, spot, pair->key_pos, "unknown field \"%.*s\" in TypedStruct",
                             WEIR_SARG(pair->key));
            weir_diag_hint(reader->conf->diag, "what it holds goes under \"value\"");
        }
    }
    if (!url) {
        weir_reader_fail(reader, spot, node->pos, "TypedStruct needs \"type_url\"");
        return;
    }
    if (!value) {
        struct weir_node *empty = WEIR_ARENA_NEW(&reader->conf->index->arena, struct weir_node);
        empty->kind = WEIR_NODE_MAP;
        empty->pos = node->pos;
        value = empty;
    }
    struct weir_slice text = url->kind == WEIR_NODE_STRING ? url->scalar.text : WEIR_S("");
    weir_reader_typed_struct(reader, spot, any, wrapper, url->pos, text, value);
}

/* A well-known type in an Any has its JSON form under "value". */
static void read_known_content(struct weir_reader *reader, const struct weir_spot *spot,
                               const Google__Protobuf__Any *any, const ProtobufCMessageDescriptor *type,
                               const struct weir_node *node)
{
    const struct weir_node *value = NULL;
    for (size_t i = 0; i < node->map.n; i++) {
        const struct weir_pair *pair = &node->map.pairs[i];
        if (weir_slice_eq(pair->key, WEIR_S("value"))) {
            value = pair->value;
        } else if (!weir_slice_eq(pair->key, WEIR_S("@type"))) {
            weir_reader_fail(reader, spot, pair->key_pos, "unknown field \"%.*s\" beside a %s",
                             WEIR_SARG(pair->key), type->short_name);
            weir_diag_hint(reader->conf->diag, "what it holds goes under \"value\"");
        }
    }
    if (value && value->kind != WEIR_NODE_NULL) {
        read_content(reader, any, type, NULL, value, WEIR_S_NONE);
        return;
    }
    ProtobufCMessage *msg = weir_schema_new(reader->arena, type);
    weir_index_set_any(reader->conf, any, (struct weir_any){weir_slice_str(type->name), msg}, NULL);
    weir_index_add(reader->conf, msg, &any->base, NULL, 0, node);
}

static void read_any(struct weir_reader *reader, const struct weir_spot *spot, Google__Protobuf__Any *any,
                     const struct weir_node *node)
{
    weir_index_set_any(reader->conf, any, (struct weir_any){WEIR_S_NONE, NULL}, NULL);
    if (node->kind != WEIR_NODE_MAP) {
        weir_reader_fail(reader, spot, node->pos, "expected an object with \"@type\", found %s",
                         weir_node_kind_text(node));
        return;
    }
    if (node->map.n == 0)
        return;
    const struct weir_node *url = weir_node_get(node, WEIR_S("@type"));
    if (!url) {
        report_no_type(reader, spot, node);
        return;
    }
    struct weir_slice text = url->kind == WEIR_NODE_STRING ? url->scalar.text : WEIR_S("");
    struct weir_slice name = type_name(reader, spot, url->pos, text);
    if (!name.ptr)
        return;
    any->type_url = (char *)(uintptr_t)weir_arena_dup(reader->arena, url->scalar.text).ptr;
    const ProtobufCMessageDescriptor *type = find_type(reader, spot, url->pos, name);
    if (!type) {
        weir_index_set_any(reader->conf, any, (struct weir_any){weir_arena_dup(reader->arena, name), NULL},
                           NULL);
    } else if (weir_schema_is_typed_struct(type)) {
        read_typed_struct(reader, spot, any, type, node);
    } else if (weir_schema_known_type(type) != WEIR_TYPE_PLAIN) {
        read_known_content(reader, spot, any, type, node);
    } else {
        read_content(reader, any, type, NULL, node, WEIR_S("@type"));
    }
}

/* ---- messages ---- */

static void read_wrapper(struct weir_reader *reader, const struct weir_spot *spot, ProtobufCMessage *msg,
                         const struct weir_node *node)
{
    const ProtobufCFieldDescriptor *value = &msg->descriptor->fields[0];
    void *member = weir_schema_member(msg, value);
    if (node->kind != WEIR_NODE_MAP) {
        (void)weir_reader_scalar(reader, spot, value, node, member);
        return;
    }
    for (size_t i = 0; i < node->map.n; i++) {
        const struct weir_pair *pair = &node->map.pairs[i];
        if (!weir_slice_eq(pair->key, WEIR_S("value"))) {
            weir_reader_fail(reader, spot, pair->key_pos, "unknown field \"%.*s\" in %s",
                             WEIR_SARG(pair->key), msg->descriptor->short_name);
            weir_diag_hint(reader->conf->diag, "give the value itself, or {value: ...}");
        } else if (pair->value->kind != WEIR_NODE_NULL) {
            (void)weir_reader_scalar(reader, spot, value, pair->value, member);
        }
    }
}

void weir_reader_message(struct weir_reader *reader, const struct weir_spot *spot, ProtobufCMessage *msg,
                         const struct weir_node *node)
{
    enum weir_known_type known = weir_schema_known_type(msg->descriptor);
    switch (known) {
    case WEIR_TYPE_PLAIN:
    case WEIR_TYPE_EMPTY:
        if (node->kind == WEIR_NODE_MAP) {
            weir_reader_fields(reader, msg, node, WEIR_S_NONE);
        } else {
            weir_reader_fail(reader, spot, node->pos, "expected an object (%s), found %s",
                             msg->descriptor->short_name, weir_node_kind_text(node));
        }
        return;
    case WEIR_TYPE_ANY:
        read_any(reader, spot, (Google__Protobuf__Any *)msg, node);
        return;
    case WEIR_TYPE_WRAPPER:
        read_wrapper(reader, spot, msg, node);
        return;
    case WEIR_TYPE_DURATION:
    case WEIR_TYPE_TIMESTAMP:
    case WEIR_TYPE_STRUCT:
    case WEIR_TYPE_VALUE:
    case WEIR_TYPE_LIST_VALUE:
        (void)weir_reader_known(reader, spot, known, msg, node);
        return;
    }
}

/* Does a message of this kind get a place of its own? Values are found through the field that holds them. */
static bool wants_place(const ProtobufCMessageDescriptor *type, const struct weir_node *node)
{
    switch (weir_schema_known_type(type)) {
    case WEIR_TYPE_PLAIN:
    case WEIR_TYPE_ANY:
    case WEIR_TYPE_EMPTY:
        return true;
    case WEIR_TYPE_DURATION:
    case WEIR_TYPE_TIMESTAMP:
        return node->kind == WEIR_NODE_MAP;
    case WEIR_TYPE_WRAPPER:
    case WEIR_TYPE_STRUCT:
    case WEIR_TYPE_VALUE:
    case WEIR_TYPE_LIST_VALUE:
        break;
    }
    return false;
}

/* Reads a message into `*slot`, a new one unless an earlier text (which this one overlays) has set it. */
static void read_submessage(struct weir_reader *reader, const struct weir_spot *spot,
                            const ProtobufCMessageDescriptor *type, const struct weir_node *node,
                            ProtobufCMessage **slot)
{
    if (!*slot)
        *slot = weir_schema_new(reader->arena, type);
    if (wants_place(type, node)) {
        weir_index_add(reader->conf, *slot, spot->msg, spot->field, (uint32_t)WEIR_MAX(spot->index, 0), node);
    }
    weir_reader_message(reader, spot, *slot, node);
}

/* ---- repeated fields and maps ---- */

/* Makes room for `n_more` elements behind those that are there. */
static void grow_repeated(struct weir_reader *reader, ProtobufCMessage *msg,
                          const ProtobufCFieldDescriptor *field, size_t n_more)
{
    size_t size = weir_schema_size(field->type), n_old = *(size_t *)weir_schema_quantifier(msg, field);
    char **member = weir_schema_member(msg, field);
    char *bigger = weir_arena_zalloc(reader->arena, (n_old + n_more) * size);
    if (n_old > 0)
        memcpy(bigger, *member, n_old * size);
    *member = bigger;
}

static void read_item(struct weir_reader *reader, ProtobufCMessage *msg,
                      const ProtobufCFieldDescriptor *field, int index, const struct weir_node *node)
{
    size_t *count = weir_schema_quantifier(msg, field);
    void *element = weir_schema_element(msg, field, *count);
    struct weir_spot spot = {msg, field, index};
    if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        *(ProtobufCMessage **)element = weir_schema_new(reader->arena, weir_schema_message_of(field));
        (*count)++;
        read_submessage(reader, &spot, weir_schema_message_of(field), node, element);
    } else if (weir_reader_scalar(reader, &spot, field, node, element)) {
        (*count)++;
    }
}

/* What null is as an element of a list: no element at all among scalars, an empty one among messages. As in
 * Envoy. */
static const struct weir_node *null_item(struct weir_reader *reader, const ProtobufCFieldDescriptor *field,
                                         const struct weir_node *item)
{
    if (field->type != PROTOBUF_C_TYPE_MESSAGE)
        return NULL;
    if (weir_schema_known_type(weir_schema_message_of(field)) != WEIR_TYPE_PLAIN)
        return item;
    struct weir_node *empty = WEIR_ARENA_NEW(&reader->conf->index->arena, struct weir_node);
    *empty = (struct weir_node){.kind = WEIR_NODE_MAP, .pos = item->pos};
    return empty;
}

/* A list, or a single element in its place. */
static void read_repeated(struct weir_reader *reader, ProtobufCMessage *msg,
                          const ProtobufCFieldDescriptor *field, const struct weir_node *node)
{
    bool list_in_list = field->type == PROTOBUF_C_TYPE_MESSAGE &&
                        weir_schema_known_type(weir_schema_message_of(field)) == WEIR_TYPE_LIST_VALUE;
    if (node->kind != WEIR_NODE_LIST || list_in_list) {
        grow_repeated(reader, msg, field, 1);
        read_item(reader, msg, field, (int)*(size_t *)weir_schema_quantifier(msg, field), node);
        return;
    }
    grow_repeated(reader, msg, field, node->list.n);
    int first = (int)*(size_t *)weir_schema_quantifier(msg, field);
    for (size_t i = 0; i < node->list.n; i++) {
        const struct weir_node *item = node->list.items[i];
        if (item->kind == WEIR_NODE_NULL)
            item = null_item(reader, field, item);
        if (item)
            read_item(reader, msg, field, first + (int)i, item);
    }
}

/* The entry of a map field with this text as its key, from an earlier text; NULL when there is none. */
static ProtobufCMessage *earlier_entry(const ProtobufCMessage *msg, const ProtobufCFieldDescriptor *field,
                                       size_t n_earlier, struct weir_slice key)
{
    for (size_t i = 0; i < n_earlier; i++) {
        ProtobufCMessage *entry = weir_schema_sub(msg, field, i);
        const ProtobufCFieldDescriptor *key_field = &entry->descriptor->fields[0];
        if (key_field->type != PROTOBUF_C_TYPE_STRING)
            continue;
        const char *text = *(const char *const *)weir_schema_member(entry, key_field);
        if (weir_slice_eq(weir_slice_str(text), key))
            return entry;
    }
    return NULL;
}

static void read_map_key(struct weir_reader *reader, const struct weir_spot *spot, ProtobufCMessage *entry,
                         const struct weir_pair *pair)
{
    const ProtobufCFieldDescriptor *key = &entry->descriptor->fields[0];
    struct weir_node text = {
        .kind = WEIR_NODE_STRING, .quoted = true, .pos = pair->key_pos, .scalar.text = pair->key};
    (void)weir_reader_scalar(reader, spot, key, &text, weir_schema_member(entry, key));
}

static void read_map(struct weir_reader *reader, ProtobufCMessage *msg, const ProtobufCFieldDescriptor *field,
                     const struct weir_node *node)
{
    if (node->kind != WEIR_NODE_MAP) {
        struct weir_spot spot = {msg, field, -1};
        weir_reader_fail(reader, &spot, node->pos, "expected an object, found %s", weir_node_kind_text(node));
        return;
    }
    size_t *count = weir_schema_quantifier(msg, field), n_earlier = *count;
    grow_repeated(reader, msg, field, node->map.n);
    for (size_t i = 0; i < node->map.n; i++) {
        const struct weir_pair *pair = &node->map.pairs[i];
        if (pair->value->kind == WEIR_NODE_NULL)
            continue;
        ProtobufCMessage *entry = earlier_entry(msg, field, n_earlier, pair->key);
        if (!entry) {
            entry = weir_schema_new(reader->arena, weir_schema_message_of(field));
            *(ProtobufCMessage **)weir_schema_element(msg, field, *count) = entry;
            struct weir_spot spot = {msg, field, (int)*count};
            (*count)++;
            read_map_key(reader, &spot, entry, pair);
            weir_index_add(reader->conf, entry, msg, field, (uint32_t)spot.index, pair->value);
        }
        const ProtobufCFieldDescriptor *value = &entry->descriptor->fields[1];
        struct weir_spot spot = {entry, value, -1};
        void *member = weir_schema_member(entry, value);
        if (value->type == PROTOBUF_C_TYPE_MESSAGE) {
            *(ProtobufCMessage **)member = NULL; // a map's value replaces, it does not merge
            read_submessage(reader, &spot, weir_schema_message_of(value), pair->value, member);
        } else {
            (void)weir_reader_scalar(reader, &spot, value, pair->value, member);
        }
    }
}

/* ---- fields ---- */

/* The keys of one object that were read already: finds a field given twice (in both spellings) and two of a
 * oneof. */
struct seen {
    const struct weir_pair *pairs[SEEN_MAX];
};

/* Makes `field` the one that its oneof holds. False (reported) when this object has set another one. */
static bool enter_oneof(struct weir_reader *reader, const struct weir_spot *spot, struct seen *seen,
                        ProtobufCMessage *msg, const struct weir_pair *pair)
{
    const ProtobufCMessageDescriptor *type = msg->descriptor;
    uint32_t *which = weir_schema_quantifier(msg, spot->field);
    if (*which == spot->field->id)
        return true;
    for (unsigned i = 0; i < type->n_fields && i < SEEN_MAX; i++) {
        const ProtobufCFieldDescriptor *other = &type->fields[i];
        if (other->id != *which || !seen->pairs[i])
            continue;
        weir_reader_fail(reader, spot, pair->key_pos, "\"%s\" and \"%s\" (line %u) exclude each other",
                         spot->field->name, other->name, (unsigned)seen->pairs[i]->key_pos.line);
        weir_diag_hint(reader->conf->diag, "keep one of them");
        return false;
    }
    *which = spot->field->id;
    void *member = weir_schema_member(msg, spot->field);
    memset(member, 0, weir_schema_size(spot->field->type));
    if (spot->field->type == PROTOBUF_C_TYPE_STRING)
        *(const char **)member = "";
    return true;
}

static void read_field(struct weir_reader *reader, ProtobufCMessage *msg,
                       const ProtobufCFieldDescriptor *field, struct seen *seen, const struct weir_pair *pair)
{
    struct weir_spot spot = {msg, field, -1};
    unsigned number = (unsigned)(field - msg->descriptor->fields);
    if (number < SEEN_MAX && seen->pairs[number]) {
        weir_reader_fail(reader, &spot, pair->key_pos, "\"%.*s\" is set in line %u already",
                         WEIR_SARG(pair->key), (unsigned)seen->pairs[number]->key_pos.line);
        return;
    }
    if (field->flags & PROTOBUF_C_FIELD_FLAG_DEPRECATED)
        weir_hint_deprecated_field(reader, &spot, pair->key_pos);
    if (weir_schema_is_oneof(field) && !enter_oneof(reader, &spot, seen, msg, pair))
        return;
    if (number < SEEN_MAX)
        seen->pairs[number] = pair;
    if (weir_schema_is_map(field)) {
        read_map(reader, msg, field, pair->value);
    } else if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        read_repeated(reader, msg, field, pair->value);
    } else if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        read_submessage(reader, &spot, weir_schema_message_of(field), pair->value,
                        weir_schema_member(msg, field));
    } else {
        (void)weir_reader_scalar(reader, &spot, field, pair->value, weir_schema_member(msg, field));
    }
}

/* null means "unset", save where null is a value. */
static bool is_unset(const ProtobufCFieldDescriptor *field, const struct weir_node *node)
{
    if (node->kind != WEIR_NODE_NULL)
        return false;
    return field->type != PROTOBUF_C_TYPE_MESSAGE || field->label == PROTOBUF_C_LABEL_REPEATED ||
           weir_schema_known_type(weir_schema_message_of(field)) != WEIR_TYPE_VALUE;
}

void weir_reader_fields(struct weir_reader *reader, ProtobufCMessage *msg, const struct weir_node *node,
                        struct weir_slice skip)
{
    struct seen seen;
    memset(seen.pairs, 0, sizeof(seen.pairs[0]) * WEIR_MIN(msg->descriptor->n_fields, (unsigned)SEEN_MAX));
    for (size_t i = 0; i < node->map.n; i++) {
        const struct weir_pair *pair = &node->map.pairs[i];
        if (skip.len > 0 && weir_slice_eq(pair->key, skip))
            continue;
        const ProtobufCFieldDescriptor *field = weir_schema_field(msg->descriptor, pair->key);
        if (!field) {
            weir_hint_unknown_field(reader, msg, pair);
        } else if (!is_unset(field, pair->value)) {
            read_field(reader, msg, field, &seen, pair);
        }
    }
}
