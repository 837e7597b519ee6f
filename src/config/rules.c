/* The rules of validate/validate.proto, from the tables that the schema's generator wrote: checked on the
 * whole tree of messages once everything is read (and merged), each break reported at its place in the words
 * of a person. */
#include "config/rules.h"

#include <math.h>
#include <stdlib.h>

#include <google/protobuf/duration.pb-c.h>
#include <google/protobuf/timestamp.pb-c.h>

#include "base/map.h"
#include "base/regex.h"
#include "config/api_rules.h"
#include "config/schema.h"

#define NS_PER_S 1000000000

struct checker {
    struct weir_config *conf;
    struct weir_ptr_map rules;   // message descriptor -> struct weir_message_rules, or &no_rules
    struct weir_ptr_map regexes; // pattern -> struct weir_regex
};

/* The rules of one field, and where its break is reported. */
struct field_check {
    struct checker *checker;
    const ProtobufCMessage *msg;
    const ProtobufCFieldDescriptor *field;
    int index; // -1: the field itself
    const struct weir_rule *rules;
    size_t n_rules;
    enum weir_rule_scope scope;
};

/* ---- tables ---- */

static const struct weir_message_rules no_rules;

static int compare_rules(const void *key, const void *element)
{
    const struct weir_message_rules *row = element;
    return strcmp(key, row->name);
}

static const struct weir_message_rules *find_rules(const ProtobufCMessageDescriptor *type)
{
    const struct weir_message_rules *found =
        bsearch(type->name, weir_api_rules, weir_api_n_rules, sizeof(*weir_api_rules), compare_rules);
    return found ? found : &no_rules;
}

static const struct weir_message_rules *rules_of(struct checker *checker,
                                                 const ProtobufCMessageDescriptor *type)
{
    const struct weir_message_rules *rules = weir_ptr_map_get(&checker->rules, type);
    if (rules)
        return rules;
    rules = find_rules(type);
    weir_ptr_map_set(&checker->rules, type, (void *)(uintptr_t)rules);
    return rules;
}

bool weir_rules_is_sensitive(const ProtobufCMessageDescriptor *type, const ProtobufCFieldDescriptor *field)
{
    const struct weir_message_rules *rules = find_rules(type);
    for (size_t i = 0; i < rules->n_rules; i++) {
        if (rules->rules[i].field == field->id && rules->rules[i].op == WEIR_RULE_SENSITIVE)
            return true;
    }
    return false;
}

static const struct weir_rule *rule_of(const struct field_check *check, enum weir_rule_op op)
{
    for (size_t i = 0; i < check->n_rules; i++) {
        if (check->rules[i].scope == check->scope && check->rules[i].op == op)
            return &check->rules[i];
    }
    return NULL;
}

/* ---- reports ---- */

#define BREAK(check, ...) \
    weir_config_error((check)->checker->conf, (check)->msg, (check)->field->name, (check)->index, __VA_ARGS__)

/* The message lacks a field altogether: said at the message. */
static void report_missing(const struct field_check *check, const char *more)
{
    weir_config_error(check->checker->conf, check->msg, NULL, -1, "%s needs \"%s\"%s",
                      check->msg->descriptor->short_name, check->field->name, more);
}

/* ---- numbers ---- */

static bool number_of(ProtobufCType type, const void *value, int64_t *ret_whole, double *ret_real)
{
    *ret_real = NAN;
    switch (type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_ENUM:
        *ret_whole = *(const int32_t *)value;
        return true;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        *ret_whole = *(const uint32_t *)value;
        return true;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        *ret_whole = *(const int64_t *)value;
        return true;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64: // no rule has an operand above INT64_MAX
        *ret_whole = (int64_t)WEIR_MIN(*(const uint64_t *)value, (uint64_t)INT64_MAX);
        return true;
    case PROTOBUF_C_TYPE_BOOL:
        *ret_whole = *(const protobuf_c_boolean *)value != 0;
        return true;
    case PROTOBUF_C_TYPE_FLOAT:
        *ret_real = (double)*(const float *)value;
        return true;
    case PROTOBUF_C_TYPE_DOUBLE:
        *ret_real = *(const double *)value;
        return true;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        break;
    }
    return false;
}

struct bound {
    enum weir_rule_op op;
    const char *text; // what the value must be: "at most"
};
static const struct bound bounds[] = {
    {WEIR_RULE_LT, "less than"},
    {WEIR_RULE_LTE, "at most"},
    {WEIR_RULE_GT, "more than"},
    {WEIR_RULE_GTE, "at least"},
};

/* -1, 0 or 1. NaN is above everything, so that no bound lets it pass by accident but GT and GTE. */
static int compare_real(double a, double b)
{
    return a < b ? -1 : a == b ? 0 : 1;
}

static bool keeps(enum weir_rule_op op, int order)
{
    return op == WEIR_RULE_LT    ? order < 0
           : op == WEIR_RULE_LTE ? order <= 0
           : op == WEIR_RULE_GT  ? order > 0
                                 : order >= 0;
}

/* A row that equals the value, among those of `op`; `*ret_any` tells whether there are rows at all. */
static bool is_member(const struct field_check *check, enum weir_rule_op op, int64_t whole, double real,
                      bool *ret_any)
{
    *ret_any = false;
    for (size_t i = 0; i < check->n_rules; i++) {
        const struct weir_rule *rule = &check->rules[i];
        if (rule->scope != check->scope || rule->op != op)
            continue;
        *ret_any = true;
        if (isnan(real) ? rule->i == whole : compare_real(real, rule->d) == 0)
            return true;
    }
    return false;
}

static void check_number(const struct field_check *check, ProtobufCType type, const void *value)
{
    int64_t whole = 0;
    double real;
    bool any;
    if (!number_of(type, value, &whole, &real))
        return;
    bool is_real = type == PROTOBUF_C_TYPE_FLOAT || type == PROTOBUF_C_TYPE_DOUBLE;
    if (rule_of(check, WEIR_RULE_IGNORE_EMPTY) && (is_real ? compare_real(real, 0) == 0 : whole == 0))
        return;
    for (size_t i = 0; i < WEIR_COUNTOF(bounds); i++) {
        const struct weir_rule *rule = rule_of(check, bounds[i].op);
        if (!rule)
            continue;
        int order = is_real ? compare_real(real, rule->d) : whole < rule->i ? -1 : whole > rule->i;
        if (keeps(bounds[i].op, order))
            continue;
        if (is_real) {
            BREAK(check, "%g must be %s %g", real, bounds[i].text, rule->d);
        } else {
            BREAK(check, "%lld must be %s %lld", (long long)whole, bounds[i].text, (long long)rule->i);
        }
    }
    bool is_enum = type == PROTOBUF_C_TYPE_ENUM;
    const ProtobufCEnumDescriptor *names = is_enum ? weir_schema_enum_of(check->field) : NULL;
    const ProtobufCEnumValue *name = is_enum ? protobuf_c_enum_descriptor_get_value(names, (int)whole) : NULL;
    if (is_enum && !name && rule_of(check, WEIR_RULE_DEFINED_ONLY)) {
        BREAK(check, "%lld is no value of %s", (long long)whole, names->short_name);
    }
    bool allowed = is_member(check, WEIR_RULE_IN, whole, real, &any) || !any;
    if (allowed)
        allowed = is_member(check, WEIR_RULE_CONST, whole, real, &any) || !any;
    if (allowed)
        allowed = !is_member(check, WEIR_RULE_NOT_IN, whole, real, &any);
    if (!allowed && name) {
        BREAK(check, "%s is not allowed here", name->name);
    } else if (!allowed) {
        BREAK(check, is_real ? "%g is not allowed here" : "%.0f is not allowed here",
              is_real ? real : (double)whole);
    }
}

/* ---- durations and timestamps ---- */

static void check_nanoseconds(const struct field_check *check, int64_t seconds, int32_t nanos)
{
    int64_t ns;
    if (__builtin_mul_overflow(seconds, (int64_t)NS_PER_S, &ns) ||
        __builtin_add_overflow(ns, (int64_t)nanos, &ns)) {
        ns = seconds < 0 ? INT64_MIN : INT64_MAX;
    }
    for (size_t i = 0; i < WEIR_COUNTOF(bounds); i++) {
        const struct weir_rule *rule = rule_of(check, bounds[i].op);
        if (!rule || keeps(bounds[i].op, ns < rule->i ? -1 : ns > rule->i))
            continue;
        BREAK(check, "%.9gs must be %s %.9gs", (double)ns / NS_PER_S, bounds[i].text,
              (double)rule->i / NS_PER_S);
    }
}

/* ---- text ---- */

static size_t count_chars(struct weir_slice text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++)
        n += ((unsigned char)text.ptr[i] & 0xc0) != 0x80;
    return n;
}

/* Envoy's expressions for header names and values, by hand: they are checked for every header of every route.
 * */
static bool is_header_name(struct weir_slice name, bool strict)
{
    size_t i = strict && name.len > 0 && name.ptr[0] == ':';
    if (name.len == i)
        return false;
    for (; i < name.len; i++) {
        char c = name.ptr[i];
        bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (strict ? !alnum && (!c || !strchr("!#$%&'*+-.^_|~`", c)) : c == '\0' || c == '\n' || c == '\r')
            return false;
    }
    return true;
}

static bool is_header_value(struct weir_slice value, bool strict)
{
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];
        if (strict ? (c < 0x20 && c != '\t') || c == 0x7f : c == '\0' || c == '\n' || c == '\r')
            return false;
    }
    return true;
}

static bool matches(struct checker *checker, const char *pattern, struct weir_slice text)
{
    struct weir_regex *regex = weir_ptr_map_get(&checker->regexes, pattern);
    if (!regex) {
        if (weir_regex_new(weir_slice_str(pattern), NULL, &regex) != WEIR_OK)
            return true; // not the user's mistake
        weir_ptr_map_set(&checker->regexes, pattern, regex);
    }
    return weir_regex_search(regex, text);
}

static void check_length(const struct field_check *check, const struct weir_rule *rule,
                         struct weir_slice text)
{
    bool in_chars = rule->op == WEIR_RULE_MIN_LEN || rule->op == WEIR_RULE_MAX_LEN;
    bool is_min = rule->op == WEIR_RULE_MIN_LEN || rule->op == WEIR_RULE_MIN_BYTES;
    size_t len = in_chars ? count_chars(text) : text.len, limit = (size_t)rule->i;
    if (is_min ? len >= limit : len <= limit)
        return;
    if (is_min && text.len == 0 && check->index < 0 &&
        !weir_config_is_set(check->checker->conf, check->msg, check->field->name)) {
        report_missing(check, "");
    } else if (is_min && text.len == 0) {
        BREAK(check, "must not be empty");
    } else {
        BREAK(check, "must have %s %zu %s, has %zu", is_min ? "at least" : "at most", limit,
              in_chars ? "characters" : "bytes", len);
    }
}

/* One rule whose operand is text, or none. */
static void check_text_rule(const struct field_check *check, const struct weir_rule *rule,
                            struct weir_slice text)
{
    switch (rule->op) {
    case WEIR_RULE_MIN_LEN:
    case WEIR_RULE_MAX_LEN:
    case WEIR_RULE_MIN_BYTES:
    case WEIR_RULE_MAX_BYTES:
        check_length(check, rule, text);
        return;
    case WEIR_RULE_CONST:
        if (!weir_slice_eq(text, weir_slice_str(rule->s)))
            BREAK(check, "must be \"%s\"", rule->s);
        return;
    case WEIR_RULE_NOT_IN:
        if (weir_slice_eq(text, weir_slice_str(rule->s)))
            BREAK(check, "\"%s\" is not allowed here", rule->s);
        return;
    case WEIR_RULE_PREFIX:
        if (!weir_slice_starts_with(text, weir_slice_str(rule->s)))
            BREAK(check, "must begin with \"%s\"", rule->s);
        return;
    case WEIR_RULE_SUFFIX:
        if (!weir_slice_ends_with(text, weir_slice_str(rule->s)))
            BREAK(check, "must end with \"%s\"", rule->s);
        return;
    case WEIR_RULE_PATTERN:
        if (!matches(check->checker, rule->s, text)) {
            BREAK(check, "\"%.*s\" does not match %s", WEIR_SARG(text), rule->s);
        }
        return;
    case WEIR_RULE_HEADER_NAME:
        if (text.len > 0 && !is_header_name(text, rule->i)) {
            BREAK(check, "\"%.*s\" is no header name", WEIR_SARG(text));
        }
        return;
    case WEIR_RULE_HEADER_VALUE:
        if (!is_header_value(text, rule->i))
            BREAK(check, "a character that no header value may have");
        return;
    default:
        return;
    }
}

static void check_text(const struct field_check *check, struct weir_slice text)
{
    if (text.len == 0 && rule_of(check, WEIR_RULE_IGNORE_EMPTY))
        return;
    bool any_in = false, in = false;
    for (size_t i = 0; i < check->n_rules; i++) {
        const struct weir_rule *rule = &check->rules[i];
        if (rule->scope != check->scope)
            continue;
        if (rule->op == WEIR_RULE_IN) {
            any_in = true;
            in = in || weir_slice_eq(text, weir_slice_str(rule->s));
        } else {
            check_text_rule(check, rule, text);
        }
    }
    if (any_in && !in)
        BREAK(check, "\"%.*s\" is not allowed here", WEIR_SARG(text));
}

/* ---- values, by type ---- */

static void check_value(const struct field_check *check, ProtobufCType type, const void *value);

static void check_wrapped(const struct field_check *check, const ProtobufCMessage *msg)
{
    switch (weir_schema_known_type(msg->descriptor)) {
    case WEIR_TYPE_WRAPPER: {
        const ProtobufCFieldDescriptor *value = &msg->descriptor->fields[0];
        check_value(check, value->type, weir_schema_member(msg, value));
        return;
    }
    case WEIR_TYPE_DURATION: {
        const Google__Protobuf__Duration *duration = (const Google__Protobuf__Duration *)msg;
        check_nanoseconds(check, duration->seconds, duration->nanos);
        return;
    }
    case WEIR_TYPE_TIMESTAMP: {
        const Google__Protobuf__Timestamp *timestamp = (const Google__Protobuf__Timestamp *)msg;
        check_nanoseconds(check, timestamp->seconds, timestamp->nanos);
        return;
    }
    case WEIR_TYPE_ANY: {
        struct weir_slice url = weir_slice_str(((const Google__Protobuf__Any *)msg)->type_url);
        check_text(check, url);
        return;
    }
    case WEIR_TYPE_PLAIN:
    case WEIR_TYPE_STRUCT:
    case WEIR_TYPE_VALUE:
    case WEIR_TYPE_LIST_VALUE:
    case WEIR_TYPE_EMPTY:
        return;
    }
}

static void check_value(const struct field_check *check, ProtobufCType type, const void *value)
{
    if (type == PROTOBUF_C_TYPE_MESSAGE) {
        const ProtobufCMessage *msg = *(const ProtobufCMessage *const *)value;
        if (msg)
            check_wrapped(check, msg);
    } else if (type == PROTOBUF_C_TYPE_STRING) {
        check_text(check, weir_slice_str(*(const char *const *)value));
    } else if (type == PROTOBUF_C_TYPE_BYTES) {
        const ProtobufCBinaryData *data = value;
        check_text(check, weir_slice((const char *)data->data, data->len));
    } else {
        check_number(check, type, value);
    }
}

/* ---- fields ---- */

static void check_oneof(const struct field_check *check)
{
    if (*(const uint32_t *)weir_schema_quantifier(check->msg, check->field) != 0)
        return;
    const ProtobufCMessageDescriptor *type = check->msg->descriptor;
    struct weir_arena *arena = &check->checker->conf->diag->arena;
    struct weir_slice names = WEIR_S("");
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *member = &type->fields[i];
        if (!weir_schema_is_oneof(member) || member->quantifier_offset != check->field->quantifier_offset)
            continue;
        if (weir_index_is_bad(check->checker->conf, check->msg, member))
            return;
        if (member->flags & PROTOBUF_C_FIELD_FLAG_DEPRECATED)
            continue;
        names =
            weir_arena_printf(arena, "%.*s%s\"%s\"", WEIR_SARG(names), names.len ? ", " : "", member->name);
    }
    weir_config_error(check->checker->conf, check->msg, NULL, -1, "%s needs %s%.*s", type->short_name,
                      weir_slice_find(names, ',') < names.len ? "one of " : "", WEIR_SARG(names));
}

static void check_unique(const struct field_check *check, size_t n)
{
    struct weir_map seen;
    if (check->field->type == PROTOBUF_C_TYPE_MESSAGE || check->field->type == PROTOBUF_C_TYPE_BYTES)
        return;
    weir_map_init(&seen);
    for (size_t i = 0; i < n; i++) {
        const void *value = weir_schema_element(check->msg, check->field, i);
        bool is_text = check->field->type == PROTOBUF_C_TYPE_STRING;
        struct weir_slice key = is_text ? weir_slice_str(*(const char *const *)value)
                                        : weir_slice(value, weir_schema_size(check->field->type));
        if (!weir_map_set(&seen, key, &seen))
            continue;
        weir_config_error(check->checker->conf, check->msg, check->field->name, (int)i,
                          "occurs twice in this list");
    }
    weir_map_fini(&seen);
}

static void check_counts(const struct field_check *check, size_t n)
{
    const struct weir_rule *min = rule_of(check, WEIR_RULE_MIN_ITEMS),
                           *max = rule_of(check, WEIR_RULE_MAX_ITEMS);
    if (n == 0 && rule_of(check, WEIR_RULE_IGNORE_EMPTY))
        return;
    if (min && n < (size_t)min->i) {
        if (n == 0 && !weir_config_is_set(check->checker->conf, check->msg, check->field->name)) {
            report_missing(check, min->i > 1 ? "" : ", at least one");
        } else {
            BREAK(check, "needs at least %lld, has %zu", (long long)min->i, n);
        }
    }
    if (max && n > (size_t)max->i)
        BREAK(check, "takes at most %lld, has %zu", (long long)max->i, n);
    if (rule_of(check, WEIR_RULE_UNIQUE))
        check_unique(check, n);
}

/* The rules on the elements of a list, or on the keys and values of a map. */
static void check_elements(const struct field_check *check, size_t n)
{
    struct field_check each = *check;
    bool is_map = weir_schema_is_map(check->field);
    for (size_t i = 0; i < n; i++) {
        void *element = weir_schema_element(check->msg, check->field, i);
        each.index = (int)i;
        if (!is_map) {
            each.scope = WEIR_RULE_ITEM;
            check_value(&each, check->field->type, element);
            continue;
        }
        const ProtobufCMessage *entry = *(const ProtobufCMessage *const *)element;
        const ProtobufCFieldDescriptor *fields = entry->descriptor->fields;
        each.scope = WEIR_RULE_KEY;
        check_value(&each, fields[0].type, weir_schema_member(entry, &fields[0]));
        each.scope = WEIR_RULE_VALUE;
        check_value(&each, fields[1].type, weir_schema_member(entry, &fields[1]));
    }
}

static void check_field(const struct field_check *check)
{
    const ProtobufCFieldDescriptor *field = check->field;
    if (rule_of(check, WEIR_RULE_ONEOF))
        check_oneof(check);
    if (weir_index_is_bad(check->checker->conf, check->msg, field))
        return;
    size_t n = weir_schema_count(check->msg, field);
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        check_counts(check, n);
        check_elements(check, n);
        return;
    }
    if (n > 0 && rule_of(check, WEIR_RULE_DISALLOWED)) {
        weir_config_warn(check->checker->conf, check->msg, field->name, -1,
                         "Envoy refuses this field by now");
    }
    bool optional = weir_schema_is_oneof(field) || field->type == PROTOBUF_C_TYPE_MESSAGE;
    if (n > 0 || !optional) {
        check_value(check, field->type, weir_schema_member(check->msg, field));
    } else if (!weir_schema_is_oneof(field) && rule_of(check, WEIR_RULE_REQUIRED)) {
        report_missing(check, "");
    }
}

/* ---- messages ---- */

static void check_message(struct checker *checker, const ProtobufCMessage *msg);

static void check_inside(struct checker *checker, const ProtobufCMessage *msg,
                         const ProtobufCFieldDescriptor *field)
{
    size_t n = weir_schema_count(msg, field);
    for (size_t i = 0; i < n; i++) {
        const ProtobufCMessage *sub = weir_schema_sub(msg, field, i);
        if (sub)
            check_message(checker, sub);
    }
}

static void check_message(struct checker *checker, const ProtobufCMessage *msg)
{
    enum weir_known_type known = weir_schema_known_type(msg->descriptor);
    if (known == WEIR_TYPE_ANY) {
        const ProtobufCMessage *content =
            weir_config_any(checker->conf, (const Google__Protobuf__Any *)msg).msg;
        if (content)
            check_message(checker, content);
    }
    if (known != WEIR_TYPE_PLAIN)
        return;
    const struct weir_message_rules *rules = rules_of(checker, msg->descriptor);
    size_t next = 0;
    for (unsigned i = 0; i < msg->descriptor->n_fields; i++) {
        struct field_check check = {
            checker, msg, &msg->descriptor->fields[i], -1, rules->rules + next, 0, WEIR_RULE_SELF};
        for (; next < rules->n_rules && rules->rules[next].field == check.field->id; next++)
            check.n_rules++;
        if (check.n_rules > 0)
            check_field(&check);
        if (check.field->type == PROTOBUF_C_TYPE_MESSAGE && !rule_of(&check, WEIR_RULE_SKIP)) {
            check_inside(checker, msg, check.field);
        }
    }
}

void weir_rules_check(struct weir_config *conf, const ProtobufCMessage *msg)
{
    struct checker checker = {.conf = conf};
    check_message(&checker, msg);
    for (size_t i = 0; i < checker.regexes.cap; i++)
        weir_regex_free(checker.regexes.slots[i].value);
    weir_ptr_map_fini(&checker.regexes);
    weir_ptr_map_fini(&checker.rules);
}
