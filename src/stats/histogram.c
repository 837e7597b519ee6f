/* Log-linear histograms. A value below 100 has a bin of its own on page 0; page k >= 1 has 90 bins of width 10^k for the values
 * from 10 * 10^k to 99 * 10^k. Bins of the values 1 to 9 report the width that circllhist gives them (a tenth), so that
 * quantiles come out as Envoy's. */
#include "stats/histogram.h"

#include <math.h>
#include <stdbool.h>

#include "base/mem.h"

const double weir_histogram_quantiles[10] = {0, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 100};
const double weir_histogram_buckets[19] = {0.5,   1,      5,      10,      25,     50,    100,
                                           250,   500,    1000,   2500,    5000,   10000, 30000,
                                           60000, 300000, 600000, 1800000, 3600000};

static const uint64_t powers_of_10[WEIR_HISTOGRAM_PAGES] = {
    1ULL,
    10ULL,
    100ULL,
    1000ULL,
    10000ULL,
    100000ULL,
    1000000ULL,
    10000000ULL,
    100000000ULL,
    1000000000ULL,
    10000000000ULL,
    100000000000ULL,
    1000000000000ULL,
    10000000000000ULL,
    100000000000000ULL,
    1000000000000000ULL,
    10000000000000000ULL,
    100000000000000000ULL,
    1000000000000000000ULL,
};

static inline uint64_t load(const uint64_t *at)
{
    return __atomic_load_n(at, __ATOMIC_RELAXED);
}
static inline void add(uint64_t *at, uint64_t n)
{
    __atomic_store_n(at, *at + n, __ATOMIC_RELAXED);
}
static inline const uint64_t *page_of(const struct weir_histogram *h, uint32_t page)
{
    return __atomic_load_n(&h->pages[page], __ATOMIC_ACQUIRE);
}

static uint64_t *page_made(struct weir_histogram *h, uint32_t page)
{
    uint64_t *bins = h->pages[page];
    if (!bins) {
        bins = weir_zalloc(WEIR_HISTOGRAM_PAGE_BINS * sizeof(*bins));
        __atomic_store_n(&h->pages[page], bins, __ATOMIC_RELEASE);
    }
    return bins;
}

void weir_histogram_record(struct weir_histogram *h, uint64_t value)
{
    uint32_t page = 0, bin = (uint32_t)value;
    if (value >= 100) {
        /* Decimal digits from binary ones: log10(2) is about 1233/4096; one too many is put right. */
        uint32_t bits = 64 - (uint32_t)__builtin_clzll(value);
        page = (bits * 1233 >> 12) - 1;
        if (value / powers_of_10[page] < 10)
            page--;
        bin = (uint32_t)(value / powers_of_10[page]) - 10;
    }
    add(&page_made(h, page)[bin], 1);
    add(&h->sum, value);
}

void weir_histogram_merge(struct weir_histogram *to, const struct weir_histogram *from, int sign)
{
    uint64_t factor = sign < 0 ? UINT64_MAX : 1;
    for (uint32_t page = 0; page < WEIR_HISTOGRAM_PAGES; page++) {
        const uint64_t *bins = page_of(from, page);
        if (!bins)
            continue;
        uint64_t *out = page_made(to, page);
        for (uint32_t i = 0; i < WEIR_HISTOGRAM_PAGE_BINS; i++)
            out[i] += factor * load(&bins[i]);
    }
    to->sum += factor * load(&from->sum);
}

void weir_histogram_fini(struct weir_histogram *h)
{
    for (uint32_t page = 0; page < WEIR_HISTOGRAM_PAGES; page++) {
        weir_free(h->pages[page]);
        h->pages[page] = NULL;
    }
    h->sum = 0;
}

static void list_bin(struct weir_histogram_bins *bins, uint32_t at, uint32_t page, uint32_t bin, uint64_t n)
{
    if (at == bins->cap) {
        bins->cap = bins->cap ? bins->cap * 2 : 64;
        bins->v = weir_xrealloc(bins->v, bins->cap * sizeof(*bins->v));
    }
    double low = page == 0 ? (double)bin : (double)(bin + 10) * (double)powers_of_10[page];
    double width = (double)powers_of_10[page];
    if (page == 0 && bin < 10)
        width = bin == 0 ? 0 : 0.1;
    bins->v[at] = (struct weir_histogram_bin){low, width, n};
}

struct weir_histogram_data weir_histogram_data(const struct weir_histogram *h,
                                               struct weir_histogram_bins *bins)
{
    struct weir_histogram_data data = {.sum = load(&h->sum)};
    for (uint32_t page = 0; page < WEIR_HISTOGRAM_PAGES; page++) {
        const uint64_t *counts = page_of(h, page);
        if (!counts)
            continue;
        for (uint32_t i = 0; i < WEIR_HISTOGRAM_PAGE_BINS; i++) {
            uint64_t n = load(&counts[i]);
            if (n == 0)
                continue;
            list_bin(bins, data.n_bins++, page, i, n);
            data.count += n;
        }
    }
    data.bins = bins->v;
    return data;
}

double weir_histogram_quantile(const struct weir_histogram_data *data, double percent)
{
    if (data->count == 0)
        return NAN;
    /* The k-th value of all; the values of a bin are taken to stand at equal distances inside it. */
    double rank = fmax(ceil(percent * (double)data->count / 100.0 - 1e-9), 1);
    double before = 0;
    for (uint32_t i = 0; i < data->n_bins; i++) {
        const struct weir_histogram_bin *bin = &data->bins[i];
        if (rank <= before + (double)bin->n || i + 1 == data->n_bins)
            return bin->low + bin->width * ((rank - before) / ((double)bin->n + 1));
        before += (double)bin->n;
    }
    return NAN;
}

uint64_t weir_histogram_count_upto(const struct weir_histogram_data *data, double bound)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < data->n_bins && data->bins[i].low <= bound; i++)
        n += data->bins[i].n;
    return n;
}
