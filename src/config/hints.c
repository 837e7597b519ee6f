/* What the user may have meant: near names, names that moved or went, types of API versions and builds that
 * are not here, and what to write instead of deprecated fields. Only looked at when something is wrong;
 * nothing here decides whether it is. */
#include "config/hints.h"

#include <stdlib.h>

#include "config/api_rules.h"

#define NAME_MAX_LEN 160 // longer names are not compared
#define SEARCHES_MAX 100 // reports that may search all types for a near name: each search takes milliseconds

/* ---- distance ---- */

/* Copies without '_' and in lower case; the length, or 0 when it is too long. */
static size_t normalize(struct weir_slice text, char *out)
{
    size_t len = 0;
    if (text.len > NAME_MAX_LEN)
        return 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] != '_')
            out[len++] = weir_lower(text.ptr[i]);
    }
    return len;
}

/* Damerau-Levenshtein (optimal string alignment), given up as soon as a whole row is above `max`. */
size_t weir_hint_distance(struct weir_slice a, struct weir_slice b, size_t max)
{
    char left[NAME_MAX_LEN], right[NAME_MAX_LEN];
    size_t rows[3][NAME_MAX_LEN + 1];
    size_t n = normalize(a, left), m = normalize(b, right);
    if (n == 0 || m == 0 || (n > m ? n - m : m - n) > max)
        return max + 1;
    for (size_t k = 0; k <= m; k++)
        rows[0][k] = k;
    for (size_t i = 1; i <= n; i++) {
        size_t *row = rows[i % 3], *above = rows[(i - 1) % 3], *second = rows[(i + 1) % 3];
        size_t best = row[0] = i;
        for (size_t k = 1; k <= m; k++) {
            size_t cost = left[i - 1] != right[k - 1];
            size_t least = WEIR_MIN(above[k] + 1, row[k - 1] + 1);
            least = WEIR_MIN(least, above[k - 1] + cost);
            if (i > 1 && k > 1 && left[i - 1] == right[k - 2] && left[i - 2] == right[k - 1]) {
                least = WEIR_MIN(least, second[k - 2] + 1);
            }
            row[k] = least;
            best = WEIR_MIN(best, least);
        }
        if (best > max)
            return max + 1;
    }
    return WEIR_MIN(rows[n % 3][m], max + 1);
}

size_t weir_hint_tolerance(size_t len)
{
    return len < 3 ? 0 : len < 6 ? 1 : len < 10 ? 2 : 3;
}

/* ---- fields ---- */

struct field_hint {
    const char *message; // short name; NULL = any
    const char *field;
    const char *hint;
};

static const char *find_hint(const struct field_hint *table, size_t n, const char *message,
                             struct weir_slice field)
{
    for (size_t i = 0; i < n; i++) {
        if (!weir_slice_eq(field, weir_slice_str(table[i].field)))
            continue;
        if (!table[i].message || strcmp(table[i].message, message) == 0)
            return table[i].hint;
    }
    return NULL;
}

/* Fields that an earlier Envoy had. */
static const struct field_hint removed_fields[] = {
    {"Cluster", "hosts", "it went with the v2 API: write load_assignment"},
    {"Cluster", "tls_context",
     "it went with the v2 API: write transport_socket with envoy.transport_sockets.tls"},
    {"FilterChain", "tls_context",
     "it went with the v2 API: write transport_socket with envoy.transport_sockets.tls"},
    {"Cluster", "extension_protocol_options",
     "it went with the v2 API: write typed_extension_protocol_options"},
    {"Bootstrap", "runtime", "it went with the v2 API: write layered_runtime"},
    {"RouteMatch", "regex", "it went with the v2 API: write safe_regex: {regex: ...}"},
    {"HeaderMatcher", "regex_match",
     "it went with the v2 API: write string_match: {safe_regex: {regex: ...}}"},
    {"RouteAction", "host_rewrite", "it went with the v2 API: write host_rewrite_literal"},
    {"RouteAction", "auto_host_rewrite_header", "it went with the v2 API: write host_rewrite_header"},
    {"RouteAction", "request_mirror_policy", "it went with the v2 API: write request_mirror_policies"},
    {"CorsPolicy", "allow_origin", "it went with the v2 API: write allow_origin_string_match"},
    {"CorsPolicy", "allow_origin_regex", "it went with the v2 API: write allow_origin_string_match"},
    {"CorsPolicy", "enabled", "it went with the v2 API: write filter_enabled"},
    {"HttpConnectionManager", "idle_timeout", "write common_http_protocol_options: {idle_timeout: ...}"},
    {"HttpHealthCheck", "use_http2", "it went with the v2 API: write codec_client_type: HTTP2"},
    {"HttpHealthCheck", "service_name", "it went with the v2 API: write service_name_matcher"},
    {"CertificateValidationContext", "verify_subject_alt_name", "write match_typed_subject_alt_names"},
    {NULL, "per_filter_config", "it went with the v2 API: write typed_per_filter_config"},
    {NULL, "config", "it went with the v2 API: write typed_config with \"@type\""},
};

static const struct field_hint deprecated_fields[] = {
    {"Admin", "access_log_path", "write access_log with envoy.access_loggers.file"},
    {"Admin", "profile_path", "it has no replacement"},
    {"HeaderMatcher", "exact_match", "write string_match: {exact: ...}"},
    {"HeaderMatcher", "safe_regex_match", "write string_match: {safe_regex: ...}"},
    {"HeaderMatcher", "prefix_match", "write string_match: {prefix: ...}"},
    {"HeaderMatcher", "suffix_match", "write string_match: {suffix: ...}"},
    {"HeaderMatcher", "contains_match", "write string_match: {contains: ...}"},
    {"VirtualHost", "cors", "write typed_per_filter_config with envoy.filters.http.cors"},
    {"RouteAction", "cors", "write typed_per_filter_config with envoy.filters.http.cors"},
    {"RouteAction", "max_grpc_timeout", "write max_stream_duration: {grpc_timeout_header_max: ...}"},
    {"RouteAction", "grpc_timeout_offset", "write max_stream_duration: {grpc_timeout_header_offset: ...}"},
    {"RouteAction", "rate_limits", "write typed_per_filter_config with envoy.filters.http.ratelimit"},
    {"WeightedCluster", "total_weight", "leave it out: the weights are added up"},
    {"Cluster", "common_http_protocol_options",
     "write typed_extension_protocol_options with envoy.extensions.upstreams.http.v3.HttpProtocolOptions"},
    {"Cluster", "http_protocol_options",
     "write typed_extension_protocol_options with envoy.extensions.upstreams.http.v3.HttpProtocolOptions"},
    {"Cluster", "http2_protocol_options",
     "write typed_extension_protocol_options with envoy.extensions.upstreams.http.v3.HttpProtocolOptions"},
    {"Cluster", "upstream_http_protocol_options",
     "write typed_extension_protocol_options with envoy.extensions.upstreams.http.v3.HttpProtocolOptions"},
    {"Cluster", "protocol_selection",
     "write typed_extension_protocol_options with envoy.extensions.upstreams.http.v3.HttpProtocolOptions"},
    {"Cluster", "max_requests_per_connection",
     "write max_requests_per_connection in the common_http_protocol_options of HttpProtocolOptions"},
    {"Cluster", "dns_resolvers", "write typed_dns_resolver_config"},
    {"Cluster", "use_tcp_for_dns_lookups", "write typed_dns_resolver_config"},
    {"Cluster", "dns_resolution_config", "write typed_dns_resolver_config"},
    {"Cluster", "dns_refresh_rate", "write cluster_type with envoy.clusters.dns"},
    {"Cluster", "track_timeout_budgets", "write track_cluster_stats: {timeout_budgets: true}"},
    {"FilterChain", "use_proxy_proto", "write listener_filters with envoy.filters.listener.proxy_protocol"},
    {"HeaderValueOption", "append", "write append_action"},
    {"FileAccessLog", "format", "write log_format: {text_format_source: {inline_string: ...}}"},
    {"FileAccessLog", "json_format", "write log_format: {json_format: ...}"},
    {"FileAccessLog", "typed_json_format", "write log_format: {json_format: ...}"},
    {"SubstitutionFormatString", "text_format", "write text_format_source: {inline_string: ...}"},
    {"GoogleRE2", "max_program_size", "leave it out"},
    {"Router", "start_child_span", "write spawn_upstream_span in the tracing of the HttpConnectionManager"},
    {"RegexMatcher", "google_re2", "leave it out: RE2 is the only engine"},
    {"PluginConfig", "fail_open", "write failure_policy: FAIL_OPEN"},
    {"CertificateValidationContext", "match_subject_alt_names", "write match_typed_subject_alt_names"},
    {"Bootstrap", "watchdog", "write watchdogs: {main_thread_watchdog: ..., worker_watchdog: ...}"},
    {"Bootstrap", "dns_resolution_config", "write typed_dns_resolver_config"},
    {"Bootstrap", "use_tcp_for_dns_lookups", "write typed_dns_resolver_config"},
    {"StringMatcher", "hidden_envoy_deprecated_regex", "write safe_regex"},
};

/* A field of this name in the object around this one, or further out: the usual mistake of indentation. */
static bool hint_outer_field(struct weir_reader *reader, const ProtobufCMessage *msg, struct weir_slice name)
{
    const struct weir_place *place = weir_index_place(reader->conf, msg);
    for (int steps = 0; place && place->parent && steps < 4; steps++) {
        place = weir_index_place(reader->conf, place->parent);
        if (!place || weir_schema_is_map_entry(place->msg->descriptor))
            continue;
        if (weir_schema_known_type(place->msg->descriptor) != WEIR_TYPE_PLAIN)
            continue;
        if (!weir_schema_field(place->msg->descriptor, name))
            continue;
        weir_diag_hint(reader->conf->diag, "it belongs to the %s around this one: is it indented too far?",
                       place->msg->descriptor->short_name);
        return true;
    }
    return false;
}

/* A field of this name in one of the messages that this one holds. */
static bool hint_inner_field(struct weir_reader *reader, const ProtobufCMessage *msg, struct weir_slice name)
{
    const ProtobufCMessageDescriptor *type = msg->descriptor;
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        if (field->type != PROTOBUF_C_TYPE_MESSAGE || weir_schema_is_map(field))
            continue;
        const ProtobufCMessageDescriptor *inner = weir_schema_message_of(field);
        if (weir_schema_known_type(inner) != WEIR_TYPE_PLAIN || !weir_schema_field(inner, name))
            continue;
        if (field->flags & PROTOBUF_C_FIELD_FLAG_DEPRECATED)
            continue;
        weir_diag_hint(reader->conf->diag, "\"%s\" inside \"%s\"?", name.ptr, field->name);
        return true;
    }
    return false;
}

static bool hint_near_field(struct weir_reader *reader, const ProtobufCMessage *msg, struct weir_slice name)
{
    const ProtobufCMessageDescriptor *type = msg->descriptor;
    const ProtobufCFieldDescriptor *nearest = NULL;
    size_t best = weir_hint_tolerance(name.len);
    for (unsigned i = 0; i < type->n_fields; i++) {
        size_t distance = weir_hint_distance(name, weir_slice_str(type->fields[i].name), best);
        if (distance > best || (nearest && distance == best))
            continue;
        nearest = &type->fields[i];
        best = distance;
    }
    if (!nearest)
        return false;
    weir_diag_hint(reader->conf->diag, "did you mean \"%s\"?", nearest->name);
    /* So that it is not reported as missing too. */
    if (!reader->conf->lenient)
        weir_index_mark_bad(reader->conf, msg, nearest);
    return true;
}

void weir_hint_unknown_field(struct weir_reader *reader, const ProtobufCMessage *msg,
                             const struct weir_pair *pair)
{
    const ProtobufCMessageDescriptor *type = msg->descriptor;
    struct weir_diag *diag = reader->conf->diag;
    if (reader->conf->lenient) {
        weir_index_report(reader->conf, WEIR_SEVERITY_WARNING, pair->key_pos, msg, NULL, -1,
                          "unknown field \"%.*s\" in %s", WEIR_SARG(pair->key), type->short_name);
    } else {
        weir_index_report(reader->conf, WEIR_SEVERITY_ERROR, pair->key_pos, msg, NULL, -1,
                          "unknown field \"%.*s\" in %s", WEIR_SARG(pair->key), type->short_name);
    }
    if (diag->last_dropped)
        return;
    const char *hint = find_hint(removed_fields, WEIR_COUNTOF(removed_fields), type->short_name, pair->key);
    bool is_config = weir_slice_eq(pair->key, WEIR_S("config"));
    if (hint && (!is_config || weir_schema_field(type, WEIR_S("typed_config")))) {
        weir_diag_hint(diag, "%s", hint);
    } else if (type->n_fields == 0) {
        weir_diag_hint(diag, "%s has no fields", type->short_name);
    } else if (!hint_near_field(reader, msg, pair->key) && !hint_outer_field(reader, msg, pair->key)) {
        (void)hint_inner_field(reader, msg, pair->key);
    }
}

void weir_hint_deprecated_field(struct weir_reader *reader, const struct weir_spot *spot, struct weir_pos pos)
{
    const char *message = spot->msg->descriptor->short_name;
    weir_reader_warn(reader, spot, pos, "deprecated");
    const char *hint = find_hint(deprecated_fields, WEIR_COUNTOF(deprecated_fields), message,
                                 weir_slice_str(spot->field->name));
    if (hint)
        weir_diag_hint(reader->conf->diag, "%s", hint);
}

static int compare_value_enum(const void *key, const void *element)
{
    const struct weir_deprecated_value *row = element;
    return strcmp(key, row->name);
}

void weir_hint_deprecated_value(struct weir_reader *reader, const struct weir_spot *spot, struct weir_pos pos,
                                const ProtobufCEnumDescriptor *type, int32_t value)
{
    const struct weir_deprecated_value *row =
        bsearch(type->name, weir_api_deprecated_values, weir_api_n_deprecated_values,
                sizeof(*weir_api_deprecated_values), compare_value_enum);
    if (!row)
        return;
    const struct weir_deprecated_value *end = weir_api_deprecated_values + weir_api_n_deprecated_values;
    while (row > weir_api_deprecated_values && strcmp(row[-1].name, type->name) == 0)
        row--;
    for (; row < end && strcmp(row->name, type->name) == 0; row++) {
        if (row->value != value)
            continue;
        const ProtobufCEnumValue *known = protobuf_c_enum_descriptor_get_value(type, value);
        weir_reader_warn(reader, spot, pos, "%s is deprecated", known ? known->name : "this value");
        return;
    }
}

/* ---- types ---- */

/* Extensions that only Envoy's "contrib" build has. */
static const char *const contrib_types[] = {
    "envoy.extensions.filters.http.checksum.",
    "envoy.extensions.filters.http.dynamo.",
    "envoy.extensions.filters.http.golang.",
    "envoy.extensions.filters.http.language.",
    "envoy.extensions.filters.http.peak_ewma.",
    "envoy.extensions.filters.http.squash.",
    "envoy.extensions.filters.http.sxg.",
    "envoy.extensions.filters.network.client_ssl_auth.",
    "envoy.extensions.filters.network.golang.",
    "envoy.extensions.filters.network.kafka_broker.",
    "envoy.extensions.filters.network.kafka_mesh.",
    "envoy.extensions.filters.network.mysql_proxy.",
    "envoy.extensions.filters.network.postgres_proxy.",
    "envoy.extensions.filters.network.rocketmq_proxy.",
    "envoy.extensions.filters.network.sip_proxy.",
    "envoy.extensions.compression.qatzip.",
    "envoy.extensions.compression.qatzstd.",
    "envoy.extensions.network.connection_balance.dlb.",
    "envoy.extensions.private_key_providers.",
    "envoy.extensions.regex_engines.hyperscan.",
    "envoy.extensions.matching.input_matchers.hyperscan.",
    "envoy.extensions.router.cluster_specifier.golang.",
    "envoy.extensions.upstreams.http.tcp.golang.",
    "envoy.extensions.vcl.",
    "envoy.config.filter.thrift.router.",
};

static int compare_former(const void *key, const void *element)
{
    const struct weir_slice *name = key;
    const struct weir_former_name *row = element;
    return weir_slice_cmp(*name, weir_slice_str(row->name));
}

static struct weir_slice last_part(struct weir_slice name)
{
    size_t dot = weir_slice_rfind(name, '.');
    return dot < name.len ? weir_slice_from(name, dot + 1) : name;
}

/* The type whose name is nearest; else the only one that is called the same in another package. */
static const char *near_type(struct weir_slice name)
{
    const char *nearest = NULL, *namesake = NULL;
    size_t best = 5, n_namesakes = 0;
    struct weir_slice last = last_part(name);
    for (size_t i = 0; i < weir_api_n_messages; i++) {
        const ProtobufCMessageDescriptor *type = weir_api_messages[i];
        if (weir_slice_eq(last, weir_slice_str(type->short_name))) {
            namesake = type->name;
            n_namesakes++;
        }
        size_t distance = weir_hint_distance(name, weir_slice_str(type->name), best);
        if (distance > best || (nearest && distance == best))
            continue;
        nearest = type->name;
        best = distance;
    }
    return nearest ? nearest : n_namesakes == 1 ? namesake : NULL;
}

static bool is_contrib(struct weir_slice name)
{
    for (size_t i = 0; i < WEIR_COUNTOF(contrib_types); i++) {
        if (weir_slice_starts_with(name, weir_slice_str(contrib_types[i])))
            return true;
    }
    return false;
}

void weir_hint_unknown_type(struct weir_reader *reader, const struct weir_spot *spot, struct weir_pos pos,
                            struct weir_slice name)
{
    struct weir_diag *diag = reader->conf->diag;
    const struct weir_former_name *former = bsearch(&name, weir_api_former_names, weir_api_n_former_names,
                                                    sizeof(*weir_api_former_names), compare_former);
    if (former) {
        weir_reader_fail(reader, spot, pos, "%.*s is of an API version that Envoy has removed",
                         WEIR_SARG(name));
        weir_diag_hint(diag, "its v3 type is \"type.googleapis.com/%s\"", former->now->name);
        return;
    }
    if (weir_slice_search(name, WEIR_S(".v2.")) != SIZE_MAX ||
        weir_slice_search(name, WEIR_S(".v2alpha")) != SIZE_MAX) {
        weir_reader_fail(reader, spot, pos, "%.*s is of an API version that Envoy has removed",
                         WEIR_SARG(name));
        return;
    }
    if (is_contrib(name)) {
        weir_reader_fail(reader, spot, pos,
                         "%.*s is an extension of Envoy's contrib build, not implemented by weir",
                         WEIR_SARG(name));
        return;
    }
    weir_reader_fail(reader, spot, pos, "no message type is called \"%.*s\"", WEIR_SARG(name));
    const char *near = diag->n_errors <= SEARCHES_MAX ? near_type(name) : NULL;
    if (near)
        weir_diag_hint(diag, "did you mean \"type.googleapis.com/%s\"?", near);
}

/* ---- extensions ---- */

struct extension {
    const char *name;
    const char *type;
};

/* By category: the types of what people name most, the names before 1.14 too. */
static const struct extension extensions[] = {
    {"envoy.filters.network.http_connection_manager",
     "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"},
    {"envoy.http_connection_manager",
     "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"},
    {"envoy.filters.network.tcp_proxy", "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"},
    {"envoy.tcp_proxy", "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"},
    {"envoy.filters.http.router", "envoy.extensions.filters.http.router.v3.Router"},
    {"envoy.router", "envoy.extensions.filters.http.router.v3.Router"},
    {"envoy.filters.http.wasm", "envoy.extensions.filters.http.wasm.v3.Wasm"},
    {"envoy.filters.http.cors", "envoy.extensions.filters.http.cors.v3.Cors"},
    {"envoy.cors", "envoy.extensions.filters.http.cors.v3.Cors"},
    {"envoy.filters.http.csrf", "envoy.extensions.filters.http.csrf.v3.CsrfPolicy"},
    {"envoy.filters.http.fault", "envoy.extensions.filters.http.fault.v3.HTTPFault"},
    {"envoy.fault", "envoy.extensions.filters.http.fault.v3.HTTPFault"},
    {"envoy.filters.http.buffer", "envoy.extensions.filters.http.buffer.v3.Buffer"},
    {"envoy.buffer", "envoy.extensions.filters.http.buffer.v3.Buffer"},
    {"envoy.filters.http.compressor", "envoy.extensions.filters.http.compressor.v3.Compressor"},
    {"envoy.filters.http.decompressor", "envoy.extensions.filters.http.decompressor.v3.Decompressor"},
    {"envoy.filters.http.gzip", "envoy.extensions.filters.http.compressor.v3.Compressor"},
    {"envoy.filters.http.health_check", "envoy.extensions.filters.http.health_check.v3.HealthCheck"},
    {"envoy.health_check", "envoy.extensions.filters.http.health_check.v3.HealthCheck"},
    {"envoy.filters.http.ext_authz", "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz"},
    {"envoy.filters.http.jwt_authn", "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication"},
    {"envoy.filters.http.local_ratelimit", "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"},
    {"envoy.filters.http.ratelimit", "envoy.extensions.filters.http.ratelimit.v3.RateLimit"},
    {"envoy.rate_limit", "envoy.extensions.filters.http.ratelimit.v3.RateLimit"},
    {"envoy.filters.http.rbac", "envoy.extensions.filters.http.rbac.v3.RBAC"},
    {"envoy.filters.http.lua", "envoy.extensions.filters.http.lua.v3.Lua"},
    {"envoy.lua", "envoy.extensions.filters.http.lua.v3.Lua"},
    {"envoy.filters.http.header_mutation", "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation"},
    {"envoy.filters.http.basic_auth", "envoy.extensions.filters.http.basic_auth.v3.BasicAuth"},
    {"envoy.filters.http.grpc_web", "envoy.extensions.filters.http.grpc_web.v3.GrpcWeb"},
    {"envoy.grpc_web", "envoy.extensions.filters.http.grpc_web.v3.GrpcWeb"},
    {"envoy.filters.http.grpc_stats", "envoy.extensions.filters.http.grpc_stats.v3.FilterConfig"},
    {"envoy.filters.http.grpc_http1_bridge", "envoy.extensions.filters.http.grpc_http1_bridge.v3.Config"},
    {"envoy.filters.http.upstream_codec", "envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec"},
    {"envoy.filters.listener.tls_inspector",
     "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"},
    {"envoy.filters.listener.http_inspector",
     "envoy.extensions.filters.listener.http_inspector.v3.HttpInspector"},
    {"envoy.filters.listener.proxy_protocol",
     "envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol"},
    {"envoy.filters.listener.original_dst", "envoy.extensions.filters.listener.original_dst.v3.OriginalDst"},
    {"envoy.access_loggers.file", "envoy.extensions.access_loggers.file.v3.FileAccessLog"},
    {"envoy.file_access_log", "envoy.extensions.access_loggers.file.v3.FileAccessLog"},
    {"envoy.access_loggers.http_grpc", "envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig"},
    {"envoy.access_loggers.tcp_grpc", "envoy.extensions.access_loggers.grpc.v3.TcpGrpcAccessLogConfig"},
    {"envoy.access_loggers.open_telemetry",
     "envoy.extensions.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig"},
    {"envoy.access_loggers.stdout", "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog"},
    {"envoy.access_loggers.stderr", "envoy.extensions.access_loggers.stream.v3.StderrAccessLog"},
    {"envoy.transport_sockets.raw_buffer", "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"},
    {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
     "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"},
};

const char *weir_hint_type_of_extension(struct weir_slice name)
{
    for (size_t i = 0; i < WEIR_COUNTOF(extensions); i++) {
        if (weir_slice_eq(name, weir_slice_str(extensions[i].name)))
            return extensions[i].type;
    }
    return NULL;
}

/* The table has the names that need it; by far the most are "envoy.X.Y", of a type
 * "envoy.extensions.X.Y.v3.Z". */
bool weir_hint_is_extension(struct weir_slice name)
{
    char prefix[NAME_MAX_LEN + 32];
    if (weir_hint_type_of_extension(name))
        return true;
    if (!weir_slice_starts_with(name, WEIR_S("envoy.")) || name.len > NAME_MAX_LEN)
        return false;
    struct weir_slice rest = weir_slice_from(name, sizeof("envoy.") - 1);
    int len = snprintf(prefix, sizeof(prefix), "envoy.extensions.%.*s.v3.", WEIR_SARG(rest));
    for (size_t i = 0; i < weir_api_n_messages; i++) {
        if (strncmp(weir_api_messages[i]->name, prefix, (size_t)len) == 0)
            return true;
    }
    return false;
}

const char *weir_hint_near_extension(struct weir_slice name)
{
    const char *nearest = NULL;
    size_t best = weir_hint_tolerance(name.len);
    for (size_t i = 0; i < WEIR_COUNTOF(extensions); i++) {
        size_t distance = weir_hint_distance(name, weir_slice_str(extensions[i].name), best);
        if (distance > best || (nearest && distance == best))
            continue;
        nearest = extensions[i].name;
        best = distance;
    }
    return nearest;
}
