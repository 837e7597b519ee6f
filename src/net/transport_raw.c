/* The transport without transformation: recv and writev. Reads go into the loop's current block, which many connections share as long as it
 * has room; what arrived stays there, uncopied, for as long as a buffer refers to it. */
#include "net/transport.h"

#include "base/mem.h"

#define IOVECS        32
#define READ_ROOM_MIN 4096 /* less room in the block: the next read starts a new one */

static struct weir_transport *raw_create(const struct weir_transport_factory *factory, struct weir_loop *loop,
                                         struct weir_slice sni, struct weir_slice alpn);

static void raw_start(struct weir_transport *t WEIR_UNUSED)
{
}

static bool raw_ready(const struct weir_transport *t WEIR_UNUSED)
{
    return true;
}

static struct weir_transport_result raw_read(struct weir_transport *t, struct weir_buf *into, size_t max)
{
    struct weir_loop *loop = t->io->loop;
    struct weir_transport_result r = {0};
    while (r.bytes < max) {
        size_t room;
        char *space = weir_loop_read_space(loop, READ_ROOM_MIN, &room);
        size_t len = WEIR_MIN(room, max - r.bytes);
        ssize_t n = loop->ops->recv(loop, t->io->sock, space, len, &r.err);
        if (n <= 0) {
            r.eof = n == 0;
            r.err = r.err == WEIR_ERR_AGAIN ? WEIR_OK : r.err;
            return r;
        }
        weir_buf_add_block(into, weir_loop_read_used(loop, (size_t)n), weir_slice(space, (size_t)n));
        r.bytes += (size_t)n;
        if ((size_t)n < len) { /* that was all; what comes later makes an event of its own */
            return r;
        }
    }
    return r; /* what is left in the socket makes another event */
}

static struct weir_transport_result raw_write(struct weir_transport *t, struct weir_buf *from)
{
    struct weir_loop *loop = t->io->loop;
    struct weir_transport_result r = {0};
    struct iovec iov[IOVECS];
    while (from->len > 0) {
        size_t len;
        int n_iov = weir_buf_iovecs(from, iov, IOVECS, &len);
        ssize_t n = loop->ops->writev(loop, t->io->sock, iov, n_iov, &r.err);
        if (n < 0) {
            r.want_write = r.err == WEIR_ERR_AGAIN;
            r.err = r.want_write ? WEIR_OK : r.err;
            return r;
        }
        weir_buf_drain(from, (size_t)n);
        r.bytes += (size_t)n;
        if ((size_t)n < len) {
            r.want_write = true;
            return r;
        }
    }
    return r;
}

static void raw_shutdown_write(struct weir_transport *t)
{
    t->io->loop->ops->shutdown_write(t->io->loop, t->io->sock);
}

static void raw_free(struct weir_transport *t)
{
    weir_free(t);
}

static struct weir_slice raw_alpn(const struct weir_transport *t WEIR_UNUSED)
{
    return WEIR_S_NONE;
}

static const struct weir_tls_info *raw_tls(const struct weir_transport *t WEIR_UNUSED)
{
    return NULL;
}

static const char *raw_failure(const struct weir_transport *t WEIR_UNUSED)
{
    return "";
}

static const struct weir_transport_ops RAW_OPS = {
    .name = "raw",
    .start = raw_start,
    .ready = raw_ready,
    .read = raw_read,
    .write = raw_write,
    .shutdown_write = raw_shutdown_write,
    .free = raw_free,
    .alpn = raw_alpn,
    .tls = raw_tls,
    .failure = raw_failure,
};

static struct weir_transport *raw_create(const struct weir_transport_factory *factory WEIR_UNUSED,
                                         struct weir_loop *loop WEIR_UNUSED,
                                         struct weir_slice sni WEIR_UNUSED,
                                         struct weir_slice alpn WEIR_UNUSED)
{
    struct weir_transport *t = WEIR_NEW(struct weir_transport);
    t->ops = &RAW_OPS;
    return t;
}

static void factory_free(struct weir_transport_factory *factory WEIR_UNUSED)
{
}

struct weir_transport_factory weir_transport_raw = {
    .name = "envoy.transport_sockets.raw_buffer",
    .create = raw_create,
    .free = factory_free,
};
