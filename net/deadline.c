#include "net/deadline.h"

#include <stddef.h>

#include "base/assert.h"

void deadline_remove(struct deadline *deadline) {
    struct deadlines *list = deadline->list;
    if (list == NULL) return;
    if (deadline->previous) {
        deadline->previous->next = deadline->next;
    } else {
        list->first = deadline->next;
    }
    if (deadline->next) {
        deadline->next->previous = deadline->previous;
    } else {
        list->last = deadline->previous;
    }
    *deadline = (struct deadline){.list = NULL};
}

void deadline_put(struct deadlines *list, struct deadline *deadline, int64_t now_us) {
    deadline_remove(deadline);
    int64_t at_us = now_us + list->duration_us;
    FST_ASSERT(list->last == NULL || list->last->at_us <= at_us); /* I1 */
    *deadline = (struct deadline){.list = list, .previous = list->last, .at_us = at_us};
    if (list->last) {
        list->last->next = deadline;
    } else {
        list->first = deadline;
    }
    list->last = deadline;
}

struct deadline *deadlines_due(const struct deadlines *list, int64_t now_us) {
    return list->first && list->first->at_us <= now_us ? list->first : NULL;
}

bool deadlines_check(const struct deadlines *list) {
    const struct deadline *previous = NULL;
    for (const struct deadline *at = list->first; at != NULL; at = at->next) {
        if (at->list != list || at->previous != previous) return false;
        if (previous && previous->at_us > at->at_us) return false;
        previous = at;
    }
    return list->last == previous;
}
