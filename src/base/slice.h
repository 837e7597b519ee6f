/* A slice: a pointer and a length, passed by value. Not NUL-terminated; {NULL, 0} means "absent". */
#ifndef WEIR_BASE_SLICE_H
#define WEIR_BASE_SLICE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/attr.h"
#include "base/err.h"

struct weir_slice {
    const char *ptr;
    size_t len;
};

/** A slice of a string literal (only literals compile). */
#define WEIR_S(lit) ((struct weir_slice){"" lit "", sizeof(lit) - 1})
/** The same as a constant initialiser for static tables. */
#define WEIR_S_INIT(lit) {"" lit "", sizeof(lit) - 1}
/** Arguments for a "%.*s". */
#define WEIR_SARG(s) (int)(s).len, (s).ptr
#define WEIR_S_NONE ((struct weir_slice){NULL, 0})

static inline struct weir_slice weir_slice(const char *ptr, size_t len)
{
    return (struct weir_slice){ptr, len};
}
/** From a NUL-terminated string; NULL gives the absent slice. */
static inline struct weir_slice weir_slice_str(const char *str)
{
    return (struct weir_slice){str, str ? strlen(str) : 0};
}
static inline bool weir_slice_eq(struct weir_slice a, struct weir_slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}
static inline struct weir_slice weir_slice_from(struct weir_slice s, size_t start)
{
    return start >= s.len ? (struct weir_slice){s.ptr + s.len, 0} : (struct weir_slice){s.ptr + start, s.len - start};
}
static inline struct weir_slice weir_slice_first(struct weir_slice s, size_t len)
{
    return (struct weir_slice){s.ptr, len < s.len ? len : s.len};
}
static inline char weir_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/** ASCII case-insensitive equality. */
bool weir_slice_eq_nocase(struct weir_slice a, struct weir_slice b);
bool weir_slice_starts_with(struct weir_slice s, struct weir_slice prefix);
bool weir_slice_ends_with(struct weir_slice s, struct weir_slice suffix);
bool weir_slice_starts_with_nocase(struct weir_slice s, struct weir_slice prefix);
bool weir_slice_ends_with_nocase(struct weir_slice s, struct weir_slice suffix);
/** Index of the first `c`, or `s.len` if there is none. */
size_t weir_slice_find(struct weir_slice s, char c);
/** Index of the last `c`, or `s.len` if there is none. */
size_t weir_slice_rfind(struct weir_slice s, char c);
/** Index of the first `needle`, or SIZE_MAX if there is none. An empty needle is found at 0. */
size_t weir_slice_search(struct weir_slice s, struct weir_slice needle);
bool weir_slice_contains_nocase(struct weir_slice s, struct weir_slice needle);
/** Without leading and trailing spaces and tabs (OWS, RFC 9110 5.6.3). */
struct weir_slice weir_slice_trim(struct weir_slice s);
/** Lexicographic order as memcmp; shorter first. For qsort and bsearch. */
int weir_slice_cmp(struct weir_slice a, struct weir_slice b);
/** Cuts the next token up to `sep` off `*rest`; false at the end. Empty tokens are returned. */
bool weir_slice_next(struct weir_slice *rest, char sep, struct weir_slice *ret_token);
/** 64-bit hash, seeded once per process (keys that peers choose are safe). */
uint64_t weir_slice_hash(struct weir_slice s);
/** Replaces the random seed, so that a simulation repeats itself exactly; before the first map is filled. */
void weir_hash_seed_set(uint64_t seed);

/** Decimal digits only, whole slice. WEIR_ERR_SYNTAX, or WEIR_ERR_LIMIT when above `max`. */
WEIR_MUST_CHECK enum weir_err weir_parse_u64(struct weir_slice s, uint64_t max, uint64_t *ret);
/** Optional sign and decimal digits, whole slice. */
WEIR_MUST_CHECK enum weir_err weir_parse_i64(struct weir_slice s, int64_t *ret);
/** Hexadecimal digits only, whole slice. */
WEIR_MUST_CHECK enum weir_err weir_parse_hex(struct weir_slice s, uint64_t max, uint64_t *ret);
/** A finite decimal number, whole slice, C locale. */
WEIR_MUST_CHECK enum weir_err weir_parse_double(struct weir_slice s, double *ret);

/** Overflow-checked arithmetic on sizes that come from outside: false on overflow, `*ret` untouched. */
static inline WEIR_MUST_CHECK bool weir_size_add(size_t a, size_t b, size_t *ret)
{
    size_t sum;
    if (__builtin_add_overflow(a, b, &sum)) return false;
    *ret = sum;
    return true;
}
static inline WEIR_MUST_CHECK bool weir_size_mul(size_t a, size_t b, size_t *ret)
{
    size_t product;
    if (__builtin_mul_overflow(a, b, &product)) return false;
    *ret = product;
    return true;
}

#endif
