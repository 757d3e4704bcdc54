/*
 * output: replies on their way out of one connection.
 *
 * Replies are written directly into chunks of 64 KiB, one behind the other, as long as they fit; a
 * larger reply gets a chunk of its own. They leave in the order of their commits. While the first
 * bytes of a chunk are being sent, replies may still be written behind them.
 *
 *     chunk -> chunk -> ... -> last chunk      each: sent | committed | room
 *
 * Invariants, restated as code in output_check():
 *   I1  `bytes` is the sum of end - begin over the chunks.
 *   I2  Every chunk in the queue has something to send. One that holds room only is the spare.
 *
 * Threads: one.
 * Memory:  chunks come from and go back to the pool that is borrowed at init. A piece handed out
 *          to be sent stays where it is until it is reported sent, or output_drop. Dropped chunks
 *          can be written until chunks_put_retired, so a reply may be filled in after its commit,
 *          as long as that is before output_next.
 */
#ifndef NET_OUTPUT_H
#define NET_OUTPUT_H

#include <stdint.h>

#include "base/bytes.h"
#include "net/chunk.h"

struct output {
    struct chunks *chunks;
    struct chunk *first; /* the next to send */
    struct chunk *last;  /* the one being filled */
    struct chunk *spare; /* has room for the next reply; not in the queue until it is committed */
    struct chunk *room;  /* last or spare: where room was given; NULL once it is committed */
    uint64_t bytes;      /* committed and not yet sent */
};

void output_init(struct output *output, struct chunks *chunks);
void output_drop(struct output *output);

/* Contiguous room for `bytes` bytes; NULL if there is no chunk. Valid until the next call. */
uint8_t *output_room(struct output *output, size_t bytes);

/* The first `bytes` bytes of the room last given are to be sent. */
void output_commit(struct output *output, size_t bytes);

/* Takes back `bytes` bytes that were committed at `room`, of which none has been handed out to be
 * sent. What was committed behind them in the same chunk moves up. */
void output_withdraw(struct output *output, const uint8_t *room, size_t bytes);

/* The next piece to send; empty if there is none. */
struct bytes output_next(const struct output *output);

/* The first `bytes` bytes of that piece are sent. */
void output_sent(struct output *output, size_t bytes);

FST_MUST_USE enum fst_status output_check(const struct output *output);

#endif
