#include "bench/fsbench/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BAR_CELLS = 30, REDRAW_US = 100000 };

void progress_open(struct progress *progress, struct io *io, const char *title, const char *unit) {
    *progress = (struct progress){.io = io, .title = title, .unit = unit};
    progress->start_us = io_monotonic_us(io);
    progress->is_on = isatty(STDERR_FILENO) == 1;
}

void progress_put(void *context, uint64_t done, uint64_t total) {
    struct progress *progress = context;
    if (!progress->is_on || total == 0) return;
    int64_t now_us = io_monotonic_us(progress->io);
    if (done < total && now_us - progress->shown_us < REDRAW_US) return;
    progress->shown_us = now_us;
    double seconds = (double)(now_us - progress->start_us) / 1e6;
    double rate = seconds > 0 ? (double)done / seconds : 0;
    double left = rate > 0 ? (double)(total - done) / rate : 0;
    char bar[BAR_CELLS + 1];
    size_t cells = (size_t)((double)BAR_CELLS * (double)done / (double)total);
    memset(bar, ' ', BAR_CELLS);
    memset(bar, '#', cells);
    bar[BAR_CELLS] = 0;
    fprintf(stderr, "\r%s [%s] %3.0f %%  %.0f %s/s  %.0f s left ", progress->title, bar,
            100.0 * (double)done / (double)total, rate, progress->unit, left);
}

void progress_close(struct progress *progress) {
    if (progress->is_on && progress->shown_us) fprintf(stderr, "\n");
}
