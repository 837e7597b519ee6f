/* ROUND_ROBIN: in turn; with weights, earliest deadline first. Each worker begins at a place of its own. */
#include "upstream/lb.h"
#include "upstream/lb_edf.h"

struct round_robin {
    uint32_t next;
    struct weir_edf edf; /* n = 0: weights are equal */
};

static void *build(struct weir_arena *arena, struct weir_loop *loop, const struct weir_cluster *cluster,
                   const struct weir_lb_hosts *hosts)
{
    (void)cluster;
    struct round_robin *rr = WEIR_ARENA_NEW(arena, struct round_robin);
    uint32_t start = (uint32_t)weir_loop_random_below(loop, hosts->n);
    rr->next = start;
    if (!hosts->weighted)
        return rr;
    weir_edf_init(&rr->edf, arena, hosts->n);
    for (uint32_t i = 0; i < hosts->n; i++)
        weir_edf_add(&rr->edf, i, hosts->v[i]->weight);
    for (uint32_t i = 0; i < start; i++)
        weir_edf_next(&rr->edf, hosts->v[weir_edf_peek(&rr->edf)]->weight);
    return rr;
}

static struct weir_host *pick(void *state, const struct weir_lb_hosts *hosts, struct weir_loop *loop,
                              const struct weir_cluster *cluster, struct weir_lb_context *ctx)
{
    (void)loop, (void)cluster, (void)ctx;
    struct round_robin *rr = state;
    if (hosts->weighted) {
        struct weir_host *host = hosts->v[weir_edf_peek(&rr->edf)];
        weir_edf_next(&rr->edf, host->weight);
        return host;
    }
    struct weir_host *host = hosts->v[rr->next];
    if (++rr->next == hosts->n)
        rr->next = 0;
    return host;
}

const struct weir_lb_policy_ops weir_lb_round_robin = {.name = "ROUND_ROBIN", .build = build, .pick = pick};
