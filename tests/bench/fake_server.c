#include "tests/bench/fake_server.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "bench/fsbench/fstore_session.h"
#include "bench/fsbench/item.h"
#include "fstore/control.pb-c.h"

enum {
    INPUT_BYTES = 256 << 10,
    OUTPUT_BYTES = 4 << 20,
    REPLIES_MAX = 4096,
    LAYOUT_ID = 77,
    READ_HANDLE = 5,
    WRITE_HANDLE = 6,
};

struct fake_server {
    struct fake_options options;
    int listener;
    pthread_t acceptor;
    pthread_t threads[FAKE_CONNECTIONS_MAX];
    uint32_t threads_count;
    pthread_mutex_t lock;
    int64_t versions[FAKE_KEYS_MAX]; /* under lock */
    atomic_uint_least64_t gets, writes, applies, answers;
};

/* One client's bytes, in and out; replies are kept apart to be sent in reverse. */
struct client {
    struct fake_server *server;
    int socket;
    uint8_t *input;
    size_t input_bytes;
    struct writer output;
    size_t reply_begins[REPLIES_MAX + 1];
    uint32_t replies_count;
    uint64_t sequence; /* of its last write */
    bool is_over;
};

static uint32_t row_bytes_of(const struct fake_server *server) {
    uint32_t nulls = (server->options.features_count + 63) / 64 * 8;
    return FSTORE_ROW_HEAD_BYTES + nulls + server->options.features_count * 8;
}

static size_t reply_begin(struct client *client) {
    FST_ASSERT(client->replies_count < REPLIES_MAX);
    size_t begin = writer_used(&client->output);
    client->reply_begins[client->replies_count++] = begin;
    write_room(&client->output, FSTORE_HEADER_BYTES);
    return begin;
}

static void reply_end(struct client *client, const uint8_t *request, size_t begin,
                      uint32_t status) {
    FST_ASSERT(!client->output.failed);
    uint8_t *header = client->output.begin + begin;
    uint32_t bytes = (uint32_t)(writer_used(&client->output) - begin);
    fstore_header_put(header, bytes, request[4], load_u32(request + 8), status);
    header[5] = FSTORE_FLAG_REPLY;
}

static void type_write(struct writer *out, uint8_t kind) {
    write_u64(out, kind);
}

static void text_write(struct writer *out, const char *text) {
    write_short(out, text, strlen(text));
}

static void hello_answer(struct client *client, const uint8_t *request) {
    size_t begin = reply_begin(client);
    struct writer *out = &client->output;
    write_u16(out, 1);
    write_u16(out, 64);
    write_u32(out, 7);
    write_u32(out, 1 << 20);
    write_u32(out, 16 << 20);
    write_u32(out, 10000);
    write_u32(out, 1000);
    write_u32(out, 64);
    write_room(out, 16 + 8 + 8);
    write_u16(out, 0);
    reply_end(client, request, begin, FST_OK);
}

static void prepare_answer(struct client *client, const uint8_t *request) {
    const struct fake_server *server = client->server;
    size_t begin = reply_begin(client);
    struct writer *out = &client->output;
    uint8_t kind = request[FSTORE_HEADER_BYTES];
    uint32_t nulls = (server->options.features_count + 63) / 64 * 8;
    write_u32(out, kind == 2 ? WRITE_HANDLE : READ_HANDLE);
    write_u64(out, LAYOUT_ID);
    write_u32(out, kind);
    write_u32(out, kind == 2 ? 0 : row_bytes_of(server));
    write_u16(out, 1);
    type_write(out, 3);
    text_write(out, "item_id");
    write_u16(out, 1);
    write_u32(out, 0);
    write_u32(out, kind == 2 ? 0 : row_bytes_of(server));
    write_u16(out, (uint16_t)server->options.features_count);
    write_u16(out, 1);
    write_u16(out, 0);
    write_i64(out, 0);
    text_write(out, "bench.wide");
    write_u16(out, (uint16_t)server->options.features_count);
    for (uint32_t i = 0; i < server->options.features_count; i++) {
        char name[16];
        snprintf(name, sizeof name, "f%u", i);
        write_u16(out, 0);
        write_u16(out, (uint16_t)i);
        write_u32(out, kind == 2 ? 0 : FSTORE_ROW_HEAD_BYTES + nulls + i * 8);
        type_write(out, 5);
        write_u64(out, 0);
        text_write(out, name);
    }
    reply_end(client, request, begin, FST_OK);
}

static void control_answer(struct client *client, const uint8_t *request, size_t bytes) {
    Fst__ControlRequest *control = fst__control_request__unpack(NULL, bytes - FSTORE_HEADER_BYTES,
                                                                request + FSTORE_HEADER_BYTES);
    FST_ASSERT(control != NULL);
    Fst__ApplyReply apply = FST__APPLY_REPLY__INIT;
    Fst__Empty empty = FST__EMPTY__INIT;
    Fst__Field version = FST__FIELD__INIT, io = FST__FIELD__INIT;
    char names[][8] = {"version", "io"}, values[][8] = {"1.2.\"3\"", "fake"};
    version.name = names[0];
    version.value = values[0];
    io.name = names[1];
    io.value = values[1];
    Fst__Field *fields[] = {&version, &io};
    Fst__StatusReply status = FST__STATUS_REPLY__INIT;
    status.n_fields = 2;
    status.fields = fields;
    Fst__ControlReply reply = FST__CONTROL_REPLY__INIT;
    if (control->operation_case == FST__CONTROL_REQUEST__OPERATION_APPLY) {
        client->server->applies++;
        reply.operation_case = FST__CONTROL_REPLY__OPERATION_APPLY;
        reply.apply = &apply;
    } else if (control->operation_case == FST__CONTROL_REQUEST__OPERATION_STATUS) {
        reply.operation_case = FST__CONTROL_REPLY__OPERATION_STATUS;
        reply.status = &status;
    } else {
        reply.operation_case = FST__CONTROL_REPLY__OPERATION_DONE;
        reply.done = &empty;
    }
    fst__control_request__free_unpacked(control, NULL);
    size_t begin = reply_begin(client);
    uint8_t *room = write_room(&client->output, fst__control_reply__get_packed_size(&reply));
    FST_ASSERT(room != NULL);
    fst__control_reply__pack(&reply, room);
    reply_end(client, request, begin, FST_OK);
}

static void refusal_answer(struct client *client, const uint8_t *request, uint32_t status) {
    size_t begin = reply_begin(client);
    write_u32(&client->output, 1000);
    text_write(&client->output, "too much work");
    reply_end(client, request, begin, status);
}

static void row_write(struct client *client, uint64_t key, enum fake_fault fault) {
    struct fake_server *server = client->server;
    struct writer *out = &client->output;
    FST_ASSERT(key < FAKE_KEYS_MAX);
    pthread_mutex_lock(&server->lock);
    int64_t version = server->versions[key];
    pthread_mutex_unlock(&server->lock);
    uint32_t features = server->options.features_count;
    size_t nulls_bytes = (features + 63) / 64 * 8ul;
    bool is_missing = version == 0 || fault == FAKE_NOT_FOUND;
    write_u64(out, is_missing ? FST_NOT_FOUND : FST_OK);
    write_i64(out, version);
    write_i64(out, version);
    write_u64(out, 1);
    uint8_t *nulls = write_room(out, nulls_bytes);
    uint8_t *values = write_room(out, features * 8ul);
    FST_ASSERT(nulls && values);
    memset(nulls, 0, nulls_bytes);
    if (fault == FAKE_NULL) nulls[(features - 1) / 8] |= (uint8_t)(1u << ((features - 1) % 8));
    item_fill(values, features, key, version + (fault == FAKE_WRONG_VERSION));
    if (fault == FAKE_WRONG_VALUE) values[features * 8ul - 8] ^= 1;
}

static void get_answer(struct client *client, const uint8_t *request, size_t bytes,
                       enum fake_fault fault) {
    client->server->gets++;
    FST_ASSERT(load_u32(request + 12) == READ_HANDLE);
    FST_ASSERT(load_u64(request + 16) == LAYOUT_ID);
    FST_ASSERT(load_i64(request + 24) == INT64_MIN);
    FST_ASSERT(load_i64(request + 32) == client->server->options.deadline_us);
    uint32_t keys_count = load_u32(request + 40);
    FST_ASSERT(load_u32(request + 44) == 0 && bytes == 48 + 8ul * keys_count);
    size_t begin = reply_begin(client);
    uint32_t rows_count = fault == FAKE_SHORT_ROWS ? keys_count - 1 : keys_count;
    write_u32(&client->output, rows_count);
    write_u32(&client->output, 0);
    for (uint32_t i = 0; i < rows_count; i++) {
        bool is_hit = i == client->server->answers % rows_count;
        row_write(client, load_u64(request + 48 + (size_t)i * 8), is_hit ? fault : FAKE_NONE);
    }
    reply_end(client, request, begin, FST_OK);
}

/* Takes the rows; every value must be what key and event time say. */
static void rows_take(struct fake_server *server, const uint8_t *request, size_t bytes) {
    struct reader reader = reader_of(request + 40, bytes - 40);
    uint32_t rows = load_u32(request + 32);
    const uint8_t *times = read_bytes(&reader, rows * 8ul);
    const uint8_t *keys = read_bytes(&reader, rows * 8ul);
    FST_ASSERT(times && keys);
    for (uint32_t column = 0; column < server->options.features_count; column++) {
        const uint8_t *nulls = read_bytes(&reader, (rows + 7) / 8);
        const uint8_t *values = read_bytes(&reader, rows * 8ul);
        FST_ASSERT(nulls && values);
        for (uint32_t i = 0; i < rows; i++) {
            uint64_t seed =
                item_seed(load_u64(keys + (size_t)i * 8), load_i64(times + (size_t)i * 8));
            FST_ASSERT(load_u64(values + (size_t)i * 8) == item_value(seed, column));
            FST_ASSERT((nulls[i / 8] >> (i % 8) & 1) == 0);
        }
    }
    FST_ASSERT(reader_is_done(&reader));
    pthread_mutex_lock(&server->lock);
    for (uint32_t i = 0; i < rows; i++) {
        uint64_t key = load_u64(keys + (size_t)i * 8);
        FST_ASSERT(key < FAKE_KEYS_MAX);
        int64_t version = load_i64(times + (size_t)i * 8);
        if (version > server->versions[key]) server->versions[key] = version;
    }
    pthread_mutex_unlock(&server->lock);
}

static void write_answer(struct client *client, const uint8_t *request, size_t bytes,
                         enum fake_fault fault) {
    client->server->writes++;
    FST_ASSERT(load_u32(request + 12) == WRITE_HANDLE);
    FST_ASSERT(load_u64(request + 16) == LAYOUT_ID);
    FST_ASSERT(load_u64(request + 24) > client->sequence);
    client->sequence = load_u64(request + 24);
    FST_ASSERT(request[36] <= 1 && request[37] == 0 && load_u16(request + 38) == 0);
    rows_take(client->server, request, bytes);
    uint32_t rows = load_u32(request + 32);
    size_t begin = reply_begin(client);
    write_u32(&client->output, fault == FAKE_SHORT_ROWS ? rows + 1 : rows);
    bool is_odd = fault == FAKE_STALE || fault == FAKE_FULL;
    write_u32(&client->output, is_odd ? 1 : 0);
    for (uint32_t i = 0; is_odd && i < rows; i++) {
        bool is_full = fault == FAKE_FULL && i == 0;
        write_u8(&client->output, is_full ? FST_FULL : FST_STALE);
    }
    reply_end(client, request, begin, FST_OK);
}

static void faulty_answer(struct client *client, const uint8_t *request, size_t bytes,
                          enum fake_fault fault) {
    if (fault == FAKE_REFUSE || fault == FAKE_TIMEOUT) {
        refusal_answer(client, request, fault == FAKE_REFUSE ? FST_OVERLOADED : FST_TIMEOUT);
        return;
    }
    if (request[4] == FSTORE_GET)
        get_answer(client, request, bytes, fault);
    else
        write_answer(client, request, bytes, fault);
    uint8_t *reply = client->output.begin + client->reply_begins[client->replies_count - 1];
    if (fault == FAKE_GARBAGE) memset(reply, 0xa5, FSTORE_HEADER_BYTES);
    if (fault == FAKE_UNKNOWN_ID) store_u32(reply + 8, 1u << 20);
    if (fault == FAKE_HANG_UP) {
        client->output.at -= 8;
        client->is_over = true;
    }
}

static void request_answer(struct client *client, const uint8_t *request, size_t bytes) {
    const struct fake_options *options = &client->server->options;
    uint8_t opcode = request[4];
    if (opcode == FSTORE_HELLO) hello_answer(client, request);
    if (opcode == FSTORE_PREPARE) prepare_answer(client, request);
    if (opcode == FSTORE_CONTROL) control_answer(client, request, bytes);
    if (opcode != FSTORE_GET && opcode != FSTORE_WRITE) return;
    uint64_t number = ++client->server->answers;
    bool is_faulty = options->fault_every && number % options->fault_every == 0;
    if (options->fault == FAKE_TIMEOUT && opcode == FSTORE_WRITE) is_faulty = false;
    enum fake_fault fault = is_faulty ? options->fault : FAKE_NONE;
    faulty_answer(client, request, bytes, fault);
    if (fault == FAKE_TWICE) faulty_answer(client, request, bytes, FAKE_NONE);
}

static bool bytes_send(const struct client *client, const uint8_t *data, size_t bytes) {
    size_t piece = client->server->options.chop_bytes;
    while (bytes > 0) {
        size_t step = piece && piece < bytes ? piece : bytes;
        ssize_t sent = send(client->socket, data, step, MSG_NOSIGNAL);
        if (sent <= 0) return false;
        data += sent;
        bytes -= (size_t)sent;
    }
    return true;
}

/* Sends the replies, the youngest first. */
static bool replies_send(struct client *client) {
    client->reply_begins[client->replies_count] = writer_used(&client->output);
    bool is_open = true;
    for (uint32_t i = client->replies_count; is_open && i-- > 0;) {
        size_t begin = client->reply_begins[i];
        is_open =
            bytes_send(client, client->output.begin + begin, client->reply_begins[i + 1] - begin);
        if (client->is_over) break;
    }
    client->replies_count = 0;
    client->output.at = client->output.begin;
    return is_open && !client->is_over;
}

static void requests_take(struct client *client) {
    size_t at = 0;
    while (!client->is_over && client->input_bytes - at >= FSTORE_HEADER_BYTES) {
        uint32_t bytes = load_u32(client->input + at);
        FST_ASSERT(bytes >= FSTORE_HEADER_BYTES && bytes <= INPUT_BYTES);
        if (client->input_bytes - at < bytes) break;
        request_answer(client, client->input + at, bytes);
        at += bytes;
    }
    memmove(client->input, client->input + at, client->input_bytes - at);
    client->input_bytes -= at;
}

static void *client_serve(void *argument) {
    struct client *client = argument;
    uint8_t *output = malloc(OUTPUT_BYTES);
    client->input = malloc(INPUT_BYTES);
    FST_ASSERT(client->input && output);
    client->output = writer_of(output, OUTPUT_BYTES);
    for (bool is_open = true; is_open;) {
        ssize_t received = recv(client->socket, client->input + client->input_bytes,
                                INPUT_BYTES - client->input_bytes, 0);
        if (received <= 0) break;
        client->input_bytes += (size_t)received;
        requests_take(client);
        is_open = replies_send(client);
    }
    close(client->socket);
    free(client->input);
    free(output);
    free(client);
    return NULL;
}

static void *clients_accept(void *argument) {
    struct fake_server *server = argument;
    for (;;) {
        int socket = accept(server->listener, NULL, NULL);
        if (socket < 0) return NULL;
        struct client *client = calloc(1, sizeof *client);
        FST_ASSERT(client && server->threads_count < FAKE_CONNECTIONS_MAX);
        client->server = server;
        client->socket = socket;
        int on = 1; /* pieces leave as they are */
        setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        pthread_create(&server->threads[server->threads_count++], NULL, client_serve, client);
    }
}

struct fake_server *fake_server_open(const struct fake_options *options,
                                     char address_out[FAKE_ADDRESS_BYTES]) {
    struct fake_server *server = calloc(1, sizeof *server);
    FST_ASSERT(server != NULL);
    server->options = *options;
    pthread_mutex_init(&server->lock, NULL);
    server->listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof address;
    FST_ASSERT(bind(server->listener, (struct sockaddr *)&address, bytes) == 0);
    FST_ASSERT(listen(server->listener, FAKE_CONNECTIONS_MAX) == 0);
    FST_ASSERT(getsockname(server->listener, (struct sockaddr *)&address, &bytes) == 0);
    snprintf(address_out, FAKE_ADDRESS_BYTES, "127.0.0.1:%u", ntohs(address.sin_port));
    pthread_create(&server->acceptor, NULL, clients_accept, server);
    return server;
}

void fake_server_close(struct fake_server *server) {
    shutdown(server->listener, SHUT_RDWR);
    pthread_join(server->acceptor, NULL);
    close(server->listener);
    for (uint32_t i = 0; i < server->threads_count; i++) pthread_join(server->threads[i], NULL);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

uint64_t fake_server_gets(struct fake_server *server) {
    return server->gets;
}

uint64_t fake_server_writes(struct fake_server *server) {
    return server->writes;
}

uint64_t fake_server_applies(struct fake_server *server) {
    return server->applies;
}

int64_t fake_server_version(struct fake_server *server, uint64_t key) {
    pthread_mutex_lock(&server->lock);
    int64_t version = server->versions[key];
    pthread_mutex_unlock(&server->lock);
    return version;
}
