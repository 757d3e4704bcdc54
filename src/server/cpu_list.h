/*
 * cpu_list: which processor each shard is pinned to.
 *
 * "auto" takes the processors the process may use, in order, and none where there are more shards
 * than those; "none" pins nothing; "0,2-5" names them, and is used from the start again when there
 * are more shards.
 *
 * Threads: start-up. Memory: the caller's.
 */
#ifndef SERVER_CPU_LIST_H
#define SERVER_CPU_LIST_H

#include <stdint.h>

#include "fstore/status.h"

/* One processor per shard, -1 for none. FST_INVALID names what is wrong in the list. */
FST_MUST_USE enum fst_status cpu_list_decode(const char *text, uint32_t shards_count, int *cpus_out,
                                             struct fst_error *error);

#endif
