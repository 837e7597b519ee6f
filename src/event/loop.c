/* A thread's loop, without the outside world: the turn, end-of-turn tasks, posts from other threads, deferred free, random numbers, and
 * watched sockets. Timers are in timer.c; waiting for events and system calls in the world behind loop->ops.
 *
 *   world: turn_begin -> socket events, alarm, posts (in any order) -> turn_end: tasks until none is left, then frees -> wait */
#include "event/loop.h"

#include <stdatomic.h>

#include "base/mem.h"
#include "event/wheel.h"

struct weir_posted {
    struct weir_posted *next;
    void (*fn)(void *arg);
    void *arg;
};

struct weir_deferred {
    struct weir_deferred *next;
    void (*fn)(void *arg, void *ptr);
    void *arg;
    void *ptr;
};

#define FREE_BLOCKS   512 /* 8 MiB of body blocks kept by a thread */
#define FREE_DEFERRED 1024

static void refresh_time(struct weir_loop *loop)
{
    loop->now_ns = loop->ops->now_ns(loop);
    loop->now_ms = loop->now_ns / 1000000;
    loop->wall_ns = loop->ops->wall_ns(loop);
}

struct weir_loop *weir_loop_new(const struct weir_world_ops *ops, void *world_arg, const char *name,
                                uint32_t id)
{
    struct weir_loop *loop = WEIR_NEW(struct weir_loop);
    loop->ops = ops;
    loop->name = name;
    loop->id = id;
    weir_list_init(&loop->end_of_turn);
    weir_buf_pool_init(&loop->bufs, FREE_BLOCKS);
    weir_slab_init(&loop->deferred_slab, sizeof(struct weir_deferred), FREE_DEFERRED);
    ops->init(loop, world_arg);
    refresh_time(loop);
    loop->wheel = weir_wheel_new(loop->now_ms);
    ops->random(loop, loop->random_state, sizeof(loop->random_state));
    loop->random_state[0] |= 1; /* the state must not be all zeros */
    return loop;
}

static struct weir_posted *take_posted(struct weir_loop *loop)
{
    struct weir_posted *latest = atomic_exchange_explicit(&loop->posted, NULL, memory_order_acquire);
    struct weir_posted *oldest = NULL;
    while (latest) {
        struct weir_posted *next = latest->next;
        latest->next = oldest;
        oldest = latest;
        latest = next;
    }
    return oldest;
}

void weir_loop_free(struct weir_loop *loop)
{
    if (!loop) {
        return;
    }
    weir_loop_turn_end(loop);
    loop->ops->fini(loop);
    for (struct weir_posted *p = take_posted(loop), *next; p; p = next) {
        next = p->next;
        weir_free(p);
    }
    if (loop->read_block) {
        weir_block_unref(&loop->bufs, loop->read_block);
    }
    weir_wheel_free(loop->wheel);
    weir_slab_fini(&loop->deferred_slab);
    weir_buf_pool_fini(&loop->bufs);
    weir_arena_pool_fini(&loop->arenas);
    weir_free(loop);
}

void weir_loop_run(struct weir_loop *loop)
{
    loop->ops->run(loop);
}

void weir_loop_stop(struct weir_loop *loop)
{
    loop->ops->stop(loop);
}

/* ---- the turn ---- */

void weir_loop_turn_begin(struct weir_loop *loop)
{
    refresh_time(loop);
    weir_wheel_follow(loop->wheel, loop->now_ms);
}

static void run_tasks(struct weir_loop *loop)
{
    struct weir_list *node;
    while ((node = weir_list_first(&loop->end_of_turn))) {
        struct weir_task *task = WEIR_CONTAINER_OF(node, struct weir_task, link);
        weir_list_unlink(node);
        task->fn(task);
    }
}

static void free_deferred(struct weir_loop *loop)
{
    struct weir_deferred *d = NULL;
    while (loop->deferred) { /* first deferred, first freed */
        struct weir_deferred *later = loop->deferred;
        loop->deferred = later->next;
        later->next = d;
        d = later;
    }
    while (d) {
        struct weir_deferred *next = d->next;
        d->fn(d->arg, d->ptr);
        weir_slab_put(&loop->deferred_slab, d);
        d = next;
    }
}

bool weir_loop_has_work(const struct weir_loop *loop)
{
    return !weir_list_empty(&loop->end_of_turn) || loop->deferred;
}

void weir_loop_turn_end(struct weir_loop *loop)
{
    while (weir_loop_has_work(loop)) {
        run_tasks(loop);
        free_deferred(loop);
    }
}

void weir_task_init(struct weir_task *task, weir_task_fn fn)
{
    *task = (struct weir_task){.fn = fn};
}

void weir_loop_at_end(struct weir_loop *loop, struct weir_task *task)
{
    if (!weir_list_linked(&task->link)) {
        weir_list_push_back(&loop->end_of_turn, &task->link);
    }
}

void weir_task_cancel(struct weir_task *task)
{
    weir_list_unlink(&task->link);
}

void weir_loop_defer_free(struct weir_loop *loop, void (*fn)(void *arg, void *ptr), void *arg, void *ptr)
{
    struct weir_deferred *d = weir_slab_get_raw(&loop->deferred_slab);
    *d = (struct weir_deferred){loop->deferred, fn, arg, ptr};
    loop->deferred = d;
}

/* ---- posts from other threads ---- */

void weir_loop_post(struct weir_loop *loop, void (*fn)(void *arg), void *arg)
{
    struct weir_posted *post = weir_xalloc(sizeof(*post));
    post->fn = fn;
    post->arg = arg;
    post->next = atomic_load_explicit(&loop->posted, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&loop->posted, &post->next, post, memory_order_release,
                                                  memory_order_relaxed)) {
    }
    loop->ops->wake(loop); /* cheap while an earlier wake is pending */
}

void weir_loop_on_posted(struct weir_loop *loop)
{
    struct weir_posted *post = take_posted(loop);
    while (post) {
        struct weir_posted *next = post->next;
        post->fn(post->arg);
        weir_free(post);
        post = next;
    }
}

/* ---- random numbers: xoshiro256++ (Blackman and Vigna) ---- */

static uint64_t rotate_left(uint64_t v, int by)
{
    return v << by | v >> (64 - by);
}

uint64_t weir_loop_random(struct weir_loop *loop)
{
    uint64_t *s = loop->random_state;
    uint64_t result = rotate_left(s[0] + s[3], 23) + s[0];
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t weir_loop_random_below(struct weir_loop *loop, uint64_t n)
{
    WEIR_ASSERT(n > 0);
    uint64_t uneven = (0 - n) % n; /* 2^64 mod n: below it, the small results would come once too often */
    for (;;) {
        unsigned __int128 product = (unsigned __int128)weir_loop_random(loop) * n;
        if ((uint64_t)product >= uneven) {
            return (uint64_t)(product >> 64);
        }
    }
}

/* ---- the block that sockets are read into ---- */

char *weir_loop_read_space(struct weir_loop *loop, size_t min, size_t *ret_room)
{
    struct weir_block *block = loop->read_block;
    if (block && block->refs == 1) {
        loop->read_block_used = 0; /* all that was read into it has been dropped */
    }
    if (!block || block->cap - loop->read_block_used < min) {
        if (block) {
            weir_block_unref(&loop->bufs, block);
        }
        block = loop->read_block = weir_block_get(&loop->bufs);
        loop->read_block_used = 0;
    }
    *ret_room = block->cap - loop->read_block_used;
    return block->data + loop->read_block_used;
}

struct weir_block *weir_loop_read_used(struct weir_loop *loop, size_t len)
{
    WEIR_ASSERT(loop->read_block && len <= loop->read_block->cap - loop->read_block_used);
    loop->read_block_used += len;
    return loop->read_block;
}

/* ---- watched sockets ---- */

void weir_io_init(struct weir_io *io, struct weir_loop *loop, weir_io_fn fn)
{
    *io = (struct weir_io){.loop = loop, .sock = -1, .fn = fn};
}

enum weir_err weir_io_open(struct weir_io *io, weir_sock sock, uint32_t events)
{
    WEIR_ASSERT(io->sock < 0 && sock >= 0);
    io->sock = sock;
    io->events = events;
    enum weir_err err = io->loop->ops->watch(io, events);
    if (err) {
        weir_io_close(io, false);
    }
    return err;
}

enum weir_err weir_io_set(struct weir_io *io, uint32_t events)
{
    if (io->sock < 0 || events == io->events) {
        return WEIR_OK;
    }
    io->events = events;
    return io->loop->ops->watch(io, events);
}

void weir_io_close(struct weir_io *io, bool reset)
{
    if (io->sock < 0) {
        return;
    }
    io->loop->ops->unwatch(io);
    io->loop->ops->close(io->loop, io->sock, reset);
    io->sock = -1;
    io->events = 0;
}
