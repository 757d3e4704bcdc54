/* A stream of bytes, decoded as a whole and decoded in pieces, must give the same frames and the
 * same fault, and whatever decodes must encode to the same header.
 *
 * The first byte chooses the rules, the second the size of the pieces; the rest is the stream.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "net/frame.h"
#include "net/input.h"

enum { FRAMES_MAX = 256 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* What a stream holds. */
struct reading {
    uint32_t frames_count;
    uint32_t request_ids[FRAMES_MAX];
    uint32_t lengths[FRAMES_MAX];
    uint64_t sums[FRAMES_MAX]; /* of the payload bytes */
    enum fst_status fault;
    const char *field;
};

static const struct frame_rules rules_table[] = {
    {.frame_bytes_max = FRAME_HELLO_BYTES_MAX, .bulk_bytes_max = FRAME_HELLO_BYTES_MAX},
    {.frame_bytes_max = 200, .bulk_bytes_max = 70000},
    {.frame_bytes_max = 200, .bulk_bytes_max = 70000, .is_reply = true},
};

static void header_check(const struct frame *frame, const uint8_t *header, bool is_reply) {
    uint8_t again[FRAME_HEADER_BYTES];
    if (is_reply) {
        frame_encode_reply(again, frame->bytes, frame->opcode, frame->request_id,
                           (enum fst_status)frame->handle);
    } else {
        frame_encode_request(again, frame->bytes, (enum frame_opcode)frame->opcode,
                             frame->request_id, frame->handle);
    }
    FST_ASSERT(memcmp(again, header, sizeof again) == 0);
}

static void frame_take(struct reading *reading, const struct frame *frame, bool is_reply) {
    if (reading->frames_count == FRAMES_MAX) return;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < frame->payload_bytes; i++) sum = sum * 31 + frame->payload[i];
    reading->request_ids[reading->frames_count] = frame->request_id;
    reading->lengths[reading->frames_count] = frame->bytes;
    reading->sums[reading->frames_count] = sum;
    reading->frames_count += 1;
    header_check(frame, frame->payload - FRAME_HEADER_BYTES, is_reply);

    uint32_t retry_us = 0;
    struct bytes text;
    if (frame_decode_error(frame, &retry_us, &text) == FST_OK) {
        FST_ASSERT(text.bytes + 6 == frame->payload_bytes);
    }
}

static void read_whole(struct reading *reading, const struct frame_rules *rules,
                       const uint8_t *data, size_t bytes) {
    for (size_t at = 0; at < bytes;) {
        struct frame frame;
        reading->fault = frame_decode(data + at, bytes - at, rules, &frame, &reading->field);
        if (reading->fault != FST_OK || frame.bytes > bytes - at) return;
        frame_take(reading, &frame, rules->is_reply);
        at += frame.bytes;
    }
}

/* True until the stream is broken. */
static bool read_piece(struct reading *reading, struct input *input,
                       const struct frame_rules *rules) {
    for (;;) {
        struct frame frame;
        struct input_fault fault = {.status = FST_OK};
        switch (input_next(input, rules, &frame, &fault)) {
        case INPUT_NONE:
            return true;
        case INPUT_FRAME:
            frame_take(reading, &frame, rules->is_reply);
            break;
        case INPUT_REFUSED:
            abort(); /* There is a chunk for every frame these rules allow. */
        case INPUT_BAD:
            reading->fault = fault.status;
            reading->field = fault.field;
            return false;
        }
        FST_ASSERT(input_check(input) == FST_OK);
    }
}

static void read_pieces(struct reading *reading, const struct frame_rules *rules,
                        const struct bytes *stream, size_t piece_bytes) {
    static const uint32_t counts[CHUNK_SIZES] = {4, 4, 4, 1};
    static struct chunks
        chunks; /* Kept between runs: taking the memory would be most of the time. */
    if (chunks.pools[0].memory == NULL && chunks_init(&chunks, counts) != FST_OK) abort();
    struct input input;
    input_init(&input, &chunks);
    bool is_sound = true;
    for (size_t at = 0; at < stream->bytes && is_sound; at += piece_bytes) {
        size_t left = stream->bytes - at;
        size_t bytes = left < piece_bytes ? left : piece_bytes;
        FST_ASSERT(input_append(&input, stream->data + at, (uint32_t)bytes, (int64_t)at) == FST_OK);
        if (at % 3 == 1) FST_ASSERT(input_keep(&input) == FST_OK); /* as if it was paused */
        is_sound = read_piece(reading, &input, rules);
        chunks_put_retired(&chunks);
    }
    input_drop(&input);
    chunks_put_retired(&chunks);
    for (int i = 0; i < CHUNK_SIZES; i++) FST_ASSERT(chunks.pools[i].objects_used == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    if (bytes < 2) return 0;
    const struct frame_rules *rules = &rules_table[data[0] % 3];
    size_t piece_bytes = 1 + data[1];
    struct bytes stream = {.data = data + 2, .bytes = bytes - 2};
    struct reading whole = {.fault = FST_OK};
    struct reading pieces = {.fault = FST_OK};
    read_whole(&whole, rules, stream.data, stream.bytes);
    read_pieces(&pieces, rules, &stream, piece_bytes);
    FST_ASSERT(memcmp(whole.request_ids, pieces.request_ids, sizeof whole.request_ids) == 0);
    FST_ASSERT(memcmp(whole.lengths, pieces.lengths, sizeof whole.lengths) == 0);
    FST_ASSERT(memcmp(whole.sums, pieces.sums, sizeof whole.sums) == 0);
    FST_ASSERT(whole.frames_count == pieces.frames_count);
    FST_ASSERT(whole.fault == pieces.fault);
    if (whole.fault != FST_OK) FST_ASSERT(strcmp(whole.field, pieces.field) == 0);
    return 0;
}
