/*
 * command: what fsctl can do, as a table, and everything a command gets to do it with.
 *
 * The table gives parsing, --help, completion and dispatch. A command has a name of one or two
 * words, its own options beside the global ones, and a function that returns the exit code of the
 * program. Results go to `out`: tables for people, or with --json one object a line; everything
 * else goes to `err`.
 *
 * Threads: one. Memory: arguments are borrowed from main().
 */
#ifndef FSCTL_COMMAND_H
#define FSCTL_COMMAND_H

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/io.h"
#include "fstore/client.h"

/* X(name, code, meaning) */
#define CTL_EXIT_TABLE(X)                                                                          \
    X(DONE, 0, "done")                                                                             \
    X(REFUSED, 1, "refused by the server, or done only in part")                                   \
    X(USAGE, 2, "the command line makes no sense")                                                 \
    X(NO_SERVER, 3, "no connection; check and dump: damaged, in use, or no store")                 \
    X(NOT_FOUND, 4, "no such entity, view, feature, service, key or file")                         \
    X(NOT_ALLOWED, 5, "the API key is missing, unknown, or lacks the role")                        \
    X(UNKNOWN, 6, "no answer in time; what was asked for may or may not have happened")            \
    X(INTERRUPTED, 130, "stopped by Ctrl-C")

enum ctl_exit {
#define CTL_EXIT_ENUM(name, code, meaning) CTL_##name = code,
    CTL_EXIT_TABLE(CTL_EXIT_ENUM)
#undef CTL_EXIT_ENUM
};

enum { CTL_OPTIONS_MAX = 24, CTL_GIVEN_MAX = 1024, CTL_KEY_TEXT_BYTES = 1024 };

struct ctl_option {
    const char *name; /* NULL ends a table */
    char letter;      /* short form, or 0 */
    const char *form; /* of the value; NULL: there is none */
    const char *help;
};

struct ctl_given {
    const char *name; /* of the option */
    const char *value;
};

struct ctl;

struct ctl_command {
    const char *name;      /* "list", "key create" */
    const char *arguments; /* "VIEW JSON" */
    const char *summary;   /* one line */
    const char *details;   /* paragraphs */
    const char *examples;  /* lines */
    const struct ctl_option *options;
    uint32_t words_min;
    uint32_t words_max;
    enum ctl_exit (*run)(struct ctl *ctl);
};

/* What a command works with. */
struct ctl {
    const struct ctl_command *command;
    const struct ctl_given *given; /* options, in the order of the command line */
    uint32_t given_count;
    char *const *words; /* arguments that are no options */
    uint32_t words_count;

    FILE *in;
    FILE *out;
    FILE *err;
    struct io *io;
    const volatile sig_atomic_t *is_interrupted; /* set by Ctrl-C */
    bool is_json;
    bool has_color;    /* out may be coloured */
    bool has_progress; /* err is a terminal */

    char key[CTL_KEY_TEXT_BYTES];
    const char *server;
    int64_t timeout_us;
    int64_t wait_us; /* for a server to come up */
    struct fst_client *client;
    enum ctl_exit exit; /* of the last failure that was printed */
};

/* The program but for signals. */
enum ctl_exit ctl_main(struct ctl *ctl, int argc, char **argv);

/* The value of an option, "" for one without; NULL if it was not given. The last one counts. */
const char *ctl_option(const struct ctl *ctl, const char *name);
/* The next value of an option that may be given many times, from *cursor (0) on; NULL at the
 * end. */
const char *ctl_option_next(const struct ctl *ctl, const char *name, uint32_t *cursor);

/* Prints why something failed, and returns the exit code that goes with it. */
enum ctl_exit ctl_fail(struct ctl *ctl, enum fst_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same for a command line that makes no sense; points to --help. */
enum ctl_exit ctl_misuse(struct ctl *ctl, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
enum ctl_exit ctl_exit_of(enum fst_status status);

/* ---- the table ---- */

extern const struct ctl_option ctl_global_options[];
extern const struct ctl_command ctl_commands[];
extern const uint32_t ctl_commands_count;

enum ctl_exit ctl_plan(struct ctl *ctl);
enum ctl_exit ctl_apply(struct ctl *ctl);
enum ctl_exit ctl_list(struct ctl *ctl);
enum ctl_exit ctl_describe(struct ctl *ctl);
enum ctl_exit ctl_put(struct ctl *ctl);
enum ctl_exit ctl_delete(struct ctl *ctl);
enum ctl_exit ctl_get(struct ctl *ctl);
enum ctl_exit ctl_import(struct ctl *ctl);
enum ctl_exit ctl_status(struct ctl *ctl);
enum ctl_exit ctl_key_create(struct ctl *ctl);
enum ctl_exit ctl_key_list(struct ctl *ctl);
enum ctl_exit ctl_key_revoke(struct ctl *ctl);
enum ctl_exit ctl_audit(struct ctl *ctl);
enum ctl_exit ctl_checkpoint(struct ctl *ctl);
enum ctl_exit ctl_check(struct ctl *ctl);
enum ctl_exit ctl_dump(struct ctl *ctl);
enum ctl_exit ctl_completion(struct ctl *ctl);
enum ctl_exit ctl_words(struct ctl *ctl);
enum ctl_exit ctl_version(struct ctl *ctl);

#endif
