/* Route tables: which route a request gets, what is refused and where, what becomes of path, host and headers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "config/config.h"
#include "envoy/config/route/v3/route.pb-c.h"
#include "proxy/conf_ctx.h"
#include "proxy/route.h"
#include "proxy/stream.h"

struct fixture {
    struct weir_diag diag;
    struct weir_config *config;
    struct weir_map clusters;
    struct weir_arena arena;
    struct weir_route_table *table;
};

static struct weir_route_table *build(struct fixture *fx, const char *yaml)
{
    weir_diag_init(&fx->diag);
    fx->config = weir_config_new(&fx->diag);
    weir_arena_init(&fx->arena, NULL);
    weir_map_init(&fx->clusters);
    weir_map_set(&fx->clusters, WEIR_S("a"), fx);
    weir_map_set(&fx->clusters, WEIR_S("b"), fx);
    ProtobufCMessage *msg = NULL;
    enum weir_err err =
        weir_config_read_text(fx->config, WEIR_S("t.yaml"), weir_slice_str(yaml),
                              &envoy__config__route__v3__route_configuration__descriptor, &msg);
    struct weir_conf_ctx ctx = {
        .arena = &fx->arena, .config = fx->config, .diag = &fx->diag, .cluster_names = &fx->clusters};
    fx->table = msg ? weir_route_table_new(&ctx, msg) : NULL;
    if (err != WEIR_OK && fx->diag.n_errors == 0)
        fail_msg("no report");
    return fx->table;
}

static void drop(struct fixture *fx)
{
    weir_route_table_unref(fx->table);
    weir_map_fini(&fx->clusters);
    weir_arena_fini(&fx->arena);
    weir_config_free(fx->config);
    weir_diag_fini(&fx->diag);
}

/* "authority path name=value name=value" */
static void fill(struct weir_headers *h, struct weir_arena *arena, const char *request)
{
    struct weir_slice rest = weir_slice_str(request), token;
    weir_headers_init(h, arena);
    weir_headers_add(h, WEIR_H_METHOD, WEIR_S("GET"));
    if (weir_slice_next(&rest, ' ', &token))
        weir_headers_add(h, WEIR_H_AUTHORITY, token);
    if (weir_slice_next(&rest, ' ', &token))
        weir_headers_add(h, WEIR_H_PATH, token);
    while (weir_slice_next(&rest, ' ', &token)) {
        size_t eq = weir_slice_find(token, '=');
        weir_headers_add_name(h, weir_slice_first(token, eq), weir_slice_from(token, eq + 1));
    }
}

static struct weir_slice match(struct fixture *fx, const char *request, uint64_t random,
                               const struct weir_route_target **target)
{
    struct weir_arena arena;
    struct weir_headers h;
    weir_arena_init(&arena, NULL);
    fill(&h, &arena, request);
    const struct weir_route *route = weir_route_match(fx->table, &h, NULL, random, target);
    weir_arena_fini(&arena);
    return route ? route->name : WEIR_S("-");
}

struct row {
    const char *request, *want;
};

static void run_rows(struct fixture *fx, const struct row *rows, size_t n)
{
    const struct weir_route_target *target;
    for (size_t i = 0; i < n; i++) {
        struct weir_slice got = match(fx, rows[i].request, 0, &target);
        if (!weir_slice_eq(got, weir_slice_str(rows[i].want)))
            fail_msg("%s: got %.*s, want %s", rows[i].request, WEIR_SARG(got), rows[i].want);
    }
}

static const char domains_yaml[] = "name: r\n"
                                   "virtual_hosts:\n"
                                   "- {name: v1, domains: [Foo.com, 'foo.com:8080'], routes: [{name: exact, "
                                   "match: {prefix: /}, direct_response: {status: 200}}]}\n"
                                   "- {name: v2, domains: ['*.foo.com'], routes: [{name: suffix, match: "
                                   "{prefix: /}, direct_response: {status: 200}}]}\n"
                                   "- {name: v3, domains: ['*.bar.foo.com', '*-x.foo.com'], routes: [{name: "
                                   "longer, match: {prefix: /}, direct_response: {status: 200}}]}\n"
                                   "- {name: v4, domains: ['foo.*'], routes: [{name: prefix, match: {prefix: "
                                   "/}, direct_response: {status: 200}}]}\n"
                                   "- {name: v5, domains: ['*'], routes: [{name: any, match: {prefix: /}, "
                                   "direct_response: {status: 200}}]}\n";

static void test_domains_exact_then_longest_wildcard(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"foo.com /", "exact"},        {"FOO.com /", "exact"},      {"foo.com:8080 /", "exact"},
        {"foo.com:81 /", "prefix"},    {"www.foo.com /", "suffix"}, {".foo.com /", "any"},
        {"a.bar.foo.com /", "longer"}, {"b-x.foo.com /", "longer"}, {"-x.foo.com /", "suffix"},
        {"foo.net /", "prefix"},       {"foo. /", "any"},           {"other /", "any"},
    };
    struct fixture fx;
    assert_non_null(build(&fx, domains_yaml));
    run_rows(&fx, rows, WEIR_COUNTOF(rows));
    drop(&fx);
}

static const char paths_yaml[] =
    "name: r\n"
    "virtual_hosts:\n"
    "- name: v\n"
    "  domains: ['*']\n"
    "  routes:\n"
    "  - {name: hdr, match: {prefix: /, headers: [{name: x-a, string_match: {exact: '1'}}]}, route: "
    "{cluster: a}}\n"
    "  - {name: exact, match: {path: /exact}, route: {cluster: a}}\n"
    "  - {name: nocase, match: {path: /NoCase, case_sensitive: false}, route: {cluster: a}}\n"
    "  - {name: psp, match: {path_separated_prefix: /psp}, route: {cluster: a}}\n"
    "  - {name: regex, match: {safe_regex: {regex: '/re/[0-9]+'}}, route: {cluster: a}}\n"
    "  - {name: long, match: {prefix: /api/v1/}, route: {cluster: a}}\n"
    "  - {name: short, match: {prefix: /api}, route: {cluster: a}}\n"
    "  - {name: hidden, match: {prefix: /api/v2}, route: {cluster: a}}\n"
    "  - {name: query, match: {path: /q, query_parameters: [{name: k, string_match: {prefix: v}}]}, route: "
    "{cluster: a}}\n"
    "  - {name: flag, match: {path: /q, query_parameters: [{name: f, present_match: true}]}, route: "
    "{cluster: a}}\n"
    "  - {name: grpc, match: {prefix: /g, grpc: {}}, route: {cluster: a}}\n"
    "  - {name: b, match: {prefix: /b}, route: {cluster: b}}\n";

static void test_paths_keep_the_order_of_configuration(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"h /exact", "exact"},
        {"h /exact?x=1", "exact"},
        {"h /exact/", "-"},
        {"h /exact x-a=1", "hdr"},
        {"h /nocase", "nocase"},
        {"h /NOCASE", "nocase"},
        {"h /psp", "psp"},
        {"h /psp/x", "psp"},
        {"h /psp?z", "psp"},
        {"h /pspx", "-"},
        {"h /re/12", "regex"},
        {"h /re/12x", "-"},
        {"h /re/1?q=/", "regex"},
        {"h /api/v1/x", "long"},
        {"h /api/v1", "short"},
        {"h /api/v2/x", "short"},
        {"h /apix", "short"},
        {"h /q?k=value", "query"},
        {"h /q?k=x", "-"},
        {"h /q?a=1&k=v&f", "query"},
        {"h /q?f", "flag"},
        {"h /q", "-"},
        {"h /g", "-"},
        {"h /g content-type=application/grpc", "grpc"},
        {"h /g content-type=application/grpc+proto", "grpc"},
        {"h /b", "b"},
        {"h /", "-"},
    };
    struct fixture fx;
    assert_non_null(build(&fx, paths_yaml));
    run_rows(&fx, rows, WEIR_COUNTOF(rows));
    drop(&fx);
}

/* Each row: one header matcher, requests that it takes and refuses. */
static void test_header_matchers(void **state)
{
    (void)state;
    static const struct {
        const char *matcher, *takes, *refuses;
    } rows[] = {
        {"{name: x, string_match: {exact: v}}", "x=v", "x=V"},
        {"{name: X, string_match: {exact: v, ignore_case: true}}", "x=V", "y=v"},
        {"{name: x, string_match: {prefix: ab}}", "x=abc", "x=xab"},
        {"{name: x, string_match: {suffix: bc}}", "x=abc", "x=bcx"},
        {"{name: x, string_match: {contains: b}}", "x=abc", "x=ac"},
        {"{name: x, string_match: {safe_regex: {regex: 'a+'}}}", "x=aa", "x=aab"},
        {"{name: x, range_match: {start: 1, end: 5}}", "x=4", "x=5"},
        {"{name: x, range_match: {start: -5, end: 0}}", "x=-5", "x=a"},
        {"{name: x, present_match: true}", "x=", "y="},
        {"{name: x, present_match: false}", "y=", "x="},
        {"{name: x}", "x=1", "y=1"},
        {"{name: x, present_match: true, invert_match: true}", "y=1", "x=1"},
        {"{name: x, string_match: {exact: v}, invert_match: true}", "x=w", "x=v"},
        {"{name: x, string_match: {exact: v}, invert_match: true}", "x=w", "y=1"},
        {"{name: x, string_match: {exact: v}, invert_match: true, treat_missing_header_as_empty: true}",
         "y=1", "x=v"},
        {"{name: x, string_match: {exact: 'b'}}", "x=a x=b", "x=a"},
        {"{name: x, exact_match: v}", "x=v", "x=w"},
        {"{name: x, safe_regex_match: {regex: '[0-9]'}}", "x=1", "x=11"},
        {"{name: ':method', string_match: {exact: GET}}", "y=1", ""},
        {"{name: host, string_match: {exact: h}}", "y=1", ""},
    };
    for (size_t i = 0; i < WEIR_COUNTOF(rows); i++) {
        char yaml[512], request[128];
        struct fixture fx;
        const struct weir_route_target *target;
        snprintf(yaml, sizeof(yaml),
                 "{name: r, virtual_hosts: [{name: v, domains: ['*'], routes: [{name: m, match: {prefix: /, "
                 "headers: [%s]}, route: {cluster: a}}]}]}",
                 rows[i].matcher);
        if (!build(&fx, yaml))
            fail_msg("%s: refused", rows[i].matcher);
        snprintf(request, sizeof(request), "h / %s", rows[i].takes);
        if (!weir_slice_eq(match(&fx, request, 0, &target), WEIR_S("m")))
            fail_msg("%s does not take %s", rows[i].matcher, rows[i].takes);
        snprintf(request, sizeof(request), "h / %s", rows[i].refuses);
        if (rows[i].refuses[0] && !weir_slice_eq(match(&fx, request, 0, &target), WEIR_S("-")))
            fail_msg("%s takes %s", rows[i].matcher, rows[i].refuses);
        drop(&fx);
    }
}

static void test_weights_and_fractions_follow_the_random_number(void **state)
{
    (void)state;
    struct fixture fx;
    const struct weir_route_target *target;
    uint32_t to_a = 0, tenth = 0;
    uint64_t random = 88172645463325252u;
    assert_non_null(build(
        &fx, "name: r\n"
             "virtual_hosts:\n"
             "- name: v\n"
             "  domains: '*'\n"
             "  routes:\n"
             "  - name: tenth\n"
             "    match: {prefix: /, runtime_fraction: {default_value: {numerator: 10}}}\n"
             "    route: {cluster: a}\n"
             "  - name: rest\n"
             "    match: {prefix: /}\n"
             "    route: {weighted_clusters: {clusters: [{name: a, weight: 30}, {name: b, weight: 70}]}}\n"));
    for (int i = 0; i < 10000; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        if (weir_slice_eq(match(&fx, "h /", random, &target), WEIR_S("tenth")))
            tenth++;
        else if (weir_slice_eq(target->cluster, WEIR_S("a")))
            to_a++;
    }
    assert_in_range(tenth, 900, 1100);
    assert_in_range(to_a, 2500, 2900);
    drop(&fx);
}

static void test_mistakes_are_reported_with_their_place(void **state)
{
    (void)state;
    static const struct {
        const char *yaml, *message;
        uint32_t line;
    } rows[] = {
        {"name: r\nvirtual_hosts:\n- name: v\n  domains: ['*']\n  routes:\n  - match: {prefix: /}\n    "
         "route:\n      cluster: nope\n",
         "route to \"nope\": no such cluster (have: a, b)", 8},
        {"name: r\nvirtual_hosts:\n- {name: v, domains: ['x.com']}\n- {name: w,\n   domains: ['X.com']}\n",
         "domain \"X.com\" belongs to virtual host \"v\" already", 5},
        {"name: r\nvirtual_hosts:\n- {name: v, domains: ['*']}\n- {name: w, domains: ['*']}\n",
         "only a single \"*\" is permitted: virtual host \"v\" has it already", 4},
        {"name: r\nrequest_headers_to_add:\n- header: {key: ':path', value: x}\n",
         ":-prefixed or host headers may not be modified (\":path\")", 3},
        {"name: r\nresponse_headers_to_remove: [x,\n  Host]\n",
         ":-prefixed or host headers may not be removed (\"Host\")", 3},
        {"name: r\nvirtual_hosts:\n- name: v\n  domains: ['*']\n  routes:\n  - match: {safe_regex: {regex: "
         "'(('}}\n    route: {cluster: a}\n",
         "not a regular expression:", 6},
        {"name: r\nvirtual_hosts:\n- name: v\n  domains: ['*']\n  routes:\n  - match: {prefix: /}\n"
         "    route: {weighted_clusters: {clusters: [{name: a, weight: 0}]}}\n",
         "the sum of the weights must be above 0", 7},
        {"name: r\nvhds: {config_source: {ads: {}}}\n", "not implemented by weir yet", 2},
    };
    for (size_t i = 0; i < WEIR_COUNTOF(rows); i++) {
        struct fixture fx;
        assert_null(build(&fx, rows[i].yaml));
        bool found = false;
        for (size_t j = 0; j < fx.diag.n_entries; j++) {
            const struct weir_diag_entry *e = &fx.diag.entries[j];
            found |= weir_slice_search(e->message, weir_slice_str(rows[i].message)) != SIZE_MAX &&
                     e->pos.line == rows[i].line;
        }
        if (!found) {
            weir_diag_print(&fx.diag, stderr, &(struct weir_diag_style){.format = WEIR_DIAG_TEXT});
            fail_msg("not reported in line %u: %s", rows[i].line, rows[i].message);
        }
        drop(&fx);
    }
}

/* ---- what a route does to a request ---- */

static void make_stream(struct weir_stream *s, struct fixture *fx, const char *request)
{
    *s = (struct weir_stream){.routes = fx->table};
    weir_arena_init(&s->arena, NULL);
    fill(&s->request_headers, &s->arena, request);
    s->route = weir_route_match(fx->table, &s->request_headers, NULL, 0, &s->target);
    if (!s->route)
        fail_msg("%s: no route", request);
}

static const char rewrites_yaml[] = "name: r\n"
                                    "virtual_hosts:\n"
                                    "- name: v\n"
                                    "  domains: '*'\n"
                                    "  routes:\n"
                                    "  - {match: {prefix: /old/}, route: {cluster: a, prefix_rewrite: /new/, "
                                    "host_rewrite_literal: up.test}}\n"
                                    "  - {match: {path: /one}, route: {cluster: a, prefix_rewrite: /two}}\n"
                                    "  - {match: {prefix: /re}, route: {cluster: a, regex_rewrite: {pattern: "
                                    "{regex: '^/re/([^/]+)/(.*)$'}, substitution: '/\\2/\\1'}}}\n"
                                    "  - {match: {prefix: /hh}, route: {cluster: a, host_rewrite_header: "
                                    "x-host, append_x_forwarded_host: true}}\n"
                                    "  - {match: {prefix: /hp}, route: {cluster: a, host_rewrite_path_regex: "
                                    "{pattern: {regex: '^/hp/([a-z.]+)/.*$'}, substitution: '\\1'}}}\n"
                                    "  - {match: {prefix: /}, route: {cluster: a}}\n";

static void test_rewrites(void **state)
{
    (void)state;
    static const struct {
        const char *request, *path, *host, *original_path, *original_host;
    } rows[] = {
        {"h /old/x?q=1", "/new/x?q=1", "up.test", "/old/x?q=1", "h"},
        {"h /one?q", "/two?q", "h", "/one?q", ""},
        {"h /re/a/b/c?x=/re/", "/b/c/a?x=/re/", "h", "/re/a/b/c?x=/re/", ""},
        {"h /hh x-host=other.test", "/hh", "other.test", "", "h"},
        {"h /hh", "/hh", "h", "", ""},
        {"h /hp/up.one/z", "/hp/up.one/z", "up.one", "", "h"},
        {"h /plain", "/plain", "h", "", ""},
    };
    struct fixture fx;
    assert_non_null(build(&fx, rewrites_yaml));
    for (size_t i = 0; i < WEIR_COUNTOF(rows); i++) {
        struct weir_stream s;
        make_stream(&s, &fx, rows[i].request);
        weir_route_finalize_request(s.route, s.target, &s, true);
        const struct weir_headers *h = &s.request_headers;
        struct weir_slice got[] = {weir_headers_path(h), weir_headers_authority(h),
                                   weir_headers_get(h, WEIR_H_X_ENVOY_ORIGINAL_PATH),
                                   weir_headers_get(h, WEIR_H_X_ENVOY_ORIGINAL_HOST)};
        const char *want[] = {rows[i].path, rows[i].host, rows[i].original_path, rows[i].original_host};
        for (size_t j = 0; j < 4; j++)
            if (!weir_slice_eq(got[j], weir_slice_str(want[j])))
                fail_msg("%s: %zu is %.*s, want %s", rows[i].request, j, WEIR_SARG(got[j]), want[j]);
        weir_arena_fini(&s.arena);
    }
    drop(&fx);
}

static const char redirects_yaml[] =
    "name: r\n"
    "virtual_hosts:\n"
    "- {name: tls, domains: [tls.test], require_tls: ALL, routes: [{match: {prefix: /}, route: {cluster: "
    "a}}]}\n"
    "- name: v\n"
    "  domains: '*'\n"
    "  routes:\n"
    "  - {match: {prefix: /s}, redirect: {https_redirect: true}}\n"
    "  - {match: {prefix: /h}, redirect: {host_redirect: x.test, port_redirect: 81, response_code: FOUND}}\n"
    "  - {match: {prefix: /p}, redirect: {path_redirect: /q, response_code: SEE_OTHER}}\n"
    "  - {match: {prefix: /own}, redirect: {path_redirect: '/q?own=1', strip_query: true, response_code: "
    "TEMPORARY_REDIRECT}}\n"
    "  - {match: {prefix: /a/}, redirect: {prefix_rewrite: /b/, strip_query: true, response_code: "
    "PERMANENT_REDIRECT}}\n"
    "  - {match: {prefix: /r}, redirect: {regex_rewrite: {pattern: {regex: r}, substitution: R}}}\n";

static void test_redirects(void **state)
{
    (void)state;
    static const struct {
        const char *request, *location;
        uint32_t status;
    } rows[] = {
        {"h.test:80 /s?a=1", "https://h.test/s?a=1", 301},
        {"h.test:8080 /s", "https://h.test:8080/s", 301},
        {"h.test /h/x", "http://x.test:81/h/x", 302},
        {"h.test /p?k=v", "http://h.test/q?k=v", 303},
        {"h.test /own?k=v", "http://h.test/q?own=1", 307},
        {"h.test /a/x?y", "http://h.test/b/x", 308},
        {"h.test /rr?r", "http://h.test/RR?r", 301},
        {"tls.test /x x-forwarded-proto=http", "https://tls.test/x", 301},
    };
    struct fixture fx;
    assert_non_null(build(&fx, redirects_yaml));
    for (size_t i = 0; i < WEIR_COUNTOF(rows); i++) {
        struct weir_stream s;
        uint32_t status = 0;
        make_stream(&s, &fx, rows[i].request);
        struct weir_slice got = weir_route_redirect_location(s.route, &s, &status);
        if (!weir_slice_eq(got, weir_slice_str(rows[i].location)) || status != rows[i].status)
            fail_msg("%s: %u %.*s, want %u %s", rows[i].request, status, WEIR_SARG(got), rows[i].status,
                     rows[i].location);
        weir_arena_fini(&s.arena);
    }
    drop(&fx);
}

static const char mutations_yaml[] =
    "name: r\n"
    "request_headers_to_add: [{header: {key: x-level, value: table}}]\n"
    "response_headers_to_remove: [x-gone]\n"
    "response_headers_to_add:\n"
    "- {header: {key: x-set, value: new}, append_action: OVERWRITE_IF_EXISTS_OR_ADD}\n"
    "- {header: {key: x-there, value: new}, append_action: ADD_IF_ABSENT}\n"
    "- {header: {key: x-not-there, value: new}, append_action: OVERWRITE_IF_EXISTS}\n"
    "- {header: {key: x-there, value: more}}\n"
    "- {header: {key: x-empty, value: ''}}\n"
    "- {header: {key: x-kept, value: ''}, keep_empty_value: true}\n"
    "- {header: {key: x-path, value: 'p=%REQ(:PATH)%%%'}}\n"
    "virtual_hosts:\n"
    "- name: v\n"
    "  domains: '*'\n"
    "  request_headers_to_add: [{header: {key: X-Level, value: host}}]\n"
    "  routes:\n"
    "  - match: {prefix: /}\n"
    "    route: {cluster: a}\n"
    "    request_headers_to_remove: [x-level]\n"
    "    request_headers_to_add: [{header: {key: x-level, value: route}}]\n";

static void expect_header(const struct weir_headers *h, const char *name, const char *want)
{
    uint32_t n = 0;
    struct weir_slice got = weir_headers_get_joined(h, weir_slice_str(name), &n);
    if (want ? n == 0 || !weir_slice_eq(got, weir_slice_str(want)) : n > 0)
        fail_msg("%s: got %u %.*s, want %s", name, n, WEIR_SARG(got), want ? want : "none");
}

static void test_header_mutations(void **state)
{
    (void)state;
    struct fixture fx;
    struct weir_stream s;
    struct weir_headers response;
    if (!build(&fx, mutations_yaml)) {
        weir_diag_print(&fx.diag, stderr, &(struct weir_diag_style){.format = WEIR_DIAG_TEXT});
        fail();
    }
    make_stream(&s, &fx, "h /here x-level=client");
    weir_route_finalize_request(s.route, s.target, &s, true);
    expect_header(&s.request_headers, "x-level", "route,host,table");
    weir_headers_init(&response, &s.arena);
    weir_headers_add_name(&response, WEIR_S("x-gone"), WEIR_S("1"));
    weir_headers_add_name(&response, WEIR_S("x-set"), WEIR_S("old"));
    weir_headers_add_name(&response, WEIR_S("x-set"), WEIR_S("old2"));
    weir_headers_add_name(&response, WEIR_S("x-there"), WEIR_S("old"));
    weir_route_finalize_response(s.route, s.target, &s, &response);
    expect_header(&response, "x-gone", NULL);
    expect_header(&response, "x-set", "new");
    expect_header(&response, "x-there", "old,more");
    expect_header(&response, "x-not-there", NULL);
    expect_header(&response, "x-empty", NULL);
    expect_header(&response, "x-kept", "");
    expect_header(&response, "x-path", "p=/here%");
    weir_arena_fini(&s.arena);
    drop(&fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_domains_exact_then_longest_wildcard),
        cmocka_unit_test(test_paths_keep_the_order_of_configuration),
        cmocka_unit_test(test_header_matchers),
        cmocka_unit_test(test_weights_and_fractions_follow_the_random_number),
        cmocka_unit_test(test_mistakes_are_reported_with_their_place),
        cmocka_unit_test(test_rewrites),
        cmocka_unit_test(test_redirects),
        cmocka_unit_test(test_header_mutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
