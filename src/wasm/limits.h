/* What a guest may ask of its host. Each limit has a reason and, where Envoy has one, Envoy's value. */
#ifndef WEIR_WASM_LIMITS_H
#define WEIR_WASM_LIMITS_H

/* Linear memory of one VM unless the process or the plugin says otherwise. Envoy: 1 GiB, constant. A Go filter starts
 * with 2.4 MB, the largest filters in the field (coraza with its rules, ai-proxy) hold 24 to 96 MB. */
#define WEIR_WASM_MEMORY_MAX (256u << 20)
/* Elements of a table. The largest real modules have some 20,000 functions in theirs. */
#define WEIR_WASM_TABLE_MAX 1000000u
/* Native stack that a guest may use. A worker's stack must be larger by what the host needs (server: 8 MiB threads). */
#define WEIR_WASM_STACK_MAX (1u << 20)
/* A module file. */
#define WEIR_WASM_MODULE_MAX (128u << 20)
/* CPU time of one callback. Envoy: none (one endless loop stops a worker for good). */
#define WEIR_WASM_DEADLINE_MS 50u
/* Of _initialize, on_vm_start and on_configure, which parse rules and build tables. */
#define WEIR_WASM_START_DEADLINE_MS 1000u
/* How often running guests are looked at: the coarseness of deadlines. */
#define WEIR_WASM_EPOCH_MS 5u
/* One log line; the rest is cut. */
#define WEIR_WASM_LOG_LINE_MAX 16384u
/* Header maps that a guest hands over (Envoy: pairs_util.cc, 1 MiB and 1024 pairs). */
#define WEIR_WASM_PAIRS_MAX 1024u
#define WEIR_WASM_PAIRS_BYTES_MAX (1u << 20)
/* A body that a guest has lengthened. */
#define WEIR_WASM_BODY_MAX (64u << 20)
/* Body of a call that a guest makes, of a local reply, a queue item, a shared value. */
#define WEIR_WASM_CALL_BODY_MAX (16u << 20)
/* Calls in flight of one VM. */
#define WEIR_WASM_CALLS_MAX 4096u
/* Metrics that one VM may define; metrics are never freed (Envoy: none). */
#define WEIR_WASM_METRICS_MAX 10000u
#define WEIR_WASM_METRIC_NAME_MAX 512u
/* Shared data of one vm_id, and of the process. */
#define WEIR_WASM_SHARED_BYTES_MAX (64u << 20)
#define WEIR_WASM_SHARED_ENTRIES_MAX 100000u
/* Shared queues of the process, items of one queue and bytes of one queue. */
#define WEIR_WASM_QUEUES_MAX 4096u
#define WEIR_WASM_QUEUE_ITEMS_MAX 65536u
#define WEIR_WASM_QUEUE_BYTES_MAX (16u << 20)
/* Properties that a stream's guests set (filter state). */
#define WEIR_WASM_PROPERTY_BYTES_MAX (256u << 10)
/* random_get (Envoy: 64 KiB). */
#define WEIR_WASM_RANDOM_MAX 65536u
/* Shortest tick. Envoy: none, so 1 ms. */
#define WEIR_WASM_TICK_MS_MIN 1u
/* Replacements of a VM that failed: so many at once, and as many again a second; beyond that reload_config's back-off. One
 * replacement of a Go filter costs 1.3 ms. */
#define WEIR_WASM_RESTART_BURST 20u
/* How long a root may take from on_done to proxy_done when its plugin has left the configuration (Envoy: for ever). */
#define WEIR_WASM_DONE_MS 10000u
/* Log lines a second and plugin instance; the rest is counted. */
#define WEIR_WASM_LOG_LINES_MAX 1000u

#endif
