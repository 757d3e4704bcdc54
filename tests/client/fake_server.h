/*
 * fake_server: a server whose every byte is decided by the test.
 *
 * A script, a C function in a thread of its own, accepts, receives frames and sends what it likes.
 * It must not use cmocka's assertions (they would jump out of the wrong thread): fake_check()
 * remembers the first failure, and fake_close() in the test's thread reports it. Nothing waits for
 * time: a script that wants the client's time limit to pass waits for the client to hang up.
 *
 * Threads: functions that take a fake are for its script, but for fake_open() and fake_close().
 */
#ifndef TESTS_CLIENT_FAKE_SERVER_H
#define TESTS_CLIENT_FAKE_SERVER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fstore/client.h"

enum { FAKE_FRAME_BYTES_MAX = 1 << 20, FAKE_ADDRESS_BYTES = 32, FAKE_FEATURES_MAX = 8 };

struct fake_frame {
    uint8_t opcode;
    uint32_t id;
    uint32_t handle; /* or status */
    uint8_t *payload;
    uint32_t payload_bytes;
};

struct fake {
    char address[FAKE_ADDRESS_BYTES]; /* for fst_options.server */
    int listener;
    int socket;
    size_t piece_bytes; /* send in pieces of this size; 0: all at once */
    void (*script)(struct fake *fake);
    void *context;
    pthread_t thread;
    char failure[256];
    uint8_t *bytes; /* of the frame received last */
};

void fake_open(struct fake *fake, void (*script)(struct fake *fake), void *context);
/* Waits for the script to end; fails the test if it found something wrong. */
void fake_close(struct fake *fake);
/* Fills in the defaults, the fake's address, and short times between attempts. */
struct fst_options fake_options(const struct fake *fake);

#define fake_check(fake, condition) fake_check_at(fake, condition, #condition, __LINE__)
bool fake_check_at(struct fake *fake, bool condition, const char *text, int line);

void fake_accept(struct fake *fake);
void fake_hang_up(struct fake *fake);
void fake_send(struct fake *fake, const void *data, size_t bytes);
/* The next frame; false at the end of the stream. Its payload is borrowed until the next. */
bool fake_receive(struct fake *fake, struct fake_frame *frame_out);
/* The next frame, which must have this opcode. */
struct fake_frame fake_expect(struct fake *fake, uint8_t opcode);
/* Receives and drops until the client hangs up. */
void fake_drain(struct fake *fake);
void fake_reply(struct fake *fake, const struct fake_frame *request, uint32_t status,
                const void *payload, size_t payload_bytes);
void fake_reply_error(struct fake *fake, const struct fake_frame *request, uint32_t status,
                      uint32_t retry_us, const char *text);

/* ---- what most scripts do ---- */

/* Receives HELLO and answers it. */
void fake_greet(struct fake *fake);

struct fake_feature {
    const char *name;
    struct fst_type type;
    uint8_t group; /* 0 or 1 */
    bool has_default;
};

/* Keys are `customer int64` and, with key_string, `shop string`. Groups are the views "fraud.a",
 * "fraud.b". */
struct fake_layout {
    uint32_t number;
    uint64_t id;
    uint8_t plan; /* 0 features, 1 service, 2 write */
    bool key_string;
    uint8_t features_count;
    struct fake_feature features[FAKE_FEATURES_MAX];
};

enum { FAKE_GROUP_BYTES = 32 + 8 + 64 * FAKE_FEATURES_MAX, FAKE_ROW_BYTES = 2 * FAKE_GROUP_BYTES };

/* Payload of a PREPARE reply; returns its bytes. Feature i lies at FAKE_VALUE_OFFSET of its
 * group. */
size_t fake_layout_encode(const struct fake_layout *layout, uint8_t *out);
static inline uint32_t fake_value_offset(const struct fake_layout *layout, uint32_t feature) {
    return layout->features[feature].group * (uint32_t)FAKE_GROUP_BYTES + 40 + 64 * feature;
}
/* Receives PREPARE and answers with the layout. */
void fake_prepare(struct fake *fake, const struct fake_layout *layout);

/* A GET reply being made: all rows present, all values null, no heap. */
struct fake_rows {
    uint32_t rows_count;
    uint32_t heap_bytes;
    uint8_t *payload; /* owned */
};
struct fake_rows fake_rows_create(uint32_t rows_count);
uint8_t *fake_rows_row(struct fake_rows *rows, uint32_t row);
/* Takes the null bit away and stores the bytes. */
void fake_rows_put(struct fake_rows *rows, const struct fake_layout *layout, uint32_t row,
                   uint32_t feature, const void *data, size_t bytes);
/* The same for a value in the heap. */
void fake_rows_put_heap(struct fake_rows *rows, const struct fake_layout *layout, uint32_t row,
                        uint32_t feature, const void *data, size_t bytes);
void fake_rows_send(struct fake *fake, const struct fake_frame *request, struct fake_rows *rows);

/* A WRITE reply; `statuses` may be NULL: all OK. */
void fake_reply_write(struct fake *fake, const struct fake_frame *request, uint32_t rows_count,
                      const uint8_t *statuses);

#endif
