#include "storage/log/log_format.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/hash.h"

/* Odd, so that no two blocks of a file share a seed. */
#define BLOCK_FACTOR UINT64_C(0x9e3779b97f4a7c15)

enum { CHECKED_FROM = 16 };
static_assert(offsetof(struct log_file_header, format) == CHECKED_FROM, "checksum of the rest");
static_assert(offsetof(struct log_group_header, body_checksum) == CHECKED_FROM, "likewise");

void log_file_format_name(const struct log_file_id *id, char name_out[LOG_NAME_BYTES]) {
    int length = snprintf(name_out, LOG_NAME_BYTES, "%08x-%03u-%06u.log", id->epoch, id->shard,
                          id->sequence);
    FST_ASSERT(length > 0 && length < LOG_NAME_BYTES);
}

/* The number is written again and compared: one file has one name. */
bool log_file_parse_name(const char *name, struct log_file_id *id_out) {
    unsigned epoch, shard, sequence;
    char again[LOG_NAME_BYTES];
    if (sscanf(name, "%8x-%3u-%9u.log", &epoch, &shard, &sequence) != 3) return false;
    struct log_file_id id = {.epoch = epoch, .shard = shard, .sequence = sequence};
    log_file_format_name(&id, again);
    if (strcmp(name, again) != 0 || sequence == 0) return false;
    id_out->epoch = epoch;
    id_out->shard = shard;
    id_out->sequence = sequence;
    return true;
}

void log_file_encode(const struct log_file_id *id, const struct log_file_header *sizes,
                     uint8_t block_out[IO_BLOCK_BYTES]) {
    struct log_file_header header = {
        .magic = LOG_FILE_MAGIC,
        .format = LOG_FORMAT,
        .epoch = id->epoch,
        .shard = id->shard,
        .sequence = id->sequence,
        .file_bytes = sizes->file_bytes,
        .group_bytes_max = sizes->group_bytes_max,
        .groups_in_flight_max = sizes->groups_in_flight_max,
        .last_group = sizes->last_group,
    };
    memcpy(header.store_id, id->store_id, STORE_ID_BYTES);
    memset(block_out, 0, IO_BLOCK_BYTES);
    memcpy(block_out, &header, sizeof header);
    uint64_t checksum =
        hash_checksum(block_out + CHECKED_FROM, IO_BLOCK_BYTES - CHECKED_FROM, LOG_FILE_MAGIC);
    store_u64(block_out + offsetof(struct log_file_header, checksum), checksum);
}

enum fst_status log_file_decode(const uint8_t block[IO_BLOCK_BYTES], const struct log_file_id *id,
                                struct log_file_header *header_out) {
    struct log_file_header header;
    memcpy(&header, block, sizeof header);
    uint64_t checksum =
        hash_checksum(block + CHECKED_FROM, IO_BLOCK_BYTES - CHECKED_FROM, LOG_FILE_MAGIC);
    if (header.magic != LOG_FILE_MAGIC || header.checksum != checksum) return FST_CORRUPT;
    if (header.format != LOG_FORMAT) return FST_UNSUPPORTED;
    if (memcmp(header.store_id, id->store_id, STORE_ID_BYTES) != 0) return FST_INVALID;
    if (header.epoch != id->epoch || header.shard != id->shard) return FST_INVALID;
    if (header.sequence != id->sequence) return FST_INVALID;
    if (header.file_bytes % IO_BLOCK_BYTES != 0) return FST_CORRUPT;
    if (header.group_bytes_max % IO_BLOCK_BYTES != 0) return FST_CORRUPT;
    if (header.groups_in_flight_max > LOG_GROUPS_IN_FLIGHT_MAX) return FST_CORRUPT;
    if (header.groups_in_flight_max == 0) header.groups_in_flight_max = 1;
    *header_out = header;
    return FST_OK;
}

uint64_t log_file_seed(const struct log_file_id *id) {
    return hash_checksum(id, sizeof *id, LOG_GROUP_MAGIC);
}

static uint64_t body_checksum(const uint8_t *group, size_t padded_bytes, uint32_t block,
                              uint64_t file_seed) {
    return hash_checksum(group + LOG_GROUP_HEADER_BYTES, padded_bytes - LOG_GROUP_HEADER_BYTES,
                         file_seed + block * BLOCK_FACTOR);
}

void log_group_seal(uint8_t *group, uint64_t file_seed) {
    struct log_group_header header;
    memcpy(&header, group, sizeof header);
    header.magic = LOG_GROUP_MAGIC;
    header.body_checksum = body_checksum(group, header.padded_bytes, header.block, file_seed);
    memcpy(group, &header, sizeof header);
    header.header_checksum =
        hash_checksum(group + CHECKED_FROM, LOG_GROUP_HEADER_BYTES - CHECKED_FROM, file_seed);
    memcpy(group, &header, sizeof header);
}

bool log_group_decode(const uint8_t *bytes, uint64_t file_seed,
                      struct log_group_header *header_out) {
    struct log_group_header header;
    memcpy(&header, bytes, sizeof header);
    if (header.magic != LOG_GROUP_MAGIC) return false;
    uint64_t checksum =
        hash_checksum(bytes + CHECKED_FROM, LOG_GROUP_HEADER_BYTES - CHECKED_FROM, file_seed);
    if (header.header_checksum != checksum) return false;
    if (header.group == 0 || header.durable_group >= header.group) return false;
    size_t used_bytes = (size_t)LOG_GROUP_HEADER_BYTES + header.body_bytes;
    if (header.padded_bytes != bytes_align(used_bytes, IO_BLOCK_BYTES)) return false;
    *header_out = header;
    return true;
}

bool log_group_is_whole(const uint8_t *group, const struct log_group_header *header,
                        uint64_t file_seed) {
    return body_checksum(group, header->padded_bytes, header->block, file_seed) ==
           header->body_checksum;
}

static bool record_is_sound(const uint8_t *at, size_t left_bytes) {
    struct log_record_header record;
    if (left_bytes < sizeof record) return false;
    memcpy(&record, at, sizeof record);
    size_t padded_bytes = bytes_align(record.bytes, LOG_RECORD_ALIGN);
    if (record.bytes < sizeof record || padded_bytes > left_bytes) return false;
    if (record.flags & ~LOG_RECORD_APPLIED) return false;
    for (size_t i = record.bytes; i < padded_bytes; i++) {
        if (at[i] != 0) return false;
    }
    return true;
}

const struct log_record_header *log_group_next(const uint8_t *body, size_t body_bytes,
                                               const struct log_record_header *record,
                                               bool *is_bad_out) {
    const uint8_t *at = body;
    if (record) at = (const uint8_t *)record + bytes_align(record->bytes, LOG_RECORD_ALIGN);
    size_t left_bytes = body_bytes - (size_t)(at - body);
    if (left_bytes == 0) return NULL;
    if (!record_is_sound(at, left_bytes)) {
        *is_bad_out = true;
        return NULL;
    }
    return (const struct log_record_header *)(const void *)at;
}
