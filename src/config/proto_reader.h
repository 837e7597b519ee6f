/* The reader's parts to each other: proto_reader.c walks messages, proto_scalar.c and proto_known.c read the
 * values in them. Private to src/config. */
#ifndef WEIR_CONFIG_PROTO_READER_H
#define WEIR_CONFIG_PROTO_READER_H

#include "config/index.h"
#include "config/schema.h"

struct weir_reader {
    struct weir_config *conf;
    struct weir_arena *arena; // of the messages
};

/* A field being read, for reports: the message, its field, and the element (-1: none). */
struct weir_spot {
    const ProtobufCMessage *msg;
    const ProtobufCFieldDescriptor *field;
    int index;
};

/** Reports an error at `pos` and notes that the field is bad. Returns false. */
WEIR_PRINTF(4, 5)
bool weir_reader_fail(struct weir_reader *reader, const struct weir_spot *spot, struct weir_pos pos,
                      const char *fmt, ...);
WEIR_PRINTF(4, 5)
void weir_reader_warn(struct weir_reader *reader, const struct weir_spot *spot, struct weir_pos pos,
                      const char *fmt, ...);

/** Reads the fields of `msg` (not a well-known type) from a map; the key `skip` (may be absent) is passed
 *  over. Everything wrong is reported; what could be read is set. */
void weir_reader_fields(struct weir_reader *reader, ProtobufCMessage *msg, const struct weir_node *node,
                        struct weir_slice skip);
/** Reads a message of any type, well-known ones too. */
void weir_reader_message(struct weir_reader *reader, const struct weir_spot *spot, ProtobufCMessage *msg,
                         const struct weir_node *node);

/** Reads one value of the type of `type` (not a message) into `out`. False after a report. */
bool weir_reader_scalar(struct weir_reader *reader, const struct weir_spot *spot,
                        const ProtobufCFieldDescriptor *type, const struct weir_node *node, void *out);
/** Reads a Duration, Timestamp, Struct, Value or ListValue. */
bool weir_reader_known(struct weir_reader *reader, const struct weir_spot *spot, enum weir_known_type known,
                       ProtobufCMessage *msg, const struct weir_node *node);
/** Reads the message that a TypedStruct stands for, `value` as the type that `url` (at `pos`) names, and
 *  makes it the content of `any`. `wrapper` is the TypedStruct's own type. */
void weir_reader_typed_struct(struct weir_reader *reader, const struct weir_spot *spot,
                              const Google__Protobuf__Any *any, const ProtobufCMessageDescriptor *wrapper,
                              struct weir_pos pos, struct weir_slice url, const struct weir_node *value);

#endif
