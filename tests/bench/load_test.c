/* Shows that the load generator asks for what it should, counts what came, and notices every wrong
 * reply: against a fake server in the same process that reorders, splits and spoils its replies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "bench/fsbench/dialect_fstore.h"
#include "bench/fsbench/load.h"
#include "tests/bench/fake_server.h"

enum { FEATURES = 70, KEYS = 5000, MS = 1000000 };

struct bench {
    struct fake_server *server;
    char address[FAKE_ADDRESS_BYTES];
    struct key_stream keys;
    struct load_options options;
    int64_t deadline_us;
    struct dialect *dialect;
    struct load *load;
    struct load_result result;
    struct fst_error error;
};

static struct bench bench; /* one at a time; large */

static void bench_serve(const struct fake_options *fake) {
    memset(&bench, 0, sizeof bench);
    bench.server = fake_server_open(fake, bench.address);
    bench.options = (struct load_options){.address = bench.address,
                                          .connections_count = 3,
                                          .depth = 5,
                                          .keys_per_read = 4,
                                          .rows_per_write = 3,
                                          .verify = LOAD_VERIFY_ALL,
                                          .seed = 11};
    key_stream_init(&bench.keys, KEYS, 0);
}

static void bench_connect(bool applies) {
    struct dialect_fstore_options options = {
        .api_key = "secret",
        .connections_count = bench.options.connections_count,
        .depth = bench.options.depth,
        .features_count = FEATURES,
        .keys_per_read = bench.options.keys_per_read,
        .rows_per_write = bench.options.rows_per_write,
        .is_durable = true,
        .applies = applies,
        .deadline_us = bench.deadline_us,
    };
    assert_int_equal(dialect_fstore_create(&options, &bench.keys, &bench.dialect, NULL), FST_OK);
    enum fst_status status = load_open(&bench.options, bench.dialect, &bench.load, &bench.error);
    if (status != FST_OK) print_message("%s\n", bench.error.text);
    assert_int_equal(status, FST_OK);
}

static void bench_disconnect(void) {
    load_close(bench.load);
    bench.dialect->ops->close(bench.dialect);
}

static enum fst_status bench_run(const struct load_phase *phase) {
    return load_run(bench.load, phase, &bench.result, &bench.error);
}

/* Runs phase after phase until `enough` requests are counted in one, or one fails: how long that
 * takes is the machine's business. */
static enum fst_status bench_run_until(uint64_t enough) {
    struct load_phase phase = {.warmup_ns = MS, .duration_ns = 10ull * MS};
    for (;;) {
        enum fst_status status = bench_run(&phase);
        if (status != FST_OK) return status;
        if (bench.result.reads_count + bench.result.writes_count >= enough) return FST_OK;
        phase.duration_ns *= 2;
    }
}

static void bench_fill(void) {
    uint32_t rows_per_write = bench.options.rows_per_write;
    bench.options.rows_per_write = 17; /* KEYS is no multiple of it */
    bench_connect(true);
    assert_int_equal(bench_run(&(struct load_phase){.rows_count = KEYS}), FST_OK);
    bench_disconnect();
    bench.options.rows_per_write = rows_per_write;
}

static void test_fill_writes_every_row_once(void **state) {
    (void)state;
    bench_serve(&(struct fake_options){.features_count = FEATURES});
    bench_fill();
    assert_int_equal(bench.result.keys_count, KEYS);
    assert_int_equal(bench.result.writes_count, (KEYS + 16) / 17);
    assert_int_equal(bench.result.wrong_count + bench.result.refused_count, 0);
    assert_int_equal(bench.result.write_ns.count, bench.result.writes_count);
    assert_int_equal(fake_server_writes(bench.server), bench.result.writes_count);
    assert_int_equal(fake_server_applies(bench.server), 1);
    for (uint64_t key = 0; key < KEYS; key++)
        assert_int_not_equal(fake_server_version(bench.server, key), 0);
    assert_int_equal(fake_server_version(bench.server, KEYS), 0);
    fake_server_close(bench.server);
}

static const struct traffic_case {
    const char *name;
    uint32_t connections, depth, keys_per_read, chop_bytes;
    double write_share, exponent;
    enum load_verify verify;
} traffic_cases[] = {
    {"reads", 3, 5, 1, 0, 0, 0, LOAD_VERIFY_ALL},
    {"one at a time", 1, 1, 1, 0, 0, 0, LOAD_VERIFY_ALL},
    {"many keys", 2, 4, 100, 0, 0, 0, LOAD_VERIFY_ALL},
    {"many keys in pieces", 2, 4, 100, 1000, 0, 0, LOAD_VERIFY_ALL},
    {"tiny pieces", 2, 4, 1, 11, 0, 0, LOAD_VERIFY_ALL},
    {"mixed", 3, 5, 4, 0, 0.5, 0, LOAD_VERIFY_ALL},
    {"mixed, on few keys, in pieces", 3, 16, 4, 333, 0.3, 0.99, LOAD_VERIFY_ALL},
    {"writes", 3, 5, 1, 0, 1, 0, LOAD_VERIFY_ALL},
    {"sampled", 3, 16, 4, 0, 0.1, 0, LOAD_VERIFY_SAMPLE},
    {"unchecked", 3, 16, 4, 0, 0.1, 0, LOAD_VERIFY_NONE},
};

static void test_closed_loop_counts_and_finds_all_right(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof traffic_cases / sizeof traffic_cases[0]; i++) {
        const struct traffic_case *c = &traffic_cases[i];
        print_message("  %s\n", c->name);
        bench_serve(
            &(struct fake_options){.features_count = FEATURES, .chop_bytes = c->chop_bytes});
        bench_fill();
        uint64_t filled = fake_server_writes(bench.server);
        key_stream_init(&bench.keys, KEYS, c->exponent);
        bench.options.connections_count = c->connections;
        bench.options.depth = c->depth;
        bench.options.keys_per_read = c->keys_per_read;
        bench.options.write_share = c->write_share;
        bench.options.verify = c->verify;
        bench_connect(false);
        assert_int_equal(bench_run_until(200), FST_OK);
        const struct load_result *result = &bench.result;
        assert_int_equal(result->wrong_count + result->refused_count + result->unsent_count, 0);
        assert_int_equal(result->keys_count,
                         result->reads_count * c->keys_per_read +
                             result->writes_count * bench.options.rows_per_write);
        assert_int_equal(result->read_ns.count, result->reads_count);
        assert_int_equal(result->write_ns.count, result->writes_count);
        assert_true(result->reads_count <= fake_server_gets(bench.server));
        assert_true(result->writes_count <= fake_server_writes(bench.server) - filled);
        assert_true((c->write_share == 0) == (result->writes_count == 0));
        assert_true((c->write_share == 1) == (result->reads_count == 0));
        assert_int_equal(load_check(bench.load), FST_OK);
        bench_disconnect();
        fake_server_close(bench.server);
    }
}

/* Reads every row once; with a fault somewhere, that is what it finds. */
static void test_reading_back_reads_every_row_once(void **state) {
    (void)state;
    static const struct back_case {
        enum fake_fault fault;
        uint32_t fault_every;
        bool is_wrong;
    } cases[] = {{FAKE_NONE, 0, false}, {FAKE_WRONG_VALUE, 50, true}, {FAKE_NOT_FOUND, 50, true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bench_serve(&(struct fake_options){.features_count = FEATURES,
                                           .fault = cases[i].fault,
                                           .fault_every = cases[i].fault_every});
        bench_fill();
        bench.options.keys_per_read = 13; /* KEYS is no multiple of it */
        bench_connect(false);
        struct load_phase phase = {.rows_count = KEYS, .is_read_back = true};
        assert_int_equal(bench_run(&phase), FST_OK);
        assert_int_equal(bench.result.keys_count, KEYS);
        assert_int_equal(bench.result.reads_count, (KEYS + 12) / 13);
        assert_int_equal(fake_server_gets(bench.server), bench.result.reads_count);
        assert_int_equal(bench.result.wrong_count > 0, cases[i].is_wrong);
        bench_disconnect();
        fake_server_close(bench.server);
    }
}

/* A share of the keys does not exist, and is right when it is not found. */
static void test_missing_keys_are_not_found(void **state) {
    (void)state;
    static const double shares[] = {0.1, 1};
    for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++) {
        bench_serve(&(struct fake_options){.features_count = FEATURES});
        bench_fill();
        bench.keys.miss_share = shares[i];
        bench.options.write_share = 0.1; /* of keys that exist: the read back finds no others */
        bench_connect(false);
        assert_int_equal(bench_run_until(1000), FST_OK);
        const struct load_result *result = &bench.result;
        uint64_t read_keys = result->reads_count * bench.options.keys_per_read;
        assert_int_equal(result->wrong_count, 0);
        if (shares[i] == 1) assert_int_equal(result->missing_count, read_keys);
        assert_true(result->missing_count > 0 && result->missing_count <= read_keys);
        assert_int_equal(fake_server_version(bench.server, KEYS), 0);
        bench_disconnect();
        fake_server_close(bench.server);
    }
}

/* Rows where there should be none are noticed. */
static void test_found_keys_that_should_be_missing_are_wrong(void **state) {
    (void)state;
    bench_serve(&(struct fake_options){.features_count = FEATURES});
    bench_fill();
    key_stream_init(&bench.keys, KEYS / 2, 0);
    bench.keys.miss_share = 0.5;
    bench_connect(false);
    assert_int_equal(bench_run_until(100), FST_OK);
    assert_true(bench.result.wrong_count > 0);
    bench_disconnect();
    fake_server_close(bench.server);
}

/* At a fixed rate the number of requests due is known: each is sent or counted as late. */
static void test_open_loop_sends_or_counts_what_is_due(void **state) {
    (void)state;
    static const uint32_t rates[] = {1000, 20000, 5000000};
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        print_message("  %u requests per second\n", rates[i]);
        bench_serve(&(struct fake_options){.features_count = FEATURES});
        bench_fill();
        bench_connect(false);
        struct load_phase phase = {.duration_ns = 50ull * MS, .rate = rates[i]};
        assert_int_equal(bench_run(&phase), FST_OK);
        uint64_t due = 50ull * rates[i] / 1000;
        const struct load_result *result = &bench.result;
        assert_int_equal(fake_server_gets(bench.server) + result->unsent_count, due);
        assert_int_equal(result->read_ns.count + result->unsent_count, due);
        assert_true(result->reads_count <= result->read_ns.count);
        assert_int_equal(result->lateness_ns.count + result->held_count, result->read_ns.count);
        assert_true(result->busy_ns <= result->elapsed_ns);
        assert_int_equal(bench.result.wrong_count, 0);
        bench_disconnect();
        fake_server_close(bench.server);
    }
}

/* Far beyond what the server can do, what is counted is what it did before the end: the backlog is
 * not worked off afterwards, when it would look as if the rate had been kept. */
static void test_a_backlog_is_not_worked_off(void **state) {
    (void)state;
    enum { RATE = 100000000 };
    bench_serve(&(struct fake_options){.features_count = FEATURES});
    bench_fill();
    bench_connect(false);
    const struct load_result *result = &bench.result;
    struct load_phase phase = {.rate = RATE};
    /* Although all that is sent was due in the warm-up, what is answered later counts: once the
     * machine lets this process run at all. */
    for (uint64_t ms = 20; result->reads_count == 0; ms *= 2) {
        uint64_t gets = fake_server_gets(bench.server);
        phase.warmup_ns = phase.duration_ns = ms * MS;
        assert_int_equal(bench_run(&phase), FST_OK);
        uint64_t due = 2 * ms * RATE / 1000;
        assert_int_equal(fake_server_gets(bench.server) - gets + result->unsent_count, due);
        assert_true(result->unsent_count > due / 2); /* no server answers so many */
    }
    assert_true(result->read_ns.count > result->reads_count); /* there always is some in flight */
    assert_true(result->held_count > 0);
    bench_disconnect();
    fake_server_close(bench.server);
}

static const struct fault_case {
    const char *name;
    enum fake_fault fault;
    double write_share;
    enum fst_status status; /* of the run */
    bool is_wrong, is_refused, is_stale;
} fault_cases[] = {
    {"no fault", FAKE_NONE, 0.5, FST_OK, false, false, false},
    {"wrong value", FAKE_WRONG_VALUE, 0, FST_OK, true, false, false},
    {"wrong version", FAKE_WRONG_VERSION, 0, FST_OK, true, false, false},
    {"null", FAKE_NULL, 0, FST_OK, true, false, false},
    {"not found", FAKE_NOT_FOUND, 0, FST_OK, true, false, false},
    {"a row less", FAKE_SHORT_ROWS, 0, FST_OK, true, false, false},
    {"a write of other size", FAKE_SHORT_ROWS, 1, FST_OK, true, false, false},
    {"refused read", FAKE_REFUSE, 0, FST_OK, false, true, false},
    {"refused write", FAKE_REFUSE, 1, FST_OK, false, true, false},
    {"stale rows", FAKE_STALE, 1, FST_OK, false, false, true},
    {"a full table", FAKE_FULL, 1, FST_OK, false, true, false},
    {"no frame", FAKE_GARBAGE, 0, FST_CORRUPT, false, false, false},
    {"unknown request id", FAKE_UNKNOWN_ID, 0, FST_CORRUPT, false, false, false},
    {"a reply twice", FAKE_TWICE, 0, FST_CORRUPT, false, false, false},
    {"hung up", FAKE_HANG_UP, 0, FST_CLOSED, false, false, false},
};

static void test_faults_are_noticed(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof fault_cases / sizeof fault_cases[0]; i++) {
        const struct fault_case *c = &fault_cases[i];
        print_message("  %s\n", c->name);
        /* The fill takes 295 replies; the next fault is number 400. */
        bench_serve(&(struct fake_options){
            .features_count = FEATURES, .fault = c->fault, .fault_every = 400});
        bench_fill();
        bench.options.write_share = c->write_share;
        bench.options.depth = 16;
        bench_connect(false);
        enum fst_status status = bench_run_until(500);
        assert_int_equal(status, c->status);
        if (status == FST_OK) {
            assert_int_equal(bench.result.wrong_count > 0, c->is_wrong);
            assert_int_equal(bench.result.refused_count > 0, c->is_refused);
            assert_int_equal(bench.result.stale_count > 0, c->is_stale);
            enum fst_status refusal = c->fault == FAKE_FULL ? FST_FULL : FST_OVERLOADED;
            assert_int_equal(bench.result.refused_by_status[refusal], bench.result.refused_count);
        }
        bench_disconnect();
        fake_server_close(bench.server);
    }
}

/* A spoiled value in one of 64 checked places must still be found by the sampling check in time. */
static void test_sampling_finds_spoiled_values(void **state) {
    (void)state;
    bench_serve(&(struct fake_options){
        .features_count = FEATURES, .fault = FAKE_WRONG_VALUE, .fault_every = 2});
    bench_fill();
    bench.options.verify = LOAD_VERIFY_SAMPLE;
    bench.options.keys_per_read = 1;
    bench_connect(false);
    assert_int_equal(bench_run_until(1000), FST_OK);
    assert_true(bench.result.wrong_count > 0);
    bench_disconnect();
    fake_server_close(bench.server);
}

/* A server that has no room for the moment gets the same rows again, until it has all of them. */
static void test_a_fill_asks_an_overloaded_server_again(void **state) {
    (void)state;
    bench_serve(
        &(struct fake_options){.features_count = FEATURES, .fault = FAKE_REFUSE, .fault_every = 3});
    bench_fill();
    assert_int_equal(bench.result.keys_count, KEYS);
    assert_int_equal(bench.result.refused_count, 0);
    for (uint64_t key = 0; key < KEYS; key++)
        assert_int_not_equal(fake_server_version(bench.server, key), 0);
    fake_server_close(bench.server);
}

/* Writes of new rows take the keys behind those that are read, each once, over all phases. */
static void test_new_rows_are_written_in_order(void **state) {
    (void)state;
    bench_serve(&(struct fake_options){.features_count = FEATURES});
    bench_fill();
    bench.options.write_share = 0.5;
    bench.options.writes_new = true;
    bench_connect(false);
    assert_int_equal(bench_run_until(50), FST_OK);
    uint64_t before = bench.result.new_rows_count;
    assert_int_equal(bench_run_until(50), FST_OK);
    assert_int_equal(bench.result.wrong_count, 0);
    assert_true(before > 0 && bench.result.new_rows_count > before);
    for (uint64_t key = 0; key < bench.result.new_rows_count; key++)
        assert_int_not_equal(fake_server_version(bench.server, KEYS + key), 0);
    assert_int_equal(fake_server_version(bench.server, KEYS + bench.result.new_rows_count), 0);
    bench_disconnect();
    fake_server_close(bench.server);
}

/* A deadline is sent with each read, and TIMEOUT is counted by its name. */
static void test_deadlines_are_sent_and_timeouts_counted(void **state) {
    (void)state;
    bench_serve(&(struct fake_options){
        .features_count = FEATURES, .deadline_us = 700, .fault = FAKE_TIMEOUT, .fault_every = 3});
    bench_fill();
    bench.deadline_us = 700;
    bench_connect(false);
    assert_int_equal(bench_run_until(100), FST_OK);
    assert_int_equal(bench.result.refused_count, bench.result.refused_by_status[FST_TIMEOUT]);
    assert_true(bench.result.refused_count > 0 && bench.result.wrong_count == 0);
    bench_disconnect();
    fake_server_close(bench.server);
}

/* No answer comes within a nanosecond of being sent, and all come within an hour. */
static void test_late_answers_are_counted(void **state) {
    (void)state;
    bench_serve(&(struct fake_options){.features_count = FEATURES});
    bench_fill();
    struct load_phase phase = {.duration_ns = 300ull * MS, .rate = 1000};
    for (int i = 0; i < 2; i++) {
        bench.options.in_time_ns = i == 0 ? 1 : 3600ull * 1000 * MS;
        bench_connect(false);
        assert_int_equal(bench_run(&phase), FST_OK);
        assert_int_equal(bench.result.late_count, i == 0 ? bench.result.reads_count : 0);
        assert_int_equal(bench.result.service_ns.count, bench.result.read_ns.count);
        assert_true(bench.result.service_ns.max <= bench.result.read_ns.max);
        bench_disconnect();
    }
    fake_server_close(bench.server);
}

/* The keys of a load need not begin at 0. */
static void test_keys_begin_where_they_should(void **state) {
    (void)state;
    bench_serve(&(struct fake_options){.features_count = FEATURES});
    bench.keys.first = 300;
    bench.keys.miss_share = 0.2;
    bench_fill();
    assert_int_equal(fake_server_version(bench.server, 299), 0);
    assert_int_not_equal(fake_server_version(bench.server, 300), 0);
    assert_int_not_equal(fake_server_version(bench.server, 300 + KEYS - 1), 0);
    assert_int_equal(fake_server_version(bench.server, 300 + KEYS), 0);
    bench_connect(false);
    assert_int_equal(bench_run_until(100), FST_OK);
    assert_true(bench.result.wrong_count == 0 && bench.result.missing_count > 0);
    bench_disconnect();
    fake_server_close(bench.server);
}

static void test_nobody_answers(void **state) {
    (void)state;
    bench_serve(&(struct fake_options){.features_count = FEATURES});
    fake_server_close(bench.server);
    struct dialect_fstore_options options = {.api_key = "",
                                             .connections_count = 3,
                                             .depth = 5,
                                             .features_count = FEATURES,
                                             .keys_per_read = 1,
                                             .rows_per_write = 1};
    assert_int_equal(dialect_fstore_create(&options, &bench.keys, &bench.dialect, NULL), FST_OK);
    assert_int_equal(load_open(&bench.options, bench.dialect, &bench.load, &bench.error),
                     FST_CLOSED);
    bench.options.address = "nowhere";
    assert_int_equal(load_open(&bench.options, bench.dialect, &bench.load, &bench.error),
                     FST_INVALID);
    bench.dialect->ops->close(bench.dialect);
}

/* What the server says it takes at most is not exceeded. */
static void test_limits_of_the_server_are_kept(void **state) {
    (void)state;
    static const struct limit_case {
        const char *name;
        uint32_t depth, keys_per_read, rows_per_write;
        enum fst_status status;
    } cases[] = {
        {"at all limits", 64, 10000, 28000, FST_OK},
        {"too deep", 65, 1, 1, FST_INVALID},
        {"too many keys", 1, 10001, 1, FST_INVALID},
        {"too large a write", 1, 1, 29000, FST_INVALID},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("  %s\n", cases[i].name);
        bench_serve(&(struct fake_options){.features_count = FEATURES});
        struct dialect_fstore_options options = {.api_key = "",
                                                 .connections_count = 1,
                                                 .depth = cases[i].depth,
                                                 .features_count = FEATURES,
                                                 .keys_per_read = cases[i].keys_per_read,
                                                 .rows_per_write = cases[i].rows_per_write};
        bench.options.connections_count = 1;
        bench.options.depth = cases[i].depth;
        assert_int_equal(dialect_fstore_create(&options, &bench.keys, &bench.dialect, NULL),
                         FST_OK);
        enum fst_status status =
            load_open(&bench.options, bench.dialect, &bench.load, &bench.error);
        assert_int_equal(status, cases[i].status);
        if (status == FST_OK) load_close(bench.load);
        bench.dialect->ops->close(bench.dialect);
        fake_server_close(bench.server);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fill_writes_every_row_once),
        cmocka_unit_test(test_closed_loop_counts_and_finds_all_right),
        cmocka_unit_test(test_reading_back_reads_every_row_once),
        cmocka_unit_test(test_missing_keys_are_not_found),
        cmocka_unit_test(test_found_keys_that_should_be_missing_are_wrong),
        cmocka_unit_test(test_open_loop_sends_or_counts_what_is_due),
        cmocka_unit_test(test_a_backlog_is_not_worked_off),
        cmocka_unit_test(test_faults_are_noticed),
        cmocka_unit_test(test_sampling_finds_spoiled_values),
        cmocka_unit_test(test_a_fill_asks_an_overloaded_server_again),
        cmocka_unit_test(test_new_rows_are_written_in_order),
        cmocka_unit_test(test_deadlines_are_sent_and_timeouts_counted),
        cmocka_unit_test(test_late_answers_are_counted),
        cmocka_unit_test(test_keys_begin_where_they_should),
        cmocka_unit_test(test_nobody_answers),
        cmocka_unit_test(test_limits_of_the_server_are_kept),
    };
    return cmocka_run_group_tests_name("bench/load", tests, NULL, NULL);
}
