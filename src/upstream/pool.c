/* Connection pools: one a worker, host and priority. A connection is in exactly one list of its pool:
 *
 *   connecting --connected--> ready <--no room left / a stream ended--> full
 *        \_____________________\________ closing: in none _____________/
 *
 * HTTP/1 has room for one stream, so `ready` holds its idle connections, most recently used first; an HTTP/2 connection stays
 * in `ready` up to its stream limit. Requests that find none ready wait in order; each makes at most one connection be opened.
 * A connection is not handed out again from inside its codec's own events: it settles when recv has returned.
 * Rules: Envoy's ConnPoolImplBase; circuit breakers as in its "Circuit breaking" page. */
#include "upstream/cluster_worker.h"

#include <netinet/tcp.h>

#include "base/log.h"
#include "base/mem.h"

enum pool_conn_state { CONN_CONNECTING, CONN_READY, CONN_FULL, CONN_CLOSING };

struct pool_conn {
    struct weir_up_conn up; /* first: requests know it by this */
    struct weir_host_pool *pool;
    struct weir_list link;
    enum pool_conn_state state;
    bool was_connected;
    bool in_recv, unsettled;
    bool no_more; /* takes no new streams: going away, used up or too old */
    bool fatal;
    uint32_t n_active;
    uint32_t read_disabled;
    uint64_t idle_since_ms;
    uint64_t counted_rx, counted_tx;
    struct weir_task settle_task;
    struct weir_timer age_timer;
};

struct weir_host_pool {
    struct weir_cluster_worker *cw; /* held */
    struct weir_host *host;         /* with a reference */
    enum weir_priority priority;
    struct weir_list connecting, ready, full, waiting;
    uint32_t n_connecting, n_waiting, n_conns;
    uint32_t users; /* pool requests that hold it */
    bool leaving;   /* the host is gone: ends with its last connection and user */
    bool draining;  /* connections close when their streams are done */
    bool failing;   /* those that wait are being told that a connection failed */
    struct weir_timer idle_timer;
};

static void assign_waiting(struct weir_host_pool *pool);
static void connect_for_waiting(struct weir_host_pool *pool);
static void settle(struct pool_conn *pc);

size_t weir_pool_conn_size(void)
{
    return sizeof(struct pool_conn);
}

static void count(const struct weir_host_pool *pool, enum weir_cluster_stat row)
{
    weir_cluster_count(pool->cw->sw, pool->cw->cluster, row);
}
static void count_down(const struct weir_host_pool *pool, enum weir_cluster_stat row)
{
    weir_stat_dec(pool->cw->sw, pool->cw->cluster->stats + (weir_stat)row);
}
static void count_n(const struct weir_host_pool *pool, enum weir_cluster_stat row, uint64_t n)
{
    weir_stat_add(pool->cw->sw, pool->cw->cluster->stats + (weir_stat)row, n);
}
static void host_gauge(const struct weir_host_pool *pool, enum weir_host_stat row, bool up)
{
    if (!pool->host->stats)
        return;
    weir_stat_add(pool->cw->sw, pool->host->stats + (weir_stat)row, up ? 1 : (uint64_t)-1);
}
static struct weir_resources *resources(const struct weir_host_pool *pool)
{
    return &pool->cw->cluster->resources[pool->priority];
}

/* ---- pools ---- */

static void on_idle_timer(struct weir_timer *timer);

static struct weir_host_pool *find_or_make(struct weir_cluster_worker *cw, struct weir_host *host,
                                           enum weir_priority priority)
{
    if (WEIR_UNLIKELY(host->index >= cw->n_pools)) {
        uint32_t n = WEIR_MAX(host->index + 1, cw->n_pools * 2);
        for (uint32_t p = 0; p < WEIR_PRIORITIES; p++) {
            cw->pools[p] = weir_xrealloc(cw->pools[p], n * sizeof(*cw->pools[p]));
            memset(cw->pools[p] + cw->n_pools, 0, (n - cw->n_pools) * sizeof(*cw->pools[p]));
        }
        cw->n_pools = n;
    }
    struct weir_host_pool *pool = cw->pools[priority][host->index];
    if (WEIR_LIKELY(pool != NULL))
        return pool;
    pool = WEIR_NEW(struct weir_host_pool);
    pool->cw = cw;
    weir_cluster_worker_hold(cw);
    pool->host = weir_host_ref(host);
    pool->priority = priority;
    pool->leaving = cw->leaving;
    weir_list_init(&pool->connecting);
    weir_list_init(&pool->ready);
    weir_list_init(&pool->full);
    weir_list_init(&pool->waiting);
    weir_timer_init(&pool->idle_timer, on_idle_timer);
    cw->pools[priority][host->index] = pool;
    return pool;
}

/* Ends a pool that nobody will need again. */
static void end_if_done(struct weir_host_pool *pool)
{
    if (!pool->leaving || pool->n_conns || pool->users)
        return;
    struct weir_cluster_worker *cw = pool->cw;
    cw->pools[pool->priority][pool->host->index] = NULL;
    weir_timer_stop(cw->loop, &pool->idle_timer);
    weir_host_unref(pool->host);
    weir_free(pool);
    weir_cluster_worker_release(cw);
}

/* Takes the connection out of use at once; on_closed does the rest at the end of the turn. */
static void close_conn(struct pool_conn *pc)
{
    if (pc->state == CONN_CLOSING)
        return;
    if (pc->state == CONN_CONNECTING)
        pc->pool->n_connecting--;
    pc->state = CONN_CLOSING;
    weir_list_unlink(&pc->link);
    weir_conn_close(&pc->up.conn, WEIR_CONN_CLOSE_NOW);
}

static void close_all(struct weir_list *list)
{
    WEIR_LIST_EACH(list, it) close_conn(WEIR_CONTAINER_OF(it, struct pool_conn, link));
}

static bool idle(const struct pool_conn *pc)
{
    return pc->state == CONN_READY && pc->n_active == 0;
}

void weir_host_pool_drain(struct weir_host_pool *pool, bool now)
{
    pool->draining = true;
    WEIR_LIST_EACH(&pool->ready, it)
    {
        struct pool_conn *pc = WEIR_CONTAINER_OF(it, struct pool_conn, link);
        if (idle(pc))
            close_conn(pc);
    }
    if (now) {
        close_all(&pool->ready);
        close_all(&pool->full);
        close_all(&pool->connecting);
    }
    end_if_done(pool);
}

void weir_host_pool_leave(struct weir_host_pool *pool)
{
    pool->leaving = true;
    weir_host_pool_drain(pool, false);
}

/* Closes the connections that have been idle long enough; the oldest are at the end. */
static void on_idle_timer(struct weir_timer *timer)
{
    struct weir_host_pool *pool = WEIR_CONTAINER_OF(timer, struct weir_host_pool, idle_timer);
    struct weir_loop *loop = pool->cw->loop;
    uint64_t timeout = pool->cw->cluster->idle_timeout_ms, now = weir_loop_now_ms(loop), next = UINT64_MAX;
    for (struct weir_list *it = pool->ready.prev; it != &pool->ready;) {
        struct pool_conn *pc = WEIR_CONTAINER_OF(it, struct pool_conn, link);
        it = it->prev;
        if (!idle(pc))
            continue;
        if (pc->idle_since_ms + timeout > now) {
            next = pc->idle_since_ms + timeout - now;
            break;
        }
        count(pool, WEIR_CLUSTER_STAT_upstream_cx_idle_timeout);
        close_conn(pc);
    }
    if (next != UINT64_MAX)
        weir_timer_set(loop, &pool->idle_timer, next);
}

/* ---- events of a connection's codec ---- */

static void need_settling(struct pool_conn *pc)
{
    pc->unsettled = true;
    if (!pc->in_recv)
        weir_loop_at_end(pc->pool->cw->loop, &pc->settle_task);
}

static void on_settle_task(struct weir_task *task)
{
    settle(WEIR_CONTAINER_OF(task, struct pool_conn, settle_task));
}

/* One stream fewer. */
static void stream_ended(struct pool_conn *pc)
{
    struct weir_host_pool *pool = pc->pool;
    pc->n_active--;
    weir_resource_give(&resources(pool)->requests, pool->cw->sw);
    count_down(pool, WEIR_CLUSTER_STAT_upstream_rq_active);
    host_gauge(pool, WEIR_HOST_STAT_rq_active, false);
    if (pool->cw->cluster->lb == WEIR_LB_LEAST_REQUEST)
        atomic_fetch_sub_explicit(&pool->host->active, 1, memory_order_relaxed);
    need_settling(pc);
}

static void codec_stream_done(struct weir_codec *codec, struct weir_codec_stream *cs)
{
    (void)cs;
    stream_ended(codec->owner);
}

void weir_up_conn_lost(struct weir_up_conn *uc, enum weir_reset reason)
{
    struct pool_conn *pc = WEIR_CONTAINER_OF(uc, struct pool_conn, up);
    if (reason == WEIR_RESET_PROTOCOL_ERROR)
        count(pc->pool, WEIR_CLUSTER_STAT_upstream_cx_protocol_error);
    stream_ended(pc);
}

static void codec_resume(struct weir_codec *codec)
{
    weir_conn_reread(&((struct pool_conn *)codec->owner)->up.conn);
}

static void codec_goaway(struct weir_codec *codec)
{
    struct pool_conn *pc = codec->owner;
    pc->no_more = true;
    need_settling(pc);
}

static void codec_output(struct weir_codec *codec)
{
    weir_conn_wrote(&((struct pool_conn *)codec->owner)->up.conn);
}

static void codec_fatal(struct weir_codec *codec, const char *detail)
{
    struct pool_conn *pc = codec->owner;
    WEIR_LOG(DEBUG, POOL, "[C%llu] %.*s: unusable connection: %s", (unsigned long long)pc->up.conn.id,
             WEIR_SARG(pc->pool->host->address_text), detail);
    pc->no_more = true;
    pc->fatal = true;
    need_settling(pc);
}

static const struct weir_codec_conn_ops codec_conn_ops = {
    .on_stream_done = codec_stream_done,
    .on_goaway = codec_goaway,
    .on_output = codec_output,
    .on_fatal = codec_fatal,
    .on_resume = codec_resume,
};

/* ---- a connection's place in its pool ---- */

static void resume_reading(struct pool_conn *pc)
{
    for (; pc->read_disabled > 0; pc->read_disabled--)
        weir_conn_read_disable(&pc->up.conn, false);
}

static void make_ready(struct pool_conn *pc)
{
    struct weir_host_pool *pool = pc->pool;
    weir_list_unlink(&pc->link);
    weir_list_push_front(&pool->ready, &pc->link);
    pc->state = CONN_READY;
    if (pc->n_active > 0)
        return;
    pc->idle_since_ms = weir_loop_now_ms(pool->cw->loop);
    uint64_t timeout = pool->cw->cluster->idle_timeout_ms;
    if (timeout && !weir_timer_armed(&pool->idle_timer))
        weir_timer_set(pool->cw->loop, &pool->idle_timer, timeout);
}

static void make_full(struct pool_conn *pc)
{
    weir_list_unlink(&pc->link);
    weir_list_push_back(&pc->pool->full, &pc->link);
    pc->state = CONN_FULL;
}

/* A stream ended, or the connection takes no more: decide what becomes of it. */
static void settle(struct pool_conn *pc)
{
    pc->unsettled = false;
    if (pc->state == CONN_CLOSING || pc->state == CONN_CONNECTING)
        return;
    if (pc->fatal) {
        close_conn(pc);
        return;
    }
    const struct weir_codec *codec = pc->up.codec;
    bool room = !pc->no_more && codec->ops->capacity(codec) > 0;
    if (pc->n_active == 0) {
        bool excess = pc->up.conn.in.len > 0 && codec->ops->protocol != WEIR_HTTP_2;
        if (!room || pc->pool->draining || excess) {
            close_conn(pc);
            return;
        }
        resume_reading(pc);
    }
    if (!room) {
        make_full(pc);
        return;
    }
    make_ready(pc);
    if (WEIR_UNLIKELY(pc->pool->n_waiting))
        assign_waiting(pc->pool);
}

static void count_bytes(struct pool_conn *pc)
{
    const struct weir_conn *conn = &pc->up.conn;
    count_n(pc->pool, WEIR_CLUSTER_STAT_upstream_cx_rx_bytes_total, conn->bytes_read - pc->counted_rx);
    count_n(pc->pool, WEIR_CLUSTER_STAT_upstream_cx_tx_bytes_total, conn->bytes_written - pc->counted_tx);
    pc->counted_rx = conn->bytes_read;
    pc->counted_tx = conn->bytes_written;
}

static void on_age(struct weir_timer *timer)
{
    struct pool_conn *pc = WEIR_CONTAINER_OF(timer, struct pool_conn, age_timer);
    count(pc->pool, WEIR_CLUSTER_STAT_upstream_cx_max_duration_reached);
    pc->no_more = true;
    need_settling(pc);
}

/* ---- events of a connection ---- */

static struct pool_conn *of_conn(struct weir_conn *conn)
{
    return WEIR_CONTAINER_OF(conn, struct pool_conn, up.conn);
}

static void set_keepalive(struct weir_conn *conn, const struct weir_tcp_keepalive *keepalive)
{
    const struct {
        int level, name;
        uint32_t value;
    } options[] = {
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPCNT, keepalive->probes},
        {IPPROTO_TCP, TCP_KEEPIDLE, keepalive->time_s},
        {IPPROTO_TCP, TCP_KEEPINTVL, keepalive->interval_s},
    };
    for (size_t i = 0; i < WEIR_COUNTOF(options); i++)
        if (options[i].value)
            (void)conn->loop->ops->set_option(conn->loop, conn->io.sock, options[i].level, options[i].name,
                                              (int)options[i].value);
}

static void on_connected(struct weir_conn *conn)
{
    struct pool_conn *pc = of_conn(conn);
    struct weir_host_pool *pool = pc->pool;
    struct weir_cluster_worker *cw = pool->cw;
    struct weir_cluster *cluster = cw->cluster;
    pool->n_connecting--;
    pc->was_connected = true;
    if (cluster->keepalive.on && weir_addr_is_ip(&pool->host->addr))
        set_keepalive(conn, &cluster->keepalive);
    pc->up.codec =
        cluster->protocol == WEIR_HTTP_2
            ? weir_h2_codec_new(WEIR_CODEC_CLIENT, cw->loop, &conn->out, &codec_conn_ops, pc, &cluster->h2)
            : weir_h1_codec_new(WEIR_CODEC_CLIENT, cw->loop, &conn->out, &codec_conn_ops, pc, &cluster->h1);
    pc->up.codec->sw = cw->sw;
    pc->up.ready_ns = weir_loop_now_ns(cw->loop);
    weir_stat_record(cw->sw, cluster->stats + WEIR_CLUSTER_STAT_upstream_cx_connect_ms,
                     (pc->up.ready_ns - conn->connect_start_ns) / 1000000);
    if (cluster->max_connection_duration_ms)
        weir_timer_set(cw->loop, &pc->age_timer, cluster->max_connection_duration_ms);
    make_ready(pc);
    assign_waiting(pool);
}

static void on_data(struct weir_conn *conn, bool eof)
{
    struct pool_conn *pc = of_conn(conn);
    if (pc->n_active == 0 && conn->in.len > 0 && pc->pool->cw->cluster->protocol != WEIR_HTTP_2) {
        /* Bytes that nobody asked for: whatever follows on this connection cannot be trusted. */
        count(pc->pool, WEIR_CLUSTER_STAT_upstream_cx_protocol_error);
        codec_fatal(pc->up.codec, "http1.unsolicited_bytes");
        settle(pc);
        return;
    }
    pc->in_recv = true;
    pc->up.codec->ops->recv(pc->up.codec, &conn->in, eof);
    pc->in_recv = false;
    count_bytes(pc);
    if (pc->unsettled)
        settle(pc);
}

static void on_watermark(struct weir_conn *conn, bool above)
{
    struct pool_conn *pc = of_conn(conn);
    count(pc->pool, above ? WEIR_CLUSTER_STAT_upstream_flow_control_backed_up_total
                          : WEIR_CLUSTER_STAT_upstream_flow_control_drained_total);
    if (pc->up.codec)
        pc->up.codec->ops->conn_watermark(pc->up.codec, above);
}

static void stop_waiting(struct weir_pool_request *pr)
{
    struct weir_host_pool *pool = pr->pool;
    weir_list_unlink(&pr->link);
    pool->n_waiting--;
    weir_resource_give(&resources(pool)->pending, pool->cw->sw);
    count_down(pool, WEIR_CLUSTER_STAT_upstream_rq_pending_active);
    host_gauge(pool, WEIR_HOST_STAT_rq_pending_active, false);
}

/* All that wait are told: what made this connection fail would make theirs fail too. Those that come meanwhile (retries) wait
 * behind the mark. */
static void fail_waiting(struct weir_host_pool *pool, enum weir_reset reason, const char *detail)
{
    struct weir_list mark = {0};
    weir_list_push_back(&pool->waiting, &mark);
    pool->failing = true;
    for (struct weir_list *it; (it = pool->waiting.next) != &mark;) {
        struct weir_pool_request *pr = WEIR_CONTAINER_OF(it, struct weir_pool_request, link);
        stop_waiting(pr);
        count(pool, WEIR_CLUSTER_STAT_upstream_rq_pending_failure_eject);
        pr->ops->on_failure(pr, reason, detail, pool->host);
    }
    pool->failing = false;
    weir_list_unlink(&mark);
    connect_for_waiting(pool);
}

static void count_closed(struct pool_conn *pc, bool local)
{
    struct weir_host_pool *pool = pc->pool;
    struct weir_cluster_worker *cw = pool->cw;
    count(pool, WEIR_CLUSTER_STAT_upstream_cx_destroy);
    count(pool,
          local ? WEIR_CLUSTER_STAT_upstream_cx_destroy_local : WEIR_CLUSTER_STAT_upstream_cx_destroy_remote);
    if (pc->n_active) {
        count(pool, WEIR_CLUSTER_STAT_upstream_cx_destroy_with_active_rq);
        count(pool, local ? WEIR_CLUSTER_STAT_upstream_cx_destroy_local_with_active_rq
                          : WEIR_CLUSTER_STAT_upstream_cx_destroy_remote_with_active_rq);
    }
    if (pc->up.ready_ns)
        weir_stat_record(cw->sw, cw->cluster->stats + WEIR_CLUSTER_STAT_upstream_cx_length_ms,
                         (weir_loop_now_ns(cw->loop) - pc->up.ready_ns) / 1000000);
    count_down(pool, WEIR_CLUSTER_STAT_upstream_cx_active);
    host_gauge(pool, WEIR_HOST_STAT_cx_active, false);
}

static void free_conn(void *arg, void *ptr)
{
    struct pool_conn *pc = ptr;
    if (pc->up.codec)
        pc->up.codec->ops->free(pc->up.codec);
    weir_conn_fini(&pc->up.conn);
    weir_slab_put(arg, pc);
}

static enum weir_reset connect_failure(enum weir_conn_end end)
{
    switch (end) {
    case WEIR_CONN_END_CONNECT_TIMEOUT:
        return WEIR_RESET_CONN_TIMEOUT;
    case WEIR_CONN_END_LOCAL:
    case WEIR_CONN_END_IDLE:
        return WEIR_RESET_LOCAL_CONN_FAILURE;
    case WEIR_CONN_END_REMOTE:
    case WEIR_CONN_END_RESET:
    case WEIR_CONN_END_CONNECT_FAILED:
    case WEIR_CONN_END_TRANSPORT:
        break;
    }
    return WEIR_RESET_REMOTE_CONN_FAILURE;
}

static void on_closed(struct weir_conn *conn, enum weir_conn_end end)
{
    struct pool_conn *pc = of_conn(conn);
    struct weir_host_pool *pool = pc->pool;
    struct weir_cluster_worker *cw = pool->cw;
    pool->users++;
    count_bytes(pc);
    count_closed(pc, end == WEIR_CONN_END_LOCAL);
    if (pc->state == CONN_CONNECTING)
        pool->n_connecting--;
    pc->state = CONN_CLOSING;
    weir_list_unlink(&pc->link);
    pool->n_conns--;
    weir_resource_give(&resources(pool)->connections, cw->sw);
    weir_timer_stop(cw->loop, &pc->age_timer);
    if (!pc->was_connected) {
        count(pool, WEIR_CLUSTER_STAT_upstream_cx_connect_fail);
        if (pool->host->stats)
            weir_host_count(cw->sw, pool->host, WEIR_HOST_STAT_cx_connect_fail);
        if (end == WEIR_CONN_END_CONNECT_TIMEOUT)
            count(pool, WEIR_CLUSTER_STAT_upstream_cx_connect_timeout);
        fail_waiting(pool, connect_failure(end), conn->failure ? conn->failure : "");
    } else {
        pc->up.codec->ops->conn_gone(pc->up.codec, WEIR_RESET_CONN_TERMINATION);
        connect_for_waiting(pool);
    }
    weir_task_cancel(&pc->settle_task);
    weir_loop_defer_free(cw->loop, free_conn, &cw->owner->conns, pc);
    pool->users--;
    end_if_done(pool);
}

static const struct weir_conn_ops conn_ops = {
    .on_connected = on_connected,
    .on_data = on_data,
    .on_watermark = on_watermark,
    .on_closed = on_closed,
};

/* ---- connecting ---- */

static void start_connection(struct weir_host_pool *pool)
{
    struct weir_cluster_worker *cw = pool->cw;
    const struct weir_cluster *cluster = cw->cluster;
    struct pool_conn *pc = weir_slab_get(&cw->owner->conns);
    struct weir_conn *conn = &pc->up.conn;
    pc->pool = pool;
    pc->up.host = pool->host;
    pc->state = CONN_CONNECTING;
    weir_task_init(&pc->settle_task, on_settle_task);
    weir_timer_init(&pc->age_timer, on_age);
    weir_conn_init(conn, cw->loop, &conn_ops);
    conn->out_mark.high = cluster->buffer_limit;
    conn->in_limit = cluster->buffer_limit;
    weir_list_push_back(&pool->connecting, &pc->link);
    pool->n_connecting++;
    pool->n_conns++;
    count(pool, WEIR_CLUSTER_STAT_upstream_cx_total);
    count(pool, WEIR_CLUSTER_STAT_upstream_cx_active);
    count(pool, cluster->protocol == WEIR_HTTP_2 ? WEIR_CLUSTER_STAT_upstream_cx_http2_total
                                                 : WEIR_CLUSTER_STAT_upstream_cx_http1_total);
    if (pool->host->stats)
        weir_host_count(cw->sw, pool->host, WEIR_HOST_STAT_cx_total);
    host_gauge(pool, WEIR_HOST_STAT_cx_active, true);
    const struct weir_transport_factory *factory =
        pool->host->transport ? pool->host->transport : cluster->transport;
    struct weir_transport *transport = factory->create(factory, cw->loop, WEIR_S_NONE, WEIR_S_NONE);
    weir_conn_connect(conn, &pool->host->addr, NULL, transport, cluster->connect_timeout_ms);
}

/* Opens connections until those on their way have room for each request that waits (HTTP/2: one does, until it says how much it
 * takes), as far as the circuit breaker lets. A pool
 * without any connection always gets one, or its requests would wait for ever. */
static void connect_for_waiting(struct weir_host_pool *pool)
{
    struct weir_cluster_worker *cw = pool->cw;
    uint32_t room_each = cw->cluster->protocol == WEIR_HTTP_2 ? cw->cluster->h2.max_concurrent_streams : 1;
    while (pool->n_waiting > (uint64_t)pool->n_connecting * room_each && !pool->failing) {
        struct weir_resource *connections = &resources(pool)->connections;
        if (!weir_resource_take(connections, cw->sw)) {
            count(pool, WEIR_CLUSTER_STAT_upstream_cx_overflow);
            if (pool->n_conns > 0)
                return;
            weir_resource_force(connections, cw->sw);
        }
        start_connection(pool);
    }
}

/* ---- requests ---- */

static void after_open(struct pool_conn *pc)
{
    struct weir_host_pool *pool = pc->pool;
    struct weir_cluster_worker *cw = pool->cw;
    uint32_t max = cw->cluster->max_requests_per_connection;
    pc->n_active++;
    if (++pc->up.n_requests == max) {
        pc->no_more = true;
        count(pool, WEIR_CLUSTER_STAT_upstream_cx_max_requests);
    }
    count(pool, WEIR_CLUSTER_STAT_upstream_rq_total);
    count(pool, WEIR_CLUSTER_STAT_upstream_rq_active);
    if (pool->host->stats)
        weir_host_count(cw->sw, pool->host, WEIR_HOST_STAT_rq_total);
    host_gauge(pool, WEIR_HOST_STAT_rq_active, true);
    if (cw->cluster->lb == WEIR_LB_LEAST_REQUEST)
        atomic_fetch_add_explicit(&pool->host->active, 1, memory_order_relaxed);
    if (!pc->no_more && pc->up.codec->ops->capacity(pc->up.codec) > 0)
        return;
    make_full(pc);
}

struct weir_codec_stream *weir_up_conn_open(struct weir_up_conn *uc, const struct weir_codec_stream_ops *ops,
                                            void *owner, struct weir_arena *arena)
{
    struct pool_conn *pc = WEIR_CONTAINER_OF(uc, struct pool_conn, up);
    struct weir_codec_stream *cs = uc->codec->ops->open(uc->codec, ops, owner, arena);
    if (WEIR_UNLIKELY(!cs)) {
        weir_resource_give(&resources(pc->pool)->requests, pc->pool->cw->sw);
        need_settling(pc);
        return NULL;
    }
    after_open(pc);
    return cs;
}

void weir_up_conn_read_disable(struct weir_up_conn *uc, struct weir_codec_stream *cs, bool disable)
{
    struct pool_conn *pc = WEIR_CONTAINER_OF(uc, struct pool_conn, up);
    count(pc->pool, disable ? WEIR_CLUSTER_STAT_upstream_flow_control_paused_reading_total
                            : WEIR_CLUSTER_STAT_upstream_flow_control_resumed_reading_total);
    uc->codec->ops->read_disable(cs, disable);
    if (uc->codec->ops->protocol == WEIR_HTTP_2)
        return;
    pc->read_disabled = disable ? pc->read_disabled + 1 : pc->read_disabled - 1;
    weir_conn_read_disable(&uc->conn, disable);
}

/* The first ready connection that suits the request. */
static struct pool_conn *find_ready(struct weir_host_pool *pool, bool fresh)
{
    WEIR_LIST_EACH(&pool->ready, it)
    {
        struct pool_conn *pc = WEIR_CONTAINER_OF(it, struct pool_conn, link);
        if (!fresh || pc->up.n_requests == 0)
            return pc;
    }
    return NULL;
}

static void assign_waiting(struct weir_host_pool *pool)
{
    pool->users++; /* requesters may let go of it in here */
    WEIR_LIST_EACH(&pool->waiting, it)
    {
        struct weir_pool_request *pr = WEIR_CONTAINER_OF(it, struct weir_pool_request, link);
        struct pool_conn *pc = find_ready(pool, pr->fresh);
        if (!pc) {
            if (weir_list_empty(&pool->ready))
                break;
            continue;
        }
        stop_waiting(pr);
        if (!weir_resource_take(&resources(pool)->requests, pool->cw->sw)) {
            count(pool, WEIR_CLUSTER_STAT_upstream_rq_pending_overflow);
            pr->ops->on_failure(pr, WEIR_RESET_OVERFLOW, "", pool->host);
        } else {
            pr->ops->on_ready(pr, &pc->up);
        }
        /* A requester may have withdrawn another one: start over from the first that is left. */
        it_next = pool->waiting.next;
    }
    connect_for_waiting(pool);
    pool->users--;
    end_if_done(pool);
}

static enum weir_pool_verdict wait_in_line(struct weir_host_pool *pool, struct weir_pool_request *pr)
{
    struct weir_cluster_worker *cw = pool->cw;
    if (!weir_resource_take(&resources(pool)->pending, cw->sw)) {
        count(pool, WEIR_CLUSTER_STAT_upstream_rq_pending_overflow);
        return WEIR_POOL_OVERFLOW;
    }
    count(pool, WEIR_CLUSTER_STAT_upstream_rq_pending_total);
    count(pool, WEIR_CLUSTER_STAT_upstream_rq_pending_active);
    host_gauge(pool, WEIR_HOST_STAT_rq_pending_active, true);
    pr->since_ns = weir_loop_now_ns(cw->loop);
    weir_list_push_back(&pool->waiting, &pr->link);
    pool->n_waiting++;
    connect_for_waiting(pool);
    return WEIR_POOL_WAITING;
}

enum weir_pool_verdict weir_pool_get(struct weir_cluster_worker *cw, struct weir_host *host,
                                     enum weir_priority priority, struct weir_pool_request *pr,
                                     struct weir_up_conn **ret_uc)
{
    struct weir_host_pool *pool = find_or_make(cw, host, priority);
    pool->users++;
    pr->pool = pool;
    pr->host = host;
    struct pool_conn *pc = find_ready(pool, pr->fresh);
    if (!pc)
        return wait_in_line(pool, pr);
    if (WEIR_UNLIKELY(!weir_resource_take(&resources(pool)->requests, cw->sw))) {
        count(pool, WEIR_CLUSTER_STAT_upstream_rq_pending_overflow);
        return WEIR_POOL_OVERFLOW;
    }
    *ret_uc = &pc->up;
    return WEIR_POOL_READY;
}

void weir_pool_cancel(struct weir_pool_request *pr)
{
    if (weir_list_linked(&pr->link))
        stop_waiting(pr);
}

void weir_pool_request_done(struct weir_pool_request *pr)
{
    struct weir_host_pool *pool = pr->pool;
    if (!pool)
        return;
    weir_pool_cancel(pr);
    pr->pool = NULL;
    pr->host = NULL;
    pool->users--;
    end_if_done(pool);
}
