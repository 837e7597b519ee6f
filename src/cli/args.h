/* The command line as a table: one row an option; parsing, --help and the man page all read the same rows. */
#ifndef WEIR_CLI_ARGS_H
#define WEIR_CLI_ARGS_H

#include <stdbool.h>
#include <stdio.h>

#include "server/options.h"

enum weir_args_action { WEIR_ARGS_RUN, WEIR_ARGS_HELP, WEIR_ARGS_VERSION, WEIR_ARGS_HOT_RESTART_VERSION, WEIR_ARGS_MAN, WEIR_ARGS_FEATURES, WEIR_ARGS_SCHEMA, WEIR_ARGS_FAULT };

/** Reads argv. On FAULT the reason and what to write instead have been printed to `err`. Values are borrowed from argv. */
enum weir_args_action weir_args_parse(int argc, char **argv, struct weir_options *options, FILE *err);
/** The text of --help. */
void weir_args_help(FILE *out);
/** The man page weir(1), as roff. */
void weir_args_man(FILE *out);

#endif
