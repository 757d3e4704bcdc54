/*
 * files: what the user points at: whole files, and folders of definitions.
 *
 * Threads: one. Memory: lists and texts are the caller's, to be freed as said.
 */
#ifndef FSCTL_FILES_H
#define FSCTL_FILES_H

#include "fstore/status.h"
#include "tools/fsctl/command.h"

enum { FILES_BYTES_MAX = 8 << 20 };

/* Reads all of a file, or of ctl->in for "-"; 0-ended, to be freed with free(). FST_NOT_FOUND,
 * FST_TOO_LARGE past FILES_BYTES_MAX. */
FST_MUST_USE enum fst_status file_read_whole(struct ctl *ctl, const char *path, char **text_out,
                                             size_t *bytes_out, struct fst_error *error);

struct file_list {
    char **paths;
    size_t count;
    size_t max;
};

/* Appends `path`, or if it is a folder all *.yaml and *.yml below it, in byte order; hidden ones
 * are left out. FST_NOT_FOUND, or FST_INVALID for a folder without any. */
FST_MUST_USE enum fst_status file_list_find(struct file_list *list, const char *path,
                                            struct fst_error *error);
void file_list_deinit(struct file_list *list);

#endif
