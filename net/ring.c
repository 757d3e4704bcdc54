#include "net/ring.h"

#include "base/logger.h"

enum { ENTRIES_MAX = 1 << 15, BUFFER_BYTES_MIN = 64, BUFFER_BYTES_MAX = 16 << 20 };

static bool is_power_of_two(uint32_t value) {
    return value != 0 && (value & (value - 1)) == 0;
}

enum fst_status ring_options_check(const struct io_ring_options *options, struct fst_error *error) {
    if (options->entries == 0 || options->entries > ENTRIES_MAX) {
        return fst_error_set(error, FST_INVALID, "ring entries: expected 1 to %d, found %u",
                             ENTRIES_MAX, options->entries);
    }
    if (!is_power_of_two(options->receive_buffers) ||
        options->receive_buffers > RING_RECEIVE_BUFFERS_MAX) {
        return fst_error_set(error, FST_INVALID,
                             "receive buffers: expected a power of two up to %d, found %u",
                             RING_RECEIVE_BUFFERS_MAX, options->receive_buffers);
    }
    if (options->receive_buffer_bytes < BUFFER_BYTES_MIN ||
        options->receive_buffer_bytes > BUFFER_BYTES_MAX) {
        return fst_error_set(error, FST_INVALID,
                             "bytes of a receive buffer: expected %d to %d, found %u",
                             BUFFER_BYTES_MIN, BUFFER_BYTES_MAX, options->receive_buffer_bytes);
    }
    return FST_OK;
}

enum fst_status ring_create(enum ring_kind kind, const struct io_ring_options *options,
                            struct io_ring **ring_out, struct fst_error *error) {
    struct fst_error refusal = {.status = FST_OK};
    enum fst_status status = FST_UNSUPPORTED;
    if (kind != RING_EPOLL) {
        status = ring_uring_create(options, ring_out, &refusal);
        if (status == FST_OK) {
            log_info("net.ring", "kind=uring");
            return FST_OK;
        }
        if (kind == RING_URING || status != FST_UNSUPPORTED) {
            return fst_error_set(error, status, "%s", refusal.text);
        }
    }
    status = ring_epoll_create(options, ring_out, error);
    if (status != FST_OK) return status;
    if (kind == RING_AUTO) {
        log_warn("net.ring", "kind=epoll reason=\"%s\"", refusal.text);
    } else {
        log_info("net.ring", "kind=epoll reason=\"asked for\"");
    }
    return FST_OK;
}
