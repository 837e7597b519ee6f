/* A worker's clusters: which there are now, their balancers and counters. A cluster that left the configuration lives on here
 * until its last stream and connection are gone. */
#include "upstream/cluster_worker.h"

#include "base/mem.h"

/* One class of response codes (2xx …), registered code by code when it first comes. */
struct weir_code_stats {
    struct {
        weir_stat all, internal, external, retry;
    } code[100], whole;
};

struct weir_clusters_worker *weir_clusters_worker_new(struct weir_loop *loop, struct weir_stats_worker *sw)
{
    struct weir_clusters_worker *cws = WEIR_NEW(struct weir_clusters_worker);
    cws->loop = loop;
    cws->sw = sw;
    weir_map_init(&cws->by_name);
    weir_list_init(&cws->all);
    weir_slab_init(&cws->conns, weir_pool_conn_size(), 256);
    return cws;
}

static void adopt_hosts(struct weir_cluster_worker *cw)
{
    struct weir_lb *lb = weir_lb_new(cw->cluster, cw->loop, weir_cluster_hosts(cw->cluster));
    weir_lb_free(cw->lb);
    cw->lb = lb;
    weir_cluster_publish_hosts(cw->cluster, weir_lb_set(lb));
}

static struct weir_cluster_worker *join(struct weir_clusters_worker *cws, struct weir_cluster *cluster)
{
    struct weir_cluster_worker *cw = WEIR_NEW(struct weir_cluster_worker);
    cw->owner = cws;
    cw->cluster = weir_cluster_ref(cluster);
    cw->loop = cws->loop;
    cw->sw = cws->sw;
    cw->holds = 1;
    adopt_hosts(cw);
    weir_list_push_back(&cws->all, &cw->link);
    return cw;
}

static void drain_pools(struct weir_cluster_worker *cw, bool now)
{
    weir_cluster_worker_hold(cw); /* pools let go of it as they end */
    for (uint32_t p = 0; p < WEIR_PRIORITIES; p++)
        for (uint32_t i = 0; i < cw->n_pools; i++)
            if (cw->pools[p][i])
                weir_host_pool_drain(cw->pools[p][i], now);
    weir_cluster_worker_release(cw);
}

static void leave(struct weir_cluster_worker *cw)
{
    cw->leaving = true;
    for (uint32_t p = 0; p < WEIR_PRIORITIES; p++)
        for (uint32_t i = 0; i < cw->n_pools; i++)
            if (cw->pools[p][i])
                weir_host_pool_leave(cw->pools[p][i]);
    weir_cluster_worker_release(cw);
}

void weir_cluster_worker_hold(struct weir_cluster_worker *cw)
{
    cw->holds++;
}

void weir_cluster_worker_release(struct weir_cluster_worker *cw)
{
    if (--cw->holds > 0)
        return;
    weir_list_unlink(&cw->link);
    weir_lb_free(cw->lb);
    for (uint32_t p = 0; p < WEIR_PRIORITIES; p++)
        weir_free(cw->pools[p]);
    for (uint32_t i = 0; i < WEIR_COUNTOF(cw->codes); i++)
        weir_free(cw->codes[i]);
    weir_cluster_unref(cw->cluster);
    weir_free(cw);
}

void weir_clusters_worker_set(struct weir_clusters_worker *cws, struct weir_clusters *clusters)
{
    struct weir_map old = cws->by_name;
    weir_map_init(&cws->by_name);
    for (uint32_t i = 0; i < clusters->n; i++) {
        struct weir_cluster *cluster = clusters->v[i];
        struct weir_cluster_worker *cw = weir_map_get(&old, cluster->name);
        if (cw && cw->cluster == cluster)
            weir_map_remove(&old, cluster->name);
        else
            cw = join(cws, cluster);
        weir_map_set(&cws->by_name, cluster->name, cw);
    }
    size_t iter = 0;
    struct weir_slice name;
    void *gone;
    while (weir_map_next(&old, &iter, &name, &gone))
        leave(gone);
    weir_map_fini(&old);
    atomic_fetch_add_explicit(&clusters->refs, 1, memory_order_relaxed);
    weir_clusters_unref(cws->set);
    cws->set = clusters;
}

struct weir_cluster_worker *weir_clusters_worker_find(struct weir_clusters_worker *cws,
                                                      struct weir_slice name)
{
    return weir_map_get(&cws->by_name, name);
}

struct weir_cluster *weir_cluster_worker_conf(const struct weir_cluster_worker *cw)
{
    return cw->cluster;
}

struct weir_stats_worker *weir_cluster_worker_stats(const struct weir_cluster_worker *cw)
{
    return cw->sw;
}

struct weir_loop *weir_cluster_worker_loop(const struct weir_cluster_worker *cw)
{
    return cw->loop;
}

void weir_cluster_worker_members(const struct weir_cluster_worker *cw, uint32_t *ret_total, uint32_t *ret_healthy)
{
    const struct weir_host_set *set = weir_lb_set(cw->lb);
    *ret_total = set->n;
    *ret_healthy = 0;
    for (uint32_t i = 0; i < set->n; i++)
        *ret_healthy += weir_host_healthy(set->hosts[i]);
}

void weir_cluster_worker_hosts_changed(struct weir_cluster_worker *cw)
{
    adopt_hosts(cw);
    const struct weir_host_set *set = weir_lb_set(cw->lb);
    bool *stays = weir_zalloc(cw->n_pools + 1);
    for (uint32_t i = 0; i < set->n; i++)
        if (set->hosts[i]->index < cw->n_pools)
            stays[set->hosts[i]->index] = true;
    for (uint32_t p = 0; p < WEIR_PRIORITIES; p++)
        for (uint32_t i = 0; i < cw->n_pools; i++)
            if (!stays[i] && cw->pools[p][i])
                weir_host_pool_leave(cw->pools[p][i]);
    weir_free(stays);
}

struct weir_host *weir_cluster_pick(struct weir_cluster_worker *cw, struct weir_lb_context *ctx)
{
    bool panic;
    struct weir_host *host = weir_lb_pick(cw->lb, ctx, &panic);
    if (WEIR_UNLIKELY(panic))
        weir_cluster_count(cw->sw, cw->cluster, WEIR_CLUSTER_STAT_lb_healthy_panic);
    return host;
}

static weir_stat code_stat(const struct weir_cluster *cluster, const char *tree, uint32_t code, bool whole)
{
    char text[48];
    int len = whole ? snprintf(text, sizeof(text), "%supstream_rq_%uxx", tree, code / 100)
                    : snprintf(text, sizeof(text), "%supstream_rq_%u", tree, code);
    return weir_stats_register(cluster->registry, &cluster->scope, weir_slice(text, (size_t)len),
                               WEIR_STAT_COUNTER);
}

static void count_lazily(struct weir_cluster_worker *cw, weir_stat *stat, const char *tree, uint32_t code,
                         bool whole)
{
    if (WEIR_UNLIKELY(!*stat))
        *stat = code_stat(cw->cluster, tree, code, whole);
    weir_stat_inc(cw->sw, *stat);
}

/* The counters of a code's class; NULL for what is no code. */
static struct weir_code_stats *class_of(struct weir_cluster_worker *cw, uint32_t code)
{
    if (code < 100 || code > 599)
        return NULL;
    struct weir_code_stats **class = &cw->codes[code / 100];
    if (WEIR_UNLIKELY(!*class))
        *class = WEIR_NEW(struct weir_code_stats);
    return *class;
}

void weir_cluster_worker_count_retry(struct weir_cluster_worker *cw, uint32_t code)
{
    struct weir_code_stats *class = class_of(cw, code);
    if (!class)
        return;
    count_lazily(cw, &class->code[code % 100].retry, "retry.", code, false);
    count_lazily(cw, &class->whole.retry, "retry.", code, true);
}

void weir_cluster_worker_count_code(struct weir_cluster_worker *cw, uint32_t code, bool internal)
{
    struct weir_code_stats *class = class_of(cw, code);
    if (!class)
        return;
    const char *tree = internal ? "internal." : "external.";
    uint32_t i = code % 100;
    count_lazily(cw, &class->code[i].all, "", code, false);
    count_lazily(cw, internal ? &class->code[i].internal : &class->code[i].external, tree, code, false);
    count_lazily(cw, internal ? &class->whole.internal : &class->whole.external, tree, code, true);
    static const enum weir_cluster_stat rows[] = {
        WEIR_CLUSTER_STAT_upstream_rq_1xx, WEIR_CLUSTER_STAT_upstream_rq_2xx,
        WEIR_CLUSTER_STAT_upstream_rq_3xx, WEIR_CLUSTER_STAT_upstream_rq_4xx,
        WEIR_CLUSTER_STAT_upstream_rq_5xx,
    };
    weir_cluster_count(cw->sw, cw->cluster, rows[code / 100 - 1]);
    weir_cluster_count(cw->sw, cw->cluster, WEIR_CLUSTER_STAT_upstream_rq_completed);
    weir_stat *completed = &cw->completed[internal];
    if (WEIR_UNLIKELY(!*completed)) {
        struct weir_slice name =
            internal ? WEIR_S("internal.upstream_rq_completed") : WEIR_S("external.upstream_rq_completed");
        *completed = weir_stats_register(cw->cluster->registry, &cw->cluster->scope, name, WEIR_STAT_COUNTER);
    }
    weir_stat_inc(cw->sw, *completed);
}

void weir_cluster_worker_count_time(struct weir_cluster_worker *cw, uint64_t ms, bool internal)
{
    const struct weir_cluster *cluster = cw->cluster;
    weir_stat_record(cw->sw, cluster->stats + WEIR_CLUSTER_STAT_upstream_rq_time, ms);
    weir_stat_record(cw->sw, internal ? cluster->internal_time : cluster->external_time, ms);
}

void weir_clusters_worker_drain(struct weir_clusters_worker *cws, bool now)
{
    WEIR_LIST_EACH(&cws->all, it) drain_pools(WEIR_CONTAINER_OF(it, struct weir_cluster_worker, link), now);
}

void weir_clusters_worker_free(struct weir_clusters_worker *cws)
{
    if (!cws)
        return;
    weir_clusters_worker_drain(cws, true);
    size_t iter = 0;
    struct weir_slice name;
    void *cw;
    while (weir_map_next(&cws->by_name, &iter, &name, &cw))
        leave(cw);
    weir_map_fini(&cws->by_name);
    weir_clusters_unref(cws->set);
    weir_loop_turn_end(cws->loop); /* frees the closed connections */
    weir_slab_fini(&cws->conns);
    weir_free(cws);
}
