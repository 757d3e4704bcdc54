/*
 * epoch: tells when memory that readers may still look at can be used again.
 *
 * Every reading thread has a seat. At a quiet point (the start of a tick, when it holds no borrowed
 * pointer) it copies the global epoch to its seat; before it sleeps it leaves. A writer that
 * unlinks something stamps it with epoch_stamp(), and may reuse it once epoch_is_past(stamp).
 *
 * Invariant: a seat's value never exceeds the global epoch, unless it is EPOCH_AWAY.
 * Threads: any; a seat is used by one thread.
 * Memory:  the caller's.
 */
#ifndef BASE_EPOCH_H
#define BASE_EPOCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { EPOCH_SEATS_MAX = 160 };
#define EPOCH_AWAY UINT64_MAX

struct epoch_seat {
    _Alignas(64) _Atomic uint64_t seen;
};

struct epoch {
    _Alignas(64) _Atomic uint64_t now; /* from 1 */
    uint32_t seats_count;
    struct epoch_seat seats[EPOCH_SEATS_MAX];
};

/* All seats start away. */
void epoch_init(struct epoch *epoch, uint32_t seats_count);
void epoch_enter(struct epoch *epoch, uint32_t seat); /* also the quiet point of a busy thread */
void epoch_leave(struct epoch *epoch, uint32_t seat);

/* Advances the epoch and returns the stamp for what was unlinked before the call. */
uint64_t epoch_stamp(struct epoch *epoch);
bool epoch_is_past(const struct epoch *epoch, uint64_t stamp);

#endif
