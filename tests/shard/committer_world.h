/*
 * committer_world: a committer at work on a simulated machine, beside an oracle too simple to be
 * wrong.
 *
 * Every request goes through world_take(), which notes what it must be answered: from the LSNs
 * that the committer gave out follows what is in the log and in which order, from that order what
 * is stale. Each answer is compared as it comes.
 *
 * Invariants: `taken` holds every row that has an LSN, `durable` those whose group is on disk; a
 * request is answered once, and rows that were answered as durable are committed.
 *
 * Threads: one. Memory: the world owns the fixture and all requests.
 */
#ifndef TESTS_SHARD_COMMITTER_WORLD_H
#define TESTS_SHARD_COMMITTER_WORLD_H

#include "tests/base/random.h"
#include "tests/shard/shard_fixture.h"

enum {
    KEYS = 40,      /* of random rows */
    KEYS_ALL = 256, /* that the oracle knows */
    CLIENTS = 3,
    REQUESTS_MAX = 8192,
    LSNS_MAX = 1 << 15,
    ROWS_MAX = 24,
};

/* A row that was given an LSN. */
struct logged {
    uint32_t view_id; /* 0: none */
    struct fixture_row row;
    bool is_committed;    /* its group is on disk */
    bool is_acknowledged; /* and OK or STALE was answered */
};

struct stored {
    bool is_there;
    struct fixture_row row;
    uint64_t lsn;
};

/* What was asked, and what must be answered. */
struct asked {
    struct write_request *request; /* NULL: answered */
    struct write_batch *batch;
    const struct view *view;
    uint32_t client;
    uint64_t sequence; /* 0: none */
    uint32_t rows_count;
    uint64_t lsns[ROWS_MAX]; /* 0: the row was not logged */
    uint32_t partitions[ROWS_MAX];
    uint8_t expected[ROWS_MAX];             /* FST_BUSY: any refusal */
    uint64_t lsns_seen[FIXTURE_PARTITIONS]; /* given out before: a repetition waits for them */
    uint32_t answers_count;
};

/* A group that was sealed. */
struct world_group {
    struct log_write write;
    uint64_t lsns[FIXTURE_PARTITIONS]; /* the last ones in it or before it */
    bool is_written;
};

struct world {
    struct shard_fixture *fixture;
    struct random random;
    struct logged logged[FIXTURE_PARTITIONS][LSNS_MAX];
    struct stored taken[2][KEYS_ALL];   /* everything that has an LSN */
    struct stored durable[2][KEYS_ALL]; /* everything whose group is on disk */
    bool is_admitted[FIXTURE_PARTITIONS][CLIENTS + 1][REQUESTS_MAX]; /* by sequence */
    uint64_t sequences[CLIENTS + 1];
    struct asked asked[REQUESTS_MAX];
    uint32_t asked_count;
    uint32_t open_count;
    uint64_t filling_group; /* number of the group that fills */
    uint64_t durable_group;
    uint64_t lsns_committed[FIXTURE_PARTITIONS];
    struct world_group groups[FIXTURE_GROUPS_IN_FLIGHT]; /* group g is in g % of these */
    uint64_t flying[FIXTURE_GROUPS_IN_FLIGHT];           /* numbers of groups not written yet */
    uint32_t flying_count;
    int64_t now_us; /* monotonic */
    bool is_failed;
    uint64_t fail_group; /* the write of this group fails */
    uint64_t taken_back_count;
    uint64_t left_count; /* rows answered as unknown that are in a group without room */
    uint64_t statuses_count[256];
};

/* `limit_bytes` is the budget of all partitions. */
struct world *world_create(uint64_t limit_bytes);
void world_destroy(struct world *world);

/* Makes a request of these rows and gives it to the committer. The arrays of rows are copied. */
struct asked *world_take(struct world *world, const struct view *view,
                         const struct write_origin *origin, const struct fixture_row *rows,
                         uint32_t rows_count);
/* Takes and compares all answers there are. */
void world_answer(struct world *world);
/* Compares one answer that was taken from the committer. */
void world_check_request(struct world *world, struct asked *asked);
/* Compares what readers see of a key: rows of `plain` when they are durable, rows of `early` at
 * once. */
void world_check_key(const struct world *world, int64_t key);

/* False when there is nothing to write, or no file, or a group left just before. */
bool world_seal(struct world *world);
/* Writes one of the groups in flight and brings the answer. */
enum fst_status world_complete(struct world *world);
/* Makes the next log file: the disk is not full any more. */
void world_prepare(struct world *world);
/* Writes everything; nothing may be left behind, and tables and oracle are the same. */
void world_finish(struct world *world);

/* The log holds every row that was acknowledged as durable, no gaps before it, and nothing that
 * was not logged; and so many changes of the registry. */
void world_check_log(struct world *world, uint64_t changes_count);

#endif
