#include "bench/fsbench/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATH_BYTES = 4096, READ_BYTES = 4096 };

/* The folder of this program, and the name behind it. */
static bool path_make(char path[PATH_BYTES], const char *name) {
    ssize_t bytes = readlink("/proc/self/exe", path, PATH_BYTES - 1);
    if (bytes <= 0) return false;
    path[bytes] = 0;
    char *slash = strrchr(path, '/');
    if (!slash || (size_t)(slash - path) + strlen(name) + 2 > PATH_BYTES) return false;
    memcpy(slash + 1, name, strlen(name) + 1);
    return access(path, X_OK) == 0;
}

enum fst_status child_start(struct child *child, char *const *argv, struct fst_error *error) {
    char path[PATH_BYTES];
    int ends[2];
    if (!path_make(path, argv[0]))
        return fst_error_set(error, FST_NOT_FOUND, "%s is not in the folder of fsbench", argv[0]);
    if (pipe2(ends, O_CLOEXEC) != 0)
        return fst_error_set(error, FST_IO_ERROR, "pipe: %s", strerror(errno));
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    int result = posix_spawn(&child->pid, path, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    child->output = ends[0];
    if (result == 0) return FST_OK;
    close(ends[0]);
    return fst_error_set(error, FST_IO_ERROR, "%.200s: %s", argv[0], strerror(result));
}

bool child_is_alive(const struct child *child) {
    siginfo_t info = {.si_pid = 0};
    return waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == 0;
}

void child_stop(struct child *child) {
    kill(child->pid, SIGTERM);
    waitpid(child->pid, NULL, 0);
    close(child->output);
}

enum fst_status child_read(struct child *child, char **text_out, struct fst_error *error) {
    size_t bytes = 0;
    FILE *out = open_memstream(text_out, &bytes);
    char part[READ_BYTES];
    for (;;) {
        ssize_t got = read(child->output, part, sizeof part);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        if (out) fwrite(part, 1, (size_t)got, out);
    }
    int status = 0;
    waitpid(child->pid, &status, 0);
    close(child->output);
    if (!out || fclose(out) != 0) return fst_error_set(error, FST_NO_MEMORY, "no memory");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return FST_OK;
    free(*text_out);
    return fst_error_set(error, FST_INTERNAL, "a program that was started has failed");
}
