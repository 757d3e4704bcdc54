#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"
#include "tests/online/online_fixture.h"

enum { SEATS = 8, RESERVE_BYTES = 512 << 20 };

static const struct type type_of_float64 = {.kind = TYPE_FLOAT64};
static const struct type type_of_int64 = {.kind = TYPE_INT64};
static const struct type type_of_int32 = {.kind = TYPE_INT32};
static const struct type type_of_string = {.kind = TYPE_STRING};
static const struct type type_of_bytes = {.kind = TYPE_BYTES};
static const struct type type_of_list = {.kind = TYPE_LIST, .element_kind = TYPE_INT64};

/* ---- catalog ---- */

static void view_add(struct online_fixture *fixture, uint32_t id, uint32_t entity,
                     const struct type *types, const uint32_t counts[2]) {
    struct view *view = &fixture->views[id];
    *view = (struct view){
        .id = id,
        .version = 1,
        .entity = &fixture->entities[entity],
        .revisions = fixture->revisions[id],
    };
    view_bare_init(view);
    for (uint32_t r = 0; r < 2 && counts[r] > 0; r++) {
        struct row_body body;
        row_body_init(&body, fixture->columns[id][r], types, counts[r]);
        struct row_layout *layout = &fixture->revisions[id][r].layout;
        row_layout_init(layout, view->entity->key_types, view->entity->keys_count, &body);
        fixture->revisions[id][r].features_count = counts[r];
        view->revisions_count = r + 1;
        view->features_count = counts[r];
    }
    fixture->by_id[id] = view;
}

static void catalog_make(struct online_fixture *fixture) {
    fixture->entities[0] = (struct entity){.id = 1, .keys_count = 1, .key_types = {type_of_int64}};
    fixture->entities[1] =
        (struct entity){.id = 2, .keys_count = 2, .key_types = {type_of_string, type_of_int32}};
    struct type types[64];
    for (uint32_t i = 0; i < 64; i++) types[i] = i < 3 ? type_of_float64 : type_of_int64;
    view_add(fixture, VIEW_SMALL, 0, types, (uint32_t[]){3, 23});
    for (uint32_t i = 0; i < 64; i++) types[i] = type_of_float64;
    view_add(fixture, VIEW_WIDE, 0, types, (uint32_t[]){50, 0});
    const struct type text[] = {type_of_string, type_of_int32, type_of_bytes, type_of_string,
                                type_of_list};
    view_add(fixture, VIEW_TEXT, 0, text, (uint32_t[]){3, 5});
    const struct type named[] = {type_of_string, type_of_int64};
    view_add(fixture, VIEW_NAMED, 1, named, (uint32_t[]){2, 0});
    for (uint32_t i = 0; i < VIEW_EXTRA_COUNT; i++) {
        view_add(fixture, VIEW_EXTRA_FIRST + i, 0, &type_of_int64, (uint32_t[]){1, 0});
    }
    fixture->catalog =
        (struct catalog){.views_by_id_count = VIEWS_END, .views_by_id = fixture->by_id};
}

/* ---- opening ---- */

struct online_fixture *online_fixture_create(uint64_t limit_bytes) {
    struct online_fixture *fixture = aligned_alloc(64, bytes_align(sizeof *fixture, 64));
    assert_non_null(fixture);
    memset(fixture, 0, sizeof *fixture);
    fixture->io = io_posix();
    catalog_make(fixture);
    epoch_init(&fixture->epoch, SEATS);
    fixture->budget.limit_bytes = limit_bytes;
    snprintf(fixture->path, sizeof fixture->path, "/dev/shm/fstore-test-%d.table", (int)getpid());
    unlink(fixture->path);
    fixture->options = (struct partition_options){
        .io = fixture->io,
        .epoch = &fixture->epoch,
        .budget = &fixture->budget,
        .secret = {.k0 = 1, .k1 = 2},
        .store_id = {3},
        .boot_id = {4},
        .partition = 5,
        .reserve_bytes = RESERVE_BYTES,
        .path = fixture->path,
    };
    assert_int_equal(partition_open(&fixture->partition, &fixture->options, &fixture->origin, NULL),
                     FST_OK);
    assert_int_equal(fixture->origin, PARTITION_NEW);
    return fixture;
}

void online_fixture_destroy(struct online_fixture *fixture) {
    partition_close(fixture->partition);
    assert_int_equal(fixture->budget.used_bytes, 0);
    unlink(fixture->path);
    free(fixture);
}

void online_fixture_reopen(struct online_fixture *fixture) {
    struct fst_error error = {.text = ""};
    partition_close(fixture->partition);
    fixture->partition = NULL;
    enum fst_status status =
        partition_open(&fixture->partition, &fixture->options, &fixture->origin, &error);
    if (status != FST_OK) print_message("%s\n", error.text);
    assert_int_equal(status, FST_OK);
}

void online_fixture_check(const struct online_fixture *fixture) {
    struct fst_error error = {.text = ""};
    enum fst_status status = partition_check(fixture->partition, &fixture->catalog, &error);
    if (status != FST_OK) print_message("%s\n", error.text);
    assert_int_equal(status, FST_OK);
}

void online_fixture_keep(struct online_fixture *fixture) {
    const struct partition_visitor nobody = {.context = NULL};
    assert_int_equal(partition_visit(fixture->partition, false, &fixture->catalog, &nobody),
                     FST_OK);
    partition_visit_end(fixture->partition, true);
}

uint64_t random_next(uint64_t *state) {
    *state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t random_seed(uint64_t normally) {
    const char *text = getenv("FST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : normally;
    print_message("  FST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

/* ---- rows ---- */

size_t key_make(const struct online_fixture *fixture, uint32_t view_id, int64_t key,
                uint8_t key_out[KEY_BYTES_MAX]) {
    struct writer w = writer_of(key_out, KEY_BYTES_MAX);
    if (fixture->by_id[view_id]->entity->id == 1) {
        write_i64(&w, key);
        return writer_used(&w);
    }
    char text[KEY_BYTES_MAX];
    size_t bytes = (size_t)(key % 7) * (size_t)(key % 5) * 8;
    memset(text, 'x', bytes);
    bytes += (size_t)snprintf(text + bytes, 24, "%lld", (long long)key);
    write_short(&w, text, bytes);
    write_u32(&w, (uint32_t)key % 3);
    return writer_used(&w);
}

static uint64_t value_bits(const struct row_spec *spec, uint32_t column) {
    uint64_t state = spec->value * 1000003 + column;
    return random_next(&state);
}

static void reference_put(uint8_t *cell, const void *data, uint32_t bytes, uint8_t *heap,
                          uint32_t *heap_used) {
    struct row_reference reference = {.offset = *heap_used, .bytes = bytes};
    uint32_t padded = (uint32_t)bytes_align(bytes, 8);
    if (data) memcpy(heap + *heap_used, data, bytes);
    memset(heap + *heap_used + bytes, 0, padded - bytes);
    memcpy(cell, &reference, sizeof reference);
    *heap_used += padded;
}

/* A value of any size; text of one letter, or a list of int64. */
static void value_make(const struct row_spec *spec, const struct row_column *column, uint64_t bits,
                       uint8_t *cell, uint8_t *heap, uint32_t *heap_used) {
    uint32_t bytes_max = spec->heavy_bytes ? spec->heavy_bytes : 40;
    uint32_t bytes = (uint32_t)(bits >> 8) % (bytes_max + 1);
    uint8_t *at = heap + *heap_used;
    memset(at, 'a' + (int)(bits % 26), bytes);
    if (column->type.kind == TYPE_LIST) {
        uint32_t count = bytes >= 4 ? (bytes - 4) / 8 : 0;
        bytes = 4 + 8 * count;
        store_u32(at, count);
    }
    reference_put(cell, NULL, bytes, heap, heap_used);
}

void image_make(const struct online_fixture *fixture, const struct row_spec *spec, uint8_t *image,
                uint8_t *heap, uint32_t *heap_used) {
    const struct row_layout *layout = view_layout(fixture->by_id[spec->view_id], spec->revision);
    uint8_t key[KEY_BYTES_MAX];
    size_t key_bytes = key_make(fixture, spec->view_id, spec->key, key);
    memset(image, 0, layout->image_bytes);
    store_i64(image, spec->event_us);
    store_i64(image + 8, spec->created_us);
    if (layout->key_bytes == 0)
        reference_put(image + ROW_KEY_OFFSET, key, (uint32_t)key_bytes, heap, heap_used);
    else
        memcpy(image + ROW_KEY_OFFSET, key, key_bytes);
    uint8_t *body = image + layout->body_offset;
    for (uint32_t c = 0; c < layout->body.columns_count; c++) {
        const struct row_column *column = &layout->body.columns[c];
        uint64_t bits = value_bits(spec, c);
        double number = (double)(bits >> 12);
        if (bits % 5 == 0)
            row_set_null(body, c);
        else if (type_fixed_bytes(column->type) == 0)
            value_make(spec, column, bits, body + column->offset, heap, heap_used);
        else if (column->type.kind == TYPE_FLOAT64)
            memcpy(body + column->offset, &number, sizeof number);
        else
            memcpy(body + column->offset, &bits, column->bytes);
    }
}

struct record record_make(const struct online_fixture *fixture, const struct row_spec *specs,
                          uint32_t count, uint64_t lsn) {
    const struct view *view = fixture->by_id[specs->view_id];
    uint32_t image_bytes = view_layout(view, specs->revision)->image_bytes;
    bool is_delete = specs->revision == VIEW_REVISION_DELETED;
    size_t head_bytes = sizeof(struct log_rows_header) + (size_t)count * image_bytes;
    bool is_light = specs->heavy_bytes == 0;
    size_t heap_bytes_max = (size_t)count * (is_light ? ROW_LIGHT_BYTES_MAX : ROW_HEAP_BYTES_MAX);
    uint8_t *body = malloc(head_bytes + heap_bytes_max);
    assert_non_null(body);
    uint8_t *images = body + sizeof(struct log_rows_header);
    uint32_t heap_used = 0;
    for (uint32_t i = 0; i < count; i++) {
        image_make(fixture, &specs[i], images + (size_t)i * image_bytes,
                   images + (size_t)count * image_bytes, &heap_used);
    }
    struct log_rows_header rows = {
        .view_id = view->id,
        .revision = specs->revision,
        .rows_count = count,
        .heap_bytes = heap_used,
    };
    memcpy(body, &rows, sizeof rows);
    size_t body_bytes = head_bytes + heap_used;
    return (struct record){
        .header = {.type = is_delete ? LOG_RECORD_DELETES : LOG_RECORD_ROWS,
                   .lsn = lsn,
                   .bytes = (uint32_t)(24 + body_bytes)},
        .body = body,
        .body_bytes = body_bytes,
    };
}

void record_set_client(struct record *record, uint64_t client_id, uint64_t sequence) {
    struct log_rows_header rows;
    memcpy(&rows, record->body, sizeof rows);
    rows.client_id = client_id;
    rows.sequence = sequence;
    memcpy(record->body, &rows, sizeof rows);
}

void record_free(struct record *record) {
    free(record->body);
}

enum fst_status row_write(struct online_fixture *fixture, const struct row_spec *spec,
                          uint64_t lsn) {
    const struct view *view = fixture->by_id[spec->view_id];
    struct record record = record_make(fixture, spec, 1, lsn);
    uint8_t row_status = FST_FULL;
    if (partition_admit(fixture->partition, view, record.body) == PARTITION_ADMIT) {
        assert_int_equal(partition_apply(fixture->partition, view, &record.header, record.body,
                                         true, &row_status),
                         FST_OK);
    }
    record_free(&record);
    return row_status;
}

enum fst_status row_remove(struct online_fixture *fixture, uint32_t view_id, int64_t key) {
    uint8_t bytes[KEY_BYTES_MAX];
    size_t length = key_make(fixture, view_id, key, bytes);
    return partition_remove(fixture->partition, fixture->by_id[view_id],
                            (struct bytes){.data = bytes, .bytes = length});
}

/* ---- reading ---- */

void row_prepare(const struct online_fixture *fixture, uint32_t view_id, int64_t key,
                 struct row_found *found) {
    const struct view *view = fixture->by_id[view_id];
    size_t key_bytes = key_make(fixture, view_id, key, found->key);
    struct bytes bytes = {.data = found->key, .bytes = key_bytes};
    found->read = (struct partition_read){
        .partition = fixture->partition,
        .key = bytes,
        .hash = partition_hash(&fixture->options.secret, view->entity->id, bytes),
        .view_id = view_id,
        .key_bytes_fixed = view_current(view)->layout.key_bytes,
        .copy = (uint8_t *)found->body,
        .body_bytes_max = sizeof found->body,
    };
}

bool row_get(const struct online_fixture *fixture, uint32_t view_id, int64_t key,
             struct row_found *found) {
    row_prepare(fixture, view_id, key, found);
    partition_read_many(&found->read, 1);
    return found->read.is_found;
}

bool row_is(const struct online_fixture *fixture, const struct row_found *found,
            const struct row_spec *spec, uint64_t lsn) {
    const struct row_layout *layout = view_layout(fixture->by_id[spec->view_id], spec->revision);
    uint8_t image[ROW_BYTES_MAX];
    uint8_t *heap = malloc(spec->heavy_bytes ? ROW_HEAP_BYTES_MAX : ROW_LIGHT_BYTES_MAX);
    uint32_t heap_used = 0;
    assert_non_null(heap);
    image_make(fixture, spec, image, heap, &heap_used);
    const struct partition_read *read = &found->read;
    const uint8_t *wanted = image + layout->body_offset;
    const uint8_t *body = read->copy;
    bool is_same = read->revision == spec->revision && read->lsn == lsn &&
                   read->event_us == spec->event_us && read->created_us == spec->created_us &&
                   read->body_bytes == layout->body.bytes;
    for (uint32_t c = 0; is_same && c < layout->body.columns_count; c++) {
        const struct row_column *column = &layout->body.columns[c];
        is_same = row_is_null(body, c) == row_is_null(wanted, c);
        if (!is_same || row_is_null(body, c)) continue;
        struct bytes value = row_value(&layout->body, wanted, heap, c);
        struct bytes stored = {.data = body + column->offset, .bytes = column->bytes};
        if (type_fixed_bytes(column->type) == 0) {
            stored = partition_value(read->partition, load_u64(body + column->offset));
        }
        is_same = stored.bytes == value.bytes &&
                  (value.bytes == 0 || memcmp(stored.data, value.data, value.bytes) == 0);
    }
    free(heap);
    return is_same;
}
