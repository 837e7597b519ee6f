/* Diagnostics as people and programs get them: order, excerpts, limits, colours, JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "config/diag.h"
#include "config/limits.h"

static int set_up(void **state)
{
    struct weir_diag *diag = WEIR_NEW(struct weir_diag);
    weir_diag_init(diag);
    *state = diag;
    return 0;
}

static int tear_down(void **state)
{
    weir_diag_fini(*state);
    weir_free(*state);
    return 0;
}

static void assert_prints(struct weir_diag *diag, struct weir_diag_style style, const char *want)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    weir_diag_print(diag, out, &style);
    fclose(out);
    assert_string_equal(text, want);
    weir_free(text);
}

static void error_at(struct weir_diag *diag, uint16_t source, uint32_t line, uint16_t column,
                     const char *what)
{
    weir_diag_report(diag, WEIR_SEVERITY_ERROR, (struct weir_pos){line, column, source}, WEIR_S("a.b"), "%s",
                     what);
}

static void test_nothing_prints_nothing(void **state)
{
    assert_prints(*state, (struct weir_diag_style){.format = WEIR_DIAG_TEXT}, "");
    assert_prints(*state, (struct weir_diag_style){.format = WEIR_DIAG_JSON}, "[]\n");
}

static void test_sorted_by_place_repetitions_once(void **state)
{
    struct weir_diag *diag = *state;
    uint16_t file = weir_diag_add_source(diag, WEIR_S("f.yaml"), WEIR_S("one\ntwo\n"));
    uint16_t other = weir_diag_add_source(diag, WEIR_S("g.yaml"), WEIR_S_NONE);
    error_at(diag, other, 1, 1, "last");
    error_at(diag, file, 2, 3, "third");
    error_at(diag, file, 2, 1, "second");
    error_at(diag, file, 2, 3, "third");
    error_at(diag, file, 1, 9, "first");
    assert_prints(diag, (struct weir_diag_style){.format = WEIR_DIAG_TEXT},
                  "f.yaml:1:9: a.b: first\n"
                  "f.yaml:2:1: a.b: second\n"
                  "f.yaml:2:3: a.b: third\n"
                  "g.yaml:1:1: a.b: last\n"
                  "4 errors\n");
}

static void test_excerpt_points_at_the_character(void **state)
{
    struct weir_diag *diag = *state;
    uint16_t file = weir_diag_add_source(diag, WEIR_S("f.yaml"),
                                         WEIR_S("\xef\xbb\xbf"
                                                "a: 1\r\n\tb\xc3\xa4: \x1b[2J\r\n"));
    error_at(diag, file, 2, 4, "here");
    weir_diag_hint(diag, "write %d", 5);
    assert_prints(diag, (struct weir_diag_style){.format = WEIR_DIAG_TEXT, .excerpt = true},
                  "f.yaml:2:4: a.b: here (write 5)\n"
                  "     2 |  b\xc3\xa4: ?[2J\n"
                  "       |    ^\n");
}

static void test_long_lines_are_cut_around_the_place(void **state)
{
    struct weir_diag *diag = *state;
    char line[1000], want[400];
    memset(line, 'x', sizeof(line));
    line[499] = 'Y';
    uint16_t file = weir_diag_add_source(diag, WEIR_S("f.json"), weir_slice(line, sizeof(line)));
    error_at(diag, file, 1, 500, "here");
    snprintf(want, sizeof(want), "f.json:1:500: a.b: here\n     1 | ...%.60sY%.59s...\n       | %63s^\n",
             line, line, "");
    assert_prints(diag, (struct weir_diag_style){.format = WEIR_DIAG_TEXT, .excerpt = true}, want);
}

static void test_errors_are_shown_before_warnings(void **state)
{
    struct weir_diag *diag = *state;
    uint16_t file = weir_diag_add_source(diag, WEIR_S("f"), WEIR_S_NONE);
    for (uint32_t i = 1; i <= 3; i++) {
        weir_diag_report(diag, WEIR_SEVERITY_WARNING, (struct weir_pos){i, 1, file}, WEIR_S(""), "w%u",
                         (unsigned)i);
    }
    error_at(diag, file, 9, 1, "e");
    assert_prints(diag, (struct weir_diag_style){.format = WEIR_DIAG_TEXT, .max = 2},
                  "f:1:1: warning: w1\nf:9:1: a.b: e\n... and 2 warnings more\n1 error, 3 warnings\n");
    assert_prints(diag, (struct weir_diag_style){.format = WEIR_DIAG_TEXT, .no_warnings = true},
                  "f:9:1: a.b: e\n");
}

static void test_colours(void **state)
{
    struct weir_diag *diag = *state;
    uint16_t file = weir_diag_add_source(diag, WEIR_S("f"), WEIR_S("ab"));
    error_at(diag, file, 1, 2, "e");
    assert_prints(
        diag, (struct weir_diag_style){.format = WEIR_DIAG_TEXT, .excerpt = true, .colour = true},
        "\033[1mf:1:2:\033[0m a.b: \033[1;31me\033[0m\n     1 | ab\n       |  \033[1;32m^\033[0m\n");
}

static void test_json_has_every_part(void **state)
{
    struct weir_diag *diag = *state;
    uint16_t file = weir_diag_add_source(diag, WEIR_S("f \"x\".yaml"), WEIR_S_NONE);
    error_at(diag, file, 3, 4, "a \"b\"");
    weir_diag_hint(diag, "write c");
    weir_diag_report(diag, WEIR_SEVERITY_WARNING, (struct weir_pos){.source = file}, WEIR_S(""), "w");
    assert_prints(diag, (struct weir_diag_style){.format = WEIR_DIAG_JSON},
                  "[\n {\"severity\": \"warning\", \"file\": \"f \\\"x\\\".yaml\", \"message\": \"w\"},"
                  "\n {\"severity\": \"error\", \"file\": \"f \\\"x\\\".yaml\", \"line\": 3, \"column\": 4, "
                  "\"path\": \"a.b\", \"message\": \"a \\\"b\\\"\", \"hint\": \"write c\"}\n]\n");
}

static void test_kept_are_limited_counted_are_all(void **state)
{
    struct weir_diag *diag = *state;
    uint16_t file = weir_diag_add_source(diag, WEIR_S("f"), WEIR_S_NONE);
    for (uint32_t i = 0; i < WEIR_CONFIG_DIAGS_MAX + 10; i++) {
        error_at(diag, file, i + 1, 1, "e");
        weir_diag_hint(diag, "h");
    }
    assert_int_equal(diag->n_entries, WEIR_CONFIG_DIAGS_MAX);
    assert_int_equal(diag->n_errors, WEIR_CONFIG_DIAGS_MAX + 10);
    weir_diag_report(diag, WEIR_SEVERITY_WARNING, (struct weir_pos){0}, WEIR_S(""), "w");
    assert_false(diag->last_dropped); // errors do not crowd warnings out, nor the other way round
    assert_prints(diag, (struct weir_diag_style){.format = WEIR_DIAG_TEXT, .max = 1},
                  "f:1:1: a.b: e (h)\n... and 1009 errors, 1 warning more\n1010 errors, 1 warning\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_prints_nothing),
        TEST(test_sorted_by_place_repetitions_once),
        TEST(test_excerpt_points_at_the_character),
        TEST(test_long_lines_are_cut_around_the_place),
        TEST(test_errors_are_shown_before_warnings),
        TEST(test_colours),
        TEST(test_json_has_every_part),
        TEST(test_kept_are_limited_counted_are_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
