/* Questions to protobuf-c's descriptors: fields by their names in either case, map entries, well-known types,
 * and the registry of all types. Private to src/config. */
#ifndef WEIR_CONFIG_SCHEMA_H
#define WEIR_CONFIG_SCHEMA_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

#include "base/arena.h"
#include "base/slice.h"

enum weir_known_type {
    WEIR_TYPE_PLAIN, // a message like any other
    WEIR_TYPE_ANY,
    WEIR_TYPE_DURATION,
    WEIR_TYPE_TIMESTAMP,
    WEIR_TYPE_WRAPPER, // BoolValue, UInt32Value, ...: one field "value"
    WEIR_TYPE_STRUCT,
    WEIR_TYPE_VALUE,
    WEIR_TYPE_LIST_VALUE,
    WEIR_TYPE_EMPTY,
};
enum weir_known_type weir_schema_known_type(const ProtobufCMessageDescriptor *type);
/** udpa.type.v1.TypedStruct or xds.type.v3.TypedStruct (same fields). */
bool weir_schema_is_typed_struct(const ProtobufCMessageDescriptor *type);

/** The message type of this full name, or NULL. */
const ProtobufCMessageDescriptor *weir_schema_type(struct weir_slice name);
/** The field of this name, in snake_case or lowerCamelCase; NULL when there is none. `name` ends with a NUL.
 * */
const ProtobufCFieldDescriptor *weir_schema_field(const ProtobufCMessageDescriptor *type,
                                                  struct weir_slice name);
/** Whether `name` means `field`, in either case. */
bool weir_schema_is_named(const ProtobufCFieldDescriptor *field, struct weir_slice name);
/** Is it the entry type of a map field (fields "key" and "value")? */
bool weir_schema_is_map_entry(const ProtobufCMessageDescriptor *type);
bool weir_schema_is_map(const ProtobufCFieldDescriptor *field);

static inline const ProtobufCMessageDescriptor *weir_schema_message_of(const ProtobufCFieldDescriptor *field)
{
    return (const ProtobufCMessageDescriptor *)field->descriptor;
}
static inline const ProtobufCEnumDescriptor *weir_schema_enum_of(const ProtobufCFieldDescriptor *field)
{
    return (const ProtobufCEnumDescriptor *)field->descriptor;
}
static inline void *weir_schema_member(const ProtobufCMessage *msg, const ProtobufCFieldDescriptor *field)
{
    return (char *)(uintptr_t)msg + field->offset;
}
/** The count of a repeated field, or the case of a oneof. */
static inline void *weir_schema_quantifier(const ProtobufCMessage *msg, const ProtobufCFieldDescriptor *field)
{
    return (char *)(uintptr_t)msg + field->quantifier_offset;
}
static inline bool weir_schema_is_oneof(const ProtobufCFieldDescriptor *field)
{
    return (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
}
/** Number of elements: of a repeated field its count, else 1 when it differs from "unset", else 0. */
size_t weir_schema_count(const ProtobufCMessage *msg, const ProtobufCFieldDescriptor *field);
/** Size of one element of this type in memory. */
size_t weir_schema_size(ProtobufCType type);
/** The element `index` of a repeated field, or the member itself. */
void *weir_schema_element(const ProtobufCMessage *msg, const ProtobufCFieldDescriptor *field, size_t index);
/** The message in a field of message type; NULL when unset. */
ProtobufCMessage *weir_schema_sub(const ProtobufCMessage *msg, const ProtobufCFieldDescriptor *field,
                                  size_t index);
/** A new message with every field at its default. */
ProtobufCMessage *weir_schema_new(struct weir_arena *arena, const ProtobufCMessageDescriptor *type);

#endif
