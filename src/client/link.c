#include "client/link.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"

enum { IN_BYTES_FIRST = 64 << 10, IN_ROOM_MIN = 16 << 10, PORT_MAX = 65535 };

static const char default_port[] = "7601";

/* ---- addresses ---- */

static bool port_is_valid(const char *text) {
    unsigned long port = 0;
    for (const char *at = text; *at; at++) {
        if (*at < '0' || *at > '9' || at - text >= 5) return false;
        port = port * 10 + (unsigned long)(*at - '0');
    }
    return port >= 1 && port <= PORT_MAX;
}

static enum fst_status address_refuse(const char *text, struct fst_error *error) {
    return fst_error_set(error, FST_INVALID,
                         "server: expected HOST, HOST:PORT or [ADDRESS]:PORT, found '%s'", text);
}

enum fst_status client_address_parse(const char *text, struct client_address *address_out,
                                     struct fst_error *error) {
    const char *host = text;
    const char *host_end = strrchr(text, ':');
    const char *port = host_end ? host_end + 1 : default_port;
    if (!host_end) host_end = text + strlen(text);
    if (text[0] == '[') {
        const char *bracket = strchr(text, ']');
        if (!bracket || (bracket[1] && bracket[1] != ':')) return address_refuse(text, error);
        host = text + 1;
        host_end = bracket;
        port = bracket[1] ? bracket + 2 : default_port;
    } else if (memchr(text, ':', (size_t)(host_end - text))) {
        host_end = text + strlen(text); /* An IPv6 address without brackets has no port. */
        port = default_port;
    }
    size_t bytes = (size_t)(host_end - host);
    if (bytes == 0 || bytes >= CLIENT_HOST_BYTES || !port_is_valid(port)) {
        return address_refuse(text, error);
    }
    memcpy(address_out->host, host, bytes);
    address_out->host[bytes] = '\0';
    memcpy(address_out->port, port, strlen(port) + 1);
    return FST_OK;
}

/* ---- connecting ---- */

void client_link_init(struct client_link *link) {
    *link = (struct client_link){.fd = -1};
}

void client_link_deinit(struct client_link *link) {
    client_link_close(link);
    free(link->in);
    client_link_init(link);
}

static void socket_close(struct client_link *link) {
    if (link->fd >= 0) close(link->fd);
    link->fd = -1;
    link->is_connected = false;
}

void client_link_close(struct client_link *link) {
    socket_close(link);
    if (link->addresses) freeaddrinfo(link->addresses);
    link->addresses = NULL;
    link->address = NULL;
    link->in_begin = 0;
    link->in_end = 0;
}

/* Tries link->address and those after it until one is being connected. */
static enum fst_status addresses_try(struct client_link *link, int reason,
                                     struct fst_error *error) {
    for (; link->address; link->address = link->address->ai_next) {
        const struct addrinfo *address = link->address;
        link->fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (link->fd < 0) {
            reason = errno;
            continue;
        }
        int on = 1;
        setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        setsockopt(link->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
        if (connect(link->fd, address->ai_addr, address->ai_addrlen) == 0 || errno == EINPROGRESS ||
            errno == EINTR) {
            return FST_OK;
        }
        reason = errno;
        socket_close(link);
    }
    return fst_error_set(error, FST_CLOSED, "%s", strerror(reason));
}

enum fst_status client_link_open(struct client_link *link, const struct client_address *address,
                                 struct fst_error *error) {
    FST_ASSERT(link->fd < 0);
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    int failure = getaddrinfo(address->host, address->port, &hints, &link->addresses);
    if (failure != 0) {
        link->addresses = NULL;
        return fst_error_set(error, FST_CLOSED, "host %s: %s", address->host,
                             gai_strerror(failure));
    }
    link->address = link->addresses;
    return addresses_try(link, EADDRNOTAVAIL, error);
}

enum fst_status client_link_connect(struct client_link *link, struct fst_error *error) {
    FST_ASSERT(link->fd >= 0 && !link->is_connected);
    int reason = 0;
    socklen_t bytes = sizeof reason;
    if (getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &reason, &bytes) != 0) reason = errno;
    if (reason == 0) {
        link->is_connected = true;
        freeaddrinfo(link->addresses);
        link->addresses = NULL;
        link->address = NULL;
        return FST_OK;
    }
    socket_close(link);
    link->address = link->address->ai_next;
    return addresses_try(link, reason, error);
}

/* ---- bytes ---- */

enum fst_status client_link_send(struct client_link *link, struct iovec *pieces, int pieces_count,
                                 size_t *sent_out, struct fst_error *error) {
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = (size_t)pieces_count};
    ssize_t sent = sendmsg(link->fd, &message, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        return fst_error_set(error, FST_CLOSED, "%s", strerror(errno));
    }
    *sent_out = sent < 0 ? 0 : (size_t)sent;
    return FST_OK;
}

/* Moves what is left to the front, and grows the buffer when it is nearly full. */
static bool in_room(struct client_link *link) {
    if (link->in_begin == link->in_end) {
        link->in_begin = 0;
        link->in_end = 0;
    }
    if (link->in_capacity - link->in_end >= IN_ROOM_MIN) return true;
    size_t left = link->in_end - link->in_begin;
    if (link->in_begin > 0) memmove(link->in, link->in + link->in_begin, left);
    link->in_begin = 0;
    link->in_end = left;
    if (link->in_capacity - left >= IN_ROOM_MIN) return true;
    size_t capacity = link->in_capacity ? link->in_capacity * 2 : IN_BYTES_FIRST;
    uint8_t *grown = realloc(link->in, capacity);
    if (!grown) return false;
    link->in = grown;
    link->in_capacity = capacity;
    return true;
}

enum fst_status client_link_receive(struct client_link *link, size_t *received_out,
                                    struct fst_error *error) {
    if (!in_room(link)) return fst_error_set(error, FST_NO_MEMORY, "no memory to receive");
    size_t room = link->in_capacity - link->in_end;
    ssize_t received = recv(link->fd, link->in + link->in_end, room, 0);
    if (received == 0) return fst_error_set(error, FST_CLOSED, "the server closed the connection");
    if (received < 0 && errno != EAGAIN && errno != EINTR) {
        return fst_error_set(error, FST_CLOSED, "%s", strerror(errno));
    }
    *received_out = received < 0 ? 0 : (size_t)received;
    link->in_end += *received_out;
    return FST_OK;
}

enum fst_status client_link_take(struct client_link *link, const struct frame_rules *rules,
                                 struct frame *frame_out, struct fst_error *error) {
    size_t bytes = link->in_end - link->in_begin;
    const char *field = "";
    *frame_out = (struct frame){0};
    if (bytes == 0) return FST_OK;
    enum fst_status status =
        frame_decode(link->in + link->in_begin, bytes, rules, frame_out, &field);
    if (status != FST_OK) {
        return fst_error_set(error, status, "a reply has a bad %s; is this an fstore server?",
                             field);
    }
    if (frame_out->payload) link->in_begin += frame_out->bytes;
    return FST_OK;
}
