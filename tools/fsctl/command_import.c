/*
 * import: a CSV file, in pieces of whole records, a few of them on their way at a time.
 *
 * Each piece has its own sequence, so a broken connection repeats it without writing it twice. A
 * piece that the server has no room for is sent again after a while. Whatever ends the import
 * early, it says which row to go on with: every row before that one is written.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/fsctl/csv_chunks.h"
#include "tools/fsctl/import_report.h"
#include "tools/fsctl/progress.h"
#include "tools/fsctl/remote.h"

enum { PIECES_MAX = 4, SHOWN_MAX = 10 };

static const int64_t poll_us = 100000;
static const int64_t wait_us_min = 10000;
static const int64_t wait_us_max = 1000000;

enum piece_state { PIECE_FREE, PIECE_SENT, PIECE_WAITING, PIECE_FAILED };

struct import;

struct piece {
    struct import *import;
    enum piece_state state;
    struct csv_chunk chunk; /* its records are owned */
    size_t capacity;        /* of the records' memory */
    int64_t again_us;       /* while waiting: when to send it again */
    int64_t wait_us;
};

struct import {
    struct ctl *ctl;
    const char *view;
    FILE *file;
    FILE *bad_file; /* NULL: the first bad row ends the import */
    bool ack_memory;
    bool is_ending;    /* nothing more is sent */
    bool has_piece;    /* one was read */
    bool has_answer;   /* until there is one, only one piece is on its way */
    uint64_t from_row; /* the first one */
    uint64_t shown_count;
    enum ctl_exit exit;
    struct csv_chunks chunks;
    struct import_report report;
    struct ctl_progress progress;
    struct piece pieces[PIECES_MAX];
};

/* ---- ending ---- */

static void import_end(struct import *import, struct piece *piece, enum ctl_exit exit) {
    piece->state = PIECE_FAILED;
    import->is_ending = true;
    if (import->exit == CTL_DONE) import->exit = exit;
}

/* The first row that is not surely written; 0: all are. */
static uint64_t next_row_find(const struct import *import) {
    uint64_t row = import->is_ending ? import->chunks.next_row : 0;
    for (uint32_t i = 0; i < PIECES_MAX; i++) {
        const struct piece *piece = &import->pieces[i];
        if (piece->state == PIECE_FREE) continue;
        if (row == 0 || piece->chunk.first_row < row) row = piece->chunk.first_row;
    }
    return row;
}

/* ---- answers ---- */

static void piece_wait(struct piece *piece, uint32_t retry_us) {
    piece->wait_us = piece->wait_us ? piece->wait_us * 2 : wait_us_min;
    if (piece->wait_us > wait_us_max) piece->wait_us = wait_us_max;
    if (piece->wait_us < (int64_t)retry_us) piece->wait_us = retry_us;
    piece->again_us = io_monotonic_us(piece->import->ctl->io) + piece->wait_us;
    piece->state = PIECE_WAITING;
}

/* Rows that were good but not taken, named by their status. */
static bool row_is(const Fst__BadRow *row, enum fst_status status) {
    return !row->column[0] && strcmp(row->found, fst_status_name(status)) == 0;
}

static bool is_overload(const Fst__ImportReply *reply) {
    for (size_t i = 0; i < reply->n_bad_rows; i++) {
        const Fst__BadRow *row = reply->bad_rows[i];
        if (!row_is(row, FST_OVERLOADED) && !row_is(row, FST_WARMING)) return false;
    }
    return reply->n_bad_rows > 0;
}

static bool is_store_full(const Fst__ImportReply *reply) {
    for (size_t i = 0; i < reply->n_bad_rows; i++) {
        const Fst__BadRow *row = reply->bad_rows[i];
        if (row_is(row, FST_FULL) || row_is(row, FST_DISK_FULL)) return true;
    }
    return false;
}

/* The record as it stands in the piece. */
static void bad_record_keep(struct piece *piece, uint64_t row) {
    struct bytes left = piece->chunk.records;
    for (uint64_t at = piece->chunk.first_row; left.bytes > 0; at++) {
        size_t bytes = csv_record_bytes(left, true);
        if (bytes == 0) return;
        if (at == row) {
            while (*left.data == '\n' || *left.data == '\r') left.data += 1, bytes -= 1;
            fwrite(left.data, 1, bytes, piece->import->bad_file);
            if (left.data[bytes - 1] != '\n') fputc('\n', piece->import->bad_file);
            return;
        }
        left.data += bytes;
        left.bytes -= bytes;
    }
}

static int rows_compare(const void *a, const void *b) {
    const Fst__BadRow *const *left = a;
    const Fst__BadRow *const *right = b;
    return ((*left)->row > (*right)->row) - ((*left)->row < (*right)->row);
}

/* The server tells rows that do not read well first, and those it refused after them. */
static void bad_rows_take(struct piece *piece, Fst__ImportReply *reply) {
    struct import *import = piece->import;
    qsort(reply->bad_rows, reply->n_bad_rows, sizeof(Fst__BadRow *), rows_compare);
    ctl_progress_deinit(&import->progress);
    uint64_t shown_max = import->ctl->is_json ? UINT64_MAX : SHOWN_MAX;
    for (size_t i = 0; i < reply->n_bad_rows; i++) {
        if (import->shown_count++ < shown_max) bad_row_print(import->ctl, reply->bad_rows[i]);
        if (import->bad_file) bad_record_keep(piece, reply->bad_rows[i]->row);
    }
    if (import->shown_count > shown_max && import->shown_count - reply->n_bad_rows <= shown_max) {
        fprintf(import->ctl->err, "more bad rows are not shown\n");
    }
}

static void reply_take(struct piece *piece, Fst__ImportReply *reply) {
    struct import *import = piece->import;
    if (is_overload(reply)) {
        piece_wait(piece, 0);
        return;
    }
    import_report_add(&import->report, reply);
    piece->state = PIECE_FREE;
    if (reply->n_bad_rows == 0) return;
    bad_rows_take(piece, reply);
    if (!import->bad_file || is_store_full(reply)) import_end(import, piece, CTL_REFUSED);
}

static void piece_done(void *context, const struct fst_reply *reply) {
    struct piece *piece = context;
    struct import *import = piece->import;
    import->has_answer = true;
    if (reply->status == FST_OVERLOADED || reply->status == FST_WARMING) {
        piece_wait(piece, reply->retry_us);
        return;
    }
    if (reply->status != FST_OK) {
        bool is_first = import->exit == CTL_DONE;
        ctl_progress_deinit(&import->progress);
        import_end(import, piece, is_first ? ctl_refused(import->ctl, reply) : import->exit);
        return;
    }
    Fst__ControlReply *answer = fst__control_reply__unpack(NULL, reply->bytes, reply->data);
    if (answer && answer->operation_case == FST__CONTROL_REPLY__OPERATION_IMPORT) {
        reply_take(piece, answer->import);
    } else {
        import_end(import, piece,
                   ctl_fail(import->ctl, FST_BAD_FRAME, "the server's answer is not of an import"));
    }
    if (answer) fst__control_reply__free_unpacked(answer, NULL);
}

/* ---- sending ---- */

static bool piece_send(struct piece *piece) {
    struct import *import = piece->import;
    Fst__ImportChunk chunk = FST__IMPORT_CHUNK__INIT;
    chunk.view = (char *)import->view;
    chunk.header.data = (uint8_t *)(uintptr_t)import->chunks.header.data;
    chunk.header.len = import->chunks.header.bytes;
    chunk.records.data = (uint8_t *)(uintptr_t)piece->chunk.records.data;
    chunk.records.len = piece->chunk.records.bytes;
    chunk.first_row = piece->chunk.first_row;
    chunk.sequence = fst_sequence_next(import->ctl->client);
    chunk.skip_bad = import->bad_file != NULL;
    chunk.ack_memory = import->ack_memory;
    Fst__ControlRequest request = FST__CONTROL_REQUEST__INIT;
    request.operation_case = FST__CONTROL_REQUEST__OPERATION_IMPORT;
    request.import = &chunk;

    struct fst_call call = {.done = piece_done, .context = piece};
    struct fst_control control = {.is_repeatable = true};
    struct fst_error error = {0};
    uint8_t *data = ctl_pack(import->ctl, &request, &control.bytes);
    if (!data) return false;
    control.data = data;
    enum fst_status status = fst_submit_control(import->ctl->client, &control, &call, &error);
    free(data);
    if (status != FST_OK) {
        ctl_fail(import->ctl, status, "row %" PRIu64 ": %s", chunk.first_row, error.text);
        return false;
    }
    piece->state = PIECE_SENT;
    return true;
}

/* Reads the next piece into memory of its own. False at the end of the file, and after a
 * failure. Of a file without rows there is one empty piece: view and header may be wrong, too. */
static bool piece_read(struct import *import, struct piece *piece) {
    struct fst_error error = {0};
    struct csv_chunk chunk;
    enum fst_status status = csv_chunks_next(&import->chunks, UINT64_MAX, &chunk, &error);
    if (status == FST_NOT_FOUND && import->has_piece) return false;
    if (status == FST_NOT_FOUND) status = FST_OK;
    import->has_piece = true;
    if (status == FST_OK && chunk.records.bytes > piece->capacity) {
        uint8_t *grown = realloc((void *)(uintptr_t)piece->chunk.records.data, chunk.records.bytes);
        if (grown) {
            piece->chunk.records.data = grown;
            piece->capacity = chunk.records.bytes;
        } else {
            status = fst_error_set(&error, FST_NO_MEMORY, "no memory for a record");
        }
    }
    if (status != FST_OK) {
        import->exit = *import->ctl->is_interrupted
                           ? CTL_INTERRUPTED
                           : ctl_fail(import->ctl, status, "%s", error.text);
        import->is_ending = true;
        return false;
    }
    uint8_t *records = (uint8_t *)(uintptr_t)piece->chunk.records.data;
    if (chunk.records.bytes > 0) memcpy(records, chunk.records.data, chunk.records.bytes);
    piece->chunk = chunk;
    piece->chunk.records.data = records;
    piece->wait_us = 0;
    return true;
}

/* Sends what can be sent. False when nothing is left to be done. */
static bool pieces_send(struct import *import, int64_t now_us) {
    bool is_open = false;
    for (uint32_t i = 0; i < PIECES_MAX; i++) {
        struct piece *piece = &import->pieces[i];
        bool is_ready = piece->state == PIECE_WAITING && now_us >= piece->again_us;
        bool is_wanted = !import->is_ending && (import->has_answer || i == 0);
        if (piece->state == PIECE_FREE && is_wanted) is_ready = piece_read(import, piece);
        if (is_ready && !import->is_ending && !piece_send(piece)) {
            import_end(import, piece, import->ctl->exit);
        }
        bool is_waiting = piece->state == PIECE_WAITING && !import->is_ending;
        is_open |= piece->state == PIECE_SENT || is_waiting;
    }
    return is_open;
}

/* Waits for answers, or until a piece that waits is due. */
static void pieces_poll(struct import *import) {
    struct ctl *ctl = import->ctl;
    if (fst_in_flight(ctl->client) > 0)
        (void)fst_poll(ctl->client, poll_us);
    else
        ctl->io->ops->sleep_us(ctl->io, wait_us_min);
    if (*ctl->is_interrupted && !import->is_ending) {
        import->is_ending = true;
        import->exit = CTL_INTERRUPTED;
    }
    uint64_t rows = import->report.rows_ok + import->report.rows_stale;
    ctl_progress_put(&import->progress, import->chunks.read_bytes, rows, io_monotonic_us(ctl->io));
}

/* ---- the command ---- */

static enum ctl_exit rows_skip(struct import *import, uint64_t from_row) {
    struct fst_error error = {0};
    struct csv_chunk chunk;
    while (import->chunks.next_row < from_row) {
        enum fst_status status =
            csv_chunks_next(&import->chunks, from_row - import->chunks.next_row, &chunk, &error);
        if (status == FST_NOT_FOUND) {
            return ctl_fail(import->ctl, FST_INVALID, "--from-row: the file has %" PRIu64 " rows",
                            import->chunks.next_row - 1);
        }
        if (status != FST_OK) return ctl_fail(import->ctl, status, "%s", error.text);
    }
    return CTL_DONE;
}

static void import_report(struct import *import, int64_t begin_us) {
    struct ctl *ctl = import->ctl;
    int64_t end_us = io_monotonic_us(ctl->io);
    ctl_progress_deinit(&import->progress);
    import->report.seconds = (double)(end_us - begin_us) / 1e6;
    import->report.next_row = next_row_find(import);
    import_report_print(ctl, &import->report, "imported");
    if (import->report.next_row == import->from_row && import->shown_count == 0) {
        import->report.next_row = 0; /* Nothing was done, and why was said. */
    }
    if (import->report.next_row > 0 && !ctl->is_json) {
        fprintf(ctl->err,
                "Stopped. All rows before row %" PRIu64 " are done, later ones perhaps; go on with "
                "--from-row %" PRIu64 "%s.\n",
                import->report.next_row, import->report.next_row,
                import->bad_file || import->shown_count == 0 ? ""
                                                             : ", or keep bad rows aside with "
                                                               "--skip-bad FILE");
    }
    if (import->exit == CTL_DONE && import->report.rows_bad > 0) import->exit = CTL_REFUSED;
}

static enum ctl_exit import_run(struct import *import) {
    struct ctl *ctl = import->ctl;
    struct fst_error error = {0};
    enum fst_status status = csv_chunks_init(&import->chunks, import->file, &error);
    if (status != FST_OK) return ctl_fail(ctl, status, "%s: %s", ctl->words[0], error.text);
    enum ctl_exit done = rows_skip(import, import->from_row);
    if (done == CTL_DONE) done = ctl_connect(ctl);
    if (done == CTL_DONE) {
        struct stat about;
        bool has_size = fstat(fileno(import->file), &about) == 0 && S_ISREG(about.st_mode);
        int64_t begin_us = io_monotonic_us(ctl->io);
        ctl_progress_init(&import->progress, ctl->has_progress && !ctl->is_json ? ctl->err : NULL,
                          has_size ? (uint64_t)about.st_size : 0, begin_us);
        if (import->bad_file) {
            fwrite(import->chunks.header.data, 1, import->chunks.header.bytes, import->bad_file);
            fputc('\n', import->bad_file);
        }
        while (pieces_send(import, io_monotonic_us(ctl->io))) pieces_poll(import);
        import_report(import, begin_us);
        done = import->exit;
    }
    for (uint32_t i = 0; i < PIECES_MAX; i++) {
        free((void *)(uintptr_t)import->pieces[i].chunk.records.data);
    }
    csv_chunks_deinit(&import->chunks);
    return done;
}

static enum ctl_exit files_open(struct import *import) {
    struct ctl *ctl = import->ctl;
    const char *path = ctl->words[0];
    const char *bad_path = ctl_option(ctl, "skip-bad");
    import->file = strcmp(path, "-") == 0 ? ctl->in : fopen(path, "re");
    if (!import->file) return ctl_fail(ctl, FST_NOT_FOUND, "%s: %s", path, strerror(errno));
    if (!bad_path) return CTL_DONE;
    import->bad_file = fopen(bad_path, "wxe"); /* It must not be the file being read. */
    if (import->bad_file) return CTL_DONE;
    return ctl_fail(ctl, FST_EXISTS, "--skip-bad %s: %s", bad_path, strerror(errno));
}

enum ctl_exit ctl_import(struct ctl *ctl) {
    struct import *import = calloc(1, sizeof *import);
    if (!import) return ctl_fail(ctl, FST_NO_MEMORY, "no memory for an import");
    *import = (struct import){.ctl = ctl, .view = ctl_option(ctl, "view")};
    for (uint32_t i = 0; i < PIECES_MAX; i++) import->pieces[i].import = import;
    import->from_row = 1;
    const char *text = ctl_option(ctl, "from-row");
    char *end = NULL;
    if (text) import->from_row = strtoull(text, &end, 10);
    enum ctl_exit done = ack_read(ctl, &import->ack_memory);
    if (done == CTL_DONE && !import->view) done = ctl_misuse(ctl, "expected --view VIEW");
    if (done == CTL_DONE && text &&
        (*end || end == text || text[0] == '-' || import->from_row == 0)) {
        done = ctl_misuse(ctl, "--from-row: expected a number from 1 on, found '%s'", text);
    }
    if (done == CTL_DONE) done = files_open(import);
    if (done == CTL_DONE) done = import_run(import);
    if (import->file && import->file != ctl->in) fclose(import->file);
    if (import->bad_file && fclose(import->bad_file) != 0 && done == CTL_DONE) {
        done = ctl_fail(ctl, FST_IO_ERROR, "--skip-bad: %s", strerror(errno));
    }
    free(import);
    return done;
}
