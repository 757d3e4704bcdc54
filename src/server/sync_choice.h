/*
 * sync_choice: how the logs of this start are synced, as was asked for or as the disk likes it
 * best.
 *
 * Measuring (storage/log/sync_calibration.h) waits for the disk and hardly needs a processor. So it
 * runs in a thread beside recovery: begun when the store is this process's own, awaited before the
 * first log is opened. What came out is one line of the log.
 *
 * Threads: one, whoever starts the server; the thread is its own.
 * Memory:  in place; everything is copied but `io`.
 */
#ifndef SERVER_SYNC_CHOICE_H
#define SERVER_SYNC_CHOICE_H

#include <pthread.h>

#include "net/ring.h"
#include "storage/log/sync_calibration.h"

enum { SYNC_CHOICE_DIR_BYTES = 1024 };

enum sync_wish { SYNC_WISH_AUTO, SYNC_WISH_DSYNC, SYNC_WISH_FDATASYNC };

struct sync_choice_options {
    enum sync_wish wish;
    struct io *io;
    enum ring_kind ring_kind;
    uint32_t groups_in_flight_max;
    const char *dir; /* of the logs */
};

struct sync_choice {
    struct sync_choice_options options;
    char dir[SYNC_CHOICE_DIR_BYTES];
    struct sync_calibration calibration;
    struct fst_error error; /* why nothing was measured */
    int64_t took_us;
    pthread_t thread;
    bool is_running;
};

/* Begins. Zeroed memory is a choice that has not begun; it may be given to deinit. */
void sync_choice_init(struct sync_choice *choice, const struct sync_choice_options *options);
/* Waits for the end of the measuring. */
void sync_choice_deinit(struct sync_choice *choice);

/* Waits, logs what was chosen, and why. Once. */
struct sync_calibration sync_choice_get(struct sync_choice *choice);

#endif
