/* See strict_http1.h. */
#include "strict_http1.h"

#include "base/slice.h"

static bool is_token(char c)
{
    return c != '\0' && strchr("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", c) != NULL;
}

static size_t strict_line(const char *s, size_t len, size_t at)
{
    while (at + 1 < len && s[at] != '\r') {
        if ((unsigned char)s[at] < 0x20 && s[at] != '\t') {
            return 0;
        }
        at++;
    }
    return at + 1 < len && s[at + 1] == '\n' ? at + 2 : 0;
}

static size_t strict_chunks(const char *s, size_t len, size_t at)
{
    for (;;) {
        size_t size = 0, digits = 0;
        for (; at < len && strchr("0123456789abcdef", s[at]) && s[at]; at++, digits++) {
            size = size * 16 + (size_t)(s[at] <= '9' ? s[at] - '0' : s[at] - 'a' + 10);
        }
        if (digits == 0 || at + 2 > len || s[at] != '\r' || s[at + 1] != '\n') {
            return 0;
        }
        at += 2;
        if (size == 0) {
            break;
        }
        if (len - at < size + 2 || s[at + size] != '\r' || s[at + size + 1] != '\n') {
            return 0;
        }
        at += size + 2;
    }
    for (;;) { /* trailers */
        size_t next = strict_line(s, len, at);
        if (next == 0 || next - at == 2) {
            return next;
        }
        at = next;
    }
}

size_t strict_parse(const char *s, size_t len, bool bodiless)
{
    size_t at = strict_line(s, len, 0);
    size_t n_length = 0, n_coding = 0, n_host = 0, content_length = 0;
    int n_spaces = 0;
    for (size_t i = 0; i + 2 < at; i++) {
        n_spaces += s[i] == ' ';
    }
    if (at == 0 || (strncmp(s, "HTTP/1.", 7) != 0 && n_spaces != 2)) {
        return 0;
    }
    for (;;) {
        size_t next = strict_line(s, len, at);
        if (next == 0) {
            return 0;
        }
        if (next - at == 2) {
            at = next;
            break;
        }
        size_t colon = at;
        while (is_token(s[colon])) {
            colon++;
        }
        if (colon == at || s[colon] != ':' || s[colon + 1] != ' ') {
            return 0;
        }
        struct weir_slice name = weir_slice(s + at, colon - at);
        n_host += weir_slice_eq_nocase(name, WEIR_S("host"));
        n_coding += weir_slice_eq_nocase(name, WEIR_S("transfer-encoding"));
        if (weir_slice_eq_nocase(name, WEIR_S("content-length"))) {
            uint64_t value;
            n_length++;
            if (weir_parse_u64(weir_slice(s + colon + 2, next - 2 - colon - 2), SIZE_MAX, &value) != WEIR_OK) {
                return 0;
            }
            content_length = (size_t)value;
        }
        at = next;
    }
    if (n_length + n_coding > 1 || n_host > 1) {
        return 0;
    }
    if (bodiless) {
        return at;
    }
    if (n_coding) {
        return strict_chunks(s, len, at);
    }
    return len - at < content_length ? 0 : at + content_length;
}
