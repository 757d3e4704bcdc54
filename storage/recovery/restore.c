#include "storage/recovery/restore.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "storage/recovery/table_room.h"

enum { PATH_BYTES = TABLE_ROOM_PATH_BYTES + 16, ROWS_TOLD = 1024 };

struct crew;

struct worker {
    struct crew *crew;
    struct restore *restore;
    pthread_t thread;
    bool is_started;
    uint32_t rows_untold;
    struct recovery_report report; /* of its part */
    /* It ends with its first failure. */
    enum fst_status status;
    uint32_t failed_partition;
    bool is_damaged;
    struct fst_error error;
};

struct crew {
    struct restore *restore;
    bool is_all; /* or those that are wanted */
    enum fst_status (*step)(struct worker *worker, uint32_t p);
    _Atomic uint32_t next; /* partition that nobody took yet */
    _Atomic bool is_failed;
    struct worker workers[RESTORE_THREADS_MAX];
};

/* ---- filling ---- */

static enum fst_status row_restore(void *context, const struct meta_row *row) {
    struct worker *worker = context;
    const struct restore *restore = worker->restore;
    const struct catalog *catalog = restore->catalog;
    const struct view *view =
        row->view_id < catalog->views_by_id_count ? catalog->views_by_id[row->view_id] : NULL;
    if (!view || !view_has_revision(view, row->revision)) return FST_CORRUPT;
    const struct row_layout *layout = view_layout(view, row->revision);
    if (row->image.bytes != layout->image_bytes) return FST_CORRUPT;
    FST_TRY(row_check(layout, row->image.data, row->heap.data, row->heap.bytes));
    worker->report.checkpoint_rows += 1;
    struct partition *partition = restore->store->partitions[row->partition];
    FST_TRY(partition_restore_row(partition, view, row->revision, row->lsn, row->image.data,
                                  row->heap.data));
    partition_relieve(partition, catalog, restore->store->partitions_count);
    if (++worker->rows_untold < ROWS_TOLD) return FST_OK;
    worker->rows_untold = 0;
    return progress_add(restore->progress, ROWS_TOLD);
}

static enum fst_status client_restore(void *context, uint16_t partition, uint64_t client_id,
                                      uint64_t sequence, uint64_t recent) {
    const struct worker *worker = context;
    return partition_restore_client(worker->restore->store->partitions[partition], client_id,
                                    sequence, recent);
}

/* What was just restored is what LMDB holds: the next checkpoint need not write it again. */
static enum fst_status marks_clear(const struct restore *restore, struct partition *partition) {
    const struct partition_visitor nobody = {.context = NULL};
    enum fst_status status = partition_visit(partition, true, restore->catalog, &nobody);
    partition_visit_end(partition, status == FST_OK);
    return status;
}

static enum fst_status partition_fill(struct worker *worker, uint32_t p) {
    const struct restore *restore = worker->restore;
    struct partition *partition = restore->store->partitions[p];
    struct meta_visitor visitor = {.context = worker, .row = row_restore, .client = client_restore};
    partition_restore_kept(partition, restore->lsns[p]);
    enum fst_status status =
        meta_visit_partition(restore->store->meta, (uint16_t)p, &visitor, &worker->error);
    worker->is_damaged = status == FST_CORRUPT;
    if (status != FST_OK) return status;
    partition_restore_lsn(partition, restore->lsns[p]); /* T3 */
    return marks_clear(restore, partition);
}

static enum fst_status partition_refill(struct worker *worker, uint32_t p) {
    const struct restore *restore = worker->restore;
    FST_TRY(partition_clear(restore->store->partitions[p]));
    return restore->has_checkpoint ? partition_fill(worker, p) : FST_OK;
}

/* ---- opening ---- */

static enum fst_status partition_start(struct worker *worker, uint32_t p) {
    struct restore *restore = worker->restore;
    const struct store *store = restore->store;
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/p%04u", restore->table_dir, p);
    /* A partition may come to hold much more than its share; pages that are not touched cost
     * nothing. */
    uint64_t share = restore->options->budget->limit_bytes / store->partitions_count;
    struct partition_options options = {
        .io = restore->options->io,
        .epoch = restore->options->epoch,
        .budget = restore->options->budget,
        .secret = store->secret,
        .partition = p,
        .reserve_bytes = bytes_align(4 * share + (64 << 20), 1 << 20),
        .path = path,
    };
    memcpy(options.store_id, store->store_id, STORE_ID_BYTES);
    memcpy(options.boot_id, restore->boot_id, sizeof options.boot_id);
    enum partition_origin origin;
    FST_TRY(partition_open(&store->partitions[p], &options, &origin, &worker->error));
    struct partition *partition = store->partitions[p];
    bool is_trusted = origin == PARTITION_MAPPED &&
                      partition_applied_lsn(partition) >= restore->lsns[p] &&
                      partition_fits_checkpoint(partition, restore->lsns[p]);
    if (origin == PARTITION_MAPPED && !is_trusted) {
        /* A table of an earlier time lacks rows of logs that may not be read any more; one of a
         * later time, or without its LMDB, the rows that are evicted. */
        FST_TRY(partition_clear(partition));
        origin = PARTITION_DISTRUSTED;
    }
    restore->is_wanted[p] = origin != PARTITION_MAPPED;
    if (origin == PARTITION_MAPPED)
        worker->report.mapped += 1;
    else if (restore->is_new)
        worker->report.made += 1;
    else
        worker->report.restored += 1;
    return FST_OK;
}

/* ---- the crew ---- */

static void worker_fail(struct worker *worker, uint32_t p, enum fst_status status) {
    worker->status = status;
    worker->failed_partition = p;
    if (worker->error.status != status) {
        fst_error_set(&worker->error, status, "partition %u could not be restored: %s", p,
                      fst_status_text(status));
    }
    atomic_store(&worker->crew->is_failed, true);
}

/* Partitions are taken in their order, and one that was taken is brought to its end: T2. */
static void *worker_main(void *context) {
    struct worker *worker = context;
    struct crew *crew = worker->crew;
    const struct restore *restore = worker->restore;
    while (!atomic_load(&crew->is_failed)) {
        uint32_t p = atomic_fetch_add(&crew->next, 1);
        if (p >= restore->store->partitions_count) break;
        if (!crew->is_all && !restore->is_wanted[p]) continue;
        enum fst_status status = crew->step(worker, p);
        if (status == FST_OK) continue;
        worker_fail(worker, p, status);
        break;
    }
    return NULL;
}

static void report_add(struct recovery_report *report, const struct recovery_report *part) {
    report->mapped += part->mapped;
    report->restored += part->restored;
    report->made += part->made;
    report->checkpoint_rows += part->checkpoint_rows;
}

static enum fst_status crew_end(struct crew *crew) {
    struct restore *restore = crew->restore;
    const struct worker *failed = NULL;
    for (uint32_t i = 0; i < RESTORE_THREADS_MAX; i++) {
        struct worker *worker = &crew->workers[i];
        if (worker->is_started) pthread_join(worker->thread, NULL);
        report_add(restore->report, &worker->report);
        if (worker->status == FST_OK) continue;
        if (!failed || worker->failed_partition < failed->failed_partition) failed = worker;
    }
    if (!failed) return FST_OK;
    restore->is_damaged = failed->is_damaged;
    *restore->error = failed->error;
    return failed->status;
}

/* A thread that cannot be started leaves its share to the others. */
static enum fst_status crew_run(struct restore *restore, bool is_all,
                                enum fst_status (*step)(struct worker *worker, uint32_t p)) {
    struct crew *crew = calloc(1, sizeof *crew);
    if (!crew) return fst_error_set(restore->error, FST_NO_MEMORY, "no memory");
    crew->restore = restore;
    crew->is_all = is_all;
    crew->step = step;
    uint32_t count = restore->options->threads_count;
    if (count > RESTORE_THREADS_MAX) count = RESTORE_THREADS_MAX;
    if (count > restore->store->partitions_count) count = restore->store->partitions_count;
    for (uint32_t i = 0; i < RESTORE_THREADS_MAX; i++) {
        struct worker *worker = &crew->workers[i];
        worker->crew = crew;
        worker->restore = restore;
        if (i == 0 || i >= count) continue;
        worker->is_started = pthread_create(&worker->thread, NULL, worker_main, worker) == 0;
    }
    worker_main(&crew->workers[0]);
    enum fst_status status = crew_end(crew);
    free(crew);
    return status;
}

/* ---- both ---- */

static uint32_t wanted_count(const struct restore *restore) {
    uint32_t count = 0;
    for (uint32_t p = 0; p < restore->store->partitions_count; p++) count += restore->is_wanted[p];
    return count;
}

/* Partitions have about the same number of rows. */
static uint64_t rows_estimate(const struct restore *restore) {
    if (!restore->has_checkpoint) return 0;
    return meta_rows_count(restore->store->meta) * wanted_count(restore) /
           restore->store->partitions_count;
}

enum fst_status restore_run(struct restore *restore) {
    FST_TRY(crew_run(restore, true, partition_start));
    restore->is_filling = !restore->is_new && wanted_count(restore) > 0;
    if (!restore->is_filling || !restore->has_checkpoint) return FST_OK;
    FST_TRY(progress_put(restore->progress, RECOVERY_ROWS, 0, rows_estimate(restore)));
    return crew_run(restore, false, partition_fill);
}

enum fst_status restore_run_again(struct restore *restore) {
    restore->is_filling = true;
    restore->report->mapped -= wanted_count(restore);
    restore->report->restored += wanted_count(restore);
    FST_TRY(progress_put(restore->progress, RECOVERY_ROWS, 0, rows_estimate(restore)));
    return crew_run(restore, false, partition_refill);
}
