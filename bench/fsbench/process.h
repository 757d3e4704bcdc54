/*
 * process: which processors a process runs on, and how much of them it has used.
 *
 * Threads: any. Memory: the caller's.
 */
#ifndef FSBENCH_PROCESS_H
#define FSBENCH_PROCESS_H

#include <stdint.h>

#include "fstore/status.h"

enum { PROCESS_THREADS_MAX = 256 };

/* Processor time of each thread of a process; threads beyond the maximum are left out. */
struct process_times {
    uint32_t threads_count;
    struct {
        uint32_t id;
        uint64_t cpu_ns;
    } threads[PROCESS_THREADS_MAX];
};

/* Pins all present threads of `pid` (0: this process) to one processor. FST_INVALID, FST_NOT_FOUND.
 * */
FST_MUST_USE enum fst_status process_pin(uint32_t pid, uint32_t cpu, struct fst_error *error);

/* User and system time so far, in steps of the kernel's clock tick; 0 if there is no such process.
 * */
uint64_t process_cpu_ns(uint32_t pid);

/* The same by thread; no threads if there is no such process. */
void process_times_get(uint32_t pid, struct process_times *times_out);

/* The most that any one thread has used between the two. */
uint64_t process_times_busiest_ns(const struct process_times *before,
                                  const struct process_times *after);

#endif
