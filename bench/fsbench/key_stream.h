/*
 * key_stream: which keys a load asks for.
 *
 * A stream has no state: the keys of a request follow from a seed, so a request in flight keeps
 * eight bytes and its reply can still be checked against every key it asked for. Uniform, or Zipf
 * with exponent below 1 by the method of Gray et al., "Quickly generating billion-record synthetic
 * databases" (1994), its popular keys spread over the whole range. A share of the reads can ask for
 * keys that nobody wrote: the keys_count that follow.
 *
 * Threads: pure after init. Memory: in place.
 */
#ifndef FSBENCH_KEY_STREAM_H
#define FSBENCH_KEY_STREAM_H

#include <stdbool.h>
#include <stdint.h>

struct key_stream {
    uint64_t keys_count;
    uint64_t first;  /* the smallest of them; 0 after init */
    double exponent; /* 0: uniform */
    double zeta, alpha, eta, second;
    uint64_t stride;   /* has no factor in common with keys_count */
    double miss_share; /* of the keys read, 0 to 1; 0 after init */
};

/* `exponent` is 0 or more and less than 1; keys_count is at least 1. */
void key_stream_init(struct key_stream *stream, uint64_t keys_count, double exponent);

/* Key number `index` of the request with this seed, counted from the first: 0 to keys_count - 1. */
uint64_t key_stream_get(const struct key_stream *stream, uint64_t seed, uint32_t index);

/* Whether key number `index` of the read request with this seed is to be one that does not exist.
 */
bool key_stream_is_miss(const struct key_stream *stream, uint64_t seed, uint32_t index);

/* Whether the key is one of the stream's own. */
static inline bool key_stream_has(const struct key_stream *stream, uint64_t key) {
    return key - stream->first < stream->keys_count;
}

/* The finalizer of splitmix64 (Vigna): every output bit depends on every input bit. */
static inline uint64_t mix_u64(uint64_t x) {
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* The top 53 bits as a number in [0, 1). */
static inline double mix_double(uint64_t x) {
    return (double)(x >> 11) * 0x1p-53;
}

#endif
