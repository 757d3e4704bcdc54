#include "storage/log/log_trim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "storage/log/log_folder.h"

enum { PATH_BYTES = 4096 };

struct trim {
    struct io *io;
    const char *dir;
    struct fst_error *error;
    bool is_removed; /* the folder is to be synced */
    char path[PATH_BYTES];
    uint8_t block[IO_BLOCK_BYTES];
};

/* One open file. */
struct trim_file {
    const struct log_file_id *id;
    io_file file;
    uint64_t bytes;
    struct log_file_header header;
};

static enum fst_status io_failure(struct trim *trim, const char *what, int result) {
    return fst_error_set(trim->error, fst_status_from_errno(result), "%s: cannot %s: %s",
                         trim->path, what, strerror(-result));
}

/* Only part of a group may be behind the last one. */
static enum fst_status torn_check(struct trim *trim, const struct trim_file *file, uint64_t offset,
                                  const struct log_group_header *group) {
    uint8_t *memory = malloc(group->padded_bytes);
    if (!memory) return fst_error_set(trim->error, FST_NO_MEMORY, "no memory to end a log");
    int result = io_read_full(trim->io, file->file, memory, group->padded_bytes, offset);
    bool is_whole = result == 0 && log_group_is_whole(memory, group, log_file_seed(file->id));
    free(memory);
    if (result < 0) return io_failure(trim, "read", result);
    if (!is_whole) return FST_OK;
    return fst_error_set(trim->error, FST_CORRUPT, "%s: offset %llu: group %llu is not known",
                         trim->path, (unsigned long long)offset, (unsigned long long)group->group);
}

/* Finds where group `last` ends; 0 if the file has no groups up to it. */
static enum fst_status end_find(struct trim *trim, const struct trim_file *file, uint64_t last,
                                uint64_t *end_out) {
    struct log_group_header group;
    uint64_t offset = IO_BLOCK_BYTES, found = 0;
    *end_out = 0;
    while (offset < file->header.file_bytes) {
        int result = io_read_full(trim->io, file->file, trim->block, IO_BLOCK_BYTES, offset);
        if (result < 0) return io_failure(trim, "read", result);
        if (!log_group_decode(trim->block, log_file_seed(file->id), &group)) break;
        if (group.block != offset / IO_BLOCK_BYTES) break;
        if (group.group > last) {
            FST_TRY(torn_check(trim, file, offset, &group));
            break;
        }
        found = group.group;
        offset += group.padded_bytes;
        *end_out = offset;
    }
    if (found == last || found == 0) return FST_OK;
    return fst_error_set(trim->error, FST_CORRUPT,
                         "%s: offset %llu: expected the last group of the log, %llu", trim->path,
                         (unsigned long long)offset, (unsigned long long)last);
}

static enum fst_status folder_sync(struct trim *trim) {
    if (!trim->is_removed) return FST_OK;
    int result = trim->io->ops->sync_dir(trim->io, trim->dir);
    if (result < 0) return io_failure(trim, "sync its folder", result);
    trim->is_removed = false;
    return FST_OK;
}

/* Nothing may follow the end: the removals are durable before it is. */
static enum fst_status file_end(struct trim *trim, const struct trim_file *file, uint64_t end,
                                uint64_t last) {
    const struct io_ops *ops = trim->io->ops;
    FST_TRY(folder_sync(trim));
    struct log_file_header sizes = file->header;
    sizes.file_bytes = end;
    sizes.last_group = last;
    log_file_encode(file->id, &sizes, trim->block);
    int result = io_write_full(trim->io, file->file, trim->block, IO_BLOCK_BYTES, 0);
    if (result == 0) result = ops->sync(trim->io, file->file);
    if (result == 0) result = ops->resize(trim->io, file->file, end);
    if (result == 0) result = ops->sync(trim->io, file->file);
    return result == 0 ? FST_OK : io_failure(trim, "end the log", result);
}

/* Ends the log in this file if it holds the last group. `is_last_out` stays false if it holds
 * none. */
static enum fst_status file_trim(struct trim *trim, struct trim_file *file, uint64_t last,
                                 bool *is_last_out) {
    int64_t bytes = trim->io->ops->size(trim->io, file->file);
    if (bytes < 0) return io_failure(trim, "measure", (int)bytes);
    if (bytes < IO_BLOCK_BYTES) return FST_OK;
    int result = io_read_full(trim->io, file->file, trim->block, IO_BLOCK_BYTES, 0);
    if (result < 0) return io_failure(trim, "read", result);
    enum fst_status status = log_file_decode(trim->block, file->id, &file->header);
    if (status == FST_CORRUPT) return FST_OK; /* Its making was cut short. */
    if (status != FST_OK) {
        return fst_error_set(trim->error, status, "%s: not a file of this log", trim->path);
    }
    uint64_t end = file->header.file_bytes;
    if (file->header.last_group == 0) FST_TRY(end_find(trim, file, last, &end));
    if (end == 0) return FST_OK;
    *is_last_out = true;
    bool is_ended = file->header.last_group != 0 && (uint64_t)bytes == end;
    return is_ended ? FST_OK : file_end(trim, file, end, last);
}

static enum fst_status file_open_and_trim(struct trim *trim, const struct log_file_id *id,
                                          uint64_t last, bool *is_last_out) {
    char name[LOG_NAME_BYTES];
    struct trim_file file = {.id = id};
    log_file_format_name(id, name);
    (void)snprintf(trim->path, sizeof trim->path, "%s/%s", trim->dir, name);
    int result = trim->io->ops->open(trim->io, trim->path, IO_OPEN_WRITE, &file.file);
    if (result < 0) return io_failure(trim, "open", result);
    *is_last_out = false;
    enum fst_status status = file_trim(trim, &file, last, is_last_out);
    (void)trim->io->ops->close(trim->io, file.file);
    if (status != FST_OK || *is_last_out) return status;
    result = trim->io->ops->unlink(trim->io, trim->path);
    if (result < 0) return io_failure(trim, "remove", result);
    trim->is_removed = true;
    return FST_OK;
}

/* From the last file down, until the one that holds the last group. A removal is durable before the
 * next one: a log must not lose a file and keep one behind it. */
static enum fst_status files_trim(struct trim *trim, const struct log_file_id *files,
                                  uint32_t files_count, uint64_t last) {
    bool is_last = false;
    for (uint32_t i = files_count; i > 0 && !is_last; i--) {
        if (i < files_count) FST_TRY(folder_sync(trim));
        FST_TRY(file_open_and_trim(trim, &files[i - 1], last, &is_last));
    }
    return FST_OK;
}

enum fst_status log_trim(struct io *io, const char *dir, const uint8_t store_id[STORE_ID_BYTES],
                         const struct log_position *ends, uint32_t ends_count,
                         struct fst_error *error) {
    struct trim trim = {.io = io, .dir = dir, .error = error};
    struct log_folder folder;
    enum fst_status status = log_folder_init(&folder, io, dir, store_id, error);
    if (status != FST_OK) return status;
    for (uint32_t i = 0, next; status == FST_OK && i < folder.files_count; i = next) {
        next = log_folder_find_end(&folder, i);
        const struct log_file_id *first = &folder.files[i];
        const struct log_position *end =
            log_position_find(ends, ends_count, first->epoch, first->shard);
        if (end) status = files_trim(&trim, first, next - i, end->group);
    }
    if (status == FST_OK) status = folder_sync(&trim);
    log_folder_deinit(&folder);
    return status;
}
