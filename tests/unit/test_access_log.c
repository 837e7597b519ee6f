/* proxy/access_log: which logger, and which requests its filter lets through; then the real file logger end to end. */
#include "proxy/access_log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <envoy/config/accesslog/v3/accesslog.pb-c.h>

#include "accesslog/registry.h"
#include "config/config.h"
#include "http/headers.h"
#include "proxy/conf_ctx.h"

struct fixture {
    struct weir_arena arena;
    struct weir_diag diag;
    struct weir_config *config;
    struct weir_stats *stats;
    struct weir_conf_ctx ctx;
    struct weir_headers request, response;
    struct weir_stream_info info;
    struct weir_log_context context;
    struct weir_access_logs *logs;
};

static unsigned n_logged;
static enum weir_err parse_counting(struct weir_conf_ctx *ctx, const ProtobufCMessage *msg, void **ret_conf)
{
    (void)ctx;
    (void)msg;
    *ret_conf = &n_logged;
    return WEIR_OK;
}
static void log_counting(const void *conf, const struct weir_log_context *context)
{
    (void)context;
    assert_ptr_equal(conf, &n_logged);
    n_logged++;
}
static const char *const aliases[] = {"old.name", NULL};
static const struct weir_access_logger_ops counting = {
    "envoy.access_loggers.stdout",
    aliases,
    "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
    parse_counting,
    log_counting,
};
static const struct weir_access_logger_ops *const all_counting[] = {&counting};
static const struct weir_access_logger_registry counting_registry = {all_counting, 1};

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    weir_arena_init(&f->arena, NULL);
    weir_diag_init(&f->diag);
    f->config = weir_config_new(&f->diag);
    f->stats = weir_stats_new();
    f->ctx = (struct weir_conf_ctx){.arena = &f->arena,
                                    .config = f->config,
                                    .diag = &f->diag,
                                    .stats = f->stats,
                                    .access_loggers = &counting_registry};
    weir_headers_init(&f->request, &f->arena);
    weir_headers_init(&f->response, &f->arena);
    weir_headers_add_name(&f->request, WEIR_S(":method"), WEIR_S("GET"));
    weir_headers_add_name(&f->request, WEIR_S(":path"), WEIR_S("/a"));
    weir_headers_add_name(&f->request, WEIR_S("x-request-id"),
                          WEIR_S("00000005-0000-4000-8000-000000000000"));
    f->info = (struct weir_stream_info){
        .status = 503, .start_ns = 1000000, .end_ns = 21000000, .flags = 1u << WEIR_FLAG_NO_HEALTHY_UPSTREAM};
    f->context = (struct weir_log_context){.info = &f->info,
                                           .request_headers = &f->request,
                                           .response_headers = &f->response,
                                           .arena = &f->arena,
                                           .type = WEIR_ACCESS_LOG_DOWNSTREAM_END};
    static struct weir_value value = {.kind = WEIR_VALUE_STRING};
    static struct weir_slice key;
    static struct weir_metadata metadata;
    value.string = WEIR_S("v1");
    key = WEIR_S("k");
    metadata.name = WEIR_S("ns");
    metadata.value.kind = WEIR_VALUE_STRUCT;
    metadata.value.items.v = &value;
    metadata.value.items.keys = &key;
    metadata.value.items.n = 1;
    f->info.metadata = &metadata;
    n_logged = 0;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    weir_arena_fini(&f->arena);
    weir_config_free(f->config);
    weir_diag_fini(&f->diag);
    weir_accesslog_stop();
    weir_stats_free(f->stats);
    test_free(f);
    return 0;
}

/* Reads one AccessLog from YAML. */
static enum weir_err load(struct fixture *f, const char *yaml)
{
    ProtobufCMessage *msg = NULL;
    enum weir_err err = weir_config_read_text(f->config, WEIR_S("log.yaml"),
                                              weir_arena_dup(&f->config->arena, weir_slice_str(yaml)),
                                              &envoy__config__accesslog__v3__access_log__descriptor, &msg);
    if (!msg)
        return err;
    void *list[] = {msg};
    enum weir_err result = weir_access_logs_new(&f->ctx, list, 1, &f->logs);
    return err != WEIR_OK ? err : result;
}

#define STDOUT                          \
    "name: x\ntyped_config: {'@type': " \
    "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog}\n"

static void test_filters(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *filter;
        bool logged;
    } rows[] = {
        {"status_code_filter: {comparison: {op: GE, value: {default_value: 500, runtime_key: k}}}", true},
        {"status_code_filter: {comparison: {op: LE, value: {default_value: 500, runtime_key: k}}}", false},
        {"status_code_filter: {comparison: {op: EQ, value: {default_value: 503, runtime_key: k}}}", true},
        {"status_code_filter: {comparison: {op: NE, value: {default_value: 503, runtime_key: k}}}", false},
        {"duration_filter: {comparison: {op: GE, value: {default_value: 20, runtime_key: k}}}", true},
        {"duration_filter: {comparison: {op: GE, value: {default_value: 21, runtime_key: k}}}", false},
        {"not_health_check_filter: {}", true},
        {"traceable_filter: {}", false},
        {"runtime_filter: {runtime_key: k}", false},
        {"runtime_filter: {runtime_key: k, percent_sampled: {numerator: 100}}", true},
        {"runtime_filter: {runtime_key: k, percent_sampled: {numerator: 6}}", true},
        {"runtime_filter: {runtime_key: k, percent_sampled: {numerator: 5}}", false},
        {"and_filter: {filters: [{not_health_check_filter: {}}, {traceable_filter: {}}]}", false},
        {"or_filter: {filters: [{not_health_check_filter: {}}, {traceable_filter: {}}]}", true},
        {"header_filter: {header: {name: ':method', string_match: {exact: GET}}}", true},
        {"header_filter: {header: {name: ':method', string_match: {exact: POST}}}", false},
        {"response_flag_filter: {}", true},
        {"response_flag_filter: {flags: [UH, NR]}", true},
        {"response_flag_filter: {flags: [NR]}", false},
        {"grpc_status_filter: {statuses: [UNAVAILABLE]}", true},
        {"grpc_status_filter: {statuses: [UNAVAILABLE], exclude: true}", false},
        {"log_type_filter: {types: [DownstreamEnd]}", true},
        {"log_type_filter: {types: [DownstreamEnd], exclude: true}", false},
        {"log_type_filter: {types: [DownstreamStart]}", false},
        {"metadata_filter: {matcher: {filter: ns, path: [{key: k}], value: {string_match: {prefix: v}}}}",
         true},
        {"metadata_filter: {matcher: {filter: ns, path: [{key: k}], value: {string_match: {exact: v}}}}",
         false},
        {"metadata_filter: {matcher: {filter: ns, path: [{key: k}], value: {string_match: {exact: v}}, "
         "invert: true}}",
         true},
        {"metadata_filter: {matcher: {filter: ns, path: [{key: k}], value: {present_match: true}}}", true},
        {"metadata_filter: {matcher: {filter: ns, path: [{key: k}], value: {bool_match: true}}}", false},
        {"metadata_filter: {matcher: {filter: ns, path: [{key: k}], value: {or_match: {value_matchers: "
         "[{bool_match: true}, "
         "{string_match: {suffix: '1'}}]}}}}",
         true},
        {"metadata_filter: {matcher: {filter: none, path: [{key: k}], value: {present_match: true}}}", true},
        {"metadata_filter: {matcher: {filter: none, path: [{key: k}], value: {present_match: true}}, "
         "match_if_key_not_found: false}",
         false},
    };
    for (size_t i = 0; i < WEIR_COUNTOF(rows); i++) {
        char yaml[1024];
        (void)snprintf(yaml, sizeof(yaml), STDOUT "filter: {%s}\n", rows[i].filter);
        n_logged = 0;
        if (load(f, yaml) != WEIR_OK) {
            weir_diag_print(&f->diag, stderr, &(struct weir_diag_style){0});
            fail_msg("%s", rows[i].filter);
        }
        weir_access_logs_write(f->logs, &f->context);
        if (n_logged != rows[i].logged)
            fail_msg("%s logged %u times", rows[i].filter, n_logged);
    }
}

static void test_no_logs_is_fine(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(weir_access_logs_new(&f->ctx, NULL, 0, &f->logs), WEIR_OK);
    assert_null(f->logs);
    weir_access_logs_write(NULL, &f->context);
}

static void test_refused(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *yaml, *report;
    } rows[] = {
        {"name: envoy.access_loggers.http_grpc\n", "the access logger envoy.access_loggers.http_grpc is known to Envoy"},
        {"name: old.name\n", "envoy.access_loggers.stdout needs a typed_config"},
        {STDOUT "filter: {response_flag_filter: {flags: [XX]}}\n", "XX"},
        {STDOUT "filter: {extension_filter: {name: cel}}\n", "filter \"cel\" is known to Envoy"},
        {STDOUT "filter: {header_filter: {header: {name: a, string_match: {safe_regex: {regex: '(('}}}}}\n",
         "unclosed group"},
    };
    for (size_t i = 0; i < WEIR_COUNTOF(rows); i++) {
        size_t before = f->diag.n_entries;
        assert_int_not_equal(load(f, rows[i].yaml), WEIR_OK);
        bool found = false;
        for (size_t k = before; k < f->diag.n_entries; k++)
            found = found ||
                    weir_slice_search(f->diag.entries[k].message, weir_slice_str(rows[i].report)) != SIZE_MAX;
        if (!found) {
            weir_diag_print(&f->diag, stderr, &(struct weir_diag_style){0});
            fail_msg("not reported: %s", rows[i].report);
        }
    }
}

/* ---- the real loggers ---- */

static void expect_file(const char *path, const char *want)
{
    char text[1024] = "";
    FILE *in = fopen(path, "re");
    assert_non_null(in);
    size_t n = fread(text, 1, sizeof(text) - 1, in);
    text[n] = '\0';
    (void)fclose(in);
    assert_string_equal(text, want);
}

static void test_file_logger(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *format, *want;
    } rows[] = {
        {"", "[1970-01-01T00:00:00.000Z] \"GET /a HTTP/1.0\" 503 UH 0 0 20 - \"-\" \"-\" "
             "\"00000005-0000-4000-8000-000000000000\" \"-\" "
             "\"-\"\n"},
        {", log_format: {text_format_source: {inline_string: \"%RESPONSE_CODE%\\n\"}}", "503\n"},
        {", log_format: {text_format: \"%RESPONSE_FLAGS%|\"}", "UH|"},
        {", format: \"%REQ(:PATH)%\\n\"", "/a\n"},
        {", log_format: {json_format: {status: \"%RESPONSE_CODE%\", path: \"%REQ(:PATH)%\"}}",
         "{\"path\":\"/a\",\"status\":503}\n"},
        {", typed_json_format: {n: \"%DURATION%\"}", "{\"n\":20}\n"},
    };
    f->ctx.access_loggers = &weir_access_loggers;
    for (size_t i = 0; i < WEIR_COUNTOF(rows); i++) {
        char path[] = "/tmp/weir-access-XXXXXX", yaml[1024];
        int fd = mkstemp(path);
        assert_true(fd >= 0);
        (void)close(fd);
        (void)snprintf(
            yaml, sizeof(yaml),
            "name: envoy.access_loggers.file\ntyped_config: {'@type': "
            "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog, path: %s%s}\n",
            path, rows[i].format);
        if (load(f, yaml) != WEIR_OK) {
            weir_diag_print(&f->diag, stderr, &(struct weir_diag_style){0});
            fail_msg("%s", yaml);
        }
        weir_access_logs_write(f->logs, &f->context);
        weir_accesslog_stop();
        expect_file(path, rows[i].want);
        (void)unlink(path);
    }
}

static void test_file_logger_faults(void **state)
{
    struct fixture *f = *state;
#define FILE_LOG(rest)                  \
    "name: f\ntyped_config: {'@type': " \
    "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog, " rest "}\n"
    static const struct {
        const char *yaml, *report;
    } rows[] = {
        {FILE_LOG("path: /nonexistent/x"),
         "cannot open /nonexistent/x for writing: No such file or directory"},
        {FILE_LOG("path: /dev/null, log_format: {text_format_source: {inline_string: '%NOPE%'}}"),
         "there is no operator \"NOPE\""},
        {FILE_LOG("path: /dev/null, log_format: {json_format: {a: {b: '%NOPE%'}}}"),
         "\"a\".\"b\": there is no operator \"NOPE\""},
        {FILE_LOG("path: /dev/null, log_format: {text_format_source: {filename: /nonexistent/y}}"),
         "/nonexistent/y: No such file or directory"},
    };
    f->ctx.access_loggers = &weir_access_loggers;
    for (size_t i = 0; i < WEIR_COUNTOF(rows); i++) {
        size_t before = f->diag.n_entries;
        assert_int_not_equal(load(f, rows[i].yaml), WEIR_OK);
        bool found = false;
        for (size_t k = before; k < f->diag.n_entries; k++)
            found = found ||
                    weir_slice_search(f->diag.entries[k].message, weir_slice_str(rows[i].report)) != SIZE_MAX;
        if (!found) {
            weir_diag_print(&f->diag, stderr, &(struct weir_diag_style){0});
            fail_msg("not reported: %s", rows[i].report);
        }
    }
    f->ctx.validate_only = true;
    assert_int_equal(load(f, FILE_LOG("path: /nonexistent/x")), WEIR_OK);
    weir_access_logs_write(f->logs, &f->context);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_filters),     TEST(test_no_logs_is_fine),    TEST(test_refused),
        TEST(test_file_logger), TEST(test_file_logger_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
