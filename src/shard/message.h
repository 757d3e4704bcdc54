/*
 * message: what shards and the control thread send each other, and the queues they use.
 *
 * Every thread has a seat: shards 0 .. shards_count - 1, then the control thread, the keeper (which
 * sends nothing) and the warm threads. There is one queue from each seat to each other; a message
 * is a pointer that moves with it. Writes, their answers and control requests travel; reads do not,
 * but for those that need rows that are not in memory.
 *
 * Invariants: a message is in one queue or owned by one thread; an answer goes back to the seat it
 *             came from.
 * Threads: mailbox_send by the sender's thread, mailbox_receive by the receiver's.
 * Memory:  a message belongs to whoever holds it; batches return to their origin, which frees them.
 */
#ifndef SHARD_MESSAGE_H
#define SHARD_MESSAGE_H

#include "base/bytes.h"
#include "base/spsc.h"

enum message_kind {
    MESSAGE_WRITE = 1,  /* origin to owner: struct write_batch */
    MESSAGE_WRITTEN,    /* owner to origin: the same batch, answered */
    MESSAGE_CHANGE,     /* control to shard 0: struct write_change, to be made durable */
    MESSAGE_CHANGED,    /* shard 0 to control: the same, answered */
    MESSAGE_CONTROL,    /* shard to control: struct control_call */
    MESSAGE_CONTROLLED, /* control to shard: the same, answered */
    MESSAGE_WARM,       /* shard to warm threads: struct warm_call; not through a mailbox */
    MESSAGE_WARMED,     /* warm thread to shard: the same, with its rows */
    MESSAGE_PROMOTE     /* warm thread to owner: struct warm_promotion */
};

struct message {
    enum message_kind kind;
    uint32_t from;        /* seat */
    struct message *next; /* in a list of whoever holds it */
};

/* First in, first out. */
struct message_list {
    struct message *first;
    struct message *last;
};

void message_list_put(struct message_list *list, struct message *message);
struct message *message_list_get(struct message_list *list); /* NULL when empty */

/* The rows of one request for one partition. */
struct write_part {
    uint32_t partition;
    uint32_t rows_count;
    uint32_t heap_bytes;
    uint32_t body_bytes;
    const uint8_t *body;  /* body of a log record */
    uint8_t *statuses;    /* answer, per row */
    const uint32_t *rows; /* the request's row numbers */
};

struct write_request;

/* The rows of one request for one owner. One buffer of the origin holds it and all it points to. */
struct write_batch {
    struct message message;
    struct write_request *request;
    uint32_t view_id;
    bool is_durable; /* the acknowledgement asked for */
    uint64_t client_id;
    uint64_t sequence;
    uint32_t parts_count;
    uint32_t parts_open; /* not answered yet; the owner's */
    struct write_part parts[];
};

/* A change of the registry on its way to the log. */
struct write_change {
    struct message message;
    uint64_t generation;
    struct bytes change;
    enum fst_status status;
};

struct mailboxes {
    uint32_t seats_count;
    struct spsc *queues; /* [from * seats_count + to] */
};

FST_MUST_USE enum fst_status mailboxes_init(struct mailboxes *mailboxes, uint32_t seats_count,
                                            uint32_t messages_max);
void mailboxes_deinit(struct mailboxes *mailboxes);

/* False when the queue is full. */
bool mailbox_send(struct mailboxes *mailboxes, uint32_t from, uint32_t to, struct message *message);
/* The next message for a seat from any other, or NULL. `cursor` makes it fair: keep it between
 * calls. */
struct message *mailbox_receive(struct mailboxes *mailboxes, uint32_t to, uint32_t *cursor);

#endif
