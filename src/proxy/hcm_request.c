/* Request heads as they come from the network: refused, or made fit for filters and upstreams. Who the client is, whether he is
 * inside, which of his x-envoy- fields count, and the request's id are settled here, before anybody decides anything by them. */
#include "base/log.h"
#include "http/headers_hop.h"
#include "proxy/hcm_headers.h"
#include "proxy/worker.h"

/* ---- refusals ---- */

static bool refuse(struct weir_stream *s, uint32_t status, struct weir_slice details)
{
    weir_stream_local_reply(s, &(struct weir_local_reply){.status = status, .details = details, .grpc_status = -1});
    return false;
}

static bool check_host(struct weir_stream *s)
{
    const struct weir_header *authority = weir_headers_find(&s->request_headers, WEIR_H_AUTHORITY);
    if (!authority) return refuse(s, 400, WEIR_S("missing_host_header"));
    if (weir_authority_valid(authority->value)) return true;
    weir_hcm_count(s->hcm, s->worker, WEIR_HCM_STAT_downstream_cx_protocol_error);
    weir_stream_codec_error(s, 400, "Bad Request", "http.invalid_authority");
    return false;
}

static bool redirect_to(struct weir_stream *s, struct weir_slice path)
{
    struct weir_headers extra;
    weir_headers_init(&extra, &s->arena);
    weir_headers_add_borrow(&extra, WEIR_H_LOCATION, path);
    weir_headers_set_borrow(&s->request_headers, WEIR_H_PATH, path);
    weir_hcm_count(s->hcm, s->worker, WEIR_HCM_STAT_downstream_rq_redirected_with_normalized_path);
    weir_stream_local_reply(s, &(struct weir_local_reply){.status = 307,
                                                          .details = WEIR_S("path_normalization_failed"),
                                                          .headers = &extra,
                                                          .grpc_status = -1});
    return false;
}

static bool check_path(struct weir_stream *s)
{
    struct weir_headers *h = &s->request_headers;
    struct weir_slice path = weir_headers_path(h);
    if (path.len == 0) {
        bool connect = weir_slice_eq(weir_headers_method(h), WEIR_S("CONNECT"));
        return connect || refuse(s, 404, WEIR_S("missing_path_rejected"));
    }
    s->info.original_path = path;
    if (path.ptr[0] != '/') {
        weir_hcm_count(s->hcm, s->worker, WEIR_HCM_STAT_downstream_rq_non_relative_path);
        return refuse(s, 404, WEIR_S("absolute_path_rejected"));
    }
    if (weir_path_has_fragment(path)) return refuse(s, 400, WEIR_S("path_normalization_failed"));
    const struct weir_path_options *options = &s->hcm->path;
    if (!options->normalize && !options->merge_slashes && options->escaped_slashes == WEIR_SLASHES_KEEP) return true;
    struct weir_slice clean;
    enum weir_path_verdict verdict = weir_path_canonicalise(&s->arena, path, options, &clean);
    if (verdict == WEIR_PATH_REJECT) return refuse(s, 400, WEIR_S("path_normalization_failed"));
    if (verdict == WEIR_PATH_REDIRECT) return redirect_to(s, clean);
    if (clean.ptr != path.ptr || clean.len != path.len) weir_headers_set_borrow(h, WEIR_H_PATH, clean);
    return true;
}

/* ---- the host ---- */

static void normalize_host(struct weir_stream *s, const struct weir_down *down)
{
    const struct weir_hcm *hcm = s->hcm;
    struct weir_authority a;
    if (!hcm->strip_any_port && !hcm->strip_matching_port && !hcm->strip_trailing_dot) return;
    struct weir_slice host = weir_headers_authority(&s->request_headers);
    if (!weir_authority_parse(host, &a)) return;
    bool strip_port = a.has_port && (hcm->strip_any_port || (hcm->strip_matching_port && a.port == weir_addr_port(&down->info.local)));
    bool dot = hcm->strip_trailing_dot && a.host.len > 1 && a.host.ptr[a.host.len - 1] == '.';
    if (!strip_port && !dot) return;
    struct weir_slice port = strip_port ? WEIR_S_NONE : weir_slice_from(host, a.host.len);
    struct weir_slice name = dot ? weir_slice_first(a.host, a.host.len - 1) : a.host;
    weir_headers_set_borrow(&s->request_headers, WEIR_H_AUTHORITY, weir_arena_cat(&s->arena, name, port));
}

/* ---- who the client is ---- */

/* The address `skip` places before the last one in x-forwarded-for. `*ret_single`: it is the only one there. */
static bool address_from_xff(struct weir_stream *s, uint32_t skip, struct weir_addr *ret, bool *ret_single)
{
    uint32_t n;
    struct weir_slice list = weir_headers_has(&s->request_headers, WEIR_H_X_FORWARDED_FOR)
                                 ? weir_headers_get_joined(&s->request_headers, WEIR_S("x-forwarded-for"), &n)
                                 : WEIR_S_NONE;
    *ret_single = false;
    if (!list.len) return false;
    for (uint32_t i = 0; i < skip; i++) {
        size_t comma = weir_slice_rfind(list, ',');
        if (comma >= list.len) return false;
        list = weir_slice_first(list, comma);
    }
    size_t comma = weir_slice_rfind(list, ',');
    bool only = comma >= list.len;
    struct weir_slice last = weir_slice_trim(only ? list : weir_slice_from(list, comma + 1));
    if (weir_addr_parse_ip(last, 0, ret) != WEIR_OK) return false;
    *ret_single = only && skip == 0;
    return true;
}

static void append_xff(struct weir_stream *s, const struct weir_addr *peer)
{
    struct weir_headers *h = &s->request_headers;
    char text[WEIR_ADDR_TEXT_MAX];
    if (!weir_addr_is_ip(peer)) return;
    if (weir_addr_is_loopback(peer) && s->hcm->local_address.len) peer = &s->hcm->local_address;
    struct weir_slice ip = weir_addr_print_ip(peer, text);
    uint32_t n = 0;
    struct weir_slice joined = weir_headers_get_joined(h, WEIR_S("x-forwarded-for"), &n);
    if (n > 1) weir_headers_set_borrow(h, WEIR_H_X_FORWARDED_FOR, joined);
    weir_headers_append(h, WEIR_H_X_FORWARDED_FOR, ip);
}

static bool is_internal(const struct weir_hcm *hcm, const struct weir_addr *addr)
{
    if (!weir_addr_is_ip(addr)) return hcm->internal_unix;
    for (uint32_t i = 0; i < hcm->n_internal; i++)
        if (weir_cidr_contains(&hcm->internal[i], addr)) return true;
    return false;
}

/* Sets info.remote and info.internal, appends to x-forwarded-for. */
static void find_client(struct weir_stream *s, const struct weir_down *down)
{
    const struct weir_hcm *hcm = s->hcm;
    struct weir_headers *h = &s->request_headers;
    bool found = false, trusted, single;
    if (hcm->use_remote_address) {
        trusted = !weir_headers_has(h, WEIR_H_X_FORWARDED_FOR);
        if (hcm->xff_hops > 0) found = address_from_xff(s, hcm->xff_hops - 1, &s->info.remote, &single);
        if (!found) s->info.remote = down->info.remote;
        if (!hcm->skip_xff_append) append_xff(s, &down->info.remote);
    } else {
        found = address_from_xff(s, hcm->xff_hops, &s->info.remote, &trusted);
        if (!found) s->info.remote = down->info.remote;
        trusted = found && trusted;
    }
    s->info.internal = trusted && (hcm->n_internal || hcm->internal_unix) && is_internal(hcm, &s->info.remote);
}

static void set_scheme(struct weir_stream *s, const struct weir_down *down)
{
    const struct weir_hcm *hcm = s->hcm;
    struct weir_headers *h = &s->request_headers;
    struct weir_slice own = down->info.tls ? WEIR_S("https") : WEIR_S("http");
    struct weir_slice proto = weir_headers_get(h, WEIR_H_X_FORWARDED_PROTO);
    if (!proto.ptr || (hcm->use_remote_address && hcm->xff_hops == 0)) {
        weir_headers_set_borrow(h, WEIR_H_X_FORWARDED_PROTO, own);
        proto = own;
    }
    if (weir_headers_has(h, WEIR_H_SCHEME)) return;
    bool known = weir_slice_eq_nocase(proto, WEIR_S("http")) || weir_slice_eq_nocase(proto, WEIR_S("https"));
    weir_headers_add_borrow(h, WEIR_H_SCHEME, known ? proto : own);
}

/* Which of the client's x-envoy- fields go: all that are only for the inside, and at the edge those that name the client. */
static bool is_forbidden(struct weir_slice name, bool edge)
{
    static const struct {
        struct weir_slice name; // behind "x-envoy-"
        bool edge_only;
    } table[] = {
        {WEIR_S_INIT("decorator-operation"), true},
        {WEIR_S_INIT("downstream-service-cluster"), true},
        {WEIR_S_INIT("downstream-service-node"), true},
        {WEIR_S_INIT("retriable-status-codes"), false},
        {WEIR_S_INIT("retriable-header-names"), false},
        {WEIR_S_INIT("retry-on"), false},
        {WEIR_S_INIT("retry-grpc-on"), false},
        {WEIR_S_INIT("max-retries"), false},
        {WEIR_S_INIT("upstream-alt-stat-name"), false},
        {WEIR_S_INIT("upstream-rq-timeout-ms"), false},
        {WEIR_S_INIT("upstream-rq-per-try-timeout-ms"), false},
        {WEIR_S_INIT("upstream-rq-timeout-alt-response"), false},
        {WEIR_S_INIT("expected-rq-timeout-ms"), false},
        {WEIR_S_INIT("force-trace"), false},
        {WEIR_S_INIT("ip-tags"), false},
        {WEIR_S_INIT("original-url"), false},
        {WEIR_S_INIT("hedge-on-per-try-timeout"), false},
    };
    for (size_t i = 0; i < WEIR_COUNTOF(table); i++)
        if (weir_slice_eq(table[i].name, name)) return edge || !table[i].edge_only;
    return false;
}

static void strip_control_fields(struct weir_stream *s, bool edge)
{
    struct weir_headers *h = &s->request_headers;
    for (uint32_t i = h->n; i-- > 0;) {
        struct weir_slice name = h->v[i].name;
        if (name.len <= 8 || name.ptr[0] != 'x' || memcmp(name.ptr, "x-envoy-", 8) != 0) continue;
        if (is_forbidden(weir_slice_from(name, 8), edge)) weir_headers_remove_at(h, i);
    }
}

/* ---- the request's id ---- */

static struct weir_slice make_uuid(struct weir_stream *s)
{
    static const char hex[] = "0123456789abcdef";
    uint64_t bits[2] = {weir_loop_random(s->loop), weir_loop_random(s->loop)};
    bits[0] = (bits[0] & ~UINT64_C(0xf000)) | 0x4000;                                       // version 4
    bits[1] = (bits[1] & ~(UINT64_C(3) << 62)) | (UINT64_C(2) << 62);                       // variant 1
    char *out = weir_arena_alloc(&s->arena, 37);
    size_t n = 0;
    for (unsigned i = 0; i < 32; i++) {
        if (i == 8 || i == 12 || i == 16 || i == 20) out[n++] = '-';
        out[n++] = hex[(bits[i / 16] >> (60 - 4 * (i % 16))) & 15];
    }
    out[n] = 0;
    return weir_slice(out, n);
}

/* ---- the whole ---- */

static void set_identity(struct weir_stream *s, bool edge)
{
    const struct weir_hcm *hcm = s->hcm;
    struct weir_headers *h = &s->request_headers;
    char text[WEIR_ADDR_TEXT_MAX];
    if (s->info.internal) weir_headers_set_borrow(h, WEIR_H_X_ENVOY_INTERNAL, WEIR_S("true"));
    else strip_control_fields(s, edge);
    if (hcm->add_user_agent) {
        weir_headers_set_borrow(h, WEIR_H_X_ENVOY_DOWNSTREAM_SERVICE_CLUSTER, hcm->user_agent);
        if (weir_headers_get(h, WEIR_H_USER_AGENT).len == 0) weir_headers_set_borrow(h, WEIR_H_USER_AGENT, hcm->user_agent);
        if (hcm->service_node.len) weir_headers_set_borrow(h, WEIR_H_X_ENVOY_DOWNSTREAM_SERVICE_NODE, hcm->service_node);
    }
    if (hcm->via.len) weir_headers_append(h, WEIR_H_VIA, hcm->via);
    if (edge && weir_addr_is_ip(&s->info.remote))
        weir_headers_set(h, WEIR_H_X_ENVOY_EXTERNAL_ADDRESS, weir_addr_print_ip(&s->info.remote, text));
    if (hcm->generate_request_id &&
        ((edge && !hcm->preserve_request_id) || !weir_headers_has(h, WEIR_H_X_REQUEST_ID)))
        weir_headers_set_borrow(h, WEIR_H_X_REQUEST_ID, make_uuid(s));
}

static bool has_hop_fields(const struct weir_headers *h)
{
    return weir_headers_has(h, WEIR_H_CONNECTION) || weir_headers_has(h, WEIR_H_UPGRADE) || weir_headers_has(h, WEIR_H_TE) ||
           weir_headers_has(h, WEIR_H_TRANSFER_ENCODING) || weir_headers_has(h, WEIR_H_KEEP_ALIVE) ||
           weir_headers_has(h, WEIR_H_PROXY_CONNECTION) || weir_headers_has(h, WEIR_H_HTTP2_SETTINGS);
}

static void mutate(struct weir_stream *s, const struct weir_down *down)
{
    struct weir_headers *h = &s->request_headers;
    weir_headers_remove(h, WEIR_H_X_ENVOY_INTERNAL);
    find_client(s, down);
    set_scheme(s, down);
    set_identity(s, !s->info.internal && s->hcm->use_remote_address);
    weir_headers_remove(h, WEIR_H_X_FORWARDED_CLIENT_CERT);
}

/* A protocol switch or a tunnel that no route offers. What follows on the connection is no HTTP: it carries no other request. */
static bool refuse_upgrade(struct weir_stream *s)
{
    s->close_after = true;
    if (!weir_stream_route(s)) return true; // 404 by the router
    weir_hcm_count(s->hcm, s->worker, WEIR_HCM_STAT_downstream_rq_ws_on_non_ws_route);
    return refuse(s, 403, WEIR_S("upgrade_failed"));
}

static void answer_continue(struct weir_stream *s)
{
    struct weir_headers h;
    struct weir_slice expect = weir_headers_get(&s->request_headers, WEIR_H_EXPECT);
    if (s->hcm->proxy_100_continue || !weir_slice_eq_nocase(expect, WEIR_S("100-continue"))) return;
    weir_headers_remove(&s->request_headers, WEIR_H_EXPECT);
    if (s->info.protocol == WEIR_HTTP_10 || s->request.peer_complete) return; // RFC 9110 10.1.1
    weir_headers_init(&h, &s->arena);
    weir_headers_set_status(&h, 100);
    s->source->send_informational(s, &h);
}

bool weir_hcm_prepare_request(struct weir_stream *s, const struct weir_down *down)
{
    struct weir_headers *h = &s->request_headers;
    struct weir_hop_facts hop = {0};
    s->is_head = weir_slice_eq(weir_headers_method(h), WEIR_S("HEAD"));
    s->is_grpc = weir_headers_is_grpc(h);
    s->info.header_bytes_received = h->bytes;
    s->info.remote = down->info.remote;
    if (!check_host(s) || !check_path(s)) return false;
    normalize_host(s, down);
    if (weir_slice_eq_nocase(weir_headers_get(h, WEIR_H_PROXY_CONNECTION), WEIR_S("close"))) s->close_after = true;
    if (has_hop_fields(h)) hop = weir_headers_strip_hop_by_hop(h, false);
    if (hop.bad_nominated) {
        weir_stream_codec_error(s, 400, "Bad Request", "connection_header_rejected");
        return false;
    }
    mutate(s, down);
    if (hop.upgrade && !refuse_upgrade(s)) return false;
    if (weir_headers_has(h, WEIR_H_EXPECT)) answer_continue(s);
    return true;
}
