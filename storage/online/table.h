/*
 * table: the bytes of a partition's file, and the handle by which its parts reach them.
 *
 * The file is sparse: its regions lie at fixed offsets, far apart, and only what was touched takes
 * memory. It is never written to a disk on purpose; what it must survive is the end of its process.
 *
 *     0        header           4 KiB: identity, counters, the roots of all parts
 *     64 KiB   clients          sets of 8 x 48 B, 8 to 512 of them
 *     256 KiB  slabs            kinds x classes x 16 B
 *     1 MiB    removals         ring of removed keys, 256 KiB
 *     2 MiB    directory        2^18 x u32
 *     4 MiB    waiting          2 lists x 2 Mi x 8 B
 *     64 MiB   extent table     2 Mi x 32 B
 *     128 MiB  extents          64 KiB each, as many as were taken
 *
 * A place is named by its offset in the file in units of 16 bytes: 40 bits.
 *
 * Memory is reserved before it is touched: of header, clients and slabs a page each when the table
 * is opened, the rest of clients when they double, slabs, removals, waiting and extent table by the
 * page, extents for what is admitted and hardly more. So an empty table takes some 100 KiB, and one
 * that grows is two or three extents ahead of its rows. The thread that serves requests takes it,
 * and it is the kernel's clearing of pages that counts: 26 us for an extent, 300 us for a MiB at a
 * time (tmpfs, a shared virtual machine). Many small calls are felt less than a large one.
 *
 * `busy` is set before the first and cleared after the last store of a change. The stores of a
 * process that is killed stay in the order in which it made them, so a file whose `busy` is 0 holds
 * no half-made change.
 *
 * Threads: members that readers or the visitor look at are named so; they are read and written by
 *          atomic operations.
 * Memory:  a table borrows the mapping of its partition.
 */
#ifndef STORAGE_ONLINE_TABLE_H
#define STORAGE_ONLINE_TABLE_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "storage/log/log.h"

#define TABLE_MAGIC UINT64_C(0x31454c4241545346) /* "FSTABLE1" */

enum {
    TABLE_FORMAT = 5,
    TABLE_UNIT_BYTES = 16,
    TABLE_EXTENT_BYTES = 65536,
    TABLE_CLIENTS_MAX = 4096,
    TABLE_REMOVALS_BYTES = 256 * 1024,
    TABLE_DEPTH_MAX = 18,
    TABLE_WAITING_MAX = 2 * 1024 * 1024, /* places, per list */
    TABLE_EXTENTS_MAX = 2 * 1024 * 1024,
    TABLE_SPAN_EXTENTS_MAX = 16,
};

enum table_offset {
    TABLE_CLIENTS_OFFSET = 64 << 10,
    TABLE_SLABS_OFFSET = 256 << 10,
    TABLE_REMOVALS_OFFSET = 1 << 20,
    TABLE_DIRECTORY_OFFSET = 2 << 20,
    TABLE_WAITING_OFFSET = 4 << 20,
    TABLE_EXTENT_TABLE_OFFSET = 64 << 20,
    TABLE_EXTENTS_OFFSET = 128 << 20,
};

struct table_identity {
    uint64_t magic;
    uint32_t format;
    uint32_t partition;
    uint8_t store_id[STORE_ID_BYTES];
    uint8_t boot_id[16];
    uint64_t secret_check; /* a hash under the secret of the store, not the secret */
};
static_assert(sizeof(struct table_identity) == 56, "compared as it is");

struct table_slabs {
    uint32_t extents_count; /* taken so far */
    uint32_t extents_max;
    uint32_t pool[TABLE_SPAN_EXTENTS_MAX + 2]; /* by length: first free span, extent number + 1 */
    uint32_t waiting_now; /* the list that fills; the other one has waiting_stamp */
    uint32_t waiting_count[2];
    uint32_t extents_reserved; /* these have memory; from 0 on again where it is less than taken */
    uint64_t waiting_stamp;
    uint64_t waiting_bytes;
    uint64_t pool_extents;
    uint64_t free_bytes;      /* of places in slabs that have no row or value and do not wait */
    uint64_t kind_extents[4]; /* by enum slab_kind */
    uint64_t class_pages;     /* a bit per page of the slabs that has memory */
};

struct table_index {
    _Alignas(64) uint64_t sequence;       /* odd while slots move; readers */
    uint64_t depth;                       /* bits of the directory; readers */
    _Alignas(64) uint64_t segments_count; /* a line that readers do not touch */
    uint64_t splits;
    uint64_t slots_used;
};

struct table_header {
    struct table_identity identity;
    uint32_t busy;
    uint32_t is_visit_open;     /* marks were taken and not kept yet; visitor */
    uint32_t has_lost_removals; /* visitor and owner */
    uint32_t deleted_count;     /* of rows_count */
    uint64_t applied_lsn;       /* readers */
    uint64_t memory_lsn;        /* readers */
    uint64_t rows_count;
    uint64_t live_row_bytes;
    uint64_t live_value_bytes;
    uint64_t clients_clock;
    uint64_t removals_tail; /* bytes ever put; visitor */
    uint64_t removals_head; /* bytes ever taken, by the visitor */
    struct table_slabs slabs;
    struct table_index index;
    uint64_t live_payload_bytes; /* keys and values of live rows */
    uint64_t live_head_bytes;    /* what live rows have beside these, without rounding */
    uint64_t evicted_count;      /* of rows_count */
    uint64_t kept_lsn;           /* LMDB has the rows up to here; visitor */
    uint64_t client_sets;        /* a power of two; visitor */
};
static_assert(sizeof(struct table_header) <= 4096, "one page");

/* A mapped file. */
struct table {
    uint8_t *base;
    struct table_header *header;
    struct io *io;
    io_file file;
};

/* Takes the memory for these bytes of the file now: a page that is not there when it is touched,
 * and cannot be had, ends the process. False when there is none left; true where the file system
 * cannot do it. */
bool table_reserve(const struct table *table, uint64_t offset, uint64_t bytes);

static inline void *table_at(const struct table *table, uint64_t place) {
    return table->base + place * TABLE_UNIT_BYTES;
}

/* Words that one thread writes and others read. */
static inline uint64_t table_word_load(const uint64_t *word) {
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}
static inline void table_word_store(uint64_t *word, uint64_t value) {
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

/* Everything up to table_settle is one change. The fences keep the compiler from moving stores out
 * of it. */
static inline void table_begin(const struct table *table) {
    __atomic_store_n(&table->header->busy, 1, __ATOMIC_RELAXED);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}
static inline void table_settle(const struct table *table) {
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    __atomic_store_n(&table->header->busy, 0, __ATOMIC_RELAXED);
}

/* Counters that other threads may look at. */
static inline void table_add(uint64_t *counter, int64_t delta) {
    __atomic_store_n(counter, *counter + (uint64_t)delta, __ATOMIC_RELAXED);
}

#endif
