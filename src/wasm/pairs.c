/* The wire format of header maps (proxy-wasm-cpp-host src/pairs_util.cc). */
#include "wasm/pairs.h"

#include "wasm/limits.h"

size_t weir_pairs_size(const struct weir_wasm_pairs *pairs)
{
    if (pairs->n == 0) return 0;
    size_t size = 4;
    for (uint32_t i = 0; i < pairs->n; i++) {
        const struct weir_wasm_pair *pair = weir_wasm_pair_at(pairs, i);
        size += 8 + pair->name.len + 1 + pair->value.len + 1;
    }
    return size <= UINT32_MAX ? size : 0;
}

static char *put_u32(char *out, size_t value)
{
    uint32_t v = (uint32_t)value;
    memcpy(out, &v, 4);
    return out + 4;
}

static char *put_text(char *out, struct weir_slice text)
{
    if (text.len > 0) memcpy(out, text.ptr, text.len);
    out[text.len] = '\0';
    return out + text.len + 1;
}

void weir_pairs_write(const struct weir_wasm_pairs *pairs, char *out)
{
    if (pairs->n == 0) return;
    out = put_u32(out, pairs->n);
    char *text = out + (size_t)pairs->n * 8;
    for (uint32_t i = 0; i < pairs->n; i++) {
        const struct weir_wasm_pair *pair = weir_wasm_pair_at(pairs, i);
        out = put_u32(out, pair->name.len);
        out = put_u32(out, pair->value.len);
        text = put_text(text, pair->name);
        text = put_text(text, pair->value);
    }
}

static uint32_t get_u32(const char *from)
{
    uint32_t value;
    memcpy(&value, from, 4);
    return value;
}

static bool take_text(struct weir_slice *rest, uint32_t len, struct weir_slice *ret)
{
    if ((size_t)len + 1 > rest->len || rest->ptr[len] != '\0') return false;
    *ret = weir_slice_first(*rest, len);
    *rest = weir_slice_from(*rest, (size_t)len + 1);
    return true;
}

enum weir_err weir_pairs_read(struct weir_slice data, struct weir_wasm_pair *out, uint32_t max, uint32_t *ret_n)
{
    if (data.len == 0) {
        *ret_n = 0;
        return WEIR_OK;
    }
    if (data.len > WEIR_WASM_PAIRS_BYTES_MAX) return WEIR_ERR_LIMIT;
    if (data.len < 4) return WEIR_ERR_SYNTAX;
    uint32_t n = get_u32(data.ptr);
    if (n > max) return WEIR_ERR_LIMIT;
    if (4 + (size_t)n * 8 > data.len) return WEIR_ERR_SYNTAX;
    const char *lengths = data.ptr + 4;
    struct weir_slice rest = weir_slice_from(data, 4 + (size_t)n * 8);
    for (uint32_t i = 0; i < n; i++, lengths += 8)
        if (!take_text(&rest, get_u32(lengths), &out[i].name) || !take_text(&rest, get_u32(lengths + 4), &out[i].value))
            return WEIR_ERR_SYNTAX;
    if (rest.len > 0) return WEIR_ERR_SYNTAX;
    *ret_n = n;
    return WEIR_OK;
}
