/* The heap behind weighted balancing: O(log n) a choice. */
#include "upstream/lb_edf.h"

void weir_edf_init(struct weir_edf *edf, struct weir_arena *arena, uint32_t n)
{
    edf->heap = WEIR_ARENA_ARRAY(arena, struct weir_edf_entry, n);
    edf->n = 0;
    edf->order = 0;
}

static bool before(const struct weir_edf_entry *a, const struct weir_edf_entry *b)
{
    return a->deadline < b->deadline || (!(b->deadline < a->deadline) && a->order < b->order);
}

void weir_edf_add(struct weir_edf *edf, uint32_t index, double weight)
{
    struct weir_edf_entry entry = {.deadline = 1 / weight, .order = edf->order++, .index = index};
    uint32_t at = edf->n++;
    for (; at > 0 && before(&entry, &edf->heap[(at - 1) / 2]); at = (at - 1) / 2)
        edf->heap[at] = edf->heap[(at - 1) / 2];
    edf->heap[at] = entry;
}

void weir_edf_next(struct weir_edf *edf, double weight)
{
    struct weir_edf_entry entry = edf->heap[0];
    entry.deadline += 1 / weight;
    entry.order = edf->order++;
    uint32_t at = 0;
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= edf->n)
            break;
        if (child + 1 < edf->n && before(&edf->heap[child + 1], &edf->heap[child]))
            child++;
        if (!before(&edf->heap[child], &entry))
            break;
        edf->heap[at] = edf->heap[child];
        at = child;
    }
    edf->heap[at] = entry;
}
