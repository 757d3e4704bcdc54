/*
 * identity: the file STORE, which says what a folder is.
 *
 *     fstore store
 *     format 1
 *     store_id 32 hex digits
 *     partitions 64
 *     created_us 1700000000000000
 *     checksum 16 hex digits          XXH3 of the lines before
 *
 * Threads: one. Memory: the caller's.
 */
#ifndef STORAGE_RECOVERY_IDENTITY_H
#define STORAGE_RECOVERY_IDENTITY_H

#include "base/io.h"
#include "storage/log/log.h"

enum { IDENTITY_FORMAT = 1, PARTITIONS_MAX = 1024 };

struct identity {
    uint8_t store_id[STORE_ID_BYTES];
    uint32_t partitions_count;
    int64_t created_us;
};

/* FST_NOT_FOUND if there is none; FST_CORRUPT if it is damaged or something else; FST_INCOMPATIBLE
 * for a format of another version. */
FST_MUST_USE enum fst_status identity_read(struct io *io, const char *dir,
                                           struct identity *identity_out, struct fst_error *error);
FST_MUST_USE enum fst_status identity_write(struct io *io, const char *dir,
                                            const struct identity *identity,
                                            struct fst_error *error);

#endif
