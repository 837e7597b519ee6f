/* Route tables at work: the virtual host for an authority, the route and its target, and what both make of the request and the
 * response. Building is route_config.c's, conditions and index route_match.c's. Rules: Envoy's RouteEntryImplBase. */
#include "proxy/route.h"

#include "base/mem.h"
#include "proxy/header_mutation.h"
#include "proxy/route_priv.h"
#include "proxy/stream.h"
#include "proxy/worker.h"

/* An authority longer than any domain that could be configured (RFC 1035 2.3.4) with its port: only "*" matches it. */
#define AUTHORITY_MAX 320

struct weir_route_table *weir_route_table_ref(struct weir_route_table *table)
{
    atomic_fetch_add_explicit(&table->refs, 1, memory_order_relaxed);
    return table;
}

void weir_route_table_unref(struct weir_route_table *table)
{
    if (!table || atomic_fetch_sub_explicit(&table->refs, 1, memory_order_acq_rel) != 1)
        return;
    weir_map_fini(&table->exact);
    weir_map_fini(&table->suffix);
    weir_map_fini(&table->prefix);
    weir_arena_fini(&table->arena);
    weir_free(table);
}

struct weir_slice weir_route_table_name(const struct weir_route_table *table)
{
    return table->name;
}

/* ---- choosing ---- */

/* Length of "host" in "host:port". */
static size_t host_len(struct weir_slice authority)
{
    size_t colon = weir_slice_rfind(authority, ':');
    if (colon == authority.len)
        return authority.len;
    for (size_t i = colon + 1; i < authority.len; i++)
        if (authority.ptr[i] < '0' || authority.ptr[i] > '9')
            return authority.len; /* within an IPv6 address */
    return colon;
}

const struct weir_vhost *weir_route_vhost(const struct weir_route_table *table, struct weir_slice authority)
{
    if (table->exact.len + table->suffix.len + table->prefix.len == 0)
        return table->fallback;
    if (table->ignore_port)
        authority = weir_slice_first(authority, host_len(authority));
    char lower[AUTHORITY_MAX];
    if (authority.len == 0 || authority.len > sizeof(lower))
        return table->fallback;
    for (size_t i = 0; i < authority.len; i++)
        lower[i] = weir_lower(authority.ptr[i]);
    struct weir_slice host = weir_slice(lower, authority.len);
    const struct weir_vhost *vhost = weir_map_get(&table->exact, host);
    /* A star stands for one character at least. */
    for (uint32_t i = 0; !vhost && i < table->n_suffix_lens; i++)
        if (table->suffix_lens[i] < host.len)
            vhost = weir_map_get(&table->suffix, weir_slice_from(host, host.len - table->suffix_lens[i]));
    for (uint32_t i = 0; !vhost && i < table->n_prefix_lens; i++)
        if (table->prefix_lens[i] < host.len)
            vhost = weir_map_get(&table->prefix, weir_slice_first(host, table->prefix_lens[i]));
    return vhost ? vhost : table->fallback;
}

static bool wants_https(const struct weir_vhost *vhost, const struct weir_headers *request,
                        const struct weir_stream_info *info)
{
    if (vhost->require_tls == WEIR_TLS_NOT_REQUIRED)
        return false;
    if (weir_slice_eq(weir_headers_get(request, WEIR_H_X_FORWARDED_PROTO), WEIR_S("https")))
        return false;
    return vhost->require_tls == WEIR_TLS_REQUIRED_ALL || !info || !info->internal;
}

static const struct weir_route_target *choose_target(const struct weir_route *route, uint64_t random)
{
    if (route->n_targets <= 1)
        return route->targets;
    uint64_t draw = random % route->total_weight;
    uint32_t i = 0;
    for (; i + 1 < route->n_targets && draw >= route->targets[i].weight; i++)
        draw -= route->targets[i].weight;
    return &route->targets[i];
}

const struct weir_route *weir_route_match(const struct weir_route_table *table,
                                          const struct weir_headers *request,
                                          const struct weir_stream_info *info, uint64_t random,
                                          const struct weir_route_target **ret_target)
{
    const struct weir_vhost *vhost = weir_route_vhost(table, weir_headers_authority(request));
    *ret_target = NULL;
    if (!vhost)
        return NULL;
    if (WEIR_UNLIKELY(wants_https(vhost, request, info)))
        return table->to_https;
    const struct weir_route *route = weir_vhost_find(vhost, request, random);
    /* Other bits than those that decided about fractions. */
    if (route)
        *ret_target = choose_target(route, random >> 24);
    return route;
}

/* ---- the request ---- */

static struct weir_log_context context_of(struct weir_stream *s, const struct weir_headers *response)
{
    return (struct weir_log_context){
        .worker = s->worker,
        .info = &s->info,
        .request_headers = &s->request_headers,
        .response_headers = response,
        .arena = &s->arena,
    };
}

/* Applies the mutations of all levels. Rule: from the most specific level to the least, or the other way round when the most
 * specific shall win; a weighted cluster comes first in any case. */
static void mutate(const struct weir_header_mutation *const levels[4], bool most_specific_wins,
                   struct weir_headers *h, const struct weir_log_context *context)
{
    weir_header_mutation_apply(levels[0], h, context);
    for (int i = 1; i < 4; i++)
        weir_header_mutation_apply(levels[most_specific_wins ? 4 - i : i], h, context);
}

void weir_route_set_host(struct weir_headers *request, struct weir_slice host, bool append_forwarded_host,
                         bool original)
{
    struct weir_slice before = weir_headers_authority(request);
    if (original && before.len)
        weir_headers_set(request, WEIR_H_X_ENVOY_ORIGINAL_HOST, before);
    if (append_forwarded_host && before.len) {
        struct weir_slice forwarded = weir_headers_get(request, WEIR_H_X_FORWARDED_HOST);
        size_t comma = weir_slice_rfind(forwarded, ',');
        struct weir_slice last =
            weir_slice_trim(comma < forwarded.len ? weir_slice_from(forwarded, comma + 1) : forwarded);
        if (!weir_slice_eq(last, before))
            weir_headers_append(request, WEIR_H_X_FORWARDED_HOST, before);
    }
    weir_headers_set(request, WEIR_H_AUTHORITY, host);
}

/* What the route's path condition matched: the part that a prefix rewrite replaces. */
static size_t matched_len(const struct weir_route *route, struct weir_slice path)
{
    const struct weir_route_match *m = route->match;
    bool prefix = m->path == WEIR_PATH_PREFIX || m->path == WEIR_PATH_SEPARATED_PREFIX;
    return prefix && m->text.len <= path.len ? m->text.len : path.len;
}

/* The request's path rewritten, without its query; absent when there is nothing to rewrite. */
static struct weir_slice rewritten_path(const struct weir_route *route, struct weir_slice prefix_rewrite,
                                        const struct weir_regex *regex, struct weir_slice substitution,
                                        struct weir_slice path, struct weir_arena *arena)
{
    if (prefix_rewrite.len)
        return weir_arena_cat(arena, prefix_rewrite, weir_slice_from(path, matched_len(route, path)));
    if (regex)
        return weir_regex_replace(arena, regex, path, substitution);
    return WEIR_S_NONE;
}

static void rewrite_path(const struct weir_route *route, struct weir_stream *s, bool originals)
{
    if (!route->prefix_rewrite.len && !route->regex_rewrite)
        return;
    struct weir_headers *h = &s->request_headers;
    struct weir_slice target = weir_headers_path(h), path = weir_path_only(target);
    struct weir_slice now = rewritten_path(route, route->prefix_rewrite, route->regex_rewrite,
                                           route->regex_substitution, path, &s->arena);
    now = weir_arena_cat(&s->arena, now, weir_slice_from(target, path.len));
    /* What a regular expression makes of a path must be one still. */
    if (now.len == 0 || now.ptr[0] != '/' || !weir_header_value_valid(now))
        now = weir_arena_cat(&s->arena, WEIR_S("/"), weir_slice_from(target, path.len));
    if (originals)
        weir_headers_set(h, WEIR_H_X_ENVOY_ORIGINAL_PATH, target);
    weir_headers_set_borrow(h, WEIR_H_PATH, now);
}

static void rewrite_host(const struct weir_route *route, const struct weir_route_target *target,
                         struct weir_stream *s, bool originals)
{
    struct weir_headers *h = &s->request_headers;
    struct weir_slice host = target && target->host_rewrite.len ? target->host_rewrite : route->host_rewrite;
    if (route->host_rewrite_header.len) {
        const struct weir_header *from = weir_headers_find_name(h, route->host_rewrite_header);
        if (from && from->value.len)
            host = from->value;
    } else if (route->host_rewrite_regex) {
        host = weir_regex_replace(&s->arena, route->host_rewrite_regex, weir_path_only(weir_headers_path(h)),
                                  route->host_rewrite_substitution);
    }
    if (host.len && weir_header_value_valid(host))
        weir_route_set_host(h, host, route->append_x_forwarded_host, originals);
}

void weir_route_finalize_request(const struct weir_route *route, const struct weir_route_target *target,
                                 struct weir_stream *s, bool originals)
{
    const struct weir_route_table *table = route->vhost ? route->vhost->table : NULL;
    if (!table)
        return; /* a filter's call, the redirect to https */
    const struct weir_header_mutation *levels[4] = {target ? target->request_headers : NULL,
                                                    route->request_headers, route->vhost->request_headers,
                                                    table->request_headers};
    struct weir_log_context context = context_of(s, NULL);
    mutate(levels, table->most_specific_wins, &s->request_headers, &context);
    rewrite_host(route, target, s, originals);
    rewrite_path(route, s, originals);
}

void weir_route_finalize_response(const struct weir_route *route, const struct weir_route_target *target,
                                  struct weir_stream *s, struct weir_headers *response)
{
    const struct weir_route_table *table = route->vhost ? route->vhost->table : NULL;
    if (!table)
        return;
    const struct weir_header_mutation *levels[4] = {target ? target->response_headers : NULL,
                                                    route->response_headers, route->vhost->response_headers,
                                                    table->response_headers};
    struct weir_log_context context = context_of(s, response);
    mutate(levels, table->most_specific_wins, response, &context);
}

/* ---- redirects ---- */

static struct weir_slice current_scheme(const struct weir_headers *h)
{
    struct weir_slice scheme = weir_headers_get(h, WEIR_H_X_FORWARDED_PROTO);
    if (!scheme.len)
        scheme = weir_headers_get(h, WEIR_H_SCHEME);
    return scheme.len ? scheme : WEIR_S("http");
}

/* The request's host; a port that belonged to the scheme that changes goes. */
static struct weir_slice redirect_host(const struct weir_redirect *r, struct weir_slice authority,
                                       struct weir_slice from, struct weir_slice to)
{
    if (r->host.len)
        return r->host;
    struct weir_slice host = weir_slice_first(authority, host_len(authority));
    if (r->port)
        return host;
    struct weir_slice port = weir_slice_from(authority, host.len);
    bool up = weir_slice_eq(from, WEIR_S("http")) && weir_slice_eq(to, WEIR_S("https")) &&
              weir_slice_eq(port, WEIR_S(":80"));
    bool down = weir_slice_eq(from, WEIR_S("https")) && weir_slice_eq(to, WEIR_S("http")) &&
                weir_slice_eq(port, WEIR_S(":443"));
    return up || down ? host : authority;
}

static struct weir_slice redirect_path(const struct weir_route *route, struct weir_stream *s)
{
    const struct weir_redirect *r = route->redirect;
    struct weir_slice target = weir_headers_path(&s->request_headers), path = weir_path_only(target);
    struct weir_slice query = r->strip_query ? WEIR_S_NONE : weir_slice_from(target, path.len);
    query = weir_slice_first(query, weir_slice_find(query, '#'));
    if (r->path.len) {
        if (weir_slice_find(r->path, '?') < r->path.len)
            return r->path; /* it brings its own query */
        return weir_arena_cat(&s->arena, r->path, query);
    }
    struct weir_slice now =
        rewritten_path(route, r->prefix_rewrite, r->regex, r->substitution, path, &s->arena);
    return weir_arena_cat(&s->arena, now.ptr ? now : path, query);
}

struct weir_slice weir_route_redirect_location(const struct weir_route *route, struct weir_stream *s,
                                               uint32_t *ret_status)
{
    const struct weir_redirect *r = route->redirect;
    const struct weir_headers *h = &s->request_headers;
    struct weir_slice from = current_scheme(h), to = r->scheme.len ? r->scheme : from;
    struct weir_slice host = redirect_host(r, weir_headers_authority(h), from, to);
    struct weir_slice path = redirect_path(route, s);
    *ret_status = r->status;
    if (r->port)
        return weir_arena_printf(&s->arena, "%.*s://%.*s:%u%.*s", WEIR_SARG(to), WEIR_SARG(host), r->port,
                                 WEIR_SARG(path));
    return weir_arena_printf(&s->arena, "%.*s://%.*s%.*s", WEIR_SARG(to), WEIR_SARG(host), WEIR_SARG(path));
}

/* ---- per-filter configuration ---- */

static const struct weir_per_filter_entry *find_entry(const struct weir_per_filter *all,
                                                      struct weir_slice name)
{
    for (uint32_t i = 0; all && i < all->n; i++)
        if (weir_slice_eq(all->v[i].name, name))
            return &all->v[i];
    return NULL;
}

const void *weir_route_filter_conf(const struct weir_route *route, const struct weir_route_target *target,
                                   struct weir_slice name, bool *ret_disabled)
{
    const struct weir_vhost *vhost = route->vhost;
    const struct weir_per_filter *levels[4] = {target ? target->per_filter : NULL, route->per_filter,
                                               vhost ? vhost->per_filter : NULL,
                                               vhost && vhost->table ? vhost->table->per_filter : NULL};
    *ret_disabled = false;
    for (size_t i = 0; i < WEIR_COUNTOF(levels); i++) {
        const struct weir_per_filter_entry *entry = find_entry(levels[i], name);
        if (!entry)
            continue;
        *ret_disabled = entry->disabled;
        return entry->conf;
    }
    return NULL;
}
