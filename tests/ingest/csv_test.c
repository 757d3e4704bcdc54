/* Records and fields of texts of every kind, mistakes with what was expected, and random records
 * that are written as CSV in every allowed way and must be read back the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/csv.h"
#include "tests/base/random.h"

enum { FIELDS_MAX = 8, SHOWN_BYTES = 1024, ROUNDS = 3000, TEXT_ROOM = 1 << 16 };

/* Fields as <text> or, when quoted, "text", one record a line; a mistake as "! expected; found". */
static const struct csv_case {
    const char *name, *text, *want;
} csv_cases[] = {
    {"nothing", "", ""},
    {"one field", "a", "<a>\n"},
    {"two records", "a,b\nc,d\n", "<a> <b>\n<c> <d>\n"},
    {"no line end at the end", "a,b\nc,d", "<a> <b>\n<c> <d>\n"},
    {"CRLF", "a,b\r\nc\r\n", "<a> <b>\n<c>\n"},
    {"CR alone is text", "a\rb,c\n", "<a\rb> <c>\n"},
    {"empty lines", "\n\r\n\na\n\n\nb\n\n", "<a>\n<b>\n"},
    {"empty fields", ",,\n", "<> <> <>\n"},
    {"quoted empty is not empty", "\"\",,\"\"\n", "\"\" <> \"\"\n"},
    {"comma in quotes", "\"a,b\",c\n", "\"a,b\" <c>\n"},
    {"line ends in quotes", "\"a\nb\r\nc\",d\n", "\"a\nb\r\nc\" <d>\n"},
    {"doubled quotes", "\"\"\"a\"\"b\"\"\"\n", "\"\"a\"b\"\"\n"},
    {"only quotes", "\"\"\"\"\n", "\"\"\"\n"},
    {"spaces belong to the field", " a , b \n", "< a > < b >\n"},
    {"byte order mark",
     "\xef\xbb\xbf"
     "a,b\n",
     "<a> <b>\n"},
    {"byte order mark before quotes", "\xef\xbb\xbf\"a\"\n", "\"a\"\n"},
    {"quote inside", "a\"b,c\nd\n", "! quotes around the whole field; a quote inside\n<d>\n"},
    {"quote after a space", " \"a\"\nd\n",
     "! quotes around the whole field; a quote inside\n<d>\n"},
    {"text behind a quote", "\"a\"b,c\nd\n",
     "! a comma or the end of the line after a closing quote; another character\n<d>\n"},
    {"space behind a quote", "\"a\" ,c\nd\n",
     "! a comma or the end of the line after a closing quote; another character\n<d>\n"},
    {"quote left open", "x\n\"a,b\nc\n", "<x>\n! a closing quote; the end of the text\n<c>\n"},
    {"doubled quote at the end", "\"a\"\"", "! a closing quote; the end of the text\n"},
    {"quote at the end", "a,\"", "! a closing quote; the end of the text\n"},
    {"more fields than there is room", "1,2,3,4,5,6,7,8,9\n",
     "<1> <2> <3> <4> <5> <6> <7> <8> (9)\n"},
};

static size_t record_show(char *shown, const struct csv_field *fields,
                          const struct csv_record *record) {
    size_t used = 0;
    for (uint32_t i = 0; i < record->fields_count && i < FIELDS_MAX; i++) {
        used +=
            (size_t)sprintf(shown + used, "%s%s%.*s%s", i ? " " : "",
                            fields[i].is_quoted ? "\"" : "<", (int)fields[i].text.bytes,
                            (const char *)fields[i].text.data, fields[i].is_quoted ? "\"" : ">");
    }
    if (record->fields_count > FIELDS_MAX)
        used += (size_t)sprintf(shown + used, " (%u)", record->fields_count);
    return used + (size_t)sprintf(shown + used, "\n");
}

static void text_show(const char *text, size_t bytes, char shown[SHOWN_BYTES]) {
    uint8_t *copy = malloc(bytes + (bytes == 0));
    uint8_t *scratch = malloc(bytes + 1);
    assert_non_null(copy);
    assert_non_null(scratch);
    if (bytes > 0) memcpy(copy, text, bytes);
    struct csv csv;
    struct csv_field fields[FIELDS_MAX];
    struct csv_record record;
    csv_init(&csv, (struct bytes){.data = copy, .bytes = bytes}, scratch, bytes + 1);
    size_t used = 0;
    shown[0] = 0;
    for (;;) {
        enum fst_status status = csv_next(&csv, fields, FIELDS_MAX, &record);
        if (status == FST_NOT_FOUND) break;
        if (status == FST_OK)
            used += record_show(shown + used, fields, &record);
        else
            used += (size_t)sprintf(shown + used, "! %s; %s\n", record.expected, record.found);
        assert_true(record.text.data >= copy &&
                    record.text.data + record.text.bytes <= copy + bytes);
    }
    free(copy);
    free(scratch);
}

static void test_texts(void **state) {
    (void)state;
    char shown[SHOWN_BYTES];
    for (size_t i = 0; i < sizeof csv_cases / sizeof csv_cases[0]; i++) {
        print_message("  %s\n", csv_cases[i].name);
        text_show(csv_cases[i].text, strlen(csv_cases[i].text), shown);
        assert_string_equal(shown, csv_cases[i].want);
    }
}

static void test_zero_bytes(void **state) {
    (void)state;
    char shown[SHOWN_BYTES];
    text_show("a,b\0c\nd\n", 8, shown);
    assert_string_equal(shown, "! text; a NUL byte\n<d>\n");
    text_show("a,\"b\0c\"\nd\n", 10, shown);
    assert_string_equal(shown, "! text; a NUL byte\n<d>\n");
}

static void test_record_as_it_stood(void **state) {
    (void)state;
    static const char text[] = "a,b\r\n\"x\ny\",z\n\"bad\"x,1\r\nlast";
    static const char *const records[] = {"a,b", "\"x\ny\",z", "\"bad\"x,1", "last"};
    struct csv csv;
    struct csv_field fields[FIELDS_MAX];
    struct csv_record record;
    uint8_t scratch[64];
    csv_init(&csv, (struct bytes){.data = (const uint8_t *)text, .bytes = sizeof text - 1}, scratch,
             sizeof scratch);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(csv_next(&csv, fields, FIELDS_MAX, &record),
                         i == 2 ? FST_INVALID : FST_OK);
        assert_int_equal(record.text.bytes, strlen(records[i]));
        assert_memory_equal(record.text.data, records[i], record.text.bytes);
    }
    assert_int_equal(csv_next(&csv, fields, FIELDS_MAX, &record), FST_NOT_FOUND);
}

/* ---- random records ---- */

struct oracle_field {
    char text[16];
    size_t bytes;
    bool is_quoted;
};

static void field_make(struct random *random, struct oracle_field *field) {
    static const char characters[] = "ab,\"\n\r \xc3";
    bool needs_quotes = false;
    field->bytes = random_below(random, 6);
    for (size_t i = 0; i < field->bytes; i++) {
        field->text[i] = characters[random_below(random, sizeof characters - 1)];
        if (strchr(",\"\n\r", field->text[i])) needs_quotes = true;
    }
    field->is_quoted = needs_quotes || random_below(random, 3) == 0;
}

static char *field_write(char *at, const struct oracle_field *field) {
    if (field->is_quoted) *at++ = '"';
    for (size_t i = 0; i < field->bytes; i++) {
        *at++ = field->text[i];
        if (field->text[i] == '"') *at++ = '"';
    }
    if (field->is_quoted) *at++ = '"';
    return at;
}

static void test_random_records_are_read_back(void **state) {
    (void)state;
    struct random random = random_of_environment();
    static char text[TEXT_ROOM];
    static uint8_t scratch[TEXT_ROOM];
    for (uint32_t round = 0; round < ROUNDS; round++) {
        struct oracle_field fields[12][FIELDS_MAX];
        uint32_t counts[12];
        uint32_t records_count = (uint32_t)random_below(&random, 12);
        char *at = text;
        for (uint32_t r = 0; r < records_count; r++) {
            counts[r] = 1 + (uint32_t)random_below(&random, FIELDS_MAX);
            for (uint32_t f = 0; f < counts[r]; f++) {
                field_make(&random, &fields[r][f]);
                /* One empty field is an empty line, unless it is quoted. */
                if (counts[r] == 1 && fields[r][f].bytes == 0) fields[r][f].is_quoted = true;
                if (f > 0) *at++ = ',';
                at = field_write(at, &fields[r][f]);
            }
            bool is_last = r + 1 == records_count && random_below(&random, 2) == 0;
            if (!is_last && random_below(&random, 2) == 0) *at++ = '\r';
            if (!is_last) *at++ = '\n';
        }
        struct csv csv;
        struct csv_field found[FIELDS_MAX];
        struct csv_record record;
        csv_init(&csv, (struct bytes){.data = (const uint8_t *)text, .bytes = (size_t)(at - text)},
                 scratch, (size_t)(at - text));
        for (uint32_t r = 0; r < records_count; r++) {
            assert_int_equal(csv_next(&csv, found, FIELDS_MAX, &record), FST_OK);
            assert_int_equal(record.fields_count, counts[r]);
            for (uint32_t f = 0; f < counts[r]; f++) {
                assert_int_equal(found[f].is_quoted, fields[r][f].is_quoted);
                assert_int_equal(found[f].text.bytes, fields[r][f].bytes);
                assert_memory_equal(found[f].text.data, fields[r][f].text, fields[r][f].bytes);
            }
        }
        assert_int_equal(csv_next(&csv, found, FIELDS_MAX, &record), FST_NOT_FOUND);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_zero_bytes),
        cmocka_unit_test(test_record_as_it_stood),
        cmocka_unit_test(test_random_records_are_read_back),
    };
    return cmocka_run_group_tests_name("ingest/csv", tests, NULL, NULL);
}
