/* Inside the simulated world: sim.c has the steps, sim_net.c the sockets, sim_peer.c the peers and their scripts. */
#ifndef WEIR_EVENT_SIM_PRIV_H
#define WEIR_EVENT_SIM_PRIV_H

#include "event/sim.h"

#define SIM_FIRST_SOCK 1000

struct sim_event {
    uint64_t at_ns;
    uint64_t order; /* among those of the same time */
    void (*fn)(struct weir_sim *sim, void *arg);
    void *arg;
};

/** A loop on this world. */
struct sim_loop {
    struct weir_sim *sim;
    struct weir_loop *loop;
    struct weir_list link;
    uint64_t alarm_ms;
    bool woken;
    bool stopped;
    uint64_t random[4];
};

enum sim_segment_kind { SEGMENT_DATA, SEGMENT_FIN, SEGMENT_RST };
/** Something on its way to an end. */
struct sim_segment {
    struct sim_segment *next;
    enum sim_segment_kind kind;
    size_t len;
    char data[];
};

struct sim_address {
    struct sockaddr_storage ss;
    socklen_t len;
};

/** One end of a connection, or a listening socket. Lives as long as the simulation; its memory goes when it is closed. */
struct sim_end {
    struct weir_sim *sim;
    struct weir_list link;
    struct weir_list queue_link; /* in a listener's accept queue */
    struct sim_end *other;
    struct weir_loop *loop; /* NULL: a peer's */
    struct weir_io *io;     /* watched by */
    struct weir_sim_peer *peer;
    weir_sock sock; /* also numbers peers' ends, for the trace */
    struct sim_address local, remote;
    /* listening */
    bool listening, reuse_port;
    struct weir_list accept_queue;
    uint32_t backlog, n_queued;
    /* connecting */
    bool connecting, connected, unreachable;
    int connect_errno;
    /* towards this end */
    struct sim_segment *way_first, *way_last;
    uint64_t way_last_ns;
    size_t way_bytes;
    struct weir_str unread;
    size_t unread_start;
    size_t buffer; /* most bytes on the way and unread */
    bool fin_seen, reset_seen;
    bool error_pending; /* the next read or write reports the reset */
    /* from this end */
    bool fin_sent, closed;
};

struct sim_server {
    struct weir_list link;
    struct sim_address addr;
    struct weir_sim_server conf;
};

struct sim_host {
    struct weir_list link;
    char *name;
    enum weir_err err;
    struct weir_resolved *result;
};

struct weir_sim {
    struct weir_sim_opts opts;
    uint64_t now_ns;
    int64_t wall_offset_ns;
    uint64_t random[4];
    uint64_t digest;
    uint64_t n_steps;
    uint64_t next_order;
    struct sim_event *heap;
    size_t n_events, cap_events;
    struct weir_list loops;
    struct weir_list ends;   /* open */
    struct weir_list closed; /* closed; arrivals may still refer to them */
    struct weir_list lookups;
    struct sim_end *
        *by_sock; /* index sock - SIM_FIRST_SOCK; numbers are never used twice, so that a late use is found */
    uint32_t n_socks, cap_socks;
    uint16_t next_port;
    struct weir_list servers;
    struct weir_list hosts;
};

uint64_t sim_random_of(uint64_t state[4]);
/** True `per_thousand` times in a thousand. */
bool sim_chance(struct weir_sim *sim, int per_thousand);
void sim_at(struct weir_sim *sim, uint64_t at_ns, void (*fn)(struct weir_sim *sim, void *arg), void *arg);
uint64_t sim_latency_ns(struct weir_sim *sim);
/** Notes one happening in digest and trace. */
void sim_trace(struct weir_sim *sim, const char *what, const struct sim_end *end, uint64_t n);

/* sim_net.c */
struct sim_end *sim_end_new(struct weir_sim *sim, struct weir_loop *loop);
/** Begins to connect `end` to `addr`; completion sets `connected` or `connect_errno`. */
void sim_connect(struct sim_end *end, const struct sockaddr *addr, socklen_t len);
/** What `end` can send now: bytes. */
size_t sim_send_room(const struct sim_end *end);
void sim_send(struct sim_end *end, struct weir_slice bytes);
void sim_shutdown(struct sim_end *end);
void sim_close(struct sim_end *end, bool reset);
struct weir_slice sim_unread(const struct sim_end *end);
/** Takes `len` unread bytes; the sender may go on. */
void sim_consume(struct sim_end *end, size_t len);
/** WEIR_IO_* that hold for a loop's end. */
uint32_t sim_readiness(const struct sim_end *end);
/** The loop ends: its lookups are answered to nobody. */
void sim_forget_lookups(struct weir_loop *loop);
void sim_net_free(struct weir_sim *sim);

enum weir_err sim_listen(struct weir_loop *loop, const struct sockaddr *addr, socklen_t addr_len,
                         const struct weir_listen_opts *opts, weir_sock *ret);
enum weir_err sim_accept(struct weir_loop *loop, weir_sock listener, struct sockaddr_storage *ret_peer,
                         socklen_t *ret_peer_len, weir_sock *ret);
enum weir_err sim_op_connect(struct weir_loop *loop, const struct sockaddr *addr, socklen_t addr_len,
                             const struct sockaddr *bind_to, socklen_t bind_len, weir_sock *ret,
                             int *ret_errno);
enum weir_err sim_connect_result(struct weir_loop *loop, weir_sock sock, int *ret_errno);
ssize_t sim_recv(struct weir_loop *loop, weir_sock sock, void *buf, size_t len, enum weir_err *ret_err);
ssize_t sim_writev(struct weir_loop *loop, weir_sock sock, const struct iovec *iov, int n,
                   enum weir_err *ret_err);
void sim_shutdown_write(struct weir_loop *loop, weir_sock sock);
void sim_op_close(struct weir_loop *loop, weir_sock sock, bool reset);
enum weir_err sim_local_addr(struct weir_loop *loop, weir_sock sock, struct sockaddr_storage *ret,
                             socklen_t *ret_len);
enum weir_err sim_set_option(struct weir_loop *loop, weir_sock sock, int level, int name, int value);
enum weir_err sim_watch(struct weir_io *io, uint32_t events);
void sim_unwatch(struct weir_io *io);
void *sim_resolve(struct weir_loop *loop, struct weir_slice host, int family,
                  void (*done)(void *arg, enum weir_err err, const struct weir_resolved *result), void *arg);
void sim_resolve_cancel(struct weir_loop *loop, void *handle);

/* sim_peer.c: what the network tells a peer. */
struct weir_sim_peer *sim_peer_new(struct sim_end *end, const struct weir_sim_peer_ops *ops, void *arg);
void sim_peer_connected(struct weir_sim_peer *peer);
void sim_peer_refused(struct weir_sim_peer *peer);
void sim_peer_data(struct weir_sim_peer *peer);
void sim_peer_eof(struct weir_sim_peer *peer);
void sim_peer_reset(struct weir_sim_peer *peer);
/** Room to send has become free. */
void sim_peer_pump(struct weir_sim_peer *peer);
void sim_peer_free(struct weir_sim_peer *peer);

#endif
