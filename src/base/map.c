/* Open addressing with linear probing, at most three quarters full; removal shifts the cluster back, so there are no tombstones. */
#include "base/map.h"

#include "base/mem.h"

struct weir_map_slot {
    uint64_t hash;
    struct weir_slice key;
    void *value; /* NULL = empty slot */
};

#define FIRST_CAP 16

void weir_map_init(struct weir_map *map)
{
    *map = (struct weir_map){0};
}

void weir_map_fini(struct weir_map *map)
{
    weir_free(map->slots);
    weir_map_init(map);
}

/* The slot that holds `key`, or the empty one where it belongs. The table must have an empty slot. */
static struct weir_map_slot *find_slot(const struct weir_map *map, struct weir_slice key, uint64_t hash)
{
    size_t mask = map->cap - 1;
    for (size_t i = (size_t)hash & mask;; i = (i + 1) & mask) {
        struct weir_map_slot *slot = &map->slots[i];
        if (!slot->value || (slot->hash == hash && weir_slice_eq(slot->key, key))) {
            return slot;
        }
    }
}

static void grow(struct weir_map *map)
{
    struct weir_map old = *map;
    size_t bytes;
    map->cap = old.cap ? old.cap * 2 : FIRST_CAP;
    if (!weir_size_mul(map->cap, sizeof(*map->slots), &bytes)) {
        WEIR_FATAL("map too large");
    }
    map->slots = weir_zalloc(bytes);
    for (size_t i = 0; i < old.cap; i++) {
        if (old.slots[i].value) {
            *find_slot(map, old.slots[i].key, old.slots[i].hash) = old.slots[i];
        }
    }
    weir_free(old.slots);
}

void *weir_map_get(const struct weir_map *map, struct weir_slice key)
{
    return map->len ? find_slot(map, key, weir_slice_hash(key))->value : NULL;
}

void *weir_map_set(struct weir_map *map, struct weir_slice key, void *value)
{
    WEIR_ASSERT(value);
    if (map->len >= map->cap - map->cap / 4) {
        grow(map);
    }
    uint64_t hash = weir_slice_hash(key);
    struct weir_map_slot *slot = find_slot(map, key, hash);
    void *old = slot->value;
    if (!old) {
        slot->hash = hash;
        slot->key = key;
        map->len++;
    }
    slot->value = value;
    return old;
}

void *weir_map_remove(struct weir_map *map, struct weir_slice key)
{
    if (map->len == 0) {
        return NULL;
    }
    size_t mask = map->cap - 1;
    struct weir_map_slot *slot = find_slot(map, key, weir_slice_hash(key));
    void *value = slot->value;
    if (!value) {
        return NULL;
    }
    map->len--;
    size_t hole = (size_t)(slot - map->slots);
    for (size_t i = (hole + 1) & mask; map->slots[i].value; i = (i + 1) & mask) {
        size_t home = (size_t)map->slots[i].hash & mask;
        if (((i - home) & mask) >=
            ((i - hole) & mask)) { /* its home is not between the hole and itself: move it back */
            map->slots[hole] = map->slots[i];
            hole = i;
        }
    }
    map->slots[hole] = (struct weir_map_slot){0};
    return value;
}

bool weir_map_next(const struct weir_map *map, size_t *iter, struct weir_slice *ret_key, void **ret_value)
{
    for (; *iter < map->cap; (*iter)++) {
        const struct weir_map_slot *slot = &map->slots[*iter];
        if (slot->value) {
            *ret_key = slot->key;
            *ret_value = slot->value;
            (*iter)++;
            return true;
        }
    }
    return false;
}
