/* Facts of a request: printing of flags, metadata and filter state. */
#include "proxy/stream_info.h"

static const struct {
    struct weir_slice brief, full;
} flag_names[WEIR_FLAG_COUNT] = {
#define X(id, brief_name, full_name) {WEIR_S_INIT(brief_name), WEIR_S_INIT(full_name)},
    WEIR_RESPONSE_FLAGS(X)
#undef X
};

void weir_response_flags_print(uint64_t flags, bool full, struct weir_str *out)
{
    if (flags == 0) {
        weir_str_addc(out, '-');
        return;
    }
    bool first = true;
    for (unsigned i = 0; i < WEIR_FLAG_COUNT; i++) {
        if (!(flags >> i & 1))
            continue;
        if (!first)
            weir_str_addc(out, ',');
        weir_str_add(out, full ? flag_names[i].full : flag_names[i].brief);
        first = false;
    }
}

const struct weir_value *weir_info_metadata(const struct weir_stream_info *info, struct weir_slice ns)
{
    for (const struct weir_metadata *m = info->metadata; m; m = m->next) {
        if (weir_slice_eq(m->name, ns))
            return &m->value;
    }
    return NULL;
}

static struct weir_filter_state *find_state(struct weir_filter_state *list, struct weir_slice name)
{
    while (list && !weir_slice_eq(list->name, name))
        list = list->next;
    return list;
}

const struct weir_filter_state *weir_info_filter_state(const struct weir_stream_info *info,
                                                       struct weir_slice name)
{
    const struct weir_filter_state *own = find_state(info->filter_state, name);
    if (own || !info->conn)
        return own;
    return find_state(info->conn->filter_state, name);
}

enum weir_err weir_info_set_filter_state(struct weir_stream_info *info, struct weir_arena *arena,
                                         struct weir_slice name, struct weir_slice bytes, bool read_only)
{
    struct weir_filter_state *state = find_state(info->filter_state, name);
    if (state && state->read_only)
        return WEIR_ERR_DENIED;
    if (!state) {
        state = WEIR_ARENA_NEW(arena, struct weir_filter_state);
        state->name = weir_arena_dup(arena, name);
        state->next = info->filter_state;
        info->filter_state = state;
    }
    state->bytes = weir_arena_dup(arena, bytes.ptr ? bytes : WEIR_S(""));
    state->read_only = read_only;
    return WEIR_OK;
}
