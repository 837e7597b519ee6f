/* A connection: drives a socket and its transport, and keeps the rules that every user of sockets needs: gathered writes, marks, read gating,
 * half-closes, flush before close, lingering close. Knows no protocol.
 *
 * All calls up to the owner come from the loop: on_connected and on_data from a socket event or from the end-of-turn task, on_closed always from
 * the task, so an owner never sees an event while it is inside one of our functions.
 *
 * Watches are changed as little as possible because each change costs system calls: a READ or WRITE watch that is not wanted any more is only
 * taken off by an event that finds nothing to do. */
#include "net/conn.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "base/log.h"

#define READ_MAX                 65536 /* a turn, so that one fast peer does not hold up the others */
#define IN_LIMIT_DEFAULT         (1 << 20)
#define DELAYED_CLOSE_MS_DEFAULT 1000
#define COMPACT_MAX              4096 /* left-overs up to this do not keep a read block alive */
#define REST_READS_MAX           64   /* reads of READ_MAX after a failed write */

static _Atomic uint64_t next_id = 1;

static void on_io(struct weir_io *io, uint32_t events);
static void on_task(struct weir_task *task);
static void on_timer(struct weir_timer *timer);

uint64_t weir_conn_next_id(void)
{
    return atomic_fetch_add_explicit(&next_id, 1, memory_order_relaxed);
}

void weir_conn_set_next_id(uint64_t id)
{
    next_id = id;
}

const char *weir_conn_end_text(enum weir_conn_end end)
{
    static const char *const TEXTS[] = {
        [WEIR_CONN_END_LOCAL] = "local close",
        [WEIR_CONN_END_REMOTE] = "remote close",
        [WEIR_CONN_END_RESET] = "connection reset",
        [WEIR_CONN_END_CONNECT_FAILED] = "connect failed",
        [WEIR_CONN_END_CONNECT_TIMEOUT] = "connect timeout",
        [WEIR_CONN_END_TRANSPORT] = "transport failure",
        [WEIR_CONN_END_IDLE] = "idle timeout",
    };
    return TEXTS[end];
}

void weir_conn_init(struct weir_conn *conn, struct weir_loop *loop, const struct weir_conn_ops *ops)
{
    *conn = (struct weir_conn){.ops = ops,
                               .loop = loop,
                               .id = weir_conn_next_id(),
                               .delayed_close_ms = DELAYED_CLOSE_MS_DEFAULT,
                               .failure = ""};
    weir_io_init(&conn->io, loop, on_io);
    weir_buf_init(&conn->in, &loop->bufs);
    weir_buf_init(&conn->out, &loop->bufs);
    weir_task_init(&conn->task, on_task);
    weir_timer_init(&conn->timer, on_timer);
}

/* ---- state and watches ---- */

/* CLOSED: the socket goes now; the owner hears of it at the end of the turn. */
static void close_now(struct weir_conn *conn, enum weir_conn_end end, bool reset)
{
    if (conn->state == WEIR_CONN_CLOSED || conn->state == WEIR_CONN_NONE) {
        return;
    }
    WEIR_LOG(DEBUG, CONNECTION, "[C%llu] closed: %s%s%s", (unsigned long long)conn->id,
             weir_conn_end_text(end), conn->failure[0] ? ", " : "", conn->failure);
    conn->state = WEIR_CONN_CLOSED;
    conn->end = end;
    weir_timer_stop(conn->loop, &conn->timer);
    weir_io_close(&conn->io, reset);
    weir_buf_clear(&conn->out);
    conn->closed_pending = true;
    weir_loop_at_end(conn->loop, &conn->task);
}

static void note_transport_failure(struct weir_conn *conn)
{
    const char *failure = conn->transport->ops->failure(conn->transport);
    if (failure[0]) {
        conn->failure = failure;
    }
}

/* The socket or the transport failed. */
static void fail(struct weir_conn *conn, enum weir_err err)
{
    enum weir_conn_end end = WEIR_CONN_END_RESET;
    note_transport_failure(conn);
    if (conn->state == WEIR_CONN_CLOSING) {
        end = WEIR_CONN_END_LOCAL;
    } else if (conn->state == WEIR_CONN_CONNECTING) {
        end = conn->tcp_connected ? WEIR_CONN_END_TRANSPORT : WEIR_CONN_END_CONNECT_FAILED;
    } else if (err == WEIR_ERR_SYNTAX || err == WEIR_ERR_DENIED) {
        end = WEIR_CONN_END_TRANSPORT;
    }
    close_now(conn, end, false);
}

static void watch(struct weir_conn *conn, uint32_t events)
{
    enum weir_err err = weir_io_set(&conn->io, conn->io.events | events);
    if (err) {
        fail(conn, err);
    }
}

static void unwatch(struct weir_conn *conn, uint32_t events)
{
    enum weir_err err = weir_io_set(&conn->io, conn->io.events & ~events);
    if (err) {
        fail(conn, err);
    }
}

static size_t in_room(const struct weir_conn *conn)
{
    size_t limit = conn->in_limit ? conn->in_limit : IN_LIMIT_DEFAULT;
    return conn->in.len < limit ? limit - conn->in.len : 0;
}

static bool may_read(const struct weir_conn *conn)
{
    switch (conn->state) {
    case WEIR_CONN_CONNECTING:
        return conn->tcp_connected;
    case WEIR_CONN_OPEN:
        return conn->read_disabled == 0 && !conn->eof_seen && in_room(conn) > 0;
    case WEIR_CONN_CLOSING:
        return conn->delay_close && !conn->eof_seen;
    case WEIR_CONN_NONE:
    case WEIR_CONN_CLOSED:
        break;
    }
    return false;
}

/* ---- input ---- */

/* What the end of the peer's bytes means once the owner has seen them all. */
static void after_eof(struct weir_conn *conn)
{
    bool held_back = conn->read_disabled > 0 && conn->in.len > 0;
    if (!conn->eof_wanted && !held_back) {
        close_now(conn, WEIR_CONN_END_REMOTE, false);
    } else if (conn->shutdown_done && conn->in.len == 0) { /* both directions are over */
        close_now(conn, WEIR_CONN_END_REMOTE, false);
    }
}

static void deliver(struct weir_conn *conn)
{
    conn->ops->on_data(conn, conn->eof_seen);
    if (conn->state != WEIR_CONN_OPEN) {
        return;
    }
    if (conn->eof_seen) {
        after_eof(conn);
    }
    weir_buf_compact(&conn->in, COMPACT_MAX);
}

static void become_open(struct weir_conn *conn)
{
    conn->state = WEIR_CONN_OPEN;
    weir_timer_stop(conn->loop, &conn->timer);
    if (conn->out.len > 0 || conn->shutdown_wanted) {
        weir_loop_at_end(conn->loop, &conn->task);
    }
    if (conn->ops->on_connected) {
        conn->ops->on_connected(conn);
    }
}

/* CLOSING: everything that still comes is thrown away. */
static void read_away(struct weir_conn *conn)
{
    struct weir_transport_result r = conn->transport->ops->read(conn->transport, &conn->in, READ_MAX);
    weir_buf_clear(&conn->in);
    conn->eof_seen = r.eof;
    if (r.err) {
        fail(conn, r.err);
    } else if (r.eof && conn->out.len == 0 && !conn->write_blocked) {
        close_now(conn, WEIR_CONN_END_LOCAL, false);
    }
}

static void read_some(struct weir_conn *conn)
{
    struct weir_transport *t = conn->transport;
    struct weir_transport_result r = t->ops->read(t, &conn->in, WEIR_MIN(in_room(conn), (size_t)READ_MAX));
    conn->bytes_read += r.bytes;
    if (r.eof && conn->write_failed) { /* a reset that the failed write has swallowed: not an orderly end */
        r.eof = false;
        r.err = WEIR_ERR_RESET;
    }
    if (conn->state == WEIR_CONN_CONNECTING && !r.err && t->ops->ready(t)) {
        become_open(conn);
    }
    if (conn->state == WEIR_CONN_CONNECTING && r.eof) {
        r.err = WEIR_ERR_CLOSED; /* in the middle of the handshake */
    }
    if (conn->state == WEIR_CONN_OPEN && (r.bytes > 0 || r.eof)) {
        conn->eof_seen = r.eof;
        deliver(conn);
    }
    if (conn->state != WEIR_CONN_OPEN && conn->state != WEIR_CONN_CONNECTING) {
        return; /* closed from inside; a flush may go on */
    }
    if (r.err) {
        fail(conn, r.err);
        return;
    }
    if (r.want_write) {
        conn->write_blocked = true;
        watch(conn, WEIR_IO_WRITE);
    }
    if (r.more && may_read(conn)) { /* inside the transport: no event will tell */
        conn->reread_wanted = true;
        weir_loop_at_end(conn->loop, &conn->task);
    }
}

/* ---- output ---- */

/* CLOSING and everything is written. */
static void after_flush(struct weir_conn *conn)
{
    if (!conn->delay_close || conn->eof_seen || conn->delayed_close_ms == 0) {
        close_now(conn, WEIR_CONN_END_LOCAL, false);
        return;
    }
    if (!conn->shutdown_done) {
        conn->shutdown_done = true;
        conn->transport->ops->shutdown_write(conn->transport);
        weir_timer_set(conn->loop, &conn->timer, conn->delayed_close_ms);
    }
    watch(conn, WEIR_IO_READ);
}

/* The peer takes no more. What a server sent before it went may still be in the socket, the response to a request that it did not want whole, say:
 * that is read first, as far as the owner takes it, and the end of that ends the connection. */
static void write_error(struct weir_conn *conn, enum weir_err err)
{
    bool gone = err == WEIR_ERR_RESET || err == WEIR_ERR_CLOSED;
    if (conn->state != WEIR_CONN_OPEN || !conn->initiated || !gone) {
        fail(conn, err);
        return;
    }
    conn->write_failed = true;
    conn->write_blocked = false;
    weir_buf_clear(&conn->out);
    for (int i = 0; i < REST_READS_MAX && conn->state == WEIR_CONN_OPEN && may_read(conn); i++) {
        read_some(conn);
    }
    if (conn->state == WEIR_CONN_OPEN && conn->eof_seen) { /* its orderly end came before the failure */
        fail(conn, err);
    }
}

static void flush(struct weir_conn *conn)
{
    struct weir_transport *t = conn->transport;
    if (conn->out.len > 0 || conn->write_blocked) {
        struct weir_transport_result r = t->ops->write(t, &conn->out);
        conn->bytes_written += r.bytes;
        conn->write_blocked = r.want_write;
        if (r.err) {
            write_error(conn, r.err);
        } else if (r.bytes > 0 && conn->state == WEIR_CONN_CLOSING && conn->delayed_close_ms > 0) {
            weir_timer_set(conn->loop, &conn->timer, conn->delayed_close_ms); /* progress */
        }
        if (r.want_read) {
            watch(conn, WEIR_IO_READ);
        }
    }
    bool flushed = conn->out.len == 0 && !conn->write_blocked;
    if (conn->state == WEIR_CONN_CLOSED) {
        return;
    }
    if (conn->write_blocked) {
        watch(conn, WEIR_IO_WRITE);
    }
    if (flushed && conn->state == WEIR_CONN_CLOSING) {
        after_flush(conn);
        return;
    }
    if (flushed && conn->shutdown_wanted && !conn->shutdown_done && !conn->write_failed) {
        conn->shutdown_done = true;
        t->ops->shutdown_write(t);
        if (conn->eof_seen) {
            after_eof(conn);
        }
    }
    if (conn->state == WEIR_CONN_OPEN &&
        weir_watermark_check(&conn->out_mark, conn->out.len) == WEIR_WATERMARK_FELL &&
        conn->ops->on_watermark) {
        conn->ops->on_watermark(conn, false);
    }
}

/* ---- connecting ---- */

/* Envoy's words, after "delayed connect error: " and "immediate connect error: ". */
#define CONNECT_ERRORS(X, when)                                      \
    X(ECONNREFUSED, when "Connection refused")                       \
    X(ETIMEDOUT, when "Connection timed out")                        \
    X(EHOSTUNREACH, when "No route to host")                         \
    X(ENETUNREACH, when "Network is unreachable")                    \
    X(ECONNRESET, when "Connection reset by peer")                   \
    X(EADDRNOTAVAIL, when "Cannot assign requested address")         \
    X(EADDRINUSE, when "Address already in use")                     \
    X(EACCES, when "Permission denied")                              \
    X(EPERM, when "Operation not permitted")                         \
    X(ENOENT, when "No such file or directory")                      \
    X(EINVAL, when "Invalid argument")                               \
    X(EAFNOSUPPORT, when "Address family not supported by protocol") \
    X(EAGAIN, when "Resource temporarily unavailable")               \
    X(EMFILE, when "Too many open files")                            \
    X(ENFILE, when "Too many open files in system")

struct errno_text {
    int error;
    const char *text;
};
#define X(error, text) {error, text},
static const struct errno_text DELAYED_ERRORS[] = {CONNECT_ERRORS(X, "delayed connect error: ")};
static const struct errno_text IMMEDIATE_ERRORS[] = {CONNECT_ERRORS(X, "immediate connect error: ")};
#undef X

static const char *connect_error_text(bool immediate, int error)
{
    const struct errno_text *texts = immediate ? IMMEDIATE_ERRORS : DELAYED_ERRORS;
    for (size_t i = 0; i < WEIR_COUNTOF(DELAYED_ERRORS); i++) {
        if (texts[i].error == error) {
            return texts[i].text;
        }
    }
    return immediate ? "immediate connect error" : "delayed connect error";
}

static void learn_local_addr(struct weir_conn *conn)
{
    struct sockaddr_storage ss;
    socklen_t len;
    if (conn->local.len == 0 && !conn->loop->ops->local_addr(conn->loop, conn->io.sock, &ss, &len)) {
        weir_addr_from_sockaddr(&ss, len, &conn->local);
    }
}

/* The socket is connected: on to the transport's handshake, if it has one. */
static void start_transport(struct weir_conn *conn)
{
    struct weir_transport *t = conn->transport;
    conn->tcp_connected = true;
    learn_local_addr(conn);
    t->ops->start(t);
    if (t->ops->ready(t)) {
        become_open(conn);
    } else if (conn->state == WEIR_CONN_CONNECTING) {
        read_some(conn); /* drives the handshake: a client speaks first */
    }
}

static void on_connect_event(struct weir_conn *conn)
{
    int error;
    enum weir_err err = conn->loop->ops->connect_result(conn->loop, conn->io.sock, &error);
    if (err) {
        conn->failure = connect_error_text(false, error);
        close_now(conn, WEIR_CONN_END_CONNECT_FAILED, false);
        return;
    }
    enum weir_err watch_err = weir_io_set(&conn->io, WEIR_IO_READ);
    if (watch_err) {
        fail(conn, watch_err);
        return;
    }
    start_transport(conn);
}

enum weir_err weir_conn_accept(struct weir_conn *conn, weir_sock sock, const struct weir_addr *remote,
                               struct weir_transport *transport)
{
    WEIR_ASSERT(conn->state == WEIR_CONN_NONE);
    conn->remote = *remote;
    conn->transport = transport;
    transport->io = &conn->io;
    enum weir_err err = weir_io_open(&conn->io, sock, WEIR_IO_READ);
    if (err) {
        return err;
    }
    conn->tcp_connected = true;
    learn_local_addr(conn);
    transport->ops->start(transport);
    conn->state = transport->ops->ready(transport) ? WEIR_CONN_OPEN : WEIR_CONN_CONNECTING;
    return WEIR_OK;
}

void weir_conn_connect(struct weir_conn *conn, const struct weir_addr *addr, const struct weir_addr *bind_to,
                       struct weir_transport *transport, uint64_t timeout_ms)
{
    WEIR_ASSERT(conn->state == WEIR_CONN_NONE);
    struct weir_loop *loop = conn->loop;
    bool bound = bind_to && bind_to->len > 0;
    weir_sock sock = -1;
    int error = 0;
    conn->state = WEIR_CONN_CONNECTING;
    conn->initiated = true;
    conn->remote = *addr;
    conn->transport = transport;
    transport->io = &conn->io;
    conn->connect_start_ns = weir_loop_now_ns(loop);
    enum weir_err err = loop->ops->connect(loop, &addr->sa, addr->len, bound ? &bind_to->sa : NULL,
                                           bound ? bind_to->len : 0, &sock, &error);
    if (!err) {
        err = weir_io_open(&conn->io, sock, WEIR_IO_WRITE);
    }
    if (err) {
        conn->failure = connect_error_text(true, error);
        close_now(conn, WEIR_CONN_END_CONNECT_FAILED, false);
        return;
    }
    if (timeout_ms > 0) {
        weir_timer_set(loop, &conn->timer, timeout_ms);
    }
}

/* ---- events ---- */

static void on_writable(struct weir_conn *conn)
{
    if (conn->state == WEIR_CONN_CONNECTING && !conn->tcp_connected) {
        on_connect_event(conn);
    } else if (conn->state == WEIR_CONN_CONNECTING) {
        conn->write_blocked = false;
        read_some(conn); /* the handshake goes on */
    } else if (conn->out.len > 0 || conn->write_blocked) {
        flush(conn);
    } else {
        unwatch(conn, WEIR_IO_WRITE);
    }
}

static void on_readable(struct weir_conn *conn)
{
    if (!may_read(conn)) {
        unwatch(conn, WEIR_IO_READ);
    } else if (conn->state == WEIR_CONN_CLOSING) {
        read_away(conn);
    } else {
        read_some(conn);
    }
}

static void on_io(struct weir_io *io, uint32_t events)
{
    struct weir_conn *conn = WEIR_CONTAINER_OF(io, struct weir_conn, io);
    if (events & WEIR_IO_WRITE) {
        on_writable(conn);
    }
    if (events & (WEIR_IO_READ | WEIR_IO_ERROR) && conn->state != WEIR_CONN_CLOSED) {
        on_readable(conn);
    }
    /* The error has ended the watch; if there were bytes in front of it, there is more to read. */
    if (events & WEIR_IO_ERROR && may_read(conn)) {
        watch(conn, WEIR_IO_READ);
    }
}

/* Offers what is buffered again, and goes on reading if that made room. */
static void reread(struct weir_conn *conn)
{
    conn->reread_wanted = false;
    if (conn->state != WEIR_CONN_OPEN || conn->read_disabled > 0) {
        return;
    }
    if (conn->in.len > 0) {
        deliver(conn);
    } else if (conn->eof_seen) {
        after_eof(conn);
    }
    if (may_read(conn)) {
        watch(conn, WEIR_IO_READ);
    }
}

static void on_task(struct weir_task *task)
{
    struct weir_conn *conn = WEIR_CONTAINER_OF(task, struct weir_conn, task);
    if (conn->reread_wanted) {
        reread(conn);
    }
    if ((conn->state == WEIR_CONN_OPEN || conn->state == WEIR_CONN_CLOSING) && !conn->write_blocked) {
        flush(conn); /* when blocked, the WRITE event does it */
    }
    if (conn->closed_pending) {
        conn->closed_pending = false;
        weir_task_cancel(task);
        conn->ops->on_closed(conn, conn->end);
    }
}

static void on_timer(struct weir_timer *timer)
{
    struct weir_conn *conn = WEIR_CONTAINER_OF(timer, struct weir_conn, timer);
    bool connecting = conn->state == WEIR_CONN_CONNECTING;
    close_now(conn, connecting ? WEIR_CONN_END_CONNECT_TIMEOUT : WEIR_CONN_END_LOCAL, false);
}

/* ---- calls of the owner ---- */

void weir_conn_wrote(struct weir_conn *conn)
{
    if (conn->state == WEIR_CONN_CLOSED || conn->write_failed) {
        weir_buf_clear(&conn->out);
        return;
    }
    weir_loop_at_end(conn->loop, &conn->task);
    if (weir_watermark_check(&conn->out_mark, conn->out.len) == WEIR_WATERMARK_ROSE &&
        conn->ops->on_watermark) {
        conn->ops->on_watermark(conn, true);
    }
}

void weir_conn_write(struct weir_conn *conn, struct weir_buf *data)
{
    bool takes = conn->state == WEIR_CONN_OPEN || conn->state == WEIR_CONN_CONNECTING;
    if (!takes || conn->write_failed || conn->shutdown_wanted) {
        weir_buf_clear(data);
        return;
    }
    weir_buf_move(&conn->out, data);
    weir_conn_wrote(conn);
}

void weir_conn_shutdown_write(struct weir_conn *conn)
{
    conn->shutdown_wanted = true;
    weir_loop_at_end(conn->loop, &conn->task);
}

void weir_conn_read_disable(struct weir_conn *conn, bool disable)
{
    if (disable) {
        conn->read_disabled++;
        return;
    }
    WEIR_ASSERT(conn->read_disabled > 0);
    if (--conn->read_disabled == 0) {
        weir_conn_reread(conn);
    }
}

void weir_conn_reread(struct weir_conn *conn)
{
    if (conn->state == WEIR_CONN_OPEN) {
        conn->reread_wanted = true;
        weir_loop_at_end(conn->loop, &conn->task);
    }
}

void weir_conn_close(struct weir_conn *conn, enum weir_conn_close_how how)
{
    bool flush_first = how == WEIR_CONN_CLOSE_FLUSH || how == WEIR_CONN_CLOSE_FLUSH_DELAY;
    if (conn->state == WEIR_CONN_CLOSING && flush_first) {
        return;
    }
    if (conn->state != WEIR_CONN_OPEN || !flush_first || conn->write_failed) {
        close_now(conn, WEIR_CONN_END_LOCAL, how == WEIR_CONN_CLOSE_RESET);
        return;
    }
    conn->state = WEIR_CONN_CLOSING;
    conn->delay_close = how == WEIR_CONN_CLOSE_FLUSH_DELAY;
    weir_buf_clear(&conn->in);
    if (conn->delayed_close_ms > 0) {
        weir_timer_set(conn->loop, &conn->timer, conn->delayed_close_ms);
    }
    weir_loop_at_end(conn->loop, &conn->task);
}

void weir_conn_fini(struct weir_conn *conn)
{
    if (conn->state == WEIR_CONN_NONE) {
        weir_io_close(&conn->io, false);
    }
    close_now(conn, WEIR_CONN_END_LOCAL, false);
    conn->closed_pending = false;
    conn->reread_wanted = false;
    weir_task_cancel(&conn->task);
    weir_timer_stop(conn->loop, &conn->timer);
    weir_buf_clear(&conn->in);
    weir_buf_clear(&conn->out);
    if (conn->transport) {
        conn->transport->ops->free(conn->transport);
        conn->transport = NULL;
    }
}
