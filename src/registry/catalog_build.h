/*
 * catalog_build: a catalog (model/definition.h) of a state.
 *
 * Here stored definitions become what the engine works with: row layouts for every revision,
 * references as pointers, "view:*" in services as the columns that the view has now.
 *
 * Threads: pure. Memory: the catalog is the caller's, and borrows nothing from the state.
 */
#ifndef REGISTRY_CATALOG_BUILD_H
#define REGISTRY_CATALOG_BUILD_H

#include "model/definition.h"
#include "registry/state.h"

/* FST_NO_MEMORY. The state keeps the invariants of state.h. */
FST_MUST_USE enum fst_status catalog_build(const struct registry_state *state,
                                           struct catalog **catalog_out);

#endif
