/* The side tables of a configuration: where each message stands and what each Any holds. Private to
 * src/config. */
#ifndef WEIR_CONFIG_INDEX_H
#define WEIR_CONFIG_INDEX_H

#include "config/config.h"

/* A field that could not be read: already reported, so that no rule complains about it once more. */
struct weir_bad_field {
    struct weir_bad_field *next;
    const ProtobufCFieldDescriptor *field;
};

/* Where a message stands. */
struct weir_place {
    const ProtobufCMessage *msg;
    const ProtobufCMessage *parent;        // NULL: the root
    const ProtobufCFieldDescriptor *field; // of the parent; NULL: the content of the parent, which is an Any
    uint32_t index;                        // in a repeated field
    const struct weir_node *node;          // NULL: it came as bytes
    const struct weir_node *older;         // the text under it, when an overlay was merged over it
    struct weir_bad_field *bad;
};

/* What an Any holds. */
struct weir_any_slot {
    struct weir_any content;
    const ProtobufCMessageDescriptor *wrapper; // the TypedStruct that it came in, or NULL
};

/* Pointer to pointer, open addressing. */
struct weir_ptr_map {
    struct weir_ptr_slot {
        const void *key;
        void *value;
    } * slots;
    size_t len, cap;
};

struct weir_config_index {
    struct weir_arena arena;    // trees and places
    struct weir_ptr_map places; // message -> struct weir_place
    struct weir_ptr_map anys;   // Any -> struct weir_any_slot
    bool any_bad;               // some place has a bad field
};

void weir_ptr_map_fini(struct weir_ptr_map *map);
void *weir_ptr_map_get(const struct weir_ptr_map *map, const void *key);
void weir_ptr_map_set(struct weir_ptr_map *map, const void *key, void *value);

/** Notes where `msg` stands; a second node of the same message (overlay) goes before the first. */
void weir_index_add(struct weir_config *conf, const ProtobufCMessage *msg, const ProtobufCMessage *parent,
                    const ProtobufCFieldDescriptor *field, uint32_t index, const struct weir_node *node);
struct weir_place *weir_index_place(const struct weir_config *conf, const void *msg);
void weir_index_set_any(struct weir_config *conf, const Google__Protobuf__Any *any, struct weir_any content,
                        const ProtobufCMessageDescriptor *wrapper);
const struct weir_any_slot *weir_index_any(const struct weir_config *conf, const Google__Protobuf__Any *any);
void weir_index_mark_bad(struct weir_config *conf, const ProtobufCMessage *msg,
                         const ProtobufCFieldDescriptor *field);
bool weir_index_is_bad(const struct weir_config *conf, const ProtobufCMessage *msg,
                       const ProtobufCFieldDescriptor *field);

/** Reports at `pos`, with the path of `msg` and, if not NULL, of its field and element. */
WEIR_PRINTF(7, 8)
void weir_index_report(struct weir_config *conf, enum weir_severity severity, struct weir_pos pos,
                       const void *msg, const ProtobufCFieldDescriptor *field, int index, const char *fmt,
                       ...);

WEIR_PRINTF(7, 0)
void weir_index_vreport(struct weir_config *conf, enum weir_severity severity, struct weir_pos pos,
                        const void *msg, const ProtobufCFieldDescriptor *field, int index, const char *fmt,
                        va_list args);

#endif
