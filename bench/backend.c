/* The service behind the proxies of the benchmark: answers every request head with the same response, as cheaply as it can.
 * bench_backend PORT BODY_BYTES. Request bodies are not supported. */
#define _GNU_SOURCE /* accept4 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static char *response;
static size_t response_len;

static void make_response(size_t body)
{
    response = malloc(body + 256);
    if (!response) exit(1);
    int head = snprintf(response, 256,
                        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: %zu\r\nserver: backend\r\n"
                        "date: Mon, 23 Nov 2026 00:00:00 GMT\r\n\r\n", body);
    memset(response + head, 'x', body);
    response_len = (size_t)head + body;
}

static void send_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
        if (n <= 0) return;
        data += n, len -= (size_t)n;
    }
}

/* Request heads end in an empty line; those of the load generator come whole. */
static void answer(int fd)
{
    char data[65537];
    ssize_t n = recv(fd, data, sizeof data - 1, MSG_DONTWAIT);
    if (n == 0) close(fd);
    if (n <= 0) return;
    data[n] = 0;
    for (char *end = data; (end = strstr(end, "\r\n\r\n")); end += 4) send_all(fd, response, response_len);
}

int main(int argc, char **argv)
{
    if (argc != 3) return fprintf(stderr, "bench_backend PORT BODY_BYTES\n"), 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((unsigned short)strtol(argv[1], NULL, 10))};
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&addr, sizeof addr) < 0 || listen(listener, 4096) < 0) return perror("bench_backend"), 1;
    signal(SIGPIPE, SIG_IGN);
    make_response((size_t)strtoul(argv[2], NULL, 10));
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        struct epoll_event events[256];
        int n = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd != listener) {
                answer(events[i].data.fd);
                continue;
            }
            int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
            if (fd < 0) continue;
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            event = (struct epoll_event){.events = EPOLLIN, .data.fd = fd};
            epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
        }
    }
}
