/* Fills in weir_admin_sources: one small function for each thing that the endpoints ask. Main thread. */
#include "server/admin_sources.h"

#include <string.h>

#include "server/server_priv.h"

static void refresh(void *arg)
{
    weir_server_stats_refresh(arg);
}

static enum weir_admin_state state(void *arg)
{
    switch (weir_server_state(arg)) {
    case WEIR_SERVER_PRE_INITIALIZING: return WEIR_ADMIN_PRE_INITIALIZING;
    case WEIR_SERVER_INITIALIZING: return WEIR_ADMIN_INITIALIZING;
    case WEIR_SERVER_LIVE: return WEIR_ADMIN_LIVE;
    case WEIR_SERVER_DRAINING: return WEIR_ADMIN_DRAINING;
    }
    return WEIR_ADMIN_LIVE;
}

static bool healthy(void *arg)
{
    return weir_server_healthy(arg);
}

static uint64_t uptime_s(void *arg)
{
    return weir_server_uptime_s(arg);
}

static const struct weir_clusters *clusters(void *arg)
{
    return weir_server_snapshot(arg)->clusters;
}

static struct weir_listener *const *listeners(void *arg, uint32_t *ret_n)
{
    const struct weir_snapshot *snapshot = weir_server_snapshot(arg);
    *ret_n = snapshot->n_listeners;
    return snapshot->listeners;
}

static struct weir_config *config(void *arg)
{
    return weir_server_snapshot(arg)->source->config;
}

static int64_t loaded_wall_ns(void *arg)
{
    return weir_server_snapshot(arg)->loaded_wall_ns;
}

static struct weir_slice reload_error(void *arg)
{
    return weir_server_reload_error(arg);
}

static const struct weir_admin_option *options(void *arg, uint32_t *ret_n)
{
    static struct weir_admin_option rows[16]; /* filled anew at each call; main thread only */
    const struct weir_options *o = weir_server_options(arg);
    const struct weir_server *server = arg;
    const struct weir_admin_option now[] = {
        {"concurrency", WEIR_ADMIN_OPTION_NUMBER, NULL, server->n_threads},
        {"mode", WEIR_ADMIN_OPTION_TEXT, "Serve", 0},
        {"config_path", WEIR_ADMIN_OPTION_TEXT, o->config_path ? o->config_path : "", 0},
        {"config_yaml", WEIR_ADMIN_OPTION_TEXT, o->config_yaml ? o->config_yaml : "", 0},
        {"log_level", WEIR_ADMIN_OPTION_TEXT, o->log_level, 0},
        {"component_log_level", WEIR_ADMIN_OPTION_TEXT, o->component_log_level ? o->component_log_level : "", 0},
        {"log_path", WEIR_ADMIN_OPTION_TEXT, o->log_path ? o->log_path : "", 0},
        {"service_cluster", WEIR_ADMIN_OPTION_TEXT, o->service_cluster, 0},
        {"service_node", WEIR_ADMIN_OPTION_TEXT, o->service_node, 0},
        {"service_zone", WEIR_ADMIN_OPTION_TEXT, o->service_zone, 0},
        {"drain_time", WEIR_ADMIN_OPTION_SECONDS, NULL, o->drain_time_s},
        {"file_flush_min_size_kb", WEIR_ADMIN_OPTION_NUMBER, NULL, o->file_flush_min_size_kb},
        {"disable_hot_restart", WEIR_ADMIN_OPTION_BOOL, NULL, 1},
    };
    _Static_assert(sizeof now <= sizeof rows, "more options than rows");
    memcpy(rows, now, sizeof now);
    *ret_n = WEIR_COUNTOF(now);
    return rows;
}

static void quit(void *arg)
{
    weir_server_quit(arg);
}

static void drain_listeners(void *arg, bool graceful, bool skip_exit, bool inbound_only)
{
    (void)graceful, (void)skip_exit, (void)inbound_only; /* weir always drains gracefully and never exits for it */
    weir_server_drain_listeners(arg);
}

static void set_health(void *arg, bool is_healthy)
{
    weir_server_set_health(arg, is_healthy);
}

static void reopen_logs(void *arg)
{
    weir_server_reopen_logs(arg);
}

struct weir_admin *weir_admin_sources_attach(struct weir_server *server)
{
    const struct weir_admin_sources sources = {
        .arg = server,
        .stats = weir_server_stats(server),
        .cells = server->main->stats,
        .version = WEIR_VERSION,
        .refresh = refresh,
        .state = state,
        .healthy = healthy,
        .uptime_s = uptime_s,
        .clusters = clusters,
        .listeners = listeners,
        .config = config,
        .loaded_wall_ns = loaded_wall_ns,
        .reload_error = reload_error,
        .options = options,
        .quit = quit,
        .drain_listeners = drain_listeners,
        .set_health = set_health,
        .reopen_logs = reopen_logs,
    };
    return weir_admin_new(&sources);
}
