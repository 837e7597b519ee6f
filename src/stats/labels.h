/* The labels that a stat's name itself carries, for Prometheus. */
#ifndef WEIR_STATS_LABELS_H
#define WEIR_STATS_LABELS_H

#include "stats/stats.h"

#define WEIR_STAT_LABELS_MAX 24u /* labels of one stat; further ones stay in the name */

struct weir_stat_labels {
    struct weir_slice name; /* without what became labels; points into `buf` or the name given */
    struct weir_tag tags[WEIR_STAT_LABELS_MAX];
    uint32_t n;
    char buf[512];
};

/** Splits `name`; the labels found come before `tags`. The result borrows both. */
void weir_stat_labels_of(struct weir_stat_labels *out, struct weir_slice name, const struct weir_tag *tags,
                         uint32_t n_tags);

#endif
