/* A configuration as a whole: opening files by their endings, laying --config-yaml over them, and the life of
 * what was read. The parts do the work: yaml.c and json.c make trees, proto_reader.c messages, rules.c judges
 * them. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "config/any.h"
#include "config/limits.h"
#include "config/node_build.h"
#include "config/proto_reader.h"
#include "config/rules.h"

struct weir_config *weir_config_new(struct weir_diag *diag)
{
    struct weir_config *conf = WEIR_NEW(struct weir_config);
    conf->diag = diag;
    weir_arena_init(&conf->arena, NULL);
    conf->index = WEIR_NEW(struct weir_config_index);
    weir_arena_init(&conf->index->arena, NULL);
    return conf;
}

void weir_config_seal(struct weir_config *conf)
{
    weir_ptr_map_fini(&conf->index->places);
    weir_arena_fini(&conf->index->arena);
    weir_diag_fini(conf->diag);
    weir_diag_init(conf->diag);
}

void weir_config_free(struct weir_config *conf)
{
    if (!conf)
        return;
    weir_ptr_map_fini(&conf->index->places);
    weir_ptr_map_fini(&conf->index->anys);
    weir_arena_fini(&conf->index->arena);
    weir_arena_fini(&conf->arena);
    weir_free(conf->index);
    weir_free(conf);
}

/* ---- files ---- */

/* Reads the whole of `fd` into the diagnostics' arena: they quote lines of it. */
static enum weir_err read_all(struct weir_arena *arena, int fd, size_t size, struct weir_slice *ret)
{
    /* A pipe or a file of /proc says 0: ask for more as long as there is more. */
    size_t cap = size ? size + 1 : 64 << 10, len = 0;
    char *text = weir_xalloc(cap);
    enum weir_err err = WEIR_OK;
    for (;;) {
        ssize_t n = read(fd, text + len, cap - len);
        if (n == 0 || (n < 0 && errno != EINTR)) {
            if (n < 0)
                err = WEIR_ERR_IO;
            break;
        }
        if (n > 0)
            len += (size_t)n;
        if (len > WEIR_CONFIG_FILE_MAX) {
            err = WEIR_ERR_LIMIT;
            break;
        }
        if (len == cap) {
            cap *= 2;
            text = weir_xrealloc(text, cap);
        }
    }
    if (err == WEIR_OK)
        *ret = weir_arena_dup(arena, weir_slice(text, len));
    weir_free(text);
    return err;
}

static enum weir_err read_file(struct weir_config *conf, const char *path, struct weir_slice *ret)
{
    struct stat info;
    struct weir_pos pos = {.source = weir_diag_add_source(conf->diag, weir_slice_str(path), WEIR_S_NONE)};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    enum weir_err err = fd < 0 || fstat(fd, &info) != 0 ? WEIR_ERR_IO : WEIR_OK;
    if (err == WEIR_OK && S_ISDIR(info.st_mode)) {
        errno = EISDIR;
        err = WEIR_ERR_IO;
    }
    if (err == WEIR_OK && info.st_size > WEIR_CONFIG_FILE_MAX)
        err = WEIR_ERR_LIMIT;
    if (err == WEIR_OK)
        err = read_all(&conf->diag->arena, fd, (size_t)info.st_size, ret);
    if (err == WEIR_ERR_LIMIT) {
        weir_diag_report(conf->diag, WEIR_SEVERITY_ERROR, pos, WEIR_S_NONE, "is larger than %u MiB",
                         WEIR_CONFIG_FILE_MAX >> 20);
    } else if (err != WEIR_OK) {
        weir_diag_report(conf->diag, WEIR_SEVERITY_ERROR, pos, WEIR_S_NONE, "%s", strerror(errno));
    }
    if (fd >= 0)
        close(fd);
    if (err == WEIR_OK)
        conf->diag->sources[pos.source].text = *ret;
    return err;
}

/* ---- texts ---- */

static bool starts_like_json(struct weir_slice text)
{
    if (weir_slice_starts_with(text, WEIR_S("\xef\xbb\xbf")))
        text = weir_slice_from(text, 3);
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c != ' ' && c != '\t' && c != '\r' && c != '\n')
            return c == '{';
    }
    return false;
}

/* JSON within YAML: the JSON reader knows more escapes and is faster; whatever it refuses is YAML's to judge.
 * The values keep YAML's meaning (node->json is false), as in Envoy. */
static bool try_json(struct weir_config *conf, uint16_t source, struct weir_slice text,
                     const struct weir_node **ret)
{
    struct weir_diag quiet;
    weir_diag_init(&quiet);
    enum weir_err err = weir_node_read_json_as(&conf->index->arena, &quiet, source, text, false, ret);
    bool clean = err == WEIR_OK && quiet.n_entries == 0;
    weir_diag_fini(&quiet);
    return clean;
}

static enum weir_err read_tree(struct weir_config *conf, uint16_t source, struct weir_slice text, bool json,
                               const struct weir_node **ret)
{
    struct weir_arena *arena = &conf->index->arena;
    if (json)
        return weir_node_read_json(arena, conf->diag, source, text, ret);
    if (starts_like_json(text) && try_json(conf, source, text, ret))
        return WEIR_OK;
    return weir_node_read_yaml(arena, conf->diag, source, text, ret);
}

/* Reads the tree into `*msg`: a new message, or over the one that is there. */
static enum weir_err read_message(struct weir_config *conf, uint16_t source, const struct weir_node *root,
                                  const ProtobufCMessageDescriptor *type, ProtobufCMessage **msg)
{
    if (root->kind == WEIR_NODE_NULL) {
        weir_diag_report(conf->diag, WEIR_SEVERITY_ERROR, (struct weir_pos){.source = source}, WEIR_S_NONE,
                         "is empty");
        return WEIR_ERR_INVALID;
    }
    struct weir_reader reader = {conf, &conf->arena};
    if (!*msg)
        *msg = weir_schema_new(&conf->arena, type);
    weir_index_add(conf, *msg, NULL, NULL, source, root);
    struct weir_spot spot = {.msg = *msg, .index = -1};
    weir_reader_message(&reader, &spot, *msg, root);
    return WEIR_OK;
}

static enum weir_err read_text(struct weir_config *conf, struct weir_slice name, struct weir_slice text,
                               bool json, const ProtobufCMessageDescriptor *type, ProtobufCMessage **msg)
{
    const struct weir_node *root = NULL;
    uint16_t source = weir_diag_add_source(conf->diag, name, text);
    enum weir_err err = read_tree(conf, source, text, json, &root);
    return err == WEIR_OK ? read_message(conf, source, root, type, msg) : WEIR_ERR_INVALID;
}

static enum weir_err result(const struct weir_config *conf, size_t errors_before)
{
    return conf->diag->n_errors > errors_before ? WEIR_ERR_INVALID : WEIR_OK;
}

enum weir_err weir_config_read_text(struct weir_config *conf, struct weir_slice name, struct weir_slice text,
                                    const ProtobufCMessageDescriptor *type, ProtobufCMessage **ret)
{
    size_t errors_before = conf->diag->n_errors;
    *ret = NULL;
    text = weir_arena_dup(&conf->diag->arena, text);
    bool json = weir_slice_ends_with_nocase(name, WEIR_S(".json"));
    if (read_text(conf, name, text, json, type, ret) == WEIR_OK)
        weir_rules_check(conf, *ret);
    return result(conf, errors_before);
}

/* ---- bootstrap ---- */

enum format { FORMAT_YAML, FORMAT_JSON, FORMAT_BINARY, FORMAT_UNKNOWN };

static enum format format_of(struct weir_slice path)
{
    static const struct {
        const char *ending;
        enum format format;
    } formats[] = {
        {".yaml", FORMAT_YAML}, {".yml", FORMAT_YAML}, {".json", FORMAT_JSON}, {".pb", FORMAT_BINARY}};
    for (size_t i = 0; i < WEIR_COUNTOF(formats); i++) {
        if (weir_slice_ends_with_nocase(path, weir_slice_str(formats[i].ending)))
            return formats[i].format;
    }
    return FORMAT_UNKNOWN;
}

static enum weir_err load_file(struct weir_config *conf, const char *path, ProtobufCMessage **msg)
{
    const ProtobufCMessageDescriptor *type = &envoy__config__bootstrap__v3__bootstrap__descriptor;
    struct weir_slice name = weir_slice_str(path), text;
    enum format format = format_of(name);
    if (format == FORMAT_UNKNOWN) {
        struct weir_pos pos = {.source = weir_diag_add_source(conf->diag, name, WEIR_S_NONE)};
        weir_diag_report(conf->diag, WEIR_SEVERITY_ERROR, pos, WEIR_S_NONE,
                         "the name does not say what it is");
        weir_diag_hint(conf->diag, "a configuration ends in .yaml, .yml, .json or .pb");
        return WEIR_ERR_INVALID;
    }
    enum weir_err err = read_file(conf, path, &text);
    if (err != WEIR_OK)
        return err;
    uint16_t source = (uint16_t)(conf->diag->n_sources - 1);
    if (format == FORMAT_BINARY) {
        conf->diag->sources[source].text = WEIR_S_NONE;
        return weir_any_unpack(conf, source, text, type, msg);
    }
    const struct weir_node *root = NULL;
    err = read_tree(conf, source, text, format == FORMAT_JSON, &root);
    return err == WEIR_OK ? read_message(conf, source, root, type, msg) : WEIR_ERR_INVALID;
}

enum weir_err weir_config_load(struct weir_config *conf, const char *path, const char *overlay)
{
    size_t errors_before = conf->diag->n_errors;
    ProtobufCMessage *msg = NULL;
    enum weir_err err = WEIR_OK;
    if (path)
        err = load_file(conf, path, &msg);
    if (overlay) {
        struct weir_slice text = weir_arena_dup(&conf->diag->arena, weir_slice_str(overlay));
        (void)read_text(conf, WEIR_S("--config-yaml"), text, false,
                        &envoy__config__bootstrap__v3__bootstrap__descriptor, &msg);
    }
    if (msg)
        weir_rules_check(conf, msg);
    conf->bootstrap = (Envoy__Config__Bootstrap__V3__Bootstrap *)msg;
    return err == WEIR_ERR_IO ? err : result(conf, errors_before);
}
