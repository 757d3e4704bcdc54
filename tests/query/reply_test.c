/*
 * Shows that every shape of a reply says the same: random views of all types, with defaults, ttl,
 * nulls and rows of an older revision, are read through random plans in all shapes; columns and
 * matrices are compared with the typed rows, decoded value by value, and numbers with what the C
 * library reads from their text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "get_fixture.h"
#include "tests/base/random.h"

enum {
    VIEWS = 3,
    FEATURES = 70, /* more than the null bits of one u64 */
    TYPES = 12,
    NUMBERS = 7, /* of these, the first */
    KEYS = 40,
    ASKED_MAX = 80,
    NAMES_MAX = 60,
    REPLY_BYTES_MAX = 4 << 20,
    NOW_US = 100000,
    TTL_US = 5000,
    GUARD = 0xa5,
};

static const struct type types[TYPES] = {
    {.kind = TYPE_BOOL},
    {.kind = TYPE_INT32},
    {.kind = TYPE_INT64},
    {.kind = TYPE_FLOAT32},
    {.kind = TYPE_FLOAT64},
    {.kind = TYPE_DECIMAL, .scale = 3},
    {.kind = TYPE_TIMESTAMP},
    {.kind = TYPE_STRING},
    {.kind = TYPE_BYTES},
    {.kind = TYPE_UUID},
    {.kind = TYPE_LIST, .element_kind = TYPE_STRING},
    {.kind = TYPE_VECTOR, .elements = 3},
};

/* The second revision adds columns and widens some. */
struct test_view {
    struct feature features[FEATURES];
    struct view_revision revisions[2];
    struct row_column columns[2][FEATURES];
    uint8_t defaults[FEATURES][16];
};

/* A row as a checkpoint has it. */
struct kept_row {
    uint32_t view_id;
    uint64_t lsn;
    uint16_t revision;
    int64_t key;
    size_t image_bytes, heap_bytes;
    uint8_t image[4096], heap[4096];
};

struct world {
    struct warm_budget budget;
    struct kept_row *kept; /* VIEWS * KEYS */
    uint32_t kept_count;
    const struct view *views_by_id[VIEWS + 1];
    struct get_fixture store;
    struct random random;
    uint8_t *replies[REPLY_SHAPES];
    uint8_t *heaps[REPLY_SHAPES];
    struct catalog catalog;
    struct view views[VIEWS];
    struct entity entity;
    struct bytes names[NAMES_MAX];
    struct test_view parts[VIEWS];
    uint32_t names_count;
    char texts[NAMES_MAX][40];
};

/* ---- definitions ---- */

/* A valid value of the type in `out`, of at most 16 bytes. */
static uint32_t value_make(struct random *random, struct type type, uint8_t *out) {
    uint32_t bytes = type_fixed_bytes(type);
    uint64_t bits = random_get(random) >> random_below(random, 64);
    if (random_below(random, 2)) bits = -bits;
    store_u64(out, bits);
    store_u64(out + 8, random_get(random));
    if (type.kind == TYPE_BOOL) out[0] &= 1;
    if (type.kind == TYPE_LIST) {
        static const uint8_t list[] = {1, 0, 0, 0, 3, 0, 0, 0, 'a', 'b', 'c'};
        memcpy(out, list, sizeof list);
        bytes = sizeof list;
    } else if (bytes == 0) {
        bytes = (uint32_t)random_below(random, 9);
        for (uint32_t i = 0; i < bytes; i++) out[i] = 'a' + out[i] % 26;
    } else if (type.kind == TYPE_FLOAT64 && random_below(random, 2)) {
        double number = (double)(int64_t)bits / 1000;
        memcpy(out, &number, sizeof number);
    }
    value_normalize(type, out, bytes);
    return bytes;
}

static struct type type_narrow(struct random *random, struct type type) {
    if (random_below(random, 2)) return type;
    if (type.kind == TYPE_INT64) return types[1];
    if (type.kind == TYPE_FLOAT64) return types[3];
    return type;
}

static void revision_init(struct view *view, uint32_t revision, const struct type *of,
                          uint32_t count, struct row_column *columns) {
    struct row_body body;
    row_body_init(&body, columns, of, count);
    view->revisions[revision].features_count = count;
    row_layout_init(&view->revisions[revision].layout, view->entity->key_types, 1, &body);
}

/* View 0 has numbers only; the others everything. */
static void view_init(struct world *w, uint32_t v) {
    struct view *view = &w->views[v];
    struct test_view *part = &w->parts[v];
    struct type now[FEATURES], then[FEATURES];
    uint32_t count = 1 + (uint32_t)random_below(&w->random, FEATURES);
    uint64_t kinds = v == 0 ? NUMBERS : TYPES;
    bool is_uniform = random_below(&w->random, 3) == 0;
    *view = (struct view){.id = v + 1,
                          .version = 1,
                          .entity = &w->entity,
                          .ttl_us = random_below(&w->random, 2) ? TTL_US : 0,
                          .evicts = true,
                          .features_count = count,
                          .features = part->features,
                          .revisions_count = 2,
                          .revisions = part->revisions};
    snprintf(view->space.text, sizeof view->space.text, "t");
    snprintf(view->name.text, sizeof view->name.text, "v%u", v);
    for (uint32_t c = 0; c < count; c++) {
        struct feature *feature = &part->features[c];
        *feature = (struct feature){.type = types[random_below(&w->random, kinds)]};
        if (is_uniform) feature->type = types[4];
        snprintf(feature->name.text, sizeof feature->name.text, "f%u", c);
        now[c] = feature->type;
        then[c] = type_narrow(&w->random, feature->type);
        feature->has_default = random_below(&w->random, 3) == 0;
        feature->default_value =
            (struct bytes){.data = part->defaults[c],
                           .bytes = value_make(&w->random, feature->type, part->defaults[c])};
    }
    uint32_t then_count = 1 + (uint32_t)random_below(&w->random, count);
    revision_init(view, 0, then, then_count, part->columns[0]);
    revision_init(view, 1, now, count, part->columns[1]);
    row_layout_init(&view->bare, w->entity.key_types, 1, &(struct row_body){.bytes = 0});
    w->views_by_id[view->id] = view;
}

static void world_init(struct world *w, struct random random) {
    *w = (struct world){.random = random};
    get_fixture_init(&w->store);
    w->entity = (struct entity){.id = 1, .keys_count = 1};
    snprintf(w->entity.space.text, sizeof w->entity.space.text, "t");
    snprintf(w->entity.name.text, sizeof w->entity.name.text, "e");
    snprintf(w->entity.keys[0].name.text, sizeof w->entity.keys[0].name.text, "id");
    w->entity.keys[0].type = w->entity.key_types[0] = types[2];
    for (uint32_t v = 0; v < VIEWS; v++) view_init(w, v);
    w->catalog = (struct catalog){.generation = 1,
                                  .entities_count = 1,
                                  .views_count = VIEWS,
                                  .entities = &w->entity,
                                  .views = w->views,
                                  .views_by_id_count = VIEWS + 1,
                                  .views_by_id = w->views_by_id};
    w->budget.limit_bytes = 64 << 20;
    w->kept = calloc((size_t)VIEWS * KEYS, sizeof *w->kept);
    for (uint32_t s = 0; s < REPLY_SHAPES; s++) {
        w->replies[s] = malloc(REPLY_BYTES_MAX);
        w->heaps[s] = malloc(REPLY_BYTES_MAX);
    }
}

static void world_deinit(struct world *w) {
    assert_int_equal(w->budget.used_bytes, 0);
    free(w->kept);
    get_fixture_deinit(&w->store);
    for (uint32_t s = 0; s < REPLY_SHAPES; s++) {
        free(w->replies[s]);
        free(w->heaps[s]);
    }
}

/* ---- rows ---- */

static void row_put(struct world *w, uint32_t v, int64_t key, int64_t event_us) {
    static uint8_t image[4096], heap[4096];
    const struct view *view = &w->views[v];
    uint32_t revision = (uint32_t)random_below(&w->random, 2);
    const struct row_layout *layout = &view->revisions[revision].layout;
    uint64_t nulls_of = random_below(&w->random, 3);
    uint32_t heap_bytes = 0;
    assert_true(layout->image_bytes <= sizeof image);
    memset(image, 0, sizeof image);
    store_i64(image, event_us);
    store_i64(image + 8, event_us + 7);
    store_i64(image + ROW_KEY_OFFSET, key);
    uint8_t *body = image + layout->body_offset;
    for (uint32_t c = 0; c < layout->body.columns_count; c++) {
        const struct row_column *cell = &layout->body.columns[c];
        uint8_t value[16];
        uint32_t bytes = value_make(&w->random, cell->type, value);
        if (random_below(&w->random, 4) < nulls_of) {
            row_set_null(body, c);
        } else if (type_fixed_bytes(cell->type) == 0) {
            struct row_reference reference = {.offset = heap_bytes, .bytes = bytes};
            memcpy(body + cell->offset, &reference, sizeof reference);
            memcpy(heap + heap_bytes, value, bytes);
            heap_bytes += (uint32_t)bytes_align(bytes, 8);
        } else {
            memcpy(body + cell->offset, value, cell->bytes);
        }
    }
    struct get_image put = {
        .revision = revision, .image = image, .heap = heap, .heap_bytes = heap_bytes};
    get_fixture_apply(&w->store, view, &put);
}

/* Some keys have no row; some rows are too old, some from the future. */
static void rows_put(struct world *w) {
    for (uint32_t v = 0; v < VIEWS; v++) {
        for (int64_t key = 0; key < KEYS; key++) {
            static const int64_t ages_us[] = {0, 10, TTL_US, TTL_US + 1, 50000, -1};
            if (random_below(&w->random, 5) == 0) continue;
            row_put(w, v, key, NOW_US - ages_us[random_below(&w->random, 6)]);
        }
    }
}

/* ---- rows that are evicted ---- */

static enum fst_status row_keep(void *context, const struct partition_row *row) {
    struct world *w = context;
    struct kept_row *kept = &w->kept[w->kept_count++];
    assert_true(w->kept_count <= VIEWS * KEYS);
    assert_true(row->image_bytes <= sizeof kept->image && row->heap_bytes <= sizeof kept->heap);
    kept->view_id = row->view_id;
    kept->lsn = row->lsn;
    kept->revision = row->revision;
    kept->key = load_i64(row->key.data);
    kept->image_bytes = row->image_bytes;
    kept->heap_bytes = row->heap_bytes;
    memcpy(kept->image, row->image, row->image_bytes);
    if (row->heap_bytes) memcpy(kept->heap, row->heap, row->heap_bytes);
    return FST_OK;
}

/* A checkpoint of everything; then all rows leave memory. */
static void rows_evict(struct world *w) {
    const struct partition_visitor visitor = {.context = w, .row = row_keep};
    uint64_t evicted = 0;
    for (uint32_t p = 0; p < GET_FIXTURE_PARTITIONS; p++) {
        struct partition *partition = w->store.partitions[p];
        assert_int_equal(partition_visit(partition, true, &w->catalog, &visitor), FST_OK);
        partition_visit_end(partition, true);
        for (int lap = 0; lap < 3; lap++) {
            evicted += partition_evict(partition, &w->catalog, UINT32_MAX);
        }
    }
    assert_int_equal(evicted, w->kept_count);
    assert_true(evicted > 0);
}

/* What a warm thread does. */
static void rows_fetch(const struct world *w, struct warm_rows *rows) {
    for (uint32_t i = 0; i < rows->count; i++) {
        struct warm_row *row = &rows->rows[i];
        int64_t key = load_i64(warm_rows_name(rows, row).data);
        for (uint32_t k = 0; k < w->kept_count; k++) {
            const struct kept_row *kept = &w->kept[k];
            if (kept->view_id != row->want.view_id || kept->key != key) continue;
            const struct meta_row found = {
                .revision = kept->revision,
                .lsn = kept->lsn,
                .image = {.data = kept->image, .bytes = kept->image_bytes},
                .heap = {.data = kept->heap, .bytes = kept->heap_bytes}};
            warm_rows_put(rows, row, &found);
            assert_int_equal(row->status, FST_OK);
        }
    }
}

/* Serves a request that met evicted rows again. */
static void request_again(struct world *w, struct get_request *request) {
    struct warm_rows in_hand = request->wanted;
    rows_fetch(w, &in_hand);
    request->in_hand = &in_hand;
    request->wanted = (struct warm_rows){.budget = &w->budget};
    request->is_missing = false;
    if (request->reply.heap)
        *request->reply.heap = writer_of(request->reply.heap->begin, REPLY_BYTES_MAX);
    get_batch_put(&w->store.batch, request);
    get_batch_run(&w->store.batch);
    assert_false(request->is_missing);
    assert_int_equal(request->status, FST_OK);
    warm_rows_deinit(&request->wanted);
    warm_rows_deinit(&in_hand);
    request->in_hand = NULL;
}

/* ---- plans ---- */

static void name_put(struct world *w, uint32_t v, uint32_t c) {
    if (w->names_count == NAMES_MAX) return;
    char *text = w->texts[w->names_count];
    int bytes = snprintf(text, sizeof w->texts[0], "t.v%u:f%u", v, c);
    for (uint32_t i = 0; i < w->names_count; i++) {
        if (strcmp(w->texts[i], text) == 0) return;
    }
    w->names[w->names_count++] =
        (struct bytes){.data = (const uint8_t *)text, .bytes = (size_t)bytes};
}

/* Whole views, stretches of neighbours and single features, in any order. */
static struct read_plan *plan_make(struct world *w, bool is_numeric) {
    w->names_count = 0;
    uint64_t pieces = 1 + random_below(&w->random, 6);
    while (pieces-- > 0) {
        uint32_t v = is_numeric ? 0 : (uint32_t)random_below(&w->random, VIEWS);
        uint32_t count = w->views[v].features_count;
        FST_ASSERT(count > 0);
        uint32_t first =
            random_below(&w->random, 3) ? (uint32_t)random_below(&w->random, count) : 0;
        uint64_t stretch = 1 + random_below(&w->random, FEATURES);
        for (uint32_t c = first; c < count && stretch-- > 0; c++) name_put(w, v, c);
    }
    struct read_plan *plan;
    assert_int_equal(
        read_plan_create(&plan, &w->catalog, PLAN_FEATURES, w->names, w->names_count, NULL),
        FST_OK);
    assert_int_equal(read_plan_check(plan), FST_OK);
    assert_int_equal(get_plan_check(plan, NULL), FST_OK);
    return plan;
}

static bool plan_is_numeric(const struct read_plan *plan) {
    for (uint32_t i = 0; i < plan->features_count; i++) {
        const struct plan_group *group = &plan->groups[plan->features[i].group];
        if (group->body.columns[plan->features[i].column].type.kind > TYPE_TIMESTAMP) return false;
    }
    return true;
}

/* ---- typed rows, decoded ---- */

struct cell {
    uint8_t row_status;
    bool is_null;
    bool is_given; /* a value or a default */
    struct type type;
    const uint8_t *at; /* in the row */
    uint32_t bytes;
};

static struct cell cell_of(const struct world *w, const struct read_plan *plan, uint32_t key,
                           uint32_t feature) {
    const struct plan_group *group = &plan->groups[plan->features[feature].group];
    uint32_t column = plan->features[feature].column;
    const uint8_t *at = w->replies[REPLY_ROWS] + (size_t)key * plan->row_bytes + group->offset;
    const uint8_t *body = at + PLAN_GROUP_HEADER_BYTES;
    bool is_null = body[column / 8] >> (column % 8) & 1;
    return (struct cell){.row_status = at[0],
                         .is_null = is_null,
                         .is_given =
                             !is_null || group->view->features[group->columns[column]].has_default,
                         .type = group->body.columns[column].type,
                         .at = body + group->body.columns[column].offset,
                         .bytes = group->body.columns[column].bytes};
}

static void request_run(struct world *w, const struct read_plan *plan, enum reply_shape shape,
                        struct get_request *request) {
    struct writer heap = writer_of(w->heaps[shape], REPLY_BYTES_MAX);
    request->reply.plan = plan;
    request->reply.shape = shape;
    request->reply.out = w->replies[shape];
    request->reply.heap = plan->has_references ? &heap : NULL;
    request->rows_found_total = &w->store.found;
    size_t bytes = reply_bytes(&request->reply);
    assert_true(bytes < REPLY_BYTES_MAX);
    memset(w->replies[shape], GUARD, bytes + 1);
    request->wanted.budget = &w->budget;
    get_batch_put(&w->store.batch, request);
    get_batch_run(&w->store.batch);
    if (request->is_missing) request_again(w, request);
    assert_int_equal(w->replies[shape][bytes], GUARD);
}

/* ---- columns ---- */

static void zeros_check(const uint8_t *at, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) assert_int_equal(at[i], 0);
}

static void value_check_same(const struct world *w, const struct cell *cell, const uint8_t *found) {
    if (type_fixed_bytes(cell->type) > 0 || !cell->is_given) {
        assert_memory_equal(found, cell->at, cell->bytes);
        return;
    }
    uint32_t bytes = load_u32(cell->at + 4);
    assert_int_equal(load_u32(found + 4), bytes);
    if (bytes == 0) return;
    assert_memory_equal(w->heaps[REPLY_COLUMNS] + load_u32(found),
                        w->heaps[REPLY_ROWS] + load_u32(cell->at), bytes);
}

/* Walks the reply from its beginning, as docs/protocol.md describes it. */
static void columns_check(const struct world *w, const struct read_plan *plan, uint32_t count) {
    size_t room = ((size_t)count + 7) / 8 * 8;
    const uint8_t *at = w->replies[REPLY_COLUMNS];
    for (uint32_t g = 0; g < plan->groups_count; g++) {
        for (uint32_t key = 0; key < room; key++) {
            const uint8_t *row =
                w->replies[REPLY_ROWS] + (size_t)key * plan->row_bytes + plan->groups[g].offset;
            for (uint32_t i = 0; i < 3; i++) {
                uint64_t found = load_u64(at + 8 * (room * i + key));
                assert_true(found == (key < count ? load_u64(row + 8 + 8 * (size_t)i) : 0));
            }
            assert_int_equal(at[24 * room + key], key < count ? row[0] : 0);
        }
        at += 25 * room;
    }
    for (uint32_t f = 0; f < plan->features_count; f++) {
        uint32_t bytes = cell_of(w, plan, 0, f).bytes;
        for (uint32_t key = 0; key < count; key++) {
            struct cell cell = cell_of(w, plan, key, f);
            assert_int_equal(at[key], cell.is_null);
            value_check_same(w, &cell, at + room + (size_t)key * bytes);
        }
        zeros_check(at + count, room - count);
        zeros_check(at + room + (size_t)count * bytes, (room - count) * bytes);
        at += room + room * bytes;
    }
}

/* ---- matrices ---- */

static int64_t integer_of(const struct cell *cell) {
    if (cell->type.kind == TYPE_BOOL) return cell->at[0];
    if (cell->type.kind == TYPE_INT32) return (int32_t)load_u32(cell->at);
    return load_i64(cell->at);
}

/* The text of a number with all its digits, so that reading it rounds once. */
static void text_of(const struct cell *cell, char *text, size_t text_bytes) {
    float narrow;
    double wide;
    switch (cell->type.kind) {
    case TYPE_FLOAT32:
        memcpy(&narrow, cell->at, sizeof narrow);
        snprintf(text, text_bytes, "%a", (double)narrow);
        return;
    case TYPE_FLOAT64:
        memcpy(&wide, cell->at, sizeof wide);
        snprintf(text, text_bytes, "%a", wide);
        return;
    case TYPE_DECIMAL:
        if (integer_of(cell) != 0) {
            snprintf(text, text_bytes, "%" PRId64 "e-%u", integer_of(cell), cell->type.scale);
            return;
        }
        break;
    default:
        break;
    }
    snprintf(text, text_bytes, "%" PRId64, integer_of(cell));
}

static void number_check(const struct cell *cell, const uint8_t *found, enum reply_shape shape) {
    char text[64] = "nan";
    if (cell->is_given) text_of(cell, text, sizeof text);
    double want64 = strtod(text, NULL);
    float want32 = strtof(text, NULL);
    if (isnan(want64)) { /* The one NaN that is stored. */
        want64 = NAN;
        want32 = NAN;
    }
    if (shape == REPLY_FLOAT32)
        assert_memory_equal(found, &want32, sizeof want32);
    else
        assert_memory_equal(found, &want64, sizeof want64);
}

static void matrix_check(const struct world *w, const struct read_plan *plan, uint32_t count,
                         const struct reply *reply) {
    const uint8_t *at = w->replies[reply->shape];
    size_t bytes = reply->shape == REPLY_FLOAT32 ? 4 : 8;
    const uint8_t *status = at + bytes * count * plan->features_count;
    for (uint32_t key = 0; key < count; key++) {
        for (uint32_t f = 0; f < plan->features_count; f++, at += bytes) {
            struct cell cell = cell_of(w, plan, key, f);
            number_check(&cell, at, reply->shape);
            if (!reply->has_statuses) continue;
            uint8_t want = cell.row_status ? cell.row_status : cell.is_null;
            assert_int_equal(*status++, want);
        }
    }
    assert_int_equal(reply_bytes(reply),
                     (bytes + reply->has_statuses) * count * plan->features_count);
}

/* ---- tests ---- */

static void plan_compare(struct world *w, const struct read_plan *plan) {
    int64_t keys[ASKED_MAX];
    uint32_t count = 1 + (uint32_t)random_below(&w->random, ASKED_MAX);
    for (uint32_t i = 0; i < count; i++) keys[i] = (int64_t)random_below(&w->random, KEYS + 5);
    struct get_request request = {.reply = {.keys_count = count},
                                  .as_of_us = NOW_US,
                                  .serves_expired = random_below(&w->random, 2),
                                  .keys = (const uint8_t *)keys,
                                  .keys_bytes = count * sizeof *keys};
    request_run(w, plan, REPLY_ROWS, &request);
    request_run(w, plan, REPLY_COLUMNS, &request);
    columns_check(w, plan, count);
    for (enum reply_shape shape = REPLY_FLOAT32; shape <= REPLY_FLOAT64; shape++) {
        struct fst_error error = {.text = ""};
        enum fst_status status = reply_shape_check(plan, shape, &error);
        assert_int_equal(status, plan_is_numeric(plan) ? FST_OK : FST_INVALID);
        if (status != FST_OK) continue;
        request.reply.has_statuses = random_below(&w->random, 2);
        request_run(w, plan, shape, &request);
        matrix_check(w, plan, count, &request.reply);
    }
}

static void test_shapes_agree(void **state) {
    (void)state;
    struct random random = random_of_environment();
    static struct world w;
    for (int round = 0; round < 25; round++) {
        world_init(&w, random);
        rows_put(&w);
        for (int i = 0; i < 30; i++) {
            struct read_plan *plan = plan_make(&w, i % 2);
            plan_compare(&w, plan);
            read_plan_destroy(plan);
        }
        random = w.random;
        world_deinit(&w);
    }
}

/* Every reply has the same bytes whether its rows are in memory, or were evicted and are in hand.
 */
static void test_evicted_rows_read_the_same(void **state) {
    (void)state;
    struct random random = random_of_environment();
    static struct world w;
    enum { PLANS = 12 };
    for (int round = 0; round < 12; round++) {
        struct read_plan *plans[PLANS];
        uint8_t *before[PLANS][REPLY_SHAPES];
        size_t bytes[PLANS][REPLY_SHAPES] = {0};
        int64_t keys[KEYS + 3];
        world_init(&w, random);
        rows_put(&w);
        for (int64_t k = 0; k < KEYS + 3; k++) keys[k] = k;
        for (int i = 0; i < PLANS; i++) plans[i] = plan_make(&w, i % 2);
        for (int i = 0; i < 2 * PLANS; i++) {
            const struct read_plan *plan = plans[i % PLANS];
            if (i == PLANS) rows_evict(&w);
            for (enum reply_shape s = REPLY_ROWS; s < REPLY_SHAPES; s++) {
                struct get_request request = {.reply = {.keys_count = KEYS + 3},
                                              .as_of_us = NOW_US,
                                              .keys = (const uint8_t *)keys,
                                              .keys_bytes = sizeof keys};
                request.serves_expired = i % PLANS % 3 == 0;
                if (reply_shape_check(plan, s, NULL) != FST_OK) continue;
                request.reply.has_statuses = reply_is_matrix(s);
                memset(w.heaps[s], GUARD, REPLY_BYTES_MAX / 8);
                request_run(&w, plan, s, &request);
                size_t reply = reply_bytes(&request.reply), heap = REPLY_BYTES_MAX / 8;
                if (i < PLANS) {
                    before[i][s] = malloc(reply + heap);
                    bytes[i][s] = reply;
                    memcpy(before[i][s], w.replies[s], reply);
                    memcpy(before[i][s] + reply, w.heaps[s], heap);
                    continue;
                }
                assert_int_equal(reply, bytes[i - PLANS][s]);
                assert_memory_equal(before[i - PLANS][s], w.replies[s], reply);
                assert_memory_equal(before[i - PLANS][s] + reply, w.heaps[s], heap);
                free(before[i - PLANS][s]);
            }
        }
        for (int i = 0; i < PLANS; i++) read_plan_destroy(plans[i]);
        random = w.random;
        world_deinit(&w);
    }
}

/* Requests of all shapes in one batch, more than it holds: none disturbs the other. */
static void test_shapes_share_a_batch(void **state) {
    (void)state;
    enum { MANY = 2 * GET_READS_MAX };
    static struct world w;
    world_init(&w, random_of_environment());
    rows_put(&w);
    struct bytes name = {.data = (const uint8_t *)"t.v0:f0", .bytes = 7};
    struct read_plan *plan;
    assert_int_equal(read_plan_create(&plan, &w.catalog, PLAN_FEATURES, &name, 1, NULL), FST_OK);
    static int64_t keys[MANY];
    for (int64_t i = 0; i < MANY; i++) keys[i] = i % (KEYS + 3);
    struct get_request requests[REPLY_SHAPES];
    for (enum reply_shape shape = REPLY_ROWS; shape < REPLY_SHAPES; shape++) {
        requests[shape] = (struct get_request){
            .reply = {.plan = plan, .shape = shape, .keys_count = MANY, .out = w.replies[shape]},
            .as_of_us = NOW_US,
            .keys = (const uint8_t *)keys,
            .keys_bytes = sizeof keys,
            .rows_found_total = &w.store.found};
        get_batch_put(&w.store.batch, &requests[shape]);
    }
    get_batch_run(&w.store.batch);
    columns_check(&w, plan, MANY);
    matrix_check(&w, plan, MANY, &requests[REPLY_FLOAT32].reply);
    matrix_check(&w, plan, MANY, &requests[REPLY_FLOAT64].reply);
    read_plan_destroy(plan);
    world_deinit(&w);
}

/* Rows that take a tenth of all scratch: in columns, where none is read in place, the batch runs
 * whenever it is full. */
static void test_wide_rows(void **state) {
    (void)state;
    enum { WIDE = 3, WIDE_KEYS = 20 };
    static const struct type wide[WIDE] = {{.kind = TYPE_VECTOR, .elements = TYPE_VECTOR_MAX},
                                           {.kind = TYPE_VECTOR, .elements = TYPE_VECTOR_MAX},
                                           {.kind = TYPE_VECTOR, .elements = TYPE_VECTOR_MAX}};
    static struct world w;
    world_init(&w, random_of_environment());
    int64_t keys[WIDE_KEYS];
    struct bytes names[VIEWS];
    static const char *const texts[VIEWS] = {"t.v0:*", "t.v1:*", "t.v2:*"};
    for (int64_t i = 0; i < WIDE_KEYS; i++) keys[i] = i;
    for (uint32_t v = 0; v < VIEWS; v++) {
        names[v] = (struct bytes){.data = (const uint8_t *)texts[v], .bytes = 6};
        struct test_view *part = &w.parts[v];
        static uint8_t zeros[TYPE_VECTOR_MAX * sizeof(float)];
        for (uint32_t c = 0; c < WIDE; c++) {
            part->features[c] = (struct feature){.type = wide[c]};
            snprintf(part->features[c].name.text, NAME_BYTES_MAX, "f%u", c);
            part->features[c].has_default = v == 1;
            part->features[c].default_value = (struct bytes){.data = zeros, .bytes = sizeof zeros};
        }
        w.views[v].features_count = WIDE;
        for (uint32_t r = 0; r < 2; r++) {
            revision_init(&w.views[v], r, wide, WIDE, part->columns[r]);
        }
    }
    struct read_plan *plan;
    assert_int_equal(read_plan_create(&plan, &w.catalog, PLAN_FEATURES, names, VIEWS, NULL),
                     FST_OK);
    assert_int_equal(get_plan_check(plan, NULL), FST_OK);
    struct get_request request = {.reply = {.keys_count = WIDE_KEYS},
                                  .as_of_us = NOW_US,
                                  .keys = (const uint8_t *)keys,
                                  .keys_bytes = sizeof keys};
    request_run(&w, plan, REPLY_ROWS, &request);
    request_run(&w, plan, REPLY_COLUMNS, &request);
    columns_check(&w, plan, WIDE_KEYS);
    read_plan_destroy(plan);
    world_deinit(&w);
}

/* Two views of a vector and a bool, which rows of the first revision do not have. */
static void vectors_init(struct world *w, const uint32_t elements[2]) {
    world_init(w, random_of_environment());
    for (uint32_t v = 0; v < 2; v++) {
        const struct type of[] = {{.kind = TYPE_VECTOR, .elements = elements[v]}, types[0]};
        for (uint32_t c = 0; c < 2; c++) {
            w->parts[v].features[c] = (struct feature){.type = of[c]};
            snprintf(w->parts[v].features[c].name.text, NAME_BYTES_MAX, "f%u", c);
        }
        w->views[v].ttl_us = 0;
        w->views[v].features_count = 2;
        for (uint32_t r = 0; r < 2; r++) {
            revision_init(&w->views[v], r, of, r + 1, w->parts[v].columns[r]);
        }
    }
}

/* A row of an older revision is converted, however little scratch is left by requests that share
 * its batch, whose rows are smaller. */
static void test_conversion_in_a_full_batch(void **state) {
    (void)state;
    enum { LARGE = 2000, SMALL = 500, KEYS_COUNT = 2 * GET_READS_MAX };
    static const char *const texts[] = {"t.v0:f1", "t.v1:f1"};
    static struct world w;
    static int64_t keys[KEYS_COUNT];
    static uint8_t image[LARGE * sizeof(float) + 256];
    vectors_init(&w, (const uint32_t[]){LARGE, SMALL});
    assert_true(w.views[0].revisions[0].layout.image_bytes <= sizeof image);
    store_i64(image, NOW_US);
    get_fixture_apply(&w.store, &w.views[0], &(struct get_image){.revision = 0, .image = image});
    struct read_plan *plans[2];
    struct get_request requests[2];
    for (uint32_t i = 0; i < 2; i++) {
        const struct bytes name = {.data = (const uint8_t *)texts[i], .bytes = 7};
        assert_int_equal(read_plan_create(&plans[i], &w.catalog, PLAN_FEATURES, &name, 1, NULL),
                         FST_OK);
        uint32_t count = i == 0 ? 1 : KEYS_COUNT;
        requests[i] = (struct get_request){
            .reply = {.plan = plans[i], .keys_count = count, .out = w.replies[i]},
            .as_of_us = NOW_US,
            .keys = (const uint8_t *)keys,
            .keys_bytes = count * sizeof *keys,
            .rows_found_total = &w.store.found};
        get_batch_put(&w.store.batch, &requests[i]);
    }
    get_batch_run(&w.store.batch);
    assert_int_equal(w.replies[0][0], FST_OK);
    assert_true(row_is_null(w.replies[0] + PLAN_GROUP_HEADER_BYTES, 0));
    for (uint32_t i = 0; i < 2; i++) read_plan_destroy(plans[i]);
    world_deinit(&w);
}

/* A matrix is refused for the first feature that is no number, by its name and type. */
static void test_matrix_of_what_is_no_number(void **state) {
    (void)state;
    for (uint32_t t = 0; t < TYPES; t++) {
        static struct world w;
        world_init(&w, random_of_environment());
        struct feature *feature = &w.views[1].features[0];
        struct row_column *column = &w.parts[1].columns[1][0];
        feature->type = types[t];
        feature->has_default = false;
        revision_init(&w.views[1], 1, &types[t], 1, column);
        w.views[1].features_count = 1;
        struct bytes names[] = {{.data = (const uint8_t *)"t.v0:f0", .bytes = 7},
                                {.data = (const uint8_t *)"t.v1:f0", .bytes = 7}};
        struct read_plan *plan;
        struct fst_error error = {.text = ""};
        char text[TYPE_TEXT_BYTES];
        assert_int_equal(read_plan_create(&plan, &w.catalog, PLAN_FEATURES, names, 2, NULL),
                         FST_OK);
        enum fst_status want = t < NUMBERS ? FST_OK : FST_INVALID;
        assert_int_equal(reply_shape_check(plan, REPLY_FLOAT32, &error), want);
        assert_int_equal(reply_shape_check(plan, REPLY_FLOAT64, &error), want);
        assert_int_equal(reply_shape_check(plan, REPLY_COLUMNS, &error), FST_OK);
        type_format(types[t], text);
        if (want != FST_OK) assert_non_null(strstr(error.text, text));
        if (want != FST_OK) assert_non_null(strstr(error.text, "t.v1:f0"));
        read_plan_destroy(plan);
        world_deinit(&w);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes_agree),
        cmocka_unit_test(test_evicted_rows_read_the_same),
        cmocka_unit_test(test_shapes_share_a_batch),
        cmocka_unit_test(test_wide_rows),
        cmocka_unit_test(test_conversion_in_a_full_batch),
        cmocka_unit_test(test_matrix_of_what_is_no_number),
    };
    return cmocka_run_group_tests_name("query/reply", tests, NULL, NULL);
}
