/* Slab: same-size objects with lives of their own; a free list on top of malloc, one a thread. */
#ifndef WEIR_BASE_SLAB_H
#define WEIR_BASE_SLAB_H

#include <stdint.h>

#include "base/attr.h"

struct weir_slab {
    void *free;
    uint32_t size;
    uint32_t n_free;
    uint32_t max_free; /* free objects kept; beyond it they go back to the heap */
    uint32_t n_live;
};

void weir_slab_init(struct weir_slab *slab, size_t object_size, uint32_t max_free);
/** Gives free objects back to the heap. Live ones must be gone (n_live == 0). */
void weir_slab_fini(struct weir_slab *slab);
/** One object, zeroed. */
WEIR_NONNULL_RET void *weir_slab_get(struct weir_slab *slab);
/** The same without zeroing, for objects whose first use sets every field. */
WEIR_NONNULL_RET void *weir_slab_get_raw(struct weir_slab *slab);
void weir_slab_put(struct weir_slab *slab, void *object);

#endif
