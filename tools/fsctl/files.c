#include "tools/fsctl/files.h"

#include <errno.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>

enum { READ_BYTES = 64 << 10 };

/* ---- reading ---- */

static enum fst_status stream_read(FILE *stream, const char *path, char **text_out,
                                   size_t *bytes_out, struct fst_error *error) {
    char *text = NULL;
    size_t bytes = 0;
    size_t got = 0;
    do {
        char *grown = realloc(text, bytes + READ_BYTES + 1);
        if (!grown) {
            free(text);
            return fst_error_set(error, FST_NO_MEMORY, "%s: no memory for it", path);
        }
        text = grown;
        got = fread(text + bytes, 1, READ_BYTES, stream);
        bytes += got;
    } while (got > 0 && bytes <= FILES_BYTES_MAX);
    if (ferror(stream) || bytes > FILES_BYTES_MAX) {
        bool is_long = bytes > FILES_BYTES_MAX;
        free(text);
        if (!is_long) return fst_error_set(error, FST_IO_ERROR, "%s: %s", path, strerror(errno));
        return fst_error_set(error, FST_TOO_LARGE, "%s: expected at most %d bytes", path,
                             FILES_BYTES_MAX);
    }
    text[bytes] = '\0';
    *text_out = text;
    *bytes_out = bytes;
    return FST_OK;
}

enum fst_status file_read_whole(struct ctl *ctl, const char *path, char **text_out,
                                size_t *bytes_out, struct fst_error *error) {
    if (strcmp(path, "-") == 0) {
        return stream_read(ctl->in, "standard input", text_out, bytes_out, error);
    }
    FILE *stream = fopen(path, "re");
    if (!stream) return fst_error_set(error, FST_NOT_FOUND, "%s: %s", path, strerror(errno));
    enum fst_status status = stream_read(stream, path, text_out, bytes_out, error);
    fclose(stream);
    return status;
}

/* ---- folders ---- */

static bool list_append(struct file_list *list, const char *path) {
    if (list->count == list->max) {
        size_t max = list->max ? list->max * 2 : 16;
        char **grown = realloc(list->paths, max * sizeof *grown);
        if (!grown) return false;
        list->paths = grown;
        list->max = max;
    }
    char *copy = strdup(path);
    if (copy) list->paths[list->count++] = copy;
    return copy != NULL;
}

static bool is_yaml(const char *name) {
    const char *point = strrchr(name, '.');
    return point && (strcmp(point, ".yaml") == 0 || strcmp(point, ".yml") == 0);
}

static int names_compare(const FTSENT **a, const FTSENT **b) {
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static enum fst_status walk(FTS *walk, struct file_list *list, struct fst_error *error) {
    const FTSENT *entry;
    while ((entry = fts_read(walk))) {
        bool is_hidden = entry->fts_level > 0 && entry->fts_name[0] == '.';
        if (entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR || entry->fts_info == FTS_NS) {
            return fst_error_set(error, FST_NOT_FOUND, "%s: %s", entry->fts_path,
                                 strerror(entry->fts_errno));
        }
        if (entry->fts_info == FTS_D && is_hidden) fts_set(walk, (FTSENT *)entry, FTS_SKIP);
        bool is_wanted = entry->fts_level == 0 || (is_yaml(entry->fts_name) && !is_hidden);
        if (entry->fts_info != FTS_F || !is_wanted) continue;
        if (!list_append(list, entry->fts_path)) {
            return fst_error_set(error, FST_NO_MEMORY, "no memory for the list of files");
        }
    }
    return FST_OK;
}

enum fst_status file_list_find(struct file_list *list, const char *path, struct fst_error *error) {
    size_t count = list->count;
    if (strcmp(path, "-") == 0) {
        return list_append(list, path) ? FST_OK : FST_NO_MEMORY;
    }
    char *copy = strdup(path);
    char *const roots[] = {copy, NULL};
    FTS *tree = copy ? fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, names_compare) : NULL;
    enum fst_status status = FST_NO_MEMORY;
    if (tree) {
        status = walk(tree, list, error);
        fts_close(tree);
    }
    free(copy);
    if (status == FST_OK && list->count == count) {
        return fst_error_set(error, FST_INVALID, "%s: expected *.yaml files below it, found none",
                             path);
    }
    return status;
}

void file_list_deinit(struct file_list *list) {
    for (size_t i = 0; i < list->count; i++) free(list->paths[i]);
    free(list->paths);
    *list = (struct file_list){0};
}
