/* The wire format of header maps: what is written reads back; what is malformed is refused, at every cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "wasm/limits.h"
#include "wasm/pairs.h"

static struct weir_wasm_pair out[WEIR_WASM_PAIRS_MAX];

static const struct {
    const char *name;
    struct weir_slice data;
    enum weir_err want;
    uint32_t want_n;
} reads[] = {
    {"nothing", WEIR_S_INIT(""), WEIR_OK, 0},
    {"no pairs", WEIR_S_INIT("\0\0\0\0"), WEIR_OK, 0},
    {"one pair", WEIR_S_INIT("\1\0\0\0\1\0\0\0\2\0\0\0a\0bc\0"), WEIR_OK, 1},
    {"one empty pair", WEIR_S_INIT("\1\0\0\0\0\0\0\0\0\0\0\0\0\0"), WEIR_OK, 1},
    {"half a count", WEIR_S_INIT("\1\0"), WEIR_ERR_SYNTAX, 0},
    {"lengths missing", WEIR_S_INIT("\1\0\0\0\1\0\0\0"), WEIR_ERR_SYNTAX, 0},
    {"name beyond the end", WEIR_S_INIT("\1\0\0\0\11\0\0\0\2\0\0\0a\0bc\0"), WEIR_ERR_SYNTAX, 0},
    {"length of 2^32-1", WEIR_S_INIT("\1\0\0\0\xff\xff\xff\xff\2\0\0\0a\0bc\0"), WEIR_ERR_SYNTAX, 0},
    {"no NUL after the name", WEIR_S_INIT("\1\0\0\0\1\0\0\0\2\0\0\0axbc\0"), WEIR_ERR_SYNTAX, 0},
    {"no NUL after the value", WEIR_S_INIT("\1\0\0\0\1\0\0\0\2\0\0\0a\0bcx"), WEIR_ERR_SYNTAX, 0},
    {"a byte left over", WEIR_S_INIT("\1\0\0\0\1\0\0\0\2\0\0\0a\0bc\0z"), WEIR_ERR_SYNTAX, 0},
    {"count beyond the limit", WEIR_S_INIT("\1\4\0\0"), WEIR_ERR_LIMIT, 0},
    {"count of 2^32-1", WEIR_S_INIT("\xff\xff\xff\xff"), WEIR_ERR_LIMIT, 0},
};

static void test_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < WEIR_COUNTOF(reads); i++) {
        uint32_t n = 0;
        enum weir_err err = weir_pairs_read(reads[i].data, out, WEIR_WASM_PAIRS_MAX, &n);
        if (err != reads[i].want || n != reads[i].want_n)
            fail_msg("%s: %s and %u pairs, want %s and %u", reads[i].name, weir_err_text(err), n, weir_err_text(reads[i].want),
                     reads[i].want_n);
    }
}

static void test_read_refuses_more_than_a_mebibyte(void **state)
{
    (void)state;
    static char large[WEIR_WASM_PAIRS_BYTES_MAX + 1];
    uint32_t n = 7;
    assert_int_equal(weir_pairs_read(weir_slice(large, sizeof large), out, WEIR_WASM_PAIRS_MAX, &n), WEIR_ERR_LIMIT);
    assert_int_equal(n, 7);
}

static void test_written_reads_back_and_no_cut_does(void **state)
{
    (void)state;
    static const struct {
        struct weir_slice name, value;
        int other;
    } wide[] = {
        {WEIR_S_INIT(":path"), WEIR_S_INIT("/auth"), 1},
        {WEIR_S_INIT("empty"), WEIR_S_INIT(""), 2},
        {WEIR_S_INIT("binary"), WEIR_S_INIT("a\0b"), 3},
    };
    struct weir_wasm_pairs pairs = {wide, sizeof wide[0], WEIR_COUNTOF(wide)};
    char data[256];
    size_t size = weir_pairs_size(&pairs);
    assert_true(size <= sizeof data);
    weir_pairs_write(&pairs, data);
    uint32_t n = 0;
    assert_int_equal(weir_pairs_read(weir_slice(data, size), out, WEIR_WASM_PAIRS_MAX, &n), WEIR_OK);
    assert_int_equal(n, pairs.n);
    for (uint32_t i = 0; i < n; i++) {
        assert_true(weir_slice_eq(out[i].name, wide[i].name));
        assert_true(weir_slice_eq(out[i].value, wide[i].value));
    }
    for (size_t cut = 1; cut < size; cut++)
        assert_int_not_equal(weir_pairs_read(weir_slice(data, cut), out, WEIR_WASM_PAIRS_MAX, &n), WEIR_OK);
}

static void test_empty_map_is_no_bytes(void **state)
{
    (void)state;
    struct weir_wasm_pairs none = {0};
    assert_int_equal(weir_pairs_size(&none), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_read_refuses_more_than_a_mebibyte),
        cmocka_unit_test(test_written_reads_back_and_no_cut_does),
        cmocka_unit_test(test_empty_map_is_no_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
