/*
 * shard_fixture: a small store without a server: definitions from YAML through the real registry,
 * partitions on the memory of a simulated machine, a real log on its disk, and rows whose every
 * value follows from one number.
 *
 * Views of customer(customer_id int64): `plain` (n int64, note string) and `early` (the same,
 * visible: memory).
 *
 * Threads: one. Memory: the fixture owns everything; requests and batches lie in its buffers.
 */
#ifndef TESTS_SHARD_SHARD_FIXTURE_H
#define TESTS_SHARD_SHARD_FIXTURE_H

#include "base/io_sim.h"
#include "shard/committer.h"
#include "shard/write_request.h"

enum {
    FIXTURE_PARTITIONS = 5,
    FIXTURE_GROUP_BYTES = 16384,
    FIXTURE_FILE_BYTES = 65536,
    FIXTURE_GROUPS_IN_FLIGHT = 3,
    FIXTURE_ROWS_MAX = 64, /* of one request */
    FIXTURE_NOTE_BYTES_MAX = 61,
};
#define FIXTURE_DIR "log"

extern const char fixture_yaml[];

struct shard_fixture {
    struct io_sim *sim;
    struct io *io;
    struct registry *registry;
    struct catalog *catalog;
    const struct view *plain;
    const struct view *early;
    struct engine *engine; /* only what writes look at is set */
    struct buffers buffers;
    struct arena arena;
    struct hash_secret secret;
    struct partition *partitions[FIXTURE_PARTITIONS];
    struct log_options log_options;
    struct log *log;
    _Atomic bool is_disk_full;
    struct committer committer;
};

/* A row of either view. `n` decides the note, too: null, empty or some letters. */
struct fixture_row {
    int64_t key;
    int64_t event_us;
    int64_t created_us;
    int64_t n;
};

/* `limit_bytes` for all partitions together. */
struct shard_fixture *shard_fixture_create(uint64_t seed, uint64_t limit_bytes,
                                           uint32_t shards_count);
void shard_fixture_destroy(struct shard_fixture *fixture);
/* Closes partitions and log and cuts the power: what is left is what the disk holds. */
void shard_fixture_crash(struct shard_fixture *fixture);

/* Plans and adopts one text; asserts that it is not refused. */
void fixture_apply(struct registry *registry, const char *yaml);
/* A registry that has adopted this text. */
struct registry *fixture_registry(const char *yaml);

/* A row set in the fixture's arena; at most FIXTURE_ROWS_MAX rows. */
struct row_set *fixture_set(struct shard_fixture *fixture, const struct view *view,
                            const struct fixture_row *rows, uint32_t rows_count);
/* A request and its batches; asserts that there is room. The arena is reset. */
struct write_request *fixture_request(struct shard_fixture *fixture, struct row_set *set,
                                      const struct write_origin *origin,
                                      struct write_batches *batches_out);
/* The same for one shard: its only batch. */
struct write_batch *fixture_batch(struct shard_fixture *fixture, const struct view *view,
                                  const struct write_origin *origin, const struct fixture_row *rows,
                                  uint32_t rows_count);

uint32_t fixture_partition(int64_t key);
/* Looks up one row; the values found must be those of its n. */
bool fixture_find(const struct shard_fixture *fixture, const struct view *view, int64_t key,
                  struct fixture_row *row_out, uint64_t *lsn_out);
/* Reads an image as it stands in a record body. */
struct fixture_row fixture_decode(const struct view *view, const uint8_t *image,
                                  const uint8_t *heap);

/* The wall clock of the simulated machine. */
int64_t fixture_now_us(const struct shard_fixture *fixture);
void fixture_check(const struct shard_fixture *fixture);

#endif
