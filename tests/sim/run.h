/* One seed: a worker in the simulated world, its clients, its upstream servers, filters that do as chance says, and what all of
 * them have seen of each other. */
#ifndef WEIR_TESTS_SIM_RUN_H
#define WEIR_TESTS_SIM_RUN_H

#include "event/sim.h"
#include "net/addr.h"
#include "proxy/access_log.h"
#include "proxy/filter.h"
#include "server/worker.h"
#include "wire.h"

/** What may go wrong in a seed; each seed has some of them. Without any, every request must be answered as its server did. */
enum {
    RUN_CLIENT_FAULTS = 1,   // clients cut, reset, stall, send nonsense
    RUN_UPSTREAM_FAULTS = 2, // servers do
    RUN_NET_FAULTS = 4,      // servers refuse, swallow connections, cannot be reached
    RUN_FILTER_FAULTS = 8,   // filters answer, reset, never go on
    RUN_FILTER_PAUSES = 16,  // filters stop and go on
    RUN_SMALL_LIMITS = 32,   // circuit breakers, buffers, requests a connection
    RUN_TIMEOUTS = 64,       // short ones, and things slower than they
    RUN_RELOAD = 128,
    RUN_DRAIN = 256,         // the listeners drain under way
    RUN_CUT = 512,           // the worker is freed under way
    RUN_RETRIES = 1024,      // routes try again
    RUN_FILTERS = 2048,      // filters of weir's own: fault, buffer, local_ratelimit, cors, header_mutation
    RUN_H2 = 4096,           // the servers of one cluster speak HTTP/2
    RUN_ALL = 8191,
};

/** Why a request may come to nothing. */
enum {
    EX_CLIENT = 1,   // its client
    EX_UPSTREAM = 2, // its server
    EX_FILTER = 4,
    EX_CONN = 8,     // an earlier exchange ended the connection
    EX_EARLY = 16,   // answered before it was sent whole
};

enum ex_path { PATH_UP, PATH_DIRECT, PATH_REDIRECT, PATH_NO_ROUTE, PATH_NO_CLUSTER, PATH_CALL, PATHS };
enum ex_framing { FRAMING_NONE, FRAMING_LENGTH, FRAMING_CHUNKED, FRAMING_CLOSE };
enum ex_fault {
    FAULT_NONE,
    FAULT_CLOSE_AT_HEAD, FAULT_RESET_AT_HEAD, FAULT_CLOSE_AT_END, FAULT_RESET_AT_END, // before an answer
    FAULT_NEVER, FAULT_SLOW,
    FAULT_GARBAGE, FAULT_BAD_CHUNK,
    FAULT_CUT_CLOSE, FAULT_CUT_RESET, FAULT_STALL, // amid the answer
    FAULT_EXTRA,       // more bytes than the answer has
    FAULT_CLOSE_AFTER, // closes without saying so
    FAULTS,
};

/** A request and its answer, as they are meant to be and as they came. */
struct exchange {
    uint32_t id;
    enum ex_path path;
    const char *method;
    enum ex_framing framing;
    size_t body_len;
    bool close, trailers, malformed, expect;
    /* the answer */
    uint32_t status;
    enum ex_framing answer_framing;
    size_t answer_len;
    enum ex_fault fault;
    bool early, informational, answer_trailers, answer_close, pauses;
    uint64_t delay_us;
    /* what came of it */
    uint32_t excuse;
    uint32_t n_heads, n_complete; /* seen by servers */
    bool answer_sent;             /* by the server, all of it */
    bool sent;                    /* by the client, all of it */
    bool head_seen, answered, local;
    uint32_t got_status;
    size_t got_len;
    bool filter_replied;
    uint32_t marks[2], marks_seen[2]; /* RUN_MARK bytes that filters added to request and answer, and that came */
};

/** What filters add to bodies; no body has it of its own. */
#define RUN_MARK '#'


#define N_WORKERS 2
#define N_HOSTS 3
#define N_SNAPSHOTS 3

struct client;
struct up;
struct run {
    uint64_t seed;
    uint32_t may; /* RUN_… */
    struct weir_sim *sim;
    struct weir_stats *stats;
    struct weir_calls *calls;
    struct weir_worker *workers[N_WORKERS];
    uint32_t n_workers;
    struct weir_snapshot *snapshots[N_SNAPSHOTS];
    struct weir_addr hosts[N_HOSTS], h2_hosts[N_HOSTS], listen;
    struct exchange **exchanges;
    uint32_t n_exchanges, cap_exchanges;
    struct client *clients;
    uint32_t n_clients, n_clients_done;
    struct up *ups;      /* list */
    struct weir_loop *server_loop; /* h2_server.c's */
    struct h2_conn *h2_conns;
    struct h2_stream *h2_streams;
    bool host_down;      /* some host was out of reach at some time */
    bool idle_closed;    /* a server has closed an idle connection, or one unasked */
    bool unasked;        /* a server has sent an answer to no request: who asks it next cannot tell whose it is */
    bool lossy;          /* the network resets connections, descriptors run out */
    bool reloaded, drained, cut;
    uint32_t buffer_limit;
    /* filters and logs */
    uint64_t n_init, n_log, n_done, n_calls, n_calls_ended;
    uint64_t n_access, n_access_answered;
    struct weir_list filters; /* chaos.c's, alive */
};

/** The seed has failed: says so and ends this process. */
_Noreturn WEIR_PRINTF(2, 3) void run_fail(struct run *run, const char *fmt, ...);
static inline uint64_t run_random(struct run *run, uint64_t n)
{
    return weir_sim_random(run->sim, n);
}
static inline bool run_chance(struct run *run, uint32_t per_thousand)
{
    return weir_sim_random(run->sim, 1000) < per_thousand;
}
/** Is this kind of fault of the seed's, and does it strike now? */
static inline bool run_strikes(struct run *run, uint32_t kind, uint32_t per_thousand)
{
    return (run->may & kind) && run_chance(run, per_thousand);
}
struct exchange *run_exchange_new(struct run *run);
/** NULL: there is none with that number. */
struct exchange *run_exchange(struct run *run, uint32_t id);
/** The byte at `offset` of the body of a request (`answer` false) or answer. */
static inline char run_body_byte(uint32_t id, bool answer, size_t offset)
{
    return (char)('a' + (id * 7 + (answer ? 11 : 0) + offset + (offset >> 6)) % 26);
}
/** Fails unless `bytes` are those at `*offset`, but for marks, which it counts. Moves `*offset` on. */
void run_check_body(struct run *run, struct exchange *ex, bool answer, size_t *offset, struct weir_slice bytes);
/** Fails unless a body that ends at `offset` is all that was sent, with all marks. */
void run_check_end(struct run *run, const struct exchange *ex, bool answer, size_t offset, size_t want);
/** Appends a body in `framing`, chunks of any size. */
void run_add_body(struct run *run, struct weir_str *out, uint32_t id, bool answer, size_t len, enum ex_framing framing, bool trailers);
/** Plans what the server will answer. */
void run_plan_answer(struct run *run, struct exchange *ex);

/** Everything of one seed; returns the digest of its trace. */
uint64_t run_seed(uint64_t seed, bool trace);

/* config.c */
/** The configuration, `version` 0 …; to be freed by weir_str_fini. */
void config_text(struct run *run, struct weir_str *out, uint32_t version);

/* client.c */
void clients_start(struct run *run);
bool clients_done(void *arg);
void clients_judge(struct run *run);
void clients_free(struct run *run);

/* upstream.c */
void upstreams_start(struct run *run);
void upstreams_free(struct run *run);

/* h2_server.c */
void h2_servers_start(struct run *run);
void h2_servers_free(struct run *run);

/* chaos.c */
/** Chaos and all of weir's own. */
const struct weir_filter_registry *chaos_filters(void);
extern const struct weir_access_logger_registry chaos_loggers;
/** The run whose filters these are: one at a time. */
extern struct run *chaos_run;
/** What the filters that live hold back is within its limit. */
void chaos_check(struct run *run);

#endif
