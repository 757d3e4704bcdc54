#include "tests/shard/shard_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"

enum { RESERVE_BYTES = 64 << 20, ARENA_BYTES = 4 << 20, COLUMN_N = 0, COLUMN_NOTE = 1 };

const char fixture_yaml[] = "namespace: t\n"
                            "entities:\n"
                            "  - {name: customer, keys: [{name: customer_id, type: int64}]}\n"
                            "views:\n"
                            "  - name: plain\n"
                            "    entity: customer\n"
                            "    features:\n"
                            "      - {name: n, type: int64}\n"
                            "      - {name: note, type: string}\n"
                            "  - name: early\n"
                            "    entity: customer\n"
                            "    visible: memory\n"
                            "    features:\n"
                            "      - {name: n, type: int64}\n"
                            "      - {name: note, type: string}\n";

/* ---- definitions ---- */

void fixture_apply(struct registry *registry, const char *yaml) {
    char name[] = "test.yaml";
    char actor[] = "test";
    Fst__Document document = FST__DOCUMENT__INIT;
    Fst__Document *documents[] = {&document};
    Fst__ApplyRequest request = FST__APPLY_REQUEST__INIT;
    document.name = name;
    document.text.data = (uint8_t *)(uintptr_t)yaml;
    document.text.len = strlen(yaml);
    request.actor = actor;
    request.n_documents = 1;
    request.documents = documents;
    Fst__ApplyReply *reply = NULL;
    struct bytes change = {0};
    assert_int_equal(registry_plan_apply(registry, &request, 1, &reply, &change), FST_OK);
    for (size_t i = 0; i < reply->n_problems; i++) print_message("%s\n", reply->problems[i]->text);
    assert_false(reply->refused);
    assert_non_null(change.data);
    struct fst_error error = {.text = ""};
    enum fst_status status = registry_adopt(registry, change, &error);
    if (status != FST_OK) print_message("%s\n", error.text);
    assert_int_equal(status, FST_OK);
    fst__apply_reply__free_unpacked(reply, NULL);
    free((void *)(uintptr_t)change.data);
}

struct registry *fixture_registry(const char *yaml) {
    struct registry *registry = NULL;
    assert_int_equal(registry_create(&registry), FST_OK);
    fixture_apply(registry, yaml);
    return registry;
}

/* ---- life ---- */

static void partitions_open(struct shard_fixture *fixture) {
    io_sim_memory(fixture->sim, "mem/");
    assert_int_equal(fixture->io->ops->mkdir(fixture->io, "mem"), 0);
    for (uint32_t p = 0; p < FIXTURE_PARTITIONS; p++) {
        char path[32];
        snprintf(path, sizeof path, "mem/%u.table", p);
        struct partition_options options = {
            .io = fixture->io,
            .epoch = &fixture->engine->epoch,
            .budget = &fixture->engine->budget,
            .secret = fixture->secret,
            .partition = p,
            .reserve_bytes = RESERVE_BYTES,
            .path = path,
        };
        enum partition_origin origin;
        assert_int_equal(partition_open(&fixture->partitions[p], &options, &origin, NULL), FST_OK);
        assert_int_equal(origin, PARTITION_NEW);
    }
}

static void log_start(struct shard_fixture *fixture) {
    assert_int_equal(fixture->io->ops->mkdir(fixture->io, FIXTURE_DIR), 0);
    assert_int_equal(fixture->io->ops->sync_dir(fixture->io, "."), 0);
    fixture->log_options = (struct log_options){.store_id = {7},
                                                .epoch = 1,
                                                .shard = 0,
                                                .group_bytes_max = FIXTURE_GROUP_BYTES,
                                                .file_bytes = FIXTURE_FILE_BYTES,
                                                .groups_in_flight_max = FIXTURE_GROUPS_IN_FLIGHT};
    assert_int_equal(log_open(&fixture->log, fixture->io, FIXTURE_DIR, &fixture->log_options, NULL),
                     FST_OK);
}

struct shard_fixture *shard_fixture_create(uint64_t seed, uint64_t limit_bytes,
                                           uint32_t shards_count) {
    struct shard_fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    fixture->engine = aligned_alloc(64, bytes_align(sizeof *fixture->engine, 64));
    assert_non_null(fixture->engine);
    memset(fixture->engine, 0, sizeof *fixture->engine);
    fixture->sim = io_sim_create(seed);
    fixture->io = io_sim_io(fixture->sim);
    fixture->registry = fixture_registry(fixture_yaml);
    assert_int_equal(registry_catalog(fixture->registry, &fixture->catalog), FST_OK);
    fixture->plain = catalog_find_view(fixture->catalog, "plain");
    fixture->early = catalog_find_view(fixture->catalog, "early");
    assert_true(fixture->early->is_visible_from_memory);
    fixture->secret = (struct hash_secret){.k0 = seed, .k1 = 2};
    fixture->engine->partitions_count = FIXTURE_PARTITIONS;
    fixture->engine->shards_count = shards_count;
    fixture->engine->budget.limit_bytes = limit_bytes;
    epoch_init(&fixture->engine->epoch, 2);
    assert_int_equal(write_buffers_init(&fixture->buffers), FST_OK);
    assert_int_equal(arena_init(&fixture->arena, ARENA_BYTES), FST_OK);
    partitions_open(fixture);
    log_start(fixture);
    assert_int_equal(committer_init(&fixture->committer, fixture->log, fixture->partitions,
                                    FIXTURE_PARTITIONS, &fixture->is_disk_full),
                     FST_OK);
    return fixture;
}

static void storage_close(struct shard_fixture *fixture) {
    log_close(fixture->log);
    fixture->log = NULL;
    for (uint32_t p = 0; p < FIXTURE_PARTITIONS; p++) {
        partition_close(fixture->partitions[p]);
        fixture->partitions[p] = NULL;
    }
}

void shard_fixture_crash(struct shard_fixture *fixture) {
    storage_close(fixture);
    io_sim_crash(fixture->sim);
}

void shard_fixture_destroy(struct shard_fixture *fixture) {
    committer_deinit(&fixture->committer);
    storage_close(fixture);
    arena_deinit(&fixture->arena);
    buffers_deinit(&fixture->buffers);
    catalog_destroy(fixture->catalog);
    registry_destroy(fixture->registry);
    io_sim_destroy(fixture->sim);
    free(fixture->engine);
    free(fixture);
}

int64_t fixture_now_us(const struct shard_fixture *fixture) {
    return io_now_us(fixture->io);
}

void fixture_check(const struct shard_fixture *fixture) {
    assert_int_equal(committer_check(&fixture->committer), FST_OK);
    assert_int_equal(log_check(fixture->log), FST_OK);
    for (uint32_t p = 0; p < FIXTURE_PARTITIONS; p++) {
        struct fst_error error = {.text = ""};
        enum fst_status status = partition_check(fixture->partitions[p], fixture->catalog, &error);
        if (status != FST_OK) print_message("%s\n", error.text);
        assert_int_equal(status, FST_OK);
    }
}

/* ---- rows ---- */

/* How many letters the note of a row has; -1: it is null. */
static int note_bytes(int64_t n) {
    return (int)(n % (FIXTURE_NOTE_BYTES_MAX + 1)) - 1;
}

static void note_fill(int64_t n, char note_out[FIXTURE_NOTE_BYTES_MAX]) {
    memset(note_out, 'a' + (int)(n % 26), FIXTURE_NOTE_BYTES_MAX);
}

static void image_put(const struct row_layout *layout, const struct fixture_row *row,
                      uint8_t *image, struct writer *heap) {
    memset(image, 0, layout->image_bytes);
    store_i64(image, row->event_us);
    store_i64(image + 8, row->created_us);
    store_i64(image + ROW_KEY_OFFSET, row->key);
    uint8_t *body = image + layout->body_offset;
    store_i64(body + layout->body.columns[COLUMN_N].offset, row->n);
    int bytes = note_bytes(row->n);
    if (bytes < 0) {
        row_set_null(body, COLUMN_NOTE);
        return;
    }
    char note[FIXTURE_NOTE_BYTES_MAX];
    note_fill(row->n, note);
    struct row_reference reference = {.offset = (uint32_t)writer_used(heap),
                                      .bytes = (uint32_t)bytes};
    memcpy(body + layout->body.columns[COLUMN_NOTE].offset, &reference, sizeof reference);
    size_t padded_bytes = bytes_align((size_t)bytes, 8);
    uint8_t *room = write_room(heap, padded_bytes);
    assert_true(room || padded_bytes == 0);
    if (padded_bytes == 0) return;
    memset(room, 0, padded_bytes);
    memcpy(room, note, (size_t)bytes);
}

struct row_set *fixture_set(struct shard_fixture *fixture, const struct view *view,
                            const struct fixture_row *rows, uint32_t rows_count) {
    const struct row_layout *layout = &view_current(view)->layout;
    FST_ASSERT(rows_count <= FIXTURE_ROWS_MAX);
    size_t heap_bytes = (size_t)rows_count * (FIXTURE_NOTE_BYTES_MAX + 8);
    struct row_set *set = arena_get(&fixture->arena, sizeof *set);
    assert_non_null(set);
    *set = (struct row_set){
        .view = view,
        .rows_count = rows_count,
        .images = arena_get(&fixture->arena, (size_t)rows_count * layout->image_bytes),
        .heap = arena_get(&fixture->arena, heap_bytes),
        .statuses = arena_get(&fixture->arena, rows_count),
    };
    assert_true(set->images && set->heap && set->statuses);
    memset(set->statuses, FST_OK, rows_count);
    struct writer heap = writer_of(set->heap, heap_bytes);
    for (uint32_t i = 0; i < rows_count; i++) {
        image_put(layout, &rows[i], set->images + (size_t)i * layout->image_bytes, &heap);
    }
    set->heap_bytes = (uint32_t)writer_used(&heap);
    return set;
}

struct write_request *fixture_request(struct shard_fixture *fixture, struct row_set *set,
                                      const struct write_origin *origin,
                                      struct write_batches *batches_out) {
    struct write_source source = {
        .engine = fixture->engine, .buffers = &fixture->buffers, .arena = &fixture->arena};
    struct write_request *request = NULL;
    assert_int_equal(
        write_request_create(&source, origin, set, fixture_now_us(fixture), &request, batches_out),
        FST_OK);
    arena_reset(&fixture->arena);
    return request;
}

struct write_batch *fixture_batch(struct shard_fixture *fixture, const struct view *view,
                                  const struct write_origin *origin, const struct fixture_row *rows,
                                  uint32_t rows_count) {
    struct write_batches batches;
    struct row_set *set = fixture_set(fixture, view, rows, rows_count);
    struct write_request *request = fixture_request(fixture, set, origin, &batches);
    assert_int_equal(batches.count, 1);
    assert_int_equal(batches.owners[0], 0);
    assert_ptr_equal(batches.batches[0]->request, request);
    return batches.batches[0];
}

/* ---- looking ---- */

uint32_t fixture_partition(int64_t key) {
    uint8_t bytes[8];
    store_i64(bytes, key);
    return hash_partition(bytes, sizeof bytes, FIXTURE_PARTITIONS);
}

static void note_check(int64_t n, bool is_null, struct bytes note) {
    char wanted[FIXTURE_NOTE_BYTES_MAX];
    int bytes = note_bytes(n);
    assert_int_equal(is_null, bytes < 0);
    if (is_null) return;
    note_fill(n, wanted);
    assert_int_equal(note.bytes, bytes);
    if (bytes > 0) assert_memory_equal(note.data, wanted, (size_t)bytes);
}

bool fixture_find(const struct shard_fixture *fixture, const struct view *view, int64_t key,
                  struct fixture_row *row_out, uint64_t *lsn_out) {
    uint8_t key_bytes[8];
    uint64_t body[16];
    const struct row_layout *layout = &view_current(view)->layout;
    struct bytes bytes = {.data = key_bytes, .bytes = sizeof key_bytes};
    store_i64(key_bytes, key);
    struct partition_read read = {
        .partition = fixture->partitions[fixture_partition(key)],
        .key = bytes,
        .hash = partition_hash(&fixture->secret, view->entity->id, bytes),
        .view_id = view->id,
        .key_bytes_fixed = layout->key_bytes,
        .copy = (uint8_t *)body,
        .body_bytes_max = sizeof body,
    };
    partition_read_many(&read, 1);
    if (!read.is_found) return false;
    const struct row_column *columns = layout->body.columns;
    *row_out = (struct fixture_row){.key = key,
                                    .event_us = read.event_us,
                                    .created_us = read.created_us,
                                    .n = load_i64(read.copy + columns[COLUMN_N].offset)};
    *lsn_out = read.lsn;
    bool is_null = row_is_null(read.copy, COLUMN_NOTE);
    struct bytes note = {0};
    if (!is_null) {
        note = partition_value(read.partition, load_u64(read.copy + columns[COLUMN_NOTE].offset));
    }
    note_check(row_out->n, is_null, note);
    return true;
}

struct fixture_row fixture_decode(const struct view *view, const uint8_t *image,
                                  const uint8_t *heap) {
    const struct row_layout *layout = &view_current(view)->layout;
    const uint8_t *body = image + layout->body_offset;
    struct fixture_row row = {
        .key = load_i64(row_key(layout, image, heap).data),
        .event_us = load_i64(image),
        .created_us = load_i64(image + 8),
        .n = load_i64(row_value(&layout->body, body, heap, COLUMN_N).data),
    };
    bool is_null = row_is_null(body, COLUMN_NOTE);
    struct bytes note = {0};
    if (!is_null) note = row_value(&layout->body, body, heap, COLUMN_NOTE);
    note_check(row.n, is_null, note);
    return row;
}
