/* Included before everything else in our own sources: turns calls that invite mistakes into compile errors.
 * Instead of the string functions: slices, weir_str, snprintf; of the number parsers: weir_parse_*; of gmtime and localtime:
 * their _r forms; of the allocator: base/mem.h (weir_free also frees what a library allocated with malloc). */
#ifndef WEIR_BASE_BANNED_H
#define WEIR_BASE_BANNED_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The C library defines these two inline, where an attribute comes too late. */
#define atoi(str) weir_parse_i64_instead_of_atoi(str)
#define atol(str) weir_parse_i64_instead_of_atol(str)

#if defined(__has_attribute)
#if __has_attribute(unavailable)
#define WEIR_BANNED(instead) __attribute__((unavailable("use " instead)))

char *strcpy(char *dest, const char *src) WEIR_BANNED("weir_str or memcpy");
char *strcat(char *dest, const char *src) WEIR_BANNED("weir_str");
char *strtok(char *str, const char *delim) WEIR_BANNED("weir_slice_next");
int sprintf(char *str, const char *fmt, ...) WEIR_BANNED("snprintf or weir_str_printf");
int vsprintf(char *str, const char *fmt, va_list ap) WEIR_BANNED("vsnprintf");
int sscanf(const char *str, const char *fmt, ...) WEIR_BANNED("weir_slice_next and weir_parse_*");
struct tm *gmtime(const time_t *time) WEIR_BANNED("gmtime_r");
struct tm *localtime(const time_t *time) WEIR_BANNED("localtime_r");

#ifndef WEIR_MAY_ALLOCATE
void *malloc(size_t size) WEIR_BANNED("weir_xalloc");
void *calloc(size_t n, size_t size) WEIR_BANNED("weir_zalloc");
void *realloc(void *ptr, size_t size) WEIR_BANNED("weir_xrealloc");
void free(void *ptr) WEIR_BANNED("weir_free");
#endif

#endif
#endif

#endif
