/* The process: start, serve, drain, end. Start-up is a table of steps; each says what went wrong in one line. */
#include "server/server.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "accesslog/registry.h"
#include "admin/admin.h"
#include "base/log.h"
#include "base/mem.h"
#include "filters/registry.h"
#include "filters/wasm/runtime.h"
#include "server/admin_sources.h"
#include "server/server_priv.h"

/* ---- what the admin asks ---- */

const struct weir_options *weir_server_options(const struct weir_server *server)
{
    return server->options;
}

enum weir_server_state weir_server_state(const struct weir_server *server)
{
    return server->state;
}

const struct weir_snapshot *weir_server_snapshot(const struct weir_server *server)
{
    return server->snapshot;
}

struct weir_stats *weir_server_stats(const struct weir_server *server)
{
    return server->stats;
}

uint64_t weir_server_uptime_s(const struct weir_server *server)
{
    return (server->main->loop->ops->now_ns(server->main->loop) - server->start_ns) / 1000000000u;
}

void weir_server_set_health(struct weir_server *server, bool healthy)
{
    atomic_store_explicit(&server->unhealthy, !healthy, memory_order_relaxed);
}

struct weir_slice weir_server_reload_error(const struct weir_server *server)
{
    return weir_str_slice(&server->reload_error);
}

bool weir_server_healthy(const struct weir_server *server)
{
    return !atomic_load_explicit(&server->unhealthy, memory_order_relaxed);
}

void weir_server_reload(struct weir_server *server)
{
    weir_reload_begin(server);
}

void weir_server_reopen_logs(struct weir_server *server)
{
    (void)server;
    weir_log_reopen();
    weir_accesslog_reopen();
    WEIR_LOG(INFO, SERVER, "logs reopened");
}

void weir_server_set_state(struct weir_server *server, enum weir_server_state state)
{
    WEIR_ASSERT(state >= server->state);
    server->state = state;
}

/* ---- the end: drain, then stop ---- */

static void stop_loop(void *arg)
{
    weir_loop_stop(arg);
}

static void exit_now(struct weir_server *server)
{
    if (server->exiting) return;
    server->exiting = true;
    for (uint32_t i = 0; i < server->n_threads; i++) weir_loop_post(server->threads[i].worker->loop, stop_loop, server->threads[i].worker->loop);
    weir_loop_stop(server->main->loop);
}

static void on_drain_timeout(struct weir_timer *timer)
{
    struct weir_server *server = WEIR_CONTAINER_OF(timer, struct weir_server, drain_timer);
    WEIR_LOG(WARN, SERVER, "the drain time is over; closing the connections that are left");
    exit_now(server);
}

static void on_thread_idle(void *arg)
{
    struct weir_thread *thread = arg;
    thread->idle = true;
    for (uint32_t i = 0; i < thread->server->n_threads; i++)
        if (!thread->server->threads[i].idle) return;
    exit_now(thread->server);
}

struct drain {
    struct weir_thread *thread;
    struct weir_timer poll;
    bool exiting; /* the process ends when all threads are idle */
    uint64_t drain_ms;
};
#define DRAIN_POLL_MS 20

static void poll_drained(struct weir_timer *timer)
{
    struct drain *d = WEIR_CONTAINER_OF(timer, struct drain, poll);
    struct weir_worker *worker = d->thread->worker;
    if (weir_listeners_worker_active(worker->listeners) > 0) {
        weir_timer_set(worker->loop, timer, DRAIN_POLL_MS);
        return;
    }
    weir_loop_post(d->thread->server->main->loop, on_thread_idle, d->thread);
    d->thread->drain = NULL;
    weir_free(d);
}

static void drain_on_worker(void *arg)
{
    struct drain *d = arg;
    struct weir_worker *worker = d->thread->worker;
    worker->draining = true;
    weir_listeners_worker_drain(worker->listeners, d->drain_ms);
    if (!d->exiting) {
        weir_free(d);
        return;
    }
    d->thread->drain = d;
    weir_timer_init(&d->poll, poll_drained);
    poll_drained(&d->poll);
}

static void drain_all(struct weir_server *server, bool exiting)
{
    for (uint32_t i = 0; i < server->n_threads; i++) {
        struct drain *d = WEIR_NEW(struct drain);
        d->thread = &server->threads[i];
        d->exiting = exiting;
        d->drain_ms = server->options->drain_time_s * 1000;
        weir_loop_post(d->thread->worker->loop, drain_on_worker, d);
    }
}

void weir_server_drain_listeners(struct weir_server *server)
{
    drain_all(server, false);
}

void weir_server_quit(struct weir_server *server)
{
    if (server->state == WEIR_SERVER_DRAINING) {
        WEIR_LOG(INFO, SERVER, "asked a second time: exiting at once");
        exit_now(server);
        return;
    }
    WEIR_LOG(INFO, SERVER, "draining: no new connections, running requests may finish within %lu s",
             (unsigned long)server->options->drain_time_s);
    weir_server_set_state(server, WEIR_SERVER_DRAINING);
    weir_timer_set(server->main->loop, &server->drain_timer, server->options->drain_time_s * 1000);
    drain_all(server, true);
}

/* ---- start ---- */

static uint32_t hardware_threads(const struct weir_options *options)
{
    if (options->concurrency > 0) return (uint32_t)WEIR_MIN(options->concurrency, 1024u);
    cpu_set_t set;
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    if (sched_getaffinity(0, sizeof set, &set) == 0) n = WEIR_MIN(n, CPU_COUNT(&set));
    return n < 1 ? 1 : (uint32_t)n;
}

static bool set_up_logs(const struct weir_options *options)
{
    enum weir_log_level level;
    if (weir_log_level_parse(weir_slice_str(options->log_level), &level)) {
        fprintf(stderr, "weir: no log level \"%s\": use trace, debug, info, warning, error, critical or off\n", options->log_level);
        return false;
    }
    weir_log_set_level(level);
    if (options->log_format) weir_log_set_format(options->log_format);
    if (options->log_path && weir_log_open(options->log_path)) {
        fprintf(stderr, "weir: cannot open %s: %s\n", options->log_path, strerror(errno));
        return false;
    }
    struct weir_slice rest = weir_slice_str(options->component_log_level), item;
    while (weir_slice_next(&rest, ',', &item)) {
        size_t colon = weir_slice_find(item, ':');
        if (weir_log_level_parse(weir_slice_from(item, colon + 1), &level) ||
            weir_log_set_component(weir_slice_first(item, colon), level)) {
            fprintf(stderr, "weir: --component-log-level takes component:level,..., not \"%.*s\"\n", WEIR_SARG(item));
            return false;
        }
    }
    return true;
}

/* As many descriptors as the system allows: a proxy needs two a connection. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

void weir_server_print_diag(const struct weir_server *server, struct weir_source *source)
{
    struct weir_diag_style style = weir_diag_style_for(stderr);
    style.no_warnings = server->options->skip_deprecated_logs;
    if (server->options->format == WEIR_OUTPUT_JSON) {
        style.format = WEIR_DIAG_JSON;
        weir_diag_print(&source->diag, stdout, &style);
    } else {
        weir_diag_print(&source->diag, stderr, &style);
    }
    weir_config_seal(source->config);
}

/* Those with sinks of their own and those that are plugins, in one table. */
static const struct weir_access_logger_registry *all_access_loggers(void)
{
    static const struct weir_access_logger_ops *rows[16];
    static struct weir_access_logger_registry all = {.v = rows};
    const struct weir_access_logger_registry *parts[] = {&weir_access_loggers, &weir_plugin_access_loggers};
    all.n = 0;
    for (size_t p = 0; p < WEIR_COUNTOF(parts); p++)
        for (uint32_t i = 0; i < parts[p]->n && all.n < WEIR_COUNTOF(rows); i++) rows[all.n++] = parts[p]->v[i];
    return &all;
}

static struct weir_wasm_runtime *make_wasm(const struct weir_options *options, struct weir_stats *stats)
{
    const struct weir_wasm_runtime_opts opts = {
        .cache_dir = options->wasm_cache_path,
        .memory_max = options->wasm_memory_max_mib << 20,
        .deadline_ms = (uint32_t)options->wasm_deadline_ms,
        .start_deadline_ms = (uint32_t)options->wasm_start_deadline_ms,
        .quick_compile = options->wasm_quick_compile,
    };
    return weir_wasm_runtime_new(&opts, stats);
}

/* The interval of /stats' histograms. Rule: Bootstrap.stats_flush_interval, 5 s. */
static void on_flush(struct weir_timer *timer)
{
    struct weir_server *server = WEIR_CONTAINER_OF(timer, struct weir_server, flush_timer);
    weir_stats_flush(server->stats);
    weir_timer_set(server->main->loop, &server->flush_timer, server->flush_ms);
}

static void start_flushing(struct weir_server *server)
{
    const Envoy__Config__Bootstrap__V3__Bootstrap *bootstrap = server->snapshot->source->config->bootstrap;
    server->flush_ms = 5000;
    if (bootstrap->stats_flush_interval)
        server->flush_ms = (uint64_t)bootstrap->stats_flush_interval->seconds * 1000 +
                           (uint64_t)bootstrap->stats_flush_interval->nanos / 1000000;
    if (server->flush_ms > 0) weir_timer_set(server->main->loop, &server->flush_timer, server->flush_ms);
}

static void init_server(struct weir_server *server, const struct weir_options *options)
{
    server->options = options;
    server->stats = weir_stats_new();
    server->calls = weir_calls_new(server->stats, &weir_http_filters);
    server->main = weir_worker_new(server, server->stats, &weir_world_uv, NULL, UINT32_MAX);
    server->main->calls = server->calls->hcm;
    server->wasm = make_wasm(options, server->stats);
    weir_wasm_worker_init(server->wasm, server->main);
    server->base = weir_server_stats_register(server->stats);
    server->managers = weir_manager_stats_register(server->stats);
    server->start_ns = server->main->loop->ops->now_ns(server->main->loop);
    server->n_threads = hardware_threads(options);
    weir_timer_init(&server->drain_timer, on_drain_timeout);
    weir_timer_init(&server->flush_timer, on_flush);
    weir_str_init(&server->reload_error, 4096);
    weir_accesslog_set_flush(options->file_flush_min_size_kb, options->file_flush_interval_msec);
    server->deps = (struct weir_snapshot_deps){
        .path = options->config_path,
        .overlay = options->config_yaml,
        .stats = server->stats,
        .http_filters = &weir_http_filters,
        .admin_filters = &weir_admin_filters,
        .net_filters = &weir_net_filters,
        .access_loggers = all_access_loggers(),
        .wasm = server->wasm,
        .validate_only = options->mode == WEIR_MODE_VALIDATE,
        .allow_unknown_fields = options->allow_unknown_static_fields,
        .n_workers = server->n_threads,
        .service_node = weir_slice_str(options->service_node),
        .service_cluster = weir_slice_str(options->service_cluster),
        .service_zone = weir_slice_str(options->service_zone),
    };
}

static void fini_server(struct weir_server *server)
{
    weir_watch_stop(server->watch);
    weir_signals_stop(server->signals);
    for (uint32_t i = 0; i < server->n_threads && server->threads; i++) {
        weir_worker_free(server->threads[i].worker);
        weir_free(server->threads[i].drain);
    }
    weir_free(server->threads);
    weir_cluster_dns_free(server->dns);
    weir_snapshot_unref(server->snapshot);
    weir_worker_free(server->main);
    weir_calls_free(server->calls);
    weir_wasm_runtime_free(server->wasm);
    weir_accesslog_stop();
    weir_str_fini(&server->reload_error);
    weir_stats_free(server->stats);
}

static void *run_thread(void *arg)
{
    struct weir_thread *thread = arg;
    weir_loop_run(thread->worker->loop);
    return NULL;
}

static bool make_workers(struct weir_server *server, struct weir_str *error)
{
    server->threads = weir_zalloc(server->n_threads * sizeof *server->threads);
    for (uint32_t i = 0; i < server->n_threads; i++) {
        struct weir_thread *thread = &server->threads[i];
        thread->server = server;
        thread->worker = weir_worker_new(server, server->stats, &weir_world_uv, NULL, i);
        thread->worker->calls = server->calls->hcm;
        thread->worker->unhealthy = &server->unhealthy;
        weir_wasm_worker_init(server->wasm, thread->worker);
        if (weir_worker_adopt(thread->worker, server->snapshot, 0, error)) return false;
    }
    return weir_worker_adopt_main(server->main, server->snapshot, error) == WEIR_OK;
}

static void start_threads(struct weir_server *server)
{
    for (uint32_t i = 0; i < server->n_threads; i++) {
        struct weir_thread *thread = &server->threads[i];
        int err = pthread_create(&thread->thread, NULL, run_thread, thread);
        if (err) WEIR_FATAL("cannot start a worker thread: %s", strerror(err));
        thread->running = true;
    }
}

static void join_threads(struct weir_server *server)
{
    for (uint32_t i = 0; i < server->n_threads; i++)
        if (server->threads[i].running) pthread_join(server->threads[i].thread, NULL);
}

static void write_admin_address(const struct weir_server *server)
{
    const struct weir_listener *admin = server->snapshot->admin;
    if (!server->options->admin_address_path || !admin) return;
    char text[WEIR_ADDR_TEXT_MAX];
    struct weir_slice where = weir_addr_print(&admin->addrs[0], text);
    FILE *file = fopen(server->options->admin_address_path, "we");
    if (!file || fwrite(where.ptr, 1, where.len, file) != where.len)
        WEIR_LOG(ERROR, SERVER, "cannot write %s: %s", server->options->admin_address_path, strerror(errno));
    if (file) fclose(file);
}

static void log_listening(const struct weir_server *server)
{
    char text[WEIR_ADDR_TEXT_MAX];
    for (uint32_t i = 0; i < server->snapshot->n_listeners; i++) {
        const struct weir_listener *listener = server->snapshot->listeners[i];
        WEIR_LOG(INFO, SERVER, "listener %.*s on %.*s", WEIR_SARG(listener->name), WEIR_SARG(weir_addr_print(&listener->addrs[0], text)));
    }
    if (server->snapshot->admin)
        WEIR_LOG(INFO, SERVER, "admin on %.*s", WEIR_SARG(weir_addr_print(&server->snapshot->admin->addrs[0], text)));
}

/* Serves until asked to end. */
static int serve(struct weir_server *server)
{
    struct weir_str error;
    weir_str_init(&error, 1024);
    bool ok = weir_addresses_reserve(server, server->snapshot, NULL, &error) && make_workers(server, &error);
    if (!ok) {
        fprintf(stderr, "weir: %.*s\n", WEIR_SARG(weir_str_slice(&error)));
        weir_str_fini(&error);
        return 1;
    }
    weir_str_fini(&error);
    struct weir_admin *admin = weir_admin_sources_attach(server);
    server->signals = weir_signals_start(server);
    if (server->options->watch) server->watch = weir_watch_start(server);
    weir_cluster_updates_start(server);
    start_threads(server);
    write_admin_address(server);
    log_listening(server);
    weir_server_set_state(server, WEIR_SERVER_LIVE);
    weir_manager_stats_adopted(server, NULL, server->snapshot);
    start_flushing(server);
    weir_stat_record(server->main->stats, server->base + WEIR_SERVER_STAT_initialization_time_ms,
                     (server->main->loop->ops->now_ns(server->main->loop) - server->start_ns) / 1000000u);
    weir_loop_run(server->main->loop);
    join_threads(server);
    weir_admin_free(admin);
    return 0;
}

static int run(struct weir_server *server)
{
    struct weir_source *source;
    server->snapshot = weir_snapshot_build(&server->deps, NULL, &source);
    weir_server_print_diag(server, source);
    weir_source_unref(source);
    if (!server->snapshot) return 1;
    weir_mem_trim(); /* what reading took; at a reload workers would wait for it, and the next one uses it again */
    server->snapshot->loaded_wall_ns = server->main->loop->ops->wall_ns(server->main->loop);
    if (server->options->mode == WEIR_MODE_VALIDATE) {
        if (server->options->format == WEIR_OUTPUT_TEXT)
            printf("configuration '%s' OK\n", server->options->config_path ? server->options->config_path : "--config-yaml");
        return 0;
    }
    if (server->options->mode == WEIR_MODE_INIT_ONLY) return 0;
    return serve(server);
}

int weir_server_main(const struct weir_options *options)
{
    if (!options->config_path && !options->config_yaml) {
        fputs("weir: no configuration: give one with -c FILE (weir --help shows more)\n", stderr);
        return 1;
    }
    if (!set_up_logs(options)) return 1;
    weir_signals_block();
    raise_descriptor_limit();
    struct weir_server *server = WEIR_NEW(struct weir_server);
    init_server(server, options);
    weir_server_set_state(server, WEIR_SERVER_INITIALIZING);
    int status = run(server);
    fini_server(server);
    weir_free(server);
    return status;
}
