/* Drives a partition against an oracle too simple to be wrong: an array of the greatest row per key
 * and view. Writes, late writes, ties, removals, new revisions, values of all sizes and reopening
 * are mixed at random, once with keys that are spread and once with keys picked so that they share
 * home buckets and tags; partition_check() runs in the loops. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <sys/stat.h>

#include "tests/online/online_fixture.h"

enum {
    LIMIT_BYTES = 256 << 20,
    KEYS_MAX = 1500,
    BATCH_MAX = 40,
    FIXED_MORE_BYTES = 1 << 20, /* removals, directory, waiting lists, extent table */
};

/* ---- order of the rows of one key ---- */

static const struct order_case {
    const char *name;
    int64_t event_us, created_us;
    uint64_t lsn;
    enum fst_status status;
    bool is_shown;
} order_cases[] = {
    {"later event", 11, 0, 1, FST_OK, true},
    {"earlier event", 9, 99, 99, FST_STALE, false},
    {"same event, later created", 10, 21, 1, FST_OK, true},
    {"same event, earlier created", 10, 19, 99, FST_STALE, false},
    {"same times, later lsn", 10, 20, 31, FST_OK, true},
    {"same times, earlier lsn", 10, 20, 29, FST_STALE, false},
    {"the same row again", 10, 20, 30, FST_OK, false},
    {"event before 1970", -1, 20, 99, FST_STALE, false},
};

static void test_order(void **state) {
    (void)state;
    struct online_fixture *fixture = online_fixture_create(LIMIT_BYTES);
    for (size_t i = 0; i < sizeof order_cases / sizeof order_cases[0]; i++) {
        const struct order_case *c = &order_cases[i];
        print_message("  %s\n", c->name);
        struct row_spec first = {
            .view_id = VIEW_SMALL, .key = (int64_t)i, .event_us = 10, .created_us = 20, .value = 1};
        struct row_spec second = first;
        second.event_us = c->event_us;
        second.created_us = c->created_us;
        second.value = 2;
        assert_int_equal(row_write(fixture, &first, 30), FST_OK);
        assert_int_equal(row_write(fixture, &second, c->lsn), c->status);
        struct row_found found;
        assert_true(row_get(fixture, VIEW_SMALL, first.key, &found));
        if (c->is_shown)
            assert_true(row_is(fixture, &found, &second, c->lsn));
        else
            assert_true(row_is(fixture, &found, &first, 30));
    }
    online_fixture_check(fixture);
    online_fixture_destroy(fixture);
}

/* ---- model ---- */

struct oracle_row {
    bool is_present;
    uint64_t lsn;
    struct row_spec spec;
};

struct model {
    struct online_fixture *fixture;
    struct oracle_row *rows; /* keys x views */
    int64_t keys[KEYS_MAX];
    uint32_t keys_count;
    uint32_t views[8];
    uint32_t views_count;
    uint64_t lsn;
    uint64_t random;
    uint32_t rows_count;    /* that are served */
    uint32_t deleted_count; /* that say that their key was deleted */
};

static struct oracle_row *oracle_at(struct model *model, uint32_t key, uint32_t view) {
    return &model->rows[key * model->views_count + view];
}

static struct row_spec spec_pick(struct model *model, uint32_t key, uint32_t view_id) {
    struct row_spec spec = {
        .view_id = view_id,
        .key = model->keys[key],
        .event_us = (int64_t)(random_next(&model->random) % 50),
        .created_us = (int64_t)(random_next(&model->random) % 3),
        .value = random_next(&model->random) % 100000,
    };
    uint32_t revisions = model->fixture->by_id[view_id]->revisions_count;
    spec.revision = (uint16_t)(random_next(&model->random) % revisions);
    if (random_next(&model->random) % 16 == 0) spec.heavy_bytes = 65536;
    if (random_next(&model->random) % 5 == 0) spec.revision = VIEW_REVISION_DELETED;
    return spec;
}

/* A row that says that its key was deleted is there, and is not found. */
static bool is_served(const struct oracle_row *row) {
    return row->is_present && row->spec.revision != VIEW_REVISION_DELETED;
}

static bool is_deleted(const struct oracle_row *row) {
    return row->is_present && row->spec.revision == VIEW_REVISION_DELETED;
}

static bool is_greater(const struct row_spec *spec, uint64_t lsn, const struct oracle_row *row) {
    if (!row->is_present) return true;
    if (spec->event_us != row->spec.event_us) return spec->event_us > row->spec.event_us;
    if (spec->created_us != row->spec.created_us) return spec->created_us > row->spec.created_us;
    return lsn > row->lsn;
}

/* A record of one or many rows, some of them of the same key. */
static void model_write(struct model *model) {
    struct row_spec specs[BATCH_MAX];
    uint32_t keys[BATCH_MAX];
    uint8_t statuses[BATCH_MAX];
    uint32_t view = (uint32_t)(random_next(&model->random) % model->views_count);
    bool is_single = random_next(&model->random) % 4 != 0;
    uint32_t count = is_single ? 1 : 1 + (uint32_t)(random_next(&model->random) % BATCH_MAX);
    for (uint32_t i = 0; i < count; i++) {
        keys[i] = (uint32_t)(random_next(&model->random) % model->keys_count);
        specs[i] = spec_pick(model, keys[i], model->views[view]);
        specs[i].revision = specs[0].revision;
        specs[i].heavy_bytes = specs[0].heavy_bytes;
        if (count > 4 && specs[0].heavy_bytes) specs[i].heavy_bytes = 300;
    }
    const struct view *type = model->fixture->by_id[specs[0].view_id];
    struct record record = record_make(model->fixture, specs, count, model->lsn + 1);
    assert_int_equal(log_rows_check(type, record.header.type, record.body, record.body_bytes),
                     FST_OK);
    struct partition *partition = model->fixture->partition;
    assert_int_equal(partition_admit(partition, type, record.body), PARTITION_ADMIT);
    assert_int_equal(partition_apply(partition, type, &record.header, record.body, true, statuses),
                     FST_OK);
    for (uint32_t i = 0; i < count; i++) {
        struct oracle_row *row = oracle_at(model, keys[i], view);
        bool is_new = is_greater(&specs[i], model->lsn + 1 + i, row);
        assert_int_equal(statuses[i], is_new ? FST_OK : FST_STALE);
        if (!is_new) continue;
        model->rows_count -= is_served(row);
        model->deleted_count -= is_deleted(row);
        *row = (struct oracle_row){.is_present = true, .lsn = model->lsn + 1 + i, .spec = specs[i]};
        model->rows_count += is_served(row);
        model->deleted_count += is_deleted(row);
    }
    model->lsn += count;
    record_free(&record);
}

static void model_remove(struct model *model) {
    uint32_t key = (uint32_t)(random_next(&model->random) % model->keys_count);
    uint32_t view = (uint32_t)(random_next(&model->random) % model->views_count);
    struct oracle_row *row = oracle_at(model, key, view);
    assert_int_equal(row_remove(model->fixture, model->views[view], model->keys[key]),
                     row->is_present ? FST_OK : FST_NOT_FOUND);
    model->rows_count -= is_served(row);
    model->deleted_count -= is_deleted(row);
    row->is_present = false;
}

static void model_read(struct model *model) {
    struct row_found found;
    uint32_t key = (uint32_t)(random_next(&model->random) % model->keys_count);
    uint32_t view = (uint32_t)(random_next(&model->random) % model->views_count);
    const struct oracle_row *row = oracle_at(model, key, view);
    assert_int_equal(row_get(model->fixture, model->views[view], model->keys[key], &found),
                     is_served(row));
    assert_int_equal(found.read.is_deleted, is_deleted(row));
    if (row->is_present) assert_true(row_is(model->fixture, &found, &row->spec, row->lsn));
}

/* Everything, in batches as large as a window and larger. */
static void model_read_all(struct model *model) {
    uint32_t total = model->keys_count * model->views_count;
    struct row_found *found = calloc(total, sizeof *found);
    struct partition_read *reads = calloc(total, sizeof *reads);
    assert_true(found && reads);
    for (uint32_t i = 0; i < total; i++) {
        row_prepare(model->fixture, model->views[i % model->views_count],
                    model->keys[i / model->views_count], &found[i]);
        reads[i] = found[i].read;
    }
    partition_read_many(reads, total);
    for (uint32_t i = 0; i < total; i++) {
        found[i].read = reads[i];
        assert_int_equal(reads[i].is_found, is_served(&model->rows[i]));
        assert_int_equal(reads[i].is_deleted, is_deleted(&model->rows[i]));
        if (!model->rows[i].is_present) continue;
        assert_true(row_is(model->fixture, &found[i], &model->rows[i].spec, model->rows[i].lsn));
    }
    free(found);
    free(reads);
}

/* Key and values of a row, of which nulls of a fixed size count as if they were there. */
static uint64_t payload_of(const struct online_fixture *fixture, const struct row_spec *spec) {
    static uint8_t image[ROW_BYTES_MAX], heap[ROW_HEAP_BYTES_MAX];
    uint8_t key[KEY_BYTES_MAX];
    uint32_t heap_used = 0;
    image_make(fixture, spec, image, heap, &heap_used);
    const struct row_layout *layout =
        &fixture->by_id[spec->view_id]->revisions[spec->revision].layout;
    const uint8_t *body = image + layout->body_offset;
    uint64_t bytes = key_make(fixture, spec->view_id, spec->key, key);
    for (uint32_t c = 0; c < layout->body.columns_count; c++) {
        uint32_t fixed_bytes = type_fixed_bytes(layout->body.columns[c].type);
        bytes += fixed_bytes;
        if (fixed_bytes == 0 && !row_is_null(body, c))
            bytes += row_value(&layout->body, body, heap, c).bytes;
    }
    return bytes;
}

static uint64_t memory_sum(const struct partition_stats *stats) {
    uint64_t sum = 0;
    for (uint32_t u = 0; u < PARTITION_MEMORY_COUNT; u++) sum += stats->memory_bytes[u];
    return sum;
}

/* What the memory is used for: the payload as the oracle counts it, and in all what the file takes.
 * Nothing but the fixed part lies outside the extents that were taken. */
static void model_look_memory(const struct model *model, const struct partition_stats *stats) {
    const uint64_t *memory = stats->memory_bytes;
    uint64_t payload = 0;
    for (uint32_t i = 0; i < model->keys_count * model->views_count; i++) {
        const struct oracle_row *row = &model->rows[i];
        if (row->is_present) payload += payload_of(model->fixture, &row->spec);
    }
    assert_int_equal(memory[PARTITION_MEMORY_PAYLOAD], payload);
    struct stat file;
    assert_int_equal(stat(model->fixture->path, &file), 0);
    assert_int_equal(memory_sum(stats), (uint64_t)file.st_blocks * 512);
    assert_true(memory[PARTITION_MEMORY_FIXED] <= partition_fixed_bytes_max() + FIXED_MORE_BYTES);
    assert_true(stats->live_row_bytes + stats->live_value_bytes <=
                payload + memory[PARTITION_MEMORY_HEADERS] + memory[PARTITION_MEMORY_SLACK]);
}

static void model_look(struct model *model) {
    struct partition_stats stats;
    partition_stats(model->fixture->partition, &stats);
    model_look_memory(model, &stats);
    online_fixture_check(model->fixture);
    assert_int_equal(stats.rows_count, model->rows_count);
    assert_int_equal(stats.deleted_count, model->deleted_count);
    assert_int_equal(partition_applied_lsn(model->fixture->partition), model->lsn);
    assert_true(stats.live_row_bytes + stats.live_value_bytes <= stats.mapped_bytes);
}

static void model_run(struct model *model, uint32_t steps) {
    model->rows = calloc((size_t)model->keys_count * model->views_count, sizeof *model->rows);
    assert_non_null(model->rows);
    for (uint32_t step = 1; step <= steps; step++) {
        uint32_t dice = (uint32_t)(random_next(&model->random) % 100);
        if (dice < 55)
            model_write(model);
        else if (dice < 70)
            model_remove(model);
        else if (dice < 98)
            model_read(model);
        else
            partition_reclaim(model->fixture->partition);
        if (step % (steps / 20) == 0) {
            model_look(model);
            model_read_all(model);
        }
        if (step % (steps / 5) == 0) {
            online_fixture_reopen(model->fixture);
            assert_int_equal(model->fixture->origin, PARTITION_MAPPED);
            model_look(model);
        }
    }
    free(model->rows);
}

static void test_model_spread_keys(void **state) {
    (void)state;
    struct model model = {.fixture = online_fixture_create(LIMIT_BYTES),
                          .keys_count = KEYS_MAX,
                          .views = {VIEW_SMALL, VIEW_WIDE, VIEW_TEXT, VIEW_NAMED, 63, 64},
                          .views_count = 6,
                          .random = random_seed(1)};
    for (uint32_t i = 0; i < KEYS_MAX; i++) model.keys[i] = i;
    model_run(&model, 12000);
    struct partition_stats stats;
    partition_stats(model.fixture->partition, &stats);
    assert_true(stats.splits >= 10);
    online_fixture_destroy(model.fixture);
}

/* Keys of entity 1 whose hashes have these bits. */
static void keys_collide(const struct online_fixture *fixture, int64_t *keys, uint32_t count,
                         uint64_t mask, uint64_t bits) {
    int64_t key = 0;
    for (uint32_t i = 0; i < count; key++) {
        uint64_t hash = partition_hash(&fixture->options.secret, 1,
                                       (struct bytes){.data = (const uint8_t *)&key, .bytes = 8});
        if ((hash & mask) == bits) keys[i++] = key;
    }
}

/* 4 directory bits, 5 of 6 home bits (the last home buckets, so that probes wrap) and 6 of 8 tag
 * bits agree. */
static void test_model_colliding_keys(void **state) {
    (void)state;
    struct model model = {.fixture = online_fixture_create(LIMIT_BYTES),
                          .keys_count = 120,
                          .views = {VIEW_SMALL, VIEW_TEXT, 50, 51, 52, 120, 128, 149},
                          .views_count = 8,
                          .random = random_seed(2)};
    keys_collide(model.fixture, model.keys, model.keys_count, 15 | 31 << 19 | 63u << 26, 31 << 19);
    model_run(&model, 8000);
    struct partition_stats stats;
    partition_stats(model.fixture->partition, &stats);
    assert_true(stats.splits >= 4);
    online_fixture_destroy(model.fixture);
}

/* Six entities with rows in a hundred views each, which no bit of the directory tells apart: more
 * rows than one segment holds. */
static void test_many_views_of_one_entity(void **state) {
    (void)state;
    enum { ENTITIES = 6 };
    struct online_fixture *fixture = online_fixture_create(LIMIT_BYTES);
    struct row_found found;
    int64_t keys[ENTITIES];
    keys_collide(fixture, keys, ENTITIES, (1 << 18) - 1, 77);
    for (uint32_t k = 0; k < ENTITIES; k++) {
        for (uint32_t v = VIEW_EXTRA_FIRST; v < VIEWS_END; v++) {
            struct row_spec spec = {.view_id = v, .key = keys[k], .value = v * 1000 + k};
            assert_int_equal(row_write(fixture, &spec, v), FST_OK);
        }
        online_fixture_check(fixture);
    }
    for (uint32_t k = 0; k < ENTITIES; k++) {
        for (uint32_t v = VIEW_EXTRA_FIRST; v < VIEWS_END; v++) {
            struct row_spec spec = {.view_id = v, .key = keys[k], .value = v * 1000 + k};
            assert_true(row_get(fixture, v, keys[k], &found));
            assert_true(row_is(fixture, &found, &spec, v));
        }
    }
    assert_false(row_get(fixture, VIEW_EXTRA_FIRST, keys[0] + 1, &found));
    online_fixture_destroy(fixture);
}

/* Rows of 50 float64 and a key of 8 bytes, counted by hand: 16 bytes for LSN and state, 16 for the
 * times, 8 for the null bits; 146 of them in an extent, of which 128 bytes are too short for one
 * more. The same after an update in place, a removal and reopening. */
static void test_memory_by_use(void **state) {
    (void)state;
    enum { ROWS = 1000, ROW_BYTES = 448, PLACES = 146, SPANS = (ROWS + PLACES - 1) / PLACES };
    struct online_fixture *fixture = online_fixture_create(LIMIT_BYTES);
    struct partition_stats stats;
    const uint64_t *memory = stats.memory_bytes;
    for (int64_t key = 0; key < ROWS; key++) {
        struct row_spec spec = {.view_id = VIEW_WIDE, .key = key, .value = (uint64_t)key};
        assert_int_equal(row_write(fixture, &spec, 1), FST_OK);
        spec.event_us = 1;
        assert_int_equal(row_write(fixture, &spec, 2), FST_OK);
    }
    partition_stats(fixture->partition, &stats);
    uint64_t segments = stats.splits + 1;
    assert_int_equal(memory[PARTITION_MEMORY_PAYLOAD], ROWS * 408);
    assert_int_equal(memory[PARTITION_MEMORY_HEADERS], ROWS * 40);
    assert_int_equal(memory[PARTITION_MEMORY_SLACK], SPANS * (65536 - PLACES * ROW_BYTES));
    assert_in_range(memory[PARTITION_MEMORY_INDEX], segments * 4096 + 4 * segments,
                    segments * 4096 + 64 * segments);
    uint64_t index_free = (16 - segments % 16) % 16 * 4096;
    assert_int_equal(memory[PARTITION_MEMORY_FREE],
                     index_free + (SPANS * PLACES - ROWS) * ROW_BYTES);
    assert_int_equal(memory[PARTITION_MEMORY_WAITING], 0);
    assert_int_equal(row_remove(fixture, VIEW_WIDE, 7), FST_OK);
    for (uint32_t turn = 0; turn < 2; turn++) {
        partition_stats(fixture->partition, &stats);
        assert_int_equal(memory[PARTITION_MEMORY_PAYLOAD], (ROWS - 1) * 408);
        assert_int_equal(memory[PARTITION_MEMORY_WAITING], turn == 0 ? ROW_BYTES : 0);
        online_fixture_check(fixture);
        online_fixture_reopen(fixture);
    }
    online_fixture_destroy(fixture);
}

/* Segments split when they are full, not before. */
static void test_segments_fill(void **state) {
    (void)state;
    enum { SEGMENT_SLOTS = 448, ROWS = 20000 };
    struct online_fixture *fixture = online_fixture_create(LIMIT_BYTES);
    double load_max = 0;
    for (int64_t key = 0; key < ROWS; key++) {
        struct row_spec spec = {.view_id = VIEW_EXTRA_FIRST, .key = key};
        assert_int_equal(row_write(fixture, &spec, 1), FST_OK);
        struct partition_stats stats;
        partition_stats(fixture->partition, &stats);
        double load = (double)(key + 1) / (double)((stats.splits + 1) * SEGMENT_SLOTS);
        if (key > ROWS / 4 && load > load_max) load_max = load;
    }
    print_message("  at most %.0f %% of all slots were in use\n", 100 * load_max);
    assert_true(load_max > 0.7);
    online_fixture_destroy(fixture);
}

/* ---- applying again ---- */

/* Any record may come again, in any order of records; the greatest rows stay. */
static void test_apply_again_changes_nothing(void **state) {
    (void)state;
    enum { RECORDS = 60, ROWS = 7 };
    struct online_fixture *fixture = online_fixture_create(LIMIT_BYTES);
    uint64_t random = random_seed(3);
    struct record records[RECORDS];
    struct oracle_row oracle[20] = {0};
    for (uint32_t r = 0; r < RECORDS; r++) {
        struct row_spec specs[ROWS];
        for (uint32_t i = 0; i < ROWS; i++) {
            specs[i] = (struct row_spec){.view_id = VIEW_TEXT,
                                         .revision = (uint16_t)(r % 2),
                                         .key = (int64_t)(random_next(&random) % 20),
                                         .event_us = (int64_t)(random_next(&random) % 9),
                                         .value = random_next(&random)};
            uint64_t lsn = 1 + r * ROWS + i;
            struct oracle_row *row = &oracle[specs[i].key];
            if (is_greater(&specs[i], lsn, row)) *row = (struct oracle_row){true, lsn, specs[i]};
        }
        records[r] = record_make(fixture, specs, ROWS, 1 + r * ROWS);
    }
    for (uint32_t round = 0; round < 40; round++) {
        uint32_t first = round == 0 ? 0 : (uint32_t)(random_next(&random) % RECORDS);
        uint32_t end = round == 0 ? RECORDS : first + (uint32_t)(random_next(&random) % RECORDS);
        for (uint32_t r = first; r < end; r++) {
            struct record *record = &records[r % RECORDS];
            assert_int_equal(partition_apply(fixture->partition, fixture->by_id[VIEW_TEXT],
                                             &record->header, record->body, true, NULL),
                             FST_OK);
        }
        for (int64_t key = 0; key < 20; key++) {
            struct row_found found;
            assert_true(row_get(fixture, VIEW_TEXT, key, &found) == oracle[key].is_present);
            if (oracle[key].is_present)
                assert_true(row_is(fixture, &found, &oracle[key].spec, oracle[key].lsn));
        }
        assert_int_equal(partition_applied_lsn(fixture->partition), RECORDS * ROWS);
        online_fixture_check(fixture);
    }
    for (uint32_t r = 0; r < RECORDS; r++) record_free(&records[r]);
    online_fixture_destroy(fixture);
}

/* ---- rows shown before they are durable ---- */

static void test_memory_then_durable(void **state) {
    (void)state;
    struct online_fixture *fixture = online_fixture_create(LIMIT_BYTES);
    struct row_spec spec = {.view_id = VIEW_SMALL, .key = 1, .event_us = 5, .value = 1};
    const struct view *view = fixture->by_id[VIEW_SMALL];
    struct record record = record_make(fixture, &spec, 1, 7);
    struct row_found found;
    record_set_client(&record, 9, 4);
    record.header.flags = LOG_RECORD_APPLIED;
    assert_int_equal(partition_admit(fixture->partition, view, record.body), PARTITION_ADMIT);
    assert_int_equal(
        partition_apply(fixture->partition, view, &record.header, record.body, false, NULL),
        FST_OK);
    assert_true(row_get(fixture, VIEW_SMALL, 1, &found));
    assert_int_equal(partition_memory_lsn(fixture->partition), 7);
    assert_int_equal(partition_applied_lsn(fixture->partition), 0);
    online_fixture_reopen(fixture); /* The client's write was never durable. */
    assert_int_equal(partition_memory_lsn(fixture->partition), 7);
    assert_int_equal(partition_admit(fixture->partition, view, record.body), PARTITION_ADMIT);
    assert_int_equal(
        partition_apply(fixture->partition, view, &record.header, record.body, true, NULL), FST_OK);
    assert_int_equal(partition_applied_lsn(fixture->partition), 7);
    assert_int_equal(partition_admit(fixture->partition, view, record.body), PARTITION_REPEATED);
    partition_restore_lsn(fixture->partition, 6);
    assert_int_equal(partition_applied_lsn(fixture->partition), 7);
    partition_restore_lsn(fixture->partition, 8);
    assert_int_equal(partition_applied_lsn(fixture->partition), 8);
    record_free(&record);
    online_fixture_destroy(fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_model_spread_keys),
        cmocka_unit_test(test_model_colliding_keys),
        cmocka_unit_test(test_many_views_of_one_entity),
        cmocka_unit_test(test_memory_by_use),
        cmocka_unit_test(test_segments_fill),
        cmocka_unit_test(test_apply_again_changes_nothing),
        cmocka_unit_test(test_memory_then_durable),
    };
    return cmocka_run_group_tests_name("online/partition", tests, NULL, NULL);
}
