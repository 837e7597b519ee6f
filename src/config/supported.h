/* Which fields of Envoy's messages weir implements. Each consumer declares a table next to the code that
 * reads the message; whatever a file sets beyond it is refused by name at its place, so nothing is ever
 * silently ignored.
 *
 *     static const struct weir_supported_field cluster_fields[] = {
 *         {.name = "name"},
 *         {.name = "type", .values = "STATIC STRICT_DNS"},
 *         {.name = "load_assignment", .nested = &assignment_supported},
 *         {.name = "alt_stat_name", .state = WEIR_FIELD_IGNORED, .note = "statistics use the name"},
 *         {.name = "ignore_health_on_host_removal", .state = WEIR_FIELD_HARMLESS, .values = "false"},
 *     };
 *     const struct weir_supported_fields cluster_supported = WEIR_SUPPORTED(
 *         envoy__config__cluster__v3__cluster__descriptor, cluster_fields);
 */
#ifndef WEIR_CONFIG_SUPPORTED_H
#define WEIR_CONFIG_SUPPORTED_H

#include "config/config.h"

enum weir_field_state {
    WEIR_FIELD_SUPPORTED = 0,
    WEIR_FIELD_IGNORED,  // accepted with a warning that tells `note`
    WEIR_FIELD_HARMLESS, // accepted in silence: it changes nothing here (with `values`: those values only)
};

struct weir_supported_field {
    const char *name; // proto name
    enum weir_field_state state;
    /* The values that are implemented, separated by spaces, as one writes them: enumerators, numbers, true,
     * false, durations ("0s"). NULL = all. Any other value is refused and these are named. Enumerators,
     * wrappers and durations compare by meaning. */
    const char *values;
    const char *note; // for docs and for the warning of WEIR_FIELD_IGNORED
    const struct weir_supported_fields
        *nested; // checks the message(s) inside as well (repeated, map values too)
};

struct weir_supported_fields {
    const ProtobufCMessageDescriptor *type;
    const struct weir_supported_field *fields;
    size_t n_fields;
};
#define WEIR_SUPPORTED(descriptor, table)           \
    {                                               \
        &(descriptor), (table), WEIR_COUNTOF(table) \
    }

/** Reports every field of `msg` that is set, not at its default and not in `table` (an object without content
 *  counts as set: `outlier_detection: {}` turns it on): "known to Envoy, not
 *  implemented by weir yet". Returns whether nothing was refused. `msg` must be of the table's type; NULL is
 *  fine. */
bool weir_config_check_supported(struct weir_config *conf, const void *msg,
                                 const struct weir_supported_fields *table);

/** Prints the tables, and those that they lead to, as Markdown: a heading a message, a row a field. NULL ones
 * are left out. */
void weir_supported_print(FILE *out, const struct weir_supported_fields *const *tables, size_t n_tables);

#endif
