/* The schema of Envoy's messages as a JSON Schema, cut down to what weir implements. Made of the same
 * descriptors and tables by which files are read and judged; what the schema cannot say (rules across fields)
 * is left to --mode validate. */
#include "config/json_schema.h"

#include "base/mem.h"
#include "config/index.h"
#include "config/schema.h"
#include "envoy/config/bootstrap/v3/bootstrap.pb-c.h"

#define TABLES_MAX 512
#define TYPES_MAX  4096

struct writer {
    struct weir_str *out;
    const struct weir_json_schema *schema;
    struct weir_ptr_map tables; // message descriptor -> its table
    struct weir_ptr_map queued; // message descriptors that have, or will have, a definition
    const ProtobufCMessageDescriptor *queue[TYPES_MAX];
    size_t n_queue;
};

static void queue_type(struct writer *writer, const ProtobufCMessageDescriptor *type)
{
    if (weir_ptr_map_get(&writer->queued, type) || writer->n_queue == TYPES_MAX)
        return;
    weir_ptr_map_set(&writer->queued, type, writer);
    writer->queue[writer->n_queue++] = type;
}

static void index_tables(struct writer *writer)
{
    const struct weir_supported_fields *list[TABLES_MAX];
    size_t n = 0;
    for (size_t i = 0; i < writer->schema->n_tables && n < TABLES_MAX; i++) {
        if (writer->schema->tables[i])
            list[n++] = writer->schema->tables[i];
    }
    for (size_t i = 0; i < n; i++) {
        if (weir_ptr_map_get(&writer->tables, list[i]->type))
            continue;
        weir_ptr_map_set(&writer->tables, list[i]->type, (void *)(uintptr_t)list[i]);
        for (size_t k = 0; k < list[i]->n_fields && n < TABLES_MAX; k++) {
            if (list[i]->fields[k].nested)
                list[n++] = list[i]->fields[k].nested;
        }
    }
}

/* ---- values ---- */

static void print_enum(struct writer *writer, const ProtobufCEnumDescriptor *type)
{
    weir_str_adds(writer->out, "{\"anyOf\": [{\"enum\": [");
    for (unsigned i = 0; i < type->n_values; i++)
        weir_str_printf(writer->out, "%s\"%s\"", i ? ", " : "", type->values[i].name);
    weir_str_adds(writer->out, "]}, {\"type\": [\"string\", \"integer\"]}]}");
}

static const char *scalar_schema(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_BOOL:
        return "{\"type\": [\"boolean\", \"string\"]}";
    case PROTOBUF_C_TYPE_STRING:
        return "{\"type\": [\"string\", \"number\"]}";
    case PROTOBUF_C_TYPE_BYTES:
        return "{\"type\": \"string\"}";
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return "{\"type\": [\"number\", \"string\"]}";
    case PROTOBUF_C_TYPE_ENUM:
    case PROTOBUF_C_TYPE_MESSAGE:
        break;
    }
    return "{}";
}

static void print_message_ref(struct writer *writer, const ProtobufCMessageDescriptor *type)
{
    switch (weir_schema_known_type(type)) {
    case WEIR_TYPE_DURATION:
        weir_str_adds(writer->out,
                      "{\"anyOf\": [{\"type\": \"string\", \"pattern\": \"^[0-9]+(\\\\.[0-9]{1,9})?s$\"}, "
                      "{\"type\": \"object\"}]}");
        return;
    case WEIR_TYPE_WRAPPER:
        weir_str_printf(writer->out, "{\"anyOf\": [%s, {\"type\": \"object\"}]}",
                        scalar_schema(type->fields[0].type));
        return;
    case WEIR_TYPE_TIMESTAMP:
    case WEIR_TYPE_VALUE:
        weir_str_adds(writer->out, "{}");
        return;
    case WEIR_TYPE_STRUCT:
    case WEIR_TYPE_EMPTY:
        weir_str_adds(writer->out, "{\"type\": \"object\"}");
        return;
    case WEIR_TYPE_LIST_VALUE:
        weir_str_adds(writer->out, "{\"type\": \"array\"}");
        return;
    case WEIR_TYPE_ANY:
    case WEIR_TYPE_PLAIN:
        queue_type(writer, type);
        weir_str_printf(writer->out, "{\"$ref\": \"#/definitions/%s\"}", type->name);
        return;
    }
}

static void print_value(struct writer *writer, const ProtobufCFieldDescriptor *field)
{
    if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        print_message_ref(writer, weir_schema_message_of(field));
    } else if (field->type == PROTOBUF_C_TYPE_ENUM) {
        print_enum(writer, weir_schema_enum_of(field));
    } else {
        weir_str_adds(writer->out, scalar_schema(field->type));
    }
}

static void print_field(struct writer *writer, const ProtobufCFieldDescriptor *field)
{
    if (weir_schema_is_map(field)) {
        weir_str_adds(writer->out, "{\"type\": \"object\", \"additionalProperties\": ");
        print_value(writer, &weir_schema_message_of(field)->fields[1]);
        weir_str_addc(writer->out, '}');
    } else if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        weir_str_adds(writer->out, "{\"if\": {\"type\": \"array\"}, \"then\": {\"items\": ");
        print_value(writer, field);
        weir_str_adds(writer->out, "}, \"else\": ");
        print_value(writer, field);
        weir_str_addc(writer->out, '}');
    } else {
        print_value(writer, field);
    }
}

/* ---- definitions ---- */

static bool is_implemented(const struct weir_supported_fields *table, const char *name)
{
    for (size_t i = 0; table && i < table->n_fields; i++) {
        if (strcmp(table->fields[i].name, name) == 0)
            return true;
    }
    return table == NULL;
}

/* An object; null stands for one that is not set, "@type" may be there since the message may be the content
 * of an Any, and so may names in lowerCamelCase. */
static void print_definition(struct writer *writer, const ProtobufCMessageDescriptor *type)
{
    const struct weir_supported_fields *table = weir_ptr_map_get(&writer->tables, type);
    weir_str_printf(writer->out,
                    "  \"%s\": {\n   \"type\": [\"object\", \"null\"],\n   \"properties\": {\n    \"@type\": "
                    "{\"type\": \"string\"}",
                    type->name);
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        if (!is_implemented(table, field->name))
            continue;
        weir_str_printf(writer->out, ",\n    \"%s\": ", field->name);
        print_field(writer, field);
    }
    weir_str_adds(writer->out,
                  "\n   },\n   \"patternProperties\": {\"^[a-z0-9]+([A-Z][A-Za-z0-9]*)+$\": {}},\n"
                  "   \"additionalProperties\": false\n  }");
}

/* An Any: "@type" tells which of the extensions the rest is. */
static void print_any(struct writer *writer, const ProtobufCMessageDescriptor *type)
{
    const struct weir_json_schema *schema = writer->schema;
    weir_str_printf(writer->out,
                    "  \"%s\": {\n   \"type\": [\"object\", \"null\"],\n   \"properties\": {\"@type\": "
                    "{\"anyOf\": [{\"enum\": [",
                    type->name);
    const char *before = "";
    for (size_t i = 0; i < schema->n_extensions; i++, before = ", ")
        weir_str_printf(writer->out, "%s\"type.googleapis.com/%s\"", before, schema->extensions[i]);
    weir_str_adds(writer->out, "]}, {\"type\": \"string\"}]}},\n   \"allOf\": [");
    before = "";
    for (size_t i = 0; i < schema->n_extensions; i++) {
        const ProtobufCMessageDescriptor *content = weir_schema_type(weir_slice_str(schema->extensions[i]));
        if (!content || weir_schema_known_type(content) != WEIR_TYPE_PLAIN)
            continue;
        weir_str_printf(
            writer->out,
            "%s\n    {\"if\": {\"properties\": {\"@type\": {\"const\": \"type.googleapis.com/%s\"}}, "
            "\"required\": [\"@type\"]}, \"then\": ",
            before, content->name);
        print_message_ref(writer, content);
        weir_str_addc(writer->out, '}');
        before = ",";
    }
    weir_str_adds(writer->out, "\n   ]\n  }");
}

void weir_json_schema_print(struct weir_str *out, const struct weir_json_schema *schema)
{
    const ProtobufCMessageDescriptor *root = &envoy__config__bootstrap__v3__bootstrap__descriptor;
    struct writer *writer = WEIR_NEW(struct writer);
    writer->out = out;
    writer->schema = schema;
    index_tables(writer);
    queue_type(writer, root);
    weir_str_printf(
        out,
        "{\n \"$schema\": \"http://json-schema.org/draft-07/schema#\",\n"
        " \"title\": \"weir's configuration\",\n \"$ref\": \"#/definitions/%s\",\n \"definitions\": {\n",
        root->name);
    for (size_t i = 0; i < writer->n_queue; i++) {
        if (i > 0)
            weir_str_adds(out, ",\n");
        if (weir_schema_known_type(writer->queue[i]) == WEIR_TYPE_ANY) {
            print_any(writer, writer->queue[i]);
        } else {
            print_definition(writer, writer->queue[i]);
        }
    }
    weir_str_adds(out, "\n }\n}\n");
    weir_ptr_map_fini(&writer->tables);
    weir_ptr_map_fini(&writer->queued);
    weir_free(writer);
}
