/*
 * options: settings of a program from one table: struct, command line, file, help and
 * documentation.
 *
 * The table is an X-macro beside the program; its rows become the members of a plain struct and an
 * array of struct option_spec:
 *
 *     #define SERVER_OPTIONS(X)                                                                  \
 *         X(data, TEXT, "", 0, 0, "DIR", "folder of the store")                                  \
 *         X(memory, BYTES, "4G", 1 << 20, UINT64_MAX, NULL, "memory for online rows")            \
 *         X(io, CHOICE, "auto", 0, 0, "auto|uring|epoll", "how to wait for the kernel")
 *
 *     struct server_options { SERVER_OPTIONS(OPTION_MEMBER) };
 *     static const struct option_spec specs[] = {
 *     #define SPEC(name, ...) OPTION_SPEC(struct server_options, name, __VA_ARGS__)
 *         SERVER_OPTIONS(SPEC)
 *     };
 *
 * On the command line a name is written --log-files or --log_files, with the value behind a space
 * or `=`; a bool also as --plan and --no-plan, and --help, if there is one, as -h. In a file it is
 * `log_files = 8` on a line of its own, a value may be in double quotes, and # begins a comment.
 * What the command line says wins over the file, in whatever order they are read; both may say a
 * thing only once.
 *
 * Threads: one. Memory: everything is copied into the caller's struct; specs are borrowed.
 */
#ifndef BASE_OPTIONS_H
#define BASE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/io.h"
#include "fstore/status.h"

enum { OPTIONS_MAX = 128, OPTION_TEXT_BYTES = 1024, OPTIONS_FILE_BYTES_MAX = 1 << 20 };

enum option_kind {
    OPTION_BYTES,    /* uint64_t, "64M" */
    OPTION_DURATION, /* int64_t microseconds, "10s" */
    OPTION_COUNT,    /* uint64_t, "10000" */
    OPTION_TEXT,     /* char[OPTION_TEXT_BYTES] */
    OPTION_BOOL,     /* bool, "true" or "false" */
    OPTION_CHOICE,   /* uint32_t, index into the alternatives */
};

struct option_spec {
    const char *name; /* as a C name */
    enum option_kind kind;
    const char *default_text;
    uint64_t min; /* of bytes, duration (us) and count: both ends included */
    uint64_t max; /* of a text: most bytes, or 0 for OPTION_TEXT_BYTES - 1 */
    const char
        *form; /* of a choice: "a|b|c". Otherwise a word for the help, or NULL for the kind's */
    const char *help; /* one sentence without the default */
    size_t offset;    /* of the member */
};

#define OPTION_MEMBER_BYTES(name)    uint64_t name;
#define OPTION_MEMBER_DURATION(name) int64_t name;
#define OPTION_MEMBER_COUNT(name)    uint64_t name;
#define OPTION_MEMBER_TEXT(name)     char name[OPTION_TEXT_BYTES];
#define OPTION_MEMBER_BOOL(name)     bool name;
#define OPTION_MEMBER_CHOICE(name)   uint32_t name;

#define OPTION_MEMBER(name, kind, default_text, min, max, form, help) OPTION_MEMBER_##kind(name)
#define OPTION_SPEC(type, name, kind, default_text, min, max, form, help)                          \
    {#name, OPTION_##kind, default_text, min, max, form, help, offsetof(type, name)},

enum option_origin { OPTION_FROM_DEFAULT, OPTION_FROM_FILE, OPTION_FROM_COMMAND_LINE };

struct options {
    const struct option_spec *specs;
    uint32_t specs_count;
    void *values;                 /* the caller's struct */
    uint8_t origins[OPTIONS_MAX]; /* bit 1 << enum option_origin per place that set it */
};

/* Fills `values` with the defaults; a default that does not parse is an assertion failure. */
void options_init(struct options *options, const struct option_spec *specs, uint32_t specs_count,
                  void *values);

/* Reads argv[1] to argv[argc - 1]. FST_INVALID with the argument, what was expected and the nearest
 * known name in `error`. */
FST_MUST_USE enum fst_status options_parse_arguments(struct options *options, int argc,
                                                     char *const *argv, struct fst_error *error);

/* Reads the text of a file; errors are FILE:LINE:COLUMN: expected ..., found .... */
FST_MUST_USE enum fst_status options_parse_text(struct options *options, const char *file_name,
                                                const char *text, size_t text_bytes,
                                                struct fst_error *error);

/* options_parse_text of a whole file. */
FST_MUST_USE enum fst_status options_read_file(struct options *options, struct io *io,
                                               const char *path, struct fst_error *error);

/* Sets one option by name, as from `origin`. */
FST_MUST_USE enum fst_status options_put(struct options *options, const char *name,
                                         const char *value, enum option_origin origin,
                                         struct fst_error *error);

/* Where the value of the option `name` came from. */
enum option_origin options_origin(const struct options *options, const char *name);

/* One aligned entry per option: --name FORM, help, default. */
void options_help(const struct option_spec *specs, uint32_t specs_count, FILE *out);

/* One value of the struct `values` as options_parse_text reads it back: a text is in quotes. */
void options_value_dump(const void *values, const struct option_spec *spec, FILE *out);

/* The values as a file that options_parse_text reads back, each with its origin. */
void options_dump(const struct options *options, FILE *out);

/* The specs as rows of a Markdown table. */
void options_dump_markdown(const struct option_spec *specs, uint32_t specs_count, FILE *out);

#endif
