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
/** Token characters in lower case, 0 for others. */
extern const char weir_tokens_lower[256];

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
/** May a byte of this word be a control character? HTAB, and some neighbours of it, are told so too. */
static inline bool weir_word_suspect(const char *ptr)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t word;
    memcpy(&word, ptr, 8);
    uint64_t below_space = (word - ones * 0x20) & ~word;
    uint64_t del = word ^ ones * 0x7f;
    uint64_t is_del = (del - ones) & ~del;
    return ((below_space | is_del) & ones << 7) != 0;
}
/** What may stand in a field value: no control character but HTAB. Looks at eight bytes at a time. */
static inline bool weir_value_clean(struct weir_slice s)
{
    if (s.len < 8)
        return weir_slice_all(s, WEIR_CHAR_VALUE);
    bool suspect = weir_word_suspect(s.ptr + s.len - 8);
    for (size_t i = 0; i + 8 < s.len; i += 8)
        suspect |= weir_word_suspect(s.ptr + i);
    return WEIR_LIKELY(!suspect) || weir_slice_all(s, WEIR_CHAR_VALUE);
}
/** `token` in lower case into `out`; false if it is none. */
static inline bool weir_token_lower(struct weir_slice token, char *out)
{
    char valid = 1;
    for (size_t i = 0; i < token.len; i++) {
        out[i] = weir_tokens_lower[(uint8_t)token.ptr[i]];
        valid = (char)(valid & (out[i] != 0));
    }
    return valid && token.len > 0;
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
