#include "server/cpu_list.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

static int cpus_of_process(int *cpus_out) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 0;
    int count = 0;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET((size_t)cpu, &set)) cpus_out[count++] = cpu;
    }
    return count;
}

/* A number at *at, which is moved behind it; -1 if there is none. */
static int number_read(const char **at) {
    char *end;
    if (**at < '0' || **at > '9') return -1;
    long value = strtol(*at, &end, 10);
    if (value >= CPU_SETSIZE) return -1;
    *at = end;
    return (int)value;
}

/* "0,2-5" to numbers; 0 when it is malformed. */
static int list_read(const char *text, int *cpus_out) {
    int count = 0;
    for (const char *at = text;; at++) {
        int first = number_read(&at);
        int last = first;
        if (first >= 0 && *at == '-') {
            at += 1;
            last = number_read(&at);
        }
        if (first < 0 || last < first) return 0;
        for (int cpu = first; cpu <= last && count < CPU_SETSIZE; cpu++) cpus_out[count++] = cpu;
        if (*at == 0) return count;
        if (*at != ',') return 0;
    }
}

enum fst_status cpu_list_decode(const char *text, uint32_t shards_count, int *cpus_out,
                                struct fst_error *error) {
    int cpus[CPU_SETSIZE];
    int count = 0;
    if (strcmp(text, "auto") == 0) {
        count = cpus_of_process(cpus);
        if ((uint32_t)count < shards_count) count = 0;
    } else if (strcmp(text, "none") != 0) {
        count = list_read(text, cpus);
        if (count == 0) {
            return fst_error_set(error, FST_INVALID,
                                 "--pin: expected auto, none or a list such as 0,2-5, found '%s'",
                                 text);
        }
    }
    for (uint32_t s = 0; s < shards_count; s++) {
        cpus_out[s] = count > 0 ? cpus[s % (uint32_t)count] : -1;
    }
    return FST_OK;
}
