/* RANDOM: any host, each as likely (Envoy: weights play no part). */
#include "upstream/lb.h"

static struct weir_host *pick(void *state, const struct weir_lb_hosts *hosts, struct weir_loop *loop,
                              const struct weir_cluster *cluster, struct weir_lb_context *ctx)
{
    (void)state, (void)cluster, (void)ctx;
    return hosts->v[weir_loop_random_below(loop, hosts->n)];
}

const struct weir_lb_policy_ops weir_lb_random = {.name = "RANDOM", .pick = pick};
