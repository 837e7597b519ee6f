/* A connection: socket, transport, input, output with a watermark, read gating, ordered close. Used downstream, upstream and
 * by TCP filters alike. Embedded in its owner, who gets events through one const ops table. (Envoy: Network::Connection.)
 *
 *   CONNECTING --connected--> OPEN --close(FLUSH)--> CLOSING --flushed/timeout--> CLOSED
 *        \------failed-------------------\--peer gone, close(NOW/RESET)----------/
 *
 * Writes are gathered: weir_conn_write appends to `out`; the flush happens once at the end of the loop's turn.
 * on_connected, on_data and on_closed come from the loop, never from inside a weir_conn_* call; on_watermark(true) may come from inside
 * weir_conn_write and weir_conn_wrote. After weir_conn_close nothing but on_closed comes any more. */
#ifndef WEIR_NET_CONN_H
#define WEIR_NET_CONN_H

#include "net/transport.h"

enum weir_conn_state { WEIR_CONN_NONE, WEIR_CONN_CONNECTING, WEIR_CONN_OPEN, WEIR_CONN_CLOSING, WEIR_CONN_CLOSED };

enum weir_conn_close_how {
    WEIR_CONN_CLOSE_NOW,         // drop unsent output
    WEIR_CONN_CLOSE_RESET,       // the same, and the peer sees a reset
    WEIR_CONN_CLOSE_FLUSH,       // after the output is written
    WEIR_CONN_CLOSE_FLUSH_DELAY, // after that, half-close and wait up to delayed_close_ms for the peer's FIN, discarding input
};

enum weir_conn_end {
    WEIR_CONN_END_LOCAL,           // we closed
    WEIR_CONN_END_REMOTE,          // the peer's FIN ended it
    WEIR_CONN_END_RESET,           // the peer's RST or another socket error
    WEIR_CONN_END_CONNECT_FAILED,
    WEIR_CONN_END_CONNECT_TIMEOUT,
    WEIR_CONN_END_TRANSPORT,       // TLS failed
    WEIR_CONN_END_IDLE,            // owner's timers use these
};

struct weir_conn;
struct weir_conn_ops {
    /** Upstream: connected and the transport is ready. Downstream: the transport is ready (raw: not called). */
    void (*on_connected)(struct weir_conn *conn);
    /** New bytes are in conn->in; consume by draining. `eof`: no more will come. What is left stays for the next call. Draining
     * conn->in outside this callback does not resume reading: call weir_conn_reread. */
    void (*on_data)(struct weir_conn *conn, bool eof);
    /** Output rose above (true) or fell to half (false) of its mark. */
    void (*on_watermark)(struct weir_conn *conn, bool above);
    /** The connection is CLOSED; called exactly once, never from inside weir_conn_write; the owner may defer-free itself. */
    void (*on_closed)(struct weir_conn *conn, enum weir_conn_end end);
};

struct weir_conn {
    const struct weir_conn_ops *ops;
    struct weir_loop *loop;
    struct weir_io io;
    struct weir_transport *transport;
    struct weir_buf in, out;
    struct weir_watermark out_mark; /* per_connection_buffer_limit_bytes */
    size_t in_limit;                /* reading pauses while in.len is at or above it; 0 = 1 MiB */
    enum weir_conn_state state;
    enum weir_conn_end end;
    uint32_t read_disabled;         /* count; reading is off while > 0 */
    bool eof_seen, eof_wanted;      /* peer half-closed; owner handles half-close (else eof closes) */
    bool initiated;                 /* weir_conn_connect: what the peer sent before it refused our bytes is still wanted */
    bool tcp_connected;             /* CONNECTING: the transport's handshake is what is awaited */
    bool write_failed;              /* the peer takes no more: output is dropped, what it had sent is still read */
    bool write_blocked;             /* the transport waits for a WRITE event */
    bool shutdown_wanted, shutdown_done; /* our half-close */
    bool delay_close;               /* CLOSING: wait for the peer's FIN after the flush */
    bool reread_wanted;             /* the task offers `in` again */
    bool closed_pending;            /* the task calls on_closed */
    uint32_t delayed_close_ms;      /* default 1000; also how long a CLOSING flush may make no progress; 0 = for ever */
    struct weir_task task;          /* end of turn: reread, flush, on_closed */
    struct weir_timer timer;        /* connect timeout, then delayed close */
    struct weir_addr local, remote;
    uint64_t id;                    /* process-wide, for logs and properties */
    uint64_t bytes_read, bytes_written;
    const char *failure;            /* why connecting or the transport failed */
    uint64_t connect_start_ns;
};

void weir_conn_init(struct weir_conn *conn, struct weir_loop *loop, const struct weir_conn_ops *ops);
/** Takes an accepted socket and `transport` (takes both, also on failure: weir_conn_fini is still due). With TLS the state is CONNECTING, without a time-out,
 * until the handshake is done and on_connected has been called; without, it is OPEN at once. */
WEIR_MUST_CHECK enum weir_err weir_conn_accept(struct weir_conn *conn, weir_sock sock, const struct weir_addr *remote,
                                               struct weir_transport *transport);
/** Starts connecting; the outcome always comes later as on_connected or on_closed. Takes `transport`. */
void weir_conn_connect(struct weir_conn *conn, const struct weir_addr *addr, const struct weir_addr *bind_to,
                       struct weir_transport *transport, uint64_t timeout_ms);
/** Moves `data` to the output and schedules the flush. Dropped when CLOSING or CLOSED. */
void weir_conn_write(struct weir_conn *conn, struct weir_buf *data);
/** For owners that append to conn->out themselves: schedules the flush and checks the watermark. */
void weir_conn_wrote(struct weir_conn *conn);
/** Half-closes after the output is written. */
void weir_conn_shutdown_write(struct weir_conn *conn);
/** Counts up (true) or down (false); reading is paused while the count is above 0. Buffered input is offered again on resume. */
void weir_conn_read_disable(struct weir_conn *conn, bool disable);
/** Offers buffered input to on_data again at the end of this turn (after pipelined work was held back). */
void weir_conn_reread(struct weir_conn *conn);
void weir_conn_close(struct weir_conn *conn, enum weir_conn_close_how how);
/** Releases what is left (closes NOW without on_closed if still open, and forgets an on_closed that is due). Not from inside
 * on_connected, on_data and on_watermark: close and free in on_closed, by weir_loop_defer_free. */
void weir_conn_fini(struct weir_conn *conn);
const char *weir_conn_end_text(enum weir_conn_end end);
/** Next process-wide connection id. */
uint64_t weir_conn_next_id(void);
/** For simulations that must repeat themselves. */
void weir_conn_set_next_id(uint64_t id);

#endif
