/* Rows are begun, filled, finished and cancelled at random next to an oracle that keeps the rows
 * that were finished; a cancelled row leaves nothing behind. Then the limits: rows, arena, key. */
#include "tests/base/random.h"
#include "tests/ingest/rows_fixture.h"

enum { ROUNDS = 200, ROWS = 50, LINE_BYTES = 256 };

static struct bytes bytes_of(const char *text) {
    return (struct bytes){.data = (const uint8_t *)text, .bytes = strlen(text)};
}

static void put(struct rows_fixture *fixture, const char *column, const char *text) {
    const char *expected = NULL;
    int feature = view_find_feature(fixture->view, column);
    uint32_t key = strcmp(column, "part") == 0;
    enum fst_status status =
        feature >= 0 ? row_builder_put_feature(&fixture->builder, (uint32_t)feature, bytes_of(text),
                                               &expected)
                     : row_builder_put_key(&fixture->builder, key, bytes_of(text), &expected);
    assert_int_equal(status, FST_OK);
}

/* One random row: what it looks like when it is shown, or nothing if it was cancelled. */
static void random_row(struct random *random, struct rows_fixture *fixture, uint32_t line,
                       char *want) {
    char number[16];
    char text[16];
    char part[16];
    bool has_number = random_below(random, 2) == 0;
    bool has_text = random_below(random, 2) == 0;
    snprintf(number, sizeof number, "%d", (int)random_below(random, 1000) - 500);
    snprintf(text, sizeof text, "%.*s", (int)random_below(random, 14), "abcdefghijklmnop");
    snprintf(part, sizeof part, "%.*s", (int)random_below(random, 14), "ABCDEFGHIJKLMNOP");
    assert_int_equal(row_builder_begin(&fixture->builder, line), FST_OK);
    if (has_text) put(fixture, "text", text);
    put(fixture, "part", part);
    if (has_number) put(fixture, "n", number);
    bool has_id = random_below(random, 5) > 0;
    if (has_id) put(fixture, "id", number);
    want[0] = 0;
    if (random_below(random, 4) == 0) {
        row_builder_cancel(&fixture->builder);
        return;
    }
    const char *column = NULL;
    enum fst_status status = row_builder_finish(&fixture->builder, line, line + 1, &column);
    assert_int_equal(status, has_id ? FST_OK : FST_INVALID);
    if (!has_id) {
        assert_string_equal(column, "id");
        return;
    }
    snprintf(want, LINE_BYTES,
             "%u %u %u %s %s | null %s null null null %s null null null null null\n", line, line,
             line + 1, number, part, has_number ? number : "null", has_text ? text : "null");
}

static void test_random_rows(void **state) {
    (void)state;
    struct random random = random_of_environment();
    static struct rows_fixture fixture;
    static char want[ROWS * LINE_BYTES];
    fixture_init(&fixture, "v");
    for (uint32_t round = 0; round < ROUNDS; round++) {
        /* Just room enough for the texts of the rows that stay. */
        fixture_begin(&fixture, ROWS, (size_t)ROWS * 32);
        want[0] = 0;
        size_t used = 0;
        for (uint32_t line = 1; line <= ROWS; line++) {
            char row[LINE_BYTES];
            random_row(&random, &fixture, line, row);
            used += (size_t)sprintf(want + used, "%s", row);
        }
        fixture_show_rows(&fixture);
        assert_string_equal(fixture.rows, want);
    }
    fixture_deinit(&fixture);
}

static void test_a_refused_value_may_be_put_again(void **state) {
    (void)state;
    static struct rows_fixture fixture;
    const char *expected = NULL;
    const char *column;
    fixture_init(&fixture, "w");
    fixture_begin(&fixture, 1, 100);
    assert_int_equal(row_builder_begin(&fixture.builder, 1), FST_OK);
    assert_int_equal(row_builder_put_feature(&fixture.builder, 1, bytes_of("[1,2,x]"), &expected),
                     FST_INVALID);
    assert_string_equal(expected, "a JSON array of elements that fit the list's type");
    put(&fixture, "sizes", "[1, 2]");
    put(&fixture, "id", "3");
    assert_int_equal(row_builder_finish(&fixture.builder, 4, 5, &column), FST_OK);
    fixture_show_rows(&fixture);
    assert_string_equal(fixture.rows, "1 4 5 3 | null [1, 2]\n");
    fixture_deinit(&fixture);
}

static void test_limits(void **state) {
    (void)state;
    static struct rows_fixture fixture;
    const char *column;
    fixture_init(&fixture, "w");
    fixture_begin(&fixture, 2, 0);
    for (uint32_t row = 0; row < 2; row++) {
        assert_int_equal(row_builder_begin(&fixture.builder, row), FST_OK);
        put(&fixture, "id", "1");
        assert_int_equal(row_builder_finish(&fixture.builder, 1, 1, &column), FST_OK);
    }
    assert_int_equal(row_builder_begin(&fixture.builder, 3), FST_TOO_LARGE);
    assert_int_equal(fixture.builder.rows_count, 2);

    arena_reset(&fixture.arena);
    struct row_builder builder;
    assert_int_equal(
        row_builder_init(&builder, fixture.view, 10, FIXTURE_ARENA_BYTES, &fixture.arena),
        FST_TOO_LARGE);
    arena_reset(&fixture.arena);
    assert_int_equal(
        row_builder_init(&builder, fixture.view, FIXTURE_ARENA_BYTES / 32, 10, &fixture.arena),
        FST_TOO_LARGE);
    arena_reset(&fixture.arena);
    assert_int_equal(row_builder_init(&builder, fixture.view, 10, SIZE_MAX / 8, &fixture.arena),
                     FST_TOO_LARGE);
    fixture_deinit(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_rows),
        cmocka_unit_test(test_a_refused_value_may_be_put_again),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests_name("ingest/row_builder", tests, NULL, NULL);
}
