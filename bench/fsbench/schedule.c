#include "bench/fsbench/schedule.h"

#include <math.h>

#include "base/assert.h"
#include "bench/fsbench/key_stream.h"

void schedule_init(struct schedule *schedule, const struct schedule_options *options) {
    FST_ASSERT(options->rate > 0);
    schedule->options = *options;
    schedule->draws_count = 0;
    schedule->due_offset = 0;
    schedule->due_ns = options->begin_ns;
    schedule->full_ns = 0;
    schedule->held_count = 0;
    histogram_init(&schedule->lateness_ns);
}

bool schedule_has_more(const struct schedule *schedule) {
    return schedule->due_ns < schedule->options.end_ns;
}

bool schedule_is_due(const struct schedule *schedule, uint64_t now_ns) {
    return schedule->due_ns <= now_ns && schedule_has_more(schedule);
}

uint64_t schedule_get(struct schedule *schedule) {
    const struct schedule_options *options = &schedule->options;
    uint64_t due_ns = schedule->due_ns;
    double gap = 1e9 / options->rate;
    if (options->is_poisson) {
        double u = mix_double(mix_u64(options->seed + schedule->draws_count++));
        gap *= -log(1 - u);
    }
    schedule->due_offset += gap;
    schedule->due_ns = options->begin_ns + (uint64_t)schedule->due_offset;
    return due_ns;
}

void schedule_put_full(struct schedule *schedule, uint64_t now_ns) {
    schedule->full_ns = now_ns;
}

void schedule_put_sent(struct schedule *schedule, uint64_t due_ns, uint64_t sent_ns) {
    if (schedule->full_ns && due_ns <= schedule->full_ns)
        schedule->held_count++;
    else
        histogram_put(&schedule->lateness_ns, sent_ns > due_ns ? sent_ns - due_ns : 0);
}

uint64_t schedule_drain(struct schedule *schedule) {
    uint64_t count = 0;
    for (; schedule_has_more(schedule); schedule_get(schedule)) count++;
    return count;
}
