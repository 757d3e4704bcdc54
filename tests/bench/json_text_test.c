/* Shows that any text becomes a JSON string: a table of texts and strings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bench/fsbench/json_text.h"

static const struct text_case {
    const char *text, *json;
} cases[] = {
    {"", "\"\""},
    {"plain 1", "\"plain 1\""},
    {"a \"quote\" and a \\", "\"a \\\"quote\\\" and a \\\\\""},
    {"tab\tline\n", "\"tab\\u0009line\\u000a\""},
    {"\xc3\xa4", "\"\xc3\xa4\""},
    {"\xc3", "\"?\""},
};

static void test_texts(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char found[64] = {0};
        FILE *out = fmemopen(found, sizeof found, "w");
        assert_non_null(out);
        json_text_dump(cases[i].text, out);
        fclose(out);
        assert_string_equal(found, cases[i].json);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_texts)};
    return cmocka_run_group_tests_name("bench/json_text", tests, NULL, NULL);
}
