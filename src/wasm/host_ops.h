/* What the engine needs from the proxy around it: one struct of functions that filters/wasm (or a test) supplies. The
 * functions run inside a guest's call and must not call into any VM; what would (going on with a stream, answering it)
 * they note and do after the outermost guest call has returned. Slices that they are given point into guest memory and
 * are valid until they return; slices that they give must be valid until the hostcall has returned. */
#ifndef WEIR_WASM_HOST_OPS_H
#define WEIR_WASM_HOST_OPS_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"
#include "wasm/abi.h"

struct weir_vm;
struct weir_wasm_context;
struct weir_wasm_queue_owner; /* shared.h */

struct weir_wasm_pair {
    struct weir_slice name, value;
};
/** Pairs in memory of any shape: `n` elements, `stride` bytes apart, each beginning as a struct weir_wasm_pair does. */
struct weir_wasm_pairs {
    const void *first;
    size_t stride;
    uint32_t n;
};
static inline const struct weir_wasm_pair *weir_wasm_pair_at(const struct weir_wasm_pairs *pairs, uint32_t i)
{
    return (const struct weir_wasm_pair *)(const void *)((const char *)pairs->first + (size_t)i * pairs->stride);
}

/** Readable bytes: `bytes`, or what `head` holds followed by what `tail` holds (each may be NULL). */
struct weir_wasm_bytes {
    struct weir_slice bytes;
    const struct weir_buf *head, *tail;
};

enum weir_wasm_edit { WEIR_WASM_EDIT_ADD, WEIR_WASM_EDIT_REPLACE, WEIR_WASM_EDIT_REMOVE };

struct weir_wasm_reply {
    uint32_t status;
    struct weir_slice details, body;
    struct weir_wasm_pairs headers;
    int32_t grpc_status; /* -1 = none */
};

struct weir_wasm_http_request {
    struct weir_slice upstream, body;
    struct weir_wasm_pairs headers, trailers;
    uint32_t timeout_ms;
};

struct weir_wasm_grpc_request {
    struct weir_slice service, service_name, method, message;
    struct weir_wasm_pairs metadata;
    uint32_t timeout_ms;
    bool stream;
};

/* `ctx` is the effective context: a stream's, a root's, or NULL while the module starts. Every function may be called with
 * every context and answers for those where it makes no sense. */
struct weir_wasm_host_ops {
    void (*log)(struct weir_vm *vm, struct weir_wasm_context *ctx, enum weir_wasm_log_level level, struct weir_slice message);
    enum weir_wasm_log_level (*log_level)(struct weir_vm *vm);
    int64_t (*wall_ns)(struct weir_vm *vm);
    uint64_t (*mono_ns)(struct weir_vm *vm);
    void (*random)(struct weir_vm *vm, void *out, size_t len);

    /** All pairs; NOT_FOUND when there is no such map now. */
    enum weir_wasm_status (*map_pairs)(struct weir_wasm_context *ctx, enum weir_wasm_map map, struct weir_wasm_pairs *ret);
    /** The first value; NOT_FOUND when the map or the name is absent. */
    enum weir_wasm_status (*map_get)(struct weir_wasm_context *ctx, enum weir_wasm_map map, struct weir_slice name,
                                     struct weir_slice *ret);
    enum weir_wasm_status (*map_edit)(struct weir_wasm_context *ctx, enum weir_wasm_map map, enum weir_wasm_edit edit,
                                      struct weir_slice name, struct weir_slice value);
    enum weir_wasm_status (*map_set)(struct weir_wasm_context *ctx, enum weir_wasm_map map, const struct weir_wasm_pairs *pairs);

    /** NOT_FOUND when there is no such buffer now. */
    enum weir_wasm_status (*buffer)(struct weir_wasm_context *ctx, enum weir_wasm_buffer_type type, struct weir_wasm_bytes *ret);
    /** The same bytes in one buffer that may be changed, or NULL. */
    struct weir_buf *(*buffer_writable)(struct weir_wasm_context *ctx, enum weir_wasm_buffer_type type);

    /** `path`: segments with NUL between them. `*ret` may point into `scratch`. */
    enum weir_wasm_status (*property_get)(struct weir_wasm_context *ctx, struct weir_slice path, struct weir_str *scratch,
                                          struct weir_slice *ret);
    enum weir_wasm_status (*property_set)(struct weir_wasm_context *ctx, struct weir_slice path, struct weir_slice value);

    enum weir_wasm_status (*local_reply)(struct weir_wasm_context *ctx, const struct weir_wasm_reply *reply);
    enum weir_wasm_status (*continue_stream)(struct weir_wasm_context *ctx, enum weir_wasm_stream_type type);
    enum weir_wasm_status (*close_stream)(struct weir_wasm_context *ctx, enum weir_wasm_stream_type type);
    enum weir_wasm_status (*clear_route_cache)(struct weir_wasm_context *ctx);

    enum weir_wasm_status (*http_call)(struct weir_wasm_context *ctx, const struct weir_wasm_http_request *request,
                                       uint32_t *ret_token);
    enum weir_wasm_status (*grpc_call)(struct weir_wasm_context *ctx, const struct weir_wasm_grpc_request *request,
                                       uint32_t *ret_token);
    enum weir_wasm_status (*grpc_send)(struct weir_wasm_context *ctx, uint32_t token, struct weir_slice message, bool end);
    /** Half-close (`cancel` false) or reset. */
    enum weir_wasm_status (*grpc_close)(struct weir_wasm_context *ctx, uint32_t token, bool cancel);
    /** Code and message of the last call that failed. */
    enum weir_wasm_status (*status)(struct weir_wasm_context *ctx, uint32_t *ret_code, struct weir_slice *ret_message);

    /** 0 = stop. Applies to the context's root. */
    enum weir_wasm_status (*set_tick)(struct weir_wasm_context *ctx, uint32_t period_ms);
    enum weir_wasm_status (*done)(struct weir_wasm_context *ctx);
    enum weir_wasm_status (*foreign)(struct weir_wasm_context *ctx, struct weir_slice name, struct weir_slice args,
                                     struct weir_str *ret);
    /** Where the root of `ctx` hears of items in its queues; false: nowhere. */
    bool (*queue_owner)(struct weir_wasm_context *ctx, struct weir_wasm_queue_owner *ret);
};

#endif
