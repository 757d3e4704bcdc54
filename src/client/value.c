#include "client/value.h"

#include <math.h>

#include "base/decimal.h"

static_assert(sizeof(struct fst_type) == CLIENT_TYPE_BYTES, "a type is sent as it is");

/* ---- types ---- */

static bool element_is_allowed(uint8_t kind) {
    return kind >= FST_KIND_BOOL && kind <= FST_KIND_UUID;
}

static bool type_is_valid(struct fst_type type) {
    if (type.kind < FST_KIND_BOOL || type.kind > FST_KIND_LIST) return false;
    if (type.scale > (type.kind == FST_KIND_DECIMAL ? FST_SCALE_MAX : 0)) return false;
    bool has_elements = type.kind == FST_KIND_VECTOR;
    if (has_elements != (type.elements > 0) || type.elements > FST_VECTOR_MAX) return false;
    if (type.kind != FST_KIND_LIST) return type.element_kind == 0 && type.element_scale == 0;
    if (!element_is_allowed(type.element_kind)) return false;
    return type.element_scale <= (type.element_kind == FST_KIND_DECIMAL ? FST_SCALE_MAX : 0);
}

enum fst_status client_type_decode(struct reader *reader, struct fst_type *type_out) {
    const uint8_t *at = read_bytes(reader, CLIENT_TYPE_BYTES);
    if (!at) return FST_BAD_FRAME;
    struct fst_type type;
    memcpy(&type, at, sizeof type);
    if (!type_is_valid(type)) return FST_BAD_FRAME;
    *type_out = type;
    return FST_OK;
}

uint32_t client_type_bytes(struct fst_type type) {
    switch (type.kind) {
    case FST_KIND_BOOL:
        return 1;
    case FST_KIND_INT32:
    case FST_KIND_FLOAT32:
        return 4;
    case FST_KIND_INT64:
    case FST_KIND_FLOAT64:
    case FST_KIND_DECIMAL:
    case FST_KIND_TIMESTAMP:
        return 8;
    case FST_KIND_UUID:
        return FST_UUID_BYTES;
    case FST_KIND_VECTOR:
        return type.elements * (uint32_t)sizeof(float);
    default:
        return 0;
    }
}

bool client_type_is_number(struct fst_type type) {
    return type.kind >= FST_KIND_BOOL && type.kind <= FST_KIND_TIMESTAMP;
}

bool client_type_is_equal(struct fst_type a, struct fst_type b) {
    return memcmp(&a, &b, sizeof a) == 0;
}

struct fst_type client_type_element(struct fst_type type) {
    if (type.kind == FST_KIND_VECTOR) return (struct fst_type){.kind = FST_KIND_FLOAT32};
    return (struct fst_type){.kind = type.element_kind, .scale = type.element_scale};
}

/* ---- decoding ---- */

struct fst_value client_value_decode(struct fst_type type, const uint8_t *at, uint32_t bytes) {
    struct fst_value value = {.type = type, .is_given = true};
    float narrow;
    switch (type.kind) {
    case FST_KIND_BOOL:
        value.integer = at[0] != 0;
        break;
    case FST_KIND_INT32:
        value.integer = (int32_t)load_u32(at);
        break;
    case FST_KIND_INT64:
    case FST_KIND_DECIMAL:
    case FST_KIND_TIMESTAMP:
        value.integer = load_i64(at);
        break;
    case FST_KIND_FLOAT32:
        memcpy(&narrow, at, sizeof narrow);
        value.number = (double)narrow;
        break;
    case FST_KIND_FLOAT64:
        memcpy(&value.number, at, sizeof value.number);
        break;
    default:
        value.data = at;
        value.bytes = client_type_bytes(type) > 0 ? client_type_bytes(type) : bytes;
    }
    return value;
}

/* ---- encoding ---- */

static bool is_number_kind(uint8_t kind) {
    return kind == FST_KIND_FLOAT32 || kind == FST_KIND_FLOAT64;
}

static bool is_integer_kind(uint8_t kind) {
    return kind == FST_KIND_INT32 || kind == FST_KIND_INT64;
}

enum fst_status client_value_fits(struct fst_type type, const struct fst_value *value) {
    if (!value->is_given) return FST_INVALID;
    struct fst_type given = value->type;
    if (is_number_kind(type.kind)) return is_number_kind(given.kind) ? FST_OK : FST_INVALID;
    if (is_integer_kind(type.kind)) {
        if (!is_integer_kind(given.kind)) return FST_INVALID;
        bool is_narrow = value->integer >= INT32_MIN && value->integer <= INT32_MAX;
        return type.kind == FST_KIND_INT64 || is_narrow ? FST_OK : FST_INVALID;
    }
    if (!client_type_is_equal(type, given)) return FST_INVALID;
    if (client_type_bytes(type) == 0 && value->bytes > FST_VALUE_BYTES_MAX) return FST_TOO_LARGE;
    return FST_OK;
}

struct bytes client_value_encode(struct fst_type type, const struct fst_value *value,
                                 uint8_t room[CLIENT_FIXED_BYTES_MAX]) {
    struct bytes encoded = {.data = room, .bytes = client_type_bytes(type)};
    float narrow;
    switch (type.kind) {
    case FST_KIND_BOOL:
        room[0] = value->integer != 0;
        return encoded;
    case FST_KIND_INT32:
        store_u32(room, (uint32_t)(int32_t)value->integer);
        return encoded;
    case FST_KIND_INT64:
    case FST_KIND_DECIMAL:
    case FST_KIND_TIMESTAMP:
        store_i64(room, value->integer);
        return encoded;
    case FST_KIND_FLOAT32:
        narrow = (float)value->number;
        memcpy(room, &narrow, sizeof narrow);
        return encoded;
    case FST_KIND_FLOAT64:
        memcpy(room, &value->number, sizeof value->number);
        return encoded;
    default:
        return (struct bytes){.data = value->data, .bytes = value->bytes};
    }
}

/* ---- lists ---- */

size_t fst_list_encode(struct fst_type element, const struct fst_value *values, uint32_t count,
                       void *out, size_t out_bytes) {
    struct fst_type list = {
        .kind = FST_KIND_LIST, .element_kind = element.kind, .element_scale = element.scale};
    if (!type_is_valid(list)) return 0;
    struct writer w = writer_of(out, out_bytes);
    size_t needed = sizeof count;
    write_u32(&w, count);
    for (uint32_t i = 0; i < count; i++) {
        if (client_value_fits(element, &values[i]) != FST_OK) return 0;
        uint8_t room[CLIENT_FIXED_BYTES_MAX];
        struct bytes encoded = client_value_encode(element, &values[i], room);
        if (client_type_bytes(element) == 0) {
            write_u32(&w, (uint32_t)encoded.bytes);
            needed += sizeof(uint32_t);
        }
        if (encoded.bytes > 0) write_bytes(&w, encoded.data, encoded.bytes);
        needed += encoded.bytes;
    }
    return needed;
}

struct fst_elements fst_elements_of(const struct fst_value *value) {
    struct fst_elements elements = {.type = client_type_element(value->type)};
    if (!value->is_given) return elements;
    if (value->type.kind == FST_KIND_VECTOR) {
        elements.left = value->type.elements;
        elements.at = value->data;
        elements.end = value->data + value->bytes;
    } else if (value->type.kind == FST_KIND_LIST && value->bytes >= sizeof(uint32_t)) {
        elements.left = load_u32(value->data);
        elements.at = value->data + sizeof(uint32_t);
        elements.end = value->data + value->bytes;
    }
    return elements;
}

bool fst_elements_next(struct fst_elements *elements, struct fst_value *element_out) {
    if (elements->left == 0) return false;
    struct reader r = reader_of(elements->at, (size_t)(elements->end - elements->at));
    uint32_t bytes = client_type_bytes(elements->type);
    if (bytes == 0) bytes = read_u32(&r);
    const uint8_t *at = read_bytes(&r, bytes);
    if (!at) {
        elements->left = 0;
        return false;
    }
    elements->left -= 1;
    elements->at = r.at;
    *element_out = client_value_decode(elements->type, at, bytes);
    return true;
}

/* ---- numbers ---- */

double fst_value_float64(const struct fst_value *value) {
    if (!value->is_given) return NAN;
    switch (value->type.kind) {
    case FST_KIND_BOOL:
    case FST_KIND_INT32:
    case FST_KIND_INT64:
    case FST_KIND_TIMESTAMP:
        return (double)value->integer;
    case FST_KIND_DECIMAL:
        if (value->type.scale > FST_SCALE_MAX) return NAN;
        return decimal_float64(value->integer, value->type.scale);
    case FST_KIND_FLOAT32:
    case FST_KIND_FLOAT64:
        return value->number;
    default:
        return NAN;
    }
}
