/* Compiled modules on disk. Reading machine code from a file means running it, so a file is used only when it lies in a folder
 * and is a file that this user owns and nobody else can write, and when its checksum, written beside it, is right: what was
 * damaged is compiled again. Names hold the hash of the .wasm bytes, the engine's version and its settings; the engine
 * checks on its own that the processor has what the code uses. Files appear by rename, so a reader never sees half of one. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "wasm/module.h"

#define PATH_MAX_LEN 1024
#define SUM_LEN 64

char *weir_wasm_default_cache_dir(void)
{
    char path[PATH_MAX_LEN];
    const char *base = getenv("XDG_CACHE_HOME");
    const char *below = "weir/wasm";
    if (!base || base[0] != '/') {
        base = getenv("HOME");
        below = ".cache/weir/wasm";
    }
    if (!base || base[0] != '/') return NULL;
    int n = snprintf(path, sizeof path, "%s/%s", base, below);
    return n > 0 && (size_t)n < sizeof path ? weir_xstrndup(path, (size_t)n) : NULL;
}

static bool private_to_us(const struct stat *st)
{
    return st->st_uid == geteuid() && (st->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/* Opens the folder (making it and those above it when asked), or returns -1. */
static int open_dir(const char *dir, bool make)
{
    if (make) {
        char path[PATH_MAX_LEN];
        size_t len = strlen(dir);
        if (len >= sizeof path) return -1;
        memcpy(path, dir, len + 1);
        for (char *p = path + 1; (p = strchr(p, '/')) != NULL; p++) {
            *p = '\0';
            (void)mkdir(path, 0700);
            *p = '/';
        }
        (void)mkdir(path, 0700);
    }
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return -1;
    struct stat st;
    if (fstat(fd, &st) == 0 && private_to_us(&st)) return fd;
    WEIR_LOG(WARN, WASM, "compiled modules are not kept: %s belongs to or can be written by others", dir);
    (void)close(fd);
    return -1;
}

static void file_name(const struct weir_wasm_engine *engine, const uint8_t sha256[32], const char *suffix, char out[256])
{
    char hex[65];
    weir_wasm_hex(sha256, hex);
    (void)snprintf(out, 256, "%s-%s.%s", hex, engine->settings, suffix);
}

static int open_private(int dir, const char *name, off_t *ret_size)
{
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return -1;
    struct stat st;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && private_to_us(&st) && st.st_size > 0) {
        *ret_size = st.st_size;
        return fd;
    }
    (void)close(fd);
    return -1;
}

static bool checksum_of(int fd, off_t size, char out[65])
{
    void *map = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED) return false;
    uint8_t hash[32];
    weir_wasm_sha256(weir_slice(map, (size_t)size), hash);
    weir_wasm_hex(hash, out);
    (void)munmap(map, (size_t)size);
    return true;
}

static bool checksum_right(int dir, const char *sum_name, int code_fd, off_t code_size)
{
    off_t sum_size = 0;
    int fd = open_private(dir, sum_name, &sum_size);
    if (fd < 0) return false;
    char stored[SUM_LEN];
    ssize_t n = read(fd, stored, sizeof stored);
    (void)close(fd);
    char now[65];
    return n == SUM_LEN && sum_size == SUM_LEN && checksum_of(code_fd, code_size, now) && memcmp(stored, now, SUM_LEN) == 0;
}

wasmtime_module_t *weir_wasm_cache_get(const struct weir_wasm_engine *engine, const uint8_t sha256[32])
{
    if (!engine->cache_dir) return NULL;
    int dir = open_dir(engine->cache_dir, false);
    if (dir < 0) return NULL;
    char code_name[256], sum_name[256], path[PATH_MAX_LEN + 256];
    file_name(engine, sha256, "code", code_name);
    file_name(engine, sha256, "sum", sum_name);
    wasmtime_module_t *module = NULL;
    off_t size = 0;
    int fd = open_private(dir, code_name, &size);
    if (fd >= 0) {
        (void)snprintf(path, sizeof path, "%s/%s", engine->cache_dir, code_name);
        if (!checksum_right(dir, sum_name, fd, size)) {
            WEIR_LOG(WARN, WASM, "%s is damaged: compiling the module again", path);
        } else {
            wasmtime_error_t *error = wasmtime_module_deserialize_file(engine->engine, path, &module);
            if (error) {
                struct weir_str text;
                weir_str_init(&text, 4096);
                weir_wasm_error_text(error, &text);
                WEIR_LOG(WARN, WASM, "%s cannot be used (%.*s): compiling the module again", path,
                         WEIR_SARG(weir_str_slice(&text)));
                weir_str_fini(&text);
                module = NULL;
            }
        }
        (void)close(fd);
    }
    (void)close(dir);
    return module;
}

static bool write_file(int dir, const char *name, struct weir_slice data)
{
    char temp[300];
    (void)snprintf(temp, sizeof temp, ".%s.%d", name, (int)getpid());
    int fd = openat(dir, temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return false;
    bool good = true;
    while (good && data.len > 0) {
        ssize_t n = write(fd, data.ptr, data.len);
        if (n < 0 && errno == EINTR) continue;
        good = n > 0;
        if (good) data = weir_slice_from(data, (size_t)n);
    }
    good = close(fd) == 0 && good;
    good = good && renameat(dir, temp, dir, name) == 0;
    if (!good) (void)unlinkat(dir, temp, 0);
    return good;
}

void weir_wasm_cache_put(const struct weir_wasm_engine *engine, const uint8_t sha256[32], const wasmtime_module_t *module)
{
    if (!engine->cache_dir) return;
    int dir = open_dir(engine->cache_dir, true);
    if (dir < 0) return;
    wasm_byte_vec_t code;
    wasmtime_error_t *error = wasmtime_module_serialize(module, &code);
    if (error) {
        wasmtime_error_delete(error);
        (void)close(dir);
        return;
    }
    char code_name[256], sum_name[256], hex[65];
    file_name(engine, sha256, "code", code_name);
    file_name(engine, sha256, "sum", sum_name);
    uint8_t hash[32];
    weir_wasm_sha256(weir_slice(code.data, code.size), hash);
    weir_wasm_hex(hash, hex);
    (void)unlinkat(dir, sum_name, 0); /* while the two do not belong together there is no sum */
    if (!write_file(dir, code_name, weir_slice(code.data, code.size)) ||
        !write_file(dir, sum_name, weir_slice(hex, SUM_LEN)))
        WEIR_LOG(WARN, WASM, "compiled module not kept in %s: error %d", engine->cache_dir, errno);
    wasm_byte_vec_delete(&code);
    (void)close(dir);
}
