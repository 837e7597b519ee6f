/* What a route match costs: nanoseconds a request, for tables of growing size. The cost is to stay flat.
 * Usage: micro_route [requests] */
#include <stdio.h>
#include <stdlib.h>

#include "base/str.h"
#include "config/config.h"
#include "envoy/config/route/v3/route.pb-c.h"
#include "proxy/conf_ctx.h"
#include "proxy/route.h"

struct size {
    unsigned vhosts, routes; /* routes in each */
};

/* Virtual hosts "h<i>.example.com", each with exact paths and prefixes in turn. */
static void write_yaml(struct weir_str *out, struct size size)
{
    weir_str_adds(out, "name: r\nvirtual_hosts:\n");
    for (unsigned v = 0; v < size.vhosts; v++) {
        weir_str_printf(out, "- name: v%u\n  domains: [h%u.example.com]\n  routes:\n", v, v);
        for (unsigned r = 0; r < size.routes; r++)
            weir_str_printf(out,
                            "  - {name: r%u, match: {%s: /service/%u%s}, direct_response: {status: 200}}\n",
                            r, r % 2 ? "prefix" : "path", r, r % 2 ? "/" : "");
    }
}

static uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void run(struct size size, unsigned n)
{
    struct weir_str yaml;
    struct weir_diag diag;
    struct weir_arena arena;
    weir_str_init(&yaml, 64u << 20);
    write_yaml(&yaml, size);
    weir_diag_init(&diag);
    weir_arena_init(&arena, NULL);
    struct weir_config *config = weir_config_new(&diag);
    ProtobufCMessage *msg = NULL;
    enum weir_err err =
        weir_config_read_text(config, WEIR_S("bench.yaml"), weir_str_slice(&yaml),
                              &envoy__config__route__v3__route_configuration__descriptor, &msg);
    struct weir_conf_ctx ctx = {.arena = &arena, .config = config, .diag = &diag};
    struct weir_route_table *table = err == WEIR_OK ? weir_route_table_new(&ctx, msg) : NULL;
    if (!table) {
        weir_diag_print(&diag, stderr, &(struct weir_diag_style){.format = WEIR_DIAG_TEXT});
        exit(1);
    }
    enum { REQUESTS = 64 };
    struct weir_headers requests[REQUESTS];
    for (unsigned i = 0; i < REQUESTS; i++) {
        unsigned route = (i * 7919) % size.routes;
        weir_headers_init(&requests[i], &arena);
        weir_headers_add_borrow(&requests[i], WEIR_H_METHOD, WEIR_S("GET"));
        weir_headers_add_borrow(&requests[i], WEIR_H_AUTHORITY,
                                weir_arena_printf(&arena, "h%u.example.com", (i * 104729) % size.vhosts));
        weir_headers_add_borrow(&requests[i], WEIR_H_PATH,
                                weir_arena_printf(&arena, "/service/%u%s", route, route % 2 ? "/x?y=z" : ""));
    }
    const struct weir_route_target *target;
    unsigned found = 0;
    uint64_t start = now_ns();
    for (unsigned i = 0; i < n; i++)
        found += weir_route_match(table, &requests[i % REQUESTS], NULL, i, &target) != NULL;
    uint64_t took = now_ns() - start;
    printf("%6u virtual hosts x %6u routes: %6.1f ns a match%s\n", size.vhosts, size.routes, (double)took / n,
           found == n ? "" : " (some found nothing)");
    weir_route_table_unref(table);
    weir_config_free(config);
    weir_arena_fini(&arena);
    weir_diag_fini(&diag);
    weir_str_fini(&yaml);
}

int main(int argc, char **argv)
{
    static const struct size sizes[] = {{1, 1},     {1, 10},   {10, 10},   {100, 10},
                                        {1000, 10}, {1, 1000}, {1, 10000}, {10, 1000}};
    unsigned n = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 2000000;
    for (size_t i = 0; i < WEIR_COUNTOF(sizes); i++)
        run(sizes[i], n ? n : 1);
    return 0;
}
