/*
 * spsc: a bounded queue of pointers from one thread to one other.
 *
 * A ring of slots; the producer owns `tail`, the consumer `head`, each on its own cache line with a
 * private copy of the other's, so that an uncontended operation touches no shared line.
 *
 * Invariant: 0 <= tail - head <= slots_count.
 * Threads: spsc_push by one producer, spsc_pop by one consumer.
 * Memory:  owns its slots; the pointers are moved with the message.
 */
#ifndef BASE_SPSC_H
#define BASE_SPSC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "fstore/status.h"

struct spsc {
    void **slots;
    uint32_t slots_count; /* a power of two */
    _Alignas(64) _Atomic uint32_t tail;
    uint32_t head_seen;
    _Alignas(64) _Atomic uint32_t head;
    uint32_t tail_seen;
};

FST_MUST_USE enum fst_status spsc_init(struct spsc *queue, uint32_t slots_count);
void spsc_deinit(struct spsc *queue);

bool spsc_push(struct spsc *queue, void *message); /* false when full */
void *spsc_pop(struct spsc *queue);                /* NULL when empty */

#endif
