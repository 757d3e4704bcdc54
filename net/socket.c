#include "net/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io.h"

enum { RETRY_US = 20000 };

static enum fst_status port_decode(const char *text, uint16_t *port_out) {
    uint32_t port = 0;
    size_t digits = strlen(text);
    if (digits == 0 || digits > 5) return FST_INVALID;
    for (const char *at = text; *at != 0; at++) {
        if (*at < '0' || *at > '9') return FST_INVALID;
        port = port * 10 + (uint32_t)(*at - '0');
    }
    if (port > UINT16_MAX) return FST_INVALID;
    *port_out = (uint16_t)port;
    return FST_OK;
}

enum fst_status net_address_decode(const char *text, struct net_address *address_out,
                                   struct fst_error *error) {
    struct net_address address = {.port = 0};
    bool is_bracketed = text[0] == '[';
    const char *host = is_bracketed ? text + 1 : text;
    const char *host_end = is_bracketed ? strstr(host, "]:") : strchr(host, ':');
    if (host_end == NULL || host_end == host) goto refuse;
    size_t host_bytes = (size_t)(host_end - host);
    if (host_bytes >= sizeof address.host) goto refuse;
    memcpy(address.host, host, host_bytes);
    if (port_decode(host_end + (is_bracketed ? 2 : 1), &address.port) != FST_OK) goto refuse;
    *address_out = address;
    return FST_OK;

refuse:
    return fst_error_set(error, FST_INVALID,
                         "expected HOST:PORT or [IPV6]:PORT with a port from 0 to 65535, "
                         "found \"%.300s\"",
                         text);
}

void net_address_format(const struct net_address *address, char *text_out, size_t bytes) {
    bool is_v6 = strchr(address->host, ':') != NULL;
    snprintf(text_out, bytes, "%s%s%s:%u", is_v6 ? "[" : "", address->host, is_v6 ? "]" : "",
             address->port);
}

bool net_address_is_loopback(const struct net_address *address) {
    struct in_addr v4;
    struct in6_addr v6;
    if (strcmp(address->host, "localhost") == 0) return true;
    if (inet_pton(AF_INET, address->host, &v4) == 1) return ntohl(v4.s_addr) >> 24 == 127;
    if (inet_pton(AF_INET6, address->host, &v6) == 1) return IN6_IS_ADDR_LOOPBACK(&v6);
    return false;
}

static bool option_set(int fd, int level, int name) {
    int on = 1;
    return setsockopt(fd, level, name, &on, sizeof on) == 0;
}

/* Binds. Only sockets that share before they are bound may be where others are already: the first
 * one begins to share when the address is its own. */
static bool address_bind(int fd, const struct addrinfo *resolved,
                         const struct net_listen_options *options) {
    bool shares_later = options->is_shared && options->is_first;
    bool shares_now = options->is_shared && !options->is_first;
    if (shares_now && !option_set(fd, SOL_SOCKET, SO_REUSEPORT)) return false;
    if (bind(fd, resolved->ai_addr, resolved->ai_addrlen) != 0) return false;
    return !shares_later || option_set(fd, SOL_SOCKET, SO_REUSEPORT);
}

/* A socket that listens on one resolved address, or -errno. */
static int listen_once(const struct addrinfo *resolved, const struct net_listen_options *options) {
    int fd = socket(resolved->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    if (option_set(fd, SOL_SOCKET, SO_REUSEADDR) &&
        option_set(fd, IPPROTO_TCP, TCP_NODELAY) && /* inherited */
        address_bind(fd, resolved, options) && listen(fd, options->backlog) == 0) {
        return fd;
    }
    int error = -errno;
    close(fd);
    return error;
}

static enum fst_status status_of(int error) {
    if (error == -EADDRINUSE) return FST_BUSY;
    if (error == -EACCES) return FST_FORBIDDEN;
    if (error == -EADDRNOTAVAIL) return FST_INVALID;
    return fst_status_from_errno(error);
}

enum fst_status net_listen(const struct net_address *address,
                           const struct net_listen_options *options, int *socket_out,
                           struct fst_error *error) {
    char port[8];
    snprintf(port, sizeof port, "%u", address->port);
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *resolved = NULL;
    int code = getaddrinfo(address->host, port, &hints, &resolved);
    if (code != 0) {
        return fst_error_set(error, FST_INVALID, "listen: cannot resolve host \"%s\": %s",
                             address->host, gai_strerror(code));
    }
    struct io *io = io_posix();
    int64_t give_up_us = io_monotonic_us(io) + NET_LISTEN_RETRY_MS * INT64_C(1000);
    int fd = listen_once(resolved, options);
    while (fd == -EADDRINUSE && io_monotonic_us(io) < give_up_us) {
        io->ops->sleep_us(io, RETRY_US);
        fd = listen_once(resolved, options);
    }
    freeaddrinfo(resolved);
    if (fd < 0) {
        return fst_error_set(error, status_of(fd), "listen on %s port %s: %s", address->host, port,
                             strerror(-fd));
    }
    *socket_out = fd;
    return FST_OK;
}

uint16_t net_port(int socket) {
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    socklen_t bytes = sizeof address;
    if (getsockname(socket, (struct sockaddr *)&address, &bytes) != 0) return 0;
    if (address.ss_family == AF_INET) {
        return ntohs(((const struct sockaddr_in *)(const void *)&address)->sin_port);
    }
    if (address.ss_family == AF_INET6) {
        return ntohs(((const struct sockaddr_in6 *)(const void *)&address)->sin6_port);
    }
    return 0;
}
