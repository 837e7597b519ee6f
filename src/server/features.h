/* What weir implements, for `weir --print-feature-table` and docs/FEATURES.md. */
#ifndef WEIR_SERVER_FEATURES_H
#define WEIR_SERVER_FEATURES_H

#include <stdio.h>

void weir_features_print(FILE *out);

#endif
