/* The smallest useful filter: one header on every response. */
#include <proxy_wasm.h>

static pw_headers_action on_response(pw_ctx *stream, uint32_t n_headers, bool end)
{
    (void)stream, (void)n_headers, (void)end;
    pw_header_add(PW_RESPONSE_HEADERS, PW_S("x-hello"), PW_S("from C"));
    return PW_CONTINUE;
}

PW_FILTER(0, 0)
PW_ON_RESPONSE_HEADERS(on_response)
