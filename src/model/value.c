#include "model/value.h"

#include "base/assert.h"
#include "base/text.h"

static const uint32_t float32_nan = UINT32_C(0x7fc00000);

/* ---- checking ---- */

/* One value that is no list. */
static enum fst_status scalar_check(struct type type, struct bytes value) {
    uint32_t fixed_bytes = type_fixed_bytes(type);
    if (fixed_bytes > 0 && value.bytes != fixed_bytes) return FST_INVALID;
    if (value.bytes > VALUE_BYTES_MAX) return FST_TOO_LARGE;
    switch (type.kind) {
    case TYPE_BOOL:
        return value.data[0] <= 1 ? FST_OK : FST_INVALID;
    case TYPE_STRING:
        return text_is_utf8(value.data, value.bytes) ? FST_OK : FST_INVALID;
    default:
        return FST_OK;
    }
}

static enum fst_status list_check(struct type element, struct bytes value) {
    if (value.bytes > VALUE_BYTES_MAX) return FST_TOO_LARGE;
    struct reader reader = reader_of(value.data, value.bytes);
    uint32_t count = read_u32(&reader);
    uint32_t fixed_bytes = type_fixed_bytes(element);
    for (uint32_t i = 0; i < count && !reader.failed; i++) {
        uint32_t bytes = fixed_bytes > 0 ? fixed_bytes : read_u32(&reader);
        const uint8_t *data = read_bytes(&reader, bytes);
        if (!data) break;
        struct bytes item = {.data = data, .bytes = bytes};
        if (scalar_check(element, item) != FST_OK) return FST_INVALID;
    }
    return reader_is_done(&reader) ? FST_OK : FST_INVALID;
}

enum fst_status value_check(struct type type, struct bytes value) {
    FST_ASSERT(type_is_valid(type));
    if (type.kind == TYPE_LIST) return list_check(type_element(type), value);
    return scalar_check(type, value);
}

/* ---- normal form of floats ---- */

static void float32_normalize(uint8_t *value) {
    uint32_t bits = load_u32(value);
    uint32_t magnitude = bits & UINT32_C(0x7fffffff);
    if (magnitude > UINT32_C(0x7f800000)) store_u32(value, float32_nan);
    if (magnitude == 0) store_u32(value, 0);
}

static void float64_normalize(uint8_t *value) {
    store_u64(value, value_float64_bits(load_u64(value)));
}

void value_normalize(struct type type, uint8_t *value, size_t bytes) {
    uint8_t kind = type.kind == TYPE_LIST ? type.element_kind : type.kind;
    size_t at = type.kind == TYPE_LIST ? sizeof(uint32_t) : 0;
    if (kind == TYPE_FLOAT64) {
        for (; at + 8 <= bytes; at += 8) float64_normalize(value + at);
    } else if (kind == TYPE_FLOAT32 || kind == TYPE_VECTOR) {
        for (; at + 4 <= bytes; at += 4) float32_normalize(value + at);
    }
}
