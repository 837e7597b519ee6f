/* A parser that shares nothing with the codec, to judge what the codec writes. */
#ifndef WEIR_TESTS_STRICT_HTTP1_H
#define WEIR_TESTS_STRICT_HTTP1_H

#include <stdbool.h>
#include <stddef.h>

/** Exactly one request or response at the start of `s`, RFC 9112 to the letter: its length, 0 if it is malformed or incomplete.
 * `bodiless`: it has no body whatever its fields say. */
size_t strict_parse(const char *s, size_t len, bool bodiless);

#endif
