/* Fields that belong to one connection and must not be passed on. */
#ifndef WEIR_HTTP_HEADERS_HOP_H
#define WEIR_HTTP_HEADERS_HOP_H

#include "http/headers.h"

/** What the strip found out before it removed the evidence. */
struct weir_hop_facts {
    bool upgrade;       /* `connection: upgrade` with an `upgrade` field other than h2c */
    bool te_trailers;   /* the peer takes trailers */
    bool bad_nominated; /* `connection` named a field that may not be removed (authority, path, host …): refuse the message */
};

/** Removes `connection` and every field it names, keep-alive, proxy-connection, te other than `trailers`, transfer-encoding,
 *  http2-settings and, unless `keep_upgrade` and the message is an upgrade, upgrade. For requests and responses alike, before
 *  filters see them. With `keep_upgrade` an upgrade message keeps `connection: upgrade` and `upgrade`.
 *  Rule: RFC 9110 7.6.1; Envoy does so for requests (ConnectionManagerUtility::mutateRequestHeaders), we for both. */
struct weir_hop_facts weir_headers_strip_hop_by_hop(struct weir_headers *h, bool keep_upgrade);

/** Trailers: removes what may not stand in a trailer section (framing, routing, pseudo-headers). RFC 9110 6.5.1. */
void weir_trailers_strip(struct weir_headers *trailers);

#endif
