/* JSON objects become rows: every type, every mistake, numbers to the last digit, and what is
 * not JSON or not a row; and however a text is made, little memory is taken for it. */
#include "ingest/json_rows.h"

#include <jansson.h>
#include <stdlib.h>

#include "tests/ingest/rows_fixture.h"

enum { NOW_US = 5000 };

static const struct json_case {
    const char *name, *text, *rows, *problems;
} json_cases[] = {
    {"everything",
     "{\"id\": 1, \"part\": \"a\", \"event_time\": 1000, \"created_time\": "
     "\"1970-01-01T00:00:00.002Z\", \"flag\": true, \"n\": -5, \"x\": 0.1,"
     " \"amount\": 12.34, \"at\": 7, \"text\": \"h\\u00e9\", \"raw\": \"0x00ff\", \"u\": "
     "\"00000000-0000-0000-0000-00000000000f\","
     " \"vec\": [1, 2.5], \"items\": [\"x\", \"\"], \"prices\": [0.1, 2, \"3.5\"]}",
     "1 1000 2000 1 a | true -5 0.1 12.34 1970-01-01T00:00:00.000007Z h\xc3\xa9 0x00ff "
     "00000000-0000-0000-0000-00000000000f [1, 2.5] "
     "[\"x\", \"\"] [0.1, 2.0, 3.5]\n",
     ""},
    {"created time is now", "{\"id\": 1, \"part\": \"\", \"event_time\": 1}",
     "1 1 5000 1  | null null null null null null null null null null null\n", ""},
    {"null is as if it were not there",
     "{\"id\": 1, \"part\": \"a\", \"event_time\": 1, \"n\": null, \"text\": null, "
     "\"created_time\": null}",
     "1 1 5000 1 a | null null null null null null null null null null null\n", ""},
    {"an array",
     "[{\"id\": 1, \"part\": \"a\", \"event_time\": 1}, {\"id\": 2, \"part\": \"a\", "
     "\"event_time\": 2}]",
     "1 1 5000 1 a | null null null null null null null null null null null\n2 2 5000 2 a | null "
     "null null null null null null null null null null\n",
     ""},
    {"an empty array", "[]", "", ""},
    {"decimal as a string",
     "{\"id\": 1, \"part\": \"a\", \"event_time\": 1, \"amount\": \"92233720368547758.07\"}",
     "1 1 5000 1 a | null null null 92233720368547758.07 null null null null null null null\n", ""},
    {"decimal as a long integer",
     "{\"id\": 1, \"part\": \"a\", \"event_time\": 1, \"amount\": 92233720368547758}",
     "1 1 5000 1 a | null null null 92233720368547758.00 null null null null null null null\n", ""},
    {"decimal that a number does not hold",
     "{\"id\": 1, \"part\": \"a\", \"event_time\": 1, \"amount\": 12345678901234567.89}", "",
     "1 amount: a decimal of more than 15 digits as a string; 12345678901234568\n"},
    {"the same in a list",
     "{\"id\": 1, \"part\": \"a\", \"event_time\": 1, \"prices\": [12345678901234567.8]}", "",
     "1 prices: a decimal of more than 15 digits as a string; [\"12345678901234568\"]\n"},
    {"decimal of too many places",
     "{\"id\": 1, \"part\": \"a\", \"event_time\": 1, \"amount\": 0.125}", "",
     "1 amount: a decimal number with at most 2 decimal places that fits 64 bits; 0.125\n"},
    {"unknown member", "{\"id\": 1, \"part\": \"a\", \"event_time\": 1, \"colour\": 1}", "",
     "1 colour: a key column, event_time, created_time or a feature of the view; 1\n"},
    {"no key", "{\"id\": 1, \"event_time\": 1}", "", "1 part: a key; nothing\n"},
    {"key is null", "{\"id\": null, \"part\": \"a\", \"event_time\": 1}", "",
     "1 id: a key; nothing\n"},
    {"no event time", "{\"id\": 1, \"part\": \"a\"}", "",
     "1 event_time: integer microseconds or RFC 3339, such as 2018-04-01T09:30:00Z; nothing\n"},
    {"event time is null", "{\"id\": 1, \"part\": \"a\", \"event_time\": null}", "",
     "1 event_time: integer microseconds or RFC 3339, such as 2018-04-01T09:30:00Z; nothing\n"},
    {"event time with a point", "{\"id\": 1, \"part\": \"a\", \"event_time\": 1.5}", "",
     "1 event_time: integer microseconds or RFC 3339, such as 2018-04-01T09:30:00Z; 1.5\n"},
    {"number for a string", "{\"id\": 1, \"part\": 7, \"event_time\": 1}", "",
     "1 part: a string; 7\n"},
    {"list for a string", "{\"id\": 1, \"part\": \"a\", \"event_time\": 1, \"text\": [1]}", "",
     "1 text: a string; [1]\n"},
    {"object for a number", "{\"id\": 1, \"part\": \"a\", \"event_time\": 1, \"n\": {}}", "",
     "1 n: an integer from -2147483648 to 2147483647; {}\n"},
    {"number in a list of strings",
     "{\"id\": 1, \"part\": \"a\", \"event_time\": 1, \"items\": [1.5]}", "",
     "1 items: a JSON array of elements that fit the list's type; [1.5]\n"},
    {"null in a list", "{\"id\": 1, \"part\": \"a\", \"event_time\": 1, \"items\": [null]}", "",
     "1 items: a JSON array of elements that fit the list's type; [null]\n"},
    {"bad ones between good ones",
     "[{\"id\": 1, \"part\": \"a\", \"event_time\": 1, \"text\": \"long enough for the heap\"}, "
     "{\"id\": 2, \"part\": \"b\", \"text\": \"lost\"},"
     " {\"id\": 3, \"part\": \"c\", \"event_time\": 3, \"text\": \"x\"}]",
     "1 1 5000 1 a | null null null null null long enough for the heap null null null null null\n3 "
     "3 5000 3 c | null null null null null x null null "
     "null null null\n",
     "2 event_time: integer microseconds or RFC 3339, such as 2018-04-01T09:30:00Z; nothing\n"},
};

static void test_rows(void **state) {
    (void)state;
    static struct rows_fixture fixture;
    fixture_init(&fixture, "v");
    for (size_t i = 0; i < sizeof json_cases / sizeof json_cases[0]; i++) {
        const struct json_case *c = &json_cases[i];
        print_message("  %s\n", c->name);
        struct json_rows *rows;
        uint32_t rows_count;
        struct bytes text = {.data = (const uint8_t *)c->text, .bytes = strlen(c->text)};
        struct row_problems problems = {.context = &fixture, .put = fixture_put_problem};
        assert_int_equal(json_rows_open(&rows, text, &rows_count, NULL), FST_OK);
        fixture_begin(&fixture, rows_count, text.bytes);
        assert_int_equal(json_rows_read(rows, NOW_US, &fixture.builder, &problems), FST_OK);
        json_rows_close(rows);
        fixture_show_rows(&fixture);
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
    static const char text[] = "[{\"id\": 1, \"event_time\": 1}, {\"id\": 2}, {\"id\": 3}]";
    struct json_rows *rows;
    uint32_t rows_count;
    struct row_problems problems = {.context = &fixture, .put = fixture_put_problem};
    struct bytes bytes = {.data = (const uint8_t *)text, .bytes = strlen(text)};
    assert_int_equal(json_rows_open(&rows, bytes, &rows_count, NULL), FST_OK);
    assert_int_equal(rows_count, 3);
    fixture_begin(&fixture, rows_count, bytes.bytes);
    assert_int_equal(json_rows_read(rows, NOW_US, &fixture.builder, &problems), FST_INVALID);
    json_rows_close(rows);
    assert_int_equal(fixture.builder.rows_count, 1);
    assert_memory_equal(fixture.problems, "2 event_time", 12);
    fixture_deinit(&fixture);
}

static const struct refused_case {
    const char *text, *problem;
} refused_cases[] = {
    {"", "JSON: expected an object or an array of objects, found nothing"},
    {"{\"a\": \"\\u0000\"}", "JSON 1:14: expected text without \\u0000"},
    {"{", "JSON 1:1: "},
    {"[1]", "JSON: expected an object or an array of at most 65536 objects"},
    {"7", "JSON: expected an object or an array of at most 65536 objects"},
    {"[{}, []]", "JSON: expected an object or an array of at most 65536 objects"},
    {"{\"a\": 1, \"a\": 2}", "duplicate object key"},
    {"{\"a\": 99999999999999999999}", "too big integer"},
    {"{\"a\": \"\xff\"}", "unable to decode byte 0xff"},
    {"{}\n{}", "JSON 2:0: end of file expected"},
    {"[{\"a\": 1},\n  {\"a\": 1, 7}]", "JSON 2:12: "},
    {"[{\"a\": 1}, {\"b\" 1}]", "JSON 1:17: ':' expected"},
};

static void test_what_is_no_json(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof refused_cases / sizeof refused_cases[0]; i++) {
        const struct refused_case *c = &refused_cases[i];
        print_message("  %s\n", c->text);
        struct json_rows *rows;
        uint32_t rows_count;
        struct fst_error error = {.text = ""};
        struct bytes text = {.data = (const uint8_t *)c->text, .bytes = strlen(c->text)};
        assert_int_equal(json_rows_open(&rows, text, &rows_count, &error), FST_INVALID);
        assert_non_null(strstr(error.text, c->problem));
    }
}

static void test_limit_of_rows(void **state) {
    (void)state;
    char *text = malloc((size_t)4 * JSON_ROWS_MAX + 16);
    assert_non_null(text);
    for (uint32_t extra = 0; extra <= 1; extra++) {
        char *at = text + sprintf(text, "[{}");
        for (uint32_t i = 1; i < JSON_ROWS_MAX + extra; i++) at += sprintf(at, ",{}");
        at += sprintf(at, "]");
        struct json_rows *rows = NULL;
        uint32_t rows_count;
        struct bytes bytes = {.data = (const uint8_t *)text, .bytes = (size_t)(at - text)};
        enum fst_status status = json_rows_open(&rows, bytes, &rows_count, NULL);
        assert_int_equal(status, extra ? FST_TOO_LARGE : FST_OK);
        json_rows_close(rows);
    }
    free(text);
}

/* ---- memory ---- */

static struct { size_t used_bytes, peak_bytes; } heap;

/* The size stands before each piece. */
static void *heap_get(size_t bytes) {
    size_t *piece = malloc(bytes + 16);
    if (!piece) return NULL;
    *piece = bytes;
    heap.used_bytes += bytes;
    if (heap.used_bytes > heap.peak_bytes) heap.peak_bytes = heap.used_bytes;
    return piece + 2;
}

static void heap_put(void *at) {
    if (!at) return;
    size_t *piece = (size_t *)at - 2;
    heap.used_bytes -= *piece;
    free(piece);
}

static const struct memory_case {
    const char *name, *head, *part, *tail;
    enum fst_status status;
} memory_cases[] = {
    {"many objects", "[{}", ",{}", "]", FST_TOO_LARGE},
    {"many arrays in one", "{\"a\":[[]", ",[]", "]}", FST_TOO_LARGE},
    {"many members in one", "{\"a\":0", ",\"a\":0", "}", FST_TOO_LARGE},
    {"many numbers in one", "{\"a\":[0", ",0", "]}", FST_TOO_LARGE},
    {"nested as deeply as can be", "{\"a\":", "[", "", FST_TOO_LARGE},
    {"one long string", "{\"a\":\"", "xyz", "\"}", FST_OK},
    {"one long name", "{\"", "xyz", "\":0}", FST_OK},
    {"many objects that are none", "[", "{]},", "]", FST_INVALID},
};

/* What is in memory beside the text is never more than a small multiple of it. */
static void test_memory(void **state) {
    (void)state;
    enum { TEXT_BYTES = 4 << 20, MULTIPLE = 4 };
    char *text = malloc(TEXT_BYTES);
    assert_non_null(text);
    json_set_alloc_funcs(heap_get, heap_put);
    for (size_t i = 0; i < sizeof memory_cases / sizeof memory_cases[0]; i++) {
        const struct memory_case *c = &memory_cases[i];
        print_message("  %s\n", c->name);
        char *at = text + sprintf(text, "%s", c->head);
        size_t part_bytes = strlen(c->part);
        for (; at + part_bytes + 8 < text + TEXT_BYTES; at += part_bytes) {
            memcpy(at, c->part, part_bytes);
        }
        at += sprintf(at, "%s", c->tail);
        struct bytes bytes = {.data = (const uint8_t *)text, .bytes = (size_t)(at - text)};
        struct json_rows *rows = NULL;
        struct fst_error error = {.text = ""};
        uint32_t rows_count;
        heap.peak_bytes = 0;
        assert_int_equal(json_rows_open(&rows, bytes, &rows_count, &error), c->status);
        if (c->status == FST_OK) json_rows_close(rows);
        if (c->status == FST_TOO_LARGE) assert_non_null(strstr(error.text, "expected"));
        print_message("    %zu KiB\n", heap.peak_bytes >> 10);
        assert_true(heap.peak_bytes <= (size_t)MULTIPLE * TEXT_BYTES);
        assert_int_equal(heap.used_bytes, 0);
    }
    json_set_alloc_funcs(malloc, free);
    free(text);
}

/* The same for the most values that one row may have: 16 MiB is the largest request. */
static void test_memory_at_the_limit(void **state) {
    (void)state;
    enum { REQUEST_BYTES = 16 << 20, MULTIPLE = 4, PART_BYTES = 12 };
    static const char *const parts[] = {",{}", ",[]", ",0", ",\"\"", ",1.5"};
    char *text = malloc((size_t)PART_BYTES * JSON_VALUES_MAX + 64);
    assert_non_null(text);
    json_set_alloc_funcs(heap_get, heap_put);
    for (size_t p = 0; p <= sizeof parts / sizeof parts[0]; p++) {
        bool is_members = p == sizeof parts / sizeof parts[0];
        char *at = text + sprintf(text, is_members ? "{\"a\":{\"a\":0" : "{\"a\":[0");
        uint32_t counted = p < 2 ? 2 : 1; /* A bracket begins a value, too. */
        for (uint32_t i = 0; i < (JSON_VALUES_MAX - 4) / counted; i++) {
            at += is_members ? sprintf(at, ",\"k%x\":0", i) : sprintf(at, "%s", parts[p]);
        }
        at += sprintf(at, is_members ? "}}" : "]}");
        struct bytes bytes = {.data = (const uint8_t *)text, .bytes = (size_t)(at - text)};
        struct json_rows *rows;
        struct fst_error error = {.text = ""};
        uint32_t rows_count;
        heap.peak_bytes = 0;
        enum fst_status status = json_rows_open(&rows, bytes, &rows_count, &error);
        print_message("  %s: %zu KiB\n", is_members ? "members" : parts[p], heap.peak_bytes >> 10);
        if (status != FST_OK) print_message("%s\n", error.text);
        assert_int_equal(status, FST_OK);
        json_rows_close(rows);
        assert_true(heap.peak_bytes <= (size_t)MULTIPLE * REQUEST_BYTES);
    }
    json_set_alloc_funcs(malloc, free);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_a_problem_may_end_the_reading),
        cmocka_unit_test(test_what_is_no_json),
        cmocka_unit_test(test_limit_of_rows),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_memory_at_the_limit),
    };
    return cmocka_run_group_tests_name("ingest/json_rows", tests, NULL, NULL);
}
