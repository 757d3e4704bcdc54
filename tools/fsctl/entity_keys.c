#include "tools/fsctl/entity_keys.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum { COLUMNS_MAX = 64, ROOM_BYTES = 512, NONE = -1 };

#define BROKEN UINT32_MAX

void entity_keys_init(struct entity_keys *keys, const struct fst_handle *handle) {
    *keys = (struct entity_keys){.handle = handle, .columns_count = fst_handle_keys_count(handle)};
}

void entity_keys_deinit(struct entity_keys *keys) {
    for (size_t i = 0; i < keys->count * keys->columns_count; i++) free(keys->texts[i]);
    free(keys->texts);
    *keys = (struct entity_keys){0};
}

const char *entity_keys_text(const struct entity_keys *keys, size_t key, uint32_t column) {
    return keys->texts[key * keys->columns_count + column];
}

static int column_find(const struct entity_keys *keys, const char *name, size_t bytes) {
    for (uint32_t i = 0; i < keys->columns_count; i++) {
        struct fst_column column = fst_handle_key(keys->handle, i);
        if (strlen(column.name) == bytes && memcmp(column.name, name, bytes) == 0) return (int)i;
    }
    return NONE;
}

static const char *column_name(const struct entity_keys *keys, uint32_t column) {
    return fst_handle_key(keys->handle, column).name;
}

/* The key columns, for messages. */
static void columns_format(const struct entity_keys *keys, char *text, size_t text_bytes) {
    size_t at = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < keys->columns_count && at < text_bytes; i++) {
        int bytes =
            snprintf(text + at, text_bytes - at, "%s%s", i ? ", " : "", column_name(keys, i));
        at += bytes > 0 ? (size_t)bytes : 0;
    }
}

/* Takes over copies of a whole row of texts. */
static bool row_append(struct entity_keys *keys, const char *const *texts) {
    size_t used = keys->count * keys->columns_count;
    if (used + keys->columns_count > keys->texts_max) {
        size_t max = keys->texts_max ? keys->texts_max * 2 : COLUMNS_MAX;
        char **grown = realloc(keys->texts, max * sizeof *grown);
        if (!grown) return false;
        keys->texts = grown;
        keys->texts_max = max;
    }
    for (uint32_t i = 0; i < keys->columns_count; i++) {
        keys->texts[used + i] = strdup(texts[i]);
        if (!keys->texts[used + i]) return false;
    }
    keys->count += 1;
    return true;
}

/* ---- words ---- */

static enum ctl_exit row_finish(struct entity_keys *keys, struct ctl *ctl,
                                const char *texts[COLUMNS_MAX]) {
    for (uint32_t i = 0; i < keys->columns_count; i++) {
        if (!texts[i]) return ctl_misuse(ctl, "expected a value for key %s", column_name(keys, i));
    }
    if (!row_append(keys, texts)) return ctl_fail(ctl, FST_NO_MEMORY, "no memory for the keys");
    memset(texts, 0, COLUMNS_MAX * sizeof *texts);
    return CTL_DONE;
}

static enum ctl_exit column_refuse(const struct entity_keys *keys, struct ctl *ctl,
                                   const char *found) {
    char names[256];
    struct text_nearest nearest;
    char wanted[64];
    snprintf(wanted, sizeof wanted, "%.*s", (int)strcspn(found, "="), found);
    columns_format(keys, names, sizeof names);
    text_nearest_init(&nearest, wanted);
    for (uint32_t i = 0; i < keys->columns_count; i++) {
        text_nearest_put(&nearest, column_name(keys, i));
    }
    const char *best = text_nearest_get(&nearest);
    if (best) {
        return ctl_misuse(ctl, "expected keys %s, found '%s'; did you mean %s?", names, found,
                          best);
    }
    return ctl_misuse(ctl, "expected keys as COLUMN=VALUE for %s, found '%s'", names, found);
}

enum ctl_exit entity_keys_read_words(struct entity_keys *keys, struct ctl *ctl) {
    const char *texts[COLUMNS_MAX] = {NULL};
    bool is_open = false;
    for (uint32_t i = 0; i < ctl->words_count; i++) {
        const char *word = ctl->words[i];
        const char *equals = strchr(word, '=');
        int column = equals ? column_find(keys, word, (size_t)(equals - word)) : NONE;
        if (column == NONE) return column_refuse(keys, ctl, word);
        if (texts[column]) {
            enum ctl_exit done = row_finish(keys, ctl, texts);
            if (done != CTL_DONE) return done;
        }
        texts[column] = equals + 1;
        is_open = true;
    }
    return is_open ? row_finish(keys, ctl, texts) : CTL_DONE;
}

/* ---- CSV ---- */

/* Cuts the record at *at_io into 0-ended fields, in place. Returns how many; 0 at the end, BROKEN
 * if quotes are not around a whole field. */
static uint32_t record_cut(char **at_io, const char *fields[COLUMNS_MAX]) {
    char *at = *at_io;
    uint32_t count = 0;
    while (*at == '\n' || *at == '\r') at++;
    if (!*at) return 0;
    for (bool is_last = false; !is_last && count < COLUMNS_MAX;) {
        char *out = at;
        fields[count++] = out;
        bool is_quoted = *at == '"';
        if (is_quoted) at++;
        for (; *at && (is_quoted || !strchr(",\r\n\"", *at)); at++) {
            if (is_quoted && *at == '"' && *++at != '"') {
                is_quoted = false;
                break;
            }
            *out++ = *at;
        }
        if (is_quoted || (*at && !strchr(",\r\n", *at))) return BROKEN;
        is_last = *at != ',';
        if (*at) at++;
        *out = '\0';
    }
    *at_io = at;
    return count;
}

static enum ctl_exit header_read(struct entity_keys *keys, struct ctl *ctl, char **at_io,
                                 int columns[COLUMNS_MAX], uint32_t *fields_count_out) {
    char names[256];
    const char *fields[COLUMNS_MAX];
    uint32_t count = record_cut(at_io, fields);
    columns_format(keys, names, sizeof names);
    bool is_complete = count != BROKEN && count == keys->columns_count;
    for (uint32_t i = 0; i < count && is_complete; i++) {
        columns[i] = column_find(keys, fields[i], strlen(fields[i]));
        is_complete = columns[i] != NONE;
        for (uint32_t j = 0; j < i; j++) is_complete &= columns[j] != columns[i];
    }
    if (!is_complete) return ctl_fail(ctl, FST_INVALID, "--keys: expected the columns %s", names);
    *fields_count_out = count;
    return CTL_DONE;
}

enum ctl_exit entity_keys_read_csv(struct entity_keys *keys, struct ctl *ctl, char *text) {
    int columns[COLUMNS_MAX];
    uint32_t fields_count = 0;
    bool has_mark = strncmp(text, "\xef\xbb\xbf", 3) == 0; /* byte order mark */
    char *at = has_mark ? text + 3 : text;
    enum ctl_exit done = header_read(keys, ctl, &at, columns, &fields_count);
    if (done != CTL_DONE) return done;
    const char *fields[COLUMNS_MAX];
    uint32_t count;
    while ((count = record_cut(&at, fields)) > 0) {
        const char *texts[COLUMNS_MAX] = {NULL};
        if (count == BROKEN) {
            return ctl_fail(ctl, FST_INVALID,
                            "--keys: row %zu: expected quotes around the whole field",
                            keys->count + 1);
        }
        if (count != fields_count) {
            return ctl_fail(ctl, FST_INVALID, "--keys: row %zu: expected %u fields, found %u",
                            keys->count + 1, fields_count, count);
        }
        for (uint32_t i = 0; i < count; i++) texts[columns[i]] = fields[i];
        if (!row_append(keys, texts)) return ctl_fail(ctl, FST_NO_MEMORY, "no memory for the keys");
    }
    return CTL_DONE;
}

/* ---- putting ---- */

/* One column of a key; a string lies in `room`, which it may borrow. */
static enum fst_status value_parse(const struct entity_keys *keys, size_t key, uint32_t column,
                                   uint8_t room[ROOM_BYTES], struct fst_value *value_out,
                                   struct fst_error *error) {
    const char *text = entity_keys_text(keys, key, column);
    struct fst_text found = {.text = text, .bytes = strlen(text)};
    if (found.bytes > 2 * (size_t)ROOM_BYTES) return FST_TOO_LARGE;
    struct fst_type type = fst_handle_key(keys->handle, column).type;
    return fst_value_parse(type, found, room, value_out, error);
}

static enum ctl_exit value_refuse(const struct entity_keys *keys, struct ctl *ctl, size_t key,
                                  uint32_t column, struct fst_error *error) {
    if (error->status == FST_TOO_LARGE) {
        (void)fst_error_set(error, FST_TOO_LARGE,
                            "expected a key of at most 256 bytes, of which a string takes "
                            "its length and 2");
    }
    return ctl_fail(ctl, error->status, "key %zu, %s: %s", key + 1, column_name(keys, column),
                    error->text[0] ? error->text : fst_status_text(error->status));
}

enum ctl_exit entity_keys_put(const struct entity_keys *keys, struct ctl *ctl, size_t first,
                              size_t count, struct fst_keys *out) {
    for (size_t key = first; key < first + count; key++) {
        for (uint32_t c = 0; c < keys->columns_count; c++) {
            uint8_t room[ROOM_BYTES];
            struct fst_value value;
            struct fst_error error = {0};
            error.status = value_parse(keys, key, c, room, &value, &error);
            if (error.status == FST_OK) error.status = fst_keys_put(out, value);
            if (error.status != FST_OK) return value_refuse(keys, ctl, key, c, &error);
        }
    }
    return CTL_DONE;
}

enum ctl_exit entity_keys_append(const struct entity_keys *keys, struct ctl *ctl, int64_t event_us,
                                 struct fst_batch *out) {
    for (size_t key = 0; key < keys->count; key++) {
        enum fst_status status = fst_batch_append(out, event_us);
        if (status != FST_OK) return ctl_fail(ctl, status, "%s", fst_status_text(status));
        for (uint32_t c = 0; c < keys->columns_count; c++) {
            uint8_t room[ROOM_BYTES];
            struct fst_value value;
            struct fst_error error = {0};
            error.status = value_parse(keys, key, c, room, &value, &error);
            if (error.status == FST_OK) error.status = fst_batch_put(out, c, value);
            if (error.status != FST_OK) return value_refuse(keys, ctl, key, c, &error);
        }
    }
    return CTL_DONE;
}
