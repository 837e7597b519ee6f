/* What the user may have meant. Private to src/config. */
#ifndef WEIR_CONFIG_HINTS_H
#define WEIR_CONFIG_HINTS_H

#include "config/proto_reader.h"

/** Reports a key that is no field of `msg`, with what was probably meant. */
void weir_hint_unknown_field(struct weir_reader *reader, const ProtobufCMessage *msg,
                             const struct weir_pair *pair);
/** Warns that a deprecated field is used. */
void weir_hint_deprecated_field(struct weir_reader *reader, const struct weir_spot *spot,
                                struct weir_pos pos);
/** Warns if the value of the enum is deprecated. */
void weir_hint_deprecated_value(struct weir_reader *reader, const struct weir_spot *spot, struct weir_pos pos,
                                const ProtobufCEnumDescriptor *type, int32_t value);
/** Reports that no message type has the name `name`: names of removed API versions, contrib names, typing
 * mistakes. */
void weir_hint_unknown_type(struct weir_reader *reader, const struct weir_spot *spot, struct weir_pos pos,
                            struct weir_slice name);
/** The message type that extensions of this name have ("envoy.filters.http.router"), or NULL. */
const char *weir_hint_type_of_extension(struct weir_slice name);
/** Does Envoy have an extension of this name? */
bool weir_hint_is_extension(struct weir_slice name);
/** The name of an extension that is nearest to this one, or NULL when none is near. */
const char *weir_hint_near_extension(struct weir_slice name);

/** Edits (insert, delete, replace, swap neighbours) between two names, ASCII case and '_' ignored; max + 1
 * when more. */
size_t weir_hint_distance(struct weir_slice a, struct weir_slice b, size_t max);
/** How many edits still look like a typing mistake in a name of this length. */
size_t weir_hint_tolerance(size_t len);

#endif
