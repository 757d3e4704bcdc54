/* Shows what is read of a machine: from a folder with the files of a made-up one, and with none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bench/fsbench/environment.h"

enum { PATH_BYTES = 512, TEXT_BYTES = 2048 };

static const struct made_file {
    const char *name, *text; /* no text: a folder */
} files[] = {
    {"/proc", NULL},
    {"/proc/sys", NULL},
    {"/proc/sys/kernel", NULL},
    {"/sys", NULL},
    {"/sys/devices", NULL},
    {"/sys/devices/system", NULL},
    {"/sys/devices/system/cpu", NULL},
    {"/sys/devices/system/cpu/cpu0", NULL},
    {"/sys/devices/system/cpu/cpu0/cpufreq", NULL},
    {"/proc/cpuinfo", "processor\t: 0\nmodel name\t: Abacus \"12\" @ 1 Hz\nflags\t: fpu\n\n"
                      "processor\t: 1\nmodel name\t: Other\n"},
    {"/proc/sys/kernel/osrelease", "9.9.9-test\n"},
    {"/proc/loadavg", "0.50 1.25 10.00 3/456 7890\n"},
    {"/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance\n"},
};

enum { FILES_COUNT = sizeof files / sizeof files[0] };

static void files_make(const char *root) {
    char path[PATH_BYTES];
    for (size_t i = 0; i < FILES_COUNT; i++) {
        snprintf(path, sizeof path, "%s%s", root, files[i].name);
        if (!files[i].text) {
            assert_int_equal(mkdir(path, 0700), 0);
            continue;
        }
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        fputs(files[i].text, file);
        fclose(file);
    }
}

static void files_remove(const char *root) {
    char path[PATH_BYTES];
    for (size_t i = FILES_COUNT; i-- > 0;) {
        snprintf(path, sizeof path, "%s%s", root, files[i].name);
        assert_int_equal(remove(path), 0);
    }
    assert_int_equal(remove(root), 0);
}

static void test_files_are_read(void **state) {
    (void)state;
    char root[PATH_BYTES], text[TEXT_BYTES] = {0};
    const char *place = getenv("TMPDIR");
    snprintf(root, sizeof root, "%s/environment_test.XXXXXX", place ? place : "/tmp");
    assert_non_null(mkdtemp(root));
    files_make(root);
    struct environment environment;
    environment_get(root, &environment);
    assert_int_equal(environment.cpus_count, 2);
    assert_string_equal(environment.cpu_model, "Abacus \"12\" @ 1 Hz");
    assert_string_equal(environment.kernel, "9.9.9-test");
    assert_string_equal(environment.governor, "performance");
    assert_string_equal(environment.load_average, "0.50 1.25 10.00");
    FILE *out = fmemopen(text, sizeof text, "w");
    environment_json_dump(&environment, out);
    fclose(out);
    assert_non_null(strstr(text, "\"cpu\":\"Abacus \\\"12\\\" @ 1 Hz\""));
    assert_non_null(strstr(text, "\"load_average\":\"0.50 1.25 10.00\""));
    files_remove(root);
}

static void test_what_is_not_there_is_empty(void **state) {
    (void)state;
    struct environment environment;
    environment_get("/nowhere", &environment);
    assert_int_equal(environment.cpus_count, 0);
    assert_string_equal(environment.cpu_model, "");
    assert_string_equal(environment.governor, "");
    assert_string_equal(environment.load_average, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files_are_read),
        cmocka_unit_test(test_what_is_not_there_is_empty),
    };
    return cmocka_run_group_tests_name("bench/environment", tests, NULL, NULL);
}
