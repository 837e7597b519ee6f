/* JSON text to a node tree, with the place of every value. The libraries at hand keep no places, and those
 * are what this tree is for. JSON within YAML is RFC 8259 to the letter (the rest is YAML's to judge); in a
 * file of JSON goes what Envoy takes there too: single quotes, names without quotes, a comma after the last
 * pair of an object, control characters in strings. */
#include "config/limits.h"
#include "config/node_build.h"

struct reader {
    struct weir_node_build build;
    const char *start, *next, *end;
    const char *line_start;
    uint32_t line;
    /* Columns count characters: from the last place asked about in this line, so that one long line is not
     * slow. */
    const char *column_at;
    uint32_t column;
};

static struct weir_pos pos_at(struct reader *reader, const char *at)
{
    if (reader->column_at < reader->line_start || reader->column_at > at) {
        reader->column_at = reader->line_start;
        reader->column = 1;
    }
    for (const char *c = reader->column_at; c < at; c++) {
        reader->column += ((unsigned char)*c & 0xc0) != 0x80;
    }
    reader->column_at = at;
    return (struct weir_pos){
        .line = reader->line,
        .column = (uint16_t)WEIR_MIN(reader->column, (uint32_t)UINT16_MAX),
        .source = reader->build.source,
    };
}

static enum weir_err fail_at(struct reader *reader, const char *at, const char *what)
{
    weir_diag_report(reader->build.diag, WEIR_SEVERITY_ERROR, pos_at(reader, at), WEIR_S_NONE, "%s", what);
    return WEIR_ERR_SYNTAX;
}

static void begin_line(struct reader *reader, const char *start)
{
    reader->line++;
    reader->line_start = reader->column_at = start;
    reader->column = 1;
}

static void skip_space(struct reader *reader)
{
    for (; reader->next < reader->end; reader->next++) {
        char c = *reader->next;
        if (c == '\n') {
            begin_line(reader, reader->next + 1);
        } else if (c != ' ' && c != '\t' && c != '\r') {
            return;
        }
    }
}

/* The next character, or NUL at the end. */
static char peek(const struct reader *reader)
{
    return reader->next < reader->end ? *reader->next : '\0';
}

/* ---- strings ---- */

static bool read_hex4(const char *at, const char *end, uint32_t *ret)
{
    uint64_t value;
    if (end - at < 4 || weir_parse_hex(weir_slice(at, 4), 0xffff, &value) != WEIR_OK)
        return false;
    *ret = (uint32_t)value;
    return true;
}

static size_t put_utf8(char *out, uint32_t code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t n_more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const unsigned char lead[] = {0, 0xc0, 0xe0, 0xf0};
    out[0] = (char)(lead[n_more] | (code >> (6 * n_more)));
    for (size_t i = 1; i <= n_more; i++)
        out[i] = (char)(0x80 | ((code >> (6 * (n_more - i))) & 0x3f));
    return n_more + 1;
}

/* \uXXXX, `*at` after the u; a surrogate pair is two of them. */
static bool read_unicode(const char **at, const char *end, char *out, size_t *ret_len)
{
    uint32_t code, low;
    if (!read_hex4(*at, end, &code))
        return false;
    *at += 4;
    if (code >= 0xd800 && code < 0xdc00) {
        if (end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u' || !read_hex4(*at + 2, end, &low))
            return false;
        if (low < 0xdc00 || low > 0xdfff)
            return false;
        *at += 6;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    } else if (code >= 0xdc00 && code < 0xe000) {
        return false;
    }
    *ret_len = put_utf8(out, code);
    return true;
}

/* One escape, `*at` after the backslash. */
static bool read_escape(const char **at, const char *end, char *out, size_t *ret_len)
{
    static const char from[] = "\"\\/bfnrt'", to[] = "\"\\/\b\f\n\r\t'";
    if (*at == end)
        return false;
    char c = *(*at)++;
    if (c == 'u')
        return read_unicode(at, end, out, ret_len);
    const char *found = c ? strchr(from, c) : NULL;
    if (!found)
        return false;
    out[0] = to[found - from];
    *ret_len = 1;
    return true;
}

/* A string, `next` at its opening quote. */
static enum weir_err read_string(struct reader *reader, struct weir_slice *ret)
{
    const char *start = reader->next + 1, *close = start, quote = *reader->next;
    while (close < reader->end && *close != quote && ((unsigned char)*close >= 0x20 || reader->build.json))
        close += *close == '\\' ? 2 : 1;
    if (close >= reader->end)
        return fail_at(reader, reader->next, "this string does not end");
    if (*close != quote)
        return fail_at(reader, close, "a control character in a string must be escaped");
    char *text = weir_arena_alloc(reader->build.arena, (size_t)(close - start) + 1);
    size_t len = 0, n = 0;
    for (const char *at = start; at < close;) {
        if (*at != '\\') {
            text[len++] = *at++;
            if (at[-1] == '\n')
                begin_line(reader, at);
            continue;
        }
        const char *escape = at++;
        if (!read_escape(&at, close, text + len, &n))
            return fail_at(reader, escape, "not an escape that JSON knows");
        len += n;
    }
    text[len] = '\0';
    reader->next = close + 1;
    *ret = weir_slice(text, len);
    return WEIR_OK;
}

/* ---- values ---- */

static size_t count_digits(const char *at, const char *end)
{
    const char *start = at;
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return (size_t)(at - start);
}

/* RFC 8259 6: -? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)? ; the length, or 0. */
static size_t match_number(const char *start, const char *end)
{
    const char *at = start;
    if (at < end && *at == '-')
        at++;
    size_t n = count_digits(at, end);
    if (n == 0 || (n > 1 && *at == '0'))
        return 0;
    at += n;
    if (at < end && *at == '.') {
        n = count_digits(at + 1, end);
        if (n == 0)
            return 0;
        at += 1 + n;
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        n = count_digits(at, end);
        if (n == 0)
            return 0;
        at += n;
    }
    return (size_t)(at - start);
}

static bool is_word_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '+' || c == '-' || c == '.';
}

/* true, false, null or a number. */
static enum weir_err read_literal(struct reader *reader, struct weir_node *node)
{
    const char *start = reader->next, *at = start;
    while (at < reader->end && is_word_char(*at))
        at++;
    struct weir_slice word = weir_slice(start, (size_t)(at - start));
    bool is_true = weir_slice_eq(word, WEIR_S("true"));
    if (word.len == 0) {
        return fail_at(reader, start, *start == '/' ? "JSON has no comments" : "expected a value");
    }
    node->scalar.text = weir_arena_dup(reader->build.arena, word);
    if (is_true || weir_slice_eq(word, WEIR_S("false"))) {
        node->kind = WEIR_NODE_BOOL;
        node->scalar.is_true = is_true;
    } else if (weir_slice_eq(word, WEIR_S("null"))) {
        node->kind = WEIR_NODE_NULL;
    } else if (match_number(start, at) == word.len) {
        int64_t number;
        node->kind = weir_parse_i64(word, &number) == WEIR_OK ? WEIR_NODE_INT : WEIR_NODE_FLOAT;
    } else {
        return fail_at(reader, start, "not a value; text needs double quotes");
    }
    reader->next = at;
    return WEIR_OK;
}

static enum weir_err read_value(struct reader *reader, const struct weir_node **ret);

/* After an element: a comma (true in `*ret_more`) or the closing bracket. */
static enum weir_err read_separator(struct reader *reader, char closing, bool *ret_more)
{
    skip_space(reader);
    char c = peek(reader);
    if (c != ',' && c != closing) {
        return fail_at(reader, reader->next,
                       closing == ']' ? "expected \",\" or \"]\"" : "expected \",\" or \"}\"");
    }
    reader->next++;
    *ret_more = c == ',';
    skip_space(reader);
    if (!*ret_more || peek(reader) != closing)
        return WEIR_OK;
    if (closing == ']' || !reader->build.json)
        return fail_at(reader, reader->next, "a comma before the closing bracket");
    reader->next++;
    *ret_more = false;
    return WEIR_OK;
}

static enum weir_err read_items(struct reader *reader, struct weir_node *node)
{
    size_t base = reader->build.n_stack;
    reader->next++;
    skip_space(reader);
    bool more = peek(reader) != ']';
    if (!more)
        reader->next++;
    while (more) {
        const struct weir_node *item;
        enum weir_err err = read_value(reader, &item);
        if (err != WEIR_OK)
            return err;
        weir_node_build_push(&reader->build, WEIR_S_NONE, (struct weir_pos){0}, item);
        err = read_separator(reader, ']', &more);
        if (err != WEIR_OK)
            return err;
    }
    weir_node_build_list(&reader->build, node, base);
    return WEIR_OK;
}

/* A name without quotes: a letter or '_', then letters, digits and '_'. */
static bool read_bare_key(struct reader *reader, struct weir_slice *ret)
{
    const char *at = reader->next;
    while (at < reader->end && is_word_char(*at) && *at != '+' && *at != '-' && *at != '.')
        at++;
    struct weir_slice word = weir_slice(reader->next, (size_t)(at - reader->next));
    bool is_literal = weir_slice_eq(word, WEIR_S("true")) || weir_slice_eq(word, WEIR_S("false")) ||
                      weir_slice_eq(word, WEIR_S("null"));
    if (!reader->build.json || word.len == 0 || (*word.ptr >= '0' && *word.ptr <= '9') || is_literal)
        return false;
    *ret = weir_arena_dup(reader->build.arena, word);
    reader->next = at;
    return true;
}

static bool at_string(const struct reader *reader)
{
    return peek(reader) == '"' || (peek(reader) == '\'' && reader->build.json);
}

static enum weir_err read_pair(struct reader *reader)
{
    skip_space(reader);
    struct weir_pos key_pos = pos_at(reader, reader->next);
    struct weir_slice key;
    enum weir_err err = WEIR_OK;
    if (at_string(reader)) {
        err = read_string(reader, &key);
    } else if (!read_bare_key(reader, &key)) {
        err = fail_at(reader, reader->next,
                      peek(reader) == '/' ? "JSON has no comments" : "expected a key in double quotes");
    }
    if (err != WEIR_OK)
        return err;
    skip_space(reader);
    if (peek(reader) != ':')
        return fail_at(reader, reader->next, "expected \":\" after the key");
    reader->next++;
    const struct weir_node *value;
    err = read_value(reader, &value);
    if (err == WEIR_OK)
        weir_node_build_push(&reader->build, key, key_pos, value);
    return err;
}

static enum weir_err read_pairs(struct reader *reader, struct weir_node *node)
{
    size_t base = reader->build.n_stack;
    reader->next++;
    skip_space(reader);
    bool more = peek(reader) != '}';
    if (!more)
        reader->next++;
    while (more) {
        enum weir_err err = read_pair(reader);
        if (err == WEIR_OK)
            err = read_separator(reader, '}', &more);
        if (err != WEIR_OK)
            return err;
    }
    weir_node_build_map(&reader->build, node, base);
    return WEIR_OK;
}

static enum weir_err read_value(struct reader *reader, const struct weir_node **ret)
{
    skip_space(reader);
    struct weir_pos pos = pos_at(reader, reader->next);
    if (reader->next == reader->end)
        return fail_at(reader, reader->next, "the text ends where a value is expected");
    struct weir_node *node = weir_node_build_new(&reader->build, WEIR_NODE_STRING, pos);
    if (!node)
        return WEIR_ERR_LIMIT;
    char c = *reader->next;
    enum weir_err err;
    if (c == '{' || c == '[') {
        node->kind = c == '{' ? WEIR_NODE_MAP : WEIR_NODE_LIST;
        err = weir_node_build_open(&reader->build, pos);
        if (err == WEIR_OK)
            err = c == '{' ? read_pairs(reader, node) : read_items(reader, node);
    } else if (at_string(reader)) {
        node->quoted = true;
        err = read_string(reader, &node->scalar.text);
    } else {
        err = read_literal(reader, node);
    }
    if (err == WEIR_OK)
        *ret = node;
    return err;
}

enum weir_err weir_node_read_json_as(struct weir_arena *arena, struct weir_diag *diag, uint16_t source,
                                     struct weir_slice text, bool json, const struct weir_node **ret)
{
    if (weir_slice_starts_with(text, WEIR_S("\xef\xbb\xbf")))
        text = weir_slice_from(text, 3);
    struct reader reader = {.start = text.ptr, .next = text.ptr, .end = text.ptr + text.len, .line = 1};
    reader.line_start = reader.column_at = text.ptr;
    reader.column = 1;
    weir_node_build_init(&reader.build, arena, diag, source);
    reader.build.json = json;
    const struct weir_node *node = NULL;
    skip_space(&reader);
    enum weir_err err;
    if (reader.next == reader.end) {
        weir_diag_report(diag, WEIR_SEVERITY_ERROR, (struct weir_pos){.source = source}, WEIR_S_NONE,
                         "is empty");
        err = WEIR_ERR_SYNTAX;
    } else {
        err = read_value(&reader, &node);
    }
    if (err == WEIR_OK) {
        skip_space(&reader);
        if (reader.next < reader.end)
            err = fail_at(&reader, reader.next, "something follows the end of the value");
    }
    weir_node_build_fini(&reader.build);
    if (err == WEIR_OK)
        *ret = node;
    return err;
}

enum weir_err weir_node_read_json(struct weir_arena *arena, struct weir_diag *diag, uint16_t source,
                                  struct weir_slice text, const struct weir_node **ret)
{
    return weir_node_read_json_as(arena, diag, source, text, true, ret);
}
