/* The one place that calls the C library's allocator. Out of memory ends the process: an allocation whose size an outsider
 * chooses goes through a limit and weir_try_alloc instead. */
#include "base/mem.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

static void *checked(void *ptr, size_t size)
{
    if (WEIR_UNLIKELY(!ptr)) {
        WEIR_FATAL("out of memory: %zu bytes wanted", size);
    }
    return ptr;
}

void weir_free(void *ptr)
{
    free(ptr);
}

void *weir_zalloc(size_t size)
{
    return checked(calloc(1, size ? size : 1), size);
}

void *weir_xalloc(size_t size)
{
    return checked(malloc(size ? size : 1), size);
}

void *weir_xrealloc(void *ptr, size_t size)
{
    return checked(realloc(ptr, size ? size : 1), size);
}

char *weir_xstrndup(const char *ptr, size_t len)
{
    char *copy = weir_xalloc(len + 1);
    if (len > 0) {
        memcpy(copy, ptr, len);
    }
    copy[len] = '\0';
    return copy;
}

void *weir_try_alloc(size_t size)
{
    return malloc(size ? size : 1);
}

void weir_mem_trim(void)
{
    malloc_trim(0);
}
