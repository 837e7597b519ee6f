/* Hop-by-hop fields (RFC 9110 7.6.1). Both codecs deliver messages with them in place, because framing needs them; the stream strips
 * them once, on the way in. */
#include "http/headers_hop.h"

/* Fields that `connection` may not take away: without them the message would mean something else. */
static bool is_essential(enum weir_header_id id)
{
    static const uint8_t essential[] = {
        WEIR_H_METHOD, WEIR_H_SCHEME, WEIR_H_AUTHORITY,      WEIR_H_PATH,           WEIR_H_STATUS,
        WEIR_H_HOST,   WEIR_H_CONTENT_LENGTH, WEIR_H_X_FORWARDED_FOR, WEIR_H_X_FORWARDED_HOST,
        WEIR_H_X_FORWARDED_PROTO, WEIR_H_PROTOCOL,
    };
    for (size_t i = 0; i < sizeof(essential); i++) {
        if (essential[i] == id) {
            return true;
        }
    }
    return false;
}

static bool is_framing_token(enum weir_header_id id)
{
    return id == WEIR_H_UPGRADE || id == WEIR_H_TE || id == WEIR_H_KEEP_ALIVE || id == WEIR_H_HTTP2_SETTINGS;
}

static void remove_nominated(struct weir_headers *h, struct weir_slice list, struct weir_hop_facts *facts)
{
    struct weir_slice item;
    while (weir_slice_next(&list, ',', &item)) {
        item = weir_slice_trim(item);
        if (item.len == 0 || weir_slice_eq_nocase(item, WEIR_S("close"))) {
            continue;
        }
        struct weir_slice name = weir_arena_dup_lower(h->arena, item);
        enum weir_header_id id = weir_header_id_of(name);
        if (is_essential(id) || name.ptr[0] == ':') {
            facts->bad_nominated = true;
        } else if (!is_framing_token(id)) { /* those are judged by themselves */
            (void)weir_headers_remove_name(h, name);
        }
    }
}

static void reduce_te(struct weir_headers *h, struct weir_hop_facts *facts)
{
    uint32_t n;
    struct weir_slice te = weir_headers_get_joined(h, WEIR_S("te"), &n);
    if (n == 0) {
        return;
    }
    facts->te_trailers = weir_headers_list_has(te, WEIR_S("trailers"));
    if (facts->te_trailers) {
        weir_headers_set_borrow(h, WEIR_H_TE, WEIR_S("trailers"));
    } else {
        (void)weir_headers_remove(h, WEIR_H_TE);
    }
}

struct weir_hop_facts weir_headers_strip_hop_by_hop(struct weir_headers *h, bool keep_upgrade)
{
    struct weir_hop_facts facts = {0};
    uint32_t n;
    struct weir_slice connection = weir_headers_get_joined(h, WEIR_S("connection"), &n);
    struct weir_slice upgrade = weir_headers_get(h, WEIR_H_UPGRADE);
    facts.upgrade = n > 0 && upgrade.len > 0 && weir_headers_list_has(connection, WEIR_S("upgrade")) &&
                    !weir_slice_eq_nocase(upgrade, WEIR_S("h2c"));
    if (n > 0) {
        remove_nominated(h, connection, &facts);
        (void)weir_headers_remove(h, WEIR_H_CONNECTION);
    }
    static const enum weir_header_id hop[] = {WEIR_H_KEEP_ALIVE, WEIR_H_PROXY_CONNECTION,
                                              WEIR_H_TRANSFER_ENCODING, WEIR_H_HTTP2_SETTINGS};
    for (size_t i = 0; i < WEIR_COUNTOF(hop); i++) {
        (void)weir_headers_remove(h, hop[i]);
    }
    if (facts.upgrade && keep_upgrade) {
        weir_headers_add_borrow(h, WEIR_H_CONNECTION, WEIR_S("upgrade"));
    } else {
        (void)weir_headers_remove(h, WEIR_H_UPGRADE);
    }
    reduce_te(h, &facts);
    return facts;
}

void weir_trailers_strip(struct weir_headers *trailers)
{
    static const enum weir_header_id forbidden[] = {
        WEIR_H_CONTENT_LENGTH, WEIR_H_TRANSFER_ENCODING, WEIR_H_HOST,  WEIR_H_CONNECTION,
        WEIR_H_KEEP_ALIVE,     WEIR_H_PROXY_CONNECTION,  WEIR_H_TE,    WEIR_H_TRAILER,
        WEIR_H_UPGRADE,        WEIR_H_EXPECT,            WEIR_H_RANGE, WEIR_H_AUTHORIZATION,
        WEIR_H_CONTENT_TYPE,   WEIR_H_CONTENT_ENCODING,  WEIR_H_HTTP2_SETTINGS,
    };
    for (size_t i = 0; i < WEIR_COUNTOF(forbidden); i++) {
        (void)weir_headers_remove(trailers, forbidden[i]);
    }
    while (trailers->n > 0 && weir_slice_starts_with(trailers->v[0].name, WEIR_S(":"))) {
        weir_headers_remove_at(trailers, 0);
    }
}
