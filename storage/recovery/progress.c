#include "storage/recovery/progress.h"

void progress_init(struct progress *progress, const struct recovery_options *options) {
    *progress = (struct progress){.options = options};
    pthread_mutex_init(&progress->lock, NULL);
}

void progress_deinit(struct progress *progress) {
    pthread_mutex_destroy(&progress->lock);
}

static void tell(struct progress *progress) {
    const struct recovery_options *options = progress->options;
    if (!options->progress || pthread_mutex_trylock(&progress->lock) != 0) return;
    struct recovery_progress told = {
        .phase = progress->phase,
        .done = atomic_load(&progress->done),
        .total = atomic_load(&progress->total),
    };
    if (told.done > told.total) told.total = told.done;
    bool goes_on = options->progress(options->progress_context, &told);
    if (!goes_on) atomic_store(&progress->is_stopped, true);
    pthread_mutex_unlock(&progress->lock);
}

static enum fst_status told(struct progress *progress) {
    tell(progress);
    return atomic_load(&progress->is_stopped) ? FST_CLOSED : FST_OK;
}

enum fst_status progress_put(struct progress *progress, enum recovery_phase phase, uint64_t done,
                             uint64_t total) {
    progress->phase = phase;
    atomic_store(&progress->done, done);
    atomic_store(&progress->total, total);
    return told(progress);
}

enum fst_status progress_add(struct progress *progress, uint64_t more) {
    atomic_fetch_add(&progress->done, more);
    return told(progress);
}
