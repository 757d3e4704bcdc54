#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/assert.h"
#include "base/bytes.h"

struct sip {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotate(uint64_t value, unsigned bits) {
    return value << bits | value >> (64 - bits);
}

static inline void sip_round(struct sip *s) {
    s->v0 += s->v1;
    s->v1 = rotate(s->v1, 13) ^ s->v0;
    s->v0 = rotate(s->v0, 32);
    s->v2 += s->v3;
    s->v3 = rotate(s->v3, 16) ^ s->v2;
    s->v0 += s->v3;
    s->v3 = rotate(s->v3, 21) ^ s->v0;
    s->v2 += s->v1;
    s->v1 = rotate(s->v1, 17) ^ s->v2;
    s->v2 = rotate(s->v2, 32);
}

/* One round per word: the 1 of SipHash-1-3. */
static inline void sip_put(struct sip *s, uint64_t word) {
    s->v3 ^= word;
    sip_round(s);
    s->v0 ^= word;
}

uint64_t hash_table(const struct hash_secret *secret, const void *data, size_t bytes) {
    struct sip s = {
        .v0 = secret->k0 ^ UINT64_C(0x736f6d6570736575),
        .v1 = secret->k1 ^ UINT64_C(0x646f72616e646f6d),
        .v2 = secret->k0 ^ UINT64_C(0x6c7967656e657261),
        .v3 = secret->k1 ^ UINT64_C(0x7465646279746573),
    };
    const uint8_t *at = data;
    size_t left = bytes;
    for (; left >= 8; left -= 8, at += 8) sip_put(&s, load_u64(at));

    uint64_t last = (uint64_t)bytes << 56;
    for (size_t i = 0; i < left; i++) last |= (uint64_t)at[i] << (8 * i);
    sip_put(&s, last);

    s.v2 ^= 0xff;
    sip_round(&s);
    sip_round(&s);
    sip_round(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

uint64_t hash_checksum(const void *data, size_t bytes, uint64_t seed) {
    return XXH3_64bits_withSeed(data, bytes, seed);
}

uint32_t hash_partition(const void *key, size_t bytes, uint32_t partitions_count) {
    FST_ASSERT(partitions_count > 0);
    return (uint32_t)((XXH3_64bits(key, bytes) >> 32) * partitions_count >> 32);
}
