#include <stdio.h>
#include <string.h>

#include "bench/fsbench/command.h"

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"fraud", command_fraud_run, "write simulated card transactions as CSV files"},
    {"online", command_online_run, "measure reads and writes of a running fsd"},
    {"redis", command_redis_run, "measure a Redis server with the same load, for comparison"},
    {"echo", command_echo_run, "measure an fsecho server with the same load, as the floor"},
};

enum { COMMANDS_COUNT = sizeof commands / sizeof commands[0] };

static void help_print(FILE *out) {
    fprintf(out, "usage: fsbench COMMAND [options]\n\n");
    for (int i = 0; i < COMMANDS_COUNT; i++)
        fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].help);
    fprintf(out,
            "\nfsbench COMMAND --help lists the options, fsbench --version says which fsbench this "
            "is.\nExit codes: 0 done, 1 failed or a reply was wrong, 2 wrong arguments, 3 no "
            "server,\n4 fsbench itself was the limit of an open loop.\n");
}

int main(int argc, char **argv) {
    const char *first = argc >= 2 ? argv[1] : "";
    if (strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0 || strcmp(first, "help") == 0) {
        help_print(stdout);
        return EXIT_DONE;
    }
    if (strcmp(first, "--version") == 0) {
        printf("fsbench %s\n", FST_VERSION_TEXT);
        return EXIT_DONE;
    }
    for (int i = 0; argc >= 2 && i < COMMANDS_COUNT; i++) {
        if (strcmp(argv[1], commands[i].name) == 0) return commands[i].run(argc - 1, argv + 1);
    }
    if (argc >= 2) fprintf(stderr, "fsbench: unknown command %.64s\n\n", argv[1]);
    help_print(stderr);
    return EXIT_USAGE;
}
