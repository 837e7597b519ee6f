/* One value of a tree to one scalar of a message: numbers, booleans, text, bytes, enums, as lenient as
 * Envoy's JSON reader is, a little more where nothing valid can break, and with a warning then. */
#include <math.h>

#include "config/hints.h"
#include "config/node_build.h"
#include "config/proto_reader.h"

/* ---- numbers ---- */

struct number {
    bool negative;
    uint64_t magnitude;
};

static bool number_from_double(double value, struct number *ret)
{
    if (value != floor(value) || fabs(value) >= 18446744073709551616.0)
        return false;
    *ret = (struct number){value < 0, (uint64_t)fabs(value)};
    return true;
}

/* "80", "80.0" and "0x50" alike. */
static bool number_from_text(struct weir_slice text, struct number *ret)
{
    int64_t whole;
    double fraction;
    if (weir_slice_starts_with_nocase(text, WEIR_S("0x"))) {
        ret->negative = false;
        return weir_parse_hex(weir_slice_from(text, 2), UINT64_MAX, &ret->magnitude) == WEIR_OK;
    }
    if (weir_parse_u64(text, UINT64_MAX, &ret->magnitude) == WEIR_OK) {
        ret->negative = false;
        return true;
    }
    if (weir_parse_i64(text, &whole) == WEIR_OK) {
        *ret = (struct number){whole < 0, whole < 0 ? 0 - (uint64_t)whole : (uint64_t)whole};
        return true;
    }
    return weir_parse_double(text, &fraction) == WEIR_OK && number_from_double(fraction, ret);
}

static bool is_octal(const struct weir_node *node)
{
    struct weir_slice text = node->scalar.text;
    return node->kind == WEIR_NODE_INT && !node->json && text.len > 1 && text.ptr[0] == '0' &&
           (text.ptr[1] | 0x20) != 'x';
}

static bool read_number(struct weir_reader *reader, const struct weir_spot *spot,
                        const struct weir_node *node, struct number *ret)
{
    struct weir_slice text = node->scalar.text;
    int64_t whole;
    bool ok = false;
    if (node->kind == WEIR_NODE_INT && weir_node_parse_int(text, &whole)) {
        *ret = (struct number){whole < 0, whole < 0 ? 0 - (uint64_t)whole : (uint64_t)whole};
        ok = true;
    } else if (node->kind == WEIR_NODE_INT || node->kind == WEIR_NODE_FLOAT ||
               node->kind == WEIR_NODE_STRING) {
        ok = number_from_text(text, ret);
    }
    if (!ok) {
        bool scalar = node->kind != WEIR_NODE_LIST && node->kind != WEIR_NODE_MAP;
        if (scalar) {
            return weir_reader_fail(reader, spot, node->pos, "expected a whole number, found \"%.*s\"",
                                    WEIR_SARG(text));
        }
        return weir_reader_fail(reader, spot, node->pos, "expected a whole number, found %s",
                                weir_node_kind_text(node));
    }
    if (is_octal(node)) {
        weir_reader_warn(reader, spot, node->pos, "YAML reads %.*s as octal: %s%llu", WEIR_SARG(text),
                         ret->negative ? "-" : "", (unsigned long long)ret->magnitude);
        weir_diag_hint(reader->conf->diag, "leave the first 0 out if it is decimal");
    }
    return true;
}

static bool read_signed(struct weir_reader *reader, const struct weir_spot *spot,
                        const struct weir_node *node, int64_t min, int64_t max, int64_t *ret)
{
    struct number number;
    if (!read_number(reader, spot, node, &number))
        return false;
    uint64_t limit = number.negative ? 0 - (uint64_t)min : (uint64_t)max;
    if (number.magnitude > limit) {
        return weir_reader_fail(reader, spot, node->pos, "%.*s does not fit: %lld to %lld",
                                WEIR_SARG(node->scalar.text), (long long)min, (long long)max);
    }
    *ret = (int64_t)(number.negative ? 0 - number.magnitude : number.magnitude);
    return true;
}

static bool read_unsigned(struct weir_reader *reader, const struct weir_spot *spot,
                          const struct weir_node *node, uint64_t max, uint64_t *ret)
{
    struct number number;
    if (!read_number(reader, spot, node, &number))
        return false;
    if ((number.negative && number.magnitude > 0) || number.magnitude > max) {
        return weir_reader_fail(reader, spot, node->pos, "%.*s does not fit: 0 to %llu",
                                WEIR_SARG(node->scalar.text), (unsigned long long)max);
    }
    *ret = number.magnitude;
    return true;
}

static bool read_double(struct weir_reader *reader, const struct weir_spot *spot,
                        const struct weir_node *node, double *ret)
{
    static const struct {
        const char *text;
        double value;
    } specials[] = {{"NaN", NAN}, {"Infinity", INFINITY}, {"-Infinity", -INFINITY}};
    int64_t whole;
    if (node->kind == WEIR_NODE_INT && weir_node_parse_int(node->scalar.text, &whole)) {
        *ret = (double)whole;
        return true;
    }
    bool scalar = node->kind != WEIR_NODE_LIST && node->kind != WEIR_NODE_MAP && node->kind != WEIR_NODE_BOOL;
    if (scalar && weir_parse_double(node->scalar.text, ret) == WEIR_OK)
        return true;
    for (size_t i = 0; i < WEIR_COUNTOF(specials) && scalar; i++) {
        if (!weir_slice_eq(node->scalar.text, weir_slice_str(specials[i].text)))
            continue;
        *ret = specials[i].value;
        return true;
    }
    if (scalar) {
        return weir_reader_fail(reader, spot, node->pos, "expected a number, found \"%.*s\"",
                                WEIR_SARG(node->scalar.text));
    }
    return weir_reader_fail(reader, spot, node->pos, "expected a number, found %s",
                            weir_node_kind_text(node));
}

/* ---- booleans, text, bytes ---- */

static bool read_bool(struct weir_reader *reader, const struct weir_spot *spot, const struct weir_node *node,
                      protobuf_c_boolean *ret)
{
    struct weir_node plain = *node;
    if (node->kind == WEIR_NODE_STRING)
        weir_node_build_plain(&plain, node->scalar.text);
    if (plain.kind == WEIR_NODE_BOOL) {
        *ret = plain.scalar.is_true;
        return true;
    }
    if (node->kind == WEIR_NODE_LIST || node->kind == WEIR_NODE_MAP) {
        return weir_reader_fail(reader, spot, node->pos, "expected true or false, found %s",
                                weir_node_kind_text(node));
    }
    return weir_reader_fail(reader, spot, node->pos, "expected true or false, found \"%.*s\"",
                            WEIR_SARG(node->scalar.text));
}

static bool read_text(struct weir_reader *reader, const struct weir_spot *spot, const struct weir_node *node,
                      char **ret)
{
    if (node->kind == WEIR_NODE_LIST || node->kind == WEIR_NODE_MAP) {
        return weir_reader_fail(reader, spot, node->pos, "expected text, found %s",
                                weir_node_kind_text(node));
    }
    struct weir_slice text = node->scalar.text;
    if (node->kind == WEIR_NODE_BOOL) {
        weir_reader_fail(reader, spot, node->pos, "expected text: %s reads unquoted %.*s as %s",
                         node->json ? "JSON" : "YAML", WEIR_SARG(text),
                         node->scalar.is_true ? "true" : "false");
        weir_diag_hint(reader->conf->diag, "write \"%.*s\"", WEIR_SARG(text));
        return false;
    }
    if (node->kind == WEIR_NODE_INT || (node->kind == WEIR_NODE_FLOAT && node->json)) {
        weir_reader_warn(reader, spot, node->pos, "a number where text belongs: Envoy refuses it");
        weir_diag_hint(reader->conf->diag, "write \"%.*s\"", WEIR_SARG(text));
    }
    if (memchr(text.ptr, '\0', text.len)) {
        return weir_reader_fail(reader, spot, node->pos, "a NUL character in text");
    }
    *ret = (char *)(uintptr_t)weir_arena_dup(reader->arena, text).ptr;
    return true;
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+' || c == '-')
        return 62;
    return c == '/' || c == '_' ? 63 : -1;
}

/* RFC 4648 4 and 5, padding optional, as protobuf's JSON has it. */
static bool decode_base64(struct weir_slice text, uint8_t *out, size_t *ret_len)
{
    size_t len = 0, n_bits = 0;
    uint32_t bits = 0;
    for (size_t pad = 0; text.len > 0 && text.ptr[text.len - 1] == '=' && pad < 2; pad++)
        text.len--;
    if (text.len % 4 == 1)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        int digit = base64_digit(text.ptr[i]);
        if (digit < 0)
            return false;
        bits = bits << 6 | (uint32_t)digit;
        n_bits += 6;
        if (n_bits < 8)
            continue;
        n_bits -= 8;
        out[len++] = (uint8_t)(bits >> n_bits);
        bits &= (1u << n_bits) - 1;
    }
    *ret_len = len;
    return true;
}

static bool read_bytes(struct weir_reader *reader, const struct weir_spot *spot, const struct weir_node *node,
                       ProtobufCBinaryData *ret)
{
    if (node->kind == WEIR_NODE_LIST || node->kind == WEIR_NODE_MAP) {
        return weir_reader_fail(reader, spot, node->pos, "expected base64 text, found %s",
                                weir_node_kind_text(node));
    }
    struct weir_slice text = node->scalar.text;
    uint8_t *data = weir_arena_alloc(reader->arena, text.len + 1);
    size_t len;
    if (!decode_base64(text, data, &len)) {
        weir_reader_fail(reader, spot, node->pos, "not base64");
        weir_diag_hint(reader->conf->diag, "a field of bytes takes base64 text");
        return false;
    }
    *ret = (ProtobufCBinaryData){.len = len, .data = data};
    return true;
}

/* ---- enums ---- */

#define ENUM_LISTED_MAX 14

static void report_enum(struct weir_reader *reader, const struct weir_spot *spot,
                        const struct weir_node *node, const ProtobufCEnumDescriptor *type)
{
    struct weir_slice text = node->scalar.text, list = WEIR_S("");
    const char *nearest = NULL;
    size_t best = weir_hint_tolerance(text.len);
    for (unsigned i = 0; i < type->n_value_names; i++) {
        const char *name = type->values_by_name[i].name;
        size_t distance = weir_hint_distance(text, weir_slice_str(name), best);
        if (distance > best || (nearest && distance == best))
            continue;
        nearest = name;
        best = distance;
    }
    struct weir_diag *diag = reader->conf->diag;
    for (unsigned i = 0; i < type->n_values && i < ENUM_LISTED_MAX; i++) {
        list =
            weir_arena_printf(&diag->arena, "%.*s%s%s", WEIR_SARG(list), i ? ", " : "", type->values[i].name);
    }
    weir_reader_fail(reader, spot, node->pos, "\"%.*s\" is no value of %s: %s%.*s%s", WEIR_SARG(text),
                     type->short_name, type->n_values > 1 ? "one of " : "only ", WEIR_SARG(list),
                     type->n_values > ENUM_LISTED_MAX ? ", ..." : "");
    if (nearest)
        weir_diag_hint(diag, "did you mean \"%s\"?", nearest);
}

static bool read_enum(struct weir_reader *reader, const struct weir_spot *spot,
                      const ProtobufCEnumDescriptor *type, const struct weir_node *node, int32_t *ret)
{
    if (node->kind == WEIR_NODE_LIST || node->kind == WEIR_NODE_MAP) {
        return weir_reader_fail(reader, spot, node->pos, "expected a value of %s, found %s", type->short_name,
                                weir_node_kind_text(node));
    }
    struct weir_slice text = node->scalar.text;
    for (unsigned i = 0; i < type->n_value_names; i++) {
        if (!weir_slice_eq_nocase(text, weir_slice_str(type->values_by_name[i].name)))
            continue;
        *ret = type->values[type->values_by_name[i].index].value;
        weir_hint_deprecated_value(reader, spot, node->pos, type, *ret);
        return true;
    }
    int64_t number;
    if (node->kind == WEIR_NODE_INT || weir_parse_i64(text, &number) == WEIR_OK) {
        if (!read_signed(reader, spot, node, INT32_MIN, INT32_MAX, &number))
            return false;
        *ret = (int32_t)number;
        return true;
    }
    report_enum(reader, spot, node, type);
    return false;
}

/* ---- by type ---- */

static bool read_int32(struct weir_reader *reader, const struct weir_spot *spot, const struct weir_node *node,
                       void *out)
{
    int64_t value;
    if (!read_signed(reader, spot, node, INT32_MIN, INT32_MAX, &value))
        return false;
    *(int32_t *)out = (int32_t)value;
    return true;
}

static bool read_uint32(struct weir_reader *reader, const struct weir_spot *spot,
                        const struct weir_node *node, void *out)
{
    uint64_t value;
    if (!read_unsigned(reader, spot, node, UINT32_MAX, &value))
        return false;
    *(uint32_t *)out = (uint32_t)value;
    return true;
}

static bool read_float(struct weir_reader *reader, const struct weir_spot *spot, const struct weir_node *node,
                       void *out)
{
    double value;
    if (!read_double(reader, spot, node, &value))
        return false;
    *(float *)out = (float)value;
    return true;
}

bool weir_reader_scalar(struct weir_reader *reader, const struct weir_spot *spot,
                        const ProtobufCFieldDescriptor *type, const struct weir_node *node, void *out)
{
    switch (type->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        return read_int32(reader, spot, node, out);
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        return read_uint32(reader, spot, node, out);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return read_signed(reader, spot, node, INT64_MIN, INT64_MAX, out);
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return read_unsigned(reader, spot, node, UINT64_MAX, out);
    case PROTOBUF_C_TYPE_FLOAT:
        return read_float(reader, spot, node, out);
    case PROTOBUF_C_TYPE_DOUBLE:
        return read_double(reader, spot, node, out);
    case PROTOBUF_C_TYPE_BOOL:
        return read_bool(reader, spot, node, out);
    case PROTOBUF_C_TYPE_ENUM:
        return read_enum(reader, spot, weir_schema_enum_of(type), node, out);
    case PROTOBUF_C_TYPE_STRING:
        return read_text(reader, spot, node, out);
    case PROTOBUF_C_TYPE_BYTES:
        return read_bytes(reader, spot, node, out);
    case PROTOBUF_C_TYPE_MESSAGE:
        break;
    }
    return false;
}
