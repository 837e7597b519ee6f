/* Intrusive doubly linked list. A zeroed node is unlinked; unlinking twice is harmless. */
#ifndef WEIR_BASE_LIST_H
#define WEIR_BASE_LIST_H

#include <stdbool.h>

#include "base/attr.h"

struct weir_list {
    struct weir_list *next, *prev;
};

/** Makes `head` an empty list. */
static inline void weir_list_init(struct weir_list *head)
{
    head->next = head->prev = head;
}
static inline bool weir_list_empty(const struct weir_list *head)
{
    return head->next == head;
}
static inline bool weir_list_linked(const struct weir_list *node)
{
    return node->next != NULL;
}
static inline void weir_list_insert_before(struct weir_list *pos, struct weir_list *node)
{
    node->prev = pos->prev;
    node->next = pos;
    pos->prev->next = node;
    pos->prev = node;
}
static inline void weir_list_push_back(struct weir_list *head, struct weir_list *node)
{
    weir_list_insert_before(head, node);
}
static inline void weir_list_push_front(struct weir_list *head, struct weir_list *node)
{
    weir_list_insert_before(head->next, node);
}
static inline void weir_list_unlink(struct weir_list *node)
{
    if (!node->next) return;
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->next = node->prev = NULL;
}
/** First node, or NULL. */
static inline struct weir_list *weir_list_first(const struct weir_list *head)
{
    return head->next == head ? NULL : head->next;
}
static inline struct weir_list *weir_list_last(const struct weir_list *head)
{
    return head->prev == head ? NULL : head->prev;
}
/** Moves all nodes of `from` to the end of `to`; `from` is empty afterwards. */
static inline void weir_list_splice(struct weir_list *to, struct weir_list *from)
{
    if (weir_list_empty(from)) return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    weir_list_init(from);
}
/** Iterates; the current node may be unlinked inside the loop. */
#define WEIR_LIST_EACH(head, it)                                                              \
    for (struct weir_list *it = (head)->next, *it##_next = it->next; it != (head);            \
         it = it##_next, it##_next = it->next)

#endif
