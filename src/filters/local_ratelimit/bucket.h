/* A token bucket that all workers draw from, without a lock. */
#ifndef WEIR_FILTERS_LOCAL_RATELIMIT_BUCKET_H
#define WEIR_FILTERS_LOCAL_RATELIMIT_BUCKET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct weir_bucket {
    uint32_t max, per_fill;
    uint64_t interval_ns;
    _Atomic uint64_t filled_ns; /* when the last fill was due; 0 = nothing was drawn yet */
    _Atomic int64_t tokens;
};

void weir_bucket_init(struct weir_bucket *bucket, uint32_t max, uint32_t per_fill, uint64_t interval_ns);
/** Draws a token; `*ret_left` = how many are there after that. `now_ns` is monotonic and not 0. */
bool weir_bucket_draw(struct weir_bucket *bucket, uint64_t now_ns, uint32_t *ret_left);
/** Nanoseconds until the next fill. */
uint64_t weir_bucket_next_fill_ns(const struct weir_bucket *bucket, uint64_t now_ns);

#endif
