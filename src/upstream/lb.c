/* Which hosts a choice is made from: priorities by health, panic. The choice itself is the policy's (lb_*.c).
 * Rules: Envoy's documentation "Priority levels" and "Panic threshold"; LoadBalancerBase::recalculatePerPriorityState. */
#include "upstream/lb.h"

#include "base/mem.h"

struct lb_source {
    struct weir_lb_hosts hosts;
    void *state;
};
struct lb_priority {
    struct lb_source healthy, all;
    uint32_t load; /* per cent */
    bool panic;
};

struct weir_lb {
    const struct weir_cluster *cluster;
    struct weir_loop *loop;
    const struct weir_lb_policy_ops *policy;
    struct weir_host_set *set;
    struct weir_arena arena;
    struct lb_priority *priorities;
    uint32_t n_priorities;
    bool single; /* one priority takes all of the load: no draw needed */
};

const struct weir_lb_policy_ops *weir_lb_policy(enum weir_lb_policy policy)
{
    static const struct weir_lb_policy_ops *const policies[] = {
        [WEIR_LB_ROUND_ROBIN] = &weir_lb_round_robin,
        [WEIR_LB_LEAST_REQUEST] = &weir_lb_least_request,
        [WEIR_LB_RANDOM] = &weir_lb_random,
        [WEIR_LB_RING_HASH] = NULL,
        [WEIR_LB_MAGLEV] = NULL,
    };
    return policies[policy];
}

void weir_lb_priority_load(const uint32_t *healthy, const uint32_t *total, uint32_t n,
                           uint32_t overprovisioning, uint32_t *ret_load, uint32_t *ret_total_health)
{
    uint32_t sum = 0;
    for (uint32_t p = 0; p < n; p++) {
        uint64_t health = total[p] ? (uint64_t)overprovisioning * healthy[p] / total[p] : 0;
        ret_load[p] = health > 100 ? 100 : (uint32_t)health; /* for now: this priority's health */
        sum += ret_load[p];
    }
    uint32_t total_health = sum > 100 ? 100 : sum;
    *ret_total_health = total_health;
    if (total_health == 0) {
        /* Nobody is healthy: the first priority that has hosts takes it all. */
        for (uint32_t p = 0, given = 0; p < n; p++) {
            ret_load[p] = !given && total[p] ? 100 : 0;
            given |= ret_load[p];
        }
        return;
    }
    uint32_t left = 100, first = n;
    for (uint32_t p = 0; p < n; p++) {
        if (ret_load[p] && first == n)
            first = p;
        uint32_t want = ret_load[p] * 100 / total_health;
        ret_load[p] = want < left ? want : left;
        left -= ret_load[p];
    }
    ret_load[first] += left; /* what rounding left over */
}

/* Collects the hosts [from, to) of a set that are wanted. */
static struct weir_lb_hosts collect(struct weir_lb *lb, uint32_t from, uint32_t to, bool healthy_only)
{
    struct weir_lb_hosts hosts = {.v = WEIR_ARENA_ARRAY(&lb->arena, struct weir_host *, to - from + 1)};
    for (uint32_t i = from; i < to; i++) {
        struct weir_host *host = lb->set->hosts[i];
        if (healthy_only && !weir_host_healthy(host))
            continue;
        if (hosts.n && host->weight != hosts.v[0]->weight)
            hosts.weighted = true;
        hosts.v[hosts.n++] = host;
    }
    return hosts;
}

static void build_source(struct weir_lb *lb, struct lb_source *source)
{
    if (source->hosts.n && lb->policy->build)
        source->state = lb->policy->build(&lb->arena, lb->loop, lb->cluster, &source->hosts);
}

static void build_priorities(struct weir_lb *lb)
{
    uint32_t n = lb->n_priorities;
    uint32_t *healthy = WEIR_ARENA_ARRAY(&lb->arena, uint32_t, n);
    uint32_t *total = WEIR_ARENA_ARRAY(&lb->arena, uint32_t, n);
    uint32_t *load = WEIR_ARENA_ARRAY(&lb->arena, uint32_t, n);
    for (uint32_t p = 0, from = 0; p < n; p++) {
        uint32_t to = from;
        while (to < lb->set->n && lb->set->hosts[to]->priority == p)
            to++;
        lb->priorities[p].healthy.hosts = collect(lb, from, to, true);
        lb->priorities[p].all.hosts = collect(lb, from, to, false);
        healthy[p] = lb->priorities[p].healthy.hosts.n;
        total[p] = to - from;
        from = to;
    }
    uint32_t total_health;
    weir_lb_priority_load(healthy, total, n, lb->set->overprovisioning, load, &total_health);
    for (uint32_t p = 0; p < n; p++) {
        struct lb_priority *priority = &lb->priorities[p];
        priority->load = load[p];
        priority->panic = total_health < 100 &&
                          (uint64_t)healthy[p] * 100 < (uint64_t)lb->cluster->panic_threshold * total[p];
        build_source(lb, &priority->healthy);
        build_source(lb, &priority->all);
        if (load[p] == 100 && p == 0)
            lb->single = true;
    }
}

struct weir_lb *weir_lb_new(const struct weir_cluster *cluster, struct weir_loop *loop,
                            struct weir_host_set *set)
{
    struct weir_lb *lb = WEIR_NEW(struct weir_lb);
    lb->cluster = cluster;
    lb->loop = loop;
    lb->policy = weir_lb_policy(cluster->lb);
    lb->set = set;
    weir_arena_init(&lb->arena, NULL);
    lb->n_priorities = set->n_priorities;
    if (lb->n_priorities) {
        lb->priorities = WEIR_ARENA_ARRAY(&lb->arena, struct lb_priority, lb->n_priorities);
        build_priorities(lb);
    }
    return lb;
}

void weir_lb_free(struct weir_lb *lb)
{
    if (!lb)
        return;
    weir_host_set_unref(lb->set);
    weir_arena_fini(&lb->arena);
    weir_free(lb);
}

struct weir_host_set *weir_lb_set(const struct weir_lb *lb)
{
    return lb->set;
}

static const struct lb_priority *choose_priority(struct weir_lb *lb)
{
    if (lb->single)
        return &lb->priorities[0];
    uint32_t draw = (uint32_t)weir_loop_random_below(lb->loop, 100);
    for (uint32_t p = 0; p + 1 < lb->n_priorities; p++) {
        if (draw < lb->priorities[p].load)
            return &lb->priorities[p];
        draw -= lb->priorities[p].load;
    }
    return &lb->priorities[lb->n_priorities - 1];
}

struct weir_host *weir_lb_pick(struct weir_lb *lb, struct weir_lb_context *ctx, bool *ret_panic)
{
    *ret_panic = false;
    if (lb->n_priorities == 0)
        return NULL;
    struct weir_host *host = NULL;
    uint32_t tries = ctx && ctx->skip_host ? ctx->max_skips + 1 : 1;
    for (uint32_t i = 0; i < tries; i++) {
        const struct lb_priority *priority = choose_priority(lb);
        *ret_panic = priority->panic;
        if (priority->panic && lb->cluster->fail_on_panic)
            return NULL;
        const struct lb_source *source = priority->panic ? &priority->all : &priority->healthy;
        if (source->hosts.n == 0)
            return NULL;
        host = source->hosts.n == 1
                   ? source->hosts.v[0]
                   : lb->policy->pick(source->state, &source->hosts, lb->loop, lb->cluster, ctx);
        if (i + 1 == tries || !ctx || !ctx->skip_host(ctx->skip_arg, host))
            break;
    }
    return host;
}
