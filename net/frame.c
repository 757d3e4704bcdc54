#include "net/frame.h"

#include "base/assert.h"
#include "base/text.h"

struct opcode {
    const char *name;
    uint8_t roles;
    bool is_bulk;
};

static const struct opcode opcodes[] = {
#define FRAME_OPCODE_ROW(name, number, roles, is_bulk) [number] = {#name, roles, is_bulk},
    FRAME_OPCODE_TABLE(FRAME_OPCODE_ROW)
#undef FRAME_OPCODE_ROW
};

enum { OPCODES = sizeof opcodes / sizeof opcodes[0] };

enum {
    LENGTH_AT = 0,
    OPCODE_AT = 4,
    FLAGS_AT = 5,
    RESERVED_AT = 6,
    REQUEST_ID_AT = 8,
    HANDLE_AT = 12,
};
static_assert(HANDLE_AT + 4 == FRAME_HEADER_BYTES, "the header has no gap and no tail");

bool frame_opcode_is_known(uint8_t opcode) {
    return opcode < OPCODES && opcodes[opcode].name != NULL;
}

const char *frame_opcode_name(uint8_t opcode) {
    return frame_opcode_is_known(opcode) ? opcodes[opcode].name : "?";
}

uint8_t frame_opcode_roles(uint8_t opcode) {
    return frame_opcode_is_known(opcode) ? opcodes[opcode].roles : 0;
}

bool frame_opcode_is_bulk(uint8_t opcode) {
    return frame_opcode_is_known(opcode) && opcodes[opcode].is_bulk;
}

/* A length below the header's is wrong whatever follows, so it is refused without waiting for
 * more. */
static enum fst_status short_length_check(const uint8_t *at, size_t bytes, const char **field_out) {
    if (bytes >= 4 && load_u32(at + LENGTH_AT) < FRAME_HEADER_BYTES) {
        *field_out = "length";
        return FST_BAD_FRAME;
    }
    return FST_OK;
}

static enum fst_status header_check(const struct frame *frame, uint16_t reserved,
                                    const struct frame_rules *rules, const char **field_out) {
    bool is_known = frame_opcode_is_known(frame->opcode);
    bool is_error = rules->is_reply && frame->handle >= FRAME_STATUS_ERROR_FIRST;
    *field_out = "opcode";
    if (!is_known && !is_error) return FST_BAD_FRAME;
    *field_out = "flags";
    if (frame->flags != (rules->is_reply ? FRAME_FLAG_REPLY : 0)) return FST_BAD_FRAME;
    *field_out = "reserved";
    if (reserved != 0) return FST_BAD_FRAME;
    *field_out = "length";
    bool is_bulk = is_known && opcodes[frame->opcode].is_bulk;
    if (frame->bytes > (is_bulk ? rules->bulk_bytes_max : rules->frame_bytes_max)) {
        return FST_TOO_LARGE;
    }
    return FST_OK;
}

enum fst_status frame_decode(const void *data, size_t bytes, const struct frame_rules *rules,
                             struct frame *frame_out, const char **field_out) {
    const uint8_t *at = data;
    *frame_out = (struct frame){.bytes = FRAME_HEADER_BYTES};
    FST_TRY(short_length_check(at, bytes, field_out));
    if (bytes < FRAME_HEADER_BYTES) return FST_OK;

    frame_out->bytes = load_u32(at + LENGTH_AT);
    frame_out->opcode = at[OPCODE_AT];
    frame_out->flags = at[FLAGS_AT];
    frame_out->request_id = load_u32(at + REQUEST_ID_AT);
    frame_out->handle = load_u32(at + HANDLE_AT);
    FST_TRY(header_check(frame_out, load_u16(at + RESERVED_AT), rules, field_out));
    if (bytes >= frame_out->bytes) {
        frame_out->payload = at + FRAME_HEADER_BYTES;
        frame_out->payload_bytes = frame_out->bytes - FRAME_HEADER_BYTES;
    }
    return FST_OK;
}

static void header_encode(uint8_t *at, uint32_t length, uint8_t opcode, uint32_t request_id,
                          uint32_t handle) {
    store_u32(at + LENGTH_AT, length);
    at[OPCODE_AT] = opcode;
    at[FLAGS_AT] = 0;
    store_u16(at + RESERVED_AT, 0);
    store_u32(at + REQUEST_ID_AT, request_id);
    store_u32(at + HANDLE_AT, handle);
}

void frame_encode_request(void *out, uint32_t length, enum frame_opcode opcode, uint32_t request_id,
                          uint32_t handle) {
    FST_ASSERT(length >= FRAME_HEADER_BYTES);
    header_encode(out, length, (uint8_t)opcode, request_id, handle);
}

void frame_encode_reply(void *out, uint32_t length, uint8_t opcode, uint32_t request_id,
                        enum fst_status status) {
    FST_ASSERT(length >= FRAME_HEADER_BYTES);
    uint8_t *at = out;
    header_encode(at, length, opcode, request_id, (uint32_t)status);
    at[FLAGS_AT] = FRAME_FLAG_REPLY;
}

/* The longest prefix of at most `max` bytes that does not end inside a UTF-8 sequence. */
static size_t text_bytes(const char *text, size_t max) {
    size_t bytes = strlen(text);
    if (bytes <= max) return bytes;
    bytes = max;
    while (bytes > 0 && ((uint8_t)text[bytes] & 0xc0) == 0x80) bytes -= 1;
    return bytes;
}

size_t frame_encode_error(void *out, size_t room_bytes, uint8_t opcode, uint32_t request_id,
                          const struct frame_error *fault) {
    size_t fixed_bytes = FRAME_HEADER_BYTES + 4 + 2;
    FST_ASSERT(room_bytes >= fixed_bytes);
    size_t text_max = room_bytes - fixed_bytes;
    if (text_max > FRAME_ERROR_TEXT_BYTES_MAX) text_max = FRAME_ERROR_TEXT_BYTES_MAX;
    const char *text = fault->text;
    char printable[FRAME_ERROR_TEXT_BYTES_MAX + 1];
    if (!text_is_utf8(text, strlen(text))) {
        /* It quotes what somebody sent. */
        text_format_printable(text, strlen(text), printable, sizeof printable);
        text = printable;
    }
    size_t text_length = text_bytes(text, text_max);
    size_t length = fixed_bytes + text_length;

    frame_encode_reply(out, (uint32_t)length, opcode, request_id, fault->status);
    struct writer w = writer_of((uint8_t *)out + FRAME_HEADER_BYTES, length - FRAME_HEADER_BYTES);
    write_u32(&w, fault->retry_us);
    write_short(&w, text, text_length);
    FST_ASSERT(!w.failed);
    return length;
}

enum fst_status frame_decode_error(const struct frame *reply, uint32_t *retry_us_out,
                                   struct bytes *text_out) {
    struct reader r = reader_of(reply->payload, reply->payload_bytes);
    uint32_t retry_us = read_u32(&r);
    struct bytes text = read_short(&r);
    if (!reader_is_done(&r)) return FST_BAD_FRAME;
    *retry_us_out = retry_us;
    *text_out = text;
    return FST_OK;
}
