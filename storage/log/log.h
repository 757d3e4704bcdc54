/*
 * log: the durable order of all writes taken by one shard, in groups.
 *
 * Records are appended to the group that is filling; log_seal() closes it and hands out one aligned
 * write; log_complete() tells that the write is on disk. A few groups are in flight at a time, and
 * what arrives meanwhile is the next one. Writes may end in any order; a group is durable when it
 * and all groups before it are on disk, so what is acknowledged is always a beginning of the log.
 * The log does no asynchronous I/O of its own: its shard submits the writes and brings the answers
 * back. New files are made, filled with zeros and synced by log_prepare_file(), on a background
 * thread, before they are needed.
 *
 *     file:    EPOCH-SHARD-SEQUENCE.log   [ header 4 KiB | group | group | ... | zeros ]
 *     group:   [ header 64 B | record | record | ... | zeros up to 4 KiB ]
 *     record:  [ header 24 B | body | zeros up to 8 B ]
 *
 * The bytes are in log_format.h. Checksums are seeded with store id, file and offset, so that
 * stale, moved or swapped blocks fail; each group names the checksum of the one before it (chain).
 * A group never spans two files: a rest that is too small for it stays zero. Groups in flight are
 * in one file: the next one is begun when nothing is in flight.
 *
 * A file is open once for every group in flight. Bytes that were lost between the page cache and
 * the disk are told once to every open file, by its next sync: if two groups shared one, the sync
 * of the first group could be told what the second one lost, and the second one's say that all is
 * well.
 *
 * Invariants, restated in log_check():
 *   L1  released <= durable <= sealed group; at most groups_in_flight_max groups are sealed and not
 *       released.
 *   L2  Header and records of the filling group are at most group_bytes_max, a multiple of 8.
 *   L3  The write position is a multiple of 4 KiB inside the current file.
 *   L4  The records of a group follow each other without gaps and are records_count.
 *   L5  The write of the group behind the last durable one has not ended well.
 *
 * Threads: one shard; log_prepare_file() one background thread beside it: a finished file changes
 *          hands through one atomic. log_durable_group() any thread.
 * Memory:  owns a group buffer for every group in flight and one more, 4 KiB-aligned, settled at
 *          open. The room that log_append hands out is borrowed until the next log_seal; sealed
 *          records until log_release.
 */
#ifndef STORAGE_LOG_LOG_H
#define STORAGE_LOG_LOG_H

#include <stdatomic.h>

#include "base/bytes.h"
#include "base/io.h"

enum {
    LOG_GROUP_HEADER_BYTES = 64,
    LOG_RECORD_HEADER_BYTES = 24,
    LOG_RECORD_ALIGN = 8,
    LOG_CHANGE_PARTITION = 0xffff,
    LOG_GROUPS_IN_FLIGHT_MAX = 16,
    LOG_FILES_MAX = 3, /* that a log has open at once: the last, this and the next one */
    STORE_ID_BYTES = 16,
};

enum log_record_type {
    LOG_RECORD_ROWS = 1, /* body: struct log_rows_header, images, heap */
    /* body: one change of the registry, protobuf; lsn is its generation, partition
     * LOG_CHANGE_PARTITION */
    LOG_RECORD_CHANGE = 2,
    /* body: as of rows, with revision VIEW_REVISION_DELETED: images of keys alone */
    LOG_RECORD_DELETES = 3,
};

enum log_record_flag {
    LOG_RECORD_APPLIED =
        1, /* rows were applied before they were durable; means nothing to a reader */
};

struct log_record_header {
    uint32_t bytes; /* of header and body; the next record begins at the next multiple of 8 */
    uint8_t type;
    uint8_t flags; /* enum log_record_flag */
    uint16_t partition;
    uint64_t lsn; /* of the first row; row i has lsn + i */
    uint64_t arrival_us;
};
static_assert(sizeof(struct log_record_header) == LOG_RECORD_HEADER_BYTES, "stored as it is");

/* Whether the body is rows, or keys that are deleted. */
static inline bool log_record_has_rows(const struct log_record_header *header) {
    return header->type == LOG_RECORD_ROWS || header->type == LOG_RECORD_DELETES;
}

/* Rows of one view revision, one partition and one request. The images follow, then the heap. */
struct log_rows_header {
    uint32_t view_id;
    uint16_t revision;
    uint16_t reserved;
    uint32_t rows_count;
    uint32_t heap_bytes;
    uint64_t client_id;
    uint64_t sequence;
};
static_assert(sizeof(struct log_rows_header) == 32, "stored as it is");

/* How a write of the log becomes durable. */
enum log_sync_method {
    LOG_SYNC_DSYNC,     /* the file syncs each write */
    LOG_SYNC_FDATASYNC, /* a sync goes behind each write */
};

const char *log_sync_method_name(enum log_sync_method method);

struct log_options {
    uint8_t store_id[STORE_ID_BYTES];
    uint32_t epoch;
    uint32_t shard;
    uint32_t
        group_bytes_max; /* 4 KiB-multiple; a record may not be larger than this less headers */
    uint64_t file_bytes; /* size of a log file, 4 KiB-multiple; at least 4 KiB + group_bytes_max */
    /* Of the first one, which is filled while everybody waits for the start; 0: file_bytes. */
    uint64_t first_file_bytes;
    uint32_t groups_in_flight_max; /* 1 to LOG_GROUPS_IN_FLIGHT_MAX */
    enum log_sync_method sync_method;
};

struct log;

/* Makes the first file. `dir` must exist. FST_EXISTS if this epoch and shard have a log already. */
FST_MUST_USE enum fst_status log_open(struct log **log_out, struct io *io, const char *dir,
                                      const struct log_options *options, struct fst_error *error);
void log_close(struct log *log);

/* Room for one record's body in the filling group; its header is copied and `bytes` filled in; the
 * caller writes all `body_bytes`. NULL when the group has no room now (answer OVERLOADED, or wait
 * for the next seal), or after a failure. */
uint8_t *log_append(struct log *log, const struct log_record_header *header, size_t body_bytes);

/* The largest body the filling group would take now, and the largest any group can take. */
size_t log_room_bytes(const struct log *log);
size_t log_body_bytes_max(const struct log *log);
/* Whether the filling group holds a record. */
bool log_is_filling(const struct log *log);

struct log_write {
    io_file file;  /* of no other write in flight */
    bool is_dsync; /* otherwise the write has ended only when a sync behind it has */
    const uint8_t *data;
    size_t bytes;
    uint64_t offset;
    uint64_t group;
};

/* Closes the filling group. False if it holds nothing, if as many groups as allowed are sealed and
 * not released, if the file is full and groups are in flight in it, or (then log_is_stuck) if there
 * is no file to write to because the disk is full. */
bool log_seal(struct log *log, struct log_write *write_out);
bool log_is_stuck(const struct log *log);
/* Groups whose write has not ended, and how many there may be. */
uint32_t log_flying_count(const struct log *log);
uint32_t log_flying_max(const struct log *log);
/* Takes records out of the filling group, which will never be written: number i, in order of
 * appending, stays exactly if is_kept[i]. */
void log_retain(struct log *log, const bool *is_kept);

/* The write of a sealed group ended, with the sync behind it. `result` is 0 or -errno; any failure
 * is final and answered with FST_IO_ERROR, then and for all writes that end later: nothing that is
 * not durable may be acknowledged and the process must end. */
FST_MUST_USE enum fst_status log_complete(struct log *log, uint64_t group, int result);

/* The oldest durable group that was not released; 0 if there is none. */
uint64_t log_completed_group(const struct log *log);
/* Walks the records of that group, in order of appending. Start with NULL; NULL at the end. */
struct log_record_header *log_next_completed(struct log *log, struct log_record_header *record);
/* Its records are of no more use. */
void log_release(struct log *log);

/* Number of the last durable group, from 1; 0 if none. Any thread. */
uint64_t log_durable_group(const struct log *log);

/* Background thread: makes the next file if none is waiting. FST_DISK_FULL when there is no room,
 * or another status; nothing is left behind and it may be called again later. FST_OK also when
 * there was nothing to do. */
FST_MUST_USE enum fst_status log_prepare_file(struct log *log);

/* Sequence of the file that is being written, from 1. */
uint32_t log_file_sequence(const struct log *log);

FST_MUST_USE enum fst_status log_check(const struct log *log);

#endif
