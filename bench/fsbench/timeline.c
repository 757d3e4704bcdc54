#include "bench/fsbench/timeline.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/io.h"
#include "bench/fsbench/latency.h"

enum { NS_PER_US = 1000 };

enum fst_status timeline_open(struct timeline *timeline, const struct load_settings *settings,
                              struct fst_error *error) {
    struct io *io = io_posix();
    *timeline = (struct timeline){.settings = settings, .open_us = io_monotonic_us(io)};
    timeline->objects = open_memstream(&timeline->objects_text, &timeline->objects_bytes);
    if (!timeline->objects) return fst_error_set(error, FST_NO_MEMORY, "no memory");
    if (settings->hdr_log[0] == 0) return FST_OK;
    enum fst_status status = hdr_log_open(settings->hdr_log, io_now_us(io), &timeline->log, error);
    if (status == FST_OK) return FST_OK;
    fclose(timeline->objects);
    free(timeline->objects_text);
    return status;
}

uint64_t timeline_step_ns(const struct timeline *timeline) {
    const struct load_settings *settings = timeline->settings;
    if (settings->interval) return (uint64_t)settings->interval * NS_PER_US;
    return timeline->log ? (uint64_t)settings->duration * NS_PER_US : 0;
}

void timeline_run_begin(struct timeline *timeline) {
    int64_t passed_us = io_monotonic_us(io_posix()) - timeline->open_us;
    timeline->offset_ns = (uint64_t)(passed_us + timeline->settings->warmup) * NS_PER_US;
    timeline->runs_count++;
}

static void text_dump(const struct timeline *timeline, const struct interval *interval) {
    double end_s = (double)(interval->begin_ns + interval->elapsed_ns) / 1e9;
    uint64_t count = interval->read_ns.count + interval->write_ns.count;
    if (timeline->intervals_count == 0) latency_head_dump(stdout);
    printf("  run %u, %.3f s: %.0f /s, %" PRIu64 " refused\n", timeline->runs_count, end_s,
           (double)count * 1e9 / (double)interval->elapsed_ns, interval->refused_count);
    latency_row_dump("read", &interval->read_ns, stdout);
    latency_row_dump("write", &interval->write_ns, stdout);
    fflush(stdout);
}

static void object_dump(struct timeline *timeline, const struct interval *interval) {
    FILE *out = timeline->objects;
    uint64_t count = interval->read_ns.count + interval->write_ns.count;
    fprintf(out, "%s{\"run\":%u,\"begin_s\":%.6f,\"seconds\":%.6f,\"requests_per_s\":%.1f,",
            timeline->intervals_count ? "," : "", timeline->runs_count,
            (double)interval->begin_ns / 1e9, (double)interval->elapsed_ns / 1e9,
            (double)count * 1e9 / (double)interval->elapsed_ns);
    fprintf(out, "\"refused\":%" PRIu64 ",", interval->refused_count);
    latency_json_dump("read", &interval->read_ns, out);
    fprintf(out, ",");
    latency_json_dump("write", &interval->write_ns, out);
    fprintf(out, "}");
}

static void log_put(const struct timeline *timeline, const struct interval *interval) {
    uint64_t begin_ns = timeline->offset_ns + interval->begin_ns;
    if (interval->read_ns.count)
        hdr_log_put(timeline->log, "read", begin_ns, interval->elapsed_ns, &interval->read_ns);
    if (interval->write_ns.count)
        hdr_log_put(timeline->log, "write", begin_ns, interval->elapsed_ns, &interval->write_ns);
}

void timeline_take(void *context, const struct interval *interval) {
    struct timeline *timeline = context;
    if (timeline->log) log_put(timeline, interval);
    if (timeline->settings->interval == 0) return;
    if (timeline->settings->json)
        object_dump(timeline, interval);
    else
        text_dump(timeline, interval);
    timeline->intervals_count++;
}

const char *timeline_objects(struct timeline *timeline) {
    fflush(timeline->objects);
    return timeline->objects_text ? timeline->objects_text : "";
}

enum fst_status timeline_close(struct timeline *timeline, struct fst_error *error) {
    fclose(timeline->objects);
    free(timeline->objects_text);
    return timeline->log ? hdr_log_close(timeline->log, error) : FST_OK;
}
