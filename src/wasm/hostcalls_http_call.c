/* HTTP calls of guests. The call belongs to the root of the context that makes it. */
#include "wasm/hostcalls.h"
#include "wasm/limits.h"

static uint32_t call_http(struct weir_call *c)
{
    struct weir_wasm_http_request request = {.timeout_ms = weir_arg(c, 8)};
    struct weir_slice headers, trailers;
    if (!weir_guest_arg_slice(c, 0, &request.upstream) || !weir_guest_arg_slice(c, 2, &headers) ||
        !weir_guest_arg_slice(c, 4, &request.body) || !weir_guest_arg_slice(c, 6, &trailers) ||
        !weir_guest_valid(c, weir_arg(c, 9), 4))
        return WEIR_WASM_INVALID_MEMORY_ACCESS;
    if ((int32_t)request.timeout_ms < 0 || request.body.len > WEIR_WASM_CALL_BODY_MAX) return WEIR_WASM_BAD_ARGUMENT;
    weir_guest_read_pairs(c, headers, &request.headers);
    weir_guest_read_pairs_after(c, trailers, request.headers.n, &request.trailers);
    uint32_t token = 0;
    enum weir_wasm_status status = c->host->http_call(c->ctx, &request, &token);
    if (status != WEIR_WASM_OK) return status;
    return weir_guest_put_u32(c, weir_arg(c, 9), token) ? WEIR_WASM_OK : WEIR_WASM_INVALID_MEMORY_ACCESS;
}

static const struct weir_hostcall rows[] = {
    {"proxy_http_call", "iiiiiiiiii:i", call_http, 0, WEIR_WASM_INTERNAL_FAILURE},
};
const struct weir_hostcall_table weir_hostcalls_http_call = {rows, WEIR_COUNTOF(rows)};
