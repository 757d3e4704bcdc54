/* Shows command lines and files that are read, and the exact message for each that is not; dumps
 * are read back, and damaged files never do more than fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io_sim.h"
#include "base/options.h"
#include "tests/base/random.h"

#define SAMPLE_OPTIONS(X)                                                                          \
    X(data, TEXT, "", 0, 10, "DIR", "folder of the store")                                         \
    X(memory, BYTES, "4G", 1 << 20, UINT64_MAX, NULL, "memory for rows")                           \
    X(flush_after, DURATION, "10s", 1000, 3600000000, NULL,                                        \
      "longest time between two flushes of it")                                                    \
    X(shards, COUNT, "1", 1, 64, NULL, "number of shards")                                         \
    X(io, CHOICE, "auto", 0, 0, "auto|uring|epoll", "how to wait for the kernel")                  \
    X(plan, BOOL, "false", 0, 0, NULL, "print the plan and exit")                                  \
    X(color, BOOL, "true", 0, 0, NULL, "use colours")

struct sample {
    SAMPLE_OPTIONS(OPTION_MEMBER)
};

static const struct option_spec specs[] = {
#define SPEC(name, ...) OPTION_SPEC(struct sample, name, __VA_ARGS__)
    SAMPLE_OPTIONS(SPEC)};
enum { SPECS = sizeof specs / sizeof specs[0], ARGUMENTS_MAX = 8 };

/* One line of a table: space-separated arguments in, "memory flush_after shards io plan color data"
 * or the error out. */
static void sample_format(const struct sample *sample, char out[256]) {
    snprintf(out, 256, "%" PRIu64 " %" PRId64 " %" PRIu64 " %u %d %d [%.32s]", sample->memory,
             sample->flush_after, sample->shards, sample->io, sample->plan, sample->color,
             sample->data);
}

static enum fst_status arguments_parse(struct options *options, const char *line,
                                       struct fst_error *error) {
    static char text[256];
    snprintf(text, sizeof text, "program %s", line);
    char *argv[ARGUMENTS_MAX];
    int argc = 0;
    char *rest = text;
    char *argument;
    while ((argument = strsep(&rest, " ")) != NULL && argc < ARGUMENTS_MAX) {
        if (*argument) argv[argc++] = argument;
    }
    return options_parse_arguments(options, argc, argv, error);
}

static const struct line_case {
    const char *line;
    enum fst_status status;
    const char *want;
} line_cases[] = {
    {"", FST_OK, "4294967296 10000000 1 0 0 1 []"},
    {"--memory 64M --shards=3", FST_OK, "67108864 10000000 3 0 0 1 []"},
    {"--flush-after 90s --io epoll", FST_OK, "4294967296 90000000 1 2 0 1 []"},
    {"--flush_after=2ms", FST_OK, "4294967296 2000 1 0 0 1 []"},
    {"--plan --no-color", FST_OK, "4294967296 10000000 1 0 1 0 []"},
    {"--plan=false --color=true", FST_OK, "4294967296 10000000 1 0 0 1 []"},
    {"--no-plan --data a=b", FST_OK, "4294967296 10000000 1 0 0 1 [a=b]"},
    {"--data=", FST_OK, "4294967296 10000000 1 0 0 1 []"},
    {"--data --plan", FST_OK, "4294967296 10000000 1 0 0 1 [--plan]"},
    {"--data 1234567890", FST_OK, "4294967296 10000000 1 0 0 1 [1234567890]"},
    {"--memory 1M --shards 64", FST_OK, "1048576 10000000 64 0 0 1 []"},
    {"--data 12345678901", FST_INVALID, "--data: expected 0 to 10 bytes, found 11"},
    {"--memory 1048575", FST_INVALID,
     "--memory: expected 1M to 18446744073709551615, found 1048575"},
    {"--shards 0", FST_INVALID, "--shards: expected 1 to 64, found 0"},
    {"--shards 65", FST_INVALID, "--shards: expected 1 to 64, found 65"},
    {"--shards", FST_INVALID, "--shards: expected a value"},
    {"--flush-after 2h", FST_INVALID, "--flush-after: expected 1ms to 1h, found 2h"},
    {"--flush-after 5", FST_INVALID,
     "--flush-after: expected a duration, a whole number and us, ms, s, m, h or d, such as 90s, "
     "found \"5\""},
    {"--io poll", FST_INVALID, "--io: expected one of auto|uring|epoll, found \"poll\""},
    {"--io aut", FST_INVALID, "--io: expected one of auto|uring|epoll, found \"aut\""},
    {"--plan=yes", FST_INVALID, "--plan: expected true or false, found \"yes\""},
    {"--no-shards", FST_UNKNOWN, "unknown option \"no-shards\"; did you mean \"shards\"?"},
    {"--no-plan=true", FST_UNKNOWN, "unknown option \"no-plan\""},
    {"--memroy 1G", FST_UNKNOWN, "unknown option \"memroy\"; did you mean \"memory\"?"},
    {"--flush-aftr 1s", FST_UNKNOWN,
     "unknown option \"flush-aftr\"; did you mean \"flush-after\"?"},
    {"--compression 9", FST_UNKNOWN, "unknown option \"compression\""},
    {"--shards 2 --shards 3", FST_INVALID, "--shards: expected the option once, found it again"},
    {"serve", FST_INVALID, "expected --name value, found \"serve\""},
    {"-m 4", FST_INVALID, "expected --name value, found \"-m\""},
    {"--", FST_INVALID, "expected --name value, found \"--\""},
    {"--=3", FST_UNKNOWN, "unknown option \"\""},
};

static void test_command_lines(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof line_cases / sizeof line_cases[0]; i++) {
        const struct line_case *c = &line_cases[i];
        print_message("  %s\n", c->line);
        struct sample sample;
        struct options options;
        struct fst_error error = {0};
        options_init(&options, specs, SPECS, &sample);
        assert_int_equal(arguments_parse(&options, c->line, &error), c->status);
        /* Said twice, every option is refused. */
        assert_int_equal(arguments_parse(&options, c->line, NULL) == FST_OK,
                         c->status == FST_OK && c->line[0] == '\0');
        char found[256];
        sample_format(&sample, found);
        assert_string_equal(c->status == FST_OK ? found : error.text, c->want);
    }
}

static const struct text_case {
    const char *text;
    enum fst_status status;
    const char *want;
} text_cases[] = {
    {"", FST_OK, "4294967296 10000000 1 0 0 1 []"},
    {"memory = 64M\nshards=3\n", FST_OK, "67108864 10000000 3 0 0 1 []"},
    {"# comment\n\n  io = uring # why\r\n\tplan = true", FST_OK, "4294967296 10000000 1 1 1 1 []"},
    {"flush-after = 1s\ncolor=false", FST_OK, "4294967296 1000000 1 0 0 0 []"},
    {"data = \"a # b\" # c", FST_OK, "4294967296 10000000 1 0 0 1 [a # b]"},
    {"data = \"q\\\"b\\\\\"", FST_OK, "4294967296 10000000 1 0 0 1 [q\"b\\]"},
    {"data = a b", FST_OK, "4294967296 10000000 1 0 0 1 [a b]"},
    {"data = \"\"", FST_OK, "4294967296 10000000 1 0 0 1 []"},
    {"memroy = 1G", FST_UNKNOWN, "f.conf:1:1: unknown option \"memroy\"; did you mean \"memory\"?"},
    {"\n  shards = 100 # many", FST_INVALID, "f.conf:2:12: shards: expected 1 to 64, found 100"},
    {"shards 3", FST_INVALID, "f.conf:1:8: expected =, found \"3\""},
    {"shards", FST_INVALID, "f.conf:1:7: expected =, found the end of the line"},
    {"shards =", FST_INVALID, "f.conf:1:9: expected a value, found the end of the line"},
    {"shards = # 3", FST_INVALID, "f.conf:1:10: expected a value, found \"# 3\""},
    {"= 3", FST_INVALID, "f.conf:1:1: expected the name of an option, found \"= 3\""},
    {"data = \"abc", FST_INVALID,
     "f.conf:1:12: expected a closing double quote, found the end of the line"},
    {"data = \"a\" b", FST_INVALID, "f.conf:1:12: expected the end of the line, found \"b\""},
    {"shards = 1\nshards = 2", FST_INVALID,
     "f.conf:2:10: shards: expected the option once, found it again"},
    {"data = \"a\tb\"", FST_INVALID,
     "f.conf:1:8: data: expected text without control bytes, found \\x09 at byte 2"},
};

static void test_files(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof text_cases / sizeof text_cases[0]; i++) {
        const struct text_case *c = &text_cases[i];
        print_message("  %s\n", c->text);
        struct sample sample;
        struct options options;
        struct fst_error error = {0};
        options_init(&options, specs, SPECS, &sample);
        assert_int_equal(options_parse_text(&options, "f.conf", c->text, strlen(c->text), &error),
                         c->status);
        char found[256];
        sample_format(&sample, found);
        assert_string_equal(c->status == FST_OK ? found : error.text, c->want);
    }
}

static void test_nul_in_a_file(void **state) {
    (void)state;
    struct sample sample;
    struct options options;
    struct fst_error error;
    options_init(&options, specs, SPECS, &sample);
    assert_int_equal(options_parse_text(&options, "f.conf", "io = \0", 6, &error), FST_INVALID);
    assert_string_equal(error.text, "f.conf:1:6: expected text, found \"\\x00\"");
}

static void test_value_at_the_length_limit(void **state) {
    (void)state;
    char text[OPTION_TEXT_BYTES + 64];
    for (int over = 0; over < 2; over++) {
        for (int quoted = 0; quoted < 2; quoted++) {
            int used = snprintf(text, sizeof text, "data = %s", quoted ? "\"" : "");
            size_t bytes = (size_t)used + OPTION_TEXT_BYTES - 1 + (size_t)over;
            memset(text + used, 'x', bytes - (size_t)used);
            if (quoted) text[bytes++] = '"';
            struct sample sample;
            struct options options;
            struct fst_error error;
            options_init(&options, specs, SPECS, &sample);
            assert_int_equal(options_parse_text(&options, "f", text, bytes, &error), FST_INVALID);
            const char *want = over ? "expected a shorter value" : "0 to 10 bytes, found 1023";
            assert_non_null(strstr(error.text, want));
        }
    }
}

/* The command line wins in either order; what it overrules must be right all the same. */
static void test_command_line_wins(void **state) {
    (void)state;
    static const char text[] = "shards = 5\nmemory = 2G\n";
    for (int file_first = 0; file_first < 2; file_first++) {
        struct sample sample;
        struct options options;
        options_init(&options, specs, SPECS, &sample);
        assert_int_equal(options_origin(&options, "shards"), OPTION_FROM_DEFAULT);
        for (int turn = 0; turn < 2; turn++) {
            enum fst_status status =
                turn != file_first ? options_parse_text(&options, "f", text, strlen(text), NULL)
                                   : arguments_parse(&options, "--shards 7", NULL);
            assert_int_equal(status, FST_OK);
        }
        assert_int_equal(sample.shards, 7);
        assert_int_equal(sample.memory, UINT64_C(2) << 30);
        assert_int_equal(options_origin(&options, "shards"), OPTION_FROM_COMMAND_LINE);
        assert_int_equal(options_origin(&options, "memory"), OPTION_FROM_FILE);
        assert_int_equal(options_origin(&options, "flush-after"), OPTION_FROM_DEFAULT);
    }
    struct sample sample;
    struct options options;
    options_init(&options, specs, SPECS, &sample);
    assert_int_equal(arguments_parse(&options, "--shards 7", NULL), FST_OK);
    assert_int_equal(options_parse_text(&options, "f", "shards = x", 10, NULL), FST_INVALID);
    assert_int_equal(sample.shards, 7);
}

static void test_put(void **state) {
    (void)state;
    struct sample sample;
    struct options options;
    struct fst_error error;
    options_init(&options, specs, SPECS, &sample);
    assert_int_equal(options_put(&options, "io", "epoll", OPTION_FROM_FILE, &error), FST_OK);
    assert_int_equal(sample.io, 2);
    assert_int_equal(options_put(&options, "oi", "epoll", OPTION_FROM_FILE, &error), FST_UNKNOWN);
    assert_int_equal(options_put(&options, "io", "x", OPTION_FROM_COMMAND_LINE, &error),
                     FST_INVALID);
    assert_string_equal(error.text, "io: expected one of auto|uring|epoll, found \"x\"");
}

static void test_help(void **state) {
    (void)state;
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    options_help(specs, SPECS, out);
    fclose(out);
    assert_string_equal(
        text, "  --data DIR                folder of the store\n"
              "  --memory SIZE             memory for rows (default: 4G)\n"
              "  --flush-after TIME        longest time between two flushes of it (default:\n"
              "                            10s)\n"
              "  --shards N                number of shards (default: 1)\n"
              "  --io auto|uring|epoll     how to wait for the kernel (default: auto)\n"
              "  --plan                    print the plan and exit\n"
              "  --[no-]color              use colours\n");
    free(text);
}

static void test_markdown(void **state) {
    (void)state;
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    options_dump_markdown(specs, SPECS, out);
    fclose(out);
    assert_non_null(strstr(text, "| `--shards N` | 1 | 1 to 64 | number of shards |\n"));
    assert_non_null(strstr(text, "| `--io auto\\|uring\\|epoll` | auto |  | how to"));
    free(text);
}

static void test_dump_reads_back(void **state) {
    (void)state;
    struct random random = random_of_environment();
    for (int step = 0; step < 2000; step++) {
        struct sample sample, again;
        struct options options, reader;
        options_init(&options, specs, SPECS, &sample);
        options_init(&reader, specs, SPECS, &again);
        static const char alphabet[] = "ab\"\\# =\xc3\xa9";
        sample.memory = (1 << 20) + (random_get(&random) >> random_below(&random, 40)) / 2;
        sample.flush_after = 1000 + (int64_t)random_below(&random, 3599999000);
        sample.shards = 1 + random_below(&random, 64);
        sample.io = (uint32_t)random_below(&random, 3);
        sample.plan = random_below(&random, 2) != 0;
        size_t length = random_below(&random, 11);
        for (size_t i = 0; i < length; i++) sample.data[i] = alphabet[random_below(&random, 9)];
        sample.data[length] = '\0';

        char *text = NULL;
        size_t bytes = 0;
        FILE *out = open_memstream(&text, &bytes);
        options_dump(&options, out);
        fclose(out);
        struct fst_error error = {0};
        assert_int_equal(options_parse_text(&reader, "dump", text, bytes, &error), FST_OK);
        char want[256], found[256];
        sample_format(&sample, want);
        sample_format(&again, found);
        assert_string_equal(found, want);
        free(text);
    }
}

static void test_dump_names_origins(void **state) {
    (void)state;
    struct sample sample;
    struct options options;
    options_init(&options, specs, SPECS, &sample);
    assert_int_equal(options_put(&options, "io", "uring", OPTION_FROM_FILE, NULL), FST_OK);
    assert_int_equal(arguments_parse(&options, "--data x", NULL), FST_OK);
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    options_dump(&options, out);
    fclose(out);
    assert_string_equal(text, "data = \"x\" # command line\n"
                              "memory = 4G # default\n"
                              "flush_after = 10s # default\n"
                              "shards = 1 # default\n"
                              "io = uring # file\n"
                              "plan = false # default\n"
                              "color = true # default\n");
    free(text);
}

static void test_read_file(void **state) {
    (void)state;
    struct io_sim *sim = io_sim_create(1);
    struct io *io = io_sim_io(sim);
    struct sample sample;
    struct options options;
    struct fst_error error;
    options_init(&options, specs, SPECS, &sample);
    assert_int_equal(options_read_file(&options, io, "fsd.conf", &error), FST_NOT_FOUND);
    assert_non_null(strstr(error.text, "fsd.conf: expected a readable file"));

    assert_int_equal(io_replace(io, ".", "fsd.conf", "shards = 9\n", 11), 0);
    io_sim_fail(sim, IO_SIM_PREAD, 1, EIO);
    assert_int_equal(options_read_file(&options, io, "fsd.conf", &error), FST_IO_ERROR);
    io_sim_shorten(sim, 90);
    assert_int_equal(options_read_file(&options, io, "fsd.conf", &error), FST_OK);
    assert_int_equal(sample.shards, 9);
    io_sim_shorten(sim, 0);

    io_file file;
    assert_int_equal(io->ops->open(io, "big", IO_OPEN_WRITE | IO_OPEN_CREATE, &file), 0);
    assert_int_equal(io->ops->resize(io, file, OPTIONS_FILE_BYTES_MAX + 1), 0);
    assert_int_equal(options_read_file(&options, io, "big", &error), FST_TOO_LARGE);
    assert_int_equal(io->ops->close(io, file), 0);
    assert_int_equal(io_sim_check(sim), FST_OK);
    io_sim_destroy(sim);
}

static void test_damaged_files(void **state) {
    (void)state;
    static const char text[] = "data = \"a # b\" # c\nmemory = 64M\nshards=3\n  io = uring\n";
    static const char alphabet[] = "\0\n\" =#\\ax9-_\xff\r";
    struct random random = random_of_environment();
    for (int step = 0; step < 50000; step++) {
        char damaged[sizeof text];
        memcpy(damaged, text, sizeof text);
        for (int i = 0; i < 3; i++) {
            damaged[random_below(&random, sizeof text)] = alphabet[random_below(&random, 14)];
        }
        char *exact = malloc(sizeof text); /* So that a sanitizer sees the end. */
        size_t bytes = random_below(&random, sizeof text);
        memcpy(exact, damaged, bytes);
        struct sample sample;
        struct options options;
        struct fst_error error = {0};
        options_init(&options, specs, SPECS, &sample);
        enum fst_status status = options_parse_text(&options, "f", exact, bytes, &error);
        assert_true(status == FST_OK || strncmp(error.text, "f:", 2) == 0);
        assert_in_range(sample.shards, 1, 64);
        assert_in_range(sample.io, 0, 2);
        free(exact);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_command_lines),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_nul_in_a_file),
        cmocka_unit_test(test_value_at_the_length_limit),
        cmocka_unit_test(test_command_line_wins),
        cmocka_unit_test(test_put),
        cmocka_unit_test(test_help),
        cmocka_unit_test(test_markdown),
        cmocka_unit_test(test_dump_reads_back),
        cmocka_unit_test(test_dump_names_origins),
        cmocka_unit_test(test_read_file),
        cmocka_unit_test(test_damaged_files),
    };
    return cmocka_run_group_tests_name("base/options", tests, NULL, NULL);
}
