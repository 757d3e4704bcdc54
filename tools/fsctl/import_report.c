#include "tools/fsctl/import_report.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "tools/fsctl/json.h"

enum { FOUND_BYTES = 128 };

void import_report_add(struct import_report *report, const Fst__ImportReply *reply) {
    report->rows_ok += reply->rows_ok;
    report->rows_stale += reply->rows_stale;
    report->rows_duplicate += reply->rows_duplicate;
    report->rows_bad += reply->n_bad_rows;
}

static void report_json(struct ctl *ctl, const struct import_report *report) {
    struct ctl_json json = {.out = ctl->out};
    ctl_json_begin(&json, NULL, '{');
    ctl_json_unsigned(&json, "rows_ok", report->rows_ok);
    ctl_json_unsigned(&json, "rows_stale", report->rows_stale);
    ctl_json_unsigned(&json, "rows_duplicate", report->rows_duplicate);
    ctl_json_unsigned(&json, "rows_bad", report->rows_bad);
    if (report->next_row > 0) ctl_json_unsigned(&json, "next_row", report->next_row);
    if (report->seconds > 0) {
        struct fst_value seconds = fst_float64(report->seconds);
        ctl_json_value(&json, "seconds", &seconds);
    }
    ctl_json_end(&json, '}');
    fputc('\n', ctl->out);
}

void import_report_print(struct ctl *ctl, const struct import_report *report, const char *verb) {
    if (ctl->is_json) {
        report_json(ctl, report);
        return;
    }
    FILE *out = ctl->out;
    uint64_t rows = report->rows_ok + report->rows_stale + report->rows_duplicate;
    fprintf(out, "%" PRIu64 " row%s %s", rows, rows == 1 ? "" : "s", verb);
    if (report->rows_stale > 0) {
        fprintf(out, ", %" PRIu64 " of them older than what was there", report->rows_stale);
    }
    if (report->rows_bad > 0) fprintf(out, ", %" PRIu64 " bad", report->rows_bad);
    if (report->seconds > 0) {
        fprintf(out, " in %.2f s (%.0f rows/s)", report->seconds, (double)rows / report->seconds);
    }
    fputc('\n', out);
}

/* Rows that read well and were not taken say so by the name of a status. */
static bool is_status(const char *name) {
    for (int code = 1; code <= UINT8_MAX; code++) {
        const char *known = fst_status_name((enum fst_status)code);
        if (known[0] != '?' && strcmp(name, known) == 0) return true;
    }
    return false;
}

static void bad_row_json(struct ctl *ctl, const Fst__BadRow *row) {
    struct ctl_json json = {.out = ctl->err};
    bool is_refused = is_status(row->found) && !row->column[0];
    ctl_json_begin(&json, NULL, '{');
    ctl_json_unsigned(&json, "row", row->row);
    if (row->column[0]) ctl_json_text(&json, "column", row->column);
    ctl_json_text(&json, is_refused ? "error" : "found", row->found);
    ctl_json_text(&json, is_refused ? "text" : "expected", row->expected);
    ctl_json_end(&json, '}');
    fputc('\n', ctl->err);
}

void bad_row_print(struct ctl *ctl, const Fst__BadRow *row) {
    char found[FOUND_BYTES];
    FILE *out = ctl->err;
    if (ctl->is_json) {
        bad_row_json(ctl, row);
        return;
    }
    text_format_printable(row->found, strlen(row->found), found, sizeof found);
    fprintf(out, "row %" PRIu64, row->row);
    if (is_status(row->found) && !row->column[0]) {
        fprintf(out, " is refused as %s: %s\n", row->found, row->expected);
        return;
    }
    if (row->column[0]) fprintf(out, ", column '%s'", row->column);
    fprintf(out, ": expected %s, found '%s'\n", row->expected, found);
}

enum ctl_exit ack_read(struct ctl *ctl, bool *ack_memory_out) {
    const char *ack = ctl_option(ctl, "ack");
    *ack_memory_out = ack && strcmp(ack, "memory") == 0;
    if (!ack || *ack_memory_out || strcmp(ack, "durable") == 0) return CTL_DONE;
    return ctl_misuse(ctl, "--ack: expected memory or durable, found '%s'", ack);
}
