/* Character classes of HTTP and URIs as one table of bits. */
#ifndef WEIR_HTTP_CHARS_H
#define WEIR_HTTP_CHARS_H

#include "base/slice.h"

#define WEIR_CHAR_TOKEN 1u  // tchar, RFC 9110 5.6.2
#define WEIR_CHAR_UPPER 2u  // A-Z
#define WEIR_CHAR_VALUE 4u  // field value: HTAB, SP, VCHAR, obs-text (RFC 9110 5.5)
#define WEIR_CHAR_TARGET 8u // request target: VCHAR without space, no obs-text
#define WEIR_CHAR_HOST 16u  // reg-name: unreserved, sub-delims, '%' (RFC 3986 3.2.2)
#define WEIR_CHAR_DIGIT 32u
#define WEIR_CHAR_HEX 64u
#define WEIR_CHAR_ALPHA 128u

extern const uint8_t weir_chars[256];

static inline bool weir_char_is(char c, unsigned classes)
{
    return (weir_chars[(uint8_t)c] & classes) != 0;
}
/** Every character of `s` is in one of `classes`; true for the empty slice. */
static inline bool weir_slice_all(struct weir_slice s, unsigned classes)
{
    unsigned all = 1;
    for (size_t i = 0; i < s.len; i++)
        all &= (weir_chars[(uint8_t)s.ptr[i]] & classes) != 0;
    return all != 0;
}
/** What may stand in a field value: no control character but HTAB. Looks at eight bytes at a time. */
static inline bool weir_value_clean(struct weir_slice s)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint64_t highs = ones << 7;
    while (s.len >= 8) {
        uint64_t word;
        memcpy(&word, s.ptr, 8);
        uint64_t below_space = (word - ones * 0x20) & ~word;
        uint64_t del = word ^ ones * 0x7f;
        uint64_t is_del = (del - ones) & ~del;
        if (WEIR_UNLIKELY((below_space | is_del) & highs)) /* may be a HTAB, or a neighbour of one: look closely */
            return weir_slice_all(s, WEIR_CHAR_VALUE);
        s.ptr += 8;
        s.len -= 8;
    }
    return weir_slice_all(s, WEIR_CHAR_VALUE);
}
/** Value of a hexadecimal digit, 16 if it is none. */
static inline unsigned weir_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    c = weir_lower(c);
    return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 16;
}

#endif
