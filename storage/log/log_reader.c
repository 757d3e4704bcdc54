#include "storage/log/log_reader.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "storage/log/log_folder.h"

/* Files are read in pieces of this size, larger ones for larger groups. */
enum { WINDOW_BYTES = 1 << 20, PATH_BYTES = 4096 };

/* The part of the open file that is in memory. */
struct window {
    uint8_t *memory;
    size_t room_bytes;
    uint64_t offset;
    size_t bytes;
};

/* The open file. */
struct log_file {
    const struct log_file_id *id;
    io_file file;
    uint64_t bytes;
    uint64_t seed;
    bool is_finished; /* its first block is good */
    struct log_file_header header;
    char name[LOG_NAME_BYTES];
};

/* Everything known about the log that is being read. */
struct log_state {
    uint64_t done_group;
    uint64_t durable_group; /* at least done_group */
    uint64_t next_group;    /* number the next group must have; 0: not known */
    bool has_previous;
    uint64_t previous_checksum;
    const struct log_file_id *end_file; /* where the last good group ends */
    uint64_t end_offset;
    uint64_t torn_group; /* a torn group was seen, nothing may follow; 0: none */
};

struct log_reader {
    struct io *io;
    const char *dir;
    const struct log_reader_options *options;
    const struct log_visitor *visitor;
    struct log_reader_result *result;
    struct fst_error *error;
    struct window window;
    struct log_file file;
    struct log_state state;
    struct log_record_header last; /* the last record visited; type 0: none */
    uint64_t files_begun;          /* of files_count, which are to be read */
    uint64_t files_count;
};

/* ---- failing ---- */

__attribute__((format(printf, 3, 4))) static enum fst_status
damage(struct log_reader *reader, uint64_t offset, const char *format, ...) {
    char what[256], last[96] = "no good record before it";
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    if (reader->last.type != 0) {
        (void)snprintf(last, sizeof last, "the last good record has partition %u, LSN %llu",
                       reader->last.partition, (unsigned long long)reader->last.lsn);
    }
    return fst_error_set(reader->error, FST_CORRUPT, "%s/%s: offset %llu: %s; %s", reader->dir,
                         reader->file.name, (unsigned long long)offset, what, last);
}

static enum fst_status io_failure(struct log_reader *reader, const char *what, int result) {
    enum fst_status status = fst_status_from_errno(result);
    FST_ASSERT(status != FST_OK);
    (void)fst_error_set(reader->error, status, "%s/%s: cannot %s: %s", reader->dir,
                        reader->file.name, what, strerror(-result));
    return status;
}

/* ---- the window ---- */

static enum fst_status window_grow(struct log_reader *reader, size_t bytes) {
    struct window *window = &reader->window;
    if (bytes <= window->room_bytes) return FST_OK;
    uint8_t *memory = aligned_alloc(IO_BLOCK_BYTES, bytes_align(bytes, IO_BLOCK_BYTES));
    if (!memory) {
        (void)fst_error_set(reader->error, FST_NO_MEMORY, "no memory for %zu bytes of a log file",
                            bytes);
        return FST_NO_MEMORY;
    }
    free(window->memory);
    *window = (struct window){.memory = memory, .room_bytes = bytes_align(bytes, IO_BLOCK_BYTES)};
    return FST_OK;
}

/* Moves the window to `offset`, at least `bytes` long. */
static enum fst_status window_move(struct log_reader *reader, uint64_t offset, size_t bytes) {
    struct window *window = &reader->window;
    FST_TRY(window_grow(reader, bytes > WINDOW_BYTES ? bytes : WINDOW_BYTES));
    uint64_t left_bytes = reader->file.bytes - offset;
    size_t want = window->room_bytes < left_bytes ? window->room_bytes : (size_t)left_bytes;
    window->bytes = 0;
    int result = io_read_full(reader->io, reader->file.file, window->memory, want, offset);
    if (result < 0) return io_failure(reader, "read", result);
    window->offset = offset;
    window->bytes = want;
    if (!reader->visitor->piece) return FST_OK;
    uint64_t part = offset * LOG_FILE_PARTS / reader->file.bytes;
    return reader->visitor->piece(reader->visitor->context,
                                  (reader->files_begun - 1) * LOG_FILE_PARTS + part,
                                  reader->files_count * LOG_FILE_PARTS);
}

/* `bytes` bytes of the file at `offset`, which the caller knows to be inside it. Borrowed until the
 * next call. */
static enum fst_status window_get(struct log_reader *reader, uint64_t offset, size_t bytes,
                                  uint8_t **bytes_out) {
    struct window *window = &reader->window;
    FST_ASSERT(offset + bytes <= reader->file.bytes);
    bool is_there = offset >= window->offset && offset - window->offset <= window->bytes &&
                    window->bytes - (size_t)(offset - window->offset) >= bytes;
    if (!is_there) FST_TRY(window_move(reader, offset, bytes));
    *bytes_out = window->memory + (offset - window->offset);
    return FST_OK;
}

static bool is_zero(const uint8_t *data, size_t bytes) {
    for (size_t i = 0; i < bytes; i += sizeof(uint64_t)) {
        if (load_u64(data + i) != 0) return false;
    }
    return true;
}

/* ---- files ---- */

static void file_close(struct log_reader *reader) {
    if (reader->file.file < 0) return;
    (void)reader->io->ops->close(reader->io, reader->file.file);
    reader->file.file = -1;
    reader->window.bytes = 0;
}

/* The first block. A bad one leaves is_finished false; a good one of the wrong file is damage. */
static enum fst_status file_begin(struct log_reader *reader) {
    struct log_file *file = &reader->file;
    uint8_t *block;
    if (file->bytes < IO_BLOCK_BYTES) return FST_OK;
    FST_TRY(window_get(reader, 0, IO_BLOCK_BYTES, &block));
    enum fst_status status = log_file_decode(block, file->id, &file->header);
    file->is_finished = status == FST_OK;
    switch (status) {
    case FST_INVALID:
        return damage(reader, 0, "the file belongs to another store or was renamed");
    case FST_UNSUPPORTED:
        return fst_error_set(reader->error, FST_UNSUPPORTED,
                             "%s/%s: the file has a format this version does not know", reader->dir,
                             file->name);
    case FST_OK:
        if (file->bytes == file->header.file_bytes) return FST_OK;
        if (file->header.last_group != 0 && file->bytes > file->header.file_bytes) {
            file->bytes = file->header.file_bytes; /* The rest was about to be cut off. */
            return FST_OK;
        }
        return damage(reader, file->bytes, "the file is cut short or grew: expected %llu bytes",
                      (unsigned long long)file->header.file_bytes);
    default:
        return FST_OK;
    }
}

static enum fst_status file_open(struct log_reader *reader, const struct log_file_id *id) {
    struct log_file *file = &reader->file;
    *file = (struct log_file){.id = id, .file = -1, .seed = log_file_seed(id)};
    log_file_format_name(id, file->name);
    reader->window.bytes = 0;
    char path[PATH_BYTES];
    int length = snprintf(path, sizeof path, "%s/%s", reader->dir, file->name);
    if (length < 0 || length >= PATH_BYTES) return io_failure(reader, "open", -ENAMETOOLONG);
    int result = reader->io->ops->open(reader->io, path, 0, &file->file);
    if (result < 0) return io_failure(reader, "open", result);
    int64_t bytes = reader->io->ops->size(reader->io, file->file);
    if (bytes < 0) return io_failure(reader, "measure", (int)bytes);
    file->bytes = (uint64_t)bytes;
    return file_begin(reader);
}

/* ---- groups ---- */

/* R3: everything about the records is checked before the first one is visited. */
static enum fst_status records_check(struct log_reader *reader, const uint8_t *body,
                                     const struct log_group_header *header, uint64_t offset) {
    const struct log_record_header *record = NULL;
    bool is_bad = false;
    uint32_t records_count = 0;
    while ((record = log_group_next(body, header->body_bytes, record, &is_bad))) {
        if (!log_record_has_rows(record) && record->type != LOG_RECORD_CHANGE) {
            return damage(reader, offset, "group %llu: record %u has an unknown type, %u",
                          (unsigned long long)header->group, records_count, record->type);
        }
        records_count += 1;
    }
    if (is_bad) {
        return damage(reader, offset, "group %llu: record %u does not fit its group",
                      (unsigned long long)header->group, records_count);
    }
    if (records_count == header->records_count) return FST_OK;
    return damage(reader, offset, "group %llu: expected %u records, found %u",
                  (unsigned long long)header->group, header->records_count, records_count);
}

static enum fst_status records_visit(struct log_reader *reader, const uint8_t *body,
                                     const struct log_group_header *header, uint64_t offset) {
    const struct log_place place = {
        .position = {.epoch = reader->file.id->epoch,
                     .shard = reader->file.id->shard,
                     .group = header->group},
        .file = reader->file.name,
        .offset = offset,
    };
    const struct log_record_header *record = NULL;
    bool is_bad = false;
    while ((record = log_group_next(body, header->body_bytes, record, &is_bad))) {
        struct log_record_header shown = *record;
        shown.flags = 0;
        reader->last = shown;
        reader->result->records += 1;
        if (!reader->visitor->record) continue;
        FST_TRY(reader->visitor->record(reader->visitor->context, &shown,
                                        (const uint8_t *)(record + 1), &place));
    }
    reader->result->groups += 1;
    reader->result->bytes += header->padded_bytes;
    return FST_OK;
}

/* R2. */
static enum fst_status chain_check(struct log_reader *reader, const struct log_group_header *header,
                                   uint64_t offset) {
    const struct log_state *state = &reader->state;
    if (state->next_group == 0 && header->group > state->done_group + 1) {
        return damage(reader, offset, "group %llu is the first one; files before it are missing",
                      (unsigned long long)header->group);
    }
    if (state->next_group != 0 && header->group != state->next_group) {
        return damage(reader, offset, "expected group %llu, found %llu",
                      (unsigned long long)state->next_group, (unsigned long long)header->group);
    }
    if (state->has_previous && header->previous_checksum != state->previous_checksum) {
        return damage(reader, offset, "group %llu does not follow the group before it",
                      (unsigned long long)header->group);
    }
    return FST_OK;
}

/* The header at `offset`, if it is whole, in its place and possible in this file. */
static enum fst_status header_get(struct log_reader *reader, uint64_t offset,
                                  struct log_group_header *header_out, bool *is_whole_out) {
    uint8_t *bytes;
    FST_TRY(window_get(reader, offset, IO_BLOCK_BYTES, &bytes));
    *is_whole_out = log_group_decode(bytes, reader->file.seed, header_out);
    if (!*is_whole_out) return FST_OK;
    if (header_out->block != offset / IO_BLOCK_BYTES) {
        return damage(reader, offset, "group %llu was moved here from offset %llu",
                      (unsigned long long)header_out->group,
                      (unsigned long long)header_out->block * IO_BLOCK_BYTES);
    }
    if (header_out->padded_bytes > reader->file.header.group_bytes_max ||
        header_out->padded_bytes > reader->file.bytes - offset) {
        return damage(reader, offset, "group %llu is larger than possible: %u bytes",
                      (unsigned long long)header_out->group, header_out->padded_bytes);
    }
    return chain_check(reader, header_out, offset);
}

/* Reads and visits the group at `offset`. Not whole: torn, damaged, or there is none; `header_out`
 * then has padded_bytes 0 if not even its header is whole. */
static enum fst_status group_read(struct log_reader *reader, uint64_t offset,
                                  struct log_group_header *header_out, bool *is_whole_out) {
    struct log_state *state = &reader->state;
    *header_out = (struct log_group_header){0};
    FST_TRY(header_get(reader, offset, header_out, is_whole_out));
    if (!*is_whole_out) {
        header_out->padded_bytes = 0;
        return FST_OK;
    }
    if (header_out->group > state->done_group) {
        uint8_t *group;
        FST_TRY(window_get(reader, offset, header_out->padded_bytes, &group));
        *is_whole_out = log_group_is_whole(group, header_out, reader->file.seed);
        if (!*is_whole_out) return FST_OK;
        const uint8_t *body = group + LOG_GROUP_HEADER_BYTES;
        FST_TRY(records_check(reader, body, header_out, offset));
        FST_TRY(records_visit(reader, body, header_out, offset));
    }
    state->next_group = header_out->group + 1;
    state->has_previous = true;
    state->previous_checksum = header_out->header_checksum;
    state->end_file = reader->file.id;
    state->end_offset = offset + header_out->padded_bytes;
    return FST_OK;
}

/* ---- tails ---- */

/* The groups that may be torn. */
struct tail {
    uint64_t offset;
    uint64_t end;   /* where the last one must have ended */
    uint64_t first; /* number of the one at `offset` */
    bool is_set;    /* some byte from `offset` on is */
};

/* A group header that is whole, behind a group that is not. */
static enum fst_status tail_header(struct log_reader *reader, const struct tail *tail,
                                   uint64_t offset, const struct log_group_header *header) {
    if (header->block != offset / IO_BLOCK_BYTES) {
        return damage(reader, offset, "group %llu was moved here from offset %llu",
                      (unsigned long long)header->group,
                      (unsigned long long)header->block * IO_BLOCK_BYTES);
    }
    bool was_in_flight = header->group > tail->first && header->durable_group < tail->first &&
                         header->group - tail->first < reader->file.header.groups_in_flight_max;
    if (was_in_flight) return FST_OK;
    return damage(reader, offset, "group %llu is whole, but the one before it is damaged",
                  (unsigned long long)header->group);
}

/* One block behind the first of a torn tail. */
static enum fst_status tail_block(struct log_reader *reader, struct tail *tail, uint64_t offset,
                                  const uint8_t *block) {
    if (is_zero(block, IO_BLOCK_BYTES)) return FST_OK;
    struct log_group_header header;
    if (log_group_decode(block, reader->file.seed, &header)) {
        FST_TRY(tail_header(reader, tail, offset, &header));
    }
    if (offset >= tail->end) {
        return damage(reader, offset, "bytes are set beyond the last group that can be torn");
    }
    tail->is_set = true;
    return FST_OK;
}

/* Everything from the tail's offset to the end of the file. The first block holds no header that is
 * whole, or the header of the group that is not. */
static enum fst_status tail_scan(struct log_reader *reader, struct tail *tail) {
    for (uint64_t offset = tail->offset; offset < reader->file.bytes; offset += IO_BLOCK_BYTES) {
        uint8_t *block;
        FST_TRY(window_get(reader, offset, IO_BLOCK_BYTES, &block));
        if (offset == tail->offset) {
            tail->is_set = !is_zero(block, IO_BLOCK_BYTES);
            continue;
        }
        FST_TRY(tail_block(reader, tail, offset, block));
    }
    return FST_OK;
}

/* The group at `offset` is not whole: nothing, the first of a torn tail, or damage. */
static enum fst_status tail_read(struct log_reader *reader, uint64_t offset,
                                 const struct log_group_header *header) {
    struct log_state *state = &reader->state;
    uint64_t group_bytes_max = reader->file.header.group_bytes_max;
    uint64_t group = state->next_group != 0 ? state->next_group : state->done_group + 1;
    uint64_t first_bytes = header->padded_bytes ? header->padded_bytes : group_bytes_max;
    uint64_t others_bytes = (reader->file.header.groups_in_flight_max - 1) * group_bytes_max;
    struct tail tail = {
        .offset = offset, .end = offset + first_bytes + others_bytes, .first = group};
    FST_TRY(tail_scan(reader, &tail));
    if (!tail.is_set) return FST_OK;
    if (group <= state->durable_group) {
        return damage(reader, offset, "group %llu fails its checksum and was acknowledged",
                      (unsigned long long)group);
    }
    state->torn_group = group;
    uint32_t torn = reader->result->torn_count++;
    if (torn >= LOG_TORN_MAX) return FST_OK;
    struct log_torn_tail *report = &reader->result->torn[torn];
    *report = (struct log_torn_tail){.offset = offset, .group = group};
    (void)snprintf(report->file, sizeof report->file, "%s", reader->file.name);
    return FST_OK;
}

/* A file whose first block is bad, or one behind a torn group: there must be nothing in it. */
static enum fst_status file_expect_empty(struct log_reader *reader, bool is_last) {
    struct log_file *file = &reader->file;
    uint64_t offset = IO_BLOCK_BYTES;
    if (!file->is_finished && !is_last) {
        return damage(reader, 0, "the first block fails its checksum");
    }
    for (; offset + IO_BLOCK_BYTES <= file->bytes; offset += IO_BLOCK_BYTES) {
        uint8_t *block;
        FST_TRY(window_get(reader, offset, IO_BLOCK_BYTES, &block));
        if (is_zero(block, IO_BLOCK_BYTES)) continue;
        if (!file->is_finished) {
            return damage(reader, 0,
                          "the first block fails its checksum, but bytes are set at %llu",
                          (unsigned long long)offset);
        }
        return damage(reader, offset, "bytes are set behind group %llu, which fails its checksum",
                      (unsigned long long)reader->state.torn_group);
    }
    return FST_OK;
}

/* ---- logs ---- */

static enum fst_status groups_read(struct log_reader *reader) {
    uint64_t offset = IO_BLOCK_BYTES;
    while (offset < reader->file.bytes) {
        struct log_group_header header;
        bool is_whole;
        FST_TRY(group_read(reader, offset, &header, &is_whole));
        if (!is_whole) return tail_read(reader, offset, &header);
        offset += header.padded_bytes;
    }
    return FST_OK;
}

/* `after`: how many files of the log come behind this one. */
static enum fst_status file_read(struct log_reader *reader, const struct log_file_id *id,
                                 uint32_t after) {
    FST_TRY(file_open(reader, id));
    reader->result->files += 1;
    if (!reader->file.is_finished || reader->state.torn_group != 0) {
        return file_expect_empty(reader, after == 0);
    }
    uint64_t groups = reader->result->groups;
    uint64_t last_group = reader->file.header.last_group;
    if (last_group != 0 && after > 0) {
        return damage(reader, 0, "group %llu ended this log, but a file follows",
                      (unsigned long long)last_group);
    }
    if (last_group > reader->state.durable_group) reader->state.durable_group = last_group;
    FST_TRY(groups_read(reader));
    /* R4. At most one file is prepared ahead of the one that is written. */
    if (after > 1 || reader->result->groups == groups) return FST_OK;
    int result = reader->io->ops->sync(reader->io, reader->file.file);
    return result < 0 ? io_failure(reader, "sync", result) : FST_OK;
}

/* Whether the file after `id` begins with a group that has only done ones before it; then its
 * number. */
static enum fst_status file_is_done(struct log_reader *reader, const struct log_file_id *next,
                                    uint64_t *first_group_out) {
    *first_group_out = 0;
    if (reader->state.done_group == 0) return FST_OK;
    FST_TRY(file_open(reader, next));
    if (!reader->file.is_finished || reader->file.bytes < 2 * (uint64_t)IO_BLOCK_BYTES)
        return FST_OK;
    uint8_t *block;
    struct log_group_header header;
    FST_TRY(window_get(reader, IO_BLOCK_BYTES, IO_BLOCK_BYTES, &block));
    if (!log_group_decode(block, reader->file.seed, &header)) return FST_OK;
    if (header.block == 1 && header.group <= reader->state.done_group + 1) {
        *first_group_out = header.group;
    }
    return FST_OK;
}

enum fst_status log_positions_append(struct log_positions *positions,
                                     const struct log_position *position) {
    if (positions->count == positions->room) {
        uint32_t room = positions->room ? positions->room * 2 : 64;
        struct log_position *items = realloc(positions->items, room * sizeof *items);
        if (!items) return FST_NO_MEMORY;
        positions->items = items;
        positions->room = room;
    }
    positions->items[positions->count++] = *position;
    return FST_OK;
}

const struct log_position *log_position_find(const struct log_position *positions, uint32_t count,
                                             uint32_t epoch, uint32_t shard) {
    uint32_t from = 0, end = count;
    while (from < end) {
        uint32_t middle = from + (end - from) / 2;
        const struct log_position *position = &positions[middle];
        if (position->epoch == epoch && position->shard == shard) return position;
        bool is_before =
            position->epoch != epoch ? position->epoch < epoch : position->shard < shard;
        if (is_before)
            from = middle + 1;
        else
            end = middle;
    }
    return NULL;
}

static uint64_t group_of(const struct log_position *positions, uint32_t count,
                         const struct log_file_id *id) {
    const struct log_position *position = log_position_find(positions, count, id->epoch, id->shard);
    return position ? position->group : 0;
}

static void state_init(struct log_reader *reader, const struct log_file_id *first) {
    const struct log_reader_options *options = reader->options;
    uint64_t done = group_of(options->done, options->done_count, first);
    uint64_t durable = group_of(options->durable, options->durable_count, first);
    bool is_whole = first->sequence == 1;
    reader->state = (struct log_state){
        .done_group = done,
        .durable_group = durable > done ? durable : done,
        .next_group = is_whole ? 1 : 0,
        .has_previous = is_whole,
        .end_file = first,
        .end_offset = IO_BLOCK_BYTES,
    };
}

static enum fst_status log_end(struct log_reader *reader, const struct log_file_id *id) {
    const struct log_state *state = &reader->state;
    uint64_t last = state->next_group != 0 ? state->next_group - 1 : state->done_group;
    if (last < state->durable_group) {
        log_file_format_name(state->end_file, reader->file.name);
        return damage(reader, state->end_offset,
                      "the log ends with group %llu, but group %llu was acknowledged",
                      (unsigned long long)last, (unsigned long long)state->durable_group);
    }
    const struct log_position position = {.epoch = id->epoch, .shard = id->shard, .group = last};
    if (!reader->visitor->end) return FST_OK;
    return reader->visitor->end(reader->visitor->context, &position);
}

static enum fst_status log_read_one(struct log_reader *reader, const struct log_file_id *files,
                                    uint32_t files_count) {
    state_init(reader, &files[0]);
    if (files[0].sequence != 1 && reader->state.done_group == 0) {
        log_file_format_name(&files[0], reader->file.name);
        return damage(reader, 0, "the files before this one are missing");
    }
    for (uint32_t i = 0; i < files_count; i++) {
        bool is_last = i + 1 == files_count;
        reader->files_begun += 1;
        if (i > 0 && files[i].sequence != files[i - 1].sequence + 1) {
            log_file_format_name(&files[i - 1], reader->file.name);
            return damage(reader, 0, "the file after this one is missing: expected sequence %u",
                          files[i - 1].sequence + 1);
        }
        uint64_t first_group = 0;
        if (!is_last) FST_TRY(file_is_done(reader, &files[i + 1], &first_group));
        file_close(reader);
        if (first_group != 0) {
            reader->state.next_group = first_group;
            reader->state.has_previous = false;
            continue;
        }
        FST_TRY(file_read(reader, &files[i], files_count - 1 - i));
        file_close(reader);
    }
    return log_end(reader, &files[files_count - 1]);
}

/* A log that was acknowledged beyond what is done cannot be gone as a whole. */
static enum fst_status absent_check(struct log_reader *reader, const struct log_folder *folder) {
    const struct log_reader_options *options = reader->options;
    for (uint32_t i = 0; i < options->durable_count; i++) {
        const struct log_position *durable = &options->durable[i];
        struct log_file_id id = {.epoch = durable->epoch, .shard = durable->shard, .sequence = 1};
        if (durable->epoch < options->done_epoch || log_folder_has(folder, &id)) continue;
        if (durable->group <= group_of(options->done, options->done_count, &id)) continue;
        log_file_format_name(&id, reader->file.name);
        return damage(reader, 0, "all files of this log are missing; group %llu was acknowledged",
                      (unsigned long long)durable->group);
    }
    return FST_OK;
}

enum fst_status log_read(struct io *io, const char *dir, const struct log_reader_options *options,
                         const struct log_visitor *visitor, struct log_reader_result *result_out,
                         struct fst_error *error) {
    *result_out = (struct log_reader_result){0};
    struct log_reader reader = {
        .io = io,
        .dir = dir,
        .options = options,
        .visitor = visitor,
        .result = result_out,
        .error = error,
        .file.file = -1,
    };
    struct log_folder folder;
    FST_TRY(log_folder_init(&folder, io, dir, options->store_id, error));
    for (uint32_t i = 0; i < folder.files_count; i++) {
        reader.files_count += folder.files[i].epoch >= options->done_epoch;
    }
    enum fst_status status = absent_check(&reader, &folder);
    for (uint32_t i = 0, end; status == FST_OK && i < folder.files_count; i = end) {
        end = log_folder_find_end(&folder, i);
        if (folder.files[i].epoch > result_out->epoch_max) {
            result_out->epoch_max = folder.files[i].epoch;
        }
        if (folder.files[i].epoch < options->done_epoch) continue;
        status = log_read_one(&reader, &folder.files[i], end - i);
        file_close(&reader);
    }
    free(reader.window.memory);
    log_folder_deinit(&folder);
    return status;
}
