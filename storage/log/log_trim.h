/*
 * log_trim: ends logs that will not go on, and gives back the room they do not need.
 *
 * A process leaves behind, per log, a file with zeros behind its last group, maybe a torn group
 * there, and maybe a prepared file. After recovery the last group is known: files behind it are
 * removed, and the file that holds it gets that number into its first block and is cut behind it.
 * From then on the log has an end that is not a matter of opinion: whatever fails its check in it
 * is damage.
 *
 * Invariant: every step leaves a log that reads the same. Files are removed from the last one down;
 * the first block is synced before the file is cut; a file with a group that is not accounted for
 * stays.
 *
 * Threads: one, and no log of these epochs is open. Memory: none kept.
 */
#ifndef STORAGE_LOG_LOG_TRIM_H
#define STORAGE_LOG_LOG_TRIM_H

#include "storage/log/log_reader.h"

/* `ends`: the last group of every log, as log_read() told its visitor, in that order; 0: the log
 * has none and is removed whole. Logs that are not among them are left alone, and so are those that
 * have their end. FST_CORRUPT if a log does not hold its last group, or one behind it. */
FST_MUST_USE enum fst_status log_trim(struct io *io, const char *dir,
                                      const uint8_t store_id[STORE_ID_BYTES],
                                      const struct log_position *ends, uint32_t ends_count,
                                      struct fst_error *error);

#endif
