/* Growable byte string. The first append that would pass `max` sets `overflow`, and from then on nothing is appended: the content is
 * always a whole prefix of what was meant. */
#include "base/str.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

#define FIRST_CAP 64

void weir_str_init(struct weir_str *str, size_t max)
{
    *str = (struct weir_str){.max = max};
}

void weir_str_fini(struct weir_str *str)
{
    weir_free(str->ptr);
    weir_str_init(str, str->max);
}

void weir_str_clear(struct weir_str *str)
{
    str->len = 0;
    str->overflow = false;
    if (str->ptr) {
        str->ptr[0] = '\0';
    }
}

bool weir_str_reserve(struct weir_str *str, size_t len)
{
    if (str->overflow || len > str->max - str->len) {
        str->overflow = true;
        return false;
    }
    size_t need = str->len + len + 1;
    if (need > str->cap) {
        size_t cap = WEIR_MAX(need, WEIR_MAX(str->cap + str->cap / 2, (size_t)FIRST_CAP));
        str->ptr = weir_xrealloc(str->ptr, cap);
        str->cap = cap;
    }
    return true;
}

void weir_str_add(struct weir_str *str, struct weir_slice s)
{
    if (!weir_str_reserve(str, s.len)) {
        return;
    }
    if (s.len > 0) {
        memcpy(str->ptr + str->len, s.ptr, s.len);
    }
    str->len += s.len;
    str->ptr[str->len] = '\0';
}

void weir_str_addc(struct weir_str *str, char c)
{
    weir_str_add(str, weir_slice(&c, 1));
}

void weir_str_adds(struct weir_str *str, const char *cstr)
{
    weir_str_add(str, weir_slice_str(cstr));
}

void weir_str_addu(struct weir_str *str, uint64_t value)
{
    char digits[20];
    size_t start = sizeof(digits);
    do {
        digits[--start] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    weir_str_add(str, weir_slice(digits + start, sizeof(digits) - start));
}

void weir_str_printf(struct weir_str *str, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    size_t room = str->cap - str->len;
    int len = vsnprintf(str->ptr ? str->ptr + str->len : NULL, str->ptr ? room : 0, fmt, ap);
    va_end(ap);
    WEIR_ASSERT(len >= 0);
    size_t size = len < 0 ? 0 : (size_t)len;
    if (weir_str_reserve(str, size)) {
        if (size >= room) {
            (void)vsnprintf(str->ptr + str->len, size + 1, fmt, again);
        }
        str->len += size;
    }
    va_end(again);
    if (str->ptr) {
        str->ptr[str->len] = '\0';
    }
}

struct utf8_lead {
    unsigned char first, last;       /* range of the lead byte */
    unsigned char len;               /* of the sequence */
    unsigned char second, second_to; /* legal range of the second byte (no overlong forms, no surrogates) */
};
/* RFC 3629 4 */
static const struct utf8_lead UTF8_LEADS[] = {
    {0x00, 0x7f, 1, 0, 0},       {0xc2, 0xdf, 2, 0x80, 0xbf}, {0xe0, 0xe0, 3, 0xa0, 0xbf},
    {0xe1, 0xec, 3, 0x80, 0xbf}, {0xed, 0xed, 3, 0x80, 0x9f}, {0xee, 0xef, 3, 0x80, 0xbf},
    {0xf0, 0xf0, 4, 0x90, 0xbf}, {0xf1, 0xf3, 4, 0x80, 0xbf}, {0xf4, 0xf4, 4, 0x80, 0x8f},
};

/* Length of the character at the start of `s` (not empty). When it is not valid: false, and the length of the part that a
 * decoder replaces by one U+FFFD. */
static bool utf8_char(struct weir_slice s, size_t *ret_len)
{
    unsigned char c = (unsigned char)s.ptr[0];
    *ret_len = 1;
    for (size_t i = 0; i < WEIR_COUNTOF(UTF8_LEADS); i++) {
        const struct utf8_lead *lead = &UTF8_LEADS[i];
        if (c < lead->first || c > lead->last) {
            continue;
        }
        unsigned char low = lead->second, high = lead->second_to;
        for (; *ret_len < lead->len; (*ret_len)++, low = 0x80, high = 0xbf) {
            unsigned char next = *ret_len < s.len ? (unsigned char)s.ptr[*ret_len] : 0;
            if (next < low || next > high) {
                return false;
            }
        }
        return true;
    }
    return false;
}

static void add_json_control(struct weir_str *str, char c)
{
    static const char SHORT[][3] = {
        ['\b'] = "\\b", ['\t'] = "\\t", ['\n'] = "\\n", ['\f'] = "\\f", ['\r'] = "\\r"};
    unsigned char u = (unsigned char)c;
    if (u < WEIR_COUNTOF(SHORT) && SHORT[u][0]) {
        weir_str_adds(str, SHORT[u]);
    } else {
        weir_str_printf(str, "\\u%04x", u);
    }
}

void weir_str_add_json(struct weir_str *str, struct weir_slice s)
{
    size_t plain = 0; /* start of the run that needs no change */
    size_t at = 0;
    while (at < s.len) {
        char c = s.ptr[at];
        size_t len;
        bool valid = utf8_char(weir_slice_from(s, at), &len);
        if (valid && (unsigned char)c >= 0x20 && c != '"' && c != '\\') {
            at += len;
            continue;
        }
        weir_str_add(str, weir_slice(s.ptr + plain, at - plain));
        if (!valid) {
            weir_str_add(str, WEIR_S("\xef\xbf\xbd"));
        } else if (c == '"' || c == '\\') {
            weir_str_add(str, weir_slice((const char[]){'\\', c}, 2));
        } else {
            add_json_control(str, c);
        }
        at += len;
        plain = at;
    }
    weir_str_add(str, weir_slice_from(s, plain));
}
