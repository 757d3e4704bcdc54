/*
 * table_room: whether the memory file system of the online tables can hold what --memory allows.
 *
 * Tables take memory as rows come; a file system that is smaller than the limit would refuse rows
 * long before it, so a start refuses instead, and says what to change. What the tables of this
 * store hold already counts as room.
 *
 * Threads: start-up. Memory: the caller's.
 */
#ifndef STORAGE_RECOVERY_TABLE_ROOM_H
#define STORAGE_RECOVERY_TABLE_ROOM_H

#include "base/io.h"
#include "storage/log/log.h"

enum { TABLE_ROOM_PATH_BYTES = 1024 };

struct table_room {
    const char *table_dir;
    const uint8_t *store_id; /* NULL: no store yet */
    uint64_t memory_bytes;   /* the limit of rows and index */
};

/* The folder of a store's tables. */
void table_room_format_path(const char *table_dir, const uint8_t store_id[STORE_ID_BYTES],
                            char path_out[TABLE_ROOM_PATH_BYTES]);

/* FST_INVALID with what was found, what was expected and which options to change. FST_OK too where
 * the file system does not say what it has. */
FST_MUST_USE enum fst_status table_room_check(struct io *io, const struct table_room *room,
                                              struct fst_error *error);

#endif
