#include "server/sync_choice.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/logger.h"

/* Of a ring that does nothing but a few writes. */
enum { RING_ENTRIES = 2 * LOG_GROUPS_IN_FLIGHT_MAX, RING_BUFFERS = 1, RING_BUFFER_BYTES = 4096 };

static enum fst_status calibration_run(struct sync_choice *choice) {
    const struct io_ring_options sizes = {.entries = RING_ENTRIES,
                                          .receive_buffers = RING_BUFFERS,
                                          .receive_buffer_bytes = RING_BUFFER_BYTES};
    const struct sync_choice_options *options = &choice->options;
    struct sync_calibration_options calibration = {
        .io = options->io,
        .dir = options->dir,
        .groups_in_flight_max = options->groups_in_flight_max,
    };
    FST_TRY(ring_create(options->ring_kind, &sizes, &calibration.ring, &choice->error));
    enum fst_status status =
        sync_calibration_run(&choice->calibration, &calibration, &choice->error);
    calibration.ring->ops->close(calibration.ring);
    return status;
}

static void *choice_main(void *context) {
    struct sync_choice *choice = context;
    int64_t begin_us = io_monotonic_us(choice->options.io);
    enum fst_status status = calibration_run(choice);
    if (status != FST_OK) choice->error.status = status;
    choice->took_us = io_monotonic_us(choice->options.io) - begin_us;
    return NULL;
}

void sync_choice_init(struct sync_choice *choice, const struct sync_choice_options *options) {
    *choice = (struct sync_choice){.options = *options};
    snprintf(choice->dir, sizeof choice->dir, "%s", options->dir);
    choice->options.dir = choice->dir;
    if (options->wish == SYNC_WISH_AUTO) {
        int failed = pthread_create(&choice->thread, NULL, choice_main, choice);
        choice->is_running = failed == 0;
        if (failed == 0) return;
        (void)fst_error_set(&choice->error, FST_NO_MEMORY, "no thread: %s", strerror(failed));
        return;
    }
    sync_calibration_clean(options->io, options->dir);
    bool is_dsync = options->wish == SYNC_WISH_DSYNC;
    choice->calibration.method = is_dsync ? LOG_SYNC_DSYNC : LOG_SYNC_FDATASYNC;
}

void sync_choice_deinit(struct sync_choice *choice) {
    if (choice->is_running) pthread_join(choice->thread, NULL);
    choice->is_running = false;
}

struct sync_calibration sync_choice_get(struct sync_choice *choice) {
    sync_choice_deinit(choice);
    const struct sync_calibration *calibration = &choice->calibration;
    const char *name = log_sync_method_name(calibration->method);
    if (choice->options.wish != SYNC_WISH_AUTO) {
        log_info("log.sync_method", "method=%s reason=\"asked for\"", name);
    } else if (choice->error.status != FST_OK) {
        log_warn("log.sync_method", "method=%s reason=\"not measured: %s\"", name,
                 choice->error.text);
    } else if (calibration->rounds == 0) {
        log_warn("log.sync_method", "method=%s reason=\"not measured: the disk is too slow\"",
                 name);
    } else {
        log_info("log.sync_method",
                 "method=%s dsync_us=%lld fdatasync_us=%lld rounds=%u took_us=%lld", name,
                 (long long)calibration->dsync_us, (long long)calibration->fdatasync_us,
                 calibration->rounds, (long long)choice->took_us);
    }
    return *calibration;
}
