/* Building clusters from Envoy's messages. Main thread. */
#ifndef WEIR_UPSTREAM_CLUSTER_CONFIG_H
#define WEIR_UPSTREAM_CLUSTER_CONFIG_H

#include "config/config.h"
#include "upstream/cluster.h"

/** Builds a cluster, with a reference for the caller. Faults are reported to `config`, all of them; NULL then. `cluster->hash` is
 * over the message and what it names; the caller keeps the cluster it had when name and hash are equal. */
struct weir_cluster *weir_cluster_new(struct weir_config *config, const Envoy__Config__Cluster__V3__Cluster *proto,
                                      struct weir_stats *stats);
/** A set of clusters with one reference. Takes a reference to each. Names are different from each other. */
struct weir_clusters *weir_clusters_new(struct weir_cluster *const *v, uint32_t n);

#endif
