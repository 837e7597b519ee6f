/* The real world's resolver: c-ares, its sockets and time-outs on the loop. c-ares may answer before ares_getaddrinfo returns (literal
 * addresses, the hosts file), so every answer is kept in the lookup and handed over by a task at the end of the turn. */
#include "event/world_uv_priv.h"

#include <ares.h>
#include <netdb.h>
#include <netinet/in.h>

#include "base/log.h"
#include "base/mem.h"

#define HOST_MAX       255
#define TRY_TIMEOUT_MS 2000
#define TRIES          3

struct dns_sock {
    struct weir_io io; /* the socket is c-ares's: watched here, closed there */
    struct weir_list link;
    struct weir_uv_dns *dns;
};

struct lookup {
    struct weir_uv_dns *dns;
    struct weir_list link;
    struct weir_task deliver;
    void (*done)(void *arg, enum weir_err err, const struct weir_resolved *result); /* NULL once cancelled */
    void *arg;
    enum weir_err err;
    struct weir_resolved *result;
    bool answered;
    bool localhost; /* "localhost", asked for IPv4 too: see loopback */
};

struct weir_uv_dns {
    struct weir_loop *loop;
    ares_channel channel;
    struct weir_list socks;
    struct weir_list lookups;
    struct weir_timer timer;
};

static void free_plain(void *arg WEIR_UNUSED, void *ptr)
{
    weir_free(ptr);
}

/* ---- c-ares's sockets and clock ---- */

static void arm_timer(struct weir_uv_dns *dns)
{
    struct timeval wait;
    if (!ares_timeout(dns->channel, NULL, &wait)) {
        weir_timer_stop(dns->loop, &dns->timer);
        return;
    }
    weir_timer_set(dns->loop, &dns->timer, (uint64_t)wait.tv_sec * 1000 + (uint64_t)wait.tv_usec / 1000 + 1);
}

static void on_timer(struct weir_timer *timer)
{
    struct weir_uv_dns *dns = WEIR_CONTAINER_OF(timer, struct weir_uv_dns, timer);
    ares_process_fd(dns->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    arm_timer(dns);
}

static void on_sock(struct weir_io *io, uint32_t events)
{
    struct weir_uv_dns *dns = WEIR_CONTAINER_OF(io, struct dns_sock, io)->dns;
    ares_socket_t sock = io->sock;
    bool readable = events & (WEIR_IO_READ | WEIR_IO_ERROR);
    bool writable = events & (WEIR_IO_WRITE | WEIR_IO_ERROR);
    ares_process_fd(dns->channel, readable ? sock : ARES_SOCKET_BAD, writable ? sock : ARES_SOCKET_BAD);
    arm_timer(dns);
}

static struct dns_sock *find_sock(struct weir_uv_dns *dns, ares_socket_t sock)
{
    WEIR_LIST_EACH(&dns->socks, it)
    {
        struct dns_sock *s = WEIR_CONTAINER_OF(it, struct dns_sock, link);
        if (s->io.sock == sock) {
            return s;
        }
    }
    return NULL;
}

static void on_sock_state(void *arg, ares_socket_t sock, int readable, int writable)
{
    struct weir_uv_dns *dns = arg;
    struct dns_sock *s = find_sock(dns, sock);
    uint32_t events = (readable ? WEIR_IO_READ : 0) | (writable ? WEIR_IO_WRITE : 0);
    if (!s && events == 0) {
        return;
    }
    if (!s) {
        s = WEIR_NEW(struct dns_sock);
        s->dns = dns;
        weir_io_init(&s->io, dns->loop, on_sock);
        s->io.sock = sock;
        weir_list_push_back(&dns->socks, &s->link);
    }
    if (events == 0) { /* c-ares is about to close it */
        dns->loop->ops->unwatch(&s->io);
        weir_list_unlink(&s->link);
        weir_loop_defer_free(dns->loop, free_plain, NULL, s);
        return;
    }
    if (weir_io_set(&s->io, events)) {
        WEIR_LOG(WARN, DNS, "cannot watch a resolver's socket"); /* the lookup ends with c-ares's time-out */
    }
}

/* ---- lookups ---- */

static void lookup_free(struct lookup *l)
{
    weir_list_unlink(&l->link);
    weir_task_cancel(&l->deliver);
    weir_free(l->result);
    weir_free(l);
}

static void on_deliver(struct weir_task *task)
{
    struct lookup *l = WEIR_CONTAINER_OF(task, struct lookup, deliver);
    if (l->done) {
        l->done(l->arg, l->err, l->result);
    }
    lookup_free(l);
}

static enum weir_err err_of(int status)
{
    switch (status) {
    case ARES_SUCCESS:
        return WEIR_OK;
    case ARES_ENOTFOUND:
    case ARES_ENODATA:
    case ARES_ENONAME:
        return WEIR_ERR_NOT_FOUND;
    case ARES_ETIMEOUT:
        return WEIR_ERR_TIMEOUT;
    case ARES_EBADNAME:
        return WEIR_ERR_SYNTAX;
    case ARES_ENOMEM:
        return WEIR_ERR_NOMEM;
    default:
        return WEIR_ERR_IO;
    }
}

static struct weir_resolved *copy_result(const struct ares_addrinfo *info)
{
    uint32_t n = 0;
    for (const struct ares_addrinfo_node *node = info->nodes; node && n < WEIR_RESOLVED_MAX;
         node = node->ai_next) {
        n++;
    }
    struct weir_resolved *result = weir_zalloc(sizeof(*result) + n * sizeof(result->v[0]));
    result->ttl_s = UINT32_MAX;
    for (const struct ares_addrinfo_node *node = info->nodes; node && result->n < n; node = node->ai_next) {
        struct weir_resolved_addr *a = &result->v[result->n++];
        a->len = WEIR_MIN(node->ai_addrlen, (socklen_t)sizeof(a->addr));
        memcpy(&a->addr, node->ai_addr, a->len);
        a->ttl_s = node->ai_ttl > 0 ? (uint32_t)node->ai_ttl : 0;
        result->ttl_s = WEIR_MIN(result->ttl_s, a->ttl_s);
    }
    return result;
}

/* localhost is this machine, whether or not a hosts file or a name server says so (RFC 6761 6.3). Not ::1: with "IPv6 first" a service
 * that listens on 127.0.0.1 alone would not be found. */
static struct weir_resolved *loopback(void)
{
    struct weir_resolved *result = weir_zalloc(sizeof(*result) + sizeof(result->v[0]));
    struct sockaddr_in addr = {.sin_family = AF_INET};
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    memcpy(&result->v[0].addr, &addr, sizeof(addr));
    result->v[0].len = sizeof(addr);
    result->v[0].ttl_s = result->ttl_s = UINT32_MAX;
    result->n = 1;
    return result;
}

static void on_answer(void *arg, int status, int timeouts WEIR_UNUSED, struct ares_addrinfo *info)
{
    struct lookup *l = arg;
    if (status == ARES_EDESTRUCTION) { /* weir_uv_dns_fini frees the lookups */
        return;
    }
    l->answered = true;
    l->err = err_of(status);
    if (info) {
        if (!l->err && info->nodes) {
            l->result = copy_result(info);
        } else if (!l->err) {
            l->err = WEIR_ERR_NOT_FOUND;
        }
        ares_freeaddrinfo(info);
    }
    if (l->err && l->localhost) {
        l->result = loopback();
        l->err = WEIR_OK;
    }
    weir_loop_at_end(l->dns->loop, &l->deliver);
}

static struct weir_uv_dns *get_dns(struct weir_loop *loop)
{
    struct weir_uv *world = weir_uv_of(loop);
    if (world->dns) {
        return world->dns;
    }
    struct weir_uv_dns *dns = WEIR_NEW(struct weir_uv_dns);
    struct ares_options options = {
        .timeout = TRY_TIMEOUT_MS, .tries = TRIES, .sock_state_cb = on_sock_state, .sock_state_cb_data = dns};
    dns->loop = loop;
    weir_list_init(&dns->socks);
    weir_list_init(&dns->lookups);
    weir_timer_init(&dns->timer, on_timer);
    int status = ares_library_init(ARES_LIB_INIT_ALL); /* counts its calls */
    if (status == ARES_SUCCESS) {
        status = ares_init_options(&dns->channel, &options,
                                   ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
    }
    if (status != ARES_SUCCESS) {
        WEIR_FATAL("cannot start the resolver: %s", ares_strerror(status));
    }
    world->dns = dns;
    return dns;
}

void *weir_uv_resolve(struct weir_loop *loop, struct weir_slice host, int family,
                      void (*done)(void *arg, enum weir_err err, const struct weir_resolved *result),
                      void *arg)
{
    struct weir_uv_dns *dns = get_dns(loop);
    struct lookup *l = WEIR_NEW(struct lookup);
    char name[HOST_MAX + 1];
    l->dns = dns;
    l->done = done;
    l->arg = arg;
    weir_task_init(&l->deliver, on_deliver);
    weir_list_push_back(&dns->lookups, &l->link);
    if (host.len == 0 || host.len > HOST_MAX || memchr(host.ptr, '\0', host.len)) {
        l->answered = true;
        l->err = WEIR_ERR_SYNTAX;
        weir_loop_at_end(loop, &l->deliver);
        return l;
    }
    l->localhost = weir_slice_eq_nocase(host, WEIR_S("localhost")) && family != AF_INET6;
    memcpy(name, host.ptr, host.len);
    name[host.len] = '\0';
    struct ares_addrinfo_hints hints = {.ai_family = family, .ai_socktype = SOCK_STREAM};
    ares_getaddrinfo(dns->channel, name, NULL, &hints, on_answer, l);
    arm_timer(dns);
    return l;
}

void weir_uv_resolve_cancel(struct weir_loop *loop WEIR_UNUSED, void *handle)
{
    struct lookup *l = handle;
    l->done = NULL; /* c-ares cannot cancel one lookup: its answer is dropped */
    if (l->answered) {
        lookup_free(l);
    }
}

void weir_uv_dns_fini(struct weir_uv *world)
{
    struct weir_uv_dns *dns = WEIR_TAKE(world->dns);
    if (!dns) {
        return;
    }
    ares_destroy(dns->channel);
    ares_library_cleanup();
    WEIR_LIST_EACH(&dns->lookups, it)
    {
        lookup_free(WEIR_CONTAINER_OF(it, struct lookup, link));
    }
    weir_timer_stop(dns->loop, &dns->timer);
    weir_loop_turn_end(dns->loop);
    weir_free(dns);
}

enum weir_err weir_world_uv_dns_servers(struct weir_loop *loop, const char *servers)
{
    return ares_set_servers_ports_csv(get_dns(loop)->channel, servers) == ARES_SUCCESS ? WEIR_OK
                                                                                       : WEIR_ERR_SYNTAX;
}
