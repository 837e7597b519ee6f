/* Request targets: absolute form, authorities, paths, queries. Everything that looks at a path for a decision (router, filters,
 * guests) must see the one that weir_path_canonicalise returned. */
#ifndef WEIR_HTTP_URL_H
#define WEIR_HTTP_URL_H

#include "base/arena.h"

/** An authority, cut up. All slices point into the input. */
struct weir_authority {
    struct weir_slice host; /* without port; an IPv6 literal with its brackets */
    uint16_t port;          /* 0 = none given */
    bool has_port;
    bool ip6;
};
/** host [":" port] (RFC 9110 7.2, RFC 3986 3.2): false for user information, spaces, '/', a port that is not 1 to 65535 in digits
 * (an empty port is taken as none), an IPv6 literal that is not one, other characters a host cannot have. Empty is valid. */
bool weir_authority_parse(struct weir_slice authority, struct weir_authority *ret);
static inline bool weir_authority_valid(struct weir_slice authority)
{
    struct weir_authority parsed;
    return weir_authority_parse(authority, &parsed);
}

/** An absolute URI, cut up. */
struct weir_url {
    struct weir_slice scheme;    /* as written */
    struct weir_slice authority; /* without user information */
    struct weir_slice path;      /* path and query; empty when the URI has none ("/" is meant) */
};
/** scheme "://" authority [path] ["?" query]. False when the form is another; the authority is not judged. */
bool weir_url_parse(struct weir_slice url, struct weir_url *ret);

enum weir_escaped_slashes {
    WEIR_SLASHES_KEEP,     // default: %2F and %5C stay
    WEIR_SLASHES_REJECT,   // 400
    WEIR_SLASHES_REDIRECT, // unescape, 307 to the result
    WEIR_SLASHES_FORWARD,  // unescape, go on with the result
};
struct weir_path_options {
    bool normalize;     /* normalize_path: dot segments (also %2e), unreserved escapes, backslashes */
    bool merge_slashes; /* // to / */
    enum weir_escaped_slashes escaped_slashes;
};
enum weir_path_verdict { WEIR_PATH_OK, WEIR_PATH_REDIRECT, WEIR_PATH_REJECT };
/** The path as the options want it, in `ret` (`path` itself if nothing changed, else in `arena`). The query is never touched.
 *  Idempotent: a result canonicalises to itself. Paths that do not begin with '/' are returned as they are. */
enum weir_path_verdict weir_path_canonicalise(struct weir_arena *arena, struct weir_slice path,
                                              const struct weir_path_options *options, struct weir_slice *ret);
/** A '#' in the target: Envoy answers 400, path_normalization_failed. */
static inline bool weir_path_has_fragment(struct weir_slice path)
{
    return weir_slice_find(path, '#') < path.len;
}
/** What may stand in :path: begins with '/' or is "*", visible ASCII only. For paths made by filters and guests. */
bool weir_path_valid(struct weir_slice path);

/** The query of a path ("a=1&b" of "/x?a=1&b#f"); absent if there is none. */
struct weir_slice weir_path_query(struct weir_slice path);
/** Cuts the next "key=value" off `*rest` (begin with the query); undecoded; false at the end. A key without '=' has the absent value.
 * Empty pairs are skipped. */
bool weir_query_next(struct weir_slice *rest, struct weir_slice *ret_key, struct weir_slice *ret_value);
/** Value of the first parameter `key` (undecoded), absent if there is none. */
struct weir_slice weir_query_get(struct weir_slice query, struct weir_slice key);
/** %XX decoded into `arena` ('+' stays; bad escapes stay). */
struct weir_slice weir_percent_decode(struct weir_arena *arena, struct weir_slice s);

#endif
