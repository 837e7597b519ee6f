/* Free list of same-size objects; the first word of a free object links to the next. */
#include "base/slab.h"

#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/poison.h"

void weir_slab_init(struct weir_slab *slab, size_t object_size, uint32_t max_free)
{
    WEIR_ASSERT(object_size <= UINT32_MAX - 16);
    size_t size = WEIR_MAX(object_size, sizeof(void *));
    *slab = (struct weir_slab){.size = (uint32_t)size, .max_free = WEIR_RECYCLE ? max_free : 0};
}

void weir_slab_fini(struct weir_slab *slab)
{
    WEIR_ASSERT(slab->n_live == 0);
    while (slab->free) {
        void **object = slab->free;
        slab->free = *object;
        weir_free(object);
    }
    slab->n_free = 0;
}

void *weir_slab_get_raw(struct weir_slab *slab)
{
    slab->n_live++;
    if (!slab->free) {
        return weir_xalloc(slab->size);
    }
    void **object = slab->free;
    slab->free = *object;
    slab->n_free--;
    return object;
}

void *weir_slab_get(struct weir_slab *slab)
{
    return memset(weir_slab_get_raw(slab), 0, slab->size);
}

void weir_slab_put(struct weir_slab *slab, void *object)
{
    WEIR_ASSERT(object && slab->n_live > 0);
    slab->n_live--;
    if (slab->n_free >= slab->max_free) {
        weir_free(object);
        return;
    }
    *(void **)object = slab->free;
    slab->free = object;
    slab->n_free++;
}
