/* Changes of clusters' members on their way from the main thread to every worker, and the wait for the first of them at start. */
#include "base/log.h"
#include "base/mem.h"
#include "server/server_priv.h"

/* Longer than this the start does not wait for names: what depends on them answers 503 until they are known. */
#define WARM_MAX_MS 5000

struct update {
    struct weir_worker *worker;
    struct weir_cluster *cluster;
};

static void apply(struct weir_worker *worker, const struct weir_cluster *cluster)
{
    struct weir_cluster_worker *cw = weir_clusters_worker_find(worker->clusters, cluster->name);
    if (cw && weir_cluster_worker_conf(cw) == cluster)
        weir_cluster_worker_hosts_changed(cw);
}

static void apply_posted(void *arg)
{
    struct update *update = arg;
    apply(update->worker, update->cluster);
    weir_cluster_unref(update->cluster);
    weir_free(update);
}

static void on_changed(void *arg, struct weir_cluster *cluster)
{
    struct weir_server *server = arg;
    apply(server->main, cluster);
    for (uint32_t i = 0; i < server->n_threads; i++) {
        struct update *update = WEIR_NEW(struct update);
        update->worker = server->threads[i].worker;
        update->cluster = weir_cluster_ref(cluster);
        weir_loop_post(update->worker->loop, apply_posted, update);
    }
}

static void on_warm(void *arg)
{
    struct weir_server *server = arg;
    if (server->state == WEIR_SERVER_LIVE || server->state == WEIR_SERVER_DRAINING)
        return; /* after a reload */
    weir_loop_stop(server->main->loop);
}

static void on_warm_timeout(struct weir_timer *timer)
{
    struct weir_server *server = WEIR_CONTAINER_OF(timer, struct weir_server, warm_timer);
    WEIR_LOG(WARN, SERVER, "some clusters' names are not known yet; serving all the same");
    weir_loop_stop(server->main->loop);
}

void weir_cluster_updates_start(struct weir_server *server)
{
    static const struct weir_cluster_dns_ops ops = {.changed = on_changed, .warm = on_warm};
    server->dns = weir_cluster_dns_new(server->main->loop, server->main->stats, &ops, server);
    if (weir_cluster_dns_set(server->dns, server->snapshot->clusters))
        return;
    weir_timer_init(&server->warm_timer, on_warm_timeout);
    weir_timer_set(server->main->loop, &server->warm_timer, WARM_MAX_MS);
    weir_loop_run(server->main->loop);
    weir_timer_stop(server->main->loop, &server->warm_timer);
}
