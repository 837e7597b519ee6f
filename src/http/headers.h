/* The header map of one message: an ordered list of fields with interned names, pseudo-headers included (Envoy's form:
 * HTTP/1 messages are given :method, :path, :scheme, :authority, :status too). Names are lower-case. Everything lives in
 * the stream's arena; a map never frees single fields. */
#ifndef WEIR_HTTP_HEADERS_H
#define WEIR_HTTP_HEADERS_H

#include "base/arena.h"
#include "http/header_ids.h"

struct weir_header {
    struct weir_slice name;  /* lower-case; static for interned names, else in the arena */
    struct weir_slice value;
    uint16_t id; /* enum weir_header_id */
};

/** A name as it was written on the wire (header_key_format: preserve_case); a list in the arena. */
struct weir_header_spelling {
    const struct weir_header_spelling *next;
    struct weir_slice name;
};

struct weir_headers {
    struct weir_arena *arena;
    struct weir_header *v;
    uint32_t n, cap;
    size_t bytes;         /* sum of name and value lengths (Envoy: byteSize) */
    uint64_t present[2];  /* bit per id (ids < 128): may be set for absent ids after removal, never clear for present ones */
    uint32_t generation;  /* counts changes: lets callers cache what they derived */
    const struct weir_header_spelling *spellings; /* preserve_case: names as they were received; NULL = not kept */
};

/** An empty map whose memory comes from `arena`. */
void weir_headers_init(struct weir_headers *h, struct weir_arena *arena);
/** The id of a lower-case name, or WEIR_H_OTHER. */
enum weir_header_id weir_header_id_of(struct weir_slice lower_name);
/** The name of an interned id. */
struct weir_slice weir_header_name(enum weir_header_id id);

/** First value of an interned name; absent slice if there is none. */
static inline struct weir_header *weir_headers_find(const struct weir_headers *h, enum weir_header_id id)
{
    if (!(h->present[(unsigned)id >> 6] & (UINT64_C(1) << ((unsigned)id & 63)))) return NULL;
    for (uint32_t i = 0; i < h->n; i++)
        if (h->v[i].id == id) return &h->v[i];
    return NULL;
}
static inline struct weir_slice weir_headers_get(const struct weir_headers *h, enum weir_header_id id)
{
    const struct weir_header *f = weir_headers_find(h, id);
    return f ? f->value : WEIR_S_NONE;
}
static inline bool weir_headers_has(const struct weir_headers *h, enum weir_header_id id)
{
    return weir_headers_find(h, id) != NULL;
}
/** First field named `lower_name`, interned or not. */
struct weir_header *weir_headers_find_name(const struct weir_headers *h, struct weir_slice lower_name);
/** All values of `lower_name` joined with ',' in the arena (Envoy's getAllOfHeaderAsString); *ret_n = how many. */
struct weir_slice weir_headers_get_joined(const struct weir_headers *h, struct weir_slice lower_name, uint32_t *ret_n);

/* Adding. `borrow` variants keep the slices (they must live as long as the arena, or be static); the others copy. Pseudo-headers
 * are kept in front of all others. */
void weir_headers_add(struct weir_headers *h, enum weir_header_id id, struct weir_slice value);
void weir_headers_add_borrow(struct weir_headers *h, enum weir_header_id id, struct weir_slice value);
/** Lower-cases and interns the name; copies both. */
void weir_headers_add_name(struct weir_headers *h, struct weir_slice name, struct weir_slice value);
/** `lower_name` is lower-case; nothing is copied. */
void weir_headers_add_name_borrow(struct weir_headers *h, struct weir_slice lower_name, enum weir_header_id id,
                                  struct weir_slice value);
/** Sets the first field's value and removes the others, or adds it. */
void weir_headers_set(struct weir_headers *h, enum weir_header_id id, struct weir_slice value);
void weir_headers_set_borrow(struct weir_headers *h, enum weir_header_id id, struct weir_slice value);
void weir_headers_set_name(struct weir_headers *h, struct weir_slice name, struct weir_slice value);
void weir_headers_set_u64(struct weir_headers *h, enum weir_header_id id, uint64_t value);
/** Appends ",value" to the first field (Envoy's append), or adds it. */
void weir_headers_append(struct weir_headers *h, enum weir_header_id id, struct weir_slice value);
/** Removes every field of that name; returns how many. */
uint32_t weir_headers_remove(struct weir_headers *h, enum weir_header_id id);
uint32_t weir_headers_remove_name(struct weir_headers *h, struct weir_slice lower_name);
/** Removes the field at index `i`. */
void weir_headers_remove_at(struct weir_headers *h, uint32_t i);
void weir_headers_clear(struct weir_headers *h);
/** Copies every field of `from` (into to's arena). */
void weir_headers_copy(struct weir_headers *to, const struct weir_headers *from);

/* Validity (RFC 9110 5.1, 5.5): every name and value that did not come from a codec (filters, guests, configuration values with
 * substitutions) must pass these before it enters a map. */
/** A token without upper-case letters, or a pseudo-header name. */
bool weir_header_name_valid(struct weir_slice lower_name);
/** No NUL, CR, LF, other control character except HTAB; no leading or trailing white space is demanded. */
bool weir_header_value_valid(struct weir_slice value);

/* Everyday accessors. */
static inline struct weir_slice weir_headers_method(const struct weir_headers *h) { return weir_headers_get(h, WEIR_H_METHOD); }
static inline struct weir_slice weir_headers_path(const struct weir_headers *h) { return weir_headers_get(h, WEIR_H_PATH); }
static inline struct weir_slice weir_headers_authority(const struct weir_headers *h) { return weir_headers_get(h, WEIR_H_AUTHORITY); }
/** :status as a number, 0 if absent or not three digits. */
uint32_t weir_headers_status(const struct weir_headers *h);
void weir_headers_set_status(struct weir_headers *h, uint32_t status);
/** content-length; false if absent or not a number. */
bool weir_headers_content_length(const struct weir_headers *h, uint64_t *ret);
/** The path without query and fragment. */
struct weir_slice weir_path_only(struct weir_slice path);
/** content-type is application/grpc or application/grpc+... */
bool weir_headers_is_grpc(const struct weir_headers *h);
/** The `connection` (or any comma list) field holds `token`, ASCII case-insensitively. */
bool weir_headers_list_has(struct weir_slice list, struct weir_slice token);

#endif
