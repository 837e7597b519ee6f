/* Questions to protobuf-c's descriptors. Everything the reader, the rules and the printer know about a
 * message comes through here; none of them has a list of fields of its own. */
#include "config/schema.h"

#include <stdlib.h>

#include "config/api_rules.h"

enum weir_known_type weir_schema_known_type(const ProtobufCMessageDescriptor *type)
{
    static const struct {
        const char *name;
        enum weir_known_type type;
    } known[] = {
        {"Any", WEIR_TYPE_ANY},
        {"Duration", WEIR_TYPE_DURATION},
        {"Timestamp", WEIR_TYPE_TIMESTAMP},
        {"BoolValue", WEIR_TYPE_WRAPPER},
        {"BytesValue", WEIR_TYPE_WRAPPER},
        {"DoubleValue", WEIR_TYPE_WRAPPER},
        {"FloatValue", WEIR_TYPE_WRAPPER},
        {"Int32Value", WEIR_TYPE_WRAPPER},
        {"Int64Value", WEIR_TYPE_WRAPPER},
        {"StringValue", WEIR_TYPE_WRAPPER},
        {"UInt32Value", WEIR_TYPE_WRAPPER},
        {"UInt64Value", WEIR_TYPE_WRAPPER},
        {"Struct", WEIR_TYPE_STRUCT},
        {"Value", WEIR_TYPE_VALUE},
        {"ListValue", WEIR_TYPE_LIST_VALUE},
        {"Empty", WEIR_TYPE_EMPTY},
    };
    if (strcmp(type->package_name, "google.protobuf") != 0)
        return WEIR_TYPE_PLAIN;
    for (size_t i = 0; i < WEIR_COUNTOF(known); i++) {
        if (strcmp(type->short_name, known[i].name) == 0)
            return known[i].type;
    }
    return WEIR_TYPE_PLAIN;
}

bool weir_schema_is_typed_struct(const ProtobufCMessageDescriptor *type)
{
    return strcmp(type->name, "udpa.type.v1.TypedStruct") == 0 ||
           strcmp(type->name, "xds.type.v3.TypedStruct") == 0;
}

static int compare_type(const void *key, const void *element)
{
    const struct weir_slice *name = key;
    const ProtobufCMessageDescriptor *const *type = element;
    return weir_slice_cmp(*name, weir_slice_str((*type)->name));
}

const ProtobufCMessageDescriptor *weir_schema_type(struct weir_slice name)
{
    const ProtobufCMessageDescriptor *const *found =
        bsearch(&name, weir_api_messages, weir_api_n_messages, sizeof(*weir_api_messages), compare_type);
    return found ? *found : NULL;
}

/* Is `name` the lowerCamelCase of `snake`? As protobuf makes it: an underscore goes and the next letter
 * rises. */
static bool is_camel_of(const char *snake, struct weir_slice name)
{
    bool rise = false;
    size_t i = 0;
    for (const char *c = snake; *c; c++) {
        if (*c == '_') {
            rise = true;
            continue;
        }
        char want = rise && *c >= 'a' && *c <= 'z' ? (char)(*c & ~0x20) : *c;
        if (i == name.len || name.ptr[i] != want)
            return false;
        rise = false;
        i++;
    }
    return i == name.len;
}

bool weir_schema_is_named(const ProtobufCFieldDescriptor *field, struct weir_slice name)
{
    return weir_slice_eq(name, weir_slice_str(field->name)) || is_camel_of(field->name, name);
}

const ProtobufCFieldDescriptor *weir_schema_field(const ProtobufCMessageDescriptor *type,
                                                  struct weir_slice name)
{
    if (strlen(name.ptr) != name.len)
        return NULL;
    const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field_by_name(type, name.ptr);
    for (unsigned i = 0; i < type->n_fields && !field; i++) {
        if (is_camel_of(type->fields[i].name, name))
            field = &type->fields[i];
    }
    return field;
}

bool weir_schema_is_map_entry(const ProtobufCMessageDescriptor *type)
{
    return type->n_fields == 2 && type->fields[0].id == 1 && type->fields[1].id == 2 &&
           strcmp(type->fields[0].name, "key") == 0 && strcmp(type->fields[1].name, "value") == 0 &&
           weir_slice_ends_with(weir_slice_str(type->short_name), WEIR_S("Entry"));
}

bool weir_schema_is_map(const ProtobufCFieldDescriptor *field)
{
    return field->label == PROTOBUF_C_LABEL_REPEATED && field->type == PROTOBUF_C_TYPE_MESSAGE &&
           weir_schema_is_map_entry(weir_schema_message_of(field));
}

static bool is_nonzero(const void *member, size_t size)
{
    static const char zeros[16];
    return memcmp(member, zeros, size) != 0;
}

size_t weir_schema_count(const ProtobufCMessage *msg, const ProtobufCFieldDescriptor *field)
{
    const void *member = weir_schema_member(msg, field);
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return *(const size_t *)weir_schema_quantifier(msg, field);
    if (weir_schema_is_oneof(field))
        return *(const uint32_t *)weir_schema_quantifier(msg, field) == field->id;
    if (field->label == PROTOBUF_C_LABEL_OPTIONAL && field->quantifier_offset) {
        return *(const protobuf_c_boolean *)weir_schema_quantifier(msg, field) != 0;
    }
    if (field->type == PROTOBUF_C_TYPE_STRING) {
        const char *text = *(const char *const *)member;
        return text && *text;
    }
    if (field->type == PROTOBUF_C_TYPE_BYTES)
        return ((const ProtobufCBinaryData *)member)->len > 0;
    return is_nonzero(member, weir_schema_size(field->type));
}

size_t weir_schema_size(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return 8;
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_ENUM:
        return 4;
    }
    return 4;
}

void *weir_schema_element(const ProtobufCMessage *msg, const ProtobufCFieldDescriptor *field, size_t index)
{
    void *member = weir_schema_member(msg, field);
    if (field->label != PROTOBUF_C_LABEL_REPEATED)
        return member;
    return *(char **)member + index * weir_schema_size(field->type);
}

ProtobufCMessage *weir_schema_sub(const ProtobufCMessage *msg, const ProtobufCFieldDescriptor *field,
                                  size_t index)
{
    if (weir_schema_count(msg, field) <= index)
        return NULL;
    return *(ProtobufCMessage **)weir_schema_element(msg, field, index);
}

ProtobufCMessage *weir_schema_new(struct weir_arena *arena, const ProtobufCMessageDescriptor *type)
{
    ProtobufCMessage *msg = weir_arena_zalloc(arena, type->sizeof_message);
    type->message_init(msg);
    return msg;
}
