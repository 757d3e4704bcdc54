#include "model/type.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"

struct kind_entry {
    uint8_t kind;
    uint8_t bytes;
    const char *text;
};

static const struct kind_entry kind_entries[] = {{TYPE_NONE, 0, "none"},
#define KIND_ENTRY(name, code, text, bytes) {code, bytes, text},
                                                 TYPE_KIND_TABLE(KIND_ENTRY)
#undef KIND_ENTRY
};
enum { KINDS = sizeof kind_entries / sizeof kind_entries[0] };
static_assert(KINDS == TYPE_LIST + 1, "kinds are numbered without gaps");

static const char type_expected[] =
    "expected a type (bool, int32, int64, float32, float64, decimal(0..18), timestamp, string, "
    "bytes, "
    "uuid, vector(float32, 1..4096), list(T) of one of the others but vector)";

/* ---- reading ---- */

struct scanner {
    const char *at;
};

static void spaces_skip(struct scanner *s) {
    while (*s->at == ' ') s->at += 1;
}

static bool mark_take(struct scanner *s, char mark) {
    spaces_skip(s);
    if (*s->at != mark) return false;
    s->at += 1;
    return true;
}

static bool number_take(struct scanner *s, uint32_t min, uint32_t max, uint32_t *number_out) {
    spaces_skip(s);
    uint32_t number = 0;
    const char *begin = s->at;
    for (; *s->at >= '0' && *s->at <= '9' && number <= max; s->at++) {
        number = number * 10 + (uint32_t)(*s->at - '0');
    }
    *number_out = number;
    return s->at > begin && number >= min && number <= max;
}

static uint8_t kind_take(struct scanner *s) {
    spaces_skip(s);
    size_t length = strspn(s->at, "abcdefghijklmnopqrstuvwxyz0123456789_");
    for (uint32_t kind = 1; kind < KINDS; kind++) {
        const char *text = kind_entries[kind].text;
        if (strlen(text) != length || memcmp(text, s->at, length) != 0) continue;
        s->at += length;
        return kind_entries[kind].kind;
    }
    return TYPE_NONE;
}

/* A kind that may be an element of a list, with its scale. */
static bool scalar_take(struct scanner *s, uint8_t *kind_out, uint8_t *scale_out) {
    uint32_t scale = 0;
    *kind_out = kind_take(s);
    if (*kind_out == TYPE_DECIMAL) {
        if (!mark_take(s, '(') || !number_take(s, 0, TYPE_SCALE_MAX, &scale)) return false;
        if (!mark_take(s, ')')) return false;
    }
    *scale_out = (uint8_t)scale;
    return *kind_out != TYPE_NONE && *kind_out < TYPE_VECTOR;
}

static bool vector_take(struct scanner *s, struct type *type) {
    if (!mark_take(s, '(') || kind_take(s) != TYPE_FLOAT32 || !mark_take(s, ',')) return false;
    return number_take(s, 1, TYPE_VECTOR_MAX, &type->elements) && mark_take(s, ')');
}

static bool list_take(struct scanner *s, struct type *type) {
    if (!mark_take(s, '(')) return false;
    return scalar_take(s, &type->element_kind, &type->element_scale) && mark_take(s, ')');
}

enum fst_status type_parse(const char *text, struct type *type_out, struct fst_error *error) {
    struct scanner s = {.at = text};
    struct type type = {0};
    bool is_right = scalar_take(&s, &type.kind, &type.scale);
    if (type.kind == TYPE_VECTOR) is_right = vector_take(&s, &type);
    if (type.kind == TYPE_LIST) is_right = list_take(&s, &type);
    spaces_skip(&s);
    if (!is_right || *s.at != 0) {
        return fst_error_set(error, FST_INVALID, "%s, found '%.64s'", type_expected, text);
    }
    *type_out = type;
    return FST_OK;
}

void type_format(struct type type, char text_out[TYPE_TEXT_BYTES]) {
    FST_ASSERT(type.kind < KINDS);
    FST_ASSERT(type.element_kind < KINDS);
    const char *text = kind_entries[type.kind].text;
    const char *element = kind_entries[type.element_kind].text;
    switch (type.kind) {
    case TYPE_DECIMAL:
        snprintf(text_out, TYPE_TEXT_BYTES, "%s(%u)", text, type.scale);
        break;
    case TYPE_VECTOR:
        snprintf(text_out, TYPE_TEXT_BYTES, "%s(float32, %u)", text, type.elements);
        break;
    case TYPE_LIST:
        if (type.element_kind != TYPE_DECIMAL) {
            snprintf(text_out, TYPE_TEXT_BYTES, "%s(%s)", text, element);
        } else {
            snprintf(text_out, TYPE_TEXT_BYTES, "%s(%s(%u))", text, element, type.element_scale);
        }
        break;
    default:
        snprintf(text_out, TYPE_TEXT_BYTES, "%s", text);
    }
}

/* ---- judging ---- */

bool type_is_valid(struct type type) {
    bool is_vector = type.kind == TYPE_VECTOR;
    bool is_list = type.kind == TYPE_LIST;
    if (type.kind == TYPE_NONE || type.kind >= KINDS) return false;
    if (type.scale > (type.kind == TYPE_DECIMAL ? TYPE_SCALE_MAX : 0)) return false;
    if (is_vector ? type.elements - 1 >= TYPE_VECTOR_MAX : type.elements != 0) return false;
    if (is_list ? type.element_kind - 1u >= TYPE_UUID : type.element_kind != 0) return false;
    return type.element_scale <= (type.element_kind == TYPE_DECIMAL ? TYPE_SCALE_MAX : 0);
}

bool type_is_equal(struct type a, struct type b) {
    return memcmp(&a, &b, sizeof a) == 0;
}

bool type_can_widen(struct type from, struct type to) {
    if (from.kind == TYPE_INT32 && to.kind == TYPE_INT64) return true;
    if (from.kind == TYPE_FLOAT32 && to.kind == TYPE_FLOAT64) return true;
    return type_is_equal(from, to);
}

struct type type_element(struct type list) {
    return (struct type){.kind = list.element_kind, .scale = list.element_scale};
}

uint32_t type_fixed_bytes(struct type type) {
    if (type.kind == TYPE_VECTOR) return type.elements * (uint32_t)sizeof(float);
    FST_ASSERT(type.kind < KINDS);
    return kind_entries[type.kind].bytes;
}

uint32_t type_row_class(struct type type) {
    switch (type.kind) {
    case TYPE_BOOL:
        return 1;
    case TYPE_INT32:
    case TYPE_FLOAT32:
    case TYPE_VECTOR:
        return 4;
    default:
        return 8;
    }
}

uint32_t type_row_bytes(struct type type) {
    uint32_t bytes = type_fixed_bytes(type);
    return bytes > 0 ? bytes : 8;
}
