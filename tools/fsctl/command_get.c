/* get: features of entities, as a table or as objects. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/time.h"
#include "tools/fsctl/entity_keys.h"
#include "tools/fsctl/files.h"
#include "tools/fsctl/json.h"
#include "tools/fsctl/remote.h"
#include "tools/fsctl/text_table.h"

enum { NAMES_MAX = 1000, CELL_BYTES = 512, COLUMNS_ACROSS_MAX = 5, TITLE_BYTES = 160 };

/* ---- preparing ---- */

static enum ctl_exit features_prepare(struct ctl *ctl, struct fst_handle **handle_out) {
    const char *names[NAMES_MAX];
    char *copies[CTL_GIVEN_MAX];
    uint32_t count = 0, copies_count = 0, cursor = 0;
    const char *list;
    while ((list = ctl_option_next(ctl, "features", &cursor))) {
        char *copy = strdup(list);
        if (!copy) break;
        copies[copies_count++] = copy;
        char *rest = NULL;
        for (char *name = strtok_r(copy, ", ", &rest); name; name = strtok_r(NULL, ", ", &rest)) {
            if (count < NAMES_MAX) names[count++] = name;
        }
    }
    struct fst_error error = {0};
    enum fst_status status = fst_prepare_features(ctl->client, names, count, handle_out, &error);
    for (uint32_t i = 0; i < copies_count; i++) free(copies[i]);
    return status == FST_OK ? CTL_DONE : ctl_fail(ctl, status, "%s", error.text);
}

static enum ctl_exit handle_prepare(struct ctl *ctl, struct fst_handle **handle_out) {
    const char *service = ctl_option(ctl, "service");
    struct fst_error error = {0};
    if ((service != NULL) == (ctl_option(ctl, "features") != NULL)) {
        return ctl_misuse(ctl, "expected either --service NAME or --features LIST");
    }
    if (ctl_connect(ctl) != CTL_DONE) return ctl->exit;
    if (!service) return features_prepare(ctl, handle_out);
    enum fst_status status = fst_prepare_service(ctl->client, service, handle_out, &error);
    return status == FST_OK ? CTL_DONE : ctl_fail(ctl, status, "%s", error.text);
}

static enum ctl_exit keys_read(struct ctl *ctl, struct entity_keys *keys) {
    const char *path = ctl_option(ctl, "keys");
    enum ctl_exit done = entity_keys_read_words(keys, ctl);
    if (done == CTL_DONE && path) {
        char *text;
        size_t bytes;
        struct fst_error error;
        enum fst_status status = file_read_whole(ctl, path, &text, &bytes, &error);
        if (status != FST_OK) return ctl_fail(ctl, status, "%s", error.text);
        done = strlen(text) == bytes
                   ? entity_keys_read_csv(keys, ctl, text)
                   : ctl_fail(ctl, FST_INVALID, "--keys: expected text, found a NUL byte");
        free(text);
    }
    if (done == CTL_DONE && keys->count == 0) {
        done = ctl_misuse(ctl, "expected keys such as %s=VALUE, found none",
                          fst_handle_key(keys->handle, 0).name);
    }
    return done;
}

/* ---- showing ---- */

static const char *presence_text(uint8_t presence) {
    switch (presence) {
    case FST_PRESENT:
        return "PRESENT";
    case FST_NULL:
        return "NULL";
    case FST_ROW_EXPIRED:
        return "EXPIRED";
    default:
        return "NOT_FOUND";
    }
}

/* The value; its status where there is none; with a star where it is a default. */
static void value_put(struct text_table *table, const struct fst_value *value, bool is_default) {
    char cell[CELL_BYTES];
    if (!value->is_given) {
        snprintf(cell, sizeof cell, "<%s>", presence_text(value->presence));
    } else {
        size_t bytes = fst_value_format(value, cell, sizeof cell - 4);
        if (bytes > sizeof cell - 5) bytes = sizeof cell - 5;
        if (is_default) memcpy(cell + bytes, " *", 3);
    }
    text_table_put(table, cell);
}

/* Stands in for the stored one: the row or the value is not there, yet there is a value. */
static bool is_default(const struct fst_value *value, bool serves_expired) {
    if (!value->is_given || value->presence == FST_PRESENT) return false;
    return !(serves_expired && value->presence == FST_ROW_EXPIRED);
}

/* "view:feature", with the namespace only if there is more than one view of that name. */
static void feature_title(const struct fst_handle *handle, uint32_t feature,
                          char title[TITLE_BYTES]) {
    struct fst_column column = fst_handle_feature(handle, feature);
    const char *point = strchr(column.view, '.');
    snprintf(title, TITLE_BYTES, "%s:%s", point ? point + 1 : column.view, column.name);
    if (fst_handle_find(handle, title) != (int32_t)feature) {
        snprintf(title, TITLE_BYTES, "%s:%s", column.view, column.name);
    }
}

/* "customer_id=1, terminal_id=2" */
static void key_title(const struct entity_keys *keys, size_t key, char title[TITLE_BYTES]) {
    size_t at = 0;
    for (uint32_t c = 0; c < keys->columns_count && at < TITLE_BYTES; c++) {
        int bytes = snprintf(title + at, TITLE_BYTES - at, "%s%s=%s", c ? ", " : "",
                             fst_handle_key(keys->handle, c).name, entity_keys_text(keys, key, c));
        at += bytes > 0 ? (size_t)bytes : 0;
    }
}

struct answer {
    struct ctl *ctl;
    const struct fst_handle *handle;
    const struct entity_keys *keys;
    const struct fst_reply *reply;
    size_t first; /* key of the reply's first row */
    bool serves_expired;
    bool has_default; /* a star was printed */
};

static void answer_value_put(struct answer *answer, struct text_table *table, uint32_t row,
                             uint32_t feature) {
    struct fst_value value = fst_reply_value(answer->reply, row, feature);
    bool has_default = is_default(&value, answer->serves_expired);
    answer->has_default |= has_default;
    value_put(table, &value, has_default);
}

/* A line per feature and a column per key; then a line per view. */
static void answer_print_down(struct answer *answer, struct text_table *table) {
    char title[TITLE_BYTES];
    text_table_put(table, "FEATURE");
    for (uint32_t row = 0; row < answer->reply->rows_count; row++) {
        key_title(answer->keys, answer->first + row, title);
        text_table_put(table, title);
    }
    for (uint32_t f = 0; f < fst_handle_features_count(answer->handle); f++) {
        feature_title(answer->handle, f, title);
        text_table_put(table, title);
        for (uint32_t row = 0; row < answer->reply->rows_count; row++) {
            answer_value_put(answer, table, row, f);
        }
    }
}

/* A line per key and a column per feature. */
static void answer_print_across(struct answer *answer, struct text_table *table) {
    char title[TITLE_BYTES];
    for (uint32_t c = 0; c < answer->keys->columns_count && answer->first == 0; c++) {
        text_table_put(table, fst_handle_key(answer->handle, c).name);
    }
    uint32_t features_count = fst_handle_features_count(answer->handle);
    for (uint32_t f = 0; f < features_count && answer->first == 0; f++) {
        feature_title(answer->handle, f, title);
        text_table_put(table, title);
    }
    for (uint32_t row = 0; row < answer->reply->rows_count; row++) {
        for (uint32_t c = 0; c < answer->keys->columns_count; c++) {
            text_table_put(table, entity_keys_text(answer->keys, answer->first + row, c));
        }
        for (uint32_t f = 0; f < features_count; f++) answer_value_put(answer, table, row, f);
    }
}

/* When the rows behind the values happened. */
static void views_print(const struct answer *answer) {
    struct text_table table;
    static const char *const head[] = {"VIEW", "STATUS", "EVENT TIME", "CREATED", "LSN"};
    if (!text_table_init(&table, 5, "llllr")) return;
    for (uint32_t i = 0; i < 5; i++) text_table_put(&table, head[i]);
    for (uint32_t v = 0; v < fst_handle_views_count(answer->handle); v++) {
        struct fst_row row = fst_reply_row(answer->reply, 0, v);
        char event[TIME_TEXT_BYTES] = "", created[TIME_TEXT_BYTES] = "";
        if (row.presence != FST_ROW_MISSING) {
            time_format_rfc3339(row.event_us, event);
            time_format_rfc3339(row.created_us, created);
        }
        text_table_put(&table, fst_handle_view(answer->handle, v).name);
        text_table_put(&table, presence_text((uint8_t)row.presence));
        text_table_put(&table, event);
        text_table_put(&table, created);
        text_table_put_format(&table, "%" PRIu64, row.lsn);
    }
    fputc('\n', answer->ctl->out);
    text_table_print(&table, answer->ctl->out, answer->ctl->has_color);
    text_table_deinit(&table);
}

static void row_json(const struct answer *answer, uint32_t row) {
    char title[TITLE_BYTES];
    struct ctl_json json = {.out = answer->ctl->out};
    ctl_json_begin(&json, NULL, '{');
    ctl_json_begin(&json, "keys", '{');
    for (uint32_t c = 0; c < answer->keys->columns_count; c++) {
        ctl_json_text(&json, fst_handle_key(answer->handle, c).name,
                      entity_keys_text(answer->keys, answer->first + row, c));
    }
    ctl_json_end(&json, '}');
    ctl_json_begin(&json, "values", '{');
    for (uint32_t f = 0; f < fst_handle_features_count(answer->handle); f++) {
        struct fst_value value = fst_reply_value(answer->reply, row, f);
        feature_title(answer->handle, f, title);
        ctl_json_value(&json, title, &value);
    }
    ctl_json_end(&json, '}');
    ctl_json_begin(&json, "statuses", '{');
    for (uint32_t f = 0; f < fst_handle_features_count(answer->handle); f++) {
        feature_title(answer->handle, f, title);
        ctl_json_text(&json, title, presence_text(fst_reply_value(answer->reply, row, f).presence));
    }
    ctl_json_end(&json, '}');
    ctl_json_begin(&json, "views", '{');
    for (uint32_t v = 0; v < fst_handle_views_count(answer->handle); v++) {
        struct fst_row found = fst_reply_row(answer->reply, row, v);
        ctl_json_begin(&json, fst_handle_view(answer->handle, v).name, '{');
        ctl_json_text(&json, "status", presence_text((uint8_t)found.presence));
        ctl_json_integer(&json, "event_us", found.event_us);
        ctl_json_integer(&json, "created_us", found.created_us);
        ctl_json_unsigned(&json, "lsn", found.lsn);
        ctl_json_end(&json, '}');
    }
    ctl_json_end(&json, '}');
    ctl_json_end(&json, '}');
    fputc('\n', answer->ctl->out);
}

/* ---- asking ---- */

static void answer_add(struct answer *answer, struct text_table *table, bool is_down) {
    if (answer->ctl->is_json) {
        for (uint32_t row = 0; row < answer->reply->rows_count; row++) row_json(answer, row);
    } else if (is_down) {
        answer_print_down(answer, table);
    } else {
        answer_print_across(answer, table);
    }
}

static enum ctl_exit keys_ask(struct ctl *ctl, const struct entity_keys *keys,
                              struct fst_keys *asked, struct text_table *table) {
    struct fst_reply reply;
    bool is_down = keys->count <= COLUMNS_ACROSS_MAX;
    struct answer answer = {.ctl = ctl,
                            .handle = keys->handle,
                            .keys = keys,
                            .reply = &reply,
                            .serves_expired = ctl_option(ctl, "expired") != NULL};
    struct fst_get_options options = {.as_of_us = FST_NOW, .serves_expired = answer.serves_expired};
    size_t step = is_down ? COLUMNS_ACROSS_MAX : 500;
    size_t keys_max = fst_client_server(ctl->client)->keys_max;
    if (step > keys_max) step = keys_max;
    for (size_t first = 0; first < keys->count; first += step) {
        size_t count = keys->count - first < step ? keys->count - first : step;
        fst_keys_clear(asked);
        enum ctl_exit done = entity_keys_put(keys, ctl, first, count, asked);
        if (done != CTL_DONE) return done;
        if (fst_get(asked, &options, &reply) != FST_OK) return ctl_refused(ctl, &reply);
        answer.first = first;
        answer_add(&answer, table, is_down);
    }
    if (ctl->is_json) return CTL_DONE;
    text_table_print(table, ctl->out, ctl->has_color);
    if (keys->count == 1) views_print(&answer);
    if (answer.has_default) fprintf(ctl->out, "\n* the feature's default\n");
    return CTL_DONE;
}

enum ctl_exit ctl_get(struct ctl *ctl) {
    struct fst_handle *handle = NULL;
    struct entity_keys keys;
    enum ctl_exit done = handle_prepare(ctl, &handle);
    if (done != CTL_DONE) return done;
    entity_keys_init(&keys, handle);
    done = keys_read(ctl, &keys);
    if (done == CTL_DONE) {
        bool is_down = keys.count <= COLUMNS_ACROSS_MAX;
        uint32_t columns_count = is_down ? 1 + (uint32_t)keys.count
                                         : keys.columns_count + fst_handle_features_count(handle);
        struct fst_keys *asked = fst_keys_create(handle);
        struct text_table table;
        bool has_table = text_table_init(&table, columns_count, "");
        done = asked && has_table ? keys_ask(ctl, &keys, asked, &table)
                                  : ctl_fail(ctl, FST_NO_MEMORY, "no memory for the answer");
        if (has_table) text_table_deinit(&table);
        fst_keys_destroy(asked);
    }
    entity_keys_deinit(&keys);
    return done;
}
