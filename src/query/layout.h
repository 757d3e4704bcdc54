/*
 * layout: the description of a prepared request that PREPARE sends, byte by byte as in
 *         docs/protocol.md.
 *
 * Threads: pure functions. Memory: the bytes are allocated and owned by the plan they are put into.
 */
#ifndef QUERY_LAYOUT_H
#define QUERY_LAYOUT_H

#include "fstore/status.h"

struct read_plan;
struct write_plan;

/* Fill layout and layout_id. FST_NO_MEMORY; FST_TOO_LARGE past LAYOUT_BYTES_MAX. */
FST_MUST_USE enum fst_status layout_of_read(struct read_plan *plan);
FST_MUST_USE enum fst_status layout_of_write(struct write_plan *plan);

#endif
