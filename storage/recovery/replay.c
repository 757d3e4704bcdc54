#include "storage/recovery/replay.h"

#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "base/logger.h"

/* Reading so much log takes some 100 ms, and is nothing to tell of if the tables have it all. */
enum { PIECES_QUIET = 256 };

static enum fst_status damage(const struct replay *replay, const struct log_place *place,
                              uint64_t lsn, const char *what) {
    return fst_error_set(replay->error, FST_CORRUPT,
                         "%s: offset %" PRIu64 ", group %" PRIu64 ", lsn %" PRIu64 ": %s",
                         place->file, place->offset, place->position.group, lsn, what);
}

/* A change that LMDB did not get is adopted from the log, and waits for the next checkpoint; after
 * the loss of LMDB that is every one, also those the registry had from it before the damage was
 * met. */
static enum fst_status change_adopt(struct replay *replay, const struct log_record_header *header,
                                    const uint8_t *body) {
    const struct recovery_registry *registry = replay->registry;
    bool is_known = header->lsn <= registry->generation(registry->context);
    if (is_known && !replay->is_meta_lost) return FST_OK;
    struct bytes change = {.data = body, .bytes = header->bytes - LOG_RECORD_HEADER_BYTES};
    FST_TRY(registry->change(registry->context, change, replay->error));
    struct change_entry *entry = change_entry_create(header->lsn, change);
    if (!entry) return FST_NO_MEMORY;
    change_queue_put(replay->store->changes, entry);
    catalog_destroy(*replay->catalog);
    *replay->catalog = NULL;
    return registry->catalog(registry->context, replay->catalog);
}

static const struct view *view_of(const struct replay *replay, uint32_t view_id) {
    const struct catalog *catalog = *replay->catalog;
    return view_id < catalog->views_by_id_count ? catalog->views_by_id[view_id] : NULL;
}

static enum fst_status rows_apply(struct replay *replay, const struct log_record_header *header,
                                  const uint8_t *body, const struct log_place *place) {
    size_t body_bytes = header->bytes - LOG_RECORD_HEADER_BYTES;
    struct log_rows_header rows;
    if (body_bytes < sizeof rows || header->partition >= replay->store->partitions_count) {
        return damage(replay, place, header->lsn, "a record of rows that is none");
    }
    memcpy(&rows, body, sizeof rows);
    replay->report->log_rows += rows.rows_count;
    struct partition *partition = replay->store->partitions[header->partition];
    uint64_t applied_lsn = partition_applied_lsn(partition);
    replay->lsns[header->partition] = header->lsn + rows.rows_count - 1;
    if (header->lsn <= applied_lsn) return FST_OK; /* P1: records are applied as a whole. */
    if (header->lsn != applied_lsn + 1) {
        return damage(replay, place, applied_lsn + 1, "records of this partition are missing");
    }
    const struct view *view = view_of(replay, rows.view_id);
    if (!view) return damage(replay, place, header->lsn, "rows of a view that does not exist");
    if (log_rows_check(view, header->type, body, body_bytes) != FST_OK) { /* P2 */
        return damage(replay, place, header->lsn, "rows that fail their check");
    }
    replay->report->applied_rows += rows.rows_count;
    enum fst_status status = partition_apply(partition, view, header, body, true, NULL);
    if (status == FST_FULL) {
        return fst_error_set(
            replay->error, status,
            "the rows of this store need more memory: start with a larger --memory, and room for "
            "it in --table-dir");
    }
    if (status == FST_OK) {
        partition_relieve(partition, *replay->catalog, replay->store->partitions_count);
    }
    return status;
}

static enum fst_status record_visit(void *context, const struct log_record_header *header,
                                    const uint8_t *body, const struct log_place *place) {
    struct replay *replay = context;
    replay->report->log_records += 1;
    if (header->type == LOG_RECORD_CHANGE) return change_adopt(replay, header, body);
    if (log_record_has_rows(header)) return rows_apply(replay, header, body, place);
    return damage(replay, place, header->lsn, "a record of a type this version does not know");
}

static enum fst_status end_visit(void *context, const struct log_position *last) {
    struct replay *replay = context;
    return log_positions_append(replay->ends, last);
}

static enum fst_status piece_visit(void *context, uint64_t done, uint64_t total) {
    struct replay *replay = context;
    replay->pieces_read += 1;
    if (!replay->is_rebuild && replay->pieces_read <= PIECES_QUIET) return FST_OK;
    return progress_put(replay->progress, RECOVERY_LOG, done, total);
}

enum fst_status replay_run(struct replay *replay, struct recovery_report *report) {
    struct log_reader_options options = {.done_epoch = replay->done_epoch,
                                         .done = replay->done->items,
                                         .done_count = replay->done->count};
    memcpy(options.store_id, replay->store->store_id, STORE_ID_BYTES);
    struct log_visitor visitor = {
        .context = replay, .record = record_visit, .end = end_visit, .piece = piece_visit};
    struct log_reader_result result;
    replay->report = report;
    replay->ends->count = 0;
    FST_TRY(
        log_read(replay->io, replay->store->log_dir, &options, &visitor, &result, replay->error));
    replay->epoch_max = result.epoch_max;
    report->torn_tails = result.torn_count;
    for (uint32_t i = 0; i < result.torn_count && i < LOG_TORN_MAX; i++) {
        log_warn("log.torn_tail", "file=%s offset=%" PRIu64 " group=%" PRIu64, result.torn[i].file,
                 result.torn[i].offset, result.torn[i].group);
    }
    return FST_OK;
}
