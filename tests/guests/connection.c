/* A network filter and an access logger in one: bytes from the client have "ping" answered by "pong" towards the service, bytes from the
 * service are put in brackets; "deny" closes. As an access logger it says what it was shown.
 * Build: as misbehave.c */
typedef unsigned u32;
#define IMPORT(name) __attribute__((import_module("env"), import_name(#name)))
#define EXPORT(name) __attribute__((export_name(#name)))
IMPORT(proxy_log) u32 proxy_log(u32 level, const char *text, u32 len);
IMPORT(proxy_get_buffer_bytes) u32 get_buffer(u32 type, u32 start, u32 max, char **data, u32 *len);
IMPORT(proxy_set_buffer_bytes) u32 set_buffer(u32 type, u32 start, u32 len, const char *data, u32 data_len);
IMPORT(proxy_close_stream) u32 close_stream(u32 type);
IMPORT(proxy_get_property) u32 get_property(const char *path, u32 len, char **data, u32 *data_len);
IMPORT(proxy_get_header_map_value) u32 get_value(u32 map, const char *name, u32 name_len, char **value, u32 *len);

EXPORT(proxy_abi_version_0_2_0) void abi(void)
{
}

static char heap[1 << 16];
static u32 heap_at;
EXPORT(malloc) char *allocate(u32 size)
{
    if (heap_at + size > sizeof heap) heap_at = 0;
    char *at = heap + heap_at;
    heap_at += (size + 7) & ~7u;
    return at;
}

static void say(const char *what, const char *more, u32 len)
{
    char line[256];
    u32 n = 0;
    while (what[n]) {
        line[n] = what[n];
        n++;
    }
    for (u32 i = 0; i < len && n < sizeof line; i++) line[n++] = more[i];
    (void)proxy_log(2, line, n);
}

EXPORT(proxy_on_new_connection) u32 new_connection(u32 ctx)
{
    char *data;
    u32 len;
    (void)ctx;
    say("new connection from ", "", 0);
    if (get_property("source\0address", 14, &data, &len) == 0) say("source ", data, len > 10 ? 10 : len);
    return 0;
}

EXPORT(proxy_on_downstream_data) u32 downstream_data(u32 ctx, u32 size, u32 end)
{
    char *data = 0;
    u32 len = 0;
    (void)ctx;
    if (size == 0 || get_buffer(2, 0, size, &data, &len) != 0) return 0;
    if (len < 4 && !end) return 1; /* wait for more */
    if (data[0] == 'd' && data[1] == 'e' && data[2] == 'n' && data[3] == 'y') {
        (void)close_stream(2);
        return 1;
    }
    if (data[0] == 't' && data[1] == 'r' && data[2] == 'a' && data[3] == 'p') __builtin_trap();
    if (data[0] == 'p' && data[1] == 'i') (void)set_buffer(2, 0, 4, "pong", 4);
    return 0;
}

EXPORT(proxy_on_upstream_data) u32 upstream_data(u32 ctx, u32 size, u32 end)
{
    (void)ctx;
    (void)end;
    if (size == 0) return 0;
    (void)set_buffer(3, 0, 0, "[", 1);
    (void)set_buffer(3, size + 1, 0, "]", 1);
    return 0;
}

EXPORT(proxy_on_downstream_connection_close) void downstream_close(u32 ctx, u32 peer)
{
    char digit = (char)('0' + peer);
    (void)ctx;
    say("downstream closed by ", &digit, 1);
}

EXPORT(proxy_on_log) void on_log(u32 ctx)
{
    char *data;
    u32 len;
    (void)ctx;
    say("logged", "", 0);
    if (get_value(0, ":path", 5, &data, &len) == 0) say("path ", data, len);
    if (get_value(2, ":status", 7, &data, &len) == 0) say("status ", data, len);
    if (get_property("request\0method", 14, &data, &len) == 0) say("method ", data, len);
}

EXPORT(proxy_on_delete) void on_delete(u32 ctx)
{
    (void)ctx;
    say("deleted", "", 0);
}
