#include "bench/fsbench/process.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STAT_BYTES = 1024, STAT_FIELDS_BEFORE_TIMES = 11, PATH_BYTES = 64 };

static enum fst_status thread_pin(pid_t thread, uint32_t cpu, struct fst_error *error) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(thread, sizeof set, &set) == 0) return FST_OK;
    return fst_error_set(error, FST_INVALID, "cannot pin to processor %u: %s", cpu,
                         strerror(errno));
}

enum fst_status process_pin(uint32_t pid, uint32_t cpu, struct fst_error *error) {
    if (cpu >= CPU_SETSIZE)
        return fst_error_set(error, FST_INVALID, "expected a processor below %d, found %u",
                             CPU_SETSIZE, cpu);
    char path[64];
    if (pid) snprintf(path, sizeof path, "/proc/%u/task", pid);
    DIR *folder = opendir(pid ? path : "/proc/self/task");
    if (!folder) return fst_error_set(error, FST_NOT_FOUND, "no process %u", pid);
    enum fst_status status = FST_OK;
    for (struct dirent *entry; status == FST_OK && (entry = readdir(folder));) {
        pid_t thread = (pid_t)strtol(entry->d_name, NULL, 10);
        if (thread > 0) status = thread_pin(thread, cpu, error);
    }
    closedir(folder);
    return status;
}

/* User and system time in the text of a file `stat` under /proc. */
static uint64_t stat_cpu_ns(const char *path) {
    char text[STAT_BYTES];
    FILE *file = fopen(path, "r");
    if (!file) return 0;
    size_t bytes = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[bytes] = 0;
    char *at = strrchr(text, ')'); /* the name before it may hold anything */
    for (int i = 0; at && i <= STAT_FIELDS_BEFORE_TIMES; i++) at = strchr(at + 1, ' ');
    unsigned long long user, system;
    if (!at || sscanf(at, "%llu %llu", &user, &system) != 2) return 0;
    return (user + system) * (1000000000u / (uint64_t)sysconf(_SC_CLK_TCK));
}

uint64_t process_cpu_ns(uint32_t pid) {
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "/proc/%u/stat", pid);
    return stat_cpu_ns(path);
}

void process_times_get(uint32_t pid, struct process_times *times_out) {
    char path[PATH_BYTES];
    times_out->threads_count = 0;
    snprintf(path, sizeof path, "/proc/%u/task", pid);
    DIR *folder = opendir(path);
    if (!folder) return;
    for (struct dirent *entry; (entry = readdir(folder));) {
        uint32_t count = times_out->threads_count;
        uint32_t id = (uint32_t)strtoul(entry->d_name, NULL, 10);
        if (id == 0 || count == PROCESS_THREADS_MAX) continue;
        snprintf(path, sizeof path, "/proc/%u/task/%u/stat", pid, id);
        times_out->threads[count].id = id;
        times_out->threads[count].cpu_ns = stat_cpu_ns(path);
        times_out->threads_count++;
    }
    closedir(folder);
}

static uint64_t thread_cpu_ns(const struct process_times *times, uint32_t id) {
    for (uint32_t i = 0; i < times->threads_count; i++) {
        if (times->threads[i].id == id) return times->threads[i].cpu_ns;
    }
    return 0;
}

uint64_t process_times_busiest_ns(const struct process_times *before,
                                  const struct process_times *after) {
    uint64_t busiest_ns = 0;
    for (uint32_t i = 0; i < after->threads_count; i++) {
        uint64_t used_ns = after->threads[i].cpu_ns - thread_cpu_ns(before, after->threads[i].id);
        if (used_ns > busiest_ns) busiest_ns = used_ns;
    }
    return busiest_ns;
}
