/* gRPC calls and streams of guests. */
#include "wasm/hostcalls.h"
#include "wasm/limits.h"

static uint32_t start(struct weir_call *c, struct weir_wasm_grpc_request *request, struct weir_slice metadata, unsigned token_arg)
{
    if (!weir_guest_valid(c, weir_arg(c, token_arg), 4)) return WEIR_WASM_INVALID_MEMORY_ACCESS;
    weir_guest_read_pairs(c, metadata, &request->metadata);
    uint32_t token = 0;
    enum weir_wasm_status status = c->host->grpc_call(c->ctx, request, &token);
    if (status != WEIR_WASM_OK) return status;
    return weir_guest_put_u32(c, weir_arg(c, token_arg), token) ? WEIR_WASM_OK : WEIR_WASM_INVALID_MEMORY_ACCESS;
}

static uint32_t call_grpc_call(struct weir_call *c)
{
    struct weir_wasm_grpc_request request = {.timeout_ms = weir_arg(c, 10)};
    struct weir_slice metadata;
    if (!weir_guest_arg_slice(c, 0, &request.service) || !weir_guest_arg_slice(c, 2, &request.service_name) ||
        !weir_guest_arg_slice(c, 4, &request.method) || !weir_guest_arg_slice(c, 6, &metadata) ||
        !weir_guest_arg_slice(c, 8, &request.message))
        return WEIR_WASM_INVALID_MEMORY_ACCESS;
    if (request.message.len > WEIR_WASM_CALL_BODY_MAX) return WEIR_WASM_INTERNAL_FAILURE;
    return start(c, &request, metadata, 11);
}

static uint32_t call_grpc_stream(struct weir_call *c)
{
    struct weir_wasm_grpc_request request = {.stream = true};
    struct weir_slice metadata;
    if (!weir_guest_arg_slice(c, 0, &request.service) || !weir_guest_arg_slice(c, 2, &request.service_name) ||
        !weir_guest_arg_slice(c, 4, &request.method) || !weir_guest_arg_slice(c, 6, &metadata))
        return WEIR_WASM_INVALID_MEMORY_ACCESS;
    return start(c, &request, metadata, 8);
}

static uint32_t call_grpc_send(struct weir_call *c)
{
    struct weir_slice message;
    if (!weir_guest_arg_slice(c, 1, &message)) return WEIR_WASM_INVALID_MEMORY_ACCESS;
    if (message.len > WEIR_WASM_CALL_BODY_MAX) return WEIR_WASM_BAD_ARGUMENT;
    return c->host->grpc_send(c->ctx, weir_arg(c, 0), message, weir_arg(c, 3) != 0);
}

static uint32_t call_grpc_cancel(struct weir_call *c)
{
    return c->host->grpc_close(c->ctx, weir_arg(c, 0), true);
}

static uint32_t call_grpc_close(struct weir_call *c)
{
    return c->host->grpc_close(c->ctx, weir_arg(c, 0), false);
}

static const struct weir_hostcall rows[] = {
    {"proxy_grpc_call", "iiiiiiiiiiii:i", call_grpc_call, 0, WEIR_WASM_INTERNAL_FAILURE},
    {"proxy_grpc_stream", "iiiiiiiii:i", call_grpc_stream, 0, WEIR_WASM_INTERNAL_FAILURE},
    {"proxy_grpc_send", "iiii:i", call_grpc_send, 0, WEIR_WASM_NOT_FOUND},
    {"proxy_grpc_cancel", "i:i", call_grpc_cancel, 0, WEIR_WASM_NOT_FOUND},
    {"proxy_grpc_close", "i:i", call_grpc_close, 0, WEIR_WASM_NOT_FOUND},
};
const struct weir_hostcall_table weir_hostcalls_grpc = {rows, WEIR_COUNTOF(rows)};
