/* google.protobuf.Any: what one holds, and how what came as bytes is taken apart. An Any that came as text
 * was resolved by proto_reader.c; here the same is done for a control plane's bytes, so that consumers never
 * see the difference. */
#include "config/any.h"

#include <google/protobuf/struct.pb-c.h>
#include <google/protobuf/wrappers.pb-c.h>
#include <xds/type/v3/typed_struct.pb-c.h>

#include "config/hints.h"
#include "config/limits.h"
#include "config/node_build.h"
#include "config/proto_json.h"
#include "config/rules.h"

/* ---- access ---- */

struct weir_any weir_config_any(const struct weir_config *conf, const Google__Protobuf__Any *any)
{
    const struct weir_any_slot *slot = weir_index_any(conf, any);
    return slot ? slot->content : (struct weir_any){WEIR_S_NONE, NULL};
}

const ProtobufCMessage *weir_config_any_as(const struct weir_config *conf, const Google__Protobuf__Any *any,
                                           const ProtobufCMessageDescriptor *type)
{
    struct weir_any content = weir_config_any(conf, any);
    return content.msg && content.msg->descriptor == type ? content.msg : NULL;
}

static struct weir_slice struct_bytes(const struct weir_config *conf, const ProtobufCMessage *msg,
                                      struct weir_arena *arena)
{
    struct weir_str json;
    weir_str_init(&json, WEIR_CONFIG_FILE_MAX);
    weir_proto_json(&json, conf, msg, &(struct weir_proto_json_style){.compact = true});
    struct weir_slice bytes = weir_arena_dup(arena, weir_str_slice(&json));
    weir_str_fini(&json);
    return bytes;
}

/* Gives every Any inside `msg` that came as text the bytes of its content, so that packing takes them along.
 * They stay with the configuration: in its arena, which is the one part of it that grows here. */
static void fill_anys(const struct weir_config *conf, const ProtobufCMessage *msg)
{
    struct weir_arena *arena = (struct weir_arena *)(uintptr_t)&conf->arena;
    for (unsigned i = 0; i < msg->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &msg->descriptor->fields[i];
        size_t n = field->type == PROTOBUF_C_TYPE_MESSAGE ? weir_schema_count(msg, field) : 0;
        for (size_t k = 0; k < n; k++) {
            ProtobufCMessage *sub = weir_schema_sub(msg, field, k);
            if (!sub)
                continue;
            fill_anys(conf, sub);
            if (weir_schema_known_type(sub->descriptor) != WEIR_TYPE_ANY)
                continue;
            Google__Protobuf__Any *any = (Google__Protobuf__Any *)sub;
            const struct weir_any_slot *slot = weir_index_any(conf, any);
            if (!slot || !slot->content.msg || slot->wrapper || any->value.len > 0)
                continue;
            struct weir_slice bytes = weir_config_pack(conf, slot->content.msg, arena);
            any->value = (ProtobufCBinaryData){bytes.len, (uint8_t *)(uintptr_t)bytes.ptr};
        }
    }
}

struct weir_slice weir_config_pack(const struct weir_config *conf, const ProtobufCMessage *msg,
                                   struct weir_arena *arena)
{
    fill_anys(conf, msg);
    uint8_t *bytes = weir_arena_alloc(arena, protobuf_c_message_get_packed_size(msg) + 1);
    return weir_slice((const char *)bytes, protobuf_c_message_pack(msg, bytes));
}

struct weir_slice weir_config_any_bytes(const struct weir_config *conf, const Google__Protobuf__Any *any,
                                        struct weir_arena *arena)
{
    const ProtobufCMessage *msg = weir_config_any(conf, any).msg;
    if (!msg)
        return WEIR_S("");
    if (msg->descriptor == &google__protobuf__string_value__descriptor) {
        return weir_arena_dup(arena, weir_slice_str(((const Google__Protobuf__StringValue *)msg)->value));
    }
    if (msg->descriptor == &google__protobuf__bytes_value__descriptor) {
        const ProtobufCBinaryData *data = &((const Google__Protobuf__BytesValue *)msg)->value;
        return data->len ? weir_arena_dup(arena, weir_slice((const char *)data->data, data->len))
                         : WEIR_S("");
    }
    if (msg->descriptor == &google__protobuf__struct__descriptor)
        return struct_bytes(conf, msg, arena);
    return weir_config_pack(conf, msg, arena);
}

void weir_config_warn_untyped(struct weir_config *conf, const ProtobufCMessage *msg, const char *field,
                              const ProtobufCMessageDescriptor *type)
{
    weir_config_warn(conf, msg, field, -1, "without a type, found by its name as Envoy did until 1.21");
    weir_config_hint(conf, "write \"@type\": type.googleapis.com/%s", type->name);
}

bool weir_config_refuse_extension(struct weir_config *conf, const ProtobufCMessage *owner, const char *kind,
                                  struct weir_any any, const char *name)
{
    static const char known[] = "is known to Envoy, not implemented by weir yet";
    const char *type = any.msg ? any.msg->descriptor->name : "";
    if (any.type.len > 0 && !any.msg)
        return false;
    if (weir_slice_starts_with(weir_slice_str(type), WEIR_S("envoy."))) {
        weir_config_error(conf, owner, "typed_config", -1, "the %s %s %s", kind, type, known);
    } else if (any.msg) {
        weir_config_error(conf, owner, "typed_config", -1, "%s is no %s", type, kind);
    } else if (weir_hint_is_extension(weir_slice_str(name))) {
        weir_config_error(conf, owner, "name", -1, "the %s %s %s", kind, name, known);
    } else {
        const char *near = weir_hint_near_extension(weir_slice_str(name));
        weir_config_error(conf, owner, "name", -1,
                          "no %s is called \"%s\", and \"typed_config\" does not give its type", kind, name);
        if (near)
            weir_config_hint(conf, "did you mean \"%s\"?", near);
    }
    return true;
}

/* ---- bytes ---- */

/* A varint at `*at`; false at a malformed one. */
static bool read_varint(const uint8_t **at, const uint8_t *end, uint64_t *ret)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && *at < end; shift += 7) {
        uint8_t byte = *(*at)++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *ret = value;
            return true;
        }
    }
    return false;
}

/* protobuf-c unpacks messages in messages by recursion, as deep as the bytes say: look before. Malformed
 * bytes are not deep; unpacking finds them. */
static bool is_deep(const ProtobufCMessageDescriptor *type, const uint8_t *at, const uint8_t *end,
                    unsigned depth)
{
    if (depth > WEIR_CONFIG_DEPTH_MAX)
        return true;
    uint64_t tag, len;
    while (at < end && read_varint(&at, end, &tag)) {
        switch (tag & 7) {
        case 0:
            if (!read_varint(&at, end, &len))
                return false;
            continue;
        case 1:
            len = 8;
            break;
        case 5:
            len = 4;
            break;
        case 2:
            if (!read_varint(&at, end, &len))
                return false;
            break;
        default:
            return false;
        }
        if (len > (uint64_t)(end - at))
            return false;
        const ProtobufCFieldDescriptor *field =
            (tag & 7) == 2 ? protobuf_c_message_descriptor_get_field(type, (unsigned)(tag >> 3)) : NULL;
        if (field && field->type == PROTOBUF_C_TYPE_MESSAGE &&
            is_deep(weir_schema_message_of(field), at, at + len, depth + 1)) {
            return true;
        }
        at += len;
    }
    return false;
}

static void *arena_alloc(void *arena, size_t size)
{
    return weir_arena_alloc(arena, size);
}

static void arena_free(void *arena, void *ptr)
{
    (void)arena;
    (void)ptr;
}

static ProtobufCMessage *unpack(struct weir_arena *arena, const ProtobufCMessageDescriptor *type,
                                struct weir_slice bytes)
{
    ProtobufCAllocator allocator = {.alloc = arena_alloc, .free = arena_free, .allocator_data = arena};
    const uint8_t *data = (const uint8_t *)bytes.ptr;
    if (is_deep(type, data, data + bytes.len, 0))
        return NULL;
    return protobuf_c_message_unpack(type, &allocator, bytes.len, data);
}

/* What is walked after unpacking. */
struct walk {
    struct weir_config *conf;
    struct weir_reader reader;
    uint16_t source;
    unsigned depth; // Any in Any in Any
};

static void index_message(struct walk *walk, const ProtobufCMessage *msg, const ProtobufCMessage *parent,
                          const ProtobufCFieldDescriptor *field, uint32_t index);

/* ---- TypedStruct: a Struct back to a tree, which is then read like a text ---- */

static const struct weir_node *struct_node(struct walk *walk, const Google__Protobuf__Struct *object);

static const struct weir_node *value_node(struct walk *walk, const Google__Protobuf__Value *value)
{
    struct weir_arena *arena = &walk->conf->index->arena;
    struct weir_node *node = WEIR_ARENA_NEW(arena, struct weir_node);
    node->json = true;
    node->pos.source = walk->source;
    switch (value->kind_case) {
    case GOOGLE__PROTOBUF__VALUE__KIND_BOOL_VALUE:
        node->kind = WEIR_NODE_BOOL;
        node->scalar.is_true = value->bool_value != 0;
        node->scalar.text = node->scalar.is_true ? WEIR_S("true") : WEIR_S("false");
        break;
    case GOOGLE__PROTOBUF__VALUE__KIND_NUMBER_VALUE: {
        int64_t whole;
        node->scalar.text = weir_arena_printf(arena, "%.17g", value->number_value);
        node->kind = weir_node_parse_int(node->scalar.text, &whole) ? WEIR_NODE_INT : WEIR_NODE_FLOAT;
        break;
    }
    case GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE:
        node->kind = WEIR_NODE_STRING;
        node->quoted = true;
        node->scalar.text = weir_arena_dup(arena, weir_slice_str(value->string_value));
        break;
    case GOOGLE__PROTOBUF__VALUE__KIND_LIST_VALUE:
        node->kind = WEIR_NODE_LIST;
        node->list.n = value->list_value->n_values;
        node->list.items = weir_arena_alloc(arena, node->list.n * sizeof(*node->list.items));
        for (size_t i = 0; i < node->list.n; i++) {
            node->list.items[i] = value_node(walk, value->list_value->values[i]);
        }
        break;
    case GOOGLE__PROTOBUF__VALUE__KIND_STRUCT_VALUE:
        return struct_node(walk, value->struct_value);
    case GOOGLE__PROTOBUF__VALUE__KIND_NULL_VALUE:
    case GOOGLE__PROTOBUF__VALUE__KIND__NOT_SET:
    case _GOOGLE__PROTOBUF__VALUE__KIND__CASE_IS_INT_SIZE:
        node->kind = WEIR_NODE_NULL;
        node->scalar.text = WEIR_S("null");
        break;
    }
    return node;
}

static const struct weir_node *struct_node(struct walk *walk, const Google__Protobuf__Struct *object)
{
    static const Google__Protobuf__Value null_value = GOOGLE__PROTOBUF__VALUE__INIT;
    struct weir_arena *arena = &walk->conf->index->arena;
    struct weir_node *node = WEIR_ARENA_NEW(arena, struct weir_node);
    node->kind = WEIR_NODE_MAP;
    node->json = true;
    node->pos.source = walk->source;
    size_t n = object ? object->n_fields : 0;
    node->map.pairs = weir_arena_alloc(arena, n * sizeof(*node->map.pairs));
    for (size_t i = 0; i < n; i++) {
        const Google__Protobuf__Struct__FieldsEntry *entry = object->fields[i];
        node->map.pairs[node->map.n++] = (struct weir_pair){
            .key = weir_arena_dup(arena, weir_slice_str(entry->key)),
            .key_pos = {.source = walk->source},
            .value = value_node(walk, entry->value ? entry->value : &null_value),
        };
    }
    return node;
}

/* ---- the content of an Any ---- */

static void index_any(struct walk *walk, const Google__Protobuf__Any *any)
{
    struct weir_config *conf = walk->conf;
    struct weir_spot spot = {.msg = &any->base, .index = -1};
    struct weir_pos pos = {.source = walk->source};
    struct weir_slice url = weir_slice_str(any->type_url);
    size_t slash = weir_slice_rfind(url, '/');
    struct weir_slice name = slash < url.len ? weir_slice_from(url, slash + 1) : url;
    struct weir_slice bytes = {(const char *)any->value.data, any->value.len};
    weir_index_set_any(conf, any, (struct weir_any){name.len ? name : WEIR_S_NONE, NULL}, NULL);
    if (name.len == 0)
        return;
    const ProtobufCMessageDescriptor *type = weir_schema_type(name);
    if (!type) {
        weir_hint_unknown_type(&walk->reader, &spot, pos, name);
        return;
    }
    ProtobufCMessage *msg = walk->depth < WEIR_CONFIG_DEPTH_MAX ? unpack(&conf->arena, type, bytes) : NULL;
    if (!msg) {
        weir_reader_fail(&walk->reader, &spot, pos, "its bytes are no %s", type->name);
        return;
    }
    if (weir_schema_is_typed_struct(type)) {
        const Xds__Type__V3__TypedStruct *wrapped = (const Xds__Type__V3__TypedStruct *)msg;
        weir_reader_typed_struct(&walk->reader, &spot, any, type, pos, weir_slice_str(wrapped->type_url),
                                 struct_node(walk, wrapped->value));
        return;
    }
    weir_index_set_any(conf, any, (struct weir_any){weir_slice_str(type->name), msg}, NULL);
    walk->depth++;
    index_message(walk, msg, &any->base, NULL, 0);
    walk->depth--;
}

static void index_message(struct walk *walk, const ProtobufCMessage *msg, const ProtobufCMessage *parent,
                          const ProtobufCFieldDescriptor *field, uint32_t index)
{
    enum weir_known_type known = weir_schema_known_type(msg->descriptor);
    weir_index_add(walk->conf, msg, parent, field, index, NULL);
    if (known == WEIR_TYPE_ANY)
        index_any(walk, (const Google__Protobuf__Any *)msg);
    if (known != WEIR_TYPE_PLAIN)
        return;
    for (unsigned i = 0; i < msg->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *inner = &msg->descriptor->fields[i];
        if (inner->type != PROTOBUF_C_TYPE_MESSAGE)
            continue;
        size_t n = weir_schema_count(msg, inner);
        for (size_t k = 0; k < n; k++) {
            const ProtobufCMessage *sub = weir_schema_sub(msg, inner, k);
            if (sub)
                index_message(walk, sub, msg, inner, (uint32_t)k);
        }
    }
}

enum weir_err weir_any_unpack(struct weir_config *conf, uint16_t source, struct weir_slice bytes,
                              const ProtobufCMessageDescriptor *type, ProtobufCMessage **ret)
{
    ProtobufCMessage *msg = unpack(&conf->arena, type, bytes);
    if (!msg) {
        weir_diag_report(conf->diag, WEIR_SEVERITY_ERROR, (struct weir_pos){.source = source}, WEIR_S_NONE,
                         "is not a serialised %s", type->name);
        return WEIR_ERR_INVALID;
    }
    struct walk walk = {.conf = conf, .reader = {conf, &conf->arena}, .source = source};
    index_message(&walk, msg, NULL, NULL, source);
    *ret = msg;
    return WEIR_OK;
}

enum weir_err weir_config_read_bytes(struct weir_config *conf, struct weir_slice name,
                                     struct weir_slice bytes, const ProtobufCMessageDescriptor *type,
                                     ProtobufCMessage **ret)
{
    size_t errors_before = conf->diag->n_errors;
    uint16_t source = weir_diag_add_source(conf->diag, name, WEIR_S_NONE);
    *ret = NULL;
    if (weir_any_unpack(conf, source, bytes, type, ret) == WEIR_OK)
        weir_rules_check(conf, *ret);
    return conf->diag->n_errors > errors_before ? WEIR_ERR_INVALID : WEIR_OK;
}
