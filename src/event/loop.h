/* A thread's loop: timers, end-of-turn tasks, posting from other threads, and the pools of the thread. */
#ifndef WEIR_EVENT_LOOP_H
#define WEIR_EVENT_LOOP_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "event/world.h"

struct weir_timer;
struct weir_task;
typedef void (*weir_timer_fn)(struct weir_timer *timer);
typedef void (*weir_task_fn)(struct weir_task *task);
typedef void (*weir_io_fn)(struct weir_io *io, uint32_t events);

/** A timer embedded in its owner; owner by WEIR_CONTAINER_OF. Zeroed + weir_timer_init. */
struct weir_timer {
    struct weir_list link; /* linked = armed */
    uint64_t deadline_ms;
    weir_timer_fn fn;
};

/** Something to do once at the end of this turn of the loop. */
struct weir_task {
    struct weir_list link;
    weir_task_fn fn;
};

/** A watched socket embedded in its owner. */
struct weir_io {
    struct weir_loop *loop;
    weir_sock sock;
    uint32_t events;
    weir_io_fn fn;
    void *handle; /* the world's */
};

struct weir_loop {
    const struct weir_world_ops *ops;
    void *world;     /* the world's own state */
    uint64_t now_ns; /* monotonic, of this turn */
    uint64_t now_ms;
    int64_t wall_ns; /* time of day, of this turn (refreshed lazily with now) */
    struct weir_arena_pool arenas;
    struct weir_buf_pool bufs;
    struct weir_timer_wheel *wheel;
    struct weir_list end_of_turn;         /* weir_task */
    _Atomic(struct weir_posted *) posted; /* lock-free stack of other threads' posts, latest first */
    struct weir_deferred *deferred;       /* objects to free at the end of the turn */
    struct weir_slab deferred_slab;
    struct weir_block *read_block; /* what sockets are read into: small reads of many connections share it */
    size_t read_block_used;
    uint64_t random_state[4];
    const char *name; /* "main", "worker_0" …, for logs */
    uint32_t id;      /* 0 = main thread, workers from 1 */
};

/** Makes a loop over `ops` (`world_arg`: what that world needs, NULL for the real one). */
struct weir_loop *weir_loop_new(const struct weir_world_ops *ops, void *world_arg, const char *name,
                                uint32_t id);
/** All sockets must be closed. Posts that have not run are dropped. */
void weir_loop_free(struct weir_loop *loop);
void weir_loop_run(struct weir_loop *loop);
/** Makes weir_loop_run return after this turn. On the loop's thread only. */
void weir_loop_stop(struct weir_loop *loop);

static inline uint64_t weir_loop_now_ms(const struct weir_loop *loop)
{
    return loop->now_ms;
}
static inline uint64_t weir_loop_now_ns(const struct weir_loop *loop)
{
    return loop->now_ns;
}
/** 64 random bits: fast, seeded by the world, not for secrets. */
uint64_t weir_loop_random(struct weir_loop *loop);
/** A random number below `n` (> 0), evenly distributed. */
uint64_t weir_loop_random_below(struct weir_loop *loop, uint64_t n);

void weir_timer_init(struct weir_timer *timer, weir_timer_fn fn);
/** Arms or re-arms: fires once, not before `delay_ms` from this turn's time, at most a tick later. Never inside this call. */
void weir_timer_set(struct weir_loop *loop, struct weir_timer *timer, uint64_t delay_ms);
/** Disarms; harmless if not armed. */
void weir_timer_stop(struct weir_loop *loop, struct weir_timer *timer);
static inline bool weir_timer_armed(const struct weir_timer *timer)
{
    return weir_list_linked(&timer->link);
}

void weir_task_init(struct weir_task *task, weir_task_fn fn);
/** Runs the task at the end of this turn, once however often asked. Tasks may schedule further tasks: they run in the same turn's end. */
void weir_loop_at_end(struct weir_loop *loop, struct weir_task *task);
void weir_task_cancel(struct weir_task *task);

/** Runs fn(arg) on the loop's thread, in order of posting per posting thread. Callable from every thread. */
void weir_loop_post(struct weir_loop *loop, void (*fn)(void *arg), void *arg);

/** Frees `ptr` by `fn(arg, ptr)` after all tasks of this turn; the object must be unreachable by then. */
void weir_loop_defer_free(struct weir_loop *loop, void (*fn)(void *arg, void *ptr), void *arg, void *ptr);

/** Room of at least `min` bytes (<= WEIR_BLOCK_SIZE) to read into; it is the caller's until the next call of the two. */
char *weir_loop_read_space(struct weir_loop *loop, size_t min, size_t *ret_room);
/** Says that `len` bytes of that room are in use now; returns the block they are in (borrowed; buffers take references). */
struct weir_block *weir_loop_read_used(struct weir_loop *loop, size_t len);

void weir_io_init(struct weir_io *io, struct weir_loop *loop, weir_io_fn fn);
/** Watches `sock` for `events` (WEIR_IO_*); takes the socket, also on failure. */
WEIR_MUST_CHECK enum weir_err weir_io_open(struct weir_io *io, weir_sock sock, uint32_t events);
WEIR_MUST_CHECK enum weir_err weir_io_set(struct weir_io *io, uint32_t events);
/** Unwatches and closes the socket; harmless if not open. */
void weir_io_close(struct weir_io *io, bool reset);

/* What a world calls. */
/** A turn begins: refreshes the cached times. */
void weir_loop_turn_begin(struct weir_loop *loop);
/** A turn ends: runs tasks until there are none, then frees what was deferred. */
void weir_loop_turn_end(struct weir_loop *loop);
/** True when weir_loop_turn_end would have something to do. */
bool weir_loop_has_work(const struct weir_loop *loop);
/** The time of the last alarm asked for has come: fires the timers that are due. */
void weir_loop_on_alarm(struct weir_loop *loop);
void weir_loop_on_posted(struct weir_loop *loop);

#endif
