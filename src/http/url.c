/* URIs as HTTP uses them (RFC 3986, RFC 9110 4). Cutting and judging, never guessing: what is not in the grammar is refused. */
#include "http/url.h"

#include <arpa/inet.h>

#include "http/chars.h"

static bool parse_ip6(struct weir_slice literal)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr addr;
    if (literal.len < 4 || literal.len - 2 >= sizeof(text)) { /* "[::]" is the shortest */
        return false;
    }
    memcpy(text, literal.ptr + 1, literal.len - 2);
    text[literal.len - 2] = '\0';
    return inet_pton(AF_INET6, text, &addr) == 1;
}

static bool parse_port(struct weir_slice text, struct weir_authority *authority)
{
    uint64_t port;
    if (text.len == 0) {
        return true;
    }
    if (text.len > 5 || weir_parse_u64(text, UINT16_MAX, &port) != WEIR_OK || port == 0) {
        return false;
    }
    authority->port = (uint16_t)port;
    authority->has_port = true;
    return true;
}

bool weir_authority_parse(struct weir_slice authority, struct weir_authority *ret)
{
    struct weir_authority parsed = {0};
    size_t host_len;
    if (authority.len > 0 && authority.ptr[0] == '[') {
        size_t end = weir_slice_find(authority, ']');
        if (end == authority.len || !parse_ip6(weir_slice_first(authority, end + 1))) {
            return false;
        }
        host_len = end + 1;
        parsed.ip6 = true;
    } else {
        host_len = weir_slice_find(authority, ':');
        if (!weir_slice_all(weir_slice_first(authority, host_len), WEIR_CHAR_HOST)) {
            return false;
        }
    }
    parsed.host = weir_slice_first(authority, host_len);
    if (host_len < authority.len) {
        if (authority.ptr[host_len] != ':' || parsed.host.len == 0 ||
            !parse_port(weir_slice_from(authority, host_len + 1), &parsed)) {
            return false;
        }
    }
    *ret = parsed;
    return true;
}

bool weir_url_parse(struct weir_slice url, struct weir_url *ret)
{
    size_t scheme_len = weir_slice_find(url, ':');
    struct weir_slice scheme = weir_slice_first(url, scheme_len);
    if (scheme.len == 0 || !weir_char_is(scheme.ptr[0], WEIR_CHAR_ALPHA)) {
        return false;
    }
    for (size_t i = 0; i < scheme.len; i++) {
        char c = scheme.ptr[i];
        if (!weir_char_is(c, WEIR_CHAR_ALPHA | WEIR_CHAR_DIGIT) && c != '+' && c != '-' && c != '.') {
            return false;
        }
    }
    struct weir_slice rest = weir_slice_from(url, scheme_len);
    if (!weir_slice_starts_with(rest, WEIR_S("://"))) {
        return false;
    }
    rest = weir_slice_from(rest, 3);
    size_t end = 0;
    while (end < rest.len && rest.ptr[end] != '/' && rest.ptr[end] != '?' && rest.ptr[end] != '#') {
        end++;
    }
    struct weir_slice authority = weir_slice_first(rest, end);
    size_t at = weir_slice_rfind(authority, '@');
    if (at < authority.len) { /* user information is dropped, as RFC 9110 4.2.4 lets us */
        authority = weir_slice_from(authority, at + 1);
    }
    if (authority.len == 0) {
        return false;
    }
    *ret = (struct weir_url){scheme, authority, weir_slice_from(rest, end)};
    return true;
}

bool weir_path_valid(struct weir_slice path)
{
    if (path.len == 0 || (path.ptr[0] != '/' && !weir_slice_eq(path, WEIR_S("*")))) {
        return false;
    }
    return weir_slice_all(path, WEIR_CHAR_TARGET);
}

/* --- The canonicaliser: passes over one buffer, each writing no more than it reads. --- */

/* The byte behind a valid %XX at s[i], or -1. */
static int escape_at(const char *s, size_t len, size_t i)
{
    if (s[i] != '%' || i + 2 >= len) {
        return -1;
    }
    unsigned high = weir_hex_digit(s[i + 1]);
    unsigned low = weir_hex_digit(s[i + 2]);
    return high < 16 && low < 16 ? (int)(high * 16 + low) : -1;
}

static bool is_unreserved(int c)
{
    return c > 0 && c < 128 &&
           (weir_char_is((char)c, WEIR_CHAR_ALPHA | WEIR_CHAR_DIGIT) || c == '-' || c == '.' || c == '_' ||
            c == '~');
}

/* Would a decoded byte written behind out[0..n) complete another escape ("%2%65" to "%2e")? Then it stays encoded. */
static bool would_make_escape(const char *out, size_t n)
{
    return (n >= 1 && out[n - 1] == '%') || (n >= 2 && out[n - 2] == '%' && weir_hex_digit(out[n - 1]) < 16);
}

static size_t unescape_slashes(char *s, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len;) {
        int c = escape_at(s, len, i);
        if (c == '/' || c == '\\') {
            s[n++] = (char)c;
            i += 3;
        } else {
            s[n++] = s[i++];
        }
    }
    return n;
}

static size_t decode_unreserved(char *s, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len;) {
        int c = escape_at(s, len, i);
        if (is_unreserved(c) && !would_make_escape(s, n)) {
            s[n++] = (char)c;
            i += 3;
        } else {
            s[n++] = s[i] == '\\' ? '/' : s[i];
            i++;
        }
    }
    return n;
}

/* RFC 3986 5.2.4 on an absolute path: every segment is kept, dropped (".") or takes its predecessor along (".."). */
static size_t remove_dots(char *s, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len;) { /* s[i] is '/' */
        size_t end = i + 1;
        while (end < len && s[end] != '/') {
            end++;
        }
        size_t segment = end - i - 1;
        bool last = end == len;
        bool dot = segment == 1 && s[i + 1] == '.';
        bool dotdot = segment == 2 && s[i + 1] == '.' && s[i + 2] == '.';
        if (dotdot) {
            while (n > 0 && s[--n] != '/') {
            }
        }
        if (dot || dotdot) {
            if (last) {
                s[n++] = '/';
            }
        } else {
            memmove(s + n, s + i, end - i);
            n += end - i;
        }
        i = end;
    }
    return n;
}

static size_t merge_slashes(char *s, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        if (s[i] != '/' || n == 0 || s[n - 1] != '/') {
            s[n++] = s[i];
        }
    }
    return n;
}

/* Cheap look whether any pass could change anything. */
static bool is_canonical(struct weir_slice path, const struct weir_path_options *options)
{
    for (size_t i = 0; i < path.len; i++) {
        char c = path.ptr[i];
        if (c == '%' || c == '\\' || c == '.') {
            return false;
        }
        if (c == '/' && options->merge_slashes && i + 1 < path.len && path.ptr[i + 1] == '/') {
            return false;
        }
    }
    return true;
}

enum weir_path_verdict weir_path_canonicalise(struct weir_arena *arena, struct weir_slice path,
                                              const struct weir_path_options *options, struct weir_slice *ret)
{
    *ret = path;
    struct weir_slice query = weir_slice_from(path, weir_slice_find(path, '?'));
    size_t len = path.len - query.len;
    if (len == 0 || path.ptr[0] != '/' || is_canonical(weir_slice_first(path, len), options)) {
        return WEIR_PATH_OK;
    }
    char *s = weir_arena_alloc(arena, path.len + 1);
    memcpy(s, path.ptr, len);
    size_t n = len;
    bool had_slashes = false;
    if (options->escaped_slashes != WEIR_SLASHES_KEEP) {
        n = unescape_slashes(s, n);
        had_slashes = n != len;
        if (had_slashes && options->escaped_slashes == WEIR_SLASHES_REJECT) {
            return WEIR_PATH_REJECT;
        }
    }
    if (options->normalize) {
        n = remove_dots(s, decode_unreserved(s, n));
    }
    if (options->merge_slashes) {
        n = merge_slashes(s, n);
    }
    if (n == len && memcmp(s, path.ptr, len) == 0) {
        return WEIR_PATH_OK;
    }
    if (query.len) {
        memcpy(s + n, query.ptr, query.len);
    }
    *ret = weir_slice(s, n + query.len);
    return had_slashes && options->escaped_slashes == WEIR_SLASHES_REDIRECT ? WEIR_PATH_REDIRECT : WEIR_PATH_OK;
}

struct weir_slice weir_path_query(struct weir_slice path)
{
    path = weir_slice_first(path, weir_slice_find(path, '#'));
    size_t at = weir_slice_find(path, '?');
    return at < path.len ? weir_slice_from(path, at + 1) : WEIR_S_NONE;
}

bool weir_query_next(struct weir_slice *rest, struct weir_slice *ret_key, struct weir_slice *ret_value)
{
    struct weir_slice pair;
    while (weir_slice_next(rest, '&', &pair)) {
        if (pair.len == 0) {
            continue;
        }
        size_t eq = weir_slice_find(pair, '=');
        *ret_key = weir_slice_first(pair, eq);
        *ret_value = eq < pair.len ? weir_slice_from(pair, eq + 1) : WEIR_S_NONE;
        return true;
    }
    return false;
}

struct weir_slice weir_query_get(struct weir_slice query, struct weir_slice key)
{
    struct weir_slice found, value;
    while (weir_query_next(&query, &found, &value)) {
        if (weir_slice_eq(found, key)) {
            return value.ptr ? value : WEIR_S("");
        }
    }
    return WEIR_S_NONE;
}

struct weir_slice weir_percent_decode(struct weir_arena *arena, struct weir_slice s)
{
    if (weir_slice_find(s, '%') == s.len) {
        return s;
    }
    char *out = weir_arena_alloc(arena, s.len);
    size_t n = 0;
    for (size_t i = 0; i < s.len;) {
        int c = escape_at(s.ptr, s.len, i);
        out[n++] = c >= 0 ? (char)c : s.ptr[i];
        i += c >= 0 ? 3 : 1;
    }
    return weir_slice(out, n);
}
