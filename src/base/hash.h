/*
 * hash: the three hashes of fstore, each with one use.
 *
 * hash_table:     SipHash-1-3 (Aumasson and Bernstein, 2012) with a secret of the store. For tables
 *                 whose keys come from outside, so that nobody can choose keys that collide.
 * hash_partition: XXH3, 64 bits, seed 0. Fixed and public, so that clients can route.
 * hash_checksum:  XXH3, 64 bits, seeded with where the bytes belong, so that bytes that were moved
 *                 do not pass.
 *
 * Threads: pure functions.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

struct hash_secret {
    uint64_t k0;
    uint64_t k1;
};

uint64_t hash_table(const struct hash_secret *secret, const void *data, size_t bytes);
uint64_t hash_checksum(const void *data, size_t bytes, uint64_t seed);

/* 0 .. partitions_count - 1 for a key in canonical form (model/key.h). */
uint32_t hash_partition(const void *key, size_t bytes, uint32_t partitions_count);

#endif
