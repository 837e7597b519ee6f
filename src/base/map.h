/* Hash map from byte string to pointer: open addressing, seeded hash. Keys are borrowed and must outlive the entry. */
#ifndef WEIR_BASE_MAP_H
#define WEIR_BASE_MAP_H

#include "base/slice.h"

struct weir_map {
    struct weir_map_slot *slots;
    size_t len;
    size_t cap; /* power of two, 0 = none yet */
};

void weir_map_init(struct weir_map *map);
/** Frees the table, not the values. */
void weir_map_fini(struct weir_map *map);
/** The value of `key`, or NULL. */
void *weir_map_get(const struct weir_map *map, struct weir_slice key);
/** Sets `key` to `value` (not NULL); returns the value it had before, or NULL. The key of a new entry is borrowed. */
void *weir_map_set(struct weir_map *map, struct weir_slice key, void *value);
/** Removes `key`; returns its value, or NULL. */
void *weir_map_remove(struct weir_map *map, struct weir_slice key);
/** Walks all entries in no order: start with *iter = 0; false at the end. The map must not change meanwhile. */
bool weir_map_next(const struct weir_map *map, size_t *iter, struct weir_slice *ret_key, void **ret_value);

#endif
