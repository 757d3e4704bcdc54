#include "tools/fsctl/csv_chunks.h"

#include <errno.h>
#include <stdlib.h>

enum { READ_BYTES = 256 << 10 };

/* ---- records ---- */

/* Bytes up to and with the next LF; 0 if there is none, all if the text is the last one. */
static size_t line_bytes(const uint8_t *at, const uint8_t *end, bool is_last) {
    const uint8_t *lf = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
    if (lf) return (size_t)(lf - at) + 1;
    return is_last ? (size_t)(end - at) : 0;
}

/* The closing quote of a field whose text begins at `at`; NULL: there is none. */
static const uint8_t *quote_find(const uint8_t *at, const uint8_t *end, bool *is_broken_out) {
    for (; at < end; at++) {
        if (*at == 0) {
            *is_broken_out = true;
            return NULL;
        }
        if (*at != '"') continue;
        if (at + 1 < end && at[1] == '"')
            at += 1;
        else
            return at;
    }
    return NULL;
}

static bool is_field_end(const uint8_t *at, const uint8_t *end) {
    return at == end || *at == ',' || *at == '\n' || (*at == '\r' && at + 1 < end && at[1] == '\n');
}

/* Bytes from `begin` to the end of the line that `at` is in; 0 if that end is not there yet. */
static size_t rest_bytes(const uint8_t *begin, const uint8_t *at, const uint8_t *end,
                         bool is_last) {
    size_t line = line_bytes(at, end, is_last);
    return line > 0 || is_last ? (size_t)(at - begin) + line : 0;
}

/* A record with quotes, field by field. A field that is wrong ends the record with its line. */
static size_t quoted_record_bytes(const uint8_t *begin, const uint8_t *end, bool is_last) {
    const uint8_t *at = begin;
    for (;; at++) {
        if (at < end && *at == '"') {
            bool is_broken = false;
            const uint8_t *close = quote_find(at + 1, end, &is_broken);
            /* The last bytes of a text may be half of a doubled quote, or of a line end. */
            bool is_open = !close || close + 2 >= end;
            bool is_endless = (size_t)(end - begin) > CSV_RECORD_BYTES_MAX;
            if (is_open && !is_broken && !is_last && !is_endless) return 0;
            if (!close) return rest_bytes(begin, at + 1, end, is_last);
            at = close + 1;
            if (!is_field_end(at, end)) return rest_bytes(begin, at, end, is_last);
        } else {
            while (at < end && *at != ',' && *at != '\n' && *at != '"' && *at != 0) at++;
        }
        if (at == end || *at != ',') return rest_bytes(begin, at, end, is_last);
    }
}

/* Bytes of the line ends at the beginning of a text. */
static size_t blank_bytes(const uint8_t *begin, const uint8_t *end) {
    const uint8_t *at = begin;
    while (at < end && (*at == '\n' || (*at == '\r' && at + 1 < end && at[1] == '\n'))) at++;
    return (size_t)(at - begin);
}

size_t csv_record_bytes(struct bytes text, bool is_last) {
    const uint8_t *end = text.data + text.bytes;
    size_t before = blank_bytes(text.data, end);
    const uint8_t *at = text.data + before;
    size_t line = line_bytes(at, end, is_last);
    size_t looked_at = line > 0 ? line : (size_t)(end - at);
    bool has_quote = looked_at > 0 && memchr(at, '"', looked_at);
    size_t record = has_quote ? quoted_record_bytes(at, end, is_last) : line;
    return record > 0 ? before + record : 0;
}

static uint64_t lines_count(const uint8_t *data, size_t bytes) {
    uint64_t count = 1;
    for (size_t i = 0; i < bytes; i++) count += data[i] == '\n';
    return count;
}

/* ---- the stream ---- */

static enum fst_status more_read(struct csv_chunks *chunks, struct fst_error *error) {
    if (chunks->begin > 0) {
        memmove(chunks->data, chunks->data + chunks->begin, chunks->end - chunks->begin);
        chunks->end -= chunks->begin;
        chunks->begin = 0;
    }
    if (chunks->capacity - chunks->end < READ_BYTES) {
        size_t capacity = chunks->capacity ? chunks->capacity * 2 : (size_t)4 * READ_BYTES;
        uint8_t *grown = realloc(chunks->data, capacity);
        if (!grown) return fst_error_set(error, FST_NO_MEMORY, "no memory for a record");
        chunks->data = grown;
        chunks->capacity = capacity;
    }
    size_t got = fread(chunks->data + chunks->end, 1, READ_BYTES, chunks->stream);
    chunks->end += got;
    if (ferror(chunks->stream)) {
        return fst_error_set(error, FST_IO_ERROR, "reading: %s", strerror(errno));
    }
    chunks->is_at_end = got < READ_BYTES && feof(chunks->stream);
    return FST_OK;
}

/* Bytes of the next record behind `offset`, reading on as long as it has no end; 0 at the end. */
static enum fst_status record_find(struct csv_chunks *chunks, size_t offset, size_t *bytes_out,
                                   struct fst_error *error) {
    for (;;) {
        struct bytes text = {.data = chunks->data + chunks->begin + offset,
                             .bytes = chunks->end - chunks->begin - offset};
        size_t bytes = text.bytes > 0 ? csv_record_bytes(text, chunks->is_at_end) : 0;
        if (bytes > 0 || chunks->is_at_end) {
            *bytes_out = bytes;
            return FST_OK;
        }
        if (text.bytes > CSV_LINE_BYTES_MAX) {
            return fst_error_set(error, FST_TOO_LARGE,
                                 "expected a record of at most %d bytes, found no line end",
                                 CSV_LINE_BYTES_MAX);
        }
        enum fst_status status = more_read(chunks, error);
        if (status != FST_OK) return status;
    }
}

/* The header without byte order mark, line ends before it, and its own. */
static enum fst_status header_keep(struct csv_chunks *chunks, size_t bytes,
                                   struct fst_error *error) {
    const uint8_t *at = chunks->data;
    const uint8_t *end = at + bytes;
    if (bytes >= 3 && memcmp(at, "\xef\xbb\xbf", 3) == 0) at += 3;
    while (at < end && (*at == '\n' || *at == '\r')) at++;
    while (at < end && (end[-1] == '\n' || end[-1] == '\r')) end--;
    if (at == end) return fst_error_set(error, FST_INVALID, "expected a header, found nothing");
    uint8_t *copy = malloc((size_t)(end - at));
    if (!copy) return fst_error_set(error, FST_NO_MEMORY, "no memory for the header");
    memcpy(copy, at, (size_t)(end - at));
    chunks->header = (struct bytes){.data = copy, .bytes = (size_t)(end - at)};
    return FST_OK;
}

enum fst_status csv_chunks_init(struct csv_chunks *chunks, FILE *stream, struct fst_error *error) {
    *chunks = (struct csv_chunks){.stream = stream, .next_row = 1};
    size_t bytes = 0;
    enum fst_status status = more_read(chunks, error);
    if (status == FST_OK) status = record_find(chunks, 0, &bytes, error);
    if (status == FST_OK) status = header_keep(chunks, bytes, error);
    if (status != FST_OK) {
        csv_chunks_deinit(chunks);
        return status;
    }
    chunks->begin = bytes;
    chunks->read_bytes = bytes;
    return FST_OK;
}

void csv_chunks_deinit(struct csv_chunks *chunks) {
    free(chunks->data);
    free((void *)(uintptr_t)chunks->header.data);
    *chunks = (struct csv_chunks){0};
}

enum fst_status csv_chunks_next(struct csv_chunks *chunks, uint64_t rows_max,
                                struct csv_chunk *chunk_out, struct fst_error *error) {
    size_t bytes = 0;
    uint64_t lines = 0;
    uint64_t rows = 0;
    while (rows < rows_max) {
        size_t record = 0;
        enum fst_status status = record_find(chunks, bytes, &record, error);
        if (status != FST_OK) return status;
        const uint8_t *at = chunks->data + chunks->begin + bytes;
        if (record == 0) break;
        uint64_t record_lines = lines_count(at, record);
        bool is_full =
            bytes + record > CSV_CHUNK_BYTES || lines + record_lines > CSV_CHUNK_LINES_MAX;
        if (rows > 0 && is_full) break;
        rows += blank_bytes(at, at + record) < record;
        lines += record_lines;
        bytes += record;
    }
    *chunk_out = (struct csv_chunk){
        .records = {.data = chunks->data + chunks->begin, .bytes = bytes},
        .first_row = chunks->next_row,
        .rows_count = rows,
    };
    chunks->begin += bytes;
    chunks->read_bytes += bytes;
    chunks->next_row += rows;
    return rows > 0 ? FST_OK : FST_NOT_FOUND;
}
