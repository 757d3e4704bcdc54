/*
 * input: a stream of received bytes as whole frames.
 *
 * Whole frames are handed out where they were received. Only the beginning of a frame whose rest is
 * to come is copied, into a chunk that fits the whole frame; the rest follows it there, and the
 * frame is handed out of the chunk. When nobody may take frames, what was received is kept whole in
 * a backlog, which is later looked at like freshly received bytes.
 *
 *     stream:  ... | partial: a frame's first bytes | backlog, or the view of the received bytes |
 *
 * Frames know when their last byte was received, also when they waited in the backlog: it keeps
 * marks, which say how many of its bytes were received when. When there are too many, the newest
 * bytes share the last mark, and its time is theirs: no frame seems older than it is.
 *
 * Invariants, restated as code in input_check():
 *   I1  A partial frame is a prefix of one frame and not all of it; its chunk fits partial_bytes,
 *       the size of that frame, or of a header while that is not whole.
 *   I2  While bytes are being skipped there is no partial frame.
 *   I3  A backlog is not empty; beside it there is no view.
 *   I4  The marks add up to the backlog; none is empty, and their times rise.
 *
 * Threads: one.
 * Memory:  chunks come from and go back to the pool that is borrowed at init. Frames are borrowed
 *          until the received bytes go away and retired chunks are put back.
 */
#ifndef NET_INPUT_H
#define NET_INPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "net/chunk.h"
#include "net/frame.h"

enum { INPUT_MARKS_MAX = 8 };

struct input_mark {
    uint32_t bytes;
    int64_t arrival_us;
};

struct input {
    struct chunks *chunks;
    const uint8_t *view; /* received, not yet looked at; borrowed */
    uint32_t view_bytes;
    int64_t view_arrival_us;
    int64_t arrival_us;     /* of the last byte that was looked at */
    uint32_t skip_bytes;    /* of a frame that was refused, still to come */
    uint32_t partial_bytes; /* as I1 */
    struct chunk *partial;
    struct chunk *backlog;
    uint32_t marks_count;
    struct input_mark marks[INPUT_MARKS_MAX]; /* of the backlog, in order */
};

enum input_answer {
    INPUT_NONE,    /* no whole frame; all bytes were looked at */
    INPUT_FRAME,   /* a whole frame */
    INPUT_REFUSED, /* a frame for which there is no memory; its bytes are skipped */
    INPUT_BAD,     /* the stream makes no sense from here on */
};

struct input_fault {
    enum fst_status status;
    const char *field; /* static */
};

void input_init(struct input *input, struct chunks *chunks);

/* Adds bytes received at `arrival_us` (monotonic): borrowed, unless there is a backlog, which takes
 * them. All earlier ones must have been looked at or kept. OVERLOADED if they cannot be kept; then
 * the stream is broken. */
FST_MUST_USE enum fst_status input_append(struct input *input, const uint8_t *data, uint32_t bytes,
                                          int64_t arrival_us);

/* The next frame. frame_out is set for FRAME and, but for its payload, REFUSED; for BAD it has
 * what is known of the header. fault_out is set for REFUSED and BAD. */
enum input_answer input_next(struct input *input, const struct frame_rules *rules,
                             struct frame *frame_out, struct input_fault *fault_out);

/* Copies what was not yet looked at, so that the received bytes can go. OVERLOADED if there is no
 * memory; then the stream is broken. */
FST_MUST_USE enum fst_status input_keep(struct input *input);

/* Forgets everything; frames handed out stay readable as before. */
void input_drop(struct input *input);

/* Bytes that input_next has not looked at. */
bool input_has_bytes(const struct input *input);

/* Bytes that are kept because nobody took their frames. */
uint32_t input_backlog_bytes(const struct input *input);

/* A frame has begun whose rest is to come. */
bool input_is_partial(const struct input *input);

FST_MUST_USE enum fst_status input_check(const struct input *input);

#endif
