/* proxy/formatter: the %FORMAT% language. What is expected was printed by Envoy 1.39 for the same request, where it has the operator. */
#include "proxy/formatter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#include <envoy/config/core/v3/base.pb-c.h>
#include <google/protobuf/struct.pb-c.h>

#include "http/headers.h"

/* A request that went upstream and came back. */
struct fixture {
    struct weir_arena arena;
    struct weir_headers request, response, trailers;
    struct weir_stream_info info;
    struct weir_conn_info conn;
    struct weir_host host;
    struct weir_log_context context;
};

static void add(struct weir_headers *h, const char *name, const char *value)
{
    weir_headers_add_name(h, weir_slice_str(name), weir_slice_str(value));
}

static void set_metadata(struct fixture *f)
{
    static struct weir_value inner[2], outer[2];
    static struct weir_slice inner_keys[2], outer_keys[2];
    static struct weir_metadata metadata;
    inner[0] = (struct weir_value){.kind = WEIR_VALUE_NUMBER, .number = 1.5};
    inner[1] = (struct weir_value){.kind = WEIR_VALUE_BOOL, .boolean = true};
    inner_keys[0] = WEIR_S("n");
    inner_keys[1] = WEIR_S("b");
    outer[0] = (struct weir_value){.kind = WEIR_VALUE_STRING, .string = WEIR_S("te\"xt")};
    outer[1].kind = WEIR_VALUE_STRUCT;
    outer[1].items.v = inner;
    outer[1].items.keys = inner_keys;
    outer[1].items.n = 2;
    outer_keys[0] = WEIR_S("s");
    outer_keys[1] = WEIR_S("o");
    metadata.name = WEIR_S("ns");
    metadata.value.kind = WEIR_VALUE_STRUCT;
    metadata.value.items.v = outer;
    metadata.value.items.keys = outer_keys;
    metadata.value.items.n = 2;
    f->info.metadata = &metadata;
}

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    weir_arena_init(&f->arena, NULL);
    weir_headers_init(&f->request, &f->arena);
    weir_headers_init(&f->response, &f->arena);
    weir_headers_init(&f->trailers, &f->arena);
    add(&f->request, ":method", "GET");
    add(&f->request, ":path", "/x?y=1&z=%20");
    add(&f->request, ":authority", "h");
    add(&f->request, "x-a", "\"q\"");
    add(&f->request, "x-long", "abcdefgh");
    add(&f->request, "x-request-id", "f0dc7687-5486-434a-84c3-c36ce39b172e");
    add(&f->response, "x-envoy-upstream-service-time", "4");
    add(&f->trailers, "grpc-status", "5");
    assert_int_equal(weir_addr_parse_ip(WEIR_S("127.0.0.1"), 40000, &f->conn.local), WEIR_OK);
    assert_int_equal(weir_addr_parse_ip(WEIR_S("::1"), 50000, &f->info.remote), WEIR_OK);
    assert_int_equal(weir_addr_parse_ip(WEIR_S("10.0.0.9"), 80, &f->host.addr), WEIR_OK);
    f->host.address_text = WEIR_S("10.0.0.9:80");
    f->conn.id = 7;
    f->info = (struct weir_stream_info){
        .conn = &f->conn,
        .remote = f->info.remote,
        .protocol = WEIR_HTTP_11,
        .up_protocol = WEIR_HTTP_2,
        .start_wall_ns = INT64_C(1795456208240816123),
        .start_ns = 1000000000,
        .last_rx_ns = 1001000000,
        .first_up_tx_ns = 1002000000,
        .last_up_tx_ns = 1003500000,
        .first_up_rx_ns = 1010000000,
        .last_up_rx_ns = 1011000000,
        .first_tx_ns = 1012000000,
        .last_tx_ns = 1020000000,
        .end_ns = 1021500000,
        .bytes_received = 12,
        .bytes_sent = 3456,
        .status = 503,
        .flags = 1u << WEIR_FLAG_UPSTREAM_CONNECTION_FAILURE | 1u << WEIR_FLAG_UPSTREAM_RETRY_LIMIT_EXCEEDED,
        .details = WEIR_S("a detail of\nmine"),
        .attempts = 2,
        .route_name = WEIR_S("r"),
        .cluster_name = WEIR_S("service1"),
        .host = &f->host,
        .up_conn_id = 3,
        .up_pool_ready_ns = 2000000,
        .up_failure = WEIR_S("delayed connect error: 111"),
    };
    set_metadata(f);
    f->context = (struct weir_log_context){
        .info = &f->info,
        .request_headers = &f->request,
        .response_headers = &f->response,
        .response_trailers = &f->trailers,
        .arena = &f->arena,
        .type = WEIR_ACCESS_LOG_DOWNSTREAM_END,
    };
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    weir_arena_fini(&f->arena);
    test_free(f);
    return 0;
}

static const struct weir_format *compile(struct fixture *f, const char *text,
                                         struct weir_format_options options)
{
    struct weir_format_error err;
    const struct weir_format *format = NULL;
    if (weir_format_new(&f->arena, weir_slice_str(text), options, &err, &format) != WEIR_OK)
        fail_msg("%s: %s (%s)", text, err.message, err.hint);
    return format;
}

/* Both ways of evaluating must agree. */
static void expect_with(struct fixture *f, const char *text, const char *want,
                        struct weir_format_options options)
{
    const struct weir_format *format = compile(f, text, options);
    struct weir_str out;
    weir_str_init(&out, 1 << 16);
    weir_format_print(format, &f->context, &out);
    struct weir_slice printed = out.ptr ? weir_str_slice(&out) : WEIR_S("");
    if (!weir_slice_eq(printed, weir_slice_str(want)))
        fail_msg("%s\n is     \"%.*s\"\n wanted \"%s\"", text, WEIR_SARG(printed), want);
    struct weir_slice evaluated = weir_format_eval(format, &f->context);
    if (!weir_slice_eq(evaluated, printed))
        fail_msg("%s evaluates to \"%.*s\"", text, WEIR_SARG(evaluated));
    weir_str_fini(&out);
}

static void test_operators(void **state)
{
    static const struct {
        const char *format, *want;
    } rows[] = {
        {"", ""},
        {"plain 100%%", "plain 100%"},
        {"%START_TIME%", "2026-11-23T17:50:08.240Z"},
        {"%START_TIME(%Y/%m/%d %H:%M:%S.%3f %z %6f %9f %f %1f %s)%",
         "2026/11/23 17:50:08.240 +0000 240816 240816123 240816123 2 1795456208"},
        {"%START_TIME(%s%3f)%", "1795456208240"},
        {"%START_TIME(%a %b %e %j %E3S %E*S)%", "Mon Nov 23 327 08.240 08.240816123"},
        {"%START_TIME(%%)%", "%"},
        {"%EMIT_TIME%", "2026-11-23T17:50:08.262Z"},
        {"%BYTES_RECEIVED% %BYTES_SENT%", "12 3456"},
        {"%PROTOCOL% %UPSTREAM_PROTOCOL%", "HTTP/1.1 HTTP/2"},
        {"%RESPONSE_CODE%", "503"},
        {"%RESPONSE_CODE%:2 %RESPONSE_CODE:2%", "503:2 50"},
        {"%RESPONSE_CODE_DETAILS%", "a_detail_of_mine"},
        {"%RESPONSE_CODE_DETAILS(ALLOW_WHITESPACES)%", "a detail of\nmine"},
        {"%RESPONSE_FLAGS% %RESPONSE_FLAGS_LONG%",
         "UF,URX UpstreamConnectionFailure,UpstreamRetryLimitExceeded"},
        {"%DURATION% %REQUEST_DURATION% %REQUEST_TX_DURATION% %RESPONSE_DURATION% %RESPONSE_TX_DURATION%",
         "21 1 3 10 10"},
        {"%COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)% %COMMON_DURATION(US_TX_BEG:US_RX_BEG:ns)%",
         "20000 8000000"},
        {"%COMMON_DURATION(US_CX_BEG:DS_TX_END:ms)%", "-"},
        {"%UPSTREAM_CONNECTION_POOL_READY_DURATION%", "2"},
        {"%ROUNDTRIP_DURATION%", "-"},
        {"%UPSTREAM_REQUEST_ATTEMPT_COUNT%", "2"},
        {"%UPSTREAM_HOST% %UPSTREAM_HOST_NAME% %UPSTREAM_HOST_NAME_WITHOUT_PORT%",
         "10.0.0.9:80 10.0.0.9:80 10.0.0.9"},
        {"%UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %UPSTREAM_REMOTE_PORT%", "10.0.0.9 80"},
        {"%UPSTREAM_LOCAL_ADDRESS%", "-"},
        {"%UPSTREAM_CLUSTER%", "service1"},
        {"%UPSTREAM_TRANSPORT_FAILURE_REASON%", "delayed_connect_error:_111"},
        {"%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", "[::1]:50000 ::1"},
        {"%DOWNSTREAM_LOCAL_PORT%", "40000"},
        {"%CONNECTION_ID% %UPSTREAM_CONNECTION_ID%", "7 3"},
        {"%STREAM_ID%", "f0dc7687-5486-434a-84c3-c36ce39b172e"},
        {"%ROUTE_NAME% %VIRTUAL_CLUSTER_NAME%", "r -"},
        {"%REQ(X-A?:PATH)%", "\"q\""},
        {"%REQ(x-none?:path)%", "/x?y=1&z=%20"},
        {"%REQ(x-none?x-b)%", "-"},
        {"%REQ(x-long):3%", "abc"},
        {"%REQ(x-long):0%", ""},
        {"%REQUEST_HEADER(x-long)%", "abcdefgh"},
        {"%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%", "4"},
        {"%TRAILER(grpc-status)%", "5"},
        {"%REQ_WITHOUT_QUERY(X-ENVOY-ORIGINAL-PATH?:PATH)%", "/x"},
        {"%PATH% %PATH(NQ)% %PATH(WQ:ORIG)% %PATH(NQ:PATH)%", "/x?y=1&z=%20 /x - /x"},
        {"%QUERY_PARAM(y)% %QUERY_PARAM(z)% %QUERY_PARAM(q)% %QUERY_PARAMS(ORIG)%", "1 %20 - y=1&z=%20"},
        {"%GRPC_STATUS%", "-"},
        {"%DYNAMIC_METADATA(ns:s)%", "te\"xt"},
        {"%DYNAMIC_METADATA(ns:o)%", "{\"n\":1.5,\"b\":true}"},
        {"%DYNAMIC_METADATA(ns:o:n)%", "1.5"},
        {"%DYNAMIC_METADATA(ns:none)% %DYNAMIC_METADATA(none)%", "- -"},
        {"%METADATA(DYNAMIC:ns:s):2%", "te"},
        {"%CLUSTER_METADATA(a:b)%", "-"},
        {"%FILTER_STATE(k:PLAIN)%", "-"},
        {"%LOCAL_REPLY_BODY%", ""},
        {"%ACCESS_LOG_TYPE%", "DownstreamEnd"},
        {"%ENVIRONMENT(WEIR_TEST_VARIABLE)% %ENVIRONMENT(WEIR_TEST_NONE)% "
         "%ENVIRONMENT(WEIR_TEST_VARIABLE):2%",
         "value - va"},
        {"%DOWNSTREAM_PEER_SUBJECT% %DOWNSTREAM_TLS_VERSION% %TRACE_ID%", "- - -"},
        {"%DOWNSTREAM_PEER_CERT_V_START(%b %d)%", "-"},
        {"%UNIQUE_ID%", "-"},
        {"%COALESCE({\"operators\":[\"REQUESTED_SERVER_NAME\",{\"command\":\"REQ\",\"param\":\":path\",\"max_"
         "length\":3}]})%",
         "/x?"},
        {"%COALESCE({\"operators\":[\"REQUESTED_SERVER_NAME\"]})%", "-"},
    };
    setenv("WEIR_TEST_VARIABLE", "value", 1);
    for (size_t i = 0; i < WEIR_COUNTOF(rows); i++) {
        expect_with(*state, rows[i].format, rows[i].want, (struct weir_format_options){0});
    }
}

static void test_default_line(void **state)
{
    struct fixture *f = *state;
    expect_with(
        f, weir_format_default.ptr,
        "[2026-11-23T17:50:08.240Z] \"GET /x?y=1&z=%20 HTTP/1.1\" 503 UF,URX 12 3456 21 4 \"-\" \"-\" "
        "\"f0dc7687-5486-434a-84c3-c36ce39b172e\" \"h\" \"10.0.0.9:80\"\n",
        (struct weir_format_options){0});
}

static void test_nothing_known(void **state)
{
    struct fixture *f = *state;
    f->info = (struct weir_stream_info){0};
    f->context = (struct weir_log_context){.info = &f->info, .arena = &f->arena};
    expect_with(f, weir_format_default.ptr,
                "[1970-01-01T00:00:00.000Z] \"- - HTTP/1.0\" 0 - 0 0 - - \"-\" \"-\" \"-\" \"-\" \"-\"\n",
                (struct weir_format_options){0});
    expect_with(f, "%REQ(a)%%PATH%%QUERY_PARAM(a)%%GRPC_STATUS%%UPSTREAM_HOST%%DOWNSTREAM_LOCAL_ADDRESS%", "",
                (struct weir_format_options){.omit_empty = true});
}

static void test_control_characters_do_not_break_the_line(void **state)
{
    struct fixture *f = *state;
    f->info.route_name = weir_slice("a\r\nb\0c\x1b[31m\x7f\xff\"", 14);
    expect_with(f, "<%ROUTE_NAME%>\n",
                "<a\\r\\nb\\x00c\\x1b[31m\\x7f\xff\""
                ">\n",
                (struct weir_format_options){.escape = true});
}

static void test_grpc_status(void **state)
{
    struct fixture *f = *state;
    struct weir_format_options none = {0};
    add(&f->request, "content-type", "application/grpc");
    expect_with(f, "%GRPC_STATUS% %GRPC_STATUS(SNAKE_STRING)% %GRPC_STATUS(NUMBER)% %GRPC_STATUS_NUMBER%",
                "NotFound NOT_FOUND 5 5", none);
    weir_headers_clear(&f->trailers);
    add(&f->trailers, "grpc-status", "77");
    expect_with(f, "%GRPC_STATUS%", "77", none);
    weir_headers_clear(&f->trailers);
    expect_with(f, "%GRPC_STATUS%", "Unavailable", none);
    add(&f->response, "grpc-status", "0");
    expect_with(f, "%GRPC_STATUS%", "OK", none);
}

static void test_filter_state(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(weir_info_set_filter_state(&f->info, &f->arena, WEIR_S("k"), WEIR_S("ab\ncd"), false),
                     WEIR_OK);
    expect_with(f, "%FILTER_STATE(k:PLAIN)% %FILTER_STATE(k)%", "ab\ncd \"YWIKY2Q=\"",
                (struct weir_format_options){0});
}

static void test_long_values(void **state)
{
    struct fixture *f = *state;
    size_t len = 65536;
    char *big = weir_arena_alloc(&f->arena, len);
    memset(big, 'x', len);
    f->info.route_name = weir_slice(big, len);
    f->info.details = weir_slice(big, len);
    const struct weir_format *format =
        compile(f, "%ROUTE_NAME%|%RESPONSE_CODE_DETAILS%", (struct weir_format_options){.escape = true});
    struct weir_str out;
    weir_str_init(&out, 1 << 20);
    weir_format_print(format, &f->context, &out);
    assert_int_equal(out.len, len + 1 + 256);
    assert_int_equal(weir_format_eval(format, &f->context).len, out.len);
    weir_str_fini(&out);
    weir_str_init(&out, 100);
    weir_format_print(format, &f->context, &out);
    assert_true(out.overflow);
    weir_str_fini(&out);
}

static void test_errors(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *format;
        size_t pos;
        const char *message, *hint;
    } rows[] = {
        {"a %NOPE%", 2, "there is no operator \"NOPE\"", ""},
        {"%RESPONSE_COD%", 0, "there is no operator \"RESPONSE_COD\"", "did you mean %RESPONSE_CODE%?"},
        {"%UPSTREM_HOST%", 0, "there is no operator \"UPSTREM_HOST\"", "did you mean %UPSTREAM_HOST%?"},
        {"50% off", 2, "after % an operator's name must follow; a % itself is written %%", ""},
        {"%DURATION", 0, "%DURATION is not closed with %", ""},
        {"%REQ(a", 0, "%REQ( is not closed with )%", ""},
        {"%REQ%", 0, "REQ needs the name of a header: REQ(NAME) or REQ(NAME?OTHER)", ""},
        {"%REQ(a b)%", 0, "REQ needs the name of a header: REQ(NAME) or REQ(NAME?OTHER)", ""},
        {"%REQ:x%", 0, "after REQ: a maximal length must follow", ""},
        {"%DURATION(x)%", 0, "DURATION takes nothing in parentheses", ""},
        {"%START_TIME(%Q)%", 0, "%Q is no time specifier", ""},
        {"%GRPC_STATUS(x)%", 0, "GRPC_STATUS knows no \"x\"", "one of CAMEL_STRING, SNAKE_STRING, NUMBER"},
        {"%METADATA(NOPE:a)%", 0, "METADATA knows no \"NOPE\"",
         "one of DYNAMIC, CLUSTER, ROUTE, UPSTREAM_HOST, LISTENER, VIRTUAL_HOST"},
        {"%COMMON_DURATION(A:B)%", 0,
         "COMMON_DURATION needs (START:END:PRECISION), as in (DS_RX_BEG:DS_TX_END:ms)", ""},
        {"%CEL(request.path)%", 0, "the operator CEL is known to Envoy, not implemented by weir yet", ""},
        {"%COALESCE(x)%", 0, "the parameter of COALESCE is not JSON", ""},
        {"%COALESCE({\"operators\":[\"NOPE\"]})%", 0, "there is no operator \"NOPE\"", ""},
        {"%", 0, "after % an operator's name must follow; a % itself is written %%", ""},
    };
    for (size_t i = 0; i < WEIR_COUNTOF(rows); i++) {
        struct weir_format_error err;
        const struct weir_format *format = NULL;
        enum weir_err result = weir_format_new(&f->arena, weir_slice_str(rows[i].format),
                                               (struct weir_format_options){0}, &err, &format);
        if (result == WEIR_OK || err.pos != rows[i].pos || strcmp(err.message, rows[i].message) != 0 ||
            strcmp(err.hint, rows[i].hint) != 0)
            fail_msg("%s: %d at %zu: %s (%s)", rows[i].format, (int)result, err.pos, err.message, err.hint);
        assert_null(format);
    }
}

static void test_every_prefix_of_a_format_is_safe(void **state)
{
    struct fixture *f = *state;
    struct weir_slice whole = WEIR_S(
        "%START_TIME(%Y %E3S %3f %s)% %REQ(a?b):12% %COALESCE({\"operators\":[\"A\"]})% %METADATA(ROUTE:a)%");
    for (size_t i = 0; i <= whole.len; i++) {
        struct weir_format_error err;
        const struct weir_format *format = NULL;
        struct weir_slice part = weir_arena_dup(&f->arena, weir_slice_first(whole, i));
        if (weir_format_new(&f->arena, part, (struct weir_format_options){0}, &err, &format) == WEIR_OK)
            (void)weir_format_eval(format, &f->context);
    }
}

/* ---- JSON ---- */

#define STRING(text)                                                                    \
    {                                                                                   \
        .base = PROTOBUF_C_MESSAGE_INIT(&google__protobuf__value__descriptor),          \
        .kind_case = GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE, .string_value = (text) \
    }

static void expect_json(struct fixture *f, Google__Protobuf__Struct *fields,
                        struct weir_format_options options, const char *want)
{
    struct weir_format_error err;
    const struct weir_format *format = NULL;
    if (weir_format_new_json(&f->arena, fields, false, options, &err, &format) != WEIR_OK)
        fail_msg("%s", err.message);
    struct weir_slice got = weir_format_eval(format, &f->context);
    if (!weir_slice_eq(got, weir_slice_str(want)))
        fail_msg("%.*s\n%s", WEIR_SARG(got), want);
}

static void test_json(void **state)
{
    struct fixture *f = *state;
    static char texts[][64] = {"%RESPONSE_CODE%",
                               "%REQ(none)%",
                               "%RESPONSE_CODE% %REQ(none)%",
                               "%REQ(x-a)%",
                               "lit\"eral 100%%",
                               "%DYNAMIC_METADATA(ns:o)%",
                               "<%DYNAMIC_METADATA(ns:o)%>",
                               "%PROTOCOL%",
                               "%REQ(x-a)% %%"};
    static char keys[][8] = {"z", "a", "m", "q\"", "lit", "meta", "inner", "list", "two", "num", "nul", "t"};
    Google__Protobuf__Value v[WEIR_COUNTOF(keys)];
    Google__Protobuf__Struct__FieldsEntry entries[WEIR_COUNTOF(keys)], *list[WEIR_COUNTOF(keys)];
    for (size_t i = 0; i < WEIR_COUNTOF(keys); i++) {
        v[i] = (Google__Protobuf__Value)STRING(texts[i < WEIR_COUNTOF(texts) ? i : 0]);
        google__protobuf__struct__fields_entry__init(&entries[i]);
        entries[i].key = keys[i];
        entries[i].value = &v[i];
        list[i] = &entries[i];
    }
    Google__Protobuf__Value in_list = STRING(texts[7]), *in_lists[] = {&in_list};
    Google__Protobuf__ListValue items = GOOGLE__PROTOBUF__LIST_VALUE__INIT;
    items.n_values = 1;
    items.values = in_lists;
    v[7].kind_case = GOOGLE__PROTOBUF__VALUE__KIND_LIST_VALUE;
    v[7].list_value = &items;
    v[9].kind_case = GOOGLE__PROTOBUF__VALUE__KIND_NUMBER_VALUE;
    v[9].number_value = 5;
    v[10].kind_case = GOOGLE__PROTOBUF__VALUE__KIND_NULL_VALUE;
    v[11].kind_case = GOOGLE__PROTOBUF__VALUE__KIND_BOOL_VALUE;
    v[11].bool_value = 1;
    Google__Protobuf__Struct fields = GOOGLE__PROTOBUF__STRUCT__INIT;
    fields.n_fields = WEIR_COUNTOF(keys);
    fields.fields = list;
    expect_json(
        f, &fields, (struct weir_format_options){0},
        "{\"a\":null,\"inner\":\"<{\\\"n\\\":1.5,\\\"b\\\":true}>\",\"list\":[\"HTTP/"
        "1.1\"],\"lit\":\"lit\\\"eral 100%\","
        "\"m\":\"503 "
        "-\",\"meta\":{\"n\":1.5,\"b\":true},\"nul\":null,\"num\":5,\"q\\\"\":\"\\\"q\\\"\",\"t\":true,"
        "\"two\":\"\\\"q\\\" %\",\"z\":503}");
    fields.n_fields = 3;
    expect_json(f, &fields, (struct weir_format_options){.omit_empty = true},
                "{\"a\":null,\"m\":\"503 \",\"z\":503}");
}

static void test_json_error_names_the_member(void **state)
{
    struct fixture *f = *state;
    static char key[] = "outer", inner_key[] = "in", text[] = "%NOPE%";
    Google__Protobuf__Value bad = STRING(text), object = GOOGLE__PROTOBUF__VALUE__INIT;
    Google__Protobuf__Struct__FieldsEntry inner_entry, *inner_list[] = {&inner_entry};
    Google__Protobuf__Struct__FieldsEntry entry, *list[] = {&entry};
    Google__Protobuf__Struct inner = GOOGLE__PROTOBUF__STRUCT__INIT, fields = GOOGLE__PROTOBUF__STRUCT__INIT;
    google__protobuf__struct__fields_entry__init(&inner_entry);
    google__protobuf__struct__fields_entry__init(&entry);
    inner_entry.key = inner_key;
    inner_entry.value = &bad;
    inner.n_fields = 1;
    inner.fields = inner_list;
    object.kind_case = GOOGLE__PROTOBUF__VALUE__KIND_STRUCT_VALUE;
    object.struct_value = &inner;
    entry.key = key;
    entry.value = &object;
    fields.n_fields = 1;
    fields.fields = list;
    struct weir_format_error err;
    const struct weir_format *format = NULL;
    assert_int_equal(
        weir_format_new_json(&f->arena, &fields, true, (struct weir_format_options){0}, &err, &format),
        WEIR_ERR_NOT_FOUND);
    assert_string_equal(err.message, "\"outer\".\"in\": there is no operator \"NOPE\"");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_operators),
        TEST(test_default_line),
        TEST(test_nothing_known),
        TEST(test_control_characters_do_not_break_the_line),
        TEST(test_grpc_status),
        TEST(test_filter_state),
        TEST(test_long_values),
        TEST(test_errors),
        TEST(test_every_prefix_of_a_format_is_safe),
        TEST(test_json),
        TEST(test_json_error_names_the_member),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
