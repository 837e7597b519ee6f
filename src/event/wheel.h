/* The timer wheel behind loop.h's timers. Private to event/. */
#ifndef WEIR_EVENT_WHEEL_H
#define WEIR_EVENT_WHEEL_H

#include "event/loop.h"

struct weir_timer_wheel *weir_wheel_new(uint64_t now_ms);
/** No timer may be armed any more; those that are get disarmed. */
void weir_wheel_free(struct weir_timer_wheel *wheel);
/** Follows the clock as long as nothing is due: keeps short timers in the finest level. */
void weir_wheel_follow(struct weir_timer_wheel *wheel, uint64_t now_ms);

#endif
