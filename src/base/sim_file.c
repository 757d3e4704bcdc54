#include "base/sim_file.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/assert.h"

enum { PAGE_BYTES = 4096 };
enum sector_mark {
    MARK_WRITTEN = 1, /* takes room on the disk */
    MARK_WAITING = 2, /* changed since the last sync */
    MARK_LOST = 4,    /* given up by a failed sync */
};

static const uint64_t size_max_bytes = UINT64_C(1) << 38;

uint64_t sim_dice_get(struct sim_dice *dice) {
    dice->state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = dice->state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static bool coin_get(struct sim_dice *dice) {
    return sim_dice_get(dice) >> 63 != 0;
}

/* ---- images: anonymous mappings, zero and untouched until written, so that sparse files are cheap
 * ---- */

static bool region_grow(uint8_t **region, uint64_t bytes_old, uint64_t bytes) {
    void *grown = *region ? mremap(*region, bytes_old, bytes, MREMAP_MAYMOVE)
                          : mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (grown == MAP_FAILED) return false;
    *region = grown;
    return true;
}

static void region_free(uint8_t **region, uint64_t bytes) {
    if (*region) munmap(*region, bytes);
    *region = NULL;
}

/* Marks take a byte per sector, in whole pages. */
static uint64_t marks_bytes(uint64_t room_bytes) {
    uint64_t bytes = room_bytes / SIM_SECTOR_BYTES;
    return (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
}

static int room_grow(struct sim_file *file, uint64_t bytes) {
    if (bytes <= file->room_bytes) return 0;
    if (bytes > size_max_bytes) return -EFBIG;
    if (file->mappings_count > 0) return -EBUSY;
    uint64_t room = PAGE_BYTES;
    while (room < bytes) room *= 2;
    uint64_t old = file->room_bytes;
    if (!region_grow(&file->now, old, room)) return -ENOMEM;
    if (!file->is_in_memory) {
        if (!region_grow(&file->durable, old, room)) return -ENOMEM;
        if (!region_grow(&file->marks, marks_bytes(old), marks_bytes(room))) return -ENOMEM;
    }
    file->room_bytes = room;
    return 0;
}

void sim_file_init(struct sim_file *file, bool is_in_memory) {
    *file = (struct sim_file){.is_in_memory = is_in_memory};
}

void sim_file_deinit(struct sim_file *file) {
    region_free(&file->now, file->room_bytes);
    region_free(&file->durable, file->room_bytes);
    region_free(&file->marks, marks_bytes(file->room_bytes));
}

/* ---- sectors ---- */

static bool is_zero(const uint8_t *data, uint64_t bytes) {
    for (uint64_t i = 0; i < bytes; i++) {
        if (data[i] != 0) return false;
    }
    return true;
}

static void sector_mark(struct sim_file *file, uint64_t sector) {
    if (file->is_in_memory) return;
    if ((file->marks[sector] & MARK_WRITTEN) == 0) file->written_count += 1;
    file->marks[sector] = MARK_WRITTEN | MARK_WAITING;
    if (sector >= file->sectors_end) file->sectors_end = sector + 1;
}

static bool sector_is_equal(const struct sim_file *file, uint64_t sector) {
    uint64_t at = sector * SIM_SECTOR_BYTES;
    return memcmp(file->now + at, file->durable + at, SIM_SECTOR_BYTES) == 0;
}

static bool sector_is_waiting(const struct sim_file *file, uint64_t sector) {
    if (file->marks[sector] & MARK_WAITING) return true;
    return file->was_mapped && !sector_is_equal(file, sector);
}

static void sector_settle(struct sim_file *file, uint64_t sector) {
    uint64_t at = sector * SIM_SECTOR_BYTES;
    memcpy(file->durable + at, file->now + at, SIM_SECTOR_BYTES);
    file->marks[sector] &= MARK_WRITTEN;
}

/* One past the last sector that may wait. */
static uint64_t waiting_end(const struct sim_file *file) {
    if (!file->was_mapped) return file->sectors_end;
    return file->room_bytes / SIM_SECTOR_BYTES;
}

/* ---- reading and writing ---- */

size_t sim_file_read(const struct sim_file *file, void *data, size_t bytes, uint64_t offset) {
    if (offset >= file->size_bytes) return 0;
    if (bytes > file->size_bytes - offset) bytes = file->size_bytes - offset;
    if (bytes > 0) memcpy(data, file->now + offset, bytes);
    return bytes;
}

size_t sim_file_fitting(const struct sim_file *file, size_t bytes, uint64_t offset,
                        uint64_t free_sectors) {
    if (file->is_in_memory || bytes == 0) return bytes;
    uint64_t room_sectors = file->room_bytes / SIM_SECTOR_BYTES;
    uint64_t first = offset / SIM_SECTOR_BYTES;
    uint64_t last = (offset + bytes - 1) / SIM_SECTOR_BYTES;
    for (uint64_t sector = first; sector <= last; sector++) {
        bool is_written = sector < room_sectors && (file->marks[sector] & MARK_WRITTEN) != 0;
        if (is_written) continue;
        if (free_sectors == 0) {
            return sector == first ? 0 : sector * SIM_SECTOR_BYTES - offset;
        }
        free_sectors -= 1;
    }
    return bytes;
}

/* Part of a write that lies in one sector. */
static void sector_write(struct sim_file *file, const uint8_t *data, size_t bytes,
                         uint64_t offset) {
    memcpy(file->now + offset, data, bytes);
    sector_mark(file, offset / SIM_SECTOR_BYTES);
    if (offset + bytes <= file->size_bytes) return;
    file->size_bytes = offset + bytes;
    file->is_size_waiting = true;
}

/* `dice` NULL: every sector. */
static int sectors_write(struct sim_file *file, const uint8_t *data, size_t bytes, uint64_t offset,
                         struct sim_dice *dice) {
    if (offset > size_max_bytes) return -EFBIG;
    int result = room_grow(file, offset + bytes);
    if (result < 0) return result;
    while (bytes > 0) {
        size_t piece = SIM_SECTOR_BYTES - offset % SIM_SECTOR_BYTES;
        if (piece > bytes) piece = bytes;
        if (!dice || coin_get(dice)) sector_write(file, data, piece, offset);
        data += piece;
        offset += piece;
        bytes -= piece;
    }
    return 0;
}

int sim_file_write(struct sim_file *file, const void *data, size_t bytes, uint64_t offset) {
    return sectors_write(file, data, bytes, offset, NULL);
}

int sim_file_write_some(struct sim_file *file, const void *data, size_t bytes, uint64_t offset,
                        struct sim_dice *dice) {
    return sectors_write(file, data, bytes, offset, dice);
}

/* Whole pages go back to the system and come again as zeros: a sparse file stays cheap. */
static void image_clear(uint8_t *image, uint64_t begin, uint64_t end) {
    uint64_t page = (begin + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
    if (page >= end) {
        if (begin < end) memset(image + begin, 0, end - begin);
        return;
    }
    memset(image + begin, 0, page - begin);
    uint64_t page_end = (end + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
    int result = madvise(image + page, page_end - page, MADV_DONTNEED);
    FST_ASSERT(result == 0);
}

/* Zeroes what lies beyond the new end, so that growing again shows zeros, and frees its sectors. */
static void tail_cut(struct sim_file *file, uint64_t size_bytes) {
    image_clear(file->now, size_bytes, file->size_bytes);
    if (file->is_in_memory) return;
    uint64_t sector = size_bytes / SIM_SECTOR_BYTES;
    if (size_bytes % SIM_SECTOR_BYTES != 0) {
        if (file->marks[sector] & MARK_WRITTEN) file->marks[sector] = MARK_WRITTEN | MARK_WAITING;
        sector += 1;
    }
    for (; sector < file->sectors_end; sector++) {
        if (file->marks[sector] & MARK_WRITTEN) file->written_count -= 1;
        file->marks[sector] = MARK_WAITING;
    }
}

int sim_file_resize(struct sim_file *file, uint64_t size_bytes) {
    int result = room_grow(file, size_bytes);
    if (result < 0) return result;
    if (size_bytes < file->size_bytes) tail_cut(file, size_bytes);
    if (size_bytes == 0) file->reserved_bytes = 0;
    if (size_bytes != file->size_bytes) file->is_size_waiting = true;
    file->size_bytes = size_bytes;
    return 0;
}

/* ---- durability ---- */

static void size_settle(struct sim_file *file) {
    file->durable_size_bytes = file->size_bytes;
    file->is_size_waiting = false;
}

void sim_file_sync(struct sim_file *file) {
    if (file->is_in_memory) return;
    uint64_t end = waiting_end(file);
    for (uint64_t sector = 0; sector < end; sector++) {
        if (sector_is_waiting(file, sector)) sector_settle(file, sector);
    }
    size_settle(file);
}

void sim_file_sync_range(struct sim_file *file, uint64_t offset, size_t bytes) {
    if (file->is_in_memory || bytes == 0) return;
    uint64_t last = (offset + bytes - 1) / SIM_SECTOR_BYTES;
    for (uint64_t sector = offset / SIM_SECTOR_BYTES; sector <= last; sector++) {
        sector_settle(file, sector);
    }
    size_settle(file);
}

void sim_file_sync_some(struct sim_file *file, struct sim_dice *dice) {
    if (file->is_in_memory) return;
    file->failed_syncs += 1;
    uint64_t end = waiting_end(file);
    for (uint64_t sector = 0; sector < end; sector++) {
        if (!sector_is_waiting(file, sector)) continue;
        if (coin_get(dice)) {
            sector_settle(file, sector);
        } else {
            file->marks[sector] = (file->marks[sector] & MARK_WRITTEN) | MARK_LOST;
            if (sector >= file->sectors_end) file->sectors_end = sector + 1;
        }
    }
    if (file->is_size_waiting && coin_get(dice)) size_settle(file);
    file->is_size_waiting = false;
}

/* What a power cut leaves of one sector. */
static void sector_crash(struct sim_file *file, uint64_t sector, bool is_kept,
                         struct sim_dice *dice) {
    uint64_t at = sector * SIM_SECTOR_BYTES;
    if (sector_is_waiting(file, sector) && coin_get(dice)) sector_settle(file, sector);
    if (!is_kept) memset(file->durable + at, 0, SIM_SECTOR_BYTES);
    memcpy(file->now + at, file->durable + at, SIM_SECTOR_BYTES);
    bool was_written = (file->marks[sector] & MARK_WRITTEN) != 0;
    bool is_written = is_kept && (was_written || !is_zero(file->now + at, SIM_SECTOR_BYTES));
    file->marks[sector] = is_written ? MARK_WRITTEN : 0;
    file->written_count += is_written;
    file->written_count -= was_written;
    if (is_written && sector >= file->sectors_end) file->sectors_end = sector + 1;
}

void sim_file_crash(struct sim_file *file, struct sim_dice *dice) {
    FST_ASSERT(!file->is_in_memory); /* Those do not outlive a power cut. */
    if (file->is_size_waiting && coin_get(dice)) file->durable_size_bytes = file->size_bytes;
    file->size_bytes = file->durable_size_bytes;
    uint64_t rest = file->size_bytes % SIM_SECTOR_BYTES;
    uint64_t sectors_kept = (file->size_bytes + SIM_SECTOR_BYTES - 1) / SIM_SECTOR_BYTES;
    uint64_t end = waiting_end(file);
    for (uint64_t sector = 0; sector < end; sector++) {
        sector_crash(file, sector, sector < sectors_kept, dice);
    }
    if (rest > 0) {
        memset(file->now + file->size_bytes, 0, SIM_SECTOR_BYTES - rest);
        memset(file->durable + file->size_bytes, 0, SIM_SECTOR_BYTES - rest);
    }
    if (file->sectors_end > sectors_kept) file->sectors_end = sectors_kept;
    file->mappings_count = 0;
    file->is_size_waiting = false;
    file->was_mapped = false;
}

void sim_file_flip(struct sim_file *file, uint64_t offset, unsigned bit) {
    FST_ASSERT(offset < file->size_bytes);
    FST_ASSERT(bit < 8);
    file->now[offset] ^= (uint8_t)(1u << bit);
    if (!file->is_in_memory) file->durable[offset] ^= (uint8_t)(1u << bit);
}

/* ---- check ---- */

/* F2 is looked at up to the last mark, and one page beyond: more would touch all of a sparse file.
 */
enum fst_status sim_file_check(const struct sim_file *file) {
    if (file->size_bytes > file->room_bytes) return FST_CORRUPT;
    if (file->is_in_memory) {
        bool is_plain = !file->durable && !file->marks && file->written_count == 0;
        return is_plain ? FST_OK : FST_CORRUPT; /* F4 */
    }
    uint64_t written = 0;
    for (uint64_t sector = 0; sector < file->sectors_end; sector++) {
        uint8_t mark = file->marks[sector];
        if (mark & MARK_WRITTEN) written += 1;
        if (file->was_mapped || (mark & (MARK_WAITING | MARK_LOST)) != 0) continue;
        if (!sector_is_equal(file, sector)) return FST_CORRUPT; /* F1 */
    }
    if (written != file->written_count) return FST_CORRUPT; /* F3 */

    uint64_t looked_end = file->sectors_end * SIM_SECTOR_BYTES + PAGE_BYTES;
    if (looked_end > file->room_bytes) looked_end = file->room_bytes;
    if (looked_end <= file->size_bytes) return FST_OK;
    bool is_clean = is_zero(file->now + file->size_bytes, looked_end - file->size_bytes);
    return is_clean ? FST_OK : FST_CORRUPT; /* F2 */
}
