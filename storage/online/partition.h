/*
 * partition: the online rows of a fixed share of all entity keys, in one mapped file without
 * pointers.
 *
 * A partition finds a row through its index (index.h), keeps rows and values without a fixed size
 * in places of slabs (slab.h), and remembers the newest write of every client (client_table.h) and
 * which rows were removed (removal.h). Everything is addressed by offset, so the next process maps
 * the file again and serves at once (table.h has the file, stored_row.h the row).
 *
 * Writing is a function of log records: partition_apply() is the same for live writes and for
 * recovery, and applying a record again changes nothing, because the order of a key's rows decides
 * alone.
 *
 * The memory limit is judged at admission. What was admitted always finds room, if need be beyond
 * the limit, by no more than what is on its way to disk: the memory that it may need at the worst
 * is taken from the file system at admission, too, and where there is none the rows are refused.
 *
 * Near the limit, rows of views that allow it are evicted: cold ones, of which LMDB has this very
 * version. A row without features stays in the place of each, so that it can be found, is ordered
 * among later ones, expires and is deleted without a look into LMDB.
 *
 * Invariants, restated in partition_check():
 *   P1  Every slot of the index leads to a live row whose key hashes to that segment and home
 *       bucket.
 *   P2  A row is within its home bucket's probe limit.
 *   P3  Live, waiting and free places are disjoint and together fill the slabs; row and byte counts
 *       are what a walk counts.
 *   P4  A row's (event_us, created_us, lsn) never decreases.
 *
 * Threads: one writer (the owner); any number of readers with a seat in `epoch`; one visitor, with
 *          a seat too. Readers copy without locks and validate the row's sequence; a miss is
 *          believed only if no slots moved meanwhile. Freed places are reused only after every seat
 *          has passed a quiet point.
 * Memory:  the mapping is the partition's; readers get copies, and values borrowed until their next
 *          quiet point.
 */
#ifndef STORAGE_ONLINE_PARTITION_H
#define STORAGE_ONLINE_PARTITION_H

#include "base/epoch.h"
#include "base/hash.h"
#include "base/io.h"
#include "model/definition.h"
#include "storage/log/log.h"

/* Memory shared by all partitions of a store. */
struct partition_budget {
    uint64_t limit_bytes;
    _Atomic uint64_t used_bytes; /* whole extents, and what was admitted and is not applied yet */
};

struct partition_options {
    struct io *io;
    struct epoch *epoch;
    struct partition_budget *budget;
    struct hash_secret secret;
    uint8_t store_id[STORE_ID_BYTES];
    uint8_t boot_id[16]; /* changes when the file cannot be what the last process left */
    uint32_t partition;
    uint64_t reserve_bytes; /* address space for rows, at most 128 GiB; memory comes with rows */
    const char *path;
};

struct partition;

enum partition_origin {
    PARTITION_NEW,        /* made empty: there was no file */
    PARTITION_MAPPED,     /* mapped again and trusted */
    PARTITION_DISTRUSTED, /* there was a file that cannot be trusted; made empty */
};

/* Maps or makes the table. A file is trusted if its header fits (store, boot, secret, format) and
 * its writer did not stop in the middle of a change. */
FST_MUST_USE enum fst_status partition_open(struct partition **partition_out,
                                            const struct partition_options *options,
                                            enum partition_origin *origin_out,
                                            struct fst_error *error);
/* What the tables of clients and sizes of a partition take at the most, beside --memory. */
uint64_t partition_fixed_bytes_max(void);
/* Unmaps; the file stays and can be trusted. NULL is allowed. */
void partition_close(struct partition *partition);
/* From now on the file is trusted only by those who know this id. */
void partition_put_boot_id(struct partition *partition, const uint8_t boot_id[16]);
/* Throws everything away and starts empty. No reader may be inside. */
FST_MUST_USE enum fst_status partition_clear(struct partition *partition);

/* The greatest LSN applied from durable records; every record up to it is reflected. Any thread. */
uint64_t partition_applied_lsn(const struct partition *partition);
/* The greatest LSN applied before it was durable (views visible from memory); 0 if none. */
uint64_t partition_memory_lsn(const struct partition *partition);

/* ---- writing: the owner ---- */

enum partition_admission {
    PARTITION_ADMIT,
    PARTITION_REPEATED,
    PARTITION_FULL,
    PARTITION_BUSY,      /* too many freed places wait for readers, or may soon; try again */
    PARTITION_TOO_LARGE, /* the record alone may free too many */
};

/* Before logging a rows record (`body`: struct log_rows_header, images, heap; trusted): whether its
 * rows fit, and whether this client's sequence was admitted before. When it answers PARTITION_ADMIT
 * it remembers the sequence, and room for the rows until the record is applied or released. At the
 * limit, rows that replace one of the same size still fit. Client 0 is nobody: no sequence is
 * kept. */
enum partition_admission partition_admit(struct partition *partition, const struct view *view,
                                         const uint8_t *body);

/* Takes an admission back, for a record that was not logged after all; of several the newest
 * first. */
void partition_release(struct partition *partition, const struct view *view, const uint8_t *body);

/* Applies the rows of a rows record. Live bodies are trusted; those from a disk passed
 * log_rows_check(). statuses_out (may be NULL) gets FST_OK or FST_STALE per row. `is_durable` is
 * false for rows shown before their group is on disk. A record with the flag LOG_RECORD_APPLIED has
 * its rows in place: only applied LSN and client sequence advance. FST_FULL only without admission,
 * when the reserve or the memory is used up; FST_CORRUPT if a stored row has a revision that the
 * view has not. */
FST_MUST_USE enum fst_status partition_apply(struct partition *partition, const struct view *view,
                                             const struct log_record_header *header,
                                             const uint8_t *body, bool is_durable,
                                             uint8_t *statuses_out);

enum { PARTITION_PREFETCH_MAX = 32 };

/* Starts the cache misses of records that will be applied next: of the first row of each, at most
 * PARTITION_PREFETCH_MAX records, which may belong to different partitions. */
struct partition_record {
    const struct partition *partition;
    const struct view *view;
    const uint8_t *body;
};
void partition_prefetch(const struct partition_record *records, uint32_t records_count);

/* Removes a row. FST_NOT_FOUND if there is none; FST_BUSY while too many freed places wait for
 * readers. */
FST_MUST_USE enum fst_status partition_remove(struct partition *partition, const struct view *view,
                                              struct bytes key);

/* Removes rows whose ttl was over for as long again, and deleted rows that are
 * PARTITION_DELETED_KEPT_US old: a row of such a key that comes later still, and is older, would be
 * taken. Looks at so many places of rows, on from where the last call ended; returns how many rows
 * went. Nothing goes while a visit is open or was not kept, or while rows are shown that are not
 * durable: see partition_sweep.c. */
#define PARTITION_DELETED_KEPT_US (INT64_C(7) * 24 * 3600 * 1000000)
uint32_t partition_sweep(struct partition *partition, const struct catalog *catalog, int64_t now_us,
                         uint32_t places_max);

/* Sets a row as a checkpoint kept it; an older one than the row that is there changes nothing. */
FST_MUST_USE enum fst_status partition_restore_row(struct partition *partition,
                                                   const struct view *view, uint16_t revision,
                                                   uint64_t lsn, const uint8_t *image,
                                                   const uint8_t *heap);
/* Before rows are restored: LMDB has all up to here, so that they can be evicted again. */
void partition_restore_kept(struct partition *partition, uint64_t lsn);
/* Adds what the visitor told of a client. */
FST_MUST_USE enum fst_status partition_restore_client(struct partition *partition,
                                                      uint64_t client_id, uint64_t sequence,
                                                      uint64_t recent);
/* Never goes back. */
void partition_restore_lsn(struct partition *partition, uint64_t applied_lsn);

/* ---- evicting: the owner ---- */

/* Whether partition_evict() should run: memory is near its limit and few of the partition's places
 * are free, or rows were refused because of it. */
bool partition_is_short(const struct partition *partition);

/* Whether a row of this view that found no room may find some soon: rows can be evicted, as far as
 * the hand knows. */
bool partition_can_make_room(const struct partition *partition, const struct view *view);

/* Moves the hand of a clock over so many places of rows. A row that was used since the hand passed
 * it last is spared this time; of the others those are evicted that LMDB has. Returns how many.
 * Goes around once at the most. Beside a visit, too. */
uint32_t partition_evict(struct partition *partition, const struct catalog *catalog,
                         uint32_t places_max);

/* Whether many rows could be evicted if only LMDB had them. */
bool partition_wants_checkpoint(const struct partition *partition);

/* Puts a row that is evicted back into memory, as LMDB has it (trusted; references of `image` lead
 * into `heap`). FST_STALE if the key's row is not evicted, or is another than that of `lsn`;
 * FST_FULL when that would take memory beyond the limit. */
FST_MUST_USE enum fst_status partition_promote(struct partition *partition, const struct view *view,
                                               uint16_t revision, uint64_t lsn,
                                               const uint8_t *image, const uint8_t *heap);

/* At a start, after each row, when nobody reads yet: evicts so that the next one finds room within
 * the partition's share of the limit; the others are not filled yet. */
void partition_relieve(struct partition *partition, const struct catalog *catalog,
                       uint32_t partitions_count);

/* Whether LMDB, which reflects all up to `lsn`, has what this table counts on. If it has less, it
 * was lost or is of another time: the next visit is whole, and false says that rows are evicted
 * that LMDB may lack, so that the table has to be cleared. */
bool partition_fits_checkpoint(struct partition *partition, uint64_t lsn);

/* Makes freed places that all readers have left usable again. Bounded work; call it once a tick. */
void partition_reclaim(struct partition *partition);

/* ---- reading: any thread with a seat ---- */

enum { PARTITION_READ_WINDOW = 16 };

/* One wanted row. The caller fills the first part; hash comes from partition_hash(). */
struct partition_read {
    const struct partition *partition;
    struct bytes key; /* canonical */
    uint64_t hash;
    uint32_t view_id;
    uint32_t key_bytes_fixed; /* as in the view's layouts */
    uint8_t *copy;            /* caller's room for a stable copy of the body, any alignment */
    uint32_t body_bytes_max;  /* its size, a multiple of 8; a longer body is cut */
    bool wants_mark;          /* the row counts as used: of views that evict */
    /* answers */
    uint32_t
        body_bytes; /* copied; cells of values without a fixed size are places: partition_value() */
    bool is_found;
    bool is_deleted; /* not found: the key was deleted, and its row says when */
    bool is_evicted; /* not found: there is a row, in LMDB, of this LSN and these times */
    bool was_used;   /* before this read: see wants_mark */
    uint16_t revision;
    uint64_t lsn;
    int64_t event_us;
    int64_t created_us;
};

uint64_t partition_hash(const struct hash_secret *secret, uint32_t entity_id, struct bytes key);

/* Looks up a batch in stages with prefetch: bucket lines, row lines, validated copies. All reads
 * are answered. They may be on different partitions. */
void partition_read_many(struct partition_read *reads, uint32_t reads_count);

/* Whether a key has a row, of whatever kind. Of views that the catalog does not know none has. */
bool partition_has(const struct partition *partition, const struct catalog *catalog,
                   uint32_t view_id, struct bytes key);

/* Bytes behind a cell of a copied body that is not null. Borrowed until the reader's next quiet
 * point. */
struct bytes partition_value(const struct partition *partition, uint64_t cell);

/* ---- looking: checkpoint, tools ---- */

/* What the memory of a table is used for: together all that its file takes of its file system.
 * X(name, text name, help) */
#define PARTITION_MEMORY(X)                                                                        \
    X(PAYLOAD, "payload", "keys and values of live rows; a null of a fixed size counts, too")      \
    X(INDEX, "index", "segments in use, and the directory")                                        \
    X(HEADERS, "headers", "of live rows: LSN, times, null bits, where values lie, padding")        \
    X(SLACK, "slack", "places rounded up, and ends of spans too short for one more")               \
    X(FREE, "free", "places and extents that can be used at once")                                 \
    X(WAITING, "waiting", "freed, but a reader may still be there")                                \
    X(AHEAD, "ahead", "taken from the file system for what comes next")                            \
    X(FIXED, "fixed", "tables of clients, sizes and extents of each partition")

enum partition_memory {
#define PARTITION_MEMORY_ENUM(name, text, help) PARTITION_MEMORY_##name,
    PARTITION_MEMORY(PARTITION_MEMORY_ENUM)
#undef PARTITION_MEMORY_ENUM
        PARTITION_MEMORY_COUNT,
};
const char *partition_memory_name(enum partition_memory use); /* "payload"; static */
const char *partition_memory_help(enum partition_memory use); /* static */

struct partition_stats {
    uint64_t rows_count;    /* that keys have, evicted ones among them */
    uint64_t deleted_count; /* that say that their key was deleted */
    uint64_t evicted_count; /* of rows_count */
    uint64_t memory_bytes[PARTITION_MEMORY_COUNT];
    uint64_t live_row_bytes, live_value_bytes; /* places */
    uint64_t mapped_bytes;                     /* taken from the budget */
    uint64_t splits;
};
/* Any thread: numbers a little old beside a writer. */
void partition_stats(const struct partition *partition, struct partition_stats *stats_out);

/* A stable copy of one row, as model/row.h has it: references point into `heap`. */
struct partition_row {
    uint32_t view_id;
    uint16_t revision;
    uint64_t lsn;
    struct bytes key;
    const uint8_t *image;
    size_t image_bytes;
    const uint8_t *heap;
    size_t heap_bytes;
};

/* Called in this order: begun, removed keys, rows, clients. Anything but FST_OK ends the visit with
 * that status. What has no function counts as visited, and is not looked at. */
struct partition_visitor {
    void *context;
    /* The applied LSN, everything up to which is in the visit. Returns a catalog of now, which
     * knows the views of all these rows; may be NULL where the catalog of the call does. */
    const struct catalog *(*begun)(void *context, uint64_t applied_lsn);
    enum fst_status (*row)(void *context, const struct partition_row *row);
    enum fst_status (*removed)(void *context, uint32_t view_id, struct bytes key);
    /* Bit i of `recent`: sequence - i was applied, too. */
    enum fst_status (*client)(void *context, uint64_t client_id, uint64_t sequence,
                              uint64_t recent);
};

/* Visits, but for evicted rows, what changed since the last visit that was kept (or everything),
 * beside the writer: everything up to the applied LSN that it begins with is among it. Rows of
 * views or revisions that the catalog does not know stay marked for the next visit. End it with
 * partition_visit_end(), also when it failed. */
FST_MUST_USE enum fst_status partition_visit(struct partition *partition, bool is_whole,
                                             const struct catalog *catalog,
                                             const struct partition_visitor *visitor);
/* `is_kept`: what was visited is stored durably in LMDB, from which evicted rows are read.
 * Otherwise the next visit must be whole. */
void partition_visit_end(struct partition *partition, bool is_kept);
/* Whether changes are not told apart any more (an earlier visit was not kept, or too many
 * removals): visit all, and then drop what is stored of keys that have no row (partition_has). */
bool partition_needs_whole_visit(const struct partition *partition);

/* Walks everything: FST_CORRUPT if P1, P2 or P3 fails. No writer may run beside it. */
FST_MUST_USE enum fst_status partition_check(const struct partition *partition,
                                             const struct catalog *catalog,
                                             struct fst_error *error);

/* FST_CORRUPT unless the body is that of a whole record of this type for this view: sizes,
 * revision, every image by row_check. */
FST_MUST_USE enum fst_status log_rows_check(const struct view *view, uint8_t type,
                                            const uint8_t *body, size_t body_bytes);

#endif
