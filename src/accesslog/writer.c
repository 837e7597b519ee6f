/* The writer: files, each thread's buffers of them, and the one thread that writes.
 *
 *   worker:  lock buffer, format, full? -> queue of the file, wake   (never waits for the writer)
 *   writer:  every interval: all buffers -> queues; then each queue -> file, as far as the file takes it
 *
 * Locks: `files.lock` guards the list of files, their queues and flags; a buffer's own lock guards the buffer. A buffer's lock is taken
 * first. Nothing is written and nothing formatted under `files.lock`.
 * Pipes and terminals are written only when poll says so and at most PIPE_BUF bytes at a time, which then cannot block: a reader that
 * sleeps stops its own file alone. Regular files are written whole. */
#include "accesslog/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"

#define FLUSH_SIZE_DEFAULT (64u << 10)
#define FLUSH_MS_DEFAULT   10000u
#define TERMINAL_FLUSH_MS  500u  // a person waits
#define RETRY_MS           50u   // a file that takes nothing is tried again
#define STOP_MS            1000u // a file that takes nothing at the end is given up
#define RECYCLED_CAP_MAX   (256u << 10)

enum file_stat {
#define X(name, kind) STAT_##name,
    WEIR_LOG_FILE_STATS(X)
#undef X
        STAT_COUNT
};
static const struct weir_stat_def stat_defs[] = {
#define X(name, kind) {#name, WEIR_STAT_##kind},
    WEIR_LOG_FILE_STATS(X)
#undef X
};

/* A full buffer on its way to the file. */
struct chunk {
    struct weir_list link;
    struct weir_str text;
    size_t written;
};

struct buffer {
    pthread_mutex_t lock;
    struct weir_str text;
    size_t before; // length when the record began
};

struct weir_log_file {
    struct weir_list link;
    char *path;
    int fd; // -1: not open (a pipe without a reader)
    bool regular, terminal;
    bool reopen;
    bool torn; // the last write ended inside a record
    uint32_t refs;
    size_t pending; // bytes in the queue; atomic, written under files.lock
    uint64_t next_flush_ms;
    struct weir_list queue; // chunk
    struct weir_list free;  // chunk
    weir_stat stats;
    uint32_t n_buffers;
    struct buffer buffers[];
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool initialised;
    pthread_t thread;
    bool running, stopping;
    bool work; // something was queued, or a file wants attention
    struct weir_list list;
    struct weir_stats_worker *cells; // the writer's
    size_t flush_size;
    uint64_t flush_ms;
} files = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void count(struct weir_stats_worker *cells, const struct weir_log_file *file, enum file_stat stat,
                  uint64_t n)
{
    if (cells && file->stats)
        weir_stat_add(cells, file->stats + stat, n);
}

/* ---- opening and closing ---- */

static int open_path(const char *path)
{
    if (strcmp(path, "/dev/stdout") == 0)
        return fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    if (strcmp(path, "/dev/stderr") == 0)
        return fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    /* Not blocking: a pipe without a reader would stop the whole start. */
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0644);
}

static void adopt_fd(struct weir_log_file *file, int fd)
{
    struct stat st;
    if (file->fd >= 0)
        (void)close(file->fd);
    file->fd = fd;
    file->regular = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    file->terminal = fd >= 0 && isatty(fd);
}

static void free_chunks(struct weir_list *list)
{
    WEIR_LIST_EACH(list, it)
    {
        struct chunk *chunk = WEIR_CONTAINER_OF(it, struct chunk, link);
        weir_list_unlink(it);
        weir_str_fini(&chunk->text);
        weir_free(chunk);
    }
}

static void free_file(struct weir_log_file *file)
{
    if (file->fd >= 0)
        (void)close(file->fd);
    for (uint32_t i = 0; i < file->n_buffers; i++) {
        weir_str_fini(&file->buffers[i].text);
        (void)pthread_mutex_destroy(&file->buffers[i].lock);
    }
    free_chunks(&file->queue);
    free_chunks(&file->free);
    weir_free(file->path);
    weir_free(file);
}

/* ---- workers ---- */

static size_t flush_size(void)
{
    return files.flush_size ? files.flush_size : FLUSH_SIZE_DEFAULT;
}

static struct buffer *buffer_of(struct weir_log_file *file, uint32_t thread)
{
    return &file->buffers[thread < file->n_buffers ? thread : 0];
}

/* Under the buffer's lock: hands its content to the writer and gives it an empty one. */
static void queue_buffer(struct weir_log_file *file, struct buffer *buffer)
{
    struct chunk *chunk = NULL;
    pthread_mutex_lock(&files.lock);
    struct weir_list *spare = weir_list_first(&file->free);
    if (spare) {
        weir_list_unlink(spare);
        chunk = WEIR_CONTAINER_OF(spare, struct chunk, link);
    } else {
        chunk = WEIR_NEW(struct chunk);
        weir_str_init(&chunk->text, buffer->text.max);
    }
    struct weir_str empty = chunk->text;
    chunk->text = buffer->text;
    chunk->written = 0;
    buffer->text = empty;
    weir_list_push_back(&file->queue, &chunk->link);
    __atomic_store_n(&file->pending, file->pending + chunk->text.len, __ATOMIC_RELAXED);
    files.work = true;
    pthread_cond_signal(&files.wake);
    pthread_mutex_unlock(&files.lock);
}

struct weir_str *weir_log_file_begin(struct weir_log_file *file, uint32_t thread,
                                     struct weir_stats_worker *sw)
{
    struct buffer *buffer = buffer_of(file, thread);
    if (__atomic_load_n(&file->pending, __ATOMIC_RELAXED) > WEIR_LOG_FILE_PENDING_MAX) {
        count(sw, file, STAT_write_dropped, 1);
        WEIR_LOG_LIMITED(WARN, FILE, "%s takes no more: access log records are dropped", file->path);
        return NULL;
    }
    pthread_mutex_lock(&buffer->lock);
    buffer->before = buffer->text.len;
    return &buffer->text;
}

void weir_log_file_end(struct weir_log_file *file, uint32_t thread, struct weir_stats_worker *sw)
{
    struct buffer *buffer = buffer_of(file, thread);
    struct weir_str *text = &buffer->text;
    if (text->overflow || text->len - buffer->before > WEIR_LOG_RECORD_MAX) {
        text->overflow = false;
        text->len = buffer->before;
        count(sw, file, STAT_write_dropped, 1);
    } else if (text->len > buffer->before) {
        count(sw, file, STAT_write_buffered, 1);
        count(sw, file, STAT_write_total_buffered, text->len - buffer->before);
        if (text->len >= flush_size())
            queue_buffer(file, buffer);
    }
    pthread_mutex_unlock(&buffer->lock);
}

/* ---- the writer's thread ---- */

/* Writes some of `s`. Returns how much, 0 = the file takes nothing now, -1 = it failed (errno). */
static ssize_t write_some(struct weir_log_file *file, struct weir_slice s)
{
    if (!file->regular) {
        struct pollfd poll_fd = {.fd = file->fd, .events = POLLOUT};
        if (poll(&poll_fd, 1, 0) == 0)
            return 0;
        s = weir_slice_first(s, PIPE_BUF);
    }
    ssize_t n = 0;
    do {
        n = write(file->fd, s.ptr, s.len);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        return 0;
    return n;
}

/* A file that was not there when it was last looked for. */
static bool ensure_open(struct weir_log_file *file)
{
    if (file->fd < 0)
        adopt_fd(file, open_path(file->path));
    return file->fd >= 0;
}

static void reopen(struct weir_log_file *file)
{
    int fd = open_path(file->path);
    if (fd < 0) {
        count(files.cells, file, STAT_reopen_failed, 1);
        WEIR_LOG_LIMITED(ERROR, FILE, "cannot reopen %s: %s; writing on to the old file", file->path,
                         strerror(errno));
        return;
    }
    adopt_fd(file, fd);
    file->torn = false;
}

static void drop(struct weir_log_file *file, struct chunk *chunk, int error)
{
    size_t left = chunk->text.len - chunk->written;
    count(files.cells, file, STAT_write_failed, 1);
    count(files.cells, file, STAT_write_total_buffered, 0 - (uint64_t)left);
    WEIR_LOG_LIMITED(ERROR, FILE, "cannot write %s: %s; %zu bytes of access log are lost", file->path,
                     strerror(error), left);
}

/* Writes one chunk; false if the file takes no more now. */
static bool write_chunk(struct weir_log_file *file, struct chunk *chunk)
{
    if (file->torn) {
        /* A record was cut: the next one begins on a line of its own. */
        ssize_t n = write_some(file, WEIR_S("\n"));
        if (n == 0)
            return false;
        file->torn = n < 0;
    }
    while (chunk->written < chunk->text.len) {
        ssize_t n = write_some(file, weir_slice_from(weir_str_slice(&chunk->text), chunk->written));
        if (n == 0)
            return false;
        if (n < 0) {
            int error = errno;
            if (chunk->written > 0)
                file->torn = chunk->text.ptr[chunk->written - 1] != '\n';
            drop(file, chunk, error);
            return true;
        }
        chunk->written += (size_t)n;
        count(files.cells, file, STAT_write_total_buffered, 0 - (uint64_t)n);
    }
    count(files.cells, file, STAT_write_completed, 1);
    return true;
}

static void recycle(struct weir_log_file *file, struct chunk *chunk)
{
    if (chunk->text.cap > RECYCLED_CAP_MAX)
        weir_str_fini(&chunk->text);
    weir_str_clear(&chunk->text);
    weir_list_push_back(&file->free, &chunk->link);
}

/* Under files.lock, which it drops while it writes. Only this thread takes chunks out. False if the file takes no more now. */
static bool drain(struct weir_log_file *file)
{
    struct weir_list *first;
    bool takes = true;
    while (takes && (first = weir_list_first(&file->queue))) {
        struct chunk *chunk = WEIR_CONTAINER_OF(first, struct chunk, link);
        size_t len = chunk->text.len;
        pthread_mutex_unlock(&files.lock);
        takes = ensure_open(file) && write_chunk(file, chunk);
        pthread_mutex_lock(&files.lock);
        if (!takes)
            break;
        weir_list_unlink(first);
        __atomic_store_n(&file->pending, file->pending - len, __ATOMIC_RELAXED);
        recycle(file, chunk);
    }
    return takes;
}

/* All buffers into the queue, without files.lock. */
static void sweep(struct weir_log_file *file)
{
    bool any = false;
    for (uint32_t i = 0; i < file->n_buffers; i++) {
        struct buffer *buffer = &file->buffers[i];
        pthread_mutex_lock(&buffer->lock);
        if (buffer->text.len > 0) {
            queue_buffer(file, buffer);
            any = true;
        }
        pthread_mutex_unlock(&buffer->lock);
    }
    if (any)
        count(files.cells, file, STAT_flushed_by_timer, 1);
}

static uint64_t flush_ms(const struct weir_log_file *file)
{
    uint64_t ms = files.flush_ms ? files.flush_ms : FLUSH_MS_DEFAULT;
    return file->terminal ? WEIR_MIN(ms, TERMINAL_FLUSH_MS) : ms;
}

/* One file's turn, under files.lock (dropped in between). Returns when to come back, UINT64_MAX = when woken. The file may be gone. */
static uint64_t serve(struct weir_log_file *file, uint64_t now)
{
    bool last = file->refs == 0;
    if (last || file->reopen || files.stopping || now >= file->next_flush_ms) {
        pthread_mutex_unlock(&files.lock);
        sweep(file);
        pthread_mutex_lock(&files.lock);
        file->next_flush_ms = now + flush_ms(file);
    }
    bool takes = drain(file);
    if (file->reopen) {
        file->reopen = false;
        pthread_mutex_unlock(&files.lock);
        reopen(file);
        pthread_mutex_lock(&files.lock);
    }
    if (file->refs == 0 && last && takes) {
        weir_list_unlink(&file->link);
        free_file(file);
        return UINT64_MAX;
    }
    return takes ? file->next_flush_ms : WEIR_MIN(now + RETRY_MS, file->next_flush_ms);
}

static void wait_until(uint64_t at_ms)
{
    struct timespec t = {.tv_sec = (time_t)(at_ms / 1000), .tv_nsec = (long)(at_ms % 1000) * 1000000};
    while (!files.work && !files.stopping) {
        if (at_ms == UINT64_MAX) {
            pthread_cond_wait(&files.wake, &files.lock);
        } else if (pthread_cond_timedwait(&files.wake, &files.lock, &t) == ETIMEDOUT) {
            return;
        }
    }
}

/* Is anything left that a file may yet take? */
static bool anything_queued(void)
{
    WEIR_LIST_EACH(&files.list, it)
    {
        if (!weir_list_empty(&WEIR_CONTAINER_OF(it, struct weir_log_file, link)->queue))
            return true;
    }
    return false;
}

static uint64_t serve_all(void)
{
    uint64_t next = UINT64_MAX;
    /* Files are added at the end and taken away only here. */
    WEIR_LIST_EACH(&files.list, it)
    {
        uint64_t at = serve(WEIR_CONTAINER_OF(it, struct weir_log_file, link), now_ms());
        next = WEIR_MIN(next, at);
    }
    return next;
}

static void *run_writer(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&files.lock);
    while (!files.stopping) {
        files.work = false;
        wait_until(serve_all());
    }
    uint64_t deadline = now_ms() + STOP_MS;
    (void)serve_all();
    while (anything_queued() && now_ms() < deadline) {
        pthread_mutex_unlock(&files.lock);
        (void)poll(NULL, 0, (int)RETRY_MS);
        pthread_mutex_lock(&files.lock);
        (void)serve_all();
    }
    WEIR_LIST_EACH(&files.list, it)
    {
        struct weir_log_file *file = WEIR_CONTAINER_OF(it, struct weir_log_file, link);
        if (file->refs > 0)
            continue; // its last user frees it
        weir_list_unlink(it);
        free_file(file);
    }
    pthread_mutex_unlock(&files.lock);
    return NULL;
}

/* ---- from outside ---- */

/* Under files.lock. */
static enum weir_err start_writer(struct weir_stats *stats)
{
    if (files.running)
        return WEIR_OK;
    pthread_condattr_t attr;
    sigset_t all, old;
    if (!files.initialised) {
        (void)pthread_condattr_init(&attr);
        (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        (void)pthread_cond_init(&files.wake, &attr);
        (void)pthread_condattr_destroy(&attr);
        weir_list_init(&files.list);
        files.initialised = true;
    }
    files.stopping = false;
    files.cells = stats ? weir_stats_add_worker(stats) : NULL;
    /* Signals are other threads' business; a pipe whose reader has gone is an error, not a signal. */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    int error = pthread_create(&files.thread, NULL, run_writer, NULL);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    errno = error;
    files.running = error == 0;
    return error ? WEIR_ERR_IO : WEIR_OK;
}

static struct weir_log_file *find(struct weir_slice path)
{
    WEIR_LIST_EACH(&files.list, it)
    {
        struct weir_log_file *file = WEIR_CONTAINER_OF(it, struct weir_log_file, link);
        if (weir_slice_eq(weir_slice_str(file->path), path))
            return file;
    }
    return NULL;
}

static struct weir_log_file *new_file(struct weir_slice path, uint32_t n_buffers)
{
    struct weir_log_file *file = weir_zalloc(sizeof(*file) + n_buffers * sizeof(file->buffers[0]));
    file->path = weir_xstrndup(path.ptr, path.len);
    file->fd = -1;
    file->n_buffers = n_buffers;
    weir_list_init(&file->queue);
    weir_list_init(&file->free);
    for (uint32_t i = 0; i < n_buffers; i++) {
        (void)pthread_mutex_init(&file->buffers[i].lock, NULL);
        weir_str_init(&file->buffers[i].text, flush_size() + WEIR_LOG_RECORD_MAX);
    }
    return file;
}

/* Under files.lock. */
static enum weir_err add_file(struct weir_stats *stats, struct weir_slice path, uint32_t n_threads,
                              struct weir_log_file **ret)
{
    struct weir_log_file *file = new_file(path, WEIR_MAX(n_threads, 1u));
    adopt_fd(file, open_path(file->path));
    if (file->fd < 0 && errno != ENXIO) {
        int error = errno;
        free_file(file);
        errno = error;
        return WEIR_ERR_IO;
    }
    const struct weir_stats_scope scope = {WEIR_S("filesystem."), WEIR_S("filesystem."), NULL, 0};
    if (stats)
        file->stats = weir_stats_register_group(stats, &scope, stat_defs, STAT_COUNT);
    file->next_flush_ms = now_ms() + flush_ms(file);
    weir_list_push_back(&files.list, &file->link);
    *ret = file;
    return WEIR_OK;
}

enum weir_err weir_log_file_open(struct weir_stats *stats, struct weir_slice path, uint32_t n_threads,
                                 struct weir_log_file **ret)
{
    pthread_mutex_lock(&files.lock);
    enum weir_err result = start_writer(stats);
    struct weir_log_file *file = result == WEIR_OK ? find(path) : NULL;
    if (result == WEIR_OK && !file)
        result = add_file(stats, path, n_threads, &file);
    if (file) {
        file->refs++;
        *ret = file;
        files.work = true; // the writer learns of the new file's next flush
        pthread_cond_signal(&files.wake);
    }
    pthread_mutex_unlock(&files.lock);
    return result;
}

void weir_log_file_unref(struct weir_log_file *file)
{
    if (!file)
        return;
    pthread_mutex_lock(&files.lock);
    file->refs--;
    if (!files.running && file->refs == 0) {
        weir_list_unlink(&file->link);
        free_file(file);
    } else {
        files.work = true;
        pthread_cond_signal(&files.wake);
    }
    pthread_mutex_unlock(&files.lock);
}

void weir_log_files_set_flush(uint64_t min_size_kb, uint64_t interval_ms)
{
    pthread_mutex_lock(&files.lock);
    files.flush_size = (size_t)WEIR_MIN(min_size_kb, WEIR_LOG_FILE_PENDING_MAX >> 10) << 10;
    files.flush_ms = interval_ms;
    pthread_mutex_unlock(&files.lock);
}

void weir_log_files_reopen(void)
{
    pthread_mutex_lock(&files.lock);
    if (files.running) {
        WEIR_LIST_EACH(&files.list, it) WEIR_CONTAINER_OF(it, struct weir_log_file, link)->reopen = true;
        files.work = true;
        pthread_cond_signal(&files.wake);
    }
    pthread_mutex_unlock(&files.lock);
}

void weir_log_files_stop(void)
{
    pthread_mutex_lock(&files.lock);
    bool running = files.running;
    files.stopping = true;
    if (running)
        pthread_cond_signal(&files.wake);
    pthread_mutex_unlock(&files.lock);
    if (!running)
        return;
    (void)pthread_join(files.thread, NULL);
    pthread_mutex_lock(&files.lock);
    files.running = false;
    files.cells = NULL;
    pthread_mutex_unlock(&files.lock);
}
