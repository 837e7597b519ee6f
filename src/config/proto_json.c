/* Messages to JSON in the form that Envoy's admin prints. The inverse of proto_reader.c, along the same
 * descriptors. */
#include "config/proto_json.h"

#include <inttypes.h>
#include <math.h>

#include <google/protobuf/duration.pb-c.h>
#include <google/protobuf/struct.pb-c.h>
#include <google/protobuf/timestamp.pb-c.h>

#include "config/index.h"
#include "config/rules.h"
#include "config/schema.h"

struct printer {
    struct weir_str *out;
    const struct weir_config *conf;
    const struct weir_proto_json_style *style;
    int depth;
};

/* An object or list being printed. */
struct group {
    char closing;
    bool empty;
};

static void print_message(struct printer *printer, const ProtobufCMessage *msg);
static void print_fields(struct printer *printer, struct group *group, const ProtobufCMessage *msg);

/* ---- layout ---- */

static void new_line(struct printer *printer)
{
    if (printer->style->compact)
        return;
    weir_str_addc(printer->out, '\n');
    for (int i = 0; i < printer->depth; i++)
        weir_str_addc(printer->out, ' ');
}

static struct group open_group(struct printer *printer, char opening)
{
    weir_str_addc(printer->out, opening);
    printer->depth++;
    return (struct group){opening == '{' ? '}' : ']', true};
}

static void next_item(struct printer *printer, struct group *group)
{
    if (!group->empty)
        weir_str_addc(printer->out, ',');
    group->empty = false;
    new_line(printer);
}

static void close_group(struct printer *printer, const struct group *group)
{
    printer->depth--;
    if (!group->empty)
        new_line(printer);
    weir_str_addc(printer->out, group->closing);
}

static void print_text(struct printer *printer, struct weir_slice text)
{
    weir_str_addc(printer->out, '"');
    weir_str_add_json(printer->out, text);
    weir_str_addc(printer->out, '"');
}

static void print_key(struct printer *printer, struct group *group, struct weir_slice key)
{
    next_item(printer, group);
    print_text(printer, key);
    weir_str_adds(printer->out, printer->style->compact ? ":" : ": ");
}

/* ---- scalars ---- */

/* The shortest of the usual precisions that reads back as the same number. */
static void print_double(struct printer *printer, double value, int digits, int digits_max)
{
    char text[40];
    if (isnan(value) || isinf(value)) {
        weir_str_adds(printer->out, isnan(value) ? "\"NaN\"" : value > 0 ? "\"Infinity\"" : "\"-Infinity\"");
        return;
    }
    snprintf(text, sizeof(text), "%.*g", digits, value);
    double back = 0;
    bool is_float = digits_max < 10;
    if (weir_parse_double(weir_slice_str(text), &back) != WEIR_OK ||
        (is_float ? (float)back != (float)value : back < value || back > value)) {
        snprintf(text, sizeof(text), "%.*g", digits_max, value);
    }
    weir_str_adds(printer->out, text);
}

static void print_base64(struct printer *printer, const ProtobufCBinaryData *data)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    weir_str_addc(printer->out, '"');
    for (size_t i = 0; i < data->len; i += 3) {
        size_t n = WEIR_MIN(data->len - i, (size_t)3);
        uint32_t bits = (uint32_t)data->data[i] << 16;
        if (n > 1)
            bits |= (uint32_t)data->data[i + 1] << 8;
        if (n > 2)
            bits |= data->data[i + 2];
        for (size_t k = 0; k < 4; k++) {
            weir_str_addc(printer->out, k <= n ? digits[(bits >> (18 - 6 * k)) & 63] : '=');
        }
    }
    weir_str_addc(printer->out, '"');
}

static void print_enum(struct printer *printer, const ProtobufCFieldDescriptor *field, int32_t value)
{
    const ProtobufCEnumDescriptor *type = weir_schema_enum_of(field);
    const ProtobufCEnumValue *known = protobuf_c_enum_descriptor_get_value(type, value);
    if (!known) {
        weir_str_printf(printer->out, "%" PRId32, value);
    } else if (strcmp(type->name, "google.protobuf.NullValue") == 0) {
        weir_str_adds(printer->out, "null");
    } else {
        print_text(printer, weir_slice_str(known->name));
    }
}

/* 64-bit integers are text in protobuf's JSON. */
static void print_value(struct printer *printer, const ProtobufCFieldDescriptor *field, const void *value)
{
    struct weir_str *out = printer->out;
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        weir_str_printf(out, "%" PRId32, *(const int32_t *)value);
        return;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        weir_str_printf(out, "%" PRIu32, *(const uint32_t *)value);
        return;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        weir_str_printf(out, "\"%" PRId64 "\"", *(const int64_t *)value);
        return;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        weir_str_printf(out, "\"%" PRIu64 "\"", *(const uint64_t *)value);
        return;
    case PROTOBUF_C_TYPE_FLOAT:
        print_double(printer, (double)*(const float *)value, 6, 9);
        return;
    case PROTOBUF_C_TYPE_DOUBLE:
        print_double(printer, *(const double *)value, 15, 17);
        return;
    case PROTOBUF_C_TYPE_BOOL:
        weir_str_adds(out, *(const protobuf_c_boolean *)value ? "true" : "false");
        return;
    case PROTOBUF_C_TYPE_ENUM:
        print_enum(printer, field, *(const int32_t *)value);
        return;
    case PROTOBUF_C_TYPE_STRING:
        print_text(printer, weir_slice_str(*(const char *const *)value));
        return;
    case PROTOBUF_C_TYPE_BYTES:
        print_base64(printer, value);
        return;
    case PROTOBUF_C_TYPE_MESSAGE:
        print_message(printer, *(const ProtobufCMessage *const *)value);
        return;
    }
}

/* ---- well-known types ---- */

/* "1s", "0.500s", "0.000001s": as many digits as the fraction needs, in threes. */
static void print_fraction(struct printer *printer, int32_t nanos)
{
    if (nanos == 0)
        return;
    if (nanos % 1000000 == 0) {
        weir_str_printf(printer->out, ".%03d", nanos / 1000000);
    } else if (nanos % 1000 == 0) {
        weir_str_printf(printer->out, ".%06d", nanos / 1000);
    } else {
        weir_str_printf(printer->out, ".%09d", nanos);
    }
}

static void print_duration(struct printer *printer, const Google__Protobuf__Duration *duration)
{
    bool negative = duration->seconds < 0 || duration->nanos < 0;
    uint64_t seconds = duration->seconds < 0 ? 0 - (uint64_t)duration->seconds : (uint64_t)duration->seconds;
    weir_str_printf(printer->out, "\"%s%" PRIu64, negative ? "-" : "", seconds);
    print_fraction(printer, duration->nanos < 0 ? -duration->nanos : duration->nanos);
    weir_str_adds(printer->out, "s\"");
}

static void print_timestamp(struct printer *printer, const Google__Protobuf__Timestamp *timestamp)
{
    struct tm parts;
    time_t seconds = (time_t)timestamp->seconds;
    char text[40] = "0001-01-01T00:00:00";
    if (gmtime_r(&seconds, &parts))
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
    weir_str_printf(printer->out, "\"%s", text);
    print_fraction(printer, timestamp->nanos);
    weir_str_adds(printer->out, "Z\"");
}

static void print_list_value(struct printer *printer, const Google__Protobuf__ListValue *list)
{
    struct group group = open_group(printer, '[');
    for (size_t i = 0; i < list->n_values; i++) {
        next_item(printer, &group);
        print_message(printer, &list->values[i]->base);
    }
    close_group(printer, &group);
}

static void print_struct(struct printer *printer, const Google__Protobuf__Struct *object)
{
    struct group group = open_group(printer, '{');
    for (size_t i = 0; i < object->n_fields; i++) {
        print_key(printer, &group, weir_slice_str(object->fields[i]->key));
        if (object->fields[i]->value) {
            print_message(printer, &object->fields[i]->value->base);
        } else { // serialised without one
            weir_str_adds(printer->out, "null");
        }
    }
    close_group(printer, &group);
}

static void print_json_value(struct printer *printer, const Google__Protobuf__Value *value)
{
    switch (value->kind_case) {
    case GOOGLE__PROTOBUF__VALUE__KIND_NUMBER_VALUE:
        print_double(printer, value->number_value, 15, 17);
        return;
    case GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE:
        print_text(printer, weir_slice_str(value->string_value));
        return;
    case GOOGLE__PROTOBUF__VALUE__KIND_BOOL_VALUE:
        weir_str_adds(printer->out, value->bool_value ? "true" : "false");
        return;
    case GOOGLE__PROTOBUF__VALUE__KIND_STRUCT_VALUE:
        print_struct(printer, value->struct_value);
        return;
    case GOOGLE__PROTOBUF__VALUE__KIND_LIST_VALUE:
        print_list_value(printer, value->list_value);
        return;
    case GOOGLE__PROTOBUF__VALUE__KIND_NULL_VALUE:
    case GOOGLE__PROTOBUF__VALUE__KIND__NOT_SET:
    case _GOOGLE__PROTOBUF__VALUE__KIND__CASE_IS_INT_SIZE:
        weir_str_adds(printer->out, "null");
        return;
    }
}

/* What `any` holds goes into the group: its fields, or its value if it is of a well-known type. */
static void print_content(struct printer *printer, struct group *group, const ProtobufCMessage *msg)
{
    enum weir_known_type known = weir_schema_known_type(msg->descriptor);
    if (known == WEIR_TYPE_PLAIN) {
        print_fields(printer, group, msg);
    } else {
        print_key(printer, group, WEIR_S("value"));
        print_message(printer, msg);
    }
}

static void print_any(struct printer *printer, const Google__Protobuf__Any *any)
{
    const struct weir_any_slot *slot = printer->conf ? weir_index_any(printer->conf, any) : NULL;
    const ProtobufCMessage *msg = slot ? slot->content.msg : NULL;
    struct group group = open_group(printer, '{');
    if (any->type_url && *any->type_url) {
        print_key(printer, &group, WEIR_S("@type"));
        print_text(printer, weir_slice_str(any->type_url));
    }
    if (slot && slot->wrapper) {
        struct weir_slice type = slot->content.type;
        print_key(printer, &group, WEIR_S("type_url"));
        weir_str_adds(printer->out, "\"type.googleapis.com/");
        weir_str_add_json(printer->out, type);
        weir_str_addc(printer->out, '"');
        if (msg) {
            print_key(printer, &group, WEIR_S("value"));
            print_message(printer, msg);
        }
    } else if (msg) {
        print_content(printer, &group, msg);
    } else if (any->value.len > 0) {
        print_key(printer, &group, WEIR_S("value"));
        print_base64(printer, &any->value);
    }
    close_group(printer, &group);
}

/* ---- messages ---- */

static bool is_printed(const ProtobufCMessage *msg, const ProtobufCFieldDescriptor *field)
{
    return weir_schema_count(msg, field) > 0;
}

static void print_map(struct printer *printer, const ProtobufCMessage *msg,
                      const ProtobufCFieldDescriptor *field)
{
    struct group group = open_group(printer, '{');
    size_t n = weir_schema_count(msg, field);
    for (size_t i = 0; i < n; i++) {
        const ProtobufCMessage *entry = weir_schema_sub(msg, field, i);
        const ProtobufCFieldDescriptor *fields = entry->descriptor->fields;
        const void *key = weir_schema_member(entry, &fields[0]),
                   *value = weir_schema_member(entry, &fields[1]);
        if (fields[0].type == PROTOBUF_C_TYPE_STRING) {
            print_key(printer, &group, weir_slice_str(*(const char *const *)key));
        } else {
            next_item(printer, &group);
            bool quoted = weir_schema_size(fields[0].type) == 8; // print_value quotes these itself
            if (!quoted)
                weir_str_addc(printer->out, '"');
            print_value(printer, &fields[0], key);
            weir_str_adds(printer->out, quoted ? ": " : "\": ");
        }
        if (fields[1].type != PROTOBUF_C_TYPE_MESSAGE || *(const void *const *)value) {
            print_value(printer, &fields[1], value);
        } else {
            weir_str_adds(printer->out, "{}");
        }
    }
    close_group(printer, &group);
}

static void print_field(struct printer *printer, const ProtobufCMessage *msg,
                        const ProtobufCFieldDescriptor *field)
{
    if (weir_schema_is_map(field)) {
        print_map(printer, msg, field);
    } else if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        struct group group = open_group(printer, '[');
        size_t n = weir_schema_count(msg, field);
        for (size_t i = 0; i < n; i++) {
            next_item(printer, &group);
            print_value(printer, field, weir_schema_element(msg, field, i));
        }
        close_group(printer, &group);
    } else {
        print_value(printer, field, weir_schema_member(msg, field));
    }
}

/* What stands for a sensitive field: text as "[redacted]", bytes as its base64; the rest is left out. As
 * Envoy does. */
static bool redact_field(struct printer *printer, struct group *group, const ProtobufCFieldDescriptor *field)
{
    static const ProtobufCBinaryData redacted = {.len = 10, .data = (uint8_t *)(uintptr_t) "[redacted]"};
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return false;
    if (field->type != PROTOBUF_C_TYPE_STRING && field->type != PROTOBUF_C_TYPE_BYTES)
        return false;
    print_key(printer, group, weir_slice_str(field->name));
    if (field->type == PROTOBUF_C_TYPE_STRING) {
        weir_str_adds(printer->out, "\"[redacted]\"");
    } else {
        print_base64(printer, &redacted);
    }
    return true;
}

/* A message that is sensitive as a whole: every text in it is hidden. */
static void print_redacted(struct printer *printer, const ProtobufCMessage *msg)
{
    struct group group = open_group(printer, '{');
    for (unsigned i = 0; i < msg->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &msg->descriptor->fields[i];
        if (!is_printed(msg, field) || redact_field(printer, &group, field))
            continue;
        if (field->type != PROTOBUF_C_TYPE_MESSAGE || field->label == PROTOBUF_C_LABEL_REPEATED)
            continue;
        print_key(printer, &group, weir_slice_str(field->name));
        print_redacted(printer, weir_schema_sub(msg, field, 0));
    }
    close_group(printer, &group);
}

static void print_fields(struct printer *printer, struct group *group, const ProtobufCMessage *msg)
{
    const ProtobufCMessageDescriptor *type = msg->descriptor;
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        if (!is_printed(msg, field))
            continue;
        if (!printer->style->redact || !weir_rules_is_sensitive(type, field)) {
            print_key(printer, group, weir_slice_str(field->name));
            print_field(printer, msg, field);
        } else if (field->type == PROTOBUF_C_TYPE_MESSAGE && field->label != PROTOBUF_C_LABEL_REPEATED) {
            print_key(printer, group, weir_slice_str(field->name));
            print_redacted(printer, weir_schema_sub(msg, field, 0));
        } else {
            (void)redact_field(printer, group, field);
        }
    }
}

static void print_message(struct printer *printer, const ProtobufCMessage *msg)
{
    switch (weir_schema_known_type(msg->descriptor)) {
    case WEIR_TYPE_DURATION:
        print_duration(printer, (const Google__Protobuf__Duration *)msg);
        return;
    case WEIR_TYPE_TIMESTAMP:
        print_timestamp(printer, (const Google__Protobuf__Timestamp *)msg);
        return;
    case WEIR_TYPE_WRAPPER:
        print_value(printer, &msg->descriptor->fields[0],
                    weir_schema_member(msg, &msg->descriptor->fields[0]));
        return;
    case WEIR_TYPE_STRUCT:
        print_struct(printer, (const Google__Protobuf__Struct *)msg);
        return;
    case WEIR_TYPE_VALUE:
        print_json_value(printer, (const Google__Protobuf__Value *)msg);
        return;
    case WEIR_TYPE_LIST_VALUE:
        print_list_value(printer, (const Google__Protobuf__ListValue *)msg);
        return;
    case WEIR_TYPE_ANY:
        print_any(printer, (const Google__Protobuf__Any *)msg);
        return;
    case WEIR_TYPE_PLAIN:
    case WEIR_TYPE_EMPTY:
        break;
    }
    struct group group = open_group(printer, '{');
    print_fields(printer, &group, msg);
    close_group(printer, &group);
}

void weir_proto_json(struct weir_str *out, const struct weir_config *conf, const void *msg,
                     const struct weir_proto_json_style *style)
{
    struct printer printer = {out, conf, style, style->indent};
    print_message(&printer, msg);
}

void weir_proto_json_value(struct weir_str *out, const ProtobufCMessage *msg,
                           const ProtobufCFieldDescriptor *field)
{
    static const struct weir_proto_json_style style = {.compact = true};
    struct printer printer = {out, NULL, &style, 0};
    print_value(&printer, field, weir_schema_member(msg, field));
}
