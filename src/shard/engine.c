#include "shard/engine.h"

#include "base/io.h"

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
