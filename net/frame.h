/*
 * frame: the sixteen bytes before every message, both ways; see docs/protocol.md.
 *
 *     | length u32 | opcode u8 | flags u8 | reserved u16 | request_id u32 | handle or status u32 |
 *
 * Decoding works on however many bytes have arrived: it says how many the frame takes in all, and
 * refuses a header as soon as it is known to be wrong. Nothing is copied: the payload is a view of
 * the caller's bytes.
 *
 * Invariants:
 *   I1  A frame that decodes has all its fields in range and a length within the limit of its
 *       opcode. Equal bytes give equal answers, however they are split.
 *       An error reply may have any opcode, for it echoes that of a bad request.
 *   I2  Encoding a decoded header gives the same sixteen bytes.
 *
 * Threads: pure functions.
 * Memory:  borrows the caller's bytes.
 */
#ifndef NET_FRAME_H
#define NET_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "fstore/status.h"

enum {
    FRAME_HEADER_BYTES = 16,
    FRAME_HELLO_BYTES_MAX = 4 << 10,  /* any frame before HELLO succeeded */
    FRAME_BYTES_MAX = 1 << 20,        /* default frame_bytes_max */
    FRAME_BULK_BYTES_MAX = 16 << 20,  /* default bulk_bytes_max */
    FRAME_ERROR_TEXT_BYTES_MAX = 512, /* longer texts are cut */
    FRAME_ERROR_BYTES_MAX = FRAME_HEADER_BYTES + 4 + 2 + FRAME_ERROR_TEXT_BYTES_MAX,
    FRAME_HELLO_MAGIC = 0x31545346, /* "FST1" */
    FRAME_VERSION = 1,
    FRAME_STATUS_ERROR_FIRST = 16, /* replies from this status up carry an error payload */
};

enum frame_role {
    FRAME_ROLE_READ = 1,
    FRAME_ROLE_WRITE = 2,
    FRAME_ROLE_ADMIN = 4,
};

/* X(name, number, roles of which one is needed (0: the operation decides), is bulk) */
#define FRAME_OPCODE_TABLE(X)                                                                      \
    X(HELLO, 1, 0, false)                                                                          \
    X(PREPARE, 2, FRAME_ROLE_READ | FRAME_ROLE_WRITE, false)                                       \
    X(GET, 3, FRAME_ROLE_READ, false)                                                              \
    X(WRITE, 4, FRAME_ROLE_WRITE, true)                                                            \
    X(CONTROL, 5, 0, true)                                                                         \
    X(PING, 6, 0, false)

enum frame_opcode {
#define FRAME_OPCODE_ENUM(name, number, roles, is_bulk) FRAME_##name = number,
    FRAME_OPCODE_TABLE(FRAME_OPCODE_ENUM)
#undef FRAME_OPCODE_ENUM
};

enum frame_flag { FRAME_FLAG_REPLY = 1 };

struct frame {
    uint32_t bytes; /* of the whole frame; FRAME_HEADER_BYTES while the header is not whole */
    uint8_t opcode;
    uint8_t flags;
    uint32_t request_id;
    uint32_t handle;        /* in a reply: the status */
    const uint8_t *payload; /* borrowed; NULL while the frame is not whole */
    uint32_t payload_bytes;
    int64_t arrival_us; /* set by net/input.h: when its last byte was received */
};

/* What a receiver accepts. */
struct frame_rules {
    uint32_t frame_bytes_max;
    uint32_t bulk_bytes_max; /* for opcodes that are bulk */
    bool is_reply;           /* replies are expected, rather than requests */
};

/* Judges the first `bytes` bytes of a stream. OK: the frame takes frame_out->bytes; it is whole,
 * and `payload` is set, when that is at most `bytes`. BAD_FRAME or TOO_LARGE: *field_out names the
 * field (static), and frame_out has opcode and request id as far as they arrived, else 0. */
FST_MUST_USE enum fst_status frame_decode(const void *data, size_t bytes,
                                          const struct frame_rules *rules, struct frame *frame_out,
                                          const char **field_out);

/* Writes the sixteen bytes. `length` counts them too. */
void frame_encode_request(void *out, uint32_t length, enum frame_opcode opcode, uint32_t request_id,
                          uint32_t handle);
void frame_encode_reply(void *out, uint32_t length, uint8_t opcode, uint32_t request_id,
                        enum fst_status status);

/* Writes a whole reply with an error payload; `room_bytes` must be FRAME_ERROR_BYTES_MAX or enough
 * for the text, which is cut to fit. Returns the bytes written. */
struct frame_error {
    enum fst_status status;
    uint32_t retry_us; /* 0: repeating is no use */
    const char *text;  /* 0-ended; what is no UTF-8 in it becomes \xNN */
};
size_t frame_encode_error(void *out, size_t room_bytes, uint8_t opcode, uint32_t request_id,
                          const struct frame_error *fault);

/* Reads an error payload; the text is borrowed. BAD_FRAME if it is malformed. */
FST_MUST_USE enum fst_status frame_decode_error(const struct frame *reply, uint32_t *retry_us_out,
                                                struct bytes *text_out);

bool frame_opcode_is_known(uint8_t opcode);
const char *frame_opcode_name(uint8_t opcode); /* "?" if unknown; static */
uint8_t frame_opcode_roles(uint8_t opcode);    /* one of these is needed; 0: none by itself */
bool frame_opcode_is_bulk(uint8_t opcode);

#endif
