#include "bench/fsbench/benchmark.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/io.h"
#include "bench/fsbench/command.h"
#include "bench/fsbench/environment.h"
#include "bench/fsbench/find_max.h"
#include "bench/fsbench/json_text.h"
#include "bench/fsbench/measurement.h"
#include "bench/fsbench/progress.h"

enum { TITLE_BYTES = 2048 };

struct load_options benchmark_options_of(const struct load_settings *settings) {
    return (struct load_options){.address = settings->server,
                                 .connections_count = (uint32_t)settings->connections,
                                 .depth = (uint32_t)settings->depth,
                                 .keys_per_read = 1,
                                 .rows_per_write = 1,
                                 .in_time_ns = (uint64_t)settings->in_time * 1000,
                                 .verify = (enum load_verify)settings->verify,
                                 .seed = settings->seed};
}

/* Writes every row once, or reads it back. */
static enum fst_status rows_run(const struct benchmark *benchmark, struct load *load,
                                bool is_read_back, struct load_result *result,
                                struct fst_error *error) {
    struct progress progress;
    progress_open(&progress, io_posix(), is_read_back ? "reading rows back" : "writing rows",
                  "rows");
    struct load_phase phase = {.rows_count = benchmark->settings->entities,
                               .is_read_back = is_read_back,
                               .report = progress_put,
                               .context = &progress};
    enum fst_status status = load_run(load, &phase, result, error);
    progress_close(&progress);
    if (status != FST_OK) return status;
    uint64_t requests_count = result->refused_count + result->writes_count + result->reads_count;
    if (result->refused_count > 0)
        return fst_error_set(error, FST_FULL, "the server refused %" PRIu64 " of %" PRIu64 " %s",
                             result->refused_count, requests_count,
                             is_read_back ? "reads" : "writes");
    if (result->wrong_count > 0)
        return fst_error_set(error, FST_CORRUPT,
                             "%" PRIu64 " of %" PRIu64 " replies have not what was written",
                             result->wrong_count, requests_count);
    fprintf(stderr, "fsbench %s: %" PRIu64 " rows %s in %.1f s\n", benchmark->table->command,
            result->keys_count, is_read_back ? "read back, all as written," : "written",
            (double)result->elapsed_ns / 1e9);
    return FST_OK;
}

/* What a benchmark has in hand while it runs. */
struct course {
    struct environment environment; /* before the load began */
    struct key_stream keys;
    bool has_timeline;
    struct timeline timeline;
    struct find_max find;
    struct floors floors;
    struct measurement measurement;
};

static enum fst_status measure_with(const struct load_settings *settings, struct load *load,
                                    struct course *course, struct fst_error *error) {
    if (settings->find_max)
        return find_max_run(&course->find, load, settings, &course->measurement, error);
    return measurement_run(load, settings, &course->timeline, &course->measurement, error);
}

/* Opens a load, hands it to what it is for, and closes it again. */
static enum fst_status load_use(const struct benchmark *benchmark,
                                const struct load_options *options, struct course *course,
                                struct fst_error *error) {
    struct dialect *dialect;
    struct load *load;
    FST_TRY(benchmark->dialect_create(benchmark, options, &course->keys, &dialect, error));
    enum fst_status status = load_open(options, dialect, &load, error);
    if (status == FST_OK) {
        if (options == &benchmark->measure)
            status = measure_with(benchmark->settings, load, course, error);
        else
            status = rows_run(benchmark, load, options == &benchmark->read_back,
                              &course->measurement.total, error);
        load_close(load);
    }
    dialect->ops->close(dialect);
    return status;
}

static void title_format(const struct benchmark *benchmark, char title_out[TITLE_BYTES]) {
    const struct load_settings *settings = benchmark->settings;
    snprintf(title_out, TITLE_BYTES,
             "fsbench %s: %u connections, %u deep, %u of %" PRIu64 " entities x %" PRIu64
             " float64, %.40s keys",
             benchmark->table->command, benchmark->measure.connections_count,
             benchmark->measure.depth, benchmark->measure.keys_per_read, settings->entities,
             settings->features, settings->keys);
}

static enum fst_status measure(const struct benchmark *benchmark, struct course *course,
                               struct fst_error *error) {
    FST_TRY(timeline_open(&course->timeline, benchmark->settings, error));
    course->has_timeline = true;
    return load_use(benchmark, &benchmark->measure, course, error);
}

/* At the rate that was measured last. */
static enum fst_status floors_measure(const struct benchmark *benchmark, struct course *course,
                                      struct fst_error *error) {
    struct load_settings settings = *benchmark->settings;
    if (settings.find_max) settings.rate = course->find.search.rate;
    return floors_open(&course->floors, &settings, &benchmark->measure, &benchmark->sizes, error);
}

static enum fst_status steps_run(const struct benchmark *benchmark, struct course *course,
                                 struct fst_error *error) {
    const struct load_settings *settings = benchmark->settings;
    environment_get("", &course->environment);
    FST_TRY(settings_check(settings, error));
    if (settings->floors && benchmark->sizes.reply_bytes == 0)
        return fst_error_set(error, FST_INVALID, "--floors: only the reads of fsd have them");
    FST_TRY(settings_keys_decode(settings, &course->keys, error));
    FST_TRY(settings_pin(settings, error));
    if (settings->load) FST_TRY(load_use(benchmark, &benchmark->fill, course, error));
    if (settings->verify_load) FST_TRY(load_use(benchmark, &benchmark->read_back, course, error));
    if (settings->load && benchmark->settle) FST_TRY(benchmark->settle(benchmark, error));
    if (settings->duration == 0) return FST_OK;
    FST_TRY(measure(benchmark, course, error));
    return settings->floors ? floors_measure(benchmark, course, error) : FST_OK;
}

static void json_dump(const struct benchmark *benchmark, const char *title, struct course *course,
                      FILE *out) {
    fprintf(out, "{\"title\":");
    json_text_dump(title, out);
    fprintf(out, ",");
    measurement_json_dump(&course->measurement, out);
    if (benchmark->settings->find_max) {
        fprintf(out, ",");
        find_max_json_dump(&course->find, benchmark->settings, out);
    }
    if (benchmark->settings->floors) {
        fprintf(out, ",");
        floors_json_dump(&course->floors, out);
    }
    fprintf(out, ",\"intervals\":[%s],", timeline_objects(&course->timeline));
    environment_json_dump(&course->environment, out);
    fprintf(out, ",\"server\":");
    if (benchmark->facts_json_dump)
        benchmark->facts_json_dump(benchmark, out);
    else
        fprintf(out, "null");
    fprintf(out, ",");
    settings_json_dump(benchmark->table, benchmark->own, out);
    fprintf(out, "}\n");
}

/* Figures that are not the server's are not printed. */
static int report(const struct benchmark *benchmark, struct course *course) {
    char text[TITLE_BYTES];
    if (measurement_refusal(&course->measurement, text, sizeof text)) {
        fprintf(stderr, "fsbench %s: %s\n", benchmark->table->command, text);
    } else {
        title_format(benchmark, text);
        if (benchmark->settings->find_max && !benchmark->settings->json)
            find_max_dump(&course->find, benchmark->settings, stdout);
        if (benchmark->settings->json)
            json_dump(benchmark, text, course, stdout);
        else
            measurement_dump(&course->measurement, text, stdout);
        if (benchmark->settings->floors && !benchmark->settings->json)
            floors_dump(&course->floors, stdout);
    }
    bool is_load_bound = benchmark->settings->find_max && course->find.is_load_bound;
    return is_load_bound ? EXIT_LOAD_BOUND : measurement_exit_of(&course->measurement);
}

int benchmark_run(const struct benchmark *benchmark) {
    struct fst_error error = {.status = FST_OK}, log_error = {.status = FST_OK};
    struct course *course = calloc(1, sizeof *course);
    FST_ASSERT(course != NULL);
    enum fst_status status = steps_run(benchmark, course, &error);
    int exit_code = settings_exit_of(status);
    if (status == FST_NOT_FOUND && course->find.is_load_bound) exit_code = EXIT_LOAD_BOUND;
    if (status != FST_OK)
        fprintf(stderr, "fsbench %s: %s\n", benchmark->table->command, error.text);
    else if (benchmark->settings->duration > 0)
        exit_code = report(benchmark, course);
    if (course->has_timeline && timeline_close(&course->timeline, &log_error) != FST_OK) {
        fprintf(stderr, "fsbench %s: %s\n", benchmark->table->command, log_error.text);
        exit_code = EXIT_FAILED;
    }
    floors_close(&course->floors);
    free(course);
    return exit_code;
}
