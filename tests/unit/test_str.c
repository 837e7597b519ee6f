/* Growable string: the cap, numbers, JSON escapes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/str.h"

static void test_append(void **state WEIR_UNUSED)
{
    struct weir_str str;
    weir_str_init(&str, 1000);
    weir_str_adds(&str, "a");
    weir_str_addc(&str, 'b');
    weir_str_addu(&str, 0);
    weir_str_addu(&str, UINT64_MAX);
    weir_str_printf(&str, "[%d]", -5);
    assert_string_equal(str.ptr, "ab018446744073709551615[-5]");
    weir_str_clear(&str);
    assert_int_equal(str.len, 0);
    for (int i = 0; i < 100; i++) {
        weir_str_printf(&str, "%03d", i);
        assert_int_equal(str.len, 3 * (i + 1));
        assert_int_equal(str.ptr[str.len], '\0');
    }
    assert_memory_equal(str.ptr + 297, "099", 4);
    weir_str_fini(&str);
}

static void test_overflow_keeps_a_whole_prefix(void **state WEIR_UNUSED)
{
    struct weir_str str;
    weir_str_init(&str, 4);
    weir_str_adds(&str, "abc");
    weir_str_adds(&str, "de");
    assert_true(str.overflow);
    weir_str_adds(&str, "f"); /* would fit, but not behind what is missing */
    weir_str_printf(&str, "%s", "g");
    assert_string_equal(str.ptr, "abc");
    weir_str_clear(&str);
    assert_false(str.overflow);
    weir_str_printf(&str, "%s", "abcde");
    assert_true(str.overflow);
    assert_string_equal(str.ptr, "");
    weir_str_clear(&str);
    weir_str_printf(&str, "%s", "abcd");
    assert_false(str.overflow);
    assert_string_equal(str.ptr, "abcd");
    weir_str_fini(&str);
}

static void test_json(void **state WEIR_UNUSED)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"", ""},
        {"plain /path?x=1", "plain /path?x=1"},
        {"a\"b\\c", "a\\\"b\\\\c"},
        {"\b\t\n\f\r\x01\x1f\x7f", "\\b\\t\\n\\f\\r\\u0001\\u001f\x7f"},
        {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"x\xffy", "x\xef\xbf\xbdy"},
        {"\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd"},                 /* overlong */
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* surrogate */
        {"\xe2\x82", "\xef\xbf\xbd"},                             /* cut off */
        {"\xe2\x82\"", "\xef\xbf\xbd\\\""},
        {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* above U+10FFFF */
    };
    struct weir_str str;
    weir_str_init(&str, 1000);
    for (size_t i = 0; i < WEIR_COUNTOF(rows); i++) {
        weir_str_clear(&str);
        weir_str_add_json(&str, weir_slice_str(rows[i].text));
        assert_string_equal(str.ptr, rows[i].want);
    }
    weir_str_fini(&str);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append),
        cmocka_unit_test(test_overflow_keeps_a_whole_prefix),
        cmocka_unit_test(test_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
