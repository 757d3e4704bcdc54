#include "bench/fsbench/settings.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/units.h"
#include "bench/fsbench/command.h"
#include "bench/fsbench/json_text.h"
#include "bench/fsbench/objective.h"
#include "bench/fsbench/process.h"

static const struct option_spec shared_specs[] = {
#define SPEC(name, ...) OPTION_SPEC(struct load_settings, name, __VA_ARGS__)
    LOAD_SETTINGS(SPEC)
#undef SPEC
};

enum { INTERVAL_US_MIN = 1000 };
enum { SHARED_COUNT = sizeof shared_specs / sizeof shared_specs[0] };

bool settings_get(const struct settings_table *table, int argc, char **argv, void *values,
                  int *exit_out) {
    struct option_spec specs[OPTIONS_MAX];
    uint32_t specs_count = SHARED_COUNT + table->own_count;
    FST_ASSERT(specs_count <= OPTIONS_MAX);
    memcpy(specs, shared_specs, sizeof shared_specs);
    memcpy(specs + SHARED_COUNT, table->own, table->own_count * sizeof specs[0]);
    if (command_is_help(argc, argv)) {
        printf("usage: fsbench %s [options]\n\n%s\n", table->command, table->help);
        options_help(specs, specs_count, stdout);
        *exit_out = EXIT_DONE;
        return false;
    }
    struct options options;
    struct fst_error error = {.status = FST_OK};
    options_init(&options, specs, specs_count, values);
    if (options_parse_arguments(&options, argc, argv, &error) == FST_OK) return true;
    fprintf(stderr, "fsbench %s: %s\nTry 'fsbench %s --help'.\n", table->command, error.text,
            table->command);
    *exit_out = EXIT_USAGE;
    return false;
}

static enum fst_status miss_decode(const char *text, double *share_out, struct fst_error *error) {
    char *end;
    double percent = strtod(text, &end);
    if (end > text && strcmp(end, "%") == 0 && percent >= 0 && percent <= 100) {
        *share_out = percent / 100;
        return FST_OK;
    }
    return fst_error_set(error, FST_INVALID,
                         "--miss: expected a share from 0%% to 100%%, found %.64s", text);
}

enum fst_status settings_keys_decode(const struct load_settings *settings,
                                     struct key_stream *keys_out, struct fst_error *error) {
    double exponent = 0;
    bool is_good = strcmp(settings->keys, "uniform") == 0;
    if (strncmp(settings->keys, "zipf:", 5) == 0) {
        char *end;
        exponent = strtod(settings->keys + 5, &end);
        is_good = end > settings->keys + 5 && *end == 0 && exponent >= 0 && exponent <= 0.999;
    }
    if (!is_good)
        return fst_error_set(
            error, FST_INVALID,
            "--keys: expected uniform or zipf:S with S from 0 to 0.999, found %.64s",
            settings->keys);
    key_stream_init(keys_out, settings->entities, exponent);
    keys_out->first = settings->first;
    return miss_decode(settings->miss, &keys_out->miss_share, error);
}

enum fst_status settings_check(const struct load_settings *settings, struct fst_error *error) {
    if (settings->interval && settings->interval < INTERVAL_US_MIN)
        return fst_error_set(error, FST_INVALID, "--interval: expected at least 1ms");
    struct objective objective;
    if (settings->find_max) FST_TRY(objective_decode(settings->slo, &objective, error));
    if (settings->slo[0] && !settings->find_max)
        return fst_error_set(error, FST_INVALID, "--slo needs --find-max");
    if (settings->find_max && settings->duration == 0)
        return fst_error_set(error, FST_INVALID, "--find-max needs a --duration");
    if (settings->find_max && (settings->interval || settings->hdr_log[0]))
        return fst_error_set(
            error, FST_INVALID,
            "--find-max has no --interval and no --hdr-log: run again with --rate");
    return FST_OK;
}

static enum fst_status cpu_pin(const char *text, uint32_t pid, struct fst_error *error) {
    uint64_t cpu;
    FST_TRY(count_parse(text, &cpu, error));
    return process_pin(pid, cpu > UINT32_MAX ? UINT32_MAX : (uint32_t)cpu, error);
}

enum fst_status settings_pin(const struct load_settings *settings, struct fst_error *error) {
    if (settings->server_cpu[0] && settings->server_pid == 0)
        return fst_error_set(error, FST_INVALID, "--server-cpu needs --server-pid");
    if (settings->server_cpu[0])
        FST_TRY(cpu_pin(settings->server_cpu, (uint32_t)settings->server_pid, error));
    if (settings->cpu[0]) FST_TRY(cpu_pin(settings->cpu, 0, error));
    return FST_OK;
}

int settings_exit_of(enum fst_status status) {
    switch (status) {
    case FST_OK:
        return EXIT_DONE;
    case FST_INVALID:
        return EXIT_USAGE;
    case FST_CLOSED:
        return EXIT_NO_SERVER;
    default:
        return EXIT_FAILED;
    }
}

static void specs_json_dump(const struct option_spec *specs, uint32_t specs_count,
                            const void *values, FILE *out) {
    for (uint32_t i = 0; i < specs_count; i++) {
        const struct option_spec *spec = &specs[i];
        if (strcmp(spec->name, SETTINGS_SECRET) == 0) continue;
        fprintf(out, "%s\"%s\":", spec->offset > 0 ? "," : "", spec->name);
        if (spec->kind == OPTION_TEXT) {
            json_text_dump((const char *)values + spec->offset, out);
            continue;
        }
        fputc('"', out);
        options_value_dump(values, spec, out);
        fputc('"', out);
    }
}

void settings_json_dump(const struct settings_table *table, const void *values, FILE *out) {
    fprintf(out, "\"options\":{");
    specs_json_dump(shared_specs, SHARED_COUNT, values, out);
    specs_json_dump(table->own, table->own_count, values, out);
    fprintf(out, "}");
}
