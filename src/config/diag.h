/* Diagnostics: everything that is wrong with a configuration, collected in one run and printed sorted by
 * place, as `file:line:column: path.to.field: what is wrong (what to write instead)`. */
#ifndef WEIR_CONFIG_DIAG_H
#define WEIR_CONFIG_DIAG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/slice.h"

/** A place in a source. Lines and columns count from 1 (columns in characters); line 0 = no place known. */
struct weir_pos {
    uint32_t line;
    uint16_t column; // 65535 = that or further
    uint16_t source; // index into weir_diag.sources
};

enum weir_severity { WEIR_SEVERITY_ERROR, WEIR_SEVERITY_WARNING };

struct weir_diag_entry {
    enum weir_severity severity;
    struct weir_pos pos;
    struct weir_slice path;    // "static_resources.listeners[0].name"; empty = the whole file
    struct weir_slice message; // one line, no full stop
    struct weir_slice hint;    // what to write instead; absent = none
    uint32_t order;            // of its reporting: keeps the sort stable
};

struct weir_diag_source {
    struct weir_slice name; // as the user wrote it
    struct weir_slice text; // for excerpts; absent = none
};

struct weir_diag {
    struct weir_arena arena;
    struct weir_diag_entry *entries;
    size_t n_entries, cap_entries;
    struct weir_diag_source *sources;
    size_t n_sources;
    size_t n_errors, n_warnings; // all that were reported, kept or not
    size_t n_kept[2];            // by severity
    bool last_dropped;           // the latest report was not kept (WEIR_CONFIG_DIAGS_MAX)
};

void weir_diag_init(struct weir_diag *diag);
void weir_diag_fini(struct weir_diag *diag);

/** Names a source and returns its index. Copies `name`, borrows `text` until weir_diag_fini. At most 65535.
 * */
uint16_t weir_diag_add_source(struct weir_diag *diag, struct weir_slice name, struct weir_slice text);

/** Reports. Copies `path` and the formatted message. */
WEIR_PRINTF(5, 6)
void weir_diag_report(struct weir_diag *diag, enum weir_severity severity, struct weir_pos pos,
                      struct weir_slice path, const char *fmt, ...);
WEIR_PRINTF(5, 0)
void weir_diag_vreport(struct weir_diag *diag, enum weir_severity severity, struct weir_pos pos,
                       struct weir_slice path, const char *fmt, va_list args);
/** Would a report of this severity be counted only? Then there is no use in making a long one. */
bool weir_diag_is_full(const struct weir_diag *diag, enum weir_severity severity);
/** Adds to the latest report what to write instead: `did you mean "x"?`, `write "5s"`. */
WEIR_PRINTF(2, 3) void weir_diag_hint(struct weir_diag *diag, const char *fmt, ...);

enum weir_diag_format { WEIR_DIAG_TEXT, WEIR_DIAG_JSON };
struct weir_diag_style {
    enum weir_diag_format format;
    bool excerpt;     // the source line with a caret below each text diagnostic
    bool colour;      // ANSI colours in text
    bool no_warnings; // errors only
    size_t max;       // entries to print, 0 = all; "and N more" follows
};
/** Excerpts and colour if `out` is a terminal (and NO_COLOR is not set), at most WEIR_CONFIG_DIAGS_SHOWN. */
struct weir_diag_style weir_diag_style_for(FILE *out);
/** Prints sorted by source, line and column, errors and warnings together, then a summary line when there is
 *  more than one. Nothing when there is nothing. JSON: one array of {severity, file, line, column, path,
 *  message, hint}. */
void weir_diag_print(struct weir_diag *diag, FILE *out, const struct weir_diag_style *style);

#endif
