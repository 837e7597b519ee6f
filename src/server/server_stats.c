/* The server's own stats (Envoy: server.*). Gauges that are facts of the process are refreshed when somebody reads. */
#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

#include "server/server_priv.h"

weir_stat weir_server_stats_register(struct weir_stats *stats)
{
    static const struct weir_stat_def defs[] = {
#define X(name, kind) {#name, WEIR_STAT_##kind},
        WEIR_SERVER_STATS(X)
#undef X
    };
    const struct weir_stats_scope scope = {.prefix = WEIR_S("server."), .prom_prefix = WEIR_S("server.")};
    return weir_stats_register_group(stats, &scope, defs, WEIR_COUNTOF(defs));
}

/* Resident bytes of this process, from /proc/self/statm. */
static uint64_t resident_bytes(void)
{
    char text[128];
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file) return 0;
    size_t n = fread(text, 1, sizeof text, file);
    fclose(file);
    struct weir_slice rest = weir_slice(text, n), field;
    uint64_t pages = 0;
    for (int i = 0; i < 2 && weir_slice_next(&rest, ' ', &field); i++)
        if (i == 1 && weir_parse_u64(field, UINT64_MAX / 65536, &pages) != WEIR_OK) return 0;
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

void weir_server_stats_refresh(struct weir_server *server)
{
    struct weir_stats_worker *sw = server->main->stats;
    struct mallinfo2 heap = mallinfo2();
    uint64_t connections = 0;
    for (uint32_t i = 0; i < server->n_threads; i++) connections += weir_listeners_worker_active(server->threads[i].worker->listeners);
    weir_stat_set(sw, server->base + WEIR_SERVER_STAT_live, server->state == WEIR_SERVER_LIVE);
    weir_stat_set(sw, server->base + WEIR_SERVER_STAT_state, (uint64_t)(server->state == WEIR_SERVER_LIVE       ? 0
                                                                        : server->state == WEIR_SERVER_DRAINING ? 1
                                                                                                                : 2));
    weir_stat_set(sw, server->base + WEIR_SERVER_STAT_uptime, weir_server_uptime_s(server));
    weir_stat_set(sw, server->base + WEIR_SERVER_STAT_concurrency, server->n_threads);
    weir_stat_set(sw, server->base + WEIR_SERVER_STAT_total_connections, connections);
    weir_stat_set(sw, server->base + WEIR_SERVER_STAT_memory_allocated, heap.uordblks + heap.hblkhd);
    weir_stat_set(sw, server->base + WEIR_SERVER_STAT_memory_heap_size, heap.arena + heap.hblkhd);
    weir_stat_set(sw, server->base + WEIR_SERVER_STAT_memory_physical_size, resident_bytes());
}
