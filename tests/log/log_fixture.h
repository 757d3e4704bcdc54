/*
 * log_fixture: a simulated disk with logs whose records are known by their number.
 *
 * Record n has content that follows from n alone, so a reader's answers can be judged without
 * keeping what was written. Numbers begin at 1 and rise in the order of appending over all epochs;
 * the expected answer of a reading is always "records 1 to n, in order, nothing else".
 *
 * Threads: one. Memory: owns the simulated disk and the open log.
 */
#ifndef TESTS_LOG_LOG_FIXTURE_H
#define TESTS_LOG_LOG_FIXTURE_H

#include "base/io_sim.h"
#include "storage/log/log_format.h"
#include "storage/log/log_reader.h"

enum {
    FIXTURE_GROUP_BYTES = 16384,
    FIXTURE_FILE_BYTES = 65536,
    FIXTURE_PARTITIONS = 8,
    FIXTURE_PATH_BYTES = 320,
};
#define FIXTURE_DIR "log"

struct log_fixture {
    struct io_sim *sim;
    struct io *io;
    struct log *log; /* NULL when none is open */
    struct log_options options;
    uint64_t appended; /* number of the last record appended */
    uint64_t durable;  /* number of the last record whose group is complete */
};

/* What a reading found. */
struct log_fixture_found {
    uint64_t first; /* number expected first */
    uint64_t next;  /* number expected next */
    bool is_wrong;  /* some record was not the expected one */
    struct log_position last[64];
    uint32_t last_count;
    struct log_reader_result result;
    struct fst_error error;
};

void log_fixture_init(struct log_fixture *fixture, uint64_t seed);
void log_fixture_deinit(struct log_fixture *fixture);

/* Opens the log of an epoch and shard; asserts that it works. */
void log_fixture_open(struct log_fixture *fixture, uint32_t epoch, uint32_t shard);

/* Size of the body of record `number`. */
size_t log_fixture_body_bytes(uint64_t number);
/* Whether a record is record `number`. */
bool log_fixture_is_record(const struct log_record_header *header, const uint8_t *body,
                           uint64_t number);

/* Appends the next record; false when the group has no room. */
bool log_fixture_append(struct log_fixture *fixture);
/* Seals the group and writes it; prepares the next file when one is missing. Its records can be
 * walked until the next log_fixture_write. */
void log_fixture_write(struct log_fixture *fixture);
/* So many groups of so many records. */
void log_fixture_write_groups(struct log_fixture *fixture, uint32_t groups, uint32_t records);

/* Reads everything; the store id is filled in. */
enum fst_status log_fixture_read(struct log_fixture *fixture, struct log_reader_options *options,
                                 uint64_t first, struct log_fixture_found *found);

/* Path of a file of the fixture's folder. */
void log_fixture_path(uint32_t epoch, uint32_t shard, uint32_t sequence,
                      char path_out[FIXTURE_PATH_BYTES]);
/* Whole files, for damaging them; what is got is freed by the caller. */
uint8_t *log_fixture_get_file(struct log_fixture *fixture, const char *path, size_t *bytes_out);
void log_fixture_put_file(struct log_fixture *fixture, const char *path, const uint8_t *data,
                          size_t bytes);

/* Seed of the environment or `standard`, printed. */
uint64_t log_fixture_seed(uint64_t standard);
/* The next number of a sequence that follows from *state. */
uint64_t log_fixture_random(uint64_t *state);

#endif
