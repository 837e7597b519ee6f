/* Which fields weir implements: the check against the consumers' tables, and the tables as documentation. */
#include "config/supported.h"

#include <google/protobuf/duration.pb-c.h>

#include "config/hints.h"
#include "config/index.h"
#include "config/proto_json.h"
#include "config/schema.h"

#define VALUE_MAX_LEN 256
#define TABLES_MAX    512 // of the documentation

static const struct weir_supported_field *find_row(const struct weir_supported_fields *table,
                                                   const char *name)
{
    for (size_t i = 0; i < table->n_fields; i++) {
        if (strcmp(table->fields[i].name, name) == 0)
            return &table->fields[i];
    }
    return NULL;
}

/* The value as one would write it: "STATIC", "5", "true", "5s"; lists and larger messages are never equal to
 * a word. */
static struct weir_slice value_text(const struct weir_config *conf, const ProtobufCMessage *msg,
                                    const ProtobufCFieldDescriptor *field, struct weir_str *out)
{
    const void *member = weir_schema_member(msg, field);
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return WEIR_S_NONE;
    if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        const ProtobufCMessage *sub = *(const ProtobufCMessage *const *)member;
        weir_proto_json(out, conf, sub, &(struct weir_proto_json_style){.compact = true});
    } else {
        weir_proto_json_value(out, msg, field);
    }
    struct weir_slice text = weir_str_slice(out);
    bool quoted = text.len >= 2 && text.ptr[0] == '"' && text.ptr[text.len - 1] == '"';
    return quoted ? weir_slice(text.ptr + 1, text.len - 2) : text;
}

static bool is_listed(struct weir_slice value, const char *values)
{
    struct weir_slice rest = weir_slice_str(values), word;
    while (rest.len > 0 && weir_slice_next(&rest, ' ', &word)) {
        if (weir_slice_eq_nocase(word, value))
            return true;
    }
    return false;
}

static bool check_fields(struct weir_config *conf, const ProtobufCMessage *msg,
                         const struct weir_supported_fields *table);

/* Checks what is inside the field by the row's own table. */
static bool check_nested(struct weir_config *conf, const ProtobufCMessage *msg,
                         const ProtobufCFieldDescriptor *field, const struct weir_supported_fields *table)
{
    bool ok = true;
    size_t n = weir_schema_count(msg, field);
    for (size_t i = 0; i < n; i++) {
        const ProtobufCMessage *sub = weir_schema_sub(msg, field, i);
        if (sub && weir_schema_is_map_entry(sub->descriptor))
            sub = weir_schema_sub(sub, &sub->descriptor->fields[1], 0);
        if (sub && !check_fields(conf, sub, table))
            ok = false;
    }
    return ok;
}

static void refuse_value(struct weir_config *conf, const ProtobufCMessage *msg,
                         const ProtobufCFieldDescriptor *field, struct weir_slice value, const char *values)
{
    bool is_word = value.len > 0 && *value.ptr != '{';
    weir_config_error(conf, msg, field->name, -1, "%.*s%sknown to Envoy, not implemented by weir yet",
                      WEIR_SARG(is_word ? value : WEIR_S("")), is_word ? " is " : "");
    if (is_word)
        weir_config_hint(conf, "implemented: %s", values);
}

/* A field that is set, and its row (NULL: not in the table). */
static bool check_field(struct weir_config *conf, const ProtobufCMessage *msg,
                        const ProtobufCFieldDescriptor *field, const struct weir_supported_field *row)
{
    if (!row) {
        weir_config_error(conf, msg, field->name, -1, "known to Envoy, not implemented by weir yet");
        return false;
    }
    if (row->values) {
        struct weir_str text;
        weir_str_init(&text, VALUE_MAX_LEN);
        struct weir_slice value = value_text(conf, msg, field, &text);
        bool listed = is_listed(value, row->values);
        if (!listed)
            refuse_value(conf, msg, field, value, row->values);
        weir_str_fini(&text);
        if (!listed)
            return false;
    }
    if (row->state == WEIR_FIELD_IGNORED) {
        weir_config_warn(conf, msg, field->name, -1, "has no effect in weir%s%s", row->note ? ": " : "",
                         row->note ? row->note : "");
    }
    return !row->nested || check_nested(conf, msg, field, row->nested);
}

/* Does every row name a field of the type, with a nested table of that field's type? */
static bool is_sound(const struct weir_supported_fields *table)
{
    for (size_t i = 0; i < table->n_fields; i++) {
        const struct weir_supported_field *row = &table->fields[i];
        const ProtobufCFieldDescriptor *field =
            protobuf_c_message_descriptor_get_field_by_name(table->type, row->name);
        if (!field)
            return false;
        if (!row->nested)
            continue;
        if (weir_schema_is_map(field))
            field = &weir_schema_message_of(field)->fields[1];
        if (field->type != PROTOBUF_C_TYPE_MESSAGE || field->descriptor != row->nested->type)
            return false;
    }
    return true;
}

static bool check_fields(struct weir_config *conf, const ProtobufCMessage *msg,
                         const struct weir_supported_fields *table)
{
    WEIR_ASSERT(msg->descriptor == table->type);
    WEIR_ASSERT(is_sound(table));
    bool ok = true;
    for (unsigned i = 0; i < msg->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &msg->descriptor->fields[i];
        if (weir_schema_count(msg, field) == 0)
            continue;
        if (!check_field(conf, msg, field, find_row(table, field->name)))
            ok = false;
    }
    return ok;
}

bool weir_config_check_supported(struct weir_config *conf, const void *msg,
                                 const struct weir_supported_fields *table)
{
    return !msg || check_fields(conf, msg, table);
}

/* ---- documentation ---- */

static const char *state_text(enum weir_field_state state)
{
    switch (state) {
    case WEIR_FIELD_SUPPORTED:
        return "yes";
    case WEIR_FIELD_IGNORED:
        return "accepted with a warning";
    case WEIR_FIELD_HARMLESS:
        return "accepted, changes nothing";
    }
    return "";
}

/* The tables to print: the roots, then what they lead to; each once. */
struct table_list {
    const struct weir_supported_fields *tables[TABLES_MAX];
    size_t n;
};

static void add_table(struct table_list *list, const struct weir_supported_fields *table)
{
    for (size_t i = 0; i < list->n; i++) {
        if (list->tables[i] == table)
            return;
    }
    if (table && list->n < TABLES_MAX)
        list->tables[list->n++] = table;
}

static void print_table(FILE *out, const struct weir_supported_fields *table)
{
    WEIR_ASSERT(is_sound(table));
    fprintf(out, "## %s\n\n| Field | Implemented | Values | Note |\n|---|---|---|---|\n", table->type->name);
    for (unsigned i = 0; i < table->type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &table->type->fields[i];
        const struct weir_supported_field *row = find_row(table, field->name);
        fprintf(out, "| `%s` | %s | %s | %s |\n", field->name, row ? state_text(row->state) : "not yet",
                row && row->values ? row->values : "", row && row->note ? row->note : "");
    }
    fputc('\n', out);
}

void weir_supported_print(FILE *out, const struct weir_supported_fields *const *tables, size_t n_tables)
{
    struct table_list list = {.n = 0};
    for (size_t i = 0; i < n_tables; i++)
        add_table(&list, tables[i]);
    for (size_t i = 0; i < list.n; i++) {
        print_table(out, list.tables[i]);
        for (size_t k = 0; k < list.tables[i]->n_fields; k++)
            add_table(&list, list.tables[i]->fields[k].nested);
    }
}
