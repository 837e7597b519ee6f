/* Host allocation: aborts when memory is out. Sizes that a peer, file or guest chooses are checked against a limit first. */
#ifndef WEIR_BASE_MEM_H
#define WEIR_BASE_MEM_H

#include <stddef.h>

#include "base/attr.h"

void weir_free(void *ptr);
/** `size` zeroed bytes; never NULL; free with weir_free. */
WEIR_NONNULL_RET void *weir_zalloc(size_t size);
/** `size` bytes, not initialised. */
WEIR_NONNULL_RET void *weir_xalloc(size_t size);
/** Grows or shrinks; aborts on failure. */
WEIR_NONNULL_RET void *weir_xrealloc(void *ptr, size_t size);
/** A copy of `len` bytes with a NUL appended. */
WEIR_NONNULL_RET char *weir_xstrndup(const char *ptr, size_t len);
/** As malloc, for sizes from outside within their limit: NULL on failure. */
void *weir_try_alloc(size_t size);
/** Gives the pages that hold nothing any more back to the system. Other threads wait for it meanwhile: after start-up only. */
void weir_mem_trim(void);

#define WEIR_NEW(type) ((type *)weir_zalloc(sizeof(type)))

#endif
