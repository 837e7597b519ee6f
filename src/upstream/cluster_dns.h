/* Looking up the names of STRICT_DNS and LOGICAL_DNS clusters, on the main thread: at once, then again as configured; each
 * change of a cluster's members is told. What was good stays when a lookup fails. */
#ifndef WEIR_UPSTREAM_CLUSTER_DNS_H
#define WEIR_UPSTREAM_CLUSTER_DNS_H

#include "upstream/cluster.h"

struct weir_cluster_dns;
struct weir_cluster_dns_ops {
    /** The members of `cluster` changed (already set): tell the workers. */
    void (*changed)(void *arg, struct weir_cluster *cluster);
    /** Every cluster of the set that waits for it has had its first answer, good or bad. Once for each weir_cluster_dns_set that had
     * something to wait for. */
    void (*warm)(void *arg);
};

/** `sw` = the main thread's cells. Borrows `ops`. */
struct weir_cluster_dns *weir_cluster_dns_new(struct weir_loop *loop, struct weir_stats_worker *sw,
                                              const struct weir_cluster_dns_ops *ops, void *arg);
/** Looks up the names of these clusters from now on, and of no others. New clusters get the addresses that other clusters' lookups
 * of the same names have brought, before this returns. True: nothing to wait for (`warm` is not called). */
bool weir_cluster_dns_set(struct weir_cluster_dns *dns, struct weir_clusters *clusters);
void weir_cluster_dns_free(struct weir_cluster_dns *dns);

#endif
