/* Response heads on their last step before the codec. Order and names are Envoy's: what came from upstream and filters, then date,
 * server, x-request-id, via. */
#include "http/date.h"
#include "http/headers_hop.h"
#include "proxy/hcm_headers.h"

static bool has_hop_fields(const struct weir_headers *h)
{
    return weir_headers_has(h, WEIR_H_CONNECTION) || weir_headers_has(h, WEIR_H_UPGRADE) || weir_headers_has(h, WEIR_H_TE) ||
           weir_headers_has(h, WEIR_H_TRANSFER_ENCODING) || weir_headers_has(h, WEIR_H_KEEP_ALIVE) ||
           weir_headers_has(h, WEIR_H_PROXY_CONNECTION);
}

void weir_hcm_prepare_response(struct weir_stream *s, struct weir_headers *h)
{
    const struct weir_hcm *hcm = s->hcm;
    if (!weir_headers_has(h, WEIR_H_DATE)) weir_headers_add(h, WEIR_H_DATE, weir_http_date(s->loop->wall_ns));
    if (hcm->server_header == WEIR_SERVER_OVERWRITE ||
        (hcm->server_header == WEIR_SERVER_APPEND_IF_ABSENT && !weir_headers_has(h, WEIR_H_SERVER)))
        weir_headers_set_borrow(h, WEIR_H_SERVER, hcm->server_name);
    if (has_hop_fields(h)) (void)weir_headers_strip_hop_by_hop(h, false);
    if (hcm->request_id_in_response) {
        struct weir_slice id = weir_headers_get(&s->request_headers, WEIR_H_X_REQUEST_ID);
        if (id.len) weir_headers_set_borrow(h, WEIR_H_X_REQUEST_ID, id);
    }
    if (hcm->via.len) weir_headers_append(h, WEIR_H_VIA, hcm->via);
    s->info.header_bytes_sent = h->bytes;
}
