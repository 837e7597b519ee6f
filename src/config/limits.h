/* What a configuration text may ask of the reader. Each limit names the file that it stops. */
#ifndef WEIR_CONFIG_LIMITS_H
#define WEIR_CONFIG_LIMITS_H

/* A file larger than this is refused unread. Envoy has no limit; 64 MiB is some 500,000 routes. */
#define WEIR_CONFIG_FILE_MAX (64u << 20)
/* Maps and lists inside each other: a stack exhausted by "[[[[[...". Envoy: 100 (protobuf's JSON reader). */
#define WEIR_CONFIG_DEPTH_MAX 100
/* Values of a document. */
#define WEIR_CONFIG_NODES_MAX (8u << 20)
/* Values that aliases add, counted as often as they are used: the "billion laughs" file. Envoy has no limit.
 * */
#define WEIR_CONFIG_ALIASED_MAX (1u << 20)
/* Keys that an object with merge keys may have: they are compared one by one. */
#define WEIR_CONFIG_MERGED_MAX 4096
/* Errors kept, and warnings kept; the rest is only counted. A file of another format would give one a line.
 * */
#define WEIR_CONFIG_DIAGS_MAX 1000
/* Diagnostics printed unless asked for all. */
#define WEIR_CONFIG_DIAGS_SHOWN 20

#endif
