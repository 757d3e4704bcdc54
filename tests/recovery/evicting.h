/*
 * evicting: rows of a recovery fixture leave memory, and come back from LMDB.
 *
 * Threads: one.
 */
#ifndef TESTS_RECOVERY_EVICTING_H
#define TESTS_RECOVERY_EVICTING_H

#include "tests/recovery/recovery_fixture.h"

/* Evicts all rows of the open store that LMDB has; returns how many are evicted then. */
uint64_t evicting_evict(struct recovery_fixture *f);
uint64_t evicting_count(const struct recovery_fixture *f);
/* Brings every row back: LMDB must have each of them. */
void evicting_promote(struct recovery_fixture *f);
/* As recovery_fixture_judge(), after that. */
void evicting_judge(struct recovery_fixture *f);

#endif
