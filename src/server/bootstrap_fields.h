/* What weir implements of the Bootstrap message itself. */
#ifndef WEIR_SERVER_BOOTSTRAP_FIELDS_H
#define WEIR_SERVER_BOOTSTRAP_FIELDS_H

#include "config/supported.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb-c.h"

extern const struct weir_supported_fields weir_bootstrap_fields;

/** Gives the admin's connection manager the file access log that the old `access_log_path` stands for. */
void weir_bootstrap_admin_log(struct weir_config *config, const Envoy__Config__Bootstrap__V3__Admin *admin,
                              Envoy__Extensions__Filters__Network__HttpConnectionManager__V3__HttpConnectionManager *hcm);

#endif
