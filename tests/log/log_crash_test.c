/* Writes logs, ends the process or cuts the power at random moments, and shows after each that
 * exactly the acknowledged records are read, plus at most the whole group that was in flight. Old
 * logs are ended by log_trim now and then, which is cut short, too. The oracle is two numbers: the
 * last record acknowledged and the last one in flight. */
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
    uint32_t torn, whole, failed, trimmed, cut_short;
};

struct model {
    struct log_fixture fixture;
    struct tally *tally;
    uint64_t random;
    uint64_t flying; /* number of the last record in the group in flight, or fixture.durable */
    uint64_t durable_group;
    struct log_position known[ROUNDS]; /* what was acknowledged, per epoch */
    uint32_t known_count;
    struct log_fixture_found found; /* by the last reading */
};

static bool chance(struct model *model, uint32_t of) {
    return log_fixture_random(&model->random) % of == 0;
}

/* Begins and maybe ends the write of a group. False when the process must end. */
static bool group_write(struct model *model) {
    struct log_fixture *fixture = &model->fixture;
    struct log_write write;
    if (!log_seal(fixture->log, &write)) return true;
    model->flying = fixture->appended;
    if (chance(model, 40)) return false; /* before anything was written */
    bool is_failing = chance(model, 20);
    if (is_failing) io_sim_fail(fixture->sim, IO_SIM_PWRITE, 1, EIO); /* some sectors change */
    int result = io_write_full(fixture->io, write.file, write.data, write.bytes, write.offset);
    assert_int_equal(result < 0, is_failing);
    if (!is_failing && chance(model, 40)) return false; /* written, but nobody knows */
    enum fst_status status = log_complete(fixture->log, result);
    assert_int_equal(status, result < 0 ? FST_IO_ERROR : FST_OK);
    model->tally->failed += is_failing;
    if (is_failing) return false;
    fixture->durable = fixture->appended;
    model->durable_group = write.group;
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
        if (kind > 6 && !group_write(model)) return;
        assert_int_equal(log_check(fixture->log), FST_OK);
    }
}

static bool epoch_open(struct model *model) {
    struct log_fixture *fixture = &model->fixture;
    struct fst_error error;
    fixture->options.epoch += 1;
    fixture->options.shard = (uint32_t)(log_fixture_random(&model->random) % 3);
    if (chance(model, 8)) {
        io_sim_fail(fixture->sim, IO_SIM_ANY, 1 + log_fixture_random(&model->random) % 8, EIO);
    }
    enum fst_status status =
        log_open(&fixture->log, fixture->io, FIXTURE_DIR, &fixture->options, &error);
    io_sim_fail(fixture->sim, IO_SIM_ANY, 0, EIO);
    model->durable_group = 0;
    return status == FST_OK;
}

static void process_end(struct model *model) {
    struct log_fixture *fixture = &model->fixture;
    if (chance(model, 3))
        io_sim_kill(fixture->sim);
    else
        io_sim_crash(fixture->sim);
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

static void read_and_judge(struct model *model) {
    struct log_fixture *fixture = &model->fixture;
    uint32_t torn_before = model->found.result.torn_count;
    if (model->durable_group > 0) {
        model->known[model->known_count++] = (struct log_position){
            fixture->options.epoch, fixture->options.shard, model->durable_group};
    }
    read_all(model);
    uint64_t last = model->found.next - 1;
    assert_true(last == fixture->durable || last == model->flying);
    assert_true(model->found.result.torn_count <= torn_before + 1);
    model->tally->torn += model->found.result.torn_count > torn_before;
    model->tally->whole += last > fixture->durable;
    /* What was read is what everybody goes on from. */
    fixture->appended = fixture->durable = model->flying = last;
}

/* Ends all logs read, or is cut short by a failing call and a crash. Either way the same is
 * read. */
static void trim_and_judge(struct model *model) {
    struct log_fixture *fixture = &model->fixture;
    struct fst_error error;
    bool is_failing = chance(model, 2);
    if (is_failing) {
        io_sim_fail(fixture->sim, IO_SIM_ANY, 1 + log_fixture_random(&model->random) % 40, EIO);
    }
    enum fst_status status = log_trim(fixture->io, FIXTURE_DIR, fixture->options.store_id,
                                      model->found.last, model->found.last_count, &error);
    io_sim_fail(fixture->sim, IO_SIM_ANY, 0, EIO);
    assert_true(status == FST_OK || (is_failing && status == FST_IO_ERROR));
    if (is_failing && chance(model, 2))
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
        model.flying = model.fixture.durable;
        if (epoch_open(&model)) run_until_end(&model);
        process_end(&model);
        read_and_judge(&model);
        if (chance(&model, 3)) trim_and_judge(&model);
    }
    log_fixture_deinit(&model.fixture);
}

static void test_acknowledged_records_survive(void **state) {
    (void)state;
    uint64_t seed = log_fixture_seed(5);
    struct tally tally = {0};
    for (int store = 0; store < STORES; store++) store_run(log_fixture_random(&seed), &tally);
    print_message("groups in flight: torn %u, whole %u; failed writes %u; trims %u, cut short %u\n",
                  tally.torn, tally.whole, tally.failed, tally.trimmed, tally.cut_short);
    assert_true(tally.torn > 5 && tally.whole > 5 && tally.failed > 5);
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
