/* The operators of formats: one table of rows {name, what prints it, what reads its parentheses, parameter}. Rows without a
 * function are Envoy's too: their data does not exist here (yet), so they print as missing. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <envoy/config/cluster/v3/cluster.pb-c.h>

#include "event/loop.h"
#include "http/headers.h"
#include "proxy/formatter_priv.h"
#include "proxy/worker.h"
#include "upstream/cluster.h"

enum weir_err weir_format_fail(struct weir_format_error *err, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(err->message, sizeof(err->message), fmt, args);
    va_end(args);
    return WEIR_ERR_SYNTAX;
}

/* ---- values ---- */

static void give_text(struct weir_format_value *v, struct weir_slice text)
{
    v->kind = WEIR_FORMAT_TEXT;
    v->text = text;
}
/* What is empty is missing. */
static void give_some(struct weir_format_value *v, struct weir_slice text)
{
    if (text.len > 0)
        give_text(v, text);
}
static void give_number(struct weir_format_value *v, uint64_t number)
{
    v->kind = WEIR_FORMAT_NUMBER;
    v->number = number;
}
/* Copies into the value's own room with white space made '_' (one word in a log line). */
static void give_word(struct weir_format_value *v, struct weir_slice text)
{
    size_t len = WEIR_MIN(text.len, sizeof(v->buf));
    for (size_t i = 0; i < len; i++) {
        char c = text.ptr[i];
        v->buf[i] = c == ' ' || (c >= '\t' && c <= '\r') ? '_' : c;
    }
    give_some(v, weir_slice(v->buf, len));
}

/* ---- parentheses ---- */

#define PARSE_ARGS \
    struct weir_arena *arena, struct weir_slice args, struct weir_format_op *op, struct weir_format_error *err

/* X or X?Y: header names. */
static enum weir_err parse_headers(PARSE_ARGS)
{
    size_t at = weir_slice_find(args, '?');
    struct weir_slice names[2] = {weir_slice_first(args, at), weir_slice_from(args, at + 1)};
    op->n_args = at < args.len ? 2 : 1;
    for (uint32_t i = 0; i < op->n_args; i++) {
        op->arg[i] = weir_arena_dup_lower(arena, weir_slice_trim(names[i]));
        if (!weir_header_name_valid(op->arg[i]))
            return weir_format_fail(err, "%s needs the name of a header: %s(NAME) or %s(NAME?OTHER)",
                                    op->def->name, op->def->name, op->def->name);
        op->id[i] = (uint16_t)weir_header_id_of(op->arg[i]);
    }
    return WEIR_OK;
}

/* A:B:C, at least one. */
static enum weir_err parse_path(PARSE_ARGS)
{
    struct weir_slice rest = weir_arena_dup(arena, args), part;
    while (weir_slice_next(&rest, ':', &part)) {
        if (op->n_args == WEIR_FORMAT_ARGS_MAX)
            return weir_format_fail(err, "%s has too many parts", op->def->name);
        op->arg[op->n_args++] = part;
    }
    if (op->n_args == 0 || op->arg[0].len == 0)
        return weir_format_fail(err, "%s needs (NAME:KEY...)", op->def->name);
    return WEIR_OK;
}

static enum weir_err parse_word(PARSE_ARGS)
{
    if (args.len == 0)
        return weir_format_fail(err, "%s needs a name in parentheses", op->def->name);
    op->arg[0] = weir_arena_dup(arena, args);
    op->n_args = 1;
    return WEIR_OK;
}

/* Anything, or nothing. */
static enum weir_err parse_optional(PARSE_ARGS)
{
    (void)err;
    op->arg[0] = weir_arena_dup(arena, args);
    return WEIR_OK;
}

/* One of `words`; its index becomes op->which. */
static enum weir_err choose(struct weir_slice word, const char *const *words, unsigned n, unsigned *ret,
                            struct weir_format_error *err, const char *name)
{
    struct weir_str legal;
    weir_str_init(&legal, 200);
    for (unsigned i = 0; i < n; i++) {
        if (weir_slice_eq(word, weir_slice_str(words[i]))) {
            weir_str_fini(&legal);
            *ret = i;
            return WEIR_OK;
        }
        weir_str_printf(&legal, "%s%s", i ? ", " : "", words[i]);
    }
    enum weir_err result =
        weir_format_fail(err, "%s knows no \"%.*s\"", name, (int)WEIR_MIN(word.len, 40), word.ptr);
    (void)snprintf(err->hint, sizeof(err->hint), "one of %s", legal.ptr);
    weir_str_fini(&legal);
    return result;
}

/* ---- times and durations ---- */

enum { TIME_START = 0, TIME_EMIT = 1, TIME_LOCAL = 2 };
static enum weir_err parse_time(PARSE_ARGS)
{
    const struct weir_format_time *format = NULL;
    if (args.len == 0 && !(op->which & TIME_LOCAL))
        return WEIR_OK;
    if (args.len == 0)
        args = WEIR_S("%Y-%m-%dT%H:%M:%E3S%z");
    enum weir_err result = weir_format_time_new(arena, args, &format, err);
    op->data = format;
    return result;
}

static void print_time(const struct weir_format_op *op, const struct weir_log_context *c,
                       struct weir_format_value *v)
{
    int64_t at = c->info->start_wall_ns;
    if (op->which & TIME_EMIT) {
        if (c->info->end_ns > c->info->start_ns)
            at += (int64_t)(c->info->end_ns - c->info->start_ns);
        else if (c->worker)
            at = c->worker->loop->wall_ns;
    }
    weir_format_time_print(op->data, at, (op->which & TIME_LOCAL) != 0, v);
}

#define POINTS(X)                \
    X(DS_RX_BEG, start_ns)       \
    X(DS_RX_END, last_rx_ns)     \
    X(US_TX_BEG, first_up_tx_ns) \
    X(US_TX_END, last_up_tx_ns)  \
    X(US_RX_BEG, first_up_rx_ns) \
    X(US_RX_END, last_up_rx_ns) X(DS_TX_BEG, first_tx_ns) X(DS_TX_END, last_tx_ns) X(END, end_ns)
enum point {
#define X(name, field) POINT_##name,
    POINTS(X)
#undef X
        POINT_COUNT
};
static const char *const point_names[] = {
#define X(name, field) #name,
    POINTS(X)
#undef X
};
static uint64_t point_at(const struct weir_stream_info *info, enum point point)
{
    switch (point) {
#define X(name, field) \
    case POINT_##name: \
        return info->field;
        POINTS(X)
#undef X
    case POINT_COUNT:
        break;
    }
    return 0;
}

static void give_between(const struct weir_stream_info *info, unsigned from, unsigned to, uint64_t unit,
                         struct weir_format_value *v)
{
    uint64_t start = point_at(info, (enum point)from), end = point_at(info, (enum point)to);
    if (start != 0 && end != 0)
        give_number(v, end > start ? (end - start) / unit : 0);
}

#define BETWEEN(from, to) (POINT_##from << 8 | POINT_##to)
static void print_between(const struct weir_format_op *op, const struct weir_log_context *c,
                          struct weir_format_value *v)
{
    give_between(c->info, op->which >> 8, op->which & 0xff, 1000000, v);
}

static const uint64_t units[] = {1000000, 1000, 1};
static enum weir_err parse_common_duration(PARSE_ARGS)
{
    static const char *const unit_names[] = {"ms", "us", "ns"};
    unsigned chosen[3] = {0};
    if (parse_path(arena, args, op, err) != WEIR_OK || op->n_args != 3)
        return weir_format_fail(
            err, "COMMON_DURATION needs (START:END:PRECISION), as in (DS_RX_BEG:DS_TX_END:ms)");
    for (unsigned i = 0; i < 3; i++) {
        /* Points in time of a connection that Envoy knows and that are not recorded here print as missing. */
        bool known = i < 2 && weir_slice_starts_with(op->arg[i], WEIR_S("US_CX_"));
        known = known || (i < 2 && (weir_slice_eq(op->arg[i], WEIR_S("US_HS_END")) ||
                                    weir_slice_eq(op->arg[i], WEIR_S("US_RX_BODY_BEG"))));
        if (known) {
            chosen[i] = POINT_COUNT;
            continue;
        }
        enum weir_err result =
            i < 2 ? choose(op->arg[i], point_names, POINT_END, &chosen[i], err, op->def->name)
                  : choose(op->arg[i], unit_names, 3, &chosen[i], err, op->def->name);
        if (result != WEIR_OK)
            return result;
    }
    op->which = chosen[2] << 16 | chosen[0] << 8 | chosen[1];
    return WEIR_OK;
}
static void print_common_duration(const struct weir_format_op *op, const struct weir_log_context *c,
                                  struct weir_format_value *v)
{
    give_between(c->info, op->which >> 8 & 0xff, op->which & 0xff, units[op->which >> 16], v);
}
static void print_pool_ready(const struct weir_format_op *op, const struct weir_log_context *c,
                             struct weir_format_value *v)
{
    (void)op;
    if (c->info->host)
        give_number(v, c->info->up_pool_ready_ns / 1000000);
}

/* ---- headers ---- */

enum source { SOURCE_REQUEST, SOURCE_RESPONSE, SOURCE_TRAILERS };
static const struct weir_headers *headers_of(const struct weir_log_context *c, unsigned source)
{
    if (source == SOURCE_REQUEST)
        return c->request_headers;
    return source == SOURCE_RESPONSE ? c->response_headers : c->response_trailers;
}

static const struct weir_header *find_header(const struct weir_format_op *op, const struct weir_headers *h)
{
    for (uint32_t i = 0; h && i < op->n_args; i++) {
        const struct weir_header *f = op->id[i] == WEIR_H_OTHER
                                          ? weir_headers_find_name(h, op->arg[i])
                                          : weir_headers_find(h, (enum weir_header_id)op->id[i]);
        if (f)
            return f;
    }
    return NULL;
}

static void print_header(const struct weir_format_op *op, const struct weir_log_context *c,
                         struct weir_format_value *v)
{
    const struct weir_header *f = find_header(op, headers_of(c, op->which));
    if (f)
        give_text(v, f->value);
}
static void print_header_no_query(const struct weir_format_op *op, const struct weir_log_context *c,
                                  struct weir_format_value *v)
{
    const struct weir_header *f = find_header(op, c->request_headers);
    if (f)
        give_text(v, weir_slice_first(f->value, weir_slice_find(f->value, '?')));
}
static void print_header_bytes(const struct weir_format_op *op, const struct weir_log_context *c,
                               struct weir_format_value *v)
{
    const struct weir_headers *h = headers_of(c, op->which);
    give_number(v, h ? h->bytes : 0);
}

/* PATH(WQ or NQ : ORIG, PATH or ORIG_OR_PATH) */
static enum weir_err parse_path_kind(PARSE_ARGS)
{
    static const char *const query_names[] = {"WQ", "NQ"};
    static const char *const source_names[] = {"ORIG_OR_PATH", "ORIG", "PATH"};
    unsigned query = 0, source = 0;
    (void)arena;
    struct weir_slice rest = args, part;
    if (args.len == 0)
        return WEIR_OK;
    if (weir_slice_next(&rest, ':', &part) && part.len > 0) {
        enum weir_err result = choose(part, query_names, 2, &query, err, "PATH");
        if (result != WEIR_OK)
            return result;
    }
    if (rest.len > 0) {
        enum weir_err result = choose(rest, source_names, 3, &source, err, "PATH");
        if (result != WEIR_OK)
            return result;
    }
    op->which = source << 1 | query;
    return WEIR_OK;
}
static void print_path(const struct weir_format_op *op, const struct weir_log_context *c,
                       struct weir_format_value *v)
{
    if (!c->request_headers)
        return;
    unsigned source = op->which >> 1;
    struct weir_slice path = WEIR_S_NONE;
    if (source != 2)
        path = weir_headers_get(c->request_headers, WEIR_H_X_ENVOY_ORIGINAL_PATH);
    if (!path.ptr && source != 1)
        path = weir_headers_path(c->request_headers);
    if (op->which & 1)
        path = weir_slice_first(path, weir_slice_find(path, '?'));
    give_some(v, path);
}

static struct weir_slice query_of(const struct weir_log_context *c)
{
    struct weir_slice path = c->request_headers ? weir_headers_path(c->request_headers) : WEIR_S_NONE;
    path = weir_slice_first(path, weir_slice_find(path, '#'));
    return weir_slice_from(path, weir_slice_find(path, '?') + 1);
}
static void print_query(const struct weir_format_op *op, const struct weir_log_context *c,
                        struct weir_format_value *v)
{
    (void)op;
    if (c->request_headers)
        give_some(v, query_of(c));
}
static void print_query_param(const struct weir_format_op *op, const struct weir_log_context *c,
                              struct weir_format_value *v)
{
    struct weir_slice rest = query_of(c), pair;
    while (weir_slice_next(&rest, '&', &pair)) {
        size_t at = weir_slice_find(pair, '=');
        if (!weir_slice_eq(weir_slice_first(pair, at), op->arg[0]))
            continue;
        give_text(v, weir_slice_from(pair, at + 1));
        return;
    }
}

/* ---- gRPC ---- */

static const struct {
    const char *camel, *snake;
} grpc_names[] = {
    {"OK", "OK"},
    {"Canceled", "CANCELLED"},
    {"Unknown", "UNKNOWN"},
    {"InvalidArgument", "INVALID_ARGUMENT"},
    {"DeadlineExceeded", "DEADLINE_EXCEEDED"},
    {"NotFound", "NOT_FOUND"},
    {"AlreadyExists", "ALREADY_EXISTS"},
    {"PermissionDenied", "PERMISSION_DENIED"},
    {"ResourceExhausted", "RESOURCE_EXHAUSTED"},
    {"FailedPrecondition", "FAILED_PRECONDITION"},
    {"Aborted", "ABORTED"},
    {"OutOfRange", "OUT_OF_RANGE"},
    {"Unimplemented", "UNIMPLEMENTED"},
    {"Internal", "INTERNAL"},
    {"Unavailable", "UNAVAILABLE"},
    {"DataLoss", "DATA_LOSS"},
    {"Unauthenticated", "UNAUTHENTICATED"},
};

bool weir_format_grpc_status(const struct weir_log_context *c, uint64_t *ret)
{
    const struct weir_headers *maps[2] = {c->response_trailers, c->response_headers};
    for (unsigned i = 0; i < 2; i++) {
        if (maps[i] &&
            weir_parse_u64(weir_headers_get(maps[i], WEIR_H_GRPC_STATUS), UINT32_MAX, ret) == WEIR_OK)
            return true;
    }
    static const struct {
        uint32_t status, code;
    } derived[] = {{400, 13}, {401, 16}, {403, 7}, {404, 12}, {429, 14}, {502, 14}, {503, 14}, {504, 14}};
    if (c->info->status == 0)
        return false;
    *ret = 2;
    for (unsigned i = 0; i < WEIR_COUNTOF(derived); i++) {
        if (derived[i].status == c->info->status)
            *ret = derived[i].code;
    }
    return true;
}

enum { GRPC_CAMEL, GRPC_SNAKE, GRPC_NUMBER };
static enum weir_err parse_grpc(PARSE_ARGS)
{
    static const char *const forms[] = {"CAMEL_STRING", "SNAKE_STRING", "NUMBER"};
    (void)arena;
    return args.len ? choose(args, forms, 3, &op->which, err, op->def->name) : WEIR_OK;
}
static void print_grpc(const struct weir_format_op *op, const struct weir_log_context *c,
                       struct weir_format_value *v)
{
    uint64_t status = 0;
    if (!c->request_headers || !weir_headers_is_grpc(c->request_headers) ||
        !weir_format_grpc_status(c, &status))
        return;
    if (op->which == GRPC_NUMBER || status >= WEIR_COUNTOF(grpc_names))
        give_number(v, status);
    else
        give_text(
            v, weir_slice_str(op->which == GRPC_CAMEL ? grpc_names[status].camel : grpc_names[status].snake));
}

/* ---- facts ---- */

/* Numbers that are fields of weir_stream_info, by offset. */
static void print_u64(const struct weir_format_op *op, const struct weir_log_context *c,
                      struct weir_format_value *v)
{
    uint64_t number = 0;
    memcpy(&number, (const char *)c->info + op->which, sizeof(number));
    give_number(v, number);
}
static void print_u32(const struct weir_format_op *op, const struct weir_log_context *c,
                      struct weir_format_value *v)
{
    uint32_t number = 0;
    memcpy(&number, (const char *)c->info + op->which, sizeof(number));
    give_number(v, number);
}
static void print_slice(const struct weir_format_op *op, const struct weir_log_context *c,
                        struct weir_format_value *v)
{
    struct weir_slice text;
    memcpy(&text, (const char *)c->info + op->which, sizeof(text));
    give_some(v, text);
}
static void print_conn_slice(const struct weir_format_op *op, const struct weir_log_context *c,
                             struct weir_format_value *v)
{
    struct weir_slice text = WEIR_S_NONE;
    if (c->info->conn)
        memcpy(&text, (const char *)c->info->conn + op->which, sizeof(text));
    give_some(v, text);
}
static void print_conn_id(const struct weir_format_op *op, const struct weir_log_context *c,
                          struct weir_format_value *v)
{
    (void)op;
    if (c->info->conn)
        give_number(v, c->info->conn->id);
}

static void print_flags(const struct weir_format_op *op, const struct weir_log_context *c,
                        struct weir_format_value *v)
{
    if (c->info->flags == 0) {
        give_text(v, WEIR_S("-"));
        return;
    }
    struct weir_str out;
    weir_str_init(&out, 4096);
    weir_response_flags_print(c->info->flags, op->which != 0, &out);
    size_t len = WEIR_MIN(out.len, sizeof(v->buf));
    memcpy(v->buf, out.ptr, len);
    weir_str_fini(&out);
    give_text(v, weir_slice(v->buf, len));
}

static void print_protocol(const struct weir_format_op *op, const struct weir_log_context *c,
                           struct weir_format_value *v)
{
    (void)op;
    give_text(v, weir_slice_str(weir_http_protocol_text(c->info->protocol)));
}
static void print_up_protocol(const struct weir_format_op *op, const struct weir_log_context *c,
                              struct weir_format_value *v)
{
    (void)op;
    if (c->info->first_up_tx_ns)
        give_text(v, weir_slice_str(weir_http_protocol_text(c->info->up_protocol)));
}

static enum weir_err parse_details(PARSE_ARGS)
{
    static const char *const words[] = {"", "ALLOW_WHITESPACES"};
    (void)arena;
    return choose(args, words, 2, &op->which, err, op->def->name);
}
static void print_details(const struct weir_format_op *op, const struct weir_log_context *c,
                          struct weir_format_value *v)
{
    if (op->which)
        give_some(v, c->info->details);
    else
        give_word(v, c->info->details);
}
static void print_up_failure(const struct weir_format_op *op, const struct weir_log_context *c,
                             struct weir_format_value *v)
{
    (void)op;
    give_word(v, c->info->up_failure);
}
static void print_termination(const struct weir_format_op *op, const struct weir_log_context *c,
                              struct weir_format_value *v)
{
    (void)op;
    struct weir_slice text = c->info->termination_details;
    if (!text.len && c->info->conn)
        text = weir_slice_str(c->info->conn->termination_details);
    give_some(v, text);
}

static void print_cluster(const struct weir_format_op *op, const struct weir_log_context *c,
                          struct weir_format_value *v)
{
    const struct weir_cluster *cluster = c->info->cluster;
    const Envoy__Config__Cluster__V3__Cluster *proto = cluster ? cluster->proto : NULL;
    if (op->which && proto && proto->alt_stat_name && proto->alt_stat_name[0])
        give_text(v, weir_slice_str(proto->alt_stat_name));
    else
        give_some(v, cluster ? cluster->name : c->info->cluster_name);
}

static void print_body(const struct weir_format_op *op, const struct weir_log_context *c,
                       struct weir_format_value *v)
{
    (void)op;
    /* For body_format; a log never has it. */
    bool body = c->type == WEIR_ACCESS_LOG_NOT_SET && c->info->local_reply_body.ptr;
    give_text(v, body ? c->info->local_reply_body : WEIR_S(""));
}
static void print_empty(const struct weir_format_op *op, const struct weir_log_context *c,
                        struct weir_format_value *v)
{
    (void)op;
    (void)c;
    give_text(v, WEIR_S(""));
}

/* ---- addresses ---- */

enum address_part { ADDRESS_FULL, ADDRESS_IP, ADDRESS_PORT };
enum address_of {
    ADDR_REMOTE,
    ADDR_DIRECT_REMOTE,
    ADDR_LOCAL,
    ADDR_DIRECT_LOCAL,
    ADDR_UP_LOCAL,
    ADDR_UP_REMOTE
};
#define ADDRESS(of, part) (ADDR_##of << 4 | ADDRESS_##part)

static const struct weir_addr *address_of(const struct weir_stream_info *info, enum address_of of)
{
    switch (of) {
    case ADDR_REMOTE:
        return &info->remote;
    case ADDR_DIRECT_REMOTE:
        return info->conn ? &info->conn->direct_remote : NULL;
    case ADDR_LOCAL:
        return info->conn ? &info->conn->local : NULL;
    case ADDR_DIRECT_LOCAL:
        return info->conn ? &info->conn->direct_local : NULL;
    case ADDR_UP_LOCAL:
        return &info->up_local;
    case ADDR_UP_REMOTE:
        return info->host && info->up_conn_id ? &info->host->addr
                                              : NULL; // of a connection, not of an attempt
    }
    return NULL;
}
static void print_address(const struct weir_format_op *op, const struct weir_log_context *c,
                          struct weir_format_value *v)
{
    _Static_assert(sizeof(v->buf) >= WEIR_ADDR_TEXT_MAX, "room for an address");
    const struct weir_addr *addr = address_of(c->info, (enum address_of)(op->which >> 4));
    if (!addr || addr->len == 0)
        return;
    switch ((enum address_part)(op->which & 0xf)) {
    case ADDRESS_FULL:
        give_text(v, weir_addr_print(addr, v->buf));
        break;
    case ADDRESS_IP:
        give_text(v, weir_addr_print_ip(addr, v->buf));
        break;
    case ADDRESS_PORT:
        if (weir_addr_is_ip(addr))
            give_number(v, weir_addr_port(addr));
        break;
    }
}
static void print_host(const struct weir_format_op *op, const struct weir_log_context *c,
                       struct weir_format_value *v)
{
    (void)op;
    if (c->info->host)
        give_some(v, c->info->host->address_text);
}
static void print_host_name(const struct weir_format_op *op, const struct weir_log_context *c,
                            struct weir_format_value *v)
{
    const struct weir_host *host = c->info->host;
    if (!host)
        return;
    if (host->hostname.len == 0) {
        give_text(v, op->which ? weir_addr_print_ip(&host->addr, v->buf) : host->address_text);
        return;
    }
    struct weir_slice name = host->hostname;
    size_t colon = weir_slice_find(name, ':');
    if (op->which && colon == weir_slice_rfind(name, ':'))
        name = weir_slice_first(name, colon);
    give_text(v, name);
}

/* ---- identities ---- */

static void print_stream_id(const struct weir_format_op *op, const struct weir_log_context *c,
                            struct weir_format_value *v)
{
    (void)op;
    if (c->request_headers)
        give_some(v, weir_headers_get(c->request_headers, WEIR_H_X_REQUEST_ID));
}
static void print_unique_id(const struct weir_format_op *op, const struct weir_log_context *c,
                            struct weir_format_value *v)
{
    (void)op;
    if (!c->worker)
        return;
    uint64_t a = weir_loop_random(c->worker->loop), b = weir_loop_random(c->worker->loop);
    int len = snprintf(v->buf, sizeof(v->buf), "%08x-%04x-4%03x-%04x-%012llx", (unsigned)(a >> 32),
                       (unsigned)(a >> 16 & 0xffff), (unsigned)(a & 0xfff), (unsigned)(b >> 50 | 0x8000),
                       (unsigned long long)(b & 0xffffffffffff));
    give_text(v, weir_slice(v->buf, (size_t)len));
}
static enum weir_err parse_hostname(PARSE_ARGS)
{
    char name[256] = "";
    (void)args;
    (void)err;
    if (gethostname(name, sizeof(name) - 1) == 0)
        op->arg[0] = weir_arena_dup(arena, weir_slice_str(name));
    return WEIR_OK;
}
static enum weir_err parse_environment(PARSE_ARGS)
{
    enum weir_err result = parse_word(arena, args, op, err);
    if (result != WEIR_OK)
        return result;
    const char *value = getenv(op->arg[0].ptr);
    op->arg[0] = value ? weir_arena_dup(arena, weir_slice_str(value)) : WEIR_S("-"); // a text also in JSON
    return WEIR_OK;
}
static void print_arg(const struct weir_format_op *op, const struct weir_log_context *c,
                      struct weir_format_value *v)
{
    (void)c;
    give_some(v, op->arg[0]);
}
static void print_log_type(const struct weir_format_op *op, const struct weir_log_context *c,
                           struct weir_format_value *v)
{
    (void)op;
    static const char *const names[] = {
#define X(id, name) name,
        WEIR_ACCESS_LOG_TYPES(X)
#undef X
    };
    give_text(v, weir_slice_str(names[c->type]));
}

/* ---- metadata and filter state ---- */

static void give_value(struct weir_format_value *v, const struct weir_value *value)
{
    if (!value || value->kind == WEIR_VALUE_NULL)
        return;
    if (value->kind == WEIR_VALUE_STRING) {
        give_text(v, value->string);
        return;
    }
    v->kind = WEIR_FORMAT_VALUE;
    v->value = value;
}

enum metadata_of {
    META_DYNAMIC,
    META_CLUSTER,
    META_ROUTE,
    META_UPSTREAM_HOST,
    META_LISTENER,
    META_VIRTUAL_HOST
};
static const char *const metadata_names[] = {"DYNAMIC",       "CLUSTER",  "ROUTE",
                                             "UPSTREAM_HOST", "LISTENER", "VIRTUAL_HOST"};

static void print_metadata(const struct weir_format_op *op, const struct weir_log_context *c,
                           struct weir_format_value *v)
{
    const struct weir_stream_info *info = c->info;
    const void *configured = NULL;
    switch ((enum metadata_of)op->which) {
    case META_DYNAMIC: {
        const struct weir_value *value = weir_info_metadata(info, op->arg[0]);
        for (uint32_t i = 1; i < op->n_args; i++)
            value = weir_value_get(value, op->arg[i]);
        give_value(v, value);
        return;
    }
    case META_CLUSTER:
        if (info->cluster && info->cluster->proto)
            configured = ((const Envoy__Config__Cluster__V3__Cluster *)info->cluster->proto)->metadata;
        break;
    case META_ROUTE:
        configured = info->route_metadata;
        break;
    case META_UPSTREAM_HOST:
        configured = info->host ? info->host->metadata : NULL;
        break;
    case META_LISTENER:
        configured = info->conn ? info->conn->listener_metadata : NULL;
        break;
    case META_VIRTUAL_HOST:
        configured = info->vhost_metadata;
        break;
    }
    if (configured && c->arena)
        give_value(v, weir_metadata_find(c->arena, configured, op->arg, op->n_args));
}
/* METADATA(TYPE:namespace:key...) */
static enum weir_err parse_metadata(PARSE_ARGS)
{
    enum weir_err result = parse_path(arena, args, op, err);
    if (result != WEIR_OK)
        return result;
    result = choose(op->arg[0], metadata_names, WEIR_COUNTOF(metadata_names), &op->which, err, "METADATA");
    if (result != WEIR_OK)
        return result;
    if (--op->n_args == 0)
        return weir_format_fail(err, "METADATA needs (TYPE:NAMESPACE:KEY...)");
    memmove(&op->arg[0], &op->arg[1], op->n_args * sizeof(op->arg[0]));
    return WEIR_OK;
}

static void give_base64(struct weir_format_value *v, struct weir_arena *arena, struct weir_slice bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *out = weir_arena_alloc(arena, (bytes.len + 2) / 3 * 4 + 2);
    size_t n = 0;
    out[n++] = '"';
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        uint32_t group = (uint32_t)(unsigned char)bytes.ptr[i] << 16;
        if (left > 1)
            group |= (uint32_t)(unsigned char)bytes.ptr[i + 1] << 8;
        if (left > 2)
            group |= (unsigned char)bytes.ptr[i + 2];
        out[n++] = digits[group >> 18];
        out[n++] = digits[group >> 12 & 63];
        out[n++] = left > 1 ? digits[group >> 6 & 63] : '=';
        out[n++] = left > 2 ? digits[group & 63] : '=';
    }
    out[n++] = '"';
    give_text(v, weir_slice(out, n));
}
/* FILTER_STATE(key:PLAIN) is the bytes; otherwise they print as protobuf's JSON has bytes: base64 in quotes. */
static enum weir_err parse_filter_state(PARSE_ARGS)
{
    static const char *const forms[] = {"TYPED", "PLAIN"};
    enum weir_err result = parse_path(arena, args, op, err);
    if (result != WEIR_OK || op->n_args < 2)
        return result;
    if (weir_slice_eq(op->arg[1], WEIR_S("FIELD")))
        return weir_format_fail(err, "FILTER_STATE with FIELD is not implemented by weir yet");
    return choose(op->arg[1], forms, 2, &op->which, err, "FILTER_STATE");
}
static void print_filter_state(const struct weir_format_op *op, const struct weir_log_context *c,
                               struct weir_format_value *v)
{
    const struct weir_filter_state *state = weir_info_filter_state(c->info, op->arg[0]);
    if (!state)
        return;
    if (op->which || !c->arena)
        give_text(v, state->bytes);
    else
        give_base64(v, c->arena, state->bytes);
}

/* ---- the table ---- */

#define FIELD(name)      offsetof(struct weir_stream_info, name)
#define CONN_FIELD(name) offsetof(struct weir_conn_info, name)
#define PEER_ROWS(side)                                                                                   \
    {.name = side "_PEER_SUBJECT"}, {.name = side "_PEER_ISSUER"}, {.name = side "_PEER_CERT"},           \
        {.name = side "_PEER_CERT_V_START", .parse = parse_optional},                                     \
        {.name = side "_PEER_CERT_V_END", .parse = parse_optional}, {.name = side "_PEER_URI_SAN"},       \
        {.name = side "_PEER_DNS_SAN"}, {.name = side "_PEER_IP_SAN"}, {.name = side "_PEER_EMAIL_SAN"},  \
        {.name = side "_PEER_OTHERNAME_SAN"}, {.name = side "_PEER_FINGERPRINT_256"},                     \
        {.name = side "_PEER_FINGERPRINT_1"}, {.name = side "_PEER_SERIAL"},                              \
        {.name = side "_PEER_CHAIN_FINGERPRINTS_256"}, {.name = side "_PEER_CHAIN_FINGERPRINTS_1"},       \
        {.name = side "_PEER_CHAIN_SERIALS"}, {.name = side "_LOCAL_SUBJECT"},                            \
        {.name = side "_LOCAL_URI_SAN"}, {.name = side "_LOCAL_DNS_SAN"}, {.name = side "_LOCAL_IP_SAN"}, \
        {.name = side "_LOCAL_EMAIL_SAN"}, {.name = side "_LOCAL_OTHERNAME_SAN"},                         \
        {.name = side "_TLS_VERSION"}, {.name = side "_TLS_CIPHER"}, {.name = side "_TLS_GROUP"},         \
    {                                                                                                     \
        .name = side "_TLS_SESSION_ID"                                                                    \
    }

static const struct weir_format_operator operators[] = {
    {"START_TIME", print_time, parse_time, TIME_START},
    {"START_TIME_LOCAL", print_time, parse_time, TIME_START | TIME_LOCAL},
    {"EMIT_TIME", print_time, parse_time, TIME_EMIT},
    {"EMIT_TIME_LOCAL", print_time, parse_time, TIME_EMIT | TIME_LOCAL},
    {"REQ", print_header, parse_headers, SOURCE_REQUEST},
    {"REQUEST_HEADER", print_header, parse_headers, SOURCE_REQUEST},
    {"RESP", print_header, parse_headers, SOURCE_RESPONSE},
    {"RESPONSE_HEADER", print_header, parse_headers, SOURCE_RESPONSE},
    {"TRAILER", print_header, parse_headers, SOURCE_TRAILERS},
    {"RESPONSE_TRAILER", print_header, parse_headers, SOURCE_TRAILERS},
    {"REQ_WITHOUT_QUERY", print_header_no_query, parse_headers, 0},
    {"PATH", print_path, parse_path_kind, 0},
    {"QUERY_PARAM", print_query_param, parse_word, 0},
    {"QUERY_PARAMS", print_query, parse_optional, 0},
    {"REQUEST_HEADERS_BYTES", print_header_bytes, NULL, SOURCE_REQUEST},
    {"RESPONSE_HEADERS_BYTES", print_header_bytes, NULL, SOURCE_RESPONSE},
    {"RESPONSE_TRAILERS_BYTES", print_header_bytes, NULL, SOURCE_TRAILERS},
    {"BYTES_RECEIVED", print_u64, NULL, FIELD(bytes_received)},
    {"BYTES_SENT", print_u64, NULL, FIELD(bytes_sent)},
    {"DOWNSTREAM_WIRE_BYTES_RECEIVED", print_u64, NULL, FIELD(wire_bytes_received)},
    {"DOWNSTREAM_WIRE_BYTES_SENT", print_u64, NULL, FIELD(wire_bytes_sent)},
    {"DOWNSTREAM_HEADER_BYTES_RECEIVED", print_u64, NULL, FIELD(header_bytes_received)},
    {"DOWNSTREAM_HEADER_BYTES_SENT", print_u64, NULL, FIELD(header_bytes_sent)},
    {"DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED", print_header_bytes, NULL, SOURCE_REQUEST},
    {"DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_SENT", print_header_bytes, NULL, SOURCE_RESPONSE},
    {"UPSTREAM_WIRE_BYTES_RECEIVED", print_u64, NULL, FIELD(up_wire_bytes_received)},
    {"UPSTREAM_WIRE_BYTES_SENT", print_u64, NULL, FIELD(up_wire_bytes_sent)},
    {.name = "UPSTREAM_HEADER_BYTES_RECEIVED"},
    {.name = "UPSTREAM_HEADER_BYTES_SENT"},
    {.name = "UPSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED"},
    {.name = "UPSTREAM_DECOMPRESSED_HEADER_BYTES_SENT"},
    {.name = "BYTES_RETRANSMITTED"},
    {.name = "PACKETS_RETRANSMITTED"},
    {"PROTOCOL", print_protocol, NULL, 0},
    {"UPSTREAM_PROTOCOL", print_up_protocol, NULL, 0},
    {"RESPONSE_CODE", print_u32, NULL, FIELD(status)},
    {"RESPONSE_CODE_DETAILS", print_details, parse_details, 0},
    {"CONNECTION_TERMINATION_DETAILS", print_termination, NULL, 0},
    {"UPSTREAM_REQUEST_ATTEMPT_COUNT", print_u32, NULL, FIELD(attempts)},
    {"DURATION", print_between, NULL, BETWEEN(DS_RX_BEG, END)},
    {"REQUEST_DURATION", print_between, NULL, BETWEEN(DS_RX_BEG, DS_RX_END)},
    {"REQUEST_TX_DURATION", print_between, NULL, BETWEEN(DS_RX_BEG, US_TX_END)},
    {"RESPONSE_DURATION", print_between, NULL, BETWEEN(DS_RX_BEG, US_RX_BEG)},
    {"RESPONSE_TX_DURATION", print_between, NULL, BETWEEN(US_RX_BEG, DS_TX_END)},
    {"COMMON_DURATION", print_common_duration, parse_common_duration, 0},
    {"UPSTREAM_CONNECTION_POOL_READY_DURATION", print_pool_ready, NULL, 0},
    {.name = "ROUNDTRIP_DURATION"},
    {.name = "DOWNSTREAM_HANDSHAKE_DURATION"},
    {"RESPONSE_FLAGS", print_flags, NULL, 0},
    {"RESPONSE_FLAGS_LONG", print_flags, NULL, 1},
    {"ROUTE_NAME", print_slice, NULL, FIELD(route_name)},
    {"VIRTUAL_HOST_NAME", print_slice, NULL, FIELD(vhost_name)},
    {.name = "VIRTUAL_CLUSTER_NAME"},
    {"UPSTREAM_HOST", print_host, NULL, 0},
    {"UPSTREAM_HOST_NAME", print_host_name, NULL, 0},
    {"UPSTREAM_HOST_NAME_WITHOUT_PORT", print_host_name, NULL, 1},
    {.name = "UPSTREAM_HOSTS_ATTEMPTED"},
    {.name = "UPSTREAM_HOSTS_ATTEMPTED_WITHOUT_PORT"},
    {.name = "UPSTREAM_HOST_NAMES_ATTEMPTED"},
    {.name = "UPSTREAM_HOST_NAMES_ATTEMPTED_WITHOUT_PORT"},
    {.name = "UPSTREAM_CONNECTION_IDS_ATTEMPTED"},
    {"UPSTREAM_CLUSTER", print_cluster, NULL, 1},
    {"UPSTREAM_CLUSTER_RAW", print_cluster, NULL, 0},
    {"UPSTREAM_LOCAL_ADDRESS", print_address, NULL, ADDRESS(UP_LOCAL, FULL)},
    {"UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT", print_address, NULL, ADDRESS(UP_LOCAL, IP)},
    {"UPSTREAM_LOCAL_PORT", print_address, NULL, ADDRESS(UP_LOCAL, PORT)},
    {"UPSTREAM_REMOTE_ADDRESS", print_address, NULL, ADDRESS(UP_REMOTE, FULL)},
    {"UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", print_address, NULL, ADDRESS(UP_REMOTE, IP)},
    {"UPSTREAM_REMOTE_PORT", print_address, NULL, ADDRESS(UP_REMOTE, PORT)},
    {"UPSTREAM_CONNECTION_ID", print_u64, NULL, FIELD(up_conn_id)},
    {"UPSTREAM_TRANSPORT_FAILURE_REASON", print_up_failure, NULL, 0},
    {.name = "DOWNSTREAM_TRANSPORT_FAILURE_REASON"},
    {.name = "UPSTREAM_DETECTED_CLOSE_TYPE"},
    {.name = "DOWNSTREAM_DETECTED_CLOSE_TYPE"},
    {.name = "UPSTREAM_LOCAL_CLOSE_REASON"},
    {.name = "DOWNSTREAM_LOCAL_CLOSE_REASON"},
    {.name = "UPSTREAM_SERVER_NAME"},
    {"DOWNSTREAM_REMOTE_ADDRESS", print_address, NULL, ADDRESS(REMOTE, FULL)},
    {"DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", print_address, NULL, ADDRESS(REMOTE, IP)},
    {"DOWNSTREAM_REMOTE_PORT", print_address, NULL, ADDRESS(REMOTE, PORT)},
    {"DOWNSTREAM_DIRECT_REMOTE_ADDRESS", print_address, NULL, ADDRESS(DIRECT_REMOTE, FULL)},
    {"DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT", print_address, NULL, ADDRESS(DIRECT_REMOTE, IP)},
    {"DOWNSTREAM_DIRECT_REMOTE_PORT", print_address, NULL, ADDRESS(DIRECT_REMOTE, PORT)},
    {"DOWNSTREAM_LOCAL_ADDRESS", print_address, NULL, ADDRESS(LOCAL, FULL)},
    {"DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT", print_address, NULL, ADDRESS(LOCAL, IP)},
    {"DOWNSTREAM_LOCAL_PORT", print_address, NULL, ADDRESS(LOCAL, PORT)},
    {"DOWNSTREAM_DIRECT_LOCAL_ADDRESS", print_address, NULL, ADDRESS(DIRECT_LOCAL, FULL)},
    {"DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT", print_address, NULL, ADDRESS(DIRECT_LOCAL, IP)},
    {"DOWNSTREAM_DIRECT_LOCAL_PORT", print_address, NULL, ADDRESS(DIRECT_LOCAL, PORT)},
    {"CONNECTION_ID", print_conn_id, NULL, 0},
    {"STREAM_ID", print_stream_id, NULL, 0},
    {"UNIQUE_ID", print_unique_id, NULL, 0},
    {"GRPC_STATUS", print_grpc, parse_grpc, GRPC_CAMEL},
    {"GRPC_STATUS_NUMBER", print_grpc, NULL, GRPC_NUMBER},
    {"DYNAMIC_METADATA", print_metadata, parse_path, META_DYNAMIC},
    {"CLUSTER_METADATA", print_metadata, parse_path, META_CLUSTER},
    {"UPSTREAM_METADATA", print_metadata, parse_path, META_UPSTREAM_HOST},
    {"METADATA", print_metadata, parse_metadata, 0},
    {"FILTER_STATE", print_filter_state, parse_filter_state, 0},
    {.name = "UPSTREAM_FILTER_STATE", .parse = parse_filter_state},
    {"REQUESTED_SERVER_NAME", print_conn_slice, NULL, CONN_FIELD(requested_server_name)},
    {"FILTER_CHAIN_NAME", print_conn_slice, NULL, CONN_FIELD(filter_chain_name)},
    {"LOCAL_REPLY_BODY", print_body, NULL, 0},
    {"ACCESS_LOG_TYPE", print_log_type, NULL, 0},
    {"HOSTNAME", print_arg, parse_hostname, 0},
    {"ENVIRONMENT", print_arg, parse_environment, 0},
    {"CUSTOM_FLAGS", print_empty, NULL, 0},
    {"COALESCE", weir_format_print_coalesce, weir_format_parse_coalesce, 0},
    {.name = "TRACE_ID"},
    {.name = "SPAN_ID"},
    {.name = "TLS_JA3_FINGERPRINT"},
    {.name = "TLS_JA4_FINGERPRINT"},
    PEER_ROWS("DOWNSTREAM"),
    PEER_ROWS("UPSTREAM"),
};

const struct weir_format_operator *weir_format_operator_find(struct weir_slice name)
{
    for (size_t i = 0; i < WEIR_COUNTOF(operators); i++) {
        if (weir_slice_eq(name, weir_slice_str(operators[i].name)))
            return &operators[i];
    }
    return NULL;
}

/* Edits between two names; large names are not compared. */
static unsigned distance(struct weir_slice a, struct weir_slice b)
{
    unsigned row[64];
    if (a.len >= WEIR_COUNTOF(row) || b.len >= WEIR_COUNTOF(row))
        return UINT32_MAX;
    for (unsigned j = 0; j <= b.len; j++)
        row[j] = j;
    for (unsigned i = 1; i <= a.len; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= b.len; j++) {
            unsigned change = diagonal + (a.ptr[i - 1] != b.ptr[j - 1]);
            diagonal = row[j];
            row[j] = WEIR_MIN(WEIR_MIN(row[j], row[j - 1]) + 1, change);
        }
    }
    return row[b.len];
}

const char *weir_format_operator_near(struct weir_slice name)
{
    const char *best = NULL;
    unsigned least = (unsigned)WEIR_MIN(name.len / 3 + 1, 5) + 1;
    for (size_t i = 0; i < WEIR_COUNTOF(operators); i++) {
        unsigned d = distance(name, weir_slice_str(operators[i].name));
        if (d >= least)
            continue;
        least = d;
        best = operators[i].name;
    }
    return best;
}

enum weir_err weir_format_op_new(struct weir_arena *arena, struct weir_slice name, struct weir_slice args,
                                 struct weir_format_op *ret, struct weir_format_error *reterr)
{
    const struct weir_format_operator *def = weir_format_operator_find(name);
    if (!def) {
        const char *near = weir_format_operator_near(name);
        int shown = (int)WEIR_MIN(name.len, 64);
        if (weir_slice_eq(name, WEIR_S("CEL"))) {
            (void)weir_format_fail(reterr, "the operator CEL is known to Envoy, not implemented by weir yet");
            return WEIR_ERR_UNSUPPORTED;
        }
        (void)weir_format_fail(reterr, "there is no operator \"%.*s\"", shown, name.ptr);
        if (near)
            (void)snprintf(reterr->hint, sizeof(reterr->hint), "did you mean %%%s%%?", near);
        return WEIR_ERR_NOT_FOUND;
    }
    *ret = (struct weir_format_op){.def = def, .max_len = SIZE_MAX, .which = def->which};
    if (def->parse)
        return def->parse(arena, args, ret, reterr);
    return args.ptr ? weir_format_fail(reterr, "%s takes nothing in parentheses", def->name) : WEIR_OK;
}

void weir_format_op_run(const struct weir_format_op *op, const struct weir_log_context *c,
                        struct weir_format_value *v)
{
    v->kind = WEIR_FORMAT_NONE;
    if (op->def->fn)
        op->def->fn(op, c, v);
    if (op->max_len == SIZE_MAX)
        return;
    if (v->kind == WEIR_FORMAT_NUMBER)
        give_text(v, weir_slice(v->buf, (size_t)snprintf(v->buf, sizeof(v->buf), "%llu",
                                                         (unsigned long long)v->number)));
    if (v->kind == WEIR_FORMAT_TEXT)
        v->text = weir_slice_first(v->text, op->max_len);
}
