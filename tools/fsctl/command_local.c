/* What needs no server: the files of a stopped store, through fsd, and the version. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/fsctl/command.h"

/* fsd beside this program; in $PATH if it is not there. */
static void fsd_find(char path[PATH_MAX]) {
    ssize_t bytes = readlink("/proc/self/exe", path, PATH_MAX - sizeof "/fsd");
    if (bytes > 0) {
        path[bytes] = '\0';
        char *slash = strrchr(path, '/');
        if (slash) {
            memcpy(slash, "/fsd", sizeof "/fsd");
            if (access(path, X_OK) == 0) return;
        }
    }
    memcpy(path, "fsd", sizeof "fsd");
}

static enum ctl_exit fsd_exec(struct ctl *ctl, const char *option, const char *value) {
    char path[PATH_MAX];
    const char *arguments[8] = {path, "--data", ctl->words[0], option};
    uint32_t count = 4;
    if (value) arguments[count++] = value;
    if (ctl->is_json) arguments[count++] = "--json";
    fsd_find(path);
    fflush(ctl->out);
    execvp(path, (char *const *)(uintptr_t)arguments); /* It does not write to them. */
    return ctl_fail(ctl, FST_NOT_FOUND, "%s: %s", path, strerror(errno));
}

enum ctl_exit ctl_check(struct ctl *ctl) {
    return fsd_exec(ctl, "--check", NULL);
}

enum ctl_exit ctl_dump(struct ctl *ctl) {
    const char *what = ctl->words_count > 1 ? ctl->words[1] : "log";
    if (strcmp(what, "log") != 0 && strcmp(what, "meta") != 0) {
        return ctl_misuse(ctl, "expected log or meta, found '%s'", what);
    }
    return fsd_exec(ctl, "--dump", what);
}

enum ctl_exit ctl_version(struct ctl *ctl) {
    if (ctl_option(ctl, "json"))
        fprintf(ctl->out, "{\"version\": \"%s\"}\n", FST_VERSION_TEXT);
    else
        fprintf(ctl->out, "fsctl %s\n", FST_VERSION_TEXT);
    return CTL_DONE;
}
