/* Hierarchical timer wheel: six levels of 64 slots, the finest a millisecond wide, each next one 64 times coarser, together 2 years.
 * A timer sits in the level of the highest 6-bit group in which its deadline differs from `elapsed`; when the wheel reaches a coarse slot its
 * timers move to finer ones, so each fires to the millisecond. Setting and stopping are O(1); a bitmap a level finds the next slot in a few
 * instructions. The world is asked for one alarm, at the start of that slot; an alarm left behind by a stopped timer just finds nothing due. */
#include "event/wheel.h"

#include "base/mem.h"

#define LEVELS     6
#define LEVEL_BITS 6
#define SLOTS      (1u << LEVEL_BITS)
#define NEVER      UINT64_MAX
/** Longest delay: one full turn of the coarsest level would alias. */
#define DELAY_MAX ((UINT64_C(1) << (LEVELS * LEVEL_BITS)) - 1)

struct weir_timer_wheel {
    uint64_t elapsed; /* all slots that start before or at this have been emptied */
    uint64_t next;    /* not later than the start of the first occupied slot */
    uint64_t alarm;   /* what the world was asked for */
    uint64_t occupied[LEVELS];
    struct weir_list slots[LEVELS][SLOTS];
    struct weir_list firing;
};

struct weir_timer_wheel *weir_wheel_new(uint64_t now_ms)
{
    struct weir_timer_wheel *wheel = WEIR_NEW(struct weir_timer_wheel);
    wheel->elapsed = now_ms;
    wheel->next = wheel->alarm = NEVER;
    weir_list_init(&wheel->firing);
    for (size_t i = 0; i < (size_t)LEVELS * SLOTS; i++) {
        weir_list_init(&wheel->slots[i / SLOTS][i % SLOTS]);
    }
    return wheel;
}

void weir_wheel_free(struct weir_timer_wheel *wheel)
{
    for (size_t i = 0; i < (size_t)LEVELS * SLOTS; i++) {
        WEIR_LIST_EACH(&wheel->slots[i / SLOTS][i % SLOTS], it)
        {
            weir_list_unlink(it);
        }
    }
    weir_free(wheel);
}

static unsigned level_shift(unsigned level)
{
    return level * LEVEL_BITS;
}

/* Links the timer into its slot; returns when that slot starts. */
static uint64_t insert(struct weir_timer_wheel *wheel, struct weir_timer *timer)
{
    uint64_t differ = (wheel->elapsed ^ timer->deadline_ms) | (SLOTS - 1);
    unsigned level = (63 - (unsigned)__builtin_clzll(differ)) / LEVEL_BITS;
    level = WEIR_MIN(level, LEVELS - 1u);
    unsigned slot = (unsigned)(timer->deadline_ms >> level_shift(level)) & (SLOTS - 1);
    weir_list_push_back(&wheel->slots[level][slot], &timer->link);
    wheel->occupied[level] |= UINT64_C(1) << slot;
    return timer->deadline_ms >> level_shift(level) << level_shift(level);
}

static uint64_t rotate_right(uint64_t v, unsigned by)
{
    return by ? v >> by | v << (64 - by) : v;
}

/* The occupied slot that starts first. */
static uint64_t next_slot(const struct weir_timer_wheel *wheel, unsigned *ret_level, unsigned *ret_slot)
{
    uint64_t best = NEVER;
    for (unsigned level = 0; level < LEVELS; level++) {
        if (wheel->occupied[level] == 0) {
            continue;
        }
        uint64_t at = wheel->elapsed >> level_shift(level); /* in units of this level's slots */
        unsigned ahead = (unsigned)__builtin_ctzll(rotate_right(wheel->occupied[level], at & (SLOTS - 1)));
        uint64_t start = (at + ahead) << level_shift(level);
        if (start < best) {
            best = start;
            *ret_level = level;
            *ret_slot = (unsigned)(at + ahead) & (SLOTS - 1);
        }
    }
    return best;
}

static void ask_alarm(struct weir_loop *loop)
{
    struct weir_timer_wheel *wheel = loop->wheel;
    if (wheel->alarm != wheel->next) {
        wheel->alarm = wheel->next;
        loop->ops->alarm(loop, wheel->next);
    }
}

void weir_wheel_follow(struct weir_timer_wheel *wheel, uint64_t now_ms)
{
    if (now_ms < wheel->next && now_ms > wheel->elapsed) {
        wheel->elapsed = now_ms;
    }
}

void weir_timer_init(struct weir_timer *timer, weir_timer_fn fn)
{
    *timer = (struct weir_timer){.fn = fn};
}

void weir_timer_set(struct weir_loop *loop, struct weir_timer *timer, uint64_t delay_ms)
{
    struct weir_timer_wheel *wheel = loop->wheel;
    uint64_t now_ms = loop->now_ms + (loop->now_ns > loop->now_ms * 1000000); /* rounded up: never early */
    weir_timer_stop(loop, timer);
    timer->deadline_ms = WEIR_MAX(now_ms + WEIR_MIN(delay_ms, DELAY_MAX / 2), wheel->elapsed + 1);
    uint64_t start = insert(wheel, timer);
    if (start < wheel->next) {
        wheel->next = start;
        ask_alarm(loop);
    }
}

void weir_timer_stop(struct weir_loop *loop, struct weir_timer *timer)
{
    struct weir_timer_wheel *wheel = loop->wheel;
    struct weir_list *head = timer->link.next;
    if (!head) {
        return;
    }
    /* The last of its slot? Then its only neighbour is the slot's head. */
    if (head == timer->link.prev && head != &wheel->firing) {
        size_t index = (size_t)(head - &wheel->slots[0][0]);
        WEIR_ASSERT(index < (size_t)LEVELS * SLOTS);
        wheel->occupied[index / SLOTS] &= ~(UINT64_C(1) << (index % SLOTS));
    }
    weir_list_unlink(&timer->link);
}

/* Fires what is in `firing`; a callback may stop those behind it. */
static void fire_all(struct weir_timer_wheel *wheel)
{
    struct weir_list *node;
    while ((node = weir_list_first(&wheel->firing))) {
        struct weir_timer *timer = WEIR_CONTAINER_OF(node, struct weir_timer, link);
        weir_list_unlink(node);
        timer->fn(timer);
    }
}

static void cascade(struct weir_timer_wheel *wheel, struct weir_list *slot)
{
    struct weir_list moving;
    struct weir_list *node;
    weir_list_init(&moving);
    weir_list_splice(&moving, slot);
    while ((node = weir_list_first(&moving))) {
        weir_list_unlink(node);
        (void)insert(wheel, WEIR_CONTAINER_OF(node, struct weir_timer, link));
    }
}

void weir_loop_on_alarm(struct weir_loop *loop)
{
    struct weir_timer_wheel *wheel = loop->wheel;
    unsigned level = 0, slot = 0;
    uint64_t start;
    wheel->alarm = NEVER; /* it has rung */
    while ((start = next_slot(wheel, &level, &slot)) <= loop->now_ms) {
        wheel->elapsed = WEIR_MAX(wheel->elapsed, start);
        wheel->occupied[level] &= ~(UINT64_C(1) << slot);
        if (level > 0) {
            cascade(wheel, &wheel->slots[level][slot]);
        } else {
            weir_list_splice(&wheel->firing, &wheel->slots[0][slot]);
            fire_all(wheel);
        }
    }
    wheel->elapsed = WEIR_MAX(wheel->elapsed, loop->now_ms);
    wheel->next = start;
    ask_alarm(loop);
}
