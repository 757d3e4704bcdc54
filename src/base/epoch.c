#include "base/epoch.h"

#include "base/assert.h"

void epoch_init(struct epoch *epoch, uint32_t seats_count) {
    FST_ASSERT(seats_count <= EPOCH_SEATS_MAX);
    atomic_init(&epoch->now, 1);
    epoch->seats_count = seats_count;
    for (uint32_t i = 0; i < EPOCH_SEATS_MAX; i++) atomic_init(&epoch->seats[i].seen, EPOCH_AWAY);
}

/*
 * A reader that took a seat must see everything that was unlinked before a stamp whose owner found
 * the seat still empty. All operations here are sequentially consistent, so they have one order: if
 * the owner's look at the seat came before the store below, its stamp came before the second load,
 * which therefore meets the new epoch (and with it the unlinking), and the loop goes round again.
 */
void epoch_enter(struct epoch *epoch, uint32_t seat) {
    FST_ASSERT(seat < epoch->seats_count);
    uint64_t now = atomic_load(&epoch->now);
    for (;;) {
        atomic_store(&epoch->seats[seat].seen, now);
        uint64_t again = atomic_load(&epoch->now);
        if (again == now) return;
        now = again;
    }
}

void epoch_leave(struct epoch *epoch, uint32_t seat) {
    FST_ASSERT(seat < epoch->seats_count);
    atomic_store(&epoch->seats[seat].seen, EPOCH_AWAY);
}

uint64_t epoch_stamp(struct epoch *epoch) {
    return atomic_fetch_add(&epoch->now, 1) + 1;
}

bool epoch_is_past(const struct epoch *epoch, uint64_t stamp) {
    for (uint32_t i = 0; i < epoch->seats_count; i++) {
        if (atomic_load(&epoch->seats[i].seen) < stamp) return false;
    }
    return true;
}
