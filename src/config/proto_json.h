/* Messages to JSON, as Envoy's admin prints them: proto field names, fields in the order of their numbers,
 * "@type" first in an Any, durations as "1.5s", unset fields left out, one space of indentation. */
#ifndef WEIR_CONFIG_PROTO_JSON_H
#define WEIR_CONFIG_PROTO_JSON_H

#include "base/str.h"
#include "config/config.h"

struct weir_proto_json_style {
    bool compact; // no line breaks and no spaces
    bool redact;  // fields marked sensitive in the schema (private keys, passwords) become "[redacted]"
    int indent;   // levels that the surrounding text is indented already
};

/** Appends `msg` to `out`. `conf` (NULL = none) knows what its Any messages hold; others are unpacked if
 *  their type is known, and print as {"@type", "value": base64} if not. */
void weir_proto_json(struct weir_str *out, const struct weir_config *conf, const void *msg,
                     const struct weir_proto_json_style *style);
/** Appends the value of one field (neither repeated nor a message) as JSON. */
void weir_proto_json_value(struct weir_str *out, const ProtobufCMessage *msg,
                           const ProtobufCFieldDescriptor *field);

#endif
