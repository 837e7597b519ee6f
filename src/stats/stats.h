/* Counters, gauges and histograms. One registry a process; one array of cells a worker, written only by its thread and merged
 * when read. A stat is an index: counting is one add on the worker's own memory. Names are Envoy's; tags are given when a
 * scope is made, so nothing is parsed out of names. */
#ifndef WEIR_STATS_STATS_H
#define WEIR_STATS_STATS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/str.h"

enum weir_stat_kind { WEIR_STAT_COUNTER, WEIR_STAT_GAUGE, WEIR_STAT_HISTOGRAM };

/** Index of a cell. 0 is a cell that nobody reads: a zeroed struct of stats counts into nothing. */
typedef uint32_t weir_stat;

#define WEIR_STATS_CHUNK      4096u
#define WEIR_STATS_CHUNKS_MAX 1024u

struct weir_stats; /* the registry */

/** One thread's cells. */
struct weir_stats_worker {
    uint64_t *chunks[WEIR_STATS_CHUNKS_MAX];
};

struct weir_tag {
    struct weir_slice name, value; /* "envoy_cluster_name", "service1" */
};
/** Where stats are registered: a text prefix ("cluster.service1.") and, for Prometheus, a prefix without the tag values
 * ("cluster.") and the tags. Copied by registration. */
struct weir_stats_scope {
    struct weir_slice prefix;
    struct weir_slice prom_prefix;
    const struct weir_tag *tags;
    uint32_t n_tags;
};

/** One row of a group: registered together, indexed by base + row. */
struct weir_stat_def {
    const char *name;
    enum weir_stat_kind kind;
};

/* Names that carry labels. `…_rq_503` and `…_rq_5xx` become `…_rq{envoy_response_code="503"}` and
 * `…_rq_xx{envoy_response_code_class="5"}` in Prometheus' form, `….worker_0.x` becomes `….worker_x{envoy_worker_id="0"}`; a guest's `name_;method=GET;code=200;` becomes
 * `name{method="GET",code="200"}`. */

struct weir_stats *weir_stats_new(void);
void weir_stats_free(struct weir_stats *stats);
/** Adds a thread. Call before its loop runs. Owned by the registry. */
struct weir_stats_worker *weir_stats_add_worker(struct weir_stats *stats);

/** Registers (or finds) one stat: thread-safe, takes a lock; for start-up, configuration and the first use of a dynamic name.
 * Returns 0 when the registry is full (WEIR_STATS_CHUNKS_MAX), when the name is refused by the stats matcher, or when it is
 * taken by another kind. Copies what it is given. */
weir_stat weir_stats_register(struct weir_stats *stats, const struct weir_stats_scope *scope,
                              struct weir_slice name, enum weir_stat_kind kind);
/** Registers a group of rows under one scope; the row `i` has index result + i. Finds the same group again. Copies what it is
 * given. 0 = the registry is full: rows would count into cells that others own, so do not count. */
weir_stat weir_stats_register_group(struct weir_stats *stats, const struct weir_stats_scope *scope,
                                    const struct weir_stat_def *defs, uint32_t n);

/** `n` cells in a row without a name, zeroed: read with weir_stats_value (an upstream host's own counts). 0 = full. */
weir_stat weir_stats_register_hidden(struct weir_stats *stats, uint32_t n);
/** Gives them back. No thread counts into them any more. */
void weir_stats_release_hidden(struct weir_stats *stats, weir_stat first, uint32_t n);

/** Which names to keep (stats_config.stats_matcher); NULL = all. Set before registering; called under the lock. A refused row of
 * a group keeps its cell and is not shown. */
typedef bool (*weir_stats_matcher_fn)(void *arg, struct weir_slice name);
void weir_stats_set_matcher(struct weir_stats *stats, weir_stats_matcher_fn fn, void *arg);

static inline uint64_t *weir_stat_cell(struct weir_stats_worker *sw, weir_stat stat)
{
    return &sw->chunks[stat / WEIR_STATS_CHUNK][stat % WEIR_STATS_CHUNK];
}
/** Adds to a counter, or to this thread's share of a gauge (`n` may be negative there, as two's complement). */
static inline void weir_stat_add(struct weir_stats_worker *sw, weir_stat stat, uint64_t n)
{
    uint64_t *cell = weir_stat_cell(sw, stat);
    __atomic_store_n(cell, *cell + n, __ATOMIC_RELAXED);
}
static inline void weir_stat_inc(struct weir_stats_worker *sw, weir_stat stat)
{
    weir_stat_add(sw, stat, 1);
}
static inline void weir_stat_dec(struct weir_stats_worker *sw, weir_stat stat)
{
    weir_stat_add(sw, stat, (uint64_t)-1);
}
/** Sets this thread's share of a gauge (the sum over threads is what readers see). */
static inline void weir_stat_set(struct weir_stats_worker *sw, weir_stat stat, uint64_t value)
{
    __atomic_store_n(weir_stat_cell(sw, stat), value, __ATOMIC_RELAXED);
}
/** Sets the value of a gauge for the whole process (other threads' shares are taken off): takes a lock. For guests' gauges. */
void weir_stat_set_global(struct weir_stats *stats, weir_stat stat, uint64_t value);
/** Records a value (ms for times, Envoy's unit) in a histogram. The first value of a kind takes some memory. */
void weir_stat_record(struct weir_stats_worker *sw, weir_stat stat, uint64_t value);

/** Value over all threads; of a histogram, how many values it has. */
uint64_t weir_stats_value(struct weir_stats *stats, weir_stat stat);
/** By full name; false if there is none. For tests and the admin. */
bool weir_stats_lookup(struct weir_stats *stats, struct weir_slice name, uint64_t *ret);

/* Readers: stats/print.h (text, JSON, Prometheus) iterate through this. Main thread. */
struct weir_stat_view {
    struct weir_slice name;      /* full text name */
    struct weir_slice prom_name; /* full name without tag values, neither prefixed nor sanitised */
    const struct weir_tag *tags;
    uint32_t n_tags;
    enum weir_stat_kind kind;
    uint64_t value;                              /* counters, gauges */
    bool used;                                   /* written at least once */
    const struct weir_histogram_view *histogram; /* stats/histogram.h; NULL for the other kinds */
};
/** Ends the interval of all histograms (Envoy: stats_flush_interval, 5 s) and notes which stats are in use. Main thread. */
void weir_stats_flush(struct weir_stats *stats);
/** Calls `fn` for every stat in order of name until it returns false. */
void weir_stats_each(struct weir_stats *stats, bool (*fn)(void *arg, const struct weir_stat_view *view),
                     void *arg);
/** Counters to zero (admin /reset_counters). */
void weir_stats_reset_counters(struct weir_stats *stats);

#endif
