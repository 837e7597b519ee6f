/* The simulated world's sockets. Each direction of a connection is a queue of segments on their way and a buffer of unread bytes; a sender sees only
 * how much room the two leave. A connection is made, reset and closed as Linux does it, seen from the socket calls. */
#include "event/sim_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

#include "base/mem.h"

#define UNREAD_MAX      (SIZE_MAX / 2)
#define BACKLOG_DEFAULT 128
#define SYN_RETRY_NS    1000000000

struct lookup {
    struct weir_sim *sim;
    struct weir_loop *loop;
    struct weir_list link;
    char *name;
    int family;
    void (*done)(void *arg, enum weir_err err, const struct weir_resolved *result); /* NULL once cancelled */
    void *arg;
};

/* ---- ends ---- */

struct sim_end *sim_end_new(struct weir_sim *sim, struct weir_loop *loop)
{
    struct sim_end *end = WEIR_NEW(struct sim_end);
    end->sim = sim;
    end->loop = loop;
    end->sock = SIM_FIRST_SOCK + (weir_sock)sim->n_socks;
    end->buffer =
        sim->opts.buffer_min + weir_sim_random(sim, sim->opts.buffer_max - sim->opts.buffer_min + 1);
    weir_str_init(&end->unread, UNREAD_MAX);
    weir_list_init(&end->accept_queue);
    weir_list_push_back(&sim->ends, &end->link);
    if (sim->n_socks == sim->cap_socks) {
        sim->cap_socks = sim->cap_socks ? sim->cap_socks * 2 : 64;
        sim->by_sock = weir_xrealloc(sim->by_sock, sim->cap_socks * sizeof(struct sim_end *));
    }
    sim->by_sock[sim->n_socks++] = end;
    return end;
}

static struct weir_sim *sim_of(struct weir_loop *loop)
{
    return ((struct sim_loop *)loop->world)->sim;
}

/* The open socket of that number; using another loop's or a closed one is a mistake in the code under test. */
static struct sim_end *end_of(struct weir_loop *loop, weir_sock sock)
{
    struct weir_sim *sim = sim_of(loop);
    uint32_t index = (uint32_t)(sock - SIM_FIRST_SOCK);
    if (sock < SIM_FIRST_SOCK || index >= sim->n_socks || sim->by_sock[index]->loop != loop ||
        sim->by_sock[index]->closed) {
        WEIR_FATAL("%s uses socket %d, which is not open", loop->name, sock);
    }
    return sim->by_sock[index];
}

uint32_t weir_sim_open_sockets(const struct weir_sim *sim)
{
    uint32_t n = 0;
    WEIR_LIST_EACH(&sim->ends, it)
    {
        n += WEIR_CONTAINER_OF(it, struct sim_end, link)->loop != NULL;
    }
    return n;
}

struct weir_slice sim_unread(const struct sim_end *end)
{
    return weir_slice_from(weir_slice(end->unread.ptr, end->unread.len), end->unread_start);
}

static void on_room(struct weir_sim *sim WEIR_UNUSED, void *arg)
{
    sim_peer_pump(arg);
}

void sim_consume(struct sim_end *end, size_t len)
{
    end->unread_start += len;
    if (end->unread_start == end->unread.len) {
        weir_str_clear(&end->unread);
        end->unread_start = 0;
    }
    if (end->other && end->other->peer) {
        sim_at(end->sim, end->sim->now_ns + sim_latency_ns(end->sim), on_room, end->other->peer);
    }
}

/* ---- segments ---- */

static void put_unread(struct sim_end *end, struct weir_slice bytes)
{
    if (end->unread_start > 65536) { /* drop what has been read */
        struct weir_slice left = sim_unread(end);
        memmove(end->unread.ptr, left.ptr, left.len);
        end->unread.len = left.len;
        end->unread_start = 0;
    }
    weir_str_add(&end->unread, bytes);
}

static void send_segment(struct sim_end *to, enum sim_segment_kind kind, struct weir_slice bytes);

static void reset_arrives(struct sim_end *end)
{
    end->reset_seen = end->error_pending = true;
    if (end->peer) {
        sim_peer_reset(end->peer);
    }
}

static void segment_arrives(struct sim_end *end, const struct sim_segment *seg)
{
    static const char *const NAMES[] = {"data", "fin", "rst"};
    sim_trace(end->sim, NAMES[seg->kind], end, seg->len);
    if (end->closed) {
        if (seg->kind == SEGMENT_DATA && end->other) {
            send_segment(end->other, SEGMENT_RST, WEIR_S_NONE);
        }
        return;
    }
    if (end->reset_seen) {
        return;
    }
    if (seg->kind == SEGMENT_RST) {
        reset_arrives(end);
    } else if (sim_chance(end->sim, end->sim->opts.loose_reset)) {
        sim_trace(end->sim, "network resets", end, 0);
        send_segment(end->other, SEGMENT_RST, WEIR_S_NONE);
        reset_arrives(end);
    } else if (seg->kind == SEGMENT_FIN) {
        end->fin_seen = true;
        if (end->peer) {
            sim_peer_eof(end->peer);
        }
    } else {
        put_unread(end, weir_slice(seg->data, seg->len));
        if (end->peer) {
            sim_peer_data(end->peer);
        }
    }
}

static struct sim_segment *pop_segment(struct sim_end *end)
{
    struct sim_segment *seg = end->way_first;
    if (seg) {
        end->way_first = seg->next;
        end->way_last = seg->next ? end->way_last : NULL;
        end->way_bytes -= seg->len;
    }
    return seg;
}

static void on_arrival(struct weir_sim *sim WEIR_UNUSED, void *arg)
{
    struct sim_segment *seg = pop_segment(arg);
    if (seg) { /* a reset may have overtaken it */
        segment_arrives(arg, seg);
        weir_free(seg);
    }
}

static void send_segment(struct sim_end *to, enum sim_segment_kind kind, struct weir_slice bytes)
{
    struct weir_sim *sim = to->sim;
    struct sim_segment *seg = weir_zalloc(sizeof(*seg) + bytes.len);
    seg->kind = kind;
    seg->len = bytes.len;
    if (bytes.len > 0) {
        memcpy(seg->data, bytes.ptr, bytes.len);
    }
    if (to->way_last) {
        to->way_last->next = seg;
    } else {
        to->way_first = seg;
    }
    to->way_last = seg;
    to->way_bytes += bytes.len;
    to->way_last_ns = WEIR_MAX(to->way_last_ns, sim->now_ns + sim_latency_ns(sim));
    sim_at(sim, to->way_last_ns, on_arrival, to);
}

size_t sim_send_room(const struct sim_end *end)
{
    const struct sim_end *to = end->other;
    if (!to || !end->connected || end->closed || end->fin_sent || end->reset_seen) {
        return 0;
    }
    size_t used = to->way_bytes + (to->closed ? 0 : sim_unread(to).len);
    return used < to->buffer ? to->buffer - used : 0;
}

void sim_send(struct sim_end *end, struct weir_slice bytes)
{
    while (bytes.len > 0) {
        bool split = sim_chance(end->sim, end->sim->opts.split);
        size_t n = split ? 1 + weir_sim_random(end->sim, bytes.len) : bytes.len;
        send_segment(end->other, SEGMENT_DATA, weir_slice_first(bytes, n));
        bytes = weir_slice_from(bytes, n);
    }
}

void sim_shutdown(struct sim_end *end)
{
    if (end->other && !end->fin_sent && !end->closed && !end->reset_seen) {
        end->fin_sent = true;
        send_segment(end->other, SEGMENT_FIN, WEIR_S_NONE);
    }
}

static void send_reset(struct sim_end *end)
{
    struct sim_end *to = end->other;
    if (!to || end->reset_seen) {
        return;
    }
    if (sim_chance(end->sim, 500)) { /* what had not left yet never does */
        struct sim_segment *seg;
        while ((seg = pop_segment(to))) {
            weir_free(seg);
        }
    }
    send_segment(to, SEGMENT_RST, WEIR_S_NONE);
}

void sim_close(struct sim_end *end, bool reset)
{
    if (end->closed) {
        return;
    }
    struct weir_list *queued;
    while ((queued = weir_list_first(&end->accept_queue))) { /* never accepted */
        weir_list_unlink(queued);
        sim_close(WEIR_CONTAINER_OF(queued, struct sim_end, queue_link), true);
    }
    sim_trace(end->sim, reset ? "reset" : "close", end, 0);
    if (reset || sim_unread(end).len > 0) {
        send_reset(end);
    } else {
        sim_shutdown(end);
    }
    end->closed = true;
    end->io = NULL;
    weir_str_fini(&end->unread);
    end->unread_start = 0;
    weir_list_unlink(&end->link);
    weir_list_push_back(&end->sim->closed, &end->link);
}

uint32_t sim_readiness(const struct sim_end *end)
{
    uint32_t ready = 0;
    if (!end->io || end->io->events == 0) {
        return 0;
    }
    if (end->listening) {
        ready = weir_list_empty(&end->accept_queue) ? 0 : WEIR_IO_READ;
    } else if (end->error_pending || end->connect_errno) {
        ready = WEIR_IO_ERROR;
    } else if (end->connected) {
        bool gone = end->reset_seen;
        ready |= sim_unread(end).len > 0 || end->fin_seen || gone ? WEIR_IO_READ : 0;
        ready |= sim_send_room(end) > 0 || gone || end->fin_sent ? WEIR_IO_WRITE : 0;
    }
    return ready & (end->io->events | WEIR_IO_ERROR);
}

/* ---- connecting ---- */

static bool same_address(const struct sim_address *a, const struct sim_address *b)
{
    const struct sockaddr_in *a4 = (const void *)&a->ss, *b4 = (const void *)&b->ss;
    const struct sockaddr_in6 *a6 = (const void *)&a->ss, *b6 = (const void *)&b->ss;
    if (a->ss.ss_family != b->ss.ss_family) {
        return false;
    }
    if (a->ss.ss_family == AF_INET) {
        return a4->sin_port == b4->sin_port && a4->sin_addr.s_addr == b4->sin_addr.s_addr;
    }
    if (a->ss.ss_family == AF_INET6) {
        return a6->sin6_port == b6->sin6_port &&
               memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof(a6->sin6_addr)) == 0;
    }
    return a->len == b->len && memcmp(&a->ss, &b->ss, a->len) == 0;
}

/* `addr` with the wildcard address of its family. */
static struct sim_address wildcard_of(const struct sim_address *addr)
{
    struct sim_address any = *addr;
    if (addr->ss.ss_family == AF_INET) {
        ((struct sockaddr_in *)(void *)&any.ss)->sin_addr.s_addr = htonl(INADDR_ANY);
    } else if (addr->ss.ss_family == AF_INET6) {
        ((struct sockaddr_in6 *)(void *)&any.ss)->sin6_addr = in6addr_any;
    }
    return any;
}

static bool serves(const struct sim_address *listening, const struct sim_address *addr)
{
    struct sim_address any = wildcard_of(addr);
    return same_address(listening, addr) || same_address(listening, &any);
}

static struct sim_address make_address(const struct sockaddr *addr, socklen_t len)
{
    struct sim_address a = {.len = WEIR_MIN(len, (socklen_t)sizeof(a.ss))};
    memcpy(&a.ss, addr, a.len);
    return a;
}

/* Gives an IP address without a port the next free one. */
static void choose_port(struct weir_sim *sim, struct sim_address *addr)
{
    struct sockaddr_in *in = (void *)&addr->ss; /* the port is at the same place in both */
    if ((addr->ss.ss_family == AF_INET || addr->ss.ss_family == AF_INET6) && in->sin_port == 0) {
        in->sin_port = htons(sim->next_port);
        sim->next_port = sim->next_port == UINT16_MAX ? 40000 : sim->next_port + 1;
    }
}

/* The loop's listening socket for `addr`; by chance among several (SO_REUSEPORT). */
static struct sim_end *find_listener(struct weir_sim *sim, const struct sim_address *addr)
{
    struct sim_end *found = NULL;
    uint64_t n = 0;
    WEIR_LIST_EACH(&sim->ends, it)
    {
        struct sim_end *end = WEIR_CONTAINER_OF(it, struct sim_end, link);
        if (end->listening && serves(&end->local, addr) && weir_sim_random(sim, ++n) == 0) {
            found = end;
        }
    }
    return found;
}

static struct sim_server *find_server(struct weir_sim *sim, const struct sim_address *addr)
{
    WEIR_LIST_EACH(&sim->servers, it)
    {
        struct sim_server *server = WEIR_CONTAINER_OF(it, struct sim_server, link);
        if (serves(&server->addr, addr)) {
            return server;
        }
    }
    return NULL;
}

static void on_connected(struct weir_sim *sim, void *arg)
{
    struct sim_end *end = arg;
    if (end->closed) {
        return;
    }
    sim_trace(sim, "connected", end, 0);
    end->connecting = false;
    end->connected = true;
    if (end->peer) {
        sim_peer_connected(end->peer);
    }
}

static void on_refused(struct weir_sim *sim, void *arg)
{
    struct sim_end *end = arg;
    if (end->closed) {
        return;
    }
    sim_trace(sim, "refused", end, 0);
    end->connecting = false;
    end->connect_errno = end->unreachable ? EHOSTUNREACH : ECONNREFUSED;
    if (end->peer) {
        sim_peer_refused(end->peer);
    }
}

/* The other end of a connection that `end` asked for. */
static struct sim_end *make_other(struct sim_end *end, struct weir_loop *loop)
{
    struct sim_end *other = sim_end_new(end->sim, loop);
    other->local = end->remote;
    other->remote = end->local;
    other->connected = true;
    other->other = end;
    end->other = other;
    /* Nothing from the other side arrives before its consent does. */
    end->way_last_ns = end->sim->now_ns + sim_latency_ns(end->sim);
    sim_at(end->sim, end->way_last_ns, on_connected, end);
    return other;
}

static void serve(struct sim_end *end, const struct weir_sim_server *server)
{
    struct weir_sim *sim = end->sim;
    if (server->mode == WEIR_SIM_BLACKHOLE) {
        return;
    }
    if (server->mode != WEIR_SIM_ACCEPT) {
        end->unreachable = server->mode == WEIR_SIM_UNREACHABLE;
        sim_at(sim, sim->now_ns + sim_latency_ns(sim), on_refused, end);
        return;
    }
    struct weir_sim_peer *peer = sim_peer_new(make_other(end, NULL), server->ops, server->arg);
    if (server->on_accept) {
        server->on_accept(peer, server->arg);
    }
    sim_peer_connected(peer);
}

static void on_syn(struct weir_sim *sim, void *arg)
{
    static const struct weir_sim_server NOBODY = {.mode = WEIR_SIM_REFUSE};
    struct sim_end *end = arg;
    if (end->closed) {
        return;
    }
    sim_trace(sim, "syn", end, 0);
    struct sim_end *listener = find_listener(sim, &end->remote);
    if (!listener) {
        struct sim_server *server = find_server(sim, &end->remote);
        serve(end, server ? &server->conf : &NOBODY);
        return;
    }
    if (listener->n_queued >= listener->backlog) {
        sim_at(sim, sim->now_ns + SYN_RETRY_NS, on_syn, end);
        return;
    }
    struct sim_end *other = make_other(end, listener->loop);
    listener->n_queued++;
    weir_list_push_back(&listener->accept_queue, &other->queue_link);
}

void sim_connect(struct sim_end *end, const struct sockaddr *addr, socklen_t len)
{
    struct weir_sim *sim = end->sim;
    end->remote = make_address(addr, len);
    if (end->local.len == 0) {
        end->local = end->remote;
        if (addr->sa_family == AF_UNIX) {
            end->local.len = sizeof(sa_family_t);
        }
        ((struct sockaddr_in *)(void *)&end->local.ss)->sin_port = 0;
    }
    choose_port(sim, &end->local);
    end->connecting = true;
    sim_at(sim, sim->now_ns + sim_latency_ns(sim), on_syn, end);
}

void weir_sim_serve(struct weir_sim *sim, const struct sockaddr *addr, socklen_t addr_len,
                    const struct weir_sim_server *server)
{
    struct sim_address address = make_address(addr, addr_len);
    struct sim_server *s = NULL;
    WEIR_LIST_EACH(&sim->servers, it)
    {
        struct sim_server *known = WEIR_CONTAINER_OF(it, struct sim_server, link);
        s = same_address(&known->addr, &address) ? known : s;
    }
    if (!s) {
        s = WEIR_NEW(struct sim_server);
        s->addr = address;
        weir_list_push_back(&sim->servers, &s->link);
    }
    s->conf = *server;
}

/* ---- the table's functions ---- */

static bool address_taken(struct weir_sim *sim, const struct sim_address *addr, bool reuse_port)
{
    WEIR_LIST_EACH(&sim->ends, it)
    {
        const struct sim_end *end = WEIR_CONTAINER_OF(it, struct sim_end, link);
        if (end->listening && same_address(&end->local, addr) && !(reuse_port && end->reuse_port)) {
            return true;
        }
    }
    return false;
}

enum weir_err sim_listen(struct weir_loop *loop, const struct sockaddr *addr, socklen_t addr_len,
                         const struct weir_listen_opts *opts, weir_sock *ret)
{
    struct weir_sim *sim = sim_of(loop);
    struct sim_address local = make_address(addr, addr_len);
    choose_port(sim, &local);
    if (address_taken(sim, &local, opts->reuse_port)) {
        return WEIR_ERR_EXISTS;
    }
    struct sim_end *end = sim_end_new(sim, loop);
    end->local = local;
    end->listening = true;
    end->reuse_port = opts->reuse_port;
    end->backlog = opts->backlog > 0 ? (uint32_t)opts->backlog : BACKLOG_DEFAULT;
    sim_trace(sim, "listen", end, 0);
    *ret = end->sock;
    return WEIR_OK;
}

enum weir_err sim_accept(struct weir_loop *loop, weir_sock listener, struct sockaddr_storage *ret_peer,
                         socklen_t *ret_peer_len, weir_sock *ret)
{
    struct sim_end *end = end_of(loop, listener);
    struct weir_list *first = weir_list_first(&end->accept_queue);
    if (!first) {
        return WEIR_ERR_AGAIN;
    }
    if (sim_chance(end->sim, end->sim->opts.accept_limit)) {
        sim_trace(end->sim, "accept fails", end, 0);
        return WEIR_ERR_LIMIT;
    }
    struct sim_end *accepted = WEIR_CONTAINER_OF(first, struct sim_end, queue_link);
    weir_list_unlink(first);
    end->n_queued--;
    *ret_peer = accepted->remote.ss;
    *ret_peer_len = accepted->remote.len;
    *ret = accepted->sock;
    sim_trace(end->sim, "accept", accepted, 0);
    return WEIR_OK;
}

enum weir_err sim_op_connect(struct weir_loop *loop, const struct sockaddr *addr, socklen_t addr_len,
                             const struct sockaddr *bind_to, socklen_t bind_len, weir_sock *ret,
                             int *ret_errno)
{
    struct weir_sim *sim = sim_of(loop);
    if (sim_chance(sim, sim->opts.connect_limit)) {
        sim_trace(sim, "connect fails", NULL, 0);
        *ret_errno = EMFILE;
        return WEIR_ERR_LIMIT;
    }
    struct sim_end *end = sim_end_new(sim, loop);
    if (bind_to) {
        end->local = make_address(bind_to, bind_len);
    }
    sim_trace(sim, "connect", end, 0);
    sim_connect(end, addr, addr_len);
    *ret = end->sock;
    return WEIR_OK;
}

enum weir_err sim_connect_result(struct weir_loop *loop, weir_sock sock, int *ret_errno)
{
    struct sim_end *end = end_of(loop, sock);
    *ret_errno = end->connect_errno;
    if (end->error_pending) { /* connected and reset at once */
        end->error_pending = false;
        *ret_errno = ECONNRESET;
    }
    return *ret_errno == 0 ? WEIR_OK : *ret_errno == ECONNRESET ? WEIR_ERR_RESET : WEIR_ERR_IO;
}

static ssize_t fail_with(enum weir_err err, enum weir_err *ret_err)
{
    *ret_err = err;
    return -1;
}

ssize_t sim_recv(struct weir_loop *loop, weir_sock sock, void *buf, size_t len, enum weir_err *ret_err)
{
    struct sim_end *end = end_of(loop, sock);
    struct weir_slice unread = sim_unread(end);
    if (unread.len == 0 && end->error_pending) {
        end->error_pending = false;
        return fail_with(WEIR_ERR_RESET, ret_err);
    }
    if (unread.len == 0) {
        return end->fin_seen || end->reset_seen ? 0 : fail_with(WEIR_ERR_AGAIN, ret_err);
    }
    size_t n = WEIR_MIN(len, unread.len);
    if (sim_chance(end->sim, end->sim->opts.short_read)) {
        n = 1 + weir_sim_random(end->sim, n);
    }
    memcpy(buf, unread.ptr, n);
    sim_consume(end, n);
    sim_trace(end->sim, "recv", end, n);
    return (ssize_t)n;
}

/* Copies the first `len` bytes of the vector. */
static void gather(const struct iovec *iov, int n, char *out, size_t len)
{
    for (int i = 0; i < n && len > 0; i++) {
        size_t part = WEIR_MIN(iov[i].iov_len, len);
        memcpy(out, iov[i].iov_base, part);
        out += part;
        len -= part;
    }
}

ssize_t sim_writev(struct weir_loop *loop, weir_sock sock, const struct iovec *iov, int n,
                   enum weir_err *ret_err)
{
    struct sim_end *end = end_of(loop, sock);
    size_t total = 0;
    for (int i = 0; i < n; i++) {
        total += iov[i].iov_len;
    }
    if (end->error_pending) {
        end->error_pending = false;
        return fail_with(WEIR_ERR_RESET, ret_err);
    }
    if (end->reset_seen || end->fin_sent || end->connect_errno) {
        return fail_with(WEIR_ERR_CLOSED, ret_err);
    }
    size_t room = sim_send_room(end);
    if (room == 0 || total == 0) {
        return room == 0 ? fail_with(WEIR_ERR_AGAIN, ret_err) : 0;
    }
    size_t len = WEIR_MIN(total, room);
    if (sim_chance(end->sim, end->sim->opts.partial_write)) {
        len = 1 + weir_sim_random(end->sim, len);
    }
    char *bytes = weir_xalloc(len);
    gather(iov, n, bytes, len);
    sim_trace(end->sim, "write", end, len);
    sim_send(end, weir_slice(bytes, len));
    weir_free(bytes);
    return (ssize_t)len;
}

void sim_shutdown_write(struct weir_loop *loop, weir_sock sock)
{
    sim_shutdown(end_of(loop, sock));
}

void sim_op_close(struct weir_loop *loop, weir_sock sock, bool reset)
{
    sim_close(end_of(loop, sock), reset);
}

enum weir_err sim_local_addr(struct weir_loop *loop, weir_sock sock, struct sockaddr_storage *ret,
                             socklen_t *ret_len)
{
    struct sim_end *end = end_of(loop, sock);
    *ret = end->local.ss;
    *ret_len = end->local.len;
    return WEIR_OK;
}

enum weir_err sim_set_option(struct weir_loop *loop, weir_sock sock, int level WEIR_UNUSED,
                             int name WEIR_UNUSED, int value WEIR_UNUSED)
{
    (void)end_of(loop, sock);
    return WEIR_OK;
}

enum weir_err sim_watch(struct weir_io *io, uint32_t events WEIR_UNUSED)
{
    end_of(io->loop, io->sock)->io = io; /* io->events says what is asked for */
    return WEIR_OK;
}

void sim_unwatch(struct weir_io *io)
{
    end_of(io->loop, io->sock)->io = NULL;
}

/* ---- names ---- */

static void host_free(struct sim_host *host)
{
    weir_list_unlink(&host->link);
    weir_free(host->name);
    weir_free(host->result);
    weir_free(host);
}

static struct sim_host *find_host(struct weir_sim *sim, struct weir_slice name)
{
    WEIR_LIST_EACH(&sim->hosts, it)
    {
        struct sim_host *host = WEIR_CONTAINER_OF(it, struct sim_host, link);
        if (weir_slice_eq_nocase(weir_slice_str(host->name), name)) {
            return host;
        }
    }
    return NULL;
}

static void add_resolved(struct weir_resolved *result, const struct sockaddr_storage *addr, uint32_t ttl_s)
{
    struct weir_resolved_addr *a = &result->v[result->n++];
    a->addr = *addr;
    a->len = addr->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    a->ttl_s = ttl_s;
}

static struct weir_resolved *resolved_new(uint32_t cap, uint32_t ttl_s)
{
    struct weir_resolved *result = weir_zalloc(sizeof(*result) + cap * sizeof(result->v[0]));
    result->ttl_s = ttl_s;
    return result;
}

void weir_sim_dns_set(struct weir_sim *sim, struct weir_slice name, const struct sockaddr_storage *addrs,
                      uint32_t n, uint32_t ttl_s, enum weir_err err)
{
    struct sim_host *host = find_host(sim, name);
    if (host) {
        host_free(host);
    }
    host = WEIR_NEW(struct sim_host);
    host->name = weir_xstrndup(name.ptr, name.len);
    host->err = n > 0 ? WEIR_OK : err;
    host->result = resolved_new(n, ttl_s);
    for (uint32_t i = 0; i < n; i++) {
        add_resolved(host->result, &addrs[i], ttl_s);
    }
    weir_list_push_back(&sim->hosts, &host->link);
}

/* An address written out stands for itself. */
static bool literal(const char *name, struct weir_resolved *result)
{
    struct sockaddr_storage ss = {0};
    if (inet_pton(AF_INET, name, &((struct sockaddr_in *)(void *)&ss)->sin_addr) == 1) {
        ss.ss_family = AF_INET;
    } else if (inet_pton(AF_INET6, name, &((struct sockaddr_in6 *)(void *)&ss)->sin6_addr) == 1) {
        ss.ss_family = AF_INET6;
    } else {
        return false;
    }
    add_resolved(result, &ss, UINT32_MAX);
    return true;
}

static void on_answer(struct weir_sim *sim, void *arg)
{
    struct lookup *l = arg;
    struct sim_host *host = find_host(sim, weir_slice_str(l->name));
    struct weir_resolved *result =
        resolved_new(host ? host->result->n : 1, host ? host->result->ttl_s : UINT32_MAX);
    enum weir_err err = host ? host->err : literal(l->name, result) ? WEIR_OK : WEIR_ERR_NOT_FOUND;
    for (uint32_t i = 0; host && i < host->result->n; i++) {
        const struct weir_resolved_addr *a = &host->result->v[i];
        if (l->family == AF_UNSPEC || l->family == a->addr.ss_family) {
            add_resolved(result, &a->addr, a->ttl_s);
        }
    }
    err = !err && result->n == 0 ? WEIR_ERR_NOT_FOUND : err;
    sim_trace(sim, "resolved", NULL, result->n);
    if (l->done) {
        weir_loop_turn_begin(l->loop);
        l->done(l->arg, err, err ? NULL : result);
        weir_loop_turn_end(l->loop);
    }
    weir_free(result);
    weir_list_unlink(&l->link);
    weir_free(l->name);
    weir_free(l);
}

void *sim_resolve(struct weir_loop *loop, struct weir_slice host, int family,
                  void (*done)(void *arg, enum weir_err err, const struct weir_resolved *result), void *arg)
{
    struct weir_sim *sim = sim_of(loop);
    struct lookup *l = WEIR_NEW(struct lookup);
    *l = (struct lookup){.sim = sim, .loop = loop, .family = family, .done = done, .arg = arg};
    l->name = weir_xstrndup(host.ptr, host.len);
    weir_list_push_back(&sim->lookups, &l->link);
    sim_at(sim, sim->now_ns + 2 * sim_latency_ns(sim), on_answer, l);
    return l;
}

void sim_resolve_cancel(struct weir_loop *loop WEIR_UNUSED, void *handle)
{
    ((struct lookup *)handle)->done = NULL;
}

void sim_forget_lookups(struct weir_loop *loop)
{
    WEIR_LIST_EACH(&sim_of(loop)->lookups, it)
    {
        struct lookup *l = WEIR_CONTAINER_OF(it, struct lookup, link);
        l->done = l->loop == loop ? NULL : l->done;
    }
}

/* ---- the end of it all ---- */

void sim_net_free(struct weir_sim *sim)
{
    for (uint32_t i = 0; i < sim->n_socks; i++) {
        struct sim_end *end = sim->by_sock[i];
        struct sim_segment *seg;
        while ((seg = pop_segment(end))) {
            weir_free(seg);
        }
        weir_str_fini(&end->unread);
        if (end->peer) {
            sim_peer_free(end->peer);
        }
        weir_free(end);
    }
    WEIR_LIST_EACH(&sim->lookups, it)
    {
        struct lookup *l = WEIR_CONTAINER_OF(it, struct lookup, link);
        weir_free(l->name);
        weir_free(l);
    }
    WEIR_LIST_EACH(&sim->servers, it)
    {
        weir_free(WEIR_CONTAINER_OF(it, struct sim_server, link));
    }
    WEIR_LIST_EACH(&sim->hosts, it)
    {
        host_free(WEIR_CONTAINER_OF(it, struct sim_host, link));
    }
    weir_free(sim->by_sock);
}
