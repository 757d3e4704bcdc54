#include "tools/fsctl/progress.h"

#include <inttypes.h>

enum { BAR_CELLS = 24 };

static const int64_t show_us = 100000;
static const double us_per_second = 1e6;

void ctl_progress_init(struct ctl_progress *progress, FILE *out, uint64_t total, int64_t now_us) {
    *progress =
        (struct ctl_progress){.out = out, .total = total, .begin_us = now_us, .shown_us = now_us};
}

static void bar_print(const struct ctl_progress *progress, uint64_t done, double seconds) {
    double part = (double)done / (double)progress->total;
    if (part > 1) part = 1;
    int full = (int)(part * BAR_CELLS);
    fputc('[', progress->out);
    for (int i = 0; i < BAR_CELLS; i++) fputc(i < full ? '#' : '.', progress->out);
    fprintf(progress->out, "] %3.0f %%  ", part * 100);
    if (part <= 0) return;
    uint64_t left = (uint64_t)(seconds / part - seconds + 0.5);
    fprintf(progress->out, "%" PRIu64 ":%02" PRIu64 " left  ", left / 60, left % 60);
}

void ctl_progress_put(struct ctl_progress *progress, uint64_t done, uint64_t rows, int64_t now_us) {
    if (!progress->out || now_us - progress->shown_us < show_us) return;
    double seconds = (double)(now_us - progress->begin_us) / us_per_second;
    progress->shown_us = now_us;
    fputc('\r', progress->out);
    if (progress->total > 0) bar_print(progress, done, seconds);
    fprintf(progress->out, "%" PRIu64 " rows  %.0f rows/s\033[K", rows, (double)rows / seconds);
    fflush(progress->out);
}

void ctl_progress_deinit(struct ctl_progress *progress) {
    if (progress->out && progress->shown_us != progress->begin_us) {
        fputs("\r\033[K", progress->out);
        fflush(progress->out);
    }
    progress->out = NULL;
}
