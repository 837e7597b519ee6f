/* Building a node tree: what the YAML and the JSON front ends share. Private to src/config. */
#ifndef WEIR_CONFIG_NODE_BUILD_H
#define WEIR_CONFIG_NODE_BUILD_H

#include "config/node.h"

struct weir_node_build {
    struct weir_arena *arena;
    struct weir_diag *diag;
    uint16_t source;
    bool json;      // the nodes come from a JSON file
    uint32_t depth; // lists and maps open now
    size_t n_nodes;
    /* Values of the open lists and maps, innermost last; weir_node_build_list and _map cut theirs off. */
    struct weir_pair *stack;
    size_t n_stack, cap_stack;
};

void weir_node_build_init(struct weir_node_build *build, struct weir_arena *arena, struct weir_diag *diag,
                          uint16_t source);
void weir_node_build_fini(struct weir_node_build *build);

/** One more list or map opens at `pos`. WEIR_ERR_LIMIT (reported) when that is too deep. */
WEIR_MUST_CHECK enum weir_err weir_node_build_open(struct weir_node_build *build, struct weir_pos pos);
/** A new node; NULL (reported) when there are too many. */
struct weir_node *weir_node_build_new(struct weir_node_build *build, enum weir_node_kind kind,
                                      struct weir_pos pos);
/** Types a plain (unquoted) scalar as YAML 1.1 does. `text` must live in the arena. */
void weir_node_build_plain(struct weir_node *node, struct weir_slice text);
void weir_node_build_push(struct weir_node_build *build, struct weir_slice key, struct weir_pos key_pos,
                          const struct weir_node *value);
/** Closes the innermost list or map: everything pushed since the stack had `base` entries becomes its
 * content. */
void weir_node_build_list(struct weir_node_build *build, struct weir_node *node, size_t base);
/** Of equal keys the last wins; each earlier one is reported. */
void weir_node_build_map(struct weir_node_build *build, struct weir_node *node, size_t base);

/** `text` (plain, as YAML 1.1 writes integers) as a number. False when it is none or does not fit. */
bool weir_node_parse_int(struct weir_slice text, int64_t *ret);

/** weir_node_read_json; the nodes are marked as JSON's or not. */
WEIR_MUST_CHECK enum weir_err weir_node_read_json_as(struct weir_arena *arena, struct weir_diag *diag,
                                                     uint16_t source, struct weir_slice text, bool json,
                                                     const struct weir_node **ret);

#endif
