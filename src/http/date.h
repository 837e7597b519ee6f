/* HTTP dates (RFC 9110 5.6.7). */
#ifndef WEIR_HTTP_DATE_H
#define WEIR_HTTP_DATE_H

#include "base/slice.h"

#define WEIR_HTTP_DATE_LEN 29

/** IMF-fixdate of `wall_ns` (nanoseconds since 1970; years 0 to 9999), formatted once a second and thread: borrowed until the
 * thread asks for another second. Copy it into what lives longer. */
struct weir_slice weir_http_date(int64_t wall_ns);
/** The same into `out`, uncached. */
void weir_http_date_format(int64_t unix_seconds, char out[WEIR_HTTP_DATE_LEN]);

#endif
