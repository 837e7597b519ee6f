/* Fills are made by whoever comes first after they are due: he moves the time forward by whole intervals (only one can) and adds
 * what they bring. Drawing takes one if there is one. */
#include "filters/local_ratelimit/bucket.h"

void weir_bucket_init(struct weir_bucket *bucket, uint32_t max, uint32_t per_fill, uint64_t interval_ns)
{
    bucket->max = max;
    bucket->per_fill = per_fill;
    bucket->interval_ns = interval_ns;
    atomic_init(&bucket->filled_ns, 0);
    atomic_init(&bucket->tokens, (int64_t)max);
}

static void fill(struct weir_bucket *bucket, uint64_t now_ns)
{
    uint64_t filled = atomic_load_explicit(&bucket->filled_ns, memory_order_relaxed);
    if (filled == 0) { /* full from the start: the first fill is due an interval from now */
        atomic_compare_exchange_strong(&bucket->filled_ns, &filled, now_ns);
        return;
    }
    if (now_ns < filled || now_ns - filled < bucket->interval_ns)
        return;
    uint64_t n = (now_ns - filled) / bucket->interval_ns;
    if (!atomic_compare_exchange_strong(&bucket->filled_ns, &filled, filled + n * bucket->interval_ns))
        return;
    uint64_t most = bucket->per_fill ? bucket->max / bucket->per_fill + 1 : 0;
    int64_t brings = (int64_t)((n < most ? n : most) * bucket->per_fill);
    int64_t before = atomic_load_explicit(&bucket->tokens, memory_order_relaxed), after;
    do {
        after = before + brings;
        if (after > (int64_t)bucket->max)
            after = (int64_t)bucket->max;
    } while (!atomic_compare_exchange_weak(&bucket->tokens, &before, after));
}

bool weir_bucket_draw(struct weir_bucket *bucket, uint64_t now_ns, uint32_t *ret_left)
{
    fill(bucket, now_ns);
    int64_t before = atomic_load_explicit(&bucket->tokens, memory_order_relaxed);
    do {
        if (before <= 0) {
            *ret_left = 0;
            return false;
        }
    } while (!atomic_compare_exchange_weak(&bucket->tokens, &before, before - 1));
    *ret_left = (uint32_t)(before - 1);
    return true;
}

uint64_t weir_bucket_next_fill_ns(const struct weir_bucket *bucket, uint64_t now_ns)
{
    uint64_t due = atomic_load_explicit(&bucket->filled_ns, memory_order_relaxed) + bucket->interval_ns;
    return due > now_ns ? due - now_ns : 0;
}
