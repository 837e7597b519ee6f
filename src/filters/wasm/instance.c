/* A worker's VMs: start, sharing by key, failure and replacement, roots and their end.
 *
 *   slot (VM key):   down --bring_up--> up (slot.now) --a call fails--> down --at once, or after the back-off--> up ...
 *   root:            started --last listener and stream gone--> on_done --true, or proxy_done--> on_delete
 *
 * A VM that fails is replaced at the end of the loop's turn, or sooner by the next stream that needs it. Restarts are paid from a
 * bucket (limits.h) so that one bad request costs its neighbours nothing, and a start sequence that fails backs off as
 * reload_config says. No function here runs inside a guest's call: guests' wishes wait in lists until ww->task. */
#include "base/log.h"
#include "base/mem.h"
#include "filters/wasm/plugin.h"

/* Jitter of the back-off, as Envoy: [base, 1.5 base). */
#define JITTER_PERCENT 50u
#define BACKOFF_DOUBLINGS_MAX 16u

static void schedule(struct weir_wasm_worker *ww);
static void slot_restart(struct wasm_slot *slot);

void wasm_worker_schedule(struct weir_wasm_worker *ww)
{
    schedule(ww);
}

/* ---- instances ---- */

static void instance_unref(struct wasm_instance *in)
{
    if (--in->refs > 0) return;
    if (in->slot && in->slot->now == in) in->slot->now = NULL;
    weir_list_unlink(&in->link);
    weir_vm_free(in->vm);
    wasm_spec_unref(in->spec);
    weir_free(in);
}

static void track_memory(struct wasm_instance *in)
{
    uint64_t bytes = in->vm ? weir_vm_memory_bytes(in->vm) : 0;
    if (bytes == in->memory_seen || wasm_is_canary(in->ww)) return;
    WEIR_LIST_EACH(&in->roots, it)
    {
        const struct wasm_root *root = WEIR_CONTAINER_OF(it, struct wasm_root, link);
        weir_stat_add(in->ww->worker->stats, root->plugin->stats + WASM_STAT_memory_bytes, bytes - in->memory_seen);
    }
    in->memory_seen = bytes;
}

static void report_failure(const struct wasm_instance *in, const struct weir_wasm_plugin *plugin)
{
    const struct weir_vm *vm = in->vm;
    if (in->ww->worker)
        weir_stat_inc(in->ww->worker->stats, plugin->stats + (weir_stat)WASM_STAT_TRAPS + (weir_stat)vm->failure_kind);
    if (wasm_is_canary(in->ww)) return;
    WEIR_LOG_LIMITED(ERROR, WASM, "wasm plugin \"%.*s\" (root_id \"%.*s\", vm_id \"%.*s\") failed in %s: %.*s; its requests %s",
                     WEIR_SARG(plugin->name), WEIR_SARG(plugin->root_id), WEIR_SARG(plugin->spec->vm_id),
                     weir_wasm_cb_name(vm->failure_cb), WEIR_SARG(weir_str_slice(&vm->failure)),
                     plugin->fail_open ? "go on without it" : "get 503");
}

static void instance_failed(struct wasm_instance *in, const struct weir_wasm_plugin *plugin)
{
    if (in->failed) return;
    in->failed = true;
    report_failure(in, plugin);
    if (wasm_is_canary(in->ww)) return;
    weir_list_push_back(&in->ww->failed, &in->link);
    schedule(in->ww);
}

bool wasm_call(struct wasm_context *ctx, enum weir_wasm_cb cb, const uint32_t *args, uint32_t *ret)
{
    struct wasm_instance *in = ctx->root->instance;
    if (WEIR_UNLIKELY(in->failed)) return false;
    bool good = weir_vm_call(in->vm, cb, &ctx->base, args, ret);
    if (WEIR_UNLIKELY((in->vm->calls & 255) == 0)) track_memory(in);
    wasm_count(in->ww, ctx->root->plugin, WASM_STAT_calls);
    if (WEIR_LIKELY(good)) return true;
    instance_failed(in, ctx->root->plugin);
    return false;
}

/* ---- roots ---- */

void wasm_root_hold(struct wasm_root *root)
{
    root->refs++;
}

static void root_unref(struct wasm_root *root)
{
    if (--root->refs > 0) return;
    struct wasm_instance *in = root->instance;
    weir_list_unlink(&root->link);
    wasm_plugin_unref(root->plugin);
    weir_free(root);
    instance_unref(in);
}

static void root_stop(struct wasm_root *root)
{
    struct weir_wasm_worker *ww = root->instance->ww;
    if (ww->worker) weir_timer_stop(ww->worker->loop, &root->tick);
    root->tick_ms = 0;
    wasm_calls_cancel(root);
}

/* The root is over: what it held goes, streams and calls may still hold the object. */
static void root_end(struct wasm_root *root)
{
    if (root->ended) return;
    root->ended = true;
    struct wasm_instance *in = root->instance;
    root_stop(root);
    weir_list_unlink(&root->retiring);
    if (in->ww->worker) weir_timer_stop(in->ww->worker->loop, &root->done_timer);
    if (root->started) {
        wasm_uncount(in->ww, root->plugin, WASM_STAT_active);
        if (in->ww->worker)
            weir_stat_add(in->ww->worker->stats, root->plugin->stats + WASM_STAT_memory_bytes, (uint64_t)0 - in->memory_seen);
    }
    if (!in->failed) {
        (void)wasm_call(&root->ctx, WEIR_WASM_CB_DELETE, (uint32_t[]){root->ctx.base.id}, NULL);
        if (!in->failed) weir_vm_remove_context(in->vm, &root->ctx.base);
    }
    if (root->local && root->local->root == root) root->local->root = NULL;
    root->local = NULL;
    weir_list_unlink(&root->link);
    root_unref(root);
}

/* Nobody will use it again: on_done, and on_delete unless the guest wants to finish something first. */
static void root_retire(struct wasm_root *root)
{
    uint32_t done = 1;
    if (root->local && root->local->root == root) root->local->root = NULL;
    root->local = NULL;
    wasm_root_hold(root);
    if (!root->instance->failed)
        (void)wasm_call(&root->ctx, WEIR_WASM_CB_DONE, (uint32_t[]){root->ctx.base.id}, &done);
    root->done_pending = done == 0 && !root->instance->failed;
    if (root->done_pending) {
        struct weir_wasm_worker *ww = root->instance->ww;
        weir_list_push_back(&ww->retiring, &root->retiring);
        weir_timer_set(ww->worker->loop, &root->done_timer, WEIR_WASM_DONE_MS);
    } else {
        root_end(root);
    }
    root_unref(root);
}

static void on_done_timeout(struct weir_timer *timer)
{
    struct wasm_root *root = WEIR_CONTAINER_OF(timer, struct wasm_root, done_timer);
    WEIR_LOG(WARN, WASM, "%.*s: ended without proxy_done, %u ms after on_done", WEIR_SARG(root->plugin->log_prefix),
             WEIR_WASM_DONE_MS);
    root_end(root);
}

void wasm_root_done(struct wasm_root *root)
{
    if (!root->done_pending) return;
    root->done_pending = false;
    schedule(root->instance->ww);
}

static void on_tick(struct weir_timer *timer)
{
    struct wasm_root *root = WEIR_CONTAINER_OF(timer, struct wasm_root, tick);
    struct weir_wasm_worker *ww = root->instance->ww;
    wasm_root_hold(root);
    (void)wasm_call(&root->ctx, WEIR_WASM_CB_TICK, (uint32_t[]){root->ctx.base.id}, NULL);
    track_memory(root->instance);
    /* As Envoy: the next tick is a period after this one has run. */
    if (root->tick_ms && !root->ended && !root->instance->failed && !weir_timer_armed(timer))
        weir_timer_set(ww->worker->loop, timer, root->tick_ms);
    root_unref(root);
}

void wasm_set_tick(struct wasm_root *root, uint32_t period_ms)
{
    struct weir_wasm_worker *ww = root->instance->ww;
    if (wasm_is_canary(ww) || root->ended) return;
    root->tick_ms = period_ms ? WEIR_MAX(period_ms, WEIR_WASM_TICK_MS_MIN) : 0;
    if (root->tick_ms)
        weir_timer_set(ww->worker->loop, &root->tick, root->tick_ms);
    else
        weir_timer_stop(ww->worker->loop, &root->tick);
}

/* on_vm_start and on_configure: `answer` false is the guest's refusal. */
static bool ask(struct wasm_root *root, enum weir_wasm_cb cb, struct weir_slice conf)
{
    uint32_t answer = 1;
    struct wasm_instance *in = root->instance;
    if (!wasm_call(&root->ctx, cb, (uint32_t[]){root->ctx.base.id, (uint32_t)conf.len}, &answer)) return false;
    if (answer) return true;
    weir_vm_fail(in->vm, WEIR_WASM_FAILURE_START, cb, "answered false");
    instance_failed(in, root->plugin);
    return false;
}

static struct wasm_root *root_start(struct wasm_instance *in, struct weir_wasm_plugin *plugin, struct wasm_local *local)
{
    struct wasm_root *root = WEIR_NEW(struct wasm_root);
    root->ctx.kind = WASM_ROOT;
    root->ctx.root = root;
    root->instance = in;
    root->plugin = plugin;
    wasm_plugin_ref(plugin);
    root->local = local;
    root->refs = 1;
    in->refs++;
    weir_list_init(&root->streams);
    weir_list_init(&root->calls);
    weir_timer_init(&root->tick, on_tick);
    weir_timer_init(&root->done_timer, on_done_timeout);
    weir_list_push_back(&in->roots, &root->link);
    weir_vm_add_context(in->vm, &root->ctx.base, NULL);
    if (wasm_call(&root->ctx, WEIR_WASM_CB_CONTEXT_CREATE, (uint32_t[]){root->ctx.base.id, 0}, NULL) &&
        ask(root, WEIR_WASM_CB_VM_START, in->spec->conf) && ask(root, WEIR_WASM_CB_CONFIGURE, plugin->conf)) {
        root->started = true;
        wasm_count(in->ww, plugin, WASM_STAT_created);
        wasm_count(in->ww, plugin, WASM_STAT_active);
        if (in->ww->worker)
            weir_stat_add(in->ww->worker->stats, plugin->stats + WASM_STAT_memory_bytes, in->memory_seen);
        track_memory(in);
        return root;
    }
    root_end(root);
    return NULL;
}

/* ---- contexts of streams and connections ---- */

bool wasm_context_make(struct wasm_context *ctx, enum wasm_kind kind, struct wasm_root *root)
{
    ctx->kind = kind;
    ctx->root = root;
    ctx->made = true;
    wasm_root_hold(root);
    weir_list_push_back(&root->streams, &ctx->link);
    weir_vm_add_context(root->instance->vm, &ctx->base, &root->ctx.base);
    wasm_count(root->instance->ww, root->plugin, WASM_STAT_streams_active);
    return wasm_call(ctx, WEIR_WASM_CB_CONTEXT_CREATE, (uint32_t[]){ctx->base.id, root->ctx.base.id}, NULL);
}

void wasm_context_end(struct wasm_context *ctx)
{
    struct wasm_root *root = ctx->root;
    if (!root->instance->failed && ctx->base.id != 0) {
        uint32_t ignored;
        (void)(wasm_call(ctx, WEIR_WASM_CB_DONE, (uint32_t[]){ctx->base.id}, &ignored) &&
               wasm_call(ctx, WEIR_WASM_CB_DELETE, (uint32_t[]){ctx->base.id}, NULL));
        weir_vm_remove_context(root->instance->vm, &ctx->base);
    }
    weir_list_unlink(&ctx->pending);
    weir_list_unlink(&ctx->link);
    wasm_uncount(root->instance->ww, root->plugin, WASM_STAT_streams_active);
    ctx->made = false;
    wasm_root_release(root);
}

void wasm_context_want(struct wasm_context *ctx, enum wasm_effect effect)
{
    struct weir_wasm_worker *ww = ctx->root->instance->ww;
    ctx->effects |= (uint8_t)effect;
    if (weir_list_linked(&ctx->pending)) return;
    weir_list_push_back(&ww->pending, &ctx->pending);
    schedule(ww);
}

static void context_vm_failed(struct wasm_context *ctx)
{
    if (ctx->kind == WASM_HTTP) wasm_stream_vm_failed(WEIR_CONTAINER_OF(ctx, struct wasm_stream, ctx));
    if (ctx->kind == WASM_NET) wasm_conn_vm_failed(WEIR_CONTAINER_OF(ctx, struct wasm_conn, ctx));
}

static void context_flush(struct wasm_context *ctx)
{
    if (ctx->kind == WASM_HTTP) wasm_stream_flush(WEIR_CONTAINER_OF(ctx, struct wasm_stream, ctx));
    if (ctx->kind == WASM_NET) wasm_conn_flush(WEIR_CONTAINER_OF(ctx, struct wasm_conn, ctx));
}

/* ---- slots ---- */

static struct wasm_instance *instance_new(struct weir_wasm_worker *ww, struct wasm_spec *spec, struct weir_str *err)
{
    struct wasm_instance *in = WEIR_NEW(struct wasm_instance);
    in->ww = ww;
    in->spec = spec;
    atomic_fetch_add_explicit(&spec->refs, 1, memory_order_relaxed);
    in->refs = 1;
    weir_list_init(&in->roots);
    in->opts = spec->vm_opts;
    in->opts.host_arg = in;
    if (ww->worker) {
        in->opts.stats = ww->runtime->stats;
        in->opts.sw = ww->worker->stats;
        in->opts.shared = ww->runtime->shared;
    }
    if (weir_vm_new(spec->module, &in->opts, err, &in->vm) == WEIR_OK) return in;
    in->vm = NULL;
    instance_unref(in);
    return NULL;
}

/* Ends all roots of a failed instance; streams find it failed. */
static void instance_detach(struct wasm_instance *in)
{
    if (in->slot && in->slot->now == in) in->slot->now = NULL;
    WEIR_LIST_EACH(&in->roots, it)
    {
        struct wasm_root *root = WEIR_CONTAINER_OF(it, struct wasm_root, link);
        if (root->local && root->local->root == root) root->local->root = NULL;
        root_stop(root);
    }
}

static bool slot_bring_up(struct wasm_slot *slot)
{
    struct weir_str err;
    weir_str_init(&err, 8192);
    struct wasm_instance *in = instance_new(slot->ww, slot->spec, &err);
    if (!in) {
        WEIR_LOG_LIMITED(ERROR, WASM, "wasm vm_id \"%.*s\" does not start: %.*s", WEIR_SARG(slot->spec->vm_id),
                         WEIR_SARG(weir_str_slice(&err)));
        weir_str_fini(&err);
        return false;
    }
    weir_str_fini(&err);
    in->slot = slot;
    slot->now = in;
    WEIR_LIST_EACH(&slot->locals, it)
    {
        struct wasm_local *local = WEIR_CONTAINER_OF(it, struct wasm_local, link);
        local->root = root_start(in, local->plugin, local);
        if (!local->root) break;
    }
    bool good = !in->failed;
    if (!good) {
        /* Its roots end when ww->task finds it among the failed; there is no stream to answer. */
        instance_detach(in);
        in->slot = NULL;
    }
    instance_unref(in);
    return good;
}

static bool take_token(struct wasm_slot *slot)
{
    uint64_t now = weir_loop_now_ms(slot->ww->worker->loop);
    uint64_t gained = (now - slot->bucket_ms) * WEIR_WASM_RESTART_BURST / 1000;
    if (gained > 0) {
        slot->tokens = (uint32_t)WEIR_MIN(slot->tokens + gained, (uint64_t)WEIR_WASM_RESTART_BURST);
        slot->bucket_ms = now;
    }
    if (slot->tokens == 0) return false;
    slot->tokens--;
    return true;
}

static void count_all(struct wasm_slot *slot, enum wasm_stat row)
{
    WEIR_LIST_EACH(&slot->locals, it) wasm_count(slot->ww, WEIR_CONTAINER_OF(it, struct wasm_local, link)->plugin, row);
}

static void back_off(struct wasm_slot *slot)
{
    struct weir_list *first = weir_list_first(&slot->locals);
    if (!first) return;
    const struct weir_wasm_plugin *plugin = WEIR_CONTAINER_OF(first, struct wasm_local, link)->plugin;
    struct weir_loop *loop = slot->ww->worker->loop;
    uint32_t doublings = slot->start_failures > 0 ? WEIR_MIN(slot->start_failures - 1, BACKOFF_DOUBLINGS_MAX) : 0;
    uint64_t delay = WEIR_MIN((uint64_t)plugin->backoff_base_ms << doublings, (uint64_t)plugin->backoff_max_ms);
    delay += weir_loop_random(loop) % (delay * JITTER_PERCENT / 100 + 1);
    count_all(slot, WASM_STAT_vm_reload_backoff);
    weir_timer_set(loop, &slot->restart_timer, delay);
}

static void restart_now(struct wasm_slot *slot)
{
    count_all(slot, WASM_STAT_vm_reload);
    if (slot_bring_up(slot)) {
        slot->start_failures = 0;
        count_all(slot, WASM_STAT_vm_reload_success);
        return;
    }
    slot->start_failures++;
    count_all(slot, WASM_STAT_vm_reload_failure);
    back_off(slot);
}

static void slot_restart(struct wasm_slot *slot)
{
    if (slot->now || weir_timer_armed(&slot->restart_timer) || weir_list_empty(&slot->locals)) return;
    if (take_token(slot))
        restart_now(slot);
    else
        back_off(slot);
}

static void on_restart_timer(struct weir_timer *timer)
{
    struct wasm_slot *slot = WEIR_CONTAINER_OF(timer, struct wasm_slot, restart_timer);
    if (!slot->now && !weir_list_empty(&slot->locals)) restart_now(slot);
}

static struct wasm_slot *slot_get(struct weir_wasm_worker *ww, struct wasm_spec *spec)
{
    WEIR_LIST_EACH(&ww->slots, it)
    {
        struct wasm_slot *slot = WEIR_CONTAINER_OF(it, struct wasm_slot, link);
        if (slot->spec == spec) return slot;
    }
    struct wasm_slot *slot = WEIR_NEW(struct wasm_slot);
    slot->ww = ww;
    slot->spec = spec;
    atomic_fetch_add_explicit(&spec->refs, 1, memory_order_relaxed);
    slot->tokens = WEIR_WASM_RESTART_BURST;
    slot->bucket_ms = weir_loop_now_ms(ww->worker->loop);
    weir_list_init(&slot->locals);
    weir_timer_init(&slot->restart_timer, on_restart_timer);
    weir_list_push_back(&ww->slots, &slot->link);
    weir_wasm_shared_vm_begin(ww->runtime->shared, spec->vm_id); /* shared data outlives a VM that is being replaced */
    return slot;
}

static void slot_free(struct wasm_slot *slot)
{
    weir_timer_stop(slot->ww->worker->loop, &slot->restart_timer);
    if (slot->now) slot->now->slot = NULL;
    weir_list_unlink(&slot->link);
    weir_wasm_shared_vm_end(slot->ww->runtime->shared, slot->spec->vm_id, 0);
    wasm_spec_unref(slot->spec);
    weir_free(slot);
}

/* ---- plugins on this worker ---- */

static struct wasm_local *local_make(struct weir_wasm_worker *ww, struct weir_wasm_plugin *plugin)
{
    if (plugin->id >= ww->n_locals) {
        uint32_t n = WEIR_MAX(plugin->id + 1, ww->n_locals * 2);
        ww->locals = weir_xrealloc(ww->locals, n * sizeof *ww->locals);
        memset(ww->locals + ww->n_locals, 0, (n - ww->n_locals) * sizeof *ww->locals);
        ww->n_locals = n;
    }
    struct wasm_local *local = WEIR_NEW(struct wasm_local);
    local->plugin = plugin;
    wasm_plugin_ref(plugin);
    ww->locals[plugin->id] = local;
    local->slot = slot_get(ww, plugin->spec);
    weir_list_push_back(&local->slot->locals, &local->link);
    if (local->slot->now && !local->slot->now->failed)
        local->root = root_start(local->slot->now, plugin, local);
    else if (!weir_timer_armed(&local->slot->restart_timer) && !slot_bring_up(local->slot)) {
        local->slot->start_failures++;
        back_off(local->slot);
    }
    return local;
}

static void local_free(struct weir_wasm_worker *ww, struct wasm_local *local)
{
    ww->locals[local->plugin->id] = NULL;
    weir_list_unlink(&local->link);
    if (local->root) root_retire(local->root);
    if (weir_list_empty(&local->slot->locals)) slot_free(local->slot);
    wasm_plugin_unref(local->plugin);
    weir_free(local);
}

static struct wasm_local *local_find(struct weir_wasm_worker *ww, const struct weir_wasm_plugin *plugin)
{
    return plugin->id < ww->n_locals ? ww->locals[plugin->id] : NULL;
}

static WEIR_COLD struct wasm_root *root_get_slow(struct weir_wasm_worker *ww, struct weir_wasm_plugin *plugin)
{
    struct wasm_local *local = local_find(ww, plugin);
    if (!local) {
        local = local_make(ww, plugin); /* a connection of a listener that has left service */
        return local->root;
    }
    if (local->root) instance_detach(local->root->instance);
    slot_restart(local->slot);
    return local->root && !local->root->instance->failed ? local->root : NULL;
}

struct wasm_root *wasm_root_get(struct weir_wasm_worker *ww, struct weir_wasm_plugin *plugin)
{
    struct wasm_local *local = local_find(ww, plugin);
    if (WEIR_LIKELY(local && local->root && !local->root->instance->failed)) return local->root;
    return root_get_slow(ww, plugin);
}

void wasm_root_release(struct wasm_root *root)
{
    struct wasm_local *local = root->local;
    if (local && local->users == 0 && local->root == root && weir_list_empty(&root->streams))
        local_free(root->instance->ww, local);
    root_unref(root);
}

void wasm_plugin_start(struct weir_worker *worker, void *arg)
{
    struct weir_wasm_plugin *plugin = arg;
    struct wasm_local *local = local_find(worker->wasm, plugin);
    if (!local) local = local_make(worker->wasm, plugin);
    local->users++;
}

void wasm_plugin_stop(struct weir_worker *worker, void *arg)
{
    struct wasm_local *local = local_find(worker->wasm, arg);
    if (!local || local->users == 0 || --local->users > 0) return;
    if (!local->root || weir_list_empty(&local->root->streams)) local_free(worker->wasm, local);
}

/* ---- the end of a turn ---- */

static void answer_streams(struct wasm_instance *in)
{
    WEIR_LIST_EACH(&in->roots, it)
    {
        struct wasm_root *root = WEIR_CONTAINER_OF(it, struct wasm_root, link);
        WEIR_LIST_EACH(&root->streams, st) context_vm_failed(WEIR_CONTAINER_OF(st, struct wasm_context, link));
    }
}

static void clear_failed(struct weir_wasm_worker *ww)
{
    struct weir_list *first;
    while ((first = weir_list_first(&ww->failed)) != NULL) {
        struct wasm_instance *in = WEIR_CONTAINER_OF(first, struct wasm_instance, link);
        struct wasm_slot *slot = in->slot;
        weir_list_unlink(first);
        in->refs++;
        instance_detach(in);
        answer_streams(in);
        WEIR_LIST_EACH(&in->roots, it) root_end(WEIR_CONTAINER_OF(it, struct wasm_root, link));
        weir_vm_free(WEIR_TAKE(in->vm)); /* its memory goes now; contexts of streams are not used again */
        in->slot = NULL;
        instance_unref(in);
        if (slot) slot_restart(slot);
    }
}

static void end_done_roots(struct weir_wasm_worker *ww, bool all)
{
    WEIR_LIST_EACH(&ww->retiring, it)
    {
        struct wasm_root *root = WEIR_CONTAINER_OF(it, struct wasm_root, retiring);
        if (all || !root->done_pending) root_end(root);
    }
}

static void on_task(struct weir_task *task)
{
    struct weir_wasm_worker *ww = WEIR_CONTAINER_OF(task, struct weir_wasm_worker, task);
    clear_failed(ww);
    struct weir_list *first;
    while ((first = weir_list_first(&ww->pending)) != NULL) {
        weir_list_unlink(first);
        context_flush(WEIR_CONTAINER_OF(first, struct wasm_context, pending));
    }
    end_done_roots(ww, false);
}

static void schedule(struct weir_wasm_worker *ww)
{
    if (ww->worker) weir_loop_at_end(ww->worker->loop, &ww->task);
}

/* ---- worker and canary ---- */

static void worker_setup(struct weir_wasm_worker *ww, struct weir_wasm_runtime *runtime, struct weir_worker *worker)
{
    ww->runtime = runtime;
    ww->worker = worker;
    weir_list_init(&ww->slots);
    weir_list_init(&ww->pending);
    weir_list_init(&ww->failed);
    weir_list_init(&ww->retiring);
    weir_task_init(&ww->task, on_task);
}

void weir_wasm_worker_init(struct weir_wasm_runtime *runtime, struct weir_worker *worker)
{
    worker->wasm = WEIR_NEW(struct weir_wasm_worker);
    worker_setup(worker->wasm, runtime, worker);
}

void weir_wasm_worker_fini(struct weir_worker *worker)
{
    struct weir_wasm_worker *ww = worker->wasm;
    if (!ww) return;
    for (uint32_t i = 0; i < ww->n_locals; i++)
        if (ww->locals[i]) local_free(ww, ww->locals[i]);
    end_done_roots(ww, true);
    clear_failed(ww);
    weir_task_cancel(&ww->task);
    weir_free(ww->locals);
    weir_free(ww);
    worker->wasm = NULL;
}

bool wasm_canary(struct weir_wasm_plugin *plugin, struct weir_str *err)
{
    struct weir_wasm_worker ww = {0};
    worker_setup(&ww, plugin->runtime, NULL);
    struct wasm_instance *in = instance_new(&ww, plugin->spec, err);
    if (!in) return false;
    struct wasm_root *root = root_start(in, plugin, NULL);
    if (root)
        root_end(root);
    else
        weir_str_printf(err, "%s: %.*s", weir_wasm_cb_name(in->vm->failure_cb), WEIR_SARG(weir_str_slice(&in->vm->failure)));
    bool good = root != NULL;
    instance_unref(in);
    return good;
}
