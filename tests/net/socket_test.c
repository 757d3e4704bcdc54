/* Shows which texts are addresses and which are not, and that a listening socket can be had, asked
 * for its port, shared, and had again right after its owner died. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/socket.h"

static const struct address_case {
    const char *text;
    const char *host; /* NULL: refused */
    uint16_t port;
    bool is_loopback;
} address_cases[] = {
    {"127.0.0.1:7171", "127.0.0.1", 7171, true},
    {"127.8.9.10:0", "127.8.9.10", 0, true},
    {"localhost:65535", "localhost", 65535, true},
    {"[::1]:80", "::1", 80, true},
    {"[::]:80", "::", 80, false},
    {"0.0.0.0:80", "0.0.0.0", 80, false},
    {"10.127.0.1:80", "10.127.0.1", 80, false},
    {"features.example.org:7171", "features.example.org", 7171, false},
    {"127.0.0.1", NULL, 0, false},
    {"127.0.0.1:", NULL, 0, false},
    {":7171", NULL, 0, false},
    {"", NULL, 0, false},
    {"7171", NULL, 0, false},
    {"[::1]", NULL, 0, false},
    {"[::1]7171", NULL, 0, false},
    {"[]:7171", NULL, 0, false},
    {"::1:7171", NULL, 0, false},
    {"host:65536", NULL, 0, false},
    {"host:99999999999", NULL, 0, false},
    {"host:-1", NULL, 0, false},
    {"host: 80", NULL, 0, false},
    {"host:80x", NULL, 0, false},
};

static void test_addresses(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof address_cases / sizeof address_cases[0]; i++) {
        const struct address_case *c = &address_cases[i];
        print_message("  \"%s\"\n", c->text);
        struct net_address address;
        struct fst_error error = {.status = FST_OK};
        enum fst_status status = net_address_decode(c->text, &address, &error);
        assert_int_equal(status, c->host ? FST_OK : FST_INVALID);
        if (c->host == NULL) {
            assert_non_null(strstr(error.text, c->text));
            assert_non_null(strstr(error.text, "HOST:PORT"));
            continue;
        }
        assert_string_equal(address.host, c->host);
        assert_int_equal(address.port, c->port);
        assert_int_equal(net_address_is_loopback(&address), c->is_loopback);
        char text[64];
        net_address_format(&address, text, sizeof text);
        assert_string_equal(text, c->text);
    }
}

/* A host of the longest length, and one byte more. */
static void test_host_limit(void **state) {
    (void)state;
    char text[NET_HOST_BYTES + 8];
    struct net_address address;
    for (size_t bytes = NET_HOST_BYTES - 1; bytes <= NET_HOST_BYTES; bytes++) {
        memset(text, 'h', bytes);
        memcpy(text + bytes, ":1", 3);
        enum fst_status expected = bytes < NET_HOST_BYTES ? FST_OK : FST_INVALID;
        assert_int_equal(net_address_decode(text, &address, NULL), expected);
    }
    assert_int_equal(strlen(address.host), NET_HOST_BYTES - 1);
}

static int listen_on(const char *host, uint16_t port, bool is_shared) {
    struct net_address address = {.port = port};
    memcpy(address.host, host, strlen(host) + 1);
    struct net_listen_options options = {.backlog = 10, .is_shared = is_shared};
    struct fst_error error = {.status = FST_OK};
    int fd = -1;
    enum fst_status status = net_listen(&address, &options, &fd, &error);
    if (status != FST_OK) print_message("  %s\n", error.text);
    return status == FST_OK ? fd : -(int)status;
}

static int connect_to(uint16_t port) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(port),
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void test_connections_do_not_delay(void **state) {
    (void)state;
    int listener = listen_on("127.0.0.1", 0, false);
    assert_true(listener >= 0);
    int client = connect_to(net_port(listener));
    int server = accept(listener, NULL, NULL);
    int is_set = 0;
    socklen_t bytes = sizeof is_set;
    assert_int_equal(getsockopt(server, IPPROTO_TCP, TCP_NODELAY, &is_set, &bytes), 0);
    assert_true(is_set);
    close(client);
    close(server);
    close(listener);
}

static void test_shared_port(void **state) {
    (void)state;
    int first = listen_on("127.0.0.1", 0, true);
    assert_true(first >= 0);
    int second = listen_on("127.0.0.1", net_port(first), true);
    assert_true(second >= 0);
    assert_int_equal(net_port(first), net_port(second));
    close(first);
    close(second);
}

/* The first of those that share has the address for itself: whoever listens there keeps it. */
static void test_first_of_a_shared_port(void **state) {
    (void)state;
    struct net_address address = {.host = "127.0.0.1"};
    const struct net_listen_options first_options = {
        .backlog = 10, .is_shared = true, .is_first = true};
    struct fst_error error;
    int first;
    assert_int_equal(net_listen(&address, &first_options, &first, &error), FST_OK);
    address.port = net_port(first);
    int second = listen_on(address.host, address.port, true);
    assert_true(second >= 0);
    int other;
    assert_int_equal(net_listen(&address, &first_options, &other, &error), FST_BUSY);
    assert_non_null(strstr(error.text, "in use"));
    close(second);
    assert_int_equal(net_listen(&address, &first_options, &other, &error), FST_BUSY);
    close(first);
}

/* Connections are shared out among the sockets, the first one included. */
static void test_a_shared_port_is_shared(void **state) {
    (void)state;
    enum { CONNECTIONS = 64 };
    struct net_address address = {.host = "127.0.0.1"};
    const struct net_listen_options first_options = {
        .backlog = CONNECTIONS, .is_shared = true, .is_first = true};
    const struct net_listen_options options = {.backlog = CONNECTIONS, .is_shared = true};
    struct fst_error error;
    int listeners[2];
    int clients[CONNECTIONS];
    assert_int_equal(net_listen(&address, &first_options, &listeners[0], &error), FST_OK);
    address.port = net_port(listeners[0]);
    assert_int_equal(net_listen(&address, &options, &listeners[1], &error), FST_OK);
    for (int i = 0; i < CONNECTIONS; i++) clients[i] = connect_to(address.port);
    for (int i = 0; i < 2; i++) {
        struct pollfd ready = {.fd = listeners[i], .events = POLLIN};
        assert_int_equal(poll(&ready, 1, 10000), 1);
    }
    for (int i = 0; i < CONNECTIONS; i++) close(clients[i]);
    for (int i = 0; i < 2; i++) close(listeners[i]);
}

static void *closer_run(void *context) {
    close(*(const int *)context);
    return NULL;
}

/* The address is busy at first, with a connection still open on it; its owner goes away meanwhile.
 */
static void test_busy_address_is_tried_again(void **state) {
    (void)state;
    int first = listen_on("127.0.0.1", 0, false);
    uint16_t port = net_port(first);
    int client = connect_to(port);
    int server = accept(first, NULL, NULL);
    close(server); /* The server's side closes first and stays in TIME_WAIT. */
    close(client);
    pthread_t closer;
    assert_int_equal(pthread_create(&closer, NULL, closer_run, &first), 0);
    int second = listen_on("127.0.0.1", port, false);
    assert_true(second >= 0);
    assert_int_equal(net_port(second), port);
    pthread_join(closer, NULL);
    close(second);
}

static void test_refusals(void **state) {
    (void)state;
    int first = listen_on("127.0.0.1", 0, false);
    assert_int_equal(listen_on("127.0.0.1", net_port(first), false), -FST_BUSY);
    close(first);
    assert_int_equal(listen_on("192.0.2.1", 0, false), -FST_INVALID); /* nobody's address */
    assert_int_equal(listen_on("256.256.256.256", 0, false), -FST_INVALID);
    assert_int_equal(net_port(-1), 0);
    assert_int_equal(net_port(STDIN_FILENO), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_host_limit),
        cmocka_unit_test(test_connections_do_not_delay),
        cmocka_unit_test(test_shared_port),
        cmocka_unit_test(test_first_of_a_shared_port),
        cmocka_unit_test(test_a_shared_port_is_shared),
        cmocka_unit_test(test_busy_address_is_tried_again),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests_name("net/socket", tests, NULL, NULL);
}
