#include "base/text.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"

/*
 * Bytes of the well-formed character at `at`, 0 if there is none. The bounds of the second byte
 * shut out overlong forms (e0, f0), surrogates (ed) and what lies beyond U+10FFFF (f4): Unicode 15,
 * table 3-7.
 */
static size_t character_bytes(const uint8_t *at, size_t left) {
    uint8_t first = at[0];
    if (first < 0x80) return 1;
    if (first < 0xc2 || first > 0xf4) return 0;
    size_t bytes = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (left < bytes) return 0;
    uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (at[1] < low || at[1] > high) return 0;
    for (size_t i = 2; i < bytes; i++) {
        if (at[i] < 0x80 || at[i] > 0xbf) return 0;
    }
    return bytes;
}

bool text_is_utf8(const void *data, size_t bytes) {
    const uint8_t *at = data;
    size_t left = bytes;
    while (left > 0) {
        uint64_t eight;
        if (left >= sizeof eight) {
            memcpy(&eight, at, sizeof eight);
            if ((eight & UINT64_C(0x8080808080808080)) == 0) {
                at += sizeof eight;
                left -= sizeof eight;
                continue;
            }
        }
        size_t step = character_bytes(at, left);
        if (step == 0) return false;
        at += step;
        left -= step;
    }
    return true;
}

/* Printable form of the first character of the bytes; stores how many bytes that character has. */
static size_t piece_format(const uint8_t *at, size_t left, char piece[8], size_t *step_out) {
    size_t step = character_bytes(at, left);
    bool is_control = at[0] < 0x20 || at[0] == 0x7f;
    bool is_c1 = step == 2 && at[0] == 0xc2 && at[1] < 0xa0;
    if (step == 0 || is_control || is_c1) {
        *step_out = 1;
        return (size_t)snprintf(piece, 8, "\\x%02x", at[0]);
    }
    *step_out = step;
    memcpy(piece, at, step);
    return step;
}

size_t text_format_printable(const void *data, size_t bytes, char *out, size_t out_bytes) {
    static const char dots[] = "...";
    FST_ASSERT(out_bytes >= 8);
    const uint8_t *at = data;
    size_t room = out_bytes - 1;
    size_t used = 0;
    size_t used_before_dots = 0; /* The last end of a piece that leaves room for the dots. */
    for (size_t done = 0; done < bytes;) {
        char piece[8];
        size_t step;
        size_t piece_bytes = piece_format(at + done, bytes - done, piece, &step);
        if (used + piece_bytes > room) {
            memcpy(out + used_before_dots, dots, sizeof dots);
            return used_before_dots + sizeof dots - 1;
        }
        memcpy(out + used, piece, piece_bytes);
        used += piece_bytes;
        if (used + sizeof dots - 1 <= room) used_before_dots = used;
        done += step;
    }
    out[used] = '\0';
    return used;
}

enum { NAME_BYTES_MAX = 64 };

static uint32_t min_of(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

/* Optimal string alignment, three rows of the matrix at a time. */
uint32_t text_distance(const char *a, const char *b) {
    uint32_t rows[3][NAME_BYTES_MAX + 1];
    uint32_t a_bytes = (uint32_t)strnlen(a, NAME_BYTES_MAX);
    uint32_t b_bytes = (uint32_t)strnlen(b, NAME_BYTES_MAX);
    for (uint32_t j = 0; j <= b_bytes; j++) rows[0][j] = j;
    for (uint32_t i = 1; i <= a_bytes; i++) {
        uint32_t *row = rows[i % 3];
        const uint32_t *above = rows[(i + 2) % 3];
        const uint32_t *above_two = rows[(i + 1) % 3];
        row[0] = i;
        for (uint32_t j = 1; j <= b_bytes; j++) {
            uint32_t replaced = above[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = min_of(replaced, min_of(above[j], row[j - 1]) + 1);
            bool is_swap = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (is_swap) row[j] = min_of(row[j], above_two[j - 2] + 1);
        }
    }
    return rows[a_bytes % 3][b_bytes];
}

void text_nearest_init(struct text_nearest *nearest, const char *wanted) {
    *nearest = (struct text_nearest){.wanted = wanted, .distance = UINT32_MAX};
}

void text_nearest_put(struct text_nearest *nearest, const char *known) {
    uint32_t distance = text_distance(nearest->wanted, known);
    if (distance >= nearest->distance) return;
    nearest->best = known;
    nearest->distance = distance;
}

/* One slip is forgiven in any name of two bytes or more. */
const char *text_nearest_get(const struct text_nearest *nearest) {
    uint32_t bytes = (uint32_t)strnlen(nearest->wanted, NAME_BYTES_MAX);
    uint32_t limit = bytes / 3;
    if (limit == 0 && bytes >= 2) limit = 1;
    return nearest->best && nearest->distance <= limit ? nearest->best : NULL;
}
