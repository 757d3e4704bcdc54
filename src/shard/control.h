/*
 * control: the thread that serves CONTROL requests, one at a time.
 *
 * It owns the registry. A change of definitions or keys is planned, made durable in the log of
 * shard 0, adopted, and only then seen by the shards and answered. LMDB gets it with the next
 * checkpoint; if that fails, with a later one. Rows that come
 * as text (import, put) are decoded here and sent to the owners like any other write.
 *
 *     call -> decode -> role -> operation -> reply
 *                                  |-> change: log, queue for LMDB, adopt, publish
 *                                  |-> rows: batches to the owners, statuses back
 *
 * Invariants:
 *   C1  The catalog that shards see is the state after a change that is durable in the log, and in
 *       LMDB or the queue for it: its rows are not stored before it.
 *   C2  A definitions pair is freed only after every shard has adopted a newer one (its prepared
 *       plans point into the catalog) and every seat has passed a quiet point since.
 *   C3  While a change is between the log and the queue for LMDB, change_lock is held: no
 *       checkpoint takes log positions then.
 *
 * Threads: control_run is the thread; control_wake may be called by any.
 * Memory:  owns the registry, the published definitions, its buffers; replies go to the calls.
 */
#ifndef SHARD_CONTROL_H
#define SHARD_CONTROL_H

#include <pthread.h>

#include "base/arena.h"
#include "base/buffers.h"
#include "shard/control_call.h"
#include "shard/engine.h"
#include "shard/write_request.h"
#include "storage/meta/change_queue.h"

struct definitions_retired {
    struct definitions *definitions;
    uint64_t stamp; /* of the epoch */
    struct definitions_retired *next;
};

struct control {
    struct engine *engine;
    struct registry *registry;
    struct change_queue *changes; /* for LMDB */
    pthread_mutex_t *change_lock; /* C3; shared with the checkpoint thread */
    void *keeper;                 /* for the checkpoint operation */
    enum fst_status (*checkpoint)(void *keeper, struct fst_error *error);
    struct buffers buffers;
    struct arena arena; /* of one operation */
    struct message_list calls;
    uint32_t mail_cursor;
    struct definitions_retired *retired;
    pthread_mutex_t wake_lock;
    pthread_cond_t wake_cond;
    bool is_awake; /* something was sent since the last wait */
};

struct control_options {
    struct engine *engine;
    struct registry *registry; /* moved to the control */
    struct change_queue *changes;
    pthread_mutex_t *change_lock;
    void *keeper;
    enum fst_status (*checkpoint)(void *keeper, struct fst_error *error);
};

/* Also publishes the first definitions in the engine. */
FST_MUST_USE enum fst_status control_create(struct control **control_out,
                                            const struct control_options *options,
                                            struct fst_error *error);
/* After all threads ended. */
void control_destroy(struct control *control);

/* Serves until no shard runs any more: then nobody waits for an answer. */
void control_run(struct control *control);
void control_wake(void *context);

/* Waits for a message of this kind, putting calls aside. NULL once no shard runs any more. */
struct message *control_receive(struct control *control, enum message_kind kind);

#endif
