#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "base/options.h"
#include "base/time.h"
#include "bench/fsbench/command.h"
#include "bench/fsbench/fraud_files.h"
#include "bench/fsbench/progress.h"

#define FRAUD_OPTIONS(X)                                                                           \
    X(out, TEXT, "", 0, 0, "DIR", "folder for the files; made if it is not there")                 \
    X(customers, COUNT, "5000", 1, FRAUD_CUSTOMERS_MAX, NULL, "customers")                         \
    X(terminals, COUNT, "10000", 1, FRAUD_TERMINALS_MAX, NULL, "terminals")                        \
    X(days, COUNT, "183", 1, FRAUD_DAYS_MAX, NULL, "days of transactions")                         \
    X(start, TEXT, "2018-04-01", 0, 0, "DATE", "first day, UTC")                                   \
    X(radius, COUNT, "5", 1, 200, NULL, "how far customers go to a terminal")                      \
    X(force, BOOL, "false", 0, 0, NULL, "make the files again even if they are there")

struct fraud_settings {
    FRAUD_OPTIONS(OPTION_MEMBER)
};

static const struct option_spec specs[] = {
#define SPEC(name, ...) OPTION_SPEC(struct fraud_settings, name, __VA_ARGS__)
    FRAUD_OPTIONS(SPEC)
#undef SPEC
};

enum { SPECS_COUNT = sizeof specs / sizeof specs[0], DATE_BYTES = 10 };

static enum fst_status date_parse(const char *text, int64_t *us_out, struct fst_error *error) {
    char moment[32];
    snprintf(moment, sizeof moment, "%.20sT00:00:00Z", text);
    enum fst_status status = FST_INVALID;
    if (strlen(text) == DATE_BYTES)
        status = time_parse_rfc3339(moment, strlen(moment), us_out, NULL);
    if (status == FST_OK) return FST_OK;
    return fst_error_set(error, status, "--start: expected a date such as 2018-04-01, found %.64s",
                         text);
}

static enum fst_status files_make(const struct fraud_folder *folder,
                                  const struct fraud_options *options, struct fst_error *error) {
    struct progress progress;
    progress_open(&progress, folder->io, "fraud data", "customers");
    struct fraud_progress report = {.report = progress_put, .context = &progress};
    struct fraud_data data;
    enum fst_status status = fraud_data_create(&data, options, &report, error);
    progress_close(&progress);
    if (status != FST_OK) return status;
    status = fraud_files_put(folder, &data, error);
    if (status == FST_OK)
        printf("%s: %u transactions of %u customers at %u terminals, %u frauds\n", folder->path,
               data.transactions_count, options->customers_count, options->terminals_count,
               data.added_count[FRAUD_AMOUNT] + data.added_count[FRAUD_TERMINAL] +
                   data.added_count[FRAUD_CUSTOMER]);
    fraud_data_destroy(&data);
    return status;
}

static void help_print(void) {
    printf(
        "usage: fsbench fraud --out DIR [options]\n\n"
        "Writes simulated card transactions with frauds as CSV files: transactions.csv,\n"
        "customers.csv, terminals.csv and last_transactions.csv. The same options give the same\n"
        "bytes; files that are already there are left alone.\n\n");
    options_help(specs, SPECS_COUNT, stdout);
}

int command_fraud_run(int argc, char **argv) {
    struct fraud_settings settings;
    struct options options;
    struct fst_error error = {.status = FST_OK};
    if (command_is_help(argc, argv)) {
        help_print();
        return EXIT_DONE;
    }
    options_init(&options, specs, SPECS_COUNT, &settings);
    struct fraud_folder folder = {.io = io_posix(), .path = settings.out};
    enum fst_status status = options_parse_arguments(&options, argc, argv, &error);
    if (status == FST_OK) status = date_parse(settings.start, &folder.start_us, &error);
    if (status == FST_OK && settings.out[0] == 0)
        status = fst_error_set(&error, FST_INVALID, "expected --out DIR");
    if (status != FST_OK) {
        fprintf(stderr, "fsbench fraud: %s\nTry 'fsbench fraud --help'.\n", error.text);
        return EXIT_USAGE;
    }
    struct fraud_options fraud = {.customers_count = (uint32_t)settings.customers,
                                  .terminals_count = (uint32_t)settings.terminals,
                                  .days_count = (uint32_t)settings.days,
                                  .radius = (double)settings.radius};
    if (!settings.force && fraud_files_are_there(&folder, &fraud)) {
        printf("%s: already there\n", settings.out);
        return EXIT_DONE;
    }
    status = files_make(&folder, &fraud, &error);
    if (status == FST_OK) return EXIT_DONE;
    fprintf(stderr, "fsbench fraud: %s\n", error.text);
    return EXIT_FAILED;
}
