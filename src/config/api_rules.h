/* What the generator in third_party/envoy-api emits beside the protobuf-c code: the registry of message
 * types, and the rules of validate/validate.proto and the annotations as tables. rules.c enforces them.
 *
 * The generator writes one envoy_api_rules.c that includes this header and defines the tables at the bottom.
 * For each field with options:
 *   - one row for each rule that is set, in any order; IN and NOT_IN have one row for each member of their
 *   set;
 *   - `field` is the field's number; `scope` is SELF for a rule on the field, ITEM for repeated.items,
 *     KEY and VALUE for map.keys and map.values;
 *   - the operand is in `.i` for integers, enums, sizes and counts, in `.d` for float and double, in `.s` for
 *     text, and for durations and timestamps in `.i` as nanoseconds;
 *   - limits of unsigned 64-bit fields above INT64_MAX are left out.
 * Rules that no message uses are not listed: should one appear, the table does not compile. Messages with
 * (validate.disabled) or (validate.ignored) have no rows; a field with message.skip has a SKIP row. */
#ifndef WEIR_CONFIG_API_RULES_H
#define WEIR_CONFIG_API_RULES_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum weir_rule_scope {
    WEIR_RULE_SELF,
    WEIR_RULE_ITEM,
    WEIR_RULE_KEY,
    WEIR_RULE_VALUE,
};

enum weir_rule_op {
    /* messages, Any, Duration, Timestamp */
    WEIR_RULE_REQUIRED, // message.required, any.required, duration.required, timestamp.required
    WEIR_RULE_SKIP,     // message.skip: do not look inside
    WEIR_RULE_ONEOF,    // (validate.required) on a oneof: .s = its name, field = number of its first member
    /* numbers, durations */
    WEIR_RULE_LT, // .i or .d
    WEIR_RULE_LTE,
    WEIR_RULE_GT,
    WEIR_RULE_GTE,
    /* numbers, strings, enums, bools, durations, Any type URLs */
    WEIR_RULE_CONST, // .i, .d or .s
    WEIR_RULE_IN,
    WEIR_RULE_NOT_IN,
    WEIR_RULE_DEFINED_ONLY, // enum: no numbers without a name
    /* strings and bytes */
    WEIR_RULE_MIN_LEN,   // .i characters
    WEIR_RULE_MAX_LEN,   // .i characters
    WEIR_RULE_MIN_BYTES, // .i octets
    WEIR_RULE_MAX_BYTES, // .i octets
    WEIR_RULE_PATTERN,   // .s RE2 expression
    WEIR_RULE_PREFIX,    // .s
    WEIR_RULE_SUFFIX,
    WEIR_RULE_HEADER_NAME,  // well_known_regex HTTP_HEADER_NAME; .i = strict (1 unless strict: false)
    WEIR_RULE_HEADER_VALUE, // well_known_regex HTTP_HEADER_VALUE; .i = strict
    /* repeated and map */
    WEIR_RULE_MIN_ITEMS, // .i; also map.min_pairs
    WEIR_RULE_MAX_ITEMS, // .i; also map.max_pairs
    WEIR_RULE_UNIQUE,
    /* any of the kinds that have it */
    WEIR_RULE_IGNORE_EMPTY, // the other rules hold only when the value is not its default
    /* annotations, no operand */
    WEIR_RULE_SENSITIVE,  // udpa.annotations.sensitive: never print
    WEIR_RULE_DISALLOWED, // envoy.annotations.disallowed_by_default: deprecated, and refused by Envoy
};

struct weir_rule {
    uint32_t field;
    uint8_t scope; // enum weir_rule_scope
    uint8_t op;    // enum weir_rule_op
    union {
        int64_t i;
        double d;
        const char *s;
    };
};

struct weir_message_rules {
    const char *name; // full message name
    const struct weir_rule *rules;
    size_t n_rules;
};

/** Rules of all messages that have any, sorted by name (strcmp). */
extern const struct weir_message_rules weir_api_rules[];
extern const size_t weir_api_n_rules;
/** Every message type of the schema, nested ones too (map entries not), sorted by name (strcmp). */
extern const ProtobufCMessageDescriptor *const weir_api_messages[];
extern const size_t weir_api_n_messages;

/** What a message of an earlier version of the API has become: "envoy.api.v2.Cluster" is
 * envoy.config.cluster.v3.Cluster. */
struct weir_former_name {
    const char *name;
    const ProtobufCMessageDescriptor *now;
};
/** Sorted by name (strcmp). */
extern const struct weir_former_name weir_api_former_names[];
extern const size_t weir_api_n_former_names;

/** A deprecated value of an enum. protobuf-c knows deprecated fields, but not deprecated values. */
struct weir_deprecated_value {
    const char *name; // of the enum, in full
    int32_t value;
    bool disallowed; // and refused by Envoy
};
/** Sorted by name (strcmp), then in the order of the .proto file. */
extern const struct weir_deprecated_value weir_api_deprecated_values[];
extern const size_t weir_api_n_deprecated_values;

#endif
