/* What the real world offers beyond the common table: its libuv loop, for signals, file watching and the like on the main thread. */
#ifndef WEIR_EVENT_WORLD_UV_H
#define WEIR_EVENT_WORLD_UV_H

#include "event/loop.h"

struct uv_loop_s;
struct uv_loop_s *weir_world_uv_loop(struct weir_loop *loop);
/** To be called first in every libuv callback of one's own, so that the loop's time is right and its turn ends properly. */
void weir_world_uv_enter(struct weir_loop *loop);

/** Asks these DNS servers ("127.0.0.1:53,[::1]:5353") instead of the system's; before the first lookup. WEIR_ERR_SYNTAX. */
WEIR_MUST_CHECK enum weir_err weir_world_uv_dns_servers(struct weir_loop *loop, const char *servers);

#endif
