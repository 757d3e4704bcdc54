/*
 * log_reader: reads back what log wrote, and decides what is a torn tail and what is damage.
 *
 * The reader walks the files of one folder by (epoch, shard, sequence) and hands every valid record
 * to a visitor. The file says how many groups were in flight at once, at most (N). A group that
 * fails its checks begins a torn tail only if it can have been in flight at the end:
 *
 *     - its number is above every number known to be durable,
 *     - a group behind it that is whole is one of the N - 1 next ones, in its place, and did
 *       not know when it was sealed that the torn one was durable: they were in flight together,
 *     - no byte is set beyond the room that N groups can take, nor in later files.
 *
 * Whole groups in a torn tail were never acknowledged, because the one before them was not durable;
 * they are skipped with it.
 *
 * A torn tail is reported and skipped; anything else is damage and ends the reading with
 * FST_CORRUPT and a text that names file, offset, group and the last good record. A file without a
 * good first block is one whose making was cut short: allowed as the last of its log, and only with
 * nothing in it.
 *
 * Invariants:
 *   R1  Records of a log are visited in the order of appending, each once, or the reading fails.
 *   R2  Groups of a log are numbered without gaps, and each names the checksum of the one
 *       before it.
 *   R3  Records of a group are visited only after the whole group was found sound.
 *   R4  When log_read answers FST_OK, what was visited is durable: the last group of a log may have
 *       been in flight when its process ended, and be seen before it is on disk, so the file is
 *       synced.
 *
 * Threads: one caller. Memory: one window of a file, at least a group; records are borrowed during
 *          the visit.
 */
#ifndef STORAGE_LOG_LOG_READER_H
#define STORAGE_LOG_LOG_READER_H

#include "storage/log/log.h"

enum { LOG_TORN_MAX = 64, LOG_FILE_PARTS = 1024 };

/* A place in one log: all groups up to and including `group` are behind it. */
struct log_position {
    uint32_t epoch;
    uint32_t shard;
    uint64_t group;
};

/* As many as there are, by rising epoch and shard; the caller frees `items`. */
struct log_positions {
    struct log_position *items;
    uint32_t count;
    uint32_t room;
};

struct log_reader_options {
    uint8_t store_id[STORE_ID_BYTES];
    /* Logs of earlier epochs are in checkpoints as a whole: their files are not opened, and may
     * have been removed. 0: none. */
    uint32_t done_epoch;
    /* Groups known to be in checkpoints: those at or before the position of their (epoch, shard)
     * are not visited, and files that hold only such groups are not read. They may have been
     * removed, oldest first. Logs without a position are read whole. By rising epoch and shard. */
    const struct log_position *done;
    uint32_t done_count;
    /* Groups known to be durable (acknowledged): damage up to here is never a torn tail. What is
     * done is durable too. By rising epoch and shard. */
    const struct log_position *durable;
    uint32_t durable_count;
};

struct log_torn_tail {
    char file[IO_NAME_BYTES];
    uint64_t offset;
    uint64_t group;
};

struct log_reader_result {
    uint64_t files, groups, records, bytes; /* visited */
    uint32_t epoch_max;                     /* the largest epoch any file has; 0: no files */
    uint32_t torn_count;
    struct log_torn_tail torn[LOG_TORN_MAX]; /* the first of them */
};

/* Where a visited record stands. */
struct log_place {
    struct log_position position; /* of its group */
    const char *file;
    uint64_t offset; /* of its group in the file */
};

/* Functions may be NULL. Anything but FST_OK ends the reading with that status. */
struct log_visitor {
    void *context;
    /* `header` has flags 0. */
    enum fst_status (*record)(void *context, const struct log_record_header *header,
                              const uint8_t *body, const struct log_place *place);
    /* After the records of a log: its last valid group, or what is done if there is none. */
    enum fst_status (*end)(void *context, const struct log_position *last);
    /* Before the records of about 1 MiB: how far the reading is, with LOG_FILE_PARTS to a file. */
    enum fst_status (*piece)(void *context, uint64_t done, uint64_t total);
};

/* FST_NO_MEMORY. */
FST_MUST_USE enum fst_status log_positions_append(struct log_positions *positions,
                                                  const struct log_position *position);
/* The position of a log among positions by rising epoch and shard; NULL if it is not there. */
const struct log_position *log_position_find(const struct log_position *positions, uint32_t count,
                                             uint32_t epoch, uint32_t shard);

/* Reads everything that is not done. The visitor's own failures keep the text it set in `error`. */
FST_MUST_USE enum fst_status log_read(struct io *io, const char *dir,
                                      const struct log_reader_options *options,
                                      const struct log_visitor *visitor,
                                      struct log_reader_result *result_out,
                                      struct fst_error *error);

#endif
