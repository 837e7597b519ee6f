/* Defaults of the command line. */
#include "server/options.h"

void weir_options_init(struct weir_options *options)
{
    *options = (struct weir_options){
        .log_level = "info",
        .service_cluster = "",
        .service_node = "",
        .service_zone = "",
        .drain_time_s = 600,
        .drain_strategy = "gradual",
        .parent_shutdown_time_s = 900,
        .file_flush_interval_msec = 10000,
        .file_flush_min_size_kb = 64,
        .local_address_ip_version = "v4",
    };
}
