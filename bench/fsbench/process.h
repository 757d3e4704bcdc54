/*
 * process: which processors a process runs on, and how much of them it has used.
 *
 * Threads: any. Memory: none.
 */
#ifndef FSBENCH_PROCESS_H
#define FSBENCH_PROCESS_H

#include <stdint.h>

#include "fstore/status.h"

/* Pins all present threads of `pid` (0: this process) to one processor. FST_INVALID, FST_NOT_FOUND.
 * */
FST_MUST_USE enum fst_status process_pin(uint32_t pid, uint32_t cpu, struct fst_error *error);

/* User and system time so far, in steps of the kernel's clock tick; 0 if there is no such process.
 * */
uint64_t process_cpu_ns(uint32_t pid);

#endif
