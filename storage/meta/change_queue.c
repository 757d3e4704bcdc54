#include "storage/meta/change_queue.h"

#include <pthread.h>
#include <stdlib.h>

struct change_entry {
    struct change_entry *next;
    uint64_t generation;
    size_t bytes;
    uint8_t data[];
};

struct change_queue {
    pthread_mutex_t lock; /* of what follows */
    struct change_entry *first;
    struct change_entry **end;
    uint64_t last_generation; /* put */
    uint64_t count;
};

enum fst_status change_queue_create(struct change_queue **queue_out) {
    struct change_queue *queue = calloc(1, sizeof *queue);
    if (!queue) return FST_NO_MEMORY;
    pthread_mutex_init(&queue->lock, NULL);
    queue->end = &queue->first;
    *queue_out = queue;
    return FST_OK;
}

void change_queue_destroy(struct change_queue *queue) {
    if (!queue) return;
    change_queue_clear(queue);
    pthread_mutex_destroy(&queue->lock);
    free(queue);
}

struct change_entry *change_entry_create(uint64_t generation, struct bytes change) {
    struct change_entry *entry = malloc(sizeof *entry + change.bytes);
    if (!entry) return NULL;
    *entry = (struct change_entry){.generation = generation, .bytes = change.bytes};
    if (change.bytes > 0) memcpy(entry->data, change.data, change.bytes);
    return entry;
}

void change_entry_destroy(struct change_entry *entry) {
    free(entry);
}

void change_queue_put(struct change_queue *queue, struct change_entry *entry) {
    pthread_mutex_lock(&queue->lock);
    bool is_new = entry->generation > queue->last_generation;
    if (is_new) {
        queue->last_generation = entry->generation;
        queue->count += 1;
        *queue->end = entry;
        queue->end = &entry->next;
    }
    pthread_mutex_unlock(&queue->lock);
    if (!is_new) change_entry_destroy(entry);
}

enum fst_status change_queue_write(struct change_queue *queue, struct meta_batch *batch,
                                   uint64_t *generation_out) {
    enum fst_status status = FST_OK;
    *generation_out = 0;
    pthread_mutex_lock(&queue->lock);
    for (struct change_entry *entry = queue->first; entry && status == FST_OK;
         entry = entry->next) {
        struct bytes change = {.data = entry->data, .bytes = entry->bytes};
        status = meta_put_change(batch, entry->generation, change);
        *generation_out = entry->generation;
    }
    pthread_mutex_unlock(&queue->lock);
    return status;
}

/* Under the lock. */
static void entries_drop(struct change_queue *queue, uint64_t generation) {
    while (queue->first && queue->first->generation <= generation) {
        struct change_entry *entry = queue->first;
        queue->first = entry->next;
        queue->count -= 1;
        change_entry_destroy(entry);
    }
    if (!queue->first) queue->end = &queue->first;
}

void change_queue_settle(struct change_queue *queue, uint64_t generation) {
    pthread_mutex_lock(&queue->lock);
    entries_drop(queue, generation);
    pthread_mutex_unlock(&queue->lock);
}

void change_queue_clear(struct change_queue *queue) {
    pthread_mutex_lock(&queue->lock);
    entries_drop(queue, UINT64_MAX);
    queue->last_generation = 0;
    pthread_mutex_unlock(&queue->lock);
}

uint64_t change_queue_count(struct change_queue *queue) {
    pthread_mutex_lock(&queue->lock);
    uint64_t count = queue->count;
    pthread_mutex_unlock(&queue->lock);
    return count;
}
