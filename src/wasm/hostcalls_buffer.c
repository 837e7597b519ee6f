/* Bodies, configurations and other runs of bytes. */
#include "wasm/hostcalls.h"
#include "wasm/limits.h"

static size_t bytes_len(const struct weir_wasm_bytes *bytes)
{
    if (!bytes->head && !bytes->tail) return bytes->bytes.len;
    return (bytes->head ? bytes->head->len : 0) + (bytes->tail ? bytes->tail->len : 0);
}

static uint32_t call_get_bytes(struct weir_call *c)
{
    uint32_t type = weir_arg(c, 0), start = weir_arg(c, 1), max = weir_arg(c, 2);
    struct weir_wasm_bytes bytes = {0};
    if (type >= WEIR_WASM_BUFFER_COUNT) return WEIR_WASM_BAD_ARGUMENT;
    enum weir_wasm_status status = c->host->buffer(c->ctx, (enum weir_wasm_buffer_type)type, &bytes);
    if (status != WEIR_WASM_OK) return status;
    size_t len = bytes_len(&bytes);
    /* Rust asks for u32::MAX bytes, Go for MaxInt32: no sum of start and max. Past the end: nothing, and OK. */
    size_t n = start >= len ? 0 : WEIR_MIN(len - start, (size_t)max);
    return weir_guest_return_bytes(c, &bytes, start, n, 3);
}

static uint32_t call_get_status(struct weir_call *c)
{
    uint32_t type = weir_arg(c, 0);
    struct weir_wasm_bytes bytes = {0};
    if (type >= WEIR_WASM_BUFFER_COUNT) return WEIR_WASM_BAD_ARGUMENT;
    enum weir_wasm_status status = c->host->buffer(c->ctx, (enum weir_wasm_buffer_type)type, &bytes);
    if (status != WEIR_WASM_OK) return status;
    uint32_t len = (uint32_t)WEIR_MIN(bytes_len(&bytes), (size_t)UINT32_MAX);
    /* The flags are 0 always, as in Envoy. */
    return weir_guest_put_u32(c, weir_arg(c, 1), len) && weir_guest_put_u32(c, weir_arg(c, 2), 0)
               ? WEIR_WASM_OK
               : WEIR_WASM_INVALID_MEMORY_ACCESS;
}

/* Replaces `len` bytes from `start` by `data`. */
static void splice(struct weir_buf *buf, size_t start, size_t len, struct weir_slice data)
{
    if (start >= buf->len) {
        weir_buf_add(buf, data);
        return;
    }
    struct weir_buf front;
    weir_buf_init(&front, buf->pool);
    weir_buf_move_some(&front, buf, start);
    weir_buf_drain(buf, WEIR_MIN(len, buf->len));
    if (data.len > 0) weir_buf_add(&front, data);
    weir_buf_move(&front, buf);
    weir_buf_move(buf, &front);
    weir_buf_clear(&front);
}

static uint32_t call_set_bytes(struct weir_call *c)
{
    uint32_t type = weir_arg(c, 0);
    struct weir_slice data;
    if (type >= WEIR_WASM_BUFFER_COUNT) return WEIR_WASM_BAD_ARGUMENT;
    if (!weir_guest_arg_slice(c, 3, &data)) return WEIR_WASM_INVALID_MEMORY_ACCESS;
    struct weir_buf *buf = c->host->buffer_writable(c->ctx, (enum weir_wasm_buffer_type)type);
    if (!buf || buf->len + data.len > WEIR_WASM_BODY_MAX) return WEIR_WASM_BAD_ARGUMENT;
    splice(buf, weir_arg(c, 1), weir_arg(c, 2), data);
    return WEIR_WASM_OK;
}

/* 0.1.0: the plugin's configuration, or the VM's while on_vm_start runs (cpp-host: Context::getConfiguration). */
static uint32_t call_get_configuration(struct weir_call *c)
{
    enum weir_wasm_buffer_type type =
        c->vm->running == WEIR_WASM_CB_VM_START ? WEIR_WASM_BUFFER_VM_CONF : WEIR_WASM_BUFFER_PLUGIN_CONF;
    struct weir_wasm_bytes bytes = {0};
    (void)c->host->buffer(c->ctx, type, &bytes);
    return weir_guest_return_bytes(c, &bytes, 0, bytes_len(&bytes), 0);
}

static const struct weir_hostcall rows[] = {
    {"proxy_get_buffer_bytes", "iiiii:i", call_get_bytes, 0, WEIR_WASM_NOT_FOUND},
    {"proxy_get_buffer_status", "iii:i", call_get_status, 0, WEIR_WASM_NOT_FOUND},
    {"proxy_set_buffer_bytes", "iiiii:i", call_set_bytes, 0, WEIR_WASM_OK},
    {"proxy_get_configuration", "ii:i", call_get_configuration, 0, WEIR_WASM_OK},
};
const struct weir_hostcall_table weir_hostcalls_buffer = {rows, WEIR_COUNTOF(rows)};
