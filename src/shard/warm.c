#include "shard/warm.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/logger.h"

enum { DAMAGE_LOG_US = 1000000 };

struct warm_thread {
    struct warm *warm;
    uint32_t seat;
    struct meta_reader *reader;
    int64_t logged_us; /* monotonic; damage was logged */
    pthread_t thread;
    bool is_started;
};

struct warm {
    struct engine *engine;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    struct message_list calls;
    bool is_stopping;
    uint32_t threads_count; /* settled */
    struct warm_thread threads[];
};

/* ---- calls ---- */

enum fst_status warm_call_create(struct warm_call **call_out, struct warm_budget *budget,
                                 const struct frame *frame, struct warm_rows *rows) {
    size_t bytes = sizeof **call_out + frame->payload_bytes;
    if (!warm_budget_take(budget, bytes)) return FST_OVERLOADED;
    struct warm_call *call = malloc(bytes);
    if (!call) {
        warm_budget_give(budget, bytes);
        return FST_OVERLOADED;
    }
    *call = (struct warm_call){
        .message.kind = MESSAGE_WARM, .frame = *frame, .rows = *rows, .bytes = bytes};
    memcpy(call->payload, frame->payload, frame->payload_bytes);
    call->frame.payload = call->payload;
    *rows = (struct warm_rows){.budget = budget};
    *call_out = call;
    return FST_OK;
}

void warm_call_destroy(struct warm_call *call) {
    if (!call) return;
    struct warm_budget *budget = call->rows.budget;
    warm_rows_deinit(&call->rows);
    warm_budget_give(budget, call->bytes);
    free(call);
}

void warm_promotion_destroy(struct warm_promotion *promotion, struct engine *engine) {
    warm_budget_give(&engine->warm_budget, promotion->bytes);
    atomic_fetch_sub(&engine->promotions_open, 1);
    free(promotion);
}

/* ---- the threads ---- */

/* One line a second is enough to know that something is wrong, and where. */
static void damage_log(struct warm_thread *thread, const struct fst_error *error) {
    int64_t now_us = io_monotonic_us(thread->warm->engine->io);
    if (thread->logged_us > 0 && now_us - thread->logged_us < DAMAGE_LOG_US) return;
    thread->logged_us = now_us;
    log_error("warm.read_failed", "status=%s text=\"%s\"", fst_status_name(error->status),
              error->text);
}

static void row_fetch(struct warm_thread *thread, struct warm_rows *rows, struct warm_row *row) {
    struct fst_error error = {.text = ""};
    struct meta_row found;
    row->status = meta_get_row(thread->reader, row->want.partition, row->want.view_id,
                               warm_rows_name(rows, row), &found, &error);
    if (row->status == FST_OK) {
        warm_rows_put(rows, row, &found);
    } else if (row->status != FST_NOT_FOUND) {
        error.status = row->status;
        damage_log(thread, &error);
    }
}

/* False if so many are on their way already. */
static bool promotion_count(struct engine *engine) {
    if (atomic_fetch_add(&engine->promotions_open, 1) < WARM_PROMOTIONS_MAX) return true;
    atomic_fetch_sub(&engine->promotions_open, 1);
    return false;
}

/* Its owner puts it back into memory. */
static void row_promote(struct warm_thread *thread, const struct warm_rows *rows,
                        const struct warm_row *row) {
    struct engine *engine = thread->warm->engine;
    size_t row_bytes = row->image_bytes + row->heap_bytes;
    size_t bytes = sizeof(struct warm_promotion) + row_bytes;
    if (!warm_budget_take(rows->budget, bytes)) return;
    struct warm_promotion *promotion = malloc(bytes);
    if (promotion && promotion_count(engine)) {
        *promotion =
            (struct warm_promotion){.message.kind = MESSAGE_PROMOTE, .bytes = bytes, .row = *row};
        promotion->row.data = promotion->data;
        memcpy(promotion->data, row->data, row_bytes);
        uint32_t owner = engine_owner(engine, row->want.partition);
        if (mailbox_send(&engine->mailboxes, thread->seat, owner, &promotion->message)) {
            engine_wake(engine, owner);
            return;
        }
        atomic_fetch_sub(&engine->promotions_open, 1);
    }
    free(promotion);
    warm_budget_give(rows->budget, bytes);
}

/* The next rows of a call, as many as a turn has. */
static void rows_fetch(struct warm_thread *thread, struct warm_call *call) {
    struct warm_rows *rows = &call->rows;
    struct fst_error error = {.text = ""};
    uint32_t begin = call->fetched_count;
    uint32_t left = rows->count - begin;
    uint32_t end = begin + (left < WARM_ROWS_A_TURN ? left : WARM_ROWS_A_TURN);
    error.status = meta_reader_begin(thread->reader, &error);
    if (error.status != FST_OK) damage_log(thread, &error);
    for (uint32_t i = begin; i < end; i++) {
        rows->rows[i].status = error.status;
        if (error.status == FST_OK) row_fetch(thread, rows, &rows->rows[i]);
    }
    if (error.status == FST_OK) meta_reader_end(thread->reader);
    for (uint32_t i = begin; i < end; i++) {
        const struct warm_row *row = &rows->rows[i];
        if (row->status == FST_OK && row->want.comes_back) row_promote(thread, rows, row);
    }
    metrics_add(&thread->warm->engine->metrics[thread->seat], METRIC_WARM_ROWS, end - begin);
    call->fetched_count = end;
}

/* Whether nobody waits for the rows any more. */
static bool call_is_late(const struct warm_thread *thread, const struct warm_call *call) {
    if (call->deadline_us == 0) return false;
    int64_t now_us = io_monotonic_us(thread->warm->engine->io);
    return now_us - call->frame.arrival_us >= call->deadline_us;
}

static void rows_drop(struct warm_call *call) {
    for (; call->fetched_count < call->rows.count; call->fetched_count++) {
        call->rows.rows[call->fetched_count].status = FST_TIMEOUT;
    }
}

/* One turn of a call: false if another has to follow. */
static bool call_serve(struct warm_thread *thread, struct warm_call *call) {
    struct engine *engine = thread->warm->engine;
    uint32_t to = call->message.from; /* Sending it writes the seat of this thread. */
    if (call_is_late(thread, call))
        rows_drop(call);
    else
        rows_fetch(thread, call);
    if (call->fetched_count < call->rows.count) return false;
    call->message.kind = MESSAGE_WARMED;
    bool is_sent = mailbox_send(&engine->mailboxes, thread->seat, to, &call->message);
    FST_ASSERT(is_sent); /* Queues hold more than all calls of a shard and what is promoted. */
    engine_wake(engine, to);
    return true;
}

/* Puts back a call that has more rows, if not NULL. NULL: the end. */
static struct warm_call *call_wait(struct warm *warm, struct warm_call *unfinished) {
    pthread_mutex_lock(&warm->lock);
    if (unfinished) message_list_put(&warm->calls, &unfinished->message);
    struct message *message;
    while ((message = message_list_get(&warm->calls)) == NULL && !warm->is_stopping) {
        pthread_cond_wait(&warm->changed, &warm->lock);
    }
    bool is_stopping = warm->is_stopping;
    pthread_mutex_unlock(&warm->lock);
    if (!is_stopping) return (struct warm_call *)message;
    warm_call_destroy((struct warm_call *)message);
    return NULL;
}

static void *thread_run(void *context) {
    struct warm_thread *thread = context;
    struct warm_call *unfinished = NULL;
    struct warm_call *call;
    while ((call = call_wait(thread->warm, unfinished)) != NULL) {
        unfinished = call_serve(thread, call) ? NULL : call;
    }
    return NULL;
}

void warm_put(struct warm *warm, struct warm_call *call, uint32_t shard) {
    call->message.from = shard;
    pthread_mutex_lock(&warm->lock);
    message_list_put(&warm->calls, &call->message);
    pthread_cond_signal(&warm->changed);
    pthread_mutex_unlock(&warm->lock);
}

/* ---- life ---- */

static enum fst_status thread_start(struct warm *warm, uint32_t index, struct meta *meta,
                                    struct fst_error *error) {
    struct warm_thread *thread = &warm->threads[index];
    thread->warm = warm;
    thread->seat = engine_warm_seat(warm->engine, index);
    FST_TRY(meta_reader_open(&thread->reader, meta, error));
    if (pthread_create(&thread->thread, NULL, thread_run, thread) != 0) {
        return fst_error_set(error, FST_NO_MEMORY, "cannot start a thread for warm rows");
    }
    thread->is_started = true;
    return FST_OK;
}

enum fst_status warm_create(struct warm **warm_out, struct engine *engine, struct meta *meta,
                            uint32_t threads_count, struct fst_error *error) {
    FST_ASSERT(threads_count >= 1 && threads_count <= WARM_THREADS_MAX);
    struct warm *warm = calloc(1, sizeof *warm + threads_count * sizeof *warm->threads);
    if (!warm) return fst_error_set(error, FST_NO_MEMORY, "no memory for warm threads");
    warm->engine = engine;
    warm->threads_count = threads_count;
    pthread_mutex_init(&warm->lock, NULL);
    pthread_cond_init(&warm->changed, NULL);
    for (uint32_t t = 0; t < threads_count; t++) {
        enum fst_status status = thread_start(warm, t, meta, error);
        if (status == FST_OK) continue;
        warm_destroy(warm);
        return status;
    }
    *warm_out = warm;
    return FST_OK;
}

/* Shards that have ended leave what came after. All else in their mailboxes is others' memory. */
static void mailboxes_clear(struct engine *engine) {
    for (uint32_t seat = 0; seat < engine->shards_count; seat++) {
        uint32_t cursor = 0;
        struct message *message;
        while ((message = mailbox_receive(&engine->mailboxes, seat, &cursor)) != NULL) {
            enum message_kind kind = message->kind;
            if (kind == MESSAGE_WARMED)
                warm_call_destroy((struct warm_call *)message);
            else if (kind == MESSAGE_PROMOTE)
                warm_promotion_destroy((struct warm_promotion *)message, engine);
        }
    }
}

void warm_destroy(struct warm *warm) {
    if (!warm) return;
    pthread_mutex_lock(&warm->lock);
    warm->is_stopping = true;
    pthread_cond_broadcast(&warm->changed);
    pthread_mutex_unlock(&warm->lock);
    for (uint32_t t = 0; t < warm->threads_count; t++) {
        struct warm_thread *thread = &warm->threads[t];
        if (thread->is_started) pthread_join(thread->thread, NULL);
        meta_reader_close(thread->reader);
    }
    struct message *message;
    while ((message = message_list_get(&warm->calls)) != NULL) {
        warm_call_destroy((struct warm_call *)message);
    }
    mailboxes_clear(warm->engine);
    pthread_cond_destroy(&warm->changed);
    pthread_mutex_destroy(&warm->lock);
    free(warm);
}
