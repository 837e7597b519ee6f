/* COALESCE: {"operators": ["NAME", {"command": "REQ", "param": ":path", "max_length": 9}]}. Rule: Envoy 1.38
 * coalesce_formatter.cc. */
#include "config/diag.h"
#include "config/node.h"
#include "proxy/formatter_priv.h"

struct choices {
    uint32_t n;
    struct weir_format_op v[];
};

static enum weir_err one(struct weir_arena *arena, const struct weir_node *node, struct weir_format_op *ret,
                         struct weir_format_error *err)
{
    if (node->kind == WEIR_NODE_STRING)
        return weir_format_op_new(arena, node->scalar.text, WEIR_S_NONE, ret, err);
    const struct weir_node *command = weir_node_get(node, WEIR_S("command")),
                           *param = weir_node_get(node, WEIR_S("param"));
    const struct weir_node *limit = weir_node_get(node, WEIR_S("max_length"));
    if (!command || command->kind != WEIR_NODE_STRING || (param && param->kind != WEIR_NODE_STRING))
        return weir_format_fail(err,
                                "an operator of COALESCE is a name or {\"command\": NAME, \"param\": TEXT}");
    struct weir_slice args = param ? param->scalar.text : WEIR_S_NONE;
    enum weir_err result = weir_format_op_new(arena, command->scalar.text, args, ret, err);
    if (result != WEIR_OK)
        return result;
    uint64_t max = 0;
    if (limit &&
        (limit->kind != WEIR_NODE_INT || weir_parse_u64(limit->scalar.text, UINT32_MAX, &max) != WEIR_OK))
        return weir_format_fail(err, "max_length of COALESCE is not a number");
    if (limit)
        ret->max_len = max;
    return WEIR_OK;
}

static enum weir_err all(struct weir_arena *arena, const struct weir_node *root, struct weir_format_op *op,
                         struct weir_format_error *err)
{
    const struct weir_node *list = weir_node_get(root, WEIR_S("operators"));
    if (!list || list->kind != WEIR_NODE_LIST || list->list.n == 0)
        return weir_format_fail(err, "COALESCE needs ({\"operators\": [...]})");
    struct choices *choices =
        weir_arena_zalloc(arena, sizeof(*choices) + list->list.n * sizeof(choices->v[0]));
    for (size_t i = 0; i < list->list.n; i++) {
        enum weir_err result = one(arena, list->list.items[i], &choices->v[choices->n++], err);
        if (result != WEIR_OK)
            return result;
    }
    op->data = choices;
    return WEIR_OK;
}

enum weir_err weir_format_parse_coalesce(struct weir_arena *arena, struct weir_slice args,
                                         struct weir_format_op *op, struct weir_format_error *err)
{
    struct weir_diag diag;
    struct weir_arena scratch;
    const struct weir_node *root = NULL;
    weir_diag_init(&diag);
    weir_arena_init(&scratch, NULL);
    uint16_t source = weir_diag_add_source(&diag, WEIR_S("COALESCE"), args);
    enum weir_err result = weir_node_read_json(&scratch, &diag, source, args, &root);
    if (result != WEIR_OK)
        result = weir_format_fail(err, "the parameter of COALESCE is not JSON");
    else
        result = all(arena, root, op, err);
    weir_arena_fini(&scratch);
    weir_diag_fini(&diag);
    return result;
}

void weir_format_print_coalesce(const struct weir_format_op *op, const struct weir_log_context *c,
                                struct weir_format_value *v)
{
    const struct choices *choices = op->data;
    for (uint32_t i = 0; i < choices->n && v->kind == WEIR_FORMAT_NONE; i++)
        weir_format_op_run(&choices->v[i], c, v);
}
