/* An upstream host: where it is and how it fares. Shared by all workers: everything but the atomics is immutable. */
#ifndef WEIR_UPSTREAM_HOST_H
#define WEIR_UPSTREAM_HOST_H

#include <stdatomic.h>

#include "net/addr.h"
#include "net/transport.h"
#include "stats/stats.h"

struct weir_cluster;

/** Why a host may not be used; 0 = healthy. Envoy's health_flags. */
enum weir_host_flag {
    WEIR_HOST_FAILED_ACTIVE_HC = 1 << 0,
    WEIR_HOST_FAILED_OUTLIER = 1 << 1,
    WEIR_HOST_FAILED_EDS = 1 << 2,
    WEIR_HOST_DEGRADED_ACTIVE_HC = 1 << 3,
    WEIR_HOST_DEGRADED_EDS = 1 << 4,
    WEIR_HOST_PENDING_REMOVE = 1 << 5,
    WEIR_HOST_PENDING_ACTIVE_HC = 1 << 6,
    WEIR_HOST_IMMEDIATE_HC_FAIL = 1 << 7,
};

/* Rows of a host's own stats (hidden cells: shown by /clusters only). */
#define WEIR_HOST_STATS(X)                                                                         \
    X(cx_active, GAUGE) X(cx_connect_fail, COUNTER) X(cx_total, COUNTER) X(rq_active, GAUGE)       \
    X(rq_error, COUNTER) X(rq_success, COUNTER) X(rq_timeout, COUNTER) X(rq_total, COUNTER)        \
    X(rq_pending_active, GAUGE)
enum weir_host_stat {
#define X(name, kind) WEIR_HOST_STAT_##name,
    WEIR_HOST_STATS(X)
#undef X
    WEIR_HOST_STAT_COUNT
};

/** Which indexes a cluster's hosts have; reference-counted, because hosts may outlive their cluster. */
struct weir_host_slots;
struct weir_host_slots *weir_host_slots_new(void);
void weir_host_slots_unref(struct weir_host_slots *slots);

/** Reference-counted (atomic): by host sets and by the pools of workers. A host that stays over a change of membership is the
 * same object in both sets. */
struct weir_host {
    _Atomic uint32_t refs;
    struct weir_arena arena;
    struct weir_host_slots *slots;
    struct weir_addr addr;
    struct weir_slice address_text; /* "10.0.0.1:80" */
    struct weir_slice hostname;     /* endpoint.hostname or the DNS name, may be absent */
    uint32_t index;                 /* small, its own among the cluster's living hosts */
    uint32_t weight;                /* >= 1 */
    uint32_t priority;
    struct weir_slice region, zone, sub_zone;
    bool canary;
    const void *metadata; /* Envoy__Config__Core__V3__Metadata of the endpoint, or NULL */
    const struct weir_transport_factory *transport; /* by transport_socket_matches; else the cluster's */
    _Atomic uint32_t flags;  /* enum weir_host_flag */
    _Atomic uint32_t active; /* requests now, over all workers; kept by LEAST_REQUEST alone */
    struct weir_stats *registry;
    weir_stat stats;         /* base of WEIR_HOST_STATS */
};
/** A host at `addr` with one reference; weight 1, priority 0. Main thread. */
struct weir_host *weir_host_new(struct weir_host_slots *slots, struct weir_stats *stats, const struct weir_addr *addr);
struct weir_host *weir_host_ref(struct weir_host *host);
void weir_host_unref(struct weir_host *host);
static inline void weir_host_count(struct weir_stats_worker *sw, const struct weir_host *host, enum weir_host_stat row)
{
    weir_stat_inc(sw, host->stats + (weir_stat)row);
}

static inline bool weir_host_healthy(const struct weir_host *host)
{
    return atomic_load_explicit(&host->flags, memory_order_relaxed) == 0;
}

/** The members of a cluster at one time: immutable, reference-counted (atomic), replaced as a whole. */
struct weir_host_set {
    _Atomic uint32_t refs;
    uint32_t n;
    uint32_t n_priorities;
    uint32_t overprovisioning; /* per cent, 140 */
    struct weir_host **hosts;  /* sorted by priority; each with a reference */
    struct weir_arena arena;
};
/** A set of `hosts`, which it sorts and takes a reference to each of. */
struct weir_host_set *weir_host_set_new(struct weir_host *const *hosts, uint32_t n, uint32_t overprovisioning);
struct weir_host_set *weir_host_set_ref(struct weir_host_set *set);
void weir_host_set_unref(struct weir_host_set *set);

#endif
