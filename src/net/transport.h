/* A transport turns a socket's readiness into plain bytes and back: raw, TLS, later others. No policy: connections own that. */
#ifndef WEIR_NET_TRANSPORT_H
#define WEIR_NET_TRANSPORT_H

#include "base/buf.h"
#include "event/loop.h"
#include "net/addr.h"

struct weir_transport;
struct weir_tls_info; /* facts of a TLS session: net/tls_info.h */

/** What one read or write did. */
struct weir_transport_result {
    size_t bytes;        /* moved into or out of the buffer */
    bool eof;            /* read: the peer's orderly end */
    bool want_read;      /* a write that must see bytes first (TLS) */
    bool want_write;     /* a read that must write first (TLS), or a write that filled the socket */
    bool more;           /* read: stopped by `max`, bytes may be waiting inside the transport */
    enum weir_err err;   /* OK, RESET, CLOSED, SYNTAX (TLS protocol), DENIED (verification), IO, TIMEOUT */
};

struct weir_transport_ops {
    const char *name;
    /** TCP is connected or accepted: may begin a handshake. */
    void (*start)(struct weir_transport *t);
    /** True once plain bytes may flow (raw: at once). */
    bool (*ready)(const struct weir_transport *t);
    struct weir_transport_result (*read)(struct weir_transport *t, struct weir_buf *into, size_t max);
    /** Writes and drains from `from` what the socket takes. */
    struct weir_transport_result (*write)(struct weir_transport *t, struct weir_buf *from);
    /** Tells the peer that no more will be sent (FIN; TLS: close_notify then FIN). */
    void (*shutdown_write)(struct weir_transport *t);
    /** Frees the transport. The socket is closed by its connection. */
    void (*free)(struct weir_transport *t);
    /** Negotiated ALPN protocol, or absent. */
    struct weir_slice (*alpn)(const struct weir_transport *t);
    /** TLS facts, or NULL for plain text. Borrowed until free. */
    const struct weir_tls_info *(*tls)(const struct weir_transport *t);
    /** Why it failed, a static or transport-owned text; "" if it did not. */
    const char *(*failure)(const struct weir_transport *t);
};

struct weir_transport {
    const struct weir_transport_ops *ops;
    struct weir_io *io; /* the connection's; set before start */
};

/** Creates transports: one per listener filter chain or cluster; immutable, shared by workers. */
struct weir_transport_factory {
    const char *name;
    bool secure;
    /** `sni`, `alpn` override for upstream (absent = the factory's own). */
    struct weir_transport *(*create)(const struct weir_transport_factory *factory, struct weir_loop *loop,
                                     struct weir_slice sni, struct weir_slice alpn);
    void (*free)(struct weir_transport_factory *factory);
};

extern struct weir_transport_factory weir_transport_raw;

#endif
