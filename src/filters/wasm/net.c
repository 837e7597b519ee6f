/* The network filter envoy.filters.network.wasm: bytes of a TCP connection on their way to and from the filters behind it.
 *
 *   on_new_connection  context_create, on_new_connection
 *   on_data, on_write  on_downstream_data, on_upstream_data
 *   on_close           on_downstream_connection_close, on_upstream_connection_close, on_done, on_log, on_delete
 *
 * A guest that fails costs its connection: FAIL_OPEN lets the bytes pass, else the connection is closed. */
#include "envoy/extensions/filters/network/wasm/v3/wasm.pb-c.h"
#include "filters/wasm/plugin.h"
#include "filters/wasm/wasm.h"

typedef Envoy__Extensions__Filters__Network__Wasm__V3__Wasm Wasm;

enum { PEER_UNKNOWN, PEER_LOCAL, PEER_REMOTE };

static void apply_policy(struct wasm_conn *c, const struct weir_wasm_plugin *plugin)
{
    if (c->bypass) return;
    c->bypass = true;
    c->ctx.effects = 0;
    weir_list_unlink(&c->ctx.pending);
    struct weir_wasm_worker *ww = c->f->down->worker->wasm;
    wasm_count(ww, plugin, plugin->fail_open ? WASM_STAT_failures_passed : WASM_STAT_failures_answered);
    if (!plugin->fail_open) weir_conn_close(&c->f->down->conn, WEIR_CONN_CLOSE_NOW);
}

void wasm_conn_vm_failed(struct wasm_conn *c)
{
    bool was_out = c->bypass;
    apply_policy(c, c->ctx.root->plugin);
    if (!was_out && c->ctx.root->plugin->fail_open) weir_net_filter_continue(c->f);
}

void wasm_conn_flush(struct wasm_conn *c)
{
    uint8_t effects = c->ctx.effects;
    c->ctx.effects = 0;
    weir_list_unlink(&c->ctx.pending);
    if (effects & WASM_CLOSE)
        weir_conn_close(&c->f->down->conn, WEIR_CONN_CLOSE_FLUSH);
    else if (effects & WASM_CONTINUE_DOWNSTREAM)
        weir_net_filter_continue(c->f);
}

static enum weir_net_verdict refused(const struct wasm_conn *c)
{
    return c->ctx.root && c->ctx.root->plugin->fail_open ? WEIR_NET_CONTINUE : WEIR_NET_STOP;
}

/* One callback. Its effects are done at the end of the turn: going on from inside the walk over the filters is not for here. */
static bool call(struct wasm_conn *c, enum weir_wasm_cb cb, const uint32_t *args, uint32_t *ret)
{
    if (wasm_call(&c->ctx, cb, args, ret)) return true;
    apply_policy(c, c->ctx.root->plugin);
    return false;
}

static enum weir_net_verdict on_new_connection(struct weir_net_filter *f)
{
    struct wasm_conn *c = f->state;
    union {
        const void *in;
        struct weir_wasm_plugin *out;
    } plugin = {.in = f->conf};
    struct weir_down *down = f->down;
    c->f = f;
    weir_arena_init(&c->arena, &down->worker->loop->arenas);
    c->info.conn = &down->info;
    c->info.remote = down->info.remote;
    c->info.start_ns = weir_loop_now_ns(down->worker->loop);
    c->info.start_wall_ns = down->worker->loop->wall_ns;
    struct wasm_root *root = wasm_root_get(down->worker->wasm, plugin.out);
    uint32_t action = 0;
    if (!root || !wasm_context_make(&c->ctx, WASM_NET, root)) {
        apply_policy(c, plugin.out);
        return plugin.out->fail_open ? WEIR_NET_CONTINUE : WEIR_NET_STOP;
    }
    if (!call(c, WEIR_WASM_CB_NEW_CONNECTION, (uint32_t[]){c->ctx.base.id}, &action)) return refused(c);
    return action == 0 ? WEIR_NET_CONTINUE : WEIR_NET_STOP;
}

static enum weir_net_verdict data_event(struct weir_net_filter *f, bool upstream, struct weir_buf *data, bool eof)
{
    struct wasm_conn *c = f->state;
    uint32_t action = 0;
    if (c->bypass || !c->ctx.made) return WEIR_NET_CONTINUE;
    c->data[upstream] = data;
    bool good = call(c, upstream ? WEIR_WASM_CB_UPSTREAM_DATA : WEIR_WASM_CB_DOWNSTREAM_DATA,
                     (uint32_t[]){c->ctx.base.id, (uint32_t)WEIR_MIN(data->len, (size_t)UINT32_MAX), eof}, &action);
    c->data[upstream] = NULL;
    if (!good) return refused(c);
    return action == 0 ? WEIR_NET_CONTINUE : WEIR_NET_STOP;
}

static enum weir_net_verdict on_data(struct weir_net_filter *f, struct weir_buf *data, bool eof)
{
    return data_event(f, false, data, eof);
}

static enum weir_net_verdict on_write(struct weir_net_filter *f, struct weir_buf *data, bool eof)
{
    return data_event(f, true, data, eof);
}

static void on_close(struct weir_net_filter *f, enum weir_conn_end end)
{
    struct wasm_conn *c = f->state;
    if (!c->f) return; /* closed before it came here */
    bool remote = end == WEIR_CONN_END_REMOTE || end == WEIR_CONN_END_RESET || f->down->conn.eof_seen; /* who began it */
    c->info.end_ns = weir_loop_now_ns(f->down->worker->loop);
    if (c->ctx.made) {
        uint32_t id = c->ctx.base.id;
        (void)(wasm_call(&c->ctx, WEIR_WASM_CB_DOWNSTREAM_CLOSE, (uint32_t[]){id, remote ? PEER_REMOTE : PEER_LOCAL}, NULL) &&
               wasm_call(&c->ctx, WEIR_WASM_CB_UPSTREAM_CLOSE, (uint32_t[]){id, PEER_UNKNOWN}, NULL) &&
               wasm_call(&c->ctx, WEIR_WASM_CB_LOG, (uint32_t[]){id}, NULL));
        c->bypass = true;
        wasm_context_end(&c->ctx);
    }
    weir_arena_fini(&c->arena);
}

static void release_plugin(void *arg)
{
    wasm_plugin_unref(arg);
}

static enum weir_err parse(struct weir_conf_ctx *ctx, const ProtobufCMessage *msg, void **ret_conf)
{
    const Wasm *wasm = (const Wasm *)msg;
    struct weir_wasm_plugin *plugin;
    if (!wasm->config) {
        weir_config_error(ctx->config, msg, "config", -1, "a Wasm filter needs its \"config\": name, vm_config with the code");
        return WEIR_ERR_INVALID;
    }
    enum weir_err err = wasm_plugin_read(ctx, wasm->config, &plugin);
    if (err != WEIR_OK) return err;
    weir_arena_on_end(ctx->arena, release_plugin, plugin);
    weir_conf_add_hook(ctx, wasm_plugin_start, wasm_plugin_stop, plugin);
    *ret_conf = plugin;
    return WEIR_OK;
}

static const struct weir_supported_field field_rows[] = {{.name = "config", .nested = &wasm_plugin_fields}};
static const struct weir_supported_fields fields =
    WEIR_SUPPORTED(envoy__extensions__filters__network__wasm__v3__wasm__descriptor, field_rows);

const struct weir_net_filter_ops weir_net_filter_wasm = {
    .name = "envoy.filters.network.wasm",
    .type = "envoy.extensions.filters.network.wasm.v3.Wasm",
    .fields = &fields,
    .conn_size = sizeof(struct wasm_conn),
    .parse = parse,
    .on_new_connection = on_new_connection,
    .on_data = on_data,
    .on_write = on_write,
    .on_close = on_close,
};
