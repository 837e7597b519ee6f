/* Balancing: shares by weight, by load, by priority; panic. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "event/sim.h"
#include "upstream/lb.h"

#define HOSTS_MAX 8

struct fixture {
    struct weir_sim *sim;
    struct weir_loop *loop;
    struct weir_stats *stats;
    struct weir_host_slots *slots;
    struct weir_cluster cluster; /* what balancing looks at */
    struct weir_host *hosts[HOSTS_MAX];
    uint32_t n;
    struct weir_lb *lb;
};

struct host_row {
    uint32_t weight, priority;
    bool unhealthy;
};

static void make(struct fixture *fx, enum weir_lb_policy policy, const struct host_row *rows, uint32_t n)
{
    *fx = (struct fixture){.n = n, .cluster = {.lb = policy, .lb_choice_count = 2, .panic_threshold = 50}};
    fx->sim = weir_sim_new(&(struct weir_sim_opts){.seed = 7});
    fx->loop = weir_loop_new(&weir_world_sim, fx->sim, "test", 1);
    fx->stats = weir_stats_new();
    fx->slots = weir_host_slots_new();
    for (uint32_t i = 0; i < n; i++) {
        struct weir_addr addr;
        assert_int_equal(weir_addr_parse_ip(WEIR_S("127.0.0.1"), (uint16_t)(1000 + i), &addr), WEIR_OK);
        fx->hosts[i] = weir_host_new(fx->slots, fx->stats, &addr);
        fx->hosts[i]->weight = rows[i].weight;
        fx->hosts[i]->priority = rows[i].priority;
        if (rows[i].unhealthy)
            atomic_store(&fx->hosts[i]->flags, WEIR_HOST_FAILED_ACTIVE_HC);
    }
    fx->lb = weir_lb_new(&fx->cluster, fx->loop, weir_host_set_new(fx->hosts, n, 140));
}

static void drop(struct fixture *fx)
{
    weir_lb_free(fx->lb);
    for (uint32_t i = 0; i < fx->n; i++)
        weir_host_unref(fx->hosts[i]);
    weir_host_slots_unref(fx->slots);
    weir_stats_free(fx->stats);
    weir_loop_free(fx->loop);
    weir_sim_free(fx->sim);
}

static void pick(struct fixture *fx, uint32_t times, uint32_t *ret_counts)
{
    for (uint32_t i = 0; i < times; i++) {
        bool panic;
        const struct weir_host *host = weir_lb_pick(fx->lb, NULL, &panic);
        for (uint32_t j = 0; j < fx->n; j++)
            ret_counts[j] += fx->hosts[j] == host;
    }
}

static void test_round_robin_is_even(void **state)
{
    (void)state;
    struct fixture fx;
    uint32_t counts[HOSTS_MAX] = {0};
    make(&fx, WEIR_LB_ROUND_ROBIN, (struct host_row[]){{1, 0, false}, {1, 0, false}, {1, 0, false}}, 3);
    pick(&fx, 300, counts);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(counts[i], 100);
    drop(&fx);
}

static void test_round_robin_follows_weights(void **state)
{
    (void)state;
    struct fixture fx;
    uint32_t counts[HOSTS_MAX] = {0};
    make(&fx, WEIR_LB_ROUND_ROBIN, (struct host_row[]){{1, 0, false}, {2, 0, false}, {7, 0, false}}, 3);
    pick(&fx, 1000, counts);
    assert_in_range(counts[0], 99, 101);
    assert_in_range(counts[1], 199, 201);
    assert_in_range(counts[2], 699, 701);
    drop(&fx);
}

static void test_random_is_about_even_whatever_the_weights(void **state)
{
    (void)state;
    struct fixture fx;
    uint32_t counts[HOSTS_MAX] = {0};
    make(&fx, WEIR_LB_RANDOM, (struct host_row[]){{1, 0, false}, {100, 0, false}}, 2);
    pick(&fx, 2000, counts);
    assert_in_range(counts[0], 900, 1100);
    drop(&fx);
}

static void test_least_request_avoids_the_busy(void **state)
{
    (void)state;
    struct fixture fx;
    uint32_t counts[HOSTS_MAX] = {0};
    make(&fx, WEIR_LB_LEAST_REQUEST,
         (struct host_row[]){{1, 0, false}, {1, 0, false}, {1, 0, false}, {1, 0, false}}, 4);
    atomic_store(&fx.hosts[2]->active, 10);
    pick(&fx, 1600, counts);
    assert_in_range(counts[2], 60, 140); /* both draws must hit it: 1 in 16 */
    assert_in_range(counts[0], 450, 550);
    drop(&fx);
}

static void test_weighted_least_request_gives_shares_by_weight_and_load(void **state)
{
    (void)state;
    struct fixture fx;
    uint32_t counts[HOSTS_MAX] = {0};
    make(&fx, WEIR_LB_LEAST_REQUEST, (struct host_row[]){{1, 0, false}, {3, 0, false}}, 2);
    pick(&fx, 400, counts);
    assert_in_range(counts[1], 298, 302);
    atomic_store(&fx.hosts[1]->active, 5); /* 3 / 6 against 1 */
    counts[0] = counts[1] = 0;
    pick(&fx, 600, counts);
    assert_in_range(counts[1], 195, 205);
    drop(&fx);
}

/* Envoy's documentation, "Priority levels": healthy per cent of P0, P1 -> load. */
static void test_priority_load(void **state)
{
    (void)state;
    static const struct {
        uint32_t healthy[3], total[3], n, want[3];
    } rows[] = {
        {{100}, {100}, 1, {100}},
        {{72, 100}, {100, 100}, 2, {100, 0}},
        {{71, 100}, {100, 100}, 2, {99, 1}},
        {{50, 100}, {100, 100}, 2, {70, 30}},
        {{25, 100}, {100, 100}, 2, {35, 65}},
        {{0, 100}, {100, 100}, 2, {0, 100}},
        {{25, 25}, {100, 100}, 2, {50, 50}},
        {{50, 100, 100}, {100, 100, 100}, 3, {70, 30, 0}},
        {{0, 0}, {100, 100}, 2, {100, 0}},
        {{0, 10}, {0, 10}, 2, {0, 100}},
    };
    for (size_t i = 0; i < WEIR_COUNTOF(rows); i++) {
        uint32_t load[3], health;
        weir_lb_priority_load(rows[i].healthy, rows[i].total, rows[i].n, 140, load, &health);
        for (uint32_t p = 0; p < rows[i].n; p++)
            if (load[p] != rows[i].want[p])
                fail_msg("row %zu: priority %u takes %u, want %u", i, p, load[p], rows[i].want[p]);
    }
}

static void test_the_unhealthy_get_nothing_until_panic(void **state)
{
    (void)state;
    struct fixture fx;
    uint32_t counts[HOSTS_MAX] = {0};
    make(&fx, WEIR_LB_ROUND_ROBIN, (struct host_row[]){{1, 0, false}, {1, 0, true}, {1, 0, false}}, 3);
    pick(&fx, 100, counts);
    assert_int_equal(counts[1], 0);
    drop(&fx);
    memset(counts, 0, sizeof(counts));
    make(&fx, WEIR_LB_ROUND_ROBIN, (struct host_row[]){{1, 0, false}, {1, 0, true}, {1, 0, true}}, 3);
    pick(&fx, 90, counts);
    assert_int_equal(counts[1], 30);
    drop(&fx);
}

static void test_nobody_without_hosts_or_panic(void **state)
{
    (void)state;
    struct fixture fx;
    bool panic;
    make(&fx, WEIR_LB_ROUND_ROBIN, NULL, 0);
    assert_null(weir_lb_pick(fx.lb, NULL, &panic));
    drop(&fx);
    make(&fx, WEIR_LB_ROUND_ROBIN, (struct host_row[]){{1, 0, true}}, 1);
    assert_non_null(weir_lb_pick(fx.lb, NULL, &panic));
    assert_true(panic);
    fx.cluster.fail_on_panic = true;
    assert_null(weir_lb_pick(fx.lb, NULL, &panic));
    drop(&fx);
}

static bool skip_first(void *arg, const struct weir_host *host)
{
    return host == arg;
}

static void test_hosts_to_skip_are_skipped(void **state)
{
    (void)state;
    struct fixture fx;
    make(&fx, WEIR_LB_ROUND_ROBIN, (struct host_row[]){{1, 0, false}, {1, 0, false}}, 2);
    struct weir_lb_context ctx = {.skip_host = skip_first, .skip_arg = fx.hosts[0], .max_skips = 3};
    for (int i = 0; i < 10; i++) {
        bool panic;
        assert_ptr_equal(weir_lb_pick(fx.lb, &ctx, &panic), fx.hosts[1]);
    }
    drop(&fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_robin_is_even),
        cmocka_unit_test(test_round_robin_follows_weights),
        cmocka_unit_test(test_random_is_about_even_whatever_the_weights),
        cmocka_unit_test(test_least_request_avoids_the_busy),
        cmocka_unit_test(test_weighted_least_request_gives_shares_by_weight_and_load),
        cmocka_unit_test(test_priority_load),
        cmocka_unit_test(test_the_unhealthy_get_nothing_until_panic),
        cmocka_unit_test(test_nobody_without_hosts_or_panic),
        cmocka_unit_test(test_hosts_to_skip_are_skipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
