/* WASI preview 1 as language runtimes want it: standard output and error become log lines, clocks and random numbers work,
 * there are no files and no sockets. Answers are those of proxy-wasm-cpp-host (src/exports.cc); where guests broke on them,
 * those that they expect (poll_oneoff succeeds with no events, so that Go can collect garbage and sleep; proc_exit ends). */
#include "wasm/hostcalls.h"
#include "wasm/limits.h"

#define ALWAYS (WEIR_HOSTCALL_WASI | WEIR_HOSTCALL_IN_START | WEIR_HOSTCALL_IN_ALLOCATOR)

enum wasi_errno {
    ERRNO_SUCCESS = 0,
    ERRNO_BADF = 8,
    ERRNO_FAULT = 21,
    ERRNO_INVAL = 28,
    ERRNO_NOENT = 44,
    ERRNO_NOSYS = 52,
    ERRNO_NOTDIR = 54,
    ERRNO_NOTSUP = 58,
};

#define IOVECS_MAX 1024u

static uint32_t put_u32(struct weir_call *c, uint32_t at, uint32_t value)
{
    return weir_guest_put_u32(c, at, value) ? ERRNO_SUCCESS : ERRNO_FAULT;
}

static uint32_t put_u64(struct weir_call *c, uint32_t at, uint64_t value)
{
    return weir_guest_put_u64(c, at, value) ? ERRNO_SUCCESS : ERRNO_FAULT;
}

/* ---- output ---- */

static bool gather(struct weir_call *c, uint32_t iovecs, uint32_t n, struct weir_str *out, uint64_t *ret_written)
{
    struct weir_slice table;
    if (n > IOVECS_MAX || !weir_guest_slice(c, iovecs, n * 8, &table)) return false;
    uint64_t written = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at, len;
        memcpy(&at, table.ptr + (size_t)i * 8, 4);
        memcpy(&len, table.ptr + (size_t)i * 8 + 4, 4);
        struct weir_slice part;
        if (!weir_guest_slice(c, at, len, &part)) return false;
        weir_str_add(out, weir_slice_first(part, WEIR_WASM_LOG_LINE_MAX - WEIR_MIN(out->len, (size_t)WEIR_WASM_LOG_LINE_MAX)));
        written += len;
    }
    *ret_written = written;
    return true;
}

static uint32_t fd_write(struct weir_call *c)
{
    uint32_t fd = weir_arg(c, 0);
    if (fd != 1 && fd != 2) return ERRNO_BADF;
    struct weir_str *text = &c->vm->scratch;
    weir_str_clear(text);
    uint64_t written = 0;
    if (!gather(c, weir_arg(c, 1), weir_arg(c, 2), text, &written)) return ERRNO_FAULT;
    struct weir_slice line = weir_str_slice(text);
    if (line.len > 0 && line.ptr[line.len - 1] == '\n') line.len--;
    if (line.len > 0) c->host->log(c->vm, c->ctx, fd == 1 ? WEIR_WASM_LOG_INFO : WEIR_WASM_LOG_ERROR, line);
    return put_u32(c, weir_arg(c, 3), (uint32_t)WEIR_MIN(written, (uint64_t)UINT32_MAX));
}

static uint32_t fd_fdstat_get(struct weir_call *c)
{
    uint32_t fd = weir_arg(c, 0);
    if (fd != 1 && fd != 2) return ERRNO_BADF;
    uint64_t stat[3] = {0, 64 /* may be written */, 0};
    return weir_guest_put(c, weir_arg(c, 1), stat, sizeof stat) ? ERRNO_SUCCESS : ERRNO_FAULT;
}

static uint32_t fd_seek(struct weir_call *c)
{
    return put_u64(c, weir_arg(c, 3), 0);
}

/* ---- arguments and environment ---- */

static uint32_t no_strings(struct weir_call *c)
{
    uint32_t err = put_u32(c, weir_arg(c, 0), 0);
    return err ? err : put_u32(c, weir_arg(c, 1), 0);
}

static uint32_t args_get(struct weir_call *c)
{
    (void)c;
    return ERRNO_SUCCESS;
}

static size_t env_bytes(const struct weir_wasm_env *env)
{
    return env->name.len + 1 + env->value.len + 1; /* NAME=value and a NUL */
}

static uint32_t environ_sizes_get(struct weir_call *c)
{
    const struct weir_vm_opts *opts = c->vm->opts;
    size_t bytes = 0;
    for (size_t i = 0; i < opts->n_env; i++) bytes += env_bytes(&opts->env[i]);
    uint32_t err = put_u32(c, weir_arg(c, 0), (uint32_t)opts->n_env);
    return err ? err : put_u32(c, weir_arg(c, 1), (uint32_t)bytes);
}

static uint32_t environ_get(struct weir_call *c)
{
    const struct weir_vm_opts *opts = c->vm->opts;
    uint32_t table = weir_arg(c, 0), at = weir_arg(c, 1);
    for (size_t i = 0; i < opts->n_env; i++) {
        const struct weir_wasm_env *env = &opts->env[i];
        uint32_t name_len = (uint32_t)env->name.len, value_len = (uint32_t)env->value.len;
        if (!weir_guest_put_u32(c, table, at) || !weir_guest_valid(c, at, (uint32_t)env_bytes(env)) ||
            !weir_guest_put(c, at, env->name.ptr, name_len) || !weir_guest_put(c, at + name_len, "=", 1) ||
            !weir_guest_put(c, at + name_len + 1, env->value.ptr, value_len) ||
            !weir_guest_put(c, at + name_len + 1 + value_len, "", 1))
            return ERRNO_FAULT;
        table += 4;
        at += (uint32_t)env_bytes(env);
    }
    return ERRNO_SUCCESS;
}

/* ---- clocks, random numbers, events, the end ---- */

static uint32_t clock_time_get(struct weir_call *c)
{
    uint32_t clock = weir_arg(c, 0);
    if (clock > 1) return ERRNO_NOTSUP;
    uint64_t now = clock == 0 ? (uint64_t)c->host->wall_ns(c->vm) : c->host->mono_ns(c->vm);
    return put_u64(c, weir_arg(c, 2), now);
}

static uint32_t clock_res_get(struct weir_call *c)
{
    return weir_arg(c, 0) > 1 ? (uint32_t)ERRNO_NOTSUP : put_u64(c, weir_arg(c, 1), 1);
}

static uint32_t random_get(struct weir_call *c)
{
    uint32_t at = weir_arg(c, 0), len = weir_arg(c, 1);
    if (len > WEIR_WASM_RANDOM_MAX) return ERRNO_INVAL;
    if (!weir_guest_valid(c, at, len)) return ERRNO_FAULT;
    if (len > 0) c->host->random(c->vm, c->base + at, len);
    return ERRNO_SUCCESS;
}

static uint32_t poll_oneoff(struct weir_call *c)
{
    return put_u32(c, weir_arg(c, 3), 0);
}

static uint32_t proc_exit(struct weir_call *c)
{
    c->vm->exited = true;
    c->vm->exit_code = weir_arg(c, 0);
    return 0;
}

/* ---- what answers one number always ---- */

static uint32_t answer_success(struct weir_call *c)
{
    (void)c;
    return ERRNO_SUCCESS;
}

static uint32_t answer_badf(struct weir_call *c)
{
    (void)c;
    return ERRNO_BADF;
}

static uint32_t answer_nosys(struct weir_call *c)
{
    (void)c;
    return ERRNO_NOSYS;
}

static uint32_t answer_noent(struct weir_call *c)
{
    (void)c;
    return ERRNO_NOENT;
}

static uint32_t answer_notdir(struct weir_call *c)
{
    (void)c;
    return ERRNO_NOTDIR;
}

static uint32_t answer_notsup(struct weir_call *c)
{
    (void)c;
    return ERRNO_NOTSUP;
}

static const struct weir_hostcall rows[] = {
    {"fd_write", "iiii:i", fd_write, ALWAYS, 0},
    {"fd_read", "iiii:i", answer_nosys, ALWAYS, 0},
    {"fd_seek", "iIii:i", fd_seek, ALWAYS, 0},
    {"fd_close", "i:i", answer_success, ALWAYS, 0},
    {"fd_fdstat_get", "ii:i", fd_fdstat_get, ALWAYS, 0},
    {"fd_fdstat_set_flags", "ii:i", answer_nosys, ALWAYS, 0},
    {"fd_fdstat_set_rights", "iII:i", answer_notsup, ALWAYS, 0},
    {"fd_prestat_get", "ii:i", answer_badf, ALWAYS, 0},
    {"fd_prestat_dir_name", "iii:i", answer_nosys, ALWAYS, 0},
    {"fd_readdir", "iiiIi:i", answer_notdir, ALWAYS, 0},
    {"fd_pread", "iiiIi:i", answer_nosys, ALWAYS, 0},
    {"fd_pwrite", "iiiIi:i", answer_notsup, ALWAYS, 0},
    {"fd_advise", "iIIi:i", answer_notsup, ALWAYS, 0},
    {"fd_allocate", "iII:i", answer_notsup, ALWAYS, 0},
    {"fd_datasync", "i:i", answer_notsup, ALWAYS, 0},
    {"fd_sync", "i:i", answer_notsup, ALWAYS, 0},
    {"fd_filestat_get", "ii:i", answer_notsup, ALWAYS, 0},
    {"fd_filestat_set_size", "iI:i", answer_notsup, ALWAYS, 0},
    {"fd_filestat_set_times", "iIIi:i", answer_notsup, ALWAYS, 0},
    {"fd_renumber", "ii:i", answer_notsup, ALWAYS, 0},
    {"fd_tell", "ii:i", answer_notsup, ALWAYS, 0},
    {"path_open", "iiiiiIIii:i", answer_noent, ALWAYS, 0},
    {"path_create_directory", "iii:i", answer_notsup, ALWAYS, 0},
    {"path_filestat_get", "iiiii:i", answer_notsup, ALWAYS, 0},
    {"path_filestat_set_times", "iiiiIIi:i", answer_notsup, ALWAYS, 0},
    {"path_link", "iiiiiii:i", answer_notsup, ALWAYS, 0},
    {"path_readlink", "iiiiii:i", answer_notsup, ALWAYS, 0},
    {"path_remove_directory", "iii:i", answer_notsup, ALWAYS, 0},
    {"path_rename", "iiiiii:i", answer_notsup, ALWAYS, 0},
    {"path_symlink", "iiiii:i", answer_notsup, ALWAYS, 0},
    {"path_unlink_file", "iii:i", answer_notsup, ALWAYS, 0},
    {"sock_accept", "iii:i", answer_notsup, ALWAYS, 0},
    {"sock_recv", "iiiiii:i", answer_notsup, ALWAYS, 0},
    {"sock_send", "iiiii:i", answer_notsup, ALWAYS, 0},
    {"sock_shutdown", "ii:i", answer_notsup, ALWAYS, 0},
    {"args_get", "ii:i", args_get, ALWAYS, 0},
    {"args_sizes_get", "ii:i", no_strings, ALWAYS, 0},
    {"environ_get", "ii:i", environ_get, ALWAYS, 0},
    {"environ_sizes_get", "ii:i", environ_sizes_get, ALWAYS, 0},
    {"clock_time_get", "iIi:i", clock_time_get, ALWAYS, 0},
    {"clock_res_get", "ii:i", clock_res_get, ALWAYS, 0},
    {"random_get", "ii:i", random_get, ALWAYS, 0},
    {"sched_yield", ":i", answer_success, ALWAYS, 0},
    {"poll_oneoff", "iiii:i", poll_oneoff, ALWAYS, 0},
    {"proc_exit", "i:", proc_exit, ALWAYS, 0},
    {"proc_raise", "i:i", answer_notsup, ALWAYS, 0},
};
const struct weir_hostcall_table weir_hostcalls_wasi = {rows, WEIR_COUNTOF(rows)};
