/*
 * removal: the keys whose rows were removed since the visitor looked last.
 *
 * A ring of bytes in the mapped table; positions only rise. When it is full, single removals are
 * given up and the next visit has to be whole.
 *
 *     entry:  [ view id u32 | key bytes u32 | key, padded to 8 ]
 *
 * View id 0 says: go on at the start of the ring. That is where an entry goes, too, when there is
 * no other and the first page is full: so the ring takes as many pages as are removed between two
 * visits, and not all of them in time.
 *
 * Invariant: head <= tail <= head + TABLE_REMOVALS_BYTES, all multiples of 8.
 * Threads: removal_put by the owner, removals_visit by the visitor, beside each other.
 */
#ifndef STORAGE_ONLINE_REMOVAL_H
#define STORAGE_ONLINE_REMOVAL_H

#include "base/bytes.h"
#include "storage/online/partition.h"
#include "storage/online/table.h"

/* Remembers a removal, or that some were not remembered. */
void removal_put(const struct table *table, uint32_t view_id, struct bytes key);

/* Hands all removals known at the call to visitor->removed and forgets them. A key that has a row
 * again is left out: that row was visited, or is marked, and would be dropped with the old one. */
FST_MUST_USE enum fst_status removals_visit(const struct partition *partition,
                                            const struct catalog *catalog,
                                            const struct partition_visitor *visitor);

#endif
