/* Writes to a file in place of standard error: levels, cutting, cleaning, and lines of many threads
 * that stay whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/logger.h"
#include "base/time.h"

enum { CAPTURE_BYTES = 1 << 20 };

/* Standard error goes to an unnamed file until capture_end gives its text. */
struct capture {
    FILE *file;
    int saved;
};

static void capture_begin(struct capture *capture) {
    fflush(stderr);
    capture->file = tmpfile();
    assert_non_null(capture->file);
    capture->saved = dup(STDERR_FILENO);
    assert_true(dup2(fileno(capture->file), STDERR_FILENO) >= 0);
}

static size_t capture_end(struct capture *capture, char *text) {
    assert_true(dup2(capture->saved, STDERR_FILENO) >= 0);
    close(capture->saved);
    rewind(capture->file);
    size_t bytes = fread(text, 1, CAPTURE_BYTES - 1, capture->file);
    text[bytes] = '\0';
    fclose(capture->file);
    return bytes;
}

static void test_levels_and_form(void **state) {
    (void)state;
    char *text = malloc(CAPTURE_BYTES);
    struct capture capture;
    capture_begin(&capture);
    log_debug("base.hidden", "n=%d", 1);
    log_info("base.start", "shards=%d io=%s", 2, "uring");
    logger_init(LOG_ERROR);
    log_warn("base.hidden", "n=%d", 2);
    log_error("base.end", "status=%s", "IO_ERROR");
    logger_init(LOG_DEBUG);
    log_debug("base.detail", " ");
    logger_init(LOG_INFO);
    capture_end(&capture, text);

    char first[64], second[64], third[64];
    int fields = sscanf(text,
                        "%63s info base.start shards=2 io=uring\n"
                        "%63s error base.end status=IO_ERROR\n"
                        "%63s debug base.detail\n",
                        first, second, third);
    assert_int_equal(fields, 3);
    int64_t us;
    assert_int_equal(time_parse_rfc3339(first, strlen(first), &us, NULL), FST_OK);
    assert_null(strstr(text, "hidden"));
    assert_null(strstr(text, " \n"));
    free(text);
}

static void test_a_line_stays_one_line(void **state) {
    (void)state;
    char *text = malloc(CAPTURE_BYTES);
    char value[3000];
    memset(value, 'v', sizeof value);
    value[sizeof value - 1] = '\0';
    struct capture capture;
    capture_begin(&capture);
    log_info("base.smuggle", "name=%s", "a\n2030 error base.fake x\r\x1b[31m");
    log_info("base.long", "value=%s", value);
    size_t bytes = capture_end(&capture, text);
    size_t lines = 0;
    for (size_t i = 0; i < bytes; i++) lines += text[i] == '\n';
    assert_int_equal(lines, 2);
    assert_non_null(strstr(text, "name=a?2030 error base.fake x??[31m\n"));
    const char *second = strchr(text, '\n') + 1;
    assert_int_equal(strlen(second), 1024);
    free(text);
}

enum { THREADS = 4, LINES = 500 };

static void *write_lines(void *context) {
    const char *mark = context;
    for (int i = 0; i < LINES; i++) {
        log_info("base.thread", "a=%s b=%s c=%s d=%s", mark, mark, mark, mark);
    }
    return NULL;
}

static void test_lines_of_threads_are_whole(void **state) {
    (void)state;
    static char marks[THREADS][2] = {"p", "q", "r", "s"};
    char *text = malloc(CAPTURE_BYTES);
    pthread_t threads[THREADS];
    struct capture capture;
    capture_begin(&capture);
    for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, write_lines, marks[i]);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    capture_end(&capture, text);
    int lines = 0;
    char *rest = text;
    char *line;
    while ((line = strsep(&rest, "\n")) != NULL && *line) {
        char a, b, c, d;
        assert_int_equal(sscanf(line, "%*s info base.thread a=%c b=%c c=%c d=%c", &a, &b, &c, &d),
                         4);
        assert_true(a == b && b == c && c == d);
        lines += 1;
    }
    assert_int_equal(lines, THREADS * LINES);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_levels_and_form),
        cmocka_unit_test(test_a_line_stays_one_line),
        cmocka_unit_test(test_lines_of_threads_are_whole),
    };
    return cmocka_run_group_tests_name("base/logger", tests, NULL, NULL);
}
