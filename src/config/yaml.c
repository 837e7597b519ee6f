/* YAML text to a node tree, by libyaml's events. The first document only: the rest of the file, even invalid,
 * is not looked at (as Envoy does). Aliases share the node of their anchor; what they add is counted, so that
 * ten lines of aliases to aliases cannot ask for a billion values. */
#include <yaml.h>

#include "base/map.h"
#include "config/limits.h"
#include "config/node_build.h"

/* What an anchor stands for. */
struct anchor {
    const struct weir_node *node;
    size_t weight; // values in it, aliases counted in full
};

struct reader {
    struct weir_node_build build;
    yaml_parser_t parser;
    struct weir_slice text;
    struct weir_map anchors; // name -> struct anchor
    size_t n_aliased;        // values that aliases have added
};

static struct weir_pos pos_of(const struct reader *reader, yaml_mark_t mark)
{
    return (struct weir_pos){
        .line = (uint32_t)mark.line + 1,
        .column = (uint16_t)WEIR_MIN(mark.column + 1, UINT16_MAX),
        .source = reader->build.source,
    };
}

#define REPORT(reader, pos, ...) \
    weir_diag_report((reader)->build.diag, WEIR_SEVERITY_ERROR, pos, WEIR_S_NONE, __VA_ARGS__)

/* Is the character at the mark a tab that indents? The mark counts characters, and before a tab that indents
 * there is nothing but blanks, so that octets do. */
static bool at_tab(const struct reader *reader, yaml_mark_t mark)
{
    return mark.index < reader->text.len && reader->text.ptr[mark.index] == '\t';
}

static void report_syntax(struct reader *reader)
{
    const yaml_parser_t *parser = &reader->parser;
    if (parser->error == YAML_READER_ERROR) {
        struct weir_pos pos = {.line = 1, .column = 1, .source = reader->build.source};
        for (size_t i = 0; i < parser->problem_offset && i < reader->text.len; i++) {
            pos.line += reader->text.ptr[i] == '\n';
        }
        REPORT(reader, pos, "not readable as text: %s", parser->problem);
        return;
    }
    struct weir_pos pos = pos_of(reader, parser->problem_mark);
    if (at_tab(reader, parser->problem_mark)) {
        REPORT(reader, pos, "a tab cannot indent in YAML");
        weir_diag_hint(reader->build.diag, "use spaces");
    } else if (parser->context && parser->context_mark.line != parser->problem_mark.line) {
        REPORT(reader, pos, "%s, %s that starts in line %u", parser->problem, parser->context,
               (unsigned)parser->context_mark.line + 1);
    } else if (parser->context) {
        REPORT(reader, pos, "%s %s", parser->problem, parser->context);
    } else {
        REPORT(reader, pos, "%s", parser->problem ? parser->problem : "the YAML reader failed");
    }
}

static enum weir_err next_event(struct reader *reader, yaml_event_t *ret_event)
{
    if (yaml_parser_parse(&reader->parser, ret_event))
        return WEIR_OK;
    report_syntax(reader);
    return WEIR_ERR_SYNTAX;
}

static struct weir_slice copy_text(struct reader *reader, const yaml_char_t *text, size_t len)
{
    return weir_arena_dup(reader->build.arena, weir_slice((const char *)text, len));
}

static enum weir_err read_node(struct reader *reader, yaml_event_t *event, const struct weir_node **ret,
                               size_t *ret_weight);

static void set_anchor(struct reader *reader, const yaml_char_t *name, const struct weir_node *node,
                       size_t weight)
{
    if (!name)
        return;
    struct anchor *anchor = WEIR_ARENA_NEW(reader->build.arena, struct anchor);
    *anchor = (struct anchor){node, weight};
    struct weir_slice key = copy_text(reader, name, strlen((const char *)name));
    (void)weir_map_set(&reader->anchors, key, anchor);
}

static enum weir_err read_alias(struct reader *reader, const yaml_event_t *event,
                                const struct weir_node **ret, size_t *ret_weight)
{
    const char *name = (const char *)event->data.alias.anchor;
    const struct anchor *anchor = weir_map_get(&reader->anchors, weir_slice_str(name));
    struct weir_pos pos = pos_of(reader, event->start_mark);
    if (!anchor) {
        REPORT(reader, pos, "alias *%s: there is no anchor &%s before it", name, name);
        return WEIR_ERR_SYNTAX;
    }
    reader->n_aliased += anchor->weight;
    if (reader->n_aliased > WEIR_CONFIG_ALIASED_MAX) {
        REPORT(reader, pos, "aliases add more than %u values", (unsigned)WEIR_CONFIG_ALIASED_MAX);
        return WEIR_ERR_LIMIT;
    }
    *ret = anchor->node;
    *ret_weight = anchor->weight;
    return WEIR_OK;
}

static bool has_tag(const yaml_char_t *tag, const char *name)
{
    return tag && strcmp((const char *)tag, name) == 0;
}

static enum weir_err read_scalar(struct reader *reader, const yaml_event_t *event,
                                 const struct weir_node **ret)
{
    struct weir_node *node =
        weir_node_build_new(&reader->build, WEIR_NODE_STRING, pos_of(reader, event->start_mark));
    if (!node)
        return WEIR_ERR_LIMIT;
    struct weir_slice text = copy_text(reader, event->data.scalar.value, event->data.scalar.length);
    const yaml_char_t *tag = event->data.scalar.tag;
    if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !has_tag(tag, YAML_STR_TAG) &&
        !has_tag(tag, "!")) {
        weir_node_build_plain(node, text);
    } else {
        node->quoted = true;
        node->scalar.text = text;
    }
    set_anchor(reader, event->data.scalar.anchor, node, 1);
    *ret = node;
    return WEIR_OK;
}

static enum weir_err read_list(struct reader *reader, const yaml_event_t *start, const struct weir_node **ret,
                               size_t *ret_weight)
{
    struct weir_pos pos = pos_of(reader, start->start_mark);
    struct weir_node *node = weir_node_build_new(&reader->build, WEIR_NODE_LIST, pos);
    if (!node)
        return WEIR_ERR_LIMIT;
    enum weir_err err = weir_node_build_open(&reader->build, pos);
    size_t base = reader->build.n_stack, weight = 1;
    while (err == WEIR_OK) {
        yaml_event_t event;
        err = next_event(reader, &event);
        if (err != WEIR_OK)
            return err;
        bool end = event.type == YAML_SEQUENCE_END_EVENT;
        const struct weir_node *item = NULL;
        size_t item_weight = 0;
        if (!end)
            err = read_node(reader, &event, &item, &item_weight);
        yaml_event_delete(&event);
        if (end)
            break;
        if (err == WEIR_OK)
            weir_node_build_push(&reader->build, WEIR_S_NONE, (struct weir_pos){0}, item);
        weight += item_weight;
    }
    if (err != WEIR_OK)
        return err;
    weir_node_build_list(&reader->build, node, base);
    set_anchor(reader, start->data.sequence_start.anchor, node, weight);
    *ret = node;
    *ret_weight = weight;
    return WEIR_OK;
}

static bool is_pushed(const struct weir_node_build *build, size_t base, struct weir_slice key)
{
    for (size_t i = base; i < build->n_stack; i++) {
        if (weir_slice_eq(build->stack[i].key, key))
            return true;
    }
    return false;
}

/* Adds the pairs of `value` (a map, or a list of maps) whose keys the open map does not have. */
static enum weir_err merge_value(struct reader *reader, const struct weir_node *value, size_t base)
{
    if (value->kind == WEIR_NODE_LIST) {
        for (size_t i = 0; i < value->list.n; i++) {
            const struct weir_node *item = value->list.items[i];
            if (item->kind == WEIR_NODE_LIST) {
                REPORT(reader, item->pos, "the merge key \"<<\" takes an object or a list of objects");
                return WEIR_ERR_SYNTAX;
            }
            enum weir_err err = merge_value(reader, item, base);
            if (err != WEIR_OK)
                return err;
        }
        return WEIR_OK;
    }
    if (value->kind != WEIR_NODE_MAP) {
        REPORT(reader, value->pos, "the merge key \"<<\" takes an object, not %s",
               weir_node_kind_text(value));
        return WEIR_ERR_SYNTAX;
    }
    if (value->map.n + reader->build.n_stack - base > WEIR_CONFIG_MERGED_MAX) {
        REPORT(reader, value->pos, "merging makes an object of more than %d keys", WEIR_CONFIG_MERGED_MAX);
        return WEIR_ERR_LIMIT;
    }
    for (size_t i = 0; i < value->map.n; i++) {
        const struct weir_pair *pair = &value->map.pairs[i];
        if (!is_pushed(&reader->build, base, pair->key)) {
            weir_node_build_push(&reader->build, pair->key, pair->key_pos, pair->value);
        }
    }
    return WEIR_OK;
}

/* The merge keys of an open map: looked at last, since what the map itself says goes first. */
struct merges {
    const struct weir_node *values[8];
    size_t n;
};

/* Reads the value of the key in `key` and pushes the pair. */
static enum weir_err read_pair(struct reader *reader, const yaml_event_t *key, struct merges *merges,
                               size_t *weight)
{
    struct weir_pos pos = pos_of(reader, key->start_mark);
    if (key->type != YAML_SCALAR_EVENT) {
        REPORT(reader, pos, "a key must be a plain name");
        return WEIR_ERR_SYNTAX;
    }
    struct weir_slice name = copy_text(reader, key->data.scalar.value, key->data.scalar.length);
    yaml_event_t event;
    enum weir_err err = next_event(reader, &event);
    if (err != WEIR_OK)
        return err;
    const struct weir_node *value = NULL;
    size_t value_weight = 0;
    err = read_node(reader, &event, &value, &value_weight);
    yaml_event_delete(&event);
    *weight += value_weight;
    if (err != WEIR_OK || has_tag(key->data.scalar.tag, "!ignore"))
        return err;
    if (key->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && weir_slice_eq(name, WEIR_S("<<"))) {
        if (merges->n == WEIR_COUNTOF(merges->values)) {
            REPORT(reader, pos, "more than %zu merge keys in one object", merges->n);
            return WEIR_ERR_LIMIT;
        }
        merges->values[merges->n++] = value;
        return WEIR_OK;
    }
    weir_node_build_push(&reader->build, name, pos, value);
    return WEIR_OK;
}

static enum weir_err read_map(struct reader *reader, const yaml_event_t *start, const struct weir_node **ret,
                              size_t *ret_weight)
{
    struct weir_pos pos = pos_of(reader, start->start_mark);
    struct weir_node *node = weir_node_build_new(&reader->build, WEIR_NODE_MAP, pos);
    if (!node)
        return WEIR_ERR_LIMIT;
    enum weir_err err = weir_node_build_open(&reader->build, pos);
    size_t base = reader->build.n_stack, weight = 1;
    struct merges merges = {.n = 0};
    while (err == WEIR_OK) {
        yaml_event_t event;
        err = next_event(reader, &event);
        if (err != WEIR_OK)
            return err;
        bool end = event.type == YAML_MAPPING_END_EVENT;
        if (!end)
            err = read_pair(reader, &event, &merges, &weight);
        yaml_event_delete(&event);
        if (end)
            break;
    }
    for (size_t i = 0; i < merges.n && err == WEIR_OK; i++)
        err = merge_value(reader, merges.values[i], base);
    if (err != WEIR_OK)
        return err;
    weir_node_build_map(&reader->build, node, base);
    set_anchor(reader, start->data.mapping_start.anchor, node, weight);
    *ret = node;
    *ret_weight = weight;
    return WEIR_OK;
}

static enum weir_err read_node(struct reader *reader, yaml_event_t *event, const struct weir_node **ret,
                               size_t *ret_weight)
{
    *ret_weight = 1;
    if (event->type == YAML_ALIAS_EVENT)
        return read_alias(reader, event, ret, ret_weight);
    if (event->type == YAML_SEQUENCE_START_EVENT)
        return read_list(reader, event, ret, ret_weight);
    if (event->type == YAML_MAPPING_START_EVENT)
        return read_map(reader, event, ret, ret_weight);
    return read_scalar(reader, event, ret);
}

/* Skips the events up to the first value. */
static enum weir_err read_document(struct reader *reader, const struct weir_node **ret)
{
    for (;;) {
        yaml_event_t event;
        size_t weight;
        enum weir_err err = next_event(reader, &event);
        if (err != WEIR_OK)
            return err;
        yaml_event_type_t type = event.type;
        if (type == YAML_STREAM_END_EVENT) {
            REPORT(reader, ((struct weir_pos){.source = reader->build.source}), "is empty");
            err = WEIR_ERR_SYNTAX;
        } else if (type != YAML_STREAM_START_EVENT && type != YAML_DOCUMENT_START_EVENT) {
            err = read_node(reader, &event, ret, &weight);
        } else {
            yaml_event_delete(&event);
            continue;
        }
        yaml_event_delete(&event);
        return err;
    }
}

enum weir_err weir_node_read_yaml(struct weir_arena *arena, struct weir_diag *diag, uint16_t source,
                                  struct weir_slice text, const struct weir_node **ret)
{
    struct reader reader = {.text = text};
    if (!yaml_parser_initialize(&reader.parser))
        WEIR_FATAL("out of memory");
    weir_node_build_init(&reader.build, arena, diag, source);
    weir_map_init(&reader.anchors);
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text.ptr, text.len);
    enum weir_err err = read_document(&reader, ret);
    weir_map_fini(&reader.anchors);
    weir_node_build_fini(&reader.build);
    yaml_parser_delete(&reader.parser);
    return err;
}
