/* Histograms of integers: log-linear, two significant digits (the bins of Envoy's circllhist), so that a quantile is at most
 * 5 % off. Pages of bins, one a decade, come into being with their first value. */
#ifndef WEIR_STATS_HISTOGRAM_H
#define WEIR_STATS_HISTOGRAM_H

#include <stdint.h>

#define WEIR_HISTOGRAM_PAGES     19u  /* 0..99, then one for each decade up to 10^20 */
#define WEIR_HISTOGRAM_PAGE_BINS 100u /* the first page uses all, the others 90 */

/** One thread's counts. Written by that thread, read by the main thread meanwhile. */
struct weir_histogram {
    uint64_t sum;
    uint64_t *pages[WEIR_HISTOGRAM_PAGES];
};

struct weir_histogram_bin {
    double low, width;
    uint64_t n;
};
/** A merged histogram: its bins that are not empty, in order. */
struct weir_histogram_data {
    uint64_t count;
    uint64_t sum; /* exact */
    const struct weir_histogram_bin *bins;
    uint32_t n_bins;
};
struct weir_histogram_view {
    struct weir_histogram_data interval; /* of the last whole interval; since the start until one has ended */
    struct weir_histogram_data cumulative;
};

/** Envoy's quantiles (per cent) and default buckets. */
extern const double weir_histogram_quantiles[10];
extern const double weir_histogram_buckets[19];

void weir_histogram_record(struct weir_histogram *h, uint64_t value);
/** Adds `from` (another thread's) to `to`; `sign` -1 takes it off. */
void weir_histogram_merge(struct weir_histogram *to, const struct weir_histogram *from, int sign);
/** Frees the pages. */
void weir_histogram_fini(struct weir_histogram *h);

/** Room for the bins of one histogram: grows as needed, freed with weir_free(v). */
struct weir_histogram_bins {
    struct weir_histogram_bin *v;
    uint32_t cap;
};
/** Lists the bins of `h`; the result points into `bins`. */
struct weir_histogram_data weir_histogram_data(const struct weir_histogram *h,
                                               struct weir_histogram_bins *bins);
/** The value below which `percent` of all lie, interpolated as circllhist does; NaN when empty. */
double weir_histogram_quantile(const struct weir_histogram_data *data, double percent);
/** How many values are not above `bound` (those of a bin that `bound` falls into included). */
uint64_t weir_histogram_count_upto(const struct weir_histogram_data *data, double bound);

#endif
