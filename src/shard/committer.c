#include "shard/committer.h"

#include <stdlib.h>

#include "base/assert.h"

enum { WRITE_AVERAGE_PART = 8, LONG_AGO_US = 0, RECORDS_AHEAD = 16 };
static_assert((int)RECORDS_AHEAD <= (int)PARTITION_PREFETCH_MAX, "one call");

size_t committer_bytes(uint32_t groups_in_flight) {
    size_t groups_count = (size_t)groups_in_flight + 1;
    return groups_count * COMMITTER_PENDING_MAX * sizeof(struct committer_pending) +
           COMMITTER_PENDING_MAX * sizeof(bool);
}

enum fst_status committer_init(struct committer *committer, struct log *log,
                               struct partition *const *partitions, uint32_t partitions_count,
                               _Atomic bool *is_disk_full) {
    *committer = (struct committer){
        .log = log,
        .partitions = partitions,
        .partitions_count = partitions_count,
        .is_disk_full = is_disk_full,
        .lsns = calloc(partitions_count, sizeof(uint64_t)),
        .groups = calloc(log_flying_max(log) + 1, sizeof(struct committer_group)),
        .groups_count = log_flying_max(log) + 1,
        .is_kept = calloc(COMMITTER_PENDING_MAX, sizeof(bool)),
        .shown = calloc((partitions_count + 7) / 8, 1),
    };
    bool has_memory =
        committer->lsns && committer->groups && committer->is_kept && committer->shown;
    for (uint32_t i = 0; has_memory && i < committer->groups_count; i++) {
        struct committer_pending *entries = calloc(COMMITTER_PENDING_MAX, sizeof *entries);
        committer->groups[i].entries = entries;
        has_memory = entries != NULL;
    }
    if (!has_memory) {
        committer_deinit(committer);
        return FST_NO_MEMORY;
    }
    for (uint32_t p = 0; p < partitions_count; p++) {
        committer->lsns[p] = partition_applied_lsn(partitions[p]);
    }
    return FST_OK;
}

void committer_deinit(struct committer *committer) {
    for (uint32_t i = 0; committer->groups && i < committer->groups_count; i++) {
        free(committer->groups[i].entries);
    }
    free(committer->groups);
    free(committer->lsns);
    free(committer->is_kept);
    free(committer->shown);
    *committer = (struct committer){0};
}

static struct committer_group *group_of(const struct committer *committer, uint64_t group) {
    return &committer->groups[group % committer->groups_count];
}

static struct committer_group *filling_of(const struct committer *committer) {
    return group_of(committer, committer->sealed_group + 1);
}

/* ---- answers ---- */

static void part_answered(struct committer *committer, struct write_batch *batch) {
    FST_ASSERT(batch->parts_open > 0);
    batch->parts_open -= 1;
    if (batch->parts_open > 0) return;
    batch->message.kind = MESSAGE_WRITTEN;
    message_list_put(&committer->done, &batch->message);
}

static void statuses_count(struct committer *committer, const struct write_part *part) {
    for (uint32_t i = 0; i < part->rows_count; i++) {
        enum fst_status status = part->statuses[i];
        if (status == FST_OK)
            committer->counts.rows_written += 1;
        else if (status == FST_STALE)
            committer->counts.rows_stale += 1;
        else if (status != FST_DUPLICATE)
            committer->counts.rows_refused += 1;
    }
}

static void part_answer(struct committer *committer, struct write_batch *batch, uint32_t index,
                        enum fst_status status) {
    struct write_part *part = &batch->parts[index];
    memset(part->statuses, status, part->rows_count);
    statuses_count(committer, part);
    part_answered(committer, batch);
}

/* ---- admission ---- */

static void pending_put(struct committer_group *group, struct committer_pending pending) {
    FST_ASSERT(group->count < COMMITTER_PENDING_MAX);
    group->entries[group->count++] = pending;
}

/* Why nothing of this size can be logged now; FST_OK if it can. */
static enum fst_status log_refusal(const struct committer *committer, size_t body_bytes) {
    if (committer->is_failed) return FST_OUTCOME_UNKNOWN;
    if (body_bytes > log_body_bytes_max(committer->log)) return FST_TOO_LARGE;
    if (log_is_stuck(committer->log) && *committer->is_disk_full) return FST_DISK_FULL;
    if (body_bytes > log_room_bytes(committer->log)) return FST_OVERLOADED;
    if (filling_of(committer)->count == COMMITTER_PENDING_MAX) return FST_OVERLOADED;
    return FST_OK;
}

/* Applies rows that may be seen before they are durable. The record stays in the group for the
 * log. */
static void part_apply_early(struct committer *committer, const struct view *view,
                             struct log_record_header *header, struct write_part *part) {
    enum fst_status status = partition_apply(committer->partitions[part->partition], view, header,
                                             part->body, false, part->statuses);
    FST_ASSERT(status == FST_OK);
    statuses_count(committer, part);
}

static void part_log(struct committer *committer, const struct view *view,
                     struct write_batch *batch, uint32_t index, int64_t now_us) {
    struct write_part *part = &batch->parts[index];
    struct log_rows_header rows;
    memcpy(&rows, part->body, sizeof rows);
    bool is_delete = rows.revision == VIEW_REVISION_DELETED;
    struct log_record_header header = {
        .type = is_delete ? LOG_RECORD_DELETES : LOG_RECORD_ROWS,
        .partition = (uint16_t)part->partition,
        .lsn = committer->lsns[part->partition] + 1,
        .arrival_us = (uint64_t)now_us,
    };
    uint8_t *body = log_append(committer->log, &header, part->body_bytes);
    FST_ASSERT(body); /* log_refusal() said there is room. */
    memcpy(body, part->body, part->body_bytes);
    committer->lsns[part->partition] += part->rows_count; /* W3 */
    bool is_answered = false;
    bool is_early = view->is_visible_from_memory && !committer->is_held;
    if (is_early) {
        part_apply_early(committer, view, &header, part);
        is_answered = !batch->is_durable;
    }
    pending_put(filling_of(committer), (struct committer_pending){.batch = batch,
                                                                  .part = index,
                                                                  .partition = part->partition,
                                                                  .has_record = true,
                                                                  .is_applied = is_early,
                                                                  .is_answered = is_answered});
    if (is_answered) part_answered(committer, batch);
}

/* The first attempt may still be on its way to disk: this answer waits for the last group that may
 * hold it. It never opens one, because a group without records is not written (W4). */
static void part_repeat(struct committer *committer, struct write_batch *batch, uint32_t index) {
    struct write_part *part = &batch->parts[index];
    bool is_filling = filling_of(committer)->count > 0;
    bool is_flying = committer->sealed_group > committer->applied_group;
    struct committer_group *group =
        is_filling ? filling_of(committer) : group_of(committer, committer->sealed_group);
    if (!is_filling && !is_flying) {
        part_answer(committer, batch, index, FST_DUPLICATE);
    } else if (group->count == COMMITTER_PENDING_MAX) {
        part_answer(committer, batch, index, FST_OVERLOADED);
    } else {
        memset(part->statuses, FST_DUPLICATE, part->rows_count);
        pending_put(group, (struct committer_pending){.batch = batch, .part = index});
    }
}

static void part_take(struct committer *committer, const struct view *view,
                      struct write_batch *batch, uint32_t index, int64_t now_us) {
    struct write_part *part = &batch->parts[index];
    enum fst_status refusal = log_refusal(committer, part->body_bytes);
    if (refusal != FST_OK) {
        part_answer(committer, batch, index, refusal);
        return;
    }
    struct partition *partition = committer->partitions[part->partition];
    switch (partition_admit(partition, view, part->body)) {
    case PARTITION_FULL:
        part_answer(committer, batch, index,
                    partition_can_make_room(partition, view) ? FST_OVERLOADED : FST_FULL);
        return;
    case PARTITION_BUSY:
        part_answer(committer, batch, index, FST_OVERLOADED);
        return;
    case PARTITION_TOO_LARGE:
        part_answer(committer, batch, index, FST_TOO_LARGE);
        return;
    case PARTITION_REPEATED:
        part_repeat(committer, batch, index);
        return;
    case PARTITION_ADMIT:
        part_log(committer, view, batch, index, now_us);
        return;
    }
}

void committer_take(struct committer *committer, const struct catalog *catalog,
                    struct write_batch *batch, int64_t now_us) {
    const struct view *view = catalog->views_by_id[batch->view_id];
    FST_ASSERT(view);
    batch->parts_open = batch->parts_count;
    /* The last part answered may hand the batch back: its count is read before. */
    uint32_t parts_count = batch->parts_count;
    for (uint32_t i = 0; i < parts_count; i++) part_take(committer, view, batch, i, now_us);
}

void committer_take_change(struct committer *committer, struct write_change *change,
                           int64_t now_us) {
    change->message.kind = MESSAGE_CHANGED;
    change->status = log_refusal(committer, change->change.bytes);
    if (change->status != FST_OK) {
        message_list_put(&committer->done, &change->message);
        return;
    }
    struct log_record_header header = {
        .type = LOG_RECORD_CHANGE,
        .partition = LOG_CHANGE_PARTITION,
        .lsn = change->generation,
        .arrival_us = (uint64_t)now_us,
    };
    uint8_t *body = log_append(committer->log, &header, change->change.bytes);
    FST_ASSERT(body);
    memcpy(body, change->change.data, change->change.bytes);
    pending_put(filling_of(committer),
                (struct committer_pending){.change = change, .has_record = true});
}

/* ---- groups ---- */

/* Takes an entry out of the filling group, as if it had never come. */
static void pending_refuse(struct committer *committer, const struct catalog *catalog,
                           const struct committer_pending *pending) {
    if (pending->change) {
        pending->change->status = FST_DISK_FULL;
        message_list_put(&committer->done, &pending->change->message);
        return;
    }
    struct write_part *part = &pending->batch->parts[pending->part];
    const struct view *view = catalog->views_by_id[pending->batch->view_id];
    partition_release(committer->partitions[part->partition], view, part->body);
    committer->lsns[part->partition] -= part->rows_count; /* W3 */
    part_answer(committer, pending->batch, pending->part, FST_DISK_FULL);
}

/* Answers an entry whose rows may or may not become durable: that stays, or repeats another. */
static void pending_leave(struct committer *committer, struct committer_pending *pending) {
    if (pending->is_answered) return;
    struct write_part *part = &pending->batch->parts[pending->part];
    memset(part->statuses, FST_OUTCOME_UNKNOWN, part->rows_count);
    pending->is_answered = true;
    part_answered(committer, pending->batch);
}

/* Whether the entry must stay (W5). Rows that were shown cannot be taken back, nor can what has
 * LSNs before them: `shown` has a bit per partition, of those that were shown after this entry. */
static bool pending_stays(const struct committer_pending *pending, uint8_t *shown) {
    if (!pending->has_record || pending->change) return false;
    uint32_t p = pending->partition;
    if (pending->is_applied) shown[p / 8] |= (uint8_t)(1u << (p % 8));
    return shown[p / 8] >> (p % 8) & 1;
}

/* No room on disk for the group: what can be taken out of it is refused, the newest first, so that
 * sequences and LSNs go back step by step. The rest waits for room, and its writers are told so. */
static void filling_refuse(struct committer *committer, const struct catalog *catalog) {
    struct committer_group *group = filling_of(committer);
    bool *is_kept = committer->is_kept;
    uint32_t records = 0;
    memset(committer->shown, 0, (committer->partitions_count + 7) / 8);
    for (uint32_t i = 0; i < group->count; i++) records += group->entries[i].has_record;
    for (uint32_t i = group->count, record = records; i-- > 0;) {
        struct committer_pending *pending = &group->entries[i];
        bool stays = pending_stays(pending, committer->shown);
        if (pending->has_record) is_kept[--record] = stays;
        bool is_repetition = !pending->has_record && !pending->change;
        if (stays || is_repetition) {
            pending_leave(committer, pending);
        } else {
            pending_refuse(committer, catalog, pending);
        }
    }
    log_retain(committer->log, is_kept);
    uint32_t count = 0;
    for (uint32_t i = 0, record = 0; i < group->count; i++) {
        if (!group->entries[i].has_record || !is_kept[record++]) continue;
        group->entries[count++] = group->entries[i];
    }
    group->count = count;
}

void committer_hold(struct committer *committer, bool is_held) {
    committer->is_held = is_held;
}

/* When the filling group may leave. */
static int64_t filling_due_us(const struct committer *committer) {
    if (log_flying_count(committer->log) == 0) return LONG_AGO_US;
    bool is_half_full = log_room_bytes(committer->log) < log_body_bytes_max(committer->log) / 2;
    if (is_half_full) return LONG_AGO_US;
    int64_t share_us = committer->write_us / log_flying_max(committer->log);
    return group_of(committer, committer->sealed_group)->sealed_us + share_us;
}

int64_t committer_seal_us(const struct committer *committer) {
    return committer->is_waiting ? filling_due_us(committer) : INT64_MAX;
}

bool committer_seal(struct committer *committer, const struct catalog *catalog, int64_t now_us,
                    struct log_write *write_out) {
    committer->is_waiting = false;
    if (committer->is_failed || committer->is_held) return false;
    if (filling_of(committer)->count == 0) return false;
    committer->is_waiting = now_us < filling_due_us(committer);
    if (committer->is_waiting) return false;
    if (!log_seal(committer->log, write_out)) {
        if (log_is_stuck(committer->log) && *committer->is_disk_full) {
            filling_refuse(committer, catalog);
        }
        return false;
    }
    committer->sealed_group += 1;
    FST_ASSERT(write_out->group == committer->sealed_group);
    group_of(committer, committer->sealed_group)->sealed_us = now_us;
    committer->counts.groups += 1;
    committer->counts.group_bytes += write_out->bytes;
    return true;
}

/* A batch that was answered before is gone: everything needed is in the record. */
static void part_complete(struct committer *committer, const struct catalog *catalog,
                          const struct committer_pending *pending,
                          const struct log_record_header *record) {
    const uint8_t *body = (const uint8_t *)(record + 1);
    struct log_rows_header rows;
    memcpy(&rows, body, sizeof rows);
    struct log_record_header header = *record;
    if (pending->is_applied) header.flags |= LOG_RECORD_APPLIED;
    struct write_part *part = pending->is_answered ? NULL : &pending->batch->parts[pending->part];
    FST_ASSERT(!part || record->partition == part->partition); /* W1 */
    uint8_t *statuses = part && !pending->is_applied ? part->statuses : NULL;
    enum fst_status status =
        partition_apply(committer->partitions[record->partition],
                        catalog->views_by_id[rows.view_id], &header, body, true, statuses);
    FST_ASSERT(status == FST_OK); /* Room was reserved at admission. */
    if (!part) return;
    if (statuses) statuses_count(committer, part);
    part_answered(committer, pending->batch);
}

static void group_fail(struct committer *committer, struct committer_group *group) {
    for (uint32_t i = 0; i < group->count; i++) {
        struct committer_pending *pending = &group->entries[i];
        if (pending->change) {
            pending->change->status = FST_OUTCOME_UNKNOWN;
            message_list_put(&committer->done, &pending->change->message);
        } else if (!pending->is_answered) {
            struct write_part *part = &pending->batch->parts[pending->part];
            memset(part->statuses, FST_OUTCOME_UNKNOWN, part->rows_count);
            part_answered(committer, pending->batch);
        }
    }
    group->count = 0;
}

void committer_fail(struct committer *committer) {
    committer->is_failed = true;
    for (uint64_t g = committer->applied_group + 1; g <= committer->sealed_group + 1; g++) {
        group_fail(committer, group_of(committer, g));
    }
}

/* Starts the cache misses of the rows that the records behind `record` (NULL: the first ones)
 * bring: each mostly goes to another partition. */
static void records_prefetch(struct committer *committer, const struct catalog *catalog,
                             struct log_record_header *record) {
    struct partition_record records[RECORDS_AHEAD];
    uint32_t count = 0;
    while (count < RECORDS_AHEAD && (record = log_next_completed(committer->log, record))) {
        if (!log_record_has_rows(record)) continue;
        struct log_rows_header rows;
        memcpy(&rows, record + 1, sizeof rows);
        records[count++] = (struct partition_record){
            .partition = committer->partitions[record->partition],
            .view = catalog->views_by_id[rows.view_id],
            .body = (const uint8_t *)(record + 1),
        };
    }
    partition_prefetch(records, count);
}

/* The oldest durable group: its rows are shown, its writers answered. */
static void group_apply(struct committer *committer, const struct catalog *catalog) {
    FST_ASSERT(log_completed_group(committer->log) == committer->applied_group + 1);
    struct committer_group *group = group_of(committer, committer->applied_group + 1);
    struct log_record_header *record = NULL;
    for (uint32_t i = 0; i < group->count; i++) {
        const struct committer_pending *pending = &group->entries[i];
        if (i % RECORDS_AHEAD == 0) records_prefetch(committer, catalog, record);
        if (pending->has_record) {
            record = log_next_completed(committer->log, record);
            FST_ASSERT(record); /* W1 */
        }
        if (pending->change)
            message_list_put(&committer->done, &pending->change->message);
        else if (!pending->has_record)
            part_answered(committer, pending->batch);
        else
            part_complete(committer, catalog, pending, record);
    }
    group->count = 0;
    committer->applied_group += 1;
    log_release(committer->log);
}

enum fst_status committer_complete(struct committer *committer, const struct catalog *catalog,
                                   const struct committer_written *written) {
    int64_t took_us = written->now_us - group_of(committer, written->group)->sealed_us;
    enum fst_status status = log_complete(committer->log, written->group, written->result);
    if (committer->is_failed) return FST_OUTCOME_UNKNOWN;
    if (status != FST_OK) {
        committer_fail(committer);
        return status;
    }
    committer->write_us += (took_us - committer->write_us) / WRITE_AVERAGE_PART;
    while (log_completed_group(committer->log) != 0) group_apply(committer, catalog);
    return FST_OK;
}

struct message *committer_next_done(struct committer *committer) {
    return message_list_get(&committer->done);
}

bool committer_is_idle(const struct committer *committer) {
    return log_flying_count(committer->log) == 0 && filling_of(committer)->count == 0 &&
           !committer->done.first;
}

static bool group_is_sound(const struct committer_group *group) {
    uint32_t records_count = 0;
    if (group->count > COMMITTER_PENDING_MAX) return false;
    for (uint32_t i = 0; i < group->count; i++) records_count += group->entries[i].has_record;
    return records_count > 0 || group->count == 0; /* W4 */
}

/* A batch whose entries are being counted. */
struct batch_walk {
    const struct write_batch *batch;
    uint32_t open_count; /* entries still to come */
};

/* An entry that is answered may name a batch that is gone. */
static bool batch_walk_on(struct batch_walk *walk, const struct committer_pending *pending) {
    if (pending->is_answered || !pending->batch) return true;
    if (pending->batch != walk->batch) {
        if (walk->open_count != 0) return false;
        *walk = (struct batch_walk){pending->batch, pending->batch->parts_open};
    }
    if (walk->open_count == 0) return false;
    walk->open_count -= 1;
    return true;
}

/* The entries of a batch stand next to each other, but may begin in one group and end in the next.
 */
static bool batches_are_sound(const struct committer *committer) {
    struct batch_walk walk = {0};
    for (uint64_t g = committer->applied_group + 1; g <= committer->sealed_group + 1; g++) {
        const struct committer_group *group = group_of(committer, g);
        for (uint32_t i = 0; i < group->count; i++) {
            if (!batch_walk_on(&walk, &group->entries[i])) return false;
        }
    }
    return walk.open_count == 0;
}

static bool lsns_are_sound(const struct committer *committer) {
    const struct committer_group *filling = filling_of(committer);
    for (uint32_t i = 0; i < filling->count; i++) {
        const struct committer_pending *pending = &filling->entries[i];
        if (!pending->has_record || pending->change) continue;
        uint32_t p = pending->partition;
        if (committer->lsns[p] <= partition_applied_lsn(committer->partitions[p])) return false;
    }
    return true;
}

enum fst_status committer_check(const struct committer *committer) {
    bool is_flying = log_flying_count(committer->log) > 0;
    if (committer->sealed_group > committer->applied_group && !is_flying && !committer->is_failed) {
        return FST_CORRUPT;
    }
    for (uint64_t g = committer->applied_group + 1; g <= committer->sealed_group + 1; g++) {
        if (!group_is_sound(group_of(committer, g))) return FST_CORRUPT;
    }
    if (!batches_are_sound(committer)) return FST_CORRUPT;   /* W2 */
    return lsns_are_sound(committer) ? FST_OK : FST_CORRUPT; /* W3 */
}
