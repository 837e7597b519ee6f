/* See wasm_fake_host.h. */
#include "wasm_fake_host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/mem.h"
#include "wasm/hostcalls.h"

static struct weir_wasm_engine *engine;

static struct fake_host *host_of(struct weir_vm *vm)
{
    return vm->user;
}

static void fake_log(struct weir_vm *vm, struct weir_wasm_context *ctx, enum weir_wasm_log_level level, struct weir_slice message)
{
    (void)ctx;
    weir_str_printf(&host_of(vm)->log, "%d %.*s\n", (int)level, WEIR_SARG(message));
}

static enum weir_wasm_log_level fake_log_level(struct weir_vm *vm)
{
    (void)vm;
    return WEIR_WASM_LOG_WARN;
}

static int64_t fake_wall_ns(struct weir_vm *vm)
{
    (void)vm;
    return 1700000000000000001;
}

static uint64_t fake_mono_ns(struct weir_vm *vm)
{
    (void)vm;
    return 42;
}

static void fake_random(struct weir_vm *vm, void *out, size_t len)
{
    (void)vm;
    memset(out, 0x5a, len);
}

static struct fake_map *map_of(struct weir_wasm_context *ctx, enum weir_wasm_map map)
{
    if (!ctx) return NULL;
    struct fake_map *m = &host_of(ctx->vm)->maps[map];
    return m->present ? m : NULL;
}

static enum weir_wasm_status fake_map_pairs(struct weir_wasm_context *ctx, enum weir_wasm_map map, struct weir_wasm_pairs *ret)
{
    struct fake_map *m = map_of(ctx, map);
    if (!m) return WEIR_WASM_NOT_FOUND;
    *ret = (struct weir_wasm_pairs){m->pairs, sizeof m->pairs[0], m->n};
    return WEIR_WASM_OK;
}

static enum weir_wasm_status fake_map_get(struct weir_wasm_context *ctx, enum weir_wasm_map map, struct weir_slice name,
                                          struct weir_slice *ret)
{
    struct fake_map *m = map_of(ctx, map);
    for (uint32_t i = 0; m && i < m->n; i++)
        if (weir_slice_eq(m->pairs[i].name, name)) {
            *ret = m->pairs[i].value;
            return WEIR_WASM_OK;
        }
    return WEIR_WASM_NOT_FOUND;
}

static void remove_name(struct fake_map *m, struct weir_slice name)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < m->n; i++)
        if (!weir_slice_eq(m->pairs[i].name, name)) m->pairs[kept++] = m->pairs[i];
    m->n = kept;
}

static enum weir_wasm_status fake_map_edit(struct weir_wasm_context *ctx, enum weir_wasm_map map, enum weir_wasm_edit edit,
                                           struct weir_slice name, struct weir_slice value)
{
    struct fake_map *m = map_of(ctx, map);
    if (!m) return WEIR_WASM_OK;
    struct weir_arena *arena = &host_of(ctx->vm)->arena;
    if (edit != WEIR_WASM_EDIT_ADD) remove_name(m, name);
    if (edit != WEIR_WASM_EDIT_REMOVE && m->n < FAKE_PAIRS_MAX)
        m->pairs[m->n++] = (struct weir_wasm_pair){weir_arena_dup(arena, name), weir_arena_dup(arena, value)};
    return WEIR_WASM_OK;
}

static enum weir_wasm_status fake_map_set(struct weir_wasm_context *ctx, enum weir_wasm_map map, const struct weir_wasm_pairs *pairs)
{
    struct fake_map *m = map_of(ctx, map);
    if (!m) return WEIR_WASM_OK;
    m->n = 0;
    for (uint32_t i = 0; i < pairs->n; i++)
        (void)fake_map_edit(ctx, map, WEIR_WASM_EDIT_ADD, weir_wasm_pair_at(pairs, i)->name, weir_wasm_pair_at(pairs, i)->value);
    return WEIR_WASM_OK;
}

static enum weir_wasm_status fake_buffer(struct weir_wasm_context *ctx, enum weir_wasm_buffer_type type, struct weir_wasm_bytes *ret)
{
    struct fake_host *host = ctx ? host_of(ctx->vm) : NULL;
    if (!host || !host->has_buffer[type]) return WEIR_WASM_NOT_FOUND;
    *ret = (struct weir_wasm_bytes){.head = &host->buffers[type]};
    return WEIR_WASM_OK;
}

static struct weir_buf *fake_buffer_writable(struct weir_wasm_context *ctx, enum weir_wasm_buffer_type type)
{
    struct fake_host *host = ctx ? host_of(ctx->vm) : NULL;
    return host && host->has_buffer[type] && type <= WEIR_WASM_BUFFER_UPSTREAM ? &host->buffers[type] : NULL;
}

static enum weir_wasm_status fake_property_get(struct weir_wasm_context *ctx, struct weir_slice path, struct weir_str *scratch,
                                               struct weir_slice *ret)
{
    (void)ctx;
    if (weir_slice_eq(path, WEIR_S("empty"))) return WEIR_WASM_OK;
    if (!weir_slice_eq(path, WEIR_S("a\0b"))) return WEIR_WASM_NOT_FOUND;
    weir_str_adds(scratch, "property of a.b");
    *ret = weir_str_slice(scratch);
    return WEIR_WASM_OK;
}

static enum weir_wasm_status note(struct weir_wasm_context *ctx, const char *what, uint32_t arg)
{
    if (!ctx) return WEIR_WASM_BAD_ARGUMENT;
    struct fake_host *host = host_of(ctx->vm);
    host->last_ctx = ctx;
    weir_str_printf(&host->trace, "%s %u\n", what, arg);
    return WEIR_WASM_OK;
}

static enum weir_wasm_status fake_property_set(struct weir_wasm_context *ctx, struct weir_slice path, struct weir_slice value)
{
    (void)path;
    return note(ctx, "property_set", (uint32_t)value.len);
}

static enum weir_wasm_status fake_local_reply(struct weir_wasm_context *ctx, const struct weir_wasm_reply *reply)
{
    (void)note(ctx, "reply_headers", reply->headers.n);
    return note(ctx, "local_reply", reply->status);
}

static enum weir_wasm_status fake_continue(struct weir_wasm_context *ctx, enum weir_wasm_stream_type type)
{
    return note(ctx, "continue", type);
}

static enum weir_wasm_status fake_close(struct weir_wasm_context *ctx, enum weir_wasm_stream_type type)
{
    return note(ctx, "close", type);
}

static enum weir_wasm_status fake_clear_route_cache(struct weir_wasm_context *ctx)
{
    return note(ctx, "clear_route_cache", 0);
}

static enum weir_wasm_status fake_http_call(struct weir_wasm_context *ctx, const struct weir_wasm_http_request *request,
                                            uint32_t *ret_token)
{
    struct fake_host *host = host_of(ctx->vm);
    weir_str_printf(&host->trace, "http_call %.*s %u headers %u ms\n", WEIR_SARG(request->upstream), request->headers.n,
                    request->timeout_ms);
    *ret_token = weir_vm_new_token(ctx->vm);
    return host->call_status;
}

static enum weir_wasm_status fake_grpc_call(struct weir_wasm_context *ctx, const struct weir_wasm_grpc_request *request,
                                            uint32_t *ret_token)
{
    *ret_token = weir_vm_new_token(ctx->vm);
    return note(ctx, "grpc_call", request->stream);
}

static enum weir_wasm_status fake_grpc_send(struct weir_wasm_context *ctx, uint32_t token, struct weir_slice message, bool end)
{
    (void)message;
    (void)end;
    return note(ctx, "grpc_send", token);
}

static enum weir_wasm_status fake_grpc_close(struct weir_wasm_context *ctx, uint32_t token, bool cancel)
{
    (void)cancel;
    return note(ctx, "grpc_close", token);
}

static enum weir_wasm_status fake_status(struct weir_wasm_context *ctx, uint32_t *ret_code, struct weir_slice *ret_message)
{
    (void)ctx;
    *ret_code = 11;
    *ret_message = WEIR_S("reset");
    return WEIR_WASM_OK;
}

static enum weir_wasm_status fake_set_tick(struct weir_wasm_context *ctx, uint32_t period_ms)
{
    return note(ctx, "tick", period_ms);
}

static enum weir_wasm_status fake_done(struct weir_wasm_context *ctx)
{
    return note(ctx, "done", 0);
}

static enum weir_wasm_status fake_foreign(struct weir_wasm_context *ctx, struct weir_slice name, struct weir_slice args,
                                          struct weir_str *ret)
{
    (void)ctx;
    if (!weir_slice_eq(name, WEIR_S("echo"))) return WEIR_WASM_NOT_FOUND;
    weir_str_add(ret, args);
    return WEIR_WASM_OK;
}

static void fake_notify(void *arg, uint64_t vm_serial, uint32_t root_id, uint32_t queue)
{
    struct fake_host *host = arg;
    (void)vm_serial;
    (void)root_id;
    (void)queue;
    host->notified++;
}

static bool fake_queue_owner(struct weir_wasm_context *ctx, struct weir_wasm_queue_owner *ret)
{
    if (!ctx) return false;
    *ret = (struct weir_wasm_queue_owner){fake_notify, host_of(ctx->vm), ctx->vm->serial, ctx->root->id};
    return true;
}

const struct weir_wasm_host_ops fake_host_ops = {
    .log = fake_log,
    .log_level = fake_log_level,
    .wall_ns = fake_wall_ns,
    .mono_ns = fake_mono_ns,
    .random = fake_random,
    .map_pairs = fake_map_pairs,
    .map_get = fake_map_get,
    .map_edit = fake_map_edit,
    .map_set = fake_map_set,
    .buffer = fake_buffer,
    .buffer_writable = fake_buffer_writable,
    .property_get = fake_property_get,
    .property_set = fake_property_set,
    .local_reply = fake_local_reply,
    .continue_stream = fake_continue,
    .close_stream = fake_close,
    .clear_route_cache = fake_clear_route_cache,
    .http_call = fake_http_call,
    .grpc_call = fake_grpc_call,
    .grpc_send = fake_grpc_send,
    .grpc_close = fake_grpc_close,
    .status = fake_status,
    .set_tick = fake_set_tick,
    .done = fake_done,
    .foreign = fake_foreign,
    .queue_owner = fake_queue_owner,
};

void fake_host_init(struct fake_host *host)
{
    memset(host, 0, sizeof *host);
    weir_arena_init(&host->arena, NULL);
    weir_buf_pool_init(&host->pool, 8);
    for (int i = 0; i < WEIR_WASM_BUFFER_COUNT; i++) weir_buf_init(&host->buffers[i], &host->pool);
    weir_str_init(&host->log, 1 << 20);
    weir_str_init(&host->trace, 1 << 20);
    host->opts = (struct weir_vm_opts){
        .host = &fake_host_ops,
        .host_arg = host,
        .vm_id = WEIR_S("vm"),
        .memory_max = 64u << 20,
        .deadline_ms = WEIR_WASM_DEADLINE_MS,
        .start_deadline_ms = WEIR_WASM_START_DEADLINE_MS,
    };
}

void fake_host_fini(struct fake_host *host)
{
    for (int i = 0; i < WEIR_WASM_BUFFER_COUNT; i++) weir_buf_clear(&host->buffers[i]);
    weir_buf_pool_fini(&host->pool);
    weir_arena_fini(&host->arena);
    weir_str_fini(&host->log);
    weir_str_fini(&host->trace);
}

struct weir_wasm_engine *fake_engine(void)
{
    if (engine) return engine;
    struct weir_str err;
    weir_str_init(&err, 1024);
    struct weir_wasm_engine_opts opts = {.no_signals = true}; /* cmocka has handlers of its own */
    engine = weir_wasm_engine_new(&opts, &err);
    if (!engine) fail_msg("engine: %.*s", WEIR_SARG(weir_str_slice(&err)));
    weir_str_fini(&err);
    return engine;
}

void fake_engine_end(void)
{
    weir_wasm_engine_free(engine);
    engine = NULL;
}

struct weir_slice fake_assemble(struct weir_slice wat)
{
    char path[] = "/tmp/weir_test_XXXXXX";
    int fd = mkstemp(path);
    if (fd < 0) return WEIR_S_NONE;
    FILE *file = fdopen(fd, "w");
    (void)fwrite(wat.ptr, 1, wat.len, file);
    (void)fclose(file);
    char command[128];
    (void)snprintf(command, sizeof command, "wat2wasm --debug-names --output=- %s", path);
    FILE *in = popen(command, "r");
    struct weir_str out;
    weir_str_init(&out, WEIR_WASM_MODULE_MAX);
    static char chunk[65536];
    size_t n;
    while (in && (n = fread(chunk, 1, sizeof chunk, in)) > 0) weir_str_add(&out, weir_slice(chunk, n));
    bool good = in && pclose(in) == 0;
    (void)remove(path);
    if (good) return weir_str_slice(&out);
    weir_str_fini(&out);
    return WEIR_S_NONE;
}

void fake_free(struct weir_slice owned)
{
    union {
        const char *in;
        void *out;
    } ptr = {.in = owned.ptr};
    weir_free(ptr.out);
}

struct weir_wasm_module *fake_load(struct weir_slice wat)
{
    struct weir_slice code = fake_assemble(wat);
    if (!code.ptr) fail_msg("not a module: %.*s", WEIR_SARG(wat));
    struct weir_str err, warnings;
    weir_str_init(&err, 4096);
    weir_str_init(&warnings, 4096);
    struct weir_wasm_module *module = NULL;
    if (weir_wasm_module_load(fake_engine(), code, 64u << 20, &err, &warnings, &module) != WEIR_OK)
        fail_msg("%.*s", WEIR_SARG(weir_str_slice(&err)));
    weir_str_fini(&err);
    weir_str_fini(&warnings);
    fake_free(code);
    return module;
}

struct weir_vm *fake_vm(struct fake_host *host, struct weir_slice wat)
{
    struct weir_wasm_module *module = fake_load(wat);
    struct weir_str err;
    weir_str_init(&err, 4096);
    struct weir_vm *vm = NULL;
    if (weir_vm_new(module, &host->opts, &err, &vm) != WEIR_OK) fail_msg("%.*s", WEIR_SARG(weir_str_slice(&err)));
    weir_str_fini(&err);
    weir_wasm_module_unref(module);
    return vm;
}

char *fake_memory(struct weir_vm *vm, size_t *ret_size)
{
    if (ret_size) *ret_size = wasmtime_memory_data_size(vm->context, &vm->memory);
    return (char *)wasmtime_memory_data(vm->context, &vm->memory);
}

/* ---- the driver ---- */

static const struct weir_hostcall_table *const all_tables[] = {
    &weir_hostcalls_log,       &weir_hostcalls_headers, &weir_hostcalls_buffer,    &weir_hostcalls_property,
    &weir_hostcalls_stream,    &weir_hostcalls_context, &weir_hostcalls_http_call, &weir_hostcalls_grpc,
    &weir_hostcalls_metrics,   &weir_hostcalls_shared,  &weir_hostcalls_wasi,
};

const struct weir_hostcall *fake_row(size_t index)
{
    for (size_t t = 0; t < WEIR_COUNTOF(all_tables); t++) {
        if (index < all_tables[t]->n) return &all_tables[t]->rows[index];
        index -= all_tables[t]->n;
    }
    return NULL;
}

static void add_import(struct weir_str *out, const struct weir_hostcall *row, size_t index)
{
    const char *module = row->flags & WEIR_HOSTCALL_WASI ? "wasi_snapshot_preview1" : "env";
    weir_str_printf(out, "(import \"%s\" \"%s\" (func $import%zu", module, row->name, index);
    const char *type = row->type;
    for (; *type != ':'; type++) weir_str_printf(out, " (param %s)", *type == 'I' ? "i64" : "i32");
    if (type[1]) weir_str_adds(out, " (result i32)");
    weir_str_adds(out, "))\n");
}

static void add_thunk(struct weir_str *out, const struct weir_hostcall *row, size_t index)
{
    weir_str_printf(out, "(func $thunk%zu (result i32) (call $import%zu", index, index);
    const char *type = row->type;
    for (int i = 0; *type != ':'; type++, i++)
        weir_str_printf(out, " (%s.load (i32.const %d))", *type == 'I' ? "i64" : "i32", FAKE_ARGS + 8 * i);
    weir_str_adds(out, type[1] ? "))\n" : ") (i32.const 0))\n");
}

void fake_driver_wat(struct weir_str *out)
{
    size_t n = weir_hostcalls_count();
    weir_str_adds(out, "(module\n");
    for (size_t i = 0; i < n; i++) add_import(out, fake_row(i), i);
    weir_str_printf(out,
                    "(memory (export \"memory\") 2)\n(global $heap (mut i32) (i32.const %d))\n"
                    "(table %zu funcref)\n(type $thunk (func (result i32)))\n"
                    "(func (export \"proxy_abi_version_0_2_1\"))\n",
                    FAKE_HEAP, n);
    weir_str_printf(out,
                    "(func (export \"proxy_on_memory_allocate\") (param $n i32) (result i32) (local $at i32) (local $mode i32)\n"
                    " (local.set $mode (i32.load (i32.const %d)))\n"
                    " (if (i32.eqz (local.get $n)) (then unreachable))\n" /* the host never asks for nothing */
                    " (if (i32.eq (local.get $mode) (i32.const 1)) (then (return (i32.const 0))))\n"
                    " (if (i32.eq (local.get $mode) (i32.const 2)) (then (return (i32.const 0xffffff00))))\n"
                    " (if (i32.eq (local.get $mode) (i32.const 3)) (then unreachable))\n"
                    " (if (i32.eq (local.get $mode) (i32.const 4)) (then (i32.store (i32.const 992) (call $thunk%zu))))\n"
                    " (if (i32.eq (local.get $mode) (i32.const 5)) (then (drop (memory.grow (i32.const 1)))))\n"
                    " (local.set $at (global.get $heap))\n"
                    " (global.set $heap (i32.add (local.get $at) (local.get $n)))\n (local.get $at))\n",
                    FAKE_ALLOCATOR, weir_hostcalls_index(WEIR_S("proxy_get_property")));
    weir_str_printf(out,
                    "(func (export \"proxy_on_tick\") (param i32)\n (global.set $heap (i32.const %d))\n"
                    " (i32.store (i32.const %d) (call_indirect (type $thunk) (i32.load (i32.const %d)))))\n",
                    FAKE_HEAP, FAKE_RESULT, FAKE_OP);
    for (size_t i = 0; i < n; i++) add_thunk(out, fake_row(i), i);
    weir_str_adds(out, "(elem (i32.const 0)");
    for (size_t i = 0; i < n; i++) weir_str_printf(out, " $thunk%zu", i);
    weir_str_adds(out, "))\n");
}

void fake_contexts(struct weir_vm *vm, struct weir_wasm_context *root, struct weir_wasm_context *stream)
{
    memset(root, 0, sizeof *root);
    memset(stream, 0, sizeof *stream);
    uint32_t ok = 1;
    weir_vm_add_context(vm, root, NULL);
    assert_true(weir_vm_call(vm, WEIR_WASM_CB_CONTEXT_CREATE, root, (uint32_t[]){root->id, 0}, NULL));
    assert_true(weir_vm_call(vm, WEIR_WASM_CB_VM_START, root, (uint32_t[]){root->id, 0}, &ok));
    assert_int_equal(ok, 1);
    assert_true(weir_vm_call(vm, WEIR_WASM_CB_CONFIGURE, root, (uint32_t[]){root->id, 0}, &ok));
    assert_int_equal(ok, 1);
    weir_vm_add_context(vm, stream, root);
    assert_true(weir_vm_call(vm, WEIR_WASM_CB_CONTEXT_CREATE, stream, (uint32_t[]){stream->id, root->id}, NULL));
}
