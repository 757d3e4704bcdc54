#include "base/units.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

struct unit {
    const char *name;
    uint64_t size;
};

/* By falling size: the first that divides an amount gives its shortest text. */
static const struct unit duration_units[] = {
    {"d", UINT64_C(86400000000)},
    {"h", 3600000000},
    {"m", 60000000},
    {"s", 1000000},
    {"ms", 1000},
    {"us", 1},
};
static const struct unit bytes_units[] = {
    {"T", UINT64_C(1) << 40}, {"G", 1 << 30}, {"M", 1 << 20}, {"K", 1 << 10}, {"", 1},
};

enum {
    DURATION_UNITS = sizeof duration_units / sizeof duration_units[0],
    BYTES_UNITS = sizeof bytes_units / sizeof bytes_units[0],
    FOUND_BYTES = 64,
};

struct amount_form {
    const struct unit *units;
    uint32_t units_count;
    uint64_t max;
    const char *expected;
    const char *max_text;
};

static const struct amount_form duration_form = {
    duration_units, DURATION_UNITS, INT64_MAX,
    "a duration, a whole number and us, ms, s, m, h or d, such as 90s", "106751991d"};
static const struct amount_form bytes_form = {
    bytes_units, BYTES_UNITS, UINT64_MAX,
    "a size in bytes, a whole number and optionally K, M, G or T, such as 64M", "16777215T"};
static const struct amount_form count_form = {&bytes_units[BYTES_UNITS - 1], 1, UINT64_MAX,
                                              "a whole number, such as 1000",
                                              "18446744073709551615"};

static enum fst_status amount_refuse(const struct amount_form *form, const char *text,
                                     struct fst_error *error) {
    char found[FOUND_BYTES];
    text_format_printable(text, strlen(text), found, sizeof found);
    return fst_error_set(error, FST_INVALID, "expected %s, found \"%s\"", form->expected, found);
}

/* `number * 10 + digit` or `number * size`, unless that exceeds `max`. */
static bool number_extend(uint64_t *number, uint64_t factor, uint64_t term, uint64_t max) {
    uint64_t product;
    if (__builtin_mul_overflow(*number, factor, &product)) return false;
    if (product > max || term > max - product) return false;
    *number = product + term;
    return true;
}

static enum fst_status amount_parse(const struct amount_form *form, const char *text,
                                    uint64_t *amount_out, struct fst_error *error) {
    const char *at = text;
    uint64_t number = 0;
    bool fits = true;
    for (; *at >= '0' && *at <= '9'; at++) {
        fits = fits && number_extend(&number, 10, (uint64_t)(*at - '0'), form->max);
    }
    if (at == text) return amount_refuse(form, text, error);

    const struct unit *unit = NULL;
    for (uint32_t i = 0; i < form->units_count; i++) {
        if (strcmp(at, form->units[i].name) == 0) unit = &form->units[i];
    }
    bool is_plain_zero = *at == '\0' && fits && number == 0;
    if (!unit && !is_plain_zero) return amount_refuse(form, text, error);
    if (unit) fits = fits && number_extend(&number, unit->size, 0, form->max);
    if (!fits) {
        char found[FOUND_BYTES];
        text_format_printable(text, strlen(text), found, sizeof found);
        return fst_error_set(error, FST_INVALID, "expected at most %s, found \"%s\"",
                             form->max_text, found);
    }
    *amount_out = number;
    return FST_OK;
}

enum fst_status duration_parse(const char *text, int64_t *us_out, struct fst_error *error) {
    uint64_t us;
    enum fst_status status = amount_parse(&duration_form, text, &us, error);
    if (status == FST_OK) *us_out = (int64_t)us;
    return status;
}

enum fst_status bytes_parse(const char *text, uint64_t *bytes_out, struct fst_error *error) {
    return amount_parse(&bytes_form, text, bytes_out, error);
}

enum fst_status count_parse(const char *text, uint64_t *count_out, struct fst_error *error) {
    return amount_parse(&count_form, text, count_out, error);
}

static void amount_format(const struct amount_form *form, uint64_t amount,
                          char text_out[UNITS_TEXT_BYTES]) {
    const struct unit *unit = form->units;
    while (amount % unit->size != 0) unit++; /* The last one is 1. */
    snprintf(text_out, UNITS_TEXT_BYTES, "%" PRIu64 "%s", amount / unit->size, unit->name);
}

void duration_format(int64_t us, char text_out[UNITS_TEXT_BYTES]) {
    if (us <= 0) {
        snprintf(text_out, UNITS_TEXT_BYTES, "0s");
    } else {
        amount_format(&duration_form, (uint64_t)us, text_out);
    }
}

void bytes_format(uint64_t bytes, char text_out[UNITS_TEXT_BYTES]) {
    if (bytes == 0) {
        snprintf(text_out, UNITS_TEXT_BYTES, "0");
    } else {
        amount_format(&bytes_form, bytes, text_out);
    }
}
