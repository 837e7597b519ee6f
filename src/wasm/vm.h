/* A VM: one instance of a module with its memory, on one thread. It fails once and for good (a trap, a missed deadline):
 * then every call answers false, and its owner replaces it. */
#ifndef WEIR_WASM_VM_H
#define WEIR_WASM_VM_H

#include "stats/stats.h"
#include "wasm/host_ops.h"
#include "wasm/module.h"

/** Kinds of failure: id, name in stats and messages. */
#define WEIR_WASM_FAILURES(X)                     \
    X(NONE, "none")                               \
    X(UNREACHABLE, "unreachable")                 \
    X(DEADLINE, "deadline")                       \
    X(STACK, "stack_overflow")                    \
    X(MEMORY, "memory_out_of_bounds")             \
    X(ARITHMETIC, "arithmetic")                   \
    X(INDIRECT_CALL, "indirect_call")             \
    X(ALLOCATOR, "allocator")                     \
    X(EXIT, "proc_exit")                          \
    X(START, "start_refused")                     \
    X(INSTANTIATE, "instantiate")                 \
    X(OTHER, "other")
enum weir_wasm_failure_kind {
#define X(id, name) WEIR_WASM_FAILURE_##id,
    WEIR_WASM_FAILURES(X)
#undef X
    WEIR_WASM_FAILURE_COUNT
};
const char *weir_wasm_failure_name(enum weir_wasm_failure_kind kind);

/** A context of the guest, embedded in what it stands for: a plugin's root, a stream, a connection. */
struct weir_wasm_context {
    uint32_t id;                     /* 0 = not known to the guest */
    struct weir_wasm_context *root;  /* itself for a root */
    struct weir_wasm_context *next;  /* in the VM's table */
    struct weir_vm *vm;
};

struct weir_wasm_env {
    struct weir_slice name, value;
};

/** Everything a VM is made from; borrowed for the VM's life. */
struct weir_vm_opts {
    const struct weir_wasm_host_ops *host;
    void *host_arg;
    struct weir_slice vm_id;
    const struct weir_wasm_env *env;
    size_t n_env;
    const uint64_t *allowed; /* bit per hostcall row (weir_hostcalls_index); NULL = all */
    const uint64_t *allowed_exports; /* bit per enum weir_wasm_cb; NULL = all */
    uint64_t memory_max;
    uint32_t deadline_ms, start_deadline_ms;
    struct weir_stats *stats;          /* for guests' metrics; NULL = metrics count into nothing */
    struct weir_stats_worker *sw;
    struct weir_wasm_shared *shared;   /* shared data and queues of the process */
};

struct weir_vm_metric {
    weir_stat stat;
    uint8_t kind; /* enum weir_wasm_metric */
};

struct weir_vm {
    wasmtime_store_t *store;
    wasmtime_context_t *context;
    struct weir_wasm_module *module;
    const struct weir_vm_opts *opts;
    void *user;                           /* host_arg */
    struct weir_wasm_context *effective;  /* whose data hostcalls see */
    struct weir_wasm_context *natural;    /* whose callback runs */
    uint32_t depth;                       /* guest calls on the stack: 2 only while the allocator runs */
    enum weir_wasm_cb running;
    bool failed, starting, exited, deadline_hit, in_allocator;
    uint64_t cpu_base_ns, cpu_limit_ns;   /* of the running callback, see on_epoch */
    wasmtime_memory_t memory;
    bool has_memory;
    wasmtime_func_t funcs[WEIR_WASM_CB_COUNT];
    uint8_t n_params[WEIR_WASM_CB_COUNT]; /* UINT8_MAX = absent */
    struct weir_wasm_context **contexts;  /* hash table by id */
    uint32_t n_contexts, cap_contexts;
    uint32_t next_id;
    uint32_t next_token;
    uint64_t serial;                      /* unique in the process */
    uint32_t exit_code;
    struct weir_vm_metric *metrics;
    uint32_t n_metrics, cap_metrics;
    struct weir_wasm_pair *pairs;         /* scratch of parsing, WEIR_WASM_PAIRS_MAX, made at first use */
    struct weir_str scratch;              /* of a hostcall */
    struct weir_str failure;              /* one line: what happened, where */
    enum weir_wasm_failure_kind failure_kind;
    enum weir_wasm_cb failure_cb;
    uint64_t calls;                       /* callbacks made */
};

/** Instantiates `module` (keeps a reference) and runs its start functions. `opts` is borrowed for the VM's life.
 *  Errors: WEIR_ERR_GUEST with the reason in `err`. */
WEIR_MUST_CHECK enum weir_err weir_vm_new(struct weir_wasm_module *module, const struct weir_vm_opts *opts, struct weir_str *err,
                                          struct weir_vm **ret);
/** Not from inside one of its calls. The contexts must have been forgotten or be unused from now on. Accepts NULL. */
void weir_vm_free(struct weir_vm *vm);

/** Gives `ctx` an id and makes it known to hostcalls; does not call the guest. `root` NULL = it is a root. */
void weir_vm_add_context(struct weir_vm *vm, struct weir_wasm_context *ctx, struct weir_wasm_context *root);
void weir_vm_remove_context(struct weir_vm *vm, struct weir_wasm_context *ctx);
struct weir_wasm_context *weir_vm_context(const struct weir_vm *vm, uint32_t id);

static inline bool weir_vm_has(const struct weir_vm *vm, enum weir_wasm_cb cb)
{
    return vm->n_params[cb] != UINT8_MAX;
}
/** Calls an export on behalf of `ctx`. `args`: at least as many as the export can take (WEIR_WASM_CALLBACKS).
 *  `*ret` (may be NULL) gets the answer; it stays as it was when the export is absent or answers nothing.
 *  Returns false when the VM has failed, now or before. */
bool weir_vm_call(struct weir_vm *vm, enum weir_wasm_cb cb, struct weir_wasm_context *ctx, const uint32_t *args, uint32_t *ret);
/** Tokens of calls: unique among the live ones. */
uint32_t weir_vm_new_token(struct weir_vm *vm);

/** Marks it failed from outside (e.g. on_configure answered false). */
WEIR_PRINTF(4, 5)
void weir_vm_fail(struct weir_vm *vm, enum weir_wasm_failure_kind kind, enum weir_wasm_cb cb, const char *fmt, ...);
/** Bytes of linear memory now. */
uint64_t weir_vm_memory_bytes(const struct weir_vm *vm);

/** Index of a hostcall by its name as capability_restriction_config has it; SIZE_MAX if there is none. */
size_t weir_hostcalls_index(struct weir_slice name);
size_t weir_hostcalls_count(void);

#endif
