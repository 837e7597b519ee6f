/* From Envoy's Cluster message to a cluster. Every field is implemented, harmless or refused by name (the tables in
 * cluster_fields.c); all faults of a cluster are reported in one go. */
#include "upstream/cluster_config.h"

#include "base/mem.h"
#include "config/proto_json.h"
#include "config/supported.h"
#include "config/values.h"
#include "http/codec_stats.h"
#include "envoy/extensions/upstreams/http/v3/http_protocol_options.pb-c.h"
#include "upstream/cluster_fields.h"
#include "upstream/lb.h"

typedef Envoy__Config__Cluster__V3__Cluster Cluster;
typedef Envoy__Config__Cluster__V3__CircuitBreakers__Thresholds Thresholds;
typedef Envoy__Config__Endpoint__V3__ClusterLoadAssignment LoadAssignment;
typedef Envoy__Config__Endpoint__V3__LocalityLbEndpoints LocalityEndpoints;
typedef Envoy__Config__Endpoint__V3__LbEndpoint LbEndpoint;
typedef Envoy__Extensions__Upstreams__Http__V3__HttpProtocolOptions HttpOptions;

/* Envoy's defaults. */
#define CONNECT_TIMEOUT_MS 5000
#define IDLE_TIMEOUT_MS    3600000
#define BUFFER_LIMIT       (1u << 20)
#define MAX_PER_RESOURCE   1024
#define MAX_RETRIES        3
#define PANIC_THRESHOLD    50
#define OVERPROVISIONING   140
#define DNS_REFRESH_MS     5000
#define PRIORITY_MAX       128 /* endpoint.proto's own rule */

struct build {
    struct weir_config *config;
    const Cluster *proto;
    struct weir_cluster *cluster;
    struct weir_stats *stats;
    struct weir_host **hosts;
    uint32_t n_hosts, cap_hosts;
    bool failed;
};

#define fail(b, ...) ((b)->failed = true, weir_config_error((b)->config, __VA_ARGS__))

/* ---- endpoints ---- */

static void add_host(struct build *b, struct weir_host *host)
{
    if (b->n_hosts == b->cap_hosts) {
        b->cap_hosts = b->cap_hosts ? b->cap_hosts * 2 : 8;
        b->hosts = weir_xrealloc(b->hosts, b->cap_hosts * sizeof(struct weir_host *));
    }
    b->hosts[b->n_hosts++] = host;
}

/* An endpoint's address: an address into `ret`, or a name into `endpoint` where the cluster looks names up. */
static bool parse_socket_address(struct build *b, const Envoy__Config__Core__V3__SocketAddress *sa,
                                 struct weir_endpoint *endpoint, struct weir_addr *ret)
{
    if (sa->port_specifier_case != ENVOY__CONFIG__CORE__V3__SOCKET_ADDRESS__PORT_SPECIFIER_PORT_VALUE) {
        fail(b, sa, NULL, -1, "an endpoint needs \"port_value\"");
        return false;
    }
    if (sa->port_value > 65535)
        return false; /* the schema's rule has said so */
    if (weir_addr_parse_ip(weir_slice_str(sa->address), (uint16_t)sa->port_value, ret) == WEIR_OK)
        return true;
    endpoint->name = weir_arena_dup(&b->cluster->arena, weir_slice_str(sa->address));
    endpoint->port = (uint16_t)sa->port_value;
    if (b->cluster->discovery != WEIR_DISCOVERY_STATIC)
        return true;
    fail(b, sa, "address", -1,
         "malformed IP address: \"%s\" is a name, and a STATIC cluster looks no names up", sa->address);
    weir_config_hint(b->config, "write \"type: STRICT_DNS\" or \"type: LOGICAL_DNS\" in this cluster");
    return false;
}

static bool parse_address(struct build *b, const void *owner, const Envoy__Config__Core__V3__Address *address,
                          struct weir_endpoint *endpoint, struct weir_addr *ret)
{
    if (!address) {
        fail(b, owner, NULL, -1, "an endpoint needs \"address\"");
        return false;
    }
    switch (address->address_case) {
    case ENVOY__CONFIG__CORE__V3__ADDRESS__ADDRESS_SOCKET_ADDRESS:
        return parse_socket_address(b, address->socket_address, endpoint, ret);
    case ENVOY__CONFIG__CORE__V3__ADDRESS__ADDRESS_PIPE:
        if (weir_addr_parse_unix(weir_slice_str(address->pipe->path), ret) == WEIR_OK)
            return true;
        fail(b, address->pipe, "path", -1, "too long for a Unix socket (at most 107 bytes)");
        return false;
    case ENVOY__CONFIG__CORE__V3__ADDRESS__ADDRESS_ENVOY_INTERNAL_ADDRESS:
    case ENVOY__CONFIG__CORE__V3__ADDRESS__ADDRESS__NOT_SET:
    default:
        b->failed = true; /* refused by name, or by the schema's rule */
        return false;
    }
}

static uint32_t flags_of(Envoy__Config__Core__V3__HealthStatus status)
{
    switch (status) {
    case ENVOY__CONFIG__CORE__V3__HEALTH_STATUS__UNHEALTHY:
    case ENVOY__CONFIG__CORE__V3__HEALTH_STATUS__DRAINING:
    case ENVOY__CONFIG__CORE__V3__HEALTH_STATUS__TIMEOUT:
        return WEIR_HOST_FAILED_EDS;
    case ENVOY__CONFIG__CORE__V3__HEALTH_STATUS__DEGRADED:
        return WEIR_HOST_DEGRADED_EDS;
    case ENVOY__CONFIG__CORE__V3__HEALTH_STATUS__UNKNOWN:
    case ENVOY__CONFIG__CORE__V3__HEALTH_STATUS__HEALTHY:
    default:
        return 0;
    }
}

static void add_name(struct build *b, const struct weir_endpoint *endpoint)
{
    struct weir_cluster *cluster = b->cluster;
    struct weir_endpoint *v = WEIR_ARENA_ARRAY(&cluster->arena, struct weir_endpoint, cluster->n_names + 1);
    if (cluster->n_names)
        memcpy(v, cluster->names, cluster->n_names * sizeof(*v));
    v[cluster->n_names++] = *endpoint;
    cluster->names = v;
}

static void add_endpoint(struct build *b, const LocalityEndpoints *group, const LbEndpoint *lb)
{
    struct weir_arena *arena = &b->cluster->arena;
    struct weir_addr addr;
    if (lb->host_identifier_case != ENVOY__CONFIG__ENDPOINT__V3__LB_ENDPOINT__HOST_IDENTIFIER_ENDPOINT) {
        fail(b, lb, NULL, -1, "needs \"endpoint\" with its address");
        return;
    }
    struct weir_endpoint endpoint = {
        .hostname = weir_arena_dup(arena, weir_proto_str(lb->endpoint->hostname)),
        .weight = weir_u32_value(lb->load_balancing_weight, 1),
        .priority = group->priority,
        .flags = flags_of(lb->health_status),
        .metadata = lb->metadata,
    };
    if (group->locality) {
        endpoint.region = weir_arena_dup(arena, weir_proto_str(group->locality->region));
        endpoint.zone = weir_arena_dup(arena, weir_proto_str(group->locality->zone));
        endpoint.sub_zone = weir_arena_dup(arena, weir_proto_str(group->locality->sub_zone));
    }
    if (!parse_address(b, lb->endpoint, lb->endpoint->address, &endpoint, &addr))
        return;
    if (endpoint.name.len)
        add_name(b, &endpoint);
    else
        add_host(b, weir_cluster_host_new(b->cluster, &endpoint, &addr));
}

/* Priorities must follow each other from 0 (Envoy: a gap would be a level without hosts). */
static void check_priorities(struct build *b, const LoadAssignment *assignment)
{
    bool seen[PRIORITY_MAX + 1] = {false};
    for (size_t i = 0; i < assignment->n_endpoints; i++)
        if (assignment->endpoints[i]->priority <= PRIORITY_MAX)
            seen[assignment->endpoints[i]->priority] = true;
    for (size_t i = 0; i < assignment->n_endpoints; i++) {
        uint32_t p = assignment->endpoints[i]->priority;
        if (p > 0 && p <= PRIORITY_MAX && !seen[p - 1]) {
            fail(b, assignment->endpoints[i], "priority", -1,
                 "no endpoints have priority %u: priorities start at 0 without a gap", p - 1);
            return;
        }
    }
}

static void build_hosts(struct build *b)
{
    const LoadAssignment *assignment = b->proto->load_assignment;
    uint32_t overprovisioning = OVERPROVISIONING;
    size_t n_endpoints = 0;
    if (assignment) {
        for (size_t i = 0; i < assignment->n_endpoints; i++)
            for (size_t j = 0; j < assignment->endpoints[i]->n_lb_endpoints; j++, n_endpoints++)
                add_endpoint(b, assignment->endpoints[i], assignment->endpoints[i]->lb_endpoints[j]);
        check_priorities(b, assignment);
        if (assignment->policy)
            overprovisioning = weir_u32_value(assignment->policy->overprovisioning_factor, OVERPROVISIONING);
    }
    if (b->cluster->discovery == WEIR_DISCOVERY_LOGICAL_DNS && n_endpoints != 1)
        fail(b, b->proto, "load_assignment", -1,
             "a LOGICAL_DNS cluster has exactly one endpoint, this one has %zu", n_endpoints);
    b->cluster->overprovisioning = overprovisioning;
    b->cluster->fixed = weir_host_set_new(b->hosts, b->n_hosts, overprovisioning);
    b->cluster->hosts = weir_host_set_ref(b->cluster->fixed);
    for (uint32_t i = 0; i < b->n_hosts; i++)
        weir_host_unref(b->hosts[i]);
    weir_free(b->hosts);
}

/* ---- looking names up ---- */

static enum weir_dns_family family_of(Envoy__Config__Cluster__V3__Cluster__DnsLookupFamily family)
{
    static const enum weir_dns_family families[] = {
        [ENVOY__CONFIG__CLUSTER__V3__CLUSTER__DNS_LOOKUP_FAMILY__AUTO] = WEIR_DNS_AUTO,
        [ENVOY__CONFIG__CLUSTER__V3__CLUSTER__DNS_LOOKUP_FAMILY__V4_ONLY] = WEIR_DNS_V4_ONLY,
        [ENVOY__CONFIG__CLUSTER__V3__CLUSTER__DNS_LOOKUP_FAMILY__V6_ONLY] = WEIR_DNS_V6_ONLY,
        [ENVOY__CONFIG__CLUSTER__V3__CLUSTER__DNS_LOOKUP_FAMILY__V4_PREFERRED] = WEIR_DNS_V4_PREFERRED,
        [ENVOY__CONFIG__CLUSTER__V3__CLUSTER__DNS_LOOKUP_FAMILY__ALL] = WEIR_DNS_ALL,
    };
    return (size_t)family < WEIR_COUNTOF(families) ? families[family] : WEIR_DNS_AUTO;
}

static void build_discovery(struct build *b)
{
    const Cluster *proto = b->proto;
    struct weir_cluster *cluster = b->cluster;
    if (proto->cluster_discovery_type_case ==
        ENVOY__CONFIG__CLUSTER__V3__CLUSTER__CLUSTER_DISCOVERY_TYPE_TYPE) {
        if (proto->type == ENVOY__CONFIG__CLUSTER__V3__CLUSTER__DISCOVERY_TYPE__STRICT_DNS)
            cluster->discovery = WEIR_DISCOVERY_STRICT_DNS;
        if (proto->type == ENVOY__CONFIG__CLUSTER__V3__CLUSTER__DISCOVERY_TYPE__LOGICAL_DNS)
            cluster->discovery = WEIR_DISCOVERY_LOGICAL_DNS;
    }
    struct weir_dns_conf *dns = &cluster->dns;
    dns->family = family_of(proto->dns_lookup_family);
    dns->refresh_ms = WEIR_MAX(weir_duration_ms(proto->dns_refresh_rate, DNS_REFRESH_MS), 1);
    dns->jitter_ms = weir_duration_ms(proto->dns_jitter, 0);
    dns->respect_ttl = proto->respect_dns_ttl;
    dns->wait = weir_bool_value(proto->wait_for_warm_on_init, true);
    if (!proto->dns_failure_refresh_rate)
        return;
    dns->failure_base_ms =
        WEIR_MAX(weir_duration_ms(proto->dns_failure_refresh_rate->base_interval, DNS_REFRESH_MS), 1);
    dns->failure_max_ms =
        weir_duration_ms(proto->dns_failure_refresh_rate->max_interval, dns->failure_base_ms * 10);
    if (dns->failure_max_ms < dns->failure_base_ms)
        fail(b, proto->dns_failure_refresh_rate, "max_interval", -1, "is less than base_interval");
}

/* ---- circuit breakers ---- */

static weir_stat open_gauge(struct build *b, enum weir_priority priority, const char *name)
{
    char text[64];
    int len = snprintf(text, sizeof(text), "circuit_breakers.%s.%s_open",
                       priority == WEIR_PRIORITY_HIGH ? "high" : "default", name);
    return weir_stats_register(b->stats, &b->cluster->scope, weir_slice(text, (size_t)len), WEIR_STAT_GAUGE);
}

static void set_resources(struct build *b, enum weir_priority priority, const Thresholds *t)
{
    static const Thresholds none = ENVOY__CONFIG__CLUSTER__V3__CIRCUIT_BREAKERS__THRESHOLDS__INIT;
    if (!t)
        t = &none;
    struct weir_resources *r = &b->cluster->resources[priority];
    r->connections = (struct weir_resource){.max = weir_u32_value(t->max_connections, MAX_PER_RESOURCE),
                                            .open = open_gauge(b, priority, "cx")};
    r->pending = (struct weir_resource){.max = weir_u32_value(t->max_pending_requests, MAX_PER_RESOURCE),
                                        .open = open_gauge(b, priority, "rq_pending")};
    r->requests = (struct weir_resource){.max = weir_u32_value(t->max_requests, MAX_PER_RESOURCE),
                                         .open = open_gauge(b, priority, "rq")};
    r->retries = (struct weir_resource){.max = weir_u32_value(t->max_retries, MAX_RETRIES),
                                        .open = open_gauge(b, priority, "rq_retry")};
    r->pools = (struct weir_resource){.max = INT64_MAX, .open = open_gauge(b, priority, "cx_pool")};
}

static void build_resources(struct build *b)
{
    const Thresholds *by_priority[WEIR_PRIORITIES] = {NULL};
    const Envoy__Config__Cluster__V3__CircuitBreakers *breakers = b->proto->circuit_breakers;
    for (size_t i = 0; breakers && i < breakers->n_thresholds; i++) {
        const Thresholds *t = breakers->thresholds[i];
        enum weir_priority p = t->priority == ENVOY__CONFIG__CORE__V3__ROUTING_PRIORITY__HIGH
                                   ? WEIR_PRIORITY_HIGH
                                   : WEIR_PRIORITY_DEFAULT;
        if (!by_priority[p])
            by_priority[p] = t; /* of several the first counts: Envoy, circuit_breaker.proto */
    }
    for (unsigned p = 0; p < WEIR_PRIORITIES; p++)
        set_resources(b, (enum weir_priority)p, by_priority[p]);
}

/* ---- protocol ---- */

static void set_common(struct weir_cluster *cluster,
                       const Envoy__Config__Core__V3__HttpProtocolOptions *common)
{
    if (!common)
        return;
    cluster->idle_timeout_ms = weir_duration_ms(common->idle_timeout, IDLE_TIMEOUT_MS);
    cluster->max_connection_duration_ms = weir_duration_ms(common->max_connection_duration, 0);
    cluster->max_stream_duration_ms = weir_duration_ms(common->max_stream_duration, 0);
    cluster->max_requests_per_connection =
        weir_u32_value(common->max_requests_per_connection, cluster->max_requests_per_connection);
    cluster->h1.max_headers_count = weir_u32_value(common->max_headers_count, cluster->h1.max_headers_count);
    cluster->h2.max_headers_count = cluster->h1.max_headers_count;
    if (!common->max_response_headers_kb)
        return;
    cluster->h1.max_headers_bytes = common->max_response_headers_kb->value * 1024;
    cluster->h2.max_headers_bytes = cluster->h1.max_headers_bytes;
}

static void set_h1(struct weir_cluster *cluster, const Envoy__Config__Core__V3__Http1ProtocolOptions *h1)
{
    if (!h1)
        return;
    cluster->h1.enable_trailers = h1->enable_trailers;
    cluster->h1.allow_chunked_length = h1->allow_chunked_length;
    cluster->h1.send_fully_qualified_url = h1->send_fully_qualified_url;
    if (!h1->header_key_format)
        return;
    cluster->h1.proper_case =
        h1->header_key_format->header_format_case ==
        ENVOY__CONFIG__CORE__V3__HTTP1_PROTOCOL_OPTIONS__HEADER_KEY_FORMAT__HEADER_FORMAT_PROPER_CASE_WORDS;
}

static void set_h2(struct weir_cluster *cluster, const Envoy__Config__Core__V3__Http2ProtocolOptions *from)
{
    if (!from)
        return;
    struct weir_h2_options *h2 = &cluster->h2;
    cluster->protocol = WEIR_HTTP_2;
    h2->hpack_table_size = weir_u32_value(from->hpack_table_size, h2->hpack_table_size);
    h2->max_concurrent_streams = weir_u32_value(from->max_concurrent_streams, h2->max_concurrent_streams);
    h2->initial_stream_window = weir_u32_value(from->initial_stream_window_size, h2->initial_stream_window);
    h2->initial_connection_window =
        weir_u32_value(from->initial_connection_window_size, h2->initial_connection_window);
    h2->max_outbound_frames = weir_u32_value(from->max_outbound_frames, h2->max_outbound_frames);
    h2->max_outbound_control_frames =
        weir_u32_value(from->max_outbound_control_frames, h2->max_outbound_control_frames);
    h2->max_consecutive_empty_frames = weir_u32_value(from->max_consecutive_inbound_frames_with_empty_payload,
                                                      h2->max_consecutive_empty_frames);
    h2->max_priority_frames_per_stream =
        weir_u32_value(from->max_inbound_priority_frames_per_stream, h2->max_priority_frames_per_stream);
    h2->max_window_updates_per_data_frame = weir_u32_value(
        from->max_inbound_window_update_frames_per_data_frame_sent, h2->max_window_updates_per_data_frame);
}

/* Stats of a codec: "cluster.<name>.http1.". */
static weir_stat codec_stats(struct build *b, const char *name, const struct weir_stat_def *rows, uint32_t n)
{
    struct weir_arena *arena = &b->cluster->arena;
    struct weir_stats_scope scope = b->cluster->scope;
    scope.prefix = weir_arena_printf(arena, "%.*s%s.", WEIR_SARG(scope.prefix), name);
    scope.prom_prefix = weir_arena_printf(arena, "cluster.%s.", name);
    return weir_stats_register_group(b->stats, &scope, rows, n);
}

/* typed_extension_protocol_options: a map from name to options; the name is free text for Envoy, the type counts. */
static const HttpOptions *find_http_options(struct build *b)
{
    const HttpOptions *found = NULL;
    for (size_t i = 0; i < b->proto->n_typed_extension_protocol_options; i++) {
        const Envoy__Config__Cluster__V3__Cluster__TypedExtensionProtocolOptionsEntry *entry =
            b->proto->typed_extension_protocol_options[i];
        const ProtobufCMessage *msg =
            weir_config_any_as(b->config, entry->value,
                               &envoy__extensions__upstreams__http__v3__http_protocol_options__descriptor);
        if (msg) {
            found = (const HttpOptions *)(const void *)msg;
            if (!weir_config_check_supported(b->config, msg, &weir_http_protocol_options_fields))
                b->failed = true;
            continue;
        }
        struct weir_slice type = weir_config_any(b->config, entry->value).type;
        if (type.len == 0)
            continue; /* reported when it was read */
        fail(b, entry, "value", -1, "%.*s: known to Envoy, not implemented by weir yet", WEIR_SARG(type));
    }
    return found;
}

static void read_http_options(struct weir_cluster *cluster, const HttpOptions *options)
{
    set_common(cluster, options->common_http_protocol_options);
    switch (options->upstream_protocol_options_case) {
    case ENVOY__EXTENSIONS__UPSTREAMS__HTTP__V3__HTTP_PROTOCOL_OPTIONS__UPSTREAM_PROTOCOL_OPTIONS_EXPLICIT_HTTP_CONFIG:
        if (options->explicit_http_config->protocol_config_case ==
            ENVOY__EXTENSIONS__UPSTREAMS__HTTP__V3__HTTP_PROTOCOL_OPTIONS__EXPLICIT_HTTP_CONFIG__PROTOCOL_CONFIG_HTTP_PROTOCOL_OPTIONS)
            set_h1(cluster, options->explicit_http_config->http_protocol_options);
        else if (
            options->explicit_http_config->protocol_config_case ==
            ENVOY__EXTENSIONS__UPSTREAMS__HTTP__V3__HTTP_PROTOCOL_OPTIONS__EXPLICIT_HTTP_CONFIG__PROTOCOL_CONFIG_HTTP2_PROTOCOL_OPTIONS)
            set_h2(cluster, options->explicit_http_config->http2_protocol_options);
        break;
    case ENVOY__EXTENSIONS__UPSTREAMS__HTTP__V3__HTTP_PROTOCOL_OPTIONS__UPSTREAM_PROTOCOL_OPTIONS_USE_DOWNSTREAM_PROTOCOL_CONFIG:
    case ENVOY__EXTENSIONS__UPSTREAMS__HTTP__V3__HTTP_PROTOCOL_OPTIONS__UPSTREAM_PROTOCOL_OPTIONS_AUTO_CONFIG:
    case ENVOY__EXTENSIONS__UPSTREAMS__HTTP__V3__HTTP_PROTOCOL_OPTIONS__UPSTREAM_PROTOCOL_OPTIONS__NOT_SET:
    default:
        break;
    }
}

static void build_protocol(struct build *b)
{
    struct weir_cluster *cluster = b->cluster;
    cluster->protocol = WEIR_HTTP_11;
    cluster->idle_timeout_ms = IDLE_TIMEOUT_MS;
    cluster->max_requests_per_connection = weir_u32_value(b->proto->max_requests_per_connection, 0);
    cluster->h1 = weir_h1_options_default[WEIR_CODEC_CLIENT];
    cluster->h2 = weir_h2_options_default;
    set_common(cluster, b->proto->common_http_protocol_options);
    set_h1(cluster, b->proto->http_protocol_options);
    set_h2(cluster, b->proto->http2_protocol_options);
    const HttpOptions *options = find_http_options(b);
    if (options)
        read_http_options(cluster, options);
    if (cluster->protocol == WEIR_HTTP_2)
        cluster->h2.stats = codec_stats(b, "http2", weir_h2_stat_defs, WEIR_H2_STAT_COUNT);
    else
        cluster->h1.stats = codec_stats(b, "http1", weir_h1_stat_defs, WEIR_H1_STAT_COUNT);
}

/* ---- transport ---- */

static void build_transport(struct build *b)
{
    b->cluster->transport = &weir_transport_raw;
    const Envoy__Config__Core__V3__TransportSocket *socket = b->proto->transport_socket;
    if (!socket)
        return;
    const Google__Protobuf__Any *any =
        socket->config_type_case == ENVOY__CONFIG__CORE__V3__TRANSPORT_SOCKET__CONFIG_TYPE_TYPED_CONFIG
            ? socket->typed_config
            : NULL;
    struct weir_any content = weir_config_any(b->config, any);
    if (weir_slice_eq(content.type, WEIR_S("envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer")))
        return;
    if (content.type.len == 0 && strcmp(socket->name, "envoy.transport_sockets.raw_buffer") == 0)
        return;
    b->failed = true;
    weir_config_refuse_extension(b->config, &socket->base, "transport socket", content, socket->name);
}

/* ---- balancing ---- */

static void build_balancing(struct build *b)
{
    static const struct {
        Envoy__Config__Cluster__V3__Cluster__LbPolicy from;
        enum weir_lb_policy to;
    } policies[] = {
        {ENVOY__CONFIG__CLUSTER__V3__CLUSTER__LB_POLICY__ROUND_ROBIN, WEIR_LB_ROUND_ROBIN},
        {ENVOY__CONFIG__CLUSTER__V3__CLUSTER__LB_POLICY__LEAST_REQUEST, WEIR_LB_LEAST_REQUEST},
        {ENVOY__CONFIG__CLUSTER__V3__CLUSTER__LB_POLICY__RANDOM, WEIR_LB_RANDOM},
    };
    struct weir_cluster *cluster = b->cluster;
    cluster->lb = WEIR_LB_ROUND_ROBIN;
    for (size_t i = 0; i < WEIR_COUNTOF(policies); i++)
        if (policies[i].from == b->proto->lb_policy)
            cluster->lb = policies[i].to;
    cluster->lb_choice_count = 2;
    if (b->proto->lb_config_case == ENVOY__CONFIG__CLUSTER__V3__CLUSTER__LB_CONFIG_LEAST_REQUEST_LB_CONFIG)
        cluster->lb_choice_count = weir_u32_value(b->proto->least_request_lb_config->choice_count, 2);
    cluster->panic_threshold = PANIC_THRESHOLD;
    const Envoy__Config__Cluster__V3__Cluster__CommonLbConfig *common = b->proto->common_lb_config;
    if (!common)
        return;
    if (common->healthy_panic_threshold)
        cluster->panic_threshold = (uint32_t)common->healthy_panic_threshold->value;
    if (common->locality_config_specifier_case ==
        ENVOY__CONFIG__CLUSTER__V3__CLUSTER__COMMON_LB_CONFIG__LOCALITY_CONFIG_SPECIFIER_ZONE_AWARE_LB_CONFIG)
        cluster->fail_on_panic = common->zone_aware_lb_config->fail_traffic_on_panic;
}

/* ---- the cluster itself ---- */

static void build_keepalive(struct build *b)
{
    const Envoy__Config__Cluster__V3__UpstreamConnectionOptions *options =
        b->proto->upstream_connection_options;
    if (!options || !options->tcp_keepalive)
        return;
    b->cluster->keepalive = (struct weir_tcp_keepalive){
        .on = true,
        .probes = weir_u32_value(options->tcp_keepalive->keepalive_probes, 0),
        .time_s = weir_u32_value(options->tcp_keepalive->keepalive_time, 0),
        .interval_s = weir_u32_value(options->tcp_keepalive->keepalive_interval, 0),
    };
}

/* Stats of the cluster: "cluster.<name>." with colons as underscores (Envoy: they divide names in some sinks). */
static void register_stats(struct build *b)
{
    static const struct weir_stat_def rows[] = {
#define X(name, kind) {#name, WEIR_STAT_##kind},
        WEIR_CLUSTER_STATS(X)
#undef X
    };
    struct weir_cluster *cluster = b->cluster;
    const char *alt = b->proto->alt_stat_name;
    struct weir_slice name = weir_slice_str(alt && *alt ? alt : b->proto->name);
    char *copy = weir_arena_alloc(&cluster->arena, name.len + 1);
    for (size_t i = 0; i < name.len; i++)
        copy[i] = name.ptr[i] == ':' ? '_' : name.ptr[i];
    copy[name.len] = 0;
    cluster->stat_name = weir_slice(copy, name.len);
    struct weir_tag *tag = WEIR_ARENA_NEW(&cluster->arena, struct weir_tag);
    *tag = (struct weir_tag){WEIR_S("envoy_cluster_name"), cluster->stat_name};
    cluster->scope = (struct weir_stats_scope){
        .prefix = weir_arena_printf(&cluster->arena, "cluster.%.*s.", WEIR_SARG(cluster->stat_name)),
        .prom_prefix = WEIR_S("cluster."),
        .tags = tag,
        .n_tags = 1,
    };
    cluster->registry = b->stats;
    cluster->stats = weir_stats_register_group(b->stats, &cluster->scope, rows, WEIR_COUNTOF(rows));
    if (!cluster->stats)
        fail(b, b->proto, "name", -1, "no room for more statistics");
    cluster->internal_time = weir_stats_register(b->stats, &cluster->scope,
                                                 WEIR_S("internal.upstream_rq_time"), WEIR_STAT_HISTOGRAM);
    cluster->external_time = weir_stats_register(b->stats, &cluster->scope,
                                                 WEIR_S("external.upstream_rq_time"), WEIR_STAT_HISTOGRAM);
}

/* Over the message as JSON, which shows what each Any holds. */
static uint64_t hash_of(struct weir_config *config, const Cluster *proto)
{
    struct weir_str text;
    weir_str_init(&text, SIZE_MAX / 2);
    weir_proto_json(&text, config, proto, &(struct weir_proto_json_style){.compact = true});
    uint64_t hash = weir_slice_hash(weir_str_slice(&text));
    weir_str_fini(&text);
    return hash;
}

struct weir_cluster *weir_cluster_new(struct weir_config *config, const Cluster *proto,
                                      struct weir_stats *stats)
{
    struct weir_cluster *cluster = WEIR_NEW(struct weir_cluster);
    struct build b = {.config = config, .proto = proto, .cluster = cluster, .stats = stats};
    atomic_init(&cluster->refs, 1);
    weir_arena_init(&cluster->arena, NULL);
    pthread_mutex_init(&cluster->hosts_lock, NULL);
    cluster->slots = weir_host_slots_new();
    cluster->name = weir_arena_dup(&cluster->arena, weir_slice_str(proto->name));
    cluster->proto = proto;
    cluster->connect_timeout_ms = weir_duration_ms(proto->connect_timeout, CONNECT_TIMEOUT_MS);
    cluster->buffer_limit = weir_u32_value(proto->per_connection_buffer_limit_bytes, BUFFER_LIMIT);
    if (!weir_config_check_supported(config, proto, &weir_cluster_fields))
        b.failed = true;
    register_stats(&b);
    build_discovery(&b);
    build_hosts(&b);
    build_resources(&b);
    build_protocol(&b);
    build_transport(&b);
    build_balancing(&b);
    build_keepalive(&b);
    if (b.failed) {
        weir_cluster_unref(cluster);
        return NULL;
    }
    cluster->hash = hash_of(config, proto);
    return cluster;
}
