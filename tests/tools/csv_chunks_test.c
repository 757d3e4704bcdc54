/*
 * Shows that a CSV stream is cut into the records that the server's reader sees in the whole text:
 * random texts over the characters that matter are read both ways (FST_SEED); long records, many
 * lines and broken quotes meet the limits of a piece.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ingest/csv.h"
#include "tools/fsctl/csv_chunks.h"

enum { ROUNDS = 20000, TEXT_BYTES_MAX = 60, FIELDS_MAX = 100 };

static uint64_t random_next(uint64_t *seed) {
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 33;
}

static FILE *stream_of(const void *data, size_t bytes) {
    FILE *stream = fmemopen((void *)(uintptr_t)data, bytes, "r");
    assert_non_null(stream);
    return stream;
}

/* Everything the server's reader says about the next record. */
struct seen {
    enum fst_status status;
    uint32_t fields_count;
    struct bytes text;
};

static struct seen server_read(struct csv *csv) {
    struct csv_field fields[FIELDS_MAX];
    struct csv_record record;
    struct seen seen = {.status = csv_next(csv, fields, FIELDS_MAX, &record)};
    seen.fields_count = seen.status == FST_OK ? record.fields_count : 0;
    seen.text = record.text;
    return seen;
}

static void same_check(const struct seen *a, const struct seen *b) {
    assert_int_equal(a->status, b->status);
    assert_int_equal(a->fields_count, b->fields_count);
    assert_int_equal(a->text.bytes, b->text.bytes);
    assert_memory_equal(a->text.data, b->text.data, a->text.bytes);
}

/* One record at a time must be what the server finds in the whole. */
static void text_check(const uint8_t *text, size_t bytes) {
    static const char header[] = "h\n";
    uint8_t whole[TEXT_BYTES_MAX + 8], scratch[TEXT_BYTES_MAX], piece_scratch[TEXT_BYTES_MAX];
    memcpy(whole, header, 2);
    memcpy(whole + 2, text, bytes);
    FILE *stream = stream_of(whole, bytes + 2);
    struct csv_chunks chunks;
    assert_int_equal(csv_chunks_init(&chunks, stream, NULL), FST_OK);
    assert_int_equal(chunks.header.bytes, 1);
    struct csv csv;
    csv_init(&csv, (struct bytes){.data = text, .bytes = bytes}, scratch, sizeof scratch);
    for (uint64_t row = 1;; row++) {
        struct csv_chunk chunk;
        struct seen expected = server_read(&csv);
        enum fst_status status = csv_chunks_next(&chunks, 1, &chunk, NULL);
        assert_int_equal(status == FST_NOT_FOUND, expected.status == FST_NOT_FOUND);
        if (status == FST_NOT_FOUND) break;
        assert_int_equal(chunk.first_row, row);
        assert_int_equal(chunk.rows_count, 1);
        struct csv piece;
        csv_init(&piece, chunk.records, piece_scratch, sizeof piece_scratch);
        struct seen found = server_read(&piece);
        same_check(&found, &expected);
        assert_int_equal(server_read(&piece).status, FST_NOT_FOUND);
    }
    csv_chunks_deinit(&chunks);
    fclose(stream);
}

static void test_records_are_those_of_the_server(void **state) {
    (void)state;
    static const char alphabet[] = "aa,,\"\"\"\n\n\r";
    const char *text_seed = getenv("FST_SEED");
    uint64_t seed = text_seed ? strtoull(text_seed, NULL, 10) : 1;
    print_message("FST_SEED=%llu\n", (unsigned long long)seed);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint8_t text[TEXT_BYTES_MAX];
        size_t bytes = 1 + random_next(&seed) % TEXT_BYTES_MAX;
        for (size_t i = 0; i < bytes; i++) {
            uint64_t letter = random_next(&seed) % 100;
            text[i] = letter == 99 ? 0 : (uint8_t)alphabet[letter % (sizeof alphabet - 1)];
        }
        if (bytes >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) continue;
        text_check(text, bytes);
    }
}

/* ---- pieces ---- */

/* A text of `rows` records; every third has a quoted field with a line end. */
static char *rows_text(uint32_t rows, size_t *bytes_out) {
    char *text = NULL;
    FILE *out = open_memstream(&text, bytes_out);
    assert_non_null(out);
    fprintf(out, "\xef\xbb\xbf"
                 "a,b\r\n");
    for (uint32_t i = 0; i < rows; i++) {
        fprintf(out, i % 3 ? "%u,plain text\r\n" : "%u,\"two\nlines, \"\"quoted\"\"\"\r\n", i);
        if (i % 1000 == 0) fprintf(out, "\r\n");
    }
    fclose(out);
    return text;
}

static void test_pieces_hold_everything_once(void **state) {
    (void)state;
    enum { ROWS = 60000 };
    size_t bytes;
    char *text = rows_text(ROWS, &bytes);
    FILE *stream = stream_of(text, bytes);
    struct csv_chunks chunks;
    struct csv_chunk chunk;
    struct fst_error error;
    assert_int_equal(csv_chunks_init(&chunks, stream, &error), FST_OK);
    assert_int_equal(chunks.header.bytes, 3);
    assert_memory_equal(chunks.header.data, "a,b", 3);
    const char *at = text + 8;
    uint64_t next_row = 1;
    uint32_t pieces_count = 0;
    while (csv_chunks_next(&chunks, UINT64_MAX, &chunk, &error) == FST_OK) {
        assert_int_equal(chunk.first_row, next_row);
        assert_true(chunk.records.bytes <= CSV_CHUNK_BYTES);
        assert_memory_equal(chunk.records.data, at, chunk.records.bytes);
        at += chunk.records.bytes;
        next_row += chunk.rows_count;
        pieces_count += 1;
        assert_int_equal(chunks.read_bytes, at - text);
    }
    assert_int_equal(next_row, ROWS + 1);
    assert_ptr_equal(at, text + bytes);
    assert_true(pieces_count > 4 && pieces_count < 20);
    csv_chunks_deinit(&chunks);
    fclose(stream);
    free(text);
}

static void test_rows_can_be_skipped(void **state) {
    (void)state;
    size_t bytes;
    char *text = rows_text(100, &bytes);
    FILE *stream = stream_of(text, bytes);
    struct csv_chunks chunks;
    struct csv_chunk chunk;
    assert_int_equal(csv_chunks_init(&chunks, stream, NULL), FST_OK);
    assert_int_equal(csv_chunks_next(&chunks, 98, &chunk, NULL), FST_OK);
    assert_int_equal(chunk.rows_count, 98);
    assert_int_equal(csv_chunks_next(&chunks, UINT64_MAX, &chunk, NULL), FST_OK);
    assert_int_equal(chunk.first_row, 99);
    assert_int_equal(chunk.rows_count, 2);
    assert_memory_equal(chunk.records.data, "98,plain text\r\n", 15);
    assert_int_equal(csv_chunks_next(&chunks, UINT64_MAX, &chunk, NULL), FST_NOT_FOUND);
    csv_chunks_deinit(&chunks);
    fclose(stream);
    free(text);
}

/* A record longer than a piece is a piece of its own; its neighbours are not in it. */
static void test_long_records(void **state) {
    (void)state;
    enum { LONG_BYTES = 3 * CSV_CHUNK_BYTES };
    char *text = malloc(LONG_BYTES + 32);
    assert_non_null(text);
    memcpy(text, "h\n1\n\"", 5);
    memset(text + 5, 'x', LONG_BYTES);
    for (size_t i = 5; i < LONG_BYTES; i += 1000) text[i] = '\n';
    memcpy(text + 5 + LONG_BYTES, "\"\n2\n", 4);
    FILE *stream = stream_of(text, LONG_BYTES + 9);
    struct csv_chunks chunks;
    struct csv_chunk chunk;
    static const size_t expected_bytes[] = {2, LONG_BYTES + 3, 2};
    assert_int_equal(csv_chunks_init(&chunks, stream, NULL), FST_OK);
    for (uint64_t i = 0; i < 3; i++) {
        assert_int_equal(csv_chunks_next(&chunks, UINT64_MAX, &chunk, NULL), FST_OK);
        assert_int_equal(chunk.first_row, i + 1);
        assert_int_equal(chunk.rows_count, 1);
        assert_int_equal(chunk.records.bytes, expected_bytes[i]);
    }
    assert_int_equal(csv_chunks_next(&chunks, UINT64_MAX, &chunk, NULL), FST_NOT_FOUND);
    csv_chunks_deinit(&chunks);
    fclose(stream);
    free(text);
}

/* A quote that is never closed spoils its line, however much follows. */
static void test_an_endless_quote_ends_with_its_line(void **state) {
    (void)state;
    size_t bytes = CSV_RECORD_BYTES_MAX + ((size_t)2 << 20);
    char *text = malloc(bytes);
    assert_non_null(text);
    memset(text, 'x', bytes);
    for (size_t i = 9; i < bytes; i += 10) text[i] = '\n';
    memcpy(text, "header,...\n1,\"open\n", 19);
    FILE *stream = stream_of(text, bytes);
    struct csv_chunks chunks;
    struct csv_chunk chunk;
    uint64_t rows = 0;
    assert_int_equal(csv_chunks_init(&chunks, stream, NULL), FST_OK);
    assert_int_equal(csv_chunks_next(&chunks, 1, &chunk, NULL), FST_OK);
    assert_int_equal(chunk.records.bytes, 8);
    while (csv_chunks_next(&chunks, UINT64_MAX, &chunk, NULL) == FST_OK) rows += chunk.rows_count;
    assert_true(rows > bytes / 11);
    csv_chunks_deinit(&chunks);
    fclose(stream);
    free(text);
}

/* Nor is there a file of lines that never end: reading stops before it takes all memory. */
static void test_an_endless_line_is_refused(void **state) {
    (void)state;
    struct csv_chunks chunks;
    struct csv_chunk chunk;
    struct fst_error error;
    FILE *zeros = fopen("/dev/zero", "re");
    assert_non_null(zeros);
    assert_int_equal(csv_chunks_init(&chunks, zeros, &error), FST_TOO_LARGE);
    fclose(zeros);
    size_t bytes = CSV_LINE_BYTES_MAX + ((size_t)4 << 20);
    char *text = malloc(bytes);
    assert_non_null(text);
    memset(text, 'x', bytes);
    memcpy(text, "a\n", 2);
    FILE *stream = stream_of(text, bytes);
    assert_int_equal(csv_chunks_init(&chunks, stream, &error), FST_OK);
    assert_int_equal(csv_chunks_next(&chunks, 1, &chunk, &error), FST_TOO_LARGE);
    assert_non_null(strstr(error.text, "no line end"));
    csv_chunks_deinit(&chunks);
    fclose(stream);
    free(text);
}

static const struct header_case {
    const char *text;
    enum fst_status status;
    const char *header;
} header_cases[] = {
    {"a,b", FST_OK, "a,b"},
    {"\r\n\na,b\r\n", FST_OK, "a,b"},
    {"\"a\nb\",c\n1,2\n", FST_OK, "\"a\nb\",c"},
    {"\n\n", FST_INVALID, NULL},
    {" ", FST_OK, " "},
};

static void test_headers(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof header_cases / sizeof header_cases[0]; i++) {
        const struct header_case *c = &header_cases[i];
        FILE *stream = stream_of(c->text, strlen(c->text));
        struct csv_chunks chunks;
        assert_int_equal(csv_chunks_init(&chunks, stream, NULL), c->status);
        if (c->header) {
            assert_int_equal(chunks.header.bytes, strlen(c->header));
            assert_memory_equal(chunks.header.data, c->header, chunks.header.bytes);
            csv_chunks_deinit(&chunks);
        }
        fclose(stream);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records_are_those_of_the_server),
        cmocka_unit_test(test_pieces_hold_everything_once),
        cmocka_unit_test(test_rows_can_be_skipped),
        cmocka_unit_test(test_long_records),
        cmocka_unit_test(test_an_endless_quote_ends_with_its_line),
        cmocka_unit_test(test_an_endless_line_is_refused),
        cmocka_unit_test(test_headers),
    };
    return cmocka_run_group_tests_name("tools/csv_chunks", tests, NULL, NULL);
}
