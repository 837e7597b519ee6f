/* Inside of route tables: shared by route.c (at work), route_match.c (conditions, index) and route_config.c (building). */
#ifndef WEIR_PROXY_ROUTE_PRIV_H
#define WEIR_PROXY_ROUTE_PRIV_H

#include "proxy/route.h"
#include "proxy/string_match.h"

struct weir_filter_ops;

enum weir_path_match { WEIR_PATH_PREFIX, WEIR_PATH_EXACT, WEIR_PATH_SEPARATED_PREFIX, WEIR_PATH_REGEX };

struct weir_query_match {
    struct weir_slice name;
    bool by_presence, present;
    struct weir_string_match string;
};

struct weir_route_match {
    enum weir_path_match path;
    bool ignore_case;
    bool grpc;
    struct weir_slice text;
    const struct weir_regex *regex;
    struct weir_header_match *headers;
    struct weir_query_match *queries;
    uint32_t n_headers, n_queries;
    uint32_t fraction_ppm; /* 1 000 000 = always */
};

struct weir_redirect {
    struct weir_slice scheme, host, path, prefix_rewrite;
    uint32_t port, status;
    bool strip_query;
    const struct weir_regex *regex;
    struct weir_slice substitution;
};

struct weir_per_filter_entry {
    struct weir_slice name;
    const struct weir_filter_ops *ops;
    const void *conf;
    bool disabled;
};
struct weir_per_filter {
    struct weir_per_filter_entry *v;
    uint32_t n;
};

struct weir_route_table {
    _Atomic uint32_t refs;
    struct weir_arena arena;
    struct weir_slice name;
    /* Virtual hosts by domain. Suffix wildcards ("*.foo.com") are kept without the star, prefix wildcards ("foo.*") too; their
     * lengths, longest first, say where to look. */
    struct weir_map exact, suffix, prefix;
    uint32_t *suffix_lens, *prefix_lens;
    uint32_t n_suffix_lens, n_prefix_lens;
    const struct weir_vhost *fallback; /* "*" */
    bool ignore_port;
    bool most_specific_wins;
    const struct weir_header_mutation *request_headers, *response_headers;
    const struct weir_per_filter *per_filter;
    const void *metadata;
    struct weir_route *to_https; /* where virtual hosts that want TLS send the others */
};

/** Does the request meet the route's conditions? `path` is the request's path without its query. */
bool weir_route_match_one(const struct weir_route_match *m, const struct weir_headers *request, struct weir_slice path,
                          uint64_t random);
/** Indexes the routes of a virtual host, in `arena`. NULL when there are too few to be worth it. */
struct weir_vhost_index *weir_vhost_index_new(struct weir_arena *arena, struct weir_route *const *routes, uint32_t n);
/** The first route in order of configuration that matches. */
const struct weir_route *weir_vhost_find(const struct weir_vhost *vhost, const struct weir_headers *request, uint64_t random);

#endif
