/* Reload: read the file again, build a snapshot, hand it to every worker. A mistake leaves everything as it was. One reload at a
 * time: a further wish while workers still take up the last one is done afterwards. */
#include "base/log.h"
#include "base/mem.h"
#include "server/server_priv.h"

struct handover {
    struct weir_thread *thread;
    struct weir_snapshot *snapshot;
    struct weir_str error;
    enum weir_err result;
    uint64_t drain_ms;
};

static void on_all_adopted(struct weir_server *server)
{
    WEIR_LOG(INFO, SERVER, "the new configuration is in service");
    if (!server->reload_wanted) return;
    server->reload_wanted = false;
    weir_reload_begin(server);
}

static void on_adopted(void *arg)
{
    struct handover *h = arg;
    struct weir_server *server = h->thread->server;
    if (h->result)
        WEIR_LOG(ERROR, SERVER, "%s keeps its old listeners: %.*s", h->thread->worker->loop->name,
                 WEIR_SARG(weir_str_slice(&h->error)));
    weir_snapshot_unref(h->snapshot);
    weir_str_fini(&h->error);
    weir_free(h);
    if (--server->n_adopting == 0) on_all_adopted(server);
}

static void adopt_on_worker(void *arg)
{
    struct handover *h = arg;
    h->result = weir_worker_adopt(h->thread->worker, h->snapshot, h->drain_ms, &h->error);
    weir_loop_post(h->thread->server->main->loop, on_adopted, h);
}

static void hand_over(struct weir_server *server, struct weir_snapshot *snapshot)
{
    server->n_adopting = server->n_threads;
    for (uint32_t i = 0; i < server->n_threads; i++) {
        struct handover *h = WEIR_NEW(struct handover);
        h->thread = &server->threads[i];
        h->snapshot = weir_snapshot_ref(snapshot);
        h->drain_ms = server->options->drain_time_s * 1000;
        weir_str_init(&h->error, 1024);
        weir_loop_post(h->thread->worker->loop, adopt_on_worker, h);
    }
}

static void refuse(struct weir_server *server, struct weir_slice why)
{
    weir_str_add(&server->reload_error, why);
    weir_stat_inc(server->main->stats, server->base + WEIR_SERVER_STAT_reload_failure);
    WEIR_LOG(ERROR, SERVER, "reload refused, the old configuration stays in service: %.*s", WEIR_SARG(why));
}

void weir_reload_begin(struct weir_server *server)
{
    if (server->state == WEIR_SERVER_DRAINING) return;
    if (server->n_adopting > 0) {
        server->reload_wanted = true;
        return;
    }
    WEIR_LOG(INFO, SERVER, "rereading %s", server->deps.path ? server->deps.path : "the configuration");
    weir_str_clear(&server->reload_error);
    struct weir_source *source;
    struct weir_snapshot *snapshot = weir_snapshot_build(&server->deps, server->snapshot, &source);
    weir_server_print_diag(server, source);
    weir_source_unref(source);
    struct weir_str error;
    weir_str_init(&error, 1024);
    if (!snapshot) {
        refuse(server, WEIR_S("it has mistakes"));
    } else if (!weir_addresses_reserve(server, snapshot, server->snapshot, &error) ||
               weir_worker_adopt_main(server->main, snapshot, &error) != WEIR_OK) {
        refuse(server, weir_str_slice(&error));
    } else {
        weir_stat_inc(server->main->stats, server->base + WEIR_SERVER_STAT_reload_success);
        snapshot->loaded_wall_ns = server->main->loop->wall_ns;
        weir_manager_stats_adopted(server, server->snapshot, snapshot);
        (void)weir_cluster_dns_set(server->dns, snapshot->clusters);
        hand_over(server, snapshot);
        weir_snapshot_unref(server->snapshot);
        server->snapshot = weir_snapshot_ref(snapshot);
    }
    weir_snapshot_unref(snapshot);
    weir_str_fini(&error);
}
