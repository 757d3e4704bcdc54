#include "model/value_format.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/time.h"

/* Text as far as there is room, and how much there would be. */
struct sink {
    char *at;
    char *end;
    size_t needed;
};

static void sink_put(struct sink *sink, const void *data, size_t bytes) {
    size_t room = (size_t)(sink->end - sink->at);
    size_t stored = bytes < room ? bytes : room;
    if (stored > 0) { /* Else there may be no text at all. */
        memcpy(sink->at, data, stored);
        sink->at += stored;
    }
    sink->needed += bytes;
}

static void sink_put_text(struct sink *sink, const char *text) {
    sink_put(sink, text, strlen(text));
}

static void float64_format(double number, struct sink *sink) {
    char text[32] = "nan";
    for (int digits = 15; digits <= 17 && number == number; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, number);
        if (strtod(text, NULL) == number) break;
    }
    sink_put_text(sink, text);
}

static void float32_format(float number, struct sink *sink) {
    char text[32] = "nan";
    for (int digits = 6; digits <= 9 && number == number; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)number);
        if (strtof(text, NULL) == number) break;
    }
    sink_put_text(sink, text);
}

/* From the last digit to the first; at least one digit stands before the point. */
static void decimal_format(int64_t number, uint32_t scale, struct sink *sink) {
    char text[24];
    char *at = text + sizeof text;
    uint64_t magnitude = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    for (uint32_t place = 0; place <= scale || magnitude > 0; place++) {
        if (place == scale && scale > 0) *--at = '.';
        *--at = (char)('0' + magnitude % 10);
        magnitude /= 10;
    }
    if (number < 0) *--at = '-';
    sink_put(sink, at, (size_t)(text + sizeof text - at));
}

static void hex_format(struct bytes value, struct sink *sink) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < value.bytes; i++) {
        char pair[2] = {digits[value.data[i] >> 4], digits[value.data[i] & 15]};
        sink_put(sink, pair, sizeof pair);
    }
}

static void uuid_format(struct bytes value, struct sink *sink) {
    static const uint8_t group_bytes[] = {4, 2, 2, 2, 6};
    for (uint32_t i = 0; i < sizeof group_bytes; i++) {
        if (i > 0) sink_put_text(sink, "-");
        hex_format((struct bytes){.data = value.data, .bytes = group_bytes[i]}, sink);
        value.data += group_bytes[i];
    }
}

static void json_string_format(struct bytes value, struct sink *sink) {
    sink_put_text(sink, "\"");
    for (size_t i = 0; i < value.bytes; i++) {
        uint8_t c = value.data[i];
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

static void integer_format(int64_t number, struct sink *sink) {
    decimal_format(number, 0, sink);
}

static void timestamp_format(int64_t us, struct sink *sink) {
    char text[TIME_TEXT_BYTES];
    time_format_rfc3339(us, text);
    sink_put_text(sink, text);
}

static void scalar_format(struct type type, struct bytes value, struct sink *sink) {
    double wide;
    float narrow;
    switch (type.kind) {
    case TYPE_BOOL:
        sink_put_text(sink, value.data[0] ? "true" : "false");
        break;
    case TYPE_INT32:
        integer_format((int32_t)load_u32(value.data), sink);
        break;
    case TYPE_INT64:
        integer_format(load_i64(value.data), sink);
        break;
    case TYPE_FLOAT32:
        memcpy(&narrow, value.data, sizeof narrow);
        float32_format(narrow, sink);
        break;
    case TYPE_FLOAT64:
        memcpy(&wide, value.data, sizeof wide);
        float64_format(wide, sink);
        break;
    case TYPE_DECIMAL:
        decimal_format(load_i64(value.data), type.scale, sink);
        break;
    case TYPE_TIMESTAMP:
        timestamp_format(load_i64(value.data), sink);
        break;
    case TYPE_STRING:
        sink_put(sink, value.data, value.bytes);
        break;
    case TYPE_BYTES:
        sink_put_text(sink, "0x");
        hex_format(value, sink);
        break;
    default:
        uuid_format(value, sink);
    }
}

static bool float_is_finite(uint8_t kind, struct bytes value) {
    if (kind == TYPE_FLOAT32) return (load_u32(value.data) >> 23 & 0xff) != 0xff;
    return (load_u64(value.data) >> 52 & 0x7ff) != 0x7ff;
}

/* JSON has no timestamps, bytes, uuids, and no numbers beyond the finite ones: those are
 * strings. */
static bool element_is_quoted(struct type type, struct bytes value) {
    bool is_float = type.kind == TYPE_FLOAT32 || type.kind == TYPE_FLOAT64;
    if (is_float) return !float_is_finite(type.kind, value);
    return type.kind == TYPE_TIMESTAMP || type.kind == TYPE_BYTES || type.kind == TYPE_UUID;
}

static void array_format(struct type element, uint32_t count, struct bytes values,
                         struct sink *sink) {
    struct reader reader = reader_of(values.data, values.bytes);
    uint32_t fixed_bytes = type_fixed_bytes(element);
    sink_put_text(sink, "[");
    for (uint32_t i = 0; i < count && !reader.failed; i++) {
        uint32_t bytes = fixed_bytes > 0 ? fixed_bytes : read_u32(&reader);
        struct bytes value = {.data = read_bytes(&reader, bytes), .bytes = bytes};
        if (!value.data) break;
        if (i > 0) sink_put_text(sink, ", ");
        if (element.kind == TYPE_STRING) {
            json_string_format(value, sink);
            continue;
        }
        const char *quote = element_is_quoted(element, value) ? "\"" : "";
        sink_put_text(sink, quote);
        scalar_format(element, value, sink);
        sink_put_text(sink, quote);
    }
    sink_put_text(sink, "]");
}

size_t value_format(struct type type, struct bytes value, char *text_out, size_t text_bytes) {
    FST_ASSERT(type_is_valid(type));
    struct sink sink = {.needed = 0};
    sink.at = text_out;
    sink.end = text_out ? text_out + text_bytes : text_out;
    if (type.kind == TYPE_VECTOR) {
        array_format((struct type){.kind = TYPE_FLOAT32}, type.elements, value, &sink);
    } else if (type.kind == TYPE_LIST) {
        FST_ASSERT(value.bytes >= sizeof(uint32_t));
        struct bytes elements = {.data = value.data + 4, .bytes = value.bytes - 4};
        array_format(type_element(type), load_u32(value.data), elements, &sink);
    } else {
        scalar_format(type, value, &sink);
    }
    return sink.needed;
}
