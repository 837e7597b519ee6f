/* A configuration text as a tree of values, each with its place. YAML (1.1 scalars, as Envoy's yaml-cpp types
 * them) and JSON give the same tree. It knows nothing of messages: proto_reader.c gives the values their
 * meaning. */
#ifndef WEIR_CONFIG_NODE_H
#define WEIR_CONFIG_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/slice.h"
#include "config/diag.h"

enum weir_node_kind {
    WEIR_NODE_NULL,
    WEIR_NODE_BOOL,
    WEIR_NODE_INT,   // fits int64 or uint64; hexadecimal and octal included
    WEIR_NODE_FLOAT, // reads as a number with a fraction or exponent
    WEIR_NODE_STRING,
    WEIR_NODE_LIST,
    WEIR_NODE_MAP,
};

struct weir_node;

struct weir_pair {
    struct weir_slice key;
    struct weir_pos key_pos;
    const struct weir_node *value;
};

struct weir_node {
    enum weir_node_kind kind;
    bool quoted; // a scalar that the file quotes
    bool json;   // read from JSON, where 1.5 is a number and never text
    struct weir_pos pos;
    union {
        struct {
            struct weir_slice text; // as written, unescaped; NUL-terminated beyond its length
            bool is_true;           // WEIR_NODE_BOOL
        } scalar;
        struct {
            const struct weir_node **items;
            size_t n;
        } list;
        struct {
            struct weir_pair *pairs; // in the file's order; a key occurs once
            size_t n;
        } map;
    };
};

/** Reads the first document of a YAML text.
 *  Owns:   copies everything into `arena`; `text` may go.
 *  Errors: WEIR_ERR_SYNTAX, or WEIR_ERR_LIMIT (limits.h), with a diagnostic at the place; `*ret` untouched.
 *  Rule:   aliases share their node; "<<" merges; a key tagged !ignore is dropped; of equal keys the last
 *          wins, with a warning that names both lines. An empty text is an error, `{}` is not. */
WEIR_MUST_CHECK enum weir_err weir_node_read_yaml(struct weir_arena *arena, struct weir_diag *diag,
                                                  uint16_t source, struct weir_slice text,
                                                  const struct weir_node **ret);
/** The same for JSON (RFC 8259, strict: no comments, no trailing commas). */
WEIR_MUST_CHECK enum weir_err weir_node_read_json(struct weir_arena *arena, struct weir_diag *diag,
                                                  uint16_t source, struct weir_slice text,
                                                  const struct weir_node **ret);

/** The value of `key` in a map; NULL when absent or when `node` is no map. */
const struct weir_node *weir_node_get(const struct weir_node *node, struct weir_slice key);
/** The pair of `key` in a map, or NULL. */
const struct weir_pair *weir_node_pair(const struct weir_node *node, struct weir_slice key);
/** "a list", "a string", ... for messages. */
const char *weir_node_kind_text(const struct weir_node *node);

#endif
