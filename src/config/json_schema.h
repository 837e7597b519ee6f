/* A JSON Schema of the configuration, for editors: completion and checks while one types. */
#ifndef WEIR_CONFIG_JSON_SCHEMA_H
#define WEIR_CONFIG_JSON_SCHEMA_H

#include "base/str.h"
#include "config/supported.h"

struct weir_json_schema {
    const struct weir_supported_fields *const *tables; // of what is implemented; NULL ones are passed over
    size_t n_tables;
    const char *const *extensions; // full names of the messages that an Any may hold
    size_t n_extensions;
};

/** Appends the schema (draft 7) of a Bootstrap. A message that a table is about has the fields of the table,
 *  any other all of Envoy's. Field names are those of the .proto files; lowerCamelCase ones pass unchecked.
 *  */
void weir_json_schema_print(struct weir_str *out, const struct weir_json_schema *schema);

#endif
