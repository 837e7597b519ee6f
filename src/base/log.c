/* The process's log. A line is formatted on the caller's stack and leaves with one write(2), so threads need no lock. The format is
 * compiled once into operators; the broken-down time is kept a second per thread. What cannot be written is counted and dropped:
 * logging never stops a worker. A message cannot start a line of its own: its line breaks are followed by an indent, other control
 * characters are escaped. */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

#define LINE_STACK     4096           /* a line up to this needs no heap */
#define MESSAGE_MAX    (256UL * 1024) /* longer messages (guests may log any length) are cut */
#define FORMAT_OPS_MAX 64
#define DEFAULT_FORMAT "[%Y-%m-%d %T.%e][%t][%l][%n] [%g:%#] %v"

struct line {
    char *ptr;
    size_t len, cap;
};

struct record {
    enum weir_log_component component;
    enum weir_log_level level;
    const char *file;
    int line;
    struct weir_slice message;
    struct timespec now;
    const struct tm *tm;
};

typedef void (*put_fn)(struct line *line, const struct record *record);

/* One operator, or with `op` NULL literal text. */
struct format_op {
    const struct op *op;
    struct weir_slice text;
    int width;  /* 0 = as it comes */
    char align; /* '-' left, '=' centre, 0 right */
};

_Atomic uint8_t weir_log_levels[WEIR_LOGC_COUNT] = {[0 ... WEIR_LOGC_COUNT - 1] = WEIR_LOG_INFO};

static const char *const COMPONENT_NAMES[WEIR_LOGC_COUNT] = {
#define X(id, name) [WEIR_LOGC_##id] = name,
    WEIR_LOG_COMPONENTS(X)
#undef X
};
static const char *const LEVEL_NAMES[] = {"trace", "debug", "info", "warning", "error", "critical", "off"};

static struct format_op format_ops[FORMAT_OPS_MAX];
static int n_format_ops;
static const char *log_path; /* NULL = stderr */
static _Atomic int log_fd = STDERR_FILENO;
static _Atomic bool log_may_block = true; /* a pipe, terminal or socket: its reader may have stopped */
static _Atomic uint64_t n_dropped;

/* ---- levels and names ---- */

void weir_log_set_level(enum weir_log_level level)
{
    for (size_t i = 0; i < WEIR_LOGC_COUNT; i++) {
        weir_log_levels[i] = (uint8_t)level;
    }
}

enum weir_err weir_log_set_component(struct weir_slice name, enum weir_log_level level)
{
    for (size_t i = 0; i < WEIR_LOGC_COUNT; i++) {
        if (weir_slice_eq(name, weir_slice_str(COMPONENT_NAMES[i]))) {
            weir_log_levels[i] = (uint8_t)level;
            return WEIR_OK;
        }
    }
    return WEIR_ERR_NOT_FOUND;
}

enum weir_err weir_log_level_parse(struct weir_slice text, enum weir_log_level *ret)
{
    if (weir_slice_eq(text, WEIR_S("warn"))) {
        text = WEIR_S("warning");
    }
    for (size_t i = 0; i < WEIR_COUNTOF(LEVEL_NAMES); i++) {
        if (weir_slice_eq(text, weir_slice_str(LEVEL_NAMES[i]))) {
            *ret = (enum weir_log_level)i;
            return WEIR_OK;
        }
    }
    return WEIR_ERR_INVALID;
}

const char *weir_log_level_name(enum weir_log_level level)
{
    return LEVEL_NAMES[level];
}

const char *weir_log_component_name(enum weir_log_component component)
{
    return COMPONENT_NAMES[component];
}

uint64_t weir_log_dropped(void)
{
    return n_dropped;
}

/* ---- where lines go ---- */

static void use_fd(int fd)
{
    struct stat st;
    log_may_block = fstat(fd, &st) != 0 || !S_ISREG(st.st_mode);
    log_fd = fd;
}

static int open_path(const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644);
}

enum weir_err weir_log_open(const char *path)
{
    int old = log_fd;
    int fd = path ? open_path(path) : STDERR_FILENO;
    if (fd < 0) {
        return errno == EACCES || errno == EPERM ? WEIR_ERR_DENIED : WEIR_ERR_IO;
    }
    log_path = path;
    use_fd(fd);
    if (old != STDERR_FILENO) {
        close(old);
    }
    return WEIR_OK;
}

void weir_log_reopen(void)
{
    if (!log_path) {
        return;
    }
    int fd = open_path(log_path);
    if (fd < 0) {
        WEIR_LOG(ERROR, FILE, "cannot reopen the log %s: %s; writing on to the old file", log_path,
                 strerror(errno));
        return;
    }
    /* Onto the same number: a thread that is just writing never meets a closed one. */
    if (dup3(fd, log_fd, O_CLOEXEC) < 0) {
        WEIR_LOG(ERROR, FILE, "cannot reopen the log %s: %s", log_path, strerror(errno));
    }
    close(fd);
}

static void write_line(const char *ptr, size_t len)
{
    int fd = log_fd;
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    if (log_may_block && poll(&ready, 1, 0) == 0) {
        n_dropped++;
        return;
    }
    ssize_t n;
    do {
        n = write(fd, ptr, len);
    } while (n < 0 && errno == EINTR);
    if (n != (ssize_t)len) {
        n_dropped++;
    }
}

/* ---- putting a line together ---- */

static void put(struct line *line, struct weir_slice s)
{
    size_t n = WEIR_MIN(s.len, line->cap - line->len);
    if (n > 0) {
        memcpy(line->ptr + line->len, s.ptr, n);
        line->len += n;
    }
}

static void put_str(struct line *line, const char *str)
{
    put(line, weir_slice_str(str));
}

/* `value` with leading zeros up to `digits`. */
static void put_number(struct line *line, long value, int digits)
{
    char text[24];
    int len = snprintf(text, sizeof(text), "%0*ld", digits, value);
    put(line, weir_slice(text, len > 0 ? (size_t)len : 0));
}

static void put_time(struct line *line, const struct record *record, const char *fmt)
{
    char text[64];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the formats are those in OPS */
    put(line, weir_slice(text, strftime(text, sizeof(text), fmt, record->tm)));
#pragma GCC diagnostic pop
}

enum newline { NEWLINE_INDENT, NEWLINE_ESCAPE };

static void put_escaped(struct line *line, struct weir_slice s, enum newline newline)
{
    static const char HEX[] = "0123456789abcdef";
    size_t plain = 0;
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if ((c >= 0x20 && c != 0x7f) || c == '\t') {
            continue;
        }
        put(line, weir_slice(s.ptr + plain, i - plain));
        plain = i + 1;
        if (c == '\n') {
            put_str(line, newline == NEWLINE_INDENT ? "\n    " : "\\n");
        } else {
            put(line, weir_slice((const char[]){'\\', 'x', HEX[c >> 4], HEX[c & 15]}, 4));
        }
    }
    put(line, weir_slice_from(s, plain));
}

static void put_message(struct line *line, const struct record *record)
{
    put_escaped(line, record->message, NEWLINE_INDENT);
}

static void put_message_escaped(struct line *line, const struct record *record)
{
    put_escaped(line, record->message, NEWLINE_ESCAPE);
}

static void put_json_char(struct line *line, char c)
{
    if (c == '"' || c == '\\') {
        put(line, weir_slice((const char[]){'\\', c}, 2));
    } else if ((unsigned char)c < 0x20) {
        char text[8];
        int len = snprintf(text, sizeof(text), "\\u%04x", (unsigned)(unsigned char)c);
        put(line, weir_slice(text, (size_t)len));
    } else {
        put(line, weir_slice(&c, 1));
    }
}

static void put_message_json(struct line *line, const struct record *record)
{
    for (size_t i = 0; i < record->message.len; i++) {
        put_json_char(line, record->message.ptr[i]);
    }
}

static long thread_id(void)
{
    static _Thread_local long id;
    if (id == 0) {
        id = gettid();
    }
    return id;
}

static void put_thread(struct line *line, const struct record *record WEIR_UNUSED)
{
    put_number(line, thread_id(), 1);
}

static void put_pid(struct line *line, const struct record *record WEIR_UNUSED)
{
    put_number(line, getpid(), 1);
}

static void put_component(struct line *line, const struct record *record)
{
    put_str(line, COMPONENT_NAMES[record->component]);
}

static void put_level(struct line *line, const struct record *record)
{
    put_str(line, LEVEL_NAMES[record->level]);
}

static void put_level_short(struct line *line, const struct record *record)
{
    put(line, weir_slice(&"TDIWECO"[record->level], 1));
}

static void put_file(struct line *line, const struct record *record)
{
    put_str(line, record->file);
}

static void put_file_base(struct line *line, const struct record *record)
{
    const char *slash = strrchr(record->file, '/');
    put_str(line, slash ? slash + 1 : record->file);
}

static void put_line_number(struct line *line, const struct record *record)
{
    put_number(line, record->line, 1);
}

static void put_source(struct line *line, const struct record *record)
{
    put_file(line, record);
    put_str(line, ":");
    put_line_number(line, record);
}

static void put_millis(struct line *line, const struct record *record)
{
    put_number(line, record->now.tv_nsec / 1000000, 3);
}

static void put_micros(struct line *line, const struct record *record)
{
    put_number(line, record->now.tv_nsec / 1000, 6);
}

static void put_nanos(struct line *line, const struct record *record)
{
    put_number(line, record->now.tv_nsec, 9);
}

static void put_epoch(struct line *line, const struct record *record)
{
    put_number(line, record->now.tv_sec, 1);
}

static void put_zone(struct line *line, const struct record *record)
{
    long minutes = record->tm->tm_gmtoff / 60;
    put_str(line, minutes < 0 ? "-" : "+");
    minutes = minutes < 0 ? -minutes : minutes;
    put_number(line, minutes / 60, 2);
    put_str(line, ":");
    put_number(line, minutes % 60, 2);
}

static void put_percent(struct line *line, const struct record *record WEIR_UNUSED)
{
    put_str(line, "%");
}

struct op {
    put_fn put;
    const char *time_fmt; /* strftime's, where that does it */
};
/* The operators of Envoy's --log-format: spdlog's, and Envoy's own %_ and %j. */
static const struct op OPS[128] = {
    ['v'] = {put_message, NULL},
    ['_'] = {put_message_escaped, NULL},
    ['j'] = {put_message_json, NULL},
    ['t'] = {put_thread, NULL},
    ['P'] = {put_pid, NULL},
    ['n'] = {put_component, NULL},
    ['l'] = {put_level, NULL},
    ['L'] = {put_level_short, NULL},
    ['g'] = {put_file, NULL},
    ['s'] = {put_file_base, NULL},
    ['#'] = {put_line_number, NULL},
    ['@'] = {put_source, NULL},
    ['e'] = {put_millis, NULL},
    ['f'] = {put_micros, NULL},
    ['F'] = {put_nanos, NULL},
    ['E'] = {put_epoch, NULL},
    ['z'] = {put_zone, NULL},
    ['%'] = {put_percent, NULL},
    ['a'] = {NULL, "%a"},
    ['A'] = {NULL, "%A"},
    ['b'] = {NULL, "%b"},
    ['h'] = {NULL, "%b"},
    ['B'] = {NULL, "%B"},
    ['c'] = {NULL, "%a %b %e %H:%M:%S %Y"},
    ['C'] = {NULL, "%y"},
    ['Y'] = {NULL, "%Y"},
    ['D'] = {NULL, "%m/%d/%y"},
    ['x'] = {NULL, "%m/%d/%y"},
    ['m'] = {NULL, "%m"},
    ['d'] = {NULL, "%d"},
    ['H'] = {NULL, "%H"},
    ['I'] = {NULL, "%I"},
    ['M'] = {NULL, "%M"},
    ['S'] = {NULL, "%S"},
    ['p'] = {NULL, "%p"},
    ['r'] = {NULL, "%I:%M:%S %p"},
    ['R'] = {NULL, "%H:%M"},
    ['T'] = {NULL, "%H:%M:%S"},
    ['X'] = {NULL, "%H:%M:%S"},
};

/* ---- the format ---- */

/* Reads one operator behind a '%': [-=][width]letter. False when it is none: the text stays as it is. */
static bool parse_op(struct weir_slice *rest, struct format_op *ret)
{
    struct weir_slice s = *rest;
    struct format_op op = {0};
    if (s.len > 0 && (s.ptr[0] == '-' || s.ptr[0] == '=')) {
        op.align = s.ptr[0];
        s = weir_slice_from(s, 1);
    }
    while (s.len > 0 && s.ptr[0] >= '0' && s.ptr[0] <= '9' && op.width < 64) {
        op.width = op.width * 10 + (s.ptr[0] - '0');
        s = weir_slice_from(s, 1);
    }
    unsigned char letter = s.len > 0 ? (unsigned char)s.ptr[0] : 0;
    if (letter >= WEIR_COUNTOF(OPS) || (!OPS[letter].put && !OPS[letter].time_fmt)) {
        return false;
    }
    op.op = &OPS[letter];
    *ret = op;
    *rest = weir_slice_from(s, 1);
    return true;
}

void weir_log_set_format(const char *format)
{
    struct weir_slice rest = weir_slice_str(format ? format : DEFAULT_FORMAT);
    int n = 0;
    while (rest.len > 0 && n < FORMAT_OPS_MAX) {
        struct weir_slice after = weir_slice_from(rest, 1);
        if (rest.ptr[0] == '%' && parse_op(&after, &format_ops[n])) {
            n++;
            rest = after;
            continue;
        }
        size_t len = 1 + weir_slice_find(after, '%');
        format_ops[n++] = (struct format_op){.text = weir_slice_first(rest, len)};
        rest = weir_slice_from(rest, len);
    }
    n_format_ops = n;
}

static void pad(struct line *line, int n)
{
    for (int i = 0; i < n; i++) {
        put_str(line, " ");
    }
}

static void put_op(struct line *line, const struct op *op, const struct record *record)
{
    if (op->put) {
        op->put(line, record);
    } else {
        put_time(line, record, op->time_fmt);
    }
}

static void put_padded(struct line *line, const struct format_op *op, const struct record *record)
{
    char text[256];
    struct line field = {text, 0, sizeof(text)};
    put_op(&field, op->op, record);
    int room = field.len < (size_t)op->width ? op->width - (int)field.len : 0;
    int before = op->align == '-' ? 0 : op->align == '=' ? room / 2 : room;
    pad(line, before);
    put(line, weir_slice(field.ptr, field.len));
    pad(line, room - before);
}

static void put_record(struct line *line, const struct record *record)
{
    for (int i = 0; i < n_format_ops; i++) {
        const struct format_op *op = &format_ops[i];
        if (!op->op) {
            put(line, op->text);
        } else if (op->width > 0) {
            put_padded(line, op, record);
        } else {
            put_op(line, op->op, record);
        }
    }
}

/* Local time; kept per thread because localtime_r takes a lock. */
static const struct tm *broken_down(time_t now)
{
    static _Thread_local time_t at = -1;
    static _Thread_local struct tm tm;
    if (now != at) {
        localtime_r(&now, &tm);
        at = now;
    }
    return &tm;
}

static void write_record(struct record *record)
{
    char stack[LINE_STACK];
    struct line line = {stack, 0, sizeof(stack) - 1};
    char *heap = NULL;
    clock_gettime(CLOCK_REALTIME, &record->now);
    record->tm = broken_down(record->now.tv_sec);
    put_record(&line, record);
    if (line.len == line.cap) { /* perhaps cut: again with room for every byte escaped */
        size_t cap = sizeof(stack) + record->message.len * 6;
        heap = weir_try_alloc(cap + 1);
        if (heap) {
            line = (struct line){heap, 0, cap};
            put_record(&line, record);
        }
    }
    line.ptr[line.len++] = '\n';
    write_line(line.ptr, line.len);
    weir_free(heap);
}

/* One message of at most MESSAGE_MAX bytes, without the line breaks at its end. */
static struct weir_slice message_slice(const char *text, size_t len)
{
    len = WEIR_MIN(len, (size_t)MESSAGE_MAX);
    while (len > 0 && text[len - 1] == '\n') {
        len--;
    }
    return weir_slice(text, len);
}

void weir_log_write(enum weir_log_component component, enum weir_log_level level, const char *file, int line,
                    const char *fmt, ...)
{
    struct record record = {.component = component, .level = level, .file = file, .line = line};
    char stack[LINE_STACK];
    char *heap = NULL;
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int len = vsnprintf(stack, sizeof(stack), fmt, ap);
    va_end(ap);
    size_t size = len < 0 ? 0 : (size_t)len;
    record.message = message_slice(stack, WEIR_MIN(size, sizeof(stack) - 1));
    if (size >= sizeof(stack)) {
        size = WEIR_MIN(size, (size_t)MESSAGE_MAX);
        heap = weir_try_alloc(size + 1);
        if (heap) {
            (void)vsnprintf(heap, size + 1, fmt, again);
            record.message = message_slice(heap, size);
        }
    }
    va_end(again);
    write_record(&record);
    weir_free(heap);
}

__attribute__((constructor)) static void use_default_format(void)
{
    weir_log_set_format(NULL);
}

bool weir_log_limit_ok(struct weir_log_limit *limit, uint32_t per_second)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    uint64_t second = (uint64_t)now.tv_sec + 1; /* a zeroed limiter has seen no second yet */
    if (second != limit->window_s) {
        limit->window_s = second;
        limit->n = 0;
    }
    if (limit->n >= per_second) {
        limit->suppressed++;
        return false;
    }
    limit->n++;
    return true;
}
