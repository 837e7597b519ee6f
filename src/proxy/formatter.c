/* Formats: compiling text and JSON into one list of items, and running it.
 *
 *   "took %DURATION% ms"        -> LITERAL "took ", TEXT op, LITERAL " ms"
 *   {"d": "%DURATION%"}         -> LITERAL {"d":, JSON op, LITERAL }
 *   {"d": "%DURATION% ms"}      -> LITERAL {"d":", INNER op, LITERAL  ms"}
 *
 * JSON formats need no tree when they run: what is missing prints as null, so their shape never changes. */
#include "proxy/formatter.h"

#include <stdio.h>
#include <stdlib.h>

#include <envoy/config/core/v3/substitution_format_string.pb-c.h>
#include <google/protobuf/struct.pb-c.h>

#include "config/config.h"
#include "proxy/conf_ctx.h"
#include "proxy/data_source.h"
#include "proxy/formatter_priv.h"
#include "stats/print.h"

#define TEXT_MAX  (1u << 20) /* of one format */
#define DEPTH_MAX 32u

const struct weir_slice weir_format_default =
    WEIR_S_INIT("[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" "
                "%RESPONSE_CODE% %RESPONSE_FLAGS% "
                "%BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "
                "\"%REQ(X-FORWARDED-FOR)%\" "
                "\"%REQ(USER-AGENT)%\" \"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\"\n");

enum mode { MODE_LITERAL, MODE_TEXT, MODE_JSON, MODE_INNER };
struct item {
    enum mode mode;
    struct weir_slice literal;
    struct weir_format_op op;
    struct item *next;
};
struct weir_format {
    struct item *first;
    struct weir_format_options options;
    bool json;
};

/* ---- compiling ---- */

struct compiler {
    struct weir_arena *arena;
    struct weir_format *format;
    struct item **end;
    struct weir_str literal; // gathered until an operator comes
    struct weir_format_error *err;
};

static void compiler_init(struct compiler *c, struct weir_arena *arena, struct weir_format_options options,
                          struct weir_format_error *err)
{
    *err = (struct weir_format_error){0};
    *c = (struct compiler){.arena = arena, .format = WEIR_ARENA_NEW(arena, struct weir_format), .err = err};
    c->format->options = options;
    c->end = &c->format->first;
    weir_str_init(&c->literal, TEXT_MAX * 8);
}

static struct item *add_item(struct compiler *c, enum mode mode)
{
    struct item *item = WEIR_ARENA_NEW(c->arena, struct item);
    item->mode = mode;
    *c->end = item;
    c->end = &item->next;
    return item;
}
static void end_literal(struct compiler *c)
{
    if (c->literal.len == 0)
        return;
    add_item(c, MODE_LITERAL)->literal = weir_arena_dup(c->arena, weir_str_slice(&c->literal));
    weir_str_clear(&c->literal);
}
static enum weir_err finish(struct compiler *c, enum weir_err result, const struct weir_format **ret)
{
    end_literal(c);
    weir_str_fini(&c->literal);
    if (result == WEIR_OK)
        *ret = c->format;
    return result;
}

/* Length of what the parentheses hold: up to the first ')' that ends the operator, so that arguments may hold others. */
static bool find_close(struct weir_slice s, size_t *ret)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] != ')' || i + 1 >= s.len)
            continue;
        size_t at = i + 1;
        if (s.ptr[at] == ':') {
            at++;
            while (at < s.len && s.ptr[at] >= '0' && s.ptr[at] <= '9')
                at++;
        }
        if (at < s.len && s.ptr[at] == '%') {
            *ret = i;
            return true;
        }
    }
    return false;
}

static bool name_char(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

/* One operator at s, which begins behind its '%'. *ret_len = its length with the closing '%'. */
static enum weir_err parse_operator(struct compiler *c, struct weir_slice s, struct weir_format_op *ret,
                                    size_t *ret_len)
{
    size_t at = 0;
    while (at < s.len && name_char(s.ptr[at]))
        at++;
    struct weir_slice name = weir_slice_first(s, at), args = WEIR_S_NONE;
    uint64_t max = 0;
    bool limited = false;
    if (name.len == 0)
        return weir_format_fail(c->err,
                                "after %% an operator's name must follow; a %% itself is written %%%%");
    if (at < s.len && s.ptr[at] == '(') {
        size_t len = 0;
        if (!find_close(weir_slice_from(s, at + 1), &len))
            return weir_format_fail(c->err, "%%%.*s( is not closed with )%%", (int)WEIR_MIN(name.len, 64),
                                    name.ptr);
        args = weir_slice(s.ptr + at + 1, len);
        at += len + 2;
    }
    if (at < s.len && s.ptr[at] == ':') {
        size_t start = ++at;
        while (at < s.len && s.ptr[at] >= '0' && s.ptr[at] <= '9')
            at++;
        if (weir_parse_u64(weir_slice(s.ptr + start, at - start), UINT32_MAX, &max) != WEIR_OK)
            return weir_format_fail(c->err, "after %.*s: a maximal length must follow",
                                    (int)WEIR_MIN(name.len, 64), name.ptr);
        limited = true;
    }
    if (at >= s.len || s.ptr[at] != '%')
        return weir_format_fail(c->err, "%%%.*s is not closed with %%", (int)WEIR_MIN(name.len, 64),
                                name.ptr);
    *ret_len = at + 1;
    enum weir_err result = weir_format_op_new(c->arena, name, args, ret, c->err);
    if (result == WEIR_OK && limited)
        ret->max_len = max;
    return result;
}

static void add_literal(struct compiler *c, struct weir_slice text, bool inner)
{
    if (inner)
        weir_str_add_json(&c->literal, text);
    else
        weir_str_add(&c->literal, text);
}

/* Text with operators. `inner`: inside of a JSON string. */
static enum weir_err compile_text(struct compiler *c, struct weir_slice text, bool inner)
{
    size_t i = 0;
    while (i < text.len) {
        size_t run = weir_slice_find(weir_slice_from(text, i), '%');
        add_literal(c, weir_slice(text.ptr + i, run), inner);
        i += run;
        if (i >= text.len)
            break;
        struct weir_slice rest = weir_slice_from(text, i + 1);
        if (rest.len > 0 && rest.ptr[0] == '%') {
            add_literal(c, WEIR_S("%"), inner);
            i += 2;
            continue;
        }
        struct weir_format_op op;
        size_t len = 0;
        c->err->pos = i;
        enum weir_err result = parse_operator(c, rest, &op, &len);
        if (result != WEIR_OK)
            return result;
        end_literal(c);
        add_item(c, inner ? MODE_INNER : MODE_TEXT)->op = op;
        i += 1 + len;
    }
    return WEIR_OK;
}

enum weir_err weir_format_new(struct weir_arena *arena, struct weir_slice text,
                              struct weir_format_options options, struct weir_format_error *reterr,
                              const struct weir_format **ret)
{
    struct compiler c;
    compiler_init(&c, arena, options, reterr);
    enum weir_err result = text.len > TEXT_MAX ? weir_format_fail(reterr, "the format is longer than 1 MiB")
                                               : compile_text(&c, text, false);
    return finish(&c, result, ret);
}

/* A string of a JSON format: a lone operator keeps its type. */
static enum weir_err compile_json_string(struct compiler *c, struct weir_slice text)
{
    struct weir_format_op op;
    size_t len = 0;
    if (text.len > 1 && text.ptr[0] == '%' && text.ptr[1] != '%') {
        enum weir_err result = parse_operator(c, weir_slice_from(text, 1), &op, &len);
        if (result != WEIR_OK)
            return result;
        if (len + 1 == text.len) {
            end_literal(c);
            add_item(c, MODE_JSON)->op = op;
            return WEIR_OK;
        }
    }
    weir_str_addc(&c->literal, '"');
    enum weir_err result = compile_text(c, text, true);
    weir_str_addc(&c->literal, '"');
    return result;
}

static int compare_members(const void *a, const void *b)
{
    const Google__Protobuf__Struct__FieldsEntry *const *x = a, *const *y = b;
    return strcmp((*x)->key, (*y)->key);
}

static enum weir_err compile_json(struct compiler *c, const Google__Protobuf__Value *value, unsigned depth);

static enum weir_err compile_object(struct compiler *c, const Google__Protobuf__Struct *object,
                                    unsigned depth)
{
    const Google__Protobuf__Struct__FieldsEntry **sorted =
        WEIR_ARENA_ARRAY(c->arena, const Google__Protobuf__Struct__FieldsEntry *, object->n_fields);
    for (size_t i = 0; i < object->n_fields; i++)
        sorted[i] = object->fields[i];
    if (object->n_fields > 1)
        qsort(sorted, object->n_fields, sizeof(sorted[0]), compare_members);
    weir_str_addc(&c->literal, '{');
    for (size_t i = 0; i < object->n_fields; i++) {
        weir_str_adds(&c->literal, i ? ",\"" : "\"");
        weir_str_add_json(&c->literal, weir_slice_str(sorted[i]->key));
        weir_str_adds(&c->literal, "\":");
        enum weir_err result = compile_json(c, sorted[i]->value, depth + 1);
        if (result == WEIR_OK)
            continue;
        /* Say which member it was, outermost first. */
        char inner[sizeof(c->err->message)];
        memcpy(inner, c->err->message, sizeof(inner));
        const char *dot = inner[0] == '"' ? "." : ": ";
        (void)snprintf(c->err->message, sizeof(c->err->message), "\"%.60s\"%s%.150s", sorted[i]->key, dot,
                       inner);
        return result;
    }
    weir_str_addc(&c->literal, '}');
    return WEIR_OK;
}

static enum weir_err compile_json(struct compiler *c, const Google__Protobuf__Value *value, unsigned depth)
{
    if (depth > DEPTH_MAX)
        return weir_format_fail(c->err, "the format is nested too deeply");
    if (!value || value->kind_case == GOOGLE__PROTOBUF__VALUE__KIND_NULL_VALUE) {
        weir_str_adds(&c->literal, "null");
    } else if (value->kind_case == GOOGLE__PROTOBUF__VALUE__KIND_NUMBER_VALUE) {
        weir_stats_print_number(&c->literal, value->number_value, true);
    } else if (value->kind_case == GOOGLE__PROTOBUF__VALUE__KIND_BOOL_VALUE) {
        weir_str_adds(&c->literal, value->bool_value ? "true" : "false");
    } else if (value->kind_case == GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE) {
        return compile_json_string(c, weir_slice_str(value->string_value));
    } else if (value->kind_case == GOOGLE__PROTOBUF__VALUE__KIND_STRUCT_VALUE) {
        return compile_object(c, value->struct_value, depth);
    } else if (value->kind_case == GOOGLE__PROTOBUF__VALUE__KIND_LIST_VALUE) {
        weir_str_addc(&c->literal, '[');
        for (size_t i = 0; i < value->list_value->n_values; i++) {
            if (i)
                weir_str_addc(&c->literal, ',');
            enum weir_err result = compile_json(c, value->list_value->values[i], depth + 1);
            if (result != WEIR_OK)
                return result;
        }
        weir_str_addc(&c->literal, ']');
    } else {
        weir_str_adds(&c->literal, "null");
    }
    return WEIR_OK;
}

enum weir_err weir_format_new_json(struct weir_arena *arena, const void *fields, bool line,
                                   struct weir_format_options options, struct weir_format_error *reterr,
                                   const struct weir_format **ret)
{
    struct compiler c;
    compiler_init(&c, arena, options, reterr);
    c.format->json = true;
    enum weir_err result = compile_object(&c, fields, 0);
    if (result == WEIR_OK && line)
        weir_str_addc(&c.literal, '\n');
    return finish(&c, result, ret);
}

/* ---- running ---- */

/* Where output goes: the room of a string or of an arena, filled directly; `grow` when it is used up. */
struct sink {
    char *at, *end;
    char *start;          // of this output's memory
    struct weir_str *str; // NULL: the arena
    struct weir_arena *arena;
};

static void sink_from_str(struct sink *sink, struct weir_str *str)
{
    size_t room = str->cap ? WEIR_MIN(str->cap - 1, str->max) : 0;
    sink->str = str;
    sink->start = str->ptr;
    sink->at = room ? str->ptr + str->len : NULL;
    sink->end = room && !str->overflow ? str->ptr + room : sink->at;
}

/* Gives what was written to the string. */
static void sink_to_str(struct sink *sink)
{
    if (!sink->at)
        return;
    sink->str->len = (size_t)(sink->at - sink->start);
    *sink->at = '\0';
}

static WEIR_COLD bool grow(struct sink *sink, size_t len)
{
    if (sink->str) {
        sink_to_str(sink);
        /* At least a line at once. */
        bool ok = (sink->str->max - sink->str->len > 512 && len < 512 && weir_str_reserve(sink->str, 512)) ||
                  weir_str_reserve(sink->str, len);
        sink_from_str(sink, sink->str);
        return ok;
    }
    size_t used = (size_t)(sink->at - sink->start), cap = (used + len) * 2 + 128;
    char *ptr = weir_arena_alloc(sink->arena, cap);
    if (used)
        memcpy(ptr, sink->start, used);
    sink->start = ptr;
    sink->at = ptr + used;
    sink->end = ptr + cap;
    return true;
}

/* Most pieces are short: two overlapping moves instead of a call. */
static inline void copy_short(char *to, const char *from, size_t len)
{
    if (len >= 8) {
        uint64_t head, tail;
        memcpy(&head, from, 8);
        memcpy(&tail, from + len - 8, 8);
        memcpy(to, &head, 8);
        memcpy(to + len - 8, &tail, 8);
    } else if (len >= 4) {
        uint32_t head, tail;
        memcpy(&head, from, 4);
        memcpy(&tail, from + len - 4, 4);
        memcpy(to, &head, 4);
        memcpy(to + len - 4, &tail, 4);
    } else {
        for (size_t i = 0; i < len; i++)
            to[i] = from[i];
    }
}

static WEIR_ALWAYS_INLINE void put(struct sink *sink, struct weir_slice s)
{
    if (WEIR_UNLIKELY(s.len > (size_t)(sink->end - sink->at)) && !grow(sink, s.len))
        return;
    if (s.len <= 16)
        copy_short(sink->at, s.ptr, s.len);
    else
        memcpy(sink->at, s.ptr, s.len);
    sink->at += s.len;
}

static bool is_control(char c)
{
    return ((unsigned char)c < 0x20 && c != '\t') || c == 0x7f;
}

/* Is some byte of these eight below 0x20 or 0x7f? May say yes for bytes that are neither. */
static inline bool may_have_control(uint64_t v)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones * 0x80;
    uint64_t below = (v - ones * 0x20) & ~v & highs;
    uint64_t del = v ^ ones * 0x7f;
    return (below | ((del - ones) & ~del & highs)) != 0;
}

static inline bool eight_may_have_control(const char *at)
{
    uint64_t v;
    memcpy(&v, at, 8);
    return may_have_control(v);
}

static inline bool may_need_escape(struct weir_slice s)
{
    if (s.len >= 8) {
        for (size_t i = 0; i + 8 < s.len; i += 8)
            if (WEIR_UNLIKELY(eight_may_have_control(s.ptr + i)))
                return true;
        return eight_may_have_control(s.ptr + s.len - 8);
    }
    for (size_t i = 0; i < s.len; i++)
        if (is_control(s.ptr[i]))
            return true;
    return false;
}

/* Values come from peers: none may begin a record of its own. */
static WEIR_COLD void put_escaped(struct sink *sink, struct weir_slice s)
{
    size_t done = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (!is_control(s.ptr[i]))
            continue;
        char text[8];
        int len = s.ptr[i] == '\n'   ? snprintf(text, sizeof(text), "\\n")
                  : s.ptr[i] == '\r' ? snprintf(text, sizeof(text), "\\r")
                                     : snprintf(text, sizeof(text), "\\x%02x", (unsigned char)s.ptr[i]);
        put(sink, weir_slice(s.ptr + done, i - done));
        put(sink, weir_slice(text, (size_t)len));
        done = i + 1;
    }
    put(sink, weir_slice_from(s, done));
}

static WEIR_COLD void put_json(struct sink *sink, const struct weir_value *value)
{
    struct weir_str json;
    weir_str_init(&json, TEXT_MAX);
    weir_value_print_json(value, &json);
    put(sink, weir_str_slice(&json));
    weir_str_fini(&json);
}

static void put_number(struct sink *sink, uint64_t number)
{
    char buf[24], *at = buf + sizeof(buf);
    do {
        *--at = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    put(sink, weir_slice(at, (size_t)(buf + sizeof(buf) - at)));
}

static inline void put_value(struct sink *sink, const struct weir_format *f,
                             const struct weir_format_value *v)
{
    switch (v->kind) {
    case WEIR_FORMAT_NONE:
        if (!f->options.omit_empty)
            put(sink, WEIR_S("-"));
        break;
    case WEIR_FORMAT_TEXT:
        if (f->options.escape && WEIR_UNLIKELY(may_need_escape(v->text)))
            put_escaped(sink, v->text);
        else
            put(sink, v->text);
        break;
    case WEIR_FORMAT_NUMBER:
        put_number(sink, v->number);
        break;
    case WEIR_FORMAT_VALUE:
        put_json(sink, v->value);
        break;
    }
}

/* As a value of its own in JSON. */
static void json_value(struct weir_str *out, const struct weir_format_value *v)
{
    switch (v->kind) {
    case WEIR_FORMAT_NONE:
        weir_str_adds(out, "null");
        break;
    case WEIR_FORMAT_TEXT:
        weir_str_addc(out, '"');
        weir_str_add_json(out, v->text);
        weir_str_addc(out, '"');
        break;
    case WEIR_FORMAT_NUMBER:
        weir_str_addu(out, v->number);
        break;
    case WEIR_FORMAT_VALUE:
        weir_value_print_json(v->value, out);
        break;
    }
}

/* Inside of a JSON string. */
static void json_inner(struct weir_str *out, const struct weir_format *f, const struct weir_format_value *v)
{
    struct weir_str json;
    switch (v->kind) {
    case WEIR_FORMAT_NONE:
        if (!f->options.omit_empty)
            weir_str_addc(out, '-');
        break;
    case WEIR_FORMAT_TEXT:
        weir_str_add_json(out, v->text);
        break;
    case WEIR_FORMAT_NUMBER:
        weir_str_addu(out, v->number);
        break;
    case WEIR_FORMAT_VALUE:
        weir_str_init(&json, TEXT_MAX);
        weir_value_print_json(v->value, &json);
        weir_str_add_json(out, weir_str_slice(&json));
        weir_str_fini(&json);
        break;
    }
}

static void run_text(const struct weir_format *f, const struct weir_log_context *c, struct sink *sink)
{
    struct weir_format_value v;
    for (const struct item *item = f->first; item; item = item->next) {
        if (item->mode == MODE_LITERAL) {
            put(sink, item->literal);
            continue;
        }
        weir_format_op_run(&item->op, c, &v);
        put_value(sink, f, &v);
    }
}

static void run_json(const struct weir_format *f, const struct weir_log_context *c, struct weir_str *out)
{
    struct weir_format_value v;
    for (const struct item *item = f->first; item; item = item->next) {
        if (item->mode == MODE_LITERAL) {
            weir_str_add(out, item->literal);
            continue;
        }
        weir_format_op_run(&item->op, c, &v);
        if (item->mode == MODE_JSON)
            json_value(out, &v);
        else
            json_inner(out, f, &v);
    }
}

void weir_format_print(const struct weir_format *format, const struct weir_log_context *context,
                       struct weir_str *out)
{
    if (format->json) {
        run_json(format, context, out);
        return;
    }
    struct sink sink = {0};
    sink_from_str(&sink, out);
    run_text(format, context, &sink);
    sink_to_str(&sink);
}

bool weir_format_literal(const struct weir_format *format, struct weir_slice *ret)
{
    const struct item *first = format->first;
    if (first && (first->next || first->mode != MODE_LITERAL))
        return false;
    *ret = first ? first->literal : WEIR_S("");
    return true;
}

struct weir_slice weir_format_eval(const struct weir_format *format, const struct weir_log_context *context)
{
    struct weir_slice literal;
    if (weir_format_literal(format, &literal))
        return literal;
    if (format->json) {
        struct weir_str out;
        weir_str_init(&out, TEXT_MAX * 8);
        weir_format_print(format, context, &out);
        struct weir_slice result = weir_arena_dup(context->arena, weir_str_slice(&out));
        weir_str_fini(&out);
        return result;
    }
    struct sink sink = {.arena = context->arena};
    const struct item *only = format->first;
    if (!only->next && !format->options.escape) {
        struct weir_format_value v;
        weir_format_op_run(&only->op, context, &v);
        /* The request's own data needs no copy; what was printed into the value does. */
        bool own = v.text.ptr >= v.buf && v.text.ptr < v.buf + sizeof(v.buf);
        if (v.kind == WEIR_FORMAT_TEXT && !own)
            return v.text;
        put_value(&sink, format, &v);
    } else {
        run_text(format, context, &sink);
    }
    return sink.start ? weir_slice(sink.start, (size_t)(sink.at - sink.start)) : WEIR_S("");
}

/* ---- configuration ---- */

static enum weir_err report(struct weir_conf_ctx *ctx, const void *msg, const char *field,
                            const struct weir_format_error *err, bool at)
{
    if (at)
        weir_config_error(ctx->config, msg, field, -1, "%s (at character %zu of the format)", err->message,
                          err->pos + 1);
    else
        weir_config_error(ctx->config, msg, field, -1, "%s", err->message);
    if (err->hint[0])
        weir_config_hint(ctx->config, "%s", err->hint);
    return WEIR_ERR_INVALID;
}

enum weir_err weir_format_new_conf(struct weir_conf_ctx *ctx, const void *format_string, bool line,
                                   struct weir_format_options options, const struct weir_format **ret)
{
    const Envoy__Config__Core__V3__SubstitutionFormatString *s = format_string;
    struct weir_format_error err;
    options.omit_empty = options.omit_empty || s->omit_empty_values;
    if (s->n_formatters > 0) {
        weir_config_error(ctx->config, s, "formatters", -1,
                          "formatter extensions are known to Envoy, not implemented by weir yet");
        return WEIR_ERR_INVALID;
    }
    if (s->format_case == ENVOY__CONFIG__CORE__V3__SUBSTITUTION_FORMAT_STRING__FORMAT_JSON_FORMAT) {
        if (weir_format_new_json(ctx->arena, s->json_format, line, options, &err, ret) == WEIR_OK)
            return WEIR_OK;
        return report(ctx, s, "json_format", &err, false);
    }
    const char *field = "text_format";
    struct weir_slice text = WEIR_S_NONE;
    if (s->format_case == ENVOY__CONFIG__CORE__V3__SUBSTITUTION_FORMAT_STRING__FORMAT_TEXT_FORMAT) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
        text = weir_slice_str(s->text_format); // what many files still have
#pragma GCC diagnostic pop
    } else {
        field = "text_format_source";
        enum weir_err result = weir_data_source_read(ctx, s->text_format_source, TEXT_MAX, &text);
        if (result != WEIR_OK)
            return result;
    }
    if (weir_format_new(ctx->arena, text, options, &err, ret) == WEIR_OK)
        return WEIR_OK;
    return report(ctx, s, field, &err, true);
}
