/* HTTP calls that filters make (Envoy: AsyncClient): a stream without a downstream, through a chain of only the router.
 * Timeout and connection failure come back as the router's own 504 and 503 responses; a reset or a body over the limit as failure. */
#ifndef WEIR_PROXY_HTTP_CALL_H
#define WEIR_PROXY_HTTP_CALL_H

#include "proxy/worker.h"

/** Response bodies above this fail the call (Envoy: http.async_response_buffer_limit). */
#define WEIR_HTTP_CALL_BODY_MAX (32u << 20)

struct weir_http_call;
struct weir_http_call_ops {
    /** Complete. Headers, body, trailers (NULL = none) are valid during the call and until weir_http_call_free. */
    void (*on_done)(struct weir_http_call *call, struct weir_headers *headers, struct weir_buf *body, struct weir_headers *trailers);
    /** Reset or over the limit; no response. */
    void (*on_failed)(struct weir_http_call *call, enum weir_reset reason);
};

/** Starts a call to `cluster` of this worker. `headers` must hold :method, :path, :authority; headers, body and trailers are copied.
 * Exactly one event follows, never before this returns, unless cancelled. WEIR_ERR_NOT_FOUND: no such cluster; INVALID: a missing
 * pseudo-header; NOT ready hosts come back as a 503 response. `*ret` is owned by the caller. */
WEIR_MUST_CHECK enum weir_err weir_http_call_start(struct weir_worker *worker, struct weir_slice cluster,
                                                   const struct weir_headers *headers, struct weir_slice body,
                                                   const struct weir_headers *trailers, uint64_t timeout_ms,
                                                   const struct weir_http_call_ops *ops, void *arg, struct weir_http_call **ret);
void *weir_http_call_arg(const struct weir_http_call *call);
/** Cancels if not done (no event follows) and frees. */
void weir_http_call_free(struct weir_http_call *call);

#endif
