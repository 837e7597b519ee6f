/* LEAST_REQUEST: of a few hosts drawn at random the one with the fewest requests; with weights, earliest deadline first over
 * weight / (requests + 1). Requests are counted over all workers (weir_host.active).
 * Rule: Envoy's "Weighted least request"; active_request_bias is 1. */
#include "upstream/lb.h"
#include "upstream/lb_edf.h"

static double weight_now(const struct weir_host *host)
{
    return host->weight / ((double)atomic_load_explicit(&host->active, memory_order_relaxed) + 1);
}

static void *build(struct weir_arena *arena, struct weir_loop *loop, const struct weir_cluster *cluster,
                   const struct weir_lb_hosts *hosts)
{
    (void)cluster;
    if (!hosts->weighted)
        return NULL;
    struct weir_edf *edf = WEIR_ARENA_NEW(arena, struct weir_edf);
    weir_edf_init(edf, arena, hosts->n);
    for (uint32_t i = 0; i < hosts->n; i++)
        weir_edf_add(edf, i, weight_now(hosts->v[i]));
    for (uint64_t i = weir_loop_random_below(loop, hosts->n); i > 0; i--)
        weir_edf_next(edf, weight_now(hosts->v[weir_edf_peek(edf)]));
    return edf;
}

static struct weir_host *pick(void *state, const struct weir_lb_hosts *hosts, struct weir_loop *loop,
                              const struct weir_cluster *cluster, struct weir_lb_context *ctx)
{
    (void)ctx;
    if (state) {
        struct weir_edf *edf = state;
        struct weir_host *host = hosts->v[weir_edf_peek(edf)];
        weir_edf_next(edf, weight_now(host));
        return host;
    }
    struct weir_host *best = NULL;
    uint32_t best_active = 0;
    for (uint32_t i = 0; i < cluster->lb_choice_count; i++) {
        struct weir_host *host = hosts->v[weir_loop_random_below(loop, hosts->n)];
        uint32_t active = atomic_load_explicit(&host->active, memory_order_relaxed);
        if (best && active >= best_active)
            continue;
        best = host;
        best_active = active;
    }
    return best;
}

const struct weir_lb_policy_ops weir_lb_least_request = {
    .name = "LEAST_REQUEST", .build = build, .pick = pick};
