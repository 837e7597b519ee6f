/* Properties by path (Envoy: context.cc findValue, the CEL attributes): a table of roots, each with a table of names. Values are
 * serialized as Envoy does: strings raw, integers and times 8 bytes little-endian (times in ns), booleans one byte, maps
 * as pairs, messages in their wire form; messages are walked by field name.
 *
 * "wasm.<name>", read and written, is filter state of the stream under the key of the same text. */
#include <protobuf-c/protobuf-c.h>

#include "base/mem.h"
#include "envoy/config/cluster/v3/cluster.pb-c.h"
#include "envoy/config/core/v3/base.pb-c.h"
#include "filters/wasm/plugin.h"
#include "proxy/route.h"
#include "wasm/pairs.h"

/* What a getter works on, and where its answer goes. */
struct lookup {
    struct wasm_context *ctx;
    struct weir_stream_info *info;        /* NULL for a root */
    struct weir_arena *arena;
    const struct weir_headers *request_headers, *response_headers, *request_trailers, *response_trailers; /* each may be NULL */
    struct weir_slice rest;               /* of the path, behind the name that was found */
    struct weir_str *scratch;
    struct weir_slice *ret;
};

typedef enum weir_wasm_status (*getter)(struct lookup *l);
struct row {
    struct weir_slice name;
    getter get;
};

/* ---- answers ---- */

static enum weir_wasm_status text(struct lookup *l, struct weir_slice value)
{
    *l->ret = value;
    return WEIR_WASM_OK;
}

static enum weir_wasm_status text_or_none(struct lookup *l, struct weir_slice value)
{
    return value.ptr ? text(l, value) : WEIR_WASM_NOT_FOUND;
}

static enum weir_wasm_status bytes(struct lookup *l, const void *data, size_t len)
{
    weir_str_add(l->scratch, weir_slice(data, len));
    return text(l, weir_str_slice(l->scratch));
}

static enum weir_wasm_status number(struct lookup *l, uint64_t value)
{
    return bytes(l, &value, sizeof value);
}

static enum weir_wasm_status boolean(struct lookup *l, bool value)
{
    uint8_t byte = value;
    return bytes(l, &byte, 1);
}

static enum weir_wasm_status address(struct lookup *l, const struct weir_addr *addr)
{
    char out[WEIR_ADDR_TEXT_MAX];
    if (addr->len == 0) return WEIR_WASM_NOT_FOUND;
    struct weir_slice printed = weir_addr_print(addr, out);
    return bytes(l, printed.ptr, printed.len);
}

static enum weir_wasm_status port(struct lookup *l, const struct weir_addr *addr)
{
    return weir_addr_is_ip(addr) ? number(l, weir_addr_port(addr)) : WEIR_WASM_NOT_FOUND;
}

static enum weir_wasm_status pairs(struct lookup *l, const struct weir_wasm_pairs *view)
{
    size_t size = weir_pairs_size(view);
    if (size > WEIR_WASM_PAIRS_BYTES_MAX) return WEIR_WASM_SERIALIZATION_FAILURE;
    char *room = weir_xalloc(size + 1);
    weir_pairs_write(view, room);
    weir_str_add(l->scratch, weir_slice(room, size));
    weir_free(room);
    return text(l, weir_str_slice(l->scratch));
}

static enum weir_wasm_status headers(struct lookup *l, const struct weir_headers *h)
{
    if (!h) return WEIR_WASM_NOT_FOUND;
    if (l->rest.len == 0) {
        struct weir_wasm_pairs view = {h->v, sizeof *h->v, h->n};
        return pairs(l, &view);
    }
    uint32_t n;
    struct weir_slice lower = weir_arena_dup_lower(l->arena, l->rest);
    struct weir_slice value = weir_headers_get_joined(h, lower, &n);
    return n > 0 ? text(l, value) : WEIR_WASM_NOT_FOUND;
}

static enum weir_wasm_status request_field(struct lookup *l, enum weir_header_id id)
{
    const struct weir_header *field = weir_headers_find(l->request_headers, id);
    return field ? text(l, field->value) : WEIR_WASM_NOT_FOUND;
}

/* ---- messages ---- */

static const void *member(const ProtobufCMessage *msg, const ProtobufCFieldDescriptor *field)
{
    return (const char *)msg + field->offset;
}

static enum weir_wasm_status walk_message(struct lookup *l, const ProtobufCMessage *msg);

static enum weir_wasm_status whole_message(struct lookup *l, const ProtobufCMessage *msg)
{
    size_t size = protobuf_c_message_get_packed_size(msg);
    uint8_t *room = weir_xalloc(size + 1);
    (void)protobuf_c_message_pack(msg, room);
    weir_str_add(l->scratch, weir_slice((const char *)room, size));
    weir_free(room);
    return text(l, weir_str_slice(l->scratch));
}

/* A google.protobuf.Value is what it holds. */
static enum weir_wasm_status struct_value(struct lookup *l, const Google__Protobuf__Value *value)
{
    switch (value->kind_case) {
    case GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE:
        return l->rest.len == 0 ? text(l, weir_slice_str(value->string_value)) : WEIR_WASM_NOT_FOUND;
    case GOOGLE__PROTOBUF__VALUE__KIND_NUMBER_VALUE: return bytes(l, &value->number_value, sizeof value->number_value);
    case GOOGLE__PROTOBUF__VALUE__KIND_BOOL_VALUE: return boolean(l, value->bool_value);
    case GOOGLE__PROTOBUF__VALUE__KIND_STRUCT_VALUE: return walk_message(l, &value->struct_value->base);
    case GOOGLE__PROTOBUF__VALUE__KIND_LIST_VALUE: return walk_message(l, &value->list_value->base);
    case GOOGLE__PROTOBUF__VALUE__KIND_NULL_VALUE:
    case GOOGLE__PROTOBUF__VALUE__KIND__NOT_SET:
    default: return WEIR_WASM_SERIALIZATION_FAILURE;
    }
}

static enum weir_wasm_status sub_message(struct lookup *l, const ProtobufCMessage *msg)
{
    if (!msg) return WEIR_WASM_NOT_FOUND;
    if (msg->descriptor == &google__protobuf__value__descriptor) return struct_value(l, (const Google__Protobuf__Value *)msg);
    return l->rest.len == 0 ? whole_message(l, msg) : walk_message(l, msg);
}

static enum weir_wasm_status scalar(struct lookup *l, const ProtobufCFieldDescriptor *field, const void *at)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING: return text(l, weir_slice_str(*(const char *const *)at ? *(const char *const *)at : ""));
    case PROTOBUF_C_TYPE_BYTES: {
        const ProtobufCBinaryData *data = at;
        return text(l, weir_slice((const char *)data->data, data->len));
    }
    case PROTOBUF_C_TYPE_BOOL: return boolean(l, *(const protobuf_c_boolean *)at != 0);
    case PROTOBUF_C_TYPE_DOUBLE: return bytes(l, at, 8);
    case PROTOBUF_C_TYPE_FLOAT: {
        double value = (double)*(const float *)at;
        return bytes(l, &value, 8);
    }
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64: return bytes(l, at, 8);
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_ENUM: return number(l, (uint64_t)(int64_t) * (const int32_t *)at);
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32: return number(l, *(const uint32_t *)at);
    case PROTOBUF_C_TYPE_MESSAGE: return sub_message(l, *(const ProtobufCMessage *const *)at);
    default: return WEIR_WASM_SERIALIZATION_FAILURE;
    }
}

/* Map entries are messages with the fields key (1) and value (2). */
static enum weir_wasm_status map_entry(struct lookup *l, const ProtobufCFieldDescriptor *field, const ProtobufCMessage *msg,
                                       struct weir_slice key)
{
    size_t n = *(const size_t *)(const void *)((const char *)msg + field->quantifier_offset);
    const ProtobufCMessage *const *entries = *(const ProtobufCMessage *const *const *)member(msg, field);
    for (size_t i = 0; i < n; i++) {
        const ProtobufCFieldDescriptor *fields = entries[i]->descriptor->fields;
        if (entries[i]->descriptor->n_fields != 2 || fields[0].type != PROTOBUF_C_TYPE_STRING) return WEIR_WASM_NOT_FOUND;
        const char *name = *(const char *const *)member(entries[i], &fields[0]);
        if (weir_slice_eq(weir_slice_str(name), key)) return scalar(l, &fields[1], member(entries[i], &fields[1]));
    }
    return WEIR_WASM_NOT_FOUND;
}

static enum weir_wasm_status list_item(struct lookup *l, const ProtobufCFieldDescriptor *field, const ProtobufCMessage *msg,
                                       struct weir_slice key)
{
    uint64_t i;
    size_t n = *(const size_t *)(const void *)((const char *)msg + field->quantifier_offset);
    if (weir_parse_u64(key, UINT32_MAX, &i) != WEIR_OK || i >= n || field->type != PROTOBUF_C_TYPE_MESSAGE)
        return WEIR_WASM_NOT_FOUND;
    const ProtobufCMessage *const *items = *(const ProtobufCMessage *const *const *)member(msg, field);
    return sub_message(l, items[i]);
}

static bool next_segment(struct lookup *l, struct weir_slice *ret)
{
    return l->rest.len > 0 && weir_slice_next(&l->rest, '\0', ret);
}

static enum weir_wasm_status repeated(struct lookup *l, const ProtobufCFieldDescriptor *field, const ProtobufCMessage *msg)
{
    struct weir_slice key;
    if (!next_segment(l, &key)) return WEIR_WASM_SERIALIZATION_FAILURE;
    enum weir_wasm_status status = list_item(l, field, msg, key);
    return status == WEIR_WASM_NOT_FOUND && field->type == PROTOBUF_C_TYPE_MESSAGE ? map_entry(l, field, msg, key) : status;
}

static enum weir_wasm_status walk_message(struct lookup *l, const ProtobufCMessage *msg)
{
    struct weir_slice name;
    if (l->rest.len == 0) return whole_message(l, msg);
    /* Struct and ListValue are what their one field holds. */
    if (msg->descriptor == &google__protobuf__struct__descriptor || msg->descriptor == &google__protobuf__list_value__descriptor)
        return repeated(l, &msg->descriptor->fields[0], msg);
    if (!next_segment(l, &name) || name.len > 64) return WEIR_WASM_NOT_FOUND;
    char field_name[65];
    memcpy(field_name, name.ptr, name.len);
    field_name[name.len] = '\0';
    const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field_by_name(msg->descriptor, field_name);
    if (!field) return WEIR_WASM_NOT_FOUND;
    if (field->label == PROTOBUF_C_LABEL_REPEATED) return repeated(l, field, msg);
    if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF &&
        *(const uint32_t *)(const void *)((const char *)msg + field->quantifier_offset) != field->id)
        return WEIR_WASM_NOT_FOUND;
    return scalar(l, field, member(msg, field));
}

static enum weir_wasm_status metadata(struct lookup *l, const void *msg)
{
    if (!msg) return WEIR_WASM_NOT_FOUND;
    return walk_message(l, msg);
}

/* ---- request ---- */

static enum weir_wasm_status request_path(struct lookup *l)
{
    return request_field(l, WEIR_H_PATH);
}

static enum weir_wasm_status request_url_path(struct lookup *l)
{
    return text(l, weir_path_only(weir_headers_path(l->request_headers)));
}

static enum weir_wasm_status request_query(struct lookup *l)
{
    struct weir_slice path = weir_headers_path(l->request_headers);
    size_t mark = weir_slice_find(path, '?');
    struct weir_slice query = mark < path.len ? weir_slice_from(path, mark + 1) : WEIR_S("");
    return text(l, weir_slice_first(query, weir_slice_find(query, '#')));
}

static enum weir_wasm_status request_host(struct lookup *l)
{
    return request_field(l, WEIR_H_AUTHORITY);
}

static enum weir_wasm_status request_scheme(struct lookup *l)
{
    return request_field(l, WEIR_H_SCHEME);
}

static enum weir_wasm_status request_method(struct lookup *l)
{
    return request_field(l, WEIR_H_METHOD);
}

static enum weir_wasm_status request_named(struct lookup *l, struct weir_slice name)
{
    const struct weir_header *field = weir_headers_find_name(l->request_headers, name);
    return field ? text(l, field->value) : WEIR_WASM_NOT_FOUND;
}

static enum weir_wasm_status request_referer(struct lookup *l)
{
    return request_named(l, WEIR_S("referer"));
}

static enum weir_wasm_status request_useragent(struct lookup *l)
{
    return request_named(l, WEIR_S("user-agent"));
}

static enum weir_wasm_status request_id(struct lookup *l)
{
    return request_named(l, WEIR_S("x-request-id"));
}

static enum weir_wasm_status request_protocol(struct lookup *l)
{
    return text(l, weir_slice_str(weir_http_protocol_text(l->info->protocol)));
}

static enum weir_wasm_status request_headers(struct lookup *l)
{
    return headers(l, l->request_headers);
}

static enum weir_wasm_status request_time(struct lookup *l)
{
    return number(l, (uint64_t)l->info->start_wall_ns);
}

static enum weir_wasm_status request_duration(struct lookup *l)
{
    return l->info->end_ns ? number(l, l->info->end_ns - l->info->start_ns) : WEIR_WASM_NOT_FOUND;
}

static enum weir_wasm_status request_size(struct lookup *l)
{
    uint64_t length;
    bool known = weir_headers_content_length(l->request_headers, &length);
    return number(l, known ? length : l->info->bytes_received);
}

static enum weir_wasm_status request_total_size(struct lookup *l)
{
    return number(l, l->info->bytes_received + l->request_headers->bytes);
}

static const struct row request_rows[] = {
    {WEIR_S_INIT("path"), request_path},           {WEIR_S_INIT("url_path"), request_url_path},
    {WEIR_S_INIT("host"), request_host},           {WEIR_S_INIT("scheme"), request_scheme},
    {WEIR_S_INIT("method"), request_method},       {WEIR_S_INIT("referer"), request_referer},
    {WEIR_S_INIT("useragent"), request_useragent}, {WEIR_S_INIT("id"), request_id},
    {WEIR_S_INIT("protocol"), request_protocol},   {WEIR_S_INIT("query"), request_query},
    {WEIR_S_INIT("headers"), request_headers},     {WEIR_S_INIT("time"), request_time},
    {WEIR_S_INIT("duration"), request_duration},   {WEIR_S_INIT("size"), request_size},
    {WEIR_S_INIT("total_size"), request_total_size},
};

/* ---- response ---- */

static enum weir_wasm_status response_code(struct lookup *l)
{
    uint32_t status = l->info->status;
    if (status == 0 && l->response_headers) status = weir_headers_status(l->response_headers);
    return status ? number(l, status) : WEIR_WASM_NOT_FOUND;
}

static enum weir_wasm_status response_code_details(struct lookup *l)
{
    return text_or_none(l, l->info->details);
}

static enum weir_wasm_status response_flags(struct lookup *l)
{
    return number(l, l->info->flags);
}

static enum weir_wasm_status response_grpc_status(struct lookup *l)
{
    const struct weir_headers *maps[] = {l->response_trailers, l->response_headers};
    for (size_t i = 0; i < WEIR_COUNTOF(maps); i++) {
        const struct weir_header *field = maps[i] ? weir_headers_find_name(maps[i], WEIR_S("grpc-status")) : NULL;
        uint64_t status;
        if (field && weir_parse_u64(field->value, UINT32_MAX, &status) == WEIR_OK) return number(l, status);
    }
    return WEIR_WASM_NOT_FOUND;
}

static enum weir_wasm_status response_headers(struct lookup *l)
{
    return headers(l, l->response_headers);
}

static enum weir_wasm_status response_trailers(struct lookup *l)
{
    return headers(l, l->response_trailers);
}

static enum weir_wasm_status response_size(struct lookup *l)
{
    return number(l, l->info->bytes_sent);
}

static enum weir_wasm_status response_total_size(struct lookup *l)
{
    const struct weir_headers *h = l->response_headers, *t = l->response_trailers;
    return number(l, l->info->bytes_sent + (h ? h->bytes : 0) + (t ? t->bytes : 0));
}

static enum weir_wasm_status response_backend_latency(struct lookup *l)
{
    if (!l->info->last_up_tx_ns || l->info->first_up_rx_ns < l->info->last_up_tx_ns) return WEIR_WASM_NOT_FOUND;
    return number(l, l->info->first_up_rx_ns - l->info->last_up_tx_ns);
}

static const struct row response_rows[] = {
    {WEIR_S_INIT("code"), response_code},
    {WEIR_S_INIT("code_details"), response_code_details},
    {WEIR_S_INIT("flags"), response_flags},
    {WEIR_S_INIT("grpc_status"), response_grpc_status},
    {WEIR_S_INIT("headers"), response_headers},
    {WEIR_S_INIT("trailers"), response_trailers},
    {WEIR_S_INIT("size"), response_size},
    {WEIR_S_INIT("total_size"), response_total_size},
    {WEIR_S_INIT("backend_latency"), response_backend_latency},
};

/* ---- source, destination, connection ---- */

static enum weir_wasm_status source_address(struct lookup *l)
{
    return address(l, &l->info->remote);
}

static enum weir_wasm_status source_port(struct lookup *l)
{
    return port(l, &l->info->remote);
}

static enum weir_wasm_status destination_address(struct lookup *l)
{
    return l->info->conn ? address(l, &l->info->conn->local) : WEIR_WASM_NOT_FOUND;
}

static enum weir_wasm_status destination_port(struct lookup *l)
{
    return l->info->conn ? port(l, &l->info->conn->local) : WEIR_WASM_NOT_FOUND;
}

static const struct row source_rows[] = {{WEIR_S_INIT("address"), source_address}, {WEIR_S_INIT("port"), source_port}};
static const struct row destination_rows[] = {{WEIR_S_INIT("address"), destination_address},
                                              {WEIR_S_INIT("port"), destination_port}};

static enum weir_wasm_status connection_id(struct lookup *l)
{
    return l->info->conn ? number(l, l->info->conn->id) : WEIR_WASM_NOT_FOUND;
}

static enum weir_wasm_status connection_mtls(struct lookup *l)
{
    return l->info->conn && l->info->conn->tls ? WEIR_WASM_NOT_FOUND : boolean(l, false);
}

static enum weir_wasm_status connection_sni(struct lookup *l)
{
    return l->info->conn ? text_or_none(l, l->info->conn->requested_server_name) : WEIR_WASM_NOT_FOUND;
}

static enum weir_wasm_status connection_termination(struct lookup *l)
{
    const struct weir_conn_info *conn = l->info->conn;
    return conn && conn->termination_details ? text(l, weir_slice_str(conn->termination_details)) : WEIR_WASM_NOT_FOUND;
}

static const struct row connection_rows[] = {
    {WEIR_S_INIT("id"), connection_id},
    {WEIR_S_INIT("mtls"), connection_mtls},
    {WEIR_S_INIT("requested_server_name"), connection_sni},
    {WEIR_S_INIT("termination_details"), connection_termination},
};

/* ---- upstream ---- */

static enum weir_wasm_status upstream_address(struct lookup *l)
{
    return l->info->host ? text(l, l->info->host->address_text) : WEIR_WASM_NOT_FOUND;
}

static enum weir_wasm_status upstream_port(struct lookup *l)
{
    return l->info->host ? port(l, &l->info->host->addr) : WEIR_WASM_NOT_FOUND;
}

static enum weir_wasm_status upstream_local_address(struct lookup *l)
{
    return address(l, &l->info->up_local);
}

static enum weir_wasm_status upstream_failure(struct lookup *l)
{
    return text_or_none(l, l->info->up_failure);
}

static enum weir_wasm_status upstream_attempts(struct lookup *l)
{
    return l->info->attempts ? number(l, l->info->attempts) : WEIR_WASM_NOT_FOUND;
}

static enum weir_wasm_status upstream_pool_ready(struct lookup *l)
{
    return l->info->up_pool_ready_ns ? number(l, l->info->up_pool_ready_ns) : WEIR_WASM_NOT_FOUND;
}

static const struct row upstream_rows[] = {
    {WEIR_S_INIT("address"), upstream_address},
    {WEIR_S_INIT("port"), upstream_port},
    {WEIR_S_INIT("local_address"), upstream_local_address},
    {WEIR_S_INIT("transport_failure_reason"), upstream_failure},
    {WEIR_S_INIT("request_attempt_count"), upstream_attempts},
    {WEIR_S_INIT("cx_pool_ready_duration"), upstream_pool_ready},
};

/* ---- xds and its old bare names ---- */

static enum weir_wasm_status xds_cluster_name(struct lookup *l)
{
    return text_or_none(l, l->info->cluster_name);
}

static enum weir_wasm_status xds_cluster_metadata(struct lookup *l)
{
    const Envoy__Config__Cluster__V3__Cluster *cluster = l->info->cluster ? l->info->cluster->proto : NULL;
    return metadata(l, cluster ? cluster->metadata : NULL);
}

static enum weir_wasm_status xds_listener_direction(struct lookup *l)
{
    return l->info->conn ? number(l, l->info->conn->listener_direction) : WEIR_WASM_NOT_FOUND;
}

static enum weir_wasm_status xds_listener_metadata(struct lookup *l)
{
    return metadata(l, l->info->conn ? l->info->conn->listener_metadata : NULL);
}

static enum weir_wasm_status xds_route_name(struct lookup *l)
{
    return text_or_none(l, l->info->route_name);
}

static enum weir_wasm_status xds_route_metadata(struct lookup *l)
{
    return metadata(l, l->info->route_metadata);
}

static enum weir_wasm_status xds_vhost_name(struct lookup *l)
{
    return text_or_none(l, l->info->vhost_name);
}

static enum weir_wasm_status xds_vhost_metadata(struct lookup *l)
{
    return metadata(l, l->info->vhost_metadata);
}

static enum weir_wasm_status xds_host_metadata(struct lookup *l)
{
    return metadata(l, l->info->host ? l->info->host->metadata : NULL);
}

static enum weir_wasm_status xds_filter_chain_name(struct lookup *l)
{
    return l->info->conn ? text_or_none(l, l->info->conn->filter_chain_name) : WEIR_WASM_NOT_FOUND;
}

static const struct row xds_rows[] = {
    {WEIR_S_INIT("cluster_name"), xds_cluster_name},
    {WEIR_S_INIT("cluster_metadata"), xds_cluster_metadata},
    {WEIR_S_INIT("listener_direction"), xds_listener_direction},
    {WEIR_S_INIT("listener_metadata"), xds_listener_metadata},
    {WEIR_S_INIT("route_name"), xds_route_name},
    {WEIR_S_INIT("route_metadata"), xds_route_metadata},
    {WEIR_S_INIT("virtual_host_name"), xds_vhost_name},
    {WEIR_S_INIT("virtual_host_metadata"), xds_vhost_metadata},
    {WEIR_S_INIT("upstream_host_metadata"), xds_host_metadata},
    {WEIR_S_INIT("filter_chain_name"), xds_filter_chain_name},
};

/* ---- metadata and filter state ---- */

static enum weir_wasm_status dynamic_value(struct lookup *l, const struct weir_value *value)
{
    struct weir_slice key;
    while (next_segment(l, &key)) {
        const struct weir_value *next = NULL;
        uint64_t index;
        for (uint32_t i = 0; value->kind == WEIR_VALUE_STRUCT && i < value->items.n && !next; i++)
            if (weir_slice_eq(value->items.keys[i], key)) next = &value->items.v[i];
        if (value->kind == WEIR_VALUE_LIST && weir_parse_u64(key, UINT32_MAX, &index) == WEIR_OK && index < value->items.n)
            next = &value->items.v[index];
        if (!next) return WEIR_WASM_NOT_FOUND;
        value = next;
    }
    switch (value->kind) {
    case WEIR_VALUE_BOOL: return boolean(l, value->boolean);
    case WEIR_VALUE_NUMBER: return bytes(l, &value->number, sizeof value->number);
    case WEIR_VALUE_STRING: return text(l, value->string);
    case WEIR_VALUE_NULL:
    case WEIR_VALUE_LIST:
    case WEIR_VALUE_STRUCT: return WEIR_WASM_SERIALIZATION_FAILURE;
    }
    return WEIR_WASM_SERIALIZATION_FAILURE;
}

static enum weir_wasm_status filter_metadata(struct lookup *l)
{
    struct weir_slice ns;
    if (!next_segment(l, &ns)) return WEIR_WASM_SERIALIZATION_FAILURE;
    const struct weir_value *value = weir_info_metadata(l->info, ns);
    return value ? dynamic_value(l, value) : WEIR_WASM_NOT_FOUND;
}

static const struct row metadata_rows[] = {{WEIR_S_INIT("filter_metadata"), filter_metadata}};

/* A filter state entry of the stream, else of its connection. */
static enum weir_wasm_status state_entry(struct lookup *l, struct weir_slice key)
{
    if (!l->info) return WEIR_WASM_NOT_FOUND;
    const struct weir_filter_state *state = weir_info_filter_state(l->info, key);
    for (const struct weir_filter_state *s = l->info->conn ? l->info->conn->filter_state : NULL; !state && s; s = s->next)
        if (weir_slice_eq(s->name, key)) state = s;
    return state ? text(l, state->bytes) : WEIR_WASM_NOT_FOUND;
}

static enum weir_wasm_status filter_state(struct lookup *l)
{
    return state_entry(l, l->rest);
}

/* ---- the plugin ---- */

static enum weir_wasm_status plugin_name(struct lookup *l)
{
    return text(l, l->ctx->root->plugin->name);
}

static enum weir_wasm_status plugin_root_id(struct lookup *l)
{
    return text(l, l->ctx->root->plugin->root_id);
}

static enum weir_wasm_status plugin_vm_id(struct lookup *l)
{
    return text(l, l->ctx->root->plugin->spec->vm_id);
}

/* ---- the table of roots ---- */

static const struct root_row {
    struct weir_slice name;
    const struct row *rows; /* NULL: `get` answers itself */
    size_t n;
    getter get;
    enum { ANY, INFO, REQUEST } needs; /* what must be there */
} roots[] = {
    {WEIR_S_INIT("request"), request_rows, WEIR_COUNTOF(request_rows), NULL, REQUEST},
    {WEIR_S_INIT("response"), response_rows, WEIR_COUNTOF(response_rows), NULL, REQUEST},
    {WEIR_S_INIT("source"), source_rows, WEIR_COUNTOF(source_rows), NULL, INFO},
    {WEIR_S_INIT("destination"), destination_rows, WEIR_COUNTOF(destination_rows), NULL, INFO},
    {WEIR_S_INIT("connection"), connection_rows, WEIR_COUNTOF(connection_rows), NULL, INFO},
    {WEIR_S_INIT("upstream"), upstream_rows, WEIR_COUNTOF(upstream_rows), NULL, INFO},
    {WEIR_S_INIT("xds"), xds_rows, WEIR_COUNTOF(xds_rows), NULL, INFO},
    {WEIR_S_INIT("metadata"), metadata_rows, WEIR_COUNTOF(metadata_rows), NULL, INFO},
    {WEIR_S_INIT("filter_state"), NULL, 0, filter_state, INFO},
    {WEIR_S_INIT("plugin_name"), NULL, 0, plugin_name, ANY},
    {WEIR_S_INIT("plugin_root_id"), NULL, 0, plugin_root_id, ANY},
    {WEIR_S_INIT("plugin_vm_id"), NULL, 0, plugin_vm_id, ANY},
    {WEIR_S_INIT("connection_id"), NULL, 0, connection_id, INFO},
    /* Names of before Envoy 1.33, which filters of Istio's first years ask for. */
    {WEIR_S_INIT("cluster_name"), NULL, 0, xds_cluster_name, INFO},
    {WEIR_S_INIT("cluster_metadata"), NULL, 0, xds_cluster_metadata, INFO},
    {WEIR_S_INIT("listener_direction"), NULL, 0, xds_listener_direction, INFO},
    {WEIR_S_INIT("listener_metadata"), NULL, 0, xds_listener_metadata, INFO},
    {WEIR_S_INIT("route_name"), NULL, 0, xds_route_name, INFO},
    {WEIR_S_INIT("route_metadata"), NULL, 0, xds_route_metadata, INFO},
    {WEIR_S_INIT("upstream_host_metadata"), NULL, 0, xds_host_metadata, INFO},
};

static const struct root_row *find_root(struct weir_slice name)
{
    for (size_t i = 0; i < WEIR_COUNTOF(roots); i++)
        if (weir_slice_eq(roots[i].name, name)) return &roots[i];
    return NULL;
}

static enum weir_wasm_status look(struct lookup *l, const struct root_row *root)
{
    if (root->needs == INFO && !l->info) return WEIR_WASM_NOT_FOUND;
    if (root->needs == REQUEST && !l->request_headers) return WEIR_WASM_NOT_FOUND;
    if (root->get) return root->get(l);
    struct weir_slice name;
    if (!next_segment(l, &name)) return WEIR_WASM_SERIALIZATION_FAILURE; /* a whole map of unlike things */
    for (size_t i = 0; i < root->n; i++)
        if (weir_slice_eq(root->rows[i].name, name)) return root->rows[i].get(l);
    return WEIR_WASM_NOT_FOUND;
}

/* What is known in this context: of a stream, a connection, a finished request. */
static void fill_facts(struct lookup *l, struct wasm_context *ctx)
{
    l->ctx = ctx;
    if (ctx->kind == WASM_HTTP) {
        struct weir_stream *stream = WEIR_CONTAINER_OF(ctx, struct wasm_stream, ctx)->f->stream;
        l->info = &stream->info;
        l->arena = &stream->arena;
        l->request_headers = &stream->request_headers;
        l->response_headers = stream->response.headers;
        l->request_trailers = stream->request.trailers;
        l->response_trailers = stream->response.trailers;
    } else if (ctx->kind == WASM_NET) {
        struct wasm_conn *conn = WEIR_CONTAINER_OF(ctx, struct wasm_conn, ctx);
        l->info = &conn->info;
        l->arena = &conn->arena;
    } else if (ctx->kind == WASM_LOG) {
        const struct weir_log_context *log = WEIR_CONTAINER_OF(ctx, struct wasm_entry, ctx)->log;
        union {
            const struct weir_stream_info *in;
            struct weir_stream_info *out;
        } info = {.in = log->info}; /* written by property_set alone, which refuses here */
        l->info = info.out;
        l->arena = log->arena;
        l->request_headers = log->request_headers;
        l->response_headers = log->response_headers;
        l->response_trailers = log->response_trailers;
    }
}

static struct weir_slice without_last_nul(struct weir_slice path)
{
    if (path.len > 0 && path.ptr[path.len - 1] == '\0') path.len--;
    return path;
}

/* "wasm.<path>": the key under which set_property keeps a value. */
static struct weir_slice state_key(struct weir_arena *arena, struct weir_slice path)
{
    return weir_arena_cat(arena, WEIR_S("wasm."), path);
}

enum weir_wasm_status wasm_property_get(struct weir_wasm_context *base, struct weir_slice path, struct weir_str *scratch,
                                        struct weir_slice *ret)
{
    if (!base) return WEIR_WASM_NOT_FOUND;
    struct lookup l = {.rest = without_last_nul(path), .scratch = scratch, .ret = ret};
    fill_facts(&l, WEIR_CONTAINER_OF(base, struct wasm_context, base));
    struct weir_slice whole = l.rest, first;
    if (!next_segment(&l, &first)) return WEIR_WASM_NOT_FOUND;
    const struct root_row *root = find_root(first);
    if (root) return look(&l, root);
    if (!l.info) return WEIR_WASM_NOT_FOUND;
    /* What a filter has set: by its bare name, or as wasm.<name>. */
    if (weir_slice_eq(first, WEIR_S("wasm")) && l.rest.len > 0) whole = l.rest;
    return state_entry(&l, state_key(l.arena, whole));
}

enum weir_wasm_status wasm_property_set(struct weir_wasm_context *base, struct weir_slice path, struct weir_slice value)
{
    if (!base) return WEIR_WASM_OK;
    struct wasm_context *ctx = WEIR_CONTAINER_OF(base, struct wasm_context, base);
    struct lookup l = {0};
    if (ctx->kind == WASM_HTTP || ctx->kind == WASM_NET) fill_facts(&l, ctx);
    if (!l.info) return WEIR_WASM_OK; /* Envoy: NotFound, on which Rust guests panic */
    path = without_last_nul(path);
    if (path.len + value.len > WEIR_WASM_PROPERTY_BYTES_MAX - ctx->property_bytes) return WEIR_WASM_INTERNAL_FAILURE;
    ctx->property_bytes += (uint32_t)(path.len + value.len);
    enum weir_err err = weir_info_set_filter_state(l.info, l.arena, state_key(l.arena, path), value, false);
    return err == WEIR_OK ? WEIR_WASM_OK : WEIR_WASM_BAD_ARGUMENT;
}
