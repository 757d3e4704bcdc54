#include "ingest/json_pieces.h"

void json_pieces_init(struct json_pieces *pieces, struct bytes text) {
    *pieces = (struct json_pieces){.text = text, .place.line = 1};
}

/* The next byte; 0 at the end, and for a byte 0, which stands nowhere in JSON. */
static uint8_t byte_at(const struct json_pieces *pieces) {
    return pieces->at < pieces->text.bytes ? pieces->text.data[pieces->at] : 0;
}

static void advance(struct json_pieces *pieces, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        uint8_t byte = pieces->text.data[pieces->at + i];
        bool is_first_of_character = (byte & 0xc0) != 0x80;
        pieces->place.column += is_first_of_character;
        if (byte == '\n') pieces->place = (struct json_place){.line = pieces->place.line + 1};
    }
    pieces->at += bytes;
}

static void space_skip(struct json_pieces *pieces) {
    while (byte_at(pieces) == ' ' || byte_at(pieces) == '\t' || byte_at(pieces) == '\n' ||
           byte_at(pieces) == '\r') {
        advance(pieces, 1);
    }
}

static bool is_taken(struct json_pieces *pieces, uint8_t byte) {
    if (byte_at(pieces) != byte) return false;
    advance(pieces, 1);
    space_skip(pieces);
    return true;
}

static enum fst_status refuse(const struct json_pieces *pieces, const char *text,
                              struct fst_error *error) {
    return fst_error_set(error, FST_INVALID, "JSON %u:%u: %s", pieces->place.line,
                         pieces->place.column, text);
}

/* Bytes from an opening bracket to the one that matches, or to the end. *values_out is at least
 * the number of values that can be read from them. */
static size_t object_bytes(struct bytes text, size_t *values_out) {
    size_t depth = 0;
    size_t at = 0;
    bool is_string = false;
    *values_out = 1;
    for (; at < text.bytes; at++) {
        uint8_t byte = text.data[at];
        if (byte == '"') is_string = !is_string;
        if (is_string && byte == '\\') at += 1;
        if (is_string) continue;
        *values_out += byte == ',' || byte == '{' || byte == '[';
        depth += byte == '{' || byte == '[';
        depth -= byte == '}' || byte == ']';
        if (depth == 0) return at + 1;
    }
    return text.bytes;
}

static enum fst_status object_next(struct json_pieces *pieces, struct json_piece *piece_out,
                                   struct fst_error *error) {
    bool is_object = byte_at(pieces) == '{';
    if (pieces->at == pieces->text.bytes) return refuse(pieces, "an object expected", error);
    if (!is_object || pieces->count == JSON_ROWS_MAX) {
        return fst_error_set(error, is_object ? FST_TOO_LARGE : FST_INVALID,
                             "JSON: expected an object or an array of at most %d objects",
                             JSON_ROWS_MAX);
    }
    size_t values;
    struct bytes rest = {.data = pieces->text.data + pieces->at,
                         .bytes = pieces->text.bytes - pieces->at};
    rest.bytes = object_bytes(rest, &values);
    pieces->count += 1;
    if (values > JSON_VALUES_MAX) {
        return fst_error_set(error, FST_TOO_LARGE,
                             "JSON: expected at most %d values in a row, found more in row %u",
                             JSON_VALUES_MAX, pieces->count);
    }
    *piece_out = (struct json_piece){.text = rest, .place = pieces->place};
    advance(pieces, rest.bytes);
    space_skip(pieces);
    return FST_OK;
}

static enum fst_status end_check(const struct json_pieces *pieces, struct fst_error *error) {
    if (pieces->at == pieces->text.bytes) return FST_OK;
    return refuse(pieces, "end of file expected", error);
}

enum fst_status json_pieces_next(struct json_pieces *pieces, struct json_piece *piece_out,
                                 struct fst_error *error) {
    bool is_first = !pieces->is_begun;
    *piece_out = (struct json_piece){0};
    if (is_first) {
        pieces->is_begun = true;
        space_skip(pieces);
        pieces->is_array = is_taken(pieces, '[');
    }
    if (!pieces->is_array && !is_first) return end_check(pieces, error);
    if (pieces->is_array && is_taken(pieces, ']')) {
        pieces->is_array = false; /* Asked again, it is at the end again. */
        return end_check(pieces, error);
    }
    if (!is_first && !is_taken(pieces, ',')) {
        return refuse(pieces, "',' or ']' expected after an object", error);
    }
    return object_next(pieces, piece_out, error);
}
