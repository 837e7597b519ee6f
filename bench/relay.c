/* The floor of the benchmark: the least that a proxy can do. One epoll loop, one backend connection a client connection, bytes are
 * passed on as they are, nothing is parsed. bench_relay PORT BACKEND_PORT */
#define _GNU_SOURCE /* accept4 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* One side of a pair; `other` is the side that its bytes go to. */
struct side {
    int fd;
    struct side *other;
    size_t held; /* bytes in `data` that `fd` did not take yet */
    char data[16384];
};

static int epoll;

static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return addr;
}

static void watch(int fd, void *data, unsigned events, int op)
{
    struct epoll_event event = {.events = events, .data.ptr = data};
    epoll_ctl(epoll, op, fd, &event);
}

static struct side *new_side(int fd)
{
    struct side *side = calloc(1, sizeof *side);
    int on = 1;
    if (!side) exit(1);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    side->fd = fd;
    return side;
}

static void accept_one(int listener, int backend_port)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    struct sockaddr_in addr = loopback(backend_port);
    int up = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(up, (struct sockaddr *)&addr, sizeof addr) < 0) {
        close(fd), close(up);
        return;
    }
    struct side *a = new_side(fd), *b = new_side(up);
    a->other = b, b->other = a;
    watch(fd, a, EPOLLIN, EPOLL_CTL_ADD);
    watch(up, b, EPOLLIN, EPOLL_CTL_ADD);
}

static void end_pair(struct side *side)
{
    close(side->fd), close(side->other->fd);
    free(side->other), free(side);
}

/* Passes what is readable on; false when the pair ended. */
static bool pass(struct side *from)
{
    struct side *to = from->other;
    if (to->held > 0) return true;
    ssize_t n = recv(from->fd, to->data, sizeof to->data, MSG_DONTWAIT);
    if (n <= 0) {
        if (n < 0 && errno == EAGAIN) return true;
        end_pair(from);
        return false;
    }
    ssize_t sent = send(to->fd, to->data, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent == n) return true;
    to->held = (size_t)(n - (sent < 0 ? 0 : sent));
    memmove(to->data, to->data + n - to->held, to->held);
    watch(to->fd, to, EPOLLOUT, EPOLL_CTL_MOD);
    watch(from->fd, from, 0, EPOLL_CTL_MOD);
    return true;
}

static bool flush(struct side *to)
{
    ssize_t sent = send(to->fd, to->data, to->held, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) {
        end_pair(to);
        return false;
    }
    to->held -= (size_t)sent;
    memmove(to->data, to->data + sent, to->held);
    if (to->held == 0) {
        watch(to->fd, to, EPOLLIN, EPOLL_CTL_MOD);
        watch(to->other->fd, to->other, EPOLLIN, EPOLL_CTL_MOD);
    }
    return true;
}

int main(int argc, char **argv)
{
    if (argc != 3) return fprintf(stderr, "bench_relay PORT BACKEND_PORT\n"), 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    struct sockaddr_in addr = loopback((int)strtol(argv[1], NULL, 10));
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&addr, sizeof addr) < 0 || listen(listener, 4096) < 0) return perror("bench_relay"), 1;
    signal(SIGPIPE, SIG_IGN);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    watch(listener, NULL, EPOLLIN, EPOLL_CTL_ADD);
    for (;;) {
        struct epoll_event events[256];
        int n = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < n; i++) {
            struct side *side = events[i].data.ptr;
            struct side *other = side ? side->other : NULL;
            bool alive = true;
            if (!side) accept_one(listener, (int)strtol(argv[2], NULL, 10));
            else if (events[i].events & EPOLLOUT) alive = flush(side);
            else alive = pass(side);
            /* Events of an ended pair that are still in this batch must not be looked at. */
            for (int j = i + 1; !alive && j < n; j++)
                if (events[j].data.ptr == side || events[j].data.ptr == other) events[j] = events[--n], j--;
        }
    }
}
