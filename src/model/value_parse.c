#include "model/value_parse.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/text.h"
#include "base/time.h"

enum {
    FLOAT_TEXT_BYTES = 512, /* longer texts of floats are refused */
    FAST_DIGITS_MAX = 15,   /* a double holds every integer of so many digits */
    FAST_EXPONENT_MAX = 22, /* and every power of ten up to this one */
    UUID_TEXT_BYTES = 36,
    UUID_BYTES = 16,
};

#define DECIMAL_EXPECTED(s) "a decimal number with at most " #s " decimal places that fits 64 bits"
static const char *const decimal_expected[TYPE_SCALE_MAX + 1] = {
    DECIMAL_EXPECTED(0),  DECIMAL_EXPECTED(1),  DECIMAL_EXPECTED(2),  DECIMAL_EXPECTED(3),
    DECIMAL_EXPECTED(4),  DECIMAL_EXPECTED(5),  DECIMAL_EXPECTED(6),  DECIMAL_EXPECTED(7),
    DECIMAL_EXPECTED(8),  DECIMAL_EXPECTED(9),  DECIMAL_EXPECTED(10), DECIMAL_EXPECTED(11),
    DECIMAL_EXPECTED(12), DECIMAL_EXPECTED(13), DECIMAL_EXPECTED(14), DECIMAL_EXPECTED(15),
    DECIMAL_EXPECTED(16), DECIMAL_EXPECTED(17), DECIMAL_EXPECTED(18),
};

/* A text on its way to a value, and what is expected of it. */
struct text {
    const char *at;
    const char *end;
    const char *expected;
};

static size_t text_left(const struct text *text) {
    return (size_t)(text->end - text->at);
}

static bool text_is(const struct text *text, const char *word) {
    return text_left(text) == strlen(word) && memcmp(text->at, word, text_left(text)) == 0;
}

static bool mark_take(struct text *text, char mark) {
    if (text->at == text->end || *text->at != mark) return false;
    text->at += 1;
    return true;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* ---- integers ---- */

/* Digits up to something else; false if there are none or they pass 64 bits. */
static bool digits_take(struct text *text, uint64_t *number) {
    const char *begin = text->at;
    for (; text->at < text->end && is_digit(*text->at); text->at++) {
        if (__builtin_mul_overflow(*number, UINT64_C(10), number)) return false;
        if (__builtin_add_overflow(*number, (uint64_t)(*text->at - '0'), number)) return false;
    }
    return text->at > begin;
}

static bool magnitude_sign(uint64_t magnitude, bool is_negative, int64_t *number_out) {
    if (magnitude > (uint64_t)INT64_MAX + is_negative) return false;
    *number_out = (int64_t)(is_negative ? 0 - magnitude : magnitude);
    return true;
}

static bool int64_read(struct text text, int64_t *number_out) {
    uint64_t magnitude = 0;
    bool is_negative = mark_take(&text, '-');
    if (!digits_take(&text, &magnitude) || text.at != text.end) return false;
    return magnitude_sign(magnitude, is_negative, number_out);
}

static bool int64_write(struct text text, struct writer *out) {
    int64_t number;
    if (!int64_read(text, &number)) return false;
    write_i64(out, number);
    return true;
}

static bool int32_write(struct text text, struct writer *out) {
    int64_t number;
    if (!int64_read(text, &number) || number < INT32_MIN || number > INT32_MAX) return false;
    write_u32(out, (uint32_t)number);
    return true;
}

static bool timestamp_write(struct text text, struct writer *out) {
    int64_t us;
    if (!int64_read(text, &us) &&
        time_parse_rfc3339(text.at, text_left(&text), &us, NULL) != FST_OK) {
        return false;
    }
    write_i64(out, us);
    return true;
}

static bool decimal_write(struct text text, uint32_t scale, struct writer *out) {
    uint64_t magnitude = 0;
    uint32_t places = 0;
    bool is_negative = mark_take(&text, '-');
    if (!digits_take(&text, &magnitude)) return false;
    if (mark_take(&text, '.')) {
        const char *begin = text.at;
        if (!digits_take(&text, &magnitude) || text.at - begin > (ptrdiff_t)scale) return false;
        places = (uint32_t)(text.at - begin);
    }
    for (; places < scale; places++) {
        if (__builtin_mul_overflow(magnitude, UINT64_C(10), &magnitude)) return false;
    }
    int64_t number;
    if (text.at != text.end || !magnitude_sign(magnitude, is_negative, &number)) return false;
    write_i64(out, number);
    return true;
}

/* ---- floats ---- */

/* A number taken apart: digits * 10^exponent. */
struct float_parts {
    uint64_t digits; /* right only while digits_count <= FAST_DIGITS_MAX */
    uint32_t digits_count;
    int32_t exponent;
    bool is_negative;
};

static void float_digits_take(struct text *text, struct float_parts *parts) {
    for (; text->at < text->end && is_digit(*text->at); text->at++) {
        if (parts->digits_count == 0 && *text->at == '0') continue;
        parts->digits_count += 1;
        if (parts->digits_count > FAST_DIGITS_MAX) continue;
        parts->digits = parts->digits * 10 + (uint64_t)(*text->at - '0');
    }
}

static bool float_exponent_take(struct text *text, struct float_parts *parts) {
    if (!mark_take(text, 'e') && !mark_take(text, 'E')) return true;
    bool is_negative = mark_take(text, '-');
    if (!is_negative) (void)mark_take(text, '+');
    const char *begin = text->at;
    int32_t exponent = 0;
    for (; text->at < text->end && is_digit(*text->at); text->at++) {
        if (exponent < 100000) exponent = exponent * 10 + (*text->at - '0');
    }
    parts->exponent += is_negative ? -exponent : exponent;
    return text->at > begin;
}

/* [-] digits [. digits] [e [+-] digits] */
static bool float_parts_read(struct text text, struct float_parts *parts) {
    parts->is_negative = mark_take(&text, '-');
    const char *begin = text.at;
    float_digits_take(&text, parts);
    if (text.at == begin) return false;
    if (mark_take(&text, '.')) {
        begin = text.at;
        float_digits_take(&text, parts);
        if (text.at == begin) return false;
        parts->exponent = -(int32_t)(text.at - begin);
    }
    return float_exponent_take(&text, parts) && text.at == text.end;
}

static bool float_word_read(const struct text *text, double *number_out) {
    if (text_is(text, "nan") || text_is(text, "NaN"))
        *number_out = (double)__builtin_nanf("");
    else if (text_is(text, "inf"))
        *number_out = __builtin_inf();
    else if (text_is(text, "-inf"))
        *number_out = -__builtin_inf();
    else
        return false;
    return true;
}

/* One correctly rounded operation on two exact doubles is a correctly rounded result. */
static bool float_fast_read(const struct float_parts *parts, double *number_out) {
    static const double tens[FAST_EXPONENT_MAX + 1] = {
        1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
        1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
    };
    if (parts->digits_count > FAST_DIGITS_MAX) return false;
    if (parts->exponent > FAST_EXPONENT_MAX || parts->exponent < -FAST_EXPONENT_MAX) return false;
    double number = (double)parts->digits;
    number = parts->exponent < 0 ? number / tens[-parts->exponent] : number * tens[parts->exponent];
    *number_out = parts->is_negative ? -number : number;
    return true;
}

/* Digits that pass the largest number give infinity in strtod and strtof; as text only inf does. */
static bool float64_write(struct text text, struct writer *out) {
    char copy[FLOAT_TEXT_BYTES + 1];
    struct float_parts parts = {0};
    double number;
    if (!float_word_read(&text, &number)) {
        if (text_left(&text) > FLOAT_TEXT_BYTES || !float_parts_read(text, &parts)) return false;
        if (!float_fast_read(&parts, &number)) {
            memcpy(copy, text.at, text_left(&text));
            copy[text_left(&text)] = 0;
            number = strtod(copy, NULL);
            if (__builtin_isinf(number)) return false;
        }
    }
    uint8_t bytes[sizeof number];
    memcpy(bytes, &number, sizeof bytes);
    value_normalize((struct type){.kind = TYPE_FLOAT64}, bytes, sizeof bytes);
    write_bytes(out, bytes, sizeof bytes);
    return true;
}

static bool float32_write(struct text text, struct writer *out) {
    char copy[FLOAT_TEXT_BYTES + 1];
    struct float_parts parts = {0};
    double word;
    float number;
    if (float_word_read(&text, &word)) {
        number = (float)word;
    } else {
        if (text_left(&text) > FLOAT_TEXT_BYTES || !float_parts_read(text, &parts)) return false;
        memcpy(copy, text.at, text_left(&text));
        copy[text_left(&text)] = 0;
        number = strtof(copy, NULL);
        if (__builtin_isinf(number)) return false;
    }
    uint8_t bytes[sizeof number];
    memcpy(bytes, &number, sizeof bytes);
    value_normalize((struct type){.kind = TYPE_FLOAT32}, bytes, sizeof bytes);
    write_bytes(out, bytes, sizeof bytes);
    return true;
}

/* ---- the other kinds ---- */

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static bool hex_byte_take(struct text *text, uint8_t *byte_out) {
    if (text_left(text) < 2) return false;
    int high = hex_digit(text->at[0]);
    int low = hex_digit(text->at[1]);
    text->at += 2;
    if (high < 0 || low < 0) return false;
    *byte_out = (uint8_t)(high << 4 | low);
    return true;
}

static bool bytes_write(struct text text, struct writer *out) {
    uint8_t byte;
    if (!mark_take(&text, '0') || !mark_take(&text, 'x')) return false;
    while (text.at < text.end) {
        if (!hex_byte_take(&text, &byte)) return false;
        write_u8(out, byte);
    }
    return true;
}

static bool uuid_write(struct text text, struct writer *out) {
    uint8_t uuid[UUID_BYTES];
    if (text_left(&text) != UUID_TEXT_BYTES) return false;
    for (uint32_t i = 0; i < UUID_BYTES; i++) {
        bool is_group = i == 4 || i == 6 || i == 8 || i == 10;
        if (is_group && !mark_take(&text, '-')) return false;
        if (!hex_byte_take(&text, &uuid[i])) return false;
    }
    write_bytes(out, uuid, sizeof uuid);
    return true;
}

static bool bool_write(struct text text, struct writer *out) {
    bool is_true = text_is(&text, "true") || text_is(&text, "True") || text_is(&text, "1");
    bool is_false = text_is(&text, "false") || text_is(&text, "False") || text_is(&text, "0");
    if (!is_true && !is_false) return false;
    write_u8(out, is_true);
    return true;
}

static bool string_write(struct text text, struct writer *out) {
    if (!text_is_utf8(text.at, text_left(&text))) return false;
    write_bytes(out, text.at, text_left(&text));
    return true;
}

static const char *type_expected(struct type type) {
    switch (type.kind) {
    case TYPE_BOOL:
        return "true or false";
    case TYPE_INT32:
        return "an integer from -2147483648 to 2147483647";
    case TYPE_INT64:
        return "an integer from -9223372036854775808 to 9223372036854775807";
    case TYPE_FLOAT32:
        return "a number within the range of float32, or nan, inf, -inf";
    case TYPE_FLOAT64:
        return "a number within the range of float64, or nan, inf, -inf";
    case TYPE_DECIMAL:
        return decimal_expected[type.scale];
    case TYPE_TIMESTAMP:
        return "integer microseconds or RFC 3339, such as 2018-04-01T09:30:00Z";
    case TYPE_STRING:
        return "valid UTF-8";
    case TYPE_BYTES:
        return "0x and an even number of hex digits";
    case TYPE_UUID:
        return "a uuid, such as 123e4567-e89b-12d3-a456-426614174000";
    case TYPE_VECTOR:
        return "a JSON array of numbers, as many as the vector has elements";
    default:
        return "a JSON array";
    }
}

static bool scalar_write(struct type type, struct text text, struct writer *out) {
    switch (type.kind) {
    case TYPE_BOOL:
        return bool_write(text, out);
    case TYPE_INT32:
        return int32_write(text, out);
    case TYPE_INT64:
        return int64_write(text, out);
    case TYPE_FLOAT32:
        return float32_write(text, out);
    case TYPE_FLOAT64:
        return float64_write(text, out);
    case TYPE_DECIMAL:
        return decimal_write(text, type.scale, out);
    case TYPE_TIMESTAMP:
        return timestamp_write(text, out);
    case TYPE_STRING:
        return string_write(text, out);
    case TYPE_BYTES:
        return bytes_write(text, out);
    default:
        return uuid_write(text, out);
    }
}

/* ---- JSON arrays ---- */

static void spaces_skip(struct text *text) {
    while (text->at < text->end && strchr(" \t\r\n", *text->at) && *text->at != 0) text->at += 1;
}

static bool code_unit_take(struct text *text, uint32_t *unit_out) {
    uint8_t high;
    uint8_t low;
    if (!hex_byte_take(text, &high) || !hex_byte_take(text, &low)) return false;
    *unit_out = (uint32_t)high << 8 | low;
    return true;
}

static void utf8_write(uint32_t code, struct writer *out) {
    if (code < 0x80) {
        write_u8(out, (uint8_t)code);
    } else if (code < 0x800) {
        write_u8(out, (uint8_t)(0xc0 | code >> 6));
        write_u8(out, (uint8_t)(0x80 | (code & 0x3f)));
    } else if (code < 0x10000) {
        write_u8(out, (uint8_t)(0xe0 | code >> 12));
        write_u8(out, (uint8_t)(0x80 | (code >> 6 & 0x3f)));
        write_u8(out, (uint8_t)(0x80 | (code & 0x3f)));
    } else {
        write_u8(out, (uint8_t)(0xf0 | code >> 18));
        write_u8(out, (uint8_t)(0x80 | (code >> 12 & 0x3f)));
        write_u8(out, (uint8_t)(0x80 | (code >> 6 & 0x3f)));
        write_u8(out, (uint8_t)(0x80 | (code & 0x3f)));
    }
}

/* What follows a backslash. Code points beyond U+FFFF are two escapes, a high and a low
 * surrogate. */
static bool escape_take(struct text *text, struct writer *out) {
    static const char marks[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    if (text->at == text->end) return false;
    char mark = *text->at++;
    const char *known = mark != 0 ? strchr(marks, mark) : NULL;
    if (known) {
        write_u8(out, (uint8_t)meanings[known - marks]);
        return true;
    }
    uint32_t code;
    uint32_t low;
    if (mark != 'u' || !code_unit_take(text, &code)) return false;
    if (code >= 0xdc00 && code <= 0xdfff) return false;
    if (code >= 0xd800 && code <= 0xdbff) {
        if (!mark_take(text, '\\') || !mark_take(text, 'u')) return false;
        if (!code_unit_take(text, &low) || low < 0xdc00 || low > 0xdfff) return false;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    utf8_write(code, out);
    return true;
}

/* The inside of a JSON string, behind its first quote. */
static bool json_string_take(struct text *text, struct writer *out) {
    while (text->at < text->end) {
        uint8_t c = (uint8_t)*text->at++;
        if (c == '"') return true;
        if (c < 0x20) return false;
        if (c != '\\')
            write_u8(out, c);
        else if (!escape_take(text, out))
            return false;
    }
    return false;
}

static bool string_element_take(struct text *text, struct writer *out) {
    uint8_t *length = write_room(out, sizeof(uint32_t));
    const uint8_t *begin = out->at;
    if (!mark_take(text, '"') || !json_string_take(text, out)) return false;
    size_t bytes = (size_t)(out->at - begin);
    if (!out->failed) store_u32(length, (uint32_t)bytes);
    return out->failed || text_is_utf8(begin, bytes);
}

/* An element that is a number, a word, or either of them between quotes. */
static bool scalar_element_take(struct text *text, struct type type, struct writer *out) {
    struct text element = {.at = text->at, .end = text->end};
    bool is_quoted = mark_take(&element, '"');
    text->at = element.at;
    while (text->at < text->end) {
        char c = *text->at;
        if (is_quoted ? c == '"' : c != 0 && strchr(",] \t\r\n", c) != NULL) break;
        text->at += 1;
    }
    element.end = text->at;
    if (is_quoted && !mark_take(text, '"')) return false;
    if (type.kind == TYPE_BYTES) {
        if (!is_quoted) return false;
        uint8_t *length = write_room(out, sizeof(uint32_t));
        const uint8_t *begin = out->at;
        if (!bytes_write(element, out)) return false;
        if (!out->failed) store_u32(length, (uint32_t)(out->at - begin));
        return true;
    }
    if (type.kind == TYPE_UUID && !is_quoted) return false;
    return scalar_write(type, element, out);
}

/* Writes the elements one after another; false beyond `count_max`. */
static bool array_take(struct text *text, struct type element, uint32_t count_max,
                       struct writer *out, uint32_t *count_out) {
    uint32_t count = 0;
    spaces_skip(text);
    if (!mark_take(text, '[')) return false;
    spaces_skip(text);
    bool is_closed = mark_take(text, ']');
    while (!is_closed) {
        spaces_skip(text);
        bool is_right = element.kind == TYPE_STRING ? string_element_take(text, out)
                                                    : scalar_element_take(text, element, out);
        if (!is_right || ++count > count_max) return false;
        spaces_skip(text);
        is_closed = mark_take(text, ']');
        if (!is_closed && !mark_take(text, ',')) return false;
    }
    spaces_skip(text);
    *count_out = count;
    return text->at == text->end;
}

static bool vector_write(struct type type, struct text text, struct writer *out) {
    uint32_t count;
    struct type element = {.kind = TYPE_FLOAT32};
    return array_take(&text, element, type.elements, out, &count) && count == type.elements;
}

static bool list_write(struct type type, struct text *text, struct writer *out) {
    uint8_t *count_at = write_room(out, sizeof(uint32_t));
    uint32_t count;
    struct type element = type_element(type);
    text->expected = "a JSON array of elements that fit the list's type";
    if (!array_take(text, element, UINT32_MAX - 1, out, &count)) return false;
    if (!out->failed) store_u32(count_at, count);
    return true;
}

enum fst_status value_parse(struct type type, const char *text, size_t text_bytes,
                            struct writer *out, const char **expected_out) {
    FST_ASSERT(type_is_valid(type));
    struct writer before = *out;
    struct text left = {.at = text, .end = text + text_bytes, .expected = type_expected(type)};
    bool is_right;
    if (type.kind == TYPE_VECTOR)
        is_right = vector_write(type, left, out);
    else if (type.kind == TYPE_LIST)
        is_right = list_write(type, &left, out);
    else
        is_right = scalar_write(type, left, out);

    bool is_too_large = out->failed || (size_t)(out->at - before.at) > VALUE_BYTES_MAX;
    if (is_right && !is_too_large) return FST_OK;
    *out = before;
    *expected_out = is_right ? "at most 65536 bytes" : left.expected;
    return is_right ? FST_TOO_LARGE : FST_INVALID;
}
