/* The tables behind "known to Envoy, not implemented by weir yet" in clusters. */
#include "upstream/cluster_fields.h"

#include "envoy/extensions/upstreams/http/v3/http_protocol_options.pb-c.h"

#define FIELDS(name, descriptor) static const struct weir_supported_fields name = WEIR_SUPPORTED(descriptor, name##_table)

/* ---- addresses and endpoints ---- */

static const struct weir_supported_field socket_address_fields_table[] = {
    {.name = "protocol", .values = "TCP"},
    {.name = "address"},
    {.name = "port_value"},
    {.name = "ipv4_compat", .state = WEIR_FIELD_HARMLESS, .note = "for listeners"},
};
FIELDS(socket_address_fields, envoy__config__core__v3__socket_address__descriptor);

static const struct weir_supported_field pipe_fields_table[] = {
    {.name = "path"},
    {.name = "mode", .state = WEIR_FIELD_HARMLESS, .note = "for listeners"},
};
FIELDS(pipe_fields, envoy__config__core__v3__pipe__descriptor);

static const struct weir_supported_field address_fields_table[] = {
    {.name = "socket_address", .nested = &socket_address_fields},
    {.name = "pipe", .nested = &pipe_fields},
};
FIELDS(address_fields, envoy__config__core__v3__address__descriptor);

static const struct weir_supported_field endpoint_fields_table[] = {
    {.name = "address", .nested = &address_fields},
    {.name = "hostname"},
    {.name = "health_check_config", .state = WEIR_FIELD_HARMLESS, .note = "for active health checks"},
};
FIELDS(endpoint_fields, envoy__config__endpoint__v3__endpoint__descriptor);

static const struct weir_supported_field lb_endpoint_fields_table[] = {
    {.name = "endpoint", .nested = &endpoint_fields},
    {.name = "health_status"},
    {.name = "metadata"},
    {.name = "load_balancing_weight"},
};
FIELDS(lb_endpoint_fields, envoy__config__endpoint__v3__lb_endpoint__descriptor);

static const struct weir_supported_field locality_fields_table[] = {
    {.name = "locality"},
    {.name = "metadata", .state = WEIR_FIELD_HARMLESS},
    {.name = "lb_endpoints", .nested = &lb_endpoint_fields},
    {.name = "load_balancing_weight", .state = WEIR_FIELD_HARMLESS, .note = "counts with locality_weighted_lb_config alone"},
    {.name = "priority"},
    {.name = "proximity", .state = WEIR_FIELD_HARMLESS},
};
FIELDS(locality_fields, envoy__config__endpoint__v3__locality_lb_endpoints__descriptor);

static const struct weir_supported_field policy_fields_table[] = {
    {.name = "overprovisioning_factor"},
    {.name = "endpoint_stale_after", .state = WEIR_FIELD_HARMLESS, .note = "for EDS"},
};
FIELDS(policy_fields, envoy__config__endpoint__v3__cluster_load_assignment__policy__descriptor);

static const struct weir_supported_field assignment_fields_table[] = {
    {.name = "cluster_name", .state = WEIR_FIELD_HARMLESS, .note = "for EDS; need not be the cluster's name"},
    {.name = "endpoints", .nested = &locality_fields},
    {.name = "policy", .nested = &policy_fields},
};
FIELDS(assignment_fields, envoy__config__endpoint__v3__cluster_load_assignment__descriptor);

/* ---- circuit breakers ---- */

static const struct weir_supported_field thresholds_fields_table[] = {
    {.name = "priority"},
    {.name = "max_connections"},
    {.name = "max_pending_requests"},
    {.name = "max_requests"},
    {.name = "max_retries"},
    {.name = "track_remaining", .values = "false"},
};
FIELDS(thresholds_fields, envoy__config__cluster__v3__circuit_breakers__thresholds__descriptor);

static const struct weir_supported_field breakers_fields_table[] = {
    {.name = "thresholds", .nested = &thresholds_fields},
};
FIELDS(breakers_fields, envoy__config__cluster__v3__circuit_breakers__descriptor);

/* ---- protocol options ---- */

static const struct weir_supported_field common_http_fields_table[] = {
    {.name = "idle_timeout"},
    {.name = "max_connection_duration"},
    {.name = "max_headers_count"},
    {.name = "max_response_headers_kb"},
    {.name = "max_stream_duration"},
    {.name = "max_requests_per_connection"},
    {.name = "headers_with_underscores_action", .state = WEIR_FIELD_HARMLESS, .note = "for requests from downstream"},
};
FIELDS(common_http_fields, envoy__config__core__v3__http_protocol_options__descriptor);

static const struct weir_supported_field key_format_fields_table[] = {
    {.name = "proper_case_words"},
};
FIELDS(key_format_fields, envoy__config__core__v3__http1_protocol_options__header_key_format__descriptor);

static const struct weir_supported_field http1_fields_table[] = {
    {.name = "allow_absolute_url", .state = WEIR_FIELD_HARMLESS, .note = "for requests from downstream"},
    {.name = "accept_http_10", .state = WEIR_FIELD_HARMLESS, .note = "for requests from downstream"},
    {.name = "default_host_for_http_10", .state = WEIR_FIELD_HARMLESS, .note = "for requests from downstream"},
    {.name = "header_key_format", .nested = &key_format_fields},
    {.name = "enable_trailers"},
    {.name = "allow_chunked_length"},
    {.name = "override_stream_error_on_invalid_http_message", .state = WEIR_FIELD_HARMLESS},
    {.name = "send_fully_qualified_url"},
    {.name = "use_balsa_parser", .state = WEIR_FIELD_HARMLESS, .note = "weir has one parser"},
    {.name = "allow_custom_methods", .state = WEIR_FIELD_HARMLESS, .note = "for requests from downstream"},
};
const struct weir_supported_fields weir_http1_options_fields =
    WEIR_SUPPORTED(envoy__config__core__v3__http1_protocol_options__descriptor, http1_fields_table);

static const struct weir_supported_field http2_fields_table[] = {
    {.name = "hpack_table_size"},
    {.name = "max_concurrent_streams"},
    {.name = "initial_stream_window_size"},
    {.name = "initial_connection_window_size"},
    {.name = "max_outbound_frames"},
    {.name = "max_outbound_control_frames"},
    {.name = "max_consecutive_inbound_frames_with_empty_payload"},
    {.name = "max_inbound_priority_frames_per_stream"},
    {.name = "max_inbound_window_update_frames_per_data_frame_sent"},
    {.name = "allow_connect", .state = WEIR_FIELD_HARMLESS, .note = "for requests from downstream"},
    {.name = "stream_error_on_invalid_http_messaging", .state = WEIR_FIELD_HARMLESS, .note = "a bad answer costs its stream alone"},
    {.name = "override_stream_error_on_invalid_http_message", .state = WEIR_FIELD_HARMLESS, .note = "a bad answer costs its stream alone"},
    {.name = "use_oghttp2_codec", .state = WEIR_FIELD_HARMLESS, .note = "weir has one codec"},
};
FIELDS(http2_fields, envoy__config__core__v3__http2_protocol_options__descriptor);

static const struct weir_supported_field explicit_fields_table[] = {
    {.name = "http_protocol_options", .nested = &weir_http1_options_fields},
    {.name = "http2_protocol_options", .nested = &http2_fields},
};
FIELDS(explicit_fields, envoy__extensions__upstreams__http__v3__http_protocol_options__explicit_http_config__descriptor);

static const struct weir_supported_field http_options_table[] = {
    {.name = "common_http_protocol_options", .nested = &common_http_fields},
    {.name = "explicit_http_config", .nested = &explicit_fields},
};
const struct weir_supported_fields weir_http_protocol_options_fields =
    WEIR_SUPPORTED(envoy__extensions__upstreams__http__v3__http_protocol_options__descriptor, http_options_table);

/* ---- balancing ---- */

static const struct weir_supported_field least_request_fields_table[] = {
    {.name = "choice_count"},
};
FIELDS(least_request_fields, envoy__config__cluster__v3__cluster__least_request_lb_config__descriptor);

static const struct weir_supported_field zone_aware_fields_table[] = {
    {.name = "routing_enabled", .state = WEIR_FIELD_HARMLESS, .note = "zones count with a local cluster alone"},
    {.name = "min_cluster_size", .state = WEIR_FIELD_HARMLESS, .note = "zones count with a local cluster alone"},
    {.name = "fail_traffic_on_panic"},
};
FIELDS(zone_aware_fields, envoy__config__cluster__v3__cluster__common_lb_config__zone_aware_lb_config__descriptor);

static const struct weir_supported_field common_lb_fields_table[] = {
    {.name = "healthy_panic_threshold"},
    {.name = "zone_aware_lb_config", .nested = &zone_aware_fields},
    {.name = "update_merge_window", .state = WEIR_FIELD_HARMLESS, .note = "for EDS and DNS"},
};
FIELDS(common_lb_fields, envoy__config__cluster__v3__cluster__common_lb_config__descriptor);


/* ---- the cluster ---- */

static const struct weir_supported_field keepalive_fields_table[] = {
    {.name = "keepalive_probes"},
    {.name = "keepalive_time"},
    {.name = "keepalive_interval"},
};
FIELDS(keepalive_fields, envoy__config__core__v3__tcp_keepalive__descriptor);

static const struct weir_supported_field connection_fields_table[] = {
    {.name = "tcp_keepalive", .nested = &keepalive_fields},
};
FIELDS(connection_fields, envoy__config__cluster__v3__upstream_connection_options__descriptor);

static const struct weir_supported_field cluster_table[] = {
    {.name = "name"},
    {.name = "alt_stat_name"},
    {.name = "type", .values = "STATIC STRICT_DNS LOGICAL_DNS"},
    {.name = "connect_timeout"},
    {.name = "per_connection_buffer_limit_bytes"},
    {.name = "lb_policy", .values = "ROUND_ROBIN LEAST_REQUEST RANDOM"},
    {.name = "least_request_lb_config", .nested = &least_request_fields},
    {.name = "common_lb_config", .nested = &common_lb_fields},
    {.name = "load_assignment", .nested = &assignment_fields},
    {.name = "circuit_breakers", .nested = &breakers_fields},
    {.name = "max_requests_per_connection"},
    {.name = "common_http_protocol_options", .nested = &common_http_fields},
    {.name = "http_protocol_options", .nested = &weir_http1_options_fields},
    {.name = "http2_protocol_options", .nested = &http2_fields},
    {.name = "typed_extension_protocol_options", .note = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"},
    {.name = "transport_socket", .note = "envoy.transport_sockets.raw_buffer"},
    {.name = "upstream_connection_options", .nested = &connection_fields},
    {.name = "metadata"},
    {.name = "dns_lookup_family"},
    {.name = "dns_refresh_rate"},
    {.name = "dns_failure_refresh_rate"},
    {.name = "dns_jitter"},
    {.name = "respect_dns_ttl"},
    {.name = "use_tcp_for_dns_lookups", .values = "false"},
    {.name = "wait_for_warm_on_init"},
    {.name = "cleanup_interval", .state = WEIR_FIELD_HARMLESS, .note = "for ORIGINAL_DST"},
    {.name = "protocol_selection", .values = "USE_CONFIGURED_PROTOCOL"},
};
const struct weir_supported_fields weir_cluster_fields =
    WEIR_SUPPORTED(envoy__config__cluster__v3__cluster__descriptor, cluster_table);
