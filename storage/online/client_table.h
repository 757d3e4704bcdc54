/*
 * client_table: the newest writes of every client, so that a repeated one is known.
 *
 * Sets of 8 clients, 8 of them at first. When a set is full they double, up to 512; then, or where
 * there is no memory for it, the one that was idle longest gives way. A sequence is admitted when
 * its record goes to the log and applied when the record is durable; what was admitted and not
 * applied when a process ends was never acknowledged.
 *
 * Of the newest 64 sequences each is known for itself: one that was refused, while later ones of
 * the same pipeline were taken, must not look repeated when it comes again. Older ones count as
 * taken.
 *
 *     window:  [ newest sequence | recent: bit i is set if newest - i was taken, too ]
 *
 * When the sets double, a client stays in its set or goes as many further as there were: its new
 * place is complete before the number of sets shows it, and only then the old one is cleared. A
 * visitor goes upwards and looks at the number of sets anew each time, so it meets every client.
 *
 * Invariant: what is applied is admitted, for every client, and each is in its set.
 * Threads: the owner; client_table_visit by the visitor, beside it.
 * Memory:  48 bytes a client in the mapped table, of which the first page has memory before it is
 *          opened.
 */
#ifndef STORAGE_ONLINE_CLIENT_TABLE_H
#define STORAGE_ONLINE_CLIENT_TABLE_H

#include "storage/online/partition.h"
#include "storage/online/table.h"

enum {
    CLIENT_TABLE_WAYS = 8,
    CLIENT_TABLE_SETS_MIN = 8,
    CLIENT_TABLE_SETS_MAX = TABLE_CLIENTS_MAX / CLIENT_TABLE_WAYS,
};

struct client_window {
    uint64_t newest; /* 0: none */
    uint64_t recent;
};

struct client {
    uint64_t client_id; /* 0: free; visitor */
    struct client_window admitted;
    struct client_window applied; /* visitor */
    uint32_t used;                /* the clock when it was used last */
    uint32_t is_visited;          /* since `applied` changed; visitor and owner */
};
static_assert(sizeof(struct client) * TABLE_CLIENTS_MAX <=
                  TABLE_SLABS_OFFSET - TABLE_CLIENTS_OFFSET,
              "fits");
static_assert(sizeof(struct client) * CLIENT_TABLE_WAYS * CLIENT_TABLE_SETS_MIN <= 4096,
              "the page that every table has");

struct client_table {
    struct table table;
    struct client *clients;
};

/* Whether so many sets can be what a table was left with. */
static inline bool client_table_is_valid(uint64_t sets) {
    return sets >= CLIENT_TABLE_SETS_MIN && sets <= CLIENT_TABLE_SETS_MAX &&
           (sets & (sets - 1)) == 0;
}

/* Attaches to a mapped table, and forgets what was admitted and not applied. */
void client_table_open(struct client_table *clients, const struct table *table);

/* Whether this sequence was admitted. */
bool client_table_has(const struct client_table *clients, uint64_t client_id, uint64_t sequence);
void client_table_admit(struct client_table *clients, uint64_t client_id, uint64_t sequence);
/* Takes an admission back. */
void client_table_release(struct client_table *clients, uint64_t client_id, uint64_t sequence);
void client_table_apply(struct client_table *clients, uint64_t client_id, uint64_t sequence);
/* Adds what a checkpoint kept. */
void client_table_restore(struct client_table *clients, uint64_t client_id,
                          const struct client_window *applied);

FST_MUST_USE enum fst_status client_table_visit(struct client_table *clients, bool is_whole,
                                                const struct partition_visitor *visitor);

FST_MUST_USE enum fst_status client_table_check(const struct client_table *clients);

#endif
