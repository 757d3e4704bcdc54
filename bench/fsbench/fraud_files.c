#include "bench/fsbench/fraud_files.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"

enum {
    LINE_BYTES_MAX = 256,
    PATH_BYTES = 4096,
    FACTS_BYTES = 4096,
    US_PER_SECOND = 1000000,
};

static const char facts_name[] = "fraud.facts";

/* Text that grows; `failed` once there was no memory. */
struct sheet {
    char *text;
    size_t bytes;
    size_t room;
    bool failed;
};

/* Room for one more line, or NULL. */
static char *line_begin(struct sheet *sheet) {
    if (sheet->room - sheet->bytes < LINE_BYTES_MAX) {
        size_t room = sheet->room ? sheet->room * 2 : 1 << 16;
        char *grown = sheet->failed ? NULL : realloc(sheet->text, room);
        if (!grown) {
            sheet->failed = true;
            return NULL;
        }
        sheet->text = grown;
        sheet->room = room;
    }
    return sheet->text + sheet->bytes;
}

static void line_end(struct sheet *sheet, const char *end) {
    sheet->bytes = (size_t)(end - sheet->text);
    FST_ASSERT(sheet->bytes <= sheet->room);
}

static void header_append(struct sheet *sheet, const char *text) {
    char *at = line_begin(sheet);
    if (at) line_end(sheet, at + snprintf(at, LINE_BYTES_MAX, "%s\n", text));
}

static char *unsigned_append(char *at, uint64_t value, char after) {
    char digits[20];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    while (count > 0) *at++ = digits[--count];
    *at++ = after;
    return at;
}

static char *signed_append(char *at, int64_t value, char after) {
    if (value < 0) *at++ = '-';
    return unsigned_append(at, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, after);
}

static char *cents_append(char *at, int64_t cents, char after) {
    at = unsigned_append(at, (uint64_t)cents / 100, '.');
    *at++ = (char)('0' + cents / 10 % 10);
    *at++ = (char)('0' + cents % 10);
    *at++ = after;
    return at;
}

/* The shortest of 15 to 17 digits that reads back as the same number. */
static char *double_append(char *at, double value, char after) {
    int length = 0;
    for (int digits = 15; digits <= 17; digits++) {
        length = snprintf(at, 32, "%.*g", digits, value);
        if (strtod(at, NULL) == value) break;
    }
    at[length] = after;
    return at + length + 1;
}

static int64_t event_us_of(const struct fraud_folder *folder,
                           const struct fraud_transaction *transaction) {
    return folder->start_us + (int64_t)transaction->second * US_PER_SECOND;
}

static void transactions_render(const struct fraud_folder *folder, const struct fraud_data *data,
                                struct sheet *sheet) {
    header_append(sheet, "tx_id,tx_time,customer_id,terminal_id,amount,is_fraud");
    for (uint32_t i = 0; i < data->transactions_count; i++) {
        const struct fraud_transaction *transaction = &data->transactions[i];
        char *at = line_begin(sheet);
        if (!at) return;
        at = unsigned_append(at, i, ',');
        at = signed_append(at, event_us_of(folder, transaction), ',');
        at = unsigned_append(at, transaction->customer, ',');
        at = unsigned_append(at, transaction->terminal, ',');
        at = cents_append(at, transaction->amount_cents, ',');
        line_end(sheet, unsigned_append(at, transaction->kind != FRAUD_NONE, '\n'));
    }
}

static void customers_render(const struct fraud_folder *folder, const struct fraud_data *data,
                             struct sheet *sheet) {
    header_append(sheet, "event_time,customer_id,x,y,mean_amount,std_amount,mean_tx_per_day");
    for (uint32_t i = 0; i < data->options.customers_count; i++) {
        const struct fraud_customer *customer = &data->customers[i];
        char *at = line_begin(sheet);
        if (!at) return;
        at = signed_append(at, folder->start_us, ',');
        at = unsigned_append(at, i, ',');
        at = double_append(at, customer->x, ',');
        at = double_append(at, customer->y, ',');
        at = double_append(at, customer->mean_amount, ',');
        at = double_append(at, customer->mean_amount / 2, ',');
        line_end(sheet, double_append(at, customer->mean_tx_per_day, '\n'));
    }
}

static void terminals_render(const struct fraud_folder *folder, const struct fraud_data *data,
                             struct sheet *sheet) {
    header_append(sheet, "event_time,terminal_id,x,y");
    for (uint32_t i = 0; i < data->options.terminals_count; i++) {
        char *at = line_begin(sheet);
        if (!at) return;
        at = signed_append(at, folder->start_us, ',');
        at = unsigned_append(at, i, ',');
        at = double_append(at, data->terminals[i].x, ',');
        line_end(sheet, double_append(at, data->terminals[i].y, '\n'));
    }
}

static void last_transactions_render(const struct fraud_folder *folder,
                                     const struct fraud_data *data, struct sheet *sheet) {
    header_append(sheet, "event_time,customer_id,tx_id,terminal_id,amount,is_fraud");
    uint32_t *last = malloc(data->options.customers_count * sizeof *last);
    if (!last) {
        sheet->failed = true;
        return;
    }
    memset(last, 0xff, data->options.customers_count * sizeof *last);
    for (uint32_t i = 0; i < data->transactions_count; i++)
        last[data->transactions[i].customer] = i;
    for (uint32_t i = 0; i < data->options.customers_count; i++) {
        if (last[i] == UINT32_MAX) continue;
        const struct fraud_transaction *transaction = &data->transactions[last[i]];
        char *at = line_begin(sheet);
        if (!at) break;
        at = signed_append(at, event_us_of(folder, transaction), ',');
        at = unsigned_append(at, i, ',');
        at = unsigned_append(at, last[i], ',');
        at = unsigned_append(at, transaction->terminal, ',');
        at = cents_append(at, transaction->amount_cents, ',');
        line_end(sheet, unsigned_append(at, transaction->kind != FRAUD_NONE, '\n'));
    }
    free(last);
}

static const struct fraud_file {
    const char *name;
    void (*render)(const struct fraud_folder *folder, const struct fraud_data *data,
                   struct sheet *sheet);
} fraud_files[] = {
    {"transactions.csv", transactions_render},
    {"customers.csv", customers_render},
    {"terminals.csv", terminals_render},
    {"last_transactions.csv", last_transactions_render},
};

enum { FRAUD_FILES_COUNT = sizeof fraud_files / sizeof fraud_files[0] };

struct fact {
    uint64_t bytes;
    uint64_t checksum;
};

static size_t facts_format(const struct fraud_folder *folder, const struct fraud_options *options,
                           const struct fact *facts, char text_out[FACTS_BYTES]) {
    int used = snprintf(text_out, FACTS_BYTES,
                        "fraud data, format 1\ncustomers %u\nterminals %u\ndays %u\nradius "
                        "%.17g\nstart_us %" PRId64 "\n",
                        options->customers_count, options->terminals_count, options->days_count,
                        options->radius, folder->start_us);
    for (int i = 0; i < FRAUD_FILES_COUNT; i++) {
        used +=
            snprintf(text_out + used, FACTS_BYTES - (size_t)used, "%s %" PRIu64 " %016" PRIx64 "\n",
                     fraud_files[i].name, facts[i].bytes, facts[i].checksum);
    }
    return (size_t)used;
}

static bool path_format(const struct fraud_folder *folder, const char *name,
                        char path_out[PATH_BYTES]) {
    int used = snprintf(path_out, PATH_BYTES, "%s/%s", folder->path, name);
    return used > 0 && used < PATH_BYTES;
}

/* The whole file, in memory the caller frees; NULL if it cannot be had. */
static char *file_get(const struct fraud_folder *folder, const char *name, size_t *bytes_out) {
    struct io *io = folder->io;
    char path[PATH_BYTES];
    io_file file;
    if (!path_format(folder, name, path)) return NULL;
    if (io->ops->open(io, path, 0, &file) != 0) return NULL;
    int64_t bytes = io->ops->size(io, file);
    char *data = bytes < 0 ? NULL : malloc((size_t)bytes + 1);
    if (data && io_read_full(io, file, data, (size_t)bytes, 0) != 0) {
        free(data);
        data = NULL;
    }
    io->ops->close(io, file);
    if (data) *bytes_out = (size_t)bytes;
    return data;
}

bool fraud_files_are_there(const struct fraud_folder *folder, const struct fraud_options *options) {
    struct fact facts[FRAUD_FILES_COUNT];
    for (int i = 0; i < FRAUD_FILES_COUNT; i++) {
        size_t bytes;
        char *data = file_get(folder, fraud_files[i].name, &bytes);
        if (!data) return false;
        facts[i] = (struct fact){.bytes = bytes, .checksum = hash_checksum(data, bytes, 0)};
        free(data);
    }
    char wanted[FACTS_BYTES];
    size_t wanted_bytes = facts_format(folder, options, facts, wanted);
    size_t found_bytes;
    char *found = file_get(folder, facts_name, &found_bytes);
    bool is_equal = found && found_bytes == wanted_bytes && memcmp(found, wanted, found_bytes) == 0;
    free(found);
    return is_equal;
}

static enum fst_status file_put(const struct fraud_folder *folder, const char *name,
                                const char *text, size_t bytes, struct fst_error *error) {
    char path[PATH_BYTES];
    if (!path_format(folder, name, path))
        return fst_error_set(error, FST_TOO_LARGE, "%s: expected a path of less than %d bytes",
                             folder->path, PATH_BYTES);
    int result = io_replace(folder->io, folder->path, path, text, bytes);
    if (result == 0) return FST_OK;
    return fst_error_set(error, fst_status_from_errno(result), "%s: %s", path, strerror(-result));
}

enum fst_status fraud_files_put(const struct fraud_folder *folder, const struct fraud_data *data,
                                struct fst_error *error) {
    int made = folder->io->ops->mkdir(folder->io, folder->path);
    if (made != 0 && made != -EEXIST)
        return fst_error_set(error, fst_status_from_errno(made), "%s: %s", folder->path,
                             strerror(-made));
    struct fact facts[FRAUD_FILES_COUNT];
    for (int i = 0; i < FRAUD_FILES_COUNT; i++) {
        struct sheet sheet = {.text = NULL};
        fraud_files[i].render(folder, data, &sheet);
        enum fst_status status = FST_NO_MEMORY;
        if (!sheet.failed)
            status = file_put(folder, fraud_files[i].name, sheet.text, sheet.bytes, error);
        if (status == FST_OK)
            facts[i] = (struct fact){.bytes = sheet.bytes,
                                     .checksum = hash_checksum(sheet.text, sheet.bytes, 0)};
        free(sheet.text);
        if (sheet.failed)
            return fst_error_set(error, status, "not enough memory for %s", fraud_files[i].name);
        if (status != FST_OK) return status;
    }
    char text[FACTS_BYTES];
    size_t bytes = facts_format(folder, &data->options, facts, text);
    return file_put(folder, facts_name, text, bytes, error);
}
