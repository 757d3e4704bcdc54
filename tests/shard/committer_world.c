#include "tests/shard/committer_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>

#include "storage/log/log_reader.h"

struct world *world_create(uint64_t limit_bytes) {
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    world->random = random_of_environment();
    world->fixture = shard_fixture_create(world->random.state, limit_bytes, 1);
    world->filling_group = 1;
    return world;
}

void world_destroy(struct world *world) {
    shard_fixture_destroy(world->fixture);
    free(world);
}

/* ---- the oracle ---- */

static uint32_t view_number(const struct world *world, uint32_t view_id) {
    return view_id == world->fixture->early->id;
}

/* The greatest row by (event, created, lsn); whether this one is it. */
static bool stored_put(struct stored *stored, const struct fixture_row *row, uint64_t lsn) {
    bool is_late =
        stored->is_there &&
        (row->event_us < stored->row.event_us ||
         (row->event_us == stored->row.event_us && row->created_us < stored->row.created_us));
    if (is_late) return false;
    *stored = (struct stored){.is_there = true, .row = *row, .lsn = lsn};
    return true;
}

static void stored_check(const struct world *world, const struct view *view, int64_t key,
                         const struct stored *stored) {
    struct fixture_row row;
    uint64_t lsn;
    assert_int_equal(fixture_find(world->fixture, view, key, &row, &lsn), stored->is_there);
    if (!stored->is_there) return;
    assert_int_equal(lsn, stored->lsn);
    assert_int_equal(row.event_us, stored->row.event_us);
    assert_int_equal(row.created_us, stored->row.created_us);
    assert_int_equal(row.n, stored->row.n);
}

/* Rows of `plain` are seen when they are durable, rows of `early` at once. */
void world_check_key(const struct world *world, int64_t key) {
    stored_check(world, world->fixture->plain, key, &world->durable[0][key]);
    stored_check(world, world->fixture->early, key, &world->taken[1][key]);
}

/* ---- taking ---- */

/* What one part must be answered, given the LSNs that the committer gave out. */
static void part_expect(struct world *world, struct asked *asked, const struct write_part *part) {
    struct committer *committer = &world->fixture->committer;
    uint32_t p = part->partition;
    uint64_t lsn_before = asked->lsns_seen[p];
    uint64_t sequence = asked->sequence;
    uint32_t client = asked->client;
    assert_true(sequence < REQUESTS_MAX);
    bool *is_admitted = &world->is_admitted[p][client][sequence];
    bool is_repeated = client != 0 && *is_admitted;
    bool is_logged = committer->lsns[p] != lsn_before;
    if (is_logged) assert_int_equal(committer->lsns[p], lsn_before + part->rows_count);
    assert_false(is_logged && is_repeated);
    if (is_logged) *is_admitted = true;
    for (uint32_t i = 0; i < part->rows_count; i++) {
        uint32_t row = part->rows[i];
        asked->expected[row] = is_repeated ? FST_DUPLICATE : FST_BUSY;
        asked->partitions[row] = p;
        if (!is_logged) continue;
        uint64_t lsn = lsn_before + 1 + i;
        assert_true(lsn < LSNS_MAX);
        struct logged *logged = &world->logged[p][lsn];
        logged->view_id = asked->view->id;
        logged->row = fixture_decode(asked->view,
                                     part->body + sizeof(struct log_rows_header) +
                                         i * view_current(asked->view)->layout.image_bytes,
                                     part->body + part->body_bytes - part->heap_bytes);
        struct stored *stored = &world->taken[view_number(world, asked->view->id)][logged->row.key];
        bool is_newest = stored_put(stored, &logged->row, lsn);
        asked->expected[row] = is_newest ? FST_OK : FST_STALE;
        asked->lsns[row] = lsn;
    }
}

struct asked *world_take(struct world *world, const struct view *view,
                         const struct write_origin *origin, const struct fixture_row *rows,
                         uint32_t rows_count) {
    struct shard_fixture *fixture = world->fixture;
    assert_true(world->asked_count < REQUESTS_MAX);
    struct asked *asked = &world->asked[world->asked_count++];
    struct write_batch *batch = fixture_batch(fixture, view, origin, rows, rows_count);
    *asked = (struct asked){.request = batch->request,
                            .batch = batch,
                            .view = view,
                            .client = (uint32_t)origin->client_id,
                            .sequence = origin->sequence,
                            .rows_count = rows_count};
    memcpy(asked->lsns_seen, fixture->committer.lsns, sizeof asked->lsns_seen);
    committer_take(&fixture->committer, fixture->catalog, batch, fixture_now_us(fixture));
    for (uint32_t i = 0; i < batch->parts_count; i++) {
        part_expect(world, asked, &batch->parts[i]);
    }
    world->open_count += 1;
    return asked;
}

/* ---- answers ---- */

static bool is_refusal(enum fst_status status) {
    return status == FST_OVERLOADED || status == FST_FULL || status == FST_DISK_FULL ||
           status == FST_TOO_LARGE;
}

/* What is durable, and on top what still has an LSN. */
static void taken_renew(struct world *world) {
    memcpy(world->taken, world->durable, sizeof world->taken);
    for (uint32_t p = 0; p < FIXTURE_PARTITIONS; p++) {
        uint64_t last_lsn = world->fixture->committer.lsns[p];
        for (uint64_t lsn = world->lsns_committed[p] + 1; lsn <= last_lsn; lsn++) {
            const struct logged *logged = &world->logged[p][lsn];
            struct stored *taken = world->taken[view_number(world, logged->view_id)];
            assert_int_not_equal(logged->view_id, 0);
            stored_put(&taken[logged->row.key], &logged->row, lsn);
        }
    }
}

/* The group had no room on disk: as if the row had never come. No group is in flight then, and
 * nothing behind the row in its partition stays. */
static void row_take_back(struct world *world, const struct asked *asked, uint32_t row) {
    uint32_t p = asked->partitions[row];
    world->logged[p][asked->lsns[row]] = (struct logged){0};
    world->taken_back_count += 1;
    world->is_admitted[p][asked->client][asked->sequence] = false;
    assert_int_equal(world->flying_count, 0);
    assert_false(asked->view->is_visible_from_memory);
    assert_true(world->fixture->committer.lsns[p] < asked->lsns[row]);
    taken_renew(world);
}

static void row_check_answer(struct world *world, const struct asked *asked, uint32_t row,
                             bool is_durable) {
    enum fst_status status = asked->request->statuses[row];
    enum fst_status expected = asked->expected[row];
    uint32_t p = asked->partitions[row];
    world->statuses_count[status] += 1;
    if (world->is_failed && status == FST_OUTCOME_UNKNOWN) return;
    if (status == FST_OUTCOME_UNKNOWN) {
        /* No room for its group, where it stays; or it repeats what may be there. */
        assert_true(asked->lsns[row] != 0 || expected == FST_DUPLICATE);
        if (asked->lsns[row] != 0) world->left_count += 1;
        return;
    }
    if (status == FST_DISK_FULL && asked->lsns[row] != 0) {
        row_take_back(world, asked, row);
        return;
    }
    if (is_refusal(status)) {
        assert_true(expected == FST_BUSY || expected == FST_DUPLICATE);
        return;
    }
    assert_int_equal(status, expected);
    if (status == FST_DUPLICATE) {
        /* The first attempt is on disk, so the writer may believe it. */
        assert_true(world->lsns_committed[p] >= asked->lsns_seen[p]);
        return;
    }
    struct logged *logged = &world->logged[p][asked->lsns[row]];
    if (is_durable || !asked->view->is_visible_from_memory) assert_true(logged->is_committed);
    logged->is_acknowledged = logged->is_committed;
}

void world_check_request(struct world *world, struct asked *asked) {
    bool is_durable = asked->batch->is_durable;
    asked->answers_count += 1;
    assert_int_equal(asked->answers_count, 1);
    assert_int_equal(asked->batch->message.kind, MESSAGE_WRITTEN);
    assert_true(write_request_merge(asked->request, asked->batch, &world->fixture->buffers));
    for (uint32_t i = 0; i < asked->rows_count; i++) {
        row_check_answer(world, asked, i, is_durable);
    }
    buffers_put(&world->fixture->buffers, asked->request);
    asked->request = NULL;
    world->open_count -= 1;
}

static struct asked *asked_find(struct world *world, const struct message *message) {
    for (uint32_t i = world->asked_count; i > 0; i--) {
        struct asked *asked = &world->asked[i - 1];
        if (asked->request && &asked->batch->message == message) return asked;
    }
    return NULL;
}

void world_answer(struct world *world) {
    struct message *message;
    while ((message = committer_next_done(&world->fixture->committer)) != NULL) {
        struct asked *asked = asked_find(world, message);
        assert_non_null(asked); /* Otherwise it was answered before. */
        world_check_request(world, asked);
    }
}

/* ---- groups ---- */

bool world_seal(struct world *world) {
    struct committer *committer = &world->fixture->committer;
    struct log_write write;
    if (!committer_seal(committer, world->fixture->catalog, world->now_us, &write)) return false;
    assert_int_equal(write.group, world->filling_group);
    assert_true(world->flying_count < FIXTURE_GROUPS_IN_FLIGHT);
    struct world_group *group = &world->groups[write.group % FIXTURE_GROUPS_IN_FLIGHT];
    *group = (struct world_group){.write = write};
    memcpy(group->lsns, committer->lsns, sizeof group->lsns);
    world->flying[world->flying_count++] = write.group;
    world->filling_group += 1;
    return true;
}

static void rows_commit(struct world *world, const struct world_group *group) {
    for (uint32_t p = 0; p < FIXTURE_PARTITIONS; p++) {
        while (world->lsns_committed[p] < group->lsns[p]) {
            uint64_t lsn = ++world->lsns_committed[p];
            struct logged *logged = &world->logged[p][lsn];
            logged->is_committed = true;
            stored_put(&world->durable[view_number(world, logged->view_id)][logged->row.key],
                       &logged->row, lsn);
        }
    }
}

/* Rows are seen when their group and all before it are on disk. */
static void groups_commit(struct world *world) {
    while (world->durable_group + 1 < world->filling_group) {
        uint64_t next = world->durable_group + 1;
        const struct world_group *group = &world->groups[next % FIXTURE_GROUPS_IN_FLIGHT];
        if (!group->is_written) return;
        rows_commit(world, group);
        world->durable_group = next;
    }
}

enum fst_status world_complete(struct world *world) {
    struct shard_fixture *fixture = world->fixture;
    assert_true(world->flying_count > 0);
    uint64_t *flying = &world->flying[random_below(&world->random, world->flying_count)];
    struct committer_written written = {.group = *flying, .now_us = world->now_us};
    *flying = world->flying[--world->flying_count];
    struct world_group *group = &world->groups[written.group % FIXTURE_GROUPS_IN_FLIGHT];
    const struct log_write *write = &group->write;
    if (write->group == world->fail_group) io_sim_fail(fixture->sim, IO_SIM_PWRITE, 1, EIO);
    written.result =
        io_write_full(fixture->io, write->file, write->data, write->bytes, write->offset);
    if (written.result < 0) world->is_failed = true;
    group->is_written = !world->is_failed;
    groups_commit(world);
    return committer_complete(&fixture->committer, fixture->catalog, &written);
}

void world_prepare(struct world *world) {
    assert_int_equal(log_prepare_file(world->fixture->log), FST_OK);
    world->fixture->is_disk_full = false;
}

/* Nothing may be left behind once all groups are written. */
void world_finish(struct world *world) {
    while (!committer_is_idle(&world->fixture->committer)) {
        if (world->flying_count > 0) {
            assert_int_equal(world_complete(world), FST_OK);
        } else {
            world_prepare(world);
            assert_true(world_seal(world));
        }
        world_answer(world);
    }
    assert_int_equal(world->open_count, 0);
    for (uint32_t i = 0; i < world->asked_count; i++) {
        assert_int_equal(world->asked[i].answers_count, 1);
    }
    for (int64_t key = 0; key < KEYS_ALL; key++) {
        stored_check(world, world->fixture->plain, key, &world->taken[0][key]);
        world_check_key(world, key);
    }
    fixture_check(world->fixture);
}

/* ---- reading the log back ---- */

struct reading {
    struct world *world;
    uint64_t lsns[FIXTURE_PARTITIONS]; /* last seen */
    uint64_t changes_count;
    uint64_t changes_max; /* a group whose write failed may be there */
};

static enum fst_status record_check(void *context, const struct log_record_header *header,
                                    const uint8_t *body, const struct log_place *place) {
    (void)place;
    struct reading *reading = context;
    if (header->type == LOG_RECORD_CHANGE) {
        assert_int_equal(header->partition, LOG_CHANGE_PARTITION);
        assert_int_equal(header->lsn, ++reading->changes_count);
        return FST_OK;
    }
    struct shard_fixture *fixture = reading->world->fixture;
    struct log_rows_header rows;
    memcpy(&rows, body, sizeof rows);
    assert_true(header->partition < FIXTURE_PARTITIONS);
    const struct view *view = fixture->catalog->views_by_id[rows.view_id];
    size_t image_bytes = view_current(view)->layout.image_bytes;
    const uint8_t *heap = body + sizeof rows + rows.rows_count * image_bytes;
    assert_int_equal(log_rows_check(view, header->type, body, header->bytes - sizeof *header),
                     FST_OK);
    for (uint32_t i = 0; i < rows.rows_count; i++) {
        uint64_t lsn = header->lsn + i;
        assert_int_equal(lsn, ++reading->lsns[header->partition]);
        const struct logged *logged = &reading->world->logged[header->partition][lsn];
        struct fixture_row row = fixture_decode(view, body + sizeof rows + i * image_bytes, heap);
        assert_int_equal(logged->view_id, rows.view_id);
        assert_memory_equal(&row, &logged->row, sizeof row);
        assert_int_equal(fixture_partition(row.key), header->partition);
    }
    return FST_OK;
}

/* After the process of the fixture has died: the log holds every row that was acknowledged as
 * durable, no gaps before it, and nothing that was not logged. */
void world_check_log(struct world *world, uint64_t changes_count) {
    struct reading reading = {.world = world, .changes_max = changes_count + world->is_failed};
    struct log_position durable = {.epoch = 1, .shard = 0, .group = world->durable_group};
    struct log_reader_options options = {.durable = &durable, .durable_count = 1};
    memcpy(options.store_id, world->fixture->log_options.store_id, STORE_ID_BYTES);
    struct log_visitor visitor = {.context = &reading, .record = record_check};
    struct log_reader_result result;
    struct fst_error error = {.text = ""};
    enum fst_status status =
        log_read(world->fixture->io, FIXTURE_DIR, &options, &visitor, &result, &error);
    if (status != FST_OK) print_message("%s\n", error.text);
    assert_int_equal(status, FST_OK);
    assert_true(result.groups >= world->durable_group);
    assert_in_range(reading.changes_count, changes_count, reading.changes_max);
    for (uint32_t p = 0; p < FIXTURE_PARTITIONS; p++) {
        assert_true(reading.lsns[p] >= world->lsns_committed[p]);
        for (uint64_t lsn = 1; lsn < LSNS_MAX; lsn++) {
            if (world->logged[p][lsn].is_acknowledged) assert_true(lsn <= reading.lsns[p]);
        }
    }
}
