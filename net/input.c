#include "net/input.h"

#include <string.h>

#include "base/assert.h"

void input_init(struct input *input, struct chunks *chunks) {
    *input = (struct input){.chunks = chunks};
}

bool input_has_bytes(const struct input *input) {
    return input->backlog != NULL || input->view_bytes > 0;
}

uint32_t input_backlog_bytes(const struct input *input) {
    return input->backlog ? input->backlog->end - input->backlog->begin : 0;
}

bool input_is_partial(const struct input *input) {
    return input->partial != NULL || input->skip_bytes > 0;
}

/* ---- bytes not yet looked at: the backlog if there is one, else the view ---- */

static struct bytes pending_of(const struct input *input) {
    if (input->backlog) {
        return (struct bytes){.data = input->backlog->data + input->backlog->begin,
                              .bytes = input->backlog->end - input->backlog->begin};
    }
    return (struct bytes){.data = input->view, .bytes = input->view_bytes};
}

static void mark_append(struct input *input, uint32_t bytes, int64_t arrival_us) {
    struct input_mark *last = input->marks_count > 0 ? &input->marks[input->marks_count - 1] : NULL;
    bool is_shared =
        last && (last->arrival_us == arrival_us || input->marks_count == INPUT_MARKS_MAX);
    if (!is_shared) {
        last = &input->marks[input->marks_count++];
        last->bytes = 0;
    }
    last->bytes += bytes;
    last->arrival_us = arrival_us;
}

static void marks_consume(struct input *input, size_t bytes) {
    uint32_t done = 0;
    while (bytes > 0) {
        struct input_mark *first = &input->marks[done];
        FST_ASSERT(done < input->marks_count);
        input->arrival_us = first->arrival_us;
        size_t taken = first->bytes < bytes ? first->bytes : bytes;
        first->bytes -= (uint32_t)taken;
        bytes -= taken;
        if (first->bytes == 0) done += 1;
    }
    if (done == 0) return;
    input->marks_count -= done;
    memmove(input->marks, input->marks + done, input->marks_count * sizeof input->marks[0]);
}

static void pending_consume(struct input *input, size_t bytes) {
    if (input->backlog == NULL) {
        FST_ASSERT(bytes <= input->view_bytes);
        input->view += bytes;
        input->view_bytes -= (uint32_t)bytes;
        input->arrival_us = input->view_arrival_us;
        return;
    }
    marks_consume(input, bytes);
    input->backlog->begin += (uint32_t)bytes;
    if (input->backlog->begin < input->backlog->end) return;
    chunk_retire(input->chunks, input->backlog);
    input->backlog = NULL;
}

static enum fst_status backlog_append(struct input *input, const uint8_t *data, uint32_t bytes,
                                      int64_t arrival_us) {
    struct bytes kept = {.bytes = 0};
    struct chunk *backlog = input->backlog;
    if (backlog) kept = pending_of(input);
    if (backlog == NULL || backlog->capacity - backlog->end < bytes) {
        struct chunk *larger = chunk_get(input->chunks, kept.bytes + bytes);
        if (larger == NULL) return FST_OVERLOADED;
        if (kept.bytes > 0) memcpy(larger->data, kept.data, kept.bytes);
        larger->end = (uint32_t)kept.bytes;
        if (backlog) chunk_retire(input->chunks, backlog);
        input->backlog = backlog = larger;
    }
    memcpy(backlog->data + backlog->end, data, bytes);
    backlog->end += bytes;
    mark_append(input, bytes, arrival_us);
    return FST_OK;
}

enum fst_status input_append(struct input *input, const uint8_t *data, uint32_t bytes,
                             int64_t arrival_us) {
    FST_ASSERT(input->view_bytes == 0);
    FST_ASSERT(bytes > 0);
    if (input->backlog) return backlog_append(input, data, bytes, arrival_us);
    input->view = data;
    input->view_bytes = bytes;
    input->view_arrival_us = arrival_us;
    return FST_OK;
}

enum fst_status input_keep(struct input *input) {
    if (input->view_bytes == 0) return FST_OK;
    FST_TRY(backlog_append(input, input->view, input->view_bytes, input->view_arrival_us));
    input->view_bytes = 0;
    return FST_OK;
}

void input_drop(struct input *input) {
    if (input->partial) chunk_retire(input->chunks, input->partial);
    if (input->backlog) chunk_retire(input->chunks, input->backlog);
    input_init(input, input->chunks);
}

/* ---- frames ---- */

/* Moves pending bytes into the partial frame until it has partial_bytes. False if there are too
 * few. */
static bool partial_fill(struct input *input) {
    struct chunk *partial = input->partial;
    struct bytes pending = pending_of(input);
    size_t missing = input->partial_bytes - partial->end;
    size_t taken = missing < pending.bytes ? missing : pending.bytes;
    if (taken > 0) {
        memcpy(partial->data + partial->end, pending.data, taken);
        partial->end += (uint32_t)taken;
        pending_consume(input, taken);
    }
    return taken == missing;
}

/* Makes room for a whole frame of `bytes` bytes. False if there is none. */
static bool partial_reserve(struct input *input, uint32_t bytes) {
    struct chunk *partial = input->partial;
    input->partial_bytes = bytes;
    if (partial && partial->capacity >= bytes) return true;
    struct chunk *larger = chunk_get(input->chunks, bytes);
    if (larger == NULL) return false;
    if (partial) {
        memcpy(larger->data, partial->data, partial->end);
        larger->end = partial->end;
        chunk_put(input->chunks, partial); /* Nothing was handed out of it. */
    }
    input->partial = larger;
    return true;
}

/* There is no memory for a frame: it is skipped if its size is known, else the stream is lost. */
static enum input_answer refuse(struct input *input, uint32_t frame_bytes, bool has_header,
                                struct input_fault *fault_out) {
    *fault_out = (struct input_fault){.status = FST_OVERLOADED, .field = "frame"};
    if (!has_header) return INPUT_BAD;
    uint32_t arrived = 0;
    if (input->partial) {
        arrived = input->partial->end;
        chunk_put(input->chunks, input->partial);
        input->partial = NULL;
    }
    input->skip_bytes = frame_bytes - arrived;
    return INPUT_REFUSED;
}

/* Takes bytes to be skipped. False if more are to come. */
static bool skip(struct input *input) {
    struct bytes pending = pending_of(input);
    size_t taken = input->skip_bytes < pending.bytes ? input->skip_bytes : pending.bytes;
    pending_consume(input, taken);
    input->skip_bytes -= (uint32_t)taken;
    return input->skip_bytes == 0;
}

/* Goes on with the frame that has begun: first its header, then the rest. */
static enum input_answer partial_next(struct input *input, const struct frame_rules *rules,
                                      struct frame *frame_out, struct input_fault *fault_out) {
    bool is_filled = partial_fill(input);
    for (;;) {
        struct chunk *partial = input->partial;
        fault_out->status =
            frame_decode(partial->data, partial->end, rules, frame_out, &fault_out->field);
        if (fault_out->status != FST_OK) return INPUT_BAD;
        if (!is_filled) return INPUT_NONE;
        if (frame_out->bytes == partial->end) break;
        if (!partial_reserve(input, frame_out->bytes)) {
            return refuse(input, frame_out->bytes, true, fault_out);
        }
        is_filled = partial_fill(input);
    }
    chunk_retire(input->chunks, input->partial);
    input->partial = NULL;
    return INPUT_FRAME;
}

/* Looks at the next pending bytes, where a frame starts. */
static enum input_answer pending_next(struct input *input, const struct frame_rules *rules,
                                      struct frame *frame_out, struct input_fault *fault_out) {
    struct bytes pending = pending_of(input);
    if (pending.bytes == 0) return INPUT_NONE;
    fault_out->status =
        frame_decode(pending.data, pending.bytes, rules, frame_out, &fault_out->field);
    if (fault_out->status != FST_OK) return INPUT_BAD;
    if (frame_out->bytes <= pending.bytes) {
        pending_consume(input, frame_out->bytes);
        return INPUT_FRAME;
    }
    if (!partial_reserve(input, frame_out->bytes)) {
        bool has_header = pending.bytes >= FRAME_HEADER_BYTES;
        return refuse(input, frame_out->bytes, has_header, fault_out);
    }
    (void)partial_fill(input); /* False: the frame is larger than what is pending. */
    return INPUT_NONE;
}

enum input_answer input_next(struct input *input, const struct frame_rules *rules,
                             struct frame *frame_out, struct input_fault *fault_out) {
    if (input->skip_bytes > 0 && (!input_has_bytes(input) || !skip(input))) return INPUT_NONE;
    enum input_answer answer = input->partial ? partial_next(input, rules, frame_out, fault_out)
                                              : pending_next(input, rules, frame_out, fault_out);
    if (answer == INPUT_FRAME) frame_out->arrival_us = input->arrival_us;
    return answer;
}

static bool marks_are_right(const struct input *input) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < input->marks_count; i++) {
        const struct input_mark *mark = &input->marks[i];
        if (mark->bytes == 0) return false;
        if (i > 0 && mark->arrival_us <= mark[-1].arrival_us) return false;
        bytes += mark->bytes;
    }
    return bytes == input_backlog_bytes(input);
}

enum fst_status input_check(const struct input *input) {
    const struct chunk *partial = input->partial;
    const struct chunk *backlog = input->backlog;
    if (partial) {
        if (partial->end >= input->partial_bytes) return FST_CORRUPT;     /* I1 */
        if (partial->capacity < input->partial_bytes) return FST_CORRUPT; /* I1 */
        bool has_header = partial->end >= FRAME_HEADER_BYTES;
        uint32_t bytes = has_header ? load_u32(partial->data) : FRAME_HEADER_BYTES;
        if (input->partial_bytes != bytes) return FST_CORRUPT; /* I1 */
        if (input->skip_bytes > 0) return FST_CORRUPT;         /* I2 */
    }
    if (backlog && backlog->begin >= backlog->end) return FST_CORRUPT; /* I3 */
    if (backlog && input->view_bytes > 0) return FST_CORRUPT;          /* I3 */
    if (!marks_are_right(input)) return FST_CORRUPT;                   /* I4 */
    return FST_OK;
}
