/*
 * sim_file: one file of the simulated disk, as what is read now and what a power cut would leave.
 *
 * Both images are cut into sectors of 512 bytes. A write changes the volatile image and leaves its
 * sectors waiting; a sync copies waiting sectors to the durable image. What io_sim.h promises about
 * power cuts, failed writes and failed syncs is done here; names, locks and clocks are not known
 * here.
 *
 * Invariants, restated in sim_file_check():
 *   F1  A sector that is neither waiting nor lost is equal in both images, unless the file was
 * mapped. F2  Bytes of the volatile image beyond its size are zero. F3  written_count is the number
 * of sectors marked as written, and none of them is beyond sectors_end. F4  A file in memory has no
 * durable image and no marks.
 *
 * Threads: the simulation's lock is held.
 * Memory:  owns its images. The volatile one moves only when it grows, and never while it is
 * mapped.
 */
#ifndef BASE_SIM_FILE_H
#define BASE_SIM_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fstore/status.h"

enum { SIM_SECTOR_BYTES = 512 };

/* A run of decisions that depends on its seed only (splitmix64). */
struct sim_dice {
    uint64_t state;
};

uint64_t sim_dice_get(struct sim_dice *dice);

struct sim_file {
    uint8_t *now;        /* volatile image, page-aligned */
    uint8_t *durable;    /* NULL in memory */
    uint8_t *marks;      /* per sector; NULL in memory */
    uint64_t room_bytes; /* of each image */
    uint64_t size_bytes;
    uint64_t durable_size_bytes;
    uint64_t sectors_end;    /* no mark at or after this sector */
    uint64_t written_count;  /* sectors that take room on the disk */
    uint64_t reserved_bytes; /* in memory: by the caller, who counts */
    uint32_t mappings_count;
    uint32_t failed_syncs; /* that lost sectors; open files are told of each */
    bool is_size_waiting;
    bool is_in_memory;
    bool was_mapped; /* its writes are found by comparing */
};

void sim_file_init(struct sim_file *file, bool is_in_memory);
void sim_file_deinit(struct sim_file *file);

/* Bytes copied, less at the end of the file. */
size_t sim_file_read(const struct sim_file *file, void *data, size_t bytes, uint64_t offset);

/* How many of `bytes` find room if the disk has `free_sectors` left. */
size_t sim_file_fitting(const struct sim_file *file, size_t bytes, uint64_t offset,
                        uint64_t free_sectors);
/* 0, -EFBIG, -ENOMEM, or -EBUSY where a mapped file would have to move. */
int sim_file_write(struct sim_file *file, const void *data, size_t bytes, uint64_t offset);
/* As sim_file_write, but each sector's part only if the dice say so. */
int sim_file_write_some(struct sim_file *file, const void *data, size_t bytes, uint64_t offset,
                        struct sim_dice *dice);
int sim_file_resize(struct sim_file *file, uint64_t size_bytes);

void sim_file_sync(struct sim_file *file);
/* Only the sectors of this range, and the size. */
void sim_file_sync_range(struct sim_file *file, uint64_t offset, size_t bytes);
/* Some waiting sectors become durable, the others are lost: no later sync writes them. */
void sim_file_sync_some(struct sim_file *file, struct sim_dice *dice);
void sim_file_crash(struct sim_file *file, struct sim_dice *dice);

void sim_file_flip(struct sim_file *file, uint64_t offset, unsigned bit);

FST_MUST_USE enum fst_status sim_file_check(const struct sim_file *file);

#endif
