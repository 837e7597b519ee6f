/* Which filter chain of a listener takes a connection (filter_chain_match). */
#ifndef WEIR_PROXY_CHAIN_MATCH_H
#define WEIR_PROXY_CHAIN_MATCH_H

#include "proxy/conf_ctx.h"
#include "proxy/listener.h"

/** What is known of a connection before its filter chain. */
struct weir_chain_facts {
    const struct weir_addr *local, *remote, *direct_remote;
    struct weir_slice server_name;        /* of the TLS hello, lower-case */
    struct weir_slice transport_protocol; /* "raw_buffer" or "tls" */
    const struct weir_slice *alpn;
    uint32_t n_alpn;
};

/** Reads an Envoy__Config__Listener__V3__FilterChainMatch; NULL stays NULL. Faults to ctx->config. */
WEIR_MUST_CHECK enum weir_err weir_chain_match_new(struct weir_conf_ctx *ctx, const void *msg, const struct weir_chain_match **ret);
/** The chain that matches, else the default one, else NULL. */
const struct weir_filter_chain *weir_chain_match_find(const struct weir_listener *listener, const struct weir_chain_facts *facts);
/** Do the two match the same connections? NULL matches everything. */
bool weir_chain_match_same(const struct weir_chain_match *a, const struct weir_chain_match *b);

#endif
