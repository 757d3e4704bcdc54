#include "shard/shard.h"

#include <errno.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/logger.h"
#include "shard/control_call.h"
#include "shard/get_request.h"
#include "shard/requests.h"
#include "shard/warm.h"
#include "shard/write_request.h"

enum {
    TOKEN_ACCEPT = 1, /* the tag of connections is in the top byte */
    WAIT_US_MAX = 100000,
    ACCEPT_AGAIN_US = 100000,
    DRAIN_US = 3000000,
    RECLAIMS_PER_TICK = 4,
    TURNS_WORK_MAX = 64 * CONN_TURN_WORK, /* of a tick */
    SWEEP_PLACES = 256,                   /* about 100 ns each */
    SWEEP_US = 5000,
    EVICT_PLACES = 256, /* of each partition that is short */
    EVICT_US = 1000,
    TOKEN_LOG_TAG = 1, /* in the top byte; the group is below */
    TOKEN_TAG_SHIFT = 56,
};
static_assert(TOKEN_LOG_TAG != CONN_TOKEN_TAG, "tokens tell who they are for");

static uint64_t log_token(uint64_t group) {
    return (uint64_t)TOKEN_LOG_TAG << TOKEN_TAG_SHIFT | group;
}

static bool token_is_log(uint64_t token) {
    return token >> TOKEN_TAG_SHIFT == TOKEN_LOG_TAG;
}

size_t shard_gets_bytes(void) {
    return GET_READS_MAX * (sizeof(struct partition_read) + sizeof(struct get_target)) +
           GET_SCRATCH_BYTES + GET_CONVERTED_BYTES;
}

static void session_closed(void *context, struct conn *conn) {
    struct shard *shard = context;
    session_destroy(conn->session);
    conn->session = NULL;
    if (conn->is_spare) return; /* It was never counted. */
    metrics_subtract(shard->metrics, METRIC_CONNECTIONS, 1);
}

static enum fst_status conns_start(struct shard *shard) {
    const struct engine_limits *limits = &shard->engine->limits;
    struct conns_options options = CONNS_OPTIONS_DEFAULT;
    options.connections_max = limits->connections_max;
    options.total = &shard->engine->connections;
    options.in_flight_max = limits->in_flight_max;
    options.output_bytes_max = limits->output_bytes_max;
    options.frame_bytes_max = limits->frame_bytes_max;
    options.bulk_bytes_max = limits->bulk_bytes_max;
    options.handshake_us = limits->handshake_us;
    options.partial_us = limits->partial_us;
    options.closed = session_closed;
    options.context = shard;
    return conns_init(&shard->conns, &options, shard->ring);
}

enum fst_status shard_create(struct shard **shard_out, const struct shard_options *options,
                             struct fst_error *error) {
    struct engine *engine = options->engine;
    struct shard *shard = aligned_alloc(64, bytes_align(sizeof *shard, 64));
    if (!shard) return fst_error_set(error, FST_NO_MEMORY, "no memory for a shard");
    memset(shard, 0, sizeof *shard);
    shard->index = options->index;
    shard->engine = engine;
    shard->ring = options->ring;
    shard->listener = options->listener;
    shard->definitions = atomic_load(&engine->definitions);
    atomic_store(&engine->adopted[options->index], shard->definitions->number);
    shard->metrics = &engine->metrics[options->index];
    shard->is_mailed = calloc(engine->mailboxes.seats_count, sizeof *shard->is_mailed);
    enum fst_status status = shard->is_mailed ? FST_OK : FST_NO_MEMORY;
    if (status == FST_OK) status = arena_init(&shard->arena, engine->limits.arena_bytes);
    if (status == FST_OK) {
        status = write_buffers_init(&shard->buffers);
    }
    if (status == FST_OK) status = get_batch_init(&shard->gets, &engine->store);
    if (status == FST_OK) {
        status = committer_init(&shard->committer, options->log, engine->store.partitions,
                                engine->partitions_count, &engine->is_disk_full);
    }
    if (status == FST_OK) status = conns_start(shard);
    if (status != FST_OK) {
        shard_destroy(shard);
        return fst_error_set(error, status, "shard %u: no memory for its limits", options->index);
    }
    *shard_out = shard;
    return FST_OK;
}

void shard_destroy(struct shard *shard) {
    if (!shard) return;
    if (shard->conns.slots) conns_deinit(&shard->conns);
    committer_deinit(&shard->committer);
    get_batch_deinit(&shard->gets);
    buffers_deinit(&shard->buffers);
    arena_deinit(&shard->arena);
    free(shard->is_mailed);
    free(shard);
}

bool shard_send(struct shard *shard, uint32_t to, struct message *message) {
    if (!mailbox_send(&shard->engine->mailboxes, shard->index, to, message)) return false;
    shard->is_mailed[to] = true;
    return true;
}

/* ---- the parts of a tick ---- */

/* Handles are compiled anew before the old catalog can go; from here on keys allow what they allow
 * now. Rows of the new definitions are held until all shards have come so far. */
static void definitions_adopt(struct shard *shard) {
    const struct definitions *now =
        atomic_load_explicit(&shard->engine->definitions, memory_order_acquire);
    if (now == shard->definitions) return;
    get_request_run(shard); /* They use the old plans. */
    shard->definitions = now;
    for (uint32_t i = 0; i < shard->conns.slots_count; i++) {
        struct conn *conn = &shard->conns.slots[i];
        if (conn->state == CONN_FREE || !conn->session) continue;
        session_refresh(conn->session, now->catalog);
        session_grant(conn->session, now->access);
    }
    atomic_store_explicit(&shard->engine->adopted[shard->index], now->number, memory_order_release);
    committer_hold(&shard->committer, true);
    for (uint32_t s = 0; s < shard->engine->shards_count; s++) {
        if (s != shard->index) engine_wake(shard->engine, s);
    }
}

/* A reader could not make sense of a row in a revision that is newer than its catalog. */
static void readers_watch(struct shard *shard) {
    if (!shard->committer.is_held) return;
    bool is_adopted = engine_is_adopted(shard->engine, shard->definitions->number);
    committer_hold(&shard->committer, !is_adopted);
}

static void connection_accept(struct shard *shard, const struct io_ring_completion *completion) {
    if (!completion->is_armed && shard->drain_until_us == 0) {
        /* Out of descriptors or memory: connections wait in the backlog meanwhile. */
        shard->accept_again_us = shard->monotonic_us + ACCEPT_AGAIN_US;
        if (completion->result < 0) {
            log_warn("shard.accept_paused", "shard=%u errno=%d", shard->index, -completion->result);
        }
    }
    if (completion->result < 0) return;
    struct conn *conn = conns_open(&shard->conns, completion->result, shard->monotonic_us);
    if (!conn) {
        log_warn("shard.connections_max", "shard=%u connections=%u", shard->index,
                 shard->conns.open_count);
        return;
    }
    metrics_add(shard->metrics, METRIC_CONNECTIONS, 1);
    metrics_add(shard->metrics, METRIC_CONNECTIONS_TOTAL, 1);
    struct session *session;
    if (session_create(&session) == FST_OK)
        conn->session = session;
    else
        conn_close(conn);
}

static void log_written(struct shard *shard, uint64_t group, int result) {
    const struct committer_written written = {
        .group = group, .result = result, .now_us = shard->monotonic_us};
    enum fst_status status =
        committer_complete(&shard->committer, shard->definitions->catalog, &written);
    if (status == FST_OUTCOME_UNKNOWN) return; /* Another shard failed before. */
    if (status == FST_OK) {
        atomic_store_explicit(&shard->engine->applied_groups[shard->index],
                              log_durable_group(shard->committer.log), memory_order_release);
        return;
    }
    log_error("log.write_failed", "shard=%u errno=%d action=stop", shard->index, -result);
    engine_state_raise(shard->engine, ENGINE_FAILED);
}

static void frames_serve(struct shard *shard, struct conn *conn) {
    struct frame frame;
    while (conn_next_frame(conn, &frame)) request_serve(shard, conn, &frame);
}

/* Those who sent more than a tick's share before. Bounded, so that what has just come does not wait
 * for all of them; those left over are first in the next tick. */
static void turns_serve(struct shard *shard) {
    uint64_t begin = shard->conns.work;
    while (shard->conns.work - begin < TURNS_WORK_MAX) {
        struct conn *conn = conns_next_turn(&shard->conns);
        if (!conn) return;
        frames_serve(shard, conn);
    }
}

static void completion_take(struct shard *shard, const struct io_ring_completion *completion) {
    if (token_is_log(completion->token)) {
        uint64_t group = completion->token & ((UINT64_C(1) << TOKEN_TAG_SHIFT) - 1);
        log_written(shard, group, completion->result);
    } else if (completion->token == TOKEN_ACCEPT) {
        connection_accept(shard, completion);
    } else if (conns_is_token(completion->token)) {
        struct conn *conn = conns_complete(&shard->conns, completion, shard->monotonic_us);
        if (conn) frames_serve(shard, conn);
    }
}

/* Puts a row back into memory, if it is still the one that was evicted, and there is room. */
static void row_promote(struct shard *shard, struct warm_promotion *promotion) {
    struct engine *engine = shard->engine;
    const struct warm_row *row = &promotion->row;
    const struct catalog *catalog = shard->definitions->catalog;
    uint32_t id = row->want.view_id;
    const struct view *view = id < catalog->views_by_id_count ? catalog->views_by_id[id] : NULL;
    if (view && warm_row_fits(row, view)) {
        enum fst_status status =
            partition_promote(engine->store.partitions[row->want.partition], view, row->revision,
                              row->want.lsn, row->data, row->data + row->image_bytes);
        metrics_add(shard->metrics, METRIC_ROWS_PROMOTED, status == FST_OK);
    }
    warm_promotion_destroy(promotion, engine);
}

static void message_take(struct shard *shard, struct message *message) {
    switch (message->kind) {
    case MESSAGE_WRITE:
        definitions_adopt(
            shard); /* The origin may have adopted newer ones than this tick began with. */
        committer_take(&shard->committer, shard->definitions->catalog,
                       (struct write_batch *)message, shard->now_us);
        return;
    case MESSAGE_CHANGE:
        committer_take_change(&shard->committer, (struct write_change *)message, shard->now_us);
        return;
    case MESSAGE_WRITTEN:
        write_request_written(shard, (struct write_batch *)message);
        return;
    case MESSAGE_CONTROLLED:
        control_call_end(shard, (struct control_call *)message);
        return;
    case MESSAGE_WARMED:
        get_request_warmed(shard, (struct warm_call *)message);
        return;
    case MESSAGE_PROMOTE:
        row_promote(shard, (struct warm_promotion *)message);
        return;
    case MESSAGE_CHANGED:
    case MESSAGE_CONTROL:
    case MESSAGE_WARM:
        break;
    }
    FST_ASSERT(false && "no such message is sent to a shard");
}

/* Hands answered batches back to where they came from. */
static void answers_send(struct shard *shard) {
    struct message *message;
    while ((message = committer_next_done(&shard->committer)) != NULL) {
        if (message->kind == MESSAGE_WRITTEN && message->from == shard->index) {
            write_request_written(shard, (struct write_batch *)message);
        } else {
            uint32_t to = message->from;
            bool is_sent = shard_send(shard, to, message);
            FST_ASSERT(is_sent); /* Queues hold more than all buffers of an origin. */
        }
    }
}

/* A ring whose tables are full refuses for now (-EAGAIN): the sealed group is tried again next
 * tick. */
static void group_write(struct shard *shard) {
    struct log_write *write = &shard->write;
    readers_watch(shard);
    if (!shard->has_write) {
        shard->has_write = committer_seal(&shard->committer, shard->definitions->catalog,
                                          shard->monotonic_us, write);
    }
    if (!shard->has_write) return;
    struct io_ring_write request = {.file = write->file,
                                    .data = write->data,
                                    .bytes = write->bytes,
                                    .offset = write->offset,
                                    .is_dsync = write->is_dsync};
    int result = shard->ring->ops->write(shard->ring, &request, log_token(write->group));
    if (result == -EAGAIN) return;
    shard->has_write = false;
    if (result != 0) log_written(shard, write->group, result);
}

static void partitions_reclaim(struct shard *shard) {
    const struct engine *engine = shard->engine;
    for (uint32_t i = 0; i < RECLAIMS_PER_TICK; i++) {
        uint32_t p = shard->reclaim_cursor;
        shard->reclaim_cursor += engine->shards_count;
        if (shard->reclaim_cursor >= engine->partitions_count) shard->reclaim_cursor = shard->index;
        if (p < engine->partitions_count) partition_reclaim(engine->store.partitions[p]);
    }
}

/* Now and then a few rows of one partition. */
static void partitions_sweep(struct shard *shard) {
    const struct engine *engine = shard->engine;
    if (shard->monotonic_us - shard->swept_us < SWEEP_US) return;
    shard->swept_us = shard->monotonic_us;
    uint32_t p = shard->sweep_cursor;
    shard->sweep_cursor += engine->shards_count;
    if (shard->sweep_cursor >= engine->partitions_count) shard->sweep_cursor = shard->index;
    if (p >= engine->partitions_count) return;
    uint32_t rows = partition_sweep(engine->store.partitions[p], shard->definitions->catalog,
                                    shard->now_us, SWEEP_PLACES);
    metrics_add(shard->metrics, METRIC_ROWS_SWEPT, rows);
}

/* Makes room where it is short: at once as long as rows go, and otherwise after a while, since they
 * may have to be in a checkpoint first. */
static void partitions_evict(struct shard *shard) {
    struct engine *engine = shard->engine;
    if (shard->monotonic_us < shard->evict_again_us) return;
    bool has_more = false;
    for (uint32_t p = shard->index; p < engine->partitions_count; p += engine->shards_count) {
        struct partition *partition = engine->store.partitions[p];
        if (!partition_is_short(partition)) continue;
        uint32_t rows = partition_evict(partition, shard->definitions->catalog, EVICT_PLACES);
        metrics_add(shard->metrics, METRIC_ROWS_EVICTED, rows);
        if (rows > 0) has_more = true;
        if (partition_wants_checkpoint(partition)) {
            atomic_store_explicit(&engine->is_checkpoint_wanted, true, memory_order_relaxed);
        }
    }
    shard->evict_again_us = has_more ? 0 : shard->monotonic_us + EVICT_US;
}

static void metrics_publish(struct shard *shard) {
    struct metrics *metrics = shard->metrics;
    const struct committer_counts *now = &shard->committer.counts;
    struct committer_counts *then = &shard->counted;
    metrics_add(metrics, METRIC_ROWS_WRITTEN, now->rows_written - then->rows_written);
    metrics_add(metrics, METRIC_ROWS_STALE, now->rows_stale - then->rows_stale);
    metrics_add(metrics, METRIC_ROWS_REFUSED, now->rows_refused - then->rows_refused);
    metrics_add(metrics, METRIC_GROUPS, now->groups - then->groups);
    metrics_add(metrics, METRIC_GROUP_BYTES, now->group_bytes - then->group_bytes);
    *then = *now;
    const struct conns_counts *conns = &shard->conns.counts;
    struct conns_counts *seen = &shard->conns_counted;
    metrics_add(metrics, METRIC_BYTES_IN, conns->received_bytes - seen->received_bytes);
    metrics_add(metrics, METRIC_BYTES_OUT, conns->sent_bytes - seen->sent_bytes);
    metrics_add(metrics, METRIC_BAD_FRAMES, conns->bad_frames - seen->bad_frames);
    metrics_add(metrics, METRIC_OVERLOADS, conns->overloaded - seen->overloaded);
    *seen = *conns;
}

static void mail_wake(struct shard *shard) {
    for (uint32_t seat = 0; seat < shard->engine->mailboxes.seats_count; seat++) {
        if (!shard->is_mailed[seat]) continue;
        shard->is_mailed[seat] = false;
        engine_wake(shard->engine, seat);
    }
}

static void accept_arm(struct shard *shard) {
    if (shard->accept_again_us == 0 || shard->monotonic_us < shard->accept_again_us) return;
    int result = shard->ring->ops->accept(shard->ring, shard->listener, TOKEN_ACCEPT);
    shard->accept_again_us = result == 0 ? 0 : shard->monotonic_us + ACCEPT_AGAIN_US;
}

static int64_t wait_us(const struct shard *shard) {
    int64_t limit_us = WAIT_US_MAX;
    int64_t deadline_us = conns_deadline_us(&shard->conns);
    if (deadline_us - shard->monotonic_us < limit_us) limit_us = deadline_us - shard->monotonic_us;
    if (shard->has_write || shard->evict_again_us == 0) return 0;
    int64_t seal_us = committer_seal_us(&shard->committer);
    if (seal_us - shard->monotonic_us < limit_us) limit_us = seal_us - shard->monotonic_us;
    if (shard->accept_again_us > 0 && shard->accept_again_us - shard->monotonic_us < limit_us) {
        limit_us = shard->accept_again_us - shard->monotonic_us;
    }
    return limit_us > 0 ? limit_us : 0;
}

static void tick(struct shard *shard, struct io_ring_completion *completions) {
    struct engine *engine = shard->engine;
    int64_t limit_us = wait_us(shard);
    if (limit_us > 0) epoch_leave(&engine->epoch, shard->index);
    int count = shard->ring->ops->wait(shard->ring, completions, SHARD_COMPLETIONS_MAX, limit_us);
    FST_ASSERT(count >= 0);
    epoch_enter(&engine->epoch, shard->index); /* S1 */
    shard->now_us = io_now_us(engine->io);
    shard->monotonic_us = io_monotonic_us(engine->io);
    shard->clock_us = shard->monotonic_us;
    shard->clock_work = shard->conns.work;
    definitions_adopt(shard);

    for (int i = 0; i < count; i++) completion_take(shard, &completions[i]);
    turns_serve(shard);
    struct message *message;
    while ((message = mailbox_receive(&engine->mailboxes, shard->index, &shard->mail_cursor))) {
        message_take(shard, message);
    }
    get_request_run(shard); /* S2 */
    answers_send(shard);
    group_write(shard);
    answers_send(shard);

    partitions_reclaim(shard);
    partitions_sweep(shard);
    partitions_evict(shard);
    conns_expire(&shard->conns, shard->monotonic_us);
    accept_arm(shard);
    conns_flush(&shard->conns);
    mail_wake(shard);
    metrics_publish(shard);
    arena_reset(&shard->arena);
}

/* ---- life ---- */

static void drain_begin(struct shard *shard) {
    shard->drain_until_us = shard->monotonic_us + DRAIN_US;
    shard->accept_again_us = 0;
    int result = shard->ring->ops->cancel(shard->ring, shard->listener, TOKEN_ACCEPT);
    if (result != 0) log_debug("shard.cancel", "shard=%u errno=%d", shard->index, -result);
    conns_drain(&shard->conns);
}

/* A shard goes when all shards have nothing left to do: until then others may need it as an
 * owner. */
static bool is_drained(struct shard *shard) {
    struct engine *engine = shard->engine;
    bool is_idle = shard->requests_open == 0 && committer_is_idle(&shard->committer) &&
                   conns_is_sent(&shard->conns);
    if (is_idle && !shard->is_drained) {
        shard->is_drained = true;
        atomic_fetch_add(&engine->drained_count, 1);
        for (uint32_t seat = 0; seat < engine->shards_count; seat++) engine_wake(engine, seat);
    }
    if (shard->monotonic_us >= shard->drain_until_us) return true;
    return atomic_load(&engine->drained_count) == engine->shards_count;
}

void shard_run(struct shard *shard) {
    struct io_ring_completion *completions = calloc(SHARD_COMPLETIONS_MAX, sizeof *completions);
    FST_ASSERT(completions);
    shard->monotonic_us = io_monotonic_us(shard->engine->io);
    shard->reclaim_cursor = shard->index;
    shard->sweep_cursor = shard->index;
    shard->accept_again_us = shard->monotonic_us; /* Armed by the first tick. */
    for (;;) {
        tick(shard, completions);
        enum engine_state state = engine_state(shard->engine);
        if (state < ENGINE_STOPPING) continue;
        if (state == ENGINE_FAILED) committer_fail(&shard->committer);
        if (shard->drain_until_us == 0) drain_begin(shard);
        if (is_drained(shard)) break;
    }
    epoch_leave(&shard->engine->epoch, shard->index);
    free(completions);
}
