/* Envoy's StringMatcher, and the HeaderMatcher over it: compiled once, matching allocates nothing (but for joining the values of
 * a field that occurs several times, in the map's arena). */
#ifndef WEIR_PROXY_STRING_MATCH_H
#define WEIR_PROXY_STRING_MATCH_H

#include "base/regex.h"
#include "http/headers.h"

struct weir_conf_ctx;

enum weir_string_match_kind {
    WEIR_MATCH_EXACT, WEIR_MATCH_PREFIX, WEIR_MATCH_SUFFIX, WEIR_MATCH_CONTAINS, WEIR_MATCH_REGEX,
};
struct weir_string_match {
    enum weir_string_match_kind kind;
    bool ignore_case; /* not for REGEX */
    struct weir_slice text;
    const struct weir_regex *regex;
};
/** Reads an Envoy__Type__Matcher__V3__StringMatcher into `ret`; texts are copied into ctx->arena, which frees the regex.
 *  Errors: WEIR_ERR_INVALID, reported. */
WEIR_MUST_CHECK enum weir_err weir_string_match_new(struct weir_conf_ctx *ctx, const void *matcher,
                                                    struct weir_string_match *ret);
bool weir_string_match(const struct weir_string_match *m, struct weir_slice value);

/** Compiles an Envoy__Type__Matcher__V3__RegexMatcher; freed with ctx->arena. NULL: reported. */
const struct weir_regex *weir_conf_regex(struct weir_conf_ctx *ctx, const void *regex_matcher);
/** Compiles an Envoy__Type__Matcher__V3__RegexMatchAndSubstitute. NULL: reported. */
const struct weir_regex *weir_conf_regex_rewrite(struct weir_conf_ctx *ctx, const void *match_and_substitute,
                                                 struct weir_slice *ret_substitution);

enum weir_header_match_kind { WEIR_HEADER_MATCH_PRESENT, WEIR_HEADER_MATCH_STRING, WEIR_HEADER_MATCH_RANGE };
struct weir_header_match {
    struct weir_slice name; /* lower-case */
    enum weir_header_id id;
    enum weir_header_match_kind kind;
    bool present; /* PRESENT: or must be absent */
    bool invert, missing_as_empty;
    struct weir_string_match string;
    int64_t from, to; /* [from, to) */
};
/** Reads `n` Envoy__Config__Route__V3__HeaderMatcher messages. WEIR_ERR_INVALID: reported, all of them. */
WEIR_MUST_CHECK enum weir_err weir_header_matches_new(struct weir_conf_ctx *ctx, void *const *matchers, size_t n,
                                                      struct weir_header_match **ret);
/** Do all of them match? Rule: Envoy HeaderUtility::matchHeaders; several fields of a name count as one, joined by ','. */
bool weir_header_matches(const struct weir_header_match *v, size_t n, const struct weir_headers *h);

#endif
