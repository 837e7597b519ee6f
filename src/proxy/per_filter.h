/* typed_per_filter_config: what a route, virtual host or weighted cluster wants a filter to do otherwise. */
#ifndef WEIR_PROXY_PER_FILTER_H
#define WEIR_PROXY_PER_FILTER_H

#include "base/err.h"
#include "proxy/route.h"

/** Reads the `n` entries of such a map (all its messages have one layout: key, Any). `*ret` is NULL for an empty one.
 *  WEIR_ERR_INVALID: reported, all of it. */
WEIR_MUST_CHECK enum weir_err weir_per_filter_new(struct weir_conf_ctx *ctx, void *const *entries, size_t n,
                                                  const struct weir_per_filter **ret);

#endif
