/* A service and a filter that sends it mail: with the configuration "service" it owns the queue "jobs", ticks and counts; otherwise each
 * request's path is put into that queue. Build: as misbehave.c */
typedef unsigned u32;
typedef long long i64;
#define IMPORT(name) __attribute__((import_module("env"), import_name(#name)))
#define EXPORT(name) __attribute__((export_name(#name)))
IMPORT(proxy_log) u32 proxy_log(u32 level, const char *text, u32 len);
IMPORT(proxy_get_buffer_bytes) u32 get_buffer(u32 type, u32 start, u32 max, char **data, u32 *len);
IMPORT(proxy_get_header_map_value) u32 get_value(u32 map, const char *name, u32 name_len, char **value, u32 *len);
IMPORT(proxy_set_tick_period_milliseconds) u32 set_tick(u32 ms);
IMPORT(proxy_define_metric) u32 define_metric(u32 type, const char *name, u32 len, u32 *id);
IMPORT(proxy_increment_metric) u32 increment(u32 id, i64 by);
IMPORT(proxy_register_shared_queue) u32 register_queue(const char *name, u32 len, u32 *id);
IMPORT(proxy_resolve_shared_queue) u32 resolve_queue(const char *vm, u32 vm_len, const char *name, u32 len, u32 *id);
IMPORT(proxy_enqueue_shared_queue) u32 enqueue(u32 id, const char *data, u32 len);
IMPORT(proxy_dequeue_shared_queue) u32 dequeue(u32 id, char **data, u32 *len);
IMPORT(proxy_http_call)
u32 http_call(const char *up, u32 up_len, const char *headers, u32 headers_len, const char *body, u32 body_len, const char *trailers,
              u32 trailers_len, u32 ms, u32 *token);

EXPORT(proxy_abi_version_0_2_1) void abi(void)
{
}

static char heap[1 << 16];
static u32 heap_at, ticks, jobs, queue;
EXPORT(proxy_on_memory_allocate) char *allocate(u32 size)
{
    if (heap_at + size > sizeof heap) heap_at = 0;
    char *at = heap + heap_at;
    heap_at += (size + 7) & ~7u;
    return at;
}

static int is_service;

EXPORT(proxy_on_configure) u32 configure(u32 ctx, u32 size)
{
    char *data = 0;
    u32 len = 0;
    (void)ctx;
    is_service = size == 7 && get_buffer(7, 0, size, &data, &len) == 0 && data[0] == 's';
    if (!is_service) return 1;
    (void)register_queue("jobs", 4, &queue);
    (void)define_metric(0, "service_ticks", 13, &ticks);
    (void)define_metric(0, "service_jobs", 12, &jobs);
    return set_tick(20) == 0;
}

EXPORT(proxy_on_tick) void tick(u32 root)
{
    (void)root;
    (void)increment(ticks, 1);
}

EXPORT(proxy_on_queue_ready) void queue_ready(u32 root, u32 id)
{
    char *data;
    u32 len;
    (void)root;
    while (dequeue(id, &data, &len) == 0) {
        (void)increment(jobs, 1);
        (void)proxy_log(2, data, len);
        if (len == 5 && data[1] == 't') __builtin_trap(); /* "/trap" */
    }
}

EXPORT(proxy_on_request_headers) u32 request_headers(u32 ctx, u32 n, u32 end)
{
    char *path;
    u32 len, id;
    (void)ctx;
    (void)n;
    (void)end;
    if (get_value(0, ":path", 5, &path, &len) == 0 && resolve_queue("shared_vm", 9, "jobs", 4, &id) == 0) (void)enqueue(id, path, len);
    return 0;
}
