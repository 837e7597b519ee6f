/* The node tree: building it, typing plain scalars, looking keys up. The texts come from yaml.c and json.c.
 * */
#include "config/node.h"

#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"
#include "config/limits.h"
#include "config/node_build.h"

#define LINEAR_MAX 12 // keys of a map compared one by one; more of them are hashed

/* ---- scalars ----
 * Envoy reads YAML with yaml-cpp: null, then booleans, then integers, then everything else is text. */

static bool is_one_of(struct weir_slice text, const char *const *words, size_t n_words)
{
    for (size_t i = 0; i < n_words; i++) {
        if (weir_slice_eq(text, weir_slice_str(words[i])))
            return true;
    }
    return false;
}

static bool is_null(struct weir_slice text)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};
    return is_one_of(text, words, WEIR_COUNTOF(words));
}

/* All lower, all upper, or the first letter upper: "yes", "YES", "Yes", not "yEs". */
static bool is_flexible_case(struct weir_slice text)
{
    bool upper_first = text.ptr[0] >= 'A' && text.ptr[0] <= 'Z';
    size_t n_upper = 0;
    for (size_t i = 0; i < text.len; i++)
        n_upper += text.ptr[i] >= 'A' && text.ptr[i] <= 'Z';
    return n_upper == 0 || n_upper == text.len || (upper_first && n_upper == 1);
}

static bool is_bool(struct weir_slice text, bool *ret_value)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {{"true", true}, {"false", false}, {"yes", true}, {"no", false},
                 {"on", true},   {"off", false},   {"y", true},   {"n", false}};
    if (text.len == 0 || text.len > 5 || !is_flexible_case(text))
        return false;
    for (size_t i = 0; i < WEIR_COUNTOF(words); i++) {
        if (weir_slice_eq_nocase(text, weir_slice_str(words[i].word))) {
            *ret_value = words[i].value;
            return true;
        }
    }
    return false;
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = weir_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
}

bool weir_node_parse_int(struct weir_slice text, int64_t *ret)
{
    size_t i = 0;
    bool negative = text.len > 0 && text.ptr[0] == '-';
    if (text.len > 0 && (text.ptr[0] == '-' || text.ptr[0] == '+'))
        i++;
    int base = 10;
    if (text.len - i > 2 && text.ptr[i] == '0' && (text.ptr[i + 1] | 0x20) == 'x') {
        base = 16;
        i += 2;
    } else if (text.len - i > 1 && text.ptr[i] == '0') {
        base = 8;
        i++;
    }
    if (i >= text.len)
        return false;
    int64_t value = 0;
    for (; i < text.len; i++) {
        int digit = digit_value(text.ptr[i]);
        if (digit >= base || __builtin_mul_overflow(value, (int64_t)base, &value) ||
            __builtin_sub_overflow(value, (int64_t)digit, &value)) {
            return false;
        }
    }
    if (!negative && value == INT64_MIN)
        return false;
    *ret = negative ? value : -value;
    return true;
}

void weir_node_build_plain(struct weir_node *node, struct weir_slice text)
{
    int64_t number;
    double fraction;
    bool truth = false;
    node->scalar.text = text;
    if (is_null(text)) {
        node->kind = WEIR_NODE_NULL;
    } else if (is_bool(text, &truth)) {
        node->kind = WEIR_NODE_BOOL;
        node->scalar.is_true = truth;
    } else if (weir_node_parse_int(text, &number)) {
        node->kind = WEIR_NODE_INT;
    } else if (weir_parse_double(text, &fraction) == WEIR_OK) {
        node->kind = WEIR_NODE_FLOAT;
    } else {
        node->kind = WEIR_NODE_STRING;
    }
}

/* ---- building ---- */

void weir_node_build_init(struct weir_node_build *build, struct weir_arena *arena, struct weir_diag *diag,
                          uint16_t source)
{
    *build = (struct weir_node_build){.arena = arena, .diag = diag, .source = source};
}

void weir_node_build_fini(struct weir_node_build *build)
{
    weir_free(build->stack);
    build->stack = NULL;
}

enum weir_err weir_node_build_open(struct weir_node_build *build, struct weir_pos pos)
{
    if (build->depth >= WEIR_CONFIG_DEPTH_MAX) {
        weir_diag_report(build->diag, WEIR_SEVERITY_ERROR, pos, WEIR_S_NONE,
                         "more than %d lists and maps inside each other", WEIR_CONFIG_DEPTH_MAX);
        return WEIR_ERR_LIMIT;
    }
    build->depth++;
    return WEIR_OK;
}

struct weir_node *weir_node_build_new(struct weir_node_build *build, enum weir_node_kind kind,
                                      struct weir_pos pos)
{
    if (build->n_nodes >= WEIR_CONFIG_NODES_MAX) {
        weir_diag_report(build->diag, WEIR_SEVERITY_ERROR, pos, WEIR_S_NONE, "more than %u values",
                         (unsigned)WEIR_CONFIG_NODES_MAX);
        return NULL;
    }
    build->n_nodes++;
    struct weir_node *node = WEIR_ARENA_NEW(build->arena, struct weir_node);
    node->kind = kind;
    node->pos = pos;
    node->json = build->json;
    return node;
}

void weir_node_build_push(struct weir_node_build *build, struct weir_slice key, struct weir_pos key_pos,
                          const struct weir_node *value)
{
    if (build->n_stack == build->cap_stack) {
        build->cap_stack = build->cap_stack ? build->cap_stack * 2 : 64;
        build->stack = weir_xrealloc(build->stack, build->cap_stack * sizeof(*build->stack));
    }
    build->stack[build->n_stack++] = (struct weir_pair){key, key_pos, value};
}

void weir_node_build_list(struct weir_node_build *build, struct weir_node *node, size_t base)
{
    size_t n = build->n_stack - base;
    node->list.n = n;
    node->list.items = weir_arena_alloc(build->arena, n * sizeof(*node->list.items));
    for (size_t i = 0; i < n; i++)
        node->list.items[i] = build->stack[base + i].value;
    build->n_stack = base;
    build->depth--;
}

static void report_duplicate(struct weir_node_build *build, const struct weir_pair *first,
                             const struct weir_pair *second)
{
    weir_diag_report(build->diag, WEIR_SEVERITY_WARNING, second->key_pos, WEIR_S_NONE,
                     "key \"%.*s\" occurs twice: this one replaces line %u", WEIR_SARG(second->key),
                     (unsigned)first->key_pos.line);
}

/* Replaces the value of an earlier equal key; false when there is none. */
static bool merge_duplicate(struct weir_node_build *build, struct weir_pair *earlier,
                            const struct weir_pair *pair)
{
    if (!earlier)
        return false;
    report_duplicate(build, earlier, pair);
    *earlier = *pair;
    return true;
}

static size_t unique_linear(struct weir_node_build *build, struct weir_pair *pairs, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        struct weir_pair *earlier = NULL;
        for (size_t k = 0; k < kept && !earlier; k++) {
            if (weir_slice_eq(pairs[k].key, pairs[i].key))
                earlier = &pairs[k];
        }
        if (!merge_duplicate(build, earlier, &pairs[i]))
            pairs[kept++] = pairs[i];
    }
    return kept;
}

static size_t unique_hashed(struct weir_node_build *build, struct weir_pair *pairs, size_t n)
{
    struct weir_map seen;
    weir_map_init(&seen);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (merge_duplicate(build, weir_map_get(&seen, pairs[i].key), &pairs[i]))
            continue;
        pairs[kept] = pairs[i];
        (void)weir_map_set(&seen, pairs[kept].key, &pairs[kept]);
        kept++;
    }
    weir_map_fini(&seen);
    return kept;
}

void weir_node_build_map(struct weir_node_build *build, struct weir_node *node, size_t base)
{
    struct weir_pair *pairs = build->stack + base;
    size_t n = build->n_stack - base;
    n = n <= LINEAR_MAX ? unique_linear(build, pairs, n) : unique_hashed(build, pairs, n);
    node->map.n = n;
    node->map.pairs = weir_arena_alloc(build->arena, n * sizeof(*pairs));
    if (n > 0)
        memcpy(node->map.pairs, pairs, n * sizeof(*pairs));
    build->n_stack = base;
    build->depth--;
}

/* ---- access ---- */

const struct weir_pair *weir_node_pair(const struct weir_node *node, struct weir_slice key)
{
    if (!node || node->kind != WEIR_NODE_MAP)
        return NULL;
    for (size_t i = 0; i < node->map.n; i++) {
        if (weir_slice_eq(node->map.pairs[i].key, key))
            return &node->map.pairs[i];
    }
    return NULL;
}

const struct weir_node *weir_node_get(const struct weir_node *node, struct weir_slice key)
{
    const struct weir_pair *pair = weir_node_pair(node, key);
    return pair ? pair->value : NULL;
}

const char *weir_node_kind_text(const struct weir_node *node)
{
    switch (node->kind) {
    case WEIR_NODE_NULL:
        return "null";
    case WEIR_NODE_BOOL:
        return "a boolean";
    case WEIR_NODE_INT:
    case WEIR_NODE_FLOAT:
        return "a number";
    case WEIR_NODE_STRING:
        return "a string";
    case WEIR_NODE_LIST:
        return "a list";
    case WEIR_NODE_MAP:
        return "an object";
    }
    return "a value";
}
