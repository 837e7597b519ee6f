/* The real world's loop on libuv: poll handles for sockets, one timer for the wheel's alarm, one async handle for posts. A turn begins with the first
 * callback after a wait and ends before the next wait (prepare) or right after the I/O callbacks (check).
 * Changing a poll handle's events costs libuv two system calls, so connections leave the read watch on while a pause lasts. */
#include "event/world_uv_priv.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

#define FREE_HANDLES 4096

struct weir_uv_handle {
    uv_poll_t poll;
    struct weir_io *io; /* NULL once unwatched */
    struct weir_uv *world;
};

void weir_world_uv_enter(struct weir_loop *loop)
{
    struct weir_uv *world = weir_uv_of(loop);
    if (!world->in_turn) {
        world->in_turn = true;
        weir_loop_turn_begin(loop);
    }
}

struct uv_loop_s *weir_world_uv_loop(struct weir_loop *loop)
{
    return &weir_uv_of(loop)->uv;
}

static void end_turn(struct weir_uv *world)
{
    if (!world->in_turn && !weir_loop_has_work(world->loop)) {
        return;
    }
    weir_world_uv_enter(world->loop); /* work left from outside a turn sees the right time too */
    weir_loop_turn_end(world->loop);
    world->in_turn = false;
}

static void on_before_wait(uv_prepare_t *handle)
{
    end_turn(handle->data);
}

static void on_after_wait(uv_check_t *handle)
{
    end_turn(handle->data);
}

static void on_alarm(uv_timer_t *handle)
{
    struct weir_uv *world = handle->data;
    weir_world_uv_enter(world->loop);
    weir_loop_on_alarm(world->loop);
}

static void on_wake(uv_async_t *handle)
{
    struct weir_uv *world = handle->data;
    weir_world_uv_enter(world->loop);
    weir_loop_on_posted(world->loop);
}

static void world_init(struct weir_loop *loop, void *arg WEIR_UNUSED)
{
    struct weir_uv *world = WEIR_NEW(struct weir_uv);
    loop->world = world;
    world->loop = loop;
    world->reserve_fd = -1;
    weir_uv_keep_reserve(world);
    weir_slab_init(&world->handles, sizeof(struct weir_uv_handle), FREE_HANDLES);
    int err = uv_loop_init(&world->uv);
    if (err == 0) {
        err = uv_async_init(&world->uv, &world->wake, on_wake);
    }
    if (err != 0) {
        WEIR_FATAL("cannot make an event loop: %s", uv_strerror(err));
    }
    uv_timer_init(&world->uv, &world->alarm);
    uv_prepare_init(&world->uv, &world->before_wait);
    uv_check_init(&world->uv, &world->after_wait);
    world->wake.data = world->alarm.data = world->before_wait.data = world->after_wait.data = world;
    uv_prepare_start(&world->before_wait, on_before_wait);
    uv_check_start(&world->after_wait, on_after_wait);
}

static void close_handle(uv_handle_t *handle, void *arg WEIR_UNUSED)
{
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

static void world_fini(struct weir_loop *loop)
{
    struct weir_uv *world = weir_uv_of(loop);
    weir_uv_dns_fini(world);
    uv_walk(&world->uv, close_handle, NULL);
    (void)uv_run(&world->uv, UV_RUN_DEFAULT);
    int err = uv_loop_close(&world->uv);
    WEIR_ASSERT(err == 0);
    (void)err;
    if (world->reserve_fd >= 0) {
        (void)close(world->reserve_fd);
    }
    weir_slab_fini(&world->handles);
    weir_free(world);
    loop->world = NULL;
}

static uint64_t world_now_ns(struct weir_loop *loop WEIR_UNUSED)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int64_t world_wall_ns(struct weir_loop *loop WEIR_UNUSED)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + (int64_t)now.tv_nsec;
}

static void world_random(struct weir_loop *loop WEIR_UNUSED, void *out, size_t len)
{
    char *at = out;
    while (len > 0) {
        ssize_t n = getrandom(at, len, 0);
        if (n < 0 && errno != EINTR) {
            WEIR_FATAL("the system has no random numbers");
        }
        at += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
}

static void world_run(struct weir_loop *loop)
{
    (void)uv_run(&weir_uv_of(loop)->uv, UV_RUN_DEFAULT);
    end_turn(weir_uv_of(loop));
}

static void world_stop(struct weir_loop *loop)
{
    uv_stop(&weir_uv_of(loop)->uv);
}

static void world_alarm(struct weir_loop *loop, uint64_t at_ms)
{
    struct weir_uv *world = weir_uv_of(loop);
    if (at_ms == UINT64_MAX) {
        uv_timer_stop(&world->alarm);
        return;
    }
    uint64_t now_ms = uv_now(&world->uv);
    uv_timer_start(&world->alarm, on_alarm, at_ms > now_ms ? at_ms - now_ms : 0, 0);
}

static void world_wake(struct weir_loop *loop)
{
    uv_async_send(&weir_uv_of(loop)->wake);
}

/* ---- watching ---- */

static void on_poll(uv_poll_t *poll, int status, int uv_events)
{
    struct weir_uv_handle *handle = poll->data;
    struct weir_io *io = handle->io;
    uint32_t events = 0;
    if (status < 0) { /* libuv has stopped the handle */
        events = WEIR_IO_ERROR | io->events;
        io->events = 0;
    } else {
        events |= uv_events & UV_READABLE ? WEIR_IO_READ : 0;
        events |= uv_events & UV_WRITABLE ? WEIR_IO_WRITE : 0;
    }
    weir_world_uv_enter(handle->world->loop);
    io->fn(io, events);
}

static void on_handle_closed(uv_handle_t *uv_handle)
{
    struct weir_uv_handle *handle = uv_handle->data;
    weir_slab_put(&handle->world->handles, handle);
}

static enum weir_err world_watch(struct weir_io *io, uint32_t events)
{
    struct weir_uv *world = weir_uv_of(io->loop);
    struct weir_uv_handle *handle = io->handle;
    if (!handle) {
        handle = weir_slab_get_raw(&world->handles);
        int err = uv_poll_init(&world->uv, &handle->poll, io->sock);
        if (err != 0) {
            weir_slab_put(&world->handles, handle);
            return err == UV_ENOSPC || err == UV_ENOMEM ? WEIR_ERR_LIMIT : WEIR_ERR_IO;
        }
        handle->world = world;
        handle->io = io;
        handle->poll.data = handle;
        io->handle = handle;
    }
    int uv_events = (events & WEIR_IO_READ ? UV_READABLE : 0) | (events & WEIR_IO_WRITE ? UV_WRITABLE : 0);
    return uv_poll_start(&handle->poll, uv_events, on_poll) == 0 ? WEIR_OK : WEIR_ERR_IO;
}

static void world_unwatch(struct weir_io *io)
{
    struct weir_uv_handle *handle = WEIR_TAKE(io->handle);
    if (handle) {
        handle->io = NULL;
        uv_close((uv_handle_t *)&handle->poll, on_handle_closed);
    }
}

const struct weir_world_ops weir_world_uv = {
    .init = world_init,
    .fini = world_fini,
    .now_ns = world_now_ns,
    .wall_ns = world_wall_ns,
    .random = world_random,
    .run = world_run,
    .stop = world_stop,
    .alarm = world_alarm,
    .wake = world_wake,
    .listen = weir_uv_listen,
    .accept = weir_uv_accept,
    .connect = weir_uv_connect,
    .connect_result = weir_uv_connect_result,
    .recv = weir_uv_recv,
    .writev = weir_uv_writev,
    .shutdown_write = weir_uv_shutdown_write,
    .close = weir_uv_close,
    .local_addr = weir_uv_local_addr,
    .set_option = weir_uv_set_option,
    .watch = world_watch,
    .unwatch = world_unwatch,
    .resolve = weir_uv_resolve,
    .resolve_cancel = weir_uv_resolve_cancel,
};
