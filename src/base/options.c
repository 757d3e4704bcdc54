#include "base/options.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/text.h"
#include "base/units.h"

enum {
    NAME_BYTES = 64,
    FOUND_BYTES = 96,
    HELP_COLUMNS = 80,
    HELP_INDENT = 28, /* where the sentences begin */
    HEAD_BYTES = 256,
    MESSAGE_BYTES = 256,
};

/* ---- names ---- */

static bool name_is_equal(const char *name, const char *written) {
    for (; *name; name++, written++) {
        bool is_dash = *name == '_' && *written == '-';
        if (*written != *name && !is_dash) return false;
    }
    return *written == '\0';
}

/* The name as people write it on a command line. */
static void name_format(const char *name, char out[NAME_BYTES]) {
    size_t i = 0;
    for (; name[i] && i < NAME_BYTES - 1; i++) {
        out[i] = name[i];
        if (out[i] == '_') out[i] = '-';
    }
    out[i] = '\0';
}

static const struct option_spec *spec_find(const struct options *options, const char *name) {
    for (uint32_t i = 0; i < options->specs_count; i++) {
        if (name_is_equal(options->specs[i].name, name)) return &options->specs[i];
    }
    return NULL;
}

static enum fst_status name_refuse(const struct options *options, const char *name,
                                   struct fst_error *error) {
    char found[FOUND_BYTES];
    text_format_printable(name, strlen(name), found, sizeof found);

    char known[OPTIONS_MAX][NAME_BYTES];
    struct text_nearest nearest;
    text_nearest_init(&nearest, found);
    for (uint32_t i = 0; i < options->specs_count; i++) {
        name_format(options->specs[i].name, known[i]);
        text_nearest_put(&nearest, known[i]);
    }
    const char *best = text_nearest_get(&nearest);
    if (!best) return fst_error_set(error, FST_UNKNOWN, "unknown option \"%s\"", found);
    return fst_error_set(error, FST_UNKNOWN, "unknown option \"%s\"; did you mean \"%s\"?", found,
                         best);
}

/* ---- values ---- */

static void *member_of(const struct options *options, const struct option_spec *spec) {
    return (uint8_t *)options->values + spec->offset;
}

static void number_format(enum option_kind kind, uint64_t number, char out[UNITS_TEXT_BYTES]) {
    if (kind == OPTION_BYTES) {
        bytes_format(number, out);
    } else if (kind == OPTION_DURATION) {
        duration_format((int64_t)number, out);
    } else {
        snprintf(out, UNITS_TEXT_BYTES, "%" PRIu64, number);
    }
}

static enum fst_status number_parse(const struct option_spec *spec, const char *value,
                                    uint64_t *number_out, struct fst_error *error) {
    uint64_t number = 0;
    int64_t us = 0;
    enum fst_status status;
    if (spec->kind == OPTION_BYTES) {
        status = bytes_parse(value, &number, error);
    } else if (spec->kind == OPTION_DURATION) {
        status = duration_parse(value, &us, error);
        number = (uint64_t)us;
    } else {
        status = count_parse(value, &number, error);
    }
    if (status != FST_OK) return status;
    if (number < spec->min || number > spec->max) {
        char min[UNITS_TEXT_BYTES], max[UNITS_TEXT_BYTES], found[UNITS_TEXT_BYTES];
        number_format(spec->kind, spec->min, min);
        number_format(spec->kind, spec->max, max);
        number_format(spec->kind, number, found);
        return fst_error_set(error, FST_INVALID, "expected %s to %s, found %s", min, max, found);
    }
    *number_out = number;
    return FST_OK;
}

static enum fst_status text_put(const struct option_spec *spec, const char *value, char *member,
                                struct fst_error *error) {
    size_t bytes = strlen(value);
    size_t bytes_max = spec->max > 0 ? spec->max : OPTION_TEXT_BYTES - 1;
    FST_ASSERT(bytes_max < OPTION_TEXT_BYTES);
    if (bytes < spec->min || bytes > bytes_max) {
        return fst_error_set(error, FST_INVALID, "expected %" PRIu64 " to %zu bytes, found %zu",
                             spec->min, bytes_max, bytes);
    }
    for (size_t i = 0; i < bytes; i++) {
        if ((unsigned char)value[i] >= 0x20 && value[i] != 0x7f) continue;
        return fst_error_set(error, FST_INVALID,
                             "expected text without control bytes, found \\x%02x at byte %zu",
                             (unsigned char)value[i], i + 1);
    }
    memcpy(member, value, bytes + 1);
    return FST_OK;
}

static enum fst_status bool_put(const char *value, bool *member, struct fst_error *error) {
    bool is_true = strcmp(value, "true") == 0;
    if (!is_true && strcmp(value, "false") != 0) {
        char found[FOUND_BYTES];
        text_format_printable(value, strlen(value), found, sizeof found);
        return fst_error_set(error, FST_INVALID, "expected true or false, found \"%s\"", found);
    }
    *member = is_true;
    return FST_OK;
}

/* The alternative with this number of "a|b|c", or NULL; stores its length. */
static const char *choice_at(const char *form, uint32_t index, size_t *bytes_out) {
    for (; index > 0; index--) {
        form = strchr(form, '|');
        if (!form) return NULL;
        form += 1;
    }
    *bytes_out = strcspn(form, "|");
    return form;
}

static enum fst_status choice_put(const struct option_spec *spec, const char *value,
                                  uint32_t *member, struct fst_error *error) {
    size_t bytes;
    const char *choice;
    for (uint32_t i = 0; (choice = choice_at(spec->form, i, &bytes)) != NULL; i++) {
        if (strlen(value) != bytes || memcmp(value, choice, bytes) != 0) continue;
        *member = i;
        return FST_OK;
    }
    char found[FOUND_BYTES];
    text_format_printable(value, strlen(value), found, sizeof found);
    return fst_error_set(error, FST_INVALID, "expected one of %s, found \"%s\"", spec->form, found);
}

static enum fst_status value_put(const struct options *options, const struct option_spec *spec,
                                 const char *value, struct fst_error *error) {
    void *member = member_of(options, spec);
    if (spec->kind == OPTION_TEXT) return text_put(spec, value, member, error);
    if (spec->kind == OPTION_BOOL) return bool_put(value, member, error);
    if (spec->kind == OPTION_CHOICE) return choice_put(spec, value, member, error);
    uint64_t number = 0;
    FST_TRY(number_parse(spec, value, &number, error));
    memcpy(member, &number, sizeof number); /* A duration has the same bytes: it is not negative. */
    return FST_OK;
}

/* Puts `prefix` before the text of an error that a value gave. */
static enum fst_status error_prefix(struct fst_error *error, enum fst_status status,
                                    const char *prefix) {
    if (!error) return status;
    char text[FST_ERROR_TEXT_BYTES];
    memcpy(text, error->text, sizeof text);
    return fst_error_set(error, status, "%s: %s", prefix, text);
}

static uint8_t *origin_of(struct options *options, const struct option_spec *spec) {
    return &options->origins[spec - options->specs];
}

/* What a stronger origin said stays, but the weaker one is still checked. */
static enum fst_status spec_put(struct options *options, const struct option_spec *spec,
                                const char *value, enum option_origin origin,
                                struct fst_error *error) {
    uint8_t *known = origin_of(options, spec);
    if (origin != OPTION_FROM_DEFAULT && (*known & 1u << (uint8_t)origin) != 0) {
        return fst_error_set(error, FST_INVALID, "expected the option once, found it again");
    }
    if (*known >> (uint8_t)origin > 1) {
        uint64_t scratch[OPTION_TEXT_BYTES / sizeof(uint64_t)];
        struct option_spec elsewhere = *spec;
        elsewhere.offset = 0;
        struct options checker = {.values = scratch};
        FST_TRY(value_put(&checker, &elsewhere, value, error));
    } else {
        FST_TRY(value_put(options, spec, value, error));
    }
    *known |= (uint8_t)(1u << (uint8_t)origin);
    return FST_OK;
}

void options_init(struct options *options, const struct option_spec *specs, uint32_t specs_count,
                  void *values) {
    FST_ASSERT(specs_count <= OPTIONS_MAX);
    *options = (struct options){.specs = specs, .specs_count = specs_count, .values = values};
    for (uint32_t i = 0; i < specs_count; i++) {
        FST_ASSERT(strlen(specs[i].name) < NAME_BYTES);
        FST_ASSERT(specs[i].kind != OPTION_CHOICE || specs[i].form != NULL);
        enum fst_status status =
            spec_put(options, &specs[i], specs[i].default_text, OPTION_FROM_DEFAULT, NULL);
        FST_ASSERT(status == FST_OK);
    }
}

enum fst_status options_put(struct options *options, const char *name, const char *value,
                            enum option_origin origin, struct fst_error *error) {
    const struct option_spec *spec = spec_find(options, name);
    if (!spec) return name_refuse(options, name, error);
    enum fst_status status = spec_put(options, spec, value, origin, error);
    return status == FST_OK ? status : error_prefix(error, status, spec->name);
}

enum option_origin options_origin(const struct options *options, const char *name) {
    const struct option_spec *spec = spec_find(options, name);
    FST_ASSERT(spec != NULL);
    uint8_t known = options->origins[spec - options->specs];
    if (known & 1u << OPTION_FROM_COMMAND_LINE) return OPTION_FROM_COMMAND_LINE;
    return known & 1u << OPTION_FROM_FILE ? OPTION_FROM_FILE : OPTION_FROM_DEFAULT;
}

/* ---- command line ---- */

struct argument {
    char name[NAME_BYTES];
    const char *value; /* behind `=`, or NULL */
};

static enum fst_status argument_split(const char *text, struct argument *argument,
                                      struct fst_error *error) {
    char found[FOUND_BYTES];
    text_format_printable(text, strlen(text), found, sizeof found);
    if (strncmp(text, "--", 2) != 0 || text[2] == '\0') {
        return fst_error_set(error, FST_INVALID, "expected --name value, found \"%s\"", found);
    }
    size_t name_bytes = strcspn(text + 2, "=");
    if (name_bytes >= sizeof argument->name) {
        return fst_error_set(error, FST_UNKNOWN, "unknown option \"%s\"", found);
    }
    memcpy(argument->name, text + 2, name_bytes);
    argument->name[name_bytes] = '\0';
    argument->value = text[2 + name_bytes] == '=' ? text + 2 + name_bytes + 1 : NULL;
    return FST_OK;
}

/* The option that --no-NAME switches off, or NULL. */
static const struct option_spec *spec_find_negated(const struct options *options,
                                                   const char *name) {
    if (strncmp(name, "no-", 3) != 0) return NULL;
    const struct option_spec *spec = spec_find(options, name + 3);
    return spec && spec->kind == OPTION_BOOL ? spec : NULL;
}

/* Reads one option and answers in `*used_out` how many arguments it took. */
static enum fst_status argument_parse(struct options *options, const char *text, const char *next,
                                      int *used_out, struct fst_error *error) {
    struct argument argument = {.value = NULL};
    bool is_help = strcmp(text, "-h") == 0 && spec_find(options, "help");
    FST_TRY(argument_split(is_help ? "--help" : text, &argument, error));
    const struct option_spec *spec = spec_find(options, argument.name);
    const struct option_spec *negated =
        spec || argument.value ? NULL : spec_find_negated(options, argument.name);
    if (!spec && !negated) return name_refuse(options, argument.name, error);

    char prefix[NAME_BYTES + 2] = "--";
    name_format(negated ? negated->name : spec->name, prefix + 2);
    const char *value = argument.value;
    *used_out = 1;
    if (negated) {
        spec = negated;
        value = "false";
    } else if (!value && spec->kind == OPTION_BOOL) {
        value = "true";
    } else if (!value) {
        if (!next) return fst_error_set(error, FST_INVALID, "%s: expected a value", prefix);
        value = next;
        *used_out = 2;
    }
    enum fst_status status = spec_put(options, spec, value, OPTION_FROM_COMMAND_LINE, error);
    return status == FST_OK ? status : error_prefix(error, status, prefix);
}

enum fst_status options_parse_arguments(struct options *options, int argc, char *const *argv,
                                        struct fst_error *error) {
    for (int i = 1; i < argc;) {
        int used = 0;
        const char *next = i + 1 < argc ? argv[i + 1] : NULL;
        FST_TRY(argument_parse(options, argv[i], next, &used, error));
        i += used;
    }
    return FST_OK;
}

/* ---- file ---- */

/* A place in a line: the column of `at` is 1 + at - begin. */
struct line {
    const char *file_name;
    uint32_t number;
    const char *begin;
    const char *end;
    const char *at;
};

static enum fst_status line_refuse(const struct line *line, const char *expected,
                                   struct fst_error *error) {
    char found[FOUND_BYTES];
    size_t left = (size_t)(line->end - line->at);
    text_format_printable(line->at, left, found, sizeof found);
    return fst_error_set(error, FST_INVALID, "%s:%" PRIu32 ":%td: expected %s, found %s%s%s",
                         line->file_name, line->number, line->at - line->begin + 1, expected,
                         left ? "\"" : "", left ? found : "the end of the line", left ? "\"" : "");
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

static bool is_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

static void line_skip_blanks(struct line *line) {
    while (line->at < line->end && is_blank(*line->at)) line->at++;
}

static bool line_is_over(const struct line *line) {
    return line->at == line->end || *line->at == '#';
}

static enum fst_status line_name(struct line *line, char name_out[NAME_BYTES],
                                 struct fst_error *error) {
    size_t bytes = 0;
    while (line->at + bytes < line->end && is_name(line->at[bytes])) bytes++;
    if (bytes == 0 || bytes >= NAME_BYTES) {
        return line_refuse(line, "the name of an option", error);
    }
    memcpy(name_out, line->at, bytes);
    name_out[bytes] = '\0';
    line->at += bytes;
    return FST_OK;
}

/* Between double quotes, where a backslash makes the next byte stand for itself. */
static enum fst_status line_quoted(struct line *line, char value_out[OPTION_TEXT_BYTES],
                                   struct fst_error *error) {
    size_t bytes = 0;
    line->at += 1;
    for (; line->at < line->end && *line->at != '"'; line->at++) {
        if (*line->at == '\\' && line->at + 1 < line->end) line->at++;
        if (bytes == OPTION_TEXT_BYTES - 1) return line_refuse(line, "a shorter value", error);
        value_out[bytes++] = *line->at;
    }
    if (line->at == line->end) return line_refuse(line, "a closing double quote", error);
    line->at += 1;
    value_out[bytes] = '\0';
    return FST_OK;
}

static enum fst_status line_bare(struct line *line, char value_out[OPTION_TEXT_BYTES],
                                 struct fst_error *error) {
    const char *begin = line->at;
    while (!line_is_over(line)) line->at++;
    const char *end = line->at;
    while (end > begin && is_blank(end[-1])) end--;
    size_t bytes = (size_t)(end - begin);
    if (bytes == 0 || bytes >= OPTION_TEXT_BYTES) {
        line->at = begin;
        return line_refuse(line, bytes ? "a shorter value" : "a value", error);
    }
    memcpy(value_out, begin, bytes);
    value_out[bytes] = '\0';
    return FST_OK;
}

static enum fst_status line_parse(struct options *options, struct line *line,
                                  struct fst_error *error) {
    char name[NAME_BYTES];
    char value[OPTION_TEXT_BYTES];
    const char *nul = memchr(line->begin, '\0', (size_t)(line->end - line->begin));
    if (nul) {
        line->at = nul;
        return line_refuse(line, "text", error);
    }
    line_skip_blanks(line);
    if (line_is_over(line)) return FST_OK;
    const char *name_at = line->at;
    FST_TRY(line_name(line, name, error));
    line_skip_blanks(line);
    if (line->at == line->end || *line->at != '=') return line_refuse(line, "=", error);
    line->at += 1;
    line_skip_blanks(line);
    const char *value_at = line->at;
    bool is_quoted = line->at < line->end && *line->at == '"';
    if (is_quoted) {
        FST_TRY(line_quoted(line, value, error));
    } else {
        FST_TRY(line_bare(line, value, error));
    }
    line_skip_blanks(line);
    if (!line_is_over(line)) return line_refuse(line, "the end of the line", error);

    enum fst_status status = options_put(options, name, value, OPTION_FROM_FILE, error);
    if (status == FST_OK) return status;
    const char *at = status == FST_UNKNOWN ? name_at : value_at;
    char prefix[MESSAGE_BYTES];
    snprintf(prefix, sizeof prefix, "%s:%" PRIu32 ":%td", line->file_name, line->number,
             at - line->begin + 1);
    return error_prefix(error, status, prefix);
}

enum fst_status options_parse_text(struct options *options, const char *file_name, const char *text,
                                   size_t text_bytes, struct fst_error *error) {
    struct line line = {.file_name = file_name};
    for (size_t done = 0; done < text_bytes;) {
        const char *begin = text + done;
        const char *end = memchr(begin, '\n', text_bytes - done);
        size_t line_bytes = end ? (size_t)(end - begin) : text_bytes - done;
        line.number += 1;
        line.begin = begin;
        line.at = begin;
        line.end = begin + line_bytes;
        FST_TRY(line_parse(options, &line, error));
        done += line_bytes + 1;
    }
    return FST_OK;
}

enum fst_status options_read_file(struct options *options, struct io *io, const char *path,
                                  struct fst_error *error) {
    io_file file;
    int result = io->ops->open(io, path, 0, &file);
    if (result < 0) {
        return fst_error_set(error, fst_status_from_errno(result),
                             "%s: expected a readable file: %s", path, strerror(-result));
    }
    enum fst_status status = FST_OK;
    char *text = NULL;
    int64_t bytes = io->ops->size(io, file);
    if (bytes > OPTIONS_FILE_BYTES_MAX) {
        status =
            fst_error_set(error, FST_TOO_LARGE, "%s: expected at most %d bytes, found %" PRId64,
                          path, OPTIONS_FILE_BYTES_MAX, bytes);
        goto close_file;
    }
    text = malloc((size_t)(bytes > 0 ? bytes : 1));
    if (!text) {
        status = fst_error_set(error, FST_NO_MEMORY, "%s: no memory to read it", path);
        goto close_file;
    }
    result = bytes < 0 ? (int)bytes : io_read_full(io, file, text, (size_t)bytes, 0);
    if (result < 0) {
        status = fst_error_set(error, fst_status_from_errno(result), "%s: cannot read: %s", path,
                               strerror(-result));
        goto free_text;
    }
    status = options_parse_text(options, path, text, (size_t)bytes, error);
free_text:
    free(text);
close_file:
    io->ops->close(io, file);
    return status;
}

/* ---- help and dumps ---- */

static const char *form_of(const struct option_spec *spec) {
    static const char *const forms[] = {
        [OPTION_BYTES] = "SIZE", [OPTION_DURATION] = "TIME", [OPTION_COUNT] = "N",
        [OPTION_TEXT] = "TEXT",  [OPTION_BOOL] = "",         [OPTION_CHOICE] = "",
    };
    return spec->form ? spec->form : forms[spec->kind];
}

static bool is_on_by_default(const struct option_spec *spec) {
    return spec->kind == OPTION_BOOL && strcmp(spec->default_text, "true") == 0;
}

static size_t head_format(const struct option_spec *spec, char out[HEAD_BYTES]) {
    char name[NAME_BYTES];
    name_format(spec->name, name);
    const char *form = form_of(spec);
    int length = snprintf(out, HEAD_BYTES, "--%s%s%s%s", is_on_by_default(spec) ? "[no-]" : "",
                          name, *form ? " " : "", form);
    FST_ASSERT(length > 0);
    FST_ASSERT(length < HEAD_BYTES);
    return (size_t)length;
}

/* Words of `text`, broken into lines that begin at HELP_INDENT; the first begins at `column`. */
static void words_print(const char *text, size_t column, FILE *out) {
    while (*text) {
        size_t bytes = strcspn(text, " ");
        if (column > HELP_INDENT && column + 1 + bytes > HELP_COLUMNS) {
            fprintf(out, "\n%*s", HELP_INDENT, "");
            column = HELP_INDENT;
        } else if (column > HELP_INDENT) {
            fputc(' ', out);
            column += 1;
        }
        fprintf(out, "%.*s", (int)bytes, text);
        column += bytes;
        text += bytes;
        while (*text == ' ') text++;
    }
    fputc('\n', out);
}

void options_help(const struct option_spec *specs, uint32_t specs_count, FILE *out) {
    for (uint32_t i = 0; i < specs_count; i++) {
        const struct option_spec *spec = &specs[i];
        char head[HEAD_BYTES];
        size_t used = 2 + head_format(spec, head);
        fprintf(out, "  %s", head);
        if (used + 2 > HELP_INDENT) {
            fprintf(out, "\n%*s", HELP_INDENT, "");
        } else {
            fprintf(out, "%*s", (int)(HELP_INDENT - used), "");
        }
        char text[OPTION_TEXT_BYTES];
        bool has_default = spec->kind != OPTION_BOOL && spec->default_text[0] != '\0';
        snprintf(text, sizeof text, has_default ? "%s (default: %s)" : "%s", spec->help,
                 spec->default_text);
        words_print(text, HELP_INDENT, out);
    }
}

static void quoted_print(const char *text, FILE *out) {
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') fputc('\\', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

void options_value_dump(const void *values, const struct option_spec *spec, FILE *out) {
    const void *member = (const uint8_t *)values + spec->offset;
    if (spec->kind == OPTION_TEXT) {
        quoted_print(member, out);
    } else if (spec->kind == OPTION_BOOL) {
        fputs(*(const bool *)member ? "true" : "false", out);
    } else if (spec->kind == OPTION_CHOICE) {
        size_t bytes = 0;
        const char *choice = choice_at(spec->form, *(const uint32_t *)member, &bytes);
        FST_ASSERT(choice != NULL);
        fprintf(out, "%.*s", (int)bytes, choice);
    } else {
        char text[UNITS_TEXT_BYTES];
        uint64_t number;
        memcpy(&number, member, sizeof number);
        number_format(spec->kind, number, text);
        fputs(text, out);
    }
}

void options_dump(const struct options *options, FILE *out) {
    static const char *const origins[] = {
        [OPTION_FROM_DEFAULT] = "default",
        [OPTION_FROM_FILE] = "file",
        [OPTION_FROM_COMMAND_LINE] = "command line",
    };
    for (uint32_t i = 0; i < options->specs_count; i++) {
        const struct option_spec *spec = &options->specs[i];
        fprintf(out, "%s = ", spec->name);
        options_value_dump(options->values, spec, out);
        fprintf(out, " # %s\n", origins[options_origin(options, spec->name)]);
    }
}

/* A bar inside a cell would end it. */
static void cell_print(const char *text, FILE *out) {
    for (; *text; text++) {
        if (*text == '|') fputc('\\', out);
        fputc(*text, out);
    }
}

void options_dump_markdown(const struct option_spec *specs, uint32_t specs_count, FILE *out) {
    fputs("| option | default | range | meaning |\n|---|---|---|---|\n", out);
    for (uint32_t i = 0; i < specs_count; i++) {
        const struct option_spec *spec = &specs[i];
        char head[HEAD_BYTES];
        head_format(spec, head);
        fputs("| `", out);
        cell_print(head, out);
        fputs("` | ", out);
        cell_print(spec->default_text, out);
        fputs(" | ", out);
        bool is_number = spec->kind <= OPTION_COUNT;
        if (is_number) {
            char min[UNITS_TEXT_BYTES], max[UNITS_TEXT_BYTES];
            number_format(spec->kind, spec->min, min);
            number_format(spec->kind, spec->max, max);
            fprintf(out, "%s to %s", min, max);
        }
        fputs(" | ", out);
        cell_print(spec->help, out);
        fputs(" |\n", out);
    }
}
