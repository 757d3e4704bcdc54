#include "bench/fsbench/dialect_echo.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "bench/fsbench/fstore_session.h"

static enum fst_status echo_open(struct dialect *dialect, uint32_t connection, int socket,
                                 struct fst_error *error) {
    (void)dialect, (void)connection, (void)socket, (void)error;
    return FST_OK;
}

static size_t echo_encode(struct dialect *dialect, uint32_t connection, uint32_t slot,
                          const struct request *request, uint8_t *out) {
    (void)connection, (void)request;
    memset(out, 0, dialect->request_bytes_max);
    fstore_header_put(out, dialect->request_bytes_max, FSTORE_GET, slot, 0);
    return dialect->request_bytes_max;
}

static int64_t echo_decode(struct dialect *dialect, uint32_t connection, const uint8_t *data,
                           size_t bytes, struct reply *reply_out) {
    (void)connection;
    if (bytes < FSTORE_HEADER_BYTES) return 0;
    if (load_u32(data) != dialect->reply_bytes_max) return -1;
    if (bytes < dialect->reply_bytes_max) return 0;
    *reply_out = (struct reply){.slot = load_u32(data + 8),
                                .payload = data + FSTORE_HEADER_BYTES,
                                .payload_bytes = dialect->reply_bytes_max - FSTORE_HEADER_BYTES};
    return dialect->reply_bytes_max;
}

static bool echo_verify(struct dialect *dialect, const struct request *request,
                        const struct reply *reply, bool is_full) {
    (void)dialect, (void)request, (void)reply, (void)is_full;
    return true; /* decode has compared all there is */
}

static void echo_close(struct dialect *dialect) {
    free(dialect);
}

static const struct dialect_ops echo_ops = {
    .name = "fsecho",
    .open = echo_open,
    .encode = echo_encode,
    .decode = echo_decode,
    .verify = echo_verify,
    .close = echo_close,
};

enum fst_status dialect_echo_create(uint32_t request_bytes, uint32_t reply_bytes,
                                    const struct key_stream *keys, struct dialect **dialect_out,
                                    struct fst_error *error) {
    FST_ASSERT(request_bytes >= FSTORE_HEADER_BYTES && reply_bytes >= FSTORE_HEADER_BYTES);
    struct dialect *dialect = calloc(1, sizeof *dialect);
    if (!dialect) return fst_error_set(error, FST_NO_MEMORY, "no memory");
    *dialect = (struct dialect){.ops = &echo_ops,
                                .keys = keys,
                                .request_bytes_max = request_bytes,
                                .reply_bytes_max = reply_bytes};
    *dialect_out = dialect;
    return FST_OK;
}
