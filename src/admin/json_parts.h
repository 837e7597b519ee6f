/* Pieces of JSON that several endpoints print. */
#ifndef WEIR_ADMIN_JSON_PARTS_H
#define WEIR_ADMIN_JSON_PARTS_H

#include "base/str.h"
#include "net/addr.h"

/** An Address message: {"socket_address":{"address":"1.2.3.4","port_value":80}} or {"pipe":{"path":"/x"}}. */
void weir_admin_json_address(struct weir_str *out, const struct weir_addr *addr);
/** "2026-11-23T17:32:36.245Z", with quotes. */
void weir_admin_json_time(struct weir_str *out, int64_t wall_ns);

#endif
