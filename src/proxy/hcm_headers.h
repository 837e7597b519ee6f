/* What the connection manager checks and changes in the heads of requests and responses. */
#ifndef WEIR_PROXY_HCM_HEADERS_H
#define WEIR_PROXY_HCM_HEADERS_H

#include "proxy/hcm.h"
#include "proxy/listener.h"
#include "proxy/stream.h"

/** Checks a request head and puts it into the form that filters, routes and upstreams see. False: it was refused, and an answer is
 * under way.
 *  Rule: Envoy's ConnectionManagerImpl::ActiveStream::decodeHeaders and ConnectionManagerUtility::mutateRequestHeaders. */
bool weir_hcm_prepare_request(struct weir_stream *s, const struct weir_down *down);
/** Base headers of a response that is about to be sent: date, server, x-request-id, via; connection fields go. */
void weir_hcm_prepare_response(struct weir_stream *s, struct weir_headers *h);

#endif
