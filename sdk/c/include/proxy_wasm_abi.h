/* The Proxy-Wasm ABI 0.2.1 as C declarations: the host's functions and the enumerations, nothing else. proxy_wasm.h wraps all of it;
 * include this one only to call the host directly. Pointers that a host fills in ("ret_…") point to memory that the host took from
 * proxy_on_memory_allocate. */
#ifndef PROXY_WASM_ABI_H
#define PROXY_WASM_ABI_H

#include <stddef.h>
#include <stdint.h>

#define PW_IMPORT(name) __attribute__((import_module("env"), import_name(#name))) extern
#define PW_EXPORT(name) __attribute__((export_name(#name), used))

typedef enum {
    PW_OK = 0,
    PW_NOT_FOUND = 1,
    PW_BAD_ARGUMENT = 2,
    PW_SERIALIZATION_FAILURE = 3,
    PW_PARSE_FAILURE = 4,
    PW_BAD_EXPRESSION = 5,
    PW_INVALID_MEMORY_ACCESS = 6,
    PW_EMPTY = 7,
    PW_CAS_MISMATCH = 8,
    PW_RESULT_MISMATCH = 9,
    PW_INTERNAL_FAILURE = 10,
    PW_BROKEN_CONNECTION = 11,
    PW_UNIMPLEMENTED = 12,
} pw_status;

typedef enum { PW_TRACE, PW_DEBUG, PW_INFO, PW_WARN, PW_ERROR, PW_CRITICAL } pw_log_level;

/* What a headers callback answers. */
typedef enum {
    PW_CONTINUE = 0,
    PW_STOP = 1, /* hold headers, body and trailers until pw_continue_request / pw_continue_response */
} pw_headers_action;
/* What a body callback answers. */
typedef enum {
    PW_BODY_CONTINUE = 0,
    PW_BODY_BUFFER = 1,    /* keep it; the next call sees all that was kept */
    PW_BODY_WATERMARK = 2, /* the same, slowing the sender down instead of failing over the limit */
    PW_BODY_DROP = 3,      /* do not keep it */
} pw_body_action;

typedef enum {
    PW_REQUEST_HEADERS = 0,
    PW_REQUEST_TRAILERS = 1,
    PW_RESPONSE_HEADERS = 2,
    PW_RESPONSE_TRAILERS = 3,
    PW_GRPC_INITIAL_METADATA = 4,
    PW_GRPC_TRAILING_METADATA = 5,
    PW_HTTP_CALL_HEADERS = 6,
    PW_HTTP_CALL_TRAILERS = 7,
} pw_map;

typedef enum {
    PW_REQUEST_BODY = 0,
    PW_RESPONSE_BODY = 1,
    PW_DOWNSTREAM_DATA = 2,
    PW_UPSTREAM_DATA = 3,
    PW_HTTP_CALL_BODY = 4,
    PW_GRPC_MESSAGE = 5,
    PW_VM_CONFIGURATION = 6,
    PW_PLUGIN_CONFIGURATION = 7,
    PW_FOREIGN_CALL_DATA = 8,
} pw_buffer;

typedef enum { PW_STREAM_REQUEST, PW_STREAM_RESPONSE, PW_STREAM_DOWNSTREAM, PW_STREAM_UPSTREAM } pw_stream_type;
typedef enum { PW_COUNTER, PW_GAUGE, PW_HISTOGRAM } pw_metric_type;
typedef enum { PW_PEER_UNKNOWN, PW_PEER_LOCAL, PW_PEER_REMOTE } pw_peer;

/* clang-format off */
PW_IMPORT(proxy_log) pw_status proxy_log(pw_log_level level, const char *text, size_t len);
PW_IMPORT(proxy_get_log_level) pw_status proxy_get_log_level(pw_log_level *ret);
PW_IMPORT(proxy_get_current_time_nanoseconds) pw_status proxy_get_current_time_nanoseconds(uint64_t *ret);
PW_IMPORT(proxy_set_tick_period_milliseconds) pw_status proxy_set_tick_period_milliseconds(uint32_t ms);
PW_IMPORT(proxy_get_property) pw_status proxy_get_property(const char *path, size_t path_len, const char **ret, size_t *ret_len);
PW_IMPORT(proxy_set_property) pw_status proxy_set_property(const char *path, size_t path_len, const char *value, size_t len);
PW_IMPORT(proxy_get_status) pw_status proxy_get_status(uint32_t *ret_code, const char **ret, size_t *ret_len);
PW_IMPORT(proxy_continue_stream) pw_status proxy_continue_stream(pw_stream_type type);
PW_IMPORT(proxy_close_stream) pw_status proxy_close_stream(pw_stream_type type);
PW_IMPORT(proxy_send_local_response) pw_status proxy_send_local_response(uint32_t status, const char *details, size_t details_len,
    const char *body, size_t body_len, const char *headers, size_t headers_len, int32_t grpc_status);
PW_IMPORT(proxy_get_shared_data) pw_status proxy_get_shared_data(const char *key, size_t key_len, const char **ret, size_t *ret_len, uint32_t *ret_cas);
PW_IMPORT(proxy_set_shared_data) pw_status proxy_set_shared_data(const char *key, size_t key_len, const char *value, size_t len, uint32_t cas);
PW_IMPORT(proxy_register_shared_queue) pw_status proxy_register_shared_queue(const char *name, size_t len, uint32_t *ret);
PW_IMPORT(proxy_resolve_shared_queue) pw_status proxy_resolve_shared_queue(const char *vm_id, size_t vm_id_len, const char *name, size_t len, uint32_t *ret);
PW_IMPORT(proxy_dequeue_shared_queue) pw_status proxy_dequeue_shared_queue(uint32_t queue, const char **ret, size_t *ret_len);
PW_IMPORT(proxy_enqueue_shared_queue) pw_status proxy_enqueue_shared_queue(uint32_t queue, const char *value, size_t len);
PW_IMPORT(proxy_get_header_map_size) pw_status proxy_get_header_map_size(pw_map map, size_t *ret);
PW_IMPORT(proxy_get_header_map_pairs) pw_status proxy_get_header_map_pairs(pw_map map, const char **ret, size_t *ret_len);
PW_IMPORT(proxy_set_header_map_pairs) pw_status proxy_set_header_map_pairs(pw_map map, const char *pairs, size_t len);
PW_IMPORT(proxy_get_header_map_value) pw_status proxy_get_header_map_value(pw_map map, const char *key, size_t key_len, const char **ret, size_t *ret_len);
PW_IMPORT(proxy_add_header_map_value) pw_status proxy_add_header_map_value(pw_map map, const char *key, size_t key_len, const char *value, size_t len);
PW_IMPORT(proxy_replace_header_map_value) pw_status proxy_replace_header_map_value(pw_map map, const char *key, size_t key_len, const char *value, size_t len);
PW_IMPORT(proxy_remove_header_map_value) pw_status proxy_remove_header_map_value(pw_map map, const char *key, size_t key_len);
PW_IMPORT(proxy_get_buffer_bytes) pw_status proxy_get_buffer_bytes(pw_buffer buffer, size_t start, size_t len, const char **ret, size_t *ret_len);
PW_IMPORT(proxy_get_buffer_status) pw_status proxy_get_buffer_status(pw_buffer buffer, size_t *ret_len, uint32_t *ret_flags);
PW_IMPORT(proxy_set_buffer_bytes) pw_status proxy_set_buffer_bytes(pw_buffer buffer, size_t start, size_t len, const char *data, size_t data_len);
PW_IMPORT(proxy_http_call) pw_status proxy_http_call(const char *cluster, size_t cluster_len, const char *headers, size_t headers_len,
    const char *body, size_t body_len, const char *trailers, size_t trailers_len, uint32_t timeout_ms, uint32_t *ret_token);
PW_IMPORT(proxy_grpc_call) pw_status proxy_grpc_call(const char *cluster, size_t cluster_len, const char *service, size_t service_len,
    const char *method, size_t method_len, const char *metadata, size_t metadata_len, const char *message, size_t message_len,
    uint32_t timeout_ms, uint32_t *ret_token);
PW_IMPORT(proxy_grpc_stream) pw_status proxy_grpc_stream(const char *cluster, size_t cluster_len, const char *service, size_t service_len,
    const char *method, size_t method_len, const char *metadata, size_t metadata_len, uint32_t *ret_token);
PW_IMPORT(proxy_grpc_send) pw_status proxy_grpc_send(uint32_t token, const char *message, size_t len, uint32_t end_stream);
PW_IMPORT(proxy_grpc_cancel) pw_status proxy_grpc_cancel(uint32_t token);
PW_IMPORT(proxy_grpc_close) pw_status proxy_grpc_close(uint32_t token);
PW_IMPORT(proxy_define_metric) pw_status proxy_define_metric(pw_metric_type type, const char *name, size_t len, uint32_t *ret);
PW_IMPORT(proxy_increment_metric) pw_status proxy_increment_metric(uint32_t metric, int64_t offset);
PW_IMPORT(proxy_record_metric) pw_status proxy_record_metric(uint32_t metric, uint64_t value);
PW_IMPORT(proxy_get_metric) pw_status proxy_get_metric(uint32_t metric, uint64_t *ret);
PW_IMPORT(proxy_set_effective_context) pw_status proxy_set_effective_context(uint32_t context);
PW_IMPORT(proxy_done) pw_status proxy_done(void);
PW_IMPORT(proxy_call_foreign_function) pw_status proxy_call_foreign_function(const char *name, size_t name_len, const char *args, size_t len,
    const char **ret, size_t *ret_len);
/* clang-format on */

#endif
