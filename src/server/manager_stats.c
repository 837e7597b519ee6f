/* cluster_manager.* and listener_manager.*: what snapshots brought and took. */
#include "server/server_priv.h"

#define MANAGER_STATS(X)                                                                              \
    X("cluster_manager.active_clusters", active_clusters, GAUGE)                                      \
    X("cluster_manager.warming_clusters", warming_clusters, GAUGE)                                    \
        X("cluster_manager.cluster_added", cluster_added, COUNTER)                                    \
            X("cluster_manager.cluster_modified", cluster_modified, COUNTER)                          \
                X("cluster_manager.cluster_removed", cluster_removed, COUNTER)                        \
                    X("listener_manager.total_listeners_active", listeners_active, GAUGE)             \
                        X("listener_manager.total_listeners_warming", listeners_warming, GAUGE)       \
                            X("listener_manager.listener_added", listener_added, COUNTER)             \
                                X("listener_manager.listener_modified", listener_modified, COUNTER)   \
                                    X("listener_manager.listener_removed", listener_removed, COUNTER) \
                                        X("listener_manager.listener_create_success",                 \
                                          listener_create_success, COUNTER)                           \
                                            X("listener_manager.workers_started", workers_started, GAUGE)
enum manager_stat {
#define X(name, id, kind) STAT_##id,
    MANAGER_STATS(X)
#undef X
        STAT_COUNT
};

weir_stat weir_manager_stats_register(struct weir_stats *stats)
{
    static const struct weir_stat_def defs[] = {
#define X(name, id, kind) {name, WEIR_STAT_##kind},
        MANAGER_STATS(X)
#undef X
    };
    const struct weir_stats_scope scope = {.prefix = WEIR_S(""), .prom_prefix = WEIR_S("")};
    return weir_stats_register_group(stats, &scope, defs, WEIR_COUNTOF(defs));
}

static const struct weir_listener *find_listener(const struct weir_snapshot *s, struct weir_slice name)
{
    for (uint32_t i = 0; s && i < s->n_listeners; i++)
        if (weir_slice_eq(s->listeners[i]->name, name))
            return s->listeners[i];
    return NULL;
}

static const struct weir_cluster *find_cluster(const struct weir_snapshot *s, struct weir_slice name)
{
    return s ? weir_map_get(&s->clusters->by_name, name) : NULL;
}

/* How many of `a` are not in `b` at all, and how many are there as another object. */
struct difference {
    uint64_t missing, other;
};
static struct difference compare_listeners(const struct weir_snapshot *a, const struct weir_snapshot *b)
{
    struct difference d = {0};
    for (uint32_t i = 0; a && i < a->n_listeners; i++) {
        const struct weir_listener *l = find_listener(b, a->listeners[i]->name);
        d.missing += !l;
        d.other += l && l != a->listeners[i];
    }
    return d;
}
static struct difference compare_clusters(const struct weir_snapshot *a, const struct weir_snapshot *b)
{
    struct difference d = {0};
    for (uint32_t i = 0; a && i < a->clusters->n; i++) {
        const struct weir_cluster *c = find_cluster(b, a->clusters->v[i]->name);
        d.missing += !c;
        d.other += c && c != a->clusters->v[i];
    }
    return d;
}

void weir_manager_stats_adopted(struct weir_server *server, const struct weir_snapshot *previous,
                                const struct weir_snapshot *now)
{
    struct weir_stats_worker *sw = server->main->stats;
    weir_stat base = server->managers;
    struct difference clusters = compare_clusters(now, previous),
                      listeners = compare_listeners(now, previous);
    weir_stat_add(sw, base + STAT_cluster_added, clusters.missing);
    weir_stat_add(sw, base + STAT_cluster_modified, clusters.other);
    weir_stat_add(sw, base + STAT_cluster_removed, compare_clusters(previous, now).missing);
    weir_stat_add(sw, base + STAT_listener_added, listeners.missing);
    weir_stat_add(sw, base + STAT_listener_modified, listeners.other);
    weir_stat_add(sw, base + STAT_listener_removed, compare_listeners(previous, now).missing);
    weir_stat_add(sw, base + STAT_listener_create_success,
                  (listeners.missing + listeners.other) * server->n_threads);
    weir_stat_set(sw, base + STAT_active_clusters, now->clusters->n);
    weir_stat_set(sw, base + STAT_listeners_active, now->n_listeners);
    weir_stat_set(sw, base + STAT_workers_started, 1);
}
