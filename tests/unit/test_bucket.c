/* The token bucket of local_ratelimit: fills, limits, threads. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/attr.h"
#include "filters/local_ratelimit/bucket.h"

#define MS UINT64_C(1000000)

static uint32_t draw_all(struct weir_bucket *bucket, uint64_t now)
{
    uint32_t n = 0, left;
    while (weir_bucket_draw(bucket, now, &left))
        n++;
    return n;
}

static void test_it_fills_by_the_interval_and_no_further_than_the_brim(void **state)
{
    (void)state;
    static const struct {
        uint64_t at_ms;
        uint32_t want;
    } rows[] = {{1000, 5}, {1099, 0}, {1100, 2}, {1150, 0}, {1200, 2}, {1399, 2}, {1400, 2}, {1500, 2}, {9999, 5}, {10000, 2}};
    struct weir_bucket bucket;
    weir_bucket_init(&bucket, 5, 2, 100 * MS);
    for (size_t i = 0; i < WEIR_COUNTOF(rows); i++) {
        uint32_t got = draw_all(&bucket, rows[i].at_ms * MS);
        if (got != rows[i].want)
            fail_msg("at %lu ms: %u, want %u", (unsigned long)rows[i].at_ms, got, rows[i].want);
    }
}

static void test_what_is_left_and_when_more_comes(void **state)
{
    (void)state;
    struct weir_bucket bucket;
    uint32_t left = 99;
    weir_bucket_init(&bucket, 2, 1, 100 * MS);
    assert_true(weir_bucket_draw(&bucket, 1000 * MS, &left));
    assert_int_equal(left, 1);
    assert_int_equal(weir_bucket_next_fill_ns(&bucket, 1030 * MS), 70 * MS);
    assert_true(weir_bucket_draw(&bucket, 1040 * MS, &left));
    assert_false(weir_bucket_draw(&bucket, 1050 * MS, &left));
    assert_int_equal(left, 0);
}

#define THREADS 4
#define FILLS   200

static struct weir_bucket shared;
static _Atomic uint32_t drawn;

static void *draw_in_a_thread(void *arg)
{
    (void)arg;
    for (uint64_t i = 0; i < FILLS; i++) {
        uint32_t n = draw_all(&shared, (1000 + i) * MS);
        atomic_fetch_add(&drawn, n);
    }
    return NULL;
}

static void test_threads_get_no_more_than_there_is(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    weir_bucket_init(&shared, 100, 10, 1 * MS);
    atomic_store(&drawn, 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, draw_in_a_thread, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_true(atomic_load(&drawn) >= 100);
    assert_true(atomic_load(&drawn) <= 100 + (FILLS - 1) * 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_fills_by_the_interval_and_no_further_than_the_brim),
        cmocka_unit_test(test_what_is_left_and_when_more_comes),
        cmocka_unit_test(test_threads_get_no_more_than_there_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
