#include "coordinator/oplog_queue.h"

#include <string.h>

void oplog_queue_init(struct oplog_queue *q)
{
    *q = (struct oplog_queue){.end = &q->first};
}

void oplog_queue_put(struct oplog_queue *q, struct append *a)
{
    a->next = NULL;
    *q->end = a;
    q->end = &a->next;
}

static bool has_stream(const struct append *list, const struct append *of)
{
    for (; list; list = list->next)
        if (memcmp(&list->entry.stream, &of->entry.stream, sizeof of->entry.stream) == 0)
            return true;
    return false;
}

static struct append *take_all(struct oplog_queue *q)
{
    struct append *all = q->first;
    oplog_queue_init(q);
    return all;
}

static bool is_first(const struct oplog_queue *left, const struct append *a)
{
    return a->entry.small && (a->entry.overtakes || !has_stream(left->first, a));
}

/* Moves the small ones from `q` to `to`, but those that would overtake one of their stream, and may not. */
static void take_small(struct oplog_queue *q, struct oplog_queue *to)
{
    for (struct append *next, *a = take_all(q); a; a = next) {
        next = a->next;
        oplog_queue_put(is_first(q, a) ? to : q, a);
    }
}

/* From the front: what comes after one that does not fit might be of its stream. */
static void take_large(struct oplog_queue *q, struct oplog_queue *to, size_t most)
{
    size_t bytes = 0;
    while (q->first && (bytes == 0 || bytes + q->first->entry.operations.len <= most)) {
        struct append *a = q->first;
        q->first = a->next;
        bytes += a->entry.operations.len;
        oplog_queue_put(to, a);
    }
    if (!q->first)
        q->end = &q->first;
}

static bool is_much(const struct append *list)
{
    size_t bytes = 0;
    for (; list && bytes <= OPLOG_BESIDE; list = list->next)
        bytes += list->entry.operations.len;
    return bytes > OPLOG_BESIDE;
}

struct append *oplog_queue_take(struct oplog_queue *q, bool is_hurried)
{
    struct oplog_queue group;
    bool small_went = q->small_went;
    oplog_queue_init(&group);
    take_small(q, &group);
    q->small_went = group.first && !small_went && is_much(q->first);
    if (!q->small_went)
        take_large(q, &group, is_hurried ? OPLOG_GROUP : OPLOG_GROUP_MOST);
    return group.first;
}
