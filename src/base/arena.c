/* Arena: a chain of blocks, the newest pooled one being filled from `next` to `end`. A request that is larger than a pooled block gets a
 * heap block of exactly its size, linked behind the block being filled. Under AddressSanitizer what is not handed out is poisoned. */
#include "base/arena.h"

#include <stdio.h>

#include "base/mem.h"

struct weir_arena_block {
    struct weir_arena_block *next;
    size_t size; /* with this header; WEIR_ARENA_BLOCK_SIZE = poolable */
    _Alignas(16) char data[];
};

struct weir_arena_cleanup {
    struct weir_arena_cleanup *next;
    void (*fn)(void *arg);
    void *arg;
};

#define BLOCK_PAYLOAD         (WEIR_ARENA_BLOCK_SIZE - sizeof(struct weir_arena_block))
#define POOL_MAX_FREE_DEFAULT 1024

static struct weir_arena_block *block_new(size_t size)
{
    struct weir_arena_block *block = weir_xalloc(size);
    block->size = size;
    WEIR_POISON(block->data, size - sizeof(*block));
    return block;
}

static void block_free(struct weir_arena_block *block)
{
    WEIR_UNPOISON(block->data, block->size - sizeof(*block));
    weir_free(block);
}

static struct weir_arena_block *pool_take(struct weir_arena_pool *pool)
{
    if (!pool || !pool->free) {
        return block_new(WEIR_ARENA_BLOCK_SIZE);
    }
    struct weir_arena_block *block = pool->free;
    pool->free = block->next;
    pool->n_free--;
    return block;
}

static void pool_give(struct weir_arena_pool *pool, struct weir_arena_block *block)
{
    uint32_t max = pool && pool->max_free ? pool->max_free : POOL_MAX_FREE_DEFAULT;
    if (!WEIR_RECYCLE || !pool || block->size != WEIR_ARENA_BLOCK_SIZE || pool->n_free >= max) {
        block_free(block);
        return;
    }
    block->next = pool->free;
    pool->free = block;
    pool->n_free++;
}

void weir_arena_pool_fini(struct weir_arena_pool *pool)
{
    while (pool->free) {
        struct weir_arena_block *block = pool->free;
        pool->free = block->next;
        block_free(block);
    }
    pool->n_free = 0;
}

void weir_arena_init(struct weir_arena *arena, struct weir_arena_pool *pool)
{
    *arena = (struct weir_arena){.pool = pool};
}

void weir_arena_fini(struct weir_arena *arena)
{
    while (arena->cleanups) { /* a cleanup may register another one */
        struct weir_arena_cleanup *cleanup = arena->cleanups;
        arena->cleanups = cleanup->next;
        cleanup->fn(cleanup->arg);
    }
    struct weir_arena_block *block = arena->blocks;
    while (block) {
        struct weir_arena_block *next = block->next;
        pool_give(arena->pool, block);
        block = next;
    }
    weir_arena_init(arena, arena->pool);
}

/* A heap block for one large request, behind the block being filled so that this stays the first. */
static void *alloc_large(struct weir_arena *arena, size_t size)
{
    size_t total;
    if (!weir_size_add(size, sizeof(struct weir_arena_block), &total)) {
        WEIR_FATAL("out of memory: %zu bytes wanted", size);
    }
    struct weir_arena_block *block = block_new(total);
    struct weir_arena_block **link = arena->blocks ? &arena->blocks->next : &arena->blocks;
    block->next = *link;
    *link = block;
    arena->total += total;
    WEIR_UNPOISON(block->data, size);
    return block->data;
}

void *weir_arena_alloc_slow(struct weir_arena *arena, size_t size)
{
    size = size ? size : 1;
    if (size > BLOCK_PAYLOAD) {
        return alloc_large(arena, size);
    }
    size_t rounded = (size + 15) & ~(size_t)15;
    if (rounded > (size_t)(arena->end - arena->next)) {
        struct weir_arena_block *block = pool_take(arena->pool);
        block->next = arena->blocks;
        arena->blocks = block;
        arena->next = block->data;
        arena->end = (char *)block + WEIR_ARENA_BLOCK_SIZE;
        arena->total += WEIR_ARENA_BLOCK_SIZE;
    }
    char *ptr = arena->next;
    arena->next += rounded;
    WEIR_UNPOISON(ptr, size);
    return ptr;
}

void *weir_arena_zalloc(struct weir_arena *arena, size_t size)
{
    return memset(weir_arena_alloc(arena, size), 0, size);
}

struct weir_slice weir_arena_dup(struct weir_arena *arena, struct weir_slice s)
{
    return s.ptr ? weir_arena_cat(arena, s, WEIR_S_NONE) : s;
}

struct weir_slice weir_arena_dup_lower(struct weir_arena *arena, struct weir_slice s)
{
    if (!s.ptr) {
        return s;
    }
    char *copy = weir_arena_alloc(arena, s.len + 1);
    for (size_t i = 0; i < s.len; i++) {
        copy[i] = weir_lower(s.ptr[i]);
    }
    copy[s.len] = '\0';
    return weir_slice(copy, s.len);
}

struct weir_slice weir_arena_cat(struct weir_arena *arena, struct weir_slice a, struct weir_slice b)
{
    char *copy = weir_arena_alloc(arena, a.len + b.len + 1);
    if (a.len > 0) {
        memcpy(copy, a.ptr, a.len);
    }
    if (b.len > 0) {
        memcpy(copy + a.len, b.ptr, b.len);
    }
    copy[a.len + b.len] = '\0';
    return weir_slice(copy, a.len + b.len);
}

struct weir_slice weir_arena_printf(struct weir_arena *arena, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int len = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    WEIR_ASSERT(len >= 0);
    size_t size = len < 0 ? 0 : (size_t)len;
    char *text = weir_arena_alloc(arena, size + 1);
    (void)vsnprintf(text, size + 1, fmt, again);
    va_end(again);
    return weir_slice(text, size);
}

void weir_arena_on_end(struct weir_arena *arena, void (*fn)(void *arg), void *arg)
{
    struct weir_arena_cleanup *cleanup = weir_arena_alloc(arena, sizeof(*cleanup));
    *cleanup = (struct weir_arena_cleanup){arena->cleanups, fn, arg};
    arena->cleanups = cleanup;
}
