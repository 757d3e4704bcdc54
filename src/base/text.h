/*
 * text: judging and showing text that somebody else wrote.
 *
 * Threads: pure functions. Memory: a text_nearest borrows the names it was given.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether the bytes are well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates, at most
 * U+10FFFF). */
bool text_is_utf8(const void *data, size_t bytes);

/* A printable, 0-ended form of any bytes for messages: control bytes and malformed UTF-8 become
 * \xNN, and what does not fit is cut, never inside a character, and replaced by "...". Returns the
 * length. `out_bytes` is at least 8. */
size_t text_format_printable(const void *data, size_t bytes, char *out, size_t out_bytes);

/* Number of single-byte insertions, removals, replacements and swaps of neighbours between two
 * names; names beyond 64 bytes are compared up to there. */
uint32_t text_distance(const char *a, const char *b);

/* Finds the known name that a misspelt one may have meant. */
struct text_nearest {
    const char *wanted;
    const char *best; /* NULL: nothing is near */
    uint32_t distance;
};

void text_nearest_init(struct text_nearest *nearest, const char *wanted);
/* Offers one known name; the first of equally near ones stays. */
void text_nearest_put(struct text_nearest *nearest, const char *known);
/* The nearest name offered, or NULL if none is within a third of the wanted name's length. */
const char *text_nearest_get(const struct text_nearest *nearest);

#endif
