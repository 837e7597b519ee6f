/* Reading what a configuration gives as a DataSource: a file, text, bytes or an environment variable. Main thread. */
#ifndef WEIR_PROXY_DATA_SOURCE_H
#define WEIR_PROXY_DATA_SOURCE_H

#include "proxy/conf_ctx.h"

/** Reads an Envoy__Config__Core__V3__DataSource of at most `max` bytes into ctx->arena (inline text is borrowed from the message).
 *  A file is noted (weir_conf_note_file).
 *  Errors: WEIR_ERR_INVALID, reported at the message: no such file, too large, nothing given, variable not set. */
WEIR_MUST_CHECK enum weir_err weir_data_source_read(struct weir_conf_ctx *ctx, const void *data_source,
                                                    size_t max, struct weir_slice *ret);

#endif
