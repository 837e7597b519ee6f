/* The registry as text: Envoy's `/stats`, its JSON, and the Prometheus exposition. Main thread. */
#ifndef WEIR_STATS_PRINT_H
#define WEIR_STATS_PRINT_H

#include "base/regex.h"
#include "stats/stats.h"

enum weir_stats_format { WEIR_STATS_TEXT, WEIR_STATS_JSON, WEIR_STATS_PROMETHEUS };

/* How histograms are shown. Envoy's words. */
#define WEIR_STATS_BUCKETS(X) \
    X(SUMMARY, "summary") X(CUMULATIVE, "cumulative") X(DISJOINT, "disjoint") X(DETAILED, "detailed")
enum weir_stats_buckets {
#define X(id, name) WEIR_STATS_BUCKETS_##id,
    WEIR_STATS_BUCKETS(X)
#undef X
};

struct weir_stats_style {
    enum weir_stats_format format;
    bool used_only;
    unsigned kinds;                  /* 1 << enum weir_stat_kind; 0 = all */
    const struct weir_regex *filter; /* searched in the full name; NULL = all */
    enum weir_stats_buckets buckets; /* Prometheus: SUMMARY gives quantiles, all others cumulative buckets */
};

void weir_stats_print(struct weir_stats *stats, const struct weir_stats_style *style, struct weir_str *out);

/** Shortest text that reads back as `value`; "nan" for NaN. `compact` picks 3e+05 over 300000 (JSON as Envoy prints it). */
void weir_stats_print_number(struct weir_str *out, double value, bool compact);

#endif
