/* A growable byte string with a mandatory cap. Append until done, then look once whether it overflowed. */
#ifndef WEIR_BASE_STR_H
#define WEIR_BASE_STR_H

#include <stdbool.h>

#include "base/slice.h"

struct weir_str {
    char *ptr; /* NUL-terminated once anything was appended */
    size_t len;
    size_t cap;
    size_t max;    /* cap in bytes given at init */
    bool overflow; /* something did not fit; what was appended before is intact */
};

void weir_str_init(struct weir_str *str, size_t max);
void weir_str_fini(struct weir_str *str);
/** Empties it; keeps the memory. */
void weir_str_clear(struct weir_str *str);
/** Room for `len` more bytes and the NUL behind ptr + len, for writers that fill it themselves and set len; false (and overflow) when
 * that passes the maximum. */
bool weir_str_reserve(struct weir_str *str, size_t len);
void weir_str_add(struct weir_str *str, struct weir_slice s);
void weir_str_addc(struct weir_str *str, char c);
void weir_str_adds(struct weir_str *str, const char *cstr);
void weir_str_addu(struct weir_str *str, uint64_t value);
WEIR_PRINTF(2, 3) void weir_str_printf(struct weir_str *str, const char *fmt, ...);
/** Appends `s` as the inside of a JSON string (RFC 8259 7; invalid UTF-8 becomes U+FFFD). */
void weir_str_add_json(struct weir_str *str, struct weir_slice s);
static inline struct weir_slice weir_str_slice(const struct weir_str *str)
{
    return (struct weir_slice){str->ptr, str->len};
}

#endif
