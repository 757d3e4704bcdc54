/*
 * command: the subcommands of fsbench.
 *
 * Each takes the arguments from its own name on (argv[0] is the name), does its work, and returns
 * the exit code of the program.
 *
 * Threads: one.
 */
#ifndef FSBENCH_COMMAND_H
#define FSBENCH_COMMAND_H

#include <stdbool.h>

enum command_exit {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,    /* the work could not be done, or a reply was wrong */
    EXIT_USAGE = 2,     /* the arguments make no sense */
    EXIT_NO_SERVER = 3, /* nobody answers at the given address */
    EXIT_LOAD_BOUND =
        4, /* fsbench itself was the limit, so the figures would not be the server's */
};

/* Whether --help or -h is among the arguments. */
bool command_is_help(int argc, char *const *argv);

int command_fraud_run(int argc, char **argv);
int command_online_run(int argc, char **argv);
int command_redis_run(int argc, char **argv);
int command_echo_run(int argc, char **argv);

#endif
