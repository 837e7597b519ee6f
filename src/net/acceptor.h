/* A listening socket on one loop: accepts what waits, pauses with back-off when file descriptors run out. Policy (limits, filter chains) is its
 * owner's. Used by listeners and by admin. */
#ifndef WEIR_NET_ACCEPTOR_H
#define WEIR_NET_ACCEPTOR_H

#include "net/addr.h"
#include "event/loop.h"

struct weir_acceptor;
struct weir_acceptor_ops {
    /** A new connection; the owner takes the socket. May close the acceptor. */
    void (*on_accept)(struct weir_acceptor *acceptor, weir_sock sock, const struct weir_addr *peer);
    /** Accepting failed (LIMIT: no file descriptors) and pauses for a while; for counters and logs. May be NULL. */
    void (*on_pause)(struct weir_acceptor *acceptor, enum weir_err err, uint32_t pause_ms);
};

/** Embedded in its owner; owner by WEIR_CONTAINER_OF. */
struct weir_acceptor {
    const struct weir_acceptor_ops *ops;
    struct weir_io io;
    struct weir_timer timer;
    struct weir_addr local;        /* as bound: with its port */
    uint32_t max_per_event;        /* 0 = until none waits */
    uint32_t pause_ms;             /* of the present back-off, 0 = none */
    bool paused;                   /* by the owner */
};

void weir_acceptor_init(struct weir_acceptor *acceptor, struct weir_loop *loop, const struct weir_acceptor_ops *ops);
/** Listens on `addr` and begins to accept: EXISTS (in use), DENIED, NOT_FOUND (not an address of this machine), LIMIT, IO. */
WEIR_MUST_CHECK enum weir_err weir_acceptor_open(struct weir_acceptor *acceptor, const struct weir_addr *addr,
                                                 const struct weir_listen_opts *opts);
/** Leaves new connections waiting (true) or goes on (false). */
void weir_acceptor_pause(struct weir_acceptor *acceptor, bool paused);
/** Stops listening; harmless if not open. What waits in the queue is reset by the system. */
void weir_acceptor_close(struct weir_acceptor *acceptor);

#endif
