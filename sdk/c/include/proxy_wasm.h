/* Proxy-Wasm filters in C. One header, one small library, no other dependency: clang and wasm-ld are enough, no WASI, no libc.
 *
 *     #include <proxy_wasm.h>
 *
 *     static pw_headers_action on_response(pw_ctx *stream, uint32_t n_headers, bool end)
 *     {
 *         pw_header_add(PW_RESPONSE_HEADERS, PW_S("x-hello"), PW_S("from C"));
 *         return PW_CONTINUE;
 *     }
 *     PW_FILTER(0, 0)
 *     PW_ON_RESPONSE_HEADERS(on_response)
 *
 * A filter is a few functions. PW_FILTER says how much memory a plugin and a stream want of their own; each PW_ON_... line hands one
 * function to the host, and what is not named costs nothing. A `pw_ctx` is one plugin ("root") or one stream; `ctx->data` is its own
 * memory, zeroed. Everything that a function here returns lives in the context's arena: until the stream is deleted, or, for what a
 * root gets in a callback, until that callback returns (pw_keep makes it stay). */
#ifndef PROXY_WASM_H
#define PROXY_WASM_H

#include <stdbool.h>

#include "proxy_wasm_abi.h"

/* ---- byte strings ---- */

/** Bytes and their number; not NUL-terminated. {NULL, 0} = absent. */
typedef struct {
    const char *ptr;
    size_t len;
} pw_str;
#define PW_S(literal) ((pw_str){"" literal "", sizeof(literal) - 1})
#define PW_NONE ((pw_str){0, 0})
/** From a NUL-terminated string. */
pw_str pw_str_of(const char *text);
bool pw_eq(pw_str a, pw_str b);
/** ASCII case-insensitive. */
bool pw_eq_nocase(pw_str a, pw_str b);
bool pw_starts_with(pw_str s, pw_str prefix);
/** Position of `part` in `s` from `start` on, or -1. */
long pw_find(pw_str s, pw_str part, size_t start);
/** Bytes [start, end) of `s`, clipped. */
pw_str pw_sub(pw_str s, size_t start, size_t end);
/** Without white space at both ends. */
pw_str pw_trim(pw_str s);
/** A whole decimal number; false if it is none. */
bool pw_parse_u64(pw_str s, uint64_t *ret);

/* ---- contexts and memory ---- */

typedef struct pw_chunk pw_chunk;
/** Memory that goes together. */
typedef struct {
    pw_chunk *chunks;
    char *next, *end;
} pw_arena;

typedef struct pw_ctx pw_ctx;
struct pw_ctx {
    uint32_t id;
    pw_ctx *root;   /* the plugin; of a root: itself */
    void *data;     /* the filter's own, zeroed: PW_FILTER says how much */
    pw_arena arena; /* lives as long as the context */
    pw_ctx *next;
};

/** `size` bytes, zeroed, of the context's arena; NULL when the VM has no more memory. */
void *pw_alloc(pw_ctx *ctx, size_t size);
/** A copy that lives as long as `ctx`. */
pw_str pw_keep(pw_ctx *ctx, pw_str s);
/** Joins; in the memory of the running callback's context. Ends at the first absent string: pw_join(3, a, b, c). */
pw_str pw_join(unsigned n, ...);
/** A number in decimal, in the memory of the running callback's context. */
pw_str pw_u64(uint64_t value);

/* ---- log, time ---- */

void pw_log(pw_log_level level, pw_str text);
#define pw_info(literal) pw_log(PW_INFO, PW_S(literal))
#define pw_warn(literal) pw_log(PW_WARN, PW_S(literal))
#define pw_error(literal) pw_log(PW_ERROR, PW_S(literal))
/** Nanoseconds since 1970. */
uint64_t pw_now_ns(void);
/** Calls PW_ON_TICK every `ms` milliseconds on this VM (one a worker); 0 stops. */
pw_status pw_set_tick(uint32_t ms);

/* ---- headers ---- */

typedef struct {
    pw_str name, value;
} pw_header;
typedef struct {
    const pw_header *v;
    uint32_t n;
} pw_headers;

/** The first value of a name (lower-case; ":path", ":method", ":authority", ":status" too); absent if there is none. */
pw_str pw_header_get(pw_map map, pw_str name);
/** All fields in order. */
pw_headers pw_header_all(pw_map map);
pw_status pw_header_add(pw_map map, pw_str name, pw_str value);
/** Replaces all values of the name, or adds it. */
pw_status pw_header_set(pw_map map, pw_str name, pw_str value);
pw_status pw_header_remove(pw_map map, pw_str name);
/** Replaces the whole map. */
pw_status pw_header_set_all(pw_map map, pw_headers headers);
/** For literals: PW_HEADERS({PW_S("a"), PW_S("1")}, {PW_S("b"), PW_S("2")}) */
#define PW_HEADERS(...) \
    ((pw_headers){(const pw_header[]){__VA_ARGS__}, sizeof((const pw_header[]){__VA_ARGS__}) / sizeof(pw_header)})

/* ---- bodies and other buffers ---- */

/** Up to `len` bytes from `start` of a buffer; absent if there is none. */
pw_str pw_buffer_get(pw_buffer buffer, size_t start, size_t len);
size_t pw_buffer_size(pw_buffer buffer);
/** Replaces `len` bytes at `start`: (0, 0) prepends, (0, SIZE_MAX) replaces all, (size, 0) appends. */
pw_status pw_buffer_set(pw_buffer buffer, size_t start, size_t len, pw_str data);
/** The plugin's or VM's configuration. */
pw_str pw_configuration(pw_buffer which);

/* ---- the stream's course ---- */

/** Answers the request from here. Return PW_STOP (PW_BODY_BUFFER) from the callback. */
pw_status pw_respond(uint32_t status, pw_headers headers, pw_str body);
/** The same with response code details and a gRPC status (-1 = none). */
pw_status pw_respond_with(uint32_t status, pw_headers headers, pw_str body, pw_str details, int32_t grpc_status);
/** Goes on after PW_STOP, once the running callback has returned. */
pw_status pw_continue_request(pw_ctx *stream);
pw_status pw_continue_response(pw_ctx *stream);
/** Resets the stream or closes the connection. */
pw_status pw_close(pw_ctx *stream, pw_stream_type type);

/* ---- properties ---- */

/** A property by its path, its parts joined by '.': "source.address", "request.headers.host" … as raw bytes. A part that holds a '.'
 * itself is reached with pw_property_path. */
pw_str pw_property(pw_str dotted_path);
/** The same with parts separated by NUL bytes. */
pw_str pw_property_path(pw_str path);
/** A property that is a 64-bit number ("source.port", "request.size" …); false if there is none. */
bool pw_property_i64(pw_str dotted_path, int64_t *ret);
pw_status pw_property_set(pw_str path, pw_str value);

/* ---- calls out ---- */

/** What came back. `ok` is false when the call was reset: there is no response then. */
typedef struct {
    bool ok;
    uint32_t n_headers, n_trailers;
    size_t body_size;
} pw_call_result;
typedef void (*pw_call_fn)(pw_ctx *ctx, void *arg, pw_call_result result);

/** An HTTP request to a cluster. `headers` needs :method, :path and :authority. `fn(ctx, arg, …)` is called once, with the response in
 * PW_HTTP_CALL_HEADERS and PW_HTTP_CALL_BODY, unless `ctx` is deleted before. */
pw_status pw_http_call(pw_ctx *ctx, pw_str cluster, pw_headers headers, pw_str body, uint32_t timeout_ms, pw_call_fn fn, void *arg);

typedef enum { PW_GRPC_MESSAGE_EVENT, PW_GRPC_CLOSE_EVENT } pw_grpc_event;
typedef void (*pw_grpc_fn)(pw_ctx *ctx, void *arg, pw_grpc_event event, uint32_t status_or_size);
/** A unary gRPC call: one event follows, the message (PW_GRPC_MESSAGE buffer, its size) or the close (its status). */
pw_status pw_grpc_call(pw_ctx *ctx, pw_str cluster, pw_str service, pw_str method, pw_headers metadata, pw_str message,
                       uint32_t timeout_ms, pw_grpc_fn fn, void *arg);
/** A gRPC stream: messages come until the close. */
pw_status pw_grpc_stream(pw_ctx *ctx, pw_str cluster, pw_str service, pw_str method, pw_headers metadata, pw_grpc_fn fn, void *arg,
                         uint32_t *ret_token);
pw_status pw_grpc_send(uint32_t token, pw_str message, bool end_stream);

/* ---- data between VMs ---- */

/** The value of a key; absent if there is none. `*ret_cas` for pw_shared_set. */
pw_str pw_shared_get(pw_str key, uint32_t *ret_cas);
/** cas 0 sets always; else PW_CAS_MISMATCH when somebody was faster. */
pw_status pw_shared_set(pw_str key, pw_str value, uint32_t cas);
/** Adds to a number kept in shared data, safely between workers; returns the new value. */
uint64_t pw_shared_add(pw_str key, uint64_t n);
pw_status pw_queue_register(pw_str name, uint32_t *ret_queue);
pw_status pw_queue_find(pw_str vm_id, pw_str name, uint32_t *ret_queue);
pw_status pw_queue_push(uint32_t queue, pw_str value);
/** The next item; false when there is none. */
bool pw_queue_pop(uint32_t queue, pw_str *ret);

/* ---- metrics ---- */

uint32_t pw_metric(pw_metric_type type, pw_str name);
void pw_metric_add(uint32_t metric, int64_t n);
void pw_metric_record(uint32_t metric, uint64_t value);
uint64_t pw_metric_get(uint32_t metric);

/** A host's own function; absent result and the status when it fails. */
pw_status pw_foreign(pw_str name, pw_str args, pw_str *ret);

/* ---- declaring the filter ---- */

/** Once in a filter: the types (or 0) whose size plugins and streams get as ctx->data. */
#define PW_FILTER(root_bytes, stream_bytes)                 \
    const size_t pw_root_bytes = (root_bytes);              \
    const size_t pw_stream_bytes = (stream_bytes);

/* For the macros below: make the context current, and leave it again. */
pw_ctx *pw_enter(uint32_t id);
void pw_leave(pw_ctx *ctx);

#define PW_VOID_(fn_call, id)         \
    pw_ctx *ctx = pw_enter(id);       \
    if (ctx) fn_call;                 \
    pw_leave(ctx);
#define PW_VALUE_(fn_call, id, otherwise)                   \
    pw_ctx *ctx = pw_enter(id);                             \
    uint32_t answer = ctx ? (uint32_t)(fn_call) : otherwise; \
    pw_leave(ctx);                                          \
    return answer;

/** bool fn(pw_ctx *root): the VM starts. False refuses. */
#define PW_ON_START(fn)                                                                 \
    PW_EXPORT(proxy_on_vm_start) uint32_t proxy_on_vm_start(uint32_t id, uint32_t size) \
    {                                                                                   \
        (void)size;                                                                     \
        PW_VALUE_(fn(ctx), id, 0)                                                       \
    }
/** bool fn(pw_ctx *root, pw_str configuration): false refuses the configuration. */
#define PW_ON_CONFIGURE(fn)                                                             \
    PW_EXPORT(proxy_on_configure) uint32_t proxy_on_configure(uint32_t id, uint32_t size) \
    {                                                                                   \
        (void)size;                                                                     \
        PW_VALUE_(fn(ctx, pw_configuration(PW_PLUGIN_CONFIGURATION)), id, 0)            \
    }
/** void fn(pw_ctx *root) */
#define PW_ON_TICK(fn)                                                                  \
    PW_EXPORT(proxy_on_tick) void proxy_on_tick(uint32_t id) { PW_VOID_(fn(ctx), id) }
/** void fn(pw_ctx *root, uint32_t queue) */
#define PW_ON_QUEUE(fn)                                                                 \
    PW_EXPORT(proxy_on_queue_ready) void proxy_on_queue_ready(uint32_t id, uint32_t queue) { PW_VOID_(fn(ctx, queue), id) }
/** pw_headers_action fn(pw_ctx *stream, uint32_t n_headers, bool end_of_stream) */
#define PW_ON_REQUEST_HEADERS(fn)                                                       \
    PW_EXPORT(proxy_on_request_headers) uint32_t proxy_on_request_headers(uint32_t id, uint32_t n, uint32_t end) \
    {                                                                                   \
        PW_VALUE_(fn(ctx, n, end != 0), id, PW_CONTINUE)                                \
    }
#define PW_ON_RESPONSE_HEADERS(fn)                                                      \
    PW_EXPORT(proxy_on_response_headers) uint32_t proxy_on_response_headers(uint32_t id, uint32_t n, uint32_t end) \
    {                                                                                   \
        PW_VALUE_(fn(ctx, n, end != 0), id, PW_CONTINUE)                                \
    }
/** pw_body_action fn(pw_ctx *stream, size_t size, bool end_of_stream) */
#define PW_ON_REQUEST_BODY(fn)                                                          \
    PW_EXPORT(proxy_on_request_body) uint32_t proxy_on_request_body(uint32_t id, uint32_t size, uint32_t end) \
    {                                                                                   \
        PW_VALUE_(fn(ctx, size, end != 0), id, PW_BODY_CONTINUE)                        \
    }
#define PW_ON_RESPONSE_BODY(fn)                                                         \
    PW_EXPORT(proxy_on_response_body) uint32_t proxy_on_response_body(uint32_t id, uint32_t size, uint32_t end) \
    {                                                                                   \
        PW_VALUE_(fn(ctx, size, end != 0), id, PW_BODY_CONTINUE)                        \
    }
/** pw_headers_action fn(pw_ctx *stream, uint32_t n_trailers) */
#define PW_ON_REQUEST_TRAILERS(fn)                                                      \
    PW_EXPORT(proxy_on_request_trailers) uint32_t proxy_on_request_trailers(uint32_t id, uint32_t n) \
    {                                                                                   \
        PW_VALUE_(fn(ctx, n), id, PW_CONTINUE)                                          \
    }
#define PW_ON_RESPONSE_TRAILERS(fn)                                                     \
    PW_EXPORT(proxy_on_response_trailers) uint32_t proxy_on_response_trailers(uint32_t id, uint32_t n) \
    {                                                                                   \
        PW_VALUE_(fn(ctx, n), id, PW_CONTINUE)                                          \
    }
/** pw_headers_action fn(pw_ctx *connection): a TCP connection. */
#define PW_ON_NEW_CONNECTION(fn)                                                        \
    PW_EXPORT(proxy_on_new_connection) uint32_t proxy_on_new_connection(uint32_t id) { PW_VALUE_(fn(ctx), id, PW_CONTINUE) }
/** pw_headers_action fn(pw_ctx *connection, size_t size, bool end): bytes in PW_DOWNSTREAM_DATA / PW_UPSTREAM_DATA. */
#define PW_ON_DOWNSTREAM_DATA(fn)                                                       \
    PW_EXPORT(proxy_on_downstream_data) uint32_t proxy_on_downstream_data(uint32_t id, uint32_t size, uint32_t end) \
    {                                                                                   \
        PW_VALUE_(fn(ctx, size, end != 0), id, PW_CONTINUE)                             \
    }
#define PW_ON_UPSTREAM_DATA(fn)                                                         \
    PW_EXPORT(proxy_on_upstream_data) uint32_t proxy_on_upstream_data(uint32_t id, uint32_t size, uint32_t end) \
    {                                                                                   \
        PW_VALUE_(fn(ctx, size, end != 0), id, PW_CONTINUE)                             \
    }
/** void fn(pw_ctx *connection, pw_peer who) */
#define PW_ON_DOWNSTREAM_CLOSE(fn)                                                      \
    PW_EXPORT(proxy_on_downstream_connection_close) void proxy_on_downstream_connection_close(uint32_t id, uint32_t who) \
    {                                                                                   \
        PW_VOID_(fn(ctx, (pw_peer)who), id)                                             \
    }
#define PW_ON_UPSTREAM_CLOSE(fn)                                                        \
    PW_EXPORT(proxy_on_upstream_connection_close) void proxy_on_upstream_connection_close(uint32_t id, uint32_t who) \
    {                                                                                   \
        PW_VOID_(fn(ctx, (pw_peer)who), id)                                             \
    }
/** void fn(pw_ctx *stream): it is complete; its facts are in the properties. */
#define PW_ON_LOG(fn)                                                                   \
    PW_EXPORT(proxy_on_log) void proxy_on_log(uint32_t id) { PW_VOID_(fn(ctx), id) }
/** bool fn(pw_ctx *ctx): it is about to go. False for a root: wait for pw_done. */
#define PW_ON_DONE(fn)                                                                  \
    PW_EXPORT(proxy_on_done) uint32_t proxy_on_done(uint32_t id) { PW_VALUE_(fn(ctx), id, 1) }
/** A root that answered false to PW_ON_DONE is finished now. */
pw_status pw_done(void);

#endif
