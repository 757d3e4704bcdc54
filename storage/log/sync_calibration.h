/*
 * sync_calibration: which way of making a group durable is faster on the disk of a log.
 *
 * A log may write through files that sync every write (DSYNC), or sync behind each write
 * (fdatasync). Which is faster is a matter of device, file system and kernel: a disk that takes a
 * durable write in one command wins with the first, one whose cache is flushed for many writes at
 * once may win with the second. So a start tries both, the way the log will write: through a ring
 * of the same backend, as many writes at once as groups may be in flight, to a file that was
 * filled and synced before.
 *
 *     open the scratch file twice, fill, sync
 *     DSYNC | fdatasync | DSYNC | fdatasync | ...      a turn: write all at once, wait for all
 *     compare the medians of the turns, the first one of each left out
 *
 * Turns alternate, so that what else the disk does meanwhile weighs on both. No turn begins once
 * the time is over; what is known by then decides. The scratch file is removed at the end, and at
 * the beginning, where a start that was killed may have left it; its name is not that of a log.
 *
 * Threads: one, whose the ring is.
 * Memory:  some buffers while it runs.
 */
#ifndef STORAGE_LOG_SYNC_CALIBRATION_H
#define STORAGE_LOG_SYNC_CALIBRATION_H

#include "storage/log/log.h"

enum { SYNC_CALIBRATION_ROUNDS = 8 };

struct sync_calibration_options {
    struct io *io;
    struct io_ring *ring; /* nothing else may be under way in it */
    const char *dir;      /* of the log */
    uint32_t groups_in_flight_max;
};

struct sync_calibration {
    enum log_sync_method method;
    uint32_t rounds;  /* that were compared; 0: nothing was measured */
    int64_t dsync_us; /* medians: all groups in flight, from the first write to the last answer */
    int64_t fdatasync_us;
};

/* Measures. IO_ERROR, DISK_FULL or another status where the disk or the ring refuses: the method
 * is then the default, DSYNC. Either way nothing is left in the folder. */
FST_MUST_USE enum fst_status sync_calibration_run(struct sync_calibration *calibration_out,
                                                  const struct sync_calibration_options *options,
                                                  struct fst_error *error);

/* Only removes what a start that was killed may have left. */
void sync_calibration_clean(struct io *io, const char *dir);

#endif
