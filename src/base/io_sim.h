/*
 * io_sim: a disk, a clock and a source of random bytes that exist only in memory, for tests.
 *
 * The same seed and the same calls give the same run. A file has two images, each cut into sectors
 * of 512 bytes: the volatile one, which all reads see, and the durable one, which a sync brings up
 * to date. Entries of folders are kept the same way: creations, renames and removals wait in order
 * until the folder is synced. A power cut (io_sim_crash) decides by the seed, for each waiting
 * sector, size and entry alone, whether it had reached the disk; the death of the process
 * (io_sim_kill) loses nothing but open files and locks.
 *
 * Paths are plain strings; "." and "/" are there from the start, other folders must be made, and
 * folders are neither renamed nor removed. A mapped file does not grow (-EBUSY). Names
 * under the memory prefix play a file system in memory: never durable, gone after a power cut, and
 * limited only in what is reserved there.
 *
 * Stricter than real disks, so that tests see what some disk would do:
 *   - direct files refuse transfers whose address, size or offset is no multiple of 4 KiB;
 *   - a write that fails with EIO has changed some of its sectors;
 *   - after a failed sync some waiting sectors are durable, the others never will be unless they
 *     are written again, and the next sync succeeds. As in Linux, every other open file of these
 *     bytes is told, too: its next sync fails (-EIO), once.
 *
 * Invariants, restated in io_sim_check():
 *   S1  Names and files keep the invariants of sim_disk.h and sim_file.h.
 *   S2  Every open file is known to its node, and at most one of those of a node holds its lock.
 *
 * Threads: any, one at a time inside; runs repeat only if the order of calls does.
 * Memory:  owns all files. Mapped memory belongs to its file: it stays when the mapping or the
 * process ends, until a power cut, the file's removal or io_sim_destroy.
 */
#ifndef BASE_IO_SIM_H
#define BASE_IO_SIM_H

#include "base/io.h"

enum { IO_SIM_OPEN_MAX = 256 };

enum io_sim_call {
    IO_SIM_ANY, /* counts all of the others */
    IO_SIM_OPEN,
    IO_SIM_PREAD,
    IO_SIM_PWRITE,
    IO_SIM_SYNC,
    IO_SIM_SIZE,
    IO_SIM_RESIZE,
    IO_SIM_RESERVE,
    IO_SIM_TAKEN,
    IO_SIM_ROOM,
    IO_SIM_LOCK,
    IO_SIM_RENAME,
    IO_SIM_UNLINK,
    IO_SIM_MKDIR,
    IO_SIM_SYNC_DIR,
    IO_SIM_LIST,
    IO_SIM_MAP,
    IO_SIM_CALLS_COUNT,
};

struct io_sim;

/* Never fails: out of memory is an assertion failure here. The wall clock starts at 2030-01-01. */
struct io_sim *io_sim_create(uint64_t seed);
void io_sim_destroy(struct io_sim *sim);
struct io *io_sim_io(struct io_sim *sim);

/* Power cut: closes all files, drops locks, loses what was not durable, clears injected faults. */
void io_sim_crash(struct io_sim *sim);
/* Death of the process: closes all files, drops locks, keeps all contents, clears injected faults.
 */
void io_sim_kill(struct io_sim *sim);

/* Moves both clocks; sleep_us of the interface does the same and returns at once. */
void io_sim_clock_move(struct io_sim *sim, int64_t us);
/* Sets the wall clock only, as an administrator may. */
void io_sim_clock_put(struct io_sim *sim, int64_t now_us);

/* The `nth` call of this kind from now (1: the next one) fails with `error`, an errno. One fault
 * per kind at a time: the last one given counts; nth 0 removes it. */
void io_sim_fail(struct io_sim *sim, enum io_sim_call call, uint64_t nth, int error);
/* As io_sim_fail, but every later call of this kind fails too. */
void io_sim_fail_from(struct io_sim *sim, enum io_sim_call call, uint64_t nth, int error);
/* Calls of this kind so far, failed ones too. */
uint64_t io_sim_calls(struct io_sim *sim, enum io_sim_call call);

/* So many of 100 reads and writes transfer less than was asked, but at least one byte (direct
 * files: one block). */
void io_sim_shorten(struct io_sim *sim, uint32_t percent);
/* Bytes that the disk holds; UINT64_MAX, no limit, at the start. May be less than is used now. */
void io_sim_limit(struct io_sim *sim, uint64_t disk_bytes);
uint64_t io_sim_used_bytes(struct io_sim *sim);
/* Bytes that files in memory may reserve together; no limit at the start. What is reserved twice
 * counts twice, and what is not reserved does not count. */
void io_sim_memory_limit(struct io_sim *sim, uint64_t bytes);
/* Names beginning with `prefix` are in memory; NULL (at the start) for none. Copied. */
void io_sim_memory(struct io_sim *sim, const char *prefix);

/* Damages a file in both images. -ENOENT, or -EINVAL beyond its end. `bit` is 0 to 7. */
int io_sim_flip(struct io_sim *sim, const char *path, uint64_t offset, unsigned bit);

FST_MUST_USE enum fst_status io_sim_check(struct io_sim *sim);

#endif
