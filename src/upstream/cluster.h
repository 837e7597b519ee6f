/* A cluster: immutable configuration shared by workers, process-wide circuit-breaker counts, and each worker's own half
 * (balancer state and connection pools). */
#ifndef WEIR_UPSTREAM_CLUSTER_H
#define WEIR_UPSTREAM_CLUSTER_H

#include <pthread.h>

#include "base/map.h"
#include "http/codec.h"
#include "upstream/host.h"

enum weir_lb_policy { WEIR_LB_ROUND_ROBIN, WEIR_LB_LEAST_REQUEST, WEIR_LB_RANDOM, WEIR_LB_RING_HASH, WEIR_LB_MAGLEV };
enum weir_priority { WEIR_PRIORITY_DEFAULT, WEIR_PRIORITY_HIGH, WEIR_PRIORITIES };

/** One circuit-breaker resource: a process-wide count with a maximum (Envoy: circuit_breakers.thresholds). The gauge follows by
 * crossings of the maximum: each is one atomic step, counted by the worker that made it, so the workers' shares add up to 0 or 1. */
struct weir_resource {
    _Atomic int64_t used;
    int64_t max;
    weir_stat open; /* gauge …_open */
};
/** Gives one back. */
static inline void weir_resource_give(struct weir_resource *r, struct weir_stats_worker *sw)
{
    if (atomic_fetch_sub_explicit(&r->used, 1, memory_order_relaxed) == r->max) weir_stat_dec(sw, r->open);
}
/** Takes one although there may be no room. */
static inline void weir_resource_force(struct weir_resource *r, struct weir_stats_worker *sw)
{
    if (atomic_fetch_add_explicit(&r->used, 1, memory_order_relaxed) + 1 == r->max) weir_stat_inc(sw, r->open);
}
/** Takes one if there is room. */
static inline bool weir_resource_take(struct weir_resource *r, struct weir_stats_worker *sw)
{
    int64_t before = atomic_fetch_add_explicit(&r->used, 1, memory_order_relaxed);
    if (before + 1 == r->max) weir_stat_inc(sw, r->open);
    if (WEIR_LIKELY(before < r->max)) return true;
    weir_resource_give(r, sw);
    return false;
}
struct weir_resources {
    struct weir_resource connections, pending, requests, retries, pools;
};

/* Rows of `cluster.<name>.`; Envoy's names. */
#define WEIR_CLUSTER_STATS(X)                                                                                   \
    X(upstream_cx_total, COUNTER) X(upstream_cx_active, GAUGE) X(upstream_cx_http1_total, COUNTER)              \
    X(upstream_cx_http2_total, COUNTER) X(upstream_cx_connect_fail, COUNTER)                                    \
    X(upstream_cx_connect_timeout, COUNTER) X(upstream_cx_idle_timeout, COUNTER)                                \
    X(upstream_cx_max_duration_reached, COUNTER) X(upstream_cx_connect_attempts_exceeded, COUNTER)              \
    X(upstream_cx_overflow, COUNTER) X(upstream_cx_connect_ms, HISTOGRAM) X(upstream_cx_length_ms, HISTOGRAM)   \
    X(upstream_cx_destroy, COUNTER) X(upstream_cx_destroy_local, COUNTER) X(upstream_cx_destroy_remote, COUNTER) \
    X(upstream_cx_destroy_with_active_rq, COUNTER) X(upstream_cx_destroy_local_with_active_rq, COUNTER)         \
    X(upstream_cx_destroy_remote_with_active_rq, COUNTER) X(upstream_cx_close_notify, COUNTER)                  \
    X(upstream_cx_rx_bytes_total, COUNTER) X(upstream_cx_rx_bytes_buffered, GAUGE)                              \
    X(upstream_cx_tx_bytes_total, COUNTER) X(upstream_cx_tx_bytes_buffered, GAUGE)                              \
    X(upstream_cx_pool_overflow, COUNTER) X(upstream_cx_protocol_error, COUNTER)                                \
    X(upstream_cx_max_requests, COUNTER) X(upstream_cx_none_healthy, COUNTER)                                   \
    X(upstream_rq_total, COUNTER) X(upstream_rq_active, GAUGE) X(upstream_rq_pending_total, COUNTER)            \
    X(upstream_rq_pending_overflow, COUNTER) X(upstream_rq_pending_failure_eject, COUNTER)                      \
    X(upstream_rq_pending_active, GAUGE) X(upstream_rq_cancelled, COUNTER)                                      \
    X(upstream_rq_maintenance_mode, COUNTER) X(upstream_rq_timeout, COUNTER)                                    \
    X(upstream_rq_max_duration_reached, COUNTER) X(upstream_rq_per_try_timeout, COUNTER)                        \
    X(upstream_rq_per_try_idle_timeout, COUNTER) X(upstream_rq_rx_reset, COUNTER) X(upstream_rq_tx_reset, COUNTER) \
    X(upstream_rq_retry, COUNTER) X(upstream_rq_retry_success, COUNTER) X(upstream_rq_retry_overflow, COUNTER)  \
    X(upstream_rq_retry_limit_exceeded, COUNTER) X(upstream_rq_retry_backoff_exponential, COUNTER)              \
    X(upstream_rq_retry_backoff_ratelimited, COUNTER) X(upstream_rq_completed, COUNTER)                         \
    X(upstream_rq_1xx, COUNTER) X(upstream_rq_2xx, COUNTER) X(upstream_rq_3xx, COUNTER)                         \
    X(upstream_rq_4xx, COUNTER) X(upstream_rq_5xx, COUNTER) X(upstream_rq_time, HISTOGRAM)                      \
    X(upstream_flow_control_paused_reading_total, COUNTER) X(upstream_flow_control_resumed_reading_total, COUNTER) \
    X(upstream_flow_control_backed_up_total, COUNTER) X(upstream_flow_control_drained_total, COUNTER)           \
    X(upstream_internal_redirect_failed_total, COUNTER) X(upstream_internal_redirect_succeeded_total, COUNTER)  \
    X(membership_change, COUNTER) X(membership_total, GAUGE) X(membership_healthy, GAUGE)                       \
    X(membership_degraded, GAUGE) X(membership_excluded, GAUGE) X(max_host_weight, GAUGE)                       \
    X(update_attempt, COUNTER) X(update_success, COUNTER) X(update_failure, COUNTER) X(update_empty, COUNTER)   \
    X(update_no_rebuild, COUNTER) X(lb_healthy_panic, COUNTER) X(lb_recalculate_zone_structures, COUNTER)       \
    X(lb_subsets_active, GAUGE) X(bind_errors, COUNTER) X(original_dst_host_invalid, COUNTER)
enum weir_cluster_stat {
#define X(name, kind) WEIR_CLUSTER_STAT_##name,
    WEIR_CLUSTER_STATS(X)
#undef X
    WEIR_CLUSTER_STAT_COUNT
};

/** SO_KEEPALIVE of upstream connections; 0 = the system's value. */
struct weir_tcp_keepalive {
    bool on;
    uint32_t probes, time_s, interval_s;
};

enum weir_discovery { WEIR_DISCOVERY_STATIC, WEIR_DISCOVERY_STRICT_DNS, WEIR_DISCOVERY_LOGICAL_DNS };
enum weir_dns_family { WEIR_DNS_AUTO, WEIR_DNS_V4_ONLY, WEIR_DNS_V6_ONLY, WEIR_DNS_V4_PREFERRED, WEIR_DNS_ALL };

/** What an endpoint of the configuration says of its hosts. */
struct weir_endpoint {
    struct weir_slice name; /* to look up; absent for an address */
    uint16_t port;
    struct weir_slice hostname; /* endpoint.hostname */
    struct weir_slice region, zone, sub_zone;
    uint32_t weight, priority, flags;
    const void *metadata;
};
/** How names are looked up; Envoy's defaults are set. */
struct weir_dns_conf {
    enum weir_dns_family family;
    uint64_t refresh_ms;                        /* 5 s */
    uint64_t failure_base_ms, failure_max_ms;   /* 0 = refresh_ms */
    uint64_t jitter_ms;
    bool respect_ttl;
    bool wait; /* wait_for_warm_on_init */
};

/** Shared, immutable but for the atomics; reference-counted. A changed cluster is a new object. */
struct weir_cluster {
    _Atomic uint32_t refs;
    struct weir_arena arena;
    struct weir_slice name;
    struct weir_slice stat_name; /* alt_stat_name, else the name; ':' as '_' */
    const void *proto;      /* Envoy__Config__Cluster__V3__Cluster, for config_dump and metadata */
    uint64_t hash;          /* of the configuration: equal hash = same cluster, kept over a reload */
    uint64_t connect_timeout_ms;
    uint32_t buffer_limit;  /* per_connection_buffer_limit_bytes, 1 MiB */
    enum weir_lb_policy lb;
    uint32_t lb_choice_count;
    uint32_t panic_threshold; /* per cent, 50; 0 = never */
    bool fail_on_panic;       /* none rather than any host in panic */
    enum weir_http_protocol protocol; /* upstream protocol; WEIR_HTTP_11 or WEIR_HTTP_2 */
    struct weir_h1_options h1;
    struct weir_h2_options h2;
    uint64_t idle_timeout_ms;         /* 1 h */
    uint64_t max_connection_duration_ms, max_stream_duration_ms;
    uint32_t max_requests_per_connection; /* 0 = no limit */
    const struct weir_transport_factory *transport;
    struct weir_resources resources[WEIR_PRIORITIES];
    weir_stat stats; /* base of WEIR_CLUSTER_STATS */
    weir_stat internal_time, external_time; /* internal.upstream_rq_time … */
    struct weir_stats *registry;
    struct weir_stats_scope scope; /* "cluster.<name>." for dynamic names (upstream_rq_200 …) */
    struct weir_tcp_keepalive keepalive;
    enum weir_discovery discovery;
    struct weir_dns_conf dns;
    struct weir_endpoint *names;    /* endpoints to look up */
    uint32_t n_names;
    uint32_t overprovisioning;
    struct weir_host_set *fixed;    /* hosts whose addresses are given */
    struct weir_host_slots *slots;  /* which host indexes are in use */
    pthread_mutex_t hosts_lock;     /* over `hosts`: taken when membership changes, never on a request's path */
    struct weir_host_set *hosts;    /* current members; see weir_cluster_hosts */
};
/** A host of this cluster at `addr`, as `endpoint` describes it; one reference. */
struct weir_host *weir_cluster_host_new(struct weir_cluster *cluster, const struct weir_endpoint *endpoint, const struct weir_addr *addr);
/** The current members, with a reference for the caller. Any thread. */
struct weir_host_set *weir_cluster_hosts(struct weir_cluster *cluster);
/** Replaces the members (takes the reference to `set`). Main thread; weir_cluster_worker_hosts_changed tells the workers. */
void weir_cluster_set_hosts(struct weir_cluster *cluster, struct weir_host_set *set);
/** Sets the membership gauges to what `set` holds. Any thread. */
void weir_cluster_publish_hosts(struct weir_cluster *cluster, const struct weir_host_set *set);
struct weir_cluster *weir_cluster_ref(struct weir_cluster *cluster);
void weir_cluster_unref(struct weir_cluster *cluster);

/** A worker's half of one cluster. */
struct weir_cluster_worker;
/** All clusters of one worker. */
struct weir_clusters_worker;

/** The set of clusters of one configuration: immutable, reference-counted. */
struct weir_clusters {
    _Atomic uint32_t refs;
    uint32_t n;
    struct weir_cluster **v;
    struct weir_map by_name;
};
void weir_clusters_unref(struct weir_clusters *clusters);

/** A worker's clusters: made before its loop runs; updated by weir_clusters_worker_set on the worker's thread. */
struct weir_clusters_worker *weir_clusters_worker_new(struct weir_loop *loop, struct weir_stats_worker *sw);
/** Switches to a new set: unchanged clusters (same object) keep their pools; pools of gone ones drain. Takes a reference. */
void weir_clusters_worker_set(struct weir_clusters_worker *cws, struct weir_clusters *clusters);
/** By name in the current set; NULL if there is none. */
struct weir_cluster_worker *weir_clusters_worker_find(struct weir_clusters_worker *cws, struct weir_slice name);
struct weir_cluster *weir_cluster_worker_conf(const struct weir_cluster_worker *cw);
/** How many members there are, and healthy ones. */
void weir_cluster_worker_members(const struct weir_cluster_worker *cw, uint32_t *ret_total, uint32_t *ret_healthy);
/** Keeps `cw` and its cluster while a stream uses them, also after the cluster left the configuration. */
void weir_cluster_worker_hold(struct weir_cluster_worker *cw);
void weir_cluster_worker_release(struct weir_cluster_worker *cw);
/** Counts a response code: upstream_rq_<code>, upstream_rq_<class>, completed, and the internal. or external. subtree. */
void weir_cluster_worker_count_code(struct weir_cluster_worker *cw, uint32_t code, bool internal);
/** Counts an answer that is not passed on because of a retry: retry.upstream_rq_<code> and _<class>. */
void weir_cluster_worker_count_retry(struct weir_cluster_worker *cw, uint32_t code);
/** Records how long a request took. */
void weir_cluster_worker_count_time(struct weir_cluster_worker *cw, uint64_t ms, bool internal);
static inline void weir_cluster_count(struct weir_stats_worker *sw, const struct weir_cluster *cluster,
                                      enum weir_cluster_stat row)
{
    weir_stat_inc(sw, cluster->stats + (weir_stat)row);
}
/** A worker's stats cells and loop. */
struct weir_stats_worker *weir_cluster_worker_stats(const struct weir_cluster_worker *cw);
struct weir_loop *weir_cluster_worker_loop(const struct weir_cluster_worker *cw);
/** Adopts the cluster's hosts and their health (posted to each worker after a membership or health change). */
void weir_cluster_worker_hosts_changed(struct weir_cluster_worker *cw);
/** Closes idle connections and lets busy ones finish; with `now` closes all. */
void weir_clusters_worker_drain(struct weir_clusters_worker *cws, bool now);
void weir_clusters_worker_free(struct weir_clusters_worker *cws);

/* Balancing. */
struct weir_lb_context {
    bool has_hash;
    uint64_t hash;
    const void *metadata_match;
    /** Retry: true if another host should be tried instead of this one. */
    bool (*skip_host)(void *arg, const struct weir_host *host);
    void *skip_arg;
    uint32_t max_skips;
};
/** Picks a host; NULL = none that may be used (503 no healthy upstream). `ctx` may be NULL. Borrowed until the next turn;
 * weir_pool_get keeps it for its request. */
struct weir_host *weir_cluster_pick(struct weir_cluster_worker *cw, struct weir_lb_context *ctx);

#endif
