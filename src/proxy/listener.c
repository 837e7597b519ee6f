/* A worker's listeners: its listening sockets (one for each address, SO_REUSEPORT), the connections it has accepted, and what a
 * change of configuration means for both: a socket whose address stays is kept and serves the new configuration from the next
 * accept on; connections stay with the configuration that accepted them and are drained if it is gone. */
#include "proxy/listener.h"

#include "base/log.h"
#include "base/mem.h"
#include "net/acceptor.h"
#include "proxy/chain_match.h"
#include "proxy/down.h"
#include "proxy/listener_stats.h"

struct listen_socket {
    struct weir_acceptor acceptor;
    struct weir_list link;
    struct weir_listeners_worker *lw;
    struct weir_listener *listener; /* what new connections get; a reference */
    bool wildcard;                  /* the local address of a connection must be asked for */
    bool wanted;                    /* by the set being taken up */
    bool fresh;                     /* opened for it */
};

struct weir_listeners_worker {
    struct weir_worker *worker;
    struct weir_list sockets;
    struct weir_list connections; /* weir_down */
    struct weir_timer drain_timer;
    uint32_t n_sockets;
};

/* ---- accepting ---- */

static bool over_limit(struct weir_listener *listener)
{
    return listener->max_connections > 0 &&
           atomic_load_explicit(&listener->connections, memory_order_relaxed) >= listener->max_connections;
}

static const struct weir_filter_chain *find_chain(struct listen_socket *ls, weir_sock sock, const struct weir_addr *peer,
                                                  struct weir_addr *local)
{
    struct weir_loop *loop = ls->lw->worker->loop;
    struct weir_chain_facts facts = {
        .local = local, .remote = peer, .direct_remote = peer, .transport_protocol = WEIR_S("raw_buffer")};
    if (ls->wildcard) {
        struct sockaddr_storage ss;
        socklen_t len = sizeof ss;
        if (loop->ops->local_addr(loop, sock, &ss, &len) == WEIR_OK) weir_addr_from_sockaddr(&ss, len, local);
    }
    return weir_chain_match_find(ls->listener, &facts);
}

static void on_accept(struct weir_acceptor *acceptor, weir_sock sock, const struct weir_addr *peer)
{
    struct listen_socket *ls = WEIR_CONTAINER_OF(acceptor, struct listen_socket, acceptor);
    struct weir_worker *worker = ls->lw->worker;
    struct weir_listener *listener = ls->listener;
    struct weir_addr local = acceptor->local;
    if (over_limit(listener)) {
        weir_listener_count(listener, worker, WEIR_LISTENER_STAT_downstream_cx_overflow);
        worker->loop->ops->close(worker->loop, sock, false);
        return;
    }
    const struct weir_filter_chain *chain = find_chain(ls, sock, peer, &local);
    if (!chain) {
        weir_listener_count(listener, worker, WEIR_LISTENER_STAT_no_filter_chain_match);
        worker->loop->ops->close(worker->loop, sock, true);
        return;
    }
    weir_down_accept(worker, listener, chain, sock, &local, peer, &ls->lw->connections);
}

static void on_pause(struct weir_acceptor *acceptor, enum weir_err err, uint32_t pause_ms)
{
    struct listen_socket *ls = WEIR_CONTAINER_OF(acceptor, struct listen_socket, acceptor);
    weir_listener_count(ls->listener, ls->lw->worker, WEIR_LISTENER_STAT_downstream_cx_accept_paused);
    WEIR_LOG_LIMITED(WARN, CONNECTION, "listener \"%.*s\" pauses accepting for %u ms: %s", WEIR_SARG(ls->listener->name),
                     (unsigned)pause_ms, weir_err_text(err));
}

static const struct weir_acceptor_ops acceptor_ops = {.on_accept = on_accept, .on_pause = on_pause};

/* ---- sockets ---- */

static bool is_wildcard(const struct weir_addr *addr)
{
    if (addr->sa.sa_family == AF_INET) return addr->in.sin_addr.s_addr == htonl(INADDR_ANY);
    return addr->sa.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&addr->in6.sin6_addr);
}

static struct listen_socket *find_socket(struct weir_listeners_worker *lw, const struct weir_addr *addr)
{
    WEIR_LIST_EACH(&lw->sockets, it) {
        struct listen_socket *ls = WEIR_CONTAINER_OF(it, struct listen_socket, link);
        if (weir_addr_eq(&ls->acceptor.local, addr)) return ls;
    }
    return NULL;
}

static void close_socket(struct listen_socket *ls)
{
    weir_acceptor_close(&ls->acceptor);
    weir_list_unlink(&ls->link);
    ls->lw->n_sockets--;
    weir_listener_unref(ls->listener);
    weir_free(ls);
}

static enum weir_err open_socket(struct weir_listeners_worker *lw, struct weir_listener *listener, struct weir_addr *addr)
{
    struct listen_socket *ls = WEIR_NEW(struct listen_socket);
    ls->lw = lw;
    ls->listener = weir_listener_ref(listener);
    ls->fresh = ls->wanted = true;
    ls->wildcard = is_wildcard(addr);
    weir_acceptor_init(&ls->acceptor, lw->worker->loop, &acceptor_ops);
    ls->acceptor.max_per_event = listener->max_accepts_per_event;
    weir_list_push_back(&lw->sockets, &ls->link);
    lw->n_sockets++;
    struct weir_listen_opts opts = listener->listen_opts;
    opts.reuse_port = listener->reuse_port;
    enum weir_err err = weir_acceptor_open(&ls->acceptor, addr, &opts);
    if (err) {
        close_socket(ls);
        return err;
    }
    if (weir_addr_is_ip(addr) && weir_addr_port(addr) == 0) weir_addr_set_port(addr, weir_addr_port(&ls->acceptor.local));
    return WEIR_OK;
}

/* The socket for one address of `listener`: the one that is there, or a new one. */
static enum weir_err want_socket(struct weir_listeners_worker *lw, struct weir_listener *listener, struct weir_addr *addr,
                                 struct weir_str *reterr)
{
    struct listen_socket *ls = find_socket(lw, addr);
    if (ls) {
        ls->wanted = true;
        return WEIR_OK;
    }
    if (!weir_addr_is_ip(addr) && lw->worker->id != 0 && lw->worker->id != UINT32_MAX) return WEIR_OK; // a path has one owner
    enum weir_err err = open_socket(lw, listener, addr);
    if (err) {
        char text[WEIR_ADDR_TEXT_MAX];
        weir_str_printf(reterr, "listener \"%.*s\" cannot bind %.*s: %s", WEIR_SARG(listener->name),
                        WEIR_SARG(weir_addr_print(addr, text)),
                        err == WEIR_ERR_EXISTS ? "the address is in use" : weir_err_text(err));
    }
    return err;
}

static void close_sockets(struct weir_listeners_worker *lw, bool fresh_only)
{
    WEIR_LIST_EACH(&lw->sockets, it) {
        struct listen_socket *ls = WEIR_CONTAINER_OF(it, struct listen_socket, link);
        if (fresh_only ? ls->fresh : !ls->wanted) close_socket(ls);
    }
}

/* ---- draining ---- */

/* Closes connections whose time is over; comes back when the next one's is. */
static void on_drain_timer(struct weir_timer *timer)
{
    struct weir_listeners_worker *lw = WEIR_CONTAINER_OF(timer, struct weir_listeners_worker, drain_timer);
    uint64_t now = weir_loop_now_ms(lw->worker->loop), next = UINT64_MAX;
    WEIR_LIST_EACH(&lw->connections, it) {
        struct weir_down *down = WEIR_CONTAINER_OF(it, struct weir_down, link);
        if (!down->drain_deadline_ms) continue;
        if (now >= down->drain_deadline_ms) weir_conn_close(&down->conn, WEIR_CONN_CLOSE_NOW);
        else next = WEIR_MIN(next, down->drain_deadline_ms);
    }
    if (next != UINT64_MAX) weir_timer_set(lw->worker->loop, timer, next - now);
}

static bool contains(struct weir_listener *const *v, uint32_t n, const struct weir_listener *listener)
{
    for (uint32_t i = 0; i < n; i++)
        if (v[i] == listener) return true;
    return false;
}

/* Drains the connections of listeners that are not among `v`. */
static void drain_others(struct weir_listeners_worker *lw, struct weir_listener *const *v, uint32_t n, uint64_t drain_ms)
{
    bool any = false;
    WEIR_LIST_EACH(&lw->connections, it) {
        struct weir_down *down = WEIR_CONTAINER_OF(it, struct weir_down, link);
        if (contains(v, n, down->listener)) continue;
        weir_down_drain(down, drain_ms);
        any = true;
    }
    if (any) weir_timer_set(lw->worker->loop, &lw->drain_timer, drain_ms);
}

/* ---- what server/ calls ---- */

struct weir_listeners_worker *weir_listeners_worker_new(struct weir_worker *worker)
{
    struct weir_listeners_worker *lw = WEIR_NEW(struct weir_listeners_worker);
    lw->worker = worker;
    weir_list_init(&lw->sockets);
    weir_list_init(&lw->connections);
    weir_timer_init(&lw->drain_timer, on_drain_timer);
    weir_worker_init_streams(worker);
    return lw;
}

enum weir_err weir_listeners_worker_set(struct weir_listeners_worker *lw, struct weir_listener *const *v, uint32_t n,
                                        uint64_t drain_ms, struct weir_str *reterr)
{
    WEIR_LIST_EACH(&lw->sockets, it) {
        struct listen_socket *ls = WEIR_CONTAINER_OF(it, struct listen_socket, link);
        ls->wanted = ls->fresh = false;
    }
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t a = 0; a < v[i]->n_addrs; a++) {
            enum weir_err err = want_socket(lw, v[i], &v[i]->addrs[a], reterr);
            if (!err) continue;
            close_sockets(lw, true);
            return err;
        }
    }
    close_sockets(lw, false);
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t a = 0; a < v[i]->n_addrs; a++) {
            struct listen_socket *ls = find_socket(lw, &v[i]->addrs[a]);
            if (!ls || ls->listener == v[i]) continue;
            weir_listener_unref(ls->listener);
            ls->listener = weir_listener_ref(v[i]);
        }
    }
    drain_others(lw, v, n, drain_ms);
    return WEIR_OK;
}

void weir_listeners_worker_drain(struct weir_listeners_worker *lw, uint64_t drain_ms)
{
    WEIR_LIST_EACH(&lw->sockets, it) close_socket(WEIR_CONTAINER_OF(it, struct listen_socket, link));
    drain_others(lw, NULL, 0, drain_ms);
}

uint32_t weir_listeners_worker_active(const struct weir_listeners_worker *lw)
{
    uint32_t n = 0;
    WEIR_LIST_EACH(&lw->connections, it) n++;
    return n;
}

void weir_listeners_worker_free(struct weir_listeners_worker *lw)
{
    if (!lw) return;
    weir_timer_stop(lw->worker->loop, &lw->drain_timer);
    WEIR_LIST_EACH(&lw->sockets, it) close_socket(WEIR_CONTAINER_OF(it, struct listen_socket, link));
    WEIR_LIST_EACH(&lw->connections, it) weir_down_destroy(WEIR_CONTAINER_OF(it, struct weir_down, link));
    weir_loop_turn_end(lw->worker->loop);
    weir_free(lw);
}
