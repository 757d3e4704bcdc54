#include "bench/fsbench/item.h"

#include "base/bytes.h"

void item_fill(uint8_t *values_out, uint32_t count, uint64_t key, int64_t version) {
    uint64_t seed = item_seed(key, version);
    for (uint32_t i = 0; i < count; i++) store_u64(values_out + (size_t)i * 8, item_value(seed, i));
}

uint32_t item_check(const uint8_t *values, uint32_t count, uint64_t key, int64_t version) {
    uint64_t seed = item_seed(key, version);
    for (uint32_t i = 0; i < count; i++) {
        if (load_u64(values + (size_t)i * 8) != item_value(seed, i)) return i;
    }
    return count;
}
