/* Shows that names, texts and codes of statuses agree with the table, and how errors are filled. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/io.h"
#include "fstore/status.h"

static const struct status_case {
    enum fst_status status;
    int code;
    const char *name;
} status_cases[] = {
#define STATUS_CASE(name, code, text) {FST_##name, code, #name},
    FST_STATUS_TABLE(STATUS_CASE)
#undef STATUS_CASE
};
enum { STATUSES = sizeof status_cases / sizeof status_cases[0] };

static void test_names_and_codes(void **state) {
    (void)state;
    for (size_t i = 0; i < STATUSES; i++) {
        const struct status_case *c = &status_cases[i];
        assert_int_equal(c->status, c->code);
        assert_in_range(c->code, 0, 255);
        assert_string_equal(fst_status_name(c->status), c->name);
        assert_true(strlen(fst_status_text(c->status)) > 0);
        for (size_t j = 0; j < i; j++) assert_int_not_equal(c->code, status_cases[j].code);
    }
    /* These four are on the wire and in the documents: they may never move. */
    assert_int_equal(FST_OK, 0);
    assert_int_equal(FST_NOT_FOUND, 3);
    assert_int_equal(FST_BAD_FRAME, 17);
    assert_int_equal(FST_INTERNAL, 36);
}

static void test_unknown_number(void **state) {
    (void)state;
    assert_string_equal(fst_status_name((enum fst_status)200), "?");
    assert_true(strlen(fst_status_text((enum fst_status)200)) > 0);
}

static void test_error_is_filled(void **state) {
    (void)state;
    struct fst_error error;
    memset(&error, 'x', sizeof error);
    assert_int_equal(fst_error_set(&error, FST_INVALID, "row %d of %s", 7, "a.csv"), FST_INVALID);
    assert_int_equal(error.status, FST_INVALID);
    assert_string_equal(error.text, "row 7 of a.csv");
    assert_int_equal(fst_error_set(NULL, FST_FULL, "nobody listens"), FST_FULL);
}

static void test_long_error_is_cut(void **state) {
    (void)state;
    char text[2 * FST_ERROR_TEXT_BYTES];
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = '\0';
    struct fst_error error;
    assert_int_equal(fst_error_set(&error, FST_INVALID, "%s", text), FST_INVALID);
    assert_int_equal(strlen(error.text), FST_ERROR_TEXT_BYTES - 1);
}

static void test_errno_becomes_status(void **state) {
    (void)state;
    static const struct {
        int error;
        enum fst_status status;
    } cases[] = {
        {0, FST_OK},
        {ENOENT, FST_NOT_FOUND},
        {EEXIST, FST_EXISTS},
        {ENOSPC, FST_DISK_FULL},
        {EDQUOT, FST_DISK_FULL},
        {ENOMEM, FST_NO_MEMORY},
        {EWOULDBLOCK, FST_BUSY},
        {ENODATA, FST_CORRUPT},
        {ECONNRESET, FST_CLOSED},
        {ETIMEDOUT, FST_TIMEOUT},
        {ENOSYS, FST_UNSUPPORTED},
        {EIO, FST_IO_ERROR},
        {EPERM, FST_IO_ERROR},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(fst_status_from_errno(cases[i].error), cases[i].status);
        assert_int_equal(fst_status_from_errno(-cases[i].error), cases[i].status);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_and_codes),      cmocka_unit_test(test_unknown_number),
        cmocka_unit_test(test_error_is_filled),      cmocka_unit_test(test_long_error_is_cut),
        cmocka_unit_test(test_errno_becomes_status),
    };
    return cmocka_run_group_tests_name("base/status", tests, NULL, NULL);
}
