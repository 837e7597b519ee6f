/* Header maps as guests hand them over. What reads must write back to the same bytes (but for an empty map, which is no bytes). */
#include "fuzz.h"

#include <stdlib.h>

#include "base/mem.h"
#include "wasm/limits.h"
#include "wasm/pairs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct weir_wasm_pair pairs[WEIR_WASM_PAIRS_MAX];
    struct weir_slice in = {(const char *)data, len};
    uint32_t n = 0;
    if (weir_pairs_read(in, pairs, WEIR_WASM_PAIRS_MAX, &n) != WEIR_OK || n == 0) return 0;
    struct weir_wasm_pairs view = {pairs, sizeof pairs[0], n};
    size_t size = weir_pairs_size(&view);
    char *out = weir_xalloc(size);
    weir_pairs_write(&view, out);
    if (size != len || memcmp(out, data, len) != 0) abort();
    weir_free(out);
    return 0;
}
