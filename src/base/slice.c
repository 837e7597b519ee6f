/* Comparing, searching and cutting slices; numbers from text. Nothing here allocates or needs a NUL at the end. */
#include "base/slice.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

static bool eq_nocase(const char *a, const char *b, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (weir_lower(a[i]) != weir_lower(b[i])) {
            return false;
        }
    }
    return true;
}

bool weir_slice_eq_nocase(struct weir_slice a, struct weir_slice b)
{
    return a.len == b.len && eq_nocase(a.ptr, b.ptr, a.len);
}

bool weir_slice_starts_with(struct weir_slice s, struct weir_slice prefix)
{
    return s.len >= prefix.len && weir_slice_eq(weir_slice(s.ptr, prefix.len), prefix);
}

bool weir_slice_ends_with(struct weir_slice s, struct weir_slice suffix)
{
    return s.len >= suffix.len && weir_slice_eq(weir_slice_from(s, s.len - suffix.len), suffix);
}

bool weir_slice_starts_with_nocase(struct weir_slice s, struct weir_slice prefix)
{
    return s.len >= prefix.len && eq_nocase(s.ptr, prefix.ptr, prefix.len);
}

bool weir_slice_ends_with_nocase(struct weir_slice s, struct weir_slice suffix)
{
    return s.len >= suffix.len && weir_slice_eq_nocase(weir_slice_from(s, s.len - suffix.len), suffix);
}

size_t weir_slice_find(struct weir_slice s, char c)
{
    const char *hit = s.len ? memchr(s.ptr, c, s.len) : NULL;
    return hit ? (size_t)(hit - s.ptr) : s.len;
}

size_t weir_slice_rfind(struct weir_slice s, char c)
{
    const char *hit = s.len ? memrchr(s.ptr, c, s.len) : NULL;
    return hit ? (size_t)(hit - s.ptr) : s.len;
}

size_t weir_slice_search(struct weir_slice s, struct weir_slice needle)
{
    if (needle.len == 0) {
        return 0;
    }
    const char *hit = s.len >= needle.len ? memmem(s.ptr, s.len, needle.ptr, needle.len) : NULL;
    return hit ? (size_t)(hit - s.ptr) : SIZE_MAX;
}

bool weir_slice_contains_nocase(struct weir_slice s, struct weir_slice needle)
{
    for (size_t i = 0; needle.len <= s.len && i <= s.len - needle.len; i++) {
        if (eq_nocase(s.ptr + i, needle.ptr, needle.len)) {
            return true;
        }
    }
    return false;
}

static bool is_ows(char c)
{
    return c == ' ' || c == '\t';
}

struct weir_slice weir_slice_trim(struct weir_slice s)
{
    while (s.len > 0 && is_ows(s.ptr[0])) {
        s = weir_slice_from(s, 1);
    }
    while (s.len > 0 && is_ows(s.ptr[s.len - 1])) {
        s.len--;
    }
    return s;
}

int weir_slice_cmp(struct weir_slice a, struct weir_slice b)
{
    size_t common = WEIR_MIN(a.len, b.len);
    int order = common ? memcmp(a.ptr, b.ptr, common) : 0;
    if (order != 0) {
        return order;
    }
    return (a.len > b.len) - (a.len < b.len);
}

bool weir_slice_next(struct weir_slice *rest, char sep, struct weir_slice *ret_token)
{
    if (!rest->ptr) {
        return false;
    }
    size_t at = weir_slice_find(*rest, sep);
    *ret_token = weir_slice_first(*rest, at);
    *rest = at < rest->len ? weir_slice_from(*rest, at + 1) : WEIR_S_NONE;
    return true;
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = weir_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
}

static enum weir_err parse_unsigned(struct weir_slice s, unsigned base, uint64_t max, uint64_t *ret)
{
    uint64_t value = 0;
    bool over = false;
    if (s.len == 0) {
        return WEIR_ERR_SYNTAX;
    }
    for (size_t i = 0; i < s.len; i++) {
        unsigned digit = (unsigned)digit_value(s.ptr[i]);
        if (digit >= base) {
            return WEIR_ERR_SYNTAX;
        }
        over = over || __builtin_mul_overflow(value, base, &value) ||
               __builtin_add_overflow(value, digit, &value);
    }
    if (over || value > max) {
        return WEIR_ERR_LIMIT;
    }
    *ret = value;
    return WEIR_OK;
}

enum weir_err weir_parse_u64(struct weir_slice s, uint64_t max, uint64_t *ret)
{
    return parse_unsigned(s, 10, max, ret);
}

enum weir_err weir_parse_hex(struct weir_slice s, uint64_t max, uint64_t *ret)
{
    return parse_unsigned(s, 16, max, ret);
}

enum weir_err weir_parse_i64(struct weir_slice s, int64_t *ret)
{
    bool minus = s.len > 0 && s.ptr[0] == '-';
    bool sign = minus || (s.len > 0 && s.ptr[0] == '+');
    uint64_t value;
    enum weir_err err =
        parse_unsigned(weir_slice_from(s, sign ? 1 : 0), 10, (uint64_t)INT64_MAX + (minus ? 1 : 0), &value);
    if (err) {
        return err;
    }
    *ret = minus ? (int64_t)(0 - value) : (int64_t)value;
    return WEIR_OK;
}

/* Cuts decimal digits off the front; how many there were. */
static size_t skip_digits(struct weir_slice *s)
{
    size_t n = 0;
    while (n < s->len && s->ptr[n] >= '0' && s->ptr[n] <= '9') {
        n++;
    }
    *s = weir_slice_from(*s, n);
    return n;
}

static bool skip_any(struct weir_slice *s, char a, char b)
{
    bool hit = s->len > 0 && (s->ptr[0] == a || s->ptr[0] == b);
    *s = weir_slice_from(*s, hit ? 1 : 0);
    return hit;
}

/* [sign] digits [. digits] [e [sign] digits], with a digit on at least one side of the point. */
static bool is_decimal(struct weir_slice s)
{
    (void)skip_any(&s, '+', '-');
    size_t digits = skip_digits(&s);
    if (skip_any(&s, '.', '.')) {
        digits += skip_digits(&s);
    }
    if (skip_any(&s, 'e', 'E')) {
        (void)skip_any(&s, '+', '-');
        if (skip_digits(&s) == 0) {
            return false;
        }
    }
    return digits > 0 && s.len == 0;
}

enum weir_err weir_parse_double(struct weir_slice s, double *ret)
{
    char text[128];
    if (!is_decimal(s)) {
        return WEIR_ERR_SYNTAX;
    }
    if (s.len >= sizeof(text)) {
        return WEIR_ERR_LIMIT;
    }
    memcpy(text, s.ptr, s.len);
    text[s.len] = '\0';
    double value = strtod(text, NULL); /* the process stays in the C locale: nothing calls setlocale */
    if (!isfinite(value)) {
        return WEIR_ERR_LIMIT;
    }
    *ret = value;
    return WEIR_OK;
}
