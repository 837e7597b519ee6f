/* A seed from its beginning to its end, and what must hold on the way and then. */
#include "run.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "filters/registry.h"
#include "net/conn.h"
#include "proxy/hcm.h"
#include "upstream/cluster_worker.h"

#define STEPS_MAX    3000000u
#define RUN_MS_MAX   UINT64_C(200000)
#define AFTERMATH_MS UINT64_C(30000)

_Noreturn void run_fail(struct run *run, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    fflush(stdout);
    fprintf(stderr, "seed %llu: %s\n    at %.6f s, step %llu, faults %x\n", (unsigned long long)run->seed, text,
            (double)weir_sim_now_ns(run->sim) / 1e9 - 3600, (unsigned long long)weir_sim_n_steps(run->sim), (unsigned)run->may);
    _exit(3);
}

/* ---- exchanges ---- */

struct exchange *run_exchange_new(struct run *run)
{
    if (run->n_exchanges == run->cap_exchanges) {
        run->cap_exchanges = run->cap_exchanges ? run->cap_exchanges * 2 : 32;
        run->exchanges = weir_xrealloc(run->exchanges, run->cap_exchanges * sizeof *run->exchanges);
    }
    struct exchange *ex = WEIR_NEW(struct exchange);
    run->exchanges[run->n_exchanges++] = ex;
    ex->id = run->n_exchanges;
    return ex;
}

struct exchange *run_exchange(struct run *run, uint32_t id)
{
    return id && id <= run->n_exchanges ? run->exchanges[id - 1] : NULL;
}

void run_check_body(struct run *run, struct exchange *ex, bool answer, size_t *offset, struct weir_slice bytes)
{
    size_t max = answer ? ex->answer_len : ex->body_len;
    for (size_t i = 0; i < bytes.len; i++) {
        if (bytes.ptr[i] == RUN_MARK) {
            ex->marks_seen[answer]++;
            continue;
        }
        if (*offset >= max) run_fail(run, "exchange %u: more than the %zu bytes of the %s", ex->id, max, answer ? "answer" : "request");
        if (bytes.ptr[i] != run_body_byte(ex->id, answer, *offset))
            run_fail(run, "exchange %u: byte %zu of the %s is wrong", ex->id, *offset, answer ? "answer" : "request");
        ++*offset;
    }
}

void run_check_end(struct run *run, const struct exchange *ex, bool answer, size_t offset, size_t want)
{
    const char *what = answer ? "answer" : "request";
    if (offset != want) run_fail(run, "exchange %u: %zu bytes of %zu made a whole %s", ex->id, offset, want, what);
    if (ex->marks[answer] != ex->marks_seen[answer])
        run_fail(run, "exchange %u: filters added %u bytes to the %s, %u came", ex->id, ex->marks[answer], what, ex->marks_seen[answer]);
}

static void add_bytes(struct weir_str *out, uint32_t id, bool answer, size_t from, size_t len)
{
    char piece[1024];
    for (size_t done = 0, n; done < len; done += n) {
        n = WEIR_MIN(len - done, sizeof piece);
        for (size_t i = 0; i < n; i++) piece[i] = run_body_byte(id, answer, from + done + i);
        weir_str_add(out, weir_slice(piece, n));
    }
}

void run_add_body(struct run *run, struct weir_str *out, uint32_t id, bool answer, size_t len, enum ex_framing framing, bool trailers)
{
    if (framing == FRAMING_NONE) return;
    if (framing != FRAMING_CHUNKED) {
        add_bytes(out, id, answer, 0, len);
        return;
    }
    for (size_t at = 0, n; at < len; at += n) {
        size_t most = 1 + len / 20 + run_random(run, 1000);
        n = WEIR_MIN(len - at, most);
        weir_str_printf(out, "%zx\r\n", n);
        add_bytes(out, id, answer, at, n);
        weir_str_adds(out, "\r\n");
    }
    weir_str_adds(out, "0\r\n");
    if (trailers) weir_str_adds(out, "x-trailer: yes\r\n");
    weir_str_adds(out, "\r\n");
}

void run_plan_answer(struct run *run, struct exchange *ex)
{
    static const uint32_t statuses[] = {200, 200, 200, 200, 201, 204, 304, 404, 500, 503};
    ex->status = statuses[run_random(run, WEIR_COUNTOF(statuses))];
    ex->answer_framing = (enum ex_framing)(1 + run_random(run, 3));
    ex->answer_len = run_chance(run, 800) ? 1 + run_random(run, 2000) : 0;
    ex->answer_trailers = ex->answer_framing == FRAMING_CHUNKED && run_chance(run, 200);
    ex->answer_close = run_chance(run, 100);
    ex->informational = run_chance(run, 50);
    ex->pauses = run_chance(run, 100);
    ex->early = run_strikes(run, RUN_UPSTREAM_FAULTS, 100);
    ex->delay_us = run_random(run, run_chance(run, 100) ? 100000 : 2000);
    if (run_strikes(run, RUN_UPSTREAM_FAULTS, 250)) ex->fault = (enum ex_fault)run_random(run, FAULTS);
    if (ex->answer_framing == FRAMING_CLOSE && (ex->fault == FAULT_CUT_CLOSE || ex->fault == FAULT_EXTRA)) ex->fault = FAULT_CUT_RESET;
    if (ex->fault == FAULT_SLOW) ex->delay_us = 1000000 + run_random(run, 20000000);
    if (ex->fault == FAULT_NEVER || (run->may & RUN_RETRIES)) ex->answer_framing = ex->answer_framing == FRAMING_CLOSE ? FRAMING_LENGTH : ex->answer_framing;
    if (ex->fault != FAULT_NONE && ex->fault != FAULT_EXTRA && ex->fault != FAULT_CLOSE_AFTER) ex->excuse |= EX_UPSTREAM;
    if (ex->early && ex->framing != FRAMING_NONE) ex->excuse |= EX_EARLY;
}

/* ---- configuration ---- */

static struct weir_snapshot *build(struct run *run, uint32_t version)
{
    struct weir_str text;
    config_text(run, &text, version);
    struct weir_str copy;
    weir_str_init(&copy, 1 << 17);
    weir_str_add(&copy, weir_str_slice(&text));
    weir_str_addc(&copy, '\0');
    struct weir_snapshot_deps deps = {
        .overlay = copy.ptr,
        .stats = run->stats,
        .http_filters = chaos_filters(),
        .admin_filters = chaos_filters(),
        .net_filters = &weir_net_filters,
        .access_loggers = &chaos_loggers,
        .n_workers = run->n_workers,
    };
    struct weir_source *source;
    struct weir_snapshot *snapshot = weir_snapshot_build(&deps, version ? run->snapshots[version - 1] : NULL, &source);
    if (!snapshot) {
        struct weir_diag_style style = weir_diag_style_for(stderr);
        weir_diag_print(&source->diag, stderr, &style);
        fputs(copy.ptr, stderr);
        run_fail(run, "the configuration is wrong");
    }
    weir_config_seal(source->config);
    weir_source_unref(source);
    weir_str_fini(&copy);
    weir_str_fini(&text);
    return snapshot;
}

static void adopt(struct run *run, uint32_t worker, uint32_t version, uint64_t drain_ms)
{
    struct weir_str error;
    weir_str_init(&error, 512);
    if (weir_worker_adopt(run->workers[worker], run->snapshots[version], drain_ms, &error))
        run_fail(run, "not adopted: %.*s", WEIR_SARG(weir_str_slice(&error)));
    weir_str_fini(&error);
}

/* ---- reload and drain: as server/ does them, posted to each worker ---- */

struct order {
    struct run *run;
    uint32_t worker, version;
};

static void adopt_on_worker(void *arg)
{
    struct order order = *(struct order *)arg;
    weir_free(arg);
    weir_sim_note(order.run->sim, "worker %u takes up %u", order.worker, order.version);
    if (!order.run->drained) adopt(order.run, order.worker, order.version, 1 + run_random(order.run, 3000));
}

static void reload(void *arg)
{
    struct run *run = arg;
    uint32_t version = 1;
    while (version < N_SNAPSHOTS && run->snapshots[version]) version++;
    if (run->drained || version == N_SNAPSHOTS) return;
    run->reloaded = true;
    run->snapshots[version] = build(run, version);
    for (uint32_t i = 0; i < run->n_workers; i++) {
        struct order *order = WEIR_NEW(struct order);
        *order = (struct order){run, i, version};
        weir_loop_post(run->workers[i]->loop, adopt_on_worker, order);
    }
}

static void drain_on_worker(void *arg)
{
    struct weir_worker *worker = arg;
    struct run *run = chaos_run;
    weir_sim_note(run->sim, "drain");
    worker->draining = true;
    weir_listeners_worker_drain(worker->listeners, 1 + run_random(run, 5000));
}

static void drain(void *arg)
{
    struct run *run = arg;
    run->drained = true;
    for (uint32_t i = 0; i < run->n_workers; i++) weir_loop_post(run->workers[i]->loop, drain_on_worker, run->workers[i]);
}

/* ---- what must hold ---- */

static uint64_t stat(struct run *run, const char *name)
{
    uint64_t value = 0;
    if (!weir_stats_lookup(run->stats, weir_slice_str(name), &value)) run_fail(run, "there is no %s", name);
    return value;
}

static void expect_stat(struct run *run, const char *name, uint64_t want)
{
    uint64_t value = stat(run, name);
    if (value != want) run_fail(run, "%s is %lld, not %llu", name, (long long)value, (unsigned long long)want);
}

/* On every step: memory is bounded. */
static void check_step(struct run *run)
{
    size_t blocks = 0;
    for (uint32_t i = 0; i < run->n_workers; i++) blocks += run->workers[i]->loop->bufs.n_blocks_live;
    // A connection holds its limit on its way in, on its way out and at each filter, some blocks only partly filled.
    size_t a_stream = 6 * (run->buffer_limit / WEIR_BLOCK_SIZE + 8);
    size_t limit = 32 + (run->n_clients * 5 + run->n_calls - run->n_calls_ended) * a_stream;
    if (blocks > limit) run_fail(run, "%zu buffer blocks are in use", blocks);
    chaos_check(run);
}

static bool is_count_of_living(struct weir_slice name)
{
    return weir_slice_ends_with(name, WEIR_S("_active")) || weir_slice_ends_with(name, WEIR_S("_open")) ||
           weir_slice_ends_with(name, WEIR_S("_buffered"));
}

static bool check_gauge(void *arg, const struct weir_stat_view *view)
{
    struct run *run = arg;
    if (view->kind != WEIR_STAT_GAUGE) return true;
    if ((int64_t)view->value < 0 || (is_count_of_living(view->name) && view->value))
        run_fail(run, "%.*s is %lld at the end", WEIR_SARG(view->name), (long long)view->value);
    return true;
}

/* Nobody is there any more, but the worker runs. */
static void check_quiet_worker(struct run *run, const struct weir_worker *worker)
{
    if (worker->streams.n_live) run_fail(run, "%u streams are left", (unsigned)worker->streams.n_live);
    if (weir_listeners_worker_active(worker->listeners))
        run_fail(run, "%u connections are left", (unsigned)weir_listeners_worker_active(worker->listeners));
    if (worker->loop->bufs.n_blocks_live > 1) run_fail(run, "%zu buffer blocks are left", worker->loop->bufs.n_blocks_live);
}

static void check_quiet(struct run *run)
{
    for (uint32_t i = 0; i < run->n_workers; i++) check_quiet_worker(run, run->workers[i]);
    if (run->n_calls != run->n_calls_ended)
        run_fail(run, "%llu of %llu calls ended", (unsigned long long)run->n_calls_ended, (unsigned long long)run->n_calls);
    expect_stat(run, "http.sim.downstream_rq_active", 0);
    expect_stat(run, "http.sim.downstream_cx_active", 0);
}

static void check_clusters(struct run *run, const struct weir_clusters *clusters)
{
    for (uint32_t i = 0; i < clusters->n; i++) {
        for (uint32_t p = 0; p < WEIR_PRIORITIES; p++) {
            struct weir_resources *r = &clusters->v[i]->resources[p];
            if (r->requests.used || r->pending.used || r->retries.used || r->connections.used || r->pools.used)
                run_fail(run, "circuit breakers of %.*s: %lld connections, %lld pending, %lld requests, %lld retries at the end",
                         WEIR_SARG(clusters->v[i]->name), (long long)r->connections.used, (long long)r->pending.used,
                         (long long)r->requests.used, (long long)r->retries.used);
        }
    }
}

static void check_counters(struct run *run)
{
    if (run->n_init != run->n_done || run->n_init != run->n_log)
        run_fail(run, "%llu filters made, %llu logged, %llu done", (unsigned long long)run->n_init, (unsigned long long)run->n_log,
                 (unsigned long long)run->n_done);
    expect_stat(run, "http.sim.downstream_rq_total", run->n_access);
    expect_stat(run, "http.sim.downstream_cx_destroy", stat(run, "http.sim.downstream_cx_total"));
    expect_stat(run, "http.sim.downstream_cx_destroy",
                stat(run, "http.sim.downstream_cx_destroy_local") + stat(run, "http.sim.downstream_cx_destroy_remote"));
    expect_stat(run, "http.sim.downstream_rq_completed",
                stat(run, "http.sim.downstream_rq_2xx") + stat(run, "http.sim.downstream_rq_3xx") + stat(run, "http.sim.downstream_rq_4xx") +
                    stat(run, "http.sim.downstream_rq_5xx"));
    if (stat(run, "http.sim.downstream_rq_completed") > run->n_access) run_fail(run, "more responses than requests");
    weir_stats_each(run->stats, check_gauge, run);
}

/* ---- the course of a seed ---- */

static uint32_t choose_faults(struct run *run)
{
    switch (run_random(run, 8)) {
        case 0: return 0;
        case 1:
        case 2: return 1u << run_random(run, 13);
        case 3:
        case 4: return (uint32_t)(run_random(run, RUN_ALL + 1) & run_random(run, RUN_ALL + 1));
        default: return (uint32_t)run_random(run, RUN_ALL + 1);
    }
}

static void make_world(struct run *run, bool trace, void (*print)(void *, const char *))
{
    struct weir_sim_opts opts = {.seed = run->seed, .trace = trace ? print : NULL};
    if (run->seed % 4 == 3) opts.loose_reset = 2, opts.accept_limit = 20, opts.connect_limit = 20;
    run->sim = weir_sim_new(&opts);
    weir_conn_set_next_id(1);
    weir_list_init(&run->filters);
    run->may = choose_faults(run);
    if (opts.loose_reset) run->may |= RUN_NET_FAULTS;
    run->lossy = opts.loose_reset;
    run->n_workers = 1 + (uint32_t)run_random(run, N_WORKERS);
    run->buffer_limit = (run->may & RUN_SMALL_LIMITS) ? 1024 + (uint32_t)run_random(run, 30000) : 1u << 20;
    for (uint32_t i = 0; i < N_HOSTS; i++) {
        char text[16], h2[16];
        (void)snprintf(text, sizeof text, "10.0.0.%u", (unsigned)i + 1);
        (void)snprintf(h2, sizeof h2, "10.0.2.%u", (unsigned)i + 1);
        if (weir_addr_parse_ip(weir_slice_str(text), 80, &run->hosts[i]) || weir_addr_parse_ip(weir_slice_str(h2), 80, &run->h2_hosts[i]))
            run_fail(run, "no address");
    }
    if (weir_addr_parse_ip(WEIR_S("10.1.1.1"), 8080, &run->listen)) run_fail(run, "no address");
}

static void make_workers(struct run *run)
{
    run->stats = weir_stats_new();
    run->calls = weir_calls_new(run->stats, chaos_filters());
    run->snapshots[0] = build(run, 0);
    for (uint32_t i = 0; i < run->n_workers; i++) {
        run->workers[i] = weir_worker_new(NULL, run->stats, &weir_world_sim, run->sim, i);
        run->workers[i]->calls = run->calls->hcm;
        adopt(run, i, 0, 0);
    }
}

static void plan_events(struct run *run)
{
    if (run->may & RUN_RELOAD)
        for (uint32_t i = 0; i < N_SNAPSHOTS; i++) weir_sim_after(run->sim, run_random(run, 700000), reload, run);
    if (run->may & RUN_DRAIN) weir_sim_after(run->sim, run_random(run, 900000), drain, run);
}

static void go(struct run *run)
{
    uint64_t end_ns = weir_sim_now_ns(run->sim) + RUN_MS_MAX * 1000000;
    uint64_t cut_ns = (run->may & RUN_CUT) ? weir_sim_now_ns(run->sim) + run_random(run, 1000000) * 1000 : UINT64_MAX;
    while (!clients_done(run)) {
        if (weir_sim_now_ns(run->sim) >= cut_ns) {
            run->cut = true;
            return;
        }
        if (!weir_sim_step(run->sim)) run_fail(run, "nothing happens any more, but clients wait");
        check_step(run);
        if (weir_sim_n_steps(run->sim) > STEPS_MAX) run_fail(run, "it does not come to an end");
        if (weir_sim_now_ns(run->sim) > end_ns) run_fail(run, "clients still wait");
    }
    weir_sim_run_for(run->sim, AFTERMATH_MS);
    check_quiet(run);
}

static void end(struct run *run)
{
    for (uint32_t i = 0; i < run->n_workers; i++) weir_worker_free(run->workers[i]);
    check_counters(run);
    for (uint32_t i = 0; i < N_SNAPSHOTS; i++) {
        if (!run->snapshots[i]) continue;
        check_clusters(run, run->snapshots[i]->clusters);
        if (run->snapshots[i]->refs != 1) run_fail(run, "snapshot %u is still held", (unsigned)i);
    }
    if (weir_sim_open_sockets(run->sim)) run_fail(run, "%u sockets are left", (unsigned)weir_sim_open_sockets(run->sim));
    clients_judge(run);
}

static void free_run(struct run *run)
{
    for (uint32_t i = 0; i < N_SNAPSHOTS; i++) weir_snapshot_unref(run->snapshots[i]);
    weir_calls_free(run->calls);
    weir_stats_free(run->stats);
    h2_servers_free(run);
    weir_sim_free(run->sim);
    clients_free(run);
    upstreams_free(run);
    for (uint32_t i = 0; i < run->n_exchanges; i++) weir_free(run->exchanges[i]);
    weir_free(run->exchanges);
    weir_free(run);
}

static void print(void *arg, const char *line)
{
    (void)arg;
    fprintf(stderr, "%s\n", line);
}

uint64_t run_seed(uint64_t seed, bool trace)
{
    struct run *run = WEIR_NEW(struct run);
    chaos_run = run;
    run->seed = seed;
    make_world(run, trace, print);
    make_workers(run);
    upstreams_start(run);
    if (run->may & RUN_H2) h2_servers_start(run);
    clients_start(run);
    plan_events(run);
    go(run);
    end(run);
    uint64_t digest = weir_sim_digest(run->sim);
    free_run(run);
    return digest;
}
