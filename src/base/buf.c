/* Chained buffer. Each segment owns one reference to its block. A block's bytes are written only through a buffer that holds its only
 * reference, in front of or behind the one segment that refers to it; nobody can see those bytes then. */
#include "base/buf.h"

#include "base/mem.h"
#include "base/poison.h"

#define SEGS_MAX_FREE 4096

void weir_buf_pool_init(struct weir_buf_pool *pool, uint32_t max_free_blocks)
{
    *pool = (struct weir_buf_pool){.max_free = WEIR_RECYCLE ? max_free_blocks : 0};
    weir_slab_init(&pool->segs, sizeof(struct weir_seg), SEGS_MAX_FREE);
}

void weir_buf_pool_fini(struct weir_buf_pool *pool)
{
    WEIR_ASSERT(pool->n_blocks_live == 0);
    while (pool->free) {
        struct weir_block *block = pool->free;
        pool->free = block->next_free;
        weir_free(block);
    }
    pool->n_free = 0;
    weir_slab_fini(&pool->segs);
}

static struct weir_block *block_new(struct weir_buf_pool *pool, size_t cap)
{
    WEIR_ASSERT(cap <= UINT32_MAX);
    struct weir_block *block = weir_xalloc(sizeof(*block) + cap);
    block->refs = 1;
    block->cap = (uint32_t)cap;
    block->next_free = NULL;
    pool->n_blocks_live++;
    return block;
}

struct weir_block *weir_block_get(struct weir_buf_pool *pool)
{
    struct weir_block *block = pool->free;
    if (!block) {
        return block_new(pool, WEIR_BLOCK_SIZE);
    }
    pool->free = block->next_free;
    pool->n_free--;
    pool->n_blocks_live++;
    block->refs = 1;
    block->next_free = NULL;
    return block;
}

void weir_block_unref(struct weir_buf_pool *pool, struct weir_block *block)
{
    WEIR_ASSERT(block->refs > 0);
    if (--block->refs > 0) {
        return;
    }
    pool->n_blocks_live--;
    if (block->cap != WEIR_BLOCK_SIZE || pool->n_free >= pool->max_free) {
        weir_free(block);
        return;
    }
    block->next_free = pool->free;
    pool->free = block;
    pool->n_free++;
}

void weir_buf_init(struct weir_buf *buf, struct weir_buf_pool *pool)
{
    *buf = (struct weir_buf){.pool = pool};
}

/* Takes over one reference to `block`. */
static struct weir_seg *seg_new(struct weir_buf *buf, struct weir_block *block, char *ptr, size_t len)
{
    struct weir_seg *seg = weir_slab_get_raw(&buf->pool->segs);
    *seg = (struct weir_seg){.block = block, .ptr = ptr, .len = len};
    return seg;
}

static void push_back(struct weir_buf *buf, struct weir_seg *seg)
{
    seg->next = NULL;
    if (buf->tail) {
        buf->tail->next = seg;
    } else {
        buf->head = seg;
    }
    buf->tail = seg;
    buf->len += seg->len;
}

static void push_front(struct weir_buf *buf, struct weir_seg *seg)
{
    seg->next = buf->head;
    buf->head = seg;
    if (!buf->tail) {
        buf->tail = seg;
    }
    buf->len += seg->len;
}

static struct weir_seg *pop_front(struct weir_buf *buf)
{
    struct weir_seg *seg = buf->head;
    buf->head = seg->next;
    if (!buf->head) {
        buf->tail = NULL;
    }
    buf->len -= seg->len;
    return seg;
}

static void seg_free(struct weir_buf *buf, struct weir_seg *seg)
{
    if (seg->block) {
        weir_block_unref(buf->pool, seg->block);
    }
    weir_slab_put(&buf->pool->segs, seg);
}

void weir_buf_clear(struct weir_buf *buf)
{
    while (buf->head) {
        seg_free(buf, pop_front(buf));
    }
}

static bool writable(const struct weir_seg *seg)
{
    return seg && seg->block && seg->block->refs == 1;
}

static size_t room_behind(const struct weir_seg *seg)
{
    return writable(seg) ? (size_t)(seg->block->data + seg->block->cap - (seg->ptr + seg->len)) : 0;
}

static size_t room_before(const struct weir_seg *seg)
{
    return writable(seg) ? (size_t)(seg->ptr - seg->block->data) : 0;
}

void weir_buf_add(struct weir_buf *buf, struct weir_slice s)
{
    while (s.len > 0) {
        size_t n = WEIR_MIN(room_behind(buf->tail), s.len);
        if (n == 0) {
            struct weir_block *block = weir_block_get(buf->pool);
            push_back(buf, seg_new(buf, block, block->data, 0));
            continue;
        }
        memcpy(buf->tail->ptr + buf->tail->len, s.ptr, n);
        buf->tail->len += n;
        buf->len += n;
        s = weir_slice_from(s, n);
    }
}

char *weir_buf_reserve(struct weir_buf *buf, size_t len)
{
    WEIR_ASSERT(len > 0 && len <= WEIR_BLOCK_SIZE);
    if (room_behind(buf->tail) < len) {
        struct weir_block *block = weir_block_get(buf->pool);
        push_back(buf, seg_new(buf, block, block->data, 0));
    }
    return buf->tail->ptr + buf->tail->len;
}

void weir_buf_commit(struct weir_buf *buf, size_t len)
{
    WEIR_ASSERT(len > 0 && len <= room_behind(buf->tail));
    buf->tail->len += len;
    buf->len += len;
}

/* A segment's memory is written only through its block, so borrowed bytes stay constant in effect. */
static char *seg_ptr(struct weir_slice s)
{
    return (char *)(uintptr_t)s.ptr;
}

void weir_buf_add_static(struct weir_buf *buf, struct weir_slice s)
{
    if (s.len > 0) {
        push_back(buf, seg_new(buf, NULL, seg_ptr(s), s.len));
    }
}

void weir_buf_add_block(struct weir_buf *buf, struct weir_block *block, struct weir_slice s)
{
    if (s.len == 0) {
        return;
    }
    struct weir_seg *tail = buf->tail;
    if (tail && tail->block == block &&
        tail->ptr + tail->len == s.ptr) { /* the next read into the same block */
        tail->len += s.len;
        buf->len += s.len;
        return;
    }
    weir_block_ref(block);
    push_back(buf, seg_new(buf, block, seg_ptr(s), s.len));
}

void weir_buf_prepend(struct weir_buf *buf, struct weir_slice s)
{
    while (s.len > 0) {
        size_t n = WEIR_MIN(room_before(buf->head), s.len);
        if (n == 0) {
            struct weir_block *block = weir_block_get(buf->pool);
            push_front(buf, seg_new(buf, block, block->data + block->cap, 0));
            continue;
        }
        s.len -= n;
        buf->head->ptr -= n;
        memcpy(buf->head->ptr, s.ptr + s.len, n);
        buf->head->len += n;
        buf->len += n;
    }
}

void weir_buf_move(struct weir_buf *to, struct weir_buf *from)
{
    WEIR_ASSERT(to->pool == from->pool && to != from);
    if (!from->head) {
        return;
    }
    if (to->tail) {
        to->tail->next = from->head;
    } else {
        to->head = from->head;
    }
    to->tail = from->tail;
    to->len += from->len;
    weir_buf_init(from, from->pool);
}

void weir_buf_move_some(struct weir_buf *to, struct weir_buf *from, size_t len)
{
    WEIR_ASSERT(to->pool == from->pool && to != from);
    if (len >= from->len) {
        weir_buf_move(to, from);
        return;
    }
    while (len > 0 && len >= from->head->len) {
        struct weir_seg *seg = pop_front(from);
        len -= seg->len;
        push_back(to, seg);
    }
    if (len > 0) { /* split: both parts refer to the block */
        struct weir_seg *seg = from->head;
        if (seg->block) {
            weir_block_ref(seg->block);
        }
        push_back(to, seg_new(to, seg->block, seg->ptr, len));
        weir_buf_drain(from, len);
    }
}

void weir_buf_drain(struct weir_buf *buf, size_t len)
{
    WEIR_ASSERT(len <= buf->len);
    while (len > 0 && buf->head) {
        struct weir_seg *seg = buf->head;
        if (len < seg->len) {
            seg->ptr += len;
            seg->len -= len;
            buf->len -= len;
            return;
        }
        len -= seg->len;
        seg_free(buf, pop_front(buf));
    }
}

size_t weir_buf_peek(const struct weir_buf *buf, size_t start, char *out, size_t len)
{
    size_t done = 0;
    for (const struct weir_seg *seg = buf->head; seg && done < len; seg = seg->next) {
        if (start >= seg->len) {
            start -= seg->len;
            continue;
        }
        size_t n = WEIR_MIN(seg->len - start, len - done);
        memcpy(out + done, seg->ptr + start, n);
        done += n;
        start = 0;
    }
    return done;
}

struct weir_slice weir_buf_pullup(struct weir_buf *buf, size_t len)
{
    WEIR_ASSERT(len <= buf->len);
    if (len == 0) {
        return WEIR_S("");
    }
    struct weir_seg *head = buf->head;
    if (head->len < len && head->len + room_behind(head) >= len) { /* the rest fits behind the first part */
        size_t rest = len - head->len;
        (void)weir_buf_peek(buf, head->len, head->ptr + head->len, rest);
        (void)pop_front(buf);
        weir_buf_drain(buf, rest);
        head->len = len;
        push_front(buf, head);
    } else if (head->len < len) {
        struct weir_block *block =
            len <= WEIR_BLOCK_SIZE ? weir_block_get(buf->pool) : block_new(buf->pool, len);
        (void)weir_buf_peek(buf, 0, block->data, len);
        weir_buf_drain(buf, len);
        push_front(buf, seg_new(buf, block, block->data, len));
    }
    return weir_slice(buf->head->ptr, len);
}

void weir_buf_compact(struct weir_buf *buf, size_t max)
{
    bool compact = buf->head == buf->tail &&
                   (!buf->head || !buf->head->block || buf->head->block->cap < WEIR_BLOCK_SIZE);
    if (buf->len == 0 || buf->len > max || compact) {
        return;
    }
    size_t len = buf->len;
    struct weir_block *block = block_new(buf->pool, (len + 511) & ~(size_t)511);
    (void)weir_buf_peek(buf, 0, block->data, len);
    weir_buf_clear(buf);
    push_back(buf, seg_new(buf, block, block->data, len));
}

int weir_buf_iovecs(const struct weir_buf *buf, struct iovec *iov, int max, size_t *ret_bytes)
{
    int n = 0;
    size_t bytes = 0;
    for (const struct weir_seg *seg = buf->head; seg && n < max; seg = seg->next) {
        iov[n++] = (struct iovec){seg->ptr, seg->len};
        bytes += seg->len;
    }
    *ret_bytes = bytes;
    return n;
}
