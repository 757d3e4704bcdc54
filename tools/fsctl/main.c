/* fsctl: looks after an fstore server from the command line. */
#include <string.h>

#include "tools/fsctl/command.h"

static volatile sig_atomic_t is_interrupted;

/* The first Ctrl-C asks the command to come to an end; the second one does not ask. */
static void interrupt(int number) {
    is_interrupted = 1;
    signal(number, SIG_DFL);
}

int main(int argc, char **argv) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = interrupt; /* Without SA_RESTART: waiting ends. */
    sigaction(SIGINT, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    struct ctl ctl = {
        .in = stdin,
        .out = stdout,
        .err = stderr,
        .io = io_posix(),
        .is_interrupted = &is_interrupted,
    };
    return (int)ctl_main(&ctl, argc, argv);
}
