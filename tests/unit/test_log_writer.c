/* accesslog/writer: files written off the request path, and what happens when they fail. */
#include "accesslog/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    struct weir_stats *stats;
    struct weir_stats_worker *cells;
    char dir[64];
    char path[96];
};

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/weir-log-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(f->path, sizeof(f->path), "%s/log", f->dir);
    f->stats = weir_stats_new();
    f->cells = weir_stats_add_worker(f->stats);
    weir_log_files_set_flush(1, 20);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char path[128];
    weir_log_files_stop();
    weir_stats_free(f->stats);
    (void)snprintf(path, sizeof(path), "%s.old", f->path);
    (void)unlink(path);
    (void)unlink(f->path);
    (void)rmdir(f->dir);
    test_free(f);
    return 0;
}

static uint64_t stat_of(struct fixture *f, const char *name)
{
    uint64_t value = 0;
    assert_true(weir_stats_lookup(f->stats, weir_slice_str(name), &value));
    return value;
}

/* Waits (bounded) for a counter: the writer is another thread. */
static void wait_for(struct fixture *f, const char *name, uint64_t least)
{
    for (int i = 0; i < 500; i++) {
        if (stat_of(f, name) >= least)
            return;
        (void)poll(NULL, 0, 10);
    }
    fail_msg("%s is %llu, wanted %llu", name, (unsigned long long)stat_of(f, name),
             (unsigned long long)least);
}

static void put(struct fixture *f, struct weir_log_file *file, uint32_t thread, const char *text)
{
    struct weir_str *out = weir_log_file_begin(file, thread, f->cells);
    if (!out)
        return;
    weir_str_adds(out, text);
    weir_log_file_end(file, thread, f->cells);
}

static void expect_content(const char *path, const char *want)
{
    char text[4096] = "";
    FILE *in = fopen(path, "re");
    assert_non_null(in);
    size_t n = fread(text, 1, sizeof(text) - 1, in);
    text[n] = '\0';
    (void)fclose(in);
    assert_string_equal(text, want);
}

static void test_lines_reach_the_file(void **state)
{
    struct fixture *f = *state;
    struct weir_log_file *file = NULL, *same = NULL;
    assert_int_equal(weir_log_file_open(f->stats, weir_slice_str(f->path), 2, &file), WEIR_OK);
    assert_int_equal(weir_log_file_open(f->stats, weir_slice_str(f->path), 2, &same), WEIR_OK);
    assert_ptr_equal(file, same);
    put(f, file, 0, "one\n");
    put(f, file, 1, "two\n");
    put(f, file, 99, ""); // beyond the buffers, and empty
    wait_for(f, "filesystem.flushed_by_timer", 1);
    wait_for(f, "filesystem.write_completed", 2);
    expect_content(f->path, "one\ntwo\n");
    assert_int_equal(stat_of(f, "filesystem.write_buffered"), 2);
    assert_int_equal(stat_of(f, "filesystem.write_total_buffered"), 0);
    weir_log_file_unref(same);
    put(f, file, 0, "three\n");
    weir_log_file_unref(file); // the last one: written and closed
    weir_log_files_stop();
    expect_content(f->path, "one\ntwo\nthree\n");
}

static void test_stop_writes_what_is_buffered(void **state)
{
    struct fixture *f = *state;
    struct weir_log_file *file = NULL;
    weir_log_files_set_flush(64, 60000);
    assert_int_equal(weir_log_file_open(f->stats, weir_slice_str(f->path), 1, &file), WEIR_OK);
    put(f, file, 0, "late\n");
    weir_log_files_stop();
    expect_content(f->path, "late\n");
    weir_log_file_unref(file);
}

static void test_full_buffers_do_not_wait_for_the_timer(void **state)
{
    struct fixture *f = *state;
    struct weir_log_file *file = NULL;
    weir_log_files_set_flush(1, 60000);
    assert_int_equal(weir_log_file_open(f->stats, weir_slice_str(f->path), 1, &file), WEIR_OK);
    char line[65];
    memset(line, 'x', 63);
    line[63] = '\n';
    line[64] = '\0';
    for (int i = 0; i < 16; i++)
        put(f, file, 0, line);
    wait_for(f, "filesystem.write_completed", 1);
    assert_int_equal(stat_of(f, "filesystem.flushed_by_timer"), 0);
    weir_log_file_unref(file);
}

static void test_reopen(void **state)
{
    struct fixture *f = *state;
    struct weir_log_file *file = NULL;
    char old[128];
    (void)snprintf(old, sizeof(old), "%s.old", f->path);
    assert_int_equal(weir_log_file_open(f->stats, weir_slice_str(f->path), 1, &file), WEIR_OK);
    put(f, file, 0, "before\n");
    assert_int_equal(rename(f->path, old), 0);
    weir_log_files_reopen();
    for (int i = 0; i < 500 && access(f->path, F_OK) != 0; i++)
        (void)poll(NULL, 0, 10);
    put(f, file, 0, "after\n");
    weir_log_file_unref(file);
    weir_log_files_stop();
    expect_content(old, "before\n");
    expect_content(f->path, "after\n");
}

static void test_reopen_that_fails_keeps_the_old_file(void **state)
{
    struct fixture *f = *state;
    struct weir_log_file *file = NULL;
    char old[128];
    (void)snprintf(old, sizeof(old), "%s.old", f->path);
    assert_int_equal(weir_log_file_open(f->stats, weir_slice_str(f->path), 1, &file), WEIR_OK);
    assert_int_equal(rename(f->path, old), 0);
    assert_int_equal(mkdir(f->path, 0700), 0);
    weir_log_files_reopen();
    wait_for(f, "filesystem.reopen_failed", 1);
    put(f, file, 0, "still\n");
    weir_log_file_unref(file);
    weir_log_files_stop();
    expect_content(old, "still\n");
    assert_int_equal(rmdir(f->path), 0);
}

static void test_no_such_folder(void **state)
{
    struct fixture *f = *state;
    struct weir_log_file *file = NULL;
    assert_int_equal(weir_log_file_open(f->stats, WEIR_S("/nonexistent/folder/log"), 1, &file), WEIR_ERR_IO);
    assert_int_equal(errno, ENOENT);
    assert_null(file);
}

static void test_full_disk(void **state)
{
    struct fixture *f = *state;
    struct weir_log_file *file = NULL;
    if (access("/dev/full", W_OK) != 0)
        skip();
    assert_int_equal(weir_log_file_open(f->stats, WEIR_S("/dev/full"), 1, &file), WEIR_OK);
    put(f, file, 0, "lost\n");
    wait_for(f, "filesystem.write_failed", 1);
    for (int i = 0; i < 500 && stat_of(f, "filesystem.write_total_buffered") != 0; i++)
        (void)poll(NULL, 0, 10);
    assert_int_equal(stat_of(f, "filesystem.write_total_buffered"), 0);
    put(f, file, 0, "lost too\n");
    wait_for(f, "filesystem.write_failed", 2);
    weir_log_file_unref(file);
}

static void test_blocked_pipe(void **state)
{
    struct fixture *f = *state;
    struct weir_log_file *blocked = NULL, *other = NULL;
    char other_path[128];
    (void)snprintf(other_path, sizeof(other_path), "%s.old", f->path);
    assert_int_equal(mkfifo(f->path, 0600), 0);
    /* No reader yet: opening must not wait, records wait or are dropped. */
    assert_int_equal(weir_log_file_open(f->stats, weir_slice_str(f->path), 1, &blocked), WEIR_OK);
    assert_int_equal(weir_log_file_open(f->stats, weir_slice_str(other_path), 1, &other), WEIR_OK);
    char *big = test_malloc(WEIR_LOG_RECORD_MAX / 2);
    memset(big, 'x', WEIR_LOG_RECORD_MAX / 2 - 2);
    big[WEIR_LOG_RECORD_MAX / 2 - 2] = '\n';
    big[WEIR_LOG_RECORD_MAX / 2 - 1] = '\0';
    for (int i = 0; i < 40; i++)
        put(f, blocked, 0, big);
    assert_true(stat_of(f, "filesystem.write_dropped") > 0);
    /* Other files go on. */
    put(f, other, 0, "served\n");
    wait_for(f, "filesystem.write_completed", 1);
    expect_content(other_path, "served\n");
    /* A reader comes: what waited arrives in order. */
    int in = open(f->path, O_RDONLY | O_CLOEXEC);
    assert_true(in >= 0);
    size_t got = 0;
    while (got < WEIR_LOG_RECORD_MAX) {
        ssize_t n = read(in, big, WEIR_LOG_RECORD_MAX / 2);
        assert_true(n >= 0);
        got += (size_t)n;
    }
    /* The reader goes: an error, not a signal. */
    (void)close(in);
    wait_for(f, "filesystem.write_failed", 1);
    test_free(big);
    weir_log_file_unref(blocked);
    weir_log_file_unref(other);
}

static void test_record_that_is_too_long(void **state)
{
    struct fixture *f = *state;
    struct weir_log_file *file = NULL;
    assert_int_equal(weir_log_file_open(f->stats, weir_slice_str(f->path), 1, &file), WEIR_OK);
    put(f, file, 0, "a\n");
    struct weir_str *out = weir_log_file_begin(file, 0, f->cells);
    for (int i = 0; i < 3000; i++)
        weir_str_printf(out, "%01000d", i);
    weir_log_file_end(file, 0, f->cells);
    put(f, file, 0, "b\n");
    assert_int_equal(stat_of(f, "filesystem.write_dropped"), 1);
    weir_log_file_unref(file);
    weir_log_files_stop();
    expect_content(f->path, "a\nb\n");
}

struct writer {
    struct weir_log_file *file;
    struct weir_stats_worker *cells;
    uint32_t id;
};
static void *write_many(void *arg)
{
    struct writer *w = arg;
    for (int i = 0; i < 5000; i++) {
        struct weir_str *out = weir_log_file_begin(w->file, w->id, w->cells);
        if (!out)
            continue;
        weir_str_printf(out, "%u %05d\n", w->id, i);
        weir_log_file_end(w->file, w->id, w->cells);
    }
    return NULL;
}
static void test_threads(void **state)
{
    struct fixture *f = *state;
    struct weir_log_file *file = NULL;
    struct writer writers[3];
    pthread_t threads[3];
    assert_int_equal(weir_log_file_open(f->stats, weir_slice_str(f->path), 3, &file), WEIR_OK);
    for (uint32_t i = 0; i < 3; i++)
        writers[i] = (struct writer){file, weir_stats_add_worker(f->stats), i};
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, &writers[i]), 0);
    for (int i = 0; i < 5; i++) {
        weir_log_files_reopen();
        (void)poll(NULL, 0, 5);
    }
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    weir_log_file_unref(file);
    weir_log_files_stop();
    /* Every line whole, each thread's in order. */
    FILE *in = fopen(f->path, "re");
    assert_non_null(in);
    char line[64];
    long next[3] = {0};
    while (fgets(line, sizeof(line), in)) {
        assert_int_equal(strlen(line), 8);
        long id = strtol(line, NULL, 10), n = strtol(line + 2, NULL, 10);
        assert_in_range(id, 0, 2);
        assert_int_equal(n, next[id]++);
    }
    for (int i = 0; i < 3; i++)
        assert_int_equal(next[i], 5000);
    (void)fclose(in);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_lines_reach_the_file),
        TEST(test_stop_writes_what_is_buffered),
        TEST(test_full_buffers_do_not_wait_for_the_timer),
        TEST(test_reopen),
        TEST(test_reopen_that_fails_keeps_the_old_file),
        TEST(test_no_such_folder),
        TEST(test_full_disk),
        TEST(test_blocked_pipe),
        TEST(test_record_that_is_too_long),
        TEST(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
