/* Log: format operators, levels, escaping, reopening, lost lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/mem.h"

static char path[64], moved[80];
static char content[1 << 20];

static int setup(void **state WEIR_UNUSED)
{
    (void)snprintf(path, sizeof(path), "/tmp/weir-test-log-%d", (int)getpid());
    (void)snprintf(moved, sizeof(moved), "%s.1", path);
    weir_log_set_level(WEIR_LOG_INFO);
    return weir_log_open(path) ? -1 : 0;
}

static int teardown(void **state WEIR_UNUSED)
{
    weir_log_set_format(NULL);
    (void)unlink(path);
    (void)unlink(moved);
    return weir_log_open(NULL) ? -1 : 0;
}

static const char *read_file(const char *name)
{
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t n = read(fd, content, sizeof(content) - 1);
    assert_true(n >= 0);
    content[n] = '\0';
    close(fd);
    return content;
}

static void test_format_operators(void **state WEIR_UNUSED)
{
    static const struct {
        const char *format, *message, *want;
    } rows[] = {
        {"[%l][%n] %v", "hi", "[info][config] hi\n"},
        {"%L %s:%# %g %@ %%", "hi", "I f.c:7 src/x/f.c src/x/f.c:7 %\n"},
        {"[%8l][%-8l][%=8l]", "hi", "[    info][info    ][  info  ]\n"},
        {"%v", "a\nb\r\x1b[31m\x7f\n", "a\n    b\\x0d\\x1b[31m\\x7f\n"},
        {"%_", "a\nb", "a\\nb\n"},
        {"{\"m\":\"%j\"}", "a\"\\\n", "{\"m\":\"a\\\"\\\\\"}\n"},
        {"%q %", "hi", "%q %\n"},
    };
    for (size_t i = 0; i < WEIR_COUNTOF(rows); i++) {
        weir_log_set_format(rows[i].format);
        assert_int_equal(truncate(path, 0), 0);
        weir_log_write(WEIR_LOGC_CONFIG, WEIR_LOG_INFO, "src/x/f.c", 7, "%s", rows[i].message);
        assert_string_equal(read_file(path), rows[i].want);
    }
}

static void test_default_format(void **state WEIR_UNUSED)
{
    weir_log_write(WEIR_LOGC_HTTP, WEIR_LOG_WARN, "src/x/f.c", 7, "n=%d", 5);
    const char *line = read_file(path);
    /* [2026-01-31 23:59:59.123][4711][warning][http] [src/x/f.c:7] n=5 */
    assert_int_equal(line[0], '[');
    assert_int_equal(line[20], '.');
    assert_int_equal(line[24], ']');
    assert_non_null(strstr(line, "][warning][http] [src/x/f.c:7] n=5\n"));
}

static void test_levels(void **state WEIR_UNUSED)
{
    enum weir_log_level level = WEIR_LOG_OFF;
    int evaluated = 0;
    assert_int_equal(weir_log_level_parse(WEIR_S("warn"), &level), WEIR_OK);
    assert_int_equal(level, WEIR_LOG_WARN);
    assert_int_equal(weir_log_level_parse(WEIR_S("loud"), &level), WEIR_ERR_INVALID);
    assert_int_equal(weir_log_set_component(WEIR_S("wasm"), WEIR_LOG_DEBUG), WEIR_OK);
    assert_int_equal(weir_log_set_component(WEIR_S("nothing"), WEIR_LOG_DEBUG), WEIR_ERR_NOT_FOUND);
    weir_log_set_format("%n %l %v");
    WEIR_LOG(DEBUG, HTTP, "%d", ++evaluated);
    WEIR_LOG(DEBUG, WASM, "%d", ++evaluated);
    WEIR_LOG(ERROR, HTTP, "%d", ++evaluated);
    assert_string_equal(read_file(path), "wasm debug 1\nhttp error 2\n");
    assert_string_equal(weir_log_level_name(WEIR_LOG_CRITICAL), "critical");
    assert_string_equal(weir_log_component_name(WEIR_LOGC_TLS), "tls");
}

static void test_long_messages_stay_whole(void **state WEIR_UNUSED)
{
    static const size_t lens[] = {4000, 4094, 4095, 4096, 4097, 100000, 300000};
    char *message = weir_xalloc(300001);
    weir_log_set_format("%v");
    for (size_t i = 0; i < WEIR_COUNTOF(lens); i++) {
        assert_int_equal(truncate(path, 0), 0);
        memset(message, i % 2 ? '\x01' : 'x', lens[i]);
        message[lens[i]] = '\0';
        WEIR_LOG(INFO, MAIN, "%s", message);
        size_t want = WEIR_MIN(lens[i], 256UL * 1024) * (i % 2 ? 4 : 1) + 1;
        assert_int_equal(strlen(read_file(path)), want);
    }
    weir_free(message);
}

static void test_reopen_follows_the_path(void **state WEIR_UNUSED)
{
    weir_log_set_format("%v");
    WEIR_LOG(INFO, MAIN, "one");
    assert_int_equal(rename(path, moved), 0);
    WEIR_LOG(INFO, MAIN, "two");
    weir_log_reopen();
    WEIR_LOG(INFO, MAIN, "three");
    assert_string_equal(read_file(moved), "one\ntwo\n");
    assert_string_equal(read_file(path), "three\n");
}

static void test_what_cannot_be_written_is_counted(void **state WEIR_UNUSED)
{
    assert_int_equal(weir_log_open("/nowhere/at/all"), WEIR_ERR_IO);
    assert_int_equal(weir_log_open("/dev/full"), WEIR_OK);
    uint64_t before = weir_log_dropped();
    WEIR_LOG(INFO, MAIN, "lost");
    assert_int_equal(weir_log_dropped(), before + 1);
}

static void test_limit(void **state WEIR_UNUSED)
{
    struct weir_log_limit limit = {0};
    int ok = 0;
    for (int i = 0; i < 100; i++) {
        ok += weir_log_limit_ok(&limit, 5);
    }
    assert_true(ok == 5 || ok == 10); /* the second may turn meanwhile */
    assert_int_equal(limit.suppressed, 100 - ok);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_format_operators, setup, teardown),
        cmocka_unit_test_setup_teardown(test_default_format, setup, teardown),
        cmocka_unit_test_setup_teardown(test_levels, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long_messages_stay_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reopen_follows_the_path, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_cannot_be_written_is_counted, setup, teardown),
        cmocka_unit_test(test_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
