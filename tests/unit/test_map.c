/* Hash map against a plain array, and the list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/list.h"
#include "base/map.h"

#include <stdio.h>

#define N 600

static char keys[N][8];
static int values[N];

static struct weir_slice key(size_t i)
{
    return weir_slice_str(keys[i]);
}

static void test_random_operations_agree_with_an_array(void **state WEIR_UNUSED)
{
    struct weir_map map;
    bool in[N] = {false};
    size_t n_in = 0;
    uint64_t random = 88172645463325252ULL;
    weir_hash_seed_set(7);
    weir_map_init(&map);
    for (size_t i = 0; i < N; i++) {
        (void)snprintf(keys[i], sizeof(keys[i]), "k%zu", i);
    }
    for (int step = 0; step < 60000; step++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        size_t i = (size_t)(random >> 8) % N;
        if (random % 16 < (step / 10000 % 2 ? 11U : 5U)) { /* phases of growth and of decline */
            assert_ptr_equal(weir_map_remove(&map, key(i)), in[i] ? &values[i] : NULL);
            n_in -= in[i];
            in[i] = false;
        } else {
            assert_ptr_equal(weir_map_set(&map, key(i), &values[i]), in[i] ? &values[i] : NULL);
            n_in += !in[i];
            in[i] = true;
        }
        assert_int_equal(map.len, n_in);
        size_t j = (size_t)(random >> 32) % N;
        assert_ptr_equal(weir_map_get(&map, key(j)), in[j] ? &values[j] : NULL);
    }
    size_t iter = 0, seen = 0;
    struct weir_slice k;
    void *value;
    while (weir_map_next(&map, &iter, &k, &value)) {
        size_t i = (size_t)((int *)value - values);
        assert_true(in[i] && weir_slice_eq(k, key(i)));
        seen++;
    }
    assert_int_equal(seen, n_in);
    weir_map_fini(&map);
    assert_null(weir_map_get(&map, key(0)));
}

static void test_empty_map(void **state WEIR_UNUSED)
{
    struct weir_map map;
    size_t iter = 0;
    struct weir_slice k;
    void *value;
    weir_map_init(&map);
    assert_null(weir_map_get(&map, WEIR_S("a")));
    assert_null(weir_map_remove(&map, WEIR_S("a")));
    assert_false(weir_map_next(&map, &iter, &k, &value));
    assert_null(weir_map_set(&map, WEIR_S(""), &map));
    assert_ptr_equal(weir_map_set(&map, WEIR_S_NONE, &iter), &map);
    assert_ptr_equal(weir_map_get(&map, WEIR_S("")), &iter);
    weir_map_fini(&map);
}

static void test_list(void **state WEIR_UNUSED)
{
    struct weir_list a, b, nodes[4] = {{0}};
    weir_list_init(&a);
    weir_list_init(&b);
    weir_list_unlink(&nodes[0]);
    assert_false(weir_list_linked(&nodes[0]));
    weir_list_push_back(&a, &nodes[1]);
    weir_list_push_front(&a, &nodes[0]);
    weir_list_push_back(&b, &nodes[2]);
    weir_list_push_back(&b, &nodes[3]);
    weir_list_splice(&a, &b);
    assert_true(weir_list_empty(&b));
    size_t n = 0;
    WEIR_LIST_EACH(&a, it)
    {
        assert_ptr_equal(it, &nodes[n++]);
        weir_list_unlink(it);
    }
    assert_int_equal(n, 4);
    assert_null(weir_list_first(&a));
    assert_null(weir_list_last(&a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_operations_agree_with_an_array),
        cmocka_unit_test(test_empty_map),
        cmocka_unit_test(test_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
