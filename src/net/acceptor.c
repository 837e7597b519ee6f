/* A listening socket on one loop. When accept fails for want of file descriptors the watch is taken off and tried again later, at first after
 * PAUSE_MS_MIN, doubling up to PAUSE_MS_MAX: connections wait in the kernel's queue and the loop does not spin. */
#include "net/acceptor.h"

#define PAUSE_MS_MIN 10
#define PAUSE_MS_MAX 1000

static void watch(struct weir_acceptor *acceptor, bool on)
{
    if (weir_io_set(&acceptor->io, on ? WEIR_IO_READ : 0)) {
        weir_timer_set(acceptor->io.loop, &acceptor->timer, PAUSE_MS_MAX);
    }
}

static void on_timer(struct weir_timer *timer)
{
    struct weir_acceptor *acceptor = WEIR_CONTAINER_OF(timer, struct weir_acceptor, timer);
    if (!acceptor->paused) {
        watch(acceptor, true);
    }
}

static void back_off(struct weir_acceptor *acceptor, enum weir_err err)
{
    uint32_t next = acceptor->pause_ms ? acceptor->pause_ms * 2 : PAUSE_MS_MIN;
    acceptor->pause_ms = WEIR_MIN(next, (uint32_t)PAUSE_MS_MAX);
    watch(acceptor, false);
    weir_timer_set(acceptor->io.loop, &acceptor->timer, acceptor->pause_ms);
    if (acceptor->ops->on_pause) {
        acceptor->ops->on_pause(acceptor, err, acceptor->pause_ms);
    }
}

static void on_io(struct weir_io *io, uint32_t events WEIR_UNUSED)
{
    struct weir_acceptor *acceptor = WEIR_CONTAINER_OF(io, struct weir_acceptor, io);
    const struct weir_world_ops *world = io->loop->ops;
    for (uint32_t n = 0; io->sock >= 0 && !acceptor->paused; n++) {
        struct sockaddr_storage ss;
        socklen_t len;
        struct weir_addr peer;
        weir_sock sock;
        if (acceptor->max_per_event > 0 && n >= acceptor->max_per_event) {
            return; /* the watch is level-triggered: the rest comes next turn */
        }
        enum weir_err err = world->accept(io->loop, io->sock, &ss, &len, &sock);
        if (err == WEIR_ERR_AGAIN) {
            return;
        }
        if (err) {
            back_off(acceptor, err);
            return;
        }
        acceptor->pause_ms = 0;
        weir_addr_from_sockaddr(&ss, len, &peer);
        acceptor->ops->on_accept(acceptor, sock, &peer);
    }
}

void weir_acceptor_init(struct weir_acceptor *acceptor, struct weir_loop *loop,
                        const struct weir_acceptor_ops *ops)
{
    *acceptor = (struct weir_acceptor){.ops = ops};
    weir_io_init(&acceptor->io, loop, on_io);
    weir_timer_init(&acceptor->timer, on_timer);
}

enum weir_err weir_acceptor_open(struct weir_acceptor *acceptor, const struct weir_addr *addr,
                                 const struct weir_listen_opts *opts)
{
    struct weir_loop *loop = acceptor->io.loop;
    struct sockaddr_storage ss;
    socklen_t len;
    weir_sock sock;
    enum weir_err err = loop->ops->listen(loop, &addr->sa, addr->len, opts, &sock);
    if (err) {
        return err;
    }
    acceptor->local = *addr;
    if (!loop->ops->local_addr(loop, sock, &ss, &len)) {
        weir_addr_from_sockaddr(&ss, len, &acceptor->local);
    }
    return weir_io_open(&acceptor->io, sock, WEIR_IO_READ);
}

void weir_acceptor_pause(struct weir_acceptor *acceptor, bool paused)
{
    acceptor->paused = paused;
    if (!weir_timer_armed(&acceptor->timer)) {
        watch(acceptor, !paused);
    }
}

void weir_acceptor_close(struct weir_acceptor *acceptor)
{
    weir_timer_stop(acceptor->io.loop, &acceptor->timer);
    weir_io_close(&acceptor->io, false);
}
