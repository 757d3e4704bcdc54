#include "jobs/keeper.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/logger.h"

enum { STEP_US = 20000, SHARDS_MAX = 128, DURABLE_WAIT_US = 10 * 1000 * 1000 };

struct keeper {
    struct keeper_options options;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    bool is_stopping;
    bool is_failed;
    uint64_t asked; /* checkpoints asked for */
    uint64_t begun;
    uint64_t done;
    enum fst_status last_status;
    char last_text[FST_ERROR_TEXT_BYTES];
    enum fst_status prepared[SHARDS_MAX]; /* the last attempts at log files; the thread's */
};

enum fst_status keeper_create(struct keeper **keeper_out, const struct keeper_options *options) {
    FST_ASSERT(options->shards_count <= SHARDS_MAX);
    struct keeper *keeper = calloc(1, sizeof *keeper);
    if (!keeper) return FST_NO_MEMORY;
    keeper->options = *options;
    pthread_mutex_init(&keeper->lock, NULL);
    pthread_cond_init(&keeper->changed, NULL);
    *keeper_out = keeper;
    return FST_OK;
}

void keeper_destroy(struct keeper *keeper) {
    if (!keeper) return;
    pthread_cond_destroy(&keeper->changed);
    pthread_mutex_destroy(&keeper->lock);
    free(keeper);
}

/* Whatever the reason is that no file can be made: without one a log is stuck sooner or later, and
 * writers must be told. The reason is logged when it is a new one. */
static void files_prepare(struct keeper *keeper) {
    struct keeper_options *o = &keeper->options;
    bool is_full = false;
    for (uint32_t s = 0; s < o->shards_count; s++) {
        enum fst_status status = log_prepare_file(o->logs[s]);
        if (status != FST_OK) is_full = true;
        if (status != keeper->prepared[s] && status != FST_OK && status != FST_DISK_FULL) {
            log_error("log.prepare_failed", "shard=%u status=%s", s, fst_status_name(status));
        }
        keeper->prepared[s] = status;
    }
    bool was_full = atomic_exchange(o->is_disk_full, is_full);
    if (is_full && !was_full) log_warn("disk.full", "action=refuse_writes");
    if (!is_full && was_full) log_info("disk.room", "action=take_writes");
}

/* Rows on their way to the log may, too: a checkpoint goes on making files. Places that were freed
 * meanwhile may be used again: rows that are evicted make no room otherwise until it ends. */
static void keeper_idle(void *context) {
    struct keeper *keeper = context;
    const struct keeper_options *o = &keeper->options;
    epoch_leave(o->epoch, o->epoch_seat);
    files_prepare(keeper);
    epoch_enter(o->epoch, o->epoch_seat);
}

/* A change on its way to the log may wait for a file that only this thread makes. */
static void change_lock_take(struct keeper *keeper) {
    struct io *io = keeper->options.store->io;
    while (pthread_mutex_trylock(keeper->options.change_lock) != 0) {
        files_prepare(keeper);
        io->ops->sleep_us(io, STEP_US);
    }
}

/* Where the logs of this start are. */
static void positions_get(struct keeper *keeper, struct log_position positions_out[SHARDS_MAX]) {
    const struct keeper_options *o = &keeper->options;
    change_lock_take(keeper); /* K2 */
    for (uint32_t s = 0; s < o->shards_count; s++) {
        positions_out[s] = (struct log_position){
            .epoch = o->store->epoch,
            .shard = s,
            .group = atomic_load_explicit(&o->applied_groups[s], memory_order_acquire), /* K1 */
        };
    }
    pthread_mutex_unlock(o->change_lock);
}

static enum fst_status checkpoint_once(struct keeper *keeper, struct fst_error *error) {
    struct keeper_options *o = &keeper->options;
    struct log_position positions[SHARDS_MAX];
    positions_get(keeper, positions);
    epoch_enter(o->epoch, o->epoch_seat);
    struct checkpoint_options options = {
        .meta = o->store->meta,
        .changes = o->store->changes,
        .partitions = o->store->partitions,
        .partitions_count = o->store->partitions_count,
        .catalog = o->catalog,
        .context = o->context,
        .done_epoch = o->store->done_epoch,
        .positions = positions,
        .positions_count = o->shards_count,
        .io = o->store->io,
        .wait_us = DURABLE_WAIT_US,
        .idle = keeper_idle,
        .idle_context = keeper,
    };
    int64_t start_us = io_monotonic_us(o->store->io);
    uint64_t rows = 0;
    enum fst_status status = checkpoint_run(&options, &rows, error);
    epoch_leave(o->epoch, o->epoch_seat);
    if (status != FST_OK) {
        log_error("checkpoint.failed", "status=%s text=\"%s\"", fst_status_name(status),
                  error->text);
        return status;
    }
    atomic_store(o->checkpoint_us, io_now_us(o->store->io));
    metrics_add(o->metrics, METRIC_CHECKPOINTS, 1);
    metrics_add(o->metrics, METRIC_CHECKPOINT_ROWS, rows);
    log_debug("checkpoint.done", "rows=%llu took_us=%lld", (unsigned long long)rows,
              (long long)(io_monotonic_us(o->store->io) - start_us));
    return FST_OK;
}

static int log_file_count(void *context, const char *name) {
    uint64_t *count = context;
    size_t bytes = strlen(name);
    *count += bytes > 4 && strcmp(name + bytes - 4, ".log") == 0;
    return 0;
}

/* Files come and go seldom: looking for them at each checkpoint is enough. */
static void log_files_count(struct keeper *keeper) {
    struct keeper_options *o = &keeper->options;
    struct io *io = o->store->io;
    uint64_t count = 0;
    if (io->ops->list(io, o->store->log_dir, log_file_count, &count) != 0) return;
    metrics_add(o->metrics, METRIC_LOG_FILES, count - metrics_get(o->metrics, METRIC_LOG_FILES));
}

static void checkpoint_answer(struct keeper *keeper) {
    struct fst_error error = {.text = ""};
    pthread_mutex_lock(&keeper->lock);
    keeper->begun = keeper->asked;
    pthread_mutex_unlock(&keeper->lock);
    enum fst_status status = checkpoint_once(keeper, &error);
    log_files_count(keeper);
    pthread_mutex_lock(&keeper->lock);
    keeper->done = keeper->begun;
    keeper->last_status = status;
    memcpy(keeper->last_text, error.text, sizeof keeper->last_text);
    pthread_cond_broadcast(&keeper->changed);
    pthread_mutex_unlock(&keeper->lock);
}

void keeper_run(struct keeper *keeper) {
    struct io *io = keeper->options.store->io;
    int64_t next_us = io_monotonic_us(io) + keeper->options.interval_us;
    log_files_count(keeper);
    for (;;) {
        pthread_mutex_lock(&keeper->lock);
        bool is_stopping = keeper->is_stopping;
        bool is_failed = keeper->is_failed;
        bool is_asked = keeper->asked > keeper->done;
        pthread_mutex_unlock(&keeper->lock);
        if (is_stopping && is_failed) return;
        bool is_wanted = atomic_exchange(keeper->options.is_wanted, false);
        if (is_stopping || is_asked || is_wanted || io_monotonic_us(io) >= next_us) {
            checkpoint_answer(keeper);
            next_us = io_monotonic_us(io) + keeper->options.interval_us;
        }
        if (is_stopping) return;
        files_prepare(keeper);
        io->ops->sleep_us(io, STEP_US);
    }
}

void keeper_stop(struct keeper *keeper, bool is_failed) {
    pthread_mutex_lock(&keeper->lock);
    keeper->is_stopping = true;
    keeper->is_failed = is_failed;
    pthread_cond_broadcast(&keeper->changed);
    pthread_mutex_unlock(&keeper->lock);
}

enum fst_status keeper_checkpoint(struct keeper *keeper, struct fst_error *error) {
    pthread_mutex_lock(&keeper->lock);
    uint64_t wanted = ++keeper->asked;
    while (keeper->done < wanted && !keeper->is_stopping) {
        pthread_cond_wait(&keeper->changed, &keeper->lock);
    }
    enum fst_status status = keeper->done >= wanted ? keeper->last_status : FST_CLOSED;
    if (status != FST_OK) fst_error_set(error, status, "checkpoint: %s", keeper->last_text);
    pthread_mutex_unlock(&keeper->lock);
    return status;
}
