/* Local replies as the connection manager's local_reply_config rewrites them. */
#ifndef WEIR_PROXY_LOCAL_REPLY_H
#define WEIR_PROXY_LOCAL_REPLY_H

#include "proxy/conf_ctx.h"
#include "proxy/stream.h"

struct weir_local_reply_conf;

/** What mappers may change. */
struct weir_local_reply_text {
    uint32_t status;
    struct weir_slice body;
    struct weir_slice content_type;
};

/** Reads a LocalReplyConfig. Faults to ctx->config. */
WEIR_MUST_CHECK enum weir_err weir_local_reply_conf_new(struct weir_conf_ctx *ctx, const ProtobufCMessage *msg,
                                                        struct weir_local_reply_conf **ret);
/** The first mapper whose filter matches, then the format of the body. Headers to add go into s->response_headers; texts live in
 * the stream's arena. */
void weir_local_reply_rewrite(const struct weir_local_reply_conf *conf, struct weir_stream *s, struct weir_local_reply_text *text);

#endif
