/* The header map, hop-by-hop stripping, dates and reason phrases. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/str.h"
#include "http/chars.h"
#include "http/date.h"
#include "http/headers_hop.h"
#include "http/status.h"

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

/* "name=value;…" */
static const char *text_of(const struct weir_headers *h)
{
    struct weir_slice text = WEIR_S("");
    for (uint32_t i = 0; i < h->n; i++) {
        text = weir_arena_printf(&arena, "%.*s%.*s=%.*s;", WEIR_SARG(text), WEIR_SARG(h->v[i].name),
                                 WEIR_SARG(h->v[i].value));
    }
    return text.ptr;
}

static struct weir_headers make(const char *const *pairs, size_t n)
{
    struct weir_headers h;
    weir_headers_init(&h, &arena);
    for (size_t i = 0; i + 1 < n && pairs[i]; i += 2) {
        weir_headers_add_name(&h, weir_slice_str(pairs[i]), weir_slice_str(pairs[i + 1]));
    }
    return h;
}
#define MAKE(...) make((const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static void test_interning(void **state)
{
    (void)state;
    for (unsigned id = 1; id < WEIR_H_COUNT; id++) {
        struct weir_slice name = weir_header_name((enum weir_header_id)id);
        assert_true(name.len > 0);
        assert_int_equal(weir_header_id_of(name), id);
        char other[64];
        for (size_t i = 0; i < name.len; i++) { /* every neighbour is another name */
            memcpy(other, name.ptr, name.len);
            other[i] ^= 1;
            enum weir_header_id found = weir_header_id_of(weir_slice(other, name.len));
            assert_true(found == WEIR_H_OTHER || weir_slice_eq(weir_header_name(found), weir_slice(other, name.len)));
        }
        assert_int_equal(weir_header_id_of(weir_slice(name.ptr, name.len - 1)), WEIR_H_OTHER);
    }
    assert_int_equal(weir_header_id_of(WEIR_S("")), WEIR_H_OTHER);
    assert_int_equal(weir_header_id_of(WEIR_S("Host")), WEIR_H_OTHER);
    static const size_t lengths[] = {1, 2, 3, 4, 7, 8, 9, 48, 49, 255, 256, 257, 65535, 65536};
    static char big[65536];
    memset(big, 'x', sizeof(big));
    for (size_t i = 0; i < WEIR_COUNTOF(lengths); i++) {
        assert_int_equal(weir_header_id_of(weir_slice(big, lengths[i])), WEIR_H_OTHER);
    }
}

static void test_add_and_get(void **state)
{
    (void)state;
    struct weir_headers h = MAKE("X-One", "1", "Host", "h", ":method", "GET", "x-one", "2", ":path", "/");
    assert_string_equal(text_of(&h), ":method=GET;:path=/;x-one=1;host=h;x-one=2;");
    assert_int_equal(h.bytes, 7 + 3 + 5 + 1 + 6 + 4 + 1 + 6);
    assert_true(weir_slice_eq(weir_headers_get(&h, WEIR_H_HOST), WEIR_S("h")));
    assert_true(weir_headers_has(&h, WEIR_H_PATH));
    assert_false(weir_headers_has(&h, WEIR_H_COOKIE));
    assert_null(weir_headers_get(&h, WEIR_H_COOKIE).ptr);
    uint32_t n;
    assert_true(weir_slice_eq(weir_headers_get_joined(&h, WEIR_S("x-one"), &n), WEIR_S("1,2")));
    assert_int_equal(n, 2);
    assert_true(weir_slice_eq(weir_headers_get_joined(&h, WEIR_S("host"), &n), WEIR_S("h")));
    assert_int_equal(n, 1);
    assert_null(weir_headers_get_joined(&h, WEIR_S("none"), &n).ptr);
    assert_int_equal(n, 0);
    assert_true(weir_slice_eq(weir_headers_find_name(&h, WEIR_S("x-one"))->value, WEIR_S("1")));
    assert_null(weir_headers_find_name(&h, WEIR_S("x-two")));
}

static void test_set_append_remove(void **state)
{
    (void)state;
    struct weir_headers h = MAKE("a", "1", "via", "x", "a", "2", "via", "y", "b", "3");
    weir_headers_set_name(&h, WEIR_S("A"), WEIR_S("9"));
    assert_string_equal(text_of(&h), "a=9;via=x;via=y;b=3;");
    weir_headers_set(&h, WEIR_H_VIA, WEIR_S("z"));
    assert_string_equal(text_of(&h), "a=9;via=z;b=3;");
    weir_headers_append(&h, WEIR_H_VIA, WEIR_S("w"));
    weir_headers_append(&h, WEIR_H_SERVER, WEIR_S("s"));
    assert_string_equal(text_of(&h), "a=9;via=z,w;b=3;server=s;");
    weir_headers_set_u64(&h, WEIR_H_CONTENT_LENGTH, UINT64_MAX);
    assert_true(weir_slice_eq(weir_headers_get(&h, WEIR_H_CONTENT_LENGTH), WEIR_S("18446744073709551615")));
    assert_int_equal(weir_headers_remove(&h, WEIR_H_VIA), 1);
    assert_int_equal(weir_headers_remove(&h, WEIR_H_VIA), 0);
    assert_int_equal(weir_headers_remove_name(&h, WEIR_S("a")), 1);
    assert_int_equal(weir_headers_remove_name(&h, WEIR_S("a")), 0);
    assert_int_equal(weir_headers_remove_name(&h, WEIR_S("server")), 1);
    weir_headers_remove_at(&h, 1);
    assert_string_equal(text_of(&h), "b=3;");
    assert_int_equal(h.bytes, 2);
    uint32_t before = h.generation;
    weir_headers_clear(&h);
    assert_int_equal(h.n, 0);
    assert_int_equal(h.bytes, 0);
    assert_true(h.generation != before);
}

static void test_growth_and_copy(void **state)
{
    (void)state;
    struct weir_headers h, copy;
    weir_headers_init(&h, &arena);
    weir_headers_init(&copy, &arena);
    for (int i = 0; i < 1000; i++) {
        weir_headers_add_name(&h, WEIR_S("n"), WEIR_S("v"));
    }
    weir_headers_set_status(&h, 200);
    weir_headers_copy(&copy, &h);
    assert_int_equal(copy.n, 1001);
    assert_int_equal(copy.bytes, h.bytes);
    assert_int_equal(weir_headers_status(&copy), 200);
    assert_int_equal(weir_headers_remove_name(&copy, WEIR_S("n")), 1000);
    assert_int_equal(h.n, 1001);
}

static void test_accessors(void **state)
{
    (void)state;
    static const struct {
        const char *status;
        uint32_t want;
    } rows[] = {{"200", 200}, {"999", 999}, {"20", 0}, {"2000", 0}, {"2x0", 0}, {"", 0}};
    for (size_t i = 0; i < WEIR_COUNTOF(rows); i++) {
        struct weir_headers h = MAKE(":status", rows[i].status);
        assert_int_equal(weir_headers_status(&h), rows[i].want);
    }
    static const struct {
        const char *type;
        bool want;
    } types[] = {{"application/grpc", true}, {"application/grpc+proto", true}, {"Application/GRPC", true},
                 {"application/grpc-web", false}, {"application/grp", false}, {"", false}};
    for (size_t i = 0; i < WEIR_COUNTOF(types); i++) {
        struct weir_headers h = MAKE("content-type", types[i].type);
        assert_int_equal(weir_headers_is_grpc(&h), types[i].want);
    }
    assert_true(weir_slice_eq(weir_path_only(WEIR_S("/a?b#c")), WEIR_S("/a")));
    assert_true(weir_slice_eq(weir_path_only(WEIR_S("/a#b?c")), WEIR_S("/a")));
    assert_true(weir_headers_list_has(WEIR_S("a, B ,c"), WEIR_S("b")));
    assert_false(weir_headers_list_has(WEIR_S("ab"), WEIR_S("b")));
    assert_false(weir_headers_list_has(WEIR_S_NONE, WEIR_S("b")));
}

static void test_validity(void **state)
{
    (void)state;
    assert_true(weir_header_name_valid(WEIR_S("x-a_b.1")));
    assert_true(weir_header_name_valid(WEIR_S(":path")));
    static const struct weir_slice bad_names[] = {
        WEIR_S_INIT(""),     WEIR_S_INIT(":"),     WEIR_S_INIT("A"),   WEIR_S_INIT("a b"),  WEIR_S_INIT("a:"),
        WEIR_S_INIT("::a"),  WEIR_S_INIT("a\r\n"), WEIR_S_INIT("a\0"), WEIR_S_INIT("\xc3"),
    };
    for (size_t i = 0; i < WEIR_COUNTOF(bad_names); i++) {
        assert_false(weir_header_name_valid(bad_names[i]));
    }
    assert_true(weir_header_value_valid(WEIR_S("")));
    assert_true(weir_header_value_valid(WEIR_S("a\tb \xff, longer than eight bytes")));
    char value[40];
    for (int c = 0; c < 256; c++) { /* every byte at every position: the fast path agrees with the table */
        for (size_t at = 0; at < sizeof(value); at++) {
            memset(value, 'v', sizeof(value));
            value[at] = (char)c;
            bool want = c == '\t' || (c >= ' ' && c != 0x7f);
            assert_int_equal(weir_header_value_valid(weir_slice(value, sizeof(value))), want);
            value[at ? at - 1 : 1] = '\t';
            assert_int_equal(weir_header_value_valid(weir_slice(value, sizeof(value))), want);
        }
    }
}

static void test_hop_by_hop(void **state)
{
    (void)state;
    static const struct {
        const char *pairs[12];
        bool keep_upgrade;
        const char *want;
        bool upgrade, te_trailers, bad;
    } rows[] = {
        {{"a", "1"}, false, "a=1;", false, false, false},
        {{"connection", "x-a, X-B", "x-a", "1", "x-b", "2", "x-c", "3"}, false, "x-c=3;", false, false, false},
        {{"connection", "a", "connection", "b", "a", "1", "b", "2"}, false, "", false, false, false},
        {{"connection", "close, keep-alive, ,", "keep-alive", "5", "proxy-connection", "x"}, false, "", false, false, false},
        {{"transfer-encoding", "chunked", "a", "1"}, false, "a=1;", false, false, false},
        {{"te", "trailers, deflate"}, false, "te=trailers;", false, true, false},
        {{"te", "gzip"}, false, "", false, false, false},
        {{"te", "gzip", "te", "trailers"}, false, "te=trailers;", false, true, false},
        {{"connection", "upgrade", "upgrade", "websocket"}, true, "upgrade=websocket;connection=upgrade;", true, false, false},
        {{"connection", "upgrade", "upgrade", "websocket"}, false, "", true, false, false},
        {{"upgrade", "websocket"}, true, "", false, false, false},
        {{"connection", "upgrade, http2-settings", "upgrade", "h2c", "http2-settings", "x"}, true, "", false, false, false},
        {{"connection", "host", "host", "a"}, false, "host=a;", false, false, true},
        {{"connection", ":path", ":path", "/"}, false, ":path=/;", false, false, true},
        {{"connection", "content-length", "content-length", "3"}, false, "content-length=3;", false, false, true},
        {{"connection", "x-forwarded-for", "x-forwarded-for", "1"}, false, "x-forwarded-for=1;", false, false, true},
    };
    for (size_t i = 0; i < WEIR_COUNTOF(rows); i++) {
        struct weir_headers h = make(rows[i].pairs, WEIR_COUNTOF(rows[i].pairs));
        struct weir_hop_facts facts = weir_headers_strip_hop_by_hop(&h, rows[i].keep_upgrade);
        assert_string_equal(h.n ? text_of(&h) : "", rows[i].want);
        assert_int_equal(facts.upgrade, rows[i].upgrade);
        assert_int_equal(facts.te_trailers, rows[i].te_trailers);
        assert_int_equal(facts.bad_nominated, rows[i].bad);
    }
    struct weir_headers trailers = MAKE(":path", "/", "content-length", "3", "grpc-status", "0", "host", "h", "te", "x");
    weir_trailers_strip(&trailers);
    assert_string_equal(text_of(&trailers), "grpc-status=0;");
}

static void test_dates(void **state)
{
    (void)state;
    static const struct {
        int64_t seconds;
        const char *want;
    } rows[] = {
        {0, "Thu, 01 Jan 1970 00:00:00 GMT"},           {784111777, "Sun, 06 Nov 1994 08:49:37 GMT"},
        {951782400, "Tue, 29 Feb 2000 00:00:00 GMT"},   {1709251199, "Thu, 29 Feb 2024 23:59:59 GMT"},
        {1735689599, "Tue, 31 Dec 2024 23:59:59 GMT"},  {4107542400, "Mon, 01 Mar 2100 00:00:00 GMT"},
        {-1, "Wed, 31 Dec 1969 23:59:59 GMT"},          {253402300799, "Fri, 31 Dec 9999 23:59:59 GMT"},
    };
    for (size_t i = 0; i < WEIR_COUNTOF(rows); i++) {
        char out[WEIR_HTTP_DATE_LEN];
        weir_http_date_format(rows[i].seconds, out);
        assert_memory_equal(out, rows[i].want, sizeof(out));
    }
    assert_true(weir_slice_eq(weir_http_date(INT64_C(784111777) * 1000000000 + 5), weir_slice_str(rows[1].want)));
    assert_true(weir_slice_eq(weir_http_date(INT64_C(784111777) * 1000000000 + 9), weir_slice_str(rows[1].want)));
    assert_true(weir_slice_eq(weir_http_date(0), weir_slice_str(rows[0].want)));
}

static void test_reasons(void **state)
{
    (void)state;
    assert_true(weir_slice_eq(weir_status_reason(200), WEIR_S("OK")));
    assert_true(weir_slice_eq(weir_status_reason(431), WEIR_S("Request Header Fields Too Large")));
    assert_true(weir_slice_eq(weir_status_reason(299), WEIR_S("Unknown")));
    assert_true(weir_slice_eq(weir_status_reason(0), WEIR_S("Unknown")));
    assert_true(weir_slice_eq(weir_status_reason(9999), WEIR_S("Unknown")));
    assert_true(weir_status_bodiless(204) && weir_status_bodiless(304) && weir_status_bodiless(100));
    assert_false(weir_status_bodiless(200));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_interning, setup, teardown),
        cmocka_unit_test_setup_teardown(test_add_and_get, setup, teardown),
        cmocka_unit_test_setup_teardown(test_set_append_remove, setup, teardown),
        cmocka_unit_test_setup_teardown(test_growth_and_copy, setup, teardown),
        cmocka_unit_test_setup_teardown(test_accessors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_validity, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hop_by_hop, setup, teardown),
        cmocka_unit_test(test_dates),
        cmocka_unit_test(test_reasons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
