/* --watch: looks at the configuration file and the files it names a few times a second, and reloads when any of them changed. Looking
 * at size, time and inode sees every way in which files are replaced: written in place, renamed over, a link swapped, a mount. */
#include <sys/stat.h>

#include "base/log.h"
#include "base/mem.h"
#include "server/server_priv.h"

#define WATCH_PERIOD_MS 250

struct weir_watch {
    struct weir_server *server;
    struct weir_timer timer;
    uint64_t seen; /* a fingerprint of all files at the last look */
};

static void mix(uint64_t *print, const char *path)
{
    struct stat st;
    uint64_t v[4] = {0};
    if (stat(path, &st) == 0) {
        v[0] = (uint64_t)st.st_ino;
        v[1] = (uint64_t)st.st_size;
        v[2] = (uint64_t)st.st_mtim.tv_sec;
        v[3] = (uint64_t)st.st_mtim.tv_nsec;
    }
    *print = *print * UINT64_C(0x9E3779B97F4A7C15) + weir_slice_hash(weir_slice((const char *)v, sizeof v));
}

static uint64_t fingerprint(const struct weir_server *server)
{
    uint64_t print = 0;
    if (server->deps.path) mix(&print, server->deps.path);
    for (const struct weir_conf_file *file = server->snapshot->source->files; file; file = file->next) mix(&print, file->path.ptr);
    return print;
}

static void look(struct weir_timer *timer)
{
    struct weir_watch *watch = WEIR_CONTAINER_OF(timer, struct weir_watch, timer);
    uint64_t now = fingerprint(watch->server);
    if (now != watch->seen) {
        WEIR_LOG(INFO, SERVER, "a watched file changed");
        weir_server_reload(watch->server);
        watch->seen = fingerprint(watch->server); /* the new configuration may name other files */
    }
    weir_timer_set(watch->server->main->loop, timer, WATCH_PERIOD_MS);
}

struct weir_watch *weir_watch_start(struct weir_server *server)
{
    struct weir_watch *watch = WEIR_NEW(struct weir_watch);
    watch->server = server;
    watch->seen = fingerprint(server);
    weir_timer_init(&watch->timer, look);
    weir_timer_set(server->main->loop, &watch->timer, WATCH_PERIOD_MS);
    return watch;
}

void weir_watch_stop(struct weir_watch *watch)
{
    if (!watch) return;
    weir_timer_stop(watch->server->main->loop, &watch->timer);
    weir_free(watch);
}
