/* From a request to the first route that matches, flat in the number of routes.
 *
 * Within a virtual host the index knows, for a path, the few routes whose path condition can hold: those with exactly this path
 * (a hash map), those whose prefix the path begins with (an array of prefixes in order, each linked to the longest other prefix
 * it begins with: one binary search finds the last one that is not above the path, and all that match are on its chain), and
 * those that cannot be indexed (regular expressions, any letter case). Each of these lists is in order of configuration; they
 * are merged, and the first whose other conditions hold wins, exactly as in a search from the top. */
#include "proxy/route_priv.h"

#include <stdlib.h>

#include "base/mem.h"

/* Below this many routes a search from the top is as fast. */
#define INDEX_FROM 8
/* Prefixes of one path that are looked at through the index; a table with longer chains is searched from the top. */
#define CHAIN_MAX 30

/* Routes with one key, in order. */
struct route_list {
    struct weir_slice key;
    uint32_t *orders;
    uint32_t n;
    int32_t parent; /* prefixes: the longest other that this begins with, -1 = none */
};

struct weir_vhost_index {
    struct route_list *prefixes; /* sorted by key */
    uint32_t n_prefixes;
    struct weir_map exact; /* path -> struct route_list */
    struct route_list rest;
};

/* ---- conditions ---- */

static bool path_matches(const struct weir_route_match *m, struct weir_slice path)
{
    switch (m->path) {
    case WEIR_PATH_EXACT:
        return m->ignore_case ? weir_slice_eq_nocase(path, m->text) : weir_slice_eq(path, m->text);
    case WEIR_PATH_PREFIX:
        return m->ignore_case ? weir_slice_starts_with_nocase(path, m->text)
                              : weir_slice_starts_with(path, m->text);
    case WEIR_PATH_SEPARATED_PREFIX:
        if (path.len > m->text.len && path.ptr[m->text.len] != '/')
            return false;
        return m->ignore_case ? weir_slice_starts_with_nocase(path, m->text)
                              : weir_slice_starts_with(path, m->text);
    case WEIR_PATH_REGEX:
        return weir_regex_full_match(m->regex, path);
    }
    return false;
}

/* The first parameter of that name in the path's query, as it stands there. */
static bool find_query(struct weir_slice target, struct weir_slice name, struct weir_slice *ret)
{
    struct weir_slice rest = weir_slice_from(target, weir_slice_find(target, '?') + 1), pair;
    rest = weir_slice_first(rest, weir_slice_find(rest, '#'));
    while (weir_slice_next(&rest, '&', &pair)) {
        size_t eq = weir_slice_find(pair, '=');
        if (!weir_slice_eq(weir_slice_first(pair, eq), name))
            continue;
        *ret = weir_slice_from(pair, eq + 1);
        return true;
    }
    return false;
}

static bool queries_match(const struct weir_route_match *m, struct weir_slice target)
{
    for (uint32_t i = 0; i < m->n_queries; i++) {
        const struct weir_query_match *q = &m->queries[i];
        struct weir_slice value;
        bool there = find_query(target, q->name, &value);
        if (q->by_presence ? there != q->present : !there || !weir_string_match(&q->string, value))
            return false;
    }
    return true;
}

bool weir_route_match_one(const struct weir_route_match *m, const struct weir_headers *request,
                          struct weir_slice path, uint64_t random)
{
    if (!path_matches(m, path))
        return false;
    if (m->fraction_ppm < 1000000 && random % 1000000 >= m->fraction_ppm)
        return false;
    if (m->n_headers && !weir_header_matches(m->headers, m->n_headers, request))
        return false;
    if (m->n_queries && !queries_match(m, weir_headers_path(request)))
        return false;
    return !m->grpc || weir_headers_is_grpc(request);
}

/* ---- the index ---- */

static int by_key(const void *a, const void *b)
{
    const struct route_list *x = a, *y = b;
    int order = weir_slice_cmp(x->key, y->key);
    return order ? order : (x->orders[0] < y->orders[0] ? -1 : 1);
}

/* Sorts single-route lists by key and joins those with the same key. */
static uint32_t join_lists(struct weir_arena *arena, struct route_list *v, uint32_t n)
{
    qsort(v, n, sizeof(*v), by_key);
    uint32_t out = 0;
    for (uint32_t i = 0; i < n;) {
        uint32_t end = i + 1;
        while (end < n && weir_slice_eq(v[end].key, v[i].key))
            end++;
        struct route_list list = {
            .key = v[i].key, .parent = -1, .orders = WEIR_ARENA_ARRAY(arena, uint32_t, end - i)};
        for (; i < end; i++)
            list.orders[list.n++] = v[i].orders[0];
        v[out++] = list;
    }
    return out;
}

static void link_parents(struct route_list *v, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++) {
        int32_t at = (int32_t)i - 1;
        while (at >= 0 && !weir_slice_starts_with(v[i].key, v[at].key))
            at = v[at].parent;
        v[i].parent = at;
    }
}

static void free_map(void *arg)
{
    weir_map_fini(arg);
}

struct weir_vhost_index *weir_vhost_index_new(struct weir_arena *arena, struct weir_route *const *routes,
                                              uint32_t n)
{
    if (n < INDEX_FROM)
        return NULL;
    struct weir_vhost_index *index = WEIR_ARENA_NEW(arena, struct weir_vhost_index);
    struct route_list *exact = WEIR_ARENA_ARRAY(arena, struct route_list, n);
    uint32_t n_exact = 0;
    index->prefixes = WEIR_ARENA_ARRAY(arena, struct route_list, n);
    index->rest.orders = WEIR_ARENA_ARRAY(arena, uint32_t, n);
    uint32_t *orders = WEIR_ARENA_ARRAY(arena, uint32_t, n);
    for (uint32_t i = 0; i < n; i++) {
        const struct weir_route_match *m = routes[i]->match;
        orders[i] = i;
        struct route_list list = {.key = m->text, .orders = &orders[i], .n = 1, .parent = -1};
        if (m->ignore_case || m->path == WEIR_PATH_REGEX)
            index->rest.orders[index->rest.n++] = i;
        else if (m->path == WEIR_PATH_EXACT)
            exact[n_exact++] = list;
        else
            index->prefixes[index->n_prefixes++] = list;
    }
    index->n_prefixes = join_lists(arena, index->prefixes, index->n_prefixes);
    link_parents(index->prefixes, index->n_prefixes);
    n_exact = join_lists(arena, exact, n_exact);
    weir_map_init(&index->exact);
    for (uint32_t i = 0; i < n_exact; i++)
        weir_map_set(&index->exact, exact[i].key, &exact[i]);
    weir_arena_on_end(arena, free_map, &index->exact);
    return index;
}

/* The last prefix that is not above `path` in order; -1 = none. */
static int32_t last_not_above(const struct weir_vhost_index *index, struct weir_slice path)
{
    uint32_t low = 0, high = index->n_prefixes;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (weir_slice_cmp(index->prefixes[mid].key, path) <= 0)
            low = mid + 1;
        else
            high = mid;
    }
    return (int32_t)low - 1;
}

struct cursor {
    const struct route_list *list;
    uint32_t at;
};

/* The lists in which the route for `path` can be. Returns how many, or 0 when there are more than fit. */
static uint32_t candidates(const struct weir_vhost_index *index, struct weir_slice path,
                           struct cursor *cursors)
{
    uint32_t n = 0;
    cursors[n++].list = &index->rest;
    const struct route_list *exact = weir_map_get(&index->exact, path);
    if (exact)
        cursors[n++].list = exact;
    for (int32_t at = last_not_above(index, path); at >= 0; at = index->prefixes[at].parent) {
        if (!weir_slice_starts_with(path, index->prefixes[at].key))
            continue;
        if (n == CHAIN_MAX + 2)
            return 0;
        cursors[n++].list = &index->prefixes[at];
    }
    return n;
}

static const struct weir_route *find_from_top(const struct weir_vhost *vhost,
                                              const struct weir_headers *request, struct weir_slice path,
                                              uint64_t random)
{
    for (uint32_t i = 0; i < vhost->n_routes; i++)
        if (weir_route_match_one(vhost->routes[i]->match, request, path, random))
            return vhost->routes[i];
    return NULL;
}

const struct weir_route *weir_vhost_find(const struct weir_vhost *vhost, const struct weir_headers *request,
                                         uint64_t random)
{
    struct weir_slice path = weir_path_only(weir_headers_path(request));
    if (!vhost->index)
        return find_from_top(vhost, request, path, random);
    struct cursor cursors[CHAIN_MAX + 2] = {{0}};
    uint32_t n = candidates(vhost->index, path, cursors);
    if (n == 0)
        return find_from_top(vhost, request, path, random);
    for (;;) {
        struct cursor *first = NULL;
        for (uint32_t i = 0; i < n; i++) {
            struct cursor *c = &cursors[i];
            if (c->at == c->list->n)
                continue;
            if (!first || c->list->orders[c->at] < first->list->orders[first->at])
                first = c;
        }
        if (!first)
            return NULL;
        const struct weir_route *route = vhost->routes[first->list->orders[first->at++]];
        if (weir_route_match_one(route->match, request, path, random))
            return route;
    }
}
