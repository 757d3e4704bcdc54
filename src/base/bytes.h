/*
 * bytes: little-endian loads and stores, and bounds-checked cursors over byte strings.
 *
 * A `reader` walks bytes that somebody else wrote: past the end it hands out zeros and remembers
 * the failure, so a decoder reads all its fields and asks once, at the end, whether they were
 * there. A `writer` fills memory of a fixed size the same way.
 *
 * Threads: no shared state.
 * Memory:  both borrow the caller's bytes; what bytes_read_view hands out lives as long as they do.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "stored and sent bytes are little-endian");

/* A borrowed byte string. `data` may be NULL when `bytes` is 0. */
struct bytes {
    const uint8_t *data;
    size_t bytes;
};

static inline uint16_t load_u16(const void *p) {
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline uint32_t load_u32(const void *p) {
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline uint64_t load_u64(const void *p) {
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline int64_t load_i64(const void *p) {
    int64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline void store_u16(void *p, uint16_t v) {
    memcpy(p, &v, sizeof v);
}
static inline void store_u32(void *p, uint32_t v) {
    memcpy(p, &v, sizeof v);
}
static inline void store_u64(void *p, uint64_t v) {
    memcpy(p, &v, sizeof v);
}
static inline void store_i64(void *p, int64_t v) {
    memcpy(p, &v, sizeof v);
}

/* `value` rounded up to a multiple of `unit`, a power of two. */
static inline size_t bytes_align(size_t value, size_t unit) {
    return (value + unit - 1) & ~(unit - 1);
}

struct reader {
    const uint8_t *at;
    const uint8_t *end;
    bool failed; /* Sticky: something was asked for beyond the end. */
};

/* `data` may be NULL if there are no bytes. */
static inline struct reader reader_of(const void *data, size_t bytes) {
    const uint8_t *at = data;
    return (struct reader){.at = at, .end = at ? at + bytes : at, .failed = false};
}
static inline size_t reader_left(const struct reader *r) {
    return (size_t)(r->end - r->at);
}
/* The next `bytes` bytes, or NULL past the end. */
static inline const uint8_t *read_bytes(struct reader *r, size_t bytes) {
    if (__builtin_expect(r->failed || reader_left(r) < bytes, 0)) {
        r->failed = true;
        return NULL;
    }
    const uint8_t *at = r->at;
    r->at += bytes;
    return at;
}
static inline uint8_t read_u8(struct reader *r) {
    const uint8_t *p = read_bytes(r, 1);
    return p ? *p : 0;
}
static inline uint16_t read_u16(struct reader *r) {
    const uint8_t *p = read_bytes(r, 2);
    return p ? load_u16(p) : 0;
}
static inline uint32_t read_u32(struct reader *r) {
    const uint8_t *p = read_bytes(r, 4);
    return p ? load_u32(p) : 0;
}
static inline uint64_t read_u64(struct reader *r) {
    const uint8_t *p = read_bytes(r, 8);
    return p ? load_u64(p) : 0;
}
static inline int64_t read_i64(struct reader *r) {
    return (int64_t)read_u64(r);
}
/* A u16 length and that many bytes. */
static inline struct bytes read_short(struct reader *r) {
    size_t bytes = read_u16(r);
    const uint8_t *p = read_bytes(r, bytes);
    return (struct bytes){.data = p, .bytes = p ? bytes : 0};
}
/* True when every read succeeded and nothing is left over. */
static inline bool reader_is_done(const struct reader *r) {
    return !r->failed && r->at == r->end;
}

struct writer {
    uint8_t *begin;
    uint8_t *at;
    uint8_t *end;
    bool failed; /* Sticky: there was no room for something. */
};

static inline struct writer writer_of(void *data, size_t bytes) {
    uint8_t *at = data;
    return (struct writer){.begin = at, .at = at, .end = at + bytes, .failed = false};
}
static inline size_t writer_used(const struct writer *w) {
    return (size_t)(w->at - w->begin);
}
/* Room for `bytes` bytes, to be filled by the caller, or NULL if there is none. */
static inline uint8_t *write_room(struct writer *w, size_t bytes) {
    if (__builtin_expect(w->failed || (size_t)(w->end - w->at) < bytes, 0)) {
        w->failed = true;
        return NULL;
    }
    uint8_t *at = w->at;
    w->at += bytes;
    return at;
}
static inline void write_bytes(struct writer *w, const void *data, size_t bytes) {
    uint8_t *p = write_room(w, bytes);
    if (p && bytes) memcpy(p, data, bytes);
}
static inline void write_u8(struct writer *w, uint8_t v) {
    write_bytes(w, &v, sizeof v);
}
static inline void write_u16(struct writer *w, uint16_t v) {
    write_bytes(w, &v, sizeof v);
}
static inline void write_u32(struct writer *w, uint32_t v) {
    write_bytes(w, &v, sizeof v);
}
static inline void write_u64(struct writer *w, uint64_t v) {
    write_bytes(w, &v, sizeof v);
}
static inline void write_i64(struct writer *w, int64_t v) {
    write_bytes(w, &v, sizeof v);
}
/* A u16 length and the bytes; fails if they are more than 65,535. */
static inline void write_short(struct writer *w, const void *data, size_t bytes) {
    if (bytes > UINT16_MAX) {
        w->failed = true;
        return;
    }
    write_u16(w, (uint16_t)bytes);
    write_bytes(w, data, bytes);
}

#endif
