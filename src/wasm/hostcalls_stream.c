/* What a guest does to its stream: answer it, go on with it, end it. All of it happens after the guest has returned. */
#include "wasm/hostcalls.h"
#include "wasm/limits.h"

static uint32_t call_send_local_response(struct weir_call *c)
{
    struct weir_wasm_reply reply = {.status = weir_arg(c, 0), .grpc_status = (int32_t)weir_arg(c, 7)};
    struct weir_slice headers;
    if (!weir_guest_arg_slice(c, 1, &reply.details) || !weir_guest_arg_slice(c, 3, &reply.body) ||
        !weir_guest_arg_slice(c, 5, &headers))
        return WEIR_WASM_INVALID_MEMORY_ACCESS;
    /* The body, which guests make large, is cut; the status must stay OK for Rust. */
    reply.body = weir_slice_first(reply.body, WEIR_WASM_CALL_BODY_MAX);
    reply.details = weir_slice_first(reply.details, 256);
    if (reply.grpc_status < 0 || reply.grpc_status > 16) reply.grpc_status = -1;
    weir_guest_read_pairs(c, headers, &reply.headers);
    return c->host->local_reply(c->ctx, &reply);
}

static uint32_t call_continue_stream(struct weir_call *c)
{
    uint32_t type = weir_arg(c, 0);
    if (type >= WEIR_WASM_STREAM_COUNT) return WEIR_WASM_BAD_ARGUMENT;
    return c->host->continue_stream(c->ctx, (enum weir_wasm_stream_type)type);
}

static uint32_t call_close_stream(struct weir_call *c)
{
    uint32_t type = weir_arg(c, 0);
    if (type >= WEIR_WASM_STREAM_COUNT) return WEIR_WASM_BAD_ARGUMENT;
    return c->host->close_stream(c->ctx, (enum weir_wasm_stream_type)type);
}

static uint32_t call_continue_request(struct weir_call *c)
{
    return c->host->continue_stream(c->ctx, WEIR_WASM_STREAM_REQUEST);
}

static uint32_t call_continue_response(struct weir_call *c)
{
    return c->host->continue_stream(c->ctx, WEIR_WASM_STREAM_RESPONSE);
}

static uint32_t call_clear_route_cache(struct weir_call *c)
{
    return c->host->clear_route_cache(c->ctx);
}

static const struct weir_hostcall rows[] = {
    {"proxy_send_local_response", "iiiiiiii:i", call_send_local_response, 0, WEIR_WASM_OK},
    {"proxy_continue_stream", "i:i", call_continue_stream, 0, WEIR_WASM_OK},
    {"proxy_close_stream", "i:i", call_close_stream, 0, WEIR_WASM_OK},
    {"proxy_continue_request", ":i", call_continue_request, 0, WEIR_WASM_OK},
    {"proxy_continue_response", ":i", call_continue_response, 0, WEIR_WASM_OK},
    {"proxy_clear_route_cache", ":i", call_clear_route_cache, 0, WEIR_WASM_OK},
};
const struct weir_hostcall_table weir_hostcalls_stream = {rows, WEIR_COUNTOF(rows)};
