/* The well-known types that have a JSON form of their own: Duration, Timestamp, Struct, Value, ListValue. */
#include <google/protobuf/duration.pb-c.h>
#include <google/protobuf/struct.pb-c.h>
#include <google/protobuf/timestamp.pb-c.h>

#include "config/node_build.h"
#include "config/proto_reader.h"

#define NS_PER_S         1000000000
#define DURATION_MAX_S   315576000000 // 10,000 years: protobuf's limit
#define ENVOY_NUMBER_MAX INT32_MAX    // larger integers of a Struct become text when Envoy reads YAML

/* ---- durations ---- */

/* ".5", "0.25", "12": up to nine digits after the point. Whatever follows the number is in `*ret_rest`. */
static bool split_number(struct weir_slice text, uint64_t *ret_s, uint32_t *ret_ns,
                         struct weir_slice *ret_rest)
{
    uint64_t seconds = 0;
    uint32_t nanos = 0, scale = NS_PER_S;
    size_t i = 0;
    for (; i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '9'; i++) {
        if (seconds > DURATION_MAX_S)
            return false;
        seconds = seconds * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    size_t n_digits = i;
    if (i < text.len && text.ptr[i] == '.') {
        for (i++; i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '9'; i++, n_digits++) {
            scale /= 10;
            nanos += scale * (uint32_t)(text.ptr[i] - '0');
        }
    }
    *ret_s = seconds;
    *ret_ns = nanos;
    *ret_rest = weir_slice_from(text, i);
    return n_digits > 0;
}

/* Nanoseconds of a unit that people write; 0 for an unknown one. */
static uint64_t unit_ns(struct weir_slice unit)
{
    static const struct {
        const char *name;
        uint64_t ns;
    } units[] = {
        {"ns", 1},
        {"us", 1000},
        {"ms", 1000000},
        {"msec", 1000000},
        {"", NS_PER_S}, // a bare number: Envoy's durations are in seconds
        {"s", NS_PER_S},
        {"sec", NS_PER_S},
        {"m", 60ull * NS_PER_S},
        {"min", 60ull * NS_PER_S},
        {"h", 3600ull * NS_PER_S},
        {"d", 86400ull * NS_PER_S},
    };
    for (size_t i = 0; i < WEIR_COUNTOF(units); i++) {
        if (weir_slice_eq_nocase(unit, weir_slice_str(units[i].name)))
            return units[i].ns;
    }
    return 0;
}

/* What someone who wrote "250ms", "1m30s" or "5" wants: false when that cannot be told. */
static bool guess_duration(struct weir_slice text, uint64_t *ret_ns)
{
    uint64_t total = 0;
    while (text.len > 0) {
        uint64_t whole;
        uint32_t fraction;
        struct weir_slice rest;
        if (!split_number(text, &whole, &fraction, &rest) || whole > DURATION_MAX_S / 100000)
            return false;
        size_t len = 0;
        while (len < rest.len && rest.ptr[len] != '.' && (rest.ptr[len] < '0' || rest.ptr[len] > '9'))
            len++;
        uint64_t unit = unit_ns(weir_slice_trim(weir_slice_first(rest, len)));
        if (unit == 0 || whole > UINT64_MAX / 2 / unit)
            return false;
        total += whole * unit + (uint64_t)((double)fraction / NS_PER_S * (double)unit + 0.5);
        text = weir_slice_from(rest, len);
    }
    *ret_ns = total;
    return true;
}

static bool fail_duration(struct weir_reader *reader, const struct weir_spot *spot,
                          const struct weir_node *node)
{
    struct weir_slice text = node->scalar.text;
    uint64_t ns;
    weir_reader_fail(reader, spot, node->pos, "\"%.*s\" is no duration", WEIR_SARG(text));
    struct weir_diag *diag = reader->conf->diag;
    if (text.len == 0 || !guess_duration(text, &ns)) {
        weir_diag_hint(diag, "a duration is seconds with an s: \"5s\", \"0.250s\"");
    } else if (ns % NS_PER_S == 0) {
        weir_diag_hint(diag, "write \"%llus\"", (unsigned long long)(ns / NS_PER_S));
    } else if (ns % 1000000 == 0) {
        weir_diag_hint(diag, "write \"%llu.%03llus\"", (unsigned long long)(ns / NS_PER_S),
                       (unsigned long long)(ns % NS_PER_S / 1000000));
    } else {
        weir_diag_hint(diag, "write \"%llu.%09llus\"", (unsigned long long)(ns / NS_PER_S),
                       (unsigned long long)(ns % NS_PER_S));
    }
    return false;
}

/* "1.5s". Envoy takes no negative durations anywhere. */
static bool read_duration(struct weir_reader *reader, const struct weir_spot *spot, ProtobufCMessage *msg,
                          const struct weir_node *node)
{
    Google__Protobuf__Duration *duration = (Google__Protobuf__Duration *)msg;
    if (node->kind == WEIR_NODE_LIST) {
        return weir_reader_fail(reader, spot, node->pos, "expected a duration such as \"5s\", found a list");
    }
    struct weir_slice text = node->scalar.text, rest;
    uint64_t seconds;
    uint32_t nanos;
    bool negative = text.len > 0 && text.ptr[0] == '-';
    if (negative)
        text = weir_slice_from(text, 1);
    bool is_text = node->kind == WEIR_NODE_STRING && text.len > 0 && text.ptr[0] != '.';
    if (!is_text || !split_number(text, &seconds, &nanos, &rest) || !weir_slice_eq(rest, WEIR_S("s"))) {
        return fail_duration(reader, spot, node);
    }
    if (text.ptr[text.len - 2] == '.')
        return fail_duration(reader, spot, node);
    if (seconds > DURATION_MAX_S) {
        return weir_reader_fail(reader, spot, node->pos, "a duration of more than %lld seconds",
                                (long long)DURATION_MAX_S);
    }
    if (negative && (seconds || nanos)) {
        return weir_reader_fail(reader, spot, node->pos, "a duration cannot be negative: %.*s",
                                WEIR_SARG(node->scalar.text));
    }
    duration->seconds = (int64_t)seconds;
    duration->nanos = (int32_t)nanos;
    return true;
}

/* {seconds: 1, nanos: 500000000}: the message's plain form. */
static bool read_duration_fields(struct weir_reader *reader, const struct weir_spot *spot,
                                 ProtobufCMessage *msg, const struct weir_node *node)
{
    Google__Protobuf__Duration *duration = (Google__Protobuf__Duration *)msg;
    weir_reader_fields(reader, msg, node, WEIR_S_NONE);
    if (duration->seconds < 0 || duration->nanos < 0) {
        return weir_reader_fail(reader, spot, node->pos, "a duration cannot be negative");
    }
    if (duration->nanos >= NS_PER_S) {
        return weir_reader_fail(reader, spot, node->pos, "nanos is less than 1000000000");
    }
    return true;
}

/* ---- timestamps ---- */

/* Days from 1970-01-01 in the Gregorian calendar (March-based years make the leap day the last). */
static int64_t days_from_civil(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

/* The number in `n` digits at `start`, within [min, max]. */
static bool read_digits(struct weir_slice text, size_t start, size_t n, uint64_t min, uint64_t max,
                        int64_t *ret)
{
    uint64_t value;
    if (start + n > text.len)
        return false;
    if (weir_parse_u64(weir_slice(text.ptr + start, n), max, &value) != WEIR_OK || value < min)
        return false;
    *ret = (int64_t)value;
    return true;
}

/* RFC 3339: "2024-05-06T07:08:09.5Z", or "+01:00" instead of the Z. */
static bool parse_timestamp(struct weir_slice text, int64_t *ret_s, int32_t *ret_ns)
{
    int64_t year, month, day, hour, minute, second, off_hour = 0, off_minute = 0;
    if (text.len < 20 || text.ptr[4] != '-' || text.ptr[7] != '-' || (text.ptr[10] | 0x20) != 't' ||
        text.ptr[13] != ':' || text.ptr[16] != ':') {
        return false;
    }
    if (!read_digits(text, 0, 4, 1, 9999, &year) || !read_digits(text, 5, 2, 1, 12, &month) ||
        !read_digits(text, 8, 2, 1, 31, &day) || !read_digits(text, 11, 2, 0, 23, &hour) ||
        !read_digits(text, 14, 2, 0, 59, &minute) || !read_digits(text, 17, 2, 0, 60, &second)) {
        return false;
    }
    struct weir_slice rest = weir_slice_from(text, 19);
    uint64_t whole = 0;
    uint32_t nanos = 0;
    if (rest.ptr[0] == '.' && (!split_number(rest, &whole, &nanos, &rest) || rest.len == 0))
        return false;
    int64_t sign = rest.ptr[0] == '+' ? 1 : rest.ptr[0] == '-' ? -1 : 0;
    if (sign == 0 ? rest.len != 1 || (rest.ptr[0] | 0x20) != 'z'
                  : rest.len != 6 || rest.ptr[3] != ':' || !read_digits(rest, 1, 2, 0, 23, &off_hour) ||
                        !read_digits(rest, 4, 2, 0, 59, &off_minute)) {
        return false;
    }
    *ret_s = days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second -
             sign * (off_hour * 3600 + off_minute * 60);
    *ret_ns = (int32_t)nanos;
    return true;
}

static bool read_timestamp(struct weir_reader *reader, const struct weir_spot *spot, ProtobufCMessage *msg,
                           const struct weir_node *node)
{
    Google__Protobuf__Timestamp *timestamp = (Google__Protobuf__Timestamp *)msg;
    bool is_text = node->kind != WEIR_NODE_LIST;
    if (is_text && parse_timestamp(node->scalar.text, &timestamp->seconds, &timestamp->nanos))
        return true;
    weir_reader_fail(reader, spot, node->pos, "expected a time");
    weir_diag_hint(reader->conf->diag, "write it as \"2024-05-06T07:08:09Z\"");
    return false;
}

/* ---- Struct ---- */

static void read_list_value(struct weir_reader *reader, Google__Protobuf__ListValue *list,
                            const struct weir_node *node);
static void read_struct(struct weir_reader *reader, Google__Protobuf__Struct *object,
                        const struct weir_node *node);

/* As Envoy: from YAML only integers of 32 bits are numbers, larger ones and fractions are text; JSON keeps
 * numbers. */
static void read_number_value(struct weir_reader *reader, Google__Protobuf__Value *value,
                              const struct weir_node *node)
{
    int64_t whole = 0;
    bool is_whole = node->kind == WEIR_NODE_INT && weir_node_parse_int(node->scalar.text, &whole);
    double number = (double)whole;
    bool small = is_whole && whole <= ENVOY_NUMBER_MAX && whole >= -(int64_t)ENVOY_NUMBER_MAX - 1;
    if (small || (node->json && weir_parse_double(node->scalar.text, &number) == WEIR_OK)) {
        value->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_NUMBER_VALUE;
        value->number_value = number;
        return;
    }
    struct weir_slice text = is_whole ? weir_arena_printf(reader->arena, "%lld", (long long)whole)
                                      : weir_arena_dup(reader->arena, node->scalar.text);
    value->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE;
    value->string_value = (char *)(uintptr_t)text.ptr;
}

static void read_value(struct weir_reader *reader, Google__Protobuf__Value *value,
                       const struct weir_node *node)
{
    switch (node->kind) {
    case WEIR_NODE_NULL:
        value->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_NULL_VALUE;
        return;
    case WEIR_NODE_BOOL:
        value->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_BOOL_VALUE;
        value->bool_value = node->scalar.is_true;
        return;
    case WEIR_NODE_INT:
    case WEIR_NODE_FLOAT:
        read_number_value(reader, value, node);
        return;
    case WEIR_NODE_STRING:
        value->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE;
        value->string_value = (char *)(uintptr_t)weir_arena_dup(reader->arena, node->scalar.text).ptr;
        return;
    case WEIR_NODE_LIST:
        value->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_LIST_VALUE;
        value->list_value = (Google__Protobuf__ListValue *)weir_schema_new(
            reader->arena, &google__protobuf__list_value__descriptor);
        read_list_value(reader, value->list_value, node);
        return;
    case WEIR_NODE_MAP:
        value->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_STRUCT_VALUE;
        value->struct_value =
            (Google__Protobuf__Struct *)weir_schema_new(reader->arena, &google__protobuf__struct__descriptor);
        read_struct(reader, value->struct_value, node);
        return;
    }
}

static Google__Protobuf__Value *new_value(struct weir_reader *reader, const struct weir_node *node)
{
    Google__Protobuf__Value *value =
        (Google__Protobuf__Value *)weir_schema_new(reader->arena, &google__protobuf__value__descriptor);
    read_value(reader, value, node);
    return value;
}

static void read_list_value(struct weir_reader *reader, Google__Protobuf__ListValue *list,
                            const struct weir_node *node)
{
    list->values = weir_arena_alloc(reader->arena, node->list.n * sizeof(*list->values));
    list->n_values = node->list.n;
    for (size_t i = 0; i < node->list.n; i++)
        list->values[i] = new_value(reader, node->list.items[i]);
}

static Google__Protobuf__Struct__FieldsEntry *entry_named(Google__Protobuf__Struct *object,
                                                          struct weir_slice key)
{
    for (size_t i = 0; i < object->n_fields; i++) {
        if (weir_slice_eq(weir_slice_str(object->fields[i]->key), key))
            return object->fields[i];
    }
    return NULL;
}

/* Adds to what the struct holds already: keys that are there get the new value. */
static void read_struct(struct weir_reader *reader, Google__Protobuf__Struct *object,
                        const struct weir_node *node)
{
    size_t n_old = object->n_fields;
    Google__Protobuf__Struct__FieldsEntry **fields =
        weir_arena_alloc(reader->arena, (n_old + node->map.n) * sizeof(*fields));
    for (size_t i = 0; i < n_old; i++)
        fields[i] = object->fields[i];
    object->fields = fields;
    for (size_t i = 0; i < node->map.n; i++) {
        const struct weir_pair *pair = &node->map.pairs[i];
        Google__Protobuf__Struct__FieldsEntry *entry = n_old ? entry_named(object, pair->key) : NULL;
        if (!entry) {
            entry = (Google__Protobuf__Struct__FieldsEntry *)weir_schema_new(
                reader->arena, &google__protobuf__struct__fields_entry__descriptor);
            entry->key = (char *)(uintptr_t)weir_arena_dup(reader->arena, pair->key).ptr;
            fields[object->n_fields++] = entry;
        }
        entry->value = new_value(reader, pair->value);
    }
}

bool weir_reader_known(struct weir_reader *reader, const struct weir_spot *spot, enum weir_known_type known,
                       ProtobufCMessage *msg, const struct weir_node *node)
{
    bool is_map = node->kind == WEIR_NODE_MAP;
    switch (known) {
    case WEIR_TYPE_DURATION:
        return is_map ? read_duration_fields(reader, spot, msg, node)
                      : read_duration(reader, spot, msg, node);
    case WEIR_TYPE_TIMESTAMP:
        if (!is_map)
            return read_timestamp(reader, spot, msg, node);
        weir_reader_fields(reader, msg, node, WEIR_S_NONE);
        return true;
    case WEIR_TYPE_VALUE:
        read_value(reader, (Google__Protobuf__Value *)msg, node);
        return true;
    case WEIR_TYPE_STRUCT:
        if (!is_map)
            break;
        read_struct(reader, (Google__Protobuf__Struct *)msg, node);
        return true;
    case WEIR_TYPE_LIST_VALUE:
        if (node->kind != WEIR_NODE_LIST)
            break;
        read_list_value(reader, (Google__Protobuf__ListValue *)msg, node);
        return true;
    case WEIR_TYPE_PLAIN:
    case WEIR_TYPE_ANY:
    case WEIR_TYPE_WRAPPER:
    case WEIR_TYPE_EMPTY:
        break;
    }
    return weir_reader_fail(reader, spot, node->pos, "expected %s, found %s",
                            known == WEIR_TYPE_LIST_VALUE ? "a list" : "an object",
                            weir_node_kind_text(node));
}
