/* An accepted connection and its network filters: bytes from the peer walk the filters first to last, bytes to the peer last to
 * first. What the bytes mean is the terminal filter's (down_conn.c for HTTP). */
#include "proxy/down.h"

#include "base/log.h"
#include "base/mem.h"
#include "proxy/listener_stats.h"

static struct weir_down *down_of(struct weir_conn *conn)
{
    return WEIR_CONTAINER_OF(conn, struct weir_down, conn);
}

/* ---- the walk ---- */

/* Offers connection and bytes to the filters from `first` on. */
static void walk(struct weir_down *down, uint32_t first, bool eof)
{
    for (uint32_t i = first; i < down->n_filters && down->conn.state == WEIR_CONN_OPEN; i++) {
        struct weir_net_filter *f = &down->filters[i];
        if (i >= down->n_begun) {
            down->n_begun = i + 1;
            if (f->ops->on_new_connection && f->ops->on_new_connection(f) == WEIR_NET_STOP) return;
        }
        if (!down->conn.in.len && !eof) continue;
        if (f->ops->on_data && f->ops->on_data(f, &down->conn.in, eof) == WEIR_NET_STOP) return;
    }
}

void weir_net_filter_continue(struct weir_net_filter *f)
{
    walk(f->down, (uint32_t)f->index + 1, f->down->conn.eof_seen);
}

void weir_net_filter_write(struct weir_net_filter *f, struct weir_buf *data, bool eof)
{
    struct weir_down *down = f->down;
    for (uint32_t i = f->index; i-- > 0;) {
        struct weir_net_filter *earlier = &down->filters[i];
        if (earlier->ops->on_write && earlier->ops->on_write(earlier, data, eof) == WEIR_NET_STOP) return;
    }
    weir_conn_write(&down->conn, data);
    if (eof) weir_conn_shutdown_write(&down->conn);
}

/* ---- events of the connection ---- */

static void on_connected(struct weir_conn *conn)
{
    struct weir_down *down = down_of(conn);
    down->info.tls = conn->transport->ops->tls(conn->transport);
    walk(down, 0, false);
}

static void on_data(struct weir_conn *conn, bool eof)
{
    walk(down_of(conn), 0, eof);
}

static void on_watermark(struct weir_conn *conn, bool above)
{
    struct weir_down *down = down_of(conn);
    for (uint32_t i = 0; i < down->n_begun; i++)
        if (down->filters[i].ops->on_watermark) down->filters[i].ops->on_watermark(&down->filters[i], above);
}

static void free_down(void *arg, void *ptr)
{
    struct weir_down *down = ptr;
    (void)arg;
    weir_conn_fini(&down->conn);
    weir_listener_unref(down->listener);
    weir_free(down);
}

static void count_gone(struct weir_down *down)
{
    struct weir_worker *worker = down->worker;
    struct weir_listener *listener = down->listener;
    uint64_t length_ms = (weir_loop_now_ns(worker->loop) - down->conn.connect_start_ns) / 1000000;
    weir_listener_count(listener, worker, WEIR_LISTENER_STAT_downstream_cx_destroy);
    weir_stat_record(worker->stats, weir_listener_row(listener, WEIR_LISTENER_STAT_downstream_cx_length_ms), length_ms);
    weir_stat_dec(worker->stats, weir_listener_row(listener, WEIR_LISTENER_STAT_downstream_cx_active));
    weir_stat_dec(worker->stats, weir_listener_worker_row(listener, worker, WEIR_LISTENER_WORKER_STAT_downstream_cx_active));
    atomic_fetch_sub_explicit(&listener->connections, 1, memory_order_relaxed);
}

/* Tells the filters and forgets the connection. */
static void gone(struct weir_down *down, enum weir_conn_end end)
{
    weir_list_unlink(&down->link);
    if (down->conn.failure[0]) down->info.termination_details = down->conn.failure;
    for (uint32_t i = 0; i < down->n_begun; i++)
        if (down->filters[i].ops->on_close) down->filters[i].ops->on_close(&down->filters[i], end);
    count_gone(down);
    weir_loop_defer_free(down->worker->loop, free_down, NULL, down);
}

static void on_closed(struct weir_conn *conn, enum weir_conn_end end)
{
    gone(down_of(conn), end);
}

static const struct weir_conn_ops conn_ops = {
    .on_connected = on_connected,
    .on_data = on_data,
    .on_watermark = on_watermark,
    .on_closed = on_closed,
};

/* ---- life ---- */

static void make_filters(struct weir_down *down)
{
    const struct weir_filter_chain *chain = down->chain;
    char *states = (char *)down + sizeof *down + chain->n_filters * sizeof *down->filters;
    down->filters = (struct weir_net_filter *)(void *)((char *)down + sizeof *down);
    down->n_filters = chain->n_filters;
    for (uint32_t i = 0; i < chain->n_filters; i++) {
        struct weir_net_filter *f = &down->filters[i];
        f->ops = chain->filters[i].ops;
        f->conf = chain->filters[i].conf;
        f->down = down;
        f->index = (uint8_t)i;
        f->state = states;
        states += (f->ops->conn_size + 15u) & ~15u;
    }
}

static void count_new(struct weir_down *down)
{
    struct weir_worker *worker = down->worker;
    struct weir_listener *listener = down->listener;
    weir_listener_count(listener, worker, WEIR_LISTENER_STAT_downstream_cx_total);
    weir_listener_count(listener, worker, WEIR_LISTENER_STAT_downstream_cx_active);
    weir_stat_inc(worker->stats, weir_listener_worker_row(listener, worker, WEIR_LISTENER_WORKER_STAT_downstream_cx_total));
    weir_stat_inc(worker->stats, weir_listener_worker_row(listener, worker, WEIR_LISTENER_WORKER_STAT_downstream_cx_active));
}

static void fill_info(struct weir_down *down)
{
    struct weir_conn_info *info = &down->info;
    const struct weir_conn *conn = &down->conn;
    info->id = conn->id;
    info->remote = info->direct_remote = conn->remote;
    info->local = info->direct_local = conn->local;
    info->filter_chain_name = down->chain->name;
    info->listener_name = down->listener->name;
    info->listener_direction = down->listener->traffic_direction;
    info->listener_metadata = down->listener->metadata;
}

void weir_down_accept(struct weir_worker *worker, struct weir_listener *listener, const struct weir_filter_chain *chain,
                      weir_sock sock, const struct weir_addr *local, const struct weir_addr *peer, struct weir_list *connections)
{
    struct weir_down *down = weir_zalloc(chain->conn_bytes);
    down->worker = worker;
    down->listener = weir_listener_ref(listener);
    down->chain = chain;
    atomic_fetch_add_explicit(&listener->connections, 1, memory_order_relaxed);
    weir_conn_init(&down->conn, worker->loop, &conn_ops);
    down->conn.connect_start_ns = weir_loop_now_ns(worker->loop);
    down->conn.out_mark.high = listener->buffer_limit;
    down->conn.in_limit = listener->buffer_limit;
    down->conn.eof_wanted = true; // the terminal filter decides what a half-close means
    down->conn.local = *local;
    make_filters(down);
    weir_list_push_back(connections, &down->link);
    count_new(down);
    struct weir_transport *transport =
        chain->transport->create(chain->transport, worker->loop, WEIR_S_NONE, WEIR_S_NONE);
    enum weir_err err = weir_conn_accept(&down->conn, sock, peer, transport);
    fill_info(down);
    if (err) {
        WEIR_LOG_LIMITED(WARN, CONNECTION, "an accepted connection cannot be watched: %s", weir_err_text(err));
        gone(down, WEIR_CONN_END_LOCAL);
        return;
    }
    if (down->conn.state == WEIR_CONN_OPEN) walk(down, 0, false);
}

void weir_down_drain(struct weir_down *down, uint64_t drain_ms)
{
    uint64_t deadline = weir_loop_now_ms(down->worker->loop) + drain_ms;
    if (!down->drain_deadline_ms || deadline < down->drain_deadline_ms) down->drain_deadline_ms = deadline;
    if (down->draining) return;
    down->draining = true;
    if (down->n_begun < down->n_filters) {
        weir_conn_close(&down->conn, WEIR_CONN_CLOSE_NOW);
        return;
    }
    for (uint32_t i = 0; i < down->n_begun; i++)
        if (down->filters[i].ops->drain) down->filters[i].ops->drain(&down->filters[i]);
}

void weir_down_destroy(struct weir_down *down)
{
    weir_conn_fini(&down->conn);
    gone(down, WEIR_CONN_END_LOCAL);
}
