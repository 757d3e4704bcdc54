/*
 * client_table: the newest writes of every client, so that a repeated one is known.
 *
 * 512 sets of 8 clients; in a full set the one that was idle longest gives way. A sequence is
 * admitted when its record goes to the log and applied when the record is durable; what was
 * admitted and not applied when a process ends was never acknowledged.
 *
 * Of the newest 64 sequences each is known for itself: one that was refused, while later ones of
 * the same pipeline were taken, must not look repeated when it comes again. Older ones count as
 * taken.
 *
 *     window:  [ newest sequence | recent: bit i is set if newest - i was taken, too ]
 *
 * Invariant: what is applied is admitted, for every client.
 * Threads: the owner; client_table_visit by the visitor, beside it.
 * Memory:  48 bytes a client in the mapped table.
 */
#ifndef STORAGE_ONLINE_CLIENT_TABLE_H
#define STORAGE_ONLINE_CLIENT_TABLE_H

#include "storage/online/partition.h"
#include "storage/online/table.h"

enum { CLIENT_TABLE_WAYS = 8, CLIENT_TABLE_SETS = TABLE_CLIENTS_MAX / CLIENT_TABLE_WAYS };

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

struct client_table {
    struct table table;
    struct client *clients;
};

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
