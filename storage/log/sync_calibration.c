#include "storage/log/sync_calibration.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"

enum {
    PATH_BYTES = 4096,
    GROUP_BYTES = 16 << 10, /* some forty rows of 400 bytes; a sync costs about the same for more */
    TURNS_MAX = SYNC_CALIBRATION_ROUNDS + 1, /* the first one of each method warms up */
    TIME_MAX_US = 200000,
    METHODS_COUNT = 2,
    NO_FILE = -1,
};

struct trial {
    const struct sync_calibration_options *options;
    char path[PATH_BYTES];
    uint8_t *group;
    io_file files[METHODS_COUNT]; /* by enum log_sync_method */
    int64_t turns_us[METHODS_COUNT][TURNS_MAX];
    uint32_t turns_count; /* of each method */
};

/* ---- the scratch file ---- */

static bool scratch_path(const char *dir, char path_out[PATH_BYTES]) {
    int length = snprintf(path_out, PATH_BYTES, "%s/sync-calibration", dir);
    return length > 0 && length < PATH_BYTES;
}

/* Filled as the files of a log are, so that no turn has to give a block its place. The bytes are
 * random: some disks save themselves the writing of zeros. */
static int scratch_fill(struct trial *trial) {
    const struct sync_calibration_options *options = trial->options;
    struct io *io = options->io;
    io_file file = trial->files[LOG_SYNC_FDATASYNC];
    io->ops->random(io, trial->group, GROUP_BYTES);
    for (uint32_t i = 0; i < options->groups_in_flight_max; i++) {
        uint64_t offset = (uint64_t)i * GROUP_BYTES;
        int result = io_write_full(io, file, trial->group, GROUP_BYTES, offset);
        if (result < 0) return result;
    }
    return io->ops->sync(io, file);
}

static int scratch_open(struct trial *trial) {
    struct io *io = trial->options->io;
    int flags = IO_OPEN_WRITE | IO_OPEN_DIRECT;
    int result = io->ops->open(io, trial->path, flags | IO_OPEN_CREATE | IO_OPEN_EXCLUSIVE,
                               &trial->files[LOG_SYNC_FDATASYNC]);
    if (result < 0) return result;
    result = io->ops->open(io, trial->path, flags | IO_OPEN_DSYNC, &trial->files[LOG_SYNC_DSYNC]);
    if (result < 0) return result;
    return scratch_fill(trial);
}

static void scratch_remove(struct trial *trial) {
    struct io *io = trial->options->io;
    for (int m = 0; m < METHODS_COUNT; m++) {
        if (trial->files[m] != NO_FILE) (void)io->ops->close(io, trial->files[m]);
    }
    (void)io->ops->unlink(io, trial->path);
}

/* ---- turns ---- */

/* Waits for all writes, whatever becomes of them: their bytes are borrowed until then. */
static int writes_wait(struct io_ring *ring, uint32_t count) {
    int failure = 0;
    while (count > 0) {
        struct io_ring_completion completions[LOG_GROUPS_IN_FLIGHT_MAX];
        int stored = ring->ops->wait(ring, completions, LOG_GROUPS_IN_FLIGHT_MAX, -1);
        if (stored < 0) return stored;
        for (int i = 0; i < stored; i++) {
            FST_ASSERT(completions[i].event == IO_RING_WRITTEN);
            if (completions[i].result < 0) failure = completions[i].result;
        }
        count -= (uint32_t)stored;
    }
    return failure;
}

static int turn_run(struct trial *trial, enum log_sync_method method) {
    const struct sync_calibration_options *options = trial->options;
    struct io_ring *ring = options->ring;
    int64_t begin_us = io_monotonic_us(options->io);
    uint32_t count = 0;
    int refusal = 0;
    while (refusal == 0 && count < options->groups_in_flight_max) {
        const struct io_ring_write write = {.file = trial->files[method],
                                            .data = trial->group,
                                            .bytes = GROUP_BYTES,
                                            .offset = (uint64_t)count * GROUP_BYTES,
                                            .is_dsync = method == LOG_SYNC_DSYNC};
        refusal = ring->ops->write(ring, &write, count);
        count += refusal == 0;
    }
    int result = writes_wait(ring, count);
    trial->turns_us[method][trial->turns_count] = io_monotonic_us(options->io) - begin_us;
    return refusal < 0 ? refusal : result;
}

static int turns_run(struct trial *trial, int64_t until_us) {
    struct io *io = trial->options->io;
    while (trial->turns_count < TURNS_MAX) {
        for (int m = 0; m < METHODS_COUNT; m++) {
            if (io_monotonic_us(io) >= until_us) return 0;
            int result = turn_run(trial, (enum log_sync_method)m);
            if (result < 0) return result;
        }
        trial->turns_count += 1;
    }
    return 0;
}

/* ---- the choice ---- */

static int us_compare(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int64_t median_us(int64_t *turns_us, uint32_t count) {
    qsort(turns_us, count, sizeof *turns_us, us_compare);
    return (turns_us[(count - 1) / 2] + turns_us[count / 2]) / 2;
}

/* Between equals it is DSYNC, one request a group instead of two: fdatasync must take a tenth less,
 * so that chance does not decide. */
static void method_choose(struct trial *trial, struct sync_calibration *calibration_out) {
    if (trial->turns_count == 0) return;
    uint32_t skipped = trial->turns_count > 1;
    uint32_t rounds = trial->turns_count - skipped;
    int64_t dsync_us = median_us(trial->turns_us[LOG_SYNC_DSYNC] + skipped, rounds);
    int64_t fdatasync_us = median_us(trial->turns_us[LOG_SYNC_FDATASYNC] + skipped, rounds);
    bool is_faster = fdatasync_us < dsync_us - dsync_us / 10;
    *calibration_out = (struct sync_calibration){
        .method = is_faster ? LOG_SYNC_FDATASYNC : LOG_SYNC_DSYNC,
        .rounds = rounds,
        .dsync_us = dsync_us,
        .fdatasync_us = fdatasync_us,
    };
}

void sync_calibration_clean(struct io *io, const char *dir) {
    char path[PATH_BYTES];
    if (scratch_path(dir, path)) (void)io->ops->unlink(io, path);
}

enum fst_status sync_calibration_run(struct sync_calibration *calibration_out,
                                     const struct sync_calibration_options *options,
                                     struct fst_error *error) {
    FST_ASSERT(options->groups_in_flight_max >= 1);
    FST_ASSERT(options->groups_in_flight_max <= LOG_GROUPS_IN_FLIGHT_MAX);
    *calibration_out = (struct sync_calibration){.method = LOG_SYNC_DSYNC};
    struct io *io = options->io;
    struct trial trial = {.options = options, .files = {NO_FILE, NO_FILE}};
    if (!scratch_path(options->dir, trial.path)) {
        return fst_error_set(error, FST_INVALID, "the name of the log folder is too long");
    }
    int64_t until_us = io_monotonic_us(io) + TIME_MAX_US;
    sync_calibration_clean(io, options->dir);
    trial.group = aligned_alloc(IO_BLOCK_BYTES, GROUP_BYTES);
    int result = trial.group ? scratch_open(&trial) : -ENOMEM;
    if (result == 0) result = turns_run(&trial, until_us);
    scratch_remove(&trial);
    free(trial.group);
    if (result < 0) {
        return fst_error_set(error, fst_status_from_errno(result), "%s: %s", trial.path,
                             strerror(-result));
    }
    method_choose(&trial, calibration_out);
    return FST_OK;
}
