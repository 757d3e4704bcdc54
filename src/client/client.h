/*
 * client: the state of a connection and of everything in flight on it.
 *
 *     IDLE -> CONNECTING -> GREETING -> PREPARING -> READY
 *      ^__________|_____________|___________|__________|   broken, refused or timed out
 *
 * client_pump() is the one place where anything moves: it connects, sends, receives, hands frames
 * to client_answer(), and lets requests that are late fail. Blocking calls and fst_poll() call it
 * until they have what they wait for. Connecting begins only when something is in flight, or a
 * client is being opened.
 *
 * Invariants:
 *   I1  Requests are sent in phase READY only; then every handle has this connection's number.
 *   I2  The greeting and the preparations of a new connection have ids above those of requests, and
 *       one of them is under way at a time.
 *   I3  A request is finished exactly once: it is free before its callback runs.
 *
 * Threads: one. Memory: owns everything; callbacks borrow.
 */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include "base/io.h"
#include "client/handle.h"
#include "client/link.h"
#include "client/window.h"

enum { CLIENT_KEY_TEXT_BYTES = 1024 };

/* Id of the greeting and of preparations after it: the place in it is beyond every window. */
#define CLIENT_SETUP_ID UINT32_MAX

enum client_phase {
    CLIENT_IDLE,
    CLIENT_CONNECTING,
    CLIENT_GREETING,
    CLIENT_PREPARING,
    CLIENT_READY,
};

struct fst_client {
    struct fst_options options; /* its texts are not used after open */
    struct client_address address;
    char key[CLIENT_KEY_TEXT_BYTES];
    struct io *io;
    uint64_t client_id;
    uint64_t sequence; /* the last one given out */

    enum client_phase phase;
    bool is_opening;          /* connect although nothing is in flight */
    bool is_answering;        /* a callback is running */
    bool has_waited;          /* a blocking call has its reply: leave what it borrows alone */
    bool was_interrupted;     /* by a signal, in the last pump */
    int64_t phase_until_us;   /* when connecting or greeting has taken too long */
    int64_t connect_at_us;    /* not earlier */
    int64_t backoff_us;       /* before the next attempt but one */
    uint32_t retry_us;        /* the next attempt is not earlier: the server said so */
    int64_t received_us;      /* when something arrived last */
    uint32_t abandoned_count; /* requests whose answers may still come, to nobody */
    uint32_t answered_count;  /* since fst_poll looked */
    struct fst_error fault;   /* of the last attempt or connection */

    struct client_link link;
    struct client_window window;
    struct fst_server server;
    struct client_buffer setup; /* the frame of greeting or preparation under way */
    size_t setup_sent;
    uint32_t setup_handle; /* being prepared */
    struct fst_handle *handles[FST_HANDLES_MAX];
    uint32_t handles_count;
    char text[FST_ERROR_TEXT_BYTES]; /* of the reply being answered */
};

static inline int64_t client_now_us(const struct fst_client *client) {
    return io_monotonic_us(client->io);
}

/* ---- pump.c ---- */

/* One step: waits for the socket at most until `until_us` (monotonic), and does what can be
 * done. */
void client_pump(struct fst_client *client, int64_t until_us);
/* Ends the connection because of `client->fault`: requests are queued again, or fail if they may
 * not be. */
void client_break(struct fst_client *client);
/* For event loops: when client_pump() is due even if the socket is silent; INT64_MAX: never. */
int64_t client_due_us(const struct fst_client *client);

/* ---- answer.c ---- */

/* Handles one frame. FST_BAD_FRAME when it breaks the protocol; the reason is in client->fault. */
FST_MUST_USE enum fst_status client_answer(struct fst_client *client, const struct frame *frame);
/* Frees the request and calls back. */
void client_finish(struct fst_client *client, struct client_request *request,
                   const struct fst_reply *reply);
/* client_finish with a status of our own. `text` may be client->text. */
void client_fail(struct fst_client *client, struct client_request *request, enum fst_status status,
                 const char *text);

/* ---- greeting.c ---- */

/* The HELLO frame, into client->setup. */
FST_MUST_USE enum fst_status client_greeting_encode(struct fst_client *client);
FST_MUST_USE enum fst_status client_greeting_decode(struct bytes payload,
                                                    struct fst_server *server_out);

/* ---- call.c ---- */

/* A request of this opcode to be filled in, its header already there. FST_BUSY when there is no
 * place. */
FST_MUST_USE enum fst_status client_request_create(struct fst_client *client,
                                                   enum frame_opcode opcode,
                                                   const struct fst_call *call,
                                                   struct client_request **request_out,
                                                   struct fst_error *error);
/* Sets the length and queues it. FST_TOO_LARGE past the server's limits. */
FST_MUST_USE enum fst_status client_request_submit(struct fst_client *client,
                                                   struct client_request *request,
                                                   struct fst_error *error);

/* FST_BUSY inside a callback, where waiting would wait for ever. */
FST_MUST_USE enum fst_status client_may_wait(const struct fst_client *client,
                                             struct fst_error *error);

/* What a blocking call waits with. */
struct client_waiter {
    struct fst_client *client;
    bool is_done;
    struct fst_reply *reply_out;
};
struct fst_call client_waiter_call(struct client_waiter *waiter, struct fst_client *client,
                                   struct fst_reply *reply_out);
/* Pumps until the reply is there if `submitted` is FST_OK; otherwise makes a reply of `error`.
 * Returns the status of the reply. */
enum fst_status client_wait(struct client_waiter *waiter, enum fst_status submitted,
                            const struct fst_error *error);

/* ---- reply.c, matrix.c ---- */

static inline bool client_shape_is_matrix(enum fst_shape shape) {
    return shape == FST_SHAPE_FLOAT32 || shape == FST_SHAPE_FLOAT64;
}

/* Checks the payload of a good reply to this request and makes the reply of it. */
FST_MUST_USE enum fst_status client_reply_decode(const struct client_request *request,
                                                 struct bytes payload, struct fst_reply *reply);

#endif
