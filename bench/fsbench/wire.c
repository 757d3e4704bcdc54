#include "bench/fsbench/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ADDRESS_BYTES = 256 };

static enum fst_status socket_open(const struct addrinfo *list, const char *address,
                                   int *socket_out, struct fst_error *error) {
    int problem = ECONNREFUSED;
    for (const struct addrinfo *at = list; at; at = at->ai_next) {
        int fd = socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, at->ai_protocol);
        if (fd < 0) continue;
        if (connect(fd, at->ai_addr, at->ai_addrlen) == 0) {
            int on = 1;
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            *socket_out = fd;
            return FST_OK;
        }
        problem = errno;
        close(fd);
    }
    return fst_error_set(error, FST_CLOSED, "%.200s: %s", address, strerror(problem));
}

enum fst_status wire_open(const char *address, int *socket_out, struct fst_error *error) {
    char host[ADDRESS_BYTES];
    const char *colon = strrchr(address, ':');
    size_t host_bytes = colon ? (size_t)(colon - address) : 0;
    if (!colon || host_bytes == 0 || host_bytes >= sizeof host)
        return fst_error_set(error, FST_INVALID, "expected HOST:PORT, found %.200s", address);
    memcpy(host, address, host_bytes);
    host[host_bytes] = 0;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
    int result = getaddrinfo(host, colon + 1, &hints, &list);
    if (result != 0)
        return fst_error_set(error, FST_INVALID, "%.200s: %s", address, gai_strerror(result));
    enum fst_status status = socket_open(list, address, socket_out, error);
    freeaddrinfo(list);
    return status;
}

void wire_close(int socket) {
    close(socket);
}

enum fst_status wire_put(int socket, const void *data, size_t bytes, struct fst_error *error) {
    const uint8_t *at = data;
    while (bytes > 0) {
        ssize_t sent = send(socket, at, bytes, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0)
            return fst_error_set(error, FST_CLOSED, "the server closed the connection: %s",
                                 strerror(errno));
        at += sent;
        bytes -= (size_t)sent;
    }
    return FST_OK;
}

enum fst_status wire_get(int socket, void *data, size_t bytes, struct fst_error *error) {
    uint8_t *at = data;
    while (bytes > 0) {
        ssize_t received = recv(socket, at, bytes, 0);
        if (received < 0 && errno == EINTR) continue;
        if (received <= 0)
            return fst_error_set(error, FST_CLOSED, "the server closed the connection%s%s",
                                 received < 0 ? ": " : "", received < 0 ? strerror(errno) : "");
        at += received;
        bytes -= (size_t)received;
    }
    return FST_OK;
}

enum fst_status wire_unblock(int socket, struct fst_error *error) {
    int flags = fcntl(socket, F_GETFL);
    if (flags >= 0 && fcntl(socket, F_SETFL, flags | O_NONBLOCK) == 0) return FST_OK;
    return fst_error_set(error, FST_IO_ERROR, "fcntl: %s", strerror(errno));
}
