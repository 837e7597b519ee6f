/* The Proxy-Wasm ABI (0.1.0, 0.2.0, 0.2.1) as numbers and tables: statuses, enumerations, the guest's exports. */
#ifndef WEIR_WASM_ABI_H
#define WEIR_WASM_ABI_H

#include <stdint.h>

enum weir_wasm_abi { WEIR_WASM_ABI_NONE, WEIR_WASM_ABI_0_1_0, WEIR_WASM_ABI_0_2_0, WEIR_WASM_ABI_0_2_1 };

enum weir_wasm_status {
    WEIR_WASM_OK,
    WEIR_WASM_NOT_FOUND,
    WEIR_WASM_BAD_ARGUMENT,
    WEIR_WASM_SERIALIZATION_FAILURE,
    WEIR_WASM_PARSE_FAILURE,
    WEIR_WASM_BAD_EXPRESSION,
    WEIR_WASM_INVALID_MEMORY_ACCESS,
    WEIR_WASM_EMPTY,
    WEIR_WASM_CAS_MISMATCH,
    WEIR_WASM_RESULT_MISMATCH,
    WEIR_WASM_INTERNAL_FAILURE,
    WEIR_WASM_BROKEN_CONNECTION,
    WEIR_WASM_UNIMPLEMENTED,
};

enum weir_wasm_log_level {
    WEIR_WASM_LOG_TRACE,
    WEIR_WASM_LOG_DEBUG,
    WEIR_WASM_LOG_INFO,
    WEIR_WASM_LOG_WARN,
    WEIR_WASM_LOG_ERROR,
    WEIR_WASM_LOG_CRITICAL,
    WEIR_WASM_LOG_COUNT,
};

enum weir_wasm_map {
    WEIR_WASM_MAP_REQUEST_HEADERS,
    WEIR_WASM_MAP_REQUEST_TRAILERS,
    WEIR_WASM_MAP_RESPONSE_HEADERS,
    WEIR_WASM_MAP_RESPONSE_TRAILERS,
    WEIR_WASM_MAP_GRPC_INITIAL,
    WEIR_WASM_MAP_GRPC_TRAILING,
    WEIR_WASM_MAP_CALL_HEADERS,
    WEIR_WASM_MAP_CALL_TRAILERS,
    WEIR_WASM_MAP_COUNT,
};

enum weir_wasm_buffer_type {
    WEIR_WASM_BUFFER_REQUEST_BODY,
    WEIR_WASM_BUFFER_RESPONSE_BODY,
    WEIR_WASM_BUFFER_DOWNSTREAM,
    WEIR_WASM_BUFFER_UPSTREAM,
    WEIR_WASM_BUFFER_CALL_BODY,
    WEIR_WASM_BUFFER_GRPC,
    WEIR_WASM_BUFFER_VM_CONF,
    WEIR_WASM_BUFFER_PLUGIN_CONF,
    WEIR_WASM_BUFFER_FOREIGN,
    WEIR_WASM_BUFFER_COUNT,
};

enum weir_wasm_stream_type {
    WEIR_WASM_STREAM_REQUEST,
    WEIR_WASM_STREAM_RESPONSE,
    WEIR_WASM_STREAM_DOWNSTREAM,
    WEIR_WASM_STREAM_UPSTREAM,
    WEIR_WASM_STREAM_COUNT,
};

enum weir_wasm_metric {
    WEIR_WASM_COUNTER,
    WEIR_WASM_GAUGE,
    WEIR_WASM_HISTOGRAM,
    WEIR_WASM_METRIC_COUNT,
};

/* What a guest's headers callback may answer; data and trailers callbacks have their own meaning of the numbers. */
enum weir_wasm_headers_action {
    WEIR_WASM_HEADERS_CONTINUE,
    WEIR_WASM_HEADERS_STOP,
    WEIR_WASM_HEADERS_CONTINUE_END,
    WEIR_WASM_HEADERS_STOP_ALL_BUFFER,
    WEIR_WASM_HEADERS_STOP_ALL_WATERMARK,
};
enum weir_wasm_data_action {
    WEIR_WASM_DATA_CONTINUE,
    WEIR_WASM_DATA_STOP_BUFFER,
    WEIR_WASM_DATA_STOP_WATERMARK,
    WEIR_WASM_DATA_STOP_NO_BUFFER,
};

/* The guest's exports: id, name, least and most parameters (all i32), whether it answers an i32. Which shape a module has
 * is read from the export itself, never from the version it declares: old C++ and TinyGo modules declare 0.1.0 and take
 * the three parameters of 0.2.x. */
#define WEIR_WASM_CALLBACKS(X)                                                          \
    X(CONTEXT_CREATE, "proxy_on_context_create", 2, 2, false)                           \
    X(VM_START, "proxy_on_vm_start", 2, 2, true)                                        \
    X(VALIDATE, "proxy_validate_configuration", 2, 2, true)                             \
    X(CONFIGURE, "proxy_on_configure", 2, 2, true)                                      \
    X(TICK, "proxy_on_tick", 1, 1, false)                                               \
    X(QUEUE_READY, "proxy_on_queue_ready", 2, 2, false)                                 \
    X(FOREIGN_FUNCTION, "proxy_on_foreign_function", 3, 3, false)                       \
    X(NEW_CONNECTION, "proxy_on_new_connection", 1, 1, true)                            \
    X(DOWNSTREAM_DATA, "proxy_on_downstream_data", 3, 3, true)                          \
    X(UPSTREAM_DATA, "proxy_on_upstream_data", 3, 3, true)                              \
    X(DOWNSTREAM_CLOSE, "proxy_on_downstream_connection_close", 2, 2, false)            \
    X(UPSTREAM_CLOSE, "proxy_on_upstream_connection_close", 2, 2, false)                \
    X(REQUEST_HEADERS, "proxy_on_request_headers", 2, 3, true)                          \
    X(REQUEST_BODY, "proxy_on_request_body", 3, 3, true)                                \
    X(REQUEST_TRAILERS, "proxy_on_request_trailers", 2, 2, true)                        \
    X(REQUEST_METADATA, "proxy_on_request_metadata", 2, 2, true)                        \
    X(RESPONSE_HEADERS, "proxy_on_response_headers", 2, 3, true)                        \
    X(RESPONSE_BODY, "proxy_on_response_body", 3, 3, true)                              \
    X(RESPONSE_TRAILERS, "proxy_on_response_trailers", 2, 2, true)                      \
    X(RESPONSE_METADATA, "proxy_on_response_metadata", 2, 2, true)                      \
    X(HTTP_CALL_RESPONSE, "proxy_on_http_call_response", 5, 5, false)                   \
    X(GRPC_INITIAL_METADATA, "proxy_on_grpc_receive_initial_metadata", 3, 3, false)     \
    X(GRPC_RECEIVE, "proxy_on_grpc_receive", 3, 3, false)                               \
    X(GRPC_TRAILING_METADATA, "proxy_on_grpc_receive_trailing_metadata", 3, 3, false)   \
    X(GRPC_CLOSE, "proxy_on_grpc_close", 3, 3, false)                                   \
    X(DONE, "proxy_on_done", 1, 1, true)                                                \
    X(LOG, "proxy_on_log", 1, 1, false)                                                 \
    X(DELETE, "proxy_on_delete", 1, 1, false)                                           \
    X(INITIALIZE, "_initialize", 0, 0, false)                                           \
    X(START, "_start", 0, 0, false)                                                     \
    X(MAIN, "main", 2, 2, true)                                                         \
    X(MAIN_VOID, "__main_void", 0, 0, true)                                             \
    X(MEMORY_ALLOCATE, "proxy_on_memory_allocate", 1, 1, true)                          \
    X(MALLOC, "malloc", 1, 1, true)
enum weir_wasm_cb {
#define X(id, name, least, most, answers) WEIR_WASM_CB_##id,
    WEIR_WASM_CALLBACKS(X)
#undef X
    WEIR_WASM_CB_COUNT
};

/** "proxy_on_tick" …; "wasm start" for the module's start section (WEIR_WASM_CB_COUNT). */
const char *weir_wasm_cb_name(enum weir_wasm_cb cb);
const char *weir_wasm_abi_name(enum weir_wasm_abi abi);

#endif
