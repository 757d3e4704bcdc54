/*
 * page_io: the operating system, but mappings are memory without a file, in pages of a given size.
 *
 * So a table can be measured with small and with huge pages, whatever the file system of its file
 * does. Huge pages are asked for with madvise; whether they came is read from /proc/self/smaps.
 *
 * Threads: one. Memory: the caller's; at most one mapping at a time.
 */
#ifndef BENCH_MICRO_PAGE_IO_H
#define BENCH_MICRO_PAGE_IO_H

#include <stddef.h>

#include "base/io.h"

enum page_kind {
    PAGE_OF_FILE, /* the file is mapped, as a server does it */
    PAGE_SMALL,   /* 4 KiB */
    PAGE_HUGE,    /* 2 MiB */
};

struct page_io {
    struct io io; /* hand this out */
    struct io_ops ops;
    enum page_kind kind;
    void *memory;
    size_t bytes;
};

void page_io_init(struct page_io *page_io, enum page_kind kind);

/* Share of the touched part of the mapping that lies in huge pages; 0 if that cannot be read. */
double page_io_huge_share(const struct page_io *page_io);

#endif
