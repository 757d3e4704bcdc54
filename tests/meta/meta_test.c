/* Compares meta with a plain array under random batches, commits and aborts, and shows by flipping
 * bits in the file that no changed value is ever handed out. Uses real folders: LMDB does its own
 * input and output. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/meta/meta.h"

enum { MAP_BYTES = 64 << 20, PATH_BYTES = 300, BODY_BYTES_MAX = 9000 };

/* A folder of its own for every test, removed at its end. */
struct folder {
    char path[PATH_BYTES];
    struct meta *meta;
};

static void folder_open(struct folder *folder, uint64_t map_bytes) {
    struct fst_error error = {0};
    const struct meta_options options = {.path = folder->path, .map_bytes = map_bytes};
    enum fst_status status = meta_open(&folder->meta, &options, &error);
    if (status != FST_OK) print_error("%s\n", error.text);
    assert_int_equal(status, FST_OK);
}

static void folder_reopen(struct folder *folder) {
    meta_close(folder->meta);
    folder_open(folder, MAP_BYTES);
}

static void folder_init(struct folder *folder, uint64_t map_bytes) {
    const char *base = getenv("TMPDIR");
    (void)snprintf(folder->path, sizeof folder->path, "%s/meta_test_XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(folder->path));
    folder_open(folder, map_bytes);
}

static void file_path(const struct folder *folder, const char *name, char path_out[PATH_BYTES]) {
    int length = snprintf(path_out, PATH_BYTES, "%.250s/%s", folder->path, name);
    assert_true(length < PATH_BYTES);
}

static void folder_deinit(struct folder *folder) {
    char path[PATH_BYTES];
    meta_close(folder->meta);
    file_path(folder, "data.mdb", path);
    (void)unlink(path);
    file_path(folder, "lock.mdb", path);
    (void)unlink(path);
    assert_int_equal(rmdir(folder->path), 0);
}

static uint64_t random_next(uint64_t *state) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 20;
}

static uint64_t seed_get(uint64_t standard) {
    const char *text = getenv("FST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : standard;
    print_message("FST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

static struct bytes bytes_of(const void *data, size_t bytes) {
    return (struct bytes){.data = data, .bytes = bytes};
}

/* Bytes that follow from a number. */
static void fill(uint8_t *data, size_t bytes, uint64_t number) {
    uint64_t state = number;
    for (size_t i = 0; i < bytes; i++) data[i] = (uint8_t)random_next(&state);
}

static struct meta_batch *batch_begin(struct folder *folder) {
    struct meta_batch *batch;
    struct fst_error error;
    assert_int_equal(meta_begin(folder->meta, &batch, &error), FST_OK);
    return batch;
}

static void batch_commit(struct meta_batch *batch) {
    struct fst_error error;
    assert_int_equal(meta_commit(batch, &error), FST_OK);
}

/* ---- values of every size ---- */

static void test_values_of_every_size(void **state) {
    (void)state;
    struct folder folder;
    struct fst_error error;
    static const size_t sizes[] = {0,    1,    8,    1900, 1967, 1968, 1969,  1980,   1999,
                                   2000, 2001, 3940, 3960, 5000, 9000, 70000, 3 << 20};
    enum { COUNT = sizeof sizes / sizeof sizes[0], ROOM = (3 << 20) + 1 };
    uint8_t *data = malloc(ROOM), *found = malloc(ROOM);
    folder_init(&folder, MAP_BYTES);
    /* Every size over every other: pieces of a longer value before are gone. */
    for (size_t round = 0; round < COUNT; round++) {
        struct meta_batch *batch = batch_begin(&folder);
        for (size_t i = 0; i < COUNT; i++) {
            char name[20];
            (void)snprintf(name, sizeof name, "value%zu", i);
            size_t bytes = sizes[(i + round) % COUNT];
            fill(data, bytes, i + round);
            assert_int_equal(meta_put_value(batch, name, bytes_of(data, bytes)), FST_OK);
        }
        batch_commit(batch);
        assert_int_equal(meta_check(folder.meta, &error), FST_OK);
        for (size_t i = 0; i < COUNT; i++) {
            char name[20];
            size_t bytes = sizes[(i + round) % COUNT], found_bytes = 0;
            (void)snprintf(name, sizeof name, "value%zu", i);
            fill(data, bytes, i + round);
            assert_int_equal(meta_get_value(folder.meta, name, found, ROOM, &found_bytes, &error),
                             FST_OK);
            assert_int_equal(found_bytes, bytes);
            assert_memory_equal(found, data, bytes);
            if (bytes == 0) continue;
            assert_int_equal(
                meta_get_value(folder.meta, name, found, bytes - 1, &found_bytes, &error),
                FST_TOO_LARGE);
        }
    }
    size_t found_bytes;
    assert_int_equal(meta_get_value(folder.meta, "value", found, ROOM, &found_bytes, &error),
                     FST_NOT_FOUND);
    free(data);
    free(found);
    folder_deinit(&folder);
}

/* ---- rows against an oracle ---- */

enum { PARTITIONS = 4, VIEWS = 3, KEYS = 40, CLIENTS = 5 };

struct oracle_row {
    uint64_t number; /* what fills it; 0: absent */
    size_t image_bytes, heap_bytes;
    uint16_t revision;
};

struct oracle {
    struct oracle_row rows[PARTITIONS][VIEWS][KEYS];
    uint64_t clients[PARTITIONS][CLIENTS];
    uint64_t lsns[PARTITIONS];
    uint64_t logs[3][2];
    uint64_t changes_count;
};

/* Keys without a common length, some a prefix of others, some with zeros at their end. */
static struct bytes key_of(uint32_t number, uint8_t room[256]) {
    memset(room, 0, 256);
    room[0] = (uint8_t)(number % 5);
    room[1] = (uint8_t)(number % 2);
    return bytes_of(room, number < 8 ? number : number * 6 % 250);
}

static bool keys_differ(void) {
    uint8_t a[256], b[256];
    for (uint32_t i = 0; i < KEYS; i++) {
        for (uint32_t j = 0; j < i; j++) {
            struct bytes x = key_of(i, a), y = key_of(j, b);
            if (x.bytes == y.bytes && memcmp(a, b, x.bytes) == 0) return false;
        }
    }
    return true;
}

static void row_put(struct meta_batch *batch, struct oracle *oracle, uint64_t *random,
                    uint64_t number) {
    uint8_t key[256], data[BODY_BYTES_MAX];
    uint16_t p = (uint16_t)(random_next(random) % PARTITIONS);
    uint32_t v = (uint32_t)(random_next(random) % VIEWS);
    uint32_t k = (uint32_t)(random_next(random) % KEYS);
    bool is_long = random_next(random) % 4 == 0;
    struct oracle_row *row = &oracle->rows[p][v][k];
    *row = (struct oracle_row){
        .number = number,
        .image_bytes = 16 + random_next(random) % (is_long ? 4000 : 400),
        .heap_bytes = random_next(random) % (is_long ? 4000 : 100),
        .revision = (uint16_t)(number % 60000),
    };
    fill(data, row->image_bytes + row->heap_bytes, number);
    const struct meta_row stored = {
        .partition = p,
        .view_id = v * 1000,
        .key = key_of(k, key),
        .revision = row->revision,
        .lsn = number,
        .image = bytes_of(data, row->image_bytes),
        .heap = bytes_of(data + row->image_bytes, row->heap_bytes),
    };
    assert_int_equal(meta_put_row(batch, &stored), FST_OK);
}

static void row_remove(struct meta_batch *batch, struct oracle *oracle, uint64_t *random) {
    uint8_t key[256];
    uint16_t p = (uint16_t)(random_next(random) % PARTITIONS);
    uint32_t v = (uint32_t)(random_next(random) % VIEWS);
    uint32_t k = (uint32_t)(random_next(random) % KEYS);
    oracle->rows[p][v][k].number = 0;
    assert_int_equal(meta_remove_row(batch, p, v * 1000, key_of(k, key)), FST_OK);
}

static void others_put(struct meta_batch *batch, struct oracle *oracle, uint64_t *random,
                       uint64_t number) {
    uint16_t p = (uint16_t)(random_next(random) % PARTITIONS);
    uint32_t c = (uint32_t)(random_next(random) % CLIENTS);
    uint32_t e = (uint32_t)(random_next(random) % 3), s = (uint32_t)(random_next(random) % 2);
    const struct log_position position = {.epoch = e + 255, .shard = s * 255, .group = number};
    oracle->clients[p][c] = number;
    oracle->lsns[p] = number;
    oracle->logs[e][s] = number;
    assert_int_equal(meta_put_client(batch, p, c * UINT64_C(0x0101010101), number, ~number),
                     FST_OK);
    assert_int_equal(meta_put_lsn(batch, p, number), FST_OK);
    assert_int_equal(meta_put_log(batch, &position), FST_OK);
    if (random_next(random) % 16 > 0) return;
    uint8_t change[6000];
    oracle->changes_count += 1;
    size_t bytes = oracle->changes_count * 37 % sizeof change;
    fill(change, bytes, oracle->changes_count);
    assert_int_equal(meta_put_change(batch, oracle->changes_count, bytes_of(change, bytes)),
                     FST_OK);
}

/* Keeps the rows of one view. */
static bool view_is(void *context, uint32_t view_id, struct bytes key) {
    (void)key;
    const uint32_t *v = context;
    return view_id == *v * 1000;
}

static void partition_remove(struct meta_batch *batch, struct oracle *oracle, uint64_t *random) {
    uint16_t p = (uint16_t)(random_next(random) % PARTITIONS);
    uint32_t kept = (uint32_t)(random_next(random) % (VIEWS + 1));
    const struct meta_filter filter = {.context = &kept, .keeps = view_is};
    for (uint32_t v = 0; v < VIEWS; v++) {
        if (v != kept) memset(oracle->rows[p][v], 0, sizeof oracle->rows[p][v]);
    }
    memset(oracle->clients[p], 0, sizeof oracle->clients[p]);
    assert_int_equal(meta_remove_rows(batch, p, &filter), FST_OK);
    assert_int_equal(meta_remove_clients(batch, p), FST_OK);
}

/* Says no once, and yes from then on; or the other way round. */
struct changing {
    bool first;
    uint32_t asked;
};

static bool changes_its_answer(void *context, uint32_t view_id, struct bytes key) {
    (void)view_id;
    (void)key;
    struct changing *changing = context;
    return (changing->asked++ == 0) == changing->first;
}

/* A row of several pieces goes or stays as a whole, though what the filter looks at changes. */
static void test_a_row_is_kept_whole(void **state) {
    (void)state;
    struct folder folder;
    struct fst_error error;
    uint8_t data[6000];
    fill(data, sizeof data, 1);
    folder_init(&folder, MAP_BYTES);
    for (int first = 0; first <= 1; first++) {
        struct changing changing = {.first = first == 1};
        const struct meta_filter filter = {.context = &changing, .keeps = changes_its_answer};
        const struct meta_row row = {.view_id = 1,
                                     .lsn = 1,
                                     .key = bytes_of("key", 3),
                                     .image = bytes_of(data, sizeof data),
                                     .heap = bytes_of(data, 0)};
        struct meta_batch *batch = batch_begin(&folder);
        assert_int_equal(meta_put_row(batch, &row), FST_OK);
        assert_int_equal(meta_remove_rows(batch, 0, &filter), FST_OK);
        batch_commit(batch);
        assert_int_equal(changing.asked, 1);
        assert_int_equal(meta_check(folder.meta, &error), FST_OK);
        assert_int_equal(meta_rows_count(folder.meta) > 0, first);
    }
    folder_deinit(&folder);
}

/* What a visit saw, to be compared with the oracle. */
struct seen {
    struct oracle *oracle;
    uint64_t rows, clients, lsns, logs, changes;
    uint64_t order; /* of the last row: partition, view */
    bool is_wrong;
};

static enum fst_status seen_change(void *context, uint64_t generation, struct bytes change) {
    struct seen *seen = context;
    uint8_t expected[6000];
    seen->changes += 1;
    if (generation != seen->changes) seen->is_wrong = true;
    if (change.bytes != generation * 37 % sizeof expected) seen->is_wrong = true;
    fill(expected, change.bytes % sizeof expected, generation);
    if (memcmp(change.data, expected, change.bytes) != 0) seen->is_wrong = true;
    return FST_OK;
}

static enum fst_status seen_row(void *context, const struct meta_row *row) {
    struct seen *seen = context;
    uint8_t key[256], data[BODY_BYTES_MAX];
    const struct oracle_row *expected = NULL;
    for (uint32_t k = 0; k < KEYS && row->partition < PARTITIONS; k++) {
        struct bytes other = key_of(k, key);
        if (other.bytes != row->key.bytes || memcmp(key, row->key.data, other.bytes) != 0) continue;
        expected = &seen->oracle->rows[row->partition][row->view_id / 1000][k];
    }
    uint64_t order = (uint64_t)row->partition << 32 | row->view_id;
    if (order < seen->order) seen->is_wrong = true;
    seen->order = order;
    seen->rows += 1;
    if (!expected || expected->number != row->lsn || expected->revision != row->revision ||
        expected->image_bytes != row->image.bytes || expected->heap_bytes != row->heap.bytes) {
        seen->is_wrong = true;
        return FST_OK;
    }
    fill(data, row->image.bytes + row->heap.bytes, row->lsn);
    if (memcmp(row->image.data, data, row->image.bytes) != 0) seen->is_wrong = true;
    if (memcmp(row->heap.data, data + row->image.bytes, row->heap.bytes) != 0) {
        seen->is_wrong = true;
    }
    return FST_OK;
}

static enum fst_status seen_client(void *context, uint16_t partition, uint64_t client_id,
                                   uint64_t sequence, uint64_t recent) {
    struct seen *seen = context;
    if (recent != ~sequence) seen->is_wrong = true;
    uint64_t c = client_id / UINT64_C(0x0101010101);
    seen->clients += 1;
    if (partition >= PARTITIONS || c >= CLIENTS ||
        seen->oracle->clients[partition][c] != sequence) {
        seen->is_wrong = true;
    }
    return FST_OK;
}

static enum fst_status seen_lsn(void *context, uint16_t partition, uint64_t lsn) {
    struct seen *seen = context;
    seen->lsns += 1;
    if (partition >= PARTITIONS || seen->oracle->lsns[partition] != lsn) seen->is_wrong = true;
    return FST_OK;
}

static enum fst_status seen_log(void *context, const struct log_position *position) {
    struct seen *seen = context;
    seen->logs += 1;
    if (seen->oracle->logs[position->epoch - 255][position->shard / 255] != position->group) {
        seen->is_wrong = true;
    }
    return FST_OK;
}

/* Row by row, by key: the same rows, and no others. */
static void reader_compare(struct meta_reader *reader, struct oracle *oracle) {
    struct fst_error error = {0};
    struct seen seen = {.oracle = oracle};
    uint64_t there = 0;
    assert_int_equal(meta_reader_begin(reader, &error), FST_OK);
    for (uint16_t p = 0; p < PARTITIONS; p++) {
        seen.order = 0;
        for (uint32_t v = 0; v < VIEWS; v++) {
            for (uint32_t k = 0; k < KEYS; k++) {
                uint8_t room[256];
                struct meta_row row;
                struct bytes key = key_of(k, room);
                bool is_there = oracle->rows[p][v][k].number != 0;
                there += is_there;
                assert_int_equal(meta_get_row(reader, p, v * 1000, key, &row, &error),
                                 is_there ? FST_OK : FST_NOT_FOUND);
                if (!is_there) continue;
                assert_int_equal(row.partition, p);
                assert_int_equal(row.view_id, v * 1000);
                assert_int_equal(row.key.bytes, key.bytes);
                assert_true(key.bytes == 0 || memcmp(row.key.data, key.data, key.bytes) == 0);
                assert_int_equal(seen_row(&seen, &row), FST_OK);
            }
        }
    }
    meta_reader_end(reader);
    assert_false(seen.is_wrong);
    assert_int_equal(seen.rows, there);
}

static uint64_t oracle_rows(const struct oracle *oracle, int partition) {
    uint64_t count = 0;
    for (int p = 0; p < PARTITIONS; p++) {
        for (int v = 0; v < VIEWS; v++) {
            for (int k = 0; k < KEYS; k++) {
                bool is_meant = partition < 0 || p == partition;
                count += is_meant && oracle->rows[p][v][k].number != 0;
            }
        }
    }
    return count;
}

static uint64_t set_count(const uint64_t *numbers, size_t count) {
    uint64_t set = 0;
    for (size_t i = 0; i < count; i++) set += numbers[i] != 0;
    return set;
}

static void oracle_compare(struct folder *folder, struct oracle *oracle) {
    struct fst_error error = {0};
    struct seen seen = {.oracle = oracle};
    struct meta_visitor visitor = {.context = &seen,
                                   .change = seen_change,
                                   .row = seen_row,
                                   .client = seen_client,
                                   .lsn = seen_lsn,
                                   .log = seen_log};
    assert_int_equal(meta_visit(folder->meta, &visitor, &error), FST_OK);
    assert_false(seen.is_wrong);
    assert_int_equal(seen.rows, oracle_rows(oracle, -1));
    assert_int_equal(seen.clients, set_count(&oracle->clients[0][0], PARTITIONS * CLIENTS));
    assert_int_equal(seen.lsns, set_count(oracle->lsns, PARTITIONS));
    assert_int_equal(seen.logs, set_count(&oracle->logs[0][0], 6));
    assert_int_equal(seen.changes, oracle->changes_count);
    for (uint16_t p = 0; p < PARTITIONS; p++) {
        seen = (struct seen){.oracle = oracle};
        assert_int_equal(meta_visit_partition(folder->meta, p, &visitor, &error), FST_OK);
        assert_false(seen.is_wrong);
        assert_int_equal(seen.rows, oracle_rows(oracle, p));
        assert_int_equal(seen.clients, set_count(oracle->clients[p], CLIENTS));
        assert_int_equal(seen.lsns + seen.logs + seen.changes, 0);
    }
    assert_int_equal(meta_check(folder->meta, &error), FST_OK);
}

static void test_matches_an_oracle(void **state) {
    (void)state;
    struct folder folder;
    uint64_t random = seed_get(3), number = 1;
    struct oracle *oracle = calloc(1, sizeof *oracle), *before = calloc(1, sizeof *before);
    struct meta_reader *reader = NULL;
    struct fst_error error = {0};
    assert_true(keys_differ());
    folder_init(&folder, MAP_BYTES);
    for (int round = 0; round < 60; round++) {
        *before = *oracle;
        struct meta_batch *batch = batch_begin(&folder);
        for (uint64_t puts = random_next(&random) % 60; puts > 0; puts--) {
            uint64_t kind = random_next(&random) % 100;
            if (kind < 60) row_put(batch, oracle, &random, number++);
            if (kind >= 60 && kind < 80) row_remove(batch, oracle, &random);
            if (kind >= 80 && kind < 99) others_put(batch, oracle, &random, number++);
            if (kind == 99) partition_remove(batch, oracle, &random);
        }
        if (random_next(&random) % 4 == 0) {
            meta_abort(batch);
            *oracle = *before;
        } else {
            batch_commit(batch);
        }
        if (round % 5 == 0) {
            meta_reader_close(reader);
            folder_reopen(&folder);
            assert_int_equal(meta_reader_open(&reader, folder.meta, &error), FST_OK);
        }
        oracle_compare(&folder, oracle);
        reader_compare(reader, oracle);
    }
    meta_reader_close(reader);
    free(oracle);
    free(before);
    folder_deinit(&folder);
}

/* ---- limits and failures ---- */

static void test_a_full_map_is_a_status(void **state) {
    (void)state;
    struct folder folder;
    struct fst_error error;
    uint8_t data[1000];
    folder_init(&folder, 1 << 20);
    fill(data, sizeof data, 1);
    struct meta_batch *batch = batch_begin(&folder);
    assert_int_equal(meta_put_value(batch, "kept", bytes_of("here", 4)), FST_OK);
    batch_commit(batch);
    batch = batch_begin(&folder);
    enum fst_status status = FST_OK;
    for (uint64_t i = 0; i < 5000 && status == FST_OK; i++) {
        status = meta_put_change(batch, i, bytes_of(data, sizeof data));
    }
    assert_int_equal(status, FST_DISK_FULL);
    meta_abort(batch);

    /* The store goes on as before, and with a larger map there is room. */
    uint8_t found[8];
    size_t found_bytes;
    assert_int_equal(meta_get_value(folder.meta, "kept", found, 8, &found_bytes, &error), FST_OK);
    batch = batch_begin(&folder);
    assert_int_equal(meta_put_value(batch, "kept", bytes_of("still", 5)), FST_OK);
    batch_commit(batch);
    folder_reopen(&folder);
    batch = batch_begin(&folder);
    for (uint64_t i = 0; i < 5000; i++) {
        assert_int_equal(meta_put_change(batch, i, bytes_of(data, sizeof data)), FST_OK);
    }
    batch_commit(batch);
    assert_int_equal(meta_check(folder.meta, &error), FST_OK);
    assert_true(meta_used_bytes(folder.meta) > 5000000);
    folder_deinit(&folder);
}

static void test_sizes_past_the_limit(void **state) {
    (void)state;
    struct folder folder;
    uint8_t key[META_KEY_BYTES_MAX + 1] = {1};
    folder_init(&folder, MAP_BYTES);
    struct meta_batch *batch = batch_begin(&folder);
    struct meta_row row = {.key = bytes_of(key, META_KEY_BYTES_MAX - 6)};
    assert_int_equal(meta_put_row(batch, &row), FST_OK);
    row.key.bytes += 1;
    assert_int_equal(meta_put_row(batch, &row), FST_TOO_LARGE);
    assert_int_equal(meta_remove_row(batch, 0, 0, row.key), FST_TOO_LARGE);
    uint8_t *large = calloc(1, META_VALUE_BYTES_MAX + 1);
    assert_int_equal(meta_put_value(batch, "large", bytes_of(large, META_VALUE_BYTES_MAX + 1)),
                     FST_TOO_LARGE);
    free(large);
    meta_abort(batch);
    folder_deinit(&folder);
}

static void test_opens_what_is_there_or_says_why_not(void **state) {
    (void)state;
    struct folder folder;
    struct fst_error error;
    struct meta *meta;
    char path[PATH_BYTES];
    folder_init(&folder, MAP_BYTES);
    meta_close(folder.meta);
    folder.meta = NULL;
    struct meta_options options = {.path = folder.path, .map_bytes = MAP_BYTES};

    options.is_read_only = true;
    assert_int_equal(meta_open(&meta, &options, &error), FST_OK);
    assert_int_equal(meta_check(meta, &error), FST_OK);
    meta_close(meta);

    file_path(&folder, "data.mdb", path);
    assert_int_equal(truncate(path, 8192), 0); /* Less than the databases take. */
    options.is_read_only = false;
    assert_int_equal(meta_open(&meta, &options, &error), FST_CORRUPT);
    assert_non_null(strstr(error.text, "cut short"));

    int file = open(path, O_WRONLY | O_TRUNC);
    assert_true(file >= 0);
    static const char text[8192] = "this is no database";
    assert_int_equal(write(file, text, sizeof text), sizeof text);
    assert_int_equal(close(file), 0);
    assert_int_equal(meta_open(&meta, &options, &error), FST_CORRUPT);

    assert_int_equal(unlink(path), 0);
    options.is_read_only = true;
    assert_int_equal(meta_open(&meta, &options, &error), FST_NOT_FOUND);
    options.path = "no/such/folder";
    assert_int_equal(meta_open(&meta, &options, &error), FST_NOT_FOUND);
    options.is_read_only = false;
    assert_int_equal(meta_open(&meta, &options, &error), FST_NOT_FOUND);
    assert_non_null(strstr(error.text, "no/such/folder"));
    folder_deinit(&folder);
}

/* ---- flipped bits ---- */

static uint8_t *file_read(const char *path, size_t *bytes_out) {
    struct stat info;
    int file = open(path, O_RDONLY);
    assert_true(file >= 0);
    assert_int_equal(fstat(file, &info), 0);
    uint8_t *data = malloc((size_t)info.st_size);
    assert_int_equal(read(file, data, (size_t)info.st_size), info.st_size);
    assert_int_equal(close(file), 0);
    *bytes_out = (size_t)info.st_size;
    return data;
}

static const uint8_t *find(const uint8_t *data, size_t bytes, const void *what, size_t what_bytes) {
    return memmem(data, bytes, what, what_bytes);
}

/* Every byte of a stored value, checksum and length included, is flipped in the file while it is
 * closed: reading it is FST_CORRUPT, with the database and the key in the text. */
static void test_flipped_values_are_never_handed_out(void **state) {
    (void)state;
    struct folder folder;
    struct fst_error error;
    char path[PATH_BYTES];
    uint8_t value[2500], found[2500];
    folder_init(&folder, MAP_BYTES);
    fill(value, sizeof value, 99);
    struct meta_batch *batch = batch_begin(&folder);
    assert_int_equal(meta_put_value(batch, "marked", bytes_of(value, sizeof value)), FST_OK);
    batch_commit(batch);
    meta_close(folder.meta);
    file_path(&folder, "data.mdb", path);
    size_t bytes;
    uint8_t *data = file_read(path, &bytes);
    /* Where the two pieces lie: found by what they hold. */
    const uint8_t *first = find(data, bytes, value, 64);
    const uint8_t *second = find(data, bytes, value + sizeof value - 64, 64);
    assert_non_null(first);
    assert_non_null(second);
    const size_t places[] = {(size_t)(first - data) - 12, (size_t)(first - data) - 8,
                             (size_t)(first - data) - 4,  (size_t)(first - data) - 1,
                             (size_t)(first - data),      (size_t)(first - data) + 1500,
                             (size_t)(second - data),     (size_t)(second - data) + 63};
    int file = open(path, O_WRONLY);
    for (size_t i = 0; i < 8 * (sizeof places / sizeof places[0]); i++) {
        size_t place = places[i / 8], found_bytes;
        uint8_t flipped = (uint8_t)(data[place] ^ 1u << i % 8);
        assert_int_equal(pwrite(file, &flipped, 1, (off_t)place), 1);
        folder_open(&folder, MAP_BYTES);
        assert_int_equal(
            meta_get_value(folder.meta, "marked", found, sizeof found, &found_bytes, &error),
            FST_CORRUPT);
        assert_non_null(strstr(error.text, "database store, key 6d61726b6564"));
        assert_int_equal(meta_check(folder.meta, &error), FST_CORRUPT);
        meta_close(folder.meta);
        assert_int_equal(pwrite(file, &data[place], 1, (off_t)place), 1);
    }
    assert_int_equal(close(file), 0);
    folder_open(&folder, MAP_BYTES);
    assert_int_equal(meta_check(folder.meta, &error), FST_OK);
    free(data);
    folder_deinit(&folder);
}

/* A visitor's refusal ends the visit with its status. */
static enum fst_status refuse(void *context, uint16_t partition, uint64_t lsn) {
    (void)lsn;
    *(uint32_t *)context += 1;
    return partition == 2 ? FST_UNKNOWN : FST_OK;
}

static void test_a_visitor_can_end_the_visit(void **state) {
    (void)state;
    struct folder folder;
    struct fst_error error;
    uint32_t seen = 0;
    folder_init(&folder, MAP_BYTES);
    struct meta_batch *batch = batch_begin(&folder);
    for (uint16_t p = 0; p < 5; p++) assert_int_equal(meta_put_lsn(batch, p, p), FST_OK);
    batch_commit(batch);
    const struct meta_visitor visitor = {.context = &seen, .lsn = refuse};
    assert_int_equal(meta_visit(folder.meta, &visitor, &error), FST_UNKNOWN);
    assert_int_equal(seen, 3);
    folder_deinit(&folder);
}

static enum fst_status log_note(void *context, const struct log_position *position) {
    uint64_t *sum = context;
    *sum = *sum * 10 + position->epoch % 256;
    return FST_OK;
}

/* The done epoch takes the positions before it away, and only those. */
static void test_done_epoch(void **state) {
    (void)state;
    struct folder folder;
    struct fst_error error;
    folder_init(&folder, MAP_BYTES);
    uint32_t epoch = 7;
    assert_int_equal(meta_get_done_epoch(folder.meta, &epoch, &error), FST_OK);
    assert_int_equal(epoch, 0);
    for (uint32_t done = 1; done <= 5; done++) {
        struct meta_batch *batch = batch_begin(&folder);
        uint64_t seen = 0;
        for (uint32_t e = 1; e <= 4; e++) {
            const struct log_position position = {.epoch = e == 1 ? 1 : 254 + e, .shard = e};
            assert_int_equal(meta_put_log(batch, &position), FST_OK);
        }
        assert_int_equal(meta_put_done_epoch(batch, done == 1 ? 1 : 254 + done), FST_OK);
        batch_commit(batch);
        const struct meta_visitor visitor = {.context = &seen, .log = log_note};
        assert_int_equal(meta_visit(folder.meta, &visitor, &error), FST_OK);
        static const uint64_t left[] = {0, 1012, 12, 12, 2, 0};
        assert_int_equal(seen, left[done]);
        assert_int_equal(meta_get_done_epoch(folder.meta, &epoch, &error), FST_OK);
        assert_int_equal(epoch, done == 1 ? 1 : 254 + done);
    }
    assert_int_equal(meta_check(folder.meta, &error), FST_OK);
    folder_deinit(&folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_done_epoch),
        cmocka_unit_test(test_values_of_every_size),
        cmocka_unit_test(test_matches_an_oracle),
        cmocka_unit_test(test_a_row_is_kept_whole),
        cmocka_unit_test(test_a_full_map_is_a_status),
        cmocka_unit_test(test_sizes_past_the_limit),
        cmocka_unit_test(test_opens_what_is_there_or_says_why_not),
        cmocka_unit_test(test_flipped_values_are_never_handed_out),
        cmocka_unit_test(test_a_visitor_can_end_the_visit),
    };
    return cmocka_run_group_tests_name("meta/meta", tests, NULL, NULL);
}
