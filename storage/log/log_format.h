/*
 * log_format: the bytes of log files: names, headers and checksums, shared by writer and reader.
 *
 * A file begins with one block that says which store, epoch, shard and place in the sequence it
 * belongs to. The block is written after the rest of the file was filled with zeros and synced, so
 * a file with a good first block is complete. Groups follow without gaps, each a whole number of
 * blocks.
 *
 *     name:   EEEEEEEE-SSS-NNNNNN.log   epoch (hexadecimal), shard, sequence (from 1)
 *
 *     file:   0  magic u64          8  checksum u64, of bytes 16 to 4095
 *            16  format u32        20  epoch u32
 *            24  store id 16 B     40  shard u32          44  sequence u32
 *            48  file_bytes u64    56  group_bytes_max u32
 *            60  groups_in_flight_max u32: how many groups may be unwritten at once; 0 is 1
 *            64  last group u64: 0 while the log may go on, then its last group (log_trim.h)
 *            72  zeros up to 4096
 *
 *     group:  0  magic u64          8  header checksum u64, of bytes 16 to 63
 *            16  body checksum u64, of everything behind the header
 *            24  group u64, from 1 in every log
 *            32  durable group known when it was sealed u64
 *            40  header checksum of the group before u64, 0 in group 1
 *            48  body_bytes u32, records only     52  padded_bytes u32, the whole group
 *            56  records_count u32                60  block u32, its own offset / 4096
 *            64  records, then zeros up to padded_bytes
 *
 * Both checksums of a group are seeded with store, epoch, shard and sequence; the body's also with
 * the block. A header that is whole but names another block was moved: that is damage, never a torn
 * write.
 *
 * Threads: pure functions. Memory: the caller's.
 */
#ifndef STORAGE_LOG_LOG_FORMAT_H
#define STORAGE_LOG_LOG_FORMAT_H

#include "base/io.h"
#include "storage/log/log.h"

enum {
    LOG_FORMAT = 1,
    LOG_NAME_BYTES = 40,
    LOG_SHARD_MAX = 999,
};

#define LOG_FILE_MAGIC  UINT64_C(0x31656c6966676f6c) /* "logfile1" */
#define LOG_GROUP_MAGIC UINT64_C(0x3170756f7267676c) /* "lggroup1" */

struct log_file_id {
    uint8_t store_id[STORE_ID_BYTES];
    uint32_t epoch;
    uint32_t shard;
    uint32_t sequence;
};
static_assert(sizeof(struct log_file_id) == 28, "hashed as it is: no padding");

struct log_file_header {
    uint64_t magic;
    uint64_t checksum;
    uint32_t format;
    uint32_t epoch;
    uint8_t store_id[STORE_ID_BYTES];
    uint32_t shard;
    uint32_t sequence;
    uint64_t file_bytes;
    uint32_t group_bytes_max;
    uint32_t groups_in_flight_max;
    uint64_t last_group;
};
static_assert(sizeof(struct log_file_header) == 72, "stored as it is");

struct log_group_header {
    uint64_t magic;
    uint64_t header_checksum;
    uint64_t body_checksum;
    uint64_t group;
    uint64_t durable_group;
    uint64_t previous_checksum;
    uint32_t body_bytes;
    uint32_t padded_bytes;
    uint32_t records_count;
    uint32_t block;
};
static_assert(sizeof(struct log_group_header) == LOG_GROUP_HEADER_BYTES, "stored as it is");

void log_file_format_name(const struct log_file_id *id, char name_out[LOG_NAME_BYTES]);
/* Fills epoch, shard and sequence. False if it is not the name of a log file. */
bool log_file_parse_name(const char *name, struct log_file_id *id_out);

/* The first block of a file. Of `sizes` only file_bytes, group_bytes_max, groups_in_flight_max and
 * last_group are looked at; last_group is 0 while the log may go on. */
void log_file_encode(const struct log_file_id *id, const struct log_file_header *sizes,
                     uint8_t block_out[IO_BLOCK_BYTES]);
/* `groups_in_flight_max` is at least 1. FST_CORRUPT if the block fails its check; FST_INVALID if it
 * is whole but belongs to another file or store; FST_UNSUPPORTED if another version wrote it. */
FST_MUST_USE enum fst_status log_file_decode(const uint8_t block[IO_BLOCK_BYTES],
                                             const struct log_file_id *id,
                                             struct log_file_header *header_out);

/* What the checksums of a file's groups are seeded with. */
uint64_t log_file_seed(const struct log_file_id *id);

/* Fills in magic and both checksums of a group that is complete otherwise, in place. */
void log_group_seal(uint8_t *group, uint64_t file_seed);

/* True if the 64 bytes are a whole group header of this file with possible sizes, in whatever
 * block. */
bool log_group_decode(const uint8_t *bytes, uint64_t file_seed,
                      struct log_group_header *header_out);
/* True if everything behind the header is what was sealed. */
bool log_group_is_whole(const uint8_t *group, const struct log_group_header *header,
                        uint64_t file_seed);

/* The record after `record` (NULL: the first one) among `body_bytes` behind a group header, or NULL
 * at the end, or where bounds, flags or padding are wrong: then `is_bad_out` is set. */
const struct log_record_header *log_group_next(const uint8_t *body, size_t body_bytes,
                                               const struct log_record_header *record,
                                               bool *is_bad_out);

#endif
