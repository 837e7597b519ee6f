/* Authorities, absolute URIs, the path canonicaliser, queries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "http/url.h"

static struct weir_arena arena;

static int setup(void **state)
{
    (void)state;
    weir_arena_init(&arena, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    weir_arena_fini(&arena);
    return 0;
}

static void assert_slice(struct weir_slice got, const char *want)
{
    if (!weir_slice_eq(got, weir_slice_str(want))) {
        print_error("want %s, got %.*s\n", want, WEIR_SARG(got));
        fail();
    }
}

static void test_authorities(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host; /* host NULL: invalid */
        int port;                /* 0: none */
    } rows[] = {
        {"", "", 0},
        {"a", "a", 0},
        {"a.b", "a.b", 0},
        {"a.b.", "a.b.", 0},
        {"a:80", "a", 80},
        {"a:65535", "a", 65535},
        {"a:", "a", 0},
        {"A-B_c~d%20!$&'()*+,;=", "A-B_c~d%20!$&'()*+,;=", 0},
        {"127.0.0.1:8080", "127.0.0.1", 8080},
        {"[::1]", "[::1]", 0},
        {"[::1]:80", "[::1]", 80},
        {"[2001:db8::1]:1", "[2001:db8::1]", 1},
        {"[::ffff:1.2.3.4]", "[::ffff:1.2.3.4]", 0},
        {"h:80a", NULL, 0},
        {"h:0", NULL, 0},
        {"h:65536", NULL, 0},
        {"h:000080", NULL, 0},
        {"h:-1", NULL, 0},
        {"h:+1", NULL, 0},
        {"h: 1", NULL, 0},
        {"h:1:2", NULL, 0},
        {"::1", NULL, 0},
        {":80", NULL, 0},
        {"[::1", NULL, 0},
        {"[::1]80", NULL, 0},
        {"[::1]:x", NULL, 0},
        {"[::1]]", NULL, 0},
        {"[]", NULL, 0},
        {"[x]", NULL, 0},
        {"[1.2.3.4]", NULL, 0},
        {"[::1%25eth0]", NULL, 0},
        {"::1]", NULL, 0},
        {"a b", NULL, 0},
        {" a", NULL, 0},
        {"a/b", NULL, 0},
        {"a?b", NULL, 0},
        {"a#b", NULL, 0},
        {"u@a", NULL, 0},
        {"u:p@a", NULL, 0},
        {"a\\b", NULL, 0},
        {"a\"b", NULL, 0},
        {"a<b>", NULL, 0},
        {"a^b", NULL, 0},
        {"a`b", NULL, 0},
        {"a{b}", NULL, 0},
        {"a|b", NULL, 0},
        {"a\tb", NULL, 0},
        {"a\r\nb", NULL, 0},
        {"\xc3\xa9.example", NULL, 0},
        {"a\x7f", NULL, 0},
    };
    for (size_t i = 0; i < WEIR_COUNTOF(rows); i++) {
        struct weir_authority a;
        bool valid = weir_authority_parse(weir_slice_str(rows[i].text), &a);
        if (valid != (rows[i].host != NULL)) {
            print_error("%s\n", rows[i].text);
        }
        assert_int_equal(valid, rows[i].host != NULL);
        if (valid) {
            assert_slice(a.host, rows[i].host);
            assert_int_equal(a.port, rows[i].port);
            assert_int_equal(a.has_port, rows[i].port != 0);
            assert_int_equal(a.ip6, rows[i].host[0] == '[');
        }
    }
    assert_false(weir_authority_valid(WEIR_S("a\0b")));
}

static void test_urls(void **state)
{
    (void)state;
    static const struct {
        const char *text, *scheme, *authority, *path;
    } rows[] = {
        {"http://a", "http", "a", ""},
        {"HTTPS://a:1/b?c", "HTTPS", "a:1", "/b?c"},
        {"http://a?b/c", "http", "a", "?b/c"},
        {"http://u:p@a/@", "http", "a", "/@"},
        {"x-1.2+3://a/", "x-1.2+3", "a", "/"},
        {"http:/a", NULL, NULL, NULL},
        {"http//a", NULL, NULL, NULL},
        {"://a", NULL, NULL, NULL},
        {"1a://b", NULL, NULL, NULL},
        {"a b://c", NULL, NULL, NULL},
        {"http://", NULL, NULL, NULL},
        {"http:///a", NULL, NULL, NULL},
        {"http://u@", NULL, NULL, NULL},
        {"", NULL, NULL, NULL},
        {"/a", NULL, NULL, NULL},
    };
    for (size_t i = 0; i < WEIR_COUNTOF(rows); i++) {
        struct weir_url url;
        bool valid = weir_url_parse(weir_slice_str(rows[i].text), &url);
        assert_int_equal(valid, rows[i].scheme != NULL);
        if (valid) {
            assert_slice(url.scheme, rows[i].scheme);
            assert_slice(url.authority, rows[i].authority);
            assert_slice(url.path, rows[i].path);
        }
    }
}

static void test_paths(void **state)
{
    (void)state;
    static const struct weir_path_options none = {0}, normalize = {.normalize = true}, merge = {.merge_slashes = true},
                                          both = {.normalize = true, .merge_slashes = true},
                                          reject = {.normalize = true, .escaped_slashes = WEIR_SLASHES_REJECT},
                                          redirect = {.normalize = true, .merge_slashes = true, .escaped_slashes = WEIR_SLASHES_REDIRECT},
                                          forward = {.normalize = true, .merge_slashes = true, .escaped_slashes = WEIR_SLASHES_FORWARD};
    static const struct {
        const struct weir_path_options *options;
        const char *path;
        enum weir_path_verdict verdict;
        const char *want;
    } rows[] = {
        {&none, "/a/../b//c%2f%2e", WEIR_PATH_OK, "/a/../b//c%2f%2e"},
        {&normalize, "/", WEIR_PATH_OK, "/"},
        {&normalize, "/a/b", WEIR_PATH_OK, "/a/b"},
        {&normalize, "/a/./b", WEIR_PATH_OK, "/a/b"},
        {&normalize, "/a/../b", WEIR_PATH_OK, "/b"},
        {&normalize, "/a/b/..", WEIR_PATH_OK, "/a/"},
        {&normalize, "/a/b/.", WEIR_PATH_OK, "/a/b/"},
        {&normalize, "/..", WEIR_PATH_OK, "/"},
        {&normalize, "/../../a", WEIR_PATH_OK, "/a"},
        {&normalize, "/a/b/../../../c", WEIR_PATH_OK, "/c"},
        {&normalize, "/a//../b", WEIR_PATH_OK, "/a/b"},
        {&normalize, "/...", WEIR_PATH_OK, "/..."},
        {&normalize, "/a/..b", WEIR_PATH_OK, "/a/..b"},
        {&normalize, "/a/.b/c.", WEIR_PATH_OK, "/a/.b/c."},
        {&normalize, "/a/%2e%2E/b", WEIR_PATH_OK, "/b"},
        {&normalize, "/a/.%2e/b", WEIR_PATH_OK, "/b"},
        {&normalize, "/a/%2e/b", WEIR_PATH_OK, "/a/b"},
        {&normalize, "/%41%7e%2d", WEIR_PATH_OK, "/A~-"},
        {&normalize, "/a%20b%2f%3f%00", WEIR_PATH_OK, "/a%20b%2f%3f%00"},
        {&normalize, "/a\\..\\b", WEIR_PATH_OK, "/b"},
        {&normalize, "/a;x/../b;y", WEIR_PATH_OK, "/b;y"},
        {&normalize, "/%2%65", WEIR_PATH_OK, "/%2%65"},
        {&normalize, "/%%32e", WEIR_PATH_OK, "/%%32e"},
        {&normalize, "/%252e%252e", WEIR_PATH_OK, "/%252e%252e"},
        {&normalize, "/%", WEIR_PATH_OK, "/%"},
        {&normalize, "/%2", WEIR_PATH_OK, "/%2"},
        {&normalize, "/%zz", WEIR_PATH_OK, "/%zz"},
        {&normalize, "/a/../b?c=/../d", WEIR_PATH_OK, "/b?c=/../d"},
        {&normalize, "/a//b", WEIR_PATH_OK, "/a//b"},
        {&normalize, "*", WEIR_PATH_OK, "*"},
        {&normalize, "", WEIR_PATH_OK, ""},
        {&merge, "//a///b/", WEIR_PATH_OK, "/a/b/"},
        {&merge, "/a/../b//c", WEIR_PATH_OK, "/a/../b/c"},
        {&merge, "/a?b//c", WEIR_PATH_OK, "/a?b//c"},
        {&both, "/a//../b", WEIR_PATH_OK, "/a/b"},
        {&both, "//a/.//b", WEIR_PATH_OK, "/a/b"},
        {&reject, "/a%2fb", WEIR_PATH_REJECT, NULL},
        {&reject, "/a%5Cb", WEIR_PATH_REJECT, NULL},
        {&reject, "/a/./b", WEIR_PATH_OK, "/a/b"},
        {&reject, "/a?b%2f", WEIR_PATH_OK, "/a?b%2f"},
        {&redirect, "/a%2f../b%2Fc", WEIR_PATH_REDIRECT, "/b/c"},
        {&redirect, "/a/./b", WEIR_PATH_OK, "/a/b"},
        {&forward, "/a%2f%2e%2e%2fadmin", WEIR_PATH_OK, "/admin"},
        {&forward, "/a%5c..%5cadmin", WEIR_PATH_OK, "/admin"},
        {&forward, "/%2fadmin", WEIR_PATH_OK, "/admin"},
        {&forward, "/%252fadmin", WEIR_PATH_OK, "/%252fadmin"},
    };
    for (size_t i = 0; i < WEIR_COUNTOF(rows); i++) {
        struct weir_slice got, again;
        enum weir_path_verdict verdict =
            weir_path_canonicalise(&arena, weir_slice_str(rows[i].path), rows[i].options, &got);
        if (verdict != rows[i].verdict) {
            print_error("%s\n", rows[i].path);
        }
        assert_int_equal(verdict, rows[i].verdict);
        if (rows[i].want) {
            assert_slice(got, rows[i].want);
            assert_int_equal(weir_path_canonicalise(&arena, got, rows[i].options, &again), WEIR_PATH_OK);
            assert_true(weir_slice_eq(got, again)); /* idempotent */
        }
    }
}

/* Every short path over the characters that matter: the result is stable and has no dot segment left. */
static void test_paths_are_idempotent(void **state)
{
    (void)state;
    static const char alphabet[] = "/.%2ef5c\\a";
    static const struct weir_path_options options = {
        .normalize = true, .merge_slashes = true, .escaped_slashes = WEIR_SLASHES_FORWARD};
    const size_t base = sizeof(alphabet) - 1;
    size_t total = base * base * base * base * base;
    for (size_t n = 0; n < total; n++) {
        char path[] = "/?????";
        size_t rest = n;
        for (int i = 1; i <= 5; i++, rest /= base) {
            path[i] = alphabet[rest % base];
        }
        struct weir_slice got, again;
        (void)weir_path_canonicalise(&arena, weir_slice_str(path), &options, &got);
        (void)weir_path_canonicalise(&arena, got, &options, &again);
        if (!weir_slice_eq(got, again)) {
            print_error("%s -> %.*s -> %.*s\n", path, WEIR_SARG(got), WEIR_SARG(again));
        }
        assert_true(weir_slice_eq(got, again));
        assert_true(weir_slice_search(got, WEIR_S("/../")) == SIZE_MAX);
        if (n % 1000 == 0) {
            weir_arena_fini(&arena);
        }
    }
}

static void test_path_validity(void **state)
{
    (void)state;
    assert_true(weir_path_valid(WEIR_S("/a?b#c\"<>")));
    assert_true(weir_path_valid(WEIR_S("*")));
    assert_false(weir_path_valid(WEIR_S("")));
    assert_false(weir_path_valid(WEIR_S("a")));
    assert_false(weir_path_valid(WEIR_S("*a")));
    assert_false(weir_path_valid(WEIR_S("/a b")));
    assert_false(weir_path_valid(WEIR_S("/a\r\n")));
    assert_false(weir_path_valid(WEIR_S("/\xff")));
    assert_true(weir_path_has_fragment(WEIR_S("/a#")));
    assert_false(weir_path_has_fragment(WEIR_S("/a")));
}

static void test_queries(void **state)
{
    (void)state;
    assert_null(weir_path_query(WEIR_S("/a")).ptr);
    assert_slice(weir_path_query(WEIR_S("/a?b=c&d#e")), "b=c&d");
    assert_slice(weir_path_query(WEIR_S("/a?")), "");
    struct weir_slice rest = WEIR_S("a=1&&b&c=2=3&=x&d="), key, value;
    static const char *const want[][2] = {{"a", "1"}, {"b", NULL}, {"c", "2=3"}, {"", "x"}, {"d", ""}};
    for (size_t i = 0; i < WEIR_COUNTOF(want); i++) {
        assert_true(weir_query_next(&rest, &key, &value));
        assert_slice(key, want[i][0]);
        assert_int_equal(value.ptr == NULL, want[i][1] == NULL);
        assert_slice(value, want[i][1] ? want[i][1] : "");
    }
    assert_false(weir_query_next(&rest, &key, &value));
    assert_slice(weir_query_get(WEIR_S("a=1&b=2&b=3"), WEIR_S("b")), "2");
    assert_slice(weir_query_get(WEIR_S("a=1&b"), WEIR_S("b")), "");
    assert_null(weir_query_get(WEIR_S("a=1"), WEIR_S("b")).ptr);
    assert_null(weir_query_get(WEIR_S_NONE, WEIR_S("b")).ptr);
    assert_slice(weir_percent_decode(&arena, WEIR_S("a%20b%2Gc%4")), "a b%2Gc%4");
    assert_slice(weir_percent_decode(&arena, WEIR_S("a+b")), "a+b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_authorities),
        cmocka_unit_test(test_urls),
        cmocka_unit_test_setup_teardown(test_paths, setup, teardown),
        cmocka_unit_test_setup_teardown(test_paths_are_idempotent, setup, teardown),
        cmocka_unit_test(test_path_validity),
        cmocka_unit_test_setup_teardown(test_queries, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
