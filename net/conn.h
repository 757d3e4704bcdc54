/*
 * conn: the connections of one shard: frames in, replies out, and when to give up.
 *
 * A connection turns received bytes into whole frames (net/input.h) and replies into sends
 * (net/output.h); it knows frames, not features. It drives the ring itself: keeps one receive armed
 * and at most one send under way, and closes the socket once neither is. The shard's tick is:
 *
 *     n = ring wait
 *     for each completion with conns_is_token(token):
 *         conn = conns_complete(conns, &completion, now_us)
 *         while (conn && conn_next_frame(conn, &frame)) take the frame
 *     while (conn = conns_next_turn(conns))
 *         while (conn_next_frame(conn, &frame)) take the frame
 *     serve what was taken: conn_reply_room, fill it, conn_reply_commit
 *     conns_expire(conns, now_us)
 *     conns_flush(conns)              starts sends and receives, frees what has ended
 *
 * Frames wait while a frame before conn_welcome is not answered yet, and while CONN_PAUSE_BYTES of
 * replies, or half of output_bytes_max, are not sent: replies that are written long before they
 * can be sent only push each other out of the caches. Frames are handed out again when half of
 * that is left. What was received by then is kept; when that is CONN_BACKLOG_BYTES, no more is
 * received.
 *
 * Nobody is served for long while others wait: once the frames of a connection have made turn_work
 * in a tick, the rest of what it sent waits for its turn in the next tick. Turns come in the order
 * in which they were waited for; while there are any, conns_deadline_us is now. A frame is 1 work;
 * the caller adds what else it costs with conn_charge.
 *
 * Life:  OPEN -> DRAINING -> CLOSING -> free. A connection is DRAINING when it was refused: it
 * hands out nothing more, sends its replies, shuts its half down, and reads on, to no purpose but
 * that the peer gets the replies before a reset, until the peer closes too or drain_us have
 * passed. One whose peer closed its half stays OPEN until all its requests are answered. CLOSING
 * waits for the receive and the send to end, and for the turn to come up. Then the slot is used
 * again, under a new id, so that late answers to old requests find nobody.
 *
 * Beyond connections_max there are CONN_SPARES slots for connections that are only told OVERLOADED.
 *
 * Invariants, restated as code in conns_check():
 *   I1  Input and output of every connection hold their own invariants.
 *   I2  Chunks in use are those of inputs and outputs, and retired ones.
 *   I3  open_count is the number of slots that are not free; the other slots are on the free stack.
 *   I4  in_flight is frames handed out less replies committed (and not withdrawn), and at most
 *       in_flight_max.
 *   I5  Deadlines are in order; a closing connection has none, an open one that is not welcome has
 *       one.
 *   I6  A free slot has nothing: no socket, no memory, no deadline, nothing under way.
 *   I7  Slots become free in conns_flush only.
 *   I8  The connections that wait for a turn are those in the two queues, each once.
 *
 * Threads: one.
 * Memory:  settled at init, from the options; a page is touched when it is first used. A frame is
 *          borrowed until conns_flush or the next wait, whichever comes first. A connection is
 *          valid until its `closed` is called, in conns_flush.
 */
#ifndef NET_CONN_H
#define NET_CONN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/io.h"
#include "net/deadline.h"
#include "net/frame.h"
#include "net/input.h"
#include "net/output.h"

enum {
    CONNS_MAX = 1 << 20,
    CONN_SPARES = 64,
    CONN_PAUSE_BYTES = 256 << 10,
    CONN_BACKLOG_BYTES = 16 << 10,
    CONN_TURN_WORK = 512,
    CONN_SEND_BYTES_MAX = 1 << 20, /* at a time, so that a slow reader's progress is seen */
    CONN_LONE_BYTES = 64 << 10,    /* of output: more must be taken, though nothing waits behind */
    CONN_SMALL_REPLY_BYTES = 1 << 10,     /* replies up to this size may exceed output_bytes_max */
    CONN_SMALL_REPLIES_BYTES = 256 << 10, /* by this much */
};

/* The top byte of every token that conns gives to the ring; other users of the ring take others. */
#define CONN_TOKEN_TAG UINT64_C(0xC0)

struct conn;

/* Connections of several conns together. */
struct conns_total {
    uint32_t max;
    _Atomic uint32_t open_count;
};

struct conns_options {
    uint32_t connections_max;
    struct conns_total *total; /* counts with others; or NULL */
    uint32_t in_flight_max;    /* requests per connection */
    uint32_t output_bytes_max; /* waiting replies per connection */
    uint32_t turn_work;        /* per connection and tick, as above; the last frame may exceed it */
    uint32_t frame_bytes_max;  /* as struct frame_rules */
    uint32_t bulk_bytes_max;   /* at most 16 MiB */
    uint32_t chunks_1m_max;    /* shared by all connections; of the smaller ones there are enough */
    uint32_t chunks_16m_max;
    uint32_t retry_us;    /* the waiting time that OVERLOADED replies name */
    int64_t handshake_us; /* from open to conn_welcome */
    int64_t partial_us;   /* from the first bytes of a frame to its last */
    int64_t stall_us;     /* without progress, while a later reply waits or much is to be sent */
    int64_t drain_us;     /* as above */
    void (*closed)(void *context, struct conn *conn); /* the last moment of a connection; or NULL */
    void *context;
};

/* The limits of docs/protocol.md. */
#define CONNS_OPTIONS_DEFAULT                                                                      \
    {                                                                                              \
        .connections_max = 10000, .in_flight_max = 64, .output_bytes_max = 8 << 20,                \
        .turn_work = CONN_TURN_WORK, .frame_bytes_max = FRAME_BYTES_MAX,                           \
        .bulk_bytes_max = FRAME_BULK_BYTES_MAX, .chunks_1m_max = 64, .chunks_16m_max = 8,          \
        .retry_us = 10000, .handshake_us = 5000000, .partial_us = 10000000, .stall_us = 30000000,  \
        .drain_us = 5000000                                                                        \
    }

enum conn_state {
    CONN_FREE,
    CONN_OPEN,
    CONN_DRAINING,
    CONN_CLOSING,
};

struct conn {
    uint64_t id;   /* never 0, never that of an earlier connection; its token in the ring */
    void *session; /* the caller's; NULL at open */
    struct conns *conns;
    int socket;
    uint32_t index; /* below connections_max + CONN_SPARES; used again */
    uint32_t in_flight;
    enum conn_state state;
    bool is_welcome;   /* conn_welcome: full limits, many frames */
    bool is_greeting;  /* not welcome, and a frame waits for its answer */
    bool is_paused;    /* too much output waits */
    bool is_receiving; /* a receive is armed */
    bool is_canceling; /* ... and is being ended */
    bool is_ended;     /* the peer closed its half */
    bool is_shut;      /* we closed ours */
    bool is_spare;     /* beyond connections_max or the total */
    bool is_dirty;     /* in conns->dirty */
    bool is_waiting;   /* for its turn, in one of the queues */
    struct conn *dirty_next;
    struct conn *turn_next;
    uint32_t turn_work; /* done in the tick turn_tick */
    uint64_t turn_tick;
    size_t sending_bytes; /* 0: no send is under way */
    struct input input;
    struct output output;
    size_t room_bytes;               /* given, not yet committed */
    struct deadline input_deadline;  /* handshake or partial */
    struct deadline output_deadline; /* stall or drain */
};

/* Since init; for metrics. */
struct conns_counts {
    uint64_t opened;
    uint64_t closed;
    uint64_t refused; /* beyond connections_max or the total */
    uint64_t frames;
    uint64_t bad_frames; /* BAD_FRAME, or a TOO_LARGE that ends the connection */
    uint64_t overloaded; /* requests answered so */
    uint64_t expired;
    uint64_t received_bytes;
    uint64_t sent_bytes;
};

/* A queue of connections. */
struct conn_turns {
    struct conn *first;
    struct conn *last;
};

struct conns {
    struct conns_options options;
    struct io_ring *ring;
    struct conn *slots;
    uint32_t slots_count;
    uint32_t *free_indexes; /* a stack */
    uint32_t free_count;
    uint32_t open_count;  /* spares included */
    uint32_t spare_count; /* of them */
    uint32_t pause_bytes; /* of output: where frames wait */
    int64_t now_us;       /* the latest time told; monotonic */
    uint64_t tick;        /* flushes so far */
    uint64_t work;        /* charged to all connections, since init */
    struct conn *dirty;
    struct conn_turns turns;      /* those that have come */
    struct conn_turns turns_next; /* those of the next tick */
    struct deadlines handshakes;
    struct deadlines partials;
    struct deadlines stalls;
    struct deadlines drains;
    struct chunks chunks;
    struct frame_rules greeting_rules; /* before conn_welcome */
    struct frame_rules rules;
    struct conns_counts counts;
};

/* Address space that conns_init takes, touched or not. Pure. */
size_t conns_memory_bytes(const struct conns_options *options);

/* INVALID for options out of range, NO_MEMORY. The ring is borrowed until deinit. */
FST_MUST_USE enum fst_status conns_init(struct conns *conns, const struct conns_options *options,
                                        struct io_ring *ring);

/* Closes all sockets at once and calls `closed` for each. The ring must be closed before, since it
 * looks at memory of sends under way. */
void conns_deinit(struct conns *conns);

/* Takes over an accepted socket. NULL beyond connections_max or the total: the peer is told so. */
struct conn *conns_open(struct conns *conns, int socket, int64_t now_us);

bool conns_is_token(uint64_t token);

/* Takes one completion; what was received arrived at `now_us`. The connection, if it may have
 * frames: then conn_next_frame must be called until it answers false, before the next completion is
 * given. Else NULL. */
struct conn *conns_complete(struct conns *conns, const struct io_ring_completion *completion,
                            int64_t now_us);

/* The next connection whose turn has come, to be read like that of a completion, or NULL. Turns
 * that are not taken are the first in the next tick. */
struct conn *conns_next_turn(struct conns *conns);

/* The connection with this id while it can be answered, else NULL. */
struct conn *conns_find(struct conns *conns, uint64_t id);

void conns_flush(struct conns *conns);

/* Ends connections whose time is over: late input is answered TIMEOUT, stuck output is given up.
 * Looks only at those that are late. */
void conns_expire(struct conns *conns, int64_t now_us);

/* The earliest deadline, or INT64_MAX; now if somebody waits for a turn. */
int64_t conns_deadline_us(const struct conns *conns);

/* Lets every connection end after its requests are answered; for shutdown. Done when open_count is
 * 0. */
void conns_drain(struct conns *conns);

/* Whether every reply that was committed has been sent. Walks all slots. */
bool conns_is_sent(const struct conns *conns);

/* The next whole frame; false when there is none for now. Frames that are malformed, too large or
 * beyond in_flight_max are answered here. Each frame handed out is owed one reply. */
bool conn_next_frame(struct conn *conn, struct frame *frame_out);

/* Adds to the work of this tick, for a frame that costs more than most. */
void conn_charge(struct conn *conn, uint64_t work);

/* HELLO succeeded: full limits from now on. Outside the loop over conn_next_frame the caller must
 * start such a loop, since frames may have arrived already. */
void conn_welcome(struct conn *conn);

/* Room for a reply of at most `bytes` bytes, header included, to be written in place. NULL when the
 * output limit would be exceeded (a single reply of any size is never beyond it), when there is no
 * memory, or when the connection is closing. Commit it before the next call for this connection. */
uint8_t *conn_reply_room(struct conn *conn, size_t bytes);

/* The first `bytes` bytes of the room are the reply to one request. They may be filled in until
 * conns_flush, whatever happens to the connection meanwhile. */
void conn_reply_commit(struct conn *conn, size_t bytes);

/* Takes a reply back, `bytes` bytes committed at `room` since the last conns_flush: its request is
 * owed a reply again. Of several the newest first, because those behind it in the output move.
 * False if in_flight_max requests wait already, since it counted as answered when they were handed
 * out: then it is answered OVERLOADED. */
bool conn_reply_withdraw(struct conn *conn, const struct frame *request, const uint8_t *room,
                         size_t bytes);

/* Answers one request with an error payload. Without even that much room the connection is closed.
 */
void conn_reply_error(struct conn *conn, const struct frame *request,
                      const struct frame_error *fault);

/* The same for a request that broke the protocol or failed HELLO; the connection is DRAINING then.
 */
void conn_refuse(struct conn *conn, const struct frame *request, const struct frame_error *fault);

/* Closes without sending what waits. */
void conn_close(struct conn *conn);

/* Walks everything; CORRUPT if an invariant fails. For tests. */
FST_MUST_USE enum fst_status conns_check(const struct conns *conns);

#endif
