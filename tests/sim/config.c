/* The configuration of a seed: the same three clusters and one listener, with numbers that chance gives. */
#include "run.h"

static uint64_t pick(struct run *run, uint64_t low, uint64_t high)
{
    return low + run_random(run, high - low + 1);
}

/* "`before`1.234s`after`" */
static void add_ms(struct weir_str *out, const char *before, uint64_t ms, const char *after)
{
    weir_str_printf(out, "%s%llu.%03llus%s", before, (unsigned long long)ms / 1000, (unsigned long long)ms % 1000, after);
}

static void add_cluster(struct run *run, struct weir_str *out, const char *name, uint32_t version)
{
    static const char *const policies[] = {"ROUND_ROBIN", "LEAST_REQUEST", "RANDOM"};
    bool small = run->may & RUN_SMALL_LIMITS;
    weir_str_printf(out, "  - name: %s\n    lb_policy: %s\n    per_connection_buffer_limit_bytes: %u\n", name,
                    policies[run_random(run, 3)], (unsigned)run->buffer_limit);
    add_ms(out, "    connect_timeout: ", pick(run, 100, 1000), "\n");
    if (small && run_chance(run, 700))
        weir_str_printf(out, "    circuit_breakers: {thresholds: [{max_connections: %u, max_pending_requests: %u, max_requests: %u}]}\n",
                        (unsigned)pick(run, 1, 4), (unsigned)pick(run, 0, 3), (unsigned)pick(run, 1, 5));
    if (small && run_chance(run, 400)) weir_str_printf(out, "    max_requests_per_connection: %u\n", (unsigned)pick(run, 1, 3));
    bool h2 = (run->may & RUN_H2) && name[0] == 't';
    if (h2)
        weir_str_printf(out,
                        "    typed_extension_protocol_options:\n"
                        "      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:\n"
                        "        '@type': type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions\n"
                        "        explicit_http_config: {http2_protocol_options: {max_concurrent_streams: %u, initial_stream_window_size: %u}}\n",
                        (unsigned)pick(run, 1, 10), (unsigned)pick(run, 65535, 200000));
    else if (run_chance(run, 500))
        add_ms(out, "    common_http_protocol_options: {idle_timeout: ", version ? pick(run, 1, 2000) : pick(run, 50, 5000), "}\n");
    if (!h2) weir_str_adds(out, "    http_protocol_options: {enable_trailers: true}\n");
    weir_str_printf(out, "    load_assignment:\n      cluster_name: %s\n      endpoints:\n      - lb_endpoints:\n", name);
    uint32_t first = version ? (uint32_t)run_random(run, N_HOSTS) : 0;
    for (uint32_t i = first; i < N_HOSTS; i++)
        weir_str_printf(out, "        - {endpoint: {address: {socket_address: {address: 10.0.%u.%u, port_value: 80}}}}\n", h2 ? 2u : 0u,
                        (unsigned)i + 1);
}

static void add_timeouts(struct run *run, struct weir_str *out)
{
    bool tight = run->may & RUN_TIMEOUTS;
    add_ms(out, "          stream_idle_timeout: ", (tight ? pick(run, 200, 3000) : 20000), "\n");
    add_ms(out, "          delayed_close_timeout: ", tight ? pick(run, 0, 1) * pick(run, 1, 1000) : 3000, "\n");
    add_ms(out, "          drain_timeout: ", pick(run, 1, 2000), "\n");
    if (tight && run_chance(run, 500)) add_ms(out, "          request_timeout: ", pick(run, 100, 2000), "\n");
    if (tight && run_chance(run, 500))
        add_ms(out, "          request_headers_timeout: ", pick(run, 50, 1000), "\n");
    if (!tight) return;
    weir_str_adds(out, "          common_http_protocol_options:\n");
    add_ms(out, "            idle_timeout: ", pick(run, 100, 3000), "\n");
    if (run_chance(run, 300)) add_ms(out, "            max_connection_duration: ", pick(run, 100, 3000), "\n");
    if (run_chance(run, 300)) add_ms(out, "            max_stream_duration: ", pick(run, 100, 3000), "\n");
    if (run_chance(run, 300)) weir_str_printf(out, "            max_requests_per_connection: %u\n", (unsigned)pick(run, 1, 4));
}

static void add_routes(struct run *run, struct weir_str *out, uint32_t version)
{
    unsigned long long timeout = (run->may & RUN_TIMEOUTS) ? pick(run, 100, 2500) : 15000;
    weir_str_printf(out,
                    "          route_config:\n"
                    "            name: r%u\n"
                    "            virtual_hosts:\n"
                    "            - name: all\n"
                    "              domains: ['*']\n"
                    "              routes:\n"
                    "              - {match: {prefix: /direct}, direct_response: {status: 203, body: {inline_string: 'said directly'}}}\n"
                    "              - {match: {prefix: /redirect}, redirect: {path_redirect: /elsewhere}}\n"
                    "              - {match: {prefix: /nocluster}, route: {cluster_header: x-no-such-header}}\n",
                    (unsigned)version);
    weir_str_printf(out, "              - match: {prefix: /up}\n                route:\n                  timeout: %llu.%03llus\n"
                         "                  weighted_clusters: {clusters: [{name: one, weight: 2}, {name: two, weight: 1}]}\n",
                    timeout / 1000, timeout % 1000);
    if (!(run->may & RUN_RETRIES)) return;
    weir_str_printf(out, "                  retry_policy: {num_retries: %u, retry_on: '%s'", (unsigned)pick(run, 1, 3),
                    run_chance(run, 500) ? "5xx,reset,connect-failure" : "connect-failure,refused-stream,reset-before-request,gateway-error");
    if (run_chance(run, 500)) add_ms(out, ", per_try_timeout: ", pick(run, 50, 3000), "");
    weir_str_adds(out, "}\n");
}

/* Some of weir's own filters. */
static void add_filters(struct run *run, struct weir_str *out)
{
    static const char *const texts[] = {
        "fault, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault, "
        "delay: {fixed_delay: 0.05s, percentage: {numerator: 30}}, abort: {http_status: 418, percentage: {numerator: 10}}}",
        "buffer, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer, max_request_bytes: 5000}",
        "local_ratelimit, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit, "
        "stat_prefix: rl, token_bucket: {max_tokens: 5, tokens_per_fill: 1, fill_interval: 0.1s}, "
        "filter_enabled: {default_value: {numerator: 100}}, filter_enforced: {default_value: {numerator: 100}}}",
        "cors, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors}",
    };
    for (size_t i = 0; i < WEIR_COUNTOF(texts); i++)
        if (run_chance(run, 400)) weir_str_printf(out, "          - {name: envoy.filters.http.%s}\n", texts[i]);
}

void config_text(struct run *run, struct weir_str *out, uint32_t version)
{
    weir_str_init(out, 1 << 16);
    weir_str_adds(out, "static_resources:\n  clusters:\n");
    add_cluster(run, out, "one", version);
    add_cluster(run, out, "two", version);
    add_cluster(run, out, "calls", 0);
    weir_str_printf(out,
                    "  listeners:\n"
                    "  - name: main\n"
                    "    address: {socket_address: {address: 10.1.1.1, port_value: 8080}}\n"
                    "    per_connection_buffer_limit_bytes: %u\n"
                    "    filter_chains:\n"
                    "    - filters:\n"
                    "      - name: hcm\n"
                    "        typed_config:\n"
                    "          '@type': type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager\n"
                    "          stat_prefix: sim\n"
                    "          http_protocol_options: {enable_trailers: true}\n"
                    "          access_log:\n"
                    "          - {name: sim.log, typed_config: {'@type': type.googleapis.com/google.protobuf.Empty}}\n",
                    (unsigned)run->buffer_limit);
    add_timeouts(run, out);
    add_routes(run, out, version);
    weir_str_adds(out, "          http_filters:\n");
    if (run->may & RUN_FILTERS) add_filters(run, out);
    uint32_t n = (uint32_t)pick(run, 0, 3);
    if (run->may & (RUN_FILTER_FAULTS | RUN_FILTER_PAUSES)) n += n == 0;
    for (uint32_t i = 0; i < n; i++)
        weir_str_printf(out, "          - {name: chaos%u, typed_config: {'@type': type.googleapis.com/google.protobuf.Empty}}\n", (unsigned)i);
    weir_str_adds(out, "          - {name: envoy.filters.http.router, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}\n");
}
