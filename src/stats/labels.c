/* Labels out of names: response codes, and the form `name_;key=value;` in which guests give theirs. */
#include "stats/labels.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void add_label(struct weir_stat_labels *out, struct weir_slice name, struct weir_slice value)
{
    if (out->n < WEIR_STAT_LABELS_MAX)
        out->tags[out->n++] = (struct weir_tag){name, value};
}

/* `a_;k=v;k2=v2;b`: what stands between semicolons and has an equals sign is a label, the rest is the name. False if a
 * label has no name or there is none at all: the text is then left alone. */
static bool split_pairs(struct weir_stat_labels *out, struct weir_slice name)
{
    if (weir_slice_find(name, ';') == name.len)
        return false;
    struct weir_slice rest = name, part;
    size_t len = 0;
    while (weir_slice_next(&rest, ';', &part)) {
        size_t equals = weir_slice_find(part, '=');
        if (equals < part.len && equals > 0) {
            add_label(out, weir_slice_first(part, equals), weir_slice_from(part, equals + 1));
            continue;
        }
        if (part.len > sizeof(out->buf) - len)
            return false;
        if (part.len > 0)
            memcpy(out->buf + len, part.ptr, part.len);
        len += part.len;
    }
    while (len > 0 && (out->buf[len - 1] == '_' || out->buf[len - 1] == '.'))
        len--;
    if (out->n == 0 || len == 0)
        return false;
    out->name = weir_slice(out->buf, len);
    return true;
}

/* `…_rq_503` and `…_rq_5xx`. Rule: Envoy's well_known_names.cc, RESPONSE_CODE and RESPONSE_CODE_CLASS. */
static void split_code(struct weir_stat_labels *out)
{
    struct weir_slice name = out->name;
    if (name.len < 7)
        return;
    const char *end = name.ptr + name.len;
    if (memcmp(end - 7, "_rq_", 4) != 0 || !is_digit(end[-3]))
        return;
    if (is_digit(end[-2]) && is_digit(end[-1])) {
        add_label(out, WEIR_S("envoy_response_code"), weir_slice(end - 3, 3));
        out->name.len -= 4;
    } else if (end[-2] == 'x' && end[-1] == 'x' && name.len - 1 <= sizeof(out->buf)) {
        add_label(out, WEIR_S("envoy_response_code_class"), weir_slice(end - 3, 1));
        memmove(out->buf, name.ptr, name.len - 3);
        memcpy(out->buf + name.len - 3, "xx", 2);
        out->name = weir_slice(out->buf, name.len - 1);
    }
}

/* `….worker_0.x`. Rule: well_known_names.cc, WORKER_ID. */
static void split_worker(struct weir_stat_labels *out)
{
    struct weir_slice name = out->name;
    size_t at = weir_slice_search(name, WEIR_S("worker_"));
    if (at == SIZE_MAX || (at > 0 && name.ptr[at - 1] != '.') || name.len > sizeof(out->buf))
        return;
    size_t start = at + 7, end = start;
    while (end < name.len && is_digit(name.ptr[end]))
        end++;
    if (end == start || end >= name.len || name.ptr[end] != '.')
        return;
    add_label(out, WEIR_S("envoy_worker_id"), weir_slice(name.ptr + start, end - start));
    memmove(out->buf, name.ptr, start);
    memmove(out->buf + start, name.ptr + end + 1, name.len - end - 1);
    out->name = weir_slice(out->buf, start + name.len - end - 1);
}

void weir_stat_labels_of(struct weir_stat_labels *out, struct weir_slice name, const struct weir_tag *tags,
                         uint32_t n_tags)
{
    out->n = 0;
    if (!split_pairs(out, name)) {
        out->n = 0;
        out->name = name;
        split_worker(out);
        split_code(out);
    }
    for (uint32_t i = 0; i < n_tags; i++)
        add_label(out, tags[i].name, tags[i].value);
}
