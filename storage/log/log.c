#include "storage/log/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "storage/log/log_format.h"

enum { ZERO_CHUNK_BYTES = 1 << 20, PATH_BYTES = 4096, NO_FILE = 0 };

static_assert((1 << 20) % IO_BLOCK_BYTES == 0, "files are filled in whole blocks");

struct group_buffer {
    uint8_t *memory;   /* group_bytes_max; records from LOG_GROUP_HEADER_BYTES on */
    size_t used_bytes; /* with the group header */
    uint32_t records_count;
    bool is_written; /* a sealed one: its write has ended well */
};

struct log {
    struct io *io;
    char *dir;
    struct log_options options;
    struct group_buffer *buffers; /* group g is in buffers[g % buffers_count] */
    uint32_t buffers_count;
    uint32_t flying_count;  /* writes that have not ended */
    uint64_t sealed_group;  /* the last one; the next one is filling */
    uint64_t release_group; /* the last one released */
    _Atomic uint64_t durable_group;
    uint64_t previous_checksum;
    bool is_failed;
    bool is_waiting; /* the last seal found no file */
    /* The current file, the next one and the retired one: file s is in lanes[s % LOG_FILES_MAX],
     * open once for every group in flight; group g has lane g % groups_in_flight_max. */
    io_file lanes[LOG_FILES_MAX][LOG_GROUPS_IN_FLIGHT_MAX];
    uint32_t sequence; /* of the current file; NO_FILE before the first */
    uint64_t file_seed;
    uint64_t write_offset;
    /* between the shard and the background thread */
    _Atomic uint32_t next_file;    /* sequence; NO_FILE: none is prepared */
    _Atomic uint32_t retired_file; /* sequence; to be closed by the background thread */
    uint32_t prepared_sequence;    /* the background thread's: of the last file made */
};

const char *log_sync_method_name(enum log_sync_method method) {
    return method == LOG_SYNC_FDATASYNC ? "fdatasync" : "dsync";
}

/* ---- files ---- */

static struct log_file_id file_id(const struct log *log, uint32_t sequence) {
    struct log_file_id id = {
        .epoch = log->options.epoch,
        .shard = log->options.shard,
        .sequence = sequence,
    };
    memcpy(id.store_id, log->options.store_id, STORE_ID_BYTES);
    return id;
}

static void file_path(const struct log *log, uint32_t sequence, char path_out[PATH_BYTES]) {
    char name[LOG_NAME_BYTES];
    struct log_file_id id = file_id(log, sequence);
    log_file_format_name(&id, name);
    int length = snprintf(path_out, PATH_BYTES, "%s/%s", log->dir, name);
    FST_ASSERT(length > 0 && length < PATH_BYTES); /* log_open() measured the folder's name. */
}

static uint64_t file_bytes_of(const struct log_options *options, uint32_t sequence) {
    bool is_first = sequence == 1 && options->first_file_bytes > 0;
    return is_first ? options->first_file_bytes : options->file_bytes;
}

static int file_zero(const struct log *log, io_file file, uint64_t file_bytes, uint8_t *chunk) {
    memset(chunk, 0, ZERO_CHUNK_BYTES);
    for (uint64_t offset = 0; offset < file_bytes; offset += ZERO_CHUNK_BYTES) {
        uint64_t left_bytes = file_bytes - offset;
        size_t bytes = left_bytes < ZERO_CHUNK_BYTES ? (size_t)left_bytes : ZERO_CHUNK_BYTES;
        int result = io_write_full(log->io, file, chunk, bytes, offset);
        if (result < 0) return result;
    }
    return log->io->ops->sync(log->io, file);
}

/* Zeros, sync, then the first block: a file with a good first block is complete. */
static int file_fill(const struct log *log, io_file file, uint32_t sequence) {
    uint8_t *chunk = aligned_alloc(IO_BLOCK_BYTES, ZERO_CHUNK_BYTES);
    if (!chunk) return -ENOMEM;
    uint64_t file_bytes = file_bytes_of(&log->options, sequence);
    int result = file_zero(log, file, file_bytes, chunk);
    if (result == 0) {
        struct log_file_id id = file_id(log, sequence);
        struct log_file_header sizes = {.file_bytes = file_bytes,
                                        .group_bytes_max = log->options.group_bytes_max,
                                        .groups_in_flight_max = log->options.groups_in_flight_max};
        log_file_encode(&id, &sizes, chunk);
        result = io_write_full(log->io, file, chunk, IO_BLOCK_BYTES, 0);
    }
    if (result == 0) result = log->io->ops->sync(log->io, file);
    free(chunk);
    return result;
}

static void lanes_close(const struct log *log, const io_file *lanes, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) (void)log->io->ops->close(log->io, lanes[i]);
}

static void file_close(const struct log *log, uint32_t sequence) {
    lanes_close(log, log->lanes[sequence % LOG_FILES_MAX], log->options.groups_in_flight_max);
}

static int lanes_open(struct log *log, const char *path, io_file *lanes) {
    struct io *io = log->io;
    int flags = IO_OPEN_WRITE | IO_OPEN_DIRECT;
    if (log->options.sync_method == LOG_SYNC_DSYNC) flags |= IO_OPEN_DSYNC;
    for (uint32_t i = 0; i < log->options.groups_in_flight_max; i++) {
        int result = io->ops->open(io, path, flags, &lanes[i]);
        if (result == 0) continue;
        lanes_close(log, lanes, i);
        return result;
    }
    return 0;
}

/* A new file, complete and durable, opened for the shard. What fails is removed again. */
static int file_make(struct log *log, uint32_t sequence) {
    struct io *io = log->io;
    char path[PATH_BYTES];
    file_path(log, sequence, path);
    io_file file;
    int flags = IO_OPEN_WRITE | IO_OPEN_DIRECT;
    int result = io->ops->open(io, path, flags | IO_OPEN_CREATE | IO_OPEN_EXCLUSIVE, &file);
    if (result < 0) return result;
    result = file_fill(log, file, sequence);
    int closed = io->ops->close(io, file);
    if (result == 0) result = closed;
    if (result == 0) result = io->ops->sync_dir(io, log->dir);
    if (result == 0) result = lanes_open(log, path, log->lanes[sequence % LOG_FILES_MAX]);
    if (result < 0) (void)io->ops->unlink(io, path);
    return result;
}

static void file_retire(struct log *log) {
    uint32_t retired = atomic_exchange(&log->retired_file, NO_FILE);
    if (retired != NO_FILE) file_close(log, retired);
}

enum fst_status log_prepare_file(struct log *log) {
    if (atomic_load(&log->next_file) != NO_FILE) return FST_OK;
    file_retire(log);
    uint32_t sequence = log->prepared_sequence + 1;
    char path[PATH_BYTES];
    file_path(log, sequence, path);
    /* What an attempt left that could not even be removed. */
    (void)log->io->ops->unlink(log->io, path);
    int result = file_make(log, sequence);
    if (result < 0) return fst_status_from_errno(result);
    log->prepared_sequence = sequence;
    atomic_store(&log->next_file, sequence);
    return FST_OK;
}

static void file_begin(struct log *log, uint32_t sequence) {
    struct log_file_id id = file_id(log, sequence);
    log->sequence = sequence;
    log->file_seed = log_file_seed(&id);
    log->write_offset = IO_BLOCK_BYTES;
}

/* Goes on in the prepared file. The old one is handed over before the new one is taken: whoever
 * sees that the next file is missing also sees the one to close. */
static bool file_switch(struct log *log) {
    uint32_t next = atomic_load(&log->next_file);
    if (next == NO_FILE) return false;
    FST_ASSERT(next == log->sequence + 1);
    FST_ASSERT(atomic_load(&log->retired_file) == NO_FILE);
    atomic_store(&log->retired_file, log->sequence);
    file_begin(log, next);
    atomic_store(&log->next_file, NO_FILE);
    return true;
}

/* ---- life ---- */

static struct group_buffer *buffer_of(const struct log *log, uint64_t group) {
    return &log->buffers[group % log->buffers_count];
}

static struct group_buffer *filling_of(const struct log *log) {
    return buffer_of(log, log->sealed_group + 1);
}

static void group_reset(struct group_buffer *group) {
    group->used_bytes = LOG_GROUP_HEADER_BYTES;
    group->records_count = 0;
    group->is_written = false;
}

static bool buffers_init(struct log *log) {
    uint32_t count = log->options.groups_in_flight_max + 1;
    log->buffers = calloc(count, sizeof *log->buffers);
    if (!log->buffers) return false;
    log->buffers_count = count;
    for (uint32_t i = 0; i < count; i++) {
        log->buffers[i].memory = aligned_alloc(IO_BLOCK_BYTES, log->options.group_bytes_max);
        if (!log->buffers[i].memory) return false;
        group_reset(&log->buffers[i]);
    }
    return true;
}

static void options_assert(const struct log_options *options) {
    FST_ASSERT(options->group_bytes_max >= IO_BLOCK_BYTES);
    FST_ASSERT(options->group_bytes_max % IO_BLOCK_BYTES == 0);
    for (uint32_t sequence = 1; sequence <= 2; sequence++) {
        uint64_t file_bytes = file_bytes_of(options, sequence);
        FST_ASSERT(file_bytes % IO_BLOCK_BYTES == 0);
        FST_ASSERT(file_bytes >= IO_BLOCK_BYTES + (uint64_t)options->group_bytes_max);
        FST_ASSERT(file_bytes / IO_BLOCK_BYTES <= UINT32_MAX);
    }
    FST_ASSERT(options->shard <= LOG_SHARD_MAX);
    FST_ASSERT(options->groups_in_flight_max >= 1);
    FST_ASSERT(options->groups_in_flight_max <= LOG_GROUPS_IN_FLIGHT_MAX);
}

enum fst_status log_open(struct log **log_out, struct io *io, const char *dir,
                         const struct log_options *options, struct fst_error *error) {
    options_assert(options);
    if (strlen(dir) + 1 + LOG_NAME_BYTES > PATH_BYTES) {
        return fst_error_set(error, FST_INVALID, "the name of the log folder is too long");
    }
    struct log *log = calloc(1, sizeof *log);
    if (!log) return fst_error_set(error, FST_NO_MEMORY, "no memory for the log");
    log->io = io;
    log->options = *options;
    atomic_init(&log->next_file, NO_FILE);
    atomic_init(&log->retired_file, NO_FILE);
    log->dir = strdup(dir);
    bool has_memory = log->dir != NULL && buffers_init(log);
    int result = has_memory ? file_make(log, 1) : -ENOMEM;
    if (result < 0) {
        log_close(log);
        enum fst_status status = fst_status_from_errno(result);
        return fst_error_set(error, status, "%s: cannot make log file %08x-%03u-000001.log: %s",
                             dir, options->epoch, options->shard, strerror(-result));
    }
    file_begin(log, 1);
    log->prepared_sequence = 1;
    *log_out = log;
    return FST_OK;
}

void log_close(struct log *log) {
    if (!log) return;
    file_retire(log);
    uint32_t next = atomic_load(&log->next_file);
    if (next != NO_FILE) file_close(log, next);
    if (log->sequence != NO_FILE) file_close(log, log->sequence);
    for (uint32_t i = 0; i < log->buffers_count; i++) free(log->buffers[i].memory);
    free(log->buffers);
    free(log->dir);
    free(log);
}

/* ---- filling ---- */

size_t log_body_bytes_max(const struct log *log) {
    return log->options.group_bytes_max - LOG_GROUP_HEADER_BYTES - LOG_RECORD_HEADER_BYTES;
}

size_t log_room_bytes(const struct log *log) {
    size_t left_bytes = log->options.group_bytes_max - filling_of(log)->used_bytes;
    if (log->is_failed || left_bytes < LOG_RECORD_HEADER_BYTES) return 0;
    return left_bytes - LOG_RECORD_HEADER_BYTES;
}

bool log_is_filling(const struct log *log) {
    return filling_of(log)->records_count > 0;
}

uint8_t *log_append(struct log *log, const struct log_record_header *header, size_t body_bytes) {
    struct group_buffer *group = filling_of(log);
    if (log->is_failed || body_bytes > log_room_bytes(log)) return NULL;
    if (log->options.group_bytes_max - group->used_bytes < LOG_RECORD_HEADER_BYTES) return NULL;
    size_t record_bytes = LOG_RECORD_HEADER_BYTES + body_bytes;
    size_t padded_bytes = bytes_align(record_bytes, LOG_RECORD_ALIGN);
    uint8_t *record = group->memory + group->used_bytes;
    struct log_record_header stored = *header;
    stored.bytes = (uint32_t)record_bytes;
    memcpy(record, &stored, sizeof stored);
    memset(record + record_bytes, 0, padded_bytes - record_bytes);
    group->used_bytes += padded_bytes;
    group->records_count += 1;
    return record + LOG_RECORD_HEADER_BYTES;
}

uint64_t log_completed_group(const struct log *log) {
    uint64_t durable_group = atomic_load_explicit(&log->durable_group, memory_order_relaxed);
    return log->release_group < durable_group ? log->release_group + 1 : 0;
}

struct log_record_header *log_next_completed(struct log *log, struct log_record_header *record) {
    FST_ASSERT(log_completed_group(log) != 0);
    struct group_buffer *group = buffer_of(log, log->release_group + 1);
    uint8_t *at = group->memory + LOG_GROUP_HEADER_BYTES;
    if (record) at = (uint8_t *)record + bytes_align(record->bytes, LOG_RECORD_ALIGN);
    FST_ASSERT(at <= group->memory + group->used_bytes);
    if (at == group->memory + group->used_bytes) return NULL;
    return (struct log_record_header *)(void *)at;
}

void log_release(struct log *log) {
    FST_ASSERT(log_completed_group(log) != 0);
    log->release_group += 1;
    group_reset(buffer_of(log, log->release_group));
}

/* ---- sealing ---- */

static size_t group_encode(struct log *log, struct group_buffer *group) {
    size_t padded_bytes = bytes_align(group->used_bytes, IO_BLOCK_BYTES);
    memset(group->memory + group->used_bytes, 0, padded_bytes - group->used_bytes);
    struct log_group_header header = {
        .group = log->sealed_group + 1,
        .durable_group = atomic_load_explicit(&log->durable_group, memory_order_relaxed),
        .previous_checksum = log->previous_checksum,
        .body_bytes = (uint32_t)(group->used_bytes - LOG_GROUP_HEADER_BYTES),
        .padded_bytes = (uint32_t)padded_bytes,
        .records_count = group->records_count,
        .block = (uint32_t)(log->write_offset / IO_BLOCK_BYTES),
    };
    memcpy(group->memory, &header, sizeof header);
    log_group_seal(group->memory, log->file_seed);
    return padded_bytes;
}

/* Whether the file has room for so many bytes, if need be the next file. */
static bool file_has_room(struct log *log, size_t bytes) {
    if (file_bytes_of(&log->options, log->sequence) - log->write_offset >= bytes) return true;
    if (log->flying_count > 0) return false;
    log->is_waiting = !file_switch(log);
    return !log->is_waiting;
}

bool log_seal(struct log *log, struct log_write *write_out) {
    struct group_buffer *group = filling_of(log);
    if (log->is_failed || group->records_count == 0) return false;
    if (log->sealed_group - log->release_group >= log->options.groups_in_flight_max) return false;
    size_t padded_bytes = bytes_align(group->used_bytes, IO_BLOCK_BYTES);
    if (!file_has_room(log, padded_bytes)) return false;
    size_t bytes = group_encode(log, group);
    FST_ASSERT(bytes == padded_bytes);
    uint64_t lane = (log->sealed_group + 1) % log->options.groups_in_flight_max;
    *write_out = (struct log_write){
        .file = log->lanes[log->sequence % LOG_FILES_MAX][lane],
        .is_dsync = log->options.sync_method == LOG_SYNC_DSYNC,
        .data = group->memory,
        .bytes = bytes,
        .offset = log->write_offset,
        .group = log->sealed_group + 1,
    };
    log->sealed_group += 1;
    log->flying_count += 1;
    log->write_offset += bytes;
    log->previous_checksum =
        load_u64(group->memory + offsetof(struct log_group_header, header_checksum));
    return true;
}

uint32_t log_flying_count(const struct log *log) {
    return log->flying_count;
}

uint32_t log_flying_max(const struct log *log) {
    return log->options.groups_in_flight_max;
}

bool log_is_stuck(const struct log *log) {
    return log->is_waiting && atomic_load(&log->next_file) == NO_FILE;
}

void log_retain(struct log *log, const bool *is_kept) {
    struct group_buffer *group = filling_of(log);
    size_t end = group->used_bytes;
    uint32_t records_count = group->records_count;
    group_reset(group);
    size_t at = LOG_GROUP_HEADER_BYTES;
    for (uint32_t i = 0; i < records_count; i++) {
        size_t bytes = bytes_align(load_u32(group->memory + at), LOG_RECORD_ALIGN);
        if (is_kept[i]) {
            memmove(group->memory + group->used_bytes, group->memory + at, bytes);
            group->used_bytes += bytes;
            group->records_count += 1;
        }
        at += bytes;
    }
    FST_ASSERT(at == end);
}

enum fst_status log_complete(struct log *log, uint64_t group, int result) {
    uint64_t durable_group = atomic_load_explicit(&log->durable_group, memory_order_relaxed);
    FST_ASSERT(group > durable_group && group <= log->sealed_group);
    FST_ASSERT(log->flying_count > 0 && !buffer_of(log, group)->is_written);
    log->flying_count -= 1;
    if (result < 0) log->is_failed = true;
    if (log->is_failed) return FST_IO_ERROR;
    buffer_of(log, group)->is_written = true;
    while (durable_group < log->sealed_group && buffer_of(log, durable_group + 1)->is_written) {
        durable_group += 1;
    }
    atomic_store_explicit(&log->durable_group, durable_group, memory_order_release);
    return FST_OK;
}

uint64_t log_durable_group(const struct log *log) {
    return atomic_load_explicit(&log->durable_group, memory_order_acquire);
}

uint32_t log_file_sequence(const struct log *log) {
    return log->sequence;
}

/* ---- checking ---- */

static enum fst_status group_check(const struct group_buffer *group, uint32_t group_bytes_max) {
    if (group->used_bytes < LOG_GROUP_HEADER_BYTES) return FST_CORRUPT;
    if (group->used_bytes > group_bytes_max || group->used_bytes % 8 != 0)
        return FST_CORRUPT; /* L2 */
    size_t offset = LOG_GROUP_HEADER_BYTES;
    uint32_t records_count = 0;
    while (offset < group->used_bytes) {
        uint32_t record_bytes = load_u32(group->memory + offset);
        if (record_bytes < LOG_RECORD_HEADER_BYTES) return FST_CORRUPT;
        offset += ((size_t)record_bytes + 7) / 8 * 8;
        records_count += 1;
    }
    if (offset != group->used_bytes) return FST_CORRUPT; /* L4 */
    return records_count == group->records_count ? FST_OK : FST_CORRUPT;
}

enum fst_status log_check(const struct log *log) {
    uint64_t durable_group = log_durable_group(log);
    uint64_t kept_count = log->sealed_group - log->release_group;
    if (durable_group > log->sealed_group || durable_group < log->release_group) return FST_CORRUPT;
    if (kept_count > log->options.groups_in_flight_max) return FST_CORRUPT; /* L1 */
    if (log->flying_count > log->sealed_group - durable_group) return FST_CORRUPT;
    bool is_next_written =
        durable_group < log->sealed_group && buffer_of(log, durable_group + 1)->is_written;
    if (is_next_written) return FST_CORRUPT;                    /* L5 */
    if (log->write_offset < IO_BLOCK_BYTES) return FST_CORRUPT; /* L3 */
    if (log->write_offset % IO_BLOCK_BYTES != 0) return FST_CORRUPT;
    if (log->write_offset > file_bytes_of(&log->options, log->sequence)) return FST_CORRUPT;
    for (uint64_t group = log->release_group + 1; group <= log->sealed_group + 1; group++) {
        FST_TRY(group_check(buffer_of(log, group), log->options.group_bytes_max)); /* L2, L4 */
    }
    return FST_OK;
}
