/* Status codes and their reason phrases (IANA's registry, Envoy's wording). */
#ifndef WEIR_HTTP_STATUS_H
#define WEIR_HTTP_STATUS_H

#include "base/slice.h"

/** The reason phrase; "Unknown" for codes without one. */
struct weir_slice weir_status_reason(uint32_t status);
/** No content is ever sent with it: 1xx, 204, 304 (RFC 9110 6.4.1). */
static inline bool weir_status_bodiless(uint32_t status)
{
    return status < 200 || status == 204 || status == 304;
}

#endif
