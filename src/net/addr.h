/* Socket addresses: IPv4, IPv6, Unix; parsing, printing, CIDR ranges. */
#ifndef WEIR_NET_ADDR_H
#define WEIR_NET_ADDR_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/arena.h"

struct weir_addr {
    socklen_t len; /* 0 = none */
    union {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
    };
};

/** "1.2.3.4", "::1" or "[::1]" and a port. WEIR_ERR_SYNTAX for a name. */
WEIR_MUST_CHECK enum weir_err weir_addr_parse_ip(struct weir_slice ip, uint16_t port, struct weir_addr *ret);
/** A Unix socket path; a leading '@' means the abstract namespace (Envoy's rule). WEIR_ERR_LIMIT if too long. */
WEIR_MUST_CHECK enum weir_err weir_addr_parse_unix(struct weir_slice path, struct weir_addr *ret);
void weir_addr_from_sockaddr(const struct sockaddr_storage *ss, socklen_t len, struct weir_addr *ret);
bool weir_addr_is_ip(const struct weir_addr *addr);
uint16_t weir_addr_port(const struct weir_addr *addr);
void weir_addr_set_port(struct weir_addr *addr, uint16_t port);
bool weir_addr_eq(const struct weir_addr *a, const struct weir_addr *b);
bool weir_addr_is_loopback(const struct weir_addr *addr);
#define WEIR_ADDR_TEXT_MAX 128
/** "1.2.3.4:80", "[::1]:80" or the Unix path; returns a slice of `out`. */
struct weir_slice weir_addr_print(const struct weir_addr *addr, char out[WEIR_ADDR_TEXT_MAX]);
/** The same without the port and brackets. */
struct weir_slice weir_addr_print_ip(const struct weir_addr *addr, char out[WEIR_ADDR_TEXT_MAX]);

struct weir_cidr {
    struct weir_addr base;
    uint8_t bits;
};
WEIR_MUST_CHECK enum weir_err weir_cidr_make(struct weir_slice prefix, uint32_t bits, struct weir_cidr *ret);
/** IPv4-mapped IPv6 addresses match IPv4 ranges. */
bool weir_cidr_contains(const struct weir_cidr *cidr, const struct weir_addr *addr);

#endif
