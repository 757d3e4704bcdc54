#include "tests/client/fake_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"

enum { HEADER_BYTES = 16, HELLO = 1, PREPARE = 2, HEAP_BYTES_MAX = 4096 };

bool fake_check_at(struct fake *fake, bool condition, const char *text, int line) {
    if (!condition && fake->failure[0] == '\0') {
        snprintf(fake->failure, sizeof fake->failure, "line %d: %s", line, text);
    }
    return condition;
}

/* ---- life ---- */

static void *fake_run(void *context) {
    struct fake *fake = context;
    fake->script(fake);
    fake_hang_up(fake);
    return NULL;
}

void fake_open(struct fake *fake, void (*script)(struct fake *fake), void *context) {
    *fake = (struct fake){.socket = -1, .script = script, .context = context};
    fake->bytes = malloc(FAKE_FRAME_BYTES_MAX);
    assert_non_null(fake->bytes);
    fake->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t bytes = sizeof address;
    assert_int_equal(bind(fake->listener, (struct sockaddr *)&address, bytes), 0);
    assert_int_equal(listen(fake->listener, 16), 0);
    assert_int_equal(getsockname(fake->listener, (struct sockaddr *)&address, &bytes), 0);
    snprintf(fake->address, sizeof fake->address, "127.0.0.1:%u", ntohs(address.sin_port));
    assert_int_equal(pthread_create(&fake->thread, NULL, fake_run, fake), 0);
}

void fake_close(struct fake *fake) {
    pthread_join(fake->thread, NULL);
    close(fake->listener);
    free(fake->bytes);
    if (fake->failure[0]) fail_msg("in the script: %s", fake->failure);
}

struct fst_options fake_options(const struct fake *fake) {
    struct fst_options options;
    fst_options_init(&options);
    options.server = fake->address;
    options.backoff_us_min = 1000;
    options.backoff_us_max = 4000;
    return options;
}

/* ---- sockets ---- */

void fake_accept(struct fake *fake) {
    fake_hang_up(fake);
    fake->socket = accept4(fake->listener, NULL, NULL, SOCK_CLOEXEC);
    fake_check(fake, fake->socket >= 0);
    int on = 1;
    setsockopt(fake->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void fake_hang_up(struct fake *fake) {
    if (fake->socket >= 0) close(fake->socket);
    fake->socket = -1;
}

void fake_send(struct fake *fake, const void *data, size_t bytes) {
    const uint8_t *at = data;
    while (bytes > 0) {
        size_t piece =
            fake->piece_bytes > 0 && bytes > fake->piece_bytes ? fake->piece_bytes : bytes;
        ssize_t sent = send(fake->socket, at, piece, MSG_NOSIGNAL);
        if (sent <= 0) return; /* The client hung up; the test sees what that means. */
        at += sent;
        bytes -= (size_t)sent;
    }
}

static bool bytes_receive(struct fake *fake, uint8_t *out, size_t bytes) {
    while (bytes > 0) {
        ssize_t received = recv(fake->socket, out, bytes, 0);
        if (received <= 0) return false;
        out += received;
        bytes -= (size_t)received;
    }
    return true;
}

bool fake_receive(struct fake *fake, struct fake_frame *frame_out) {
    uint8_t *at = fake->bytes;
    if (!bytes_receive(fake, at, HEADER_BYTES)) return false;
    uint32_t bytes = load_u32(at);
    if (!fake_check(fake, bytes >= HEADER_BYTES && bytes <= FAKE_FRAME_BYTES_MAX)) return false;
    fake_check(fake, at[5] == 0 && load_u16(at + 6) == 0);
    if (!bytes_receive(fake, at + HEADER_BYTES, bytes - HEADER_BYTES)) return false;
    *frame_out = (struct fake_frame){
        .opcode = at[4],
        .id = load_u32(at + 8),
        .handle = load_u32(at + 12),
        .payload = at + HEADER_BYTES,
        .payload_bytes = bytes - HEADER_BYTES,
    };
    return true;
}

struct fake_frame fake_expect(struct fake *fake, uint8_t opcode) {
    struct fake_frame frame = {.payload = fake->bytes};
    memset(fake->bytes, 0, 256);
    if (fake_check(fake, fake_receive(fake, &frame))) fake_check(fake, frame.opcode == opcode);
    return frame;
}

void fake_drain(struct fake *fake) {
    struct fake_frame frame;
    while (fake_receive(fake, &frame)) continue;
}

void fake_reply(struct fake *fake, const struct fake_frame *request, uint32_t status,
                const void *payload, size_t payload_bytes) {
    uint8_t *bytes = malloc(HEADER_BYTES + payload_bytes);
    if (!fake_check(fake, bytes != NULL)) return;
    store_u32(bytes, (uint32_t)(HEADER_BYTES + payload_bytes));
    bytes[4] = request->opcode;
    bytes[5] = 1;
    store_u16(bytes + 6, 0);
    store_u32(bytes + 8, request->id);
    store_u32(bytes + 12, status);
    if (payload_bytes > 0) memcpy(bytes + HEADER_BYTES, payload, payload_bytes);
    fake_send(fake, bytes, HEADER_BYTES + payload_bytes);
    free(bytes);
}

void fake_reply_error(struct fake *fake, const struct fake_frame *request, uint32_t status,
                      uint32_t retry_us, const char *text) {
    uint8_t payload[256];
    struct writer w = writer_of(payload, sizeof payload);
    write_u32(&w, retry_us);
    write_short(&w, text, strlen(text));
    fake_reply(fake, request, status, payload, writer_used(&w));
}

/* ---- greeting and layouts ---- */

void fake_greet(struct fake *fake) {
    struct fake_frame hello = fake_expect(fake, HELLO);
    fake_check(fake, load_u32(hello.payload) == 0x31545346);
    fake_check(fake, load_u64(hello.payload + 8) != 0);
    uint8_t payload[128];
    struct writer w = writer_of(payload, sizeof payload);
    write_u16(&w, 1);
    write_u16(&w, 4);
    write_u32(&w, 7); /* all roles, and three zeros */
    write_u32(&w, 1 << 20);
    write_u32(&w, 16 << 20);
    write_u32(&w, 10000);
    write_u32(&w, 1000);
    write_u32(&w, 64);
    write_bytes(&w, "0123456789abcdef", 16);
    write_u64(&w, 3);
    write_u64(&w, 0);
    write_u16(&w, 1);
    write_short(&w, "", 0);
    for (uint32_t p = 0; p < 4; p++) write_u16(&w, 0);
    fake_reply(fake, &hello, 0, payload, writer_used(&w));
}

static void layout_keys_write(struct writer *w, const struct fake_layout *layout) {
    write_u16(w, layout->key_string ? 2 : 1);
    write_bytes(w, &(struct fst_type){.kind = FST_KIND_INT64}, 8);
    write_short(w, "customer", 8);
    if (!layout->key_string) return;
    write_bytes(w, &(struct fst_type){.kind = FST_KIND_STRING}, 8);
    write_short(w, "shop", 4);
}

size_t fake_layout_encode(const struct fake_layout *layout, uint8_t *out) {
    static const uint8_t zeros[7];
    bool is_write = layout->plan == 2;
    struct writer w = writer_of(out, 4096);
    write_u32(&w, layout->number);
    write_u64(&w, layout->id);
    write_u8(&w, layout->plan);
    write_bytes(&w, zeros, 3);
    write_u32(&w, is_write ? 0 : FAKE_ROW_BYTES);
    layout_keys_write(&w, layout);
    uint16_t groups_count = is_write ? 1 : 2;
    write_u16(&w, groups_count);
    for (uint32_t g = 0; g < groups_count; g++) {
        write_u32(&w, is_write ? 0 : g * FAKE_GROUP_BYTES);
        write_u32(&w, is_write ? 0 : FAKE_GROUP_BYTES);
        write_u16(&w, FAKE_FEATURES_MAX);
        write_u8(&w, 1);
        write_u8(&w, 0);
        write_u16(&w, 0);
        write_i64(&w, 86400000000);
        write_short(&w, g == 0 ? "fraud.a" : "fraud.b", 7);
    }
    write_u16(&w, layout->features_count);
    for (uint32_t i = 0; i < layout->features_count; i++) {
        const struct fake_feature *feature = &layout->features[i];
        write_u16(&w, feature->group);
        write_u16(&w, is_write ? 0 : (uint16_t)i);
        write_u32(&w, is_write ? 0 : fake_value_offset(layout, i));
        write_bytes(&w, &feature->type, 8);
        write_u8(&w, feature->has_default);
        write_bytes(&w, zeros, 7);
        write_short(&w, feature->name, strlen(feature->name));
        if (feature->has_default) write_u64(&w, 7); /* of an int64 or float64 */
    }
    return w.failed ? 0 : writer_used(&w);
}

void fake_prepare(struct fake *fake, const struct fake_layout *layout) {
    uint8_t payload[4096];
    struct fake_frame request = fake_expect(fake, PREPARE);
    size_t bytes = fake_layout_encode(layout, payload);
    fake_check(fake, bytes > 0);
    fake_reply(fake, &request, 0, payload, bytes);
}

/* ---- rows ---- */

struct fake_rows fake_rows_create(uint32_t rows_count) {
    struct fake_rows rows = {.rows_count = rows_count};
    rows.payload = calloc(1, 8 + (size_t)rows_count * FAKE_ROW_BYTES + HEAP_BYTES_MAX);
    for (uint32_t row = 0; rows.payload && row < rows_count; row++) {
        for (uint32_t g = 0; g < 2; g++) {
            memset(fake_rows_row(&rows, row) + g * FAKE_GROUP_BYTES + 32, 0xff, 8);
        }
    }
    return rows;
}

uint8_t *fake_rows_row(struct fake_rows *rows, uint32_t row) {
    return rows->payload + 8 + (size_t)row * FAKE_ROW_BYTES;
}

void fake_rows_put(struct fake_rows *rows, const struct fake_layout *layout, uint32_t row,
                   uint32_t feature, const void *data, size_t bytes) {
    uint8_t *at = fake_rows_row(rows, row);
    uint8_t *nulls = at + layout->features[feature].group * FAKE_GROUP_BYTES + 32;
    nulls[feature / 8] &= (uint8_t) ~(1u << (feature % 8));
    memcpy(at + fake_value_offset(layout, feature), data, bytes);
}

void fake_rows_put_heap(struct fake_rows *rows, const struct fake_layout *layout, uint32_t row,
                        uint32_t feature, const void *data, size_t bytes) {
    uint32_t reference[2] = {rows->heap_bytes, (uint32_t)bytes};
    fake_rows_put(rows, layout, row, feature, reference, sizeof reference);
    memcpy(fake_rows_row(rows, rows->rows_count) + rows->heap_bytes, data, bytes);
    rows->heap_bytes += (uint32_t)bytes;
}

void fake_rows_send(struct fake *fake, const struct fake_frame *request, struct fake_rows *rows) {
    store_u32(rows->payload, rows->rows_count);
    store_u32(rows->payload + 4, rows->heap_bytes);
    fake_reply(fake, request, 0, rows->payload,
               8 + (size_t)rows->rows_count * FAKE_ROW_BYTES + rows->heap_bytes);
    free(rows->payload);
}

void fake_reply_write(struct fake *fake, const struct fake_frame *request, uint32_t rows_count,
                      const uint8_t *statuses) {
    uint8_t payload[256];
    struct writer w = writer_of(payload, sizeof payload);
    uint32_t not_ok_count = 0;
    for (uint32_t i = 0; statuses && i < rows_count; i++) not_ok_count += statuses[i] != 0;
    write_u32(&w, rows_count);
    write_u32(&w, not_ok_count);
    if (not_ok_count > 0) write_bytes(&w, statuses, rows_count);
    fake_check(fake, !w.failed);
    fake_reply(fake, request, 0, payload, writer_used(&w));
}
