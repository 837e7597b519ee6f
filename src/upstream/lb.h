/* Balancing: a worker's view of a cluster's members, and the policies that choose among them. Rebuilt when members or their
 * health change; choosing allocates nothing. */
#ifndef WEIR_UPSTREAM_LB_H
#define WEIR_UPSTREAM_LB_H

#include "upstream/cluster.h"

/** Hosts to choose from: those of one priority that are healthy, or all of it in panic. */
struct weir_lb_hosts {
    struct weir_host **v;
    uint32_t n;
    bool weighted; /* weights differ */
};

struct weir_lb_policy_ops {
    const char *name;
    /** State over `hosts` (n > 0, they and `arena` live as long as it); may be NULL. */
    void *(*build)(struct weir_arena *arena, struct weir_loop *loop, const struct weir_cluster *cluster,
                   const struct weir_lb_hosts *hosts);
    struct weir_host *(*pick)(void *state, const struct weir_lb_hosts *hosts, struct weir_loop *loop,
                              const struct weir_cluster *cluster, struct weir_lb_context *ctx);
};
/** NULL for a policy that does not exist yet. */
const struct weir_lb_policy_ops *weir_lb_policy(enum weir_lb_policy policy);
extern const struct weir_lb_policy_ops weir_lb_round_robin, weir_lb_least_request, weir_lb_random;

struct weir_lb;
/** Takes over the reference to `set`. */
struct weir_lb *weir_lb_new(const struct weir_cluster *cluster, struct weir_loop *loop, struct weir_host_set *set);
void weir_lb_free(struct weir_lb *lb);
struct weir_host_set *weir_lb_set(const struct weir_lb *lb);
/** `*ret_panic` is set when the choice was made among all hosts for want of healthy ones. */
struct weir_host *weir_lb_pick(struct weir_lb *lb, struct weir_lb_context *ctx, bool *ret_panic);

/** Per cent of the load that each priority takes, for tests and the admin. Rule: Envoy "Priority levels", overprovisioning. */
void weir_lb_priority_load(const uint32_t *healthy, const uint32_t *total, uint32_t n, uint32_t overprovisioning,
                           uint32_t *ret_load, uint32_t *ret_total_health);

#endif
