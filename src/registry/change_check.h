/*
 * change_check: whether a change may be merged into a state.
 *
 * Changes come from the log and from LMDB. Their checksums say that the bytes are those that were
 * written; this says that they make sense, so that nothing behind it needs to ask again: names,
 * types, defaults, references, ids without gaps, revisions that widen.
 *
 * Threads: pure.
 */
#ifndef REGISTRY_CHANGE_CHECK_H
#define REGISTRY_CHANGE_CHECK_H

#include "registry/state.h"

/* FST_CORRUPT, saying what is wrong, unless the state with this change keeps the invariants of
 * state.h. */
FST_MUST_USE enum fst_status change_check(const struct registry_state *state,
                                          const Fst__Registry__Change *change,
                                          struct fst_error *error);

/* The type in a message's eight bytes, or kind TYPE_NONE if they are none. */
struct type change_type(ProtobufCBinaryData data);

#endif
