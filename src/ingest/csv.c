#include "ingest/csv.h"

void csv_init(struct csv *csv, struct bytes text, void *scratch, size_t scratch_bytes) {
    const uint8_t *data = text.bytes > 0 ? text.data : scratch; /* Nothing may have no address. */
    *csv = (struct csv){
        .at = data, .end = data + text.bytes, .scratch = writer_of(scratch, scratch_bytes)};
    if (text.bytes >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0) csv->at += 3;
}

/* Length of the line end at `at`: 0 if there is none. */
static size_t line_end(const struct csv *csv, const uint8_t *at) {
    if (at == csv->end) return 0;
    if (*at == '\n') return 1;
    return *at == '\r' && at + 1 < csv->end && at[1] == '\n' ? 2 : 0;
}

static bool is_field_end(const struct csv *csv, const uint8_t *at) {
    return at == csv->end || *at == ',' || line_end(csv, at) > 0;
}

static enum fst_status problem(struct csv *csv, struct csv_record *record, const char *expected,
                               const char *found) {
    while (csv->at < csv->end && line_end(csv, csv->at) == 0) csv->at += 1;
    record->text.bytes = (size_t)(csv->at - record->text.data);
    csv->at += line_end(csv, csv->at);
    record->expected = expected;
    record->found = found;
    return FST_INVALID;
}

/* The text between the quotes; doubled ones become one, in scratch. csv->at is behind the opening
 * quote. */
static enum fst_status quoted_read(struct csv *csv, struct csv_field *field,
                                   struct csv_record *record) {
    const uint8_t *begin = csv->at;
    const uint8_t *piece = begin;
    const uint8_t *at = begin;
    uint8_t *copy = csv->scratch.at;
    bool is_copied = false;
    for (;;) {
        while (at < csv->end && *at != '"' && *at != 0) at++;
        if (at == csv->end) return problem(csv, record, "a closing quote", "the end of the text");
        if (*at == 0) return problem(csv, record, "text", "a NUL byte");
        bool is_doubled = at + 1 < csv->end && at[1] == '"';
        if (is_doubled || is_copied)
            write_bytes(&csv->scratch, piece, (size_t)(at - piece) + is_doubled);
        if (!is_doubled) break;
        is_copied = true;
        at += 2;
        piece = at;
    }
    if (csv->scratch.failed) return problem(csv, record, "a shorter record", "more than fits");
    csv->at = at + 1;
    if (!is_field_end(csv, csv->at)) {
        return problem(csv, record, "a comma or the end of the line after a closing quote",
                       "another character");
    }
    field->text = is_copied
                      ? (struct bytes){.data = copy, .bytes = (size_t)(csv->scratch.at - copy)}
                      : (struct bytes){.data = begin, .bytes = (size_t)(at - begin)};
    field->is_quoted = true;
    return FST_OK;
}

static enum fst_status field_read(struct csv *csv, struct csv_field *field,
                                  struct csv_record *record) {
    *field = (struct csv_field){.is_quoted = false};
    if (csv->at < csv->end && *csv->at == '"') {
        csv->at += 1;
        return quoted_read(csv, field, record);
    }
    const uint8_t *begin = csv->at;
    const uint8_t *at = begin;
    while (!is_field_end(csv, at)) {
        if (*at == '"')
            return problem(csv, record, "quotes around the whole field", "a quote inside");
        if (*at == 0) return problem(csv, record, "text", "a NUL byte");
        at++;
    }
    field->text = (struct bytes){.data = begin, .bytes = (size_t)(at - begin)};
    csv->at = at;
    return FST_OK;
}

enum fst_status csv_next(struct csv *csv, struct csv_field *fields, uint32_t fields_max,
                         struct csv_record *record_out) {
    while (line_end(csv, csv->at) > 0) csv->at += line_end(csv, csv->at);
    *record_out = (struct csv_record){.text.data = csv->at};
    if (csv->at == csv->end) return FST_NOT_FOUND;
    csv->scratch.at = csv->scratch.begin;
    csv->scratch.failed = false;
    for (;;) {
        struct csv_field field;
        enum fst_status status = field_read(csv, &field, record_out);
        if (status != FST_OK) return status;
        if (record_out->fields_count < fields_max) fields[record_out->fields_count] = field;
        record_out->fields_count += 1;
        if (csv->at == csv->end || *csv->at != ',') break;
        csv->at += 1;
    }
    record_out->text.bytes = (size_t)(csv->at - record_out->text.data);
    csv->at += line_end(csv, csv->at);
    return FST_OK;
}
