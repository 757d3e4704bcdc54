/*
 * log_folder: the log files in one folder, in the order in which they are read.
 *
 * Files of one (epoch, shard) are one log; they stand together, by rising sequence. Names that are
 * not of log files are left alone.
 *
 * Threads: one. Memory: owns its list.
 */
#ifndef STORAGE_LOG_LOG_FOLDER_H
#define STORAGE_LOG_LOG_FOLDER_H

#include "storage/log/log_format.h"

struct log_folder {
    uint32_t files_count;
    uint32_t files_room;
    struct log_file_id *files; /* by epoch, shard, sequence */
};

/* The ids get `store_id`; whether the files agree is seen when they are read. */
FST_MUST_USE enum fst_status log_folder_init(struct log_folder *folder, struct io *io,
                                             const char *dir,
                                             const uint8_t store_id[STORE_ID_BYTES],
                                             struct fst_error *error);
void log_folder_deinit(struct log_folder *folder);

/* The first file after `from` that belongs to another log than file `from`. */
uint32_t log_folder_find_end(const struct log_folder *folder, uint32_t from);

/* Whether there is a file of the log that `id` belongs to. */
bool log_folder_has(const struct log_folder *folder, const struct log_file_id *id);

#endif
