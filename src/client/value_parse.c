/* Reads one value from text: keys on a command line, cells of a file. */
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "base/time.h"
#include "client/value.h"

enum { NUMBER_TEXT_BYTES = 400, FOUND_TEXT_BYTES = 64 };

static enum fst_status expected(const char *what, struct fst_text text, struct fst_error *error) {
    char found[FOUND_TEXT_BYTES];
    text_format_printable(text.text, text.bytes, found, sizeof found);
    return fst_error_set(error, FST_INVALID, "expected %s, found '%s'", what, found);
}

static bool text_is(struct fst_text text, const char *wanted) {
    return text.bytes == strlen(wanted) && memcmp(text.text, wanted, text.bytes) == 0;
}

/* ---- numbers ---- */

/* Digits with a sign and exactly one way to read them; `scale` places may stand behind a point. */
static bool decimal_scan(struct fst_text text, uint32_t scale, int64_t *units_out) {
    const char *at = text.text;
    const char *end = at + text.bytes;
    bool is_negative = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+')) at += 1;
    uint64_t magnitude = 0;
    uint64_t magnitude_max = (uint64_t)INT64_MAX + (is_negative ? 1 : 0);
    uint32_t places = 0;
    bool has_digit = false, has_point = false;
    for (; at < end; at++) {
        if (*at == '.' && scale > 0 && !has_point && has_digit) {
            has_point = true;
            continue;
        }
        if (*at < '0' || *at > '9' || (has_point && places == scale)) return false;
        uint64_t digit = (uint64_t)(*at - '0');
        if (magnitude > (magnitude_max - digit) / 10) return false;
        magnitude = magnitude * 10 + digit;
        has_digit = true;
        places += has_point;
    }
    if (!has_digit || (has_point && places == 0)) return false;
    for (; places < scale; places++) {
        if (magnitude > magnitude_max / 10) return false;
        magnitude *= 10;
    }
    *units_out = (int64_t)(is_negative ? 0 - magnitude : magnitude);
    return true;
}

static bool float_scan(struct fst_text text, bool is_narrow, double *number_out) {
    char copy[NUMBER_TEXT_BYTES];
    if (text.bytes == 0 || text.bytes >= sizeof copy) return false;
    /* strtod would also take white space, hexadecimal and "infinity". */
    bool is_word = text_is(text, "nan") || text_is(text, "inf") || text_is(text, "-inf");
    for (size_t i = 0; i < text.bytes && !is_word; i++) {
        if (!strchr("0123456789+-.eE", text.text[i]) || !text.text[i]) return false;
    }
    memcpy(copy, text.text, text.bytes);
    copy[text.bytes] = '\0';
    char *end;
    *number_out = is_narrow ? (double)strtof(copy, &end) : strtod(copy, &end);
    bool is_finite = *number_out - *number_out == 0;
    return *end == '\0' && (is_word || is_finite);
}

static enum fst_status number_parse(struct fst_type type, struct fst_text text,
                                    struct fst_value *value, struct fst_error *error) {
    char what[96];
    char name[FST_TYPE_TEXT_BYTES];
    fst_type_format(type, name);
    if (type.kind == FST_KIND_FLOAT32 || type.kind == FST_KIND_FLOAT64) {
        if (float_scan(text, type.kind == FST_KIND_FLOAT32, &value->number)) return FST_OK;
        snprintf(what, sizeof what, "a %s such as -1.5e3, nan or inf", name);
        return expected(what, text, error);
    }
    bool is_read = decimal_scan(text, type.scale, &value->integer);
    bool is_narrow = value->integer >= INT32_MIN && value->integer <= INT32_MAX;
    if (is_read && (type.kind != FST_KIND_INT32 || is_narrow)) return FST_OK;
    snprintf(what, sizeof what,
             type.kind == FST_KIND_DECIMAL ? "a %s such as -12.5, at most %u places"
                                           : "a whole number in the range of %s",
             name, type.scale);
    return expected(what, text, error);
}

static enum fst_status timestamp_parse(struct fst_text text, struct fst_value *value,
                                       struct fst_error *error) {
    if (decimal_scan(text, 0, &value->integer)) return FST_OK;
    const char *what;
    if (time_parse_rfc3339(text.text, text.bytes, &value->integer, &what) == FST_OK) return FST_OK;
    return expected(what, text, error);
}

/* ---- bytes ---- */

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static bool hex_scan(const char *text, size_t digits, uint8_t *out) {
    for (size_t i = 0; i < digits / 2; i++) {
        int high = hex_digit(text[2 * i]);
        int low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return digits % 2 == 0;
}

static bool bytes_scan(struct fst_text text, uint8_t *room, struct fst_value *value) {
    bool has_prefix = text.bytes >= 2 && text.text[0] == '0' && text.text[1] == 'x';
    if (!has_prefix || !hex_scan(text.text + 2, text.bytes - 2, room)) return false;
    value->data = room;
    value->bytes = (uint32_t)(text.bytes / 2 - 1);
    return true;
}

static bool uuid_scan(struct fst_text text, uint8_t *room, struct fst_value *value) {
    static const uint8_t group_digits[] = {8, 4, 4, 4, 12};
    if (text.bytes != 36) return false;
    uint8_t *out = room;
    const char *at = text.text;
    for (uint32_t i = 0; i < sizeof group_digits; i++) {
        if (i > 0 && *at++ != '-') return false;
        if (!hex_scan(at, group_digits[i], out)) return false;
        at += group_digits[i];
        out += group_digits[i] / 2;
    }
    value->data = room;
    value->bytes = FST_UUID_BYTES;
    return true;
}

/* ---- all kinds ---- */

enum fst_status fst_value_parse(struct fst_type type, struct fst_text text, uint8_t *room,
                                struct fst_value *value_out, struct fst_error *error) {
    struct fst_value value = {.type = type, .is_given = true};
    enum fst_status status = FST_OK;
    switch (type.kind) {
    case FST_KIND_BOOL:
        value.integer = text_is(text, "true");
        if (!value.integer && !text_is(text, "false"))
            status = expected("true or false", text, error);
        break;
    case FST_KIND_TIMESTAMP:
        status = timestamp_parse(text, &value, error);
        break;
    case FST_KIND_STRING:
        value.data = (const uint8_t *)text.text;
        value.bytes = (uint32_t)text.bytes;
        if (text.bytes > FST_VALUE_BYTES_MAX || !text_is_utf8(text.text, text.bytes)) {
            status = expected("at most 65536 bytes of UTF-8", text, error);
        }
        break;
    case FST_KIND_BYTES:
        if (!bytes_scan(text, room, &value)) {
            status = expected("0x and pairs of hexadecimal digits", text, error);
        }
        break;
    case FST_KIND_UUID:
        if (!uuid_scan(text, room, &value)) {
            status = expected("a uuid of 8-4-4-4-12 hexadecimal digits", text, error);
        }
        break;
    case FST_KIND_VECTOR:
    case FST_KIND_LIST:
        status = fst_error_set(error, FST_UNSUPPORTED, "vectors and lists cannot be read here");
        break;
    default:
        status = number_parse(type, text, &value, error);
    }
    if (status == FST_OK) *value_out = value;
    return status;
}
