/* Single messages: text in, the message as JSON out again, or what was reported. One table for the reader and
 * the printer, since each is the other's inverse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "config/config.h"
#include "config/proto_json.h"
#include "envoy/config/cluster/v3/cluster.pb-c.h"
#include "envoy/config/core/v3/base.pb-c.h"
#include "envoy/extensions/transport_sockets/tls/v3/secret.pb-c.h"
#include "google/protobuf/struct.pb-c.h"
#include "google/protobuf/timestamp.pb-c.h"
#include "google/protobuf/wrappers.pb-c.h"

#define CLUSTER   &envoy__config__cluster__v3__cluster__descriptor
#define STRUCT    &google__protobuf__struct__descriptor
#define TIMESTAMP &google__protobuf__timestamp__descriptor
#define INT64     &google__protobuf__int64_value__descriptor
#define UINT64    &google__protobuf__uint64_value__descriptor
#define INT32     &google__protobuf__int32_value__descriptor
#define DOUBLE    &google__protobuf__double_value__descriptor
#define FLOAT     &google__protobuf__float_value__descriptor
#define BOOL      &google__protobuf__bool_value__descriptor
#define TEXT      &google__protobuf__string_value__descriptor
#define BYTES     &google__protobuf__bytes_value__descriptor
#define DURATION  &google__protobuf__duration__descriptor
#define SOURCE    &envoy__config__core__v3__data_source__descriptor
#define SECRET    &envoy__extensions__transport_sockets__tls__v3__secret__descriptor
#define TYPED     &envoy__config__core__v3__typed_extension_config__descriptor
#define METADATA  &envoy__config__core__v3__metadata__descriptor

struct row {
    const char *name;
    const ProtobufCMessageDescriptor *type;
    const char *text;
    const char *want; // compact JSON; NULL: not looked at
    const char *reported;
    const char *file; // the name it has; NULL: t.yaml
};

static const struct row rows[] = {
    {"snake and camel", CLUSTER, "{name: c, altStatName: a}", "{\"name\":\"c\",\"alt_stat_name\":\"a\"}", "",
     NULL},
    {"duration whole", DURATION, "10s", "\"10s\"", "", NULL},
    {"duration millis", DURATION, "1.5s", "\"1.500s\"", "", NULL},
    {"duration micros", DURATION, "0.000001s", "\"0.000001s\"", "", NULL},
    {"duration nanos", DURATION, "0.000000001s", "\"0.000000001s\"", "", NULL},
    {"duration object", DURATION, "{seconds: 3, nanos: 5}", "\"3.000000005s\"", "", NULL},
    {"duration half", DURATION, ".5s", NULL, "t.yaml:1:1: \".5s\" is no duration (write \"0.500s\")\n", NULL},
    {"duration point", DURATION, "5.s", NULL, "t.yaml:1:1: \"5.s\" is no duration (write \"5s\")\n", NULL},
    {"duration mixed", DURATION, "1h30m", NULL, "t.yaml:1:1: \"1h30m\" is no duration (write \"5400s\")\n",
     NULL},
    {"duration words", DURATION, "soon", NULL,
     "t.yaml:1:1: \"soon\" is no duration (a duration is seconds with an s: \"5s\", \"0.250s\")\n", NULL},
    {"duration long", DURATION, "315576000001s", NULL,
     "t.yaml:1:1: a duration of more than 315576000000 seconds\n", NULL},
    {"duration negative object", DURATION, "{seconds: -1}", NULL,
     "t.yaml:1:1: a duration cannot be negative\n", NULL},
    {"time", TIMESTAMP, "2024-02-29T12:00:00.25Z", "\"2024-02-29T12:00:00.250Z\"", "", NULL},
    {"time with zone", TIMESTAMP, "\"1970-01-01T01:00:00+01:00\"", "\"1970-01-01T00:00:00Z\"", "", NULL},
    {"time before 1970", TIMESTAMP, "1969-12-31T23:59:59Z", "\"1969-12-31T23:59:59Z\"", "", NULL},
    {"no time", TIMESTAMP, "2024-13-01T00:00:00Z", NULL,
     "t.yaml:1:1: expected a time (write it as \"2024-05-06T07:08:09Z\")\n", NULL},
    {"int64 least", INT64, "-9223372036854775808", "\"-9223372036854775808\"", "", NULL},
    {"int64 too large", INT64, "9223372036854775808", NULL,
     "t.yaml:1:1: 9223372036854775808 does not fit: -9223372036854775808 to 9223372036854775807\n", NULL},
    {"uint64 largest", UINT64, "18446744073709551615", "\"18446744073709551615\"", "", NULL},
    {"uint64 too large", UINT64, "18446744073709551616", NULL,
     "t.yaml:1:1: expected a whole number, found \"18446744073709551616\"\n", NULL},
    {"uint64 hexadecimal", UINT64, "0x1F", "\"31\"", "", NULL},
    {"int32 as text", INT32, "\"-80\"", "-80", "", NULL},
    {"int32 as hexadecimal text", INT32, "\"0x1F\"", "31", "", NULL},
    {"enum as fraction", CLUSTER, "{name: c, lb_policy: 5.}", NULL,
     "t.yaml:1:22: lb_policy: \"5.\" is no value of LbPolicy: one of ROUND_ROBIN, LEAST_REQUEST, RING_HASH, "
     "RANDOM, "
     "MAGLEV, CLUSTER_PROVIDED, LOAD_BALANCING_POLICY_CONFIG\n",
     NULL},
    {"null in a list", CLUSTER, "{name: c, health_checks: [null]}", NULL,
     "t.yaml:1:27: health_checks[0]: HealthCheck needs \"timeout\"\n"
     "t.yaml:1:27: health_checks[0]: HealthCheck needs \"interval\"\n"
     "t.yaml:1:27: health_checks[0]: HealthCheck needs \"unhealthy_threshold\"\n"
     "t.yaml:1:27: health_checks[0]: HealthCheck needs \"healthy_threshold\"\n"
     "t.yaml:1:27: health_checks[0]: HealthCheck needs one of \"http_health_check\", \"tcp_health_check\", "
     "\"grpc_health_check\", \"custom_health_check\"\n5 errors\n",
     NULL},
    {"int32 with fraction 0", INT32, "80.0", "80", "", NULL},
    {"int32 exponent", INT32, "1e3", "1000", "", NULL},
    {"int32 with fraction", INT32, "1.5", NULL, "t.yaml:1:1: expected a whole number, found \"1.5\"\n", NULL},
    {"int32 from truth", INT32, "yes", NULL, "t.yaml:1:1: expected a whole number, found \"yes\"\n", NULL},
    {"double", DOUBLE, "0.1", "0.1", "", NULL},
    {"double from int", DOUBLE, "3", "3", "", NULL},
    {"double as text", DOUBLE, "\"2.5\"", "2.5", "", NULL},
    {"double infinite", DOUBLE, "\"Infinity\"", "\"Infinity\"", "", NULL},
    {"double needs digits", DOUBLE, "0.1234567890123456789", "0.12345678901234568", "", NULL},
    {"no double", DOUBLE, "abc", NULL, "t.yaml:1:1: expected a number, found \"abc\"\n", NULL},
    {"float", FLOAT, "0.1", "0.1", "", NULL},
    {"truth", BOOL, "on", "true", "", NULL},
    {"truth as text", BOOL, "\"false\"", "false", "", NULL},
    {"no truth", BOOL, "1", NULL, "t.yaml:1:1: expected true or false, found \"1\"\n", NULL},
    {"wrapper object", BOOL, "{value: true}", "true", "", NULL},
    {"text", TEXT, "abc", "\"abc\"", "", NULL},
    {"text fraction", TEXT, "1.5", "\"1.5\"", "", NULL},
    {"text date", TEXT, "2020-01-01", "\"2020-01-01\"", "", NULL},
    {"text underscores", TEXT, "1_000", "\"1_000\"", "", NULL},
    {"text tagged", TEXT, "!!str 5", "\"5\"", "", NULL},
    {"text folded", TEXT, ">-\n  a\n  b\n", "\"a b\"", "", NULL},
    {"text control", TEXT, "\"a\\tb\\u0001\"", "\"a\\tb\\u0001\"", "", NULL},
    {"text nul", TEXT, "\"a\\0b\"", NULL, "t.yaml:1:1: a NUL character in text\n", NULL},
    {"text number json", TEXT, "1.5", "\"1.5\"",
     "t.json:1:1: warning: a number where text belongs: Envoy refuses it (write \"1.5\")\n", "t.json"},
    {"text unicode json", TEXT, "\"\\u00e4\\ud83d\\ude00\"", "\"\xc3\xa4\xf0\x9f\x98\x80\"", "", "t.json"},
    {"json as envoy takes it", CLUSTER, "{name: 'c\\'\n', \"altStatName\": 'a\"b',}",
     "{\"name\":\"c'\\n\",\"alt_stat_name\":\"a\\\"b\"}", "", "t.json"},
    {"json place after a string of two lines", CLUSTER, "{name: 'c\n', typ: 1}", NULL,
     "t.json:2:4: unknown field \"typ\" in Cluster (did you mean \"type\"?)\n", "t.json"},
    {"yaml quotes are not json's", CLUSTER, "{name: 'c\\n'}", "{\"name\":\"c\\\\n\"}", "", NULL},
    {"bytes", BYTES, "aGk=", "\"aGk=\"", "", NULL},
    {"bytes without padding", BYTES, "aGk", "\"aGk=\"", "", NULL},
    {"bytes for urls", BYTES, "_-8", "\"/+8=\"", "", NULL},
    {"no bytes", BYTES, "a*b", NULL, "t.yaml:1:1: not base64 (a field of bytes takes base64 text)\n", NULL},
    {"struct", STRUCT, "{a: 1, b: 1.5, c: 3000000000, d: null, e: [x, {}], f: yes, g: 0x10}",
     "{\"a\":1,\"b\":\"1.5\",\"c\":\"3000000000\",\"d\":null,\"e\":[\"x\",{}],\"f\":true,\"g\":16}", "",
     NULL},
    {"struct json", STRUCT, "{\"a\": 1.5, \"b\": 3000000000}", "{\"a\":1.5,\"b\":3000000000}", "", "t.json"},
    {"no struct", STRUCT, "[]", NULL, "t.yaml:1:1: expected an object, found a list\n", NULL},
    {"enum by number", CLUSTER, "{name: c, type: 3}", "{\"name\":\"c\",\"type\":\"EDS\"}", "", NULL},
    {"enum any case", CLUSTER, "{name: c, type: strict_dns}", "{\"name\":\"c\",\"type\":\"STRICT_DNS\"}", "",
     NULL},
    {"map", METADATA, "{filter_metadata: {x: {a: 1}}}", "{\"filter_metadata\":{\"x\":{\"a\":1}}}", "", NULL},
    {"wrapper value 0 is set", CLUSTER, "{name: c, per_connection_buffer_limit_bytes: 0}",
     "{\"name\":\"c\",\"per_connection_buffer_limit_bytes\":0}", "", NULL},
    {"given twice", CLUSTER, "{name: c, alt_stat_name: a, altStatName: b}", NULL,
     "t.yaml:1:29: alt_stat_name: \"altStatName\" is set in line 1 already\n", NULL},
    {"oneof empty text", SOURCE, "{inline_string: ''}", "{\"inline_string\":\"\"}", "", NULL},
    {"oneof scalar default", SOURCE, "{filename: f, watched_directory: {path: p}}",
     "{\"filename\":\"f\",\"watched_directory\":{\"path\":\"p\"}}", "", NULL},
    {"any", TYPED,
     "{name: e, typed_config: {dynamic_stats: false, '@type': "
     "h/envoy.extensions.filters.http.router.v3.Router}}",
     "{\"name\":\"e\",\"typed_config\":{\"@type\":\"h/envoy.extensions.filters.http.router.v3.Router\","
     "\"dynamic_stats\":false}}",
     "", NULL},
    {"any of a value", TYPED, "{name: e, typed_config: {'@type': h/google.protobuf.Duration, value: 1s}}",
     "{\"name\":\"e\",\"typed_config\":{\"@type\":\"h/google.protobuf.Duration\",\"value\":\"1s\"}}", "",
     NULL},
    {"any in any", TYPED,
     "{name: e, typed_config: {'@type': h/google.protobuf.Any, value: {'@type': "
     "h/google.protobuf.StringValue, "
     "value: x}}}",
     "{\"name\":\"e\",\"typed_config\":{\"@type\":\"h/google.protobuf.Any\",\"value\":"
     "{\"@type\":\"h/google.protobuf.StringValue\",\"value\":\"x\"}}}",
     "", NULL},
    {"typed struct", TYPED,
     "{name: e, typed_config: {'@type': h/xds.type.v3.TypedStruct, type_url: "
     "h/envoy.extensions.filters.http.router.v3.Router, value: {startChildSpan: false, "
     "suppress_envoy_headers: true}}}",
     "{\"name\":\"e\",\"typed_config\":{\"@type\":\"h/xds.type.v3.TypedStruct\",\"type_url\":"
     "\"type.googleapis.com/envoy.extensions.filters.http.router.v3.Router\","
     "\"value\":{\"suppress_envoy_headers\":true}}}",
     "t.yaml:1:130: warning: typed_config.value.start_child_span: deprecated (write "
     "spawn_upstream_span in the tracing of the HttpConnectionManager)\n",
     NULL},
    {"merge key", CLUSTER, "name: c\n!ignore x: &x {alt_stat_name: a, name: n}\n<<: *x\n",
     "{\"name\":\"c\",\"alt_stat_name\":\"a\"}", "", NULL},
};

static struct weir_slice as_json(const struct weir_config *conf, const ProtobufCMessage *msg, bool redact,
                                 struct weir_str *out)
{
    weir_str_clear(out);
    weir_proto_json(out, conf, msg, &(struct weir_proto_json_style){.compact = true, .redact = redact});
    return weir_str_slice(out);
}

static char *reports(struct weir_diag *diag)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    weir_diag_print(diag, out, &(struct weir_diag_style){.format = WEIR_DIAG_TEXT});
    fclose(out);
    return text;
}

static bool check_row(const struct row *row)
{
    struct weir_diag diag;
    weir_diag_init(&diag);
    struct weir_config *conf = weir_config_new(&diag);
    struct weir_str json;
    weir_str_init(&json, 1 << 20);
    ProtobufCMessage *msg;
    struct weir_slice file = weir_slice_str(row->file ? row->file : "t.yaml");
    (void)!weir_config_read_text(conf, file, weir_slice_str(row->text), row->type, &msg);
    char *got = reports(&diag);
    bool ok = strcmp(got, row->reported) == 0;
    if (!ok)
        print_error("%s reports: %s\n want: %s\n", row->name, got, row->reported);
    if (msg && row->want) {
        struct weir_slice text = as_json(conf, msg, false, &json);
        if (!weir_slice_eq(text, weir_slice_str(row->want))) {
            print_error("%s: %.*s\n want: %s\n", row->name, WEIR_SARG(text), row->want);
            ok = false;
        }
    }
    weir_free(got);
    weir_str_fini(&json);
    weir_config_free(conf);
    weir_diag_fini(&diag);
    return ok;
}

static void test_messages_read_and_print(void **state)
{
    (void)state;
    int n_wrong = 0;
    for (size_t i = 0; i < WEIR_COUNTOF(rows); i++)
        n_wrong += !check_row(&rows[i]);
    assert_int_equal(n_wrong, 0);
}

/* Whatever was read comes back as the same message from its bytes. */
static void test_messages_survive_their_bytes(void **state)
{
    (void)state;
    for (size_t i = 0; i < WEIR_COUNTOF(rows); i++) {
        if (!rows[i].want || rows[i].reported[0] || strstr(rows[i].want, "@type"))
            continue;
        struct weir_diag diag;
        weir_diag_init(&diag);
        struct weir_config *conf = weir_config_new(&diag);
        struct weir_str json;
        weir_str_init(&json, 1 << 20);
        ProtobufCMessage *msg, *again;
        struct weir_slice file = weir_slice_str(rows[i].file ? rows[i].file : "t.yaml");
        assert_int_equal(weir_config_read_text(conf, file, weir_slice_str(rows[i].text), rows[i].type, &msg),
                         WEIR_OK);
        uint8_t *bytes = weir_zalloc(protobuf_c_message_get_packed_size(msg) + 1);
        size_t len = protobuf_c_message_pack(msg, bytes);
        struct weir_slice packed = {(const char *)bytes, len};
        assert_int_equal(weir_config_read_bytes(conf, WEIR_S("t.pb"), packed, rows[i].type, &again), WEIR_OK);
        struct weir_slice text = as_json(conf, again, false, &json);
        if (!weir_slice_eq(text, weir_slice_str(rows[i].want)))
            fail_msg("%s: %.*s", rows[i].name, WEIR_SARG(text));
        weir_free(bytes);
        weir_str_fini(&json);
        weir_config_free(conf);
        weir_diag_fini(&diag);
    }
}

static void test_private_keys_are_redacted(void **state)
{
    (void)state;
    struct weir_diag diag;
    weir_diag_init(&diag);
    struct weir_config *conf = weir_config_new(&diag);
    struct weir_str json;
    weir_str_init(&json, 1 << 20);
    ProtobufCMessage *msg;
    static const char text[] =
        "{name: s, tls_certificate: {certificate_chain: {filename: c.pem}, private_key: "
        "{inline_string: KEY}, password: {inline_bytes: S0VZ}}}";
    assert_int_equal(weir_config_read_text(conf, WEIR_S("t.yaml"), weir_slice_str(text), SECRET, &msg),
                     WEIR_OK);
    struct weir_slice got = as_json(conf, msg, true, &json);
    static const char want[] =
        "{\"name\":\"s\",\"tls_certificate\":{\"certificate_chain\":{\"filename\":\"c.pem\"},"
        "\"private_key\":{\"inline_string\":\"[redacted]\"},"
        "\"password\":{\"inline_bytes\":\"W3JlZGFjdGVkXQ==\"}}}";
    assert_string_equal(got.ptr, want);
    weir_str_fini(&json);
    weir_config_free(conf);
    weir_diag_fini(&diag);
}

static void test_indentation_is_envoys(void **state)
{
    (void)state;
    struct weir_diag diag;
    weir_diag_init(&diag);
    struct weir_config *conf = weir_config_new(&diag);
    struct weir_str json;
    weir_str_init(&json, 1 << 20);
    ProtobufCMessage *msg;
    assert_int_equal(weir_config_read_text(conf, WEIR_S("t.yaml"),
                                           WEIR_S("{filter_metadata: {x: {a: [1, 2], b: {}}}}"), METADATA,
                                           &msg),
                     WEIR_OK);
    weir_proto_json(&json, conf, msg, &(struct weir_proto_json_style){.indent = 1});
    assert_string_equal(json.ptr,
                        "{\n  \"filter_metadata\": {\n   \"x\": {\n    \"a\": [\n     1,\n     2\n    ],\n"
                        "    \"b\": {}\n   }\n  }\n }");
    weir_str_fini(&json);
    weir_config_free(conf);
    weir_diag_fini(&diag);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_read_and_print),
        cmocka_unit_test(test_messages_survive_their_bytes),
        cmocka_unit_test(test_private_keys_are_redacted),
        cmocka_unit_test(test_indentation_is_envoys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
