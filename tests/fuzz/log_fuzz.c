/* Any bytes in the files of a log give records inside their bounds or a status, the same twice; and
 * what can be read can be ended by log_trim and is then read again.
 *
 * Byte 0 has flags, byte 1 the blocks of the first file; from byte 2 on come the files. With REPAIR
 * set all checksums are made to fit, so that the checks behind them are reached, too.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/io_sim.h"
#include "storage/log/log_format.h"
#include "storage/log/log_trim.h"

enum { REPAIR = 1, TWO_FILES = 2, BYTES_MAX = 1 << 20, ENDS_MAX = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

struct reading {
    enum fst_status status;
    uint64_t records;
    uint64_t sum; /* of all bytes visited */
    struct log_reader_result result;
    struct log_position ends[ENDS_MAX];
    uint32_t ends_count;
};

static const uint8_t store_id[STORE_ID_BYTES] = "a store of tests";

static enum fst_status record_take(void *context, const struct log_record_header *header,
                                   const uint8_t *body, const struct log_place *place) {
    struct reading *reading = context;
    FST_ASSERT(header->bytes >= LOG_RECORD_HEADER_BYTES);
    FST_ASSERT(header->flags == 0 && place->offset % IO_BLOCK_BYTES == 0);
    for (size_t i = 0; i < header->bytes - LOG_RECORD_HEADER_BYTES; i++) {
        reading->sum = reading->sum * 31 + body[i];
    }
    reading->records += 1;
    return FST_OK;
}

static enum fst_status end_take(void *context, const struct log_position *last) {
    struct reading *reading = context;
    FST_ASSERT(reading->ends_count < ENDS_MAX);
    reading->ends[reading->ends_count++] = *last;
    return FST_OK;
}

static void log_files_read(struct io *io, struct reading *reading) {
    struct log_reader_options options = {.done_count = 0};
    struct log_visitor visitor = {.context = reading, .record = record_take, .end = end_take};
    struct fst_error error = {.text = ""};
    memset(reading, 0, sizeof *reading);
    memcpy(options.store_id, store_id, STORE_ID_BYTES);
    reading->status = log_read(io, "log", &options, &visitor, &reading->result, &error);
    FST_ASSERT(reading->status == FST_OK || error.status == reading->status);
    FST_ASSERT(reading->status == FST_OK || reading->status == FST_CORRUPT ||
               reading->status == FST_UNSUPPORTED);
    FST_ASSERT(reading->records == reading->result.records);
}

/* Makes every checksum fit that can. */
static void repair(uint8_t *file, size_t bytes, const struct log_file_id *id) {
    if (bytes < IO_BLOCK_BYTES) return;
    store_u64(file, LOG_FILE_MAGIC);
    store_u64(file + 8, hash_checksum(file + 16, IO_BLOCK_BYTES - 16, LOG_FILE_MAGIC));
    uint64_t previous = 0;
    for (size_t at = IO_BLOCK_BYTES; at + IO_BLOCK_BYTES <= bytes;) {
        struct log_group_header header;
        memcpy(&header, file + at, sizeof header);
        if (header.magic != LOG_GROUP_MAGIC) break;
        if (header.padded_bytes < IO_BLOCK_BYTES || header.padded_bytes > bytes - at) break;
        store_u64(file + at + offsetof(struct log_group_header, previous_checksum), previous);
        log_group_seal(file + at, log_file_seed(id));
        previous = load_u64(file + at + offsetof(struct log_group_header, header_checksum));
        at += bytes_align(header.padded_bytes, IO_BLOCK_BYTES);
    }
}

static void file_put(struct io *io, uint32_t sequence, const uint8_t *data, size_t bytes,
                     bool is_repaired) {
    struct log_file_id id = {.epoch = 1, .sequence = sequence};
    char name[LOG_NAME_BYTES], path[LOG_NAME_BYTES + 8] = "log/";
    memcpy(id.store_id, store_id, STORE_ID_BYTES);
    log_file_format_name(&id, name);
    strcat(path, name);
    uint8_t *copy = malloc(bytes + 1);
    FST_ASSERT(copy);
    memcpy(copy, data, bytes);
    if (is_repaired) repair(copy, bytes, &id);
    io_file file;
    FST_ASSERT(io->ops->open(io, path, IO_OPEN_WRITE | IO_OPEN_CREATE, &file) == 0);
    FST_ASSERT(bytes == 0 || io_write_full(io, file, copy, bytes, 0) == 0);
    FST_ASSERT(io->ops->close(io, file) == 0);
    free(copy);
}

static void files_judge(struct io *io) {
    struct reading first, second;
    struct fst_error error;
    log_files_read(io, &first);
    log_files_read(io, &second);
    FST_ASSERT(memcmp(&first, &second, sizeof first) == 0);
    if (first.status != FST_OK) return;
    enum fst_status status = log_trim(io, "log", store_id, first.ends, first.ends_count, &error);
    FST_ASSERT(status == FST_OK);
    log_files_read(io, &second);
    FST_ASSERT(second.status == FST_OK && second.result.torn_count == 0);
    FST_ASSERT(second.records == first.records && second.sum == first.sum);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    if (bytes < 2 || bytes > BYTES_MAX) return 0;
    bool is_repaired = data[0] & REPAIR;
    size_t first_bytes = bytes - 2;
    if (data[0] & TWO_FILES && data[1] * (size_t)IO_BLOCK_BYTES < first_bytes) {
        first_bytes = data[1] * (size_t)IO_BLOCK_BYTES;
    }
    struct io_sim *sim = io_sim_create(1);
    struct io *io = io_sim_io(sim);
    FST_ASSERT(io->ops->mkdir(io, "log") == 0);
    file_put(io, 1, data + 2, first_bytes, is_repaired);
    if (data[0] & TWO_FILES) {
        file_put(io, 2, data + 2 + first_bytes, bytes - 2 - first_bytes, is_repaired);
    }
    files_judge(io);
    io_sim_destroy(sim);
    return 0;
}
