#include "storage/recovery/recovery.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/logger.h"
#include "storage/log/log_trim.h"
#include "storage/recovery/identity.h"
#include "storage/recovery/replay.h"
#include "storage/recovery/restore.h"
#include "storage/recovery/table_room.h"

enum { PATH_BYTES = 1024, BOOT_TEXT_BYTES = 64 };

struct opening {
    struct store *store;
    const struct recovery_options *options;
    const struct recovery_registry *registry;
    struct recovery_report *report;
    struct fst_error *error;
    bool is_new;
    bool is_meta_lost;
    struct log_positions done;     /* of checkpoints, from LMDB */
    uint32_t done_epoch;           /* likewise: logs of epochs before it are done as a whole */
    struct log_positions ends;     /* of the logs that were read */
    uint64_t lsns[PARTITIONS_MAX]; /* of the checkpoint */
    struct catalog *catalog;
    char table_dir[TABLE_ROOM_PATH_BYTES]; /* of this store */
    struct restore restore;
    struct progress progress;
};

/* ---- the folder ---- */

static enum fst_status path_fail(struct opening *o, int result, const char *path) {
    return fst_error_set(o->error, fst_status_from_errno(result), "%s: %s", path,
                         strerror(-result));
}

static enum fst_status folder_open(struct opening *o) {
    struct io *io = o->options->io;
    char path[PATH_BYTES];
    int result = io->ops->mkdir(io, o->options->data_dir);
    if (result != 0) return path_fail(o, result, o->options->data_dir);
    snprintf(path, sizeof path, "%s/LOCK", o->options->data_dir);
    result = io->ops->open(io, path, IO_OPEN_WRITE | IO_OPEN_CREATE, &o->store->lock_file);
    if (result != 0) return path_fail(o, result, path);
    /* A process that was killed holds its lock for some milliseconds more. */
    int64_t until_us = io_monotonic_us(io) + 2000000;
    while ((result = io->ops->lock(io, o->store->lock_file)) != 0) {
        if (result != -EWOULDBLOCK || io_monotonic_us(io) > until_us) {
            return fst_error_set(o->error, FST_BUSY, "%s: another process has this store open",
                                 o->options->data_dir);
        }
        io->ops->sleep_us(io, 10000);
    }
    snprintf(path, sizeof path, "%s/log", o->options->data_dir);
    result = io->ops->mkdir(io, path);
    if (result != 0) return path_fail(o, result, path);
    snprintf(o->store->log_dir, sizeof o->store->log_dir, "%s", path);
    if (o->options->locked) o->options->locked(o->options->locked_context, o->store->log_dir);
    return FST_OK;
}

static int name_is_log(void *context, const char *name) {
    (void)context;
    size_t length = strlen(name);
    return length > 4 && strcmp(name + length - 4, ".log") == 0;
}

static enum fst_status identity_open(struct opening *o) {
    struct identity identity;
    struct io *io = o->options->io;
    enum fst_status status = identity_read(io, o->options->data_dir, &identity, o->error);
    if (status == FST_NOT_FOUND) {
        if (io->ops->list(io, o->store->log_dir, name_is_log, NULL) != 0) {
            return fst_error_set(o->error, FST_CORRUPT, "%s: there are logs but no file STORE",
                                 o->options->data_dir);
        }
        o->is_new = true;
        identity.partitions_count = o->options->partitions_new;
        identity.created_us = io_now_us(io);
        io->ops->random(io, identity.store_id, sizeof identity.store_id);
        status = identity_write(io, o->options->data_dir, &identity, o->error);
    }
    if (status != FST_OK) return status;
    memcpy(o->store->store_id, identity.store_id, STORE_ID_BYTES);
    o->store->partitions_count = identity.partitions_count;
    return FST_OK;
}

/* ---- LMDB ---- */

static enum fst_status meta_start(struct opening *o, const char *path) {
    struct meta_options options = {.path = path, .map_bytes = o->options->meta_bytes};
    FST_TRY(meta_open(&o->store->meta, &options, o->error));
    uint8_t id[STORE_ID_BYTES];
    size_t bytes = 0;
    enum fst_status status =
        meta_get_value(o->store->meta, "store_id", id, sizeof id, &bytes, o->error);
    if (status == FST_NOT_FOUND) {
        o->is_meta_lost = !o->is_new;
        return FST_OK;
    }
    if (status != FST_OK) return status;
    if (bytes == sizeof id && memcmp(id, o->store->store_id, sizeof id) == 0) return FST_OK;
    return fst_error_set(o->error, FST_CORRUPT, "%s: belongs to another store", path);
}

/* Puts an unreadable environment aside and begins an empty one. */
static enum fst_status meta_replace(struct opening *o, const char *path) {
    struct io *io = o->options->io;
    char aside[PATH_BYTES + 32];
    log_warn("meta.unreadable", "text=\"%s\" action=rebuild_from_log", o->error->text);
    meta_close(o->store->meta);
    o->store->meta = NULL;
    snprintf(aside, sizeof aside, "%s.damaged-%" PRId64, path, io_now_us(io));
    int result = io->ops->rename(io, path, aside);
    if (result != 0) return path_fail(o, result, path);
    o->is_meta_lost = true;
    change_queue_clear(o->store->changes);
    o->done.count = 0;
    o->done_epoch = 0;
    memset(o->lsns, 0, sizeof o->lsns);
    return meta_start(o, path);
}

static enum fst_status position_visit(void *context, const struct log_position *position) {
    struct opening *o = context;
    return log_positions_append(&o->done, position);
}

static enum fst_status change_visit(void *context, uint64_t generation, struct bytes change) {
    (void)generation;
    struct opening *o = context;
    return o->registry->change(o->registry->context, change, o->error);
}

static enum fst_status lsn_visit(void *context, uint16_t partition, uint64_t lsn) {
    struct opening *o = context;
    if (partition >= o->store->partitions_count) return FST_CORRUPT;
    o->lsns[partition] = lsn;
    return FST_OK;
}

static enum fst_status meta_load(struct opening *o) {
    struct meta_visitor visitor = {
        .context = o, .change = change_visit, .lsn = lsn_visit, .log = position_visit};
    FST_TRY(meta_visit(o->store->meta, &visitor, o->error));
    return meta_get_done_epoch(o->store->meta, &o->done_epoch, o->error);
}

/* The store's secret and epoch, made if they are not there. */
static enum fst_status meta_values(struct opening *o) {
    struct meta *meta = o->store->meta;
    size_t bytes = 0;
    uint32_t epoch = 0;
    enum fst_status status = meta_get_value(meta, "secret", &o->store->secret,
                                            sizeof o->store->secret, &bytes, o->error);
    if (status == FST_OK && bytes != sizeof o->store->secret) status = FST_CORRUPT;
    if (status == FST_NOT_FOUND) {
        struct io *io = o->options->io;
        io->ops->random(io, &o->store->secret, sizeof o->store->secret);
        status = FST_OK;
    }
    if (status != FST_OK) return status;
    status = meta_get_value(meta, "epoch", &epoch, sizeof epoch, &bytes, o->error);
    if (status != FST_OK && status != FST_NOT_FOUND) return status;
    if (epoch > o->store->epoch)
        o->store->epoch = epoch; /* Of the last start; raised at the end. */
    return FST_OK;
}

static enum fst_status meta_prepare(struct opening *o) {
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/meta", o->options->data_dir);
    enum fst_status status = meta_start(o, path);
    if (status == FST_OK && !o->is_meta_lost) {
        status = meta_load(o);
        /* A half-read registry cannot be taken back: it would stay ahead of the log's changes,
         * which are the same ones. */
        if (status == FST_OK) status = meta_values(o);
    }
    if (status == FST_CORRUPT) {
        FST_TRY(meta_replace(o, path));
    } else if (status != FST_OK) {
        return status;
    }
    if (o->is_meta_lost || o->is_new) FST_TRY(meta_values(o));
    if (o->is_meta_lost) log_warn("meta.lost", "action=rebuild_from_log");
    return FST_OK;
}

/* ---- tables ---- */

/* What the tables must have been left with to be believed: this boot of the machine, and the last
 * start of this store. Tables of an earlier start may hold rows that never became durable. */
static void boot_id_make(struct io *io, uint32_t epoch, uint8_t boot_id_out[16]) {
    char text[BOOT_TEXT_BYTES] = "";
    io_file file;
    if (io->ops->open(io, "/proc/sys/kernel/random/boot_id", 0, &file) == 0) {
        (void)!io->ops->pread(io, file, text, sizeof text - 1, 0);
        (void)io->ops->close(io, file);
    }
    uint64_t first = hash_checksum(text, sizeof text, epoch);
    const uint64_t halves[2] = {first, hash_checksum(text, sizeof text, first)};
    memcpy(boot_id_out, halves, sizeof halves);
}

static enum fst_status table_dir_make(struct opening *o, char path_out[TABLE_ROOM_PATH_BYTES]) {
    struct io *io = o->options->io;
    const struct table_room room = {.table_dir = o->options->table_dir,
                                    .store_id = o->store->store_id,
                                    .memory_bytes = o->options->budget->limit_bytes};
    FST_TRY(table_room_check(io, &room, o->error));
    table_room_format_path(o->options->table_dir, o->store->store_id, path_out);
    int result = io->ops->mkdir(io, path_out);
    return result == 0 ? FST_OK : path_fail(o, result, path_out);
}

static enum fst_status partitions_start(struct opening *o) {
    struct restore *restore = &o->restore;
    *restore = (struct restore){
        .store = o->store,
        .options = o->options,
        .table_dir = o->table_dir,
        .lsns = o->lsns,
        .is_new = o->is_new,
        .has_checkpoint = !o->is_new && !o->is_meta_lost,
        .progress = &o->progress,
        .report = o->report,
        .error = o->error,
    };
    boot_id_make(o->options->io, o->store->epoch, restore->boot_id);
    FST_TRY(table_dir_make(o, o->table_dir));
    o->store->partitions = calloc(o->store->partitions_count, sizeof *o->store->partitions);
    if (!o->store->partitions) return fst_error_set(o->error, FST_NO_MEMORY, "no memory");
    FST_TRY(o->registry->catalog(o->registry->context, &o->catalog));
    restore->catalog = o->catalog;
    return restore_run(restore);
}

/* ---- log ---- */

/* What the checkpoint and the logs have is all there is. A table that has more showed rows before
 * they were durable, and lost them with the log's tail, or belongs to another time of this
 * folder. */
static bool table_is_ahead(const struct opening *o, const struct replay *replay, uint32_t p) {
    const struct partition *partition = o->store->partitions[p];
    uint64_t last_lsn = replay->lsns[p] > o->lsns[p] ? replay->lsns[p] : o->lsns[p];
    return partition_applied_lsn(partition) > last_lsn ||
           partition_memory_lsn(partition) > last_lsn;
}

static enum fst_status ahead_restore(struct opening *o, const struct replay *replay,
                                     bool *is_any_out) {
    *is_any_out = false;
    for (uint32_t p = 0; p < o->store->partitions_count; p++) {
        o->restore.is_wanted[p] = table_is_ahead(o, replay, p);
        *is_any_out |= o->restore.is_wanted[p];
    }
    o->restore.catalog = o->catalog;
    return *is_any_out ? restore_run_again(&o->restore) : FST_OK;
}

static enum fst_status logs_replay(struct opening *o) {
    struct replay replay = {
        .io = o->options->io,
        .store = o->store,
        .registry = o->registry,
        .catalog = &o->catalog,
        .is_meta_lost = o->is_meta_lost,
        .done = &o->done,
        .done_epoch = o->done_epoch,
        .ends = &o->ends,
        .progress = &o->progress,
        .is_rebuild = o->restore.is_filling || o->is_meta_lost,
        .error = o->error,
    };
    enum fst_status status = replay_run(&replay, o->report);
    bool is_again = false;
    if (status == FST_OK) status = ahead_restore(o, &replay, &is_again);
    if (status == FST_OK && is_again) status = replay_run(&replay, o->report);
    if (status == FST_OK && replay.epoch_max > o->store->epoch) o->store->epoch = replay.epoch_max;
    return status;
}

/* ---- the new epoch ---- */

static enum fst_status epoch_begin(struct opening *o) {
    struct store *store = o->store;
    struct meta_batch *batch;
    store->epoch += 1;
    FST_TRY(meta_begin(store->meta, &batch, o->error));
    struct bytes id = {.data = store->store_id, .bytes = STORE_ID_BYTES};
    struct bytes secret = {.data = (const uint8_t *)&store->secret, .bytes = sizeof store->secret};
    struct bytes epoch = {.data = (const uint8_t *)&store->epoch, .bytes = sizeof store->epoch};
    enum fst_status status = meta_put_value(batch, "store_id", id);
    if (status == FST_OK) status = meta_put_value(batch, "secret", secret);
    if (status == FST_OK) status = meta_put_value(batch, "epoch", epoch);
    if (status != FST_OK) {
        meta_abort(batch);
        return fst_error_set(o->error, status, "LMDB: the new epoch could not be stored: %s",
                             fst_status_text(status));
    }
    FST_TRY(meta_commit(batch, o->error));
    uint8_t boot_id[16];
    boot_id_make(o->options->io, store->epoch, boot_id);
    for (uint32_t p = 0; p < store->partitions_count; p++) {
        partition_put_boot_id(store->partitions[p], boot_id);
    }
    return FST_OK;
}

/* Old logs will not go on. That they take more room than they need is no reason not to start; the
 * next start reads them again, and tries again. */
static void logs_end(struct opening *o) {
    struct fst_error error;
    enum fst_status status = log_trim(o->options->io, o->store->log_dir, o->store->store_id,
                                      o->ends.items, o->ends.count, &error);
    if (status != FST_OK) log_warn("log.trim_failed", "text=\"%s\"", error.text);
    o->store->done_epoch = status == FST_OK ? o->store->epoch : o->done_epoch;
}

static void partitions_close(struct store *store) {
    for (uint32_t p = 0; store->partitions && p < store->partitions_count; p++) {
        partition_close(store->partitions[p]);
    }
    free(store->partitions);
    store->partitions = NULL;
}

/* All tables and all rows again, from the logs alone. */
static enum fst_status rows_rebuild(struct opening *o) {
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/meta", o->options->data_dir);
    partitions_close(o->store);
    catalog_destroy(o->catalog);
    o->catalog = NULL;
    *o->report = (struct recovery_report){0};
    FST_TRY(meta_replace(o, path));
    FST_TRY(meta_values(o));
    o->error->status = FST_OK;
    FST_TRY(partitions_start(o));
    return logs_replay(o);
}

static enum fst_status store_start(struct opening *o) {
    FST_TRY(folder_open(o));
    FST_TRY(identity_open(o));
    FST_TRY(meta_prepare(o));
    enum fst_status status = partitions_start(o);
    if (status == FST_OK) status = logs_replay(o);
    if (status == FST_CORRUPT && o->restore.is_damaged) status = rows_rebuild(o);
    if (status != FST_OK) return status;
    FST_TRY(epoch_begin(o));
    logs_end(o);
    return FST_OK;
}

enum fst_status recovery_open(struct store *store_out, const struct recovery_options *options,
                              const struct recovery_registry *registry,
                              struct recovery_report *report_out, struct fst_error *error) {
    struct fst_error own = {.text = ""};
    struct io *io = options->io;
    int64_t start_us = io_monotonic_us(io);
    *store_out = (struct store){.io = io, .lock_file = -1};
    *report_out = (struct recovery_report){0};
    struct opening o = {
        .store = store_out,
        .options = options,
        .registry = registry,
        .report = report_out,
        .error = error ? error : &own,
    };
    o.error->status = FST_OK;
    progress_init(&o.progress, options);
    enum fst_status status = change_queue_create(&store_out->changes);
    if (status == FST_OK) status = store_start(&o);
    if (status == FST_CLOSED) {
        fst_error_set(o.error, status, "%s: stopped before it was whole", options->data_dir);
    } else if (status != FST_OK && o.error->status == FST_OK) {
        fst_error_set(o.error, status, "%s: %s", options->data_dir, fst_status_text(status));
    }
    progress_deinit(&o.progress);
    free(o.done.items);
    free(o.ends.items);
    catalog_destroy(o.catalog);
    if (status != FST_OK) recovery_close(store_out);
    report_out->took_us = io_monotonic_us(io) - start_us;
    return status;
}

void recovery_close(struct store *store) {
    partitions_close(store);
    meta_close(store->meta);
    change_queue_destroy(store->changes);
    if (store->lock_file >= 0) (void)store->io->ops->close(store->io, store->lock_file);
    *store = (struct store){.lock_file = -1};
}
