/* A worker's making, taking up of snapshots and end. The thread itself is server.c's. */
#include "server/worker.h"

#include <stdio.h>

#include "base/mem.h"
#include "filters/wasm/runtime.h"

/* How long requests to an admin whose configuration changed may finish. */
#define ADMIN_DRAIN_MS 5000

struct worker {
    struct weir_worker base;
    struct weir_snapshot *snapshot;
    char name[24];
};

static struct worker *of(struct weir_worker *worker)
{
    return WEIR_CONTAINER_OF(worker, struct worker, base);
}

struct weir_worker *weir_worker_new(struct weir_server *server, struct weir_stats *stats, const struct weir_world_ops *ops,
                                    void *world_arg, uint32_t id)
{
    struct worker *w = WEIR_NEW(struct worker);
    if (id == UINT32_MAX) snprintf(w->name, sizeof w->name, "main");
    else snprintf(w->name, sizeof w->name, "worker_%u", (unsigned)id);
    w->base.id = id;
    w->base.server = server;
    w->base.registry = stats;
    w->base.stats = weir_stats_add_worker(stats);
    w->base.loop = weir_loop_new(ops, world_arg, w->name, id + 1);
    w->base.clusters = weir_clusters_worker_new(w->base.loop, w->base.stats);
    w->base.listeners = weir_listeners_worker_new(&w->base);
    return &w->base;
}

static bool has_listener(const struct weir_snapshot *snapshot, const struct weir_listener *listener)
{
    for (uint32_t i = 0; snapshot && i < snapshot->n_listeners; i++)
        if (snapshot->listeners[i] == listener) return true;
    return false;
}

/* Runs the start hooks of listeners that `other` lacks, or the stop hooks. */
static void run_hooks(struct weir_worker *worker, const struct weir_snapshot *snapshot, const struct weir_snapshot *other, bool start)
{
    for (uint32_t i = 0; snapshot && i < snapshot->n_listeners; i++) {
        if (has_listener(other, snapshot->listeners[i])) continue;
        for (struct weir_worker_hook *hook = snapshot->listeners[i]->hooks; hook; hook = hook->next)
            (start ? hook->start : hook->stop)(worker, hook->arg);
    }
}

/* Services are equal when their objects are: starting the new before stopping the old keeps what stays. */
static void run_services(struct weir_worker *worker, const struct weir_snapshot *snapshot, bool start)
{
    bool main = worker->id == UINT32_MAX;
    for (uint32_t i = 0; snapshot && i < snapshot->n_services; i++) {
        const struct weir_service *service = &snapshot->services[i];
        if (service->singleton == main) (start ? service->start : service->stop)(worker, service->arg);
    }
}

enum weir_err weir_worker_adopt(struct weir_worker *worker, struct weir_snapshot *snapshot, uint64_t drain_ms, struct weir_str *reterr)
{
    struct worker *w = of(worker);
    struct weir_snapshot *old = w->snapshot;
    weir_clusters_worker_set(worker->clusters, snapshot->clusters);
    run_services(worker, snapshot, true);
    run_hooks(worker, snapshot, old, true);
    enum weir_err err = weir_listeners_worker_set(worker->listeners, snapshot->listeners, snapshot->n_listeners, drain_ms, reterr);
    if (err) {
        run_hooks(worker, snapshot, old, false);
        run_services(worker, snapshot, false);
        if (old) weir_clusters_worker_set(worker->clusters, old->clusters);
        return err;
    }
    run_hooks(worker, old, snapshot, false);
    run_services(worker, old, false);
    w->snapshot = weir_snapshot_ref(snapshot);
    weir_snapshot_unref(old);
    return WEIR_OK;
}

enum weir_err weir_worker_adopt_main(struct weir_worker *worker, struct weir_snapshot *snapshot, struct weir_str *reterr)
{
    struct worker *w = of(worker);
    weir_clusters_worker_set(worker->clusters, snapshot->clusters);
    enum weir_err err =
        weir_listeners_worker_set(worker->listeners, &snapshot->admin, snapshot->admin ? 1 : 0, ADMIN_DRAIN_MS, reterr);
    if (err) return err;
    struct weir_snapshot *old = w->snapshot;
    run_services(worker, snapshot, true);
    run_services(worker, old, false);
    w->snapshot = weir_snapshot_ref(snapshot);
    weir_snapshot_unref(old);
    return WEIR_OK;
}

void weir_worker_free(struct weir_worker *worker)
{
    if (!worker) return;
    struct worker *w = of(worker);
    weir_listeners_worker_free(worker->listeners);
    if (worker->id != UINT32_MAX) run_hooks(worker, w->snapshot, NULL, false);
    run_services(worker, w->snapshot, false);
    weir_loop_turn_end(worker->loop); /* streams end, with them their guests' contexts */
    weir_wasm_worker_fini(worker);
    weir_loop_turn_end(worker->loop); /* and the calls of guests */
    weir_worker_fini_streams(worker);
    weir_clusters_worker_free(worker->clusters);
    weir_loop_free(worker->loop);
    weir_snapshot_unref(w->snapshot);
    weir_free(w);
}
