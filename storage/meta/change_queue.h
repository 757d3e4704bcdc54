/*
 * change_queue: changes of the registry that the log has and LMDB has not.
 *
 * A change is in force once it is durable in the log. It waits here until a checkpoint takes it to
 * LMDB, in the transaction that has rows or log positions which need it; so LMDB may be full for as
 * long as it likes, and a start adopts from the log what LMDB did not get.
 *
 * Invariant: changes wait in the order of their generations, each once.
 *
 * Threads: any; a lock of its own, never held while waiting for a disk.
 * Memory:  owns the changes that wait. They are made before they are logged, so that putting cannot
 *          fail.
 */
#ifndef STORAGE_META_CHANGE_QUEUE_H
#define STORAGE_META_CHANGE_QUEUE_H

#include "storage/meta/meta.h"

struct change_queue;
struct change_entry; /* a copy of one change */

FST_MUST_USE enum fst_status change_queue_create(struct change_queue **queue_out);
/* NULL is allowed. */
void change_queue_destroy(struct change_queue *queue);

/* NULL: no memory. */
struct change_entry *change_entry_create(uint64_t generation, struct bytes change);
void change_entry_destroy(struct change_entry *entry);

/* Takes the entry over. One whose generation was put before is dropped. */
void change_queue_put(struct change_queue *queue, struct change_entry *entry);

/* Puts all that wait into a batch. Once that is committed, change_queue_settle() with the answer
 * lets them go. */
FST_MUST_USE enum fst_status change_queue_write(struct change_queue *queue,
                                                struct meta_batch *batch, uint64_t *generation_out);
void change_queue_settle(struct change_queue *queue, uint64_t generation);

/* Forgets everything: all generations may be put again. */
void change_queue_clear(struct change_queue *queue);

/* How many wait. */
uint64_t change_queue_count(struct change_queue *queue);

#endif
