/*
 * sim_disk: the names of the simulated disk, as they are now and as a power cut would leave them.
 *
 * An entry maps a path to a node: a file or a folder. Making, renaming and removing change the
 * entries of now and leave a change waiting; a sync of a folder brings the changes that touch it to
 * the durable entries, in order. A power cut lets each waiting change survive or not by the dice (a
 * rename wholly or not at all), then drops what lies in folders that did not survive. Paths are
 * compared as strings after cleaning; "." and "/" are folders that are always there.
 *
 * Invariants, restated in sim_disk_check():
 *   D1  No two entries of an image have the same path, and each names a node in use.
 *   D2  Every entry of now lies in a folder that is there.
 *   D3  Every file keeps the invariants of sim_file.h.
 *   D4  A node in use is named by an entry or a change, is open, or is mapped.
 *
 * Threads: the simulation's lock is held.
 * Memory:  owns all nodes; a pointer to one is borrowed until the next call that makes a name.
 */
#ifndef BASE_SIM_DISK_H
#define BASE_SIM_DISK_H

#include "base/sim_file.h"

enum { SIM_PATH_BYTES = 512 };

struct sim_node {
    struct sim_file file;
    uint32_t opens_count; /* kept by the caller, who then calls sim_disk_sweep */
    bool is_used;
    bool is_dir;
};

struct sim_entry {
    char path[SIM_PATH_BYTES];
    uint32_t node;
};

struct sim_entries {
    struct sim_entry *items;
    uint32_t count;
    uint32_t room;
};

/* A new name (only `to`), a removal (only `from`), or a rename (both). */
struct sim_change {
    char from[SIM_PATH_BYTES];
    char to[SIM_PATH_BYTES];
    uint32_t node;
};

struct sim_disk {
    struct sim_node *nodes;
    uint32_t nodes_count;
    struct sim_entries now;
    struct sim_entries durable;
    struct sim_change *changes;
    uint32_t changes_count;
    uint32_t changes_room;
    char memory_prefix[SIM_PATH_BYTES]; /* paths that begin so are in memory; empty: none */
};

/* Zeroed memory is an empty disk. */
void sim_disk_deinit(struct sim_disk *disk);

/* All of these answer 0 or -errno. The node of a file: -EISDIR for a folder. */
int sim_disk_find(const struct sim_disk *disk, const char *path, uint32_t *node_out);
/* A new empty file; its path must be free. */
int sim_disk_create(struct sim_disk *disk, const char *path, uint32_t *node_out);
/* A new folder; one that is there already is success. */
int sim_disk_mkdir(struct sim_disk *disk, const char *path);
int sim_disk_rename(struct sim_disk *disk, const char *from, const char *to);
int sim_disk_unlink(struct sim_disk *disk, const char *path);
int sim_disk_sync_dir(struct sim_disk *disk, const char *path);
/* Names in the folder, in byte order, each in its own SIM_PATH_BYTES; the caller frees the array.
 */
int sim_disk_list(const struct sim_disk *disk, const char *path, char (**names_out)[SIM_PATH_BYTES],
                  uint32_t *count_out);

void sim_disk_crash(struct sim_disk *disk, struct sim_dice *dice);
/* Ends the mappings of a process that died. */
void sim_disk_kill(struct sim_disk *disk);
/* Frees nodes that nothing refers to any more. */
void sim_disk_sweep(struct sim_disk *disk);
uint64_t sim_disk_used_sectors(const struct sim_disk *disk);
uint64_t sim_disk_reserved_bytes(const struct sim_disk *disk);
/* Whether a path is in memory. */
bool sim_disk_is_memory(const struct sim_disk *disk, const char *path);

FST_MUST_USE enum fst_status sim_disk_check(const struct sim_disk *disk);

#endif
