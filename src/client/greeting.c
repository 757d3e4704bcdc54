/* HELLO: what both sides say first. */
#include "client/client.h"

enum { HELLO_FIXED_BYTES = 18 };

enum fst_status client_greeting_encode(struct fst_client *client) {
    size_t key_bytes = strlen(client->key);
    size_t bytes = FRAME_HEADER_BYTES + HELLO_FIXED_BYTES + key_bytes;
    client->setup.bytes = 0;
    uint8_t *room = client_buffer_append(&client->setup, bytes);
    if (!room) return FST_NO_MEMORY;
    frame_encode_request(room, (uint32_t)bytes, FRAME_HELLO, CLIENT_SETUP_ID, 0);
    struct writer w = writer_of(room + FRAME_HEADER_BYTES, bytes - FRAME_HEADER_BYTES);
    write_u32(&w, FRAME_HELLO_MAGIC);
    write_u16(&w, FRAME_VERSION);
    write_u16(&w, FRAME_VERSION);
    write_u64(&w, client->client_id);
    write_short(&w, client->key, key_bytes);
    return w.failed ? FST_TOO_LARGE : FST_OK;
}

enum fst_status client_greeting_decode(struct bytes payload, struct fst_server *server_out) {
    struct reader r = reader_of(payload.data, payload.bytes);
    struct fst_server server = {0};
    server.version = read_u16(&r);
    server.partitions_count = read_u16(&r);
    server.roles = read_u8(&r);
    (void)read_bytes(&r, 3);
    server.frame_bytes_max = read_u32(&r);
    server.bulk_bytes_max = read_u32(&r);
    server.keys_max = read_u32(&r);
    server.features_max = read_u32(&r);
    server.in_flight_max = read_u32(&r);
    const uint8_t *store_id = read_bytes(&r, sizeof server.store_id);
    if (store_id) memcpy(server.store_id, store_id, sizeof server.store_id);
    server.server_epoch = read_u64(&r);
    (void)read_u64(&r);
    uint16_t nodes_count = read_u16(&r);
    for (uint32_t i = 0; i < nodes_count; i++) (void)read_short(&r);
    bool is_mapped = nodes_count > 0;
    for (uint32_t p = 0; p < server.partitions_count; p++) {
        if (read_u16(&r) >= nodes_count) is_mapped = false;
    }
    if (!reader_is_done(&r) || !is_mapped || server.partitions_count == 0) return FST_BAD_FRAME;
    if (server.version != FRAME_VERSION) return FST_UNSUPPORTED;
    if (server.frame_bytes_max < FRAME_HELLO_BYTES_MAX || server.in_flight_max == 0) {
        return FST_BAD_FRAME;
    }
    *server_out = server;
    return FST_OK;
}
