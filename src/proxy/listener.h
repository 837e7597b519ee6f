/* Listeners: immutable configuration built on the main thread; sockets and connections on each worker (SO_REUSEPORT). */
#ifndef WEIR_PROXY_LISTENER_H
#define WEIR_PROXY_LISTENER_H

#include "proxy/network_filter.h"
#include "proxy/stream_info.h"

/** One filter chain: transport and network filters. */
struct weir_filter_chain {
    struct weir_slice name;
    const struct weir_transport_factory *transport;
    struct weir_net_filter_conf { const struct weir_net_filter_ops *ops; const void *conf; } *filters;
    uint32_t n_filters;
    uint32_t conn_bytes;           /* of one connection: weir_down, its filters and their states */
    const struct weir_chain_match *match; /* NULL = matches everything; chain_match.h */
    uint64_t transport_timeout_ms; /* transport_socket_connect_timeout */
};

/** What is implemented of envoy.config.listener.v3.Listener. */
extern const struct weir_supported_fields weir_listener_fields;

/** A listener's configuration; reference-counted (atomic): connections hold the one they were accepted under. */
struct weir_listener {
    _Atomic uint32_t refs;
    struct weir_arena arena;
    struct weir_slice name;
    uint64_t hash;                  /* of the configuration: equal = kept over a reload */
    struct weir_addr *addrs;        /* address and additional_addresses; port 0 is filled in by the first bind */
    uint32_t n_addrs;
    struct weir_filter_chain *chains;
    uint32_t n_chains;
    struct weir_filter_chain *default_chain;
    uint32_t buffer_limit;          /* 1 MiB */
    bool reuse_port;
    struct weir_listen_opts listen_opts;
    uint32_t max_accepts_per_event; /* 0 = until none are left */
    uint32_t traffic_direction;
    const void *metadata, *proto;
    struct weir_worker_hook *hooks; /* run by server/worker.c when a worker takes up or leaves this listener */
    weir_stat stats;                /* base of WEIR_LISTENER_STATS (listener_stats.h) */
    weir_stat worker_stats;         /* base of WEIR_LISTENER_WORKER_STATS of worker 0; the others follow */
    _Atomic int64_t connections;    /* process-wide, for the limit */
    int64_t max_connections;        /* runtime envoy.resource_limits.listener.<name>.connection_limit */
};
struct weir_listener *weir_listener_new(struct weir_conf_ctx *ctx, const ProtobufCMessage *listener);
struct weir_listener *weir_listener_ref(struct weir_listener *listener);
void weir_listener_unref(struct weir_listener *listener);

/** An accepted connection. One block of memory with its network filters and their states. */
struct weir_down {
    struct weir_conn conn;
    struct weir_conn_info info;
    struct weir_worker *worker;
    struct weir_listener *listener; /* a reference */
    const struct weir_filter_chain *chain;
    struct weir_net_filter *filters;
    uint32_t n_filters;
    uint32_t n_begun;               /* filters that have seen the connection */
    struct weir_list link;          /* among the worker's connections */
    uint64_t drain_deadline_ms;     /* closed then at the latest; 0 = not draining */
    bool draining;
};

struct weir_listeners_worker *weir_listeners_worker_new(struct weir_worker *worker);
/** Makes `v[0..n)` the worker's listeners: binds new addresses, keeps sockets of unchanged addresses (new connections get the new
 * configuration at once), drains connections of changed and removed ones over `drain_ms`. Bind errors: WEIR_ERR_EXISTS (in use),
 * DENIED …, with the address in `reterr`; what ran before goes on. */
WEIR_MUST_CHECK enum weir_err weir_listeners_worker_set(struct weir_listeners_worker *lw, struct weir_listener *const *v, uint32_t n,
                                                        uint64_t drain_ms, struct weir_str *reterr);
/** Stops accepting and drains all connections; closes what is left after `drain_ms`. */
void weir_listeners_worker_drain(struct weir_listeners_worker *lw, uint64_t drain_ms);
uint32_t weir_listeners_worker_active(const struct weir_listeners_worker *lw);
void weir_listeners_worker_free(struct weir_listeners_worker *lw);

#endif
