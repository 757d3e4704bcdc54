#include "tools/fsctl/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/text.h"

static void string_write(FILE *out, const uint8_t *data, size_t bytes) {
    bool is_utf8 = text_is_utf8(data, bytes);
    fputc('"', out);
    for (size_t i = 0; i < bytes; i++) {
        uint8_t c = data[i];
        if (c == '"' || c == '\\')
            fprintf(out, "\\%c", c);
        else if (c == '\n')
            fputs("\\n", out);
        else if (c < 0x20 || c == 0x7f || (c >= 0x80 && !is_utf8))
            fprintf(out, "\\u%04x", c);
        else
            fputc(c, out);
    }
    fputc('"', out);
}

static void member_begin(struct ctl_json *json, const char *key) {
    if (json->needs_comma) fputs(", ", json->out);
    json->needs_comma = true;
    if (!key) return;
    string_write(json->out, (const uint8_t *)key, strlen(key));
    fputs(": ", json->out);
}

void ctl_json_begin(struct ctl_json *json, const char *key, char bracket) {
    member_begin(json, key);
    fputc(bracket, json->out);
    json->needs_comma = false;
}

void ctl_json_end(struct ctl_json *json, char bracket) {
    fputc(bracket, json->out);
    json->needs_comma = true;
}

void ctl_json_bytes(struct ctl_json *json, const char *key, const void *data, size_t bytes) {
    member_begin(json, key);
    string_write(json->out, data, bytes);
}

void ctl_json_text(struct ctl_json *json, const char *key, const char *text) {
    ctl_json_bytes(json, key, text, strlen(text));
}

void ctl_json_integer(struct ctl_json *json, const char *key, int64_t number) {
    member_begin(json, key);
    fprintf(json->out, "%" PRId64, number);
}

void ctl_json_unsigned(struct ctl_json *json, const char *key, uint64_t number) {
    member_begin(json, key);
    fprintf(json->out, "%" PRIu64, number);
}

void ctl_json_number(struct ctl_json *json, const char *key, double number) {
    member_begin(json, key);
    fprintf(json->out, "%.6g", number);
}

void ctl_json_bool(struct ctl_json *json, const char *key, bool truth) {
    member_begin(json, key);
    fputs(truth ? "true" : "false", json->out);
}

void ctl_json_null(struct ctl_json *json, const char *key) {
    member_begin(json, key);
    fputs("null", json->out);
}

/* Whether the text form is a JSON value as it stands. */
static bool is_plain(const struct fst_value *value) {
    switch (value->type.kind) {
    case FST_KIND_FLOAT32:
    case FST_KIND_FLOAT64:
        return isfinite(value->number);
    case FST_KIND_STRING:
    case FST_KIND_BYTES:
    case FST_KIND_UUID:
        return false;
    default:
        return true;
    }
}

void ctl_json_value(struct ctl_json *json, const char *key, const struct fst_value *value) {
    if (!value->is_given) {
        ctl_json_null(json, key);
    } else if (value->type.kind == FST_KIND_TIMESTAMP) {
        ctl_json_integer(json, key, value->integer);
    } else {
        size_t bytes = fst_value_format(value, NULL, 0);
        char *text = malloc(bytes + 1);
        if (!text) return;
        fst_value_format(value, text, bytes + 1);
        if (is_plain(value)) {
            member_begin(json, key);
            fputs(text, json->out);
        } else {
            ctl_json_bytes(json, key, text, bytes);
        }
        free(text);
    }
}
