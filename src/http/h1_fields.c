/* Fields, chunks and trailers of HTTP/1 messages, over llhttp in its strict mode; and the judgement of a complete head. llhttp's
 * parser begins behind the first line (h1_line.c): a copy of one that has just read a request line. Both roles use it so, because
 * requests are judged more strictly than responses.
 *
 * On top of llhttp: field values are checked for control characters, obs-fold becomes spaces (llhttp gives the pieces), a lone LF
 * ends a line of the head (as in Envoy) but never of the chunks or trailers, a lone CR is refused everywhere, transfer-encoding must be
 * exactly "chunked", limits. Callbacks never call up: they gather, and the driver in h1_codec.c tells the owner. */
#include "http/chars.h"
#include "http/h1_priv.h"
#include "http/url.h"

/* --- Gathering names and values. --- */

static void piece_reserve(struct weir_h1 *h1, struct h1_piece *piece, size_t more)
{
    if (piece->own && piece->cap - piece->len >= more) {
        return;
    }
    size_t cap = WEIR_MAX((piece->len + more) * 2, (size_t)64);
    char *own = weir_arena_alloc(h1->st.head->arena, cap);
    if (piece->len) {
        memcpy(own, piece->ptr, piece->len);
    }
    piece->ptr = piece->own = own;
    piece->cap = cap;
}

static void piece_add(struct weir_h1 *h1, struct h1_piece *piece, const char *at, size_t len)
{
    if (piece->len == 0 && !piece->own) {
        piece->ptr = at;
        piece->len = len;
        return;
    }
    piece_reserve(h1, piece, len);
    if (len) {
        memcpy(piece->own + piece->len, at, len);
    }
    piece->len += len;
}

/* The input goes away: what is borrowed from it moves to the arena. */
static void piece_keep(struct weir_h1 *h1, struct h1_piece *piece)
{
    if (piece->len > 0 && !piece->own) {
        piece_reserve(h1, piece, 0);
    }
}

static int refuse(struct weir_h1 *h1, enum h1_refusal refusal)
{
    h1->refusal = refusal;
    return HPE_USER;
}

static int on_field(llhttp_t *parser, const char *at, size_t len)
{
    struct weir_h1 *h1 = parser->data;
    piece_add(h1, &h1->name, at, len);
    return 0;
}

static int on_field_complete(llhttp_t *parser)
{
    struct weir_h1 *h1 = parser->data;
    /* From here to the end of the value: lets llhttp take obs-fold. What else it would let pass in a value we check ourselves. */
    parser->lenient_flags |= LENIENT_HEADERS;
    h1->value_end = UINT64_MAX;
    h1->fold_begins = false;
    return 0;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

/* The white space around a fold becomes as many spaces (RFC 9112 5.2 asks for one or more; Envoy keeps it as it is). */
static void blank_end(struct weir_h1 *h1, struct h1_piece *piece)
{
    piece_reserve(h1, piece, 0);
    for (size_t i = piece->len; i > 0 && is_space(piece->own[i - 1]); i--) {
        piece->own[i - 1] = ' ';
    }
}

static int on_value(llhttp_t *parser, const char *at, size_t len)
{
    struct weir_h1 *h1 = parser->data;
    uint64_t position = h1->taken + (uint64_t)(at - h1->seg_ptr);
    if (len == 0) {
        return 0;
    }
    if (h1->value_end != UINT64_MAX && position != h1->value_end) { /* a line end lies between: obs-fold */
        blank_end(h1, &h1->value);
        h1->fold_begins = true;
    }
    h1->value_end = position + len;
    for (; h1->fold_begins && len > 0 && is_space(*at); at++, len--) {
        piece_add(h1, &h1->value, " ", 1);
    }
    if (len > 0) {
        h1->fold_begins = false;
        piece_add(h1, &h1->value, at, len);
    }
    return 0;
}

/* --- A complete field. --- */

static int on_length_field(struct weir_h1 *h1, struct weir_slice value)
{
    if (h1->has_length || weir_parse_u64(value, UINT64_MAX, &h1->content_length) != WEIR_OK) {
        return refuse(h1, H1_REFUSED_LENGTH);
    }
    h1->has_length = true;
    return 0;
}

static void on_connection_field(struct weir_h1 *h1, struct weir_slice value)
{
    h1->conn_close = h1->conn_close || weir_headers_list_has(value, WEIR_S("close"));
    h1->conn_keep_alive = h1->conn_keep_alive || weir_headers_list_has(value, WEIR_S("keep-alive"));
    h1->conn_upgrade = h1->conn_upgrade || weir_headers_list_has(value, WEIR_S("upgrade"));
}

/* Fields that framing or routing hang on. */
static int note_field(struct weir_h1 *h1, enum weir_header_id *id, struct weir_slice value)
{
    switch ((int)*id) {
    case WEIR_H_CONTENT_LENGTH:
        return on_length_field(h1, value);
    case WEIR_H_TRANSFER_ENCODING:
        if (h1->chunked || !weir_slice_eq_nocase(value, WEIR_S("chunked"))) {
            return refuse(h1, H1_REFUSED_TRANSFER_ENCODING);
        }
        h1->chunked = true;
        return 0;
    case WEIR_H_CONNECTION:
        on_connection_field(h1, value);
        return 0;
    case WEIR_H_EXPECT:
        h1->st.expects_continue = weir_slice_eq_nocase(value, WEIR_S("100-continue"));
        return 0;
    case WEIR_H_HOST:
        if (!h1_is_server(h1)) {
            return 0;
        }
        if (h1->has_host) {
            return refuse(h1, H1_REFUSED_HOST);
        }
        h1->has_host = true;
        *id = WEIR_H_AUTHORITY;
        return 0;
    default:
        return 0;
    }
}

/* A field's name, lower-cased: names up to this length without the arena, to find out whether they are interned. */
#define SHORT_NAME 64u
struct name {
    struct weir_slice wire, lower;
    enum weir_header_id id;
    char text[SHORT_NAME];
};

static bool read_name(struct weir_h1 *h1, struct weir_slice wire, struct name *name)
{
    char *lower = wire.len <= SHORT_NAME ? name->text : weir_arena_alloc(h1->st.head->arena, wire.len);
    name->wire = wire;
    name->lower = weir_slice(lower, wire.len);
    if (!weir_token_lower(wire, lower)) {
        return false;
    }
    name->id = weir_header_id_of(name->lower);
    return true;
}

static void keep_spelling(struct weir_headers *h, struct weir_slice name)
{
    struct weir_header_spelling *spelling = weir_arena_alloc(h->arena, sizeof(*spelling));
    *spelling = (struct weir_header_spelling){h->spellings, weir_arena_dup(h->arena, name)};
    h->spellings = spelling;
}

static void store_field(struct weir_h1 *h1, struct weir_headers *h, const struct name *name, struct weir_slice value)
{
    struct weir_slice lower = name->lower;
    if (!h1->value.own) {
        value = weir_arena_dup(h->arena, value);
    }
    if (h1->options->preserve_case) {
        keep_spelling(h, name->wire);
    }
    if (name->id == WEIR_H_OTHER && lower.ptr == name->text) {
        lower = weir_arena_dup(h->arena, lower);
    }
    weir_headers_add_name_borrow(h, lower, name->id, value.ptr ? value : WEIR_S(""));
}

/* True when the field is dropped or refused for an underscore in its name. */
static bool underscore_judged(struct weir_h1 *h1, struct weir_slice name, int *ret)
{
    if (h1->options->underscores == WEIR_UNDERSCORES_ALLOW || weir_slice_find(name, '_') == name.len) {
        return false;
    }
    if (h1->options->underscores == WEIR_UNDERSCORES_REJECT) {
        *ret = refuse(h1, H1_REFUSED_REJECTED_UNDERSCORES);
    } else {
        h1_count(h1, WEIR_H1_STAT_DROPPED_UNDERSCORES);
        *ret = 0;
    }
    return true;
}

static int take_field(struct weir_h1 *h1, struct weir_slice wire_name, struct weir_slice value)
{
    struct name name;
    if (!weir_value_clean(value) || !read_name(h1, wire_name, &name)) {
        return refuse(h1, H1_REFUSED_FIELD);
    }
    h1->field_bytes += wire_name.len + value.len;
    if (h1->field_bytes > h1->options->max_headers_bytes) {
        return refuse(h1, H1_REFUSED_HEADERS_TOO_LARGE);
    }
    if (++h1->n_fields > h1->options->max_headers_count) {
        return refuse(h1, H1_REFUSED_TOO_MANY_HEADERS);
    }
    int result;
    if (underscore_judged(h1, wire_name, &result)) {
        return result;
    }
    if (h1->in_trailers) {
        if (h1->options->enable_trailers) {
            store_field(h1, &h1->st.trailers, &name, value);
        }
        return 0;
    }
    result = note_field(h1, &name.id, value);
    if (result == 0) {
        store_field(h1, h1->st.head, &name, value);
    }
    return result;
}

static int on_value_complete(llhttp_t *parser)
{
    struct weir_h1 *h1 = parser->data;
    parser->lenient_flags &= (uint16_t)~LENIENT_HEADERS;
    struct weir_slice name = weir_slice(h1->name.ptr, h1->name.len);
    struct weir_slice value = weir_slice_trim(weir_slice(h1->value.ptr, h1->value.len));
    int result = take_field(h1, name, value);
    h1->name = h1->value = (struct h1_piece){0};
    return result;
}

/* --- The parts of a message. --- */

static int on_headers_complete(llhttp_t *parser)
{
    struct weir_h1 *h1 = parser->data;
    h1->head_complete = true;
    parser->upgrade = 0;
    if (!h1->chunked) {
        return 1; /* no body that llhttp should look at: on_message_complete pauses */
    }
    parser->lenient_flags &= (uint16_t)~LENIENT_OPTIONAL_CR_BEFORE_LF;
    parser->flags |= F_CHUNKED; /* our verdict: llhttp knows no HTAB around the value */
    return HPE_PAUSED;
}

/* Pieces this small are copied: they would pin a whole block, and a segment costs as much. */
#define COPY_BODY_MAX 256u

static int on_body(llhttp_t *parser, const char *at, size_t len)
{
    struct weir_h1 *h1 = parser->data;
    if (h1->seg->block && len > COPY_BODY_MAX) {
        weir_buf_add_block(&h1->data, h1->seg->block, weir_slice(at, len));
    } else {
        weir_buf_add(&h1->data, weir_slice(at, len));
    }
    return 0;
}

static int on_chunk_header(llhttp_t *parser)
{
    struct weir_h1 *h1 = parser->data;
    if (parser->content_length > 0) {
        return 0;
    }
    h1->last_chunk = true;
    /* Framing fields among the trailers mean nothing (RFC 9110 6.5.1): keeps llhttp from comparing them with the head's. */
    parser->flags &= (uint16_t)~(F_CHUNKED | F_TRANSFER_ENCODING | F_CONTENT_LENGTH);
    parser->lenient_flags |= LENIENT_CHUNKED_LENGTH | LENIENT_TRANSFER_ENCODING;
    return HPE_PAUSED;
}

static int on_chunk_extension(llhttp_t *parser, const char *at, size_t len)
{
    struct weir_h1 *h1 = parser->data;
    (void)at;
    h1->extension_bytes += len;
    return h1->extension_bytes > H1_CHUNK_EXTENSIONS_MAX ? refuse(h1, H1_REFUSED_CHUNK) : 0;
}

static int on_message_complete(llhttp_t *parser)
{
    struct weir_h1 *h1 = parser->data;
    h1->message_complete = true;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_header_field = on_field,
    .on_header_field_complete = on_field_complete,
    .on_header_value = on_value,
    .on_header_value_complete = on_value_complete,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_chunk_header = on_chunk_header,
    .on_chunk_extension_name = on_chunk_extension,
    .on_chunk_extension_value = on_chunk_extension,
    .on_message_complete = on_message_complete,
};

/* A parser that has just read a request line. Made before main, only read afterwards. */
static llhttp_t behind_first_line;

__attribute__((constructor)) static void make_parser(void)
{
    static const char line[] = "GET / HTTP/1.1\r\n";
    llhttp_init(&behind_first_line, HTTP_REQUEST, &settings);
    behind_first_line.lenient_flags = LENIENT_OPTIONAL_CR_BEFORE_LF;
    (void)llhttp_execute(&behind_first_line, line, sizeof(line) - 1);
}

void h1_parser_begin(struct weir_h1 *h1)
{
    const struct weir_h1_options *options = h1->options;
    h1->parser = behind_first_line;
    h1->parser.data = h1;
    if (options->allow_chunked_length) {
        h1->parser.lenient_flags |= LENIENT_CHUNKED_LENGTH;
    }
    h1->budget = options->max_headers_bytes + (size_t)H1_FIELD_OVERHEAD * options->max_headers_count + H1_HEAD_SLACK;
    h1->scanned = h1->field_bytes = h1->extension_bytes = 0;
    h1->n_fields = 0;
    h1->name = h1->value = (struct h1_piece){0};
    h1->refusal = H1_ACCEPTED;
    h1->content_length = 0;
    h1->version_minor = 0;
    h1->bad_version = h1->has_length = h1->chunked = h1->has_host = false;
    h1->conn_close = h1->conn_keep_alive = h1->conn_upgrade = false;
    h1->in_trailers = h1->head_complete = h1->message_complete = h1->last_chunk = false;
}

/* llhttp's own verdicts. */
static enum h1_refusal refusal_of(const struct weir_h1 *h1, llhttp_errno_t error)
{
    if (h1->in_trailers) {
        return H1_REFUSED_FIELD;
    }
    switch ((int)error) {
    case HPE_INVALID_CONTENT_LENGTH:
    case HPE_UNEXPECTED_CONTENT_LENGTH:
        return h1->chunked ? H1_REFUSED_LENGTH_AND_CHUNKED : H1_REFUSED_LENGTH;
    case HPE_INVALID_TRANSFER_ENCODING:
        return h1->has_length ? H1_REFUSED_LENGTH_AND_CHUNKED : H1_REFUSED_TRANSFER_ENCODING;
    case HPE_INVALID_HEADER_TOKEN:
    case HPE_UNEXPECTED_SPACE:
        return H1_REFUSED_FIELD;
    default:
        return h1->rx == H1_RX_CHUNKED ? H1_REFUSED_CHUNK : H1_REFUSED_CODEC_ERROR;
    }
}

bool h1_parser_feed(struct weir_h1 *h1, struct weir_buf *in)
{
    bool budgeted = h1->rx != H1_RX_CHUNKED;
    h1->seg = in->head;
    h1->seg_ptr = in->head->ptr;
    size_t len = budgeted ? WEIR_MIN(in->head->len, h1->budget) : in->head->len;
    if (len == 0) {
        h1->refusal = H1_REFUSED_HEADERS_TOO_LARGE;
        return false;
    }
    llhttp_errno_t error = llhttp_execute(&h1->parser, h1->seg_ptr, len);
    if (error == HPE_PAUSED || error == HPE_PAUSED_UPGRADE) {
        len = (size_t)(llhttp_get_error_pos(&h1->parser) - h1->seg_ptr);
        llhttp_resume(&h1->parser);
    } else if (error != HPE_OK) {
        if (h1->refusal == H1_ACCEPTED) {
            h1->refusal = refusal_of(h1, error);
        }
        return false;
    }
    piece_keep(h1, &h1->name);
    piece_keep(h1, &h1->value);
    h1->taken += len;
    if (budgeted) {
        h1->budget -= len;
    }
    weir_buf_drain(in, len);
    return true;
}

/* --- Complete heads. --- */

/* Fills in :authority, :path and :method in Envoy's order (:authority is there already if a Host field came). */
static enum h1_refusal judge_target(struct weir_h1 *h1)
{
    struct h1_stream *st = &h1->st;
    struct weir_headers *h = st->head;
    struct weir_slice target = st->target;
    struct weir_slice path = target;
    if (st->is_connect) {
        path = WEIR_S_NONE; /* authority form */
        weir_headers_set_borrow(h, WEIR_H_AUTHORITY, target);
    } else if (target.ptr[0] != '/' && !(weir_slice_eq(target, WEIR_S("*")) &&
                                         weir_slice_eq(st->method, WEIR_S("OPTIONS")))) {
        struct weir_url url;
        if (!h1->options->allow_absolute_url || !weir_url_parse(target, &url)) {
            return H1_REFUSED_TARGET;
        }
        path = url.path;
        if (path.len == 0 || path.ptr[0] != '/') { /* no path: "/" is meant, a query stays */
            path = weir_arena_cat(h->arena, WEIR_S("/"), path);
        }
        weir_headers_set_borrow(h, WEIR_H_AUTHORITY, url.authority);
        weir_headers_set_borrow(h, WEIR_H_SCHEME, weir_arena_dup_lower(h->arena, url.scheme));
    } else if (!h1->has_host && h1->version_minor == 0 && h1->options->default_host_for_http_10.len) {
        weir_headers_set_borrow(h, WEIR_H_AUTHORITY, h1->options->default_host_for_http_10);
    }
    if (path.ptr) {
        weir_headers_add_borrow(h, WEIR_H_PATH, path);
    }
    weir_headers_add_borrow(h, WEIR_H_METHOD, st->method);
    return H1_ACCEPTED;
}

/* Both framings at once (llhttp refuses before it comes to this, unless told not to): chunked wins, the length goes. */
static void drop_length_if_chunked(struct weir_h1 *h1)
{
    if (h1->chunked && h1->has_length) {
        (void)weir_headers_remove(h1->st.head, WEIR_H_CONTENT_LENGTH);
        h1->has_length = false;
    }
}

enum h1_refusal h1_judge_request(struct weir_h1 *h1)
{
    struct h1_stream *st = &h1->st;
    if (h1->bad_version || (h1->version_minor == 0 && !h1->options->accept_http_10)) {
        return H1_REFUSED_VERSION;
    }
    if (h1->chunked && h1->version_minor == 0) {
        return H1_REFUSED_CODEC_ERROR; /* RFC 9112 6.1: framing that HTTP/1.0 does not have */
    }
    drop_length_if_chunked(h1);
    st->is_head = weir_slice_eq(st->method, WEIR_S("HEAD"));
    st->is_connect = weir_slice_eq(st->method, WEIR_S("CONNECT"));
    enum h1_refusal refusal = judge_target(h1);
    if (refusal != H1_ACCEPTED) {
        return refusal;
    }
    st->base.protocol = h1->version_minor ? WEIR_HTTP_11 : WEIR_HTTP_10;
    struct weir_slice upgrade = weir_headers_get(st->head, WEIR_H_UPGRADE);
    st->upgrade_asked = h1->version_minor == 1 && h1->conn_upgrade && upgrade.len > 0 &&
                        !weir_slice_eq_nocase(upgrade, WEIR_S("h2c"));
    h1->keep_alive = h1->version_minor ? !h1->conn_close : h1->conn_keep_alive && !h1->conn_close;
    if (st->upgrade_asked || st->is_connect) {
        h1->keep_alive = false; /* what follows is a tunnel's, or of one that was refused */
    }
    if (h1->version_minor == 0) {
        st->expects_continue = false; /* RFC 9110 10.1.1 */
    }
    return H1_ACCEPTED;
}

enum h1_refusal h1_judge_response(struct weir_h1 *h1)
{
    struct h1_stream *st = &h1->st;
    uint32_t status = st->status;
    if (h1->bad_version) {
        return H1_REFUSED_VERSION;
    }
    if (status < 200 || status == 204) { /* RFC 9112 6.1, 6.2 */
        if (h1->chunked || h1->content_length > 0) {
            return H1_REFUSED_BODY_NOT_ALLOWED;
        }
        (void)weir_headers_remove(st->head, WEIR_H_CONTENT_LENGTH);
        h1->has_length = false;
    }
    if (h1->chunked && h1->version_minor == 0) {
        return H1_REFUSED_CODEC_ERROR;
    }
    drop_length_if_chunked(h1);
    st->base.protocol = h1->version_minor ? WEIR_HTTP_11 : WEIR_HTTP_10;
    weir_headers_set_status(st->head, status);
    if (status >= 200 && (h1->version_minor ? h1->conn_close : h1->conn_close || !h1->conn_keep_alive)) {
        h1->keep_alive = false;
    }
    return H1_ACCEPTED;
}
