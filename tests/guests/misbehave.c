/* A filter that does wrong on demand: "x-do: <callback>:<fault>[,…]" in the request, or the same in the plugin's configuration for
 * callbacks of the root. Callbacks by their short names (request_headers, tick …). Raw imports, no SDK: it must be free to lie.
 * Build: clang --target=wasm32 -O1 -g -fno-builtin -nostdlib -Wl,--no-entry -Wl,--export-dynamic -o misbehave.wasm misbehave.c */
typedef unsigned u32;
typedef unsigned long long u64;

#define IMPORT(name) __attribute__((import_module("env"), import_name(#name)))
#define EXPORT(name) __attribute__((export_name(#name)))

IMPORT(proxy_log) u32 proxy_log(u32 level, const char *text, u32 len);
IMPORT(proxy_get_header_map_value)
u32 get_value(u32 map, const char *name, u32 name_len, char **value, u32 *len);
IMPORT(proxy_add_header_map_value)
u32 add_value(u32 map, const char *name, u32 name_len, const char *value, u32 len);
IMPORT(proxy_get_buffer_bytes) u32 get_buffer(u32 type, u32 start, u32 max, char **data, u32 *len);
IMPORT(proxy_set_buffer_bytes) u32 set_buffer(u32 type, u32 start, u32 len, const char *data, u32 data_len);
IMPORT(proxy_send_local_response)
u32 local_response(u32 status, const char *details, u32 details_len, const char *body, u32 body_len, const char *headers,
                   u32 headers_len, u32 grpc);
IMPORT(proxy_set_tick_period_milliseconds) u32 set_tick(u32 ms);
IMPORT(proxy_define_metric) u32 define_metric(u32 type, const char *name, u32 len, u32 *id);
IMPORT(proxy_register_shared_queue) u32 register_queue(const char *name, u32 len, u32 *id);
IMPORT(proxy_set_shared_data) u32 set_shared(const char *key, u32 key_len, const char *value, u32 len, u32 cas);
IMPORT(proxy_continue_stream) u32 continue_stream(u32 type);
IMPORT(proxy_close_stream) u32 close_stream(u32 type);
IMPORT(proxy_set_effective_context) u32 set_effective(u32 id);
IMPORT(proxy_http_call)
u32 http_call(const char *up, u32 up_len, const char *headers, u32 headers_len, const char *body, u32 body_len, const char *trailers,
              u32 trailers_len, u32 ms, u32 *token);
IMPORT(proxy_done) u32 done(void);
__attribute__((import_module("wasi_snapshot_preview1"), import_name("proc_exit"))) void proc_exit(u32 code);

EXPORT(proxy_abi_version_0_2_1) void abi(void)
{
}

/* ---- memory: a ring that callers of one callback share ---- */
static char heap[1 << 16];
static u32 heap_at;
EXPORT(proxy_on_memory_allocate) char *allocate(u32 size)
{
    if (size > sizeof heap / 2) return 0;
    if (heap_at + size > sizeof heap) heap_at = 0;
    char *at = heap + heap_at;
    heap_at += (size + 7) & ~7u;
    return at;
}

/* ---- what to do ---- */
#define STREAMS 4096
static char wishes[STREAMS][96];
static char root_wish[96];

static u32 text_len(const char *s)
{
    u32 n = 0;
    while (s[n]) n++;
    return n;
}

static int begins(const char *text, const char *with)
{
    while (*with)
        if (*text++ != *with++) return 0;
    return 1;
}

static void keep(char *to, const char *from, u32 len)
{
    u32 n = len < 95 ? len : 95;
    for (u32 i = 0; i < n; i++) to[i] = from[i];
    to[n] = 0;
}

/* The fault that `wish` has for `callback`, or "". */
static const char *fault_for(const char *wish, const char *callback)
{
    while (*wish) {
        if (begins(wish, callback) && wish[text_len(callback)] == ':') return wish + text_len(callback) + 1;
        while (*wish && *wish != ',') wish++;
        if (*wish == ',') wish++;
    }
    return "";
}

/* ---- the faults ---- */
static volatile u32 sink;

__attribute__((noinline)) static u32 recurse(u32 n)
{
    u32 deeper = recurse(n + 1); /* nothing in linear memory: its stack would end first */
    sink += deeper;
    return deeper ^ n;
}

static void grow(void)
{
    while (__builtin_wasm_memory_grow(0, 16) != (u32)-1) {
    }
    __builtin_trap();
}

static char name_buffer[32];
static u32 numbered(const char *prefix, u32 n)
{
    u32 len = 0;
    while (prefix[len]) {
        name_buffer[len] = prefix[len];
        len++;
    }
    for (int shift = 28; shift >= 0; shift -= 4) name_buffer[len++] = "0123456789abcdef"[(n >> shift) & 15];
    return len;
}

static void lie(void)
{
    static const u32 wild[] = {0, 1, 65536, 0x7fffffff, 0x80000000u, 0xfffffff0u, 0xffffffffu};
    for (u32 i = 0; i < 7; i++)
        for (u32 j = 0; j < 7; j++) {
            char *p = (char *)wild[i], **pp = (char **)wild[i];
            u32 n = wild[j], *np = (u32 *)wild[j];
            sink += proxy_log(2 + (i & 1), p, n < 65536 ? 0xffffffffu : n);
            sink += get_value(wild[i], p, n, pp, np);
            sink += add_value(wild[j], p, n, p, n);
            sink += get_buffer(wild[i], n, n, pp, np);
            sink += set_buffer(wild[i], n, n, p, n);
            sink += define_metric(wild[i] & 3, p, n, np);
            sink += set_shared(p, n, p, n, n);
            sink += http_call(p, n, p, n, p, n, p, n, n, np);
            sink += set_effective(wild[i]);
            sink += continue_stream(wild[i]);
            sink += local_response(wild[i], p, n ? n : 1, p, 0x7fffffff, p, n, n);
        }
}

/* Returns the action to answer. */
static u32 act(const char *fault, u32 otherwise)
{
    u32 id;
    if (begins(fault, "trap")) __builtin_trap();
    if (begins(fault, "loop"))
        for (;;) sink++;
    if (begins(fault, "recurse")) sink = recurse(0);
    if (begins(fault, "grow")) grow();
    if (begins(fault, "exit")) proc_exit(7);
    if (begins(fault, "wild")) sink = *(volatile u32 *)0x7ffffff0;
    if (begins(fault, "lie")) lie();
    if (begins(fault, "flood"))
        for (u32 i = 0; i < 20000; i++) sink += proxy_log(2, "flood", 5);
    if (begins(fault, "metrics"))
        for (u32 i = 0; i < 20000; i++) sink += define_metric(0, name_buffer, numbered("m", i), &id);
    if (begins(fault, "queues"))
        for (u32 i = 0; i < 10000; i++) sink += register_queue(name_buffer, numbered("q", i), &id);
    if (begins(fault, "shared"))
        for (u32 i = 0; i < 3000; i++) sink += set_shared(name_buffer, numbered("s", i), heap, sizeof heap, 0);
    if (begins(fault, "absurd")) return 77;
    if (begins(fault, "negative")) return (u32)-1;
    if (begins(fault, "pause")) return 1;
    if (begins(fault, "resume")) {
        sink += continue_stream(0) + continue_stream(1);
        return 1;
    }
    if (begins(fault, "close")) sink += close_stream(0);
    if (begins(fault, "reply2")) sink += local_response(201, "", 0, "one", 3, 0, 0, -1) + local_response(202, "", 0, "two", 3, 0, 0, -1);
    else if (begins(fault, "replyodd")) sink += local_response(99, "a b\nc", 5, "odd", 3, 0, 0, -1);
    else if (begins(fault, "reply")) sink += local_response(418, "teapot", 6, "short and stout", 15, 0, 0, -1);
    if (begins(fault, "inject")) {
        sink += add_value(0, "x-bad\r\ninjected", 15, "v", 1) + add_value(0, "x-bad", 5, "v\r\ninjected: 1", 14);
        sink += add_value(2, "x-bad", 5, "v\r\ninjected: 1", 14) + add_value(2, "Transfer-Encoding", 17, "chunked", 7);
        sink += add_value(2, "x bad", 5, "v", 1) + add_value(2, "", 0, "v", 1) + add_value(2, "X-Good", 6, "yes", 3);
    }
    return otherwise;
}

static u32 on(u32 ctx, const char *callback)
{
    return act(fault_for(wishes[ctx % STREAMS], callback), 0);
}

/* ---- exports ---- */
static u32 root_id, wait_to_be_done;

EXPORT(proxy_on_context_create) void context_create(u32 ctx, u32 root)
{
    wishes[ctx % STREAMS][0] = 0;
    if (!root) root_id = ctx;
    if (root) (void)act(fault_for(root_wish, "context_create"), 0);
}

EXPORT(proxy_on_vm_start) u32 vm_start(u32 ctx, u32 size)
{
    (void)ctx;
    (void)size;
    return 1;
}

EXPORT(proxy_on_configure) u32 configure(u32 ctx, u32 size)
{
    char *data = 0;
    u32 len = 0;
    (void)ctx;
    if (size && get_buffer(7, 0, size, &data, &len) == 0) keep(root_wish, data, len);
    if (begins(fault_for(root_wish, "configure"), "false")) return 0;
    (void)act(fault_for(root_wish, "configure"), 0);
    if (*fault_for(root_wish, "tick")) (void)set_tick(50);
    return 1;
}

EXPORT(proxy_on_tick) void tick(u32 root)
{
    (void)root;
    if (wait_to_be_done && --wait_to_be_done == 0) {
        (void)proxy_log(2, "done at last", 12);
        (void)done();
    }
    (void)act(fault_for(root_wish, "tick"), 0);
}

EXPORT(proxy_on_request_headers) u32 request_headers(u32 ctx, u32 n, u32 end)
{
    char *value;
    u32 len;
    (void)n;
    (void)end;
    if (get_value(0, "x-do", 4, &value, &len) == 0) keep(wishes[ctx % STREAMS], value, len);
    return on(ctx, "request_headers");
}

EXPORT(proxy_on_request_body) u32 request_body(u32 ctx, u32 size, u32 end)
{
    (void)size;
    (void)end;
    return on(ctx, "request_body");
}

EXPORT(proxy_on_response_headers) u32 response_headers(u32 ctx, u32 n, u32 end)
{
    (void)n;
    (void)end;
    (void)add_value(2, "x-guest", 7, "was here", 8);
    return on(ctx, "response_headers");
}

EXPORT(proxy_on_response_body) u32 response_body(u32 ctx, u32 size, u32 end)
{
    (void)size;
    (void)end;
    return on(ctx, "response_body");
}

EXPORT(proxy_on_done) u32 on_done(u32 ctx)
{
    if (ctx == root_id && *fault_for(root_wish, "root_done")) {
        wait_to_be_done = begins(fault_for(root_wish, "root_done"), "later") ? 5 : 0;
        return 0;
    }
    (void)on(ctx, "done");
    return 1;
}

EXPORT(proxy_on_log) void on_log(u32 ctx)
{
    (void)on(ctx, "log");
}

EXPORT(proxy_on_delete) void on_delete(u32 ctx)
{
    (void)on(ctx, "delete");
    wishes[ctx % STREAMS][0] = 0;
}
