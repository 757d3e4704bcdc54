#include "shard/message.h"

#include <stdlib.h>

#include "base/assert.h"

static struct spsc *queue_at(struct mailboxes *mailboxes, uint32_t from, uint32_t to) {
    FST_ASSERT(from < mailboxes->seats_count && to < mailboxes->seats_count);
    return &mailboxes->queues[(size_t)from * mailboxes->seats_count + to];
}

void message_list_put(struct message_list *list, struct message *message) {
    message->next = NULL;
    if (list->last)
        list->last->next = message;
    else
        list->first = message;
    list->last = message;
}

struct message *message_list_get(struct message_list *list) {
    struct message *message = list->first;
    if (!message) return NULL;
    list->first = message->next;
    if (!list->first) list->last = NULL;
    return message;
}

enum fst_status mailboxes_init(struct mailboxes *mailboxes, uint32_t seats_count,
                               uint32_t messages_max) {
    size_t count = (size_t)seats_count * seats_count;
    *mailboxes = (struct mailboxes){.seats_count = seats_count,
                                    .queues = aligned_alloc(64, count * sizeof(struct spsc))};
    if (!mailboxes->queues) return FST_NO_MEMORY;
    memset(mailboxes->queues, 0, count * sizeof(struct spsc));
    for (size_t i = 0; i < count; i++) {
        enum fst_status status = spsc_init(&mailboxes->queues[i], messages_max);
        if (status != FST_OK) {
            mailboxes_deinit(mailboxes);
            return status;
        }
    }
    return FST_OK;
}

void mailboxes_deinit(struct mailboxes *mailboxes) {
    size_t count = (size_t)mailboxes->seats_count * mailboxes->seats_count;
    for (size_t i = 0; mailboxes->queues && i < count; i++) spsc_deinit(&mailboxes->queues[i]);
    free(mailboxes->queues);
    *mailboxes = (struct mailboxes){0};
}

bool mailbox_send(struct mailboxes *mailboxes, uint32_t from, uint32_t to,
                  struct message *message) {
    message->from = from;
    return spsc_push(queue_at(mailboxes, from, to), message);
}

struct message *mailbox_receive(struct mailboxes *mailboxes, uint32_t to, uint32_t *cursor) {
    for (uint32_t i = 0; i < mailboxes->seats_count; i++) {
        uint32_t from = (*cursor + i) % mailboxes->seats_count;
        struct message *message = spsc_pop(queue_at(mailboxes, from, to));
        if (!message) continue;
        *cursor = (from + 1) % mailboxes->seats_count;
        return message;
    }
    return NULL;
}
