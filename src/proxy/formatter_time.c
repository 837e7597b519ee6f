/* Times in formats. A time format is cut into parts at compile time: runs that strftime prints, and the parts that it cannot:
 * seconds since 1970 and fractions of a second. The default format, which most log lines use, is printed by hand. */
#include <stdio.h>
#include <time.h>

#include "proxy/formatter_priv.h"

enum part_kind { PART_STRFTIME, PART_EPOCH, PART_FRACTION };
struct part {
    enum part_kind kind;
    unsigned digits;    // of a fraction
    const char *format; // of strftime, NUL-terminated
};
struct weir_format_time {
    uint32_t n;
    struct part v[];
};

/* strftime's letters that make sense without a locale; E and O are modifiers. */
static const char letters[] = "aAbBcCdDeFgGhHIjklmMnpPrRStTuUVwWxXyYzZ%";

static void add_strftime(struct weir_arena *arena, struct part *parts, uint32_t *n, struct weir_slice run)
{
    if (run.len == 0)
        return;
    parts[(*n)++] = (struct part){.kind = PART_STRFTIME, .format = weir_arena_dup(arena, run).ptr};
}

/* %E3S, %ES, %E*S: seconds with a fraction; %Ez as %z. Returns the length after '%', 0 = not one of these. */
static size_t parse_extended(struct weir_slice s, struct part *parts, uint32_t *n)
{
    size_t at = 1;
    unsigned digits = 0;
    if (at < s.len && s.ptr[at] == '*') {
        digits = 9;
        at++;
    } else if (at < s.len && s.ptr[at] >= '1' && s.ptr[at] <= '9') {
        digits = (unsigned)(s.ptr[at] - '0');
        at++;
    }
    if (at >= s.len || s.ptr[at] != 'S')
        return 0;
    parts[(*n)++] = (struct part){.kind = PART_STRFTIME, .format = digits ? "%S." : "%S"};
    if (digits)
        parts[(*n)++] = (struct part){.kind = PART_FRACTION, .digits = digits};
    return at + 1;
}

/* One specifier after its '%'; appends parts and returns its length, or 0 if strftime is to print it. */
static size_t parse_own(struct weir_slice s, struct part *parts, uint32_t *n)
{
    if (s.ptr[0] == 's') {
        parts[(*n)++] = (struct part){.kind = PART_EPOCH};
        return 1;
    }
    if (s.ptr[0] == 'f') {
        parts[(*n)++] = (struct part){.kind = PART_FRACTION, .digits = 9};
        return 1;
    }
    if (s.ptr[0] >= '1' && s.ptr[0] <= '9' && s.len > 1 && s.ptr[1] == 'f') {
        parts[(*n)++] = (struct part){.kind = PART_FRACTION, .digits = (unsigned)(s.ptr[0] - '0')};
        return 2;
    }
    return s.ptr[0] == 'E' ? parse_extended(s, parts, n) : 0;
}

enum weir_err weir_format_time_new(struct weir_arena *arena, struct weir_slice format,
                                   const struct weir_format_time **ret, struct weir_format_error *reterr)
{
    /* A specifier of two characters gives at most two parts, and one run of text may stand before each. */
    struct weir_format_time *program =
        weir_arena_zalloc(arena, sizeof(*program) + (format.len * 2 + 2) * sizeof(program->v[0]));
    size_t run = 0;
    for (size_t i = 0; i < format.len; i++) {
        if (format.ptr[i] != '%')
            continue;
        struct weir_slice rest = weir_slice_from(format, i + 1);
        if (rest.len == 0)
            return weir_format_fail(reterr, "the time format ends with a single %%");
        uint32_t before = program->n, after = program->n + 1; // leaves room for the run
        size_t len = parse_own(rest, program->v, &after);
        if (len > 0) {
            struct weir_slice text = weir_slice(format.ptr + run, i - run);
            if (text.len > 0) {
                add_strftime(arena, program->v, &before, text);
            } else {
                memmove(&program->v[before], &program->v[before + 1],
                        (after - before - 1) * sizeof(program->v[0]));
                after--;
            }
            program->n = after;
            i += len;
            run = i + 1;
            continue;
        }
        char c = rest.ptr[0];
        if ((c == 'E' || c == 'O') && rest.len > 1)
            c = rest.ptr[1];
        if (c == '\0' || !strchr(letters, c))
            return weir_format_fail(reterr, "%%%c is no time specifier", rest.ptr[0]);
        i++;
    }
    add_strftime(arena, program->v, &program->n, weir_slice_from(format, run));
    *ret = program;
    return WEIR_OK;
}

/* Broken-down UTC without the C library's time zone lock. Rule: proleptic Gregorian calendar, days since 1970-01-01. */
static void break_down(int64_t s, struct tm *tm)
{
    int64_t days = s / 86400, rest = s % 86400;
    if (rest < 0) {
        rest += 86400;
        days--;
    }
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100); // from 1 March
    int64_t mp = (5 * doy + 2) / 153;
    int64_t month = mp < 10 ? mp + 3 : mp - 9;
    int64_t year = yoe + era * 400 + (month <= 2);
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    *tm = (struct tm){
        .tm_year = (int)(year - 1900),
        .tm_mon = (int)(month - 1),
        .tm_mday = (int)(doy - (153 * mp + 2) / 5 + 1),
        .tm_hour = (int)(rest / 3600),
        .tm_min = (int)(rest / 60 % 60),
        .tm_sec = (int)(rest % 60),
        .tm_wday = (int)(((days % 7) + 11) % 7),
        .tm_yday = (int)(month <= 2 ? doy - 306 : doy + 59 + leap),
        .tm_zone = "UTC",
    };
}

static void put(char *at, unsigned value, unsigned digits)
{
    while (digits-- > 0) {
        at[digits] = (char)('0' + value % 10);
        value /= 10;
    }
}

/* "2026-11-23T17:50:08.240Z". What is common to a second is kept. */
static void print_default(int64_t s, uint32_t ns, struct weir_format_value *v)
{
    static _Thread_local struct {
        int64_t s;
        char text[24];
    } kept = {.text = "1970-01-01T00:00:00.000"};
    if (s != kept.s) {
        struct tm tm;
        break_down(s, &tm);
        kept.s = s;
        put(kept.text, (unsigned)(tm.tm_year + 1900), 4);
        put(kept.text + 5, (unsigned)tm.tm_mon + 1, 2);
        put(kept.text + 8, (unsigned)tm.tm_mday, 2);
        put(kept.text + 11, (unsigned)tm.tm_hour, 2);
        put(kept.text + 14, (unsigned)tm.tm_min, 2);
        put(kept.text + 17, (unsigned)tm.tm_sec, 2);
    }
    memcpy(v->buf, kept.text, 23);
    put(v->buf + 20, ns / 1000000, 3);
    v->buf[23] = 'Z';
    v->text = weir_slice(v->buf, 24);
}

void weir_format_time_print(const struct weir_format_time *format, int64_t wall_ns, bool local,
                            struct weir_format_value *v)
{
    struct tm tm;
    int64_t s = wall_ns / 1000000000;
    uint32_t ns = (uint32_t)(wall_ns % 1000000000);
    time_t seconds = (time_t)s;
    v->kind = WEIR_FORMAT_TEXT;
    if (!format) {
        print_default(s, ns, v);
        return;
    }
    if (!local || !localtime_r(&seconds, &tm))
        break_down(s, &tm);
    size_t len = 0;
    for (uint32_t i = 0; i < format->n; i++) {
        const struct part *part = &format->v[i];
        size_t room = sizeof(v->buf) - len;
        if (part->kind == PART_STRFTIME) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            len += strftime(v->buf + len, room, part->format, &tm);
#pragma GCC diagnostic pop
        } else if (part->kind == PART_EPOCH && room > 24) {
            len += (size_t)snprintf(v->buf + len, room, "%lld", (long long)s);
        } else if (part->kind == PART_FRACTION && room > part->digits) {
            char digits[9];
            put(digits, ns, 9);
            memcpy(v->buf + len, digits, part->digits);
            len += part->digits;
        }
    }
    v->text = weir_slice(v->buf, len);
}
