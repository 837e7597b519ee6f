/* base/regex: RE2's syntax and rewriting on top of rure. */
#include "base/regex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct weir_regex *compile(const char *pattern)
{
    struct weir_regex *re = NULL;
    struct weir_str err;
    weir_str_init(&err, 1024);
    if (weir_regex_new(weir_slice_str(pattern), &err, &re) != WEIR_OK)
        fail_msg("%s: %s", pattern, err.ptr);
    weir_str_fini(&err);
    return re;
}

static void test_match(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *in;
        bool full, search;
    } rows[] = {
        {"a", "a", true, true},
        {"a", "ba", false, true},
        {"a|ab", "ab", true, true},
        {"", "", true, true},
        {"", "x", false, true},
        {"/v[0-9]+/.*", "/v12/x", true, true},
        {"/v[0-9]+/.*", "/v/x", false, false},
        {"^/a$", "/a", true, true},
        {"a.c", "a\nc", false, false},
        {"\\d", "\xd9\xa1", false, false}, // an Arabic digit is none
        {"..", "\xc3\xa9", true, true},    // bytes, unless the pattern names characters
        {"\xc3\xa9", "\xc3\xa9", true, true},
        {"\\pL", "\xc3\xa9", true, true},
        {"(?i)abc", "aBc", true, true},
        {".*\\.example\\.com", "www.example.com", true, true},
        {"(a*)*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", false, false},
    };
    for (size_t i = 0; i < WEIR_COUNTOF(rows); i++) {
        struct weir_regex *re = compile(rows[i].pattern);
        struct weir_slice in = weir_slice_str(rows[i].in);
        if (weir_regex_full_match(re, in) != rows[i].full || weir_regex_search(re, in) != rows[i].search)
            fail_msg("row %zu: %s on %s", i, rows[i].pattern, rows[i].in);
        weir_regex_free(re);
    }
}

static void test_errors(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *text;
    } rows[] = {
        {"((", "unclosed group"},
        {"a)(b", "unopened group"},
        {"*", "repetition operator missing expression"},
        {"(?=a)", "look-around, including look-ahead and look-behind, is not supported"},
        {"(a)\\1", "backreferences are not supported"},
    };
    for (size_t i = 0; i < WEIR_COUNTOF(rows); i++) {
        struct weir_regex *re = NULL;
        struct weir_str err;
        weir_str_init(&err, 1024);
        assert_int_equal(weir_regex_new(weir_slice_str(rows[i].pattern), &err, &re), WEIR_ERR_SYNTAX);
        assert_null(re);
        assert_string_equal(err.ptr, rows[i].text);
        weir_str_fini(&err);
    }
    struct weir_regex *re = NULL;
    assert_int_equal(weir_regex_new(WEIR_S("((a{100}){100}){100}"), NULL, &re), WEIR_ERR_SYNTAX);
}

static void test_replace(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *in, *substitution, *out;
    } rows[] = {
        {"^/service/([^/]+)(/.*)$", "/service/foo/v1/api", "\\2/instance/\\1", "/v1/api/instance/foo"},
        {"one", "/xxx/one/yyy/one/zzz", "two", "/xxx/two/yyy/two/zzz"},
        {"^(.*?)one(.*)$", "/xxx/one/yyy/one/zzz", "\\1two\\2", "/xxx/two/yyy/one/zzz"},
        {"(?i)/xxx/", "/aaa/XxX/bbb", "/yyy/", "/aaa/yyy/bbb"},
        {"x", "abc", "y", "abc"},
        {"b*", "abc", "-", "-a-c-"},
        {"b", "abc", "\\\\\\0\\0", "a\\bbc"},
        {"(a)|(b)", "b", "[\\1]", "[]"},
        {"a", "", "b", ""},
    };
    struct weir_arena arena;
    weir_arena_init(&arena, NULL);
    for (size_t i = 0; i < WEIR_COUNTOF(rows); i++) {
        struct weir_regex *re = compile(rows[i].pattern);
        struct weir_slice substitution = weir_slice_str(rows[i].substitution);
        assert_int_equal(weir_regex_check_substitution(re, substitution, NULL), WEIR_OK);
        struct weir_slice out = weir_regex_replace(&arena, re, weir_slice_str(rows[i].in), substitution);
        if (!weir_slice_eq(out, weir_slice_str(rows[i].out)))
            fail_msg("row %zu: \"%.*s\", wanted \"%s\"", i, WEIR_SARG(out), rows[i].out);
        weir_regex_free(re);
    }
    weir_arena_fini(&arena);
}

static void test_bad_substitutions(void **state)
{
    (void)state;
    struct weir_regex *re = compile("(a)(b)");
    struct weir_str err;
    weir_str_init(&err, 1024);
    assert_int_equal(weir_regex_check_substitution(re, WEIR_S("\\3"), &err), WEIR_ERR_INVALID);
    assert_string_equal(err.ptr, "\\3 names a group, but the expression has only 2");
    assert_int_equal(weir_regex_check_substitution(re, WEIR_S("\\x"), NULL), WEIR_ERR_SYNTAX);
    assert_int_equal(weir_regex_check_substitution(re, WEIR_S("end\\"), NULL), WEIR_ERR_SYNTAX);
    weir_str_fini(&err);
    weir_regex_free(re);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_match),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_replace),
        cmocka_unit_test(test_bad_substitutions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
