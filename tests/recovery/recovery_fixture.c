#include "recovery_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "storage/log/log_format.h"

enum {
    VIEW_V = 0,
    VIEW_M = 1,
    GROUP_BYTES = 65536,
    FILE_BYTES = 262144,
    BODY_BYTES_MAX = 2048,
    TEXT_BYTES = 64,
    TABLE_BUSY_OFFSET = 56, /* of `busy` in a table file */
};

static const char definitions[] = "namespace: t\n"
                                  "entities:\n"
                                  "  - {name: e, keys: [{name: k, type: int64}]}\n"
                                  "views:\n"
                                  "  - name: v\n"
                                  "    entity: e\n    evict: true\n"
                                  "    features:\n"
                                  "      - {name: n, type: int64}\n"
                                  "      - {name: s, type: string}\n"
                                  "  - name: m\n"
                                  "    entity: e\n    evict: true\n"
                                  "    visible: memory\n"
                                  "    features:\n"
                                  "      - {name: n, type: int64}\n"
                                  "      - {name: s, type: string}\n";

uint64_t recovery_fixture_seed(uint64_t standard) {
    const char *text = getenv("FST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : standard;
    print_message("FST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

uint64_t recovery_fixture_random(struct recovery_fixture *f) {
    f->random += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = f->random;
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

__attribute__((format(printf, 1, 2))) static void shell(const char *format, ...) {
    char command[1024];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    assert_true(length < (int)sizeof command);
    assert_int_equal(system(command), 0);
}

/* ---- life ---- */

struct recovery_fixture *recovery_fixture_create(uint64_t seed) {
    struct recovery_fixture *f = aligned_alloc(64, bytes_align(sizeof *f, 64));
    memset(f, 0, sizeof *f);
    f->io = io_posix();
    f->random = seed;
    /* Nothing here depends on a sync, and memory answers faster. */
    (void)snprintf(f->root, sizeof f->root, "/dev/shm/recovery_XXXXXX");
    (void)snprintf(f->table_dir, sizeof f->table_dir, "/dev/shm/recovery_XXXXXX");
    assert_non_null(mkdtemp(f->root));
    assert_non_null(mkdtemp(f->table_dir));
    (void)snprintf(f->data_dir, sizeof f->data_dir, "%.200s/data", f->root);
    f->budget.limit_bytes = 64 << 20;
    f->meta_bytes = 64 << 20;
    f->threads_count = 3;
    epoch_init(&f->epoch, 1);
    return f;
}

void recovery_fixture_destroy(struct recovery_fixture *f) {
    if (f->catalog) recovery_fixture_end(f);
    shell("rm -rf %s %s", f->root, f->table_dir);
    free(f);
}

static enum fst_status adopt(void *context, struct bytes change, struct fst_error *error) {
    return registry_adopt(context, change, error);
}

static uint64_t generation(void *context) {
    return registry_generation(context);
}

static enum fst_status catalog(void *context, struct catalog **catalog_out) {
    return registry_catalog(context, catalog_out);
}

static struct recovery_options options_of(struct recovery_fixture *f) {
    return (struct recovery_options){.io = f->io,
                                     .data_dir = f->data_dir,
                                     .table_dir = f->table_dir,
                                     .partitions_new = FIXTURE_PARTITIONS,
                                     .meta_bytes = f->meta_bytes,
                                     .epoch = &f->epoch,
                                     .budget = &f->budget,
                                     .threads_count = f->threads_count,
                                     .progress = f->progress,
                                     .progress_context = f->progress_context};
}

static enum fst_status store_open(struct recovery_fixture *f) {
    const struct recovery_options options = options_of(f);
    assert_int_equal(registry_create(&f->registry), FST_OK);
    const struct recovery_registry registry = {
        .context = f->registry, .change = adopt, .generation = generation, .catalog = catalog};
    f->error = (struct fst_error){0};
    return recovery_open(&f->store, &options, &registry, &f->report, &f->error);
}

enum fst_status recovery_fixture_try(struct recovery_fixture *f) {
    enum fst_status status = store_open(f);
    if (status == FST_OK) recovery_close(&f->store);
    registry_destroy(f->registry);
    f->registry = NULL;
    return status;
}

enum fst_status recovery_fixture_try_other(struct recovery_fixture *f, struct store *store,
                                           struct recovery_report *report,
                                           struct fst_error *error) {
    const struct recovery_options options = options_of(f);
    struct registry *other;
    assert_int_equal(registry_create(&other), FST_OK);
    const struct recovery_registry registry = {
        .context = other, .change = adopt, .generation = generation, .catalog = catalog};
    enum fst_status status = recovery_open(store, &options, &registry, report, error);
    registry_destroy(other);
    return status;
}

static void catalog_renew(struct recovery_fixture *f) {
    catalog_destroy(f->catalog);
    assert_int_equal(registry_catalog(f->registry, &f->catalog), FST_OK);
}

static void logs_open(struct recovery_fixture *f) {
    for (uint32_t s = 0; s < f->shards_count; s++) {
        struct log_options options = {
            .epoch = f->store.epoch,
            .shard = s,
            .group_bytes_max = GROUP_BYTES,
            .groups_in_flight_max = 2,
            .file_bytes = FILE_BYTES,
        };
        memcpy(options.store_id, f->store.store_id, STORE_ID_BYTES);
        assert_int_equal(log_open(&f->logs[s], f->io, f->store.log_dir, &options, &f->error),
                         FST_OK);
    }
}

void recovery_fixture_open(struct recovery_fixture *f, uint32_t shards_count) {
    enum fst_status status = store_open(f);
    if (status != FST_OK) print_error("%s\n", f->error.text);
    assert_int_equal(status, FST_OK);
    f->shards_count = shards_count;
    logs_open(f);
    catalog_renew(f);
    for (uint32_t p = 0; p < FIXTURE_PARTITIONS; p++) {
        f->lsns[p] = partition_applied_lsn(f->store.partitions[p]);
    }
    if (registry_generation(f->registry) == 0) recovery_fixture_define(f, true);
}

void recovery_fixture_end(struct recovery_fixture *f) {
    f->has_memory_rows = false;
    for (uint32_t s = 0; s < f->shards_count; s++) log_close(f->logs[s]);
    recovery_close(&f->store);
    registry_destroy(f->registry);
    catalog_destroy(f->catalog);
    f->registry = NULL;
    f->catalog = NULL;
}

/* ---- rows ---- */

static const struct view *view_of(const struct recovery_fixture *f, uint32_t view) {
    const struct view *found = catalog_find_view(f->catalog, view == VIEW_V ? "t.v" : "t.m");
    assert_non_null(found);
    return found;
}

static size_t text_make(int64_t value, char text_out[TEXT_BYTES]) {
    int length = snprintf(text_out, TEXT_BYTES, "text of %lld %.*s", (long long)value,
                          (int)(value % 30), "..............................");
    return (size_t)length;
}

/* A key that belongs to the partition. */
static int64_t key_in(struct recovery_fixture *f, uint32_t partition) {
    for (;;) {
        int64_t key = (int64_t)(recovery_fixture_random(f) % FIXTURE_KEYS);
        if (hash_partition(&key, sizeof key, FIXTURE_PARTITIONS) == partition) return key;
    }
}

/* One row of a record: image at `image`, its string behind what the heap has. */
static void image_make(struct recovery_fixture *f, const struct row_layout *layout,
                       uint32_t partition, uint8_t *image, uint8_t *heap, uint32_t *heap_bytes) {
    const struct row_column *columns = layout->body.columns;
    char text[TEXT_BYTES];
    int64_t value = ++f->rows_written;
    memset(image, 0, layout->image_bytes);
    store_i64(image, (int64_t)(recovery_fixture_random(f) % 50));
    store_i64(image + 8, (int64_t)(recovery_fixture_random(f) % 3));
    store_i64(image + ROW_KEY_OFFSET, key_in(f, partition));
    if (layout->body.columns_count == 0) return; /* A delete. */
    uint8_t *body = image + layout->body_offset;
    store_i64(body + columns[0].offset, value);
    size_t bytes = text_make(value, text), padded = bytes_align(bytes, 8);
    store_u32(body + columns[1].offset, *heap_bytes);
    store_u32(body + columns[1].offset + 4, (uint32_t)bytes);
    memset(heap + *heap_bytes, 0, padded);
    memcpy(heap + *heap_bytes, text, bytes);
    *heap_bytes += (uint32_t)padded;
}

/* The body of a record of rows or deletes; returns its size. */
static size_t body_make(struct recovery_fixture *f, uint32_t view_number, uint32_t partition,
                        uint32_t rows, uint8_t body_out[BODY_BYTES_MAX]) {
    const struct view *view = view_of(f, view_number);
    bool is_delete = recovery_fixture_random(f) % 5 == 0;
    uint16_t current = (uint16_t)(view->revisions_count - 1);
    uint16_t revision = is_delete ? VIEW_REVISION_DELETED : current;
    const struct row_layout *layout = view_layout(view, revision);
    size_t image_bytes = layout->image_bytes;
    uint8_t *images = body_out + sizeof(struct log_rows_header);
    uint8_t *heap = images + rows * image_bytes;
    uint32_t heap_bytes = 0;
    for (uint32_t i = 0; i < rows; i++) {
        image_make(f, layout, partition, images + i * image_bytes, heap, &heap_bytes);
    }
    struct log_rows_header header = {
        .view_id = view->id,
        .revision = revision,
        .rows_count = rows,
        .heap_bytes = heap_bytes,
        .client_id = 1 + recovery_fixture_random(f) % FIXTURE_CLIENTS,
        .sequence = ++f->sequence,
    };
    memcpy(body_out, &header, sizeof header);
    size_t bytes = (size_t)(heap + heap_bytes - body_out);
    assert_true(bytes <= BODY_BYTES_MAX);
    return bytes;
}

static void oracle_put(struct recovery_fixture *f, const struct log_record_header *record,
                       const uint8_t *body) {
    struct log_rows_header rows;
    memcpy(&rows, body, sizeof rows);
    const struct view *v = view_of(f, VIEW_V);
    const struct row_layout *layout = view_layout(v, rows.revision);
    bool is_delete = rows.revision == VIEW_REVISION_DELETED;
    uint32_t view = rows.view_id == v->id ? VIEW_V : VIEW_M;
    for (uint32_t i = 0; i < rows.rows_count; i++) {
        const uint8_t *image = body + sizeof rows + i * (size_t)layout->image_bytes;
        struct oracle_row row = {
            .is_present = true,
            .is_deleted = is_delete,
            .event_us = load_i64(image),
            .created_us = load_i64(image + 8),
            .lsn = record->lsn + i,
        };
        const uint8_t *body_at = image + layout->body_offset;
        if (!is_delete) row.value = load_i64(body_at + layout->body.columns[0].offset);
        struct oracle_row *old = &f->oracle.rows[view][load_i64(image + ROW_KEY_OFFSET)];
        bool is_newer = !old->is_present || row.event_us > old->event_us ||
                        (row.event_us == old->event_us && row.created_us >= old->created_us);
        if (is_newer) *old = row;
    }
    uint64_t *sequence = &f->oracle.sequences[record->partition][rows.client_id - 1];
    if (rows.sequence > *sequence) *sequence = rows.sequence;
    f->oracle.lsns[record->partition] = record->lsn + rows.rows_count - 1;
}

/* ---- writing ---- */

static struct log *log_of(struct recovery_fixture *f, uint32_t partition) {
    return f->logs[partition % f->shards_count];
}

/* Appends one record; rows of `m` are applied at once. */
static void record_append(struct recovery_fixture *f, uint32_t view_number) {
    uint8_t body[BODY_BYTES_MAX];
    uint32_t partition = (uint32_t)(recovery_fixture_random(f) % FIXTURE_PARTITIONS);
    uint32_t rows = 1 + (uint32_t)(recovery_fixture_random(f) % 4);
    size_t body_bytes = body_make(f, view_number, partition, rows, body);
    const struct view *view = view_of(f, view_number);
    struct partition *owner = f->store.partitions[partition];
    assert_int_equal(partition_admit(owner, view, body), PARTITION_ADMIT);
    uint16_t revision = load_u16(body + offsetof(struct log_rows_header, revision));
    struct log_record_header header = {
        .type = revision == VIEW_REVISION_DELETED ? LOG_RECORD_DELETES : LOG_RECORD_ROWS,
        .flags = view_number == VIEW_M ? LOG_RECORD_APPLIED : 0,
        .partition = (uint16_t)partition,
        .lsn = f->lsns[partition] + 1,
    };
    f->lsns[partition] += rows;
    uint8_t *room = log_append(log_of(f, partition), &header, body_bytes);
    assert_non_null(room);
    memcpy(room, body, body_bytes);
    if (view_number == VIEW_V) return;
    /* Not yet as an applied one: that is what it says when it is durable. */
    header.flags = 0;
    assert_int_equal(partition_apply(owner, view, &header, body, false, NULL), FST_OK);
}

static void group_apply(struct recovery_fixture *f, struct log *log) {
    struct log_record_header *record = NULL;
    while ((record = log_next_completed(log, record))) {
        if (!log_record_has_rows(record)) continue;
        const uint8_t *body = (const uint8_t *)(record + 1);
        struct log_rows_header rows;
        memcpy(&rows, body, sizeof rows);
        const struct view *view = f->catalog->views_by_id[rows.view_id];
        assert_int_equal(
            partition_apply(f->store.partitions[record->partition], view, record, body, true, NULL),
            FST_OK);
        oracle_put(f, record, body);
    }
}

static void groups_write(struct recovery_fixture *f) {
    for (uint32_t s = 0; s < f->shards_count; s++) {
        struct log_write write;
        assert_int_equal(log_prepare_file(f->logs[s]), FST_OK);
        if (!log_seal(f->logs[s], &write)) continue;
        assert_int_equal(io_write_full(f->io, write.file, write.data, write.bytes, write.offset),
                         0);
        assert_int_equal(log_complete(f->logs[s], write.group, 0), FST_OK);
        group_apply(f, f->logs[s]);
        log_release(f->logs[s]);
    }
    for (uint32_t p = 0; p < FIXTURE_PARTITIONS; p++) partition_reclaim(f->store.partitions[p]);
    f->has_memory_rows = false;
}

void recovery_fixture_write(struct recovery_fixture *f, uint32_t records) {
    for (uint32_t i = 0; i < records; i++) {
        record_append(f, recovery_fixture_random(f) % 4 == 0 ? VIEW_M : VIEW_V);
        if (recovery_fixture_random(f) % 8 == 0) groups_write(f);
    }
    groups_write(f);
}

void recovery_fixture_write_in_memory(struct recovery_fixture *f) {
    for (uint32_t i = 0; i < 5; i++) record_append(f, VIEW_M);
    f->memory_written += 1;
    f->has_memory_rows = true;
}

static bool is_zero(const uint8_t *data, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        if (data[i] != 0) return false;
    }
    return true;
}

void recovery_fixture_write_torn(struct recovery_fixture *f) {
    for (uint32_t i = 0; i < 12; i++) record_append(f, VIEW_V);
    for (uint32_t s = 0; s < f->shards_count; s++) {
        struct log_write write;
        assert_int_equal(log_prepare_file(f->logs[s]), FST_OK);
        if (!log_seal(f->logs[s], &write)) continue;
        size_t bytes = recovery_fixture_random(f) % (write.bytes / 512) * 512;
        struct log_file_id id = {
            .epoch = f->store.epoch, .shard = s, .sequence = log_file_sequence(f->logs[s])};
        char name[LOG_NAME_BYTES], path[2 * FIXTURE_PATH_BYTES];
        log_file_format_name(&id, name);
        (void)snprintf(path, sizeof path, "%s/log/%s", f->data_dir, name);
        io_file file;
        assert_int_equal(f->io->ops->open(f->io, path, IO_OPEN_WRITE, &file), 0);
        assert_int_equal(io_write_full(f->io, file, write.data, bytes, write.offset), 0);
        assert_int_equal(f->io->ops->close(f->io, file), 0);
        f->torn_written += 1;
        if (!is_zero(write.data + bytes, write.bytes - bytes)) continue;
        /* Only zeros are missing: the group is whole, and nobody was told. */
        assert_int_equal(log_complete(f->logs[s], write.group, 0), FST_OK);
        struct log_record_header *record = NULL;
        while ((record = log_next_completed(f->logs[s], record))) {
            oracle_put(f, record, (const uint8_t *)(record + 1));
        }
    }
}

static const struct catalog *catalog_now(void *context) {
    const struct recovery_fixture *f = context;
    return f->older ? f->older : f->catalog;
}

enum fst_status recovery_fixture_checkpoint_try(struct recovery_fixture *f) {
    struct store *store = &f->store;
    uint64_t rows;
    struct log_position positions[FIXTURE_SHARDS_MAX];
    for (uint32_t s = 0; s < f->shards_count; s++) {
        positions[s] = (struct log_position){store->epoch, s, log_durable_group(f->logs[s])};
    }
    const struct checkpoint_options options = {
        .meta = store->meta,
        .changes = store->changes,
        .partitions = store->partitions,
        .partitions_count = FIXTURE_PARTITIONS,
        .catalog = catalog_now,
        .context = f,
        .done_epoch = store->done_epoch,
        .positions = positions,
        .positions_count = f->shards_count,
        .io = f->io,
    };
    return checkpoint_run(&options, &rows, &f->error);
}

void recovery_fixture_checkpoint(struct recovery_fixture *f) {
    enum fst_status status = recovery_fixture_checkpoint_try(f);
    /* What is seen from memory becomes durable later here, if at all; it may all be stale. */
    assert_true(status == FST_OK || (f->has_memory_rows && status == FST_TIMEOUT));
}

void recovery_fixture_fill_meta(struct recovery_fixture *f) {
    enum { VALUES = 12, VALUE_BYTES = 1900 };
    static const uint8_t value[VALUE_BYTES];
    enum fst_status status = FST_OK;
    for (uint32_t n = 0; status == FST_OK; n++) {
        struct meta_batch *batch;
        char name[16];
        assert_int_equal(meta_begin(f->store.meta, &batch, &f->error), FST_OK);
        for (uint32_t i = 0; i < VALUES && status == FST_OK; i++) {
            (void)snprintf(name, sizeof name, "%u", n * VALUES + i);
            struct bytes bytes = {.data = value, .bytes = VALUE_BYTES};
            status = meta_put_value(batch, name, bytes);
        }
        if (status == FST_OK)
            status = meta_commit(batch, &f->error);
        else
            meta_abort(batch);
    }
    assert_int_equal(status, FST_DISK_FULL);
}

void recovery_fixture_remove(struct recovery_fixture *f, uint32_t rows) {
    for (int64_t key = 0; key < FIXTURE_KEYS && rows > 0; key++) {
        if (!f->oracle.rows[VIEW_V][key].is_present) continue;
        struct bytes name = {.data = (const uint8_t *)&key, .bytes = sizeof key};
        uint32_t p = hash_partition(&key, sizeof key, FIXTURE_PARTITIONS);
        assert_int_equal(partition_remove(f->store.partitions[p], view_of(f, VIEW_V), name),
                         FST_OK);
        f->oracle.rows[VIEW_V][key] = (struct oracle_row){0};
        rows -= 1;
    }
    assert_int_equal(rows, 0);
}

void recovery_fixture_forget_changes(struct recovery_fixture *f) {
    const struct partition_visitor nobody = {.context = NULL};
    for (uint32_t p = 0; p < FIXTURE_PARTITIONS; p++) {
        struct partition *partition = f->store.partitions[p];
        assert_int_equal(partition_visit(partition, false, f->catalog, &nobody), FST_OK);
        partition_visit_end(partition, false);
    }
}

static int name_count(void *context, const char *name) {
    (void)name;
    *(uint32_t *)context += 1;
    return 0;
}

uint32_t recovery_fixture_log_files(struct recovery_fixture *f) {
    uint32_t count = 0;
    assert_int_equal(f->io->ops->list(f->io, f->store.log_dir, name_count, &count), 0);
    return count;
}

static enum fst_status position_count(void *context, const struct log_position *position) {
    (void)position;
    *(uint32_t *)context += 1;
    return FST_OK;
}

uint32_t recovery_fixture_positions(struct recovery_fixture *f) {
    uint32_t count = 0;
    const struct meta_visitor visitor = {.context = &count, .log = position_count};
    assert_int_equal(meta_visit(f->store.meta, &visitor, &f->error), FST_OK);
    return count;
}

static struct bytes change_plan(struct recovery_fixture *f, const char *text) {
    Fst__Document document = FST__DOCUMENT__INIT;
    Fst__Document *documents[] = {&document};
    Fst__ApplyRequest request = FST__APPLY_REQUEST__INIT;
    Fst__ApplyReply *reply;
    struct bytes change;
    document.name = (char *)(uintptr_t) "test.yaml";
    document.text.data = (uint8_t *)(uintptr_t)text;
    document.text.len = strlen(text);
    request.documents = documents;
    request.n_documents = 1;
    request.actor = (char *)(uintptr_t) "test";
    assert_int_equal(registry_plan_apply(f->registry, &request, 1, &reply, &change), FST_OK);
    for (size_t i = 0; i < reply->n_problems; i++) print_error("%s\n", reply->problems[i]->text);
    assert_true(change.bytes > 0);
    fst__apply_reply__free_unpacked(reply, NULL);
    return change;
}

void recovery_fixture_define(struct recovery_fixture *f, bool is_in_meta) {
    char more[128];
    uint64_t next = registry_generation(f->registry) + 1;
    (void)snprintf(more, sizeof more,
                   "namespace: t\nviews:\n  - {name: w%llu, entity: e, features: [{name: x, type: "
                   "bool}]}\n",
                   (unsigned long long)next);
    struct bytes change = change_plan(f, next == 1 ? definitions : more);
    struct log_record_header header = {
        .type = LOG_RECORD_CHANGE, .partition = LOG_CHANGE_PARTITION, .lsn = next};
    uint8_t *room = log_append(f->logs[0], &header, change.bytes);
    assert_non_null(room);
    memcpy(room, change.data, change.bytes);
    groups_write(f);
    change_queue_put(f->store.changes, change_entry_create(next, change));
    if (is_in_meta) {
        struct meta_batch *batch;
        uint64_t generation;
        assert_int_equal(meta_begin(f->store.meta, &batch, &f->error), FST_OK);
        assert_int_equal(change_queue_write(f->store.changes, batch, &generation), FST_OK);
        assert_int_equal(meta_commit(batch, &f->error), FST_OK);
        change_queue_settle(f->store.changes, generation);
    }
    assert_int_equal(registry_adopt(f->registry, change, &f->error), FST_OK);
    free((void *)(uintptr_t)change.data);
    catalog_renew(f);
}

/* ---- judging ---- */

static void row_judge(struct recovery_fixture *f, uint32_t view_number, int64_t key) {
    const struct oracle_row *expected = &f->oracle.rows[view_number][key];
    const struct view *view = view_of(f, view_number);
    const struct row_body *body = &view_current(view)->layout.body;
    uint64_t copy[16];
    struct bytes name = {.data = (const uint8_t *)&key, .bytes = sizeof key};
    uint32_t partition = hash_partition(&key, sizeof key, FIXTURE_PARTITIONS);
    struct partition_read read = {
        .partition = f->store.partitions[partition],
        .key = name,
        .hash = partition_hash(&f->store.secret, view->entity->id, name),
        .view_id = view->id,
        .key_bytes_fixed = sizeof key,
        .copy = (void *)copy,
        .body_bytes_max = sizeof copy,
    };
    partition_read_many(&read, 1);
    assert_int_equal(read.is_found, expected->is_present && !expected->is_deleted);
    assert_int_equal(read.is_deleted, expected->is_deleted);
    if (!read.is_found) return;
    assert_int_equal(read.event_us, expected->event_us);
    assert_int_equal(read.created_us, expected->created_us);
    assert_int_equal(read.lsn, expected->lsn);
    const uint8_t *bytes = (const uint8_t *)copy;
    assert_int_equal(load_i64(bytes + body->columns[0].offset), expected->value);
    char text[TEXT_BYTES];
    size_t text_bytes = text_make(expected->value, text);
    struct bytes found = partition_value(read.partition, load_u64(bytes + body->columns[1].offset));
    assert_int_equal(found.bytes, text_bytes);
    assert_memory_equal(found.data, text, text_bytes);
}

static void partition_judge(struct recovery_fixture *f, uint32_t p) {
    struct partition *partition = f->store.partitions[p];
    struct partition_stats stats;
    uint64_t rows = 0;
    assert_int_equal(partition_check(partition, f->catalog, &f->error), FST_OK);
    for (uint32_t v = 0; v < FIXTURE_VIEWS; v++) {
        for (int64_t key = 0; key < FIXTURE_KEYS; key++) {
            if (hash_partition(&key, sizeof key, FIXTURE_PARTITIONS) != p) continue;
            rows += f->oracle.rows[v][key].is_present && !f->oracle.rows[v][key].is_deleted;
        }
    }
    partition_stats(partition, &stats);
    assert_int_equal(stats.rows_count, rows);
    assert_int_equal(partition_applied_lsn(partition), f->oracle.lsns[p]);
    for (uint64_t c = 0; c < FIXTURE_CLIENTS; c++) {
        uint8_t body[BODY_BYTES_MAX];
        if (f->oracle.sequences[p][c] == 0) continue;
        (void)body_make(f, VIEW_V, p, 1, body);
        store_u64(body + offsetof(struct log_rows_header, client_id), c + 1);
        store_u64(body + offsetof(struct log_rows_header, sequence), f->oracle.sequences[p][c]);
        assert_int_equal(partition_admit(partition, view_of(f, VIEW_V), body), PARTITION_REPEATED);
    }
}

void recovery_fixture_judge(struct recovery_fixture *f) {
    for (uint32_t p = 0; p < FIXTURE_PARTITIONS; p++) partition_judge(f, p);
    for (uint32_t v = 0; v < FIXTURE_VIEWS; v++) {
        for (int64_t key = 0; key < FIXTURE_KEYS; key++) row_judge(f, v, key);
    }
    assert_int_equal(meta_check(f->store.meta, &f->error), FST_OK);
}

/* ---- losing ---- */

void recovery_fixture_lose_nothing(struct recovery_fixture *f) {
    (void)f;
}

void recovery_fixture_lose_tables(struct recovery_fixture *f) {
    shell("rm -rf %s/*", f->table_dir);
}

void recovery_fixture_lose_one_table(struct recovery_fixture *f) {
    uint32_t p = (uint32_t)(recovery_fixture_random(f) % FIXTURE_PARTITIONS);
    shell("rm -f %s/*/p%04u", f->table_dir, p);
}

void recovery_fixture_break_table(struct recovery_fixture *f) {
    uint32_t p = (uint32_t)(recovery_fixture_random(f) % FIXTURE_PARTITIONS);
    shell("for t in %s/*/p%04u; do [ ! -f $t ] || printf '\\001' | dd of=$t bs=1 seek=%d "
          "conv=notrunc status=none; done",
          f->table_dir, p, TABLE_BUSY_OFFSET);
}

void recovery_fixture_lose_meta(struct recovery_fixture *f) {
    shell("rm -rf %s/meta", f->data_dir);
}

void recovery_fixture_cut_meta(struct recovery_fixture *f) {
    shell("truncate -s 12288 %s/meta/data.mdb", f->data_dir);
}

void recovery_fixture_lose_both(struct recovery_fixture *f) {
    recovery_fixture_lose_meta(f);
    recovery_fixture_lose_tables(f);
}

void recovery_fixture_keep_tables(struct recovery_fixture *f) {
    shell("rm -rf %s/tables && cp -r --sparse=always %s %s/tables", f->root, f->table_dir, f->root);
    f->has_kept_tables = true;
}

void recovery_fixture_bring_tables_back(struct recovery_fixture *f) {
    if (!f->has_kept_tables) return;
    shell("rm -rf %s && cp -r --sparse=always %s/tables %s", f->table_dir, f->root, f->table_dir);
}

void recovery_fixture_keep_data(struct recovery_fixture *f) {
    shell("rm -rf %s/kept && cp -r %s %s/kept", f->root, f->data_dir, f->root);
    f->has_kept_data = true;
    f->kept = f->oracle;
}

void recovery_fixture_bring_data_back(struct recovery_fixture *f) {
    assert_true(f->has_kept_data);
    shell("rm -rf %s && cp -r %s/kept %s", f->data_dir, f->root, f->data_dir);
    f->oracle = f->kept;
}

/* ---- damaging ---- */

void recovery_fixture_flip_meta_row(struct recovery_fixture *f) {
    char path[2 * FIXTURE_PATH_BYTES], text[TEXT_BYTES];
    int64_t key = 0;
    while (f->oracle.rows[VIEW_V][key].value == 0) key += 1;
    size_t text_bytes = text_make(f->oracle.rows[VIEW_V][key].value, text);
    (void)snprintf(path, sizeof path, "%s/meta/data.mdb", f->data_dir);
    io_file file;
    assert_int_equal(f->io->ops->open(f->io, path, IO_OPEN_WRITE, &file), 0);
    size_t bytes = (size_t)f->io->ops->size(f->io, file);
    uint8_t *data = malloc(bytes);
    assert_int_equal(io_read_full(f->io, file, data, bytes, 0), 0);
    uint32_t flipped = 0;
    for (uint8_t *at = data; (at = memmem(at, bytes - (size_t)(at - data), text, text_bytes));) {
        *at ^= 1;
        assert_int_equal(io_write_full(f->io, file, at, 1, (uint64_t)(at - data)), 0);
        flipped += 1;
    }
    assert_true(flipped > 0);
    free(data);
    assert_int_equal(f->io->ops->close(f->io, file), 0);
}

static void first_log(const struct recovery_fixture *f, char path_out[2 * FIXTURE_PATH_BYTES]) {
    (void)snprintf(path_out, 2 * FIXTURE_PATH_BYTES, "%s/log/00000001-000-000001.log", f->data_dir);
}

void recovery_fixture_flip_log(struct recovery_fixture *f) {
    char path[2 * FIXTURE_PATH_BYTES];
    uint8_t byte;
    io_file file;
    first_log(f, path);
    assert_int_equal(f->io->ops->open(f->io, path, IO_OPEN_WRITE, &file), 0);
    assert_int_equal(io_read_full(f->io, file, &byte, 1, 4096 + 100), 0);
    byte ^= 4;
    assert_int_equal(io_write_full(f->io, file, &byte, 1, 4096 + 100), 0);
    assert_int_equal(f->io->ops->close(f->io, file), 0);
}

void recovery_fixture_break_first_log(struct recovery_fixture *f) {
    char path[2 * FIXTURE_PATH_BYTES];
    uint8_t bytes[64];
    io_file file;
    first_log(f, path);
    assert_int_equal(f->io->ops->open(f->io, path, IO_OPEN_WRITE, &file), 0);
    for (uint64_t offset = 0; io_read_full(f->io, file, bytes, 64, offset) == 0; offset += 4096) {
        for (int i = 0; i < 64; i++) bytes[i] ^= 0xff;
        assert_int_equal(io_write_full(f->io, file, bytes, 64, offset), 0);
    }
    assert_int_equal(f->io->ops->close(f->io, file), 0);
}

static int epoch_max_find(void *context, const char *name) {
    uint32_t *max = context;
    struct log_file_id id;
    if (log_file_parse_name(name, &id) && id.epoch > *max) *max = id.epoch;
    return 0;
}

static void positions_add(struct recovery_fixture *f, uint32_t first, uint32_t count) {
    char path[2 * FIXTURE_PATH_BYTES];
    struct meta *meta;
    struct meta_batch *batch;
    (void)snprintf(path, sizeof path, "%s/meta", f->data_dir);
    const struct meta_options options = {.path = path, .map_bytes = 64 << 20};
    assert_int_equal(meta_open(&meta, &options, &f->error), FST_OK);
    assert_int_equal(meta_begin(meta, &batch, &f->error), FST_OK);
    for (uint32_t i = 0; i < count; i++) {
        const struct log_position position = {.epoch = first + i};
        assert_int_equal(meta_put_log(batch, &position), FST_OK);
    }
    assert_int_equal(meta_commit(batch, &f->error), FST_OK);
    meta_close(meta);
}

void recovery_fixture_add_logs(struct recovery_fixture *f, uint32_t count, bool is_in_meta) {
    char dir[2 * FIXTURE_PATH_BYTES], path[3 * FIXTURE_PATH_BYTES], name[LOG_NAME_BYTES];
    uint32_t first = 0;
    (void)snprintf(dir, sizeof dir, "%s/log", f->data_dir);
    assert_int_equal(f->io->ops->list(f->io, dir, epoch_max_find, &first), 0);
    first += 1;
    for (uint32_t i = 0; i < count; i++) {
        const struct log_file_id id = {.epoch = first + i, .sequence = 1};
        io_file file;
        log_file_format_name(&id, name);
        (void)snprintf(path, sizeof path, "%s/%s", dir, name);
        int flags = IO_OPEN_WRITE | IO_OPEN_CREATE;
        assert_int_equal(f->io->ops->open(f->io, path, flags, &file), 0);
        assert_int_equal(f->io->ops->close(f->io, file), 0);
    }
    if (is_in_meta) positions_add(f, first, count);
}

void recovery_fixture_lose_first_log(struct recovery_fixture *f) {
    shell("rm -f %s/log/00000001-*.log", f->data_dir);
}

void recovery_fixture_put_file(struct recovery_fixture *f, const char *name, const char *text) {
    char path[2 * FIXTURE_PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/%s", f->data_dir, name);
    if (!text) {
        assert_int_equal(unlink(path), 0);
        return;
    }
    assert_int_equal(io_replace(f->io, f->data_dir, path, text, strlen(text)), 0);
}
