/* The library behind proxy_wasm.h: contexts, their memory, and the wrappers around the host's functions.
 *
 * Memory: pages come from memory.grow and are never given back; freed blocks go to free lists by size (powers of two). Every context has
 * an arena of chunks. What the host hands over (proxy_on_memory_allocate) goes into the arena of the context whose callback runs; a
 * root's callbacks have a scratch arena that ends with the callback, so that ticking for ever takes no more memory than one tick. */
#include "pw_priv.h"

#include <stdarg.h>

extern const size_t pw_root_bytes, pw_stream_bytes;

/* ---- what a compiler may call where there is no libc (built with -fno-builtin) ---- */

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
    char *t = to;
    const char *f = from;
    while (n--) *t++ = *f++;
    return to;
}

void *memset(void *to, int value, size_t n)
{
    char *t = to;
    while (n--) *t++ = (char)value;
    return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const unsigned char *x = a, *y = b;
    for (; n--; x++, y++)
        if (*x != *y) return *x - *y;
    return 0;
}

/* ---- blocks ---- */

#define PAGE 65536u
#define CLASSES 27u /* 2^5 … 2^31 bytes */
#define CHUNK 1024u

struct pw_chunk {
    pw_chunk *next;
    uint32_t class;
};

static pw_chunk *free_chunks[CLASSES];
static char *heap_next, *heap_end;

static char *heap_take(size_t size)
{
    if ((size_t)(heap_end - heap_next) < size) {
        size_t pages = (size + PAGE - 1) / PAGE;
        size_t old = __builtin_wasm_memory_grow(0, pages);
        if (old == (size_t)-1) return NULL;
        if ((char *)(old * PAGE) != heap_end) heap_next = (char *)(old * PAGE); /* the rest of the last page is lost */
        heap_end = (char *)((old + pages) * PAGE);
    }
    char *at = heap_next;
    heap_next += size;
    return at;
}

/* A block with at least `size` bytes after its header; NULL when memory is out. */
static pw_chunk *block_get(size_t size)
{
    if (size > 0x40000000u) return NULL;
    size_t whole = 32;
    uint32_t class = 0;
    for (; whole < size + sizeof(pw_chunk); whole <<= 1) class++;
    pw_chunk *chunk = free_chunks[class];
    if (chunk) {
        free_chunks[class] = chunk->next;
        return chunk;
    }
    chunk = (pw_chunk *)(void *)heap_take(whole);
    if (chunk) chunk->class = class;
    return chunk;
}

static void block_put(pw_chunk *chunk)
{
    chunk->next = free_chunks[chunk->class];
    free_chunks[chunk->class] = chunk;
}

/* ---- arenas ---- */

static void *arena_take(pw_arena *arena, size_t size)
{
    size_t rounded = (size + 7) & ~(size_t)7;
    if (rounded < size) return NULL;
    if (arena->next && (size_t)(arena->end - arena->next) >= rounded) {
        void *at = arena->next;
        arena->next += rounded;
        return at;
    }
    size_t want = rounded > CHUNK - sizeof(pw_chunk) ? rounded : CHUNK - sizeof(pw_chunk);
    pw_chunk *chunk = block_get(want);
    if (!chunk) return NULL;
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    char *at = (char *)(chunk + 1);
    if (rounded < want) arena->next = at + rounded, arena->end = at + want;
    return at;
}

static void arena_end(pw_arena *arena)
{
    for (pw_chunk *chunk = arena->chunks, *next; chunk; chunk = next) {
        next = chunk->next;
        block_put(chunk);
    }
    *arena = (pw_arena){0};
}

/* ---- contexts ---- */

#define BUCKETS 64u

static pw_ctx *contexts[BUCKETS];
static pw_ctx *current;   /* whose callback runs */
static pw_arena scratch;  /* of a root's callback */

static pw_ctx *find(uint32_t id)
{
    pw_ctx *ctx = contexts[id % BUCKETS];
    while (ctx && ctx->id != id) ctx = ctx->next;
    return ctx;
}

static pw_arena *memory(void)
{
    return current && current->root != current ? &current->arena : &scratch;
}

PW_EXPORT(proxy_abi_version_0_2_1) void proxy_abi_version_0_2_1(void) {}

PW_EXPORT(proxy_on_memory_allocate) void *proxy_on_memory_allocate(size_t size)
{
    return arena_take(memory(), size);
}

PW_EXPORT(proxy_on_context_create) void proxy_on_context_create(uint32_t id, uint32_t root_id)
{
    pw_arena arena = {0};
    size_t bytes = root_id == 0 ? pw_root_bytes : pw_stream_bytes;
    pw_ctx *ctx = arena_take(&arena, sizeof *ctx + bytes);
    if (!ctx) __builtin_trap();
    memset(ctx, 0, sizeof *ctx + bytes);
    ctx->id = id;
    ctx->root = root_id == 0 ? ctx : find(root_id);
    if (!ctx->root) __builtin_trap();
    ctx->data = ctx + 1;
    ctx->arena = arena;
    ctx->next = contexts[id % BUCKETS];
    contexts[id % BUCKETS] = ctx;
}

PW_EXPORT(proxy_on_delete) void proxy_on_delete(uint32_t id)
{
    for (pw_ctx **at = &contexts[id % BUCKETS]; *at; at = &(*at)->next)
        if ((*at)->id == id) {
            pw_arena arena = (*at)->arena;
            if (current == *at) current = NULL;
            *at = (*at)->next;
            arena_end(&arena);
            return;
        }
}

pw_ctx *pw_enter(uint32_t id)
{
    return current = find(id);
}

void pw_leave(pw_ctx *ctx)
{
    (void)ctx;
    if (scratch.chunks) arena_end(&scratch);
    current = NULL;
}

void *pw_alloc(pw_ctx *ctx, size_t size)
{
    void *at = arena_take(&ctx->arena, size);
    if (at) memset(at, 0, size);
    return at;
}

pw_str pw_keep(pw_ctx *ctx, pw_str s)
{
    char *at = s.ptr ? arena_take(&ctx->arena, s.len) : NULL;
    if (!at) return PW_NONE;
    memcpy(at, s.ptr, s.len);
    return (pw_str){at, s.len};
}

/* ---- strings ---- */

pw_str pw_str_of(const char *text)
{
    size_t len = 0;
    while (text && text[len]) len++;
    return (pw_str){text, len};
}

bool pw_eq(pw_str a, pw_str b)
{
    return a.len == b.len && memcmp(a.ptr, b.ptr, a.len) == 0;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

bool pw_eq_nocase(pw_str a, pw_str b)
{
    if (a.len != b.len) return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.ptr[i]) != lower(b.ptr[i])) return false;
    return true;
}

bool pw_starts_with(pw_str s, pw_str prefix)
{
    return s.len >= prefix.len && memcmp(s.ptr, prefix.ptr, prefix.len) == 0;
}

long pw_find(pw_str s, pw_str part, size_t start)
{
    for (size_t i = start; part.len <= s.len && i <= s.len - part.len; i++)
        if (memcmp(s.ptr + i, part.ptr, part.len) == 0) return (long)i;
    return -1;
}

pw_str pw_sub(pw_str s, size_t start, size_t end)
{
    if (end > s.len) end = s.len;
    if (start > end) start = end;
    return (pw_str){s.ptr + start, end - start};
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

pw_str pw_trim(pw_str s)
{
    while (s.len && is_space(s.ptr[0])) s.ptr++, s.len--;
    while (s.len && is_space(s.ptr[s.len - 1])) s.len--;
    return s;
}

bool pw_parse_u64(pw_str s, uint64_t *ret)
{
    uint64_t n = 0;
    if (s.len == 0) return false;
    for (size_t i = 0; i < s.len; i++) {
        uint64_t digit = (uint64_t)(unsigned char)s.ptr[i] - '0';
        if (digit > 9 || n > (UINT64_MAX - digit) / 10) return false;
        n = n * 10 + digit;
    }
    *ret = n;
    return true;
}

pw_str pw_join(unsigned n, ...)
{
    va_list args, again;
    va_start(args, n);
    va_copy(again, args);
    size_t len = 0;
    for (unsigned i = 0; i < n; i++) len += va_arg(args, pw_str).len;
    char *at = arena_take(memory(), len);
    size_t used = 0;
    for (unsigned i = 0; at && i < n; i++) {
        pw_str s = va_arg(again, pw_str);
        memcpy(at + used, s.ptr, s.len);
        used += s.len;
    }
    va_end(again);
    va_end(args);
    return at ? (pw_str){at, len} : PW_NONE;
}

pw_str pw_u64(uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    do digits[--at] = (char)('0' + value % 10);
    while (value /= 10);
    return pw_join(1, (pw_str){digits + at, sizeof digits - at});
}

/* ---- log, time ---- */

void pw_log(pw_log_level level, pw_str text)
{
    proxy_log(level, text.ptr, text.len);
}

uint64_t pw_now_ns(void)
{
    uint64_t now = 0;
    proxy_get_current_time_nanoseconds(&now);
    return now;
}

pw_status pw_set_tick(uint32_t ms)
{
    return proxy_set_tick_period_milliseconds(ms);
}

/* ---- headers ---- */

pw_str pw_header_get(pw_map map, pw_str name)
{
    pw_str value = PW_NONE;
    if (proxy_get_header_map_value(map, name.ptr, name.len, &value.ptr, &value.len) != PW_OK) return PW_NONE;
    if (!value.ptr) value.ptr = ""; /* present and empty */
    return value;
}

static uint32_t read_u32(const char *at)
{
    uint32_t n;
    memcpy(&n, at, sizeof n);
    return n;
}

/* The host's form: count, then lengths, then names and values, each with a NUL behind it. */
pw_headers pw_header_all(pw_map map)
{
    pw_str bytes = PW_NONE;
    if (proxy_get_header_map_pairs(map, &bytes.ptr, &bytes.len) != PW_OK || bytes.len < 4) return (pw_headers){0};
    uint32_t n = read_u32(bytes.ptr);
    pw_header *v = arena_take(memory(), n * sizeof *v);
    if (!v) return (pw_headers){0};
    const char *lengths = bytes.ptr + 4, *text = lengths + 8 * (size_t)n;
    for (uint32_t i = 0; i < n; i++) {
        v[i].name = (pw_str){text, read_u32(lengths + 8 * (size_t)i)};
        text += v[i].name.len + 1;
        v[i].value = (pw_str){text, read_u32(lengths + 8 * (size_t)i + 4)};
        text += v[i].value.len + 1;
    }
    return (pw_headers){v, n};
}

static char *put(char *at, pw_str s)
{
    memcpy(at, s.ptr, s.len);
    at[s.len] = 0;
    return at + s.len + 1;
}

pw_str pw_serialize(pw_headers headers)
{
    if (headers.n == 0) return PW_NONE;
    size_t size = 4;
    for (uint32_t i = 0; i < headers.n; i++) size += 10 + headers.v[i].name.len + headers.v[i].value.len;
    char *bytes = arena_take(memory(), size);
    if (!bytes) return PW_NONE;
    memcpy(bytes, &headers.n, 4);
    char *lengths = bytes + 4, *text = lengths + 8 * (size_t)headers.n;
    for (uint32_t i = 0; i < headers.n; i++) {
        uint32_t pair[2] = {headers.v[i].name.len, headers.v[i].value.len};
        memcpy(lengths + 8 * (size_t)i, pair, sizeof pair);
        text = put(put(text, headers.v[i].name), headers.v[i].value);
    }
    return (pw_str){bytes, size};
}

pw_status pw_header_add(pw_map map, pw_str name, pw_str value)
{
    return proxy_add_header_map_value(map, name.ptr, name.len, value.ptr, value.len);
}

pw_status pw_header_set(pw_map map, pw_str name, pw_str value)
{
    return proxy_replace_header_map_value(map, name.ptr, name.len, value.ptr, value.len);
}

pw_status pw_header_remove(pw_map map, pw_str name)
{
    return proxy_remove_header_map_value(map, name.ptr, name.len);
}

pw_status pw_header_set_all(pw_map map, pw_headers headers)
{
    pw_str bytes = pw_serialize(headers);
    return proxy_set_header_map_pairs(map, bytes.ptr, bytes.len);
}

/* ---- buffers ---- */

pw_str pw_buffer_get(pw_buffer buffer, size_t start, size_t len)
{
    pw_str s = PW_NONE;
    if (proxy_get_buffer_bytes(buffer, start, len, &s.ptr, &s.len) != PW_OK) return PW_NONE;
    return s;
}

size_t pw_buffer_size(pw_buffer buffer)
{
    size_t size = 0;
    uint32_t flags;
    return proxy_get_buffer_status(buffer, &size, &flags) == PW_OK ? size : 0;
}

pw_status pw_buffer_set(pw_buffer buffer, size_t start, size_t len, pw_str data)
{
    return proxy_set_buffer_bytes(buffer, start, len, data.ptr, data.len);
}

pw_str pw_configuration(pw_buffer which)
{
    return pw_buffer_get(which, 0, SIZE_MAX);
}

/* ---- the stream's course ---- */

pw_status pw_respond_with(uint32_t status, pw_headers headers, pw_str body, pw_str details, int32_t grpc_status)
{
    pw_str bytes = pw_serialize(headers);
    return proxy_send_local_response(status, details.ptr, details.len, body.ptr, body.len, bytes.ptr, bytes.len, grpc_status);
}

pw_status pw_respond(uint32_t status, pw_headers headers, pw_str body)
{
    return pw_respond_with(status, headers, body, PW_NONE, -1);
}

pw_status pw_continue_request(pw_ctx *stream)
{
    proxy_set_effective_context(stream->id);
    return proxy_continue_stream(PW_STREAM_REQUEST);
}

pw_status pw_continue_response(pw_ctx *stream)
{
    proxy_set_effective_context(stream->id);
    return proxy_continue_stream(PW_STREAM_RESPONSE);
}

pw_status pw_close(pw_ctx *stream, pw_stream_type type)
{
    proxy_set_effective_context(stream->id);
    return proxy_close_stream(type);
}

/* ---- properties ---- */

pw_str pw_property_path(pw_str path)
{
    pw_str value = PW_NONE;
    if (proxy_get_property(path.ptr, path.len, &value.ptr, &value.len) != PW_OK) return PW_NONE;
    if (!value.ptr) value.ptr = "";
    return value;
}

pw_str pw_property(pw_str dotted)
{
    char *path = arena_take(memory(), dotted.len);
    if (!path) return PW_NONE;
    for (size_t i = 0; i < dotted.len; i++) path[i] = dotted.ptr[i] == '.' ? 0 : dotted.ptr[i];
    return pw_property_path((pw_str){path, dotted.len});
}

bool pw_property_i64(pw_str dotted, int64_t *ret)
{
    pw_str value = pw_property(dotted);
    if (value.len != sizeof *ret) return false;
    memcpy(ret, value.ptr, sizeof *ret);
    return true;
}

pw_status pw_property_set(pw_str path, pw_str value)
{
    return proxy_set_property(path.ptr, path.len, value.ptr, value.len);
}

/* ---- data between VMs, metrics, foreign functions ---- */

pw_str pw_shared_get(pw_str key, uint32_t *ret_cas)
{
    pw_str value = PW_NONE;
    *ret_cas = 0;
    if (proxy_get_shared_data(key.ptr, key.len, &value.ptr, &value.len, ret_cas) != PW_OK) return PW_NONE;
    if (!value.ptr) value.ptr = "";
    return value;
}

pw_status pw_shared_set(pw_str key, pw_str value, uint32_t cas)
{
    return proxy_set_shared_data(key.ptr, key.len, value.ptr, value.len, cas);
}

uint64_t pw_shared_add(pw_str key, uint64_t n)
{
    for (;;) {
        uint32_t cas;
        uint64_t sum = 0;
        pw_str old = pw_shared_get(key, &cas);
        if (old.len == sizeof sum) memcpy(&sum, old.ptr, sizeof sum);
        sum += n;
        pw_status status = pw_shared_set(key, (pw_str){(const char *)&sum, sizeof sum}, cas);
        if (status != PW_CAS_MISMATCH) return sum;
    }
}

pw_status pw_queue_register(pw_str name, uint32_t *ret_queue)
{
    return proxy_register_shared_queue(name.ptr, name.len, ret_queue);
}

pw_status pw_queue_find(pw_str vm_id, pw_str name, uint32_t *ret_queue)
{
    return proxy_resolve_shared_queue(vm_id.ptr, vm_id.len, name.ptr, name.len, ret_queue);
}

pw_status pw_queue_push(uint32_t queue, pw_str value)
{
    return proxy_enqueue_shared_queue(queue, value.ptr, value.len);
}

bool pw_queue_pop(uint32_t queue, pw_str *ret)
{
    *ret = PW_NONE;
    return proxy_dequeue_shared_queue(queue, &ret->ptr, &ret->len) == PW_OK;
}

uint32_t pw_metric(pw_metric_type type, pw_str name)
{
    uint32_t id = 0;
    proxy_define_metric(type, name.ptr, name.len, &id);
    return id;
}

void pw_metric_add(uint32_t metric, int64_t n)
{
    proxy_increment_metric(metric, n);
}

void pw_metric_record(uint32_t metric, uint64_t value)
{
    proxy_record_metric(metric, value);
}

uint64_t pw_metric_get(uint32_t metric)
{
    uint64_t value = 0;
    proxy_get_metric(metric, &value);
    return value;
}

pw_status pw_foreign(pw_str name, pw_str args, pw_str *ret)
{
    *ret = PW_NONE;
    return proxy_call_foreign_function(name.ptr, name.len, args.ptr, args.len, &ret->ptr, &ret->len);
}

pw_status pw_done(void)
{
    return proxy_done();
}
