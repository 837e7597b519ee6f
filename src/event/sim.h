/* The simulated world: a network, a clock and chance from a seed. Loops made with `weir_loop_new(&weir_world_sim, sim, …)` run on it unchanged; the
 * other ends of their connections are peers, driven by callbacks or by scripts. Everything happens in one thread, one step after another, and the same
 * seed with the same calls gives the same steps: `trace` prints them, weir_sim_digest sums them up.
 *
 *   struct weir_sim *sim = weir_sim_new(&(struct weir_sim_opts){.seed = seed});
 *   struct weir_loop *loop = weir_loop_new(&weir_world_sim, sim, "worker_0", 1);
 *   ... listen, start whatever runs on the loop ...
 *   struct weir_sim_peer *peer = weir_sim_dial(sim, &addr, len, NULL, NULL);
 *   weir_sim_peer_script(peer, STEPS, n);
 *   while (weir_sim_step(sim)) check_invariants();
 *   weir_loop_free(loop); weir_sim_free(sim);
 *
 * The network behaves like TCP on Linux where code can tell: bytes arrive whole or in pieces, in order, after a delay; buffers are finite; closing with
 * unread input resets; a reset lets what had arrived be read first; writing to a closed socket is answered by a reset. */
#ifndef WEIR_EVENT_SIM_H
#define WEIR_EVENT_SIM_H

#include "base/str.h"
#include "event/loop.h"

struct weir_sim;
struct weir_sim_peer;

/** Zero = the default in brackets. Chances are per thousand; -1 = never. */
struct weir_sim_opts {
    uint64_t seed;
    uint32_t latency_us_min, latency_us_max; /* one way [20, 200] */
    uint32_t buffer_min,
        buffer_max;    /* bytes on the way and unread, by connection and direction [1 KiB, 64 KiB] */
    int partial_write; /* a write takes less than it could [100] */
    int short_read;    /* a read returns less than there is [100] */
    int split;         /* what is written in one call arrives in pieces [300] */
    int late;          /* a ready socket is left out of a turn [100] */
    int spurious;      /* a socket event without cause [10] */
    int loose_reset;   /* a connection is reset by the network at some segment [never] */
    int accept_limit;  /* accept fails for want of descriptors [never] */
    int connect_limit; /* connect does [never] */
    void (*trace)(void *arg, const char *line);
    void *trace_arg;
};

struct weir_sim *weir_sim_new(const struct weir_sim_opts *opts);
/** All its loops must be freed. Peers end with it. */
void weir_sim_free(struct weir_sim *sim);

/* ---- running ---- */

/** One step: a turn of a loop, an arrival, a timer of a script; or the clock moves on to the next. False: nothing is left to happen. */
bool weir_sim_step(struct weir_sim *sim);
/** Steps until nothing is pending but loops' timers. */
void weir_sim_settle(struct weir_sim *sim);
/** Steps until `ms` have passed. */
void weir_sim_run_for(struct weir_sim *sim, uint64_t ms);
/** Steps until `done(arg)` or `ms` have passed or nothing is left; whether it was done. */
bool weir_sim_run_until(struct weir_sim *sim, bool (*done)(void *arg), void *arg, uint64_t ms);
uint64_t weir_sim_now_ns(const struct weir_sim *sim);
uint64_t weir_sim_n_steps(const struct weir_sim *sim);
/** A number that depends on every step so far. */
uint64_t weir_sim_digest(const struct weir_sim *sim);
/** Sets the time of day forward or back; monotonic time goes on. */
void weir_sim_jump_wall(struct weir_sim *sim, int64_t ns);
/** The script's own chance, from the seed: below `n` (> 0). */
uint64_t weir_sim_random(struct weir_sim *sim, uint64_t n);
/** Calls fn(arg) in `us`. */
void weir_sim_after(struct weir_sim *sim, uint64_t us, void (*fn)(void *arg), void *arg);
/** Writes a line of the test's own into the trace. */
WEIR_PRINTF(2, 3) void weir_sim_note(struct weir_sim *sim, const char *fmt, ...);
/** Sockets that loops hold open now, listening ones included. */
uint32_t weir_sim_open_sockets(const struct weir_sim *sim);

/* ---- peers ---- */

/** Callbacks of a peer, each may be NULL. They may call everything below. */
struct weir_sim_peer_ops {
    void (*on_connected)(struct weir_sim_peer *peer);
    /** Bytes arrived. NULL: they are collected (weir_sim_peer_received). */
    void (*on_data)(struct weir_sim_peer *peer, struct weir_slice bytes);
    /** The other side will send no more. NULL: the peer closes when all it has to send is sent. */
    void (*on_eof)(struct weir_sim_peer *peer);
    /** Reset by the other side or the network, or the connection was refused. */
    void (*on_reset)(struct weir_sim_peer *peer);
};

/** A client that connects to `addr`, now. */
struct weir_sim_peer *weir_sim_dial(struct weir_sim *sim, const struct sockaddr *addr, socklen_t addr_len,
                                    const struct weir_sim_peer_ops *ops, void *arg);

/** What happens to connections to an address that no loop listens on. */
enum weir_sim_server_mode {
    WEIR_SIM_ACCEPT,
    WEIR_SIM_REFUSE,    // as where nobody listens
    WEIR_SIM_BLACKHOLE, // no answer at all
    WEIR_SIM_UNREACHABLE,
};
struct weir_sim_server {
    enum weir_sim_server_mode mode;
    const struct weir_sim_peer_ops *ops; // of accepted peers; may be NULL
    void (*on_accept)(struct weir_sim_peer *peer,
                      void *arg); // before on_connected; may be NULL; sets peer's arg, starts a script
    void *arg;
};
/** Serves `addr` from now on (again: differently). `server` is copied. */
void weir_sim_serve(struct weir_sim *sim, const struct sockaddr *addr, socklen_t addr_len,
                    const struct weir_sim_server *server);

void weir_sim_peer_set_arg(struct weir_sim_peer *peer, void *arg);
void *weir_sim_peer_arg(const struct weir_sim_peer *peer);
struct weir_sim *weir_sim_peer_sim(const struct weir_sim_peer *peer);
/** Sends, as fast as the other side takes it. Dropped when the peer has closed. */
void weir_sim_peer_send(struct weir_sim_peer *peer, struct weir_slice bytes);
/** Half-closes, after what was sent. */
void weir_sim_peer_shutdown(struct weir_sim_peer *peer);
/** Closes, after what was sent. As with real sockets the other side sees a reset if bytes come or are left unread. */
void weir_sim_peer_close(struct weir_sim_peer *peer);
/** Resets at once. */
void weir_sim_peer_reset(struct weir_sim_peer *peer);
/** Stops (true) or goes on (false) taking bytes: back-pressure. */
void weir_sim_peer_pause(struct weir_sim_peer *peer, bool paused);
/** What has arrived and was collected, from the start. */
struct weir_slice weir_sim_peer_received(const struct weir_sim_peer *peer);
void weir_sim_peer_forget_received(struct weir_sim_peer *peer);
bool weir_sim_peer_connected(const struct weir_sim_peer *peer);
bool weir_sim_peer_saw_eof(const struct weir_sim_peer *peer);
bool weir_sim_peer_saw_reset(const struct weir_sim_peer *peer);
/** Closed or reset by either side. */
bool weir_sim_peer_ended(const struct weir_sim_peer *peer);

/* ---- scripts ---- */

enum weir_sim_do {
    WEIR_SIM_SEND,        // text
    WEIR_SIM_SEND_SLOWLY, // text, a byte each `n` µs
    WEIR_SIM_EXPECT,      // waits until what was received since the last match contains text
    WEIR_SIM_EXPECT_EOF,
    WEIR_SIM_SLEEP, // n µs
    WEIR_SIM_PAUSE,
    WEIR_SIM_RESUME,
    WEIR_SIM_SHUTDOWN,
    WEIR_SIM_CLOSE,
    WEIR_SIM_RESET,
    WEIR_SIM_REPEAT, // from the first step again
};
struct weir_sim_step_of {
    enum weir_sim_do what;
    const char *text;
    uint64_t n;
};
/** Runs `steps` (borrowed) from the peer's connection on. For peers without on_data. */
void weir_sim_peer_script(struct weir_sim_peer *peer, const struct weir_sim_step_of *steps, size_t n_steps);
/** True when the script has come to its end. */
bool weir_sim_peer_script_done(const struct weir_sim_peer *peer);

/* ---- names ---- */

/** What `host` resolves to from now on: `n` addresses with this TTL, or with n = 0 the error. Unknown hosts are NOT_FOUND. */
void weir_sim_dns_set(struct weir_sim *sim, struct weir_slice host, const struct sockaddr_storage *addrs,
                      uint32_t n, uint32_t ttl_s, enum weir_err err);

extern const struct weir_world_ops weir_world_sim;

#endif
