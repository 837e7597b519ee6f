/* Clusters and sets of clusters: their life. Immutable but for atomics and the members, which are replaced as a whole. */
#include "upstream/cluster_config.h"

#include "base/mem.h"

struct weir_cluster *weir_cluster_ref(struct weir_cluster *cluster)
{
    atomic_fetch_add_explicit(&cluster->refs, 1, memory_order_relaxed);
    return cluster;
}

void weir_cluster_unref(struct weir_cluster *cluster)
{
    if (!cluster || atomic_fetch_sub_explicit(&cluster->refs, 1, memory_order_acq_rel) != 1)
        return;
    weir_host_set_unref(cluster->hosts);
    weir_host_set_unref(cluster->fixed);
    weir_host_slots_unref(cluster->slots);
    pthread_mutex_destroy(&cluster->hosts_lock);
    weir_arena_fini(&cluster->arena);
    weir_free(cluster);
}

struct weir_host *weir_cluster_host_new(struct weir_cluster *cluster, const struct weir_endpoint *endpoint,
                                        const struct weir_addr *addr)
{
    struct weir_host *host = weir_host_new(cluster->slots, cluster->registry, addr);
    host->hostname =
        weir_arena_dup(&host->arena, endpoint->hostname.len ? endpoint->hostname : endpoint->name);
    host->weight = endpoint->weight;
    host->priority = endpoint->priority;
    host->region = weir_arena_dup(&host->arena, endpoint->region);
    host->zone = weir_arena_dup(&host->arena, endpoint->zone);
    host->sub_zone = weir_arena_dup(&host->arena, endpoint->sub_zone);
    host->metadata = endpoint->metadata;
    atomic_init(&host->flags, endpoint->flags);
    return host;
}

struct weir_host_set *weir_cluster_hosts(struct weir_cluster *cluster)
{
    pthread_mutex_lock(&cluster->hosts_lock);
    struct weir_host_set *set = weir_host_set_ref(cluster->hosts);
    pthread_mutex_unlock(&cluster->hosts_lock);
    return set;
}

/* Thread-safe and idempotent: each worker that takes the members up says so. */
static void set_gauge(struct weir_cluster *cluster, enum weir_cluster_stat row, uint64_t value)
{
    weir_stat_set_global(cluster->registry, cluster->stats + (weir_stat)row, value);
}

void weir_cluster_set_hosts(struct weir_cluster *cluster, struct weir_host_set *set)
{
    pthread_mutex_lock(&cluster->hosts_lock);
    struct weir_host_set *before = cluster->hosts;
    cluster->hosts = set;
    pthread_mutex_unlock(&cluster->hosts_lock);
    weir_host_set_unref(before);
}

void weir_cluster_publish_hosts(struct weir_cluster *cluster, const struct weir_host_set *set)
{
    uint32_t healthy = 0, max_weight = 0;
    for (uint32_t i = 0; i < set->n; i++) {
        healthy += weir_host_healthy(set->hosts[i]);
        max_weight = WEIR_MAX(max_weight, set->hosts[i]->weight);
    }
    set_gauge(cluster, WEIR_CLUSTER_STAT_membership_total, set->n);
    set_gauge(cluster, WEIR_CLUSTER_STAT_membership_healthy, healthy);
    set_gauge(cluster, WEIR_CLUSTER_STAT_max_host_weight, max_weight);
}

struct weir_clusters *weir_clusters_new(struct weir_cluster *const *v, uint32_t n)
{
    struct weir_clusters *clusters = WEIR_NEW(struct weir_clusters);
    atomic_init(&clusters->refs, 1);
    clusters->n = n;
    clusters->v = weir_zalloc((n ? n : 1) * sizeof(struct weir_cluster *));
    weir_map_init(&clusters->by_name);
    for (uint32_t i = 0; i < n; i++) {
        clusters->v[i] = weir_cluster_ref(v[i]);
        weir_map_set(&clusters->by_name, v[i]->name, v[i]);
    }
    return clusters;
}

void weir_clusters_unref(struct weir_clusters *clusters)
{
    if (!clusters || atomic_fetch_sub_explicit(&clusters->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (uint32_t i = 0; i < clusters->n; i++)
        weir_cluster_unref(clusters->v[i]);
    weir_map_fini(&clusters->by_name);
    weir_free(clusters->v);
    weir_free(clusters);
}
