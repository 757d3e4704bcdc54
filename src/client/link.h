/*
 * link: one TCP connection that never blocks, and the frames that arrive on it.
 *
 * Opening walks the addresses of the host until one answers. What is received lies in one buffer,
 * from which frames are taken in place; the buffer grows with what has really arrived, never with
 * what a length announces.
 *
 * Invariants:
 *   I1  in_begin <= in_end <= in_capacity; the bytes between are received and not taken yet.
 *   I2  A frame that was taken stays where it is until the next client_link_receive().
 *
 * Threads: one. Memory: owns socket, addresses and buffer.
 */
#ifndef CLIENT_LINK_H
#define CLIENT_LINK_H

#include <sys/uio.h>

#include "net/frame.h"

enum { CLIENT_HOST_BYTES = 256, CLIENT_PORT_BYTES = 8 };

struct client_address {
    char host[CLIENT_HOST_BYTES];
    char port[CLIENT_PORT_BYTES];
};

/* "HOST", "HOST:PORT", "[ADDRESS]:PORT". FST_INVALID with the expected forms. */
FST_MUST_USE enum fst_status
client_address_parse(const char *text, struct client_address *address_out, struct fst_error *error);

struct addrinfo;

struct client_link {
    int fd; /* -1: none */
    bool is_connected;
    struct addrinfo *addresses; /* while connecting */
    struct addrinfo *address;   /* the one being tried */
    uint8_t *in;
    size_t in_begin;
    size_t in_end;
    size_t in_capacity;
};

void client_link_init(struct client_link *link);
void client_link_deinit(struct client_link *link);

/* Begins to connect. FST_CLOSED when there is no such host or no address can be tried. */
FST_MUST_USE enum fst_status client_link_open(struct client_link *link,
                                              const struct client_address *address,
                                              struct fst_error *error);
/* To be called when the socket is writable while connecting: is_connected becomes true, or the next
 * address is tried. FST_CLOSED when there is none. */
FST_MUST_USE enum fst_status client_link_connect(struct client_link *link, struct fst_error *error);
/* Forgets what was received, keeps the buffer. */
void client_link_close(struct client_link *link);

/* Sends what the socket takes; *sent_out may be 0. FST_CLOSED: the connection is broken. */
FST_MUST_USE enum fst_status client_link_send(struct client_link *link, struct iovec *pieces,
                                              int pieces_count, size_t *sent_out,
                                              struct fst_error *error);
/* Receives what is there; *received_out may be 0. FST_CLOSED: it is over; FST_NO_MEMORY. */
FST_MUST_USE enum fst_status client_link_receive(struct client_link *link, size_t *received_out,
                                                 struct fst_error *error);

/* Takes the next frame if it is whole (then frame_out->payload is set). FST_BAD_FRAME,
 * FST_TOO_LARGE: what arrived can be no reply. */
FST_MUST_USE enum fst_status client_link_take(struct client_link *link,
                                              const struct frame_rules *rules,
                                              struct frame *frame_out, struct fst_error *error);

#endif
