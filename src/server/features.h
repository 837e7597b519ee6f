/* What weir implements, for `weir --print-feature-table` and `weir --print-json-schema`. */
#ifndef WEIR_SERVER_FEATURES_H
#define WEIR_SERVER_FEATURES_H

#include <stdio.h>

/** Which fields of which messages, as Markdown. */
void weir_features_print(FILE *out);
/** The same as a JSON Schema, for editors. */
void weir_features_print_schema(FILE *out);

#endif
