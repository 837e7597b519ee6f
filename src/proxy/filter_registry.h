/* What readers of filter lists share. */
#ifndef WEIR_PROXY_FILTER_REGISTRY_H
#define WEIR_PROXY_FILTER_REGISTRY_H

#include "config/config.h"
#include "proxy/conf_ctx.h"
#include "proxy/network_filter.h"

/** The configuration of an extension that `owner` names without a type: an empty message of `type`, with a warning that shows what
 * to write in `typed_config`. NULL for an extension whose type is not in the schema. */
const ProtobufCMessage *weir_conf_empty_message(struct weir_conf_ctx *ctx, const ProtobufCMessage *owner, const char *type);

#endif
