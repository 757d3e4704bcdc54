/* Shows where a JSON text is cut, and that what cannot be cut, has too many rows or too many values
 * in one is refused at that place; pieces say where they stand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "ingest/json_pieces.h"

/* Pieces as "line:column text" lines, then the status and its text if it is not OK. */
static void pieces_show(struct bytes text, char *out, size_t out_bytes) {
    struct json_pieces pieces;
    struct json_piece piece;
    struct fst_error error = {.text = ""};
    size_t used = 0;
    json_pieces_init(&pieces, text);
    out[0] = 0;
    for (;;) {
        enum fst_status status = json_pieces_next(&pieces, &piece, &error);
        if (status != FST_OK) {
            snprintf(out + used, out_bytes - used, "%s", error.text);
            return;
        }
        if (!piece.text.data) break;
        used += (size_t)snprintf(out + used, out_bytes - used, "%u:%u %.*s\n", piece.place.line,
                                 piece.place.column, (int)piece.text.bytes,
                                 (const char *)piece.text.data);
    }
    assert_int_equal(json_pieces_next(&pieces, &piece, &error), FST_OK); /* It stays at the end. */
    assert_null(piece.text.data);
}

#define NO_OBJECT "JSON: expected an object or an array of at most 65536 objects"

static const struct pieces_case {
    const char *text, *shown;
} pieces_cases[] = {
    {"{}", "1:0 {}\n"},
    {" \t\r\n {} \n", "2:1 {}\n"},
    {"[]", ""},
    {"[ ] ", ""},
    {"[{},{}]", "1:1 {}\n1:4 {}\n"},
    {"[{\"a\": [{}, [1, 2]]} ,\n {\"b\": {}}]", "1:1 {\"a\": [{}, [1, 2]]}\n2:1 {\"b\": {}}\n"},
    {"[{\"}\": \"]\\\"}\"}, {\"h\xc3\xa9\": \"\\\\\"}]",
     "1:1 {\"}\": \"]\\\"}\"}\n1:16 {\"h\xc3\xa9\": \"\\\\\"}\n"},
    {"[{\"\xc3\xa9\"},{}]", "1:1 {\"\xc3\xa9\"}\n1:7 {}\n"},
    {"{]", "1:0 {]\n"}, /* No JSON, as its parser will see. */
    {"{\"a", "1:0 {\"a\n"},
    {"{\"a\\", "1:0 {\"a\\\n"},
    {"", "JSON 1:0: an object expected"},
    {"[", "JSON 1:1: an object expected"},
    {"[{},", "1:1 {}\nJSON 1:4: an object expected"},
    {"[{}\n", "1:1 {}\nJSON 2:0: ',' or ']' expected after an object"},
    {"[{} {}]", "1:1 {}\nJSON 1:4: ',' or ']' expected after an object"},
    {"[{},]", "1:1 {}\n" NO_OBJECT},
    {"[,{}]", NO_OBJECT},
    {"[[]]", NO_OBJECT},
    {"7", NO_OBJECT},
    {"{} 7", "1:0 {}\nJSON 1:3: end of file expected"},
    {"{},{}", "1:0 {}\nJSON 1:2: end of file expected"},
    {"[{}] ]", "1:1 {}\nJSON 1:5: end of file expected"},
};

static void test_pieces(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof pieces_cases / sizeof pieces_cases[0]; i++) {
        const struct pieces_case *c = &pieces_cases[i];
        char shown[512];
        print_message("  %s\n", c->text);
        struct bytes text = {.data = (const uint8_t *)c->text, .bytes = strlen(c->text)};
        pieces_show(text, shown, sizeof shown);
        assert_string_equal(shown, c->shown);
    }
    char shown[64];
    struct bytes zero = {.data = (const uint8_t *)"{}", .bytes = 3};
    pieces_show(zero, shown, sizeof shown);
    assert_string_equal(shown, "1:0 {}\nJSON 1:2: end of file expected");
}

/* An object with an array of so many values; with itself and the array at the limit, or one past
 * it. Strings are full of what does not count. */
static void test_limit_of_values(void **state) {
    (void)state;
    static const char head[] = "[{\"s\":\",,[[{{\"},{\"a\":[";
    for (uint32_t extra = 0; extra <= 1; extra++) {
        uint32_t commas = JSON_VALUES_MAX - 3 + extra;
        char *text = malloc(sizeof head + 2 * (size_t)commas + 8);
        assert_non_null(text);
        char *at = text + sprintf(text, "%s0", head);
        for (uint32_t i = 0; i < commas; i++) at += sprintf(at, ",0");
        at += sprintf(at, "]}]");
        struct json_pieces pieces;
        struct json_piece piece;
        struct fst_error error;
        struct bytes bytes = {.data = (const uint8_t *)text, .bytes = (size_t)(at - text)};
        json_pieces_init(&pieces, bytes);
        assert_int_equal(json_pieces_next(&pieces, &piece, &error), FST_OK);
        enum fst_status status = json_pieces_next(&pieces, &piece, &error);
        assert_int_equal(status, extra ? FST_TOO_LARGE : FST_OK);
        if (extra) {
            assert_string_equal(
                error.text, "JSON: expected at most 131072 values in a row, found more in row 2");
        }
        free(text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_limit_of_values),
    };
    return cmocka_run_group_tests_name("ingest/json_pieces", tests, NULL, NULL);
}
