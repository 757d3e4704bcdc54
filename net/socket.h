/*
 * socket: addresses in text form, and sockets that listen.
 *
 * Addresses are numbers or names: "HOST:PORT", "[V6]:PORT"; port 0 lets the kernel choose.
 *
 * Threads: no shared state. Memory: the caller's.
 */
#ifndef NET_SOCKET_H
#define NET_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fstore/status.h"

enum { NET_HOST_BYTES = 256, NET_LISTEN_RETRY_MS = 2000 };

struct net_address {
    char host[NET_HOST_BYTES]; /* without brackets */
    uint16_t port;
};

struct net_listen_options {
    int backlog;
    bool is_shared; /* SO_REUSEPORT: every shard has its own socket on the same address */
    bool is_first;  /* of those that share: BUSY if others listen there already, sharing or not */
};

/* Reads "HOST:PORT" or "[V6]:PORT". INVALID, saying what was expected, otherwise. */
FST_MUST_USE enum fst_status net_address_decode(const char *text, struct net_address *address_out,
                                                struct fst_error *error);

/* Writes it so that net_address_decode() reads the same; cut if `bytes` is less than it needs. */
void net_address_format(const struct net_address *address, char *text_out, size_t bytes);

/* True if the host names only this machine: 127.0.0.0/8, ::1, "localhost". Looks nothing up. */
bool net_address_is_loopback(const struct net_address *address);

/* Opens a listening socket whose connections will have TCP_NODELAY. A busy address is tried again
 * for NET_LISTEN_RETRY_MS, since a killed process keeps its port for some milliseconds; then BUSY.
 * INVALID for a host that cannot be resolved, FORBIDDEN for a port that is not allowed. The caller
 * owns the socket. */
FST_MUST_USE enum fst_status net_listen(const struct net_address *address,
                                        const struct net_listen_options *options, int *socket_out,
                                        struct fst_error *error);

/* The port a socket is bound to, or 0. */
uint16_t net_port(int socket);

#endif
