/* Network filters: what handles a downstream connection's bytes. A filter chain ends in a terminal one (the HTTP connection
 * manager, tcp_proxy …); others come before it and may stop, change or refuse bytes. */
#ifndef WEIR_PROXY_NETWORK_FILTER_H
#define WEIR_PROXY_NETWORK_FILTER_H

#include <protobuf-c/protobuf-c.h>

#include "net/conn.h"
#include "proxy/worker.h"

struct weir_conf_ctx;
struct weir_down;       /* proxy/listener.h: an accepted connection */
struct weir_net_filter;

enum weir_net_verdict { WEIR_NET_CONTINUE, WEIR_NET_STOP };

struct weir_net_filter_ops {
    const char *name;
    const char *const *aliases;
    const char *type;
    const struct weir_supported_fields *fields; /* what is implemented of `type`, for --print-feature-table; or NULL */
    bool terminal;
    uint32_t conn_size;
    enum weir_err (*parse)(struct weir_conf_ctx *ctx, const ProtobufCMessage *msg, void **ret_conf);
    enum weir_net_verdict (*on_new_connection)(struct weir_net_filter *f);
    /** `data`: a terminal filter drains what it consumes; others change it in place. */
    enum weir_net_verdict (*on_data)(struct weir_net_filter *f, struct weir_buf *data, bool eof);
    /** Bytes on their way to the peer. */
    enum weir_net_verdict (*on_write)(struct weir_net_filter *f, struct weir_buf *data, bool eof);
    void (*on_watermark)(struct weir_net_filter *f, bool above);
    /** Stop taking new work; finish what runs (terminal filters). */
    void (*drain)(struct weir_net_filter *f);
    /** The connection is closed; exactly once. */
    void (*on_close)(struct weir_net_filter *f, enum weir_conn_end end);
};

struct weir_net_filter {
    const struct weir_net_filter_ops *ops;
    const void *conf;
    struct weir_down *down;
    void *state; /* conn_size bytes */
    uint8_t index;
};

/** Goes on after STOP: the filters behind this one are told of the connection and offered what is in the buffer. Not from inside
 * its own callbacks. */
void weir_net_filter_continue(struct weir_net_filter *f);
/** Writes to the peer, through the filters before this one. */
void weir_net_filter_write(struct weir_net_filter *f, struct weir_buf *data, bool eof);

struct weir_net_filter_registry {
    const struct weir_net_filter_ops *const *v;
    uint32_t n;
};
/** By message type, else by name or alias; NULL. */
const struct weir_net_filter_ops *weir_net_filter_registry_find(const struct weir_net_filter_registry *reg, struct weir_slice type,
                                                                struct weir_slice name);

#endif
