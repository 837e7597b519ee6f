/* The tables behind "known to Envoy, not implemented by weir yet" in routes. */
#include "proxy/route_fields.h"

#include "envoy/config/route/v3/route.pb-c.h"
#include "proxy/retry.h"

#define FIELDS(name, descriptor) static const struct weir_supported_fields name = WEIR_SUPPORTED(descriptor, name##_table)

/* Header lists, the same in four messages. */
#define HEADER_LISTS \
    {.name = "request_headers_to_add", .nested = &header_option_fields}, {.name = "request_headers_to_remove"}, \
    {.name = "response_headers_to_add", .nested = &header_option_fields}, {.name = "response_headers_to_remove"}

static const struct weir_supported_field header_option_fields_table[] = {
    {.name = "header"},
    {.name = "append"},
    {.name = "append_action"},
    {.name = "keep_empty_value"},
};
FIELDS(header_option_fields, envoy__config__core__v3__header_value_option__descriptor);

static const struct weir_supported_field fraction_fields_table[] = {
    {.name = "default_value"},
    {.name = "runtime_key", .state = WEIR_FIELD_IGNORED, .note = "the default value counts: there is no runtime yet"},
};
FIELDS(fraction_fields, envoy__config__core__v3__runtime_fractional_percent__descriptor);

static const struct weir_supported_field match_fields_table[] = {
    {.name = "prefix"},
    {.name = "path"},
    {.name = "path_separated_prefix"},
    {.name = "safe_regex"},
    {.name = "case_sensitive"},
    {.name = "runtime_fraction", .nested = &fraction_fields},
    {.name = "headers"},
    {.name = "query_parameters"},
    {.name = "grpc"},
};
FIELDS(match_fields, envoy__config__route__v3__route_match__descriptor);

static const struct weir_supported_field weight_fields_table[] = {
    {.name = "name"},
    {.name = "cluster_header"},
    {.name = "weight"},
    {.name = "metadata_match", .state = WEIR_FIELD_HARMLESS, .note = "for subsets, which no cluster has"},
    HEADER_LISTS,
    {.name = "typed_per_filter_config"},
    {.name = "host_rewrite_literal"},
};
FIELDS(weight_fields, envoy__config__route__v3__weighted_cluster__cluster_weight__descriptor);

static const struct weir_supported_field weighted_fields_table[] = {
    {.name = "clusters", .nested = &weight_fields},
    {.name = "total_weight", .state = WEIR_FIELD_HARMLESS, .note = "the sum of the weights counts"},
    {.name = "runtime_key_prefix", .state = WEIR_FIELD_IGNORED, .note = "the weights as written count: there is no runtime yet"},
};
FIELDS(weighted_fields, envoy__config__route__v3__weighted_cluster__descriptor);

static const struct weir_supported_field duration_fields_table[] = {
    {.name = "max_stream_duration"},
};
FIELDS(duration_fields, envoy__config__route__v3__route_action__max_stream_duration__descriptor);

static const struct weir_supported_field action_fields_table[] = {
    {.name = "cluster"},
    {.name = "cluster_header"},
    {.name = "weighted_clusters", .nested = &weighted_fields},
    {.name = "cluster_not_found_response_code"},
    {.name = "metadata_match", .state = WEIR_FIELD_HARMLESS, .note = "for subsets, which no cluster has"},
    {.name = "prefix_rewrite"},
    {.name = "regex_rewrite"},
    {.name = "host_rewrite_literal"},
    {.name = "auto_host_rewrite"},
    {.name = "host_rewrite_header"},
    {.name = "host_rewrite_path_regex"},
    {.name = "append_x_forwarded_host"},
    {.name = "timeout"},
    {.name = "idle_timeout"},
    {.name = "max_stream_duration", .nested = &duration_fields},
    {.name = "priority"},
    {.name = "retry_policy", .nested = &weir_retry_policy_fields},
    {.name = "hash_policy", .state = WEIR_FIELD_HARMLESS, .note = "for RING_HASH and MAGLEV, which no cluster has"},
    {.name = "rate_limits", .state = WEIR_FIELD_HARMLESS, .note = "for filters that refuse for themselves"},
    {.name = "include_vh_rate_limits", .state = WEIR_FIELD_HARMLESS, .note = "for filters that refuse for themselves"},
    {.name = "max_grpc_timeout", .values = "0s"},
    {.name = "internal_redirect_action", .values = "PASS_THROUGH_INTERNAL_REDIRECT"},
};
FIELDS(action_fields, envoy__config__route__v3__route_action__descriptor);

static const struct weir_supported_field redirect_fields_table[] = {
    {.name = "https_redirect"},
    {.name = "scheme_redirect"},
    {.name = "host_redirect"},
    {.name = "port_redirect"},
    {.name = "path_redirect"},
    {.name = "prefix_rewrite"},
    {.name = "regex_rewrite"},
    {.name = "response_code"},
    {.name = "strip_query"},
};
FIELDS(redirect_fields, envoy__config__route__v3__redirect_action__descriptor);

static const struct weir_supported_field data_source_fields_table[] = {
    {.name = "filename"},
    {.name = "inline_bytes"},
    {.name = "inline_string"},
    {.name = "environment_variable"},
};
FIELDS(data_source_fields, envoy__config__core__v3__data_source__descriptor);

static const struct weir_supported_field direct_fields_table[] = {
    {.name = "status"},
    {.name = "body", .nested = &data_source_fields},
};
FIELDS(direct_fields, envoy__config__route__v3__direct_response_action__descriptor);

static const struct weir_supported_field route_fields_table[] = {
    {.name = "name"},
    {.name = "match", .nested = &match_fields},
    {.name = "route", .nested = &action_fields},
    {.name = "redirect", .nested = &redirect_fields},
    {.name = "direct_response", .nested = &direct_fields},
    {.name = "non_forwarding_action"},
    {.name = "metadata"},
    {.name = "decorator", .state = WEIR_FIELD_HARMLESS, .note = "for tracing"},
    {.name = "tracing", .state = WEIR_FIELD_HARMLESS, .note = "for tracing"},
    {.name = "typed_per_filter_config"},
    HEADER_LISTS,
    {.name = "per_request_buffer_limit_bytes"},
    {.name = "request_body_buffer_limit"},
    {.name = "stat_prefix", .state = WEIR_FIELD_IGNORED, .note = "there are no statistics per route yet"},
};
FIELDS(route_fields, envoy__config__route__v3__route__descriptor);

static const struct weir_supported_field vhost_fields_table[] = {
    {.name = "name"},
    {.name = "domains"},
    {.name = "routes", .nested = &route_fields},
    {.name = "require_tls"},
    {.name = "virtual_clusters", .state = WEIR_FIELD_IGNORED, .note = "there are no statistics per virtual cluster yet"},
    {.name = "rate_limits", .state = WEIR_FIELD_HARMLESS, .note = "for filters that refuse for themselves"},
    HEADER_LISTS,
    {.name = "typed_per_filter_config"},
    {.name = "include_request_attempt_count"},
    {.name = "include_attempt_count_in_response"},
    {.name = "retry_policy", .nested = &weir_retry_policy_fields},
    {.name = "per_request_buffer_limit_bytes"},
    {.name = "request_body_buffer_limit"},
    {.name = "metadata"},
};
FIELDS(vhost_fields, envoy__config__route__v3__virtual_host__descriptor);

static const struct weir_supported_field configuration_fields_table[] = {
    {.name = "name"},
    {.name = "virtual_hosts", .nested = &vhost_fields},
    HEADER_LISTS,
    {.name = "most_specific_header_mutations_wins"},
    {.name = "validate_clusters"},
    {.name = "max_direct_response_body_size_bytes"},
    {.name = "ignore_port_in_host_matching"},
    {.name = "typed_per_filter_config"},
    {.name = "metadata"},
};
const struct weir_supported_fields weir_route_configuration_fields =
    WEIR_SUPPORTED(envoy__config__route__v3__route_configuration__descriptor, configuration_fields_table);
