#include "bench/micro/page_io.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>

enum { LINE_BYTES = 512 };

static int memory_map(struct io *io, io_file file, size_t bytes, void **memory_out) {
    struct page_io *page_io = (struct page_io *)io;
    (void)file;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (memory == MAP_FAILED) return -errno;
    /* A kernel without huge pages refuses; page_io_huge_share() tells. */
    madvise(memory, bytes, page_io->kind == PAGE_HUGE ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    page_io->memory = *memory_out = memory;
    page_io->bytes = bytes;
    return 0;
}

static int memory_unmap(struct io *io, void *memory, size_t bytes) {
    (void)io;
    return munmap(memory, bytes) == 0 ? 0 : -errno;
}

/* The memory is not the file's. */
static int nothing_reserve(struct io *io, io_file file, uint64_t offset, uint64_t bytes) {
    (void)io, (void)file, (void)offset, (void)bytes;
    return 0;
}

void page_io_init(struct page_io *page_io, enum page_kind kind) {
    *page_io = (struct page_io){.ops = *io_posix()->ops, .kind = kind};
    page_io->io.ops = &page_io->ops;
    if (kind == PAGE_OF_FILE) return;
    page_io->ops.map = memory_map;
    page_io->ops.unmap = memory_unmap;
    page_io->ops.reserve = nothing_reserve;
}

double page_io_huge_share(const struct page_io *page_io) {
    char line[LINE_BYTES];
    uint64_t begin = (uint64_t)(uintptr_t)page_io->memory, end = begin + page_io->bytes;
    uint64_t from, to, kib, touched_kib = 0, huge_kib = 0;
    bool is_inside = false;
    FILE *file = fopen("/proc/self/smaps", "r");
    if (!file) return 0;
    while (fgets(line, sizeof line, file)) {
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &from, &to) == 2)
            is_inside = from < end && to > begin;
        else if (is_inside && sscanf(line, "Rss: %" SCNu64, &kib) == 1)
            touched_kib += kib;
        else if (is_inside && sscanf(line, "AnonHugePages: %" SCNu64, &kib) == 1)
            huge_kib += kib;
    }
    fclose(file);
    return touched_kib ? (double)huge_kib / (double)touched_kib : 0;
}
