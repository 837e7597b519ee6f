/* The one table through which a worker reaches the outside world: clock, random numbers, sockets, DNS, wake-ups.
 * The real world (world_uv.c) sits on libuv and the system calls; the simulated one (world_sim.c) is a network with a
 * fake clock and a seed, in which every interleaving can be replayed. Nothing above this header calls the system. */
#ifndef WEIR_EVENT_WORLD_H
#define WEIR_EVENT_WORLD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/err.h"
#include "base/slice.h"

struct weir_loop;
struct weir_io;

/** A socket of this world: a file descriptor in the real one. -1 = none. */
typedef int weir_sock;

#define WEIR_IO_READ  1u
#define WEIR_IO_WRITE 2u
/** Only reported, never asked for: the socket has failed. Comes with the events that were watched and ends the watch, so
 * that a socket whose owner is not ready to look cannot make the loop spin; the next read or write tells what happened. */
#define WEIR_IO_ERROR 4u

struct weir_listen_opts {
    bool reuse_port;
    bool transparent, freebind;
    int backlog; /* 0 = the system's maximum */
    bool ipv6_only;
    uint32_t unix_mode; /* file mode of a Unix socket, 0 = leave */
};

/** What a name stands for. */
struct weir_resolved {
    uint32_t n;
    uint32_t ttl_s; /* the shortest of all */
    struct weir_resolved_addr {
        struct sockaddr_storage addr; /* port 0 */
        socklen_t len;
        uint32_t ttl_s;
    } v[];
};
/** More addresses than this are cut off. */
#define WEIR_RESOLVED_MAX 1024

struct weir_world_ops {
    /** Makes the world's half of a loop (loop->world); `arg` as given to weir_loop_new. */
    void (*init)(struct weir_loop *loop, void *arg);
    void (*fini)(struct weir_loop *loop);
    /** Monotonic time in nanoseconds, read now. */
    uint64_t (*now_ns)(struct weir_loop *loop);
    /** Time of day in nanoseconds since 1970, read now. */
    int64_t (*wall_ns)(struct weir_loop *loop);
    void (*random)(struct weir_loop *loop, void *out, size_t len);

    /** Runs until weir_loop_stop; returns then. */
    void (*run)(struct weir_loop *loop);
    void (*stop)(struct weir_loop *loop);
    /** Asks for one call of weir_loop_on_alarm at monotonic `at_ms` (UINT64_MAX = none); a later call replaces it. */
    void (*alarm)(struct weir_loop *loop, uint64_t at_ms);
    /** Makes the loop call weir_loop_on_posted soon. The only function that other threads may call. */
    void (*wake)(struct weir_loop *loop);

    /* Sockets. All are non-blocking and close-on-exec. Byte counts or -1 with `*ret_err`: AGAIN, RESET, CLOSED, LIMIT
     * (no file descriptors), TIMEOUT, DENIED, NOT_FOUND, IO. EINTR never shows. */
    enum weir_err (*listen)(struct weir_loop *loop, const struct sockaddr *addr, socklen_t addr_len,
                            const struct weir_listen_opts *opts, weir_sock *ret);
    enum weir_err (*accept)(struct weir_loop *loop, weir_sock listener, struct sockaddr_storage *ret_peer,
                            socklen_t *ret_peer_len, weir_sock *ret);
    /** Starts connecting; completion is the first WRITE event, its result connect_result. `bind_to` NULL = any. On
     * failure `*ret_errno` says why. */
    enum weir_err (*connect)(struct weir_loop *loop, const struct sockaddr *addr, socklen_t addr_len,
                             const struct sockaddr *bind_to, socklen_t bind_len, weir_sock *ret,
                             int *ret_errno);
    enum weir_err (*connect_result)(struct weir_loop *loop, weir_sock sock, int *ret_errno);
    /** 0 = end of stream. */
    ssize_t (*recv)(struct weir_loop *loop, weir_sock sock, void *buf, size_t len, enum weir_err *ret_err);
    ssize_t (*writev)(struct weir_loop *loop, weir_sock sock, const struct iovec *iov, int n,
                      enum weir_err *ret_err);
    void (*shutdown_write)(struct weir_loop *loop, weir_sock sock);
    /** Closes; with `reset` the peer sees a reset (SO_LINGER 0). */
    void (*close)(struct weir_loop *loop, weir_sock sock, bool reset);
    enum weir_err (*local_addr)(struct weir_loop *loop, weir_sock sock, struct sockaddr_storage *ret,
                                socklen_t *ret_len);
    /** An integer socket option; ignored where the world has no such thing. */
    enum weir_err (*set_option)(struct weir_loop *loop, weir_sock sock, int level, int name, int value);

    /** Starts (or changes) watching; events 0 keeps the watch but asks for nothing. */
    enum weir_err (*watch)(struct weir_io *io, uint32_t events);
    /** Ends watching. No event comes after it. Before close. */
    void (*unwatch)(struct weir_io *io);

    /** Resolves `host` (copied) to addresses of `family` (AF_UNSPEC: all). Calls `done` exactly once, never before returning:
     * NOT_FOUND (no such name or no address), TIMEOUT, SYNTAX (not a name), IO (servers failed). `result` is borrowed for the call, NULL
     * on failure. The returned handle is for resolve_cancel, until `done` is called. */
    void *(*resolve)(struct weir_loop *loop, struct weir_slice host, int family,
                     void (*done)(void *arg, enum weir_err err, const struct weir_resolved *result),
                     void *arg);
    void (*resolve_cancel)(struct weir_loop *loop, void *handle);
};

extern const struct weir_world_ops weir_world_uv;

#endif
