#include "bench/fsbench/environment.h"

#include <string.h>

#include "bench/fsbench/json_text.h"

enum { PATH_BYTES = 512, LINE_BYTES = 1024 };

static FILE *file_open(const char *root, const char *name) {
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s%s", root, name);
    return fopen(path, "r");
}

static void text_copy(char out[ENVIRONMENT_TEXT_BYTES], const char *text) {
    size_t bytes = strcspn(text, "\n");
    if (bytes >= ENVIRONMENT_TEXT_BYTES) bytes = ENVIRONMENT_TEXT_BYTES - 1;
    memcpy(out, text, bytes);
    out[bytes] = 0;
}

static void line_get(const char *root, const char *name, char out[ENVIRONMENT_TEXT_BYTES]) {
    char line[LINE_BYTES];
    FILE *file = file_open(root, name);
    if (!file) return;
    if (fgets(line, sizeof line, file)) text_copy(out, line);
    fclose(file);
}

/* The first model, and the number of processors. */
static void cpus_get(const char *root, struct environment *environment) {
    char line[LINE_BYTES];
    FILE *file = file_open(root, "/proc/cpuinfo");
    if (!file) return;
    while (fgets(line, sizeof line, file)) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "processor", 9) == 0) environment->cpus_count++;
        if (colon && strncmp(line, "model name", 10) == 0 && environment->cpu_model[0] == 0)
            text_copy(environment->cpu_model, colon + 1 + strspn(colon + 1, " "));
    }
    fclose(file);
}

void environment_get(const char *root, struct environment *environment_out) {
    memset(environment_out, 0, sizeof *environment_out);
    cpus_get(root, environment_out);
    line_get(root, "/proc/sys/kernel/osrelease", environment_out->kernel);
    line_get(root, "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
             environment_out->governor);
    line_get(root, "/proc/loadavg", environment_out->load_average);
    char *end = environment_out->load_average;
    for (int i = 0; end && i < 3; i++) end = strchr(end + (i > 0), ' ');
    if (end) *end = 0;
}

void environment_json_dump(const struct environment *environment, FILE *out) {
    fprintf(out, "\"environment\":{\"fsbench\":\"%s\",\"processors\":%u,\"cpu\":", FST_VERSION_TEXT,
            environment->cpus_count);
    json_text_dump(environment->cpu_model, out);
    fprintf(out, ",\"kernel\":");
    json_text_dump(environment->kernel, out);
    fprintf(out, ",\"governor\":");
    json_text_dump(environment->governor, out);
    fprintf(out, ",\"load_average\":");
    json_text_dump(environment->load_average, out);
    fprintf(out, "}");
}
