/* String and header matchers: from Envoy's messages, and at work. */
#include "proxy/string_match.h"

#include "config/config.h"
#include "envoy/config/route/v3/route_components.pb-c.h"
#include "envoy/type/matcher/v3/regex.pb-c.h"
#include "envoy/type/matcher/v3/string.pb-c.h"
#include "proxy/conf_ctx.h"

typedef Envoy__Type__Matcher__V3__StringMatcher StringMatcher;
typedef Envoy__Type__Matcher__V3__RegexMatcher RegexMatcher;
typedef Envoy__Config__Route__V3__HeaderMatcher HeaderMatcher;

static void free_regex(void *arg)
{
    weir_regex_free(arg);
}

const struct weir_regex *weir_conf_regex(struct weir_conf_ctx *ctx, const void *regex_matcher)
{
    const RegexMatcher *matcher = regex_matcher;
    struct weir_str why;
    struct weir_regex *re = NULL;
    weir_str_init(&why, 512);
    if (weir_regex_new(weir_slice_str(matcher->regex), &why, &re) == WEIR_OK)
        weir_arena_on_end(ctx->arena, free_regex, re);
    else
        weir_config_error(ctx->config, matcher, "regex", -1, "not a regular expression: %.*s",
                          WEIR_SARG(weir_str_slice(&why)));
    weir_str_fini(&why);
    return re;
}

const struct weir_regex *weir_conf_regex_rewrite(struct weir_conf_ctx *ctx, const void *match_and_substitute,
                                                 struct weir_slice *ret_substitution)
{
    const Envoy__Type__Matcher__V3__RegexMatchAndSubstitute *rewrite = match_and_substitute;
    if (!rewrite->pattern)
        return NULL; /* the schema's rule has said so */
    const struct weir_regex *re = weir_conf_regex(ctx, rewrite->pattern);
    if (!re)
        return NULL;
    struct weir_slice substitution = weir_slice_str(rewrite->substitution);
    struct weir_str why;
    weir_str_init(&why, 512);
    enum weir_err err = weir_regex_check_substitution(re, substitution, &why);
    if (err != WEIR_OK)
        weir_config_error(ctx->config, rewrite, "substitution", -1, "%.*s", WEIR_SARG(weir_str_slice(&why)));
    weir_str_fini(&why);
    if (err != WEIR_OK)
        return NULL;
    *ret_substitution = weir_arena_dup(ctx->arena, substitution);
    return re;
}

static enum weir_err set_text(struct weir_conf_ctx *ctx, struct weir_string_match *m,
                              enum weir_string_match_kind kind, const char *text)
{
    m->kind = kind;
    m->text = weir_arena_dup(ctx->arena, weir_slice_str(text));
    return WEIR_OK;
}

static enum weir_err set_regex(struct weir_conf_ctx *ctx, struct weir_string_match *m,
                               const RegexMatcher *matcher)
{
    m->kind = WEIR_MATCH_REGEX;
    m->regex = weir_conf_regex(ctx, matcher);
    return m->regex ? WEIR_OK : WEIR_ERR_INVALID;
}

enum weir_err weir_string_match_new(struct weir_conf_ctx *ctx, const void *matcher,
                                    struct weir_string_match *ret)
{
    const StringMatcher *from = matcher;
    *ret = (struct weir_string_match){.ignore_case = from->ignore_case};
    switch (from->match_pattern_case) {
    case ENVOY__TYPE__MATCHER__V3__STRING_MATCHER__MATCH_PATTERN_EXACT:
        return set_text(ctx, ret, WEIR_MATCH_EXACT, from->exact);
    case ENVOY__TYPE__MATCHER__V3__STRING_MATCHER__MATCH_PATTERN_PREFIX:
        return set_text(ctx, ret, WEIR_MATCH_PREFIX, from->prefix);
    case ENVOY__TYPE__MATCHER__V3__STRING_MATCHER__MATCH_PATTERN_SUFFIX:
        return set_text(ctx, ret, WEIR_MATCH_SUFFIX, from->suffix);
    case ENVOY__TYPE__MATCHER__V3__STRING_MATCHER__MATCH_PATTERN_CONTAINS:
        return set_text(ctx, ret, WEIR_MATCH_CONTAINS, from->contains);
    case ENVOY__TYPE__MATCHER__V3__STRING_MATCHER__MATCH_PATTERN_SAFE_REGEX:
        if (from->ignore_case) {
            weir_config_error(ctx->config, from, "ignore_case", -1, "has no effect for safe_regex");
            weir_config_hint(ctx->config, "begin the expression with \"(?i)\"");
            return WEIR_ERR_INVALID;
        }
        return set_regex(ctx, ret, from->safe_regex);
    case ENVOY__TYPE__MATCHER__V3__STRING_MATCHER__MATCH_PATTERN_CUSTOM:
        weir_config_error(ctx->config, from, "custom", -1, "known to Envoy, not implemented by weir yet");
        return WEIR_ERR_INVALID;
    case ENVOY__TYPE__MATCHER__V3__STRING_MATCHER__MATCH_PATTERN__NOT_SET:
    default:
        return WEIR_ERR_INVALID; /* the schema's rule has said so */
    }
}

bool weir_string_match(const struct weir_string_match *m, struct weir_slice value)
{
    switch (m->kind) {
    case WEIR_MATCH_EXACT:
        return m->ignore_case ? weir_slice_eq_nocase(value, m->text) : weir_slice_eq(value, m->text);
    case WEIR_MATCH_PREFIX:
        return m->ignore_case ? weir_slice_starts_with_nocase(value, m->text)
                              : weir_slice_starts_with(value, m->text);
    case WEIR_MATCH_SUFFIX:
        return m->ignore_case ? weir_slice_ends_with_nocase(value, m->text)
                              : weir_slice_ends_with(value, m->text);
    case WEIR_MATCH_CONTAINS:
        return m->ignore_case ? weir_slice_contains_nocase(value, m->text)
                              : weir_slice_search(value, m->text) != SIZE_MAX;
    case WEIR_MATCH_REGEX:
        return weir_regex_full_match(m->regex, value);
    }
    return false;
}

/* ---- headers ---- */

static enum weir_err read_specifier(struct weir_conf_ctx *ctx, const HeaderMatcher *from,
                                    struct weir_header_match *m)
{
    m->kind = WEIR_HEADER_MATCH_STRING;
    switch (from->header_match_specifier_case) {
    case ENVOY__CONFIG__ROUTE__V3__HEADER_MATCHER__HEADER_MATCH_SPECIFIER_EXACT_MATCH:
        return set_text(ctx, &m->string, WEIR_MATCH_EXACT, from->exact_match);
    case ENVOY__CONFIG__ROUTE__V3__HEADER_MATCHER__HEADER_MATCH_SPECIFIER_PREFIX_MATCH:
        return set_text(ctx, &m->string, WEIR_MATCH_PREFIX, from->prefix_match);
    case ENVOY__CONFIG__ROUTE__V3__HEADER_MATCHER__HEADER_MATCH_SPECIFIER_SUFFIX_MATCH:
        return set_text(ctx, &m->string, WEIR_MATCH_SUFFIX, from->suffix_match);
    case ENVOY__CONFIG__ROUTE__V3__HEADER_MATCHER__HEADER_MATCH_SPECIFIER_CONTAINS_MATCH:
        return set_text(ctx, &m->string, WEIR_MATCH_CONTAINS, from->contains_match);
    case ENVOY__CONFIG__ROUTE__V3__HEADER_MATCHER__HEADER_MATCH_SPECIFIER_SAFE_REGEX_MATCH:
        return set_regex(ctx, &m->string, from->safe_regex_match);
    case ENVOY__CONFIG__ROUTE__V3__HEADER_MATCHER__HEADER_MATCH_SPECIFIER_STRING_MATCH:
        return weir_string_match_new(ctx, from->string_match, &m->string);
    case ENVOY__CONFIG__ROUTE__V3__HEADER_MATCHER__HEADER_MATCH_SPECIFIER_RANGE_MATCH:
        m->kind = WEIR_HEADER_MATCH_RANGE;
        m->from = from->range_match->start;
        m->to = from->range_match->end;
        return WEIR_OK;
    case ENVOY__CONFIG__ROUTE__V3__HEADER_MATCHER__HEADER_MATCH_SPECIFIER_PRESENT_MATCH:
    case ENVOY__CONFIG__ROUTE__V3__HEADER_MATCHER__HEADER_MATCH_SPECIFIER__NOT_SET:
    default:
        break;
    }
    m->kind = WEIR_HEADER_MATCH_PRESENT;
    m->present = from->header_match_specifier_case !=
                     ENVOY__CONFIG__ROUTE__V3__HEADER_MATCHER__HEADER_MATCH_SPECIFIER_PRESENT_MATCH ||
                 from->present_match;
    return WEIR_OK;
}

enum weir_err weir_header_matches_new(struct weir_conf_ctx *ctx, void *const *matchers, size_t n,
                                      struct weir_header_match **ret)
{
    struct weir_header_match *v = WEIR_ARENA_ARRAY(ctx->arena, struct weir_header_match, n + 1);
    enum weir_err result = WEIR_OK;
    for (size_t i = 0; i < n; i++) {
        const HeaderMatcher *from = matchers[i];
        v[i].name = weir_arena_dup_lower(ctx->arena, weir_slice_str(from->name));
        v[i].id = weir_header_id_of(v[i].name);
        if (v[i].id == WEIR_H_HOST) { /* maps hold it as :authority */
            v[i].id = WEIR_H_AUTHORITY;
            v[i].name = weir_header_name(WEIR_H_AUTHORITY);
        }
        v[i].invert = from->invert_match;
        v[i].missing_as_empty = from->treat_missing_header_as_empty;
        enum weir_err err = read_specifier(ctx, from, &v[i]);
        if (err != WEIR_OK)
            result = err;
    }
    *ret = v;
    return result;
}

static bool value_matches(const struct weir_header_match *m, struct weir_slice value)
{
    if (m->kind == WEIR_HEADER_MATCH_STRING)
        return weir_string_match(&m->string, value);
    int64_t number;
    return weir_parse_i64(weir_slice_trim(value), &number) == WEIR_OK && number >= m->from && number < m->to;
}

/* Each value of a field that came more than once is looked at; one that matches is enough (as in Envoy 1.40: a second field cannot
 * hide the first, nor the first the second). */
static bool matches(const struct weir_header_match *m, const struct weir_headers *h)
{
    bool there = false, matched = false;
    if (m->id == WEIR_H_OTHER || weir_headers_has(h, m->id)) {
        for (uint32_t i = 0; i < h->n && !matched; i++) {
            if (h->v[i].id != m->id || (m->id == WEIR_H_OTHER && !weir_slice_eq(h->v[i].name, m->name)))
                continue;
            there = true;
            matched = m->kind == WEIR_HEADER_MATCH_PRESENT || value_matches(m, h->v[i].value);
        }
    }
    if (m->kind == WEIR_HEADER_MATCH_PRESENT)
        return ((there || m->missing_as_empty) == m->present) != m->invert;
    if (!there && !m->missing_as_empty)
        return false; /* inverted or not: Envoy ignores what is not there */
    if (!there)
        matched = value_matches(m, WEIR_S(""));
    return matched != m->invert;
}

bool weir_header_matches(const struct weir_header_match *v, size_t n, const struct weir_headers *h)
{
    for (size_t i = 0; i < n; i++)
        if (!matches(&v[i], h))
            return false;
    return true;
}
