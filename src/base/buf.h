/* Chained buffer: a queue of segments that point into reference-counted blocks, so that body bytes move from socket to
 * socket without being copied. Blocks and segments are recycled by a pool, one a worker; reference counts are plain
 * integers because a block never leaves its thread. */
#ifndef WEIR_BASE_BUF_H
#define WEIR_BASE_BUF_H

#include <stdbool.h>
#include <sys/uio.h>

#include "base/slab.h"
#include "base/slice.h"

/** Bytes of one block: what one read takes from a socket at most. */
#define WEIR_BLOCK_SIZE 16384

struct weir_block {
    uint32_t refs;
    uint32_t cap;
    struct weir_block *next_free;
    char data[];
};

struct weir_seg {
    struct weir_seg *next;
    struct weir_block *block; /* NULL: memory that outlives the buffer (static or arena) */
    char *ptr;
    size_t len;
};

/** Blocks and segments of one thread. */
struct weir_buf_pool {
    struct weir_block *free;
    uint32_t n_free;
    uint32_t max_free;
    struct weir_slab segs;
    size_t n_blocks_live; /* blocks in use now, for tests and stats */
};
void weir_buf_pool_init(struct weir_buf_pool *pool, uint32_t max_free_blocks);
void weir_buf_pool_fini(struct weir_buf_pool *pool);

/** One empty block with refs = 1. */
WEIR_NONNULL_RET struct weir_block *weir_block_get(struct weir_buf_pool *pool);
static inline void weir_block_ref(struct weir_block *block)
{
    block->refs++;
}
void weir_block_unref(struct weir_buf_pool *pool, struct weir_block *block);

struct weir_buf {
    struct weir_seg *head, *tail;
    size_t len; /* payload bytes over all segments */
    struct weir_buf_pool *pool;
};

void weir_buf_init(struct weir_buf *buf, struct weir_buf_pool *pool);
/** Drops all content. The buffer stays usable. */
void weir_buf_clear(struct weir_buf *buf);

/** Copies `s` to the end (into the last block's free tail where it is exclusively ours, else into new blocks). */
void weir_buf_add(struct weir_buf *buf, struct weir_slice s);
/** `len` (1 to WEIR_BLOCK_SIZE) contiguous bytes behind the end to write into; they join the buffer with weir_buf_commit, which must
 * follow before anything else is done with the buffer. For encoders that know an upper bound. */
WEIR_NONNULL_RET char *weir_buf_reserve(struct weir_buf *buf, size_t len);
/** Appends the first `len` (at least 1) reserved bytes. */
void weir_buf_commit(struct weir_buf *buf, size_t len);
/** Appends `s` without a copy: the memory must stay until the buffer has dropped it. */
void weir_buf_add_static(struct weir_buf *buf, struct weir_slice s);
/** Appends a slice of `block` without a copy; takes one reference of its own. */
void weir_buf_add_block(struct weir_buf *buf, struct weir_block *block, struct weir_slice s);
/** Copies `s` to the front. */
void weir_buf_prepend(struct weir_buf *buf, struct weir_slice s);
/** Moves everything in `from` to the end of `to`: no copy. Both must share the pool. */
void weir_buf_move(struct weir_buf *to, struct weir_buf *from);
/** Moves the first `len` bytes (at most all) of `from` to the end of `to`: no copy. */
void weir_buf_move_some(struct weir_buf *to, struct weir_buf *from, size_t len);
/** Drops the first `len` bytes; `len` <= buf->len. */
void weir_buf_drain(struct weir_buf *buf, size_t len);
/** Copies up to `len` bytes starting at `start` into `out`; returns how many. */
size_t weir_buf_peek(const struct weir_buf *buf, size_t start, char *out, size_t len);
/** The first segment's bytes; absent when empty. */
static inline struct weir_slice weir_buf_front(const struct weir_buf *buf)
{
    return buf->head ? (struct weir_slice){buf->head->ptr, buf->head->len} : WEIR_S_NONE;
}
/** Makes the first `len` bytes (<= buf->len) contiguous and returns them; copies only if they are not. */
struct weir_slice weir_buf_pullup(struct weir_buf *buf, size_t len);
/** Moves content of at most `max` bytes (else does nothing) into one block of about its size, so that a few bytes that stay for long
 * do not hold whole blocks. */
void weir_buf_compact(struct weir_buf *buf, size_t max);
/** Fills at most `max` iovecs for writev; returns how many. `*ret_bytes` = bytes they cover. */
int weir_buf_iovecs(const struct weir_buf *buf, struct iovec *iov, int max, size_t *ret_bytes);

/** A mark pair: rises above `high`, falls at or below `low` (half of high). `high` 0 = no limit. */
struct weir_watermark {
    size_t high;
    bool above;
};
enum weir_watermark_edge { WEIR_WATERMARK_NONE, WEIR_WATERMARK_ROSE, WEIR_WATERMARK_FELL };
/** Compares `len` with the marks and reports a crossing once. */
static inline enum weir_watermark_edge weir_watermark_check(struct weir_watermark *mark, size_t len)
{
    if (mark->high == 0) return WEIR_WATERMARK_NONE;
    if (!mark->above && len > mark->high) {
        mark->above = true;
        return WEIR_WATERMARK_ROSE;
    }
    if (mark->above && len <= mark->high / 2) {
        mark->above = false;
        return WEIR_WATERMARK_FELL;
    }
    return WEIR_WATERMARK_NONE;
}

#endif
