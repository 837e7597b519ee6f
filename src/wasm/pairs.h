/* Header maps on the wire between host and guest: u32 count, count times {u32 name length, u32 value length}, then each name
 * and value with a NUL after it; little-endian. An empty map is no bytes at all. */
#ifndef WEIR_WASM_PAIRS_H
#define WEIR_WASM_PAIRS_H

#include "wasm/host_ops.h"

/** Bytes that the map takes on the wire; 0 for an empty one and for one that does not fit 32 bits. */
size_t weir_pairs_size(const struct weir_wasm_pairs *pairs);
/** Writes exactly weir_pairs_size bytes. */
void weir_pairs_write(const struct weir_wasm_pairs *pairs, char *out);
/** Reads at most `max` pairs; names and values point into `data`. No bytes: no pairs.
 *  Errors: SYNTAX (lengths beyond the data, bytes left over, a NUL missing), LIMIT (limits.h). */
WEIR_MUST_CHECK enum weir_err weir_pairs_read(struct weir_slice data, struct weir_wasm_pair *out, uint32_t max, uint32_t *ret_n);

#endif
