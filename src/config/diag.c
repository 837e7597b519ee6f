/* Diagnostics: collecting them, sorting them by place, printing them for people (excerpt and caret, colour on
 * a terminal) and for programs (JSON). It decides nothing about what is wrong: the reader and the later
 * checks do.
 *
 * Texts quote the user's file, so everything printed to a terminal is stripped of control characters. */
#include "config/diag.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "config/limits.h"

#define EXCERPT_WIDTH  120        // characters of a source line to show
#define JSON_ENTRY_MAX (1u << 20) // bytes of one entry

void weir_diag_init(struct weir_diag *diag)
{
    *diag = (struct weir_diag){0};
    weir_arena_init(&diag->arena, NULL);
}

void weir_diag_fini(struct weir_diag *diag)
{
    weir_free(diag->entries);
    weir_free(diag->sources);
    weir_arena_fini(&diag->arena);
    *diag = (struct weir_diag){0};
}

uint16_t weir_diag_add_source(struct weir_diag *diag, struct weir_slice name, struct weir_slice text)
{
    if (diag->n_sources == UINT16_MAX)
        return UINT16_MAX - 1;
    if ((diag->n_sources & (diag->n_sources - 1)) == 0) { // a power of two, or none yet
        size_t cap = diag->n_sources ? diag->n_sources * 2 : 1;
        diag->sources = weir_xrealloc(diag->sources, cap * sizeof(*diag->sources));
    }
    diag->sources[diag->n_sources] = (struct weir_diag_source){weir_arena_dup(&diag->arena, name), text};
    return (uint16_t)diag->n_sources++;
}

WEIR_PRINTF(2, 0)
static struct weir_slice format_text(struct weir_arena *arena, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    struct weir_slice text = {"", 0};
    if (len > 0) {
        char *buf = weir_arena_alloc(arena, (size_t)len + 1);
        vsnprintf(buf, (size_t)len + 1, fmt, again);
        text = weir_slice(buf, (size_t)len);
    }
    va_end(again);
    return text;
}

bool weir_diag_is_full(const struct weir_diag *diag, enum weir_severity severity)
{
    return diag->n_kept[severity] >= WEIR_CONFIG_DIAGS_MAX;
}

void weir_diag_vreport(struct weir_diag *diag, enum weir_severity severity, struct weir_pos pos,
                       struct weir_slice path, const char *fmt, va_list args)
{
    if (severity == WEIR_SEVERITY_ERROR) {
        diag->n_errors++;
    } else {
        diag->n_warnings++;
    }
    diag->last_dropped = weir_diag_is_full(diag, severity);
    if (diag->last_dropped)
        return;
    diag->n_kept[severity]++;
    if (diag->n_entries == diag->cap_entries) {
        diag->cap_entries = diag->cap_entries ? diag->cap_entries * 2 : 16;
        diag->entries = weir_xrealloc(diag->entries, diag->cap_entries * sizeof(*diag->entries));
    }
    diag->entries[diag->n_entries] = (struct weir_diag_entry){
        .severity = severity,
        .pos = pos,
        .path = weir_arena_dup(&diag->arena, path),
        .message = format_text(&diag->arena, fmt, args),
        .order = (uint32_t)diag->n_entries,
    };
    diag->n_entries++;
}

void weir_diag_report(struct weir_diag *diag, enum weir_severity severity, struct weir_pos pos,
                      struct weir_slice path, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    weir_diag_vreport(diag, severity, pos, path, fmt, args);
    va_end(args);
}

void weir_diag_hint(struct weir_diag *diag, const char *fmt, ...)
{
    if (diag->last_dropped || diag->n_entries == 0)
        return;
    va_list args;
    va_start(args, fmt);
    diag->entries[diag->n_entries - 1].hint = format_text(&diag->arena, fmt, args);
    va_end(args);
}

struct weir_diag_style weir_diag_style_for(FILE *out)
{
    bool tty = isatty(fileno(out)) == 1;
    const char *no_color = getenv("NO_COLOR");
    return (struct weir_diag_style){
        .format = WEIR_DIAG_TEXT,
        .excerpt = tty,
        .colour = tty && !(no_color && *no_color),
        .max = WEIR_CONFIG_DIAGS_SHOWN,
    };
}

/* ---- printing ---- */

static int compare_entries(const void *left, const void *right)
{
    const struct weir_diag_entry *a = left, *b = right;
    if (a->pos.source != b->pos.source)
        return a->pos.source < b->pos.source ? -1 : 1;
    if (a->pos.line != b->pos.line)
        return a->pos.line < b->pos.line ? -1 : 1;
    if (a->pos.column != b->pos.column)
        return a->pos.column < b->pos.column ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

/* One mistake in an anchored value is found wherever the anchor is used: the first report stands for all. */
static bool is_repetition(const struct weir_diag_entry *a, const struct weir_diag_entry *b)
{
    return a->pos.line != 0 && a->pos.line == b->pos.line && a->pos.column == b->pos.column &&
           a->pos.source == b->pos.source && weir_slice_eq(a->message, b->message);
}

static void sort_entries(struct weir_diag *diag)
{
    if (diag->n_entries == 0)
        return;
    qsort(diag->entries, diag->n_entries, sizeof(*diag->entries), compare_entries);
    size_t kept = 0;
    for (size_t i = 0; i < diag->n_entries; i++) {
        struct weir_diag_entry *entry = &diag->entries[i];
        if (kept > 0 && is_repetition(entry, &diag->entries[kept - 1])) {
            size_t *count = entry->severity == WEIR_SEVERITY_ERROR ? &diag->n_errors : &diag->n_warnings;
            (*count)--;
            continue;
        }
        diag->entries[kept++] = *entry;
    }
    diag->n_entries = kept;
}

static void put_clean(FILE *out, struct weir_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c < 0x20 || c == 0x7f) {
            fputc(c == '\n' || c == '\t' ? ' ' : '?', out);
        } else {
            fputc(c, out);
        }
    }
}

static struct weir_slice source_name(const struct weir_diag *diag, struct weir_pos pos)
{
    return pos.source < diag->n_sources ? diag->sources[pos.source].name : WEIR_S("configuration");
}

static struct weir_slice source_line(struct weir_slice text, uint32_t line)
{
    struct weir_slice rest = text, found = WEIR_S_NONE;
    if (text.len >= 3 && memcmp(text.ptr, "\xef\xbb\xbf", 3) == 0)
        rest = weir_slice_from(text, 3);
    for (uint32_t i = 0; i < line; i++) {
        if (rest.len == 0 && i > 0)
            return WEIR_S_NONE;
        size_t end = weir_slice_find(rest, '\n');
        found = weir_slice_first(rest, end);
        rest = weir_slice_from(rest, end + 1);
    }
    if (found.len > 0 && found.ptr[found.len - 1] == '\r')
        found.len--;
    return found;
}

/* Offset of the character number `index` (0 = first), at most the length. */
static size_t char_offset(struct weir_slice text, size_t index)
{
    size_t i = 0;
    while (i < text.len && index > 0) {
        i++;
        while (i < text.len && ((unsigned char)text.ptr[i] & 0xc0) == 0x80)
            i++;
        index--;
    }
    return i;
}

static void print_excerpt(const struct weir_diag *diag, FILE *out, struct weir_pos pos, bool colour)
{
    if (pos.source >= diag->n_sources || pos.line == 0)
        return;
    struct weir_slice line = source_line(diag->sources[pos.source].text, pos.line);
    if (!line.ptr || line.len == 0)
        return;
    size_t column = pos.column ? pos.column - 1u : 0;
    size_t first = column > EXCERPT_WIDTH * 2 / 3 ? column - EXCERPT_WIDTH / 2 : 0;
    size_t from = char_offset(line, first);
    struct weir_slice shown = weir_slice_from(line, from);
    shown = weir_slice_first(shown, char_offset(shown, EXCERPT_WIDTH));
    bool cut = from + shown.len < line.len;

    fprintf(out, "%6u | %s", (unsigned)pos.line, first ? "..." : "");
    put_clean(out, shown);
    fprintf(out, "%s\n       | ", cut ? "..." : "");
    size_t pad = column - first + (first ? 3 : 0);
    for (size_t i = 0; i < pad; i++)
        fputc(' ', out);
    fputs(colour ? "\033[1;32m^\033[0m\n" : "^\n", out);
}

static void print_entry(const struct weir_diag *diag, FILE *out, const struct weir_diag_entry *entry,
                        const struct weir_diag_style *style)
{
    const char *bold = style->colour ? "\033[1m" : "", *reset = style->colour ? "\033[0m" : "";
    const char *tint = !style->colour                           ? ""
                       : entry->severity == WEIR_SEVERITY_ERROR ? "\033[1;31m"
                                                                : "\033[1;35m";
    fputs(bold, out);
    put_clean(out, source_name(diag, entry->pos));
    if (entry->pos.line)
        fprintf(out, ":%u:%u", (unsigned)entry->pos.line, (unsigned)entry->pos.column);
    fprintf(out, ":%s ", reset);
    if (entry->severity == WEIR_SEVERITY_WARNING)
        fprintf(out, "%swarning:%s ", tint, reset);
    if (entry->path.len > 0) {
        put_clean(out, entry->path);
        fputs(": ", out);
    }
    if (entry->severity == WEIR_SEVERITY_ERROR)
        fputs(tint, out);
    put_clean(out, entry->message);
    if (entry->severity == WEIR_SEVERITY_ERROR)
        fputs(reset, out);
    if (entry->hint.len > 0) {
        fputs(" (", out);
        put_clean(out, entry->hint);
        fputc(')', out);
    }
    fputc('\n', out);
    if (style->excerpt)
        print_excerpt(diag, out, entry->pos, style->colour);
}

static const char *plural(size_t n)
{
    return n == 1 ? "" : "s";
}

/* "2 errors, 1 warning" */
static void print_counts(FILE *out, size_t n_errors, size_t n_warnings)
{
    if (n_errors)
        fprintf(out, "%zu error%s", n_errors, plural(n_errors));
    if (n_errors && n_warnings)
        fputs(", ", out);
    if (n_warnings)
        fprintf(out, "%zu warning%s", n_warnings, plural(n_warnings));
}

static void print_text(const struct weir_diag *diag, FILE *out, const struct weir_diag_style *style)
{
    /* Errors have the first claim on the places, so that no flood of warnings hides one. */
    size_t places = style->max ? style->max : SIZE_MAX, kept_errors = 0;
    for (size_t i = 0; i < diag->n_entries; i++)
        kept_errors += diag->entries[i].severity == WEIR_SEVERITY_ERROR;
    size_t left[2] = {WEIR_MIN(kept_errors, places),
                      style->no_warnings ? 0 : places - WEIR_MIN(kept_errors, places)};
    size_t shown[2] = {0, 0};
    for (size_t i = 0; i < diag->n_entries; i++) {
        const struct weir_diag_entry *entry = &diag->entries[i];
        if (left[entry->severity] == 0)
            continue;
        left[entry->severity]--;
        shown[entry->severity]++;
        print_entry(diag, out, entry, style);
    }
    size_t more_errors = diag->n_errors - shown[WEIR_SEVERITY_ERROR];
    size_t n_warnings = style->no_warnings ? 0 : diag->n_warnings;
    size_t more_warnings = n_warnings - shown[WEIR_SEVERITY_WARNING];
    if (more_errors + more_warnings > 0) {
        fputs("... and ", out);
        print_counts(out, more_errors, more_warnings);
        fputs(" more\n", out);
    }
    if (diag->n_errors + n_warnings > 1) {
        print_counts(out, diag->n_errors, n_warnings);
        fputc('\n', out);
    }
}

static void add_json_field(struct weir_str *str, const char *name, struct weir_slice value)
{
    weir_str_printf(str, ", \"%s\": \"", name);
    weir_str_add_json(str, value);
    weir_str_addc(str, '"');
}

static void print_json(const struct weir_diag *diag, FILE *out, const struct weir_diag_style *style)
{
    const char *before = "[";
    struct weir_str str;
    weir_str_init(&str, JSON_ENTRY_MAX);
    for (size_t i = 0; i < diag->n_entries; i++) {
        const struct weir_diag_entry *entry = &diag->entries[i];
        if (entry->severity == WEIR_SEVERITY_WARNING && style->no_warnings)
            continue;
        weir_str_clear(&str);
        weir_str_printf(&str, "%s\n {\"severity\": \"%s\"", before,
                        entry->severity == WEIR_SEVERITY_ERROR ? "error" : "warning");
        add_json_field(&str, "file", source_name(diag, entry->pos));
        if (entry->pos.line) {
            weir_str_printf(&str, ", \"line\": %u, \"column\": %u", (unsigned)entry->pos.line,
                            (unsigned)entry->pos.column);
        }
        if (entry->path.len)
            add_json_field(&str, "path", entry->path);
        add_json_field(&str, "message", entry->message);
        if (entry->hint.len)
            add_json_field(&str, "hint", entry->hint);
        weir_str_addc(&str, '}');
        fwrite(str.ptr, 1, str.len, out);
        before = ",";
    }
    fputs(*before == '[' ? "[]\n" : "\n]\n", out);
    weir_str_fini(&str);
}

void weir_diag_print(struct weir_diag *diag, FILE *out, const struct weir_diag_style *style)
{
    sort_entries(diag);
    if (style->format == WEIR_DIAG_JSON) {
        print_json(diag, out, style);
    } else {
        print_text(diag, out, style);
    }
}
