#include "log_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

uint64_t log_fixture_random(uint64_t *state) {
    *state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = *state;
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint64_t log_fixture_seed(uint64_t standard) {
    const char *text = getenv("FST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : standard;
    print_message("FST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

/* Mostly small; every 16th takes more than a block. */
size_t log_fixture_body_bytes(uint64_t number) {
    uint64_t state = number;
    uint64_t random = log_fixture_random(&state);
    return number % 16 == 0 ? 4000 + random % 2000 : random % 300;
}

static struct log_record_header record_header(uint64_t number) {
    return (struct log_record_header){
        .type = number % 5 == 0 ? LOG_RECORD_CHANGE : LOG_RECORD_ROWS,
        .flags = number % 3 == 0 ? LOG_RECORD_APPLIED : 0,
        .partition = (uint16_t)(number % FIXTURE_PARTITIONS),
        .lsn = number,
        .arrival_us = number * 1000,
    };
}

static void record_body(uint64_t number, uint8_t *body) {
    uint64_t state = number * 77;
    for (size_t i = 0; i < log_fixture_body_bytes(number); i++) {
        body[i] = (uint8_t)log_fixture_random(&state);
    }
}

bool log_fixture_is_record(const struct log_record_header *header, const uint8_t *body,
                           uint64_t number) {
    uint8_t expected[8192];
    struct log_record_header want = record_header(number);
    size_t body_bytes = log_fixture_body_bytes(number);
    if (header->bytes != LOG_RECORD_HEADER_BYTES + body_bytes) return false;
    if (header->type != want.type || header->partition != want.partition) return false;
    if (header->lsn != want.lsn || header->arrival_us != want.arrival_us) return false;
    record_body(number, expected);
    return memcmp(body, expected, body_bytes) == 0;
}

void log_fixture_init(struct log_fixture *fixture, uint64_t seed) {
    *fixture = (struct log_fixture){
        .sim = io_sim_create(seed),
        .options = {.group_bytes_max = FIXTURE_GROUP_BYTES,
                    .file_bytes = FIXTURE_FILE_BYTES,
                    .groups_in_flight_max = 1},
    };
    fixture->io = io_sim_io(fixture->sim);
    memcpy(fixture->options.store_id, "a store of tests", STORE_ID_BYTES);
    assert_int_equal(fixture->io->ops->mkdir(fixture->io, FIXTURE_DIR), 0);
    assert_int_equal(fixture->io->ops->sync_dir(fixture->io, "."), 0);
}

void log_fixture_deinit(struct log_fixture *fixture) {
    log_close(fixture->log);
    assert_int_equal(io_sim_check(fixture->sim), FST_OK);
    io_sim_destroy(fixture->sim);
}

void log_fixture_open(struct log_fixture *fixture, uint32_t epoch, uint32_t shard) {
    struct fst_error error;
    log_close(fixture->log);
    fixture->options.epoch = epoch;
    fixture->options.shard = shard;
    assert_int_equal(log_open(&fixture->log, fixture->io, FIXTURE_DIR, &fixture->options, &error),
                     FST_OK);
}

bool log_fixture_append(struct log_fixture *fixture) {
    uint64_t number = fixture->appended + 1;
    struct log_record_header header = record_header(number);
    uint8_t *body = log_append(fixture->log, &header, log_fixture_body_bytes(number));
    if (!body) return false;
    record_body(number, body);
    fixture->appended = number;
    return true;
}

void log_fixture_write(struct log_fixture *fixture) {
    struct log_write write;
    while (log_completed_group(fixture->log) != 0) log_release(fixture->log);
    assert_int_equal(log_prepare_file(fixture->log), FST_OK);
    assert_true(log_seal(fixture->log, &write));
    assert_int_equal(io_write_full(fixture->io, write.file, write.data, write.bytes, write.offset),
                     0);
    if (!write.is_dsync) assert_int_equal(fixture->io->ops->sync(fixture->io, write.file), 0);
    assert_int_equal(log_complete(fixture->log, write.group, 0), FST_OK);
    fixture->durable = fixture->appended;
}

void log_fixture_write_groups(struct log_fixture *fixture, uint32_t groups, uint32_t records) {
    for (uint32_t g = 0; g < groups; g++) {
        for (uint32_t r = 0; r < records; r++) assert_true(log_fixture_append(fixture));
        log_fixture_write(fixture);
    }
}

static enum fst_status found_record(void *context, const struct log_record_header *header,
                                    const uint8_t *body, const struct log_place *place) {
    struct log_fixture_found *found = context;
    if (header->flags != 0 || place->offset % IO_BLOCK_BYTES != 0) found->is_wrong = true;
    if (!log_fixture_is_record(header, body, found->next)) found->is_wrong = true;
    found->next += 1;
    return FST_OK;
}

static enum fst_status found_end(void *context, const struct log_position *last) {
    struct log_fixture_found *found = context;
    assert_true(found->last_count < 64);
    found->last[found->last_count++] = *last;
    return FST_OK;
}

enum fst_status log_fixture_read(struct log_fixture *fixture, struct log_reader_options *options,
                                 uint64_t first, struct log_fixture_found *found) {
    *found = (struct log_fixture_found){.first = first, .next = first};
    memcpy(options->store_id, fixture->options.store_id, STORE_ID_BYTES);
    const struct log_visitor visitor = {.context = found, .record = found_record, .end = found_end};
    return log_read(fixture->io, FIXTURE_DIR, options, &visitor, &found->result, &found->error);
}

void log_fixture_path(uint32_t epoch, uint32_t shard, uint32_t sequence,
                      char path_out[FIXTURE_PATH_BYTES]) {
    char name[LOG_NAME_BYTES];
    struct log_file_id id = {.epoch = epoch, .shard = shard, .sequence = sequence};
    log_file_format_name(&id, name);
    (void)snprintf(path_out, FIXTURE_PATH_BYTES, "%s/%s", FIXTURE_DIR, name);
}

uint8_t *log_fixture_get_file(struct log_fixture *fixture, const char *path, size_t *bytes_out) {
    struct io *io = fixture->io;
    io_file file;
    assert_int_equal(io->ops->open(io, path, 0, &file), 0);
    int64_t bytes = io->ops->size(io, file);
    assert_true(bytes >= 0);
    uint8_t *data = malloc((size_t)bytes + 1);
    assert_non_null(data);
    assert_int_equal(io_read_full(io, file, data, (size_t)bytes, 0), 0);
    assert_int_equal(io->ops->close(io, file), 0);
    *bytes_out = (size_t)bytes;
    return data;
}

void log_fixture_put_file(struct log_fixture *fixture, const char *path, const uint8_t *data,
                          size_t bytes) {
    struct io *io = fixture->io;
    io_file file;
    assert_int_equal(io->ops->open(io, path, IO_OPEN_WRITE | IO_OPEN_CREATE, &file), 0);
    assert_int_equal(io->ops->resize(io, file, 0), 0);
    assert_int_equal(io_write_full(io, file, data, bytes, 0), 0);
    assert_int_equal(io->ops->sync(io, file), 0);
    assert_int_equal(io->ops->close(io, file), 0);
    assert_int_equal(io->ops->sync_dir(io, FIXTURE_DIR), 0);
}
