#include "base/io_sim.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/sim_disk.h"

static const int64_t start_us = INT64_C(1893456000000000); /* 2030-01-01T00:00:00Z */

struct handle {
    uint32_t node;
    uint32_t generation;
    int flags;
    uint32_t failed_syncs; /* of the file, that were told to this one */
    bool is_open;
    bool has_lock;
};

struct fault {
    uint64_t at; /* number of the call; 0: none */
    int error;
    bool is_lasting;
};

struct io_sim {
    struct io io; /* first */
    pthread_mutex_t lock;
    struct sim_dice dice;
    struct sim_disk disk;
    struct handle handles[IO_SIM_OPEN_MAX];
    uint64_t calls[IO_SIM_CALLS_COUNT];
    struct fault faults[IO_SIM_CALLS_COUNT];
    uint32_t short_percent;
    uint64_t limit_bytes;
    uint64_t memory_limit_bytes;
    int64_t now_us;
    int64_t monotonic_us;
};

static struct io_sim *sim_of(struct io *io) {
    return (struct io_sim *)io;
}

/* ---- calls and faults ---- */

static bool fault_is_due(struct fault *fault, uint64_t call) {
    if (fault->at == 0 || call < fault->at) return false;
    if (!fault->is_lasting) fault->at = 0;
    return true;
}

/* Takes the lock, counts the call and answers 0 or the error that it shall fail with. */
static int call_begin(struct io_sim *sim, enum io_sim_call call) {
    pthread_mutex_lock(&sim->lock);
    sim->calls[call] += 1;
    sim->calls[IO_SIM_ANY] += 1;
    int error = 0;
    if (fault_is_due(&sim->faults[IO_SIM_ANY], sim->calls[IO_SIM_ANY])) {
        error = sim->faults[IO_SIM_ANY].error;
    }
    if (fault_is_due(&sim->faults[call], sim->calls[call])) error = sim->faults[call].error;
    return -error;
}

static void call_end(struct io_sim *sim) {
    pthread_mutex_unlock(&sim->lock);
}

/* ---- open files: a number is never used again, so that one kept over a crash is found out ---- */

static struct handle *handle_find(struct io_sim *sim, io_file file) {
    if (file < 0) return NULL;
    struct handle *handle = &sim->handles[(uint32_t)file % IO_SIM_OPEN_MAX];
    bool is_same = handle->generation == (uint32_t)file / IO_SIM_OPEN_MAX;
    return handle->is_open && is_same ? handle : NULL;
}

static struct sim_file *file_of(struct io_sim *sim, const struct handle *handle) {
    return &sim->disk.nodes[handle->node].file;
}

static int handle_open(struct io_sim *sim, uint32_t node, int flags, io_file *file_out) {
    uint32_t index = 0;
    while (index < IO_SIM_OPEN_MAX && sim->handles[index].is_open) index++;
    if (index == IO_SIM_OPEN_MAX) return -EMFILE;
    uint32_t generation = sim->handles[index].generation + 1;
    sim->handles[index] = (struct handle){.node = node,
                                          .generation = generation,
                                          .flags = flags,
                                          .failed_syncs = sim->disk.nodes[node].file.failed_syncs,
                                          .is_open = true};
    sim->disk.nodes[node].opens_count += 1;
    *file_out = (io_file)(generation * IO_SIM_OPEN_MAX + index);
    return 0;
}

static void handle_close(struct handle *handle) {
    handle->is_open = false;
    handle->has_lock = false;
}

static uint64_t free_sectors(const struct io_sim *sim) {
    uint64_t limit = sim->limit_bytes / SIM_SECTOR_BYTES;
    uint64_t used = sim_disk_used_sectors(&sim->disk);
    return used < limit ? limit - used : 0;
}

/* ---- the interface: names ---- */

static int open_run(struct io_sim *sim, const char *path, int flags, io_file *file_out) {
    uint32_t node = 0;
    int result = sim_disk_find(&sim->disk, path, &node);
    bool may_create = (flags & IO_OPEN_CREATE) != 0;
    if (result == 0 && may_create && (flags & IO_OPEN_EXCLUSIVE)) return -EEXIST;
    if (result == -ENOENT && may_create) result = sim_disk_create(&sim->disk, path, &node);
    return result < 0 ? result : handle_open(sim, node, flags, file_out);
}

static int sim_open(struct io *io, const char *path, int flags, io_file *file_out) {
    struct io_sim *sim = sim_of(io);
    int result = call_begin(sim, IO_SIM_OPEN);
    if (result == 0) result = open_run(sim, path, flags, file_out);
    call_end(sim);
    return result;
}

static int sim_close(struct io *io, io_file file) {
    struct io_sim *sim = sim_of(io);
    pthread_mutex_lock(&sim->lock);
    struct handle *handle = handle_find(sim, file);
    if (handle) {
        handle_close(handle);
        sim->disk.nodes[handle->node].opens_count -= 1;
        sim_disk_sweep(&sim->disk);
    }
    call_end(sim);
    return handle ? 0 : -EBADF;
}

static int sim_rename(struct io *io, const char *from, const char *to) {
    struct io_sim *sim = sim_of(io);
    int result = call_begin(sim, IO_SIM_RENAME);
    if (result == 0) result = sim_disk_rename(&sim->disk, from, to);
    sim_disk_sweep(&sim->disk);
    call_end(sim);
    return result;
}

static int sim_unlink(struct io *io, const char *path) {
    struct io_sim *sim = sim_of(io);
    int result = call_begin(sim, IO_SIM_UNLINK);
    if (result == 0) result = sim_disk_unlink(&sim->disk, path);
    sim_disk_sweep(&sim->disk);
    call_end(sim);
    return result;
}

static int sim_mkdir(struct io *io, const char *path) {
    struct io_sim *sim = sim_of(io);
    int result = call_begin(sim, IO_SIM_MKDIR);
    if (result == 0) result = sim_disk_mkdir(&sim->disk, path);
    call_end(sim);
    return result;
}

/* When it fails, the changes of the folder wait on. */
static int sim_sync_dir(struct io *io, const char *path) {
    struct io_sim *sim = sim_of(io);
    int result = call_begin(sim, IO_SIM_SYNC_DIR);
    if (result == 0) result = sim_disk_sync_dir(&sim->disk, path);
    sim_disk_sweep(&sim->disk);
    call_end(sim);
    return result;
}

/* The names are a copy: `each` may use the interface. */
static int sim_list(struct io *io, const char *path, int (*each)(void *context, const char *name),
                    void *context) {
    struct io_sim *sim = sim_of(io);
    char(*names)[SIM_PATH_BYTES] = NULL;
    uint32_t count = 0;
    int result = call_begin(sim, IO_SIM_LIST);
    if (result == 0) result = sim_disk_list(&sim->disk, path, &names, &count);
    call_end(sim);
    for (uint32_t i = 0; result == 0 && i < count; i++) result = each(context, names[i]);
    free(names);
    return result;
}

/* ---- the interface: contents ---- */

static bool is_direct_aligned(const void *data, size_t bytes, uint64_t offset) {
    return (uintptr_t)data % IO_BLOCK_BYTES == 0 && bytes % IO_BLOCK_BYTES == 0 &&
           offset % IO_BLOCK_BYTES == 0;
}

/* How much of a transfer is done at once. */
static size_t transfer_bytes(struct io_sim *sim, const struct handle *handle, size_t bytes) {
    size_t unit = handle->flags & IO_OPEN_DIRECT ? IO_BLOCK_BYTES : 1;
    if (sim->short_percent == 0 || bytes <= unit) return bytes;
    if (sim_dice_get(&sim->dice) % 100 >= sim->short_percent) return bytes;
    size_t units = (bytes + unit - 1) / unit;
    return unit * (1 + sim_dice_get(&sim->dice) % (units - 1));
}

static int64_t pread_run(struct io_sim *sim, io_file file, void *data, size_t bytes,
                         uint64_t offset) {
    const struct handle *handle = handle_find(sim, file);
    if (!handle) return -EBADF;
    if (offset > INT64_MAX) return -EINVAL;
    bool is_direct = (handle->flags & IO_OPEN_DIRECT) != 0;
    if (is_direct && !is_direct_aligned(data, bytes, offset)) return -EINVAL;
    bytes = transfer_bytes(sim, handle, bytes);
    return (int64_t)sim_file_read(file_of(sim, handle), data, bytes, offset);
}

static int64_t sim_pread(struct io *io, io_file file, void *data, size_t bytes, uint64_t offset) {
    struct io_sim *sim = sim_of(io);
    int64_t result = call_begin(sim, IO_SIM_PREAD);
    if (result == 0) result = pread_run(sim, file, data, bytes, offset);
    call_end(sim);
    return result;
}

/* `fault` is 0 or the error that the call shall fail with. */
static int64_t pwrite_run(struct io_sim *sim, const struct handle *handle, const void *data,
                          size_t bytes, uint64_t offset, int fault) {
    if (!handle || !(handle->flags & IO_OPEN_WRITE)) return -EBADF;
    if (offset > INT64_MAX) return -EINVAL;
    bool is_direct = (handle->flags & IO_OPEN_DIRECT) != 0;
    if (is_direct && !is_direct_aligned(data, bytes, offset)) return -EINVAL;
    struct sim_file *file = file_of(sim, handle);
    if (bytes == 0) return fault;
    bytes = transfer_bytes(sim, handle, bytes);
    bytes = sim_file_fitting(file, bytes, offset, free_sectors(sim));
    if (is_direct) bytes -= bytes % IO_BLOCK_BYTES;
    if (fault == -EIO) (void)sim_file_write_some(file, data, bytes, offset, &sim->dice);
    if (fault < 0) return fault;
    if (bytes == 0) return -ENOSPC;
    int result = sim_file_write(file, data, bytes, offset);
    if (result < 0) return result;
    if (handle->flags & IO_OPEN_DSYNC) sim_file_sync_range(file, offset, bytes);
    return (int64_t)bytes;
}

static int64_t sim_pwrite(struct io *io, io_file file, const void *data, size_t bytes,
                          uint64_t offset) {
    struct io_sim *sim = sim_of(io);
    int fault = call_begin(sim, IO_SIM_PWRITE);
    int64_t result = pwrite_run(sim, handle_find(sim, file), data, bytes, offset, fault);
    call_end(sim);
    return result;
}

/* `fault` is 0 or the error that the call shall fail with. */
static int sync_run(struct io_sim *sim, struct handle *handle, int fault) {
    struct sim_file *file = file_of(sim, handle);
    if (fault < 0)
        sim_file_sync_some(file, &sim->dice);
    else
        sim_file_sync(file);
    bool is_news = handle->failed_syncs != file->failed_syncs;
    handle->failed_syncs = file->failed_syncs;
    return fault == 0 && is_news ? -EIO : fault;
}

static int sim_sync(struct io *io, io_file file) {
    struct io_sim *sim = sim_of(io);
    int result = call_begin(sim, IO_SIM_SYNC);
    struct handle *handle = handle_find(sim, file);
    result = handle ? sync_run(sim, handle, result) : -EBADF;
    call_end(sim);
    return result;
}

static int64_t sim_size(struct io *io, io_file file) {
    struct io_sim *sim = sim_of(io);
    int64_t result = call_begin(sim, IO_SIM_SIZE);
    const struct handle *handle = handle_find(sim, file);
    if (!handle) {
        result = -EBADF;
    } else if (result == 0) {
        result = (int64_t)file_of(sim, handle)->size_bytes;
    }
    call_end(sim);
    return result;
}

static int sim_resize(struct io *io, io_file file, uint64_t bytes) {
    struct io_sim *sim = sim_of(io);
    int result = call_begin(sim, IO_SIM_RESIZE);
    const struct handle *handle = handle_find(sim, file);
    if (!handle) {
        result = -EBADF;
    } else if (!(handle->flags & IO_OPEN_WRITE)) {
        result = -EINVAL;
    } else if (result == 0) {
        result = sim_file_resize(file_of(sim, handle), bytes);
    }
    call_end(sim);
    return result;
}

/* Of the disk, or of the file system in memory. */
static uint64_t room_bytes(const struct io_sim *sim, bool is_in_memory) {
    if (!is_in_memory) {
        uint64_t sectors = free_sectors(sim);
        return sectors < INT64_MAX / SIM_SECTOR_BYTES ? sectors * SIM_SECTOR_BYTES : INT64_MAX;
    }
    uint64_t used = sim_disk_reserved_bytes(&sim->disk);
    return used < sim->memory_limit_bytes ? sim->memory_limit_bytes - used : 0;
}

static int sim_reserve(struct io *io, io_file file, uint64_t offset, uint64_t bytes) {
    struct io_sim *sim = sim_of(io);
    int result = call_begin(sim, IO_SIM_RESERVE);
    const struct handle *handle = handle_find(sim, file);
    if (!handle || !(handle->flags & IO_OPEN_WRITE)) {
        result = -EBADF;
    } else if (!file_of(sim, handle)->is_in_memory) {
        result = -EOPNOTSUPP;
    } else if (bytes == 0 || offset > INT64_MAX || bytes > INT64_MAX) {
        result = -EINVAL;
    } else if (result == 0) {
        if (bytes > room_bytes(sim, true)) result = -ENOSPC;
        if (result == 0) file_of(sim, handle)->reserved_bytes += bytes;
    }
    call_end(sim);
    return result;
}

static int64_t sim_taken(struct io *io, io_file file) {
    struct io_sim *sim = sim_of(io);
    int64_t result = call_begin(sim, IO_SIM_TAKEN);
    const struct handle *handle = handle_find(sim, file);
    if (!handle) {
        result = -EBADF;
    } else if (result == 0) {
        const struct sim_file *found = file_of(sim, handle);
        result = (int64_t)(found->is_in_memory ? found->reserved_bytes
                                               : found->written_count * SIM_SECTOR_BYTES);
    }
    call_end(sim);
    return result;
}

static int64_t sim_room(struct io *io, const char *path) {
    struct io_sim *sim = sim_of(io);
    int64_t result = call_begin(sim, IO_SIM_ROOM);
    char inside[SIM_PATH_BYTES + 1]; /* As the names in the folder begin. */
    snprintf(inside, sizeof inside, "%s/", path);
    if (result == 0) result = (int64_t)room_bytes(sim, sim_disk_is_memory(&sim->disk, inside));
    call_end(sim);
    return result;
}

static int lock_run(struct io_sim *sim, struct handle *handle) {
    if (!handle) return -EBADF;
    for (uint32_t i = 0; i < IO_SIM_OPEN_MAX; i++) {
        const struct handle *other = &sim->handles[i];
        bool is_taken = other->is_open && other->has_lock && other->node == handle->node;
        if (is_taken && other != handle) return -EWOULDBLOCK;
    }
    handle->has_lock = true;
    return 0;
}

static int sim_lock(struct io *io, io_file file) {
    struct io_sim *sim = sim_of(io);
    int result = call_begin(sim, IO_SIM_LOCK);
    if (result == 0) result = lock_run(sim, handle_find(sim, file));
    call_end(sim);
    return result;
}

static int map_run(struct io_sim *sim, const struct handle *handle, size_t bytes,
                   void **memory_out) {
    if (!handle) return -EBADF;
    struct sim_file *file = file_of(sim, handle);
    if (bytes == 0 || bytes > file->size_bytes) return -EINVAL;
    if (!(handle->flags & IO_OPEN_WRITE)) return -EACCES;
    file->mappings_count += 1;
    file->was_mapped = true;
    *memory_out = file->now;
    return 0;
}

static int sim_map(struct io *io, io_file file, size_t bytes, void **memory_out) {
    struct io_sim *sim = sim_of(io);
    int result = call_begin(sim, IO_SIM_MAP);
    if (result == 0) result = map_run(sim, handle_find(sim, file), bytes, memory_out);
    call_end(sim);
    return result;
}

static int sim_unmap(struct io *io, void *memory, size_t bytes) {
    (void)bytes;
    struct io_sim *sim = sim_of(io);
    pthread_mutex_lock(&sim->lock);
    int result = -EINVAL;
    for (uint32_t i = 0; i < sim->disk.nodes_count; i++) {
        struct sim_file *file = &sim->disk.nodes[i].file;
        bool is_used = sim->disk.nodes[i].is_used;
        if (!is_used || file->now != memory || file->mappings_count == 0) continue;
        file->mappings_count -= 1;
        result = 0;
        break;
    }
    sim_disk_sweep(&sim->disk);
    call_end(sim);
    return result;
}

/* ---- the interface: clock and random bytes ---- */

static int64_t sim_now_us(struct io *io) {
    struct io_sim *sim = sim_of(io);
    pthread_mutex_lock(&sim->lock);
    int64_t now_us = sim->now_us;
    call_end(sim);
    return now_us;
}

static int64_t sim_monotonic_us(struct io *io) {
    struct io_sim *sim = sim_of(io);
    pthread_mutex_lock(&sim->lock);
    int64_t monotonic_us = sim->monotonic_us;
    call_end(sim);
    return monotonic_us;
}

static void sim_random(struct io *io, void *data, size_t bytes) {
    struct io_sim *sim = sim_of(io);
    pthread_mutex_lock(&sim->lock);
    uint8_t *at = data;
    for (size_t i = 0; i < bytes; i++) at[i] = (uint8_t)(sim_dice_get(&sim->dice) >> 56);
    call_end(sim);
}

static void sim_sleep_us(struct io *io, int64_t us) {
    if (us > 0) io_sim_clock_move(sim_of(io), us);
}

static const struct io_ops sim_ops = {
    .open = sim_open,
    .close = sim_close,
    .pread = sim_pread,
    .pwrite = sim_pwrite,
    .sync = sim_sync,
    .size = sim_size,
    .resize = sim_resize,
    .reserve = sim_reserve,
    .taken = sim_taken,
    .room = sim_room,
    .lock = sim_lock,
    .rename = sim_rename,
    .unlink = sim_unlink,
    .mkdir = sim_mkdir,
    .sync_dir = sim_sync_dir,
    .list = sim_list,
    .map = sim_map,
    .unmap = sim_unmap,
    .now_us = sim_now_us,
    .monotonic_us = sim_monotonic_us,
    .random = sim_random,
    .sleep_us = sim_sleep_us,
};

/* ---- the test's side ---- */

struct io_sim *io_sim_create(uint64_t seed) {
    struct io_sim *sim = calloc(1, sizeof *sim);
    FST_ASSERT(sim != NULL);
    sim->io.ops = &sim_ops;
    sim->dice.state = seed;
    sim->limit_bytes = UINT64_MAX;
    sim->memory_limit_bytes = INT64_MAX;
    sim->now_us = start_us;
    sim->monotonic_us = 1000000;
    int result = pthread_mutex_init(&sim->lock, NULL);
    FST_ASSERT(result == 0);
    return sim;
}

void io_sim_destroy(struct io_sim *sim) {
    sim_disk_deinit(&sim->disk);
    pthread_mutex_destroy(&sim->lock);
    free(sim);
}

struct io *io_sim_io(struct io_sim *sim) {
    return &sim->io;
}

/* What goes with the process in both cases. */
static void process_end(struct io_sim *sim) {
    for (uint32_t i = 0; i < IO_SIM_OPEN_MAX; i++) handle_close(&sim->handles[i]);
    memset(sim->faults, 0, sizeof sim->faults);
}

void io_sim_crash(struct io_sim *sim) {
    pthread_mutex_lock(&sim->lock);
    process_end(sim);
    sim_disk_crash(&sim->disk, &sim->dice);
    call_end(sim);
}

void io_sim_kill(struct io_sim *sim) {
    pthread_mutex_lock(&sim->lock);
    process_end(sim);
    sim_disk_kill(&sim->disk);
    call_end(sim);
}

void io_sim_clock_move(struct io_sim *sim, int64_t us) {
    FST_ASSERT(us >= 0);
    pthread_mutex_lock(&sim->lock);
    sim->now_us += us;
    sim->monotonic_us += us;
    call_end(sim);
}

void io_sim_clock_put(struct io_sim *sim, int64_t now_us) {
    pthread_mutex_lock(&sim->lock);
    sim->now_us = now_us;
    call_end(sim);
}

static void fault_put(struct io_sim *sim, enum io_sim_call call, uint64_t nth, int error,
                      bool is_lasting) {
    FST_ASSERT(call < IO_SIM_CALLS_COUNT);
    FST_ASSERT(error > 0);
    pthread_mutex_lock(&sim->lock);
    uint64_t at = nth > 0 ? sim->calls[call] + nth : 0;
    sim->faults[call] = (struct fault){.at = at, .error = error, .is_lasting = is_lasting};
    call_end(sim);
}

void io_sim_fail(struct io_sim *sim, enum io_sim_call call, uint64_t nth, int error) {
    fault_put(sim, call, nth, error, false);
}

void io_sim_fail_from(struct io_sim *sim, enum io_sim_call call, uint64_t nth, int error) {
    fault_put(sim, call, nth, error, true);
}

uint64_t io_sim_calls(struct io_sim *sim, enum io_sim_call call) {
    FST_ASSERT(call < IO_SIM_CALLS_COUNT);
    pthread_mutex_lock(&sim->lock);
    uint64_t calls = sim->calls[call];
    call_end(sim);
    return calls;
}

void io_sim_shorten(struct io_sim *sim, uint32_t percent) {
    pthread_mutex_lock(&sim->lock);
    sim->short_percent = percent;
    call_end(sim);
}

void io_sim_limit(struct io_sim *sim, uint64_t disk_bytes) {
    pthread_mutex_lock(&sim->lock);
    sim->limit_bytes = disk_bytes;
    call_end(sim);
}

void io_sim_memory_limit(struct io_sim *sim, uint64_t bytes) {
    FST_ASSERT(bytes <= INT64_MAX);
    pthread_mutex_lock(&sim->lock);
    sim->memory_limit_bytes = bytes;
    call_end(sim);
}

uint64_t io_sim_used_bytes(struct io_sim *sim) {
    pthread_mutex_lock(&sim->lock);
    uint64_t bytes = sim_disk_used_sectors(&sim->disk) * SIM_SECTOR_BYTES;
    call_end(sim);
    return bytes;
}

void io_sim_memory(struct io_sim *sim, const char *prefix) {
    size_t bytes = prefix ? strlen(prefix) : 0;
    FST_ASSERT(bytes < SIM_PATH_BYTES);
    pthread_mutex_lock(&sim->lock);
    if (prefix) memcpy(sim->disk.memory_prefix, prefix, bytes);
    sim->disk.memory_prefix[bytes] = '\0';
    call_end(sim);
}

static int flip_run(struct io_sim *sim, const char *path, uint64_t offset, unsigned bit) {
    uint32_t node = 0;
    int result = sim_disk_find(&sim->disk, path, &node);
    if (result < 0) return result;
    struct sim_file *file = &sim->disk.nodes[node].file;
    if (offset >= file->size_bytes) return -EINVAL;
    sim_file_flip(file, offset, bit);
    return 0;
}

int io_sim_flip(struct io_sim *sim, const char *path, uint64_t offset, unsigned bit) {
    pthread_mutex_lock(&sim->lock);
    int result = flip_run(sim, path, offset, bit);
    call_end(sim);
    return result;
}

/* ---- check ---- */

/* S2: how many open files a node has, and how many of them hold its lock. */
static bool node_is_sound(const struct io_sim *sim, uint32_t node) {
    uint32_t opens = 0;
    uint32_t locks = 0;
    for (uint32_t i = 0; i < IO_SIM_OPEN_MAX; i++) {
        const struct handle *handle = &sim->handles[i];
        if (handle->node != node) continue;
        opens += handle->is_open;
        locks += handle->has_lock;
        if (handle->has_lock && !handle->is_open) return false;
    }
    const struct sim_node *it = &sim->disk.nodes[node];
    return it->is_used ? opens == it->opens_count && locks <= 1 : opens == 0;
}

enum fst_status io_sim_check(struct io_sim *sim) {
    pthread_mutex_lock(&sim->lock);
    enum fst_status status = sim_disk_check(&sim->disk); /* S1 */
    for (uint32_t i = 0; i < sim->disk.nodes_count && status == FST_OK; i++) {
        if (!node_is_sound(sim, i)) status = FST_CORRUPT;
    }
    call_end(sim);
    return status;
}
