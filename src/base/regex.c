/* Regular expressions: rure behind RE2's rules. Two programs for each expression: one searches, one is anchored at both
 * ends, because rure cannot anchor a search by itself. */
#include "base/regex.h"

#include <rure.h>

#include "base/mem.h"

struct weir_regex {
    rure *search;
    rure *full;
    size_t n_groups; // without group 0
};

static const uint8_t *bytes_of(struct weir_slice s)
{
    return (const uint8_t *)(s.ptr ? s.ptr : "");
}

/* Without the Unicode flag \d and friends are ASCII and "." is a byte, as RE2 has them; only a pattern that names
 * characters beyond ASCII needs it. */
static uint32_t flags_for(struct weir_slice pattern)
{
    for (size_t i = 0; i < pattern.len; i++) {
        if ((unsigned char)pattern.ptr[i] >= 0x80)
            return RURE_FLAG_UNICODE;
        if (pattern.ptr[i] != '\\' || i + 1 >= pattern.len)
            continue;
        i++;
        if (pattern.ptr[i] == 'p' || pattern.ptr[i] == 'P')
            return RURE_FLAG_UNICODE;
    }
    return 0;
}

/* The library's message shows the pattern in several lines; the last one says what is wrong. */
static void explain(struct weir_str *out, const char *message)
{
    struct weir_slice text = weir_slice_str(message);
    struct weir_slice line, last = text;
    while (weir_slice_next(&text, '\n', &line)) {
        if (weir_slice_trim(line).len > 0)
            last = weir_slice_trim(line);
    }
    if (weir_slice_starts_with(last, WEIR_S("error: ")))
        last = weir_slice_from(last, 7);
    weir_str_add(out, last);
}

static rure *compile(struct weir_slice pattern, uint32_t flags, struct weir_str *reterr)
{
    rure_options *options = rure_options_new();
    rure_error *error = rure_error_new();
    rure_options_size_limit(options, WEIR_REGEX_SIZE_MAX);
    rure *re = rure_compile(bytes_of(pattern), pattern.len, flags, options, error);
    if (!re && reterr)
        explain(reterr, rure_error_message(error));
    rure_error_free(error);
    rure_options_free(options);
    return re;
}

enum weir_err weir_regex_new(struct weir_slice pattern, struct weir_str *reterr, struct weir_regex **ret)
{
    uint32_t flags = flags_for(pattern);
    rure *search = compile(pattern, flags, reterr);
    if (!search)
        return WEIR_ERR_SYNTAX;
    struct weir_str anchored;
    weir_str_init(&anchored, pattern.len + 16);
    weir_str_adds(&anchored, "\\A(?:");
    weir_str_add(&anchored, pattern);
    weir_str_adds(&anchored, ")\\z");
    rure *full = compile(weir_str_slice(&anchored), flags, reterr);
    weir_str_fini(&anchored);
    if (!full) {
        rure_free(search);
        return WEIR_ERR_SYNTAX;
    }
    struct weir_regex *re = WEIR_NEW(struct weir_regex);
    re->search = search;
    re->full = full;
    rure_captures *captures = rure_captures_new(search);
    re->n_groups = rure_captures_len(captures) - 1;
    rure_captures_free(captures);
    *ret = re;
    return WEIR_OK;
}

void weir_regex_free(struct weir_regex *re)
{
    if (!re)
        return;
    rure_free(re->search);
    rure_free(re->full);
    weir_free(re);
}

bool weir_regex_full_match(const struct weir_regex *re, struct weir_slice in)
{
    return rure_is_match(re->full, bytes_of(in), in.len, 0);
}

bool weir_regex_search(const struct weir_regex *re, struct weir_slice in)
{
    return rure_is_match(re->search, bytes_of(in), in.len, 0);
}

enum weir_err weir_regex_check_substitution(const struct weir_regex *re, struct weir_slice substitution,
                                            struct weir_str *reterr)
{
    for (size_t i = 0; i < substitution.len; i++) {
        if (substitution.ptr[i] != '\\')
            continue;
        i++;
        char c = i < substitution.len ? substitution.ptr[i] : '\0';
        if (c == '\\')
            continue;
        if (c < '0' || c > '9') {
            if (reterr)
                weir_str_adds(reterr, "after a backslash only a digit or another backslash may stand");
            return WEIR_ERR_SYNTAX;
        }
        if ((size_t)(c - '0') > re->n_groups) {
            if (reterr)
                weir_str_printf(reterr, "\\%c names a group, but the expression has only %zu", c,
                                re->n_groups);
            return WEIR_ERR_INVALID;
        }
    }
    return WEIR_OK;
}

/* Appends `substitution` with its groups filled in. */
static void expand(struct weir_str *out, struct weir_slice substitution, struct weir_slice in,
                   rure_captures *captures)
{
    for (size_t i = 0; i < substitution.len; i++) {
        char c = substitution.ptr[i];
        if (c != '\\') {
            weir_str_addc(out, c);
            continue;
        }
        if (++i == substitution.len)
            return;
        c = substitution.ptr[i];
        rure_match group;
        if (c == '\\')
            weir_str_addc(out, c);
        else if (c >= '0' && c <= '9' && rure_captures_at(captures, (size_t)(c - '0'), &group))
            weir_str_add(out, weir_slice(in.ptr + group.start, group.end - group.start));
    }
}

struct weir_slice weir_regex_replace(struct weir_arena *arena, const struct weir_regex *re,
                                     struct weir_slice in, struct weir_slice substitution)
{
    rure_iter *iter = NULL;
    rure_captures *captures = NULL;
    if (!rure_is_match(re->search, bytes_of(in), in.len, 0))
        return in;
    iter = rure_iter_new(re->search);
    captures = rure_captures_new(re->search);
    struct weir_str out;
    /* Each byte of input can be replaced once, and each escape can stand for the whole input. */
    weir_str_init(&out, (in.len + 1) * (substitution.len + 1) * 2 + 64);
    size_t done = 0;
    rure_match match;
    while (rure_iter_next_captures(iter, bytes_of(in), in.len, captures) &&
           rure_captures_at(captures, 0, &match)) {
        weir_str_add(&out, weir_slice(in.ptr + done, match.start - done));
        expand(&out, substitution, in, captures);
        done = match.end;
    }
    weir_str_add(&out, weir_slice_from(in, done));
    rure_captures_free(captures);
    rure_iter_free(iter);
    struct weir_slice result = weir_arena_dup(arena, out.ptr ? weir_str_slice(&out) : WEIR_S(""));
    weir_str_fini(&out);
    return result;
}
