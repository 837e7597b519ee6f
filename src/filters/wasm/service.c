/* envoy.bootstrap.wasm: a plugin without a stream, one a worker or (singleton) one on the main thread: what ticks, calls and listens to
 * queues on behalf of others. Unlike in Envoy it is replaced when its VM fails, and follows a reload. */
#include "envoy/extensions/wasm/v3/wasm.pb-c.h"
#include "filters/wasm/plugin.h"
#include "filters/wasm/service.h"

typedef Envoy__Extensions__Wasm__V3__WasmService WasmService;

static void release(void *arg)
{
    wasm_plugin_unref(arg);
}

static enum weir_err parse(struct weir_conf_ctx *ctx, const ProtobufCMessage *msg, struct weir_service *ret)
{
    const WasmService *service = (const WasmService *)msg;
    struct weir_wasm_plugin *plugin;
    if (!service->config) {
        weir_config_error(ctx->config, msg, "config", -1, "a Wasm service needs its \"config\": name, vm_config with the code");
        return WEIR_ERR_INVALID;
    }
    enum weir_err err = wasm_plugin_read(ctx, service->config, &plugin);
    if (err != WEIR_OK) return err;
    *ret = (struct weir_service){wasm_plugin_start, wasm_plugin_stop, release, plugin, service->singleton};
    return WEIR_OK;
}

const struct weir_service_ops weir_service_wasm = {
    .name = "envoy.bootstrap.wasm",
    .type = "envoy.extensions.wasm.v3.WasmService",
    .parse = parse,
};
