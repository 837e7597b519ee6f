/* Typed values of dynamic metadata: reading configured ones, looking into them, printing them. */
#ifndef WEIR_PROXY_VALUE_H
#define WEIR_PROXY_VALUE_H

#include "base/str.h"
#include "proxy/stream_info.h"

/** The member `key` of a struct; NULL if there is none or `value` (which may be NULL) is no struct. */
const struct weir_value *weir_value_get(const struct weir_value *value, struct weir_slice key);
/** Appends compact JSON; NULL prints null. Nesting beyond 32 levels prints null. */
void weir_value_print_json(const struct weir_value *value, struct weir_str *out);
/** A copy in `arena` of a Google__Protobuf__Value (strings are borrowed from it). */
const struct weir_value *weir_value_from_proto(struct weir_arena *arena, const void *value);
/** Looks up filter_metadata[ns] and then each of `path` in an Envoy__Config__Core__V3__Metadata (NULL = empty): a copy in `arena`, or
 *  NULL. */
const struct weir_value *weir_metadata_find(struct weir_arena *arena, const void *metadata,
                                            const struct weir_slice *path, uint32_t n);

#endif
