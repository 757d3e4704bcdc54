/*
 * file_writer: durable writes done by a thread, for a loop that must not wait for the disk.
 *
 * Writes are done one after the other, in the order they were given: written whole, then synced
 * unless the file syncs by itself. Results are taken in the same order.
 *
 *     owner: put -> [ todo ] -> thread: write, sync, notify -> [ done ] -> owner: take
 *
 * Invariants:
 *   I1  Every write that was put is taken exactly once.
 *   I2  The result is 0 only if all bytes are durable.
 *   I3  notify is called after each result, from the thread.
 *
 * Threads: one owner calls everything; the thread is its own. Signals are never handled in it.
 * Memory:  in place; the data of a write is borrowed until its result is taken.
 */
#ifndef NET_FILE_WRITER_H
#define NET_FILE_WRITER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/io.h"
#include "fstore/status.h"

enum { FILE_WRITES_MAX = 256 };

struct file_write {
    struct io_ring_write write;
    uint64_t token;
    int result;
    struct file_write *next;
};

struct file_write_queue {
    struct file_write *first;
    struct file_write *last;
};

struct file_writer {
    void (*notify)(void *context);
    void *context;
    struct file_write slots[FILE_WRITES_MAX];
    struct file_write *free_list; /* the owner's, as is the next */
    uint32_t put_count;           /* put and not yet taken */
    pthread_t thread;
    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t todo_arrived;
    struct file_write_queue todo;
    struct file_write_queue done;
    bool is_stopping;
};

/* NO_MEMORY if there can be no thread. */
FST_MUST_USE enum fst_status file_writer_init(struct file_writer *writer,
                                              void (*notify)(void *context), void *context);

/* Does what was put, then ends the thread. */
void file_writer_deinit(struct file_writer *writer);

/* False when FILE_WRITES_MAX are under way. */
bool file_writer_put(struct file_writer *writer, const struct io_ring_write *write, uint64_t token);

/* Stores up to `max` results, returns how many. Costs nothing while no write is under way. */
uint32_t file_writer_take(struct file_writer *writer, struct io_ring_completion *completions,
                          uint32_t max);

#endif
