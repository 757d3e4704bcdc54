#include "storage/log/log_folder.h"

#include <errno.h>
#include <stdlib.h>

struct listing {
    struct log_folder *folder;
    const uint8_t *store_id;
};

static int listing_append(void *context, const char *name) {
    struct listing *listing = context;
    struct log_folder *folder = listing->folder;
    struct log_file_id id = {0};
    if (!log_file_parse_name(name, &id)) return 0;
    memcpy(id.store_id, listing->store_id, STORE_ID_BYTES);
    if (folder->files_count == folder->files_room) {
        uint32_t room = folder->files_room ? folder->files_room * 2 : 64;
        struct log_file_id *files = realloc(folder->files, room * sizeof *files);
        if (!files) return -ENOMEM;
        folder->files = files;
        folder->files_room = room;
    }
    folder->files[folder->files_count++] = id;
    return 0;
}

static int log_compare(const void *a, const void *b) {
    const struct log_file_id *x = a;
    const struct log_file_id *y = b;
    if (x->epoch != y->epoch) return x->epoch < y->epoch ? -1 : 1;
    return (x->shard > y->shard) - (x->shard < y->shard);
}

static int file_compare(const void *a, const void *b) {
    const struct log_file_id *x = a;
    const struct log_file_id *y = b;
    int order = log_compare(a, b);
    if (order != 0) return order;
    return (x->sequence > y->sequence) - (x->sequence < y->sequence);
}

enum fst_status log_folder_init(struct log_folder *folder, struct io *io, const char *dir,
                                const uint8_t store_id[STORE_ID_BYTES], struct fst_error *error) {
    *folder = (struct log_folder){0};
    struct listing listing = {.folder = folder, .store_id = store_id};
    int result = io->ops->list(io, dir, listing_append, &listing);
    if (result < 0) {
        log_folder_deinit(folder);
        return fst_error_set(error, fst_status_from_errno(result), "%s: cannot list the folder: %s",
                             dir, strerror(-result));
    }
    if (folder->files_count > 0) {
        qsort(folder->files, folder->files_count, sizeof *folder->files, file_compare);
    }
    return FST_OK;
}

void log_folder_deinit(struct log_folder *folder) {
    free(folder->files);
    *folder = (struct log_folder){0};
}

uint32_t log_folder_find_end(const struct log_folder *folder, uint32_t from) {
    const struct log_file_id *first = &folder->files[from];
    uint32_t end = from + 1;
    while (end < folder->files_count && folder->files[end].epoch == first->epoch &&
           folder->files[end].shard == first->shard) {
        end += 1;
    }
    return end;
}

bool log_folder_has(const struct log_folder *folder, const struct log_file_id *id) {
    if (folder->files_count == 0) return false;
    return bsearch(id, folder->files, folder->files_count, sizeof *id, log_compare) != NULL;
}
