/* The article's filter in C: fetches a token every 15 seconds and puts it, with a greeting, on every response. */
#include <proxy_wasm.h>

#define TICK_MS 15000

/* One a plugin, on each worker's VM. The token's bytes are kept here, so that a new token takes no more memory than the last. */
struct plugin {
    char token[4096];
    size_t len;
};

static void on_token(pw_ctx *root, void *arg, pw_call_result result)
{
    (void)arg;
    struct plugin *plugin = root->data;
    pw_str token = result.ok ? pw_header_get(PW_HTTP_CALL_HEADERS, PW_S("authorization")) : PW_NONE;
    if (!token.ptr || token.len > sizeof plugin->token) {
        pw_warn("the token API gave no token");
        return;
    }
    __builtin_memcpy(plugin->token, token.ptr, token.len);
    plugin->len = token.len;
}

static void on_tick(pw_ctx *root)
{
    pw_headers headers = PW_HEADERS({PW_S(":method"), PW_S("GET")}, {PW_S(":path"), PW_S("/auth")},
                                    {PW_S(":authority"), PW_S("some_authority")}, {PW_S("accept"), PW_S("*/*")});
    if (pw_http_call(root, PW_S("my_custom_svc"), headers, PW_NONE, 5000, on_token, NULL) != PW_OK)
        pw_error("the call to the token API could not be made");
}

static bool on_configure(pw_ctx *root, pw_str configuration)
{
    (void)root, (void)configuration;
    return pw_set_tick(TICK_MS) == PW_OK;
}

static pw_headers_action on_response(pw_ctx *stream, uint32_t n_headers, bool end)
{
    (void)n_headers, (void)end;
    const struct plugin *plugin = stream->root->data;
    pw_header_add(PW_RESPONSE_HEADERS, PW_S("x-wasm-filter"), PW_S("hello from wasm"));
    pw_header_add(PW_RESPONSE_HEADERS, PW_S("x-auth"), (pw_str){plugin->token, plugin->len});
    return PW_CONTINUE;
}

PW_FILTER(sizeof(struct plugin), 0)
PW_ON_CONFIGURE(on_configure)
PW_ON_TICK(on_tick)
PW_ON_RESPONSE_HEADERS(on_response)
