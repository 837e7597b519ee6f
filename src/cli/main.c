/* The program's entry: read the command line, do what it asks. */
#include <stdio.h>
#include <string.h>

#include "cli/args.h"
#include "server/features.h"
#include "server/server.h"
#ifdef WEIR_WASM
#include "wasm/inspect.h"
#endif

/* `weir COMMAND FILE`: what is done with a file instead of serving. */
static const struct {
    const char *name;
    int (*run)(const char *path, FILE *out, FILE *err);
} commands[] = {
#ifdef WEIR_WASM
    {"inspect", weir_wasm_inspect},
#endif
    {NULL, NULL},
};

static int print_version(void)
{
    printf("weir %s (Envoy API v3 of 1.40; Proxy-Wasm 0.1.0, 0.2.0, 0.2.1)\n", WEIR_VERSION);
    return 0;
}

int main(int argc, char **argv)
{
    struct weir_options options;
    for (size_t i = 0; argc == 3 && commands[i].name; i++)
        if (strcmp(argv[1], commands[i].name) == 0) return commands[i].run(argv[2], stdout, stderr);
    weir_options_init(&options);
    switch (weir_args_parse(argc, argv, &options, stderr)) {
    case WEIR_ARGS_RUN: return weir_server_main(&options);
    case WEIR_ARGS_HELP: weir_args_help(stdout); return 0;
    case WEIR_ARGS_VERSION: return print_version();
    case WEIR_ARGS_HOT_RESTART_VERSION: puts("disabled"); return 0;
    case WEIR_ARGS_MAN: weir_args_man(stdout); return 0;
    case WEIR_ARGS_FEATURES: weir_features_print(stdout); return 0;
    case WEIR_ARGS_SCHEMA: weir_features_print_schema(stdout); return 0;
    case WEIR_ARGS_FAULT: return 1;
    }
    return 1;
}
