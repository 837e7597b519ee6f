/* The inside of filters/wasm: what a configured plugin is, and what a worker makes of it.
 *
 *   process   weir_wasm_plugin --> wasm_spec (one VM key) --> weir_wasm_module
 *   worker    wasm_local (the plugin here) --> wasm_slot (the VM key here) --> wasm_instance (its VM of now)
 *                 \--> wasm_root (the plugin's root context in that VM) --> streams, calls
 *
 * Plugins and specs are immutable and shared: the same configuration gives the same object, so that a reload which changes
 * nothing keeps VM and root. All else belongs to one worker. A VM that failed is dropped with its instance and roots; streams
 * that were on it find stream->root->instance->failed and are answered by the failure policy. */
#ifndef WEIR_FILTERS_WASM_PLUGIN_H
#define WEIR_FILTERS_WASM_PLUGIN_H

#include <pthread.h>

#include "base/log.h"
#include "config/config.h"
#include "config/supported.h"
#include "filters/wasm/runtime.h"
#include "proxy/conf_ctx.h"
#include "proxy/access_log.h"
#include "proxy/http_call.h"
#include "proxy/listener.h"
#include "proxy/stream.h"
#include "wasm/limits.h"
#include "wasm/shared.h"
#include "wasm/vm.h"

/* Rows of "wasm.<plugin>."; the vm_reload rows are Envoy's. */
#define WASM_STATS(X)                                                                                               \
    X(created, COUNTER) X(active, GAUGE) X(memory_bytes, GAUGE) X(calls, COUNTER) X(streams_active, GAUGE)         \
    X(vm_reload, COUNTER) X(vm_reload_success, COUNTER) X(vm_reload_failure, COUNTER) X(vm_reload_backoff, COUNTER) \
    X(failures_answered, COUNTER) X(failures_passed, COUNTER) X(http_calls, COUNTER) X(http_calls_active, GAUGE)   \
    X(log_suppressed, COUNTER)
enum wasm_stat {
#define X(name, kind) WASM_STAT_##name,
    WASM_STATS(X)
#undef X
    WASM_STAT_COUNT,
    WASM_STAT_TRAPS = WASM_STAT_COUNT, /* then one row for each enum weir_wasm_failure_kind */
    WASM_STAT_ALL = WASM_STAT_TRAPS + WEIR_WASM_FAILURE_COUNT,
};

struct weir_wasm_runtime {
    struct weir_wasm_runtime_opts opts;
    char *cache_dir;
    struct weir_stats *stats;
    struct weir_wasm_engine *engine; /* NULL until needed */
    struct weir_wasm_shared *shared;
    pthread_mutex_t mutex;           /* over the lists below: plugins are made on the main thread and unreferenced on any */
    struct weir_list specs, plugins;
    uint32_t next_plugin_id;
    uint32_t *free_ids;
    uint32_t n_free_ids, cap_free_ids;
    _Atomic uint32_t route_confs;    /* per-route plugins exist: streams must look for them */
};

/** All that makes two VMs the same: module, vm_id, configuration, environment, capabilities, limits. */
struct wasm_spec {
    struct weir_list link;
    _Atomic uint32_t refs;
    struct weir_wasm_runtime *runtime;
    struct weir_arena arena;
    uint8_t key[32];
    struct weir_wasm_module *module;
    struct weir_slice vm_id, conf;
    struct weir_vm_opts vm_opts; /* template: host_arg, stats and sw are an instance's */
};

struct weir_wasm_plugin {
    struct weir_list link;
    _Atomic uint32_t refs;
    struct weir_wasm_runtime *runtime;
    struct weir_arena arena;
    uint8_t key[32];
    struct wasm_spec *spec;
    uint32_t id; /* small: index of a worker's table */
    struct weir_slice name, root_id, conf;
    struct weir_slice log_prefix; /* "wasm log my_plugin my_root_id my_vm_id" */
    bool fail_open, stop_iteration;
    uint32_t backoff_base_ms, backoff_max_ms;
    weir_stat stats; /* base of enum wasm_stat */
    uint32_t direction; /* of the listener: for properties; 0 unspecified */
};
void wasm_plugin_ref(struct weir_wasm_plugin *plugin);
void wasm_plugin_unref(struct weir_wasm_plugin *plugin);
void wasm_spec_unref(struct wasm_spec *spec);

struct wasm_root;
struct wasm_stream;

/** This thread's share of a plugin. */
struct wasm_local {
    struct weir_list link; /* in the slot */
    struct weir_wasm_plugin *plugin;
    struct wasm_slot *slot;
    struct wasm_root *root; /* of now; NULL while the VM is down */
    uint32_t users;         /* listeners in service */
};

struct wasm_slot {
    struct weir_list link; /* in the worker */
    struct weir_wasm_worker *ww;
    struct wasm_spec *spec;
    struct wasm_instance *now; /* NULL while down */
    struct weir_list locals;
    struct weir_timer restart_timer;
    uint32_t start_failures;   /* in a row */
    uint64_t bucket_ms;        /* when tokens were last added */
    uint32_t tokens;
};

struct wasm_instance {
    struct weir_list link; /* in ww->failed once it has failed */
    struct wasm_slot *slot; /* NULL once the slot is gone */
    struct weir_wasm_worker *ww;
    struct weir_vm *vm;     /* NULL once freed */
    struct weir_vm_opts opts;
    struct wasm_spec *spec;
    struct weir_list roots;
    uint32_t refs;          /* roots */
    uint32_t n_calls;
    uint64_t memory_seen;   /* bytes in the gauge */
    bool failed;
};

enum wasm_kind { WASM_ROOT, WASM_HTTP, WASM_NET, WASM_LOG };

/* What a guest asked for and what waits until it has returned. */
enum wasm_effect {
    WASM_CONTINUE_REQUEST = 1,
    WASM_CONTINUE_RESPONSE = 2,
    WASM_REPLY = 4,
    WASM_CLOSE = 8,
    WASM_CONTINUE_DOWNSTREAM = 16,
};

/** What every context of ours begins with. */
struct wasm_context {
    struct weir_wasm_context base;
    enum wasm_kind kind;
    uint8_t effects;
    bool made;                /* the guest knows it */
    struct wasm_root *root;
    struct weir_list link;    /* in root->streams */
    struct weir_list pending; /* in ww->pending, while there are effects */
    uint32_t property_bytes;  /* kept for guests on its behalf */
};

struct wasm_root {
    struct wasm_context ctx;
    struct weir_list link; /* in the instance */
    struct wasm_instance *instance;
    struct weir_wasm_plugin *plugin;
    struct wasm_local *local; /* NULL once retired */
    struct weir_list streams; /* wasm_context.link of streams and connections */
    struct weir_list calls;
    struct weir_timer tick;
    struct weir_timer done_timer; /* while it is in ww->retiring */
    struct weir_list retiring;
    uint32_t tick_ms;
    uint32_t refs;            /* the instance's own, streams, calls */
    bool started, ended, done_pending;
    uint32_t status;          /* of the last call that failed */
    const char *status_text;
    struct wasm_call *call;   /* whose answer is being delivered */
    struct weir_slice foreign_args;
    struct weir_log_limit log_limit;
};

struct wasm_reply {
    struct weir_local_reply reply;
    struct weir_headers headers;
};

/** One request in one plugin: the state of the HTTP filter. */
struct wasm_stream {
    struct wasm_context ctx;
    struct weir_filter *f;
    struct weir_buf *data[2]; /* what a data callback that runs was given */
    bool data_end[2];
    struct wasm_reply *reply;
    bool bypass;              /* the guest is out of it: failure policy open, or answered */
    bool answered;            /* by the failure policy */
    bool logging;
};

/** One TCP connection in one plugin: the state of the network filter. */
struct wasm_conn {
    struct wasm_context ctx;
    struct weir_net_filter *f;
    struct weir_buf *data[2]; /* downstream's, upstream's, while a callback runs */
    struct weir_stream_info info; /* what properties read */
    struct weir_arena arena;
    bool bypass;
};

/** One finished request in one plugin: what an access logger shows to its guest. */
struct wasm_entry {
    struct wasm_context ctx;
    const struct weir_log_context *log;
};

struct wasm_mail;

struct weir_wasm_worker {
    struct weir_worker *worker; /* NULL: a canary */
    struct weir_wasm_runtime *runtime;
    struct weir_list slots;
    struct wasm_local **locals; /* by plugin id */
    uint32_t n_locals;
    struct weir_list pending;   /* wasm_context.pending */
    struct weir_list failed;    /* wasm_instance.link */
    struct weir_list retiring;  /* wasm_root.retiring: on_done answered "not yet" */
    struct weir_task task;
    struct weir_arena scratch;  /* of one hostcall */
};

extern const struct weir_wasm_host_ops wasm_host_ops;
/* What is implemented of the filter's message. */
extern const struct weir_supported_fields weir_wasm_filter_fields;

/* instance.c */
static inline bool wasm_is_canary(const struct weir_wasm_worker *ww)
{
    return ww->worker == NULL;
}
static inline void wasm_count(const struct weir_wasm_worker *ww, const struct weir_wasm_plugin *plugin, enum wasm_stat row)
{
    if (ww->worker) weir_stat_inc(ww->worker->stats, plugin->stats + (weir_stat)row);
}
static inline void wasm_uncount(const struct weir_wasm_worker *ww, const struct weir_wasm_plugin *plugin, enum wasm_stat row)
{
    if (ww->worker) weir_stat_dec(ww->worker->stats, plugin->stats + (weir_stat)row);
}
/** The plugin's root on this worker, ready for a stream; NULL while its VM is down (the failure policy decides). */
struct wasm_root *wasm_root_get(struct weir_wasm_worker *ww, struct weir_wasm_plugin *plugin);
void wasm_root_hold(struct wasm_root *root);
/** Gives a stream's or call's hold back; a retired root whose last stream this was ends. */
void wasm_root_release(struct wasm_root *root);
/** Calls the guest for `ctx` and sees to a failure. False: the VM has failed. */
bool wasm_call(struct wasm_context *ctx, enum weir_wasm_cb cb, const uint32_t *args, uint32_t *ret);
/** Worker hooks of a configured plugin; `arg` is the plugin. */
void wasm_plugin_start(struct weir_worker *worker, void *arg);
void wasm_plugin_stop(struct weir_worker *worker, void *arg);
/** Tries the plugin in a VM without effects on this thread. On failure false with the reason in `err`. */
bool wasm_canary(struct weir_wasm_plugin *plugin, struct weir_str *err);
void wasm_set_tick(struct wasm_root *root, uint32_t period_ms);
/** proxy_done. */
void wasm_root_done(struct wasm_root *root);
void wasm_worker_schedule(struct weir_wasm_worker *ww);

/* calls.c */
enum weir_wasm_status wasm_http_call(struct wasm_context *ctx, const struct weir_wasm_http_request *request, uint32_t *ret_token);
void wasm_calls_cancel(struct wasm_root *root);
/** Maps and body of the answer that is being delivered; NULL when none is. */
struct weir_headers *wasm_call_map(struct wasm_root *root, bool trailers);
struct weir_buf *wasm_call_body(struct wasm_root *root);

/** Makes the guest know a stream, connection or log entry: adds it to the root and calls on_context_create. */
bool wasm_context_make(struct wasm_context *ctx, enum wasm_kind kind, struct wasm_root *root);
/** on_done, on_delete; and the root's hold. */
void wasm_context_end(struct wasm_context *ctx);
/** Notes an effect for when the guest has returned. */
void wasm_context_want(struct wasm_context *ctx, enum wasm_effect effect);

/* wasm.c, net.c */
/** The failure policy for a stream or connection whose VM failed under it (not from inside its callbacks). */
void wasm_stream_vm_failed(struct wasm_stream *s);
void wasm_conn_vm_failed(struct wasm_conn *c);
/** Does what its guest asked for. */
void wasm_stream_flush(struct wasm_stream *s);
void wasm_conn_flush(struct wasm_conn *c);

/* properties.c, foreign.c */
enum weir_wasm_status wasm_property_get(struct weir_wasm_context *ctx, struct weir_slice path, struct weir_str *scratch,
                                        struct weir_slice *ret);
enum weir_wasm_status wasm_property_set(struct weir_wasm_context *ctx, struct weir_slice path, struct weir_slice value);
enum weir_wasm_status wasm_foreign(struct weir_wasm_context *ctx, struct weir_slice name, struct weir_slice args,
                                   struct weir_str *ret);

/* config.c */
/** What is implemented of PluginConfig. */
extern const struct weir_supported_fields wasm_plugin_fields;
/** Reads a PluginConfig and makes (or finds) the plugin; reports faults at `msg`. Returns a reference that the caller owns. */
WEIR_MUST_CHECK enum weir_err wasm_plugin_read(struct weir_conf_ctx *ctx, const void *plugin_config,
                                               struct weir_wasm_plugin **ret);

/* runtime.c */
struct weir_wasm_engine *wasm_runtime_engine(struct weir_wasm_runtime *runtime, struct weir_str *err);
/** Finds by key with a new reference, or NULL. */
struct wasm_spec *wasm_spec_find(struct weir_wasm_runtime *runtime, const uint8_t key[32]);
struct weir_wasm_plugin *wasm_plugin_find(struct weir_wasm_runtime *runtime, const uint8_t key[32]);
/** A living module with that content, with a new reference, or NULL. */
struct weir_wasm_module *wasm_module_find(struct weir_wasm_runtime *runtime, const uint8_t sha256[32]);
void wasm_spec_add(struct weir_wasm_runtime *runtime, struct wasm_spec *spec);
/** Gives it an id. */
void wasm_plugin_add(struct weir_wasm_runtime *runtime, struct weir_wasm_plugin *plugin);

#endif
