/* The host's own functions by name (Envoy: foreign.cc). Their arguments and results are protobuf messages or plain bytes. */
#include <zlib.h>

#include "base/log.h"
#include "filters/wasm/plugin.h"

static struct wasm_stream *stream_of(struct weir_wasm_context *ctx)
{
    if (!ctx) return NULL;
    struct wasm_context *context = WEIR_CONTAINER_OF(ctx, struct wasm_context, base);
    return context->kind == WASM_HTTP ? WEIR_CONTAINER_OF(context, struct wasm_stream, ctx) : NULL;
}

/* ---- the few protobuf fields that arguments have ---- */

struct field {
    uint32_t number;
    uint64_t value;          /* varint */
    struct weir_slice bytes; /* length-delimited */
};

static bool read_varint(struct weir_slice *rest, uint64_t *ret)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (rest->len == 0) return false;
        uint8_t byte = (uint8_t)rest->ptr[0];
        *rest = weir_slice_from(*rest, 1);
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *ret = value;
            return true;
        }
    }
    return false;
}

/* The next field; false at the end (rest empty) and for what is malformed or of another wire type. */
static bool next_field(struct weir_slice *rest, struct field *ret)
{
    uint64_t tag, len;
    if (rest->len == 0 || !read_varint(rest, &tag)) return false;
    *ret = (struct field){.number = (uint32_t)(tag >> 3)};
    if ((tag & 7) == 0) return read_varint(rest, &ret->value);
    if ((tag & 7) != 2 || !read_varint(rest, &len) || len > rest->len) return false;
    ret->bytes = weir_slice_first(*rest, len);
    *rest = weir_slice_from(*rest, len);
    return true;
}

/* ---- functions ---- */

static enum weir_wasm_status deflate_bytes(struct weir_wasm_context *ctx, struct weir_slice args, struct weir_str *ret)
{
    (void)ctx;
    z_stream z = {.next_in = (Bytef *)(uintptr_t)args.ptr, .avail_in = (uInt)args.len};
    if (args.len > WEIR_WASM_CALL_BODY_MAX || deflateInit(&z, Z_DEFAULT_COMPRESSION) != Z_OK) return WEIR_WASM_INTERNAL_FAILURE;
    char chunk[4096];
    int result;
    do {
        z.next_out = (Bytef *)chunk;
        z.avail_out = sizeof chunk;
        result = deflate(&z, Z_FINISH);
        weir_str_add(ret, weir_slice(chunk, sizeof chunk - z.avail_out));
    } while (result == Z_OK);
    (void)deflateEnd(&z);
    return result == Z_STREAM_END && !ret->overflow ? WEIR_WASM_OK : WEIR_WASM_SERIALIZATION_FAILURE;
}

static enum weir_wasm_status inflate_bytes(struct weir_wasm_context *ctx, struct weir_slice args, struct weir_str *ret)
{
    (void)ctx;
    z_stream z = {.next_in = (Bytef *)(uintptr_t)args.ptr, .avail_in = (uInt)args.len};
    if (args.len > WEIR_WASM_CALL_BODY_MAX || inflateInit(&z) != Z_OK) return WEIR_WASM_INTERNAL_FAILURE;
    char chunk[4096];
    int result;
    do {
        z.next_out = (Bytef *)chunk;
        z.avail_out = sizeof chunk;
        result = inflate(&z, Z_NO_FLUSH);
        weir_str_add(ret, weir_slice(chunk, sizeof chunk - z.avail_out));
    } while (result == Z_OK && !ret->overflow && (z.avail_in > 0 || z.avail_out == 0));
    (void)inflateEnd(&z);
    return result == Z_STREAM_END && !ret->overflow ? WEIR_WASM_OK : WEIR_WASM_SERIALIZATION_FAILURE;
}

static enum weir_wasm_status clear_route_cache(struct weir_wasm_context *ctx, struct weir_slice args, struct weir_str *ret)
{
    (void)args;
    (void)ret;
    return wasm_host_ops.clear_route_cache(ctx);
}

/* DeclarePropertyArguments{name 1, readonly 2, type 3, schema 4, span 5}: values are kept as the bytes that they are. */
static enum weir_wasm_status declare_property(struct weir_wasm_context *ctx, struct weir_slice args, struct weir_str *ret)
{
    (void)ctx;
    (void)ret;
    struct field field;
    bool named = false;
    while (next_field(&args, &field)) named |= field.number == 1 && field.bytes.len > 0;
    return named && args.len == 0 ? WEIR_WASM_OK : WEIR_WASM_BAD_ARGUMENT;
}

/* SetEnvoyFilterStateArguments{path 1, value 2, span 3}. */
static enum weir_wasm_status set_filter_state(struct weir_wasm_context *ctx, struct weir_slice args, struct weir_str *ret)
{
    (void)ret;
    struct wasm_stream *s = stream_of(ctx);
    struct weir_slice path = WEIR_S_NONE, value = WEIR_S("");
    struct field field;
    while (next_field(&args, &field)) {
        if (field.number == 1) path = field.bytes;
        if (field.number == 2) value = field.bytes;
    }
    if (args.len > 0 || path.len == 0) return WEIR_WASM_BAD_ARGUMENT;
    if (!s) return WEIR_WASM_NOT_FOUND;
    if (path.len + value.len > WEIR_WASM_PROPERTY_BYTES_MAX - s->ctx.property_bytes) return WEIR_WASM_INTERNAL_FAILURE;
    s->ctx.property_bytes += (uint32_t)(path.len + value.len);
    struct weir_stream *stream = s->f->stream;
    return weir_info_set_filter_state(&stream->info, &stream->arena, path, value, false) == WEIR_OK ? WEIR_WASM_OK
                                                                                                   : WEIR_WASM_BAD_ARGUMENT;
}

/* More than Envoy has: the ABI cannot take a value away again (spec#32). The argument is the key. */
static enum weir_wasm_status delete_shared_data(struct weir_wasm_context *ctx, struct weir_slice args, struct weir_str *ret)
{
    (void)ret;
    if (!ctx || !ctx->vm->opts->shared) return WEIR_WASM_NOT_FOUND;
    return weir_wasm_shared_delete(ctx->vm->opts->shared, ctx->vm->opts->vm_id, args);
}

static const struct {
    struct weir_slice name;
    enum weir_wasm_status (*fn)(struct weir_wasm_context *ctx, struct weir_slice args, struct weir_str *ret);
} functions[] = {
    {WEIR_S_INIT("compress"), deflate_bytes},
    {WEIR_S_INIT("uncompress"), inflate_bytes},
    {WEIR_S_INIT("clear_route_cache"), clear_route_cache},
    {WEIR_S_INIT("declare_property"), declare_property},
    {WEIR_S_INIT("set_envoy_filter_state"), set_filter_state},
    {WEIR_S_INIT("delete_shared_data"), delete_shared_data},
};

enum weir_wasm_status wasm_foreign(struct weir_wasm_context *ctx, struct weir_slice name, struct weir_slice args,
                                   struct weir_str *ret)
{
    for (size_t i = 0; i < WEIR_COUNTOF(functions); i++)
        if (weir_slice_eq(functions[i].name, name)) return functions[i].fn(ctx, args, ret);
    WEIR_LOG_LIMITED(WARN, WASM, "a guest calls the host function \"%.*s\", which does not exist here",
                     WEIR_SARG(weir_slice_first(name, 64)));
    return WEIR_WASM_NOT_FOUND;
}
