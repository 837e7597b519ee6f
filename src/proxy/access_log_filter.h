/* Access-log filters: which finished requests a logger is told of. */
#ifndef WEIR_PROXY_ACCESS_LOG_FILTER_H
#define WEIR_PROXY_ACCESS_LOG_FILTER_H

#include "proxy/access_log.h"

struct weir_log_filter; /* immutable, in ctx->arena */

/** Reads an Envoy__Config__Accesslog__V3__AccessLogFilter. Faults to ctx->config, all of them: WEIR_ERR_INVALID then. */
WEIR_MUST_CHECK enum weir_err weir_log_filter_new(struct weir_conf_ctx *ctx, const void *filter,
                                                  const struct weir_log_filter **ret);
/** Is the request to be logged? */
bool weir_log_filter_match(const struct weir_log_filter *filter, const struct weir_log_context *c);

#endif
