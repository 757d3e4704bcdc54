/*
 * window: the requests of a client that are not answered yet, in the order in which they are to be
 *         sent.
 *
 *     free -> get -> queued -> sent -> (answered) -> free
 *                      ^________| connection broken: all at once, order kept
 *
 * A request keeps its frame until it is answered, so that it can be sent again. Its id holds its
 * place in the window and a generation, so that an answer that comes too late meets nothing.
 *
 * Invariants, restated in client_window_check():
 *   I1  Every request is in exactly one of the three lists, and in_flight counts those that are not
 *       free.
 *   I2  Requests are sent in the order of append and repeat, also after a rewind.
 *   I3  Only the first queued request may be sent in part (head_bytes).
 *
 * Threads: one. Memory: owns the requests and their frames; settled at init but for the frames,
 *          which grow to the largest request that was in them.
 */
#ifndef CLIENT_WINDOW_H
#define CLIENT_WINDOW_H

#include "client/buffer.h"
#include "fstore/client.h"
#include "net/frame.h"

struct client_request {
    struct client_request *previous;
    struct client_request *next;
    struct client_list *list; /* that it is in */
    uint32_t id;
    enum frame_opcode opcode;
    struct client_buffer frame; /* whole; handle and layout id are set when it is sent */
    struct fst_handle *handle;  /* or NULL */
    uint32_t generation;        /* of the handle's columns when the frame was made */
    uint32_t rows_count;        /* of a read or write */
    enum fst_shape shape;       /* of the reply to a read */
    bool has_statuses;          /* of that reply */
    uint32_t attempts;          /* how often it was sent, at least in part */
    bool has_effect;            /* it changes something on the server */
    bool is_repeatable;         /* sending it again is harmless */
    bool is_unknown;     /* the connection broke after it was sent: it may have been served */
    int64_t deadline_us; /* monotonic, as sent_us */
    int64_t sent_us;
    struct fst_call call;
};

struct client_list {
    struct client_request *first;
    struct client_request *last;
};

struct client_window {
    struct client_request *requests;
    uint32_t requests_max;
    uint32_t in_flight;
    uint32_t sent_count;
    struct client_list free;
    struct client_list queued;
    struct client_list sent;
    size_t head_bytes;   /* of the first queued request that are sent */
    int64_t deadline_us; /* none of the requests has an earlier one */
};

FST_MUST_USE enum fst_status client_window_init(struct client_window *window,
                                                uint32_t requests_max);
void client_window_deinit(struct client_window *window);

/* A request to be filled in, its frame empty; NULL when all are in flight. Give it to append or
 * put. */
struct client_request *client_window_get(struct client_window *window);
/* Queues the request behind all others. */
void client_window_append(struct client_window *window, struct client_request *request);
/* Takes a request out of whatever list it is in and makes it free. */
void client_window_put(struct client_window *window, struct client_request *request);
/* Puts a request that was sent behind all others, to be sent again. */
void client_window_repeat(struct client_window *window, struct client_request *request);

/* `bytes` more of the queued requests are sent; they began at `now_us`. */
void client_window_send(struct client_window *window, size_t bytes, int64_t now_us);
/* The connection is gone: all that was sent is queued again, before the rest. */
void client_window_rewind(struct client_window *window);

/* The request that was sent under this id, or NULL. */
struct client_request *client_window_find(struct client_window *window, uint32_t id);
/* The first request whose deadline is at or before `now_us`, or NULL; then deadline_us is exact. */
struct client_request *client_window_find_late(struct client_window *window, int64_t now_us);

FST_MUST_USE enum fst_status client_window_check(const struct client_window *window);

#endif
