#include "shard/engine.h"

#include "base/io.h"

bool engine_is_adopted(const struct engine *engine, uint64_t number) {
    for (uint32_t s = 0; s < engine->shards_count; s++) {
        uint64_t adopted = atomic_load_explicit(&engine->adopted[s], memory_order_acquire);
        if (adopted < number) return false;
    }
    return true;
}

void engine_wake(struct engine *engine, uint32_t seat) {
    if (seat == engine_control_seat(engine)) {
        engine->control_wake(engine->control);
    } else {
        struct io_ring *ring = engine->rings[seat];
        ring->ops->wake(ring);
    }
}

void engine_state_raise(struct engine *engine, enum engine_state state) {
    uint32_t old = atomic_load(&engine->state);
    while (old < state && !atomic_compare_exchange_weak(&engine->state, &old, state)) {
    }
    for (uint32_t i = 0; i <= engine->shards_count; i++) engine_wake(engine, i);
}
