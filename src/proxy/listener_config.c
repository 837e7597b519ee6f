/* Building listeners from Envoy's Listener message: addresses, socket options, filter chains with their network filters,
 * statistics. What a file sets beyond that is refused by name (the table below). */
#include "base/mem.h"
#include "base/str.h"
#include "config/config.h"
#include "config/proto_json.h"
#include "config/supported.h"
#include "config/values.h"
#include "envoy/config/listener/v3/listener.pb-c.h"
#include "proxy/chain_match.h"
#include "proxy/conf_ctx.h"
#include "proxy/filter_registry.h"
#include "proxy/listener.h"
#include "proxy/listener_stats.h"

typedef Envoy__Config__Listener__V3__Listener Listener;
typedef Envoy__Config__Listener__V3__FilterChain FilterChain;
typedef Envoy__Config__Listener__V3__Filter Filter;
typedef Envoy__Config__Core__V3__Address Address;

#define BUFFER_LIMIT_DEFAULT (1u << 20) /* Envoy: per_connection_buffer_limit_bytes */
#define CONNECT_TIMEOUT_MS   15000      /* ours; Envoy waits for ever for a transport that does not get ready */
#define CHAINS_MAX           256        /* chain_match.c's */

/* ---- which fields are there ---- */

#define FIELDS(name, descriptor) static const struct weir_supported_fields name = WEIR_SUPPORTED(descriptor, name##_table)

static const struct weir_supported_field socket_address_fields_table[] = {
    {.name = "protocol", .values = "TCP"},
    {.name = "address"},
    {.name = "port_value"},
    {.name = "ipv4_compat"},
};
FIELDS(socket_address_fields, envoy__config__core__v3__socket_address__descriptor);

static const struct weir_supported_field address_fields_table[] = {
    {.name = "socket_address", .nested = &socket_address_fields},
    {.name = "pipe"},
};
FIELDS(address_fields, envoy__config__core__v3__address__descriptor);

static const struct weir_supported_field additional_fields_table[] = {
    {.name = "address", .nested = &address_fields},
};
FIELDS(additional_fields, envoy__config__listener__v3__additional_address__descriptor);

static const struct weir_supported_field match_fields_table[] = {
    {.name = "destination_port"},
    {.name = "prefix_ranges"},
    {.name = "direct_source_prefix_ranges"},
    {.name = "source_type"},
    {.name = "source_prefix_ranges"},
    {.name = "source_ports"},
    {.name = "server_names"},
    {.name = "transport_protocol"},
    {.name = "application_protocols"},
};
FIELDS(match_fields, envoy__config__listener__v3__filter_chain_match__descriptor);

static const struct weir_supported_field filter_fields_table[] = {
    {.name = "name"},
    {.name = "typed_config"},
};
FIELDS(filter_fields, envoy__config__listener__v3__filter__descriptor);

static const struct weir_supported_field chain_fields_table[] = {
    {.name = "filter_chain_match", .nested = &match_fields},
    {.name = "filters", .nested = &filter_fields},
    {.name = "use_proxy_proto", .values = "false"},
    {.name = "metadata", .state = WEIR_FIELD_HARMLESS},
    {.name = "transport_socket", .note = "raw_buffer"},
    {.name = "transport_socket_connect_timeout"},
    {.name = "name"},
};
FIELDS(chain_fields, envoy__config__listener__v3__filter_chain__descriptor);

static const struct weir_supported_field listener_fields_table[] = {
    {.name = "name"},
    {.name = "address", .nested = &address_fields},
    {.name = "additional_addresses", .nested = &additional_fields},
    {.name = "stat_prefix"},
    {.name = "filter_chains", .nested = &chain_fields},
    {.name = "default_filter_chain", .nested = &chain_fields},
    {.name = "use_original_dst", .values = "false"},
    {.name = "per_connection_buffer_limit_bytes"},
    {.name = "metadata"},
    {.name = "drain_type", .state = WEIR_FIELD_HARMLESS, .values = "DEFAULT"},
    {.name = "listener_filters_timeout", .state = WEIR_FIELD_HARMLESS, .note = "for listener filters"},
    {.name = "continue_on_listener_filters_timeout", .state = WEIR_FIELD_HARMLESS, .note = "for listener filters"},
    {.name = "transparent"},
    {.name = "freebind"},
    {.name = "traffic_direction"},
    {.name = "reuse_port"},
    {.name = "enable_reuse_port"},
    {.name = "tcp_backlog_size"},
    {.name = "max_connections_to_accept_per_socket_event"},
    {.name = "bind_to_port", .values = "true"},
    {.name = "ignore_global_conn_limit", .state = WEIR_FIELD_HARMLESS},
    {.name = "bypass_overload_manager", .state = WEIR_FIELD_HARMLESS},
};
const struct weir_supported_fields weir_listener_fields = WEIR_SUPPORTED(envoy__config__listener__v3__listener__descriptor, listener_fields_table);

/* ---- addresses ---- */

struct build {
    struct weir_conf_ctx *ctx;
    const Listener *proto;
    struct weir_listener *listener;
};

static void read_socket_address(struct build *b, const Envoy__Config__Core__V3__SocketAddress *msg, struct weir_addr *ret)
{
    if (weir_addr_parse_ip(weir_proto_str(msg->address), (uint16_t)msg->port_value, ret) == WEIR_OK) {
        b->listener->listen_opts.ipv6_only = ret->sa.sa_family == AF_INET6 && !msg->ipv4_compat;
        return;
    }
    weir_config_error(b->ctx->config, msg, "address", -1, "a listener needs an IP address, \"%s\" is none", msg->address);
    weir_config_hint(b->ctx->config, "write \"0.0.0.0\" for all IPv4 addresses of the machine");
}

static void read_address(struct build *b, const void *owner, const Address *msg, struct weir_addr *ret)
{
    struct weir_config *config = b->ctx->config;
    if (!msg || msg->address_case == ENVOY__CONFIG__CORE__V3__ADDRESS__ADDRESS__NOT_SET) {
        weir_config_error(config, owner, "address", -1, "a listener needs an address to listen on");
        return;
    }
    if (msg->address_case == ENVOY__CONFIG__CORE__V3__ADDRESS__ADDRESS_SOCKET_ADDRESS) {
        read_socket_address(b, msg->socket_address, ret);
    } else if (msg->address_case == ENVOY__CONFIG__CORE__V3__ADDRESS__ADDRESS_PIPE) {
        b->listener->listen_opts.unix_mode = msg->pipe->mode;
        if (weir_addr_parse_unix(weir_proto_str(msg->pipe->path), ret) != WEIR_OK)
            weir_config_error(config, msg->pipe, "path", -1, "not usable as the path of a Unix socket (at most 107 bytes)");
    }
}

static void read_addresses(struct build *b)
{
    const Listener *msg = b->proto;
    struct weir_listener *l = b->listener;
    l->n_addrs = 1 + (uint32_t)msg->n_additional_addresses;
    l->addrs = WEIR_ARENA_ARRAY(&l->arena, struct weir_addr, l->n_addrs);
    read_address(b, msg, msg->address, &l->addrs[0]);
    for (size_t i = 0; i < msg->n_additional_addresses; i++)
        read_address(b, msg->additional_addresses[i], msg->additional_addresses[i]->address, &l->addrs[i + 1]);
}

/* ---- statistics ---- */

static struct weir_slice stat_name(struct build *b)
{
    struct weir_listener *l = b->listener;
    char text[WEIR_ADDR_TEXT_MAX];
    struct weir_slice from = weir_proto_str(b->proto->stat_prefix);
    if (!from.len && l->addrs[0].len) from = weir_addr_print(&l->addrs[0], text);
    char *copy = weir_arena_alloc(&l->arena, from.len + 1);
    for (size_t i = 0; i < from.len; i++) copy[i] = from.ptr[i] == ':' ? '_' : from.ptr[i];
    return weir_slice(copy, from.len);
}

static void register_stats(struct build *b)
{
    static const struct weir_stat_def rows[] = {
#define X(name, kind) {#name, WEIR_STAT_##kind},
        WEIR_LISTENER_STATS(X)
#undef X
    };
    struct weir_listener *l = b->listener;
    struct weir_slice name = stat_name(b);
    struct weir_tag *tag = WEIR_ARENA_NEW(&l->arena, struct weir_tag);
    *tag = (struct weir_tag){WEIR_S("envoy_listener_address"), name};
    b->ctx->listener_scope = (struct weir_stats_scope){
        .prefix = weir_arena_printf(&l->arena, "listener.%.*s.", WEIR_SARG(name)),
        .prom_prefix = WEIR_S("listener."),
        .tags = tag,
        .n_tags = 1,
    };
    /* Only an address is a label; a name that somebody chose is part of the metric's. Rule: Envoy, LISTENER_ADDRESS. */
    if (b->proto->stat_prefix && b->proto->stat_prefix[0]) {
        b->ctx->listener_scope.prom_prefix = b->ctx->listener_scope.prefix;
        b->ctx->listener_scope.n_tags = 0;
    }
    l->stats = weir_stats_register_group(b->ctx->stats, &b->ctx->listener_scope, rows, WEIR_COUNTOF(rows));
}

/* The workers' rows stand one after the other, so that a worker finds its own by its number. */
static void register_worker_stats(struct build *b)
{
    static const char *const names[] = {
#define X(name, kind) #name,
        WEIR_LISTENER_WORKER_STATS(X)
#undef X
    };
    static const enum weir_stat_kind kinds[] = {
#define X(name, kind) WEIR_STAT_##kind,
        WEIR_LISTENER_WORKER_STATS(X)
#undef X
    };
    struct weir_listener *l = b->listener;
    uint32_t n = WEIR_MAX(b->ctx->n_workers, 1u);
    struct weir_stat_def *rows = WEIR_ARENA_ARRAY(&l->arena, struct weir_stat_def, n * WEIR_COUNTOF(names));
    for (uint32_t i = 0; i < n; i++)
        for (size_t j = 0; j < WEIR_COUNTOF(names); j++)
            rows[i * WEIR_COUNTOF(names) + j] = (struct weir_stat_def){
                weir_arena_printf(&l->arena, "worker_%u.%s", (unsigned)i, names[j]).ptr, kinds[j]};
    l->worker_stats = weir_stats_register_group(b->ctx->stats, &b->ctx->listener_scope, rows, n * (uint32_t)WEIR_COUNTOF(names));
}

/* ---- filter chains ---- */

static void read_filter(struct build *b, const Filter *msg, struct weir_net_filter_conf *ret)
{
    struct weir_config *config = b->ctx->config;
    const Google__Protobuf__Any *packed =
        msg->config_type_case == ENVOY__CONFIG__LISTENER__V3__FILTER__CONFIG_TYPE_TYPED_CONFIG ? msg->typed_config : NULL;
    struct weir_any any = weir_config_any(config, packed);
    const struct weir_net_filter_ops *ops = weir_net_filter_registry_find(b->ctx->net_filters, any.type, weir_proto_str(msg->name));
    if (!ops) {
        weir_config_refuse_extension(config, &msg->base, "network filter", any, msg->name);
        return;
    }
    ret->ops = ops;
    if (any.type.len && !any.msg) return; // reported when read
    const ProtobufCMessage *conf = any.msg ? any.msg : weir_conf_empty_message(b->ctx, &msg->base, ops->type);
    void *parsed = NULL;
    if (ops->parse(b->ctx, conf, &parsed) == WEIR_OK) ret->conf = parsed;
}

static const struct weir_transport_factory *read_transport(struct build *b, const FilterChain *msg)
{
    const Envoy__Config__Core__V3__TransportSocket *socket = msg->transport_socket;
    if (!socket) return &weir_transport_raw;
    struct weir_any any = weir_config_any(
        b->ctx->config, socket->config_type_case == ENVOY__CONFIG__CORE__V3__TRANSPORT_SOCKET__CONFIG_TYPE_TYPED_CONFIG
                            ? socket->typed_config : NULL);
    if (weir_slice_eq(any.type, WEIR_S("envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer")) ||
        (!any.type.len && weir_slice_eq(weir_slice_str(socket->name), WEIR_S("envoy.transport_sockets.raw_buffer"))))
        return &weir_transport_raw;
    weir_config_refuse_extension(b->ctx->config, &socket->base, "transport socket", any, socket->name);
    return &weir_transport_raw;
}

/* The last network filter must be a terminal one, and no other may be. */
static void check_terminal(struct build *b, const FilterChain *msg, const struct weir_filter_chain *chain)
{
    for (uint32_t i = 0; i < chain->n_filters; i++) {
        const struct weir_net_filter_ops *ops = chain->filters[i].ops;
        bool last = i + 1 == chain->n_filters;
        if (!ops || ops->terminal == last) continue;
        if (last)
            weir_config_error(b->ctx->config, msg->filters[i], "name", -1,
                              "non-terminal filter named %s of type %s is the last filter in a network filter chain",
                              msg->filters[i]->name, ops->name);
        else
            weir_config_error(b->ctx->config, msg->filters[i], "name", -1,
                              "terminal filter named %s of type %s must be the last filter in a network filter chain",
                              msg->filters[i]->name, ops->name);
    }
    if (chain->n_filters == 0)
        weir_config_error(b->ctx->config, msg, "filters", -1, "a filter chain without filters closes every connection: add one");
}

static void read_chain(struct build *b, const FilterChain *msg, struct weir_filter_chain *chain)
{
    struct weir_arena *arena = &b->listener->arena;
    size_t states = 0;
    chain->name = weir_proto_str(msg->name);
    chain->transport = read_transport(b, msg);
    chain->transport_timeout_ms = weir_duration_ms(msg->transport_socket_connect_timeout, CONNECT_TIMEOUT_MS);
    chain->n_filters = (uint32_t)msg->n_filters;
    chain->filters = WEIR_ARENA_ARRAY(arena, struct weir_net_filter_conf, msg->n_filters + 1);
    if (weir_chain_match_new(b->ctx, msg->filter_chain_match, &chain->match)) return;
    for (uint32_t i = 0; i < chain->n_filters; i++) {
        read_filter(b, msg->filters[i], &chain->filters[i]);
        if (chain->filters[i].ops) states += (chain->filters[i].ops->conn_size + 15u) & ~(size_t)15u;
    }
    check_terminal(b, msg, chain);
    chain->conn_bytes = (uint32_t)(sizeof(struct weir_down) + chain->n_filters * sizeof(struct weir_net_filter) + states);
}

static void read_chains(struct build *b)
{
    const Listener *msg = b->proto;
    struct weir_listener *l = b->listener;
    struct weir_config *config = b->ctx->config;
    l->n_chains = (uint32_t)WEIR_MIN(msg->n_filter_chains, (size_t)CHAINS_MAX);
    l->chains = WEIR_ARENA_ARRAY(&l->arena, struct weir_filter_chain, l->n_chains + 1);
    if (msg->n_filter_chains > CHAINS_MAX)
        weir_config_error(config, msg, "filter_chains", -1, "%zu filter chains; weir takes at most %d", msg->n_filter_chains, CHAINS_MAX);
    if (msg->n_filter_chains == 0 && !msg->default_filter_chain)
        weir_config_error(config, msg, NULL, -1, "listener \"%s\" has no filter chain: connections would go nowhere", msg->name);
    for (uint32_t i = 0; i < l->n_chains; i++) {
        read_chain(b, msg->filter_chains[i], &l->chains[i]);
        for (uint32_t j = 0; j < i; j++)
            if (weir_chain_match_same(l->chains[i].match, l->chains[j].match))
                weir_config_error(config, msg, "filter_chains", (int)i, "matches the same connections as filter_chains[%u]", (unsigned)j);
    }
    if (!msg->default_filter_chain) return;
    l->default_chain = WEIR_ARENA_NEW(&l->arena, struct weir_filter_chain);
    read_chain(b, msg->default_filter_chain, l->default_chain);
}

/* ---- the listener itself ---- */

static void read_options(struct build *b)
{
    const Listener *msg = b->proto;
    struct weir_listener *l = b->listener;
    l->buffer_limit = weir_u32_value(msg->per_connection_buffer_limit_bytes, BUFFER_LIMIT_DEFAULT);
    l->reuse_port = weir_bool_value(msg->enable_reuse_port, true);
    l->listen_opts.backlog = (int)weir_u32_value(msg->tcp_backlog_size, 0);
    l->listen_opts.transparent = weir_bool_value(msg->transparent, false);
    l->listen_opts.freebind = weir_bool_value(msg->freebind, false);
    l->max_accepts_per_event = weir_u32_value(msg->max_connections_to_accept_per_socket_event, 0);
    l->traffic_direction = (uint32_t)msg->traffic_direction;
    l->metadata = msg->metadata;
    l->proto = msg;
}

static uint64_t hash_of(struct build *b)
{
    struct weir_str text;
    weir_str_init(&text, SIZE_MAX / 2);
    weir_proto_json(&text, b->ctx->config, b->proto, &(struct weir_proto_json_style){.compact = true});
    uint64_t hash = weir_slice_hash(weir_str_slice(&text));
    weir_str_fini(&text);
    return hash ^ (b->ctx->content_hash * UINT64_C(0x9e3779b97f4a7c15));
}

struct weir_listener *weir_listener_new(struct weir_conf_ctx *ctx, const ProtobufCMessage *message)
{
    struct weir_listener *l = WEIR_NEW(struct weir_listener);
    struct build b = {.ctx = ctx, .proto = (const Listener *)(const void *)message, .listener = l};
    size_t errors = ctx->config->diag->n_errors;
    atomic_init(&l->refs, 1);
    weir_arena_init(&l->arena, NULL);
    ctx->arena = &l->arena;
    ctx->listener = l;
    weir_config_check_supported(ctx->config, b.proto, &weir_listener_fields);
    read_options(&b);
    read_addresses(&b);
    char text[WEIR_ADDR_TEXT_MAX];
    l->name = weir_proto_str(b.proto->name);
    if (!l->name.len && l->addrs[0].len) l->name = weir_arena_dup(&l->arena, weir_addr_print(&l->addrs[0], text));
    register_stats(&b);
    register_worker_stats(&b);
    read_chains(&b);
    l->hooks = ctx->hooks;
    l->hash = hash_of(&b);
    ctx->listener = NULL;
    if (ctx->config->diag->n_errors == errors) return l;
    weir_listener_unref(l);
    return NULL;
}

struct weir_listener *weir_listener_ref(struct weir_listener *listener)
{
    atomic_fetch_add_explicit(&listener->refs, 1, memory_order_relaxed);
    return listener;
}

void weir_listener_unref(struct weir_listener *listener)
{
    if (!listener || atomic_fetch_sub_explicit(&listener->refs, 1, memory_order_acq_rel) != 1) return;
    weir_arena_fini(&listener->arena);
    weir_free(listener);
}
