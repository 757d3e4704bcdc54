/* Values and types as text. The forms are those of definitions and CSV files. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/time.h"
#include "client/value.h"

static const char *const kind_names[] = {
    [FST_KIND_BOOL] = "bool",           [FST_KIND_INT32] = "int32",
    [FST_KIND_INT64] = "int64",         [FST_KIND_FLOAT32] = "float32",
    [FST_KIND_FLOAT64] = "float64",     [FST_KIND_DECIMAL] = "decimal",
    [FST_KIND_TIMESTAMP] = "timestamp", [FST_KIND_STRING] = "string",
    [FST_KIND_BYTES] = "bytes",         [FST_KIND_UUID] = "uuid",
    [FST_KIND_VECTOR] = "vector",       [FST_KIND_LIST] = "list",
};

static const char *kind_name(uint8_t kind) {
    bool is_known = kind < sizeof kind_names / sizeof kind_names[0] && kind_names[kind];
    return is_known ? kind_names[kind] : "?";
}

void fst_type_format(struct fst_type type, char text_out[FST_TYPE_TEXT_BYTES]) {
    const char *name = kind_name(type.kind);
    size_t room = FST_TYPE_TEXT_BYTES;
    if (type.kind == FST_KIND_DECIMAL) {
        snprintf(text_out, room, "%s(%u)", name, type.scale);
    } else if (type.kind == FST_KIND_VECTOR) {
        snprintf(text_out, room, "%s(float32, %" PRIu32 ")", name, type.elements);
    } else if (type.kind == FST_KIND_LIST && type.element_kind == FST_KIND_DECIMAL) {
        snprintf(text_out, room, "%s(decimal(%u))", name, type.element_scale);
    } else if (type.kind == FST_KIND_LIST) {
        snprintf(text_out, room, "%s(%s)", name, kind_name(type.element_kind));
    } else {
        snprintf(text_out, room, "%s", name);
    }
}

/* Text as far as there is room for it, and how much there would be. */
struct text_sink {
    char *at;
    char *end;
    size_t needed;
};

static void sink_put(struct text_sink *sink, const void *data, size_t bytes) {
    size_t room = (size_t)(sink->end - sink->at);
    size_t stored = bytes < room ? bytes : room;
    if (stored > 0) memcpy(sink->at, data, stored);
    sink->at += stored;
    sink->needed += bytes;
}

static void sink_put_text(struct text_sink *sink, const char *text) {
    sink_put(sink, text, strlen(text));
}

/* The fewest digits that read back the same: of float32 6 to 9, of float64 15 to 17. */
static void float_put(struct text_sink *sink, double number, bool is_narrow) {
    char text[32];
    if (isnan(number)) {
        sink_put_text(sink, "nan");
        return;
    }
    int digits = is_narrow ? 6 : 15;
    int digits_max = is_narrow ? 9 : 17;
    for (bool is_same = false; !is_same && digits <= digits_max; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, number);
        is_same = is_narrow ? strtof(text, NULL) == (float)number : strtod(text, NULL) == number;
    }
    sink_put_text(sink, text);
}

static void decimal_put(struct text_sink *sink, int64_t units, uint32_t scale) {
    char text[24];
    char *at = text + sizeof text;
    uint64_t magnitude = units < 0 ? 0 - (uint64_t)units : (uint64_t)units;
    for (uint32_t place = 0; place <= scale || magnitude > 0; place++) {
        if (place == scale && scale > 0) *--at = '.';
        *--at = (char)('0' + magnitude % 10);
        magnitude /= 10;
    }
    if (units < 0) *--at = '-';
    sink_put(sink, at, (size_t)(text + sizeof text - at));
}

static void timestamp_put(struct text_sink *sink, int64_t us) {
    char text[TIME_TEXT_BYTES];
    sink_put(sink, text, time_format_rfc3339(us, text));
}

static void hex_put(struct text_sink *sink, const uint8_t *data, size_t bytes) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < bytes; i++) {
        char pair[2] = {digits[data[i] >> 4], digits[data[i] & 15]};
        sink_put(sink, pair, sizeof pair);
    }
}

static void uuid_put(struct text_sink *sink, const uint8_t *data) {
    static const uint8_t group_bytes[] = {4, 2, 2, 2, 6};
    for (uint32_t i = 0; i < sizeof group_bytes; i++) {
        if (i > 0) sink_put_text(sink, "-");
        hex_put(sink, data, group_bytes[i]);
        data += group_bytes[i];
    }
}

static void json_string_put(struct text_sink *sink, const struct fst_value *value) {
    sink_put_text(sink, "\"");
    for (uint32_t i = 0; i < value->bytes; i++) {
        uint8_t c = value->data[i];
        char escape[8];
        if (c == '"' || c == '\\')
            snprintf(escape, sizeof escape, "\\%c", c);
        else if (c < 0x20)
            snprintf(escape, sizeof escape, "\\u%04x", c);
        else
            snprintf(escape, sizeof escape, "%c", c);
        sink_put_text(sink, escape);
    }
    sink_put_text(sink, "\"");
}

static void scalar_put(struct text_sink *sink, const struct fst_value *value) {
    switch (value->type.kind) {
    case FST_KIND_BOOL:
        sink_put_text(sink, value->integer ? "true" : "false");
        break;
    case FST_KIND_FLOAT32:
    case FST_KIND_FLOAT64:
        float_put(sink, value->number, value->type.kind == FST_KIND_FLOAT32);
        break;
    case FST_KIND_TIMESTAMP:
        timestamp_put(sink, value->integer);
        break;
    case FST_KIND_STRING:
        sink_put(sink, value->data, value->bytes);
        break;
    case FST_KIND_BYTES:
        sink_put_text(sink, "0x");
        hex_put(sink, value->data, value->bytes);
        break;
    case FST_KIND_UUID:
        uuid_put(sink, value->data);
        break;
    default:
        decimal_put(sink, value->integer, value->type.scale);
    }
}

/* JSON has no timestamps, bytes, uuids, and no numbers but the finite ones: those are strings. */
static bool element_is_quoted(const struct fst_value *element) {
    switch (element->type.kind) {
    case FST_KIND_TIMESTAMP:
    case FST_KIND_BYTES:
    case FST_KIND_UUID:
        return true;
    case FST_KIND_FLOAT32:
    case FST_KIND_FLOAT64:
        return !isfinite(element->number);
    default:
        return false;
    }
}

static void elements_put(struct text_sink *sink, const struct fst_value *value) {
    struct fst_elements elements = fst_elements_of(value);
    struct fst_value element;
    const char *separator = "";
    sink_put_text(sink, "[");
    while (fst_elements_next(&elements, &element)) {
        sink_put_text(sink, separator);
        separator = ", ";
        if (element.type.kind == FST_KIND_STRING) {
            json_string_put(sink, &element);
            continue;
        }
        const char *quote = element_is_quoted(&element) ? "\"" : "";
        sink_put_text(sink, quote);
        scalar_put(sink, &element);
        sink_put_text(sink, quote);
    }
    sink_put_text(sink, "]");
}

size_t fst_value_format(const struct fst_value *value, char *text_out, size_t text_bytes) {
    struct text_sink sink = {.at = text_out, .end = text_out};
    if (text_bytes > 0) sink.end += text_bytes - 1;
    bool has_elements = value->type.kind == FST_KIND_VECTOR || value->type.kind == FST_KIND_LIST;
    if (value->is_given && has_elements) elements_put(&sink, value);
    if (value->is_given && !has_elements) scalar_put(&sink, value);
    if (text_bytes > 0) text_out[sink.at - text_out] = '\0';
    return sink.needed;
}
