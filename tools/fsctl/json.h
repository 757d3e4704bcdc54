/*
 * json: writes JSON as it goes, one object a line.
 *
 * Keys are NULL inside arrays and at the top. Bytes that are not UTF-8 come out as the code points
 * of the same number.
 *
 * Threads: one. Memory: none but the stream's.
 */
#ifndef FSCTL_JSON_H
#define FSCTL_JSON_H

#include <stdbool.h>
#include <stdio.h>

#include "fstore/value.h"

struct ctl_json {
    FILE *out;
    bool needs_comma;
};

void ctl_json_begin(struct ctl_json *json, const char *key, char bracket);
void ctl_json_end(struct ctl_json *json, char bracket);
void ctl_json_text(struct ctl_json *json, const char *key, const char *text);
void ctl_json_bytes(struct ctl_json *json, const char *key, const void *data, size_t bytes);
void ctl_json_integer(struct ctl_json *json, const char *key, int64_t number);
void ctl_json_unsigned(struct ctl_json *json, const char *key, uint64_t number);
void ctl_json_number(struct ctl_json *json, const char *key, double number); /* finite */
void ctl_json_bool(struct ctl_json *json, const char *key, bool truth);
void ctl_json_null(struct ctl_json *json, const char *key);
/* Numbers and bools as such, timestamps in microseconds, vectors and lists as arrays; nan, inf,
 * bytes and uuids as strings; null for what is not given. */
void ctl_json_value(struct ctl_json *json, const char *key, const struct fst_value *value);

#endif
