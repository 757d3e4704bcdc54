/* Shows what a user of fsbench meets: exit codes, figures that add up in the JSON object, and
 * errors that say what was expected. The server is a fake one in the same process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/fsbench/command.h"
#include "tests/bench/fake_server.h"

enum { ARGUMENTS_MAX = 32, TEXT_BYTES = 1 << 16 };

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"online", command_online_run},
    {"redis", command_redis_run},
    {"echo", command_echo_run},
    {"fraud", command_fraud_run},
};

static char out_text[TEXT_BYTES], error_text[TEXT_BYTES];

/* Points `descriptor` at a fresh file; returns what it was. */
static int capture_begin(int descriptor, FILE **file_out) {
    int before = dup(descriptor);
    *file_out = tmpfile();
    assert_non_null(*file_out);
    dup2(fileno(*file_out), descriptor);
    return before;
}

static void capture_end(int descriptor, int before, FILE *file, char *text_out) {
    dup2(before, descriptor);
    close(before);
    rewind(file);
    text_out[fread(text_out, 1, TEXT_BYTES - 1, file)] = 0;
    fclose(file);
}

/* Runs a command line, with @ for the server's address; its output is in out_text and error_text.
 * */
static int command_line_run(const char *line, const char *address) {
    char text[512], place[64], *argv[ARGUMENTS_MAX + 1];
    int argc = 0;
    snprintf(text, sizeof text, "%s", line);
    snprintf(place, sizeof place, "%s", address);
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " ")) {
        assert_true(argc < ARGUMENTS_MAX);
        argv[argc++] = strcmp(word, "@") == 0 ? place : word;
    }
    argv[argc] = NULL;
    FILE *out, *error;
    fflush(stdout);
    int out_before = capture_begin(STDOUT_FILENO, &out);
    int error_before = capture_begin(STDERR_FILENO, &error);
    int exit_code = -1;
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strncmp(line, commands[i].name, strlen(commands[i].name)) == 0)
            exit_code = commands[i].run(argc, argv);
    }
    fflush(stdout);
    capture_end(STDOUT_FILENO, out_before, out, out_text);
    capture_end(STDERR_FILENO, error_before, error, error_text);
    return exit_code;
}

static double number_of(const char *name) {
    char wanted[64];
    snprintf(wanted, sizeof wanted, "\"%s\":", name);
    const char *at = strstr(out_text, wanted);
    assert_non_null(at);
    return strtod(at + strlen(wanted), NULL);
}

static void test_online_measures_and_reports(void **state) {
    (void)state;
    char address[FAKE_ADDRESS_BYTES];
    struct fake_server *server =
        fake_server_open(&(struct fake_options){.features_count = 10}, address);
    assert_int_equal(command_line_run("online --server @ --connections 2 --depth 4 --entities 300 "
                                      "--features 10 --mix 50:50 --verify all --load --repeat 3 "
                                      "--verify-load --miss 20% --key secret "
                                      "--duration 200ms --warmup 1ms --json",
                                      address),
                     EXIT_DONE);
    assert_non_null(strstr(error_text, "300 rows written"));
    assert_non_null(strstr(error_text, "300 rows read back, all as written"));
    assert_int_equal(fake_server_applies(server), 1);
    assert_true(number_of("missing_keys") > 0);
    assert_true(number_of("requests_per_s") > 0);
    assert_true(number_of("replies") > 0);
    assert_true(number_of("wrong") == 0 && number_of("refused") == 0);
    assert_true(number_of("p50") <= number_of("max"));
    assert_non_null(strstr(out_text, "\"server\":{\"fstore\":\"1.2.\\\"3\\\"\",\"io\":\"fake\","));
    assert_non_null(strstr(out_text, "\"options\":{\"server\":\"127.0.0.1:"));
    assert_non_null(strstr(out_text, "\"duration\":\"200ms\""));
    assert_non_null(strstr(out_text, "\"mix\":\"50:50\""));
    assert_null(strstr(out_text, "secret")); /* the API key */
    const char *runs = strstr(out_text, "\"runs\":[");
    assert_non_null(runs);
    double low = 1e18, high = 0;
    runs += strlen("\"runs\":[");
    for (int i = 0; i < 3; i++) {
        char *end;
        double rate = strtod(runs, &end);
        runs = end + 1;
        if (rate < low) low = rate;
        if (rate > high) high = rate;
    }
    assert_true(number_of("requests_per_s") >= low && number_of("requests_per_s") <= high);

    assert_int_equal(command_line_run("online --server @ --connections 2 --depth 4 --entities 300 "
                                      "--features 10 --duration 200ms --warmup 1ms --rate 2000 "
                                      "--lateness-max 0",
                                      address),
                     EXIT_DONE);
    assert_non_null(strstr(out_text, "p99.9"));
    assert_non_null(strstr(out_text, "own lateness"));

    /* This program has no fsecho beside it: the end-to-end test has. */
    assert_int_equal(command_line_run("online --server @ --connections 2 --depth 4 --entities 300 "
                                      "--features 10 --duration 20ms --warmup 1ms --floors",
                                      address),
                     EXIT_FAILED);
    assert_non_null(strstr(error_text, "micro_floor is not in the folder"));
    fake_server_close(server);
}

/* Intervals fill the run, and their answers are all that were counted. */
static void test_intervals_are_reported(void **state) {
    (void)state;
    char address[FAKE_ADDRESS_BYTES], line[512], path[256];
    const char *place = getenv("TMPDIR");
    snprintf(path, sizeof path, "%s/fsbench_command_test.hdr", place ? place : "/tmp");
    struct fake_server *server =
        fake_server_open(&(struct fake_options){.features_count = 10}, address);
    snprintf(line, sizeof line,
             "online --server @ --connections 2 --depth 4 --entities 300 --features 10 --load "
             "--duration 200ms --warmup 1ms --repeat 2 --interval 60ms --json --hdr-log %s",
             path);
    assert_int_equal(command_line_run(line, address), EXIT_DONE);
    uint32_t intervals_count = 0;
    double replies = 0;
    for (char *at = strstr(out_text, "\"begin_s\""); at; at = strstr(at + 1, "\"begin_s\"")) {
        replies += strtod(strstr(at, "\"count\":") + strlen("\"count\":"), NULL);
        intervals_count++;
    }
    assert_int_equal(intervals_count, 8);
    assert_true(replies == number_of("replies"));
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    out_text[fread(out_text, 1, TEXT_BYTES - 1, file)] = 0;
    fclose(file);
    assert_int_equal(strncmp(out_text, "#[Histogram log format version 1.3]\n", 36), 0);
    assert_non_null(strstr(out_text, "\nTag=read,0.")); /* what is in it: the end-to-end test */
    unlink(path);
    fake_server_close(server);
}

/* Every probe is printed and kept in the JSON; the last two are at the rate that was found. What is
 * found is the machine's business, so the objective is one that small rates always keep, and there
 * is room for what comes while this process does not run. */
static void test_find_max_tries_rates(void **state) {
    (void)state;
    char address[FAKE_ADDRESS_BYTES];
    struct fake_server *server =
        fake_server_open(&(struct fake_options){.features_count = 10}, address);
    int exit_code = command_line_run(
        "online --server @ --connections 8 --depth 64 --entities 300 --features 10 "
        "--load --duration 100ms --warmup 1ms --rate 2000 --lateness-max 0 --find-max "
        "--slo p50=1s --json",
        address);
    assert_int_equal(exit_code, EXIT_DONE);
    uint32_t printed_count = 0, probes_count = 0;
    for (char *at = strstr(error_text, "\nprobe "); at; at = strstr(at + 1, "\nprobe "))
        printed_count++;
    double rates[64] = {0}, found = number_of("rate");
    bool is_kept[64] = {false};
    char *at = strstr(out_text, "\"probes\":");
    for (at = strstr(at, "{\"rate\":"); at; at = strstr(at + 1, "{\"rate\":")) {
        assert_true(probes_count < 64);
        is_kept[probes_count] = strncmp(strstr(at, "\"kept\":"), "\"kept\":true", 11) == 0;
        rates[probes_count++] = strtod(at + strlen("{\"rate\":"), NULL);
    }
    assert_true(probes_count >= 2 && probes_count == printed_count);
    assert_non_null(strstr(out_text, "\"limit\":\"server\""));
    assert_true(rates[0] == 2000 && rates[probes_count - 1] == found);
    uint32_t kept_count = 0;
    for (uint32_t i = 0; i < probes_count; i++) kept_count += rates[i] == found && is_kept[i];
    assert_true(kept_count >= 2);
    assert_true(number_of("replies") > 0);
    assert_int_equal(command_line_run("online --server @ --connections 2 --depth 4 --entities 300 "
                                      "--features 10 --duration 20ms --warmup 1ms --find-max "
                                      "--slo p50=20s --lateness-max 1us",
                                      address),
                     EXIT_LOAD_BOUND);
    assert_non_null(strstr(error_text, "missed: fsbench was late"));
    assert_non_null(strstr(error_text, "missed by fsbench itself"));
    fake_server_close(server);
}

/* The fake server is this process, and its threads are at work. */
static void test_the_servers_time_is_reported(void **state) {
    (void)state;
    char address[FAKE_ADDRESS_BYTES], line[256];
    struct fake_server *server =
        fake_server_open(&(struct fake_options){.features_count = 10}, address);
    snprintf(line, sizeof line,
             "online --server @ --connections 2 --depth 4 --entities 300 --features 10 --load "
             "--duration 300ms --warmup 1ms --json --server-pid %d",
             (int)getpid());
    assert_int_equal(command_line_run(line, address), EXIT_DONE);
    assert_true(number_of("server_busiest_thread") > 0);
    assert_true(number_of("server_busiest_thread") <= number_of("server_cpu"));
    fake_server_close(server);
}

/* No send takes less than a microsecond, so a run that allows no more lateness is refused, and no
 * figures are printed. */
static void test_late_loads_are_refused(void **state) {
    (void)state;
    char address[FAKE_ADDRESS_BYTES];
    struct fake_server *server =
        fake_server_open(&(struct fake_options){.features_count = 10}, address);
    assert_int_equal(command_line_run("online --server @ --connections 2 --depth 4 --entities 300 "
                                      "--features 10 --load --duration 200ms --warmup 1ms "
                                      "--rate 2000 --arrivals fixed --lateness-max 1us --json",
                                      address),
                     EXIT_LOAD_BOUND);
    assert_non_null(strstr(error_text, "--lateness-max 1 us"));
    assert_string_equal(out_text, "");
    fake_server_close(server);
}

/* Rows that were never written are wrong replies, and a wrong reply fails the run. */
static void test_wrong_replies_fail(void **state) {
    (void)state;
    char address[FAKE_ADDRESS_BYTES];
    struct fake_server *server =
        fake_server_open(&(struct fake_options){.features_count = 10}, address);
    assert_int_equal(command_line_run("online --server @ --connections 1 --depth 1 --entities 300 "
                                      "--features 10 --duration 200ms --warmup 1ms --json",
                                      address),
                     EXIT_FAILED);
    assert_true(number_of("wrong") > 0);
    assert_int_equal(command_line_run("online --server @ --connections 1 --depth 1 --entities 300 "
                                      "--features 10 --verify-load --duration 0",
                                      address),
                     EXIT_FAILED);
    assert_non_null(strstr(error_text, "have not what was written"));
    fake_server_close(server);
}

static const struct usage_case {
    const char *line;
    int exit_code;
    const char *text; /* in the output */
} usage_cases[] = {
    {"online --help", EXIT_DONE, "--entities-per-request"},
    {"redis --help", EXIT_DONE, "--command"},
    {"echo --help", EXIT_DONE, "--reply-bytes"},
    {"fraud --help", EXIT_DONE, "--customers"},
    {"online --mix 1", EXIT_USAGE, "expected R:W"},
    {"online --mix 0:0", EXIT_USAGE, "expected R:W"},
    {"online --mix 1:-1", EXIT_USAGE, "expected R:W"},
    {"online --mix 1:1x", EXIT_USAGE, "expected R:W"},
    {"online --keys zipf:1", EXIT_USAGE, "uniform or zipf:S"},
    {"online --keys zipf:", EXIT_USAGE, "uniform or zipf:S"},
    {"online --keys normal", EXIT_USAGE, "uniform or zipf:S"},
    {"online --miss 10", EXIT_USAGE, "0% to 100%"},
    {"online --miss %", EXIT_USAGE, "0% to 100%"},
    {"online --miss 101%", EXIT_USAGE, "0% to 100%"},
    {"echo --verify-load", EXIT_USAGE, "nothing to write"},
    {"online --interval 999us", EXIT_USAGE, "at least 1ms"},
    {"online --server 127.0.0.1:1 --hdr-log /proc/nowhere", EXIT_FAILED, "/proc/nowhere"},
    {"online --find-max", EXIT_USAGE, "p99=500us"},
    {"online --slo p99=1ms", EXIT_USAGE, "--find-max"},
    {"online --find-max --slo p99=1ms --duration 0", EXIT_USAGE, "--duration"},
    {"online --find-max --slo p99=1ms --interval 1s", EXIT_USAGE, "--rate"},
    {"redis --floors", EXIT_USAGE, "only the reads of fsd"},
    {"online --depth 0", EXIT_USAGE, "depth"},
    {"online --dept 3", EXIT_USAGE, "depth"},
    {"online --cpu 100000", EXIT_USAGE, "processor"},
    {"online --cpu x", EXIT_USAGE, "expected"},
    {"online --server-cpu 0", EXIT_USAGE, "--server-pid"},
    {"online --server nowhere", EXIT_USAGE, "HOST:PORT"},
    {"online --server 127.0.0.1:1", EXIT_NO_SERVER, "127.0.0.1:1"},
    {"redis --server 127.0.0.1:1", EXIT_NO_SERVER, "127.0.0.1:1"},
    {"redis --command get --entities-per-request 2", EXIT_USAGE, "mget"},
    {"echo --server 127.0.0.1:1", EXIT_NO_SERVER, "127.0.0.1:1"},
    {"echo --load", EXIT_USAGE, "nothing to write"},
    {"fraud", EXIT_USAGE, "--out"},
    {"fraud --out x --start 2018-4-1", EXIT_USAGE, "2018-04-01"},
    {"fraud --out x --start 2018-02-30", EXIT_USAGE, "2018-04-01"},
    {"fraud --out x --customers 0", EXIT_USAGE, "customers"},
    {"fraud --out /proc/nowhere --days 1 --customers 1", EXIT_FAILED, "/proc/nowhere"},
};

static void test_usage(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof usage_cases / sizeof usage_cases[0]; i++) {
        print_message("  %s\n", usage_cases[i].line);
        assert_int_equal(command_line_run(usage_cases[i].line, ""), usage_cases[i].exit_code);
        bool is_help = usage_cases[i].exit_code == EXIT_DONE;
        assert_non_null(strstr(is_help ? out_text : error_text, usage_cases[i].text));
    }
}

static void test_fraud_writes_once(void **state) {
    (void)state;
    char folder[256], line[512], path[512];
    const char *place = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/fsbench_command_test.XXXXXX", place ? place : "/tmp");
    assert_non_null(mkdtemp(folder));
    snprintf(line, sizeof line, "fraud --out %s --customers 20 --terminals 50 --days 5", folder);
    assert_int_equal(command_line_run(line, ""), EXIT_DONE);
    assert_non_null(strstr(out_text, "20 customers at 50 terminals"));
    assert_int_equal(command_line_run(line, ""), EXIT_DONE);
    assert_non_null(strstr(out_text, "already there"));
    static const char *const names[] = {"transactions.csv", "customers.csv", "terminals.csv",
                                        "last_transactions.csv", "fraud.facts"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(rmdir(folder), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_online_measures_and_reports),
        cmocka_unit_test(test_intervals_are_reported),
        cmocka_unit_test(test_find_max_tries_rates),
        cmocka_unit_test(test_the_servers_time_is_reported),
        cmocka_unit_test(test_late_loads_are_refused),
        cmocka_unit_test(test_wrong_replies_fail),
        cmocka_unit_test(test_usage),
        cmocka_unit_test(test_fraud_writes_once),
    };
    return cmocka_run_group_tests_name("bench/command", tests, NULL, NULL);
}
