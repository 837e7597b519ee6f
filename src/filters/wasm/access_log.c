/* The access logger envoy.access_loggers.wasm: each finished request is a context of its own that lives for proxy_on_log. */
#include "envoy/extensions/access_loggers/wasm/v3/wasm.pb-c.h"
#include "filters/wasm/plugin.h"
#include "filters/wasm/wasm.h"

typedef Envoy__Extensions__AccessLoggers__Wasm__V3__WasmAccessLog WasmAccessLog;

static void log_entry(const void *conf, const struct weir_log_context *context)
{
    union {
        const void *in;
        struct weir_wasm_plugin *out;
    } plugin = {.in = conf};
    struct wasm_root *root = wasm_root_get(context->worker->wasm, plugin.out);
    if (!root) return; /* its VM is down: the entry is lost, and counted there */
    struct wasm_entry entry = {.log = context};
    if (wasm_context_make(&entry.ctx, WASM_LOG, root))
        (void)wasm_call(&entry.ctx, WEIR_WASM_CB_LOG, (uint32_t[]){entry.ctx.base.id}, NULL);
    wasm_context_end(&entry.ctx);
}

static void release_plugin(void *arg)
{
    wasm_plugin_unref(arg);
}

static enum weir_err parse(struct weir_conf_ctx *ctx, const ProtobufCMessage *msg, void **ret_conf)
{
    const WasmAccessLog *wasm = (const WasmAccessLog *)msg;
    struct weir_wasm_plugin *plugin;
    if (!wasm->config) {
        weir_config_error(ctx->config, msg, "config", -1, "a Wasm access logger needs its \"config\": name, vm_config with the code");
        return WEIR_ERR_INVALID;
    }
    enum weir_err err = wasm_plugin_read(ctx, wasm->config, &plugin);
    if (err != WEIR_OK) return err;
    weir_arena_on_end(ctx->arena, release_plugin, plugin);
    weir_conf_add_hook(ctx, wasm_plugin_start, wasm_plugin_stop, plugin);
    *ret_conf = plugin;
    return WEIR_OK;
}

const struct weir_access_logger_ops weir_access_logger_wasm = {
    .name = "envoy.access_loggers.wasm",
    .type = "envoy.extensions.access_loggers.wasm.v3.WasmAccessLog",
    .parse = parse,
    .log = log_entry,
};
