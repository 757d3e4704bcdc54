#include "storage/online/checkpoint.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/assert.h"

enum {
    SORT_BYTES = 8 << 20, /* rows copied, sorted and put at a time */
    SORT_ROWS_MAX = 32768,
    COMMIT_ROWS = 200000, /* rows per transaction, about */
    WAIT_STEP_US = 500,
};

struct checkpoint {
    const struct checkpoint_options *options;
    struct meta_batch *batch;
    struct fst_error *error;
    struct arena arena; /* copies of rows */
    struct meta_row *rows;
    uint32_t rows_count;
    uint16_t partition;
    uint32_t first_open;  /* partitions from here to `partition` are visited and not committed */
    uint64_t applied_lsn; /* of the partition, when its visit began */
    const struct catalog *catalog; /* of then */
    uint64_t *lsns;                /* per partition: the greatest of the rows seen or visited */
    uint64_t rows_batched;         /* since the last commit */
    uint64_t rows_total;
};

/* ---- rows: copied, sorted, put ---- */

static int row_compare(const void *a, const void *b) {
    const struct meta_row *left = a;
    const struct meta_row *right = b;
    if (left->view_id != right->view_id) return left->view_id < right->view_id ? -1 : 1;
    size_t bytes = left->key.bytes < right->key.bytes ? left->key.bytes : right->key.bytes;
    int order = memcmp(left->key.data, right->key.data, bytes);
    if (order != 0) return order;
    return (left->key.bytes > right->key.bytes) - (left->key.bytes < right->key.bytes);
}

static enum fst_status rows_put(struct checkpoint *checkpoint) {
    if (checkpoint->rows_count == 0) return FST_OK;
    qsort(checkpoint->rows, checkpoint->rows_count, sizeof *checkpoint->rows, row_compare);
    for (uint32_t i = 0; i < checkpoint->rows_count; i++) {
        FST_TRY(meta_put_row(checkpoint->batch, &checkpoint->rows[i]));
    }
    checkpoint->rows_total += checkpoint->rows_count;
    checkpoint->rows_batched += checkpoint->rows_count;
    checkpoint->rows_count = 0;
    arena_reset(&checkpoint->arena);
    return FST_OK;
}

static struct bytes copy_of(struct arena *arena, struct bytes bytes) {
    uint8_t *copy = arena_get(arena, bytes.bytes + 1);
    if (!copy) return (struct bytes){.data = NULL};
    if (bytes.bytes) memcpy(copy, bytes.data, bytes.bytes);
    return (struct bytes){.data = copy, .bytes = bytes.bytes};
}

static bool row_keep(struct checkpoint *checkpoint, const struct partition_row *row) {
    struct arena *arena = &checkpoint->arena;
    if (checkpoint->rows_count == SORT_ROWS_MAX) return false;
    struct meta_row *kept = &checkpoint->rows[checkpoint->rows_count];
    *kept = (struct meta_row){
        .partition = checkpoint->partition,
        .view_id = row->view_id,
        .key = copy_of(arena, row->key),
        .revision = row->revision,
        .lsn = row->lsn,
        .image = copy_of(arena, (struct bytes){.data = row->image, .bytes = row->image_bytes}),
        .heap = copy_of(arena, (struct bytes){.data = row->heap, .bytes = row->heap_bytes}),
    };
    if (!kept->key.data || !kept->image.data || !kept->heap.data) return false;
    checkpoint->rows_count += 1;
    return true;
}

/* Asked for after the LSN was read, the catalog has the views of all rows up to there. */
static const struct catalog *visit_begun(void *context, uint64_t applied_lsn) {
    struct checkpoint *checkpoint = context;
    checkpoint->applied_lsn = applied_lsn;
    checkpoint->catalog = checkpoint->options->catalog(checkpoint->options->context);
    return checkpoint->catalog;
}

static enum fst_status row_visit(void *context, const struct partition_row *row) {
    struct checkpoint *checkpoint = context;
    uint64_t *lsn = &checkpoint->lsns[checkpoint->partition];
    if (row->lsn > *lsn) *lsn = row->lsn;
    if (row_keep(checkpoint, row)) return FST_OK;
    FST_TRY(rows_put(checkpoint));
    return row_keep(checkpoint, row) ? FST_OK : FST_TOO_LARGE;
}

static enum fst_status removed_visit(void *context, uint32_t view_id, struct bytes key) {
    struct checkpoint *checkpoint = context;
    return meta_remove_row(checkpoint->batch, checkpoint->partition, view_id, key);
}

static enum fst_status client_visit(void *context, uint64_t client_id, uint64_t sequence,
                                    uint64_t recent) {
    struct checkpoint *checkpoint = context;
    return meta_put_client(checkpoint->batch, checkpoint->partition, client_id, sequence, recent);
}

/* ---- partitions and transactions ---- */

/* A key that has a row. */
struct presence {
    const struct partition *partition;
    const struct catalog *catalog;
};

static bool key_is_present(void *context, uint32_t view_id, struct bytes key) {
    const struct presence *presence = context;
    return partition_has(presence->partition, presence->catalog, view_id, key);
}

/* Evicted rows are in LMDB alone: a whole visit does not begin with an empty LMDB, but ends with
 * removing what the table has not. Rows that are removed meanwhile are so in the next visit. */
static enum fst_status partition_write(struct checkpoint *checkpoint, uint32_t p) {
    struct partition *partition = checkpoint->options->partitions[p];
    bool is_whole = partition_needs_whole_visit(partition);
    checkpoint->partition = (uint16_t)p;
    if (is_whole) FST_TRY(meta_remove_clients(checkpoint->batch, (uint16_t)p));
    struct partition_visitor visitor = {.context = checkpoint,
                                        .begun = visit_begun,
                                        .row = row_visit,
                                        .removed = removed_visit,
                                        .client = client_visit};
    FST_TRY(partition_visit(partition, is_whole, NULL, &visitor));
    uint64_t memory_lsn = partition_memory_lsn(partition);
    if (memory_lsn > checkpoint->lsns[p]) checkpoint->lsns[p] = memory_lsn;
    FST_TRY(rows_put(checkpoint));
    struct presence presence = {.partition = partition, .catalog = checkpoint->catalog};
    const struct meta_filter filter = {.context = &presence, .keeps = key_is_present};
    if (is_whole) FST_TRY(meta_remove_rows(checkpoint->batch, (uint16_t)p, &filter));
    return meta_put_lsn(checkpoint->batch, (uint16_t)p, checkpoint->applied_lsn);
}

static void visits_end(struct checkpoint *checkpoint, uint32_t end, bool is_kept) {
    for (uint32_t p = checkpoint->first_open; p < end; p++) {
        partition_visit_end(checkpoint->options->partitions[p], is_kept);
    }
    checkpoint->first_open = end;
    checkpoint->rows_batched = 0;
}

static void idle(const struct checkpoint *checkpoint) {
    const struct checkpoint_options *options = checkpoint->options;
    if (options->idle) options->idle(options->idle_context);
}

/* Until all rows of the open partitions up to `end` are durable. */
static enum fst_status rows_wait(struct checkpoint *checkpoint, uint32_t end) {
    const struct checkpoint_options *options = checkpoint->options;
    int64_t until_us = io_monotonic_us(options->io) + options->wait_us;
    for (uint32_t p = checkpoint->first_open; p < end; p++) {
        while (partition_applied_lsn(options->partitions[p]) < checkpoint->lsns[p]) {
            if (io_monotonic_us(options->io) >= until_us) return FST_TIMEOUT;
            idle(checkpoint);
            options->io->ops->sleep_us(options->io, WAIT_STEP_US);
        }
    }
    return FST_OK;
}

/* Ends the transaction and the visits of the open partitions up to `end`. `status` is that of what
 * was done so far. */
static enum fst_status batch_end(struct checkpoint *checkpoint, uint32_t end,
                                 enum fst_status status) {
    struct change_queue *changes = checkpoint->options->changes;
    uint64_t generation = 0;
    if (status == FST_OK) status = rows_wait(checkpoint, end);
    if (status == FST_OK) status = change_queue_write(changes, checkpoint->batch, &generation);
    if (status == FST_OK) {
        status = meta_commit(checkpoint->batch, checkpoint->error);
        if (status == FST_OK) change_queue_settle(changes, generation);
    } else {
        meta_abort(checkpoint->batch);
        fst_error_set(checkpoint->error, status, "partitions %u to %u: %s", checkpoint->first_open,
                      end - 1, fst_status_text(status));
    }
    visits_end(checkpoint, end, status == FST_OK);
    return status;
}

static enum fst_status partitions_write(struct checkpoint *checkpoint) {
    const struct checkpoint_options *options = checkpoint->options;
    for (uint32_t p = 0; p < options->partitions_count; p++) {
        enum fst_status status = partition_write(checkpoint, p);
        idle(checkpoint);
        if (status == FST_OK && checkpoint->rows_batched < COMMIT_ROWS) continue;
        FST_TRY(batch_end(checkpoint, p + 1, status));
        FST_TRY(meta_begin(options->meta, &checkpoint->batch, checkpoint->error));
    }
    return FST_OK;
}

static enum fst_status positions_write(struct checkpoint *checkpoint) {
    const struct checkpoint_options *options = checkpoint->options;
    enum fst_status status = meta_put_done_epoch(checkpoint->batch, options->done_epoch);
    for (uint32_t i = 0; i < options->positions_count && status == FST_OK; i++) {
        status = meta_put_log(checkpoint->batch, &options->positions[i]);
    }
    return batch_end(checkpoint, options->partitions_count, status);
}

enum fst_status checkpoint_run(const struct checkpoint_options *options, uint64_t *rows_out,
                               struct fst_error *error) {
    struct checkpoint checkpoint = {
        .options = options,
        .error = error,
        .rows = calloc(SORT_ROWS_MAX, sizeof(struct meta_row)),
        .lsns = calloc(options->partitions_count, sizeof(uint64_t)),
    };
    enum fst_status status = checkpoint.rows && checkpoint.lsns ? FST_OK : FST_NO_MEMORY;
    if (status == FST_OK) status = arena_init(&checkpoint.arena, SORT_BYTES);
    if (status != FST_OK) {
        free(checkpoint.rows);
        free(checkpoint.lsns);
        return fst_error_set(error, status, "no memory for a checkpoint");
    }
    status = meta_begin(options->meta, &checkpoint.batch, error);
    if (status == FST_OK) status = partitions_write(&checkpoint);
    if (status == FST_OK) status = positions_write(&checkpoint);
    *rows_out = checkpoint.rows_total;
    arena_deinit(&checkpoint.arena);
    free(checkpoint.rows);
    free(checkpoint.lsns);
    return status;
}
