/* Arena: memory that dies together. Bump allocation out of 4 KiB blocks that a pool (one a worker) recycles, so that
 * a request in the steady state allocates nothing from the heap. Larger requests get blocks of their own. */
#ifndef WEIR_BASE_ARENA_H
#define WEIR_BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/poison.h"
#include "base/slice.h"

#define WEIR_ARENA_BLOCK_SIZE 4096

/** Free blocks of one thread. Zeroed = empty. Keeps at most `max_free` blocks (0 = 1024). */
struct weir_arena_pool {
    struct weir_arena_block *free;
    uint32_t n_free;
    uint32_t max_free;
};
/** Gives the free blocks back to the heap. Every arena of the pool must have ended. */
void weir_arena_pool_fini(struct weir_arena_pool *pool);

struct weir_arena {
    struct weir_arena_pool *pool; /* NULL: blocks come from and go to the heap */
    struct weir_arena_block *blocks;
    struct weir_arena_cleanup *cleanups;
    char *next;
    char *end;
    size_t total; /* bytes of blocks held */
};

/** An empty arena; takes its first block at the first allocation. `pool` may be NULL and must outlive the arena. */
void weir_arena_init(struct weir_arena *arena, struct weir_arena_pool *pool);
/** Runs the cleanups (latest first) and gives all blocks back. The arena is empty and usable again. */
void weir_arena_fini(struct weir_arena *arena);

/** `size` bytes, 16-byte aligned, not initialised; never NULL; live until weir_arena_fini. */
WEIR_NONNULL_RET void *weir_arena_alloc_slow(struct weir_arena *arena, size_t size);
static inline WEIR_NONNULL_RET void *weir_arena_alloc(struct weir_arena *arena, size_t size)
{
    size_t rounded = (size + 15) & ~(size_t)15; /* 0 for nothing and after an overflow: both are for the slow path */
    if (WEIR_LIKELY(rounded - 1 < (size_t)(arena->end - arena->next))) {
        char *ptr = arena->next;
        arena->next += rounded;
        WEIR_UNPOISON(ptr, size);
        return ptr;
    }
    return weir_arena_alloc_slow(arena, size);
}
WEIR_NONNULL_RET void *weir_arena_zalloc(struct weir_arena *arena, size_t size);
#define WEIR_ARENA_NEW(arena, type) ((type *)weir_arena_zalloc(arena, sizeof(type)))
#define WEIR_ARENA_ARRAY(arena, type, n) ((type *)weir_arena_zalloc(arena, sizeof(type) * (n)))

/** Copies `s` (and a NUL that the length does not count). An absent slice stays absent. */
struct weir_slice weir_arena_dup(struct weir_arena *arena, struct weir_slice s);
/** The same, ASCII lower-cased. */
struct weir_slice weir_arena_dup_lower(struct weir_arena *arena, struct weir_slice s);
/** `a` and `b` one after the other. */
struct weir_slice weir_arena_cat(struct weir_arena *arena, struct weir_slice a, struct weir_slice b);
WEIR_PRINTF(2, 3) struct weir_slice weir_arena_printf(struct weir_arena *arena, const char *fmt, ...);

/** Calls `fn(arg)` when the arena ends; latest registered first. */
void weir_arena_on_end(struct weir_arena *arena, void (*fn)(void *arg), void *arg);

#endif
