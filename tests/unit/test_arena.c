/* Arena: alignment, block reuse, large requests, cleanups. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/arena.h"

static void test_alloc_is_aligned_and_distinct(void **state WEIR_UNUSED)
{
    struct weir_arena arena;
    weir_arena_init(&arena, NULL);
    static const size_t sizes[] = {0, 1, 15, 16, 17, 1000, 4064, 4080, 4096, 100000, 3};
    char *last = NULL;
    for (size_t round = 0; round < 50; round++) {
        for (size_t i = 0; i < WEIR_COUNTOF(sizes); i++) {
            char *ptr = weir_arena_alloc(&arena, sizes[i]);
            assert_non_null(ptr);
            assert_ptr_not_equal(ptr, last);
            assert_int_equal((uintptr_t)ptr % 16, 0);
            memset(ptr, 0xff, sizes[i]);
            last = ptr;
        }
    }
    unsigned char *zeroed = weir_arena_zalloc(&arena, 64);
    for (size_t i = 0; i < 64; i++) {
        assert_int_equal(zeroed[i], 0);
    }
    assert_true(arena.total >= 50 * 100000);
    weir_arena_fini(&arena);
    assert_int_equal(arena.total, 0);
}

static void test_pool_recycles_blocks_only(void **state WEIR_UNUSED)
{
    struct weir_arena_pool pool = {.max_free = 2};
    struct weir_arena arena;
    weir_arena_init(&arena, &pool);
    for (int i = 0; i < 4; i++) {
        (void)weir_arena_alloc(&arena, 4000);
    }
    (void)weir_arena_alloc(&arena, 5000);
    assert_true(arena.total >= 4UL * WEIR_ARENA_BLOCK_SIZE + 5000);
    weir_arena_fini(&arena);
    assert_int_equal(pool.n_free, WEIR_RECYCLE ? 2 : 0);
    void *first = weir_arena_alloc(&arena, 8);
    assert_int_equal(pool.n_free, WEIR_RECYCLE ? 1 : 0);
    weir_arena_fini(&arena);
    assert_true(!WEIR_RECYCLE || weir_arena_alloc(&arena, 8) == first);
    weir_arena_fini(&arena);
    weir_arena_pool_fini(&pool);
    assert_int_equal(pool.n_free, 0);
}

static void test_large_request_keeps_the_block_being_filled(void **state WEIR_UNUSED)
{
    struct weir_arena arena;
    weir_arena_init(&arena, NULL);
    char *a = weir_arena_alloc(&arena, 16);
    (void)weir_arena_alloc(&arena, 10000);
    char *b = weir_arena_alloc(&arena, 16);
    assert_ptr_equal(a + 16, b);
    weir_arena_fini(&arena);
}

static void test_text(void **state WEIR_UNUSED)
{
    struct weir_arena arena;
    weir_arena_init(&arena, NULL);
    struct weir_slice s = weir_arena_dup_lower(&arena, WEIR_S("AbC-9"));
    assert_string_equal(s.ptr, "abc-9");
    s = weir_arena_cat(&arena, WEIR_S("a"), WEIR_S("b"));
    assert_string_equal(s.ptr, "ab");
    assert_int_equal(s.len, 2);
    assert_null(weir_arena_dup(&arena, WEIR_S_NONE).ptr);
    assert_non_null(weir_arena_dup(&arena, WEIR_S("")).ptr);
    s = weir_arena_printf(&arena, "%s %05d", "x", 42);
    assert_string_equal(s.ptr, "x 00042");
    assert_int_equal(s.len, 7);
    s = weir_arena_printf(&arena, "%6000s", "x");
    assert_int_equal(s.len, 6000);
    weir_arena_fini(&arena);
}

static char order[8];
static struct weir_arena cleanup_arena;
static void note(void *arg)
{
    size_t len = strlen(order);
    order[len] = *(const char *)arg;
}
static void note_and_register(void *arg)
{
    static char letter = 'z';
    note(arg);
    weir_arena_on_end(&cleanup_arena, note, &letter);
}

static void test_cleanups_run_latest_first(void **state WEIR_UNUSED)
{
    static char a = 'a', b = 'b', c = 'c';
    weir_arena_init(&cleanup_arena, NULL);
    weir_arena_on_end(&cleanup_arena, note, &a);
    weir_arena_on_end(&cleanup_arena, note_and_register, &b);
    weir_arena_on_end(&cleanup_arena, note, &c);
    weir_arena_fini(&cleanup_arena);
    assert_string_equal(order, "cbza");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alloc_is_aligned_and_distinct),
        cmocka_unit_test(test_pool_recycles_blocks_only),
        cmocka_unit_test(test_large_request_keeps_the_block_being_filled),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_cleanups_run_latest_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
