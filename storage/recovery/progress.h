/*
 * progress: how far a recovery has come, told now and then to who wants to know.
 *
 * Whoever is told may stop the recovery; then everybody who tells of more learns of it.
 *
 * Threads: progress_put by one, while no other is at work; progress_add by any.
 *          What is told is told by one thread at a time; who finds another one telling goes on.
 * Memory:  the caller's.
 */
#ifndef STORAGE_RECOVERY_PROGRESS_H
#define STORAGE_RECOVERY_PROGRESS_H

#include <pthread.h>

#include "storage/recovery/recovery.h"

struct progress {
    const struct recovery_options *options; /* who is told */
    enum recovery_phase phase;
    _Atomic uint64_t done;
    _Atomic uint64_t total;
    _Atomic bool is_stopped;
    pthread_mutex_t lock; /* held while something is told */
};

void progress_init(struct progress *progress, const struct recovery_options *options);
void progress_deinit(struct progress *progress);

/* So much of a phase is done, of so much. FST_CLOSED, here and below, once the recovery is to
 * stop. */
FST_MUST_USE enum fst_status progress_put(struct progress *progress, enum recovery_phase phase,
                                          uint64_t done, uint64_t total);
/* So much more of the phase is done. */
FST_MUST_USE enum fst_status progress_add(struct progress *progress, uint64_t more);

#endif
