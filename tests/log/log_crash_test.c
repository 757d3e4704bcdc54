/* Writes logs, ends the process or cuts the power at random moments, and shows after each that
 * exactly the acknowledged records are read, plus at most whole groups that were in flight, in
 * order. Up to five groups are in flight and are written in any order, through a file that syncs
 * each write, or with a sync behind each, which may come much later. Old logs are ended by log_trim
 * now and then, which is cut short, too. The oracle is the last record of every group, and which
 * groups were written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>

#include "log_fixture.h"
#include "storage/log/log_trim.h"

enum { STORES = 12, ROUNDS = 25, STEPS_MAX = 120 };

/* How often what happened, over all stores. */
struct tally {
    uint32_t torn, whole, failed, unsynced, trimmed, cut_short;
};

/* A group of this epoch. */
struct model_group {
    uint64_t last;   /* number of its last record */
    bool is_taken;   /* written, but a sync must follow */
    bool is_written; /* and synced */
    struct log_write write;
};

struct model {
    struct log_fixture fixture;
    struct tally *tally;
    uint64_t random;
    struct model_group
        groups[STEPS_MAX + 1]; /* by number; in 0 the last record before this epoch */
    uint64_t sealed_group;
    uint64_t durable_group;
    uint32_t flying[LOG_GROUPS_IN_FLIGHT_MAX];
    uint32_t flying_count;
    bool is_sync_failed;               /* in this epoch: files show what the disk will never have */
    struct log_position known[ROUNDS]; /* what was acknowledged, per epoch */
    uint32_t known_count;
    struct log_fixture_found found; /* by the last reading */
};

static bool chance(struct model *model, uint32_t of) {
    return log_fixture_random(&model->random) % of == 0;
}

static void group_seal(struct model *model) {
    struct log_fixture *fixture = &model->fixture;
    struct log_write write;
    if (!log_seal(fixture->log, &write)) return;
    assert_int_equal(write.group, model->sealed_group + 1);
    model->sealed_group = write.group;
    model->groups[write.group] = (struct model_group){.last = fixture->appended, .write = write};
    model->flying[model->flying_count++] = (uint32_t)write.group;
}

/* The groups that became durable: whole records in order, and those alone are acknowledged. */
static void groups_release(struct model *model) {
    struct log_fixture *fixture = &model->fixture;
    while (log_completed_group(fixture->log) != 0) {
        const struct model_group *group = &model->groups[model->durable_group + 1];
        assert_int_equal(log_completed_group(fixture->log), model->durable_group + 1);
        assert_true(group->is_written);
        struct log_record_header *record = NULL;
        while ((record = log_next_completed(fixture->log, record))) {
            fixture->durable += 1;
            assert_true(
                log_fixture_is_record(record, (const uint8_t *)(record + 1), fixture->durable));
        }
        assert_int_equal(fixture->durable, group->last);
        model->durable_group += 1;
        log_release(fixture->log);
    }
}

/* The write, or the sync that must follow it. 0 or -errno; some sectors change, or are made
 * durable, also when it fails. */
static int group_step(struct model *model, struct model_group *group, bool is_failing) {
    struct io *io = model->fixture.io;
    const struct log_write *write = &group->write;
    enum io_sim_call call = group->is_taken ? IO_SIM_SYNC : IO_SIM_PWRITE;
    if (is_failing) io_sim_fail(model->fixture.sim, call, 1, EIO);
    if (group->is_taken) return io->ops->sync(io, write->file);
    return io_write_full(io, write->file, write->data, write->bytes, write->offset);
}

/* Hears of other groups before it hears of a sync that failed. */
static void others_sync(struct model *model, const struct model_group *failed) {
    struct log_fixture *fixture = &model->fixture;
    for (uint32_t i = 0; i < model->flying_count; i++) {
        struct model_group *group = &model->groups[model->flying[i]];
        if (group == failed || !group->is_taken) continue;
        if (group_step(model, group, false) != 0) continue; /* That is heard of later still. */
        group->is_written = true;
        assert_int_equal(log_complete(fixture->log, group->write.group, 0), FST_OK);
    }
    groups_release(model);
}

/* Writes or syncs one of the groups in flight. False when the process must end. */
static bool group_write(struct model *model) {
    struct log_fixture *fixture = &model->fixture;
    if (model->flying_count == 0) return true;
    uint32_t i = (uint32_t)(log_fixture_random(&model->random) % model->flying_count);
    struct model_group *group = &model->groups[model->flying[i]];
    const struct log_write *write = &group->write;
    if (chance(model, 40)) return false; /* before anything was written */
    bool is_failing = chance(model, group->is_taken ? 6 : 20);
    int result = group_step(model, group, is_failing);
    assert_int_equal(result < 0, is_failing);
    if (!is_failing && !write->is_dsync && !group->is_taken) {
        group->is_taken = true;
        return true;
    }
    group->is_written = !is_failing;
    model->is_sync_failed = is_failing && group->is_taken;
    if (model->is_sync_failed && chance(model, 2)) others_sync(model, group);
    if (!is_failing && chance(model, 40)) return false; /* written, but nobody knows */
    enum fst_status status = log_complete(fixture->log, write->group, result);
    assert_int_equal(status, result < 0 ? FST_IO_ERROR : FST_OK);
    model->tally->failed += is_failing;
    if (is_failing) return false;
    model->flying[i] = model->flying[--model->flying_count];
    groups_release(model);
    return true;
}

/* Fails at some call now and then, or ends the process there: false. */
static bool file_prepare(struct model *model) {
    struct log_fixture *fixture = &model->fixture;
    uint64_t nth = 1 + log_fixture_random(&model->random) % 8;
    bool is_end = chance(model, 12);
    if (is_end)
        io_sim_fail_from(fixture->sim, IO_SIM_ANY, nth, EIO); /* nothing can be removed any more */
    else if (chance(model, 4))
        io_sim_fail(fixture->sim, IO_SIM_ANY, nth, chance(model, 2) ? EIO : ENOSPC);
    enum fst_status status = log_prepare_file(fixture->log);
    io_sim_fail(fixture->sim, IO_SIM_ANY, 0, EIO);
    return !is_end || status == FST_OK;
}

static void run_until_end(struct model *model) {
    struct log_fixture *fixture = &model->fixture;
    for (int step = 0; step < STEPS_MAX; step++) {
        uint64_t kind = log_fixture_random(&model->random) % 10;
        if (kind < 6) (void)log_fixture_append(fixture);
        if (kind == 6 && !file_prepare(model)) return;
        if (kind == 7) group_seal(model);
        if (kind > 7 && !group_write(model)) return;
        assert_int_equal(log_check(fixture->log), FST_OK);
    }
}

static bool epoch_open(struct model *model) {
    struct log_fixture *fixture = &model->fixture;
    struct fst_error error;
    fixture->options.epoch += 1;
    fixture->options.shard = (uint32_t)(log_fixture_random(&model->random) % 3);
    fixture->options.groups_in_flight_max = 1 + (uint32_t)(log_fixture_random(&model->random) % 5);
    fixture->options.sync_method = chance(model, 2) ? LOG_SYNC_DSYNC : LOG_SYNC_FDATASYNC;
    if (chance(model, 8)) {
        io_sim_fail(fixture->sim, IO_SIM_ANY, 1 + log_fixture_random(&model->random) % 8, EIO);
    }
    enum fst_status status =
        log_open(&fixture->log, fixture->io, FIXTURE_DIR, &fixture->options, &error);
    io_sim_fail(fixture->sim, IO_SIM_ANY, 0, EIO);
    model->durable_group = model->sealed_group = model->flying_count = 0;
    model->groups[0].last = fixture->durable;
    return status == FST_OK;
}

static void process_end(struct model *model) {
    struct log_fixture *fixture = &model->fixture;
    for (uint32_t i = 0; i < model->flying_count; i++) {
        model->tally->unsynced += model->groups[model->flying[i]].is_taken;
    }
    if (chance(model, 3) && !model->is_sync_failed)
        io_sim_kill(fixture->sim);
    else
        io_sim_crash(fixture->sim);
    model->is_sync_failed = false;
    log_close(fixture->log); /* Its files are gone; its memory is not. */
    fixture->log = NULL;
}

static void read_all(struct model *model) {
    struct log_reader_options options = {0};
    if (chance(model, 2)) { /* What a checkpoint would know. */
        options.durable = model->known;
        options.durable_count = model->known_count;
    }
    enum fst_status status = log_fixture_read(&model->fixture, &options, 1, &model->found);
    if (status != FST_OK) print_error("%s\n", model->found.error.text);
    assert_int_equal(status, FST_OK);
    assert_false(model->found.is_wrong);
}

/* Record `last` ends a group, and everything before it that was written is there. */
static void judge_last(const struct model *model, uint64_t last) {
    uint64_t written = 0, found = 0;
    while (written < model->sealed_group && model->groups[written + 1].is_written) written += 1;
    while (found < model->sealed_group && model->groups[found].last != last) found += 1;
    assert_int_equal(model->groups[found].last, last);
    assert_true(found >= written);
    assert_true(written >= model->durable_group);
}

static void read_and_judge(struct model *model) {
    struct log_fixture *fixture = &model->fixture;
    uint32_t torn_before = model->found.result.torn_count;
    if (model->durable_group > 0) {
        model->known[model->known_count++] = (struct log_position){
            fixture->options.epoch, fixture->options.shard, model->durable_group};
    }
    read_all(model);
    uint64_t last = model->found.next - 1;
    judge_last(model, last);
    assert_true(model->found.result.torn_count <= torn_before + 1);
    model->tally->torn += model->found.result.torn_count > torn_before;
    model->tally->whole += last > fixture->durable;
    /* What was read is what everybody goes on from. */
    fixture->appended = fixture->durable = last;
}

/* Ends all logs read, or is cut short by a failing call and a crash. Either way the same is
 * read. */
static void trim_and_judge(struct model *model) {
    struct log_fixture *fixture = &model->fixture;
    struct fst_error error;
    bool is_failing = chance(model, 2);
    bool is_kill = chance(model, 2);
    if (is_failing) { /* A failed sync and no power cut: files show what the disk will not have. */
        enum io_sim_call call = is_kill ? IO_SIM_PWRITE : IO_SIM_ANY;
        uint64_t nth = 1 + log_fixture_random(&model->random) % (is_kill ? 4 : 40);
        io_sim_fail(fixture->sim, call, nth, EIO);
    }
    enum fst_status status = log_trim(fixture->io, FIXTURE_DIR, fixture->options.store_id,
                                      model->found.last, model->found.last_count, &error);
    io_sim_fail(fixture->sim, IO_SIM_ANY, 0, EIO);
    io_sim_fail(fixture->sim, IO_SIM_PWRITE, 0, EIO);
    assert_true(status == FST_OK || (is_failing && status == FST_IO_ERROR));
    if (is_failing && is_kill)
        io_sim_kill(fixture->sim);
    else if (is_failing)
        io_sim_crash(fixture->sim);
    uint64_t next = model->found.next;
    read_all(model);
    assert_int_equal(model->found.next, next);
    if (status == FST_OK) assert_int_equal(model->found.result.torn_count, 0);
    model->tally->trimmed += status == FST_OK;
    model->tally->cut_short += status != FST_OK;
}

static void store_run(uint64_t seed, struct tally *tally) {
    struct model model = {.random = seed, .tally = tally};
    log_fixture_init(&model.fixture, seed);
    for (int round = 0; round < ROUNDS; round++) {
        if (epoch_open(&model)) run_until_end(&model);
        process_end(&model);
        read_and_judge(&model);
        if (chance(&model, 3)) trim_and_judge(&model);
    }
    log_fixture_deinit(&model.fixture);
}

static void test_acknowledged_records_survive(void **state) {
    (void)state;
    uint64_t seed = log_fixture_seed(1);
    struct tally tally = {0};
    for (int store = 0; store < STORES; store++) store_run(log_fixture_random(&seed), &tally);
    print_message(
        "groups in flight: torn %u, whole %u; failed writes %u; not synced %u; trims %u, cut "
        "short %u\n",
        tally.torn, tally.whole, tally.failed, tally.unsynced, tally.trimmed, tally.cut_short);
    assert_true(tally.torn > 5 && tally.whole > 5 && tally.failed > 5 && tally.unsynced > 5);
    assert_true(tally.trimmed > 5 && tally.cut_short > 5);
}

/* The power is cut at every call of making a file, with many fates of what was not durable. */
static void test_making_a_file_is_cut_short(void **state) {
    (void)state;
    for (uint64_t i = 0; i < 400; i++) {
        struct log_fixture fixture;
        struct log_fixture_found found;
        struct log_reader_options options = {0};
        log_fixture_init(&fixture, i);
        log_fixture_open(&fixture, 1, 0);
        assert_true(log_fixture_append(&fixture));
        log_fixture_write(&fixture);
        while (log_file_sequence(fixture.log) == 1) log_fixture_write_groups(&fixture, 1, 30);
        io_sim_fail_from(fixture.sim, IO_SIM_ANY, 1 + i % 10, EIO);
        bool is_made = log_prepare_file(fixture.log) == FST_OK;
        assert_int_equal(is_made, i % 10 >= 8); /* There are eight calls that can fail. */
        io_sim_crash(fixture.sim);
        assert_int_equal(log_fixture_read(&fixture, &options, 1, &found), FST_OK);
        assert_false(found.is_wrong);
        assert_int_equal(found.next, fixture.appended + 1);
        log_fixture_deinit(&fixture);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_acknowledged_records_survive),
        cmocka_unit_test(test_making_a_file_is_cut_short),
    };
    return cmocka_run_group_tests_name("log/log_crash", tests, NULL, NULL);
}
