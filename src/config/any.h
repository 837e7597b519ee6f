/* Messages that come as bytes, and the content of their Any messages. Private to src/config. */
#ifndef WEIR_CONFIG_ANY_H
#define WEIR_CONFIG_ANY_H

#include "config/index.h"

/** Unpacks `bytes` and everything in its Any messages, and notes where each stands (without a text, so with
 * paths alone).
 *  Errors: WEIR_ERR_INVALID, reported at `source`. */
WEIR_MUST_CHECK enum weir_err weir_any_unpack(struct weir_config *conf, uint16_t source,
                                              struct weir_slice bytes, const ProtobufCMessageDescriptor *type,
                                              ProtobufCMessage **ret);

#endif
