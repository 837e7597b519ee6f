/* Earliest deadline first: the next of weighted entries, each in proportion to its weight and as evenly spread as can be. */
#ifndef WEIR_UPSTREAM_LB_EDF_H
#define WEIR_UPSTREAM_LB_EDF_H

#include "base/arena.h"

struct weir_edf_entry {
    double deadline;
    uint64_t order; /* of equal deadlines the one that has waited longest */
    uint32_t index;
};
/** A binary heap by (deadline, order). */
struct weir_edf {
    struct weir_edf_entry *heap;
    uint32_t n;
    uint64_t order;
};

void weir_edf_init(struct weir_edf *edf, struct weir_arena *arena, uint32_t n);
/** Adds an entry; at most the `n` of init. weight > 0. */
void weir_edf_add(struct weir_edf *edf, uint32_t index, double weight);
/** The index that is due. */
static inline uint32_t weir_edf_peek(const struct weir_edf *edf)
{
    return edf->heap[0].index;
}
/** Puts the entry that is due back, to be due again in 1/weight. */
void weir_edf_next(struct weir_edf *edf, double weight);

#endif
