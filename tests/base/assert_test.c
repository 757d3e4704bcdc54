/* Lets child processes run into assertions: they say where and abort, and true ones cost nothing
 * else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"

/* Runs FST_ASSERT in a child with its standard error in `text`; answers the wait status. */
static int child_run(int condition, char *text, size_t text_bytes) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGABRT, SIG_DFL);
        dup2(ends[1], STDERR_FILENO);
        FST_ASSERT(condition == 1);
        _exit(7);
    }
    close(ends[1]);
    ssize_t bytes = read(ends[0], text, text_bytes - 1);
    text[bytes > 0 ? bytes : 0] = '\0';
    close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void test_false_condition_aborts(void **state) {
    (void)state;
    char text[512];
    int status = child_run(2, text, sizeof text);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_non_null(strstr(text, "assert_test.c:"));
    assert_non_null(strstr(text, "assertion failed: condition == 1"));
}

static void test_true_condition_goes_on(void **state) {
    (void)state;
    char text[512];
    int status = child_run(1, text, sizeof text);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
    assert_string_equal(text, "");
}

static enum fst_status tried(enum fst_status first, int *went_on) {
    FST_TRY(first);
    *went_on = 1;
    return FST_STALE;
}

static void test_try_leaves_on_failure(void **state) {
    (void)state;
    int went_on = 0;
    assert_int_equal(tried(FST_FULL, &went_on), FST_FULL);
    assert_int_equal(went_on, 0);
    assert_int_equal(tried(FST_OK, &went_on), FST_STALE);
    assert_int_equal(went_on, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_false_condition_aborts),
        cmocka_unit_test(test_true_condition_goes_on),
        cmocka_unit_test(test_try_leaves_on_failure),
    };
    return cmocka_run_group_tests_name("base/assert", tests, NULL, NULL);
}
