/* Which filter chain takes a connection: each criterion alone, and their order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "config/config.h"
#include "envoy/config/listener/v3/listener.pb-c.h"
#include "proxy/chain_match.h"

struct facts {
    const char *local, *remote;
    uint16_t local_port, remote_port;
    const char *server_name, *transport, *alpn;
};

struct row {
    const char *name;
    const char *matches; /* filter_chain_match of each chain, in order, one a line */
    struct facts facts;
    int want; /* index of the chain, -1 = none */
};

#define FACTS .local = "10.0.0.1", .remote = "192.0.2.7", .local_port = 443, .remote_port = 5000

static const struct row rows[] = {
    {"nothing asked", "{}", {FACTS}, 0},
    {"port", "{destination_port: 80}\n{destination_port: 443}\n{}", {FACTS}, 1},
    {"port, none fits", "{destination_port: 80}", {FACTS}, -1},
    {"longest destination prefix", "{prefix_ranges: [{address_prefix: 10.0.0.0, prefix_len: 8}]}\n"
     "{prefix_ranges: [{address_prefix: 10.0.0.0, prefix_len: 24}]}\n{}", {FACTS}, 1},
    {"exact server name before wildcards", "{server_names: ['*.com']}\n{server_names: ['*.example.com']}\n{server_names: [www.example.com]}",
     {FACTS, .server_name = "www.example.com"}, 2},
    {"longest wildcard", "{server_names: ['*.com']}\n{server_names: ['*.example.com']}\n{}",
     {FACTS, .server_name = "a.example.com"}, 1},
    {"a wildcard is not its own domain", "{server_names: ['*.example.com']}\n{}", {FACTS, .server_name = "example.com"}, 1},
    {"names compare in lower case", "{server_names: [WWW.Example.com]}", {FACTS, .server_name = "www.example.com"}, 0},
    {"transport", "{transport_protocol: tls}\n{transport_protocol: raw_buffer}", {FACTS}, 1},
    {"ALPN", "{application_protocols: [h2]}\n{application_protocols: [http/1.1]}", {FACTS, .alpn = "http/1.1"}, 1},
    {"same machine", "{source_type: EXTERNAL}\n{source_type: SAME_IP_OR_LOOPBACK}", {.local = "10.0.0.1", .remote = "127.0.0.1", .local_port = 443}, 1},
    {"another machine", "{source_type: EXTERNAL}\n{source_type: SAME_IP_OR_LOOPBACK}", {FACTS}, 0},
    {"source prefix", "{source_prefix_ranges: [{address_prefix: 192.0.2.0, prefix_len: 24}]}\n{}", {FACTS}, 0},
    {"source port", "{source_ports: [4000, 5000]}\n{}", {FACTS}, 0},
    {"an earlier criterion wins", "{source_ports: [5000]}\n{destination_port: 443}", {FACTS}, 1},
    {"there is no way back", "{destination_port: 443, source_ports: [1]}\n{source_ports: [5000]}", {FACTS}, -1},
    {"the first of equals", "{destination_port: 443}\n{destination_port: 443}", {FACTS}, 0},
};

#define CHAINS 4

static void run_row(const struct row *row)
{
    struct weir_diag diag;
    struct weir_arena arena;
    weir_diag_init(&diag);
    weir_arena_init(&arena, NULL);
    struct weir_config *config = weir_config_new(&diag);
    struct weir_conf_ctx ctx = {.arena = &arena, .config = config, .diag = &diag};
    struct weir_filter_chain chains[CHAINS] = {0};
    struct weir_listener listener = {.chains = chains};
    struct weir_slice rest = weir_slice_str(row->matches), line;
    while (weir_slice_next(&rest, '\n', &line)) {
        ProtobufCMessage *msg = NULL;
        assert_int_equal(weir_config_read_text(config, WEIR_S("test"), line,
                                               &envoy__config__listener__v3__filter_chain_match__descriptor, &msg), WEIR_OK);
        assert_true(listener.n_chains < CHAINS);
        assert_int_equal(weir_chain_match_new(&ctx, msg, &chains[listener.n_chains++].match), WEIR_OK);
    }
    struct weir_addr local, remote;
    assert_int_equal(weir_addr_parse_ip(weir_slice_str(row->facts.local), row->facts.local_port, &local), WEIR_OK);
    assert_int_equal(weir_addr_parse_ip(weir_slice_str(row->facts.remote), row->facts.remote_port, &remote), WEIR_OK);
    struct weir_slice alpn = weir_slice_str(row->facts.alpn);
    struct weir_chain_facts facts = {
        .local = &local, .remote = &remote, .direct_remote = &remote, .server_name = weir_slice_str(row->facts.server_name),
        .transport_protocol = row->facts.transport ? weir_slice_str(row->facts.transport) : WEIR_S("raw_buffer"),
        .alpn = &alpn, .n_alpn = row->facts.alpn ? 1 : 0};
    const struct weir_filter_chain *found = weir_chain_match_find(&listener, &facts);
    int got = found ? (int)(found - chains) : -1;
    if (got != row->want) fail_msg("%s: chain %d, not %d", row->name, got, row->want);
    weir_config_free(config);
    weir_arena_fini(&arena);
    weir_diag_fini(&diag);
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < WEIR_COUNTOF(rows); i++) run_row(&rows[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
