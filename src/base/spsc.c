#include "base/spsc.h"

#include <stdlib.h>

#include "base/assert.h"

enum fst_status spsc_init(struct spsc *queue, uint32_t slots_count) {
    FST_ASSERT(slots_count > 0);
    FST_ASSERT((slots_count & (slots_count - 1)) == 0);
    FST_ASSERT(slots_count <= UINT32_C(1) << 30);
    void **slots = calloc(slots_count, sizeof *slots);
    if (!slots) return FST_NO_MEMORY;
    queue->slots = slots;
    queue->slots_count = slots_count;
    queue->head_seen = 0;
    queue->tail_seen = 0;
    atomic_init(&queue->tail, 0);
    atomic_init(&queue->head, 0);
    return FST_OK;
}

void spsc_deinit(struct spsc *queue) {
    free(queue->slots);
    queue->slots = NULL;
    queue->slots_count = 0;
}

/* The consumer's release of `head` says that it has read the slot: the producer may fill it again.
 */
bool spsc_push(struct spsc *queue, void *message) {
    FST_ASSERT(message != NULL);
    uint32_t tail = atomic_load_explicit(&queue->tail, memory_order_relaxed);
    if (tail - queue->head_seen == queue->slots_count) {
        queue->head_seen = atomic_load_explicit(&queue->head, memory_order_acquire);
        if (tail - queue->head_seen == queue->slots_count) return false;
    }
    queue->slots[tail & (queue->slots_count - 1)] = message;
    atomic_store_explicit(&queue->tail, tail + 1, memory_order_release);
    return true;
}

void *spsc_pop(struct spsc *queue) {
    uint32_t head = atomic_load_explicit(&queue->head, memory_order_relaxed);
    if (head == queue->tail_seen) {
        queue->tail_seen = atomic_load_explicit(&queue->tail, memory_order_acquire);
        if (head == queue->tail_seen) return NULL;
    }
    void *message = queue->slots[head & (queue->slots_count - 1)];
    atomic_store_explicit(&queue->head, head + 1, memory_order_release);
    return message;
}
