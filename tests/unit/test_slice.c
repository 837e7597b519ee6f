/* Slices: comparing, cutting, searching, numbers, hash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/slice.h"

#include <stdio.h>

#define S_EQ(got, want) assert_true(weir_slice_eq((got), (want)))

static void test_compare(void **state WEIR_UNUSED)
{
    assert_true(weir_slice_eq(WEIR_S(""), WEIR_S_NONE));
    assert_true(weir_slice_eq_nocase(WEIR_S("Content-LENGTH"), WEIR_S("content-length")));
    assert_false(weir_slice_eq_nocase(WEIR_S("a@"), WEIR_S("a`"))); /* differ in bit 5, are no letters */
    assert_true(weir_slice_starts_with(WEIR_S("/api/x"), WEIR_S("/api")));
    assert_false(weir_slice_starts_with(WEIR_S("/ap"), WEIR_S("/api")));
    assert_true(weir_slice_ends_with(WEIR_S("www.example.com"), WEIR_S(".com")));
    assert_true(weir_slice_starts_with_nocase(WEIR_S("Bearer x"), WEIR_S("bearer ")));
    assert_true(weir_slice_ends_with_nocase(WEIR_S("a.COM"), WEIR_S(".com")));
    assert_true(weir_slice_cmp(WEIR_S("a"), WEIR_S("ab")) < 0);
    assert_true(weir_slice_cmp(WEIR_S("b"), WEIR_S("ab")) > 0);
    assert_int_equal(weir_slice_cmp(WEIR_S("ab"), WEIR_S("ab")), 0);
    assert_int_equal(weir_slice_cmp(WEIR_S_NONE, WEIR_S("")), 0);
}

static void test_search(void **state WEIR_UNUSED)
{
    struct weir_slice s = WEIR_S("a=b=c");
    assert_int_equal(weir_slice_find(s, '='), 1);
    assert_int_equal(weir_slice_rfind(s, '='), 3);
    assert_int_equal(weir_slice_find(s, 'z'), 5);
    assert_int_equal(weir_slice_find(WEIR_S_NONE, 'z'), 0);
    assert_int_equal(weir_slice_search(s, WEIR_S("b=c")), 2);
    assert_int_equal(weir_slice_search(s, WEIR_S("")), 0);
    assert_true(weir_slice_search(s, WEIR_S("bb")) == SIZE_MAX);
    assert_true(weir_slice_search(WEIR_S("a"), WEIR_S("aa")) == SIZE_MAX);
    assert_true(weir_slice_contains_nocase(WEIR_S("gzip, Chunked"), WEIR_S("CHUNKED")));
    assert_false(weir_slice_contains_nocase(WEIR_S("chunke"), WEIR_S("chunked")));
    S_EQ(weir_slice_trim(WEIR_S(" \t a b\t ")), WEIR_S("a b"));
    S_EQ(weir_slice_trim(WEIR_S(" \t ")), WEIR_S(""));
    S_EQ(weir_slice_from(s, 9), WEIR_S(""));
    S_EQ(weir_slice_first(s, 9), s);
}

static void test_next_returns_every_token(void **state WEIR_UNUSED)
{
    static const struct {
        struct weir_slice text;
        const char *joined;
    } rows[] = {
        {WEIR_S_INIT("a,b"), "a|b|"},
        {WEIR_S_INIT(",a,,"), "|a|||"},
        {WEIR_S_INIT(""), "|"},
        {{NULL, 0}, ""},
    };
    for (size_t i = 0; i < WEIR_COUNTOF(rows); i++) {
        struct weir_slice rest = rows[i].text, token;
        char joined[32];
        size_t len = 0;
        while (weir_slice_next(&rest, ',', &token)) {
            len += (size_t)snprintf(joined + len, sizeof(joined) - len, "%.*s|", WEIR_SARG(token));
        }
        joined[len] = '\0';
        assert_string_equal(joined, rows[i].joined);
    }
}

static void test_unsigned(void **state WEIR_UNUSED)
{
    static const struct {
        struct weir_slice text;
        uint64_t max;
        enum weir_err err;
        uint64_t value;
    } rows[] = {
        {WEIR_S_INIT("0"), 10, WEIR_OK, 0},
        {WEIR_S_INIT("18446744073709551615"), UINT64_MAX, WEIR_OK, UINT64_MAX},
        {WEIR_S_INIT("18446744073709551616"), UINT64_MAX, WEIR_ERR_LIMIT, 0},
        {WEIR_S_INIT("99999999999999999999999"), UINT64_MAX, WEIR_ERR_LIMIT, 0},
        {WEIR_S_INIT("99999999999999999999999x"), UINT64_MAX, WEIR_ERR_SYNTAX, 0},
        {WEIR_S_INIT("11"), 10, WEIR_ERR_LIMIT, 0},
        {WEIR_S_INIT(""), 10, WEIR_ERR_SYNTAX, 0},
        {WEIR_S_INIT("+1"), 10, WEIR_ERR_SYNTAX, 0},
        {WEIR_S_INIT(" 1"), 10, WEIR_ERR_SYNTAX, 0},
        {WEIR_S_INIT("a"), 10, WEIR_ERR_SYNTAX, 0},
    };
    for (size_t i = 0; i < WEIR_COUNTOF(rows); i++) {
        uint64_t value = 0;
        assert_int_equal(weir_parse_u64(rows[i].text, rows[i].max, &value), rows[i].err);
        assert_true(value == rows[i].value);
    }
    uint64_t hex = 0;
    assert_int_equal(weir_parse_hex(WEIR_S("fFfF"), 0xffff, &hex), WEIR_OK);
    assert_int_equal(hex, 0xffff);
    assert_int_equal(weir_parse_hex(WEIR_S("10000000000000000"), UINT64_MAX, &hex), WEIR_ERR_LIMIT);
    assert_int_equal(weir_parse_hex(WEIR_S("0x1"), UINT64_MAX, &hex), WEIR_ERR_SYNTAX);
}

static void test_signed_and_double(void **state WEIR_UNUSED)
{
    int64_t value = 7;
    assert_int_equal(weir_parse_i64(WEIR_S("-9223372036854775808"), &value), WEIR_OK);
    assert_true(value == INT64_MIN);
    assert_int_equal(weir_parse_i64(WEIR_S("+9223372036854775807"), &value), WEIR_OK);
    assert_true(value == INT64_MAX);
    assert_int_equal(weir_parse_i64(WEIR_S("9223372036854775808"), &value), WEIR_ERR_LIMIT);
    assert_int_equal(weir_parse_i64(WEIR_S("-"), &value), WEIR_ERR_SYNTAX);
    assert_int_equal(weir_parse_i64(WEIR_S_NONE, &value), WEIR_ERR_SYNTAX);
    double d = 0;
    assert_int_equal(weir_parse_double(WEIR_S("-1.5e3"), &d), WEIR_OK);
    assert_true(d > -1500.1 && d < -1499.9);
    assert_int_equal(weir_parse_double(WEIR_S(".5"), &d), WEIR_OK);
    static const char *const bad[] = {"", ".", "1e", "nan", "inf", "0x10", "1 ", "1.2.3", "--1"};
    for (size_t i = 0; i < WEIR_COUNTOF(bad); i++) {
        assert_int_equal(weir_parse_double(weir_slice_str(bad[i]), &d), WEIR_ERR_SYNTAX);
    }
    assert_int_equal(weir_parse_double(WEIR_S("1e999"), &d), WEIR_ERR_LIMIT);
}

static void test_hash_depends_on_every_byte_and_the_seed(void **state WEIR_UNUSED)
{
    char text[80];
    weir_hash_seed_set(1);
    for (size_t len = 0; len <= sizeof(text); len++) {
        memset(text, 'x', sizeof(text));
        uint64_t before = weir_slice_hash(weir_slice(text, len));
        for (size_t i = 0; i < len; i++) {
            text[i] ^= 1;
            assert_true(weir_slice_hash(weir_slice(text, len)) != before);
            text[i] ^= 1;
        }
        assert_true(weir_slice_hash(weir_slice(text, len)) == before);
        assert_true(len == 0 || weir_slice_hash(weir_slice(text, len - 1)) != before);
    }
    uint64_t one = weir_slice_hash(WEIR_S("key"));
    weir_hash_seed_set(2);
    assert_true(weir_slice_hash(WEIR_S("key")) != one);
}

static void test_checked_sizes(void **state WEIR_UNUSED)
{
    size_t n = 3;
    assert_false(weir_size_add(SIZE_MAX, 1, &n));
    assert_false(weir_size_mul(SIZE_MAX / 2, 3, &n));
    assert_int_equal(n, 3);
    assert_true(weir_size_add(1, 2, &n) && n == 3);
    assert_true(weir_size_mul(4, 5, &n) && n == 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compare),
        cmocka_unit_test(test_search),
        cmocka_unit_test(test_next_returns_every_token),
        cmocka_unit_test(test_unsigned),
        cmocka_unit_test(test_signed_and_double),
        cmocka_unit_test(test_hash_depends_on_every_byte_and_the_seed),
        cmocka_unit_test(test_checked_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
