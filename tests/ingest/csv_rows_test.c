/* CSV becomes rows: headers in any order and every mistake in them, fields of every type and
 * every mistake in them, bad rows beside good ones, the longest values, and lists that take far
 * more room than their text. */
#include "ingest/csv_rows.h"
#include "tests/ingest/rows_fixture.h"

static struct bytes bytes_of(const char *text) {
    return (struct bytes){.data = (const uint8_t *)text, .bytes = strlen(text)};
}

static struct csv_rows rows;

/* ---- headers ---- */

static const struct header_case {
    const char *name, *header, *problem; /* NULL: it is right */
} header_cases[] = {
    {"all columns",
     "id,part,event_time,created_time,flag,n,x,amount,at,text,raw,u,vec,items,prices", NULL},
    {"any order", "text,event_time,part,id", NULL},
    {"with a line end", "id,part,event_time\r\n", NULL},
    {"quoted, with a byte order mark", "\xef\xbb\xbf\"id\",\"part\",\"event_time\"\n", NULL},
    {"nothing", "", "header: expected names of columns, found nothing"},
    {"no key", "id,event_time", "header: expected the key column 'part'"},
    {"no event time", "id,part,n", "header: expected a column 'event_time'"},
    {"unknown", "id,part,event_time,colour",
     "header column 4: expected a key column, event_time, created_time or a feature of view 'v', "
     "found 'colour'"},
    {"nearly known", "id,part,event_tme",
     "header column 3: expected a key column, event_time, created_time or a feature of view 'v', "
     "found 'event_tme', did you "
     "mean 'event_time'?"},
    {"twice", "id,part,id,event_time", "header column 3: 'id' is there twice"},
    {"time twice", "event_time,event_time", "header column 2: 'event_time' is there twice"},
    {"empty name", "id,,part",
     "header column 2: expected a key column, event_time, created_time or a feature of view 'v', "
     "found ''"},
    {"not CSV", "id,\"part\"x,event_time",
     "header: expected a comma or the end of the line after a closing quote, found another "
     "character"},
    {"binary", "id,\x01\xff",
     "header column 2: expected a key column, event_time, created_time or a feature of view 'v', "
     "found '\\x01\\xff'"},
};

static void test_headers(void **state) {
    (void)state;
    static struct rows_fixture fixture;
    fixture_init(&fixture, "v");
    for (size_t i = 0; i < sizeof header_cases / sizeof header_cases[0]; i++) {
        const struct header_case *c = &header_cases[i];
        print_message("  %s\n", c->name);
        struct fst_error error = {.text = ""};
        enum fst_status status = csv_rows_open(&rows, fixture.view, bytes_of(c->header), &error);
        assert_int_equal(status, c->problem ? FST_INVALID : FST_OK);
        if (c->problem) assert_string_equal(error.text, c->problem);
    }
    fixture_deinit(&fixture);
}

static void test_too_many_columns(void **state) {
    (void)state;
    static struct rows_fixture fixture;
    static char header[4 * CSV_COLUMNS_MAX];
    fixture_init(&fixture, "v");
    strcpy(header, "n");
    for (uint32_t i = 1; i <= CSV_COLUMNS_MAX; i++) strcpy(header + (size_t)2 * i - 1, ",n");
    struct fst_error error = {.text = ""};
    assert_int_equal(csv_rows_open(&rows, fixture.view, bytes_of(header), &error), FST_TOO_LARGE);
    fixture_deinit(&fixture);
}

/* ---- records ---- */

#define HEADER "id,part,event_time,created_time,flag,n,x,amount,at,text,raw,u,vec,items,prices"

static const struct record_case {
    const char *name, *records, *rows, *problems;
} record_cases[] = {
    {"everything",
     "1,a,1000,2000,true,-5,1.5,12.34,1970-01-01T00:00:01Z,hello,0x00ff,00000000-0000-0000-0000-"
     "00000000000f,\"[1,2.5]\",\"[\"\"x\"\",\"\"\"\"]\",\"[0.1,2]\"\n",
     "1 1000 2000 1 a | true -5 1.5 12.34 1970-01-01T00:00:01.000000Z hello 0x00ff "
     "00000000-0000-0000-0000-00000000000f [1, 2.5] [\"x\", \"\"] "
     "[0.1, 2.0]\n",
     ""},
    {"nothing but keys and time", "1,a,1000,,,,,,,,,,,,\n",
     "1 1000 1000 1 a | null null null null null null null null null null null\n", ""},
    {"empty strings are no nulls", "1,\"\",1000,,,,,,,\"\",,,,,\n",
     "1 1000 1000 1  | null null null null null  null null null null null\n", ""},
    {"times as text", "1,a,1970-01-01T00:00:00.001Z,1970-01-01T00:00:00.002Z,,,,,,,,,,,\n",
     "1 1000 2000 1 a | null null null null null null null null null null null\n", ""},
    {"0 and 1 are booleans", "1,a,1,,0,,,,,,,,,,\n2,a,1,,1,,,,,,,,,,\n",
     "1 1 1 1 a | false null null null null null null null null null null\n2 1 1 2 a | true null "
     "null null null null null null null null null\n",
     ""},
    {"key is null", ",a,1,,,,,,,,,,,,\n", "", "1 id: a key; \n"},
    {"key of a wrong type", "x,a,1,,,,,,,,,,,,\n", "",
     "1 id: an integer from -9223372036854775808 to 9223372036854775807; x\n"},
    {"no event time", "1,a,,,,,,,,,,,,,\n", "",
     "1 event_time: integer microseconds or RFC 3339, such as 2018-04-01T09:30:00Z; \n"},
    {"event time without an offset", "1,a,2018-04-01T00:00:00,,,,,,,,,,,,\n", "",
     "1 event_time: integer microseconds or RFC 3339, such as 2018-04-01T09:30:00Z; "
     "2018-04-01T00:00:00\n"},
    {"created time of nothing", "1,a,1,\"\",,,,,,,,,,,\n", "",
     "1 created_time: integer microseconds or RFC 3339, such as 2018-04-01T09:30:00Z; \n"},
    {"quoted empty number", "1,a,1,,,\"\",,,,,,,,,\n", "",
     "1 n: an integer from -2147483648 to 2147483647; \n"},
    {"too many places", "1,a,1,,,,,1.234,,,,,,,\n", "",
     "1 amount: a decimal number with at most 2 decimal places that fits 64 bits; 1.234\n"},
    {"not UTF-8", "1,a,1,,,,,,,\xff,,,,,\n", "", "1 text: valid UTF-8; \xff\n"},
    {"key not UTF-8", "1,\xff,1,,,,,,,,,,,,\n", "", "1 part: valid UTF-8; \xff\n"},
    {"vector too short", "1,a,1,,,,,,,,,,[1],,\n", "",
     "1 vec: a JSON array of numbers, as many as the vector has elements; [1]\n"},
    {"fewer fields", "1,a,1\n", "", "1 : as many fields as the header; fewer\n"},
    {"more fields", "1,a,1,,,,,,,,,,,,,\n", "", "1 : as many fields as the header; more\n"},
    {"bad ones between good ones",
     "1,a,1,,,,,,,,,,,,\n\nx,a,1,,,,,,,,,,,,\n\"q\"x\n4,a,1,,,,,,,,,,,,\n5,a\n6,a,6,,,,,,,,,,,,",
     "1 1 1 1 a | null null null null null null null null null null null\n4 1 1 4 a | null null "
     "null null null null null null null null null\n"
     "6 6 6 6 a | null null null null null null null null null null null\n",
     "2 id: an integer from -9223372036854775808 to 9223372036854775807; x\n3 : a comma or the end "
     "of the line after a closing quote; "
     "another character\n5 : as many fields as the header; fewer\n"},
};

static enum fst_status read_records(struct rows_fixture *fixture, const char *header,
                                    struct bytes records, uint64_t first_row) {
    struct row_problems problems = {.context = fixture, .put = fixture_put_problem};
    assert_int_equal(csv_rows_open(&rows, fixture->view, bytes_of(header), NULL), FST_OK);
    fixture_begin(fixture, csv_rows_bound(records), records.bytes);
    enum fst_status status =
        csv_rows_read(&rows, records, first_row, &fixture->arena, &fixture->builder, &problems);
    fixture_show_rows(fixture);
    return status;
}

static void test_records(void **state) {
    (void)state;
    static struct rows_fixture fixture;
    fixture_init(&fixture, "v");
    for (size_t i = 0; i < sizeof record_cases / sizeof record_cases[0]; i++) {
        const struct record_case *c = &record_cases[i];
        print_message("  %s\n", c->name);
        assert_int_equal(read_records(&fixture, HEADER, bytes_of(c->records), 1), FST_OK);
        assert_string_equal(fixture.problems, c->problems);
        assert_string_equal(fixture.rows, c->rows);
    }
    fixture_deinit(&fixture);
}

static void test_a_problem_may_end_the_reading(void **state) {
    (void)state;
    static struct rows_fixture fixture;
    fixture_init(&fixture, "w");
    fixture.ends_at_first = true;
    assert_int_equal(
        read_records(&fixture, "n,event_time,id", bytes_of("1,1,1\nx,1,1\ny,1,1\n"), 7),
        FST_INVALID);
    assert_string_equal(fixture.problems, "8 n: an integer from -2147483648 to 2147483647; x\n");
    assert_string_equal(fixture.rows, "7 1 1 1 | 1 null\n");
    fixture_deinit(&fixture);
}

/* ---- long values ---- */

static void test_longest_values(void **state) {
    (void)state;
    static struct rows_fixture fixture;
    static char text[VALUE_BYTES_MAX + 64];
    fixture_init(&fixture, "v");
    for (uint32_t extra = 0; extra <= 1; extra++) {
        char *at = text + sprintf(text, "1,a,1,");
        memset(at, 'x', VALUE_BYTES_MAX + extra);
        at[VALUE_BYTES_MAX + extra] = 0;
        struct row_problems problems = {.context = &fixture, .put = fixture_put_problem};
        assert_int_equal(
            csv_rows_open(&rows, fixture.view, bytes_of("id,part,event_time,text"), NULL), FST_OK);
        fixture_begin(&fixture, 1, strlen(text));
        fixture.ends_at_first = true;
        enum fst_status status =
            csv_rows_read(&rows, bytes_of(text), 1, &fixture.arena, &fixture.builder, &problems);
        assert_int_equal(status, extra ? FST_INVALID : FST_OK);
        assert_int_equal(fixture.builder.rows_count, extra ? 0 : 1);
        if (extra) assert_memory_equal(fixture.problems, "1 text: at most 65536 bytes; ", 28);
    }
    fixture_deinit(&fixture);
}

static void test_longest_keys(void **state) {
    (void)state;
    static struct rows_fixture fixture;
    char text[KEY_BYTES_MAX + 64];
    char part[KEY_BYTES_MAX + 8];
    fixture_init(&fixture, "v");
    /* 8 bytes of a number, 2 of a length; then the string alone is too long, then its column. */
    static const struct {
        uint32_t bytes;
        const char *problem;
    } cases[] = {{KEY_BYTES_MAX - 10, ""},
                 {KEY_BYTES_MAX - 9, "1 part: a key of at most 256 bytes; a longer one\n"},
                 {KEY_BYTES_MAX + 1, "1 part: a key of at most 256 bytes; "}};
    for (size_t i = 0; i < 3; i++) {
        memset(part, 'p', cases[i].bytes);
        part[cases[i].bytes] = 0;
        sprintf(text, "1,%s,1", part);
        assert_int_equal(read_records(&fixture, "id,part,event_time", bytes_of(text), 1), FST_OK);
        assert_int_equal(fixture.builder.rows_count, i == 0);
        assert_memory_equal(fixture.problems, cases[i].problem, strlen(cases[i].problem));
    }
    fixture_deinit(&fixture);
}

/* Elements of 8 bytes from one character and a comma: rows of nothing else must still find room. */
static void test_lists_grow(void **state) {
    (void)state;
    static struct rows_fixture fixture;
    static char text[1 << 16];
    fixture_init(&fixture, "w");
    char *at = text;
    for (uint32_t row = 0; row < 100; row++) {
        at += sprintf(at, "%u,1,\"[", row);
        for (uint32_t i = 0; i < 100; i++) at += sprintf(at, i ? ",0" : "0");
        at += sprintf(at, "]\"\n");
    }
    struct row_problems problems = {.context = &fixture, .put = fixture_put_problem};
    assert_int_equal(csv_rows_open(&rows, fixture.view, bytes_of("id,event_time,sizes"), NULL),
                     FST_OK);
    fixture_begin(&fixture, 100, strlen(text));
    assert_int_equal(
        csv_rows_read(&rows, bytes_of(text), 1, &fixture.arena, &fixture.builder, &problems),
        FST_OK);
    assert_string_equal(fixture.problems, "");
    assert_int_equal(fixture.builder.rows_count, 100);
    fixture_deinit(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers),        cmocka_unit_test(test_too_many_columns),
        cmocka_unit_test(test_records),        cmocka_unit_test(test_a_problem_may_end_the_reading),
        cmocka_unit_test(test_longest_values), cmocka_unit_test(test_longest_keys),
        cmocka_unit_test(test_lists_grow),
    };
    return cmocka_run_group_tests_name("ingest/csv_rows", tests, NULL, NULL);
}
