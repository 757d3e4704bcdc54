/* Memory that is not there. The table lies on a file system that gives a page only where it was
 * reserved: every other touch, even to read, ends the test. However little it has, what was
 * admitted is applied, what finds no room is refused at admission, rows in place can be changed,
 * and more is taken as soon as there is room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "storage/online/partition_parts.h"
#include "tests/online/online_fixture.h"

enum {
    PAGE = IO_BLOCK_BYTES,
    FILE_BYTES_MAX = 1 << 30,
    PAGES = FILE_BYTES_MAX / PAGE,
    LIMIT_BYTES = 256 << 20,
    FLIGHT = 40,
    FLIGHT_ROWS = 8,
    KEYS = 20000,
};

/* One file whose pages can be touched once they are reserved. */
struct strict_io {
    struct io io; /* first */
    struct io_ops ops;
    uint8_t *memory;
    uint64_t size_bytes;
    uint64_t pages_count; /* reserved */
    uint64_t pages_max;
    bool is_without; /* cannot reserve, and gives every page */
    bool has_page[PAGES];
};

static int strict_open(struct io *io, const char *path, int flags, io_file *file_out) {
    (void)io, (void)path, (void)flags;
    *file_out = 1;
    return 0;
}
static int strict_close(struct io *io, io_file file) {
    (void)io, (void)file;
    return 0;
}
static int64_t strict_size(struct io *io, io_file file) {
    (void)file;
    return (int64_t)((struct strict_io *)io)->size_bytes;
}
static int strict_resize(struct io *io, io_file file, uint64_t bytes) {
    struct strict_io *strict = (struct strict_io *)io;
    (void)file;
    assert_true(bytes <= FILE_BYTES_MAX);
    strict->size_bytes = bytes;
    if (bytes > 0) return 0;
    assert_int_equal(madvise(strict->memory, FILE_BYTES_MAX, MADV_DONTNEED), 0);
    if (strict->is_without) return 0;
    assert_int_equal(mprotect(strict->memory, FILE_BYTES_MAX, PROT_NONE), 0);
    memset(strict->has_page, 0, sizeof strict->has_page);
    strict->pages_count = 0;
    return 0;
}
static int strict_reserve(struct io *io, io_file file, uint64_t offset, uint64_t bytes) {
    struct strict_io *strict = (struct strict_io *)io;
    (void)file;
    if (strict->is_without) return -EOPNOTSUPP;
    assert_true(bytes > 0);
    assert_true(offset + bytes <= strict->size_bytes);
    uint64_t first = offset / PAGE, end = (offset + bytes + PAGE - 1) / PAGE;
    uint64_t wanted = 0;
    for (uint64_t page = first; page < end; page++) wanted += !strict->has_page[page];
    if (strict->pages_count + wanted > strict->pages_max) return -ENOSPC;
    strict->pages_count += wanted;
    for (uint64_t page = first; page < end; page++) strict->has_page[page] = true;
    return mprotect(strict->memory + first * PAGE, (end - first) * PAGE, PROT_READ | PROT_WRITE);
}
static int strict_map(struct io *io, io_file file, size_t bytes, void **memory_out) {
    struct strict_io *strict = (struct strict_io *)io;
    (void)file;
    if (bytes > strict->size_bytes) return -EINVAL;
    *memory_out = strict->memory;
    return 0;
}
static int strict_unmap(struct io *io, void *memory, size_t bytes) {
    (void)io, (void)memory, (void)bytes;
    return 0;
}

static struct strict_io *strict_create(uint64_t bytes_max, bool is_without) {
    struct strict_io *strict = calloc(1, sizeof *strict);
    assert_non_null(strict);
    strict->ops = (struct io_ops){.open = strict_open,
                                  .close = strict_close,
                                  .size = strict_size,
                                  .resize = strict_resize,
                                  .reserve = strict_reserve,
                                  .map = strict_map,
                                  .unmap = strict_unmap};
    strict->io.ops = &strict->ops;
    strict->pages_max = bytes_max / PAGE;
    strict->is_without = is_without;
    int access = is_without ? PROT_READ | PROT_WRITE : PROT_NONE;
    strict->memory =
        mmap(NULL, FILE_BYTES_MAX, access, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(strict->memory != MAP_FAILED);
    return strict;
}

static void strict_destroy(struct strict_io *strict) {
    munmap(strict->memory, FILE_BYTES_MAX);
    free(strict);
}

/* Closes the fixture's partition; the caller opens it on `strict`. */
static struct online_fixture *fixture_on(struct strict_io *strict) {
    struct online_fixture *fixture = online_fixture_create(LIMIT_BYTES);
    partition_close(fixture->partition);
    fixture->partition = NULL;
    fixture->options.io = &strict->io;
    return fixture;
}

/* ---- rows ---- */

static struct row_spec spec_random(uint64_t *random, int64_t event_us) {
    static const uint32_t views[] = {VIEW_SMALL, VIEW_WIDE, VIEW_TEXT, VIEW_NAMED, VIEW_TEXT};
    static const uint32_t heavies[] = {0, 0, 0, 300, 3000, 20000};
    struct row_spec spec = {
        .view_id = views[random_next(random) % 5],
        .key = (int64_t)(random_next(random) % KEYS),
        .event_us = event_us,
        .value = random_next(random),
    };
    if (spec.view_id == VIEW_TEXT) spec.heavy_bytes = heavies[random_next(random) % 6];
    return spec;
}

/* Some features, for a row that is evicted. */
static void promote_any(struct online_fixture *fixture, uint64_t *random) {
    static uint8_t image[ROW_BYTES_MAX], heap[ROW_HEAP_BYTES_MAX];
    struct row_spec spec = spec_random(random, 0);
    struct row_found found;
    uint32_t heap_used = 0;
    (void)row_get(fixture, spec.view_id, spec.key, &found);
    if (!found.read.is_evicted) return;
    spec.event_us = found.read.event_us;
    spec.created_us = found.read.created_us;
    image_make(fixture, &spec, image, heap, &heap_used);
    enum fst_status status = partition_promote(fixture->partition, fixture->by_id[spec.view_id], 0,
                                               found.read.lsn, image, heap);
    assert_true(status == FST_OK || status == FST_FULL);
}

/* What an owner may do between an admission and its record. */
static void owner_run(struct online_fixture *fixture, uint64_t *random) {
    uint32_t places = (uint32_t)(random_next(random) % 2000);
    uint64_t dice = random_next(random) % 8;
    if (dice == 0) online_fixture_keep(fixture);
    if (dice < 4) (void)partition_evict(fixture->partition, &fixture->catalog, places);
    if (dice == 4) partition_reclaim(fixture->partition);
    for (int i = 0; dice > 5 && i < 20; i++) promote_any(fixture, random);
}

/* Records that are admitted before any of them is applied. Whether some were refused. */
static bool flight_run(struct online_fixture *fixture, uint64_t *random, uint64_t *lsn) {
    struct record records[FLIGHT];
    uint32_t views[FLIGHT];
    uint32_t count = 0;
    bool is_full = false;
    for (uint32_t i = 0; i < FLIGHT; i++) {
        struct row_spec specs[FLIGHT_ROWS];
        specs[0] = spec_random(random, (int64_t)*lsn);
        for (uint32_t r = 1; r < FLIGHT_ROWS; r++) {
            do specs[r] = spec_random(random, (int64_t)*lsn);
            while (specs[r].view_id != specs[0].view_id);
            specs[r].heavy_bytes = specs[0].heavy_bytes;
        }
        records[count] = record_make(fixture, specs, FLIGHT_ROWS, *lsn);
        views[count] = specs[0].view_id;
        const struct view *view = fixture->by_id[views[count]];
        if (partition_admit(fixture->partition, view, records[count].body) != PARTITION_ADMIT) {
            record_free(&records[count]);
            is_full = true;
            continue;
        }
        *lsn += FLIGHT_ROWS;
        count += 1;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (fixture->views[VIEW_WIDE].evicts) owner_run(fixture, random);
        assert_int_equal(partition_apply(fixture->partition, fixture->by_id[views[i]],
                                         &records[i].header, records[i].body, true, NULL),
                         FST_OK);
        record_free(&records[i]);
    }
    partition_reclaim(fixture->partition);
    return is_full;
}

static void until_full(struct online_fixture *fixture, uint64_t *random, uint64_t *lsn) {
    uint32_t full_count = 0;
    for (uint32_t i = 0; full_count < 20; i++) {
        assert_true(i < 100000);
        full_count += flight_run(fixture, random, lsn);
        if (i % 50 == 0) online_fixture_check(fixture);
    }
    online_fixture_check(fixture);
}

/* ---- tests ---- */

static void test_any_room(void **state) {
    (void)state;
    uint64_t random = random_seed(3);
    for (uint64_t kib = 300; kib < 30000; kib += kib / 3) {
        struct strict_io *strict = strict_create(kib << 10, false);
        struct online_fixture *fixture = fixture_on(strict);
        uint64_t lsn = 1;
        online_fixture_reopen(fixture);
        until_full(fixture, &random, &lsn);
        uint64_t applied = partition_applied_lsn(fixture->partition);
        assert_true(strict->pages_count <= strict->pages_max);
        online_fixture_reopen(fixture);
        assert_int_equal(fixture->origin, PARTITION_MAPPED);
        assert_int_equal(partition_applied_lsn(fixture->partition), applied);
        online_fixture_check(fixture);
        strict->pages_max *= 2;
        uint64_t before = lsn;
        (void)flight_run(fixture, &random, &lsn);
        assert_true(lsn > before);
        until_full(fixture, &random, &lsn);
        assert_int_equal(partition_clear(fixture->partition), FST_OK);
        until_full(fixture, &random, &lsn);
        online_fixture_destroy(fixture);
        strict_destroy(strict);
    }
}

/* Rows leave and come back while others are admitted and not applied yet. */
static void test_evicting_beside_admitted_rows(void **state) {
    (void)state;
    enum { FLIGHTS = 150, KIB_MAX = 24000 };
    uint64_t random = random_seed(5);
    for (uint64_t kib = 1000; kib < KIB_MAX; kib *= 2) {
        struct strict_io *strict = strict_create(kib << 10, false);
        struct online_fixture *fixture = fixture_on(strict);
        uint64_t lsn = 1;
        fixture->budget.limit_bytes = kib / 2 << 10;
        for (uint32_t v = VIEW_WIDE; v <= VIEW_NAMED; v++) fixture->views[v].evicts = true;
        online_fixture_reopen(fixture);
        for (uint32_t i = 0; i < FLIGHTS; i++) (void)flight_run(fixture, &random, &lsn);
        online_fixture_check(fixture);
        const struct table_header *header = fixture->partition->table.header;
        print_message("  %llu KiB: %llu rows, %llu evicted\n", (unsigned long long)kib,
                      (unsigned long long)header->rows_count,
                      (unsigned long long)header->evicted_count);
        assert_int_equal(fixture->partition->flying_bytes, 0);
        assert_int_equal(fixture->partition->slabs.promised_places, 0);
        assert_int_equal(fixture->budget.used_bytes,
                         (uint64_t)header->slabs.extents_count * TABLE_EXTENT_BYTES);
        online_fixture_destroy(fixture);
        strict_destroy(strict);
    }
}

/* Many small rows in flight while the segments of the index, which fill alike, split one after the
 * other: what was admitted finds room for all of them, though there is no more memory by then. */
static void test_splits_in_a_wave(void **state) {
    (void)state;
    enum { FLIGHTS = 30, RECORDS = 40, ROWS = 500 };
    struct strict_io *strict = strict_create(FILE_BYTES_MAX, false);
    struct online_fixture *fixture = fixture_on(strict);
    const struct view *view = fixture->by_id[VIEW_SMALL];
    struct row_spec *specs = calloc(ROWS, sizeof *specs);
    int64_t key = 0;
    uint64_t lsn = 1;
    online_fixture_reopen(fixture);
    for (int flight = 0; flight < FLIGHTS; flight++) {
        struct record records[RECORDS];
        strict->pages_max = PAGES;
        for (int i = 0; i < RECORDS; i++, lsn += ROWS) {
            for (int r = 0; r < ROWS; r++) {
                specs[r] = (struct row_spec){.view_id = VIEW_SMALL, .key = key++};
            }
            records[i] = record_make(fixture, specs, ROWS, lsn);
            assert_int_equal(partition_admit(fixture->partition, view, records[i].body),
                             PARTITION_ADMIT);
        }
        strict->pages_max = strict->pages_count;
        for (int i = 0; i < RECORDS; i++) {
            assert_int_equal(partition_apply(fixture->partition, view, &records[i].header,
                                             records[i].body, true, NULL),
                             FST_OK);
            record_free(&records[i]);
        }
    }
    online_fixture_check(fixture);
    free(specs);
    online_fixture_destroy(fixture);
    strict_destroy(strict);
}

/* Memory that goes away under a partition: rows that are there can be changed in place. */
static void test_rows_in_place(void **state) {
    (void)state;
    struct strict_io *strict = strict_create(16 << 20, false);
    struct online_fixture *fixture = fixture_on(strict);
    uint64_t lsn = 1;
    online_fixture_reopen(fixture);
    for (int64_t key = 0; key < 1000; key++, lsn++) {
        struct row_spec spec = {.view_id = VIEW_WIDE, .key = key, .event_us = 1};
        assert_int_equal(row_write(fixture, &spec, lsn), FST_OK);
    }
    strict->pages_max = 0;
    int64_t next = 1000;
    enum fst_status status = FST_OK;
    for (; status == FST_OK; next++, lsn++) {
        struct row_spec spec = {.view_id = VIEW_WIDE, .key = next, .event_us = 1};
        status = row_write(fixture, &spec, lsn);
    }
    assert_int_equal(status, FST_FULL);
    for (int64_t key = 0; key < next - 1; key++, lsn++) {
        struct row_spec spec = {.view_id = VIEW_WIDE, .key = key, .event_us = 2};
        assert_int_equal(row_write(fixture, &spec, lsn), FST_OK);
    }
    /* Removals that cannot be noted cost a whole visit, nothing else. */
    assert_int_equal(row_remove(fixture, VIEW_WIDE, 0), FST_OK);
    assert_true(partition_needs_whole_visit(fixture->partition));
    strict->pages_max = PAGES;
    struct row_spec spec = {.view_id = VIEW_TEXT, .key = next, .event_us = 1, .heavy_bytes = 60000};
    assert_int_equal(row_write(fixture, &spec, lsn), FST_OK);
    for (int64_t key = 1; key < 900; key++) {
        assert_int_equal(row_remove(fixture, VIEW_WIDE, key), FST_OK);
    }
    online_fixture_check(fixture);
    online_fixture_destroy(fixture);
    strict_destroy(strict);
}

/* Clients that find no memory for more of them take the place of idle ones. */
static void test_clients_without_memory(void **state) {
    (void)state;
    enum { CLIENTS = 1000, ALL = 64 };
    struct strict_io *strict = strict_create(16 << 20, false);
    struct online_fixture *fixture = fixture_on(strict);
    online_fixture_reopen(fixture);
    strict->pages_max = strict->pages_count;
    struct client_table *clients = &fixture->partition->clients;
    for (uint64_t client = 1; client <= CLIENTS; client++) {
        assert_int_equal(partition_restore_client(fixture->partition, client, 5, 1), FST_OK);
        assert_true(client_table_has(clients, client, 5));
    }
    uint64_t known = 0;
    for (uint64_t c = 1; c <= CLIENTS; c++) known += client_table_has(clients, c, 5);
    assert_int_equal(known, ALL);
    strict->pages_max = PAGES;
    for (uint64_t client = 1; client <= ALL; client++) {
        assert_int_equal(partition_restore_client(fixture->partition, client, 5, 1), FST_OK);
    }
    for (uint64_t c = 1; c <= ALL; c++) assert_true(client_table_has(clients, c, 5));
    online_fixture_check(fixture);
    online_fixture_destroy(fixture);
    strict_destroy(strict);
}

enum { PROMISE_VIEWS = 3, PROMISE_ROWS = 50 };

static const uint32_t promise_views[PROMISE_VIEWS] = {VIEW_SMALL, VIEW_WIDE, VIEW_EXTRA_FIRST};

static uint32_t places_of(const struct online_fixture *fixture, uint32_t view_id) {
    uint32_t bytes = row_stored_bytes(&fixture->by_id[view_id]->revisions[0].layout);
    return slab_span_places(slab_place_bytes(SLAB_ROWS, bytes));
}

/* Two spans of rows; of the first all but one row stay, of the second only one. */
static void spans_make(struct online_fixture *fixture, uint32_t view_id, uint64_t *lsn) {
    int64_t places = places_of(fixture, view_id);
    for (int64_t key = 0; key < 2 * places; key++) {
        struct row_spec spec = {.view_id = view_id, .key = key};
        assert_int_equal(row_write(fixture, &spec, (*lsn)++), FST_OK);
    }
    assert_int_equal(row_remove(fixture, view_id, 0), FST_OK);
    for (int64_t key = places; key < 2 * places - 1; key++) {
        assert_int_equal(row_remove(fixture, view_id, key), FST_OK);
    }
}

/* Places that were free when a record was admitted are there when it is applied, though the last
 * row of their span was removed meanwhile: without memory for another span. */
static void test_promised_places_stay(void **state) {
    (void)state;
    struct strict_io *strict = strict_create(FILE_BYTES_MAX, false);
    struct online_fixture *fixture = fixture_on(strict);
    struct record records[PROMISE_VIEWS];
    uint64_t lsn = 1;
    online_fixture_reopen(fixture);
    for (int v = 0; v < PROMISE_VIEWS; v++) spans_make(fixture, promise_views[v], &lsn);
    for (int i = 0; i < 4; i++) partition_reclaim(fixture->partition);
    for (int v = 0; v < PROMISE_VIEWS; v++) {
        struct row_spec specs[PROMISE_ROWS];
        for (int64_t i = 0; i < PROMISE_ROWS; i++) {
            specs[i] = (struct row_spec){.view_id = promise_views[v], .key = KEYS + i};
        }
        records[v] = record_make(fixture, specs, PROMISE_ROWS, lsn);
        lsn += PROMISE_ROWS;
        const struct view *view = fixture->by_id[promise_views[v]];
        assert_int_equal(partition_admit(fixture->partition, view, records[v].body),
                         PARTITION_ADMIT);
    }
    strict->pages_max = 0;
    /* As if sizes that were admitted beside them had taken all that is reserved. */
    struct table_slabs *root = &((struct table_header *)(void *)strict->memory)->slabs;
    root->extents_reserved = root->extents_count;
    for (int v = 0; v < PROMISE_VIEWS; v++) {
        int64_t last = 2 * (int64_t)places_of(fixture, promise_views[v]) - 1;
        assert_int_equal(row_remove(fixture, promise_views[v], last), FST_OK);
    }
    partition_reclaim(fixture->partition); /* Frees the places; an emptied span would wait now. */
    for (int v = 0; v < PROMISE_VIEWS; v++) {
        const struct view *view = fixture->by_id[promise_views[v]];
        assert_int_equal(partition_apply(fixture->partition, view, &records[v].header,
                                         records[v].body, true, NULL),
                         FST_OK);
        record_free(&records[v]);
    }
    online_fixture_check(fixture);
    online_fixture_destroy(fixture);
    strict_destroy(strict);
}

static uint32_t places_in(const struct online_fixture *fixture, uint32_t view_id,
                          uint16_t revision) {
    uint32_t bytes = row_stored_bytes(&fixture->by_id[view_id]->revisions[revision].layout);
    return slab_span_places(slab_place_bytes(SLAB_ROWS, bytes));
}

static void rows_write(struct online_fixture *fixture, struct row_spec spec, int64_t count,
                       uint64_t *lsn) {
    for (; count > 0; count--, spec.key++) {
        assert_int_equal(row_write(fixture, &spec, (*lsn)++), FST_OK);
    }
}

/* No more can be had; what was reserved and is not taken is gone, too. */
static void memory_end(struct strict_io *strict) {
    struct table_slabs *root = &((struct table_header *)(void *)strict->memory)->slabs;
    uint64_t end = TABLE_EXTENTS_OFFSET + (uint64_t)root->extents_count * TABLE_EXTENT_BYTES;
    for (uint64_t page = end / PAGE; page < PAGES; page++) {
        strict->pages_count -= strict->has_page[page];
        strict->has_page[page] = false;
    }
    assert_int_equal(mprotect(strict->memory + end, FILE_BYTES_MAX - end, PROT_NONE), 0);
    root->extents_reserved = root->extents_count;
    strict->pages_max = strict->pages_count;
}

/* Without memory for anything more, however few rows there are yet, a value is changed as long as
 * there is a place of its size. */
static void test_values_in_place(void **state) {
    (void)state;
    enum { UPDATES = 2000 };
    struct strict_io *strict = strict_create(FILE_BYTES_MAX, false);
    struct online_fixture *fixture = fixture_on(strict);
    struct row_spec spec = {.view_id = VIEW_TEXT, .revision = 1, .key = 1, .value = 7};
    online_fixture_reopen(fixture);
    assert_int_equal(row_write(fixture, &spec, 1), FST_OK);
    memory_end(strict);
    for (uint64_t lsn = 2; lsn <= UPDATES; lsn++) {
        spec.event_us += 1;
        assert_int_equal(row_write(fixture, &spec, lsn), FST_OK);
        partition_reclaim(fixture->partition);
    }
    online_fixture_check(fixture);
    online_fixture_destroy(fixture);
    strict_destroy(strict);
}

/* Fills `spans` spans of wide rows and removes all but those of the first: one empty span stays
 * with its size, the others go to the pool. */
static void pool_make(struct online_fixture *fixture, int64_t spans, uint64_t *lsn) {
    int64_t places = places_in(fixture, VIEW_WIDE, 0);
    rows_write(fixture, (struct row_spec){.view_id = VIEW_WIDE}, spans * places, lsn);
    for (int64_t key = places; key < spans * places; key++) {
        assert_int_equal(row_remove(fixture, VIEW_WIDE, key), FST_OK);
    }
    for (int i = 0; i < 4; i++) partition_reclaim(fixture->partition);
    assert_int_equal(slabs_pool_extents(&fixture->partition->slabs), spans - 2);
}

/* Spans that empty go to the pool at the cost of a list entry: also where no memory is left, which
 * is when others need them. */
static void test_spans_empty_without_memory(void **state) {
    (void)state;
    struct strict_io *strict = strict_create(FILE_BYTES_MAX, false);
    struct online_fixture *fixture = fixture_on(strict);
    uint64_t lsn = 1;
    online_fixture_reopen(fixture);
    int64_t places = places_in(fixture, VIEW_WIDE, 0);
    rows_write(fixture, (struct row_spec){.view_id = VIEW_WIDE}, 6 * places, &lsn);
    memory_end(strict);
    uint64_t pages = strict->pages_count;
    uint32_t busy = 0; /* The list of what waits is full, and finds no memory. */
    for (int64_t key = 0; key < 6 * places; key++) {
        while (row_remove(fixture, VIEW_WIDE, key) == FST_BUSY) {
            partition_reclaim(fixture->partition);
            busy += 1;
        }
    }
    assert_in_range(busy, 1, 4);
    for (int i = 0; i < 4; i++) partition_reclaim(fixture->partition);
    assert_int_equal(slabs_pool_extents(&fixture->partition->slabs), 5);
    assert_int_equal(strict->pages_count, pages);
    struct row_spec spec = {.view_id = VIEW_EXTRA_FIRST, .key = KEYS};
    assert_int_equal(row_write(fixture, &spec, lsn), FST_OK);
    online_fixture_check(fixture);
    online_fixture_destroy(fixture);
    strict_destroy(strict);
}

/* A span of the pool is promised to one record, whatever sizes come for it: two records that need
 * a span each are admitted if there are two. */
static void test_pool_is_promised_once(void **state) {
    (void)state;
    for (int64_t pool = 1; pool <= 2; pool++) {
        struct strict_io *strict = strict_create(FILE_BYTES_MAX, false);
        struct online_fixture *fixture = fixture_on(strict);
        const struct view *view = fixture->by_id[VIEW_SMALL];
        struct record records[2];
        uint64_t lsn = 1;
        online_fixture_reopen(fixture);
        for (uint16_t r = 0; r < 2; r++) {
            struct row_spec spec = {.view_id = VIEW_SMALL, .revision = r, .key = r * (int64_t)KEYS};
            rows_write(fixture, spec, places_in(fixture, VIEW_SMALL, r), &lsn);
        }
        pool_make(fixture, pool + 2, &lsn);
        memory_end(strict);
        for (uint16_t r = 0; r < 2; r++, lsn++) {
            struct row_spec spec = {
                .view_id = VIEW_SMALL, .revision = r, .key = (r + 3) * (int64_t)KEYS};
            records[r] = record_make(fixture, &spec, 1, lsn);
            assert_int_equal(partition_admit(fixture->partition, view, records[r].body),
                             r < pool ? PARTITION_ADMIT : PARTITION_FULL);
        }
        for (uint16_t r = 0; r < 2; r++) {
            if (r < pool) {
                assert_int_equal(partition_apply(fixture->partition, view, &records[r].header,
                                                 records[r].body, true, NULL),
                                 FST_OK);
            }
            record_free(&records[r]);
        }
        online_fixture_check(fixture);
        online_fixture_destroy(fixture);
        strict_destroy(strict);
    }
}

/* ---- the index ---- */

/* Rows of one size after the other, so that each has a span that is nearly free. */
static struct row_spec index_spec(const struct online_fixture *fixture, int64_t key) {
    struct row_spec spec = {.view_id = VIEW_EXTRA_FIRST, .key = key};
    int64_t extra = 3 * (int64_t)places_in(fixture, VIEW_EXTRA_FIRST, 0) + 1;
    int64_t small = places_in(fixture, VIEW_SMALL, 0) + 1;
    if (key >= extra) spec.view_id = VIEW_SMALL;
    if (key >= extra + small) spec.revision = 1;
    if (key > extra + small) spec = (struct row_spec){.view_id = VIEW_WIDE, .key = key};
    return spec;
}

/* Writes rows until the index has more than so many segments, or there are so many rows; how
 * many there are then. */
static int64_t index_fill(struct online_fixture *fixture, uint64_t segments_max, int64_t rows_max,
                          uint64_t *lsn) {
    int64_t key = 0;
    while (fixture->partition->index.root->segments_count <= segments_max && key < rows_max) {
        struct row_spec spec = index_spec(fixture, key++);
        assert_int_equal(row_write(fixture, &spec, (*lsn)++), FST_OK);
    }
    return key;
}

/* The next segment would need memory that is not there: rows find places, but no slots. */
static void test_index_without_memory(void **state) {
    (void)state;
    enum { SEGMENTS = TABLE_EXTENT_BYTES / SLAB_SEGMENT_BYTES };
    static const struct {
        uint32_t view_id;
        uint16_t revision;
    } sizes[] = {{VIEW_EXTRA_FIRST, 0}, {VIEW_SMALL, 0}, {VIEW_SMALL, 1}, {VIEW_WIDE, 0}};
    int64_t rows_max = INT64_MAX;
    for (int run = 0; run < 2; run++) {
        struct strict_io *strict = strict_create(FILE_BYTES_MAX, false);
        struct online_fixture *fixture = fixture_on(strict);
        uint64_t lsn = 1;
        online_fixture_reopen(fixture);
        int64_t key = index_fill(fixture, SEGMENTS, rows_max, &lsn);
        rows_max = key - 1;
        memory_end(strict);
        uint32_t full = 0;
        for (uint32_t i = 0; run == 1 && full != 15; i = (i + 1) % 4, key++, lsn++) {
            struct row_spec spec = {
                .view_id = sizes[i].view_id, .revision = sizes[i].revision, .key = key};
            if (row_write(fixture, &spec, lsn) == FST_FULL) full |= 1u << i;
        }
        for (int64_t old = 0; old < rows_max; old++, lsn++) {
            struct row_spec spec = index_spec(fixture, old);
            spec.event_us = 1;
            assert_int_equal(row_write(fixture, &spec, lsn), FST_OK);
        }
        online_fixture_check(fixture);
        online_fixture_destroy(fixture);
        strict_destroy(strict);
    }
}

/* Whatever little there is: the table opens, or says why not, and leaves nothing behind. */
static void test_too_little_to_open(void **state) {
    (void)state;
    uint64_t opened_pages = 0;
    for (uint64_t pages = 0; opened_pages == 0; pages++) {
        assert_true(pages < 1000);
        struct strict_io *strict = strict_create(pages * PAGE, false);
        struct online_fixture *fixture = fixture_on(strict);
        struct fst_error error = {.text = ""};
        enum fst_status status =
            partition_open(&fixture->partition, &fixture->options, &fixture->origin, &error);
        if (status == FST_OK) {
            opened_pages = pages;
        } else {
            assert_non_null(strstr(error.text, "no room in its memory file system"));
        }
        if (status != FST_OK) {
            strict->pages_max = PAGES;
            online_fixture_reopen(fixture);
        }
        online_fixture_destroy(fixture);
        strict_destroy(strict);
    }
    assert_true(opened_pages < 200);
}

/* A file system that cannot reserve is used as it is. */
static void test_without_reserving(void **state) {
    (void)state;
    uint64_t random = random_seed(4);
    struct strict_io *strict = strict_create(0, true);
    struct online_fixture *fixture = fixture_on(strict);
    uint64_t lsn = 1;
    online_fixture_reopen(fixture);
    for (int i = 0; i < 50; i++) assert_false(flight_run(fixture, &random, &lsn));
    online_fixture_check(fixture);
    online_fixture_destroy(fixture);
    strict_destroy(strict);
}

/* A table that an earlier version left has pages where rows are, and holes beside them. */
static void test_a_table_with_holes(void **state) {
    (void)state;
    uint64_t random = random_seed(5);
    struct strict_io *strict = strict_create(FILE_BYTES_MAX, false);
    struct online_fixture *fixture = fixture_on(strict);
    uint64_t lsn = 1;
    online_fixture_reopen(fixture);
    for (int i = 0; i < 50; i++) assert_false(flight_run(fixture, &random, &lsn));
    partition_close(fixture->partition);
    fixture->partition = NULL;
    struct table_header *header = (struct table_header *)(void *)strict->memory;
    uint64_t extent = header->slabs.extents_count - 1;
    header->slabs.extents_reserved = 0;
    uint8_t *hole = strict->memory + TABLE_EXTENTS_OFFSET + extent * TABLE_EXTENT_BYTES;
    assert_int_equal(mprotect(hole, TABLE_EXTENT_BYTES, PROT_NONE), 0);
    strict->pages_max = strict->pages_count;
    online_fixture_reopen(fixture);
    assert_int_equal(fixture->origin, PARTITION_MAPPED);
    online_fixture_check(fixture);
    until_full(fixture, &random, &lsn);
    online_fixture_destroy(fixture);
    strict_destroy(strict);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_room),
        cmocka_unit_test(test_evicting_beside_admitted_rows),
        cmocka_unit_test(test_splits_in_a_wave),
        cmocka_unit_test(test_rows_in_place),
        cmocka_unit_test(test_values_in_place),
        cmocka_unit_test(test_clients_without_memory),
        cmocka_unit_test(test_promised_places_stay),
        cmocka_unit_test(test_spans_empty_without_memory),
        cmocka_unit_test(test_pool_is_promised_once),
        cmocka_unit_test(test_index_without_memory),
        cmocka_unit_test(test_too_little_to_open),
        cmocka_unit_test(test_without_reserving),
        cmocka_unit_test(test_a_table_with_holes),
    };
    return cmocka_run_group_tests_name("online/reserve", tests, NULL, NULL);
}
