#include "bench/fsbench/hdr_log.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

#include "base/assert.h"

enum {
    SIGNIFICANT_DIGITS = 2,
    ENCODING_V2 = 0x1c849313,
    COMPRESSED_V2 = 0x1c849314,
    HEAD_BYTES = 40,
    COMPRESSED_HEAD_BYTES = 8,
    COUNT_BYTES_MAX = 9,
    ENCODED_BYTES_MAX = HEAD_BYTES + HISTOGRAM_BUCKETS * COUNT_BYTES_MAX,
    COMPRESSED_BYTES_MAX = ENCODED_BYTES_MAX + (ENCODED_BYTES_MAX >> 8) + 64,
    TIME_BYTES = 64,
};

/* Two digits need 256 steps in the first bucket and 128 in each power of two above. */
static_assert(HISTOGRAM_STEP_BITS == 7, "the buckets of an HdrHistogram with two digits");

struct hdr_log {
    FILE *file;
    uint8_t encoded[ENCODED_BYTES_MAX];
    uint8_t compressed[COMPRESSED_HEAD_BYTES + COMPRESSED_BYTES_MAX];
    char text[(COMPRESSED_HEAD_BYTES + COMPRESSED_BYTES_MAX) / 3 * 4 + 8];
};

static uint8_t *big_u32_put(uint8_t *at, uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8) *at++ = (uint8_t)(value >> shift);
    return at;
}

static uint8_t *big_u64_put(uint8_t *at, uint64_t value) {
    return big_u32_put(big_u32_put(at, (uint32_t)(value >> 32)), (uint32_t)value);
}

/* ZigZag LEB128, but the ninth byte is the last one and carries eight bits. */
static uint8_t *count_put(uint8_t *at, int64_t count) {
    uint64_t bits = (uint64_t)count << 1 ^ (count < 0 ? UINT64_MAX : 0);
    for (int i = 0; i < COUNT_BYTES_MAX - 1 && bits >> 7; i++, bits >>= 7)
        *at++ = (uint8_t)(bits | 0x80);
    *at++ = (uint8_t)bits;
    return at;
}

/* Counts up to the last that is not zero; a run of zeros is one negative number. */
static uint8_t *counts_put(uint8_t *at, const struct histogram *histogram) {
    uint32_t used = HISTOGRAM_BUCKETS;
    while (used > 0 && histogram->buckets[used - 1] == 0) used--;
    for (uint32_t i = 0; i < used;) {
        uint32_t zeros = 0;
        while (histogram->buckets[i + zeros] == 0) zeros++;
        if (zeros > 1)
            at = count_put(at, -(int64_t)zeros);
        else
            at = count_put(at, (int64_t)histogram->buckets[i]);
        i += zeros > 1 ? zeros : 1;
    }
    return at;
}

static size_t histogram_encode(const struct histogram *histogram, uint8_t *out) {
    uint8_t *end = counts_put(out + HEAD_BYTES, histogram);
    double ratio = 1; /* of integers to what they stand for */
    uint64_t ratio_bits;
    memcpy(&ratio_bits, &ratio, sizeof ratio_bits);
    uint8_t *at = big_u32_put(out, ENCODING_V2);
    at = big_u32_put(at, (uint32_t)(end - out) - HEAD_BYTES);
    at = big_u32_put(at, 0); /* offset of the first count */
    at = big_u32_put(at, SIGNIFICANT_DIGITS);
    at = big_u64_put(at, 1);
    at = big_u64_put(at, (UINT64_C(1) << HISTOGRAM_VALUE_BITS) - 1);
    at = big_u64_put(at, ratio_bits);
    FST_ASSERT(at == out + HEAD_BYTES);
    return (size_t)(end - out);
}

static void base64_encode(const uint8_t *data, size_t bytes, char *out) {
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
    enum { NO_LETTER = 64 };
    for (size_t i = 0; i < bytes; i += 3) {
        uint32_t group = (uint32_t)data[i] << 16;
        if (i + 1 < bytes) group |= (uint32_t)data[i + 1] << 8;
        if (i + 2 < bytes) group |= data[i + 2];
        *out++ = letters[group >> 18];
        *out++ = letters[group >> 12 & 63];
        *out++ = letters[i + 1 < bytes ? group >> 6 & 63 : NO_LETTER];
        *out++ = letters[i + 2 < bytes ? group & 63 : NO_LETTER];
    }
    *out = 0;
}

enum fst_status hdr_log_open(const char *path, int64_t start_us, struct hdr_log **log_out,
                             struct fst_error *error) {
    struct hdr_log *log = calloc(1, sizeof *log);
    if (!log) return fst_error_set(error, FST_NO_MEMORY, "no memory");
    log->file = fopen(path, "w");
    if (!log->file) {
        free(log);
        return fst_error_set(error, FST_IO_ERROR, "--hdr-log %.200s: %s", path, strerror(errno));
    }
    char text[TIME_BYTES];
    time_t seconds = (time_t)(start_us / 1000000);
    struct tm moment;
    gmtime_r(&seconds, &moment);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &moment);
    fprintf(log->file,
            "#[Histogram log format version 1.3]\n"
            "#[StartTime: %.3f (seconds since epoch), %s]\n"
            "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\","
            "\"Interval_Compressed_Histogram\"\n",
            (double)start_us / 1e6, text);
    *log_out = log;
    return FST_OK;
}

void hdr_log_put(struct hdr_log *log, const char *tag, uint64_t begin_ns, uint64_t elapsed_ns,
                 const struct histogram *histogram) {
    size_t bytes = histogram_encode(histogram, log->encoded);
    uLongf compressed_bytes = COMPRESSED_BYTES_MAX;
    uint8_t *body = log->compressed + COMPRESSED_HEAD_BYTES;
    int result = compress(body, &compressed_bytes, log->encoded, (uLong)bytes);
    FST_ASSERT(result == Z_OK);
    big_u32_put(big_u32_put(log->compressed, COMPRESSED_V2), (uint32_t)compressed_bytes);
    base64_encode(log->compressed, COMPRESSED_HEAD_BYTES + compressed_bytes, log->text);
    fprintf(log->file, "Tag=%s,%.3f,%.3f,%.3f,%s\n", tag, (double)begin_ns / 1e9,
            (double)elapsed_ns / 1e9, (double)histogram->max / 1e6, log->text);
}

enum fst_status hdr_log_close(struct hdr_log *log, struct fst_error *error) {
    bool is_good = !ferror(log->file);
    if (fclose(log->file) != 0) is_good = false;
    free(log);
    if (is_good) return FST_OK;
    return fst_error_set(error, FST_IO_ERROR, "--hdr-log: the file could not be written");
}
