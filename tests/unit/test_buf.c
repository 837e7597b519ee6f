/* Chained buffer: against a flat model under random operations, and where it must not copy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"

static struct weir_buf_pool pool;

static int setup(void **state WEIR_UNUSED)
{
    weir_buf_pool_init(&pool, 4);
    return 0;
}

static int teardown(void **state WEIR_UNUSED)
{
    assert_int_equal(pool.n_blocks_live, 0);
    assert_int_equal(pool.segs.n_live, 0);
    weir_buf_pool_fini(&pool);
    return 0;
}

static void check(const struct weir_buf *buf, const char *want, size_t len)
{
    static char flat[1 << 20];
    assert_int_equal(buf->len, len);
    assert_int_equal(weir_buf_peek(buf, 0, flat, sizeof(flat)), len);
    assert_memory_equal(flat, want, len);
    assert_true((buf->head == NULL) == (len == 0));
    assert_true(!buf->tail || !buf->tail->next);
}

static void test_add_fills_one_block(void **state WEIR_UNUSED)
{
    struct weir_buf buf;
    weir_buf_init(&buf, &pool);
    weir_buf_add(&buf, WEIR_S("hello "));
    weir_buf_add(&buf, WEIR_S("world"));
    assert_ptr_equal(buf.head, buf.tail);
    check(&buf, "hello world", 11);
    weir_buf_drain(&buf, 6);
    weir_buf_prepend(&buf, WEIR_S("my ")); /* into the room that the drain left */
    assert_ptr_equal(buf.head, buf.tail);
    check(&buf, "my world", 8);
    weir_buf_clear(&buf);
    check(&buf, "", 0);
}

static void test_shared_block_is_never_written(void **state WEIR_UNUSED)
{
    struct weir_buf buf, other;
    weir_buf_init(&buf, &pool);
    weir_buf_init(&other, &pool);
    struct weir_block *block = weir_block_get(&pool);
    memcpy(block->data, "abcdef", 6);
    weir_buf_add_block(&buf, block, weir_slice(block->data, 3));
    weir_buf_add(&buf, WEIR_S("XYZ")); /* the reader still holds the block */
    assert_memory_equal(block->data, "abcdef", 6);
    weir_buf_add_block(&other, block, weir_slice(block->data + 3, 1));
    weir_buf_add_block(&other, block, weir_slice(block->data + 4, 2));
    assert_ptr_equal(other.head, other.tail); /* neighbours join */
    weir_block_unref(&pool, block);
    weir_buf_prepend(&other, WEIR_S("__"));
    weir_buf_add(&other, WEIR_S("++"));
    check(&buf, "abcXYZ", 6);
    check(&other, "__def++", 7);
    weir_buf_move(&buf, &other);
    check(&buf, "abcXYZ__def++", 13);
    check(&other, "", 0);
    weir_buf_clear(&buf);
}

static void test_static_memory_is_not_copied(void **state WEIR_UNUSED)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct weir_buf buf;
    weir_buf_init(&buf, &pool);
    weir_buf_add_static(&buf, weir_slice_str(text));
    assert_ptr_equal(weir_buf_front(&buf).ptr, text);
    weir_buf_add(&buf, WEIR_S("x"));
    assert_int_equal(pool.n_blocks_live, 1);
    struct iovec iov[4];
    size_t bytes;
    assert_int_equal(weir_buf_iovecs(&buf, iov, 4, &bytes), 2);
    assert_int_equal(bytes, buf.len);
    assert_int_equal(weir_buf_iovecs(&buf, iov, 1, &bytes), 1);
    assert_int_equal(bytes, sizeof(text) - 1);
    weir_buf_clear(&buf);
}

static void test_pullup(void **state WEIR_UNUSED)
{
    struct weir_buf buf;
    static char big[3 * WEIR_BLOCK_SIZE];
    memset(big, 'b', sizeof(big));
    weir_buf_init(&buf, &pool);
    weir_buf_add(&buf, WEIR_S("ab"));
    weir_buf_add_static(&buf, WEIR_S("cd"));
    weir_buf_add_static(&buf, WEIR_S("ef"));
    assert_true(weir_slice_eq(weir_buf_pullup(&buf, 0), WEIR_S("")));
    assert_true(weir_slice_eq(weir_buf_pullup(&buf, 3), WEIR_S("abc")));
    assert_true(weir_slice_eq(weir_buf_pullup(&buf, 6), WEIR_S("abcdef")));
    assert_ptr_equal(buf.head, buf.tail);
    weir_buf_add(&buf, weir_slice(big, sizeof(big)));
    struct weir_slice all = weir_buf_pullup(&buf, sizeof(big)); /* larger than a block */
    assert_memory_equal(all.ptr, "abcdefb", 7);
    assert_int_equal(buf.len, sizeof(big) + 6);
    weir_buf_clear(&buf);
}

/* Random operations on two buffers and their flat models. */
struct model {
    struct weir_buf buf;
    char flat[200000];
    size_t len;
};

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525U + 1013904223U;
    return *seed >> 8;
}

static void step(struct model *m, struct model *other, uint32_t *seed)
{
    static char bytes[40000];
    size_t n = next_random(seed) % 4 ? next_random(seed) % 64 : next_random(seed) % sizeof(bytes);
    memset(bytes, (int)('a' + next_random(seed) % 26), n);
    uint32_t what = next_random(seed) % 8;
    if (m->len + n > sizeof(m->flat)) {
        what = 3;
    }
    if (what <= 1) {
        weir_buf_add(&m->buf, weir_slice(bytes, n));
        memcpy(m->flat + m->len, bytes, n);
        m->len += n;
    } else if (what == 2) {
        weir_buf_prepend(&m->buf, weir_slice(bytes, n));
        memmove(m->flat + n, m->flat, m->len);
        memcpy(m->flat, bytes, n);
        m->len += n;
    } else if (what <= 4) {
        n = WEIR_MIN(n, m->len);
        weir_buf_drain(&m->buf, n);
        m->len -= n;
        memmove(m->flat, m->flat + n, m->len);
    } else if (what == 5) {
        n = WEIR_MIN(n, m->len);
        assert_memory_equal(weir_buf_pullup(&m->buf, n).ptr, m->flat, n);
    } else if (other->len + WEIR_MIN(n, m->len) <= sizeof(other->flat)) {
        weir_buf_move_some(&other->buf, &m->buf, n);
        n = WEIR_MIN(n, m->len);
        memcpy(other->flat + other->len, m->flat, n);
        other->len += n;
        m->len -= n;
        memmove(m->flat, m->flat + n, m->len);
    }
}

static void test_random_operations_agree_with_flat_bytes(void **state WEIR_UNUSED)
{
    struct model *models = weir_zalloc(2 * sizeof(*models));
    for (uint32_t seed = 1; seed <= 20; seed++) {
        uint32_t random = seed;
        for (int i = 0; i < 2; i++) {
            weir_buf_init(&models[i].buf, &pool);
            models[i].len = 0;
        }
        for (int i = 0; i < 200; i++) {
            uint32_t which = next_random(&random) % 2;
            step(&models[which], &models[1 - which], &random);
            check(&models[0].buf, models[0].flat, models[0].len);
            check(&models[1].buf, models[1].flat, models[1].len);
        }
        weir_buf_clear(&models[0].buf);
        weir_buf_clear(&models[1].buf);
    }
    weir_free(models);
}

static void test_watermark_reports_each_crossing_once(void **state WEIR_UNUSED)
{
    struct weir_watermark mark = {.high = 100};
    static const struct {
        size_t len;
        enum weir_watermark_edge want;
    } rows[] = {
        {100, WEIR_WATERMARK_NONE}, {101, WEIR_WATERMARK_ROSE}, {200, WEIR_WATERMARK_NONE},
        {51, WEIR_WATERMARK_NONE},  {50, WEIR_WATERMARK_FELL},  {50, WEIR_WATERMARK_NONE},
    };
    for (size_t i = 0; i < WEIR_COUNTOF(rows); i++) {
        assert_int_equal(weir_watermark_check(&mark, rows[i].len), rows[i].want);
    }
    struct weir_watermark none = {0};
    assert_int_equal(weir_watermark_check(&none, SIZE_MAX), WEIR_WATERMARK_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_add_fills_one_block, setup, teardown),
        cmocka_unit_test_setup_teardown(test_shared_block_is_never_written, setup, teardown),
        cmocka_unit_test_setup_teardown(test_static_memory_is_not_copied, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pullup, setup, teardown),
        cmocka_unit_test_setup_teardown(test_random_operations_agree_with_flat_bytes, setup, teardown),
        cmocka_unit_test(test_watermark_reports_each_crossing_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
