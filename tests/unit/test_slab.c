/* Slab: recycling, zeroing, counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/poison.h"
#include "base/slab.h"

#include <string.h>

static void test_get_put(void **state WEIR_UNUSED)
{
    struct weir_slab slab;
    weir_slab_init(&slab, 40, 2);
    char *objects[3];
    for (int i = 0; i < 3; i++) {
        objects[i] = weir_slab_get(&slab);
        assert_int_equal(objects[i][39], 0);
        memset(objects[i], 'x', 40);
    }
    assert_int_equal(slab.n_live, 3);
    for (int i = 0; i < 3; i++) {
        weir_slab_put(&slab, objects[i]);
    }
    assert_int_equal(slab.n_live, 0);
    assert_int_equal(slab.n_free, WEIR_RECYCLE ? 2 : 0);
    char *again = weir_slab_get(&slab);
    for (int i = 0; i < 40; i++) {
        assert_int_equal(again[i], 0);
    }
    weir_slab_put(&slab, again);
    weir_slab_fini(&slab);
    assert_int_equal(slab.n_free, 0);
}

static void test_smallest_object(void **state WEIR_UNUSED)
{
    struct weir_slab slab;
    weir_slab_init(&slab, 1, 8);
    char *a = weir_slab_get_raw(&slab), *b = weir_slab_get_raw(&slab);
    assert_ptr_not_equal(a, b);
    weir_slab_put(&slab, a);
    weir_slab_put(&slab, b);
    weir_slab_fini(&slab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get_put),
        cmocka_unit_test(test_smallest_object),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
