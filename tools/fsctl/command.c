#include "tools/fsctl/command.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "base/units.h"
#include "tools/fsctl/json.h"
#include "tools/fsctl/remote.h"

enum { HELP_COLUMN = 26, LONG_FIRST = 256, NAME_BYTES = 64 };

/* ---- failing ---- */

enum ctl_exit ctl_exit_of(enum fst_status status) {
    switch (status) {
    case FST_OK:
        return CTL_DONE;
    case FST_UNKNOWN:
    case FST_NOT_FOUND:
        return CTL_NOT_FOUND;
    case FST_UNAUTHENTICATED:
    case FST_FORBIDDEN:
        return CTL_NOT_ALLOWED;
    case FST_CLOSED:
        return CTL_NO_SERVER;
    case FST_TIMEOUT:
    case FST_OUTCOME_UNKNOWN:
        return CTL_UNKNOWN;
    default:
        return CTL_REFUSED;
    }
}

enum ctl_exit ctl_fail(struct ctl *ctl, enum fst_status status, const char *format, ...) {
    char text[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    ctl->exit = ctl_exit_of(status);
    fflush(ctl->out);
    if (ctl->is_json) {
        struct ctl_json json = {.out = ctl->err};
        ctl_json_begin(&json, NULL, '{');
        ctl_json_text(&json, "error", fst_status_name(status));
        ctl_json_text(&json, "text", text);
        ctl_json_end(&json, '}');
        fputc('\n', ctl->err);
    } else {
        fprintf(ctl->err, "fsctl: %s\n", text);
    }
    return ctl->exit;
}

enum ctl_exit ctl_misuse(struct ctl *ctl, const char *format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fprintf(ctl->err, "fsctl: %s", text);
    const char *name = ctl->command ? ctl->command->name : "";
    fprintf(ctl->err, "\nTry 'fsctl %s%s--help'.\n", name, name[0] ? " " : "");
    ctl->exit = CTL_USAGE;
    return CTL_USAGE;
}

/* ---- options ---- */

const char *ctl_option_next(const struct ctl *ctl, const char *name, uint32_t *cursor) {
    for (uint32_t i = *cursor; i < ctl->given_count; i++) {
        if (strcmp(ctl->given[i].name, name) != 0) continue;
        *cursor = i + 1;
        return ctl->given[i].value;
    }
    return NULL;
}

const char *ctl_option(const struct ctl *ctl, const char *name) {
    uint32_t cursor = 0;
    const char *last = NULL;
    const char *value;
    while ((value = ctl_option_next(ctl, name, &cursor))) last = value;
    return last;
}

/* The tables as getopt_long() wants them. */
struct spec {
    struct option longs[CTL_OPTIONS_MAX + 1];
    const struct ctl_option *options[CTL_OPTIONS_MAX];
    char letters[3 * CTL_OPTIONS_MAX];
    uint32_t count;
};

static void spec_add(struct spec *spec, const struct ctl_option *options) {
    for (; options && options->name && spec->count < CTL_OPTIONS_MAX; options++) {
        spec->longs[spec->count] = (struct option){
            .name = options->name,
            .has_arg = options->form ? required_argument : no_argument,
            .val = LONG_FIRST + (int)spec->count,
        };
        spec->options[spec->count++] = options;
        if (!options->letter) continue;
        size_t at = strlen(spec->letters);
        spec->letters[at] = options->letter;
        if (options->form) spec->letters[at + 1] = ':';
    }
}

static const struct ctl_option *spec_find(const struct spec *spec, int found) {
    if (found >= LONG_FIRST) return spec->options[found - LONG_FIRST];
    for (uint32_t i = 0; i < spec->count; i++) {
        if (spec->options[i]->letter == found) return spec->options[i];
    }
    return NULL;
}

static enum ctl_exit option_refuse(struct ctl *ctl, const struct spec *spec, int found,
                                   const char *text) {
    if (found == ':') return ctl_misuse(ctl, "option %s: expected a value", text);
    if (optopt >= LONG_FIRST) return ctl_misuse(ctl, "option %s: expected no value", text);
    struct text_nearest nearest;
    text_nearest_init(&nearest, text);
    char names[CTL_OPTIONS_MAX][NAME_BYTES];
    for (uint32_t i = 0; i < spec->count; i++) {
        snprintf(names[i], NAME_BYTES, "--%s", spec->options[i]->name);
        text_nearest_put(&nearest, names[i]);
    }
    const char *best = text_nearest_get(&nearest);
    if (best) return ctl_misuse(ctl, "unknown option %s; did you mean %s?", text, best);
    return ctl_misuse(ctl, "unknown option %s", text);
}

/* Reads options from argv[1] on, into `given`. With `stops_early` the first word ends them. */
static enum ctl_exit options_read(struct ctl *ctl, int argc, char **argv, bool stops_early,
                                  struct ctl_given *given) {
    struct spec spec = {.letters = ":"};
    if (stops_early) memcpy(spec.letters, "+:", 2);
    spec_add(&spec, ctl_global_options);
    if (ctl->command) spec_add(&spec, ctl->command->options);
    opterr = 0;
    optind = 0;
    int found;
    while ((found = getopt_long(argc, argv, spec.letters, spec.longs, NULL)) != -1) {
        const struct ctl_option *option = spec_find(&spec, found);
        if (!option) return option_refuse(ctl, &spec, found, argv[optind - 1]);
        if (ctl->given_count == CTL_GIVEN_MAX) return ctl_misuse(ctl, "too many options");
        given[ctl->given_count++] =
            (struct ctl_given){.name = option->name, .value = optarg ? optarg : ""};
    }
    return CTL_DONE;
}

/* ---- help ---- */

static void options_help(const struct ctl_option *options, FILE *out) {
    for (; options->name; options++) {
        char left[NAME_BYTES];
        char letter[8] = "    ";
        if (options->letter) snprintf(letter, sizeof letter, "-%c, ", options->letter);
        snprintf(left, sizeof left, "%s--%s%s%s", letter, options->name, options->form ? " " : "",
                 options->form ? options->form : "");
        fprintf(out, "  %-*s  %s\n", HELP_COLUMN, left, options->help);
    }
}

static const struct ctl_exit_row {
    int code;
    const char *meaning;
} exit_rows[] = {
#define CTL_EXIT_ROW(name, code, meaning) {code, meaning},
    CTL_EXIT_TABLE(CTL_EXIT_ROW)
#undef CTL_EXIT_ROW
};

/* What every command has. */
static void globals_help(FILE *out) {
    fprintf(out, "\nOptions of all commands:\n");
    options_help(ctl_global_options, out);
    fprintf(out, "\nExit codes:\n");
    for (size_t i = 0; i < sizeof exit_rows / sizeof exit_rows[0]; i++) {
        fprintf(out, "  %3d  %s\n", exit_rows[i].code, exit_rows[i].meaning);
    }
}

static void program_help(FILE *out) {
    fprintf(out, "Usage: fsctl [OPTIONS] COMMAND ...\n"
                 "Looks after an fstore server: definitions, rows, keys, status.\n\nCommands:\n");
    for (uint32_t i = 0; i < ctl_commands_count; i++) {
        const struct ctl_command *command = &ctl_commands[i];
        if (command->summary) fprintf(out, "  %-12s  %s\n", command->name, command->summary);
    }
    globals_help(out);
    fprintf(out, "\n'fsctl COMMAND --help' explains a command, with examples.\n");
}

static void command_help(const struct ctl_command *command, FILE *out) {
    fprintf(out, "Usage: fsctl [OPTIONS] %s %s\n", command->name, command->arguments);
    if (command->summary) {
        fprintf(out, "%s.\n", command->summary);
    }
    if (command->details[0]) fprintf(out, "\n%s\n", command->details);
    if (command->options->name) {
        fprintf(out, "\nOptions:\n");
        options_help(command->options, out);
    }
    globals_help(out);
    fprintf(out, "\nExamples:\n");
    for (const char *line = command->examples; *line;) {
        int bytes = (int)strcspn(line, "\n");
        fprintf(out, "  %.*s\n", bytes, line);
        line += bytes + (line[bytes] == '\n');
    }
}

/* ---- finding the command ---- */

/* Whether `name` is the words[0] or words[0] words[1]; the number of words it took. */
static uint32_t name_matches(const char *name, char *const *words, uint32_t words_count) {
    const char *space = strchr(name, ' ');
    if (!space) return strcmp(name, words[0]) == 0 ? 1 : 0;
    size_t bytes = (size_t)(space - name);
    if (strlen(words[0]) != bytes || memcmp(name, words[0], bytes) != 0) return 0;
    return words_count > 1 && strcmp(space + 1, words[1]) == 0 ? 2 : 0;
}

static enum ctl_exit command_refuse(struct ctl *ctl, char *const *words, uint32_t words_count) {
    struct text_nearest nearest;
    char wanted[2 * NAME_BYTES];
    snprintf(wanted, sizeof wanted, "%.60s", words[0]);
    bool has_group = false;
    for (uint32_t i = 0; i < ctl_commands_count; i++) {
        const char *space = strchr(ctl_commands[i].name, ' ');
        size_t bytes = space ? (size_t)(space - ctl_commands[i].name) : 0;
        has_group |= space && strlen(words[0]) == bytes &&
                     memcmp(words[0], ctl_commands[i].name, bytes) == 0;
    }
    if (has_group && words_count == 1) {
        return ctl_misuse(ctl, "%s: expected what to do with it; see 'fsctl --help'", words[0]);
    }
    if (has_group) snprintf(wanted, sizeof wanted, "%.60s %.60s", words[0], words[1]);
    text_nearest_init(&nearest, wanted);
    for (uint32_t i = 0; i < ctl_commands_count; i++) {
        if (ctl_commands[i].summary) text_nearest_put(&nearest, ctl_commands[i].name);
    }
    const char *best = text_nearest_get(&nearest);
    if (best) return ctl_misuse(ctl, "unknown command '%s'; did you mean '%s'?", wanted, best);
    return ctl_misuse(ctl, "unknown command '%s'", wanted);
}

static uint32_t command_find(struct ctl *ctl, char *const *words, uint32_t words_count) {
    for (uint32_t i = 0; i < ctl_commands_count; i++) {
        uint32_t taken = name_matches(ctl_commands[i].name, words, words_count);
        if (taken == 0) continue;
        ctl->command = &ctl_commands[i];
        return taken;
    }
    return 0;
}

/* ---- global options ---- */

static enum ctl_exit key_read(struct ctl *ctl) {
    const char *key = ctl_option(ctl, "key");
    const char *path = ctl_option(ctl, "key-file");
    if (key && path) return ctl_misuse(ctl, "expected one of --key and --key-file, found both");
    if (!key && !path) key = getenv("FSTORE_KEY");
    if (!path) {
        snprintf(ctl->key, sizeof ctl->key, "%s", key ? key : "");
        return CTL_DONE;
    }
    FILE *file = fopen(path, "re");
    if (!file) return ctl_fail(ctl, FST_NOT_FOUND, "%s: cannot be read", path);
    if (!fgets(ctl->key, sizeof ctl->key, file)) ctl->key[0] = '\0';
    fclose(file);
    ctl->key[strcspn(ctl->key, "\r\n")] = '\0';
    if (!ctl->key[0]) return ctl_fail(ctl, FST_INVALID, "%s: expected a key on line 1", path);
    return CTL_DONE;
}

static enum ctl_exit duration_read(struct ctl *ctl, const char *name, int64_t *us_out) {
    struct fst_error error;
    const char *text = ctl_option(ctl, name);
    if (!text || duration_parse(text, us_out, &error) == FST_OK) return CTL_DONE;
    return ctl_misuse(ctl, "--%s: %s", name, error.text);
}

static enum ctl_exit color_read(struct ctl *ctl) {
    const char *when = ctl_option(ctl, "color");
    if (!when || strcmp(when, "auto") == 0) {
        ctl->has_color = isatty(fileno(ctl->out)) && !getenv("NO_COLOR");
    } else if (strcmp(when, "always") == 0 || strcmp(when, "never") == 0) {
        ctl->has_color = when[0] == 'a';
    } else {
        return ctl_misuse(ctl, "--color: expected auto, always or never, found '%s'", when);
    }
    return CTL_DONE;
}

static enum ctl_exit globals_read(struct ctl *ctl) {
    ctl->is_json = ctl_option(ctl, "json") != NULL;
    ctl->has_progress = isatty(fileno(ctl->err));
    ctl->timeout_us = 30000000;
    ctl->server = ctl_option(ctl, "server");
    if (!ctl->server) ctl->server = getenv("FSTORE_SERVER");
    if (!ctl->server || !ctl->server[0]) ctl->server = "127.0.0.1:7601";
    enum ctl_exit done = duration_read(ctl, "timeout", &ctl->timeout_us);
    if (done == CTL_DONE) done = duration_read(ctl, "wait", &ctl->wait_us);
    if (done == CTL_DONE) done = color_read(ctl);
    if (done == CTL_DONE) done = key_read(ctl);
    if (done == CTL_DONE && ctl->timeout_us == 0) {
        done = ctl_misuse(ctl, "--timeout: expected more than 0");
    }
    return done;
}

/* ---- running ---- */

static enum ctl_exit command_run(struct ctl *ctl) {
    const struct ctl_command *command = ctl->command;
    if (ctl_option(ctl, "help")) {
        command_help(command, ctl->out);
        return CTL_DONE;
    }
    if (ctl->words_count < command->words_min) {
        return ctl_misuse(ctl, "%s: expected %s", command->name, command->arguments);
    }
    if (ctl->words_count > command->words_max) {
        return ctl_misuse(ctl, "%s: did not expect '%s'", command->name,
                          ctl->words[command->words_max]);
    }
    enum ctl_exit done = globals_read(ctl);
    if (done == CTL_DONE) done = command->run(ctl);
    ctl_disconnect(ctl);
    if (fflush(ctl->out) != 0 && done == CTL_DONE) {
        done = ctl_fail(ctl, FST_IO_ERROR, "the output could not be written");
    }
    return done;
}

enum ctl_exit ctl_main(struct ctl *ctl, int argc, char **argv) {
    struct ctl_given given[CTL_GIVEN_MAX];
    ctl->given = given;
    ctl->given_count = 0;
    enum ctl_exit done = options_read(ctl, argc, argv, true, given);
    if (done != CTL_DONE) return done;
    int first = optind;
    if (ctl_option(ctl, "version")) return ctl_version(ctl);
    if (first == argc || strcmp(argv[first], "help") == 0) {
        bool is_asked = first < argc || ctl_option(ctl, "help");
        uint32_t rest_count = first + 1 < argc ? (uint32_t)(argc - first - 1) : 0;
        if (rest_count > 0) {
            if (!command_find(ctl, &argv[first + 1], rest_count)) {
                return command_refuse(ctl, &argv[first + 1], rest_count);
            }
            command_help(ctl->command, ctl->out);
        } else {
            program_help(is_asked ? ctl->out : ctl->err);
        }
        return is_asked ? CTL_DONE : CTL_USAGE;
    }
    uint32_t taken = command_find(ctl, &argv[first], (uint32_t)(argc - first));
    if (taken == 0) return command_refuse(ctl, &argv[first], (uint32_t)(argc - first));
    /* getopt_long() takes argv[0] for the program: that is the last word of the command. */
    int rest = first + (int)taken - 1;
    bool is_plain = ctl->command->run == ctl_words; /* Its words are others' options. */
    if (!is_plain) done = options_read(ctl, argc - rest, argv + rest, false, given);
    if (done != CTL_DONE) return done;
    int words = rest + (is_plain ? 1 : optind);
    ctl->words = &argv[words];
    ctl->words_count = (uint32_t)(argc - words);
    return command_run(ctl);
}
