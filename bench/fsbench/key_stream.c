#include "bench/fsbench/key_stream.h"

#include <math.h>

#include "base/assert.h"

enum { ZETA_TERMS = 1000000 };

__extension__ typedef unsigned __int128 u128;

/* Sum of i^-exponent for i = 1 to count; beyond ZETA_TERMS by Euler and Maclaurin. */
static double zeta_of(uint64_t count, double exponent) {
    uint64_t terms = count < ZETA_TERMS ? count : ZETA_TERMS;
    double sum = 0;
    for (uint64_t i = terms; i >= 1; i--) sum += pow((double)i, -exponent);
    if (count == terms) return sum;
    double first = (double)terms, last = (double)count, rest = 1 - exponent;
    double integral = (pow(last, rest) - pow(first, rest)) / rest;
    return sum + integral + (pow(last, -exponent) - pow(first, -exponent)) / 2;
}

static uint64_t divisor_of(uint64_t a, uint64_t b) {
    while (b > 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

void key_stream_init(struct key_stream *stream, uint64_t keys_count, double exponent) {
    FST_ASSERT(keys_count >= 1);
    FST_ASSERT(exponent >= 0 && exponent < 1);
    *stream = (struct key_stream){.keys_count = keys_count, .exponent = exponent, .stride = 1};
    if (exponent == 0) return;
    double zeta_2 = 1 + pow(0.5, exponent);
    stream->zeta = zeta_of(keys_count, exponent);
    stream->alpha = 1 / (1 - exponent);
    stream->second = zeta_2;
    stream->eta = (1 - pow(2 / (double)keys_count, 1 - exponent)) / (1 - zeta_2 / stream->zeta);
    /* About the golden section of the range, so that ranks next to each other lie far apart. */
    stream->stride = (uint64_t)((double)keys_count * 0.6180339887) | 1;
    while (divisor_of(stream->stride, keys_count) != 1) stream->stride += 2;
}

static uint64_t rank_of(const struct key_stream *stream, double u) {
    double scaled = u * stream->zeta;
    if (scaled < 1) return 0;
    if (scaled < stream->second) return 1;
    double rank =
        (double)stream->keys_count * pow(stream->eta * u - stream->eta + 1, stream->alpha);
    return (uint64_t)rank < stream->keys_count ? (uint64_t)rank : stream->keys_count - 1;
}

uint64_t key_stream_get(const struct key_stream *stream, uint64_t seed, uint32_t index) {
    uint64_t bits = mix_u64(seed + index * 0xd1342543de82ef95u);
    if (stream->exponent == 0) return (uint64_t)(((u128)bits * stream->keys_count) >> 64);
    uint64_t rank = rank_of(stream, mix_double(bits));
    return (uint64_t)((u128)rank * stream->stride % stream->keys_count);
}

bool key_stream_is_miss(const struct key_stream *stream, uint64_t seed, uint32_t index) {
    if (stream->miss_share == 0) return false;
    uint64_t bits = mix_u64(~seed + index * 0xd1342543de82ef95u);
    return mix_double(bits) < stream->miss_share;
}
