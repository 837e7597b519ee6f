/* The header map: a vector of fields in the stream's arena, in order of arrival, pseudo-headers in front. Names that weir knows
 * are interned: their text is static and they are compared as integers. Here too: the table that finds a name's id. */
#include "http/headers.h"

#include <assert.h>

#include "http/chars.h"

static_assert(WEIR_H_COUNT <= 128, "one bit a name in weir_headers.present");

static const struct weir_slice names[WEIR_H_COUNT] = {
    [WEIR_H_OTHER] = WEIR_S_INIT(""),
#define X(id, name) [WEIR_H_##id] = WEIR_S_INIT(name),
    WEIR_HEADER_IDS(X)
#undef X
};

/* Open addressing; four times as many slots as names keep chains at one or two. */
#define NAME_SLOTS 512u
static uint8_t name_slots[NAME_SLOTS];

static uint64_t load_le(const char *ptr, size_t len)
{
    uint64_t word = 0;
    memcpy(&word, ptr, len);
    return word;
}

static unsigned name_hash(struct weir_slice s)
{
    uint64_t word;
    if (s.len >= 8) {
        word = load_le(s.ptr, 8) ^ (load_le(s.ptr + s.len - 8, 8) * UINT64_C(0x9e3779b97f4a7c15));
    } else if (s.len >= 4) {
        word = load_le(s.ptr, 4) | load_le(s.ptr + s.len - 4, 4) << 32;
    } else {
        word = load_le(s.ptr, s.len);
    }
    word = (word + s.len) * UINT64_C(0xd6e8feb86659fd93);
    return (unsigned)(word >> 55);
}

/* Before main: threads only ever read the table. */
__attribute__((constructor)) static void fill_name_slots(void)
{
    for (unsigned id = 1; id < WEIR_H_COUNT; id++) {
        unsigned slot = name_hash(names[id]);
        while (name_slots[slot]) {
            slot = (slot + 1) % NAME_SLOTS;
        }
        name_slots[slot] = (uint8_t)id;
    }
}

enum weir_header_id weir_header_id_of(struct weir_slice lower_name)
{
    if (lower_name.len == 0) {
        return WEIR_H_OTHER;
    }
    for (unsigned slot = name_hash(lower_name); name_slots[slot]; slot = (slot + 1) % NAME_SLOTS) {
        struct weir_slice known = names[name_slots[slot]];
        if (known.len == lower_name.len && memcmp(known.ptr, lower_name.ptr, known.len) == 0) {
            return (enum weir_header_id)name_slots[slot];
        }
    }
    return WEIR_H_OTHER;
}

struct weir_slice weir_header_name(enum weir_header_id id)
{
    return names[id];
}

void weir_headers_init(struct weir_headers *h, struct weir_arena *arena)
{
    *h = (struct weir_headers){.arena = arena};
}

#define FIRST_CAP 16u

static WEIR_COLD void grow(struct weir_headers *h)
{
    uint32_t cap = h->cap ? h->cap * 2 : FIRST_CAP;
    struct weir_header *v = weir_arena_alloc(h->arena, cap * sizeof(*v));
    if (h->n) {
        memcpy(v, h->v, h->n * sizeof(*v));
    }
    h->v = v;
    h->cap = cap;
}

static bool is_pseudo(const struct weir_header *f)
{
    return f->name.len > 0 && f->name.ptr[0] == ':';
}

static void insert(struct weir_headers *h, struct weir_header field)
{
    if (WEIR_UNLIKELY(h->n == h->cap)) {
        grow(h);
    }
    uint32_t at = h->n;
    if (is_pseudo(&field)) {
        at = 0;
        while (at < h->n && is_pseudo(&h->v[at])) {
            at++;
        }
        memmove(h->v + at + 1, h->v + at, (h->n - at) * sizeof(*h->v));
    }
    h->v[at] = field;
    h->n++;
    h->bytes += field.name.len + field.value.len;
    h->present[field.id >> 6] |= UINT64_C(1) << (field.id & 63);
    h->generation++;
}

void weir_headers_add_borrow(struct weir_headers *h, enum weir_header_id id, struct weir_slice value)
{
    insert(h, (struct weir_header){names[id], value, (uint16_t)id});
}

void weir_headers_add(struct weir_headers *h, enum weir_header_id id, struct weir_slice value)
{
    weir_headers_add_borrow(h, id, weir_arena_dup(h->arena, value));
}

void weir_headers_add_name_borrow(struct weir_headers *h, struct weir_slice lower_name,
                                  enum weir_header_id id, struct weir_slice value)
{
    insert(h, (struct weir_header){id == WEIR_H_OTHER ? lower_name : names[id], value, (uint16_t)id});
}

/* The longest interned name fits; longer ones cannot be interned and need no copy to find out. */
#define INTERN_MAX 48

static enum weir_header_id intern(struct weir_slice name)
{
    char lower[INTERN_MAX];
    if (name.len > sizeof(lower)) {
        return WEIR_H_OTHER;
    }
    for (size_t i = 0; i < name.len; i++) {
        lower[i] = weir_lower(name.ptr[i]);
    }
    return weir_header_id_of(weir_slice(lower, name.len));
}

void weir_headers_add_name(struct weir_headers *h, struct weir_slice name, struct weir_slice value)
{
    enum weir_header_id id = intern(name);
    struct weir_slice lower = id == WEIR_H_OTHER ? weir_arena_dup_lower(h->arena, name) : names[id];
    insert(h, (struct weir_header){lower, weir_arena_dup(h->arena, value), (uint16_t)id});
}

static bool same_name(const struct weir_header *f, enum weir_header_id id, struct weir_slice lower_name)
{
    return id != WEIR_H_OTHER ? f->id == id : f->id == WEIR_H_OTHER && weir_slice_eq(f->name, lower_name);
}

static uint32_t index_of(const struct weir_headers *h, enum weir_header_id id, struct weir_slice lower_name)
{
    if (!(h->present[(unsigned)id >> 6] & (UINT64_C(1) << ((unsigned)id & 63)))) {
        return h->n;
    }
    uint32_t i = 0;
    while (i < h->n && !same_name(&h->v[i], id, lower_name)) {
        i++;
    }
    return i;
}

/* Removes the named fields from index `start` on: one pass, order kept. */
static uint32_t remove_from(struct weir_headers *h, uint32_t start, enum weir_header_id id,
                            struct weir_slice lower_name)
{
    uint32_t kept = start;
    for (uint32_t i = start; i < h->n; i++) {
        if (same_name(&h->v[i], id, lower_name)) {
            h->bytes -= h->v[i].name.len + h->v[i].value.len;
        } else {
            h->v[kept++] = h->v[i];
        }
    }
    uint32_t removed = h->n - kept;
    h->n = kept;
    h->generation += removed > 0;
    return removed;
}

static void set_value(struct weir_headers *h, uint32_t i, struct weir_slice value)
{
    h->bytes = h->bytes - h->v[i].value.len + value.len;
    h->v[i].value = value;
    h->generation++;
}

static void set(struct weir_headers *h, enum weir_header_id id, struct weir_slice lower_name,
                struct weir_slice value)
{
    uint32_t i = index_of(h, id, lower_name);
    if (i == h->n) {
        insert(h, (struct weir_header){lower_name, value, (uint16_t)id});
        return;
    }
    set_value(h, i, value);
    (void)remove_from(h, i + 1, id, lower_name);
}

void weir_headers_set_borrow(struct weir_headers *h, enum weir_header_id id, struct weir_slice value)
{
    set(h, id, names[id], value);
}

void weir_headers_set(struct weir_headers *h, enum weir_header_id id, struct weir_slice value)
{
    set(h, id, names[id], weir_arena_dup(h->arena, value));
}

void weir_headers_set_name(struct weir_headers *h, struct weir_slice name, struct weir_slice value)
{
    enum weir_header_id id = intern(name);
    struct weir_slice lower = id == WEIR_H_OTHER ? weir_arena_dup_lower(h->arena, name) : names[id];
    set(h, id, lower, weir_arena_dup(h->arena, value));
}

static size_t format_u64(char *end, uint64_t value)
{
    size_t len = 0;
    do {
        end[-(ptrdiff_t)++len] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return len;
}

void weir_headers_set_u64(struct weir_headers *h, enum weir_header_id id, uint64_t value)
{
    char text[20];
    size_t len = format_u64(text + sizeof(text), value);
    weir_headers_set(h, id, weir_slice(text + sizeof(text) - len, len));
}

void weir_headers_append(struct weir_headers *h, enum weir_header_id id, struct weir_slice value)
{
    uint32_t i = index_of(h, id, names[id]);
    if (i == h->n || h->v[i].value.len == 0) {
        weir_headers_set(h, id, value);
        return;
    }
    struct weir_slice old = h->v[i].value;
    char *joined = weir_arena_alloc(h->arena, old.len + 1 + value.len);
    memcpy(joined, old.ptr, old.len);
    joined[old.len] = ',';
    if (value.len) {
        memcpy(joined + old.len + 1, value.ptr, value.len);
    }
    set_value(h, i, weir_slice(joined, old.len + 1 + value.len));
}

uint32_t weir_headers_remove(struct weir_headers *h, enum weir_header_id id)
{
    if (!(h->present[(unsigned)id >> 6] & (UINT64_C(1) << ((unsigned)id & 63)))) {
        return 0;
    }
    uint32_t removed = remove_from(h, 0, id, names[id]);
    h->present[(unsigned)id >> 6] &= ~(UINT64_C(1) << ((unsigned)id & 63));
    return removed;
}

uint32_t weir_headers_remove_name(struct weir_headers *h, struct weir_slice lower_name)
{
    enum weir_header_id id = weir_header_id_of(lower_name);
    return id != WEIR_H_OTHER ? weir_headers_remove(h, id) : remove_from(h, 0, id, lower_name);
}

void weir_headers_remove_at(struct weir_headers *h, uint32_t i)
{
    h->bytes -= h->v[i].name.len + h->v[i].value.len;
    memmove(h->v + i, h->v + i + 1, (h->n - i - 1) * sizeof(*h->v));
    h->n--;
    h->generation++;
}

void weir_headers_clear(struct weir_headers *h)
{
    h->n = 0;
    h->bytes = 0;
    h->present[0] = h->present[1] = 0;
    h->generation++;
}

static const struct weir_header_spelling *copy_spellings(struct weir_arena *arena,
                                                         const struct weir_header_spelling *from)
{
    struct weir_header_spelling *copies = NULL;
    for (; from; from = from->next) {
        struct weir_header_spelling *copy = weir_arena_alloc(arena, sizeof(*copy));
        *copy = (struct weir_header_spelling){copies, weir_arena_dup(arena, from->name)};
        copies = copy;
    }
    return copies;
}

void weir_headers_copy(struct weir_headers *to, const struct weir_headers *from)
{
    to->spellings = from->spellings ? copy_spellings(to->arena, from->spellings) : to->spellings;
    for (uint32_t i = 0; i < from->n; i++) {
        const struct weir_header *f = &from->v[i];
        struct weir_slice name = f->id != WEIR_H_OTHER ? f->name : weir_arena_dup(to->arena, f->name);
        insert(to, (struct weir_header){name, weir_arena_dup(to->arena, f->value), f->id});
    }
}

struct weir_header *weir_headers_find_name(const struct weir_headers *h, struct weir_slice lower_name)
{
    uint32_t i = index_of(h, weir_header_id_of(lower_name), lower_name);
    return i < h->n ? &h->v[i] : NULL;
}

struct weir_slice weir_headers_get_joined(const struct weir_headers *h, struct weir_slice lower_name,
                                          uint32_t *ret_n)
{
    enum weir_header_id id = weir_header_id_of(lower_name);
    uint32_t first = index_of(h, id, lower_name);
    uint32_t n = 0;
    size_t len = 0;
    for (uint32_t i = first; i < h->n; i++) {
        if (same_name(&h->v[i], id, lower_name)) {
            len += h->v[i].value.len + (n++ > 0);
        }
    }
    *ret_n = n;
    if (n == 0) {
        return WEIR_S_NONE;
    }
    if (n == 1) {
        return h->v[first].value;
    }
    char *joined = weir_arena_alloc(h->arena, len + 1);
    size_t at = 0;
    for (uint32_t i = first; i < h->n; i++) {
        struct weir_slice value = h->v[i].value;
        if (!same_name(&h->v[i], id, lower_name)) {
            continue;
        }
        if (i > first) {
            joined[at++] = ',';
        }
        if (value.len) {
            memcpy(joined + at, value.ptr, value.len);
        }
        at += value.len;
    }
    joined[at] = '\0';
    return weir_slice(joined, at);
}

bool weir_header_name_valid(struct weir_slice lower_name)
{
    struct weir_slice token = lower_name;
    if (token.len > 0 && token.ptr[0] == ':') {
        token = weir_slice_from(token, 1);
    }
    if (token.len == 0) {
        return false;
    }
    for (size_t i = 0; i < token.len; i++) {
        if ((weir_chars[(uint8_t)token.ptr[i]] & (WEIR_CHAR_TOKEN | WEIR_CHAR_UPPER)) != WEIR_CHAR_TOKEN) {
            return false;
        }
    }
    return true;
}

bool weir_header_value_valid(struct weir_slice value)
{
    return weir_value_clean(value);
}

uint32_t weir_headers_status(const struct weir_headers *h)
{
    struct weir_slice s = weir_headers_get(h, WEIR_H_STATUS);
    if (s.len != 3 || !weir_slice_all(s, WEIR_CHAR_DIGIT)) {
        return 0;
    }
    return (uint32_t)(s.ptr[0] - '0') * 100 + (uint32_t)(s.ptr[1] - '0') * 10 + (uint32_t)(s.ptr[2] - '0');
}

void weir_headers_set_status(struct weir_headers *h, uint32_t status)
{
    if (status == 200) {
        weir_headers_set_borrow(h, WEIR_H_STATUS, WEIR_S("200"));
        return;
    }
    weir_headers_set_u64(h, WEIR_H_STATUS, status);
}

bool weir_headers_content_length(const struct weir_headers *h, uint64_t *ret)
{
    const struct weir_header *f = weir_headers_find(h, WEIR_H_CONTENT_LENGTH);
    return f && weir_parse_u64(f->value, UINT64_MAX, ret) == WEIR_OK;
}

struct weir_slice weir_path_only(struct weir_slice path)
{
    size_t len = 0;
    while (len < path.len && path.ptr[len] != '?' && path.ptr[len] != '#') {
        len++;
    }
    return weir_slice_first(path, len);
}

bool weir_headers_is_grpc(const struct weir_headers *h)
{
    struct weir_slice type = weir_headers_get(h, WEIR_H_CONTENT_TYPE);
    struct weir_slice grpc = WEIR_S("application/grpc");
    struct weir_slice rest = weir_slice_from(type, grpc.len);
    return weir_slice_starts_with_nocase(type, grpc) && (rest.len == 0 || weir_slice_starts_with(rest, WEIR_S("+")));
}

bool weir_headers_list_has(struct weir_slice list, struct weir_slice token)
{
    struct weir_slice item;
    while (weir_slice_next(&list, ',', &item)) {
        if (weir_slice_eq_nocase(weir_slice_trim(item), token)) {
            return true;
        }
    }
    return false;
}
