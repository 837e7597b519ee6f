/* A worker's half of one cluster: balancer, pools by host, code counters. Shared by cluster_worker.c and pool.c alone. */
#ifndef WEIR_UPSTREAM_CLUSTER_WORKER_H
#define WEIR_UPSTREAM_CLUSTER_WORKER_H

#include "upstream/lb.h"
#include "upstream/pool.h"

struct weir_clusters_worker {
    struct weir_loop *loop;
    struct weir_stats_worker *sw;
    struct weir_clusters *set;
    struct weir_map by_name;   /* name -> weir_cluster_worker of the current set */
    struct weir_list all;      /* weir_cluster_worker.link: current and leaving ones */
    struct weir_slab conns;    /* pool.c's connections */
};

struct weir_cluster_worker {
    struct weir_clusters_worker *owner;
    struct weir_cluster *cluster;
    struct weir_loop *loop;
    struct weir_stats_worker *sw;
    struct weir_lb *lb;
    struct weir_host_pool **pools[WEIR_PRIORITIES]; /* by weir_host.index */
    uint32_t n_pools;                               /* length of those arrays */
    uint32_t holds;                                 /* membership in the set, pools, streams */
    bool leaving;                                   /* not in the set any more */
    struct weir_list link;
    struct weir_code_stats *codes[6]; /* by class, made at first use */
    weir_stat completed[2];           /* external., internal.upstream_rq_completed; 0 = not yet */
};

/* pool.c */
size_t weir_pool_conn_size(void);
/** The host has left the cluster: idle connections close, busy ones when they are done, then the pool goes. */
void weir_host_pool_leave(struct weir_host_pool *pool);
/** Closes idle connections, or all. */
void weir_host_pool_drain(struct weir_host_pool *pool, bool now);

#endif
