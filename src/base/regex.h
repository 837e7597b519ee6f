/* Regular expressions in linear time, with RE2's syntax (Envoy's safe_regex): a thin wrapper over rure. A compiled
 * expression is immutable: any thread may use it. Input is bytes; \d, \w and \s are ASCII, as in RE2. */
#ifndef WEIR_BASE_REGEX_H
#define WEIR_BASE_REGEX_H

#include "base/arena.h"
#include "base/str.h"

struct weir_regex;

/** Compiled size of one expression beyond which it is refused: "((a{100}){100}){100}". RE2's default is 8 MiB. */
#define WEIR_REGEX_SIZE_MAX (8u << 20)

/** Compiles `pattern`.
 *  Errors: WEIR_ERR_SYNTAX; what is wrong is appended to `reterr` (NULL = not wanted): "unclosed group". */
WEIR_MUST_CHECK enum weir_err weir_regex_new(struct weir_slice pattern, struct weir_str *reterr,
                                             struct weir_regex **ret);
/** Accepts NULL. */
void weir_regex_free(struct weir_regex *re);

/** Does the whole of `in` match? */
bool weir_regex_full_match(const struct weir_regex *re, struct weir_slice in);
/** Does some part of `in` match? */
bool weir_regex_search(const struct weir_regex *re, struct weir_slice in);

/** Is `substitution` one for `re`? \0 to \9 stand for groups, \\ for a backslash; any other escape and a number beyond the
 *  groups is refused (appended to `reterr`). Rule: RE2::CheckRewriteString. */
WEIR_MUST_CHECK enum weir_err weir_regex_check_substitution(const struct weir_regex *re,
                                                            struct weir_slice substitution,
                                                            struct weir_str *reterr);
/** Replaces every match in `in`; the result is in `arena`, or is `in` itself when nothing matched. A substitution that was
 *  not checked has its bad escapes dropped. Rule: RE2::GlobalReplace. */
struct weir_slice weir_regex_replace(struct weir_arena *arena, const struct weir_regex *re,
                                     struct weir_slice in, struct weir_slice substitution);

#endif
