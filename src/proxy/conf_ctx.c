/* The shared half of configuration readers: worker hooks and the hash of file contents. */
#include "proxy/conf_ctx.h"

#include "config/config.h"

void weir_conf_add_hook(struct weir_conf_ctx *ctx, void (*start)(struct weir_worker *worker, void *arg),
                        void (*stop)(struct weir_worker *worker, void *arg), void *arg)
{
    struct weir_worker_hook *hook = WEIR_ARENA_NEW(ctx->arena, struct weir_worker_hook);
    hook->start = start;
    hook->stop = stop;
    hook->arg = arg;
    struct weir_worker_hook **end = &ctx->hooks;
    while (*end) end = &(*end)->next;
    *end = hook;
}

void weir_conf_note_file(struct weir_conf_ctx *ctx, struct weir_slice path, struct weir_slice content)
{
    struct weir_arena *arena = &ctx->config->arena;
    struct weir_conf_file *file = WEIR_ARENA_NEW(arena, struct weir_conf_file);
    file->path = weir_arena_dup(arena, path);
    file->next = ctx->files;
    ctx->files = file;
    ctx->content_hash = ctx->content_hash * UINT64_C(0x9E3779B97F4A7C15) + weir_slice_hash(content);
}
