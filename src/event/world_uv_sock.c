/* The real world's sockets: thin wrappers that make every socket non-blocking and close-on-exec, hide EINTR, and turn errno into an enum
 * weir_err. Nothing here raises SIGPIPE. */
#include "event/world_uv_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define ACCEPT_TRIES 32

static enum weir_err err_of(int error)
{
    switch (error) {
    case EAGAIN:
    case EINPROGRESS:
        return WEIR_ERR_AGAIN;
    case ECONNRESET:
        return WEIR_ERR_RESET;
    case EPIPE:
    case ENOTCONN:
        return WEIR_ERR_CLOSED;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        return WEIR_ERR_LIMIT;
    case ETIMEDOUT:
        return WEIR_ERR_TIMEOUT;
    case EACCES:
    case EPERM:
        return WEIR_ERR_DENIED;
    case EADDRINUSE:
        return WEIR_ERR_EXISTS;
    case EADDRNOTAVAIL:
    case ENOENT:
        return WEIR_ERR_NOT_FOUND;
    case EAFNOSUPPORT:
        return WEIR_ERR_UNSUPPORTED;
    default:
        return WEIR_ERR_IO;
    }
}

static int set_int(weir_sock sock, int level, int name, int value)
{
    return setsockopt(sock, level, name, &value, sizeof(value));
}

static bool is_tcp(const struct sockaddr *addr)
{
    return addr->sa_family == AF_INET || addr->sa_family == AF_INET6;
}

static int new_socket(int family)
{
    return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static bool listen_options_ok(weir_sock sock, const struct sockaddr *addr,
                              const struct weir_listen_opts *opts)
{
    bool v6 = addr->sa_family == AF_INET6;
    int ip_level = v6 ? IPPROTO_IPV6 : IPPROTO_IP;
    if (!is_tcp(addr)) {
        return true;
    }
    return set_int(sock, SOL_SOCKET, SO_REUSEADDR, 1) == 0 &&
           (!opts->reuse_port || set_int(sock, SOL_SOCKET, SO_REUSEPORT, 1) == 0) &&
           (!opts->transparent || set_int(sock, ip_level, v6 ? IPV6_TRANSPARENT : IP_TRANSPARENT, 1) == 0) &&
           (!opts->freebind || set_int(sock, ip_level, v6 ? IPV6_FREEBIND : IP_FREEBIND, 1) == 0) &&
           (!v6 || set_int(sock, IPPROTO_IPV6, IPV6_V6ONLY, opts->ipv6_only) == 0) &&
           set_int(sock, IPPROTO_TCP, TCP_NODELAY, 1) == 0; /* accepted sockets inherit it */
}

/* The path of a Unix socket in the file system, or NULL. */
static const char *unix_path(const struct sockaddr *addr)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)(const void *)addr;
    return addr->sa_family == AF_UNIX && un->sun_path[0] != '\0' ? un->sun_path : NULL;
}

/* Removes what a process that ended left behind; never anything else than a socket. */
static void remove_stale_socket(const char *path)
{
    struct stat st;
    if (path && lstat(path, &st) == 0 && S_ISSOCK(st.st_mode)) {
        (void)unlink(path);
    }
}

enum weir_err weir_uv_listen(struct weir_loop *loop WEIR_UNUSED, const struct sockaddr *addr,
                             socklen_t addr_len, const struct weir_listen_opts *opts, weir_sock *ret)
{
    int sock = new_socket(addr->sa_family);
    if (sock < 0) {
        return err_of(errno);
    }
    const char *path = unix_path(addr);
    remove_stale_socket(path);
    bool ok = listen_options_ok(sock, addr, opts) && bind(sock, addr, addr_len) == 0 &&
              (!path || opts->unix_mode == 0 || chmod(path, opts->unix_mode) == 0) &&
              listen(sock, opts->backlog > 0 ? opts->backlog : SOMAXCONN) == 0;
    if (!ok) {
        enum weir_err err = err_of(errno);
        close(sock);
        return err;
    }
    *ret = sock;
    return WEIR_OK;
}

/* Errors of a connection that died while it waited, not of the listener: accept(2), "Error handling". */
static bool is_dead_connection(int error)
{
    static const int ERRORS[] = {EINTR,     ECONNABORTED, EPERM,        EPROTO,     ENETDOWN,   ENOPROTOOPT,
                                 EHOSTDOWN, ENONET,       EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH};
    for (size_t i = 0; i < WEIR_COUNTOF(ERRORS); i++) {
        if (error == ERRORS[i]) {
            return true;
        }
    }
    return false;
}

void weir_uv_keep_reserve(struct weir_uv *world)
{
    if (world->loop->id == 0 && world->reserve_fd < 0) {
        world->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
}

static bool give_up_reserve(struct weir_uv *world, int error)
{
    if ((error != EMFILE && error != ENFILE) || world->reserve_fd < 0) {
        return false;
    }
    (void)close(world->reserve_fd);
    world->reserve_fd = -1;
    return true;
}

enum weir_err weir_uv_accept(struct weir_loop *loop, weir_sock listener, struct sockaddr_storage *ret_peer,
                             socklen_t *ret_peer_len, weir_sock *ret)
{
    for (int i = 0; i < ACCEPT_TRIES; i++) {
        *ret_peer_len = sizeof(*ret_peer);
        int sock = accept4(listener, (struct sockaddr *)ret_peer, ret_peer_len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (sock >= 0) {
            *ret = sock;
            return WEIR_OK;
        }
        if (!is_dead_connection(errno) && !give_up_reserve(weir_uv_of(loop), errno)) {
            return err_of(errno);
        }
    }
    return WEIR_ERR_AGAIN; /* so many in a row: the others on this loop first */
}

enum weir_err weir_uv_connect(struct weir_loop *loop WEIR_UNUSED, const struct sockaddr *addr,
                              socklen_t addr_len, const struct sockaddr *bind_to, socklen_t bind_len,
                              weir_sock *ret, int *ret_errno)
{
    int sock = new_socket(addr->sa_family);
    if (sock < 0) {
        *ret_errno = errno;
        return err_of(errno);
    }
    bool tcp = is_tcp(addr);
    /* The port is chosen by connect, so that one local address serves more connections than it has ports. */
    bool ok = (!tcp || set_int(sock, IPPROTO_TCP, TCP_NODELAY, 1) == 0) &&
              (!bind_to || !tcp || set_int(sock, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1) == 0) &&
              (!bind_to || bind(sock, bind_to, bind_len) == 0) &&
              (connect(sock, addr, addr_len) == 0 || errno == EINPROGRESS || errno == EINTR);
    if (!ok) {
        *ret_errno = errno;
        close(sock);
        return err_of(*ret_errno);
    }
    *ret = sock;
    return WEIR_OK;
}

enum weir_err weir_uv_connect_result(struct weir_loop *loop WEIR_UNUSED, weir_sock sock, int *ret_errno)
{
    int error = 0;
    socklen_t len = sizeof(error);
    if (getsockopt(sock, SOL_SOCKET, SO_ERROR, &error, &len) < 0) {
        error = errno;
    }
    *ret_errno = error;
    return error == 0 ? WEIR_OK : err_of(error);
}

ssize_t weir_uv_recv(struct weir_loop *loop WEIR_UNUSED, weir_sock sock, void *buf, size_t len,
                     enum weir_err *ret_err)
{
    ssize_t n;
    do {
        n = recv(sock, buf, len, 0);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        *ret_err = err_of(errno);
    }
    return n;
}

ssize_t weir_uv_writev(struct weir_loop *loop WEIR_UNUSED, weir_sock sock, const struct iovec *iov, int n,
                       enum weir_err *ret_err)
{
    struct msghdr msg = {.msg_iovlen = (size_t)n};
    ssize_t sent;
    msg.msg_iov = (struct iovec *)(uintptr_t)iov; /* sendmsg only reads it */
    do {
        sent = n == 1 ? send(sock, iov->iov_base, iov->iov_len, MSG_NOSIGNAL)
                      : sendmsg(sock, &msg, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0) {
        *ret_err = err_of(errno);
    }
    return sent;
}

void weir_uv_shutdown_write(struct weir_loop *loop WEIR_UNUSED, weir_sock sock)
{
    (void)shutdown(sock, SHUT_WR); /* fails only when the peer is gone, which the next read tells */
}

void weir_uv_close(struct weir_loop *loop, weir_sock sock, bool reset)
{
    if (reset) {
        struct linger now = {.l_onoff = 1, .l_linger = 0};
        (void)setsockopt(sock, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    }
    (void)close(sock);
    weir_uv_keep_reserve(weir_uv_of(loop));
}

enum weir_err weir_uv_local_addr(struct weir_loop *loop WEIR_UNUSED, weir_sock sock,
                                 struct sockaddr_storage *ret, socklen_t *ret_len)
{
    *ret_len = sizeof(*ret);
    return getsockname(sock, (struct sockaddr *)ret, ret_len) == 0 ? WEIR_OK : err_of(errno);
}

enum weir_err weir_uv_set_option(struct weir_loop *loop WEIR_UNUSED, weir_sock sock, int level, int name,
                                 int value)
{
    return set_int(sock, level, name, value) == 0 ? WEIR_OK : err_of(errno);
}
