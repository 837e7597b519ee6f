/* Socket addresses and CIDR ranges as text and bytes. Names are refused: resolving is the world's. */
#include "net/addr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

static enum weir_err to_text(struct weir_slice s, char *out, size_t size)
{
    if (s.len == 0 || s.len >= size || memchr(s.ptr, '\0', s.len)) {
        return WEIR_ERR_SYNTAX;
    }
    memcpy(out, s.ptr, s.len);
    out[s.len] = '\0';
    return WEIR_OK;
}

enum weir_err weir_addr_parse_ip(struct weir_slice ip, uint16_t port, struct weir_addr *ret)
{
    char text[INET6_ADDRSTRLEN];
    struct weir_addr addr = {0};
    bool brackets = ip.len > 2 && ip.ptr[0] == '[' && ip.ptr[ip.len - 1] == ']';
    if (brackets) {
        ip = weir_slice(ip.ptr + 1, ip.len - 2);
    }
    if (to_text(ip, text, sizeof(text))) {
        return WEIR_ERR_SYNTAX;
    }
    if (!brackets && inet_pton(AF_INET, text, &addr.in.sin_addr) == 1) {
        addr.in.sin_family = AF_INET;
        addr.len = sizeof(addr.in);
    } else if (inet_pton(AF_INET6, text, &addr.in6.sin6_addr) == 1) {
        addr.in6.sin6_family = AF_INET6;
        addr.len = sizeof(addr.in6);
    } else {
        return WEIR_ERR_SYNTAX;
    }
    weir_addr_set_port(&addr, port);
    *ret = addr;
    return WEIR_OK;
}

enum weir_err weir_addr_parse_unix(struct weir_slice path, struct weir_addr *ret)
{
    struct weir_addr addr = {0};
    bool abstract = path.len > 0 && path.ptr[0] == '@';
    if (path.len == 0 || (!abstract && memchr(path.ptr, '\0', path.len))) {
        return WEIR_ERR_SYNTAX;
    }
    if (path.len >= sizeof(addr.un.sun_path)) {
        return WEIR_ERR_LIMIT;
    }
    addr.un.sun_family = AF_UNIX;
    memcpy(addr.un.sun_path, path.ptr, path.len);
    if (abstract) {
        addr.un.sun_path[0] = '\0'; /* the name is what the length says, no NUL at its end */
    }
    addr.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.len + (abstract ? 0 : 1));
    *ret = addr;
    return WEIR_OK;
}

void weir_addr_from_sockaddr(const struct sockaddr_storage *ss, socklen_t len, struct weir_addr *ret)
{
    struct weir_addr addr = {0};
    addr.len = WEIR_MIN(len, (socklen_t)sizeof(addr.un));
    memcpy(&addr.un, ss, addr.len);
    *ret = addr;
}

bool weir_addr_is_ip(const struct weir_addr *addr)
{
    return addr->len > 0 && (addr->sa.sa_family == AF_INET || addr->sa.sa_family == AF_INET6);
}

uint16_t weir_addr_port(const struct weir_addr *addr)
{
    if (!weir_addr_is_ip(addr)) {
        return 0;
    }
    return ntohs(addr->sa.sa_family == AF_INET ? addr->in.sin_port : addr->in6.sin6_port);
}

void weir_addr_set_port(struct weir_addr *addr, uint16_t port)
{
    if (addr->sa.sa_family == AF_INET) {
        addr->in.sin_port = htons(port);
    } else if (addr->sa.sa_family == AF_INET6) {
        addr->in6.sin6_port = htons(port);
    }
}

bool weir_addr_eq(const struct weir_addr *a, const struct weir_addr *b)
{
    if (a->len == 0 || b->len == 0 || a->sa.sa_family != b->sa.sa_family) {
        return a->len == b->len;
    }
    if (a->sa.sa_family == AF_INET) {
        return a->in.sin_port == b->in.sin_port && a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
    }
    if (a->sa.sa_family == AF_INET6) {
        return a->in6.sin6_port == b->in6.sin6_port && a->in6.sin6_scope_id == b->in6.sin6_scope_id &&
               memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, sizeof(a->in6.sin6_addr)) == 0;
    }
    return a->len == b->len && memcmp(&a->un, &b->un, a->len) == 0;
}

/* The bytes of an IP address; IPv4-mapped ones as the IPv4 address they stand for. */
static struct weir_slice ip_bytes(const struct weir_addr *addr)
{
    if (!weir_addr_is_ip(addr)) {
        return WEIR_S_NONE;
    }
    if (addr->sa.sa_family == AF_INET) {
        return weir_slice((const char *)&addr->in.sin_addr, 4);
    }
    const char *bytes = (const char *)&addr->in6.sin6_addr;
    return IN6_IS_ADDR_V4MAPPED(&addr->in6.sin6_addr) ? weir_slice(bytes + 12, 4) : weir_slice(bytes, 16);
}

bool weir_addr_is_loopback(const struct weir_addr *addr)
{
    if (addr->len > 0 && addr->sa.sa_family == AF_UNIX) {
        return true; /* Envoy: a pipe's peer is on this machine */
    }
    struct weir_slice bytes = ip_bytes(addr);
    if (bytes.len == 4) {
        return (unsigned char)bytes.ptr[0] == 127;
    }
    return bytes.len == 16 && IN6_IS_ADDR_LOOPBACK(&addr->in6.sin6_addr);
}

static struct weir_slice print_unix(const struct weir_addr *addr, char out[WEIR_ADDR_TEXT_MAX])
{
    size_t len = addr->len - offsetof(struct sockaddr_un, sun_path);
    bool named = addr->len > offsetof(struct sockaddr_un, sun_path);
    if (!named) {
        return weir_slice(out, 0); /* the nameless end of a connection */
    }
    memcpy(out, addr->un.sun_path, len);
    if (out[0] == '\0') {
        out[0] = '@';
        return weir_slice(out, len);
    }
    return weir_slice(out, strnlen(out, len));
}

struct weir_slice weir_addr_print_ip(const struct weir_addr *addr, char out[WEIR_ADDR_TEXT_MAX])
{
    if (!weir_addr_is_ip(addr)) {
        return addr->len > 0 ? print_unix(addr, out) : weir_slice(out, 0);
    }
    const void *bytes =
        addr->sa.sa_family == AF_INET ? (const void *)&addr->in.sin_addr : (const void *)&addr->in6.sin6_addr;
    return weir_slice_str(inet_ntop(addr->sa.sa_family, bytes, out, WEIR_ADDR_TEXT_MAX));
}

struct weir_slice weir_addr_print(const struct weir_addr *addr, char out[WEIR_ADDR_TEXT_MAX])
{
    char ip[WEIR_ADDR_TEXT_MAX];
    struct weir_slice text = weir_addr_print_ip(addr, ip);
    if (!weir_addr_is_ip(addr)) {
        memcpy(out, ip, text.len);
        return weir_slice(out, text.len);
    }
    const char *fmt_open = addr->sa.sa_family == AF_INET6 ? "[" : "";
    const char *fmt_close = addr->sa.sa_family == AF_INET6 ? "]" : "";
    int len = snprintf(out, WEIR_ADDR_TEXT_MAX, "%s%.*s%s:%u", fmt_open, WEIR_SARG(text), fmt_close,
                       (unsigned)weir_addr_port(addr));
    return weir_slice(out, len > 0 ? (size_t)len : 0);
}

enum weir_err weir_cidr_make(struct weir_slice prefix, uint32_t bits, struct weir_cidr *ret)
{
    struct weir_cidr cidr;
    if (weir_addr_parse_ip(prefix, 0, &cidr.base)) {
        return WEIR_ERR_SYNTAX;
    }
    if (bits > (cidr.base.sa.sa_family == AF_INET ? 32 : 128)) {
        return WEIR_ERR_LIMIT;
    }
    cidr.bits = (uint8_t)bits;
    *ret = cidr;
    return WEIR_OK;
}

bool weir_cidr_contains(const struct weir_cidr *cidr, const struct weir_addr *addr)
{
    bool v6 = cidr->base.sa.sa_family == AF_INET6;
    struct weir_slice bytes = ip_bytes(addr);
    const unsigned char *base =
        v6 ? cidr->base.in6.sin6_addr.s6_addr : (const unsigned char *)&cidr->base.in.sin_addr;
    if (v6 && weir_addr_is_ip(addr) && addr->sa.sa_family == AF_INET6) {
        bytes = weir_slice((const char *)&addr->in6.sin6_addr,
                           16); /* as it came: ::ffff:0:0/96 holds the mapped ones */
    }
    if (bytes.len != (v6 ? 16 : 4)) {
        return false;
    }
    size_t whole = cidr->bits / 8;
    unsigned rest = cidr->bits % 8;
    if (memcmp(base, bytes.ptr, whole) != 0) {
        return false;
    }
    unsigned mask = 0xffu << (8 - rest) & 0xffu;
    return rest == 0 || ((base[whole] ^ (unsigned char)bytes.ptr[whole]) & mask) == 0;
}
