/*
 * meta: the LMDB environment of a store: identity, registry changes, checkpoints.
 *
 * LMDB has no checksums, so every value carries one. A value is cut into pieces so that key and
 * piece stay under 2,000 bytes and never take a page of their own; the number of the piece,
 * big-endian, ends the key. Keys are big-endian throughout: order of bytes is order of meaning.
 *
 *     piece:    [ checksum u64 | bytes of the whole value u32 | bytes of this piece ]
 *
 *     store:    name                            -> anything the caller keeps by name
 *     changes:  generation u64                  -> change (protobuf of the registry)
 *     rows:     partition u16, view u32, key    -> revision, lsn, image, heap
 *     clients:  partition u16, client u64       -> sequence, recent ones
 *     lsns:     partition u16                   -> LSN that the rows reflect
 *     logs:     epoch u32, shard u32            -> group up to which all is in the checkpoint
 *
 * The checksum is seeded with the database and covers key, length and bytes, so that a value under
 * the wrong key fails.
 *
 * Invariants, restated in meta_check():
 *   M1  Every piece fits its checksum.
 *   M2  The pieces of a value are numbered from 0 and together have its length; there is no
 *       other piece.
 *   M3  Keys and values have the sizes of their database.
 *
 * Threads: one batch at a time (LMDB's own lock, begin waits); readers anywhere, beside the batch.
 *          Only background threads and start-up: commit waits for the disk.
 * Memory:  bytes handed to visitors are borrowed during the visit.
 */
#ifndef STORAGE_META_META_H
#define STORAGE_META_META_H

#include "base/bytes.h"
#include "base/hash.h"
#include "storage/log/log_reader.h"

enum { META_KEY_BYTES_MAX = 500, META_VALUE_BYTES_MAX = 64 << 20 };

struct meta;
struct meta_batch; /* one write transaction */

struct meta_options {
    const char *path;   /* a folder; made if it is not there */
    uint64_t map_bytes; /* the most it may grow to */
    bool is_read_only;
};

/* FST_CORRUPT if the files are no LMDB environment, or cut short; FST_NOT_FOUND, read only, if
 * there is none. */
FST_MUST_USE enum fst_status meta_open(struct meta **meta_out, const struct meta_options *options,
                                       struct fst_error *error);
/* NULL is allowed. */
void meta_close(struct meta *meta);

/* A row as a checkpoint keeps it. */
struct meta_row {
    uint16_t partition;
    uint16_t revision;
    uint32_t view_id;
    uint64_t lsn;
    struct bytes key;
    struct bytes image;
    struct bytes heap;
};

/* ---- writing ---- */

/* begin, any number of puts, then commit (durable when it returns) or abort. After a failed put
 * only abort is left. FST_DISK_FULL when map_bytes or the disk is used up. */
FST_MUST_USE enum fst_status meta_begin(struct meta *meta, struct meta_batch **batch_out,
                                        struct fst_error *error);
/* The batch is gone afterwards, also when it failed. */
FST_MUST_USE enum fst_status meta_commit(struct meta_batch *batch, struct fst_error *error);
void meta_abort(struct meta_batch *batch);

FST_MUST_USE enum fst_status meta_put_value(struct meta_batch *batch, const char *name,
                                            struct bytes value);
FST_MUST_USE enum fst_status meta_put_change(struct meta_batch *batch, uint64_t generation,
                                             struct bytes change);
/* Rows are put fastest in the order of partition, view and key. */
FST_MUST_USE enum fst_status meta_put_row(struct meta_batch *batch, const struct meta_row *row);
/* A row that is not there is removed already: FST_OK. */
FST_MUST_USE enum fst_status meta_remove_row(struct meta_batch *batch, uint16_t partition,
                                             uint32_t view_id, struct bytes key);
/* Removes the rows of a partition that `keeps` does not want; what is damaged, too. */
struct meta_filter {
    void *context;
    bool (*keeps)(void *context, uint32_t view_id, struct bytes key);
};
FST_MUST_USE enum fst_status meta_remove_rows(struct meta_batch *batch, uint16_t partition,
                                              const struct meta_filter *filter);
/* All clients of a partition. */
FST_MUST_USE enum fst_status meta_remove_clients(struct meta_batch *batch, uint16_t partition);
FST_MUST_USE enum fst_status meta_put_client(struct meta_batch *batch, uint16_t partition,
                                             uint64_t client_id, uint64_t sequence,
                                             uint64_t recent);
FST_MUST_USE enum fst_status meta_put_lsn(struct meta_batch *batch, uint16_t partition,
                                          uint64_t lsn);
FST_MUST_USE enum fst_status meta_put_log(struct meta_batch *batch,
                                          const struct log_position *position);
/* Logs of epochs before this one are wholly in the checkpoint; their positions are removed. */
FST_MUST_USE enum fst_status meta_put_done_epoch(struct meta_batch *batch, uint32_t epoch);

/* ---- reading ---- */

/* A value that fails its check is FST_CORRUPT with database and key in `error`. FST_NOT_FOUND where
 * there is none; FST_TOO_LARGE where it has more than bytes_max. */
FST_MUST_USE enum fst_status meta_get_value(struct meta *meta, const char *name, void *value_out,
                                            size_t bytes_max, size_t *bytes_out,
                                            struct fst_error *error);

/* As meta_put_done_epoch() stored it; 0 if it never did. */
FST_MUST_USE enum fst_status meta_get_done_epoch(struct meta *meta, uint32_t *epoch_out,
                                                 struct fst_error *error);

/* Functions may be NULL. Anything but FST_OK ends the visit with that status. */
struct meta_visitor {
    void *context;
    enum fst_status (*change)(void *context, uint64_t generation, struct bytes change);
    enum fst_status (*row)(void *context, const struct meta_row *row);
    enum fst_status (*client)(void *context, uint16_t partition, uint64_t client_id,
                              uint64_t sequence, uint64_t recent);
    enum fst_status (*lsn)(void *context, uint16_t partition, uint64_t lsn);
    enum fst_status (*log)(void *context, const struct log_position *position);
};
/* Visits, in key order and as of one moment, what the visitor has a function for. Databases come in
 * the order of the functions. */
FST_MUST_USE enum fst_status meta_visit(struct meta *meta, const struct meta_visitor *visitor,
                                        struct fst_error *error);
/* Rows and clients of one partition only. */
FST_MUST_USE enum fst_status meta_visit_partition(struct meta *meta, uint16_t partition,
                                                  const struct meta_visitor *visitor,
                                                  struct fst_error *error);

/* Reads single rows, each time as of the moment of meta_reader_begin: everything committed before
 * it is seen. For one thread; the transaction is made once and used again. */
struct meta_reader;
FST_MUST_USE enum fst_status meta_reader_open(struct meta_reader **reader_out, struct meta *meta,
                                              struct fst_error *error);
/* NULL is allowed. Before meta_close. */
void meta_reader_close(struct meta_reader *reader);
/* Between begin and end no page that was in use is given back: not for long. */
FST_MUST_USE enum fst_status meta_reader_begin(struct meta_reader *reader, struct fst_error *error);
void meta_reader_end(struct meta_reader *reader);
/* Borrowed until the next call for this reader. FST_NOT_FOUND if there is no row; FST_CORRUPT if
 * it is damaged. */
FST_MUST_USE enum fst_status meta_get_row(struct meta_reader *reader, uint16_t partition,
                                          uint32_t view_id, struct bytes key,
                                          struct meta_row *row_out, struct fst_error *error);

/* About how many rows there are: one of several pieces counts as often. 0 if LMDB does not say. */
uint64_t meta_rows_count(struct meta *meta);
/* Bytes of the file that are in use. */
uint64_t meta_used_bytes(struct meta *meta);

/* Walks every piece of every database. */
FST_MUST_USE enum fst_status meta_check(struct meta *meta, struct fst_error *error);

#endif
