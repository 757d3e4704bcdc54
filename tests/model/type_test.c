/* Every form of a type is read, written back and judged, next to the forms one past each limit; all
 * byte patterns of a type's fields are judged against the rules written out anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

#include "model/type.h"

static const struct type_case {
    const char *text;
    struct type type;
    uint32_t fixed_bytes, row_class, row_bytes;
    const char *formatted; /* NULL: as `text` */
} type_cases[] = {
    {"bool", {.kind = 1}, 1, 1, 1, NULL},
    {"int32", {.kind = 2}, 4, 4, 4, NULL},
    {"int64", {.kind = 3}, 8, 8, 8, NULL},
    {"float32", {.kind = 4}, 4, 4, 4, NULL},
    {"float64", {.kind = 5}, 8, 8, 8, NULL},
    {"decimal(0)", {.kind = 6}, 8, 8, 8, NULL},
    {"decimal(18)", {.kind = 6, .scale = 18}, 8, 8, 8, NULL},
    {" decimal ( 2 ) ", {.kind = 6, .scale = 2}, 8, 8, 8, "decimal(2)"},
    {"timestamp", {.kind = 7}, 8, 8, 8, NULL},
    {"string", {.kind = 8}, 0, 8, 8, NULL},
    {"bytes", {.kind = 9}, 0, 8, 8, NULL},
    {"uuid", {.kind = 10}, 16, 8, 16, NULL},
    {"vector(float32, 1)", {.kind = 11, .elements = 1}, 4, 4, 4, NULL},
    {"vector(float32,4096)",
     {.kind = 11, .elements = 4096},
     16384,
     4,
     16384,
     "vector(float32, 4096)"},
    {"list(string)", {.kind = 12, .element_kind = 8}, 0, 8, 8, NULL},
    {"list(uuid)", {.kind = 12, .element_kind = 10}, 0, 8, 8, NULL},
    {"list(decimal(18))", {.kind = 12, .element_kind = 6, .element_scale = 18}, 0, 8, 8, NULL},
    {"list( decimal( 0 ) )", {.kind = 12, .element_kind = 6}, 0, 8, 8, "list(decimal(0))"},
};

static const char *const wrong_texts[] = {
    "",
    " ",
    "int",
    "int16",
    "Int32",
    "int32x",
    "int 32",
    "none",
    "decimal",
    "decimal()",
    "decimal(19)",
    "decimal(-1)",
    "decimal(2",
    "decimal(2))",
    "decimal(99999999999999999999)",
    "vector",
    "vector(float32)",
    "vector(float32, 0)",
    "vector(float32, 4097)",
    "vector(float64, 8)",
    "vector(8)",
    "list",
    "list()",
    "list(list(int32))",
    "list(vector(float32, 2))",
    "list(int32",
    "list(decimal)",
    "list(decimal(19))",
    "string string",
    "bool()",
};

static void test_forms(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof type_cases / sizeof type_cases[0]; i++) {
        const struct type_case *c = &type_cases[i];
        print_message("  %s\n", c->text);
        struct type type;
        char text[TYPE_TEXT_BYTES];
        assert_int_equal(type_parse(c->text, &type, NULL), FST_OK);
        assert_memory_equal(&type, &c->type, sizeof type);
        assert_true(type_is_valid(type));
        type_format(type, text);
        assert_string_equal(text, c->formatted ? c->formatted : c->text);
        assert_int_equal(type_fixed_bytes(type), c->fixed_bytes);
        assert_int_equal(type_row_class(type), c->row_class);
        assert_int_equal(type_row_bytes(type), c->row_bytes);
    }
}

static void test_wrong_forms_name_what_is_expected(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof wrong_texts / sizeof wrong_texts[0]; i++) {
        print_message("  '%s'\n", wrong_texts[i]);
        struct type type = {.kind = 99};
        struct fst_error error = {0};
        assert_int_equal(type_parse(wrong_texts[i], &type, &error), FST_INVALID);
        assert_int_equal(type.kind, 99);
        assert_non_null(strstr(error.text, "expected a type"));
        assert_non_null(strstr(error.text, wrong_texts[i]));
    }
}

/* The rules of the wire format, written out; not as type.c does it. */
static bool type_is_valid_oracle(struct type t) {
    switch (t.kind) {
    case 1:
    case 2:
    case 3:
    case 4:
    case 5:
    case 7:
    case 8:
    case 9:
    case 10:
        return t.scale == 0 && t.element_kind == 0 && t.element_scale == 0 && t.elements == 0;
    case 6:
        return t.scale <= 18 && t.element_kind == 0 && t.element_scale == 0 && t.elements == 0;
    case 11:
        return t.scale == 0 && t.element_kind == 0 && t.element_scale == 0 && t.elements >= 1 &&
               t.elements <= 4096;
    case 12:
        if (t.scale != 0 || t.elements != 0) return false;
        if (t.element_kind == 6) return t.element_scale <= 18;
        return t.element_kind >= 1 && t.element_kind <= 10 && t.element_scale == 0;
    default:
        return false;
    }
}

static void test_judges_all_bytes(void **state) {
    (void)state;
    static const uint8_t numbers[] = {0, 1, 2, 5, 6, 7, 10, 11, 12, 13, 18, 19, 255};
    static const uint32_t elements[] = {0, 1, 4096, 4097, UINT32_MAX};
    enum { NUMBERS = sizeof numbers };
    for (uint32_t i = 0; i < NUMBERS * NUMBERS * NUMBERS * NUMBERS * 5; i++) {
        struct type type = {
            .kind = numbers[i % NUMBERS],
            .scale = numbers[i / NUMBERS % NUMBERS],
            .element_kind = numbers[i / NUMBERS / NUMBERS % NUMBERS],
            .element_scale = numbers[i / NUMBERS / NUMBERS / NUMBERS % NUMBERS],
            .elements = elements[i / NUMBERS / NUMBERS / NUMBERS / NUMBERS],
        };
        assert_int_equal(type_is_valid(type), type_is_valid_oracle(type));
    }
}

static void test_widening(void **state) {
    (void)state;
    uint32_t widenings = 0;
    for (size_t i = 0; i < sizeof type_cases / sizeof type_cases[0]; i++) {
        for (size_t j = 0; j < sizeof type_cases / sizeof type_cases[0]; j++) {
            const struct type_case *from = &type_cases[i];
            const struct type_case *to = &type_cases[j];
            bool is_wider =
                (strcmp(from->text, "int32") == 0 && strcmp(to->text, "int64") == 0) ||
                (strcmp(from->text, "float32") == 0 && strcmp(to->text, "float64") == 0);
            widenings += is_wider;
            assert_int_equal(type_can_widen(from->type, to->type), i == j || is_wider);
            assert_int_equal(type_is_equal(from->type, to->type), i == j);
        }
    }
    assert_int_equal(widenings, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_wrong_forms_name_what_is_expected),
        cmocka_unit_test(test_judges_all_bytes),
        cmocka_unit_test(test_widening),
    };
    return cmocka_run_group_tests_name("model/type", tests, NULL, NULL);
}
