/* Whole files: each tests/fixtures/config/FILE (YAML or JSON) is loaded, and what is reported must be
 * FILE.want to the letter (no FILE.want: nothing is reported). WEIR_UPDATE_WANT=1 writes the .want files
 * anew, to be read over before they are committed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <unistd.h>

#include "base/mem.h"
#include "config/config.h"

#define FOLDER WEIR_TEST_DIR "/fixtures/config"

static char *read_text(const char *path)
{
    FILE *file = fopen(path, "r");
    if (!file)
        return weir_xstrndup("", 0);
    char *text = weir_zalloc(1 << 16);
    size_t len = fread(text, 1, (1 << 16) - 1, file);
    text[len] = '\0';
    fclose(file);
    return text;
}

static char *reported(const char *name)
{
    struct weir_diag diag;
    weir_diag_init(&diag);
    struct weir_config *conf = weir_config_new(&diag);
    (void)!weir_config_load(conf, name, NULL);
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    weir_diag_print(&diag, out, &(struct weir_diag_style){.format = WEIR_DIAG_TEXT});
    fclose(out);
    weir_config_free(conf);
    weir_diag_fini(&diag);
    return text;
}

static bool check_file(const char *name)
{
    char want_name[300];
    snprintf(want_name, sizeof(want_name), "%s.want", name);
    char *got = reported(name);
    if (getenv("WEIR_UPDATE_WANT")) {
        unlink(want_name);
        FILE *out = *got ? fopen(want_name, "w") : NULL;
        if (out)
            fputs(got, out);
        if (out)
            fclose(out);
    }
    char *want = read_text(want_name);
    bool same = strcmp(got, want) == 0;
    if (!same)
        print_error("%s reports\n%swant\n%s\n", name, got, want);
    weir_free(got);
    weir_free(want);
    return same;
}

static bool is_config(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot && *name != '.' && strcmp(dot, ".want") != 0;
}

static void test_files_report_as_wanted(void **state)
{
    (void)state;
    struct dirent **entries;
    int n_wrong = 0, n_files = 0;
    assert_int_equal(chdir(FOLDER), 0);
    int n = scandir(".", &entries, NULL, alphasort);
    assert_true(n > 2);
    for (int i = 0; i < n; i++) {
        if (is_config(entries[i]->d_name)) {
            n_files++;
            n_wrong += !check_file(entries[i]->d_name);
        }
        weir_free(entries[i]);
    }
    weir_free(entries);
    assert_true(n_files > 0);
    assert_int_equal(n_wrong, 0);
}

static void test_missing_file_is_named(void **state)
{
    (void)state;
    char *got = reported("nowhere.yaml");
    assert_string_equal(got, "nowhere.yaml: No such file or directory\n");
    weir_free(got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files_report_as_wanted),
        cmocka_unit_test(test_missing_file_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
