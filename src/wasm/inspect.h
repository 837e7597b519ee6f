/* `weir inspect FILE.wasm`: what a module is and whether weir has all that it asks for. */
#ifndef WEIR_WASM_INSPECT_H
#define WEIR_WASM_INSPECT_H

#include <stdio.h>

/** Prints to `out`; reasons why it cannot be a filter to `err`. Returns the exit status: 0 = it can. */
int weir_wasm_inspect(const char *path, FILE *out, FILE *err);

#endif
