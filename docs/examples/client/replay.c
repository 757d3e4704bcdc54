/* Replays card transactions as if they happened now: asks for the features of each one, scores it,
 * and writes it, so that the next one of that customer is scored knowing it.
 *
 *     replay --transactions FILE.csv [--server HOST:PORT] [--key KEY] [--seconds N] [--acked FILE]
 *     replay --check FILE [--server HOST:PORT] [--key KEY]
 *
 * Reads wait for their reply, as a scoring service does; writes are pipelined behind them. Each row
 * that the server acknowledged as durable is noted in the file of --acked, and --check asks for
 * every customer in that file: the row must be there, or a later one of that customer.
 *
 * The definitions are those of docs/examples/fraud. To build it:
 *     cc -std=c17 -D_GNU_SOURCE -O2 replay.c $(pkg-config --cflags --libs fstore) -o replay
 *
 * Exit codes: 0 done (also when the server went away), 1 a row is missing or refused, 2 wrong
 * arguments or files, 3 no server.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fstore/fstore.h"

enum { EXIT_MISSING = 1, EXIT_USAGE = 2, EXIT_NO_SERVER = 3 };
enum {
    TRANSACTIONS_MAX = 200000,
    CUSTOMERS_MAX = 1000000,
    PENDING_MAX = 32,
    SAMPLES_MAX = 3,
    CHECK_BATCH = 100,
    BUCKETS_COUNT = 512, /* 8 for each doubling */
    LINE_BYTES = 256
};

static const char *const written[] = {"tx_id", "terminal_id", "amount", "is_fraud"};
enum { WRITTEN_COUNT = sizeof written / sizeof written[0] };

struct transaction {
    int64_t tx_id;
    int64_t customer_id;
    int64_t terminal_id;
    int64_t amount_cents;
    bool is_fraud;
};

struct arguments {
    const char *transactions;
    const char *acked;
    const char *check;
    struct fst_options options;
    int64_t seconds;
};

/* How long reads took, in buckets an eighth of their value wide. */
struct latencies {
    uint64_t counts[BUCKETS_COUNT];
    uint64_t count;
    uint64_t ns_max;
};

struct replay {
    struct fst_client *client;
    struct fst_handle *read_handle;
    struct fst_keys *keys;
    struct fst_batch *batch;
    struct transaction *transactions;
    size_t transactions_count;
    int32_t mean_index; /* of customer_profile:mean_amount in the vector; -1: it has none */
    FILE *acked;

    struct latencies latencies;
    uint64_t flagged_count;
    uint64_t acked_count;
    uint64_t unknown_count; /* sent, and the server went away before it answered */
    uint64_t refused_count;
    bool is_broken;
    char reason[FST_ERROR_TEXT_BYTES]; /* what broke it first */
};

/* A write that is not answered yet. */
struct pending {
    struct replay *replay;
    int64_t customer_id;
    int64_t event_us;
    int64_t tx_id;
    bool is_used;
};

static uint64_t clock_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- latencies ---- */

static uint32_t bucket_of(uint64_t ns) {
    if (ns < 8) return (uint32_t)ns;
    uint32_t power = 63u - (uint32_t)__builtin_clzll(ns);
    return (power - 2) * 8 + (uint32_t)(ns >> (power - 3) & 7);
}

/* The upper end of a bucket. */
static double bucket_us(uint32_t bucket) {
    if (bucket < 8) return (bucket + 1) / 1000.0;
    uint32_t power = bucket / 8 + 2;
    return (double)((uint64_t)(bucket % 8 + 9) << (power - 3)) / 1000.0;
}

static void latencies_put(struct latencies *latencies, uint64_t ns) {
    latencies->counts[bucket_of(ns)]++;
    latencies->count++;
    if (ns > latencies->ns_max) latencies->ns_max = ns;
}

static double latencies_us_at(const struct latencies *latencies, double share) {
    uint64_t wanted = (uint64_t)((double)latencies->count * share);
    uint64_t seen = 0;
    for (uint32_t bucket = 0; bucket < BUCKETS_COUNT; bucket++) {
        seen += latencies->counts[bucket];
        if (seen > wanted) return bucket_us(bucket);
    }
    return (double)latencies->ns_max / 1000.0;
}

/* A bar for each doubling that at least one read in a thousand fell into. */
static void latencies_dump(const struct latencies *latencies) {
    for (uint32_t first = 0; first < BUCKETS_COUNT; first += 8) {
        uint64_t count = 0;
        for (uint32_t i = 0; i < 8; i++) count += latencies->counts[first + i];
        if (count == 0 || count * 1000 < latencies->count) continue;
        double share = (double)count / (double)latencies->count;
        int stars = (int)(share * 50 + 0.5);
        printf("  up to %7.1f us %6.2f %% %.*s\n", bucket_us(first + 7), share * 100, stars,
               "##################################################");
    }
    printf("  p50 %.1f us, p90 %.1f us, p99 %.1f us, p99.9 %.1f us, max %.1f us\n",
           latencies_us_at(latencies, 0.5), latencies_us_at(latencies, 0.9),
           latencies_us_at(latencies, 0.99), latencies_us_at(latencies, 0.999),
           (double)latencies->ns_max / 1000.0);
}

/* ---- transactions ---- */

/* tx_id,tx_time,customer_id,terminal_id,amount,is_fraud; the time is left out: it happens now. */
static bool transaction_parse(const char *line, struct transaction *out) {
    long long units;
    char cents[3] = "";
    int fraud;
    int count = sscanf(line, "%" SCNd64 ",%*d,%" SCNd64 ",%" SCNd64 ",%lld.%2[0-9],%d", &out->tx_id,
                       &out->customer_id, &out->terminal_id, &units, cents, &fraud);
    out->amount_cents = units * 100 + strtol(cents, NULL, 10);
    out->is_fraud = fraud == 1;
    return count == 6 && strlen(cents) == 2;
}

static bool transactions_read(struct replay *replay, const char *path) {
    FILE *file = fopen(path, "r");
    replay->transactions = malloc(TRANSACTIONS_MAX * sizeof *replay->transactions);
    char line[LINE_BYTES];
    bool is_good = file && replay->transactions && fgets(line, sizeof line, file);
    while (is_good && replay->transactions_count < TRANSACTIONS_MAX &&
           fgets(line, sizeof line, file)) {
        is_good = transaction_parse(line, &replay->transactions[replay->transactions_count]);
        if (is_good) replay->transactions_count++;
    }
    if (file) fclose(file);
    if (is_good && replay->transactions_count > 0) return true;
    fprintf(stderr, "replay: %s: line %zu: expected a transaction\n", path,
            replay->transactions_count + 2);
    return false;
}

static void replay_break(struct replay *replay, const char *text) {
    if (!replay->is_broken) snprintf(replay->reason, sizeof replay->reason, "%s", text);
    replay->is_broken = true;
}

/* ---- writing ---- */

static void write_done(void *context, const struct fst_reply *reply) {
    struct pending *pending = context;
    struct replay *replay = pending->replay;
    pending->is_used = false;
    if (reply->status == FST_OK && reply->refused_count == 0) {
        replay->acked_count++;
        if (replay->acked)
            fprintf(replay->acked, "%" PRId64 " %" PRId64 " %" PRId64 "\n", pending->customer_id,
                    pending->event_us, pending->tx_id);
        return;
    }
    if (reply->status == FST_OUTCOME_UNKNOWN || reply->status == FST_CLOSED ||
        reply->status == FST_TIMEOUT) {
        replay->unknown_count++;
        replay_break(replay, reply->text);
        return;
    }
    if (replay->refused_count++ == 0)
        fprintf(stderr, "replay: write refused: %s %s\n", fst_status_name(reply->status),
                reply->text);
}

static struct pending *pending_find(struct pending *pendings) {
    for (int i = 0; i < PENDING_MAX; i++) {
        if (!pendings[i].is_used) return &pendings[i];
    }
    return NULL;
}

/* Waits only when PENDING_MAX writes are under way. */
static void transaction_write(struct replay *replay, struct pending *pendings,
                              const struct transaction *transaction) {
    struct pending *pending = pending_find(pendings);
    while (!pending && !replay->is_broken) {
        fst_poll(replay->client, -1);
        pending = pending_find(pendings);
    }
    if (replay->is_broken) return;
    *pending = (struct pending){
        .replay = replay,
        .customer_id = transaction->customer_id,
        .event_us = (int64_t)(clock_ns(CLOCK_REALTIME) / 1000),
        .tx_id = transaction->tx_id,
        .is_used = true,
    };
    struct fst_batch *batch = replay->batch;
    fst_batch_clear(batch);
    fst_batch_append(batch, pending->event_us);
    fst_batch_put(batch, 0, fst_int64(transaction->customer_id));
    fst_batch_put(batch, 1, fst_int64(transaction->tx_id));
    fst_batch_put(batch, 2, fst_int64(transaction->terminal_id));
    fst_batch_put(batch, 3, fst_decimal(transaction->amount_cents, 2));
    fst_batch_put(batch, 4, fst_bool(transaction->is_fraud));

    struct fst_call call = {.done = write_done, .context = pending};
    struct fst_error error;
    if (fst_submit_write(batch, FST_ACK_DURABLE, &call, &error) == FST_OK) return;
    pending->is_used = false;
    replay_break(replay, error.text);
}

/* ---- scoring ---- */

static void vector_dump(const struct transaction *transaction, const struct fst_reply *reply) {
    printf("customer %" PRId64 " at terminal %" PRId64 ", amount %.2f:\n", transaction->customer_id,
           transaction->terminal_id, (double)transaction->amount_cents / 100);
    for (uint32_t i = 0; i < fst_handle_features_count(reply->handle); i++) {
        char text[64];
        struct fst_value value = fst_reply_value(reply, 0, i);
        struct fst_column column = fst_handle_feature(reply->handle, i);
        fst_value_format(&value, text, sizeof text);
        printf("  %-26s %-16s %s\n", column.view, column.name, value.is_given ? text : "-");
    }
}

/* A model would stand here: this one finds an amount far above the customer's mean suspicious. */
static bool is_suspicious(const struct replay *replay, const struct transaction *transaction,
                          const struct fst_reply *reply) {
    if (replay->mean_index < 0) return false;
    struct fst_value mean = fst_reply_value(reply, 0, (uint32_t)replay->mean_index);
    return (double)transaction->amount_cents / 100 > 3 * fst_value_float64(&mean);
}

static void transaction_score(struct replay *replay, const struct transaction *transaction) {
    fst_keys_clear(replay->keys);
    for (uint32_t i = 0; i < fst_handle_keys_count(replay->read_handle); i++) {
        bool is_customer = strcmp(fst_handle_key(replay->read_handle, i).name, "customer_id") == 0;
        fst_keys_put(replay->keys,
                     fst_int64(is_customer ? transaction->customer_id : transaction->terminal_id));
    }
    uint64_t start_ns = clock_ns(CLOCK_MONOTONIC);
    struct fst_reply reply;
    if (fst_get(replay->keys, NULL, &reply) != FST_OK) {
        replay_break(replay, reply.text);
        return;
    }
    latencies_put(&replay->latencies, clock_ns(CLOCK_MONOTONIC) - start_ns);
    if (is_suspicious(replay, transaction, &reply)) replay->flagged_count++;
    if (replay->latencies.count <= SAMPLES_MAX) vector_dump(transaction, &reply);
}

static void replay_dump(const struct replay *replay, double seconds) {
    printf("%" PRIu64 " transactions scored in %.1f s (%.0f a second), %" PRIu64 " suspicious\n",
           replay->latencies.count, seconds, (double)replay->latencies.count / seconds,
           replay->flagged_count);
    printf("time to get a vector, while rows are written:\n");
    latencies_dump(&replay->latencies);
    printf("%" PRIu64 " rows written and acknowledged as durable, %" PRIu64
           " not answered, %" PRIu64 " refused\n",
           replay->acked_count, replay->unknown_count, replay->refused_count);
    if (replay->is_broken) printf("the server went away: %s\n", replay->reason);
}

static void transactions_run(struct replay *replay, int64_t seconds) {
    struct pending pendings[PENDING_MAX] = {0};
    uint64_t start_ns = clock_ns(CLOCK_MONOTONIC);
    uint64_t end_ns = start_ns + (uint64_t)seconds * 1000000000u;
    for (size_t i = 0; !replay->is_broken && clock_ns(CLOCK_MONOTONIC) < end_ns; i++) {
        const struct transaction *transaction =
            &replay->transactions[i % replay->transactions_count];
        transaction_score(replay, transaction);
        if (!replay->is_broken) transaction_write(replay, pendings, transaction);
    }
    while (!replay->is_broken && fst_in_flight(replay->client) > 0) fst_poll(replay->client, -1);
    uint64_t took_ns = clock_ns(CLOCK_MONOTONIC) - start_ns;
    fst_batch_destroy(replay->batch);
    fst_keys_destroy(replay->keys);
    fst_client_close(replay->client);
    replay_dump(replay, (double)took_ns / 1e9);
}

static int run(const struct arguments *arguments, struct fst_client *client) {
    struct replay replay = {.client = client};
    struct fst_handle *write_handle;
    struct fst_error error;
    if (!transactions_read(&replay, arguments->transactions)) return EXIT_USAGE;
    if (fst_prepare_service(client, "fraud_v1", &replay.read_handle, &error) != FST_OK ||
        fst_prepare_write(client, "customer_last_tx", written, WRITTEN_COUNT, &write_handle,
                          &error) != FST_OK) {
        fprintf(stderr, "replay: %s\n", error.text);
        return EXIT_MISSING;
    }
    replay.mean_index = fst_handle_find(replay.read_handle, "mean_amount");
    replay.keys = fst_keys_create(replay.read_handle);
    replay.batch = fst_batch_create(write_handle);
    if (arguments->acked) {
        replay.acked = fopen(arguments->acked, "w");
        if (!replay.acked) perror(arguments->acked);
    }
    if (!replay.keys || !replay.batch || (arguments->acked && !replay.acked)) return EXIT_USAGE;
    transactions_run(&replay, arguments->seconds);
    if (replay.acked && fclose(replay.acked) != 0) return EXIT_USAGE;
    free(replay.transactions);
    return replay.refused_count > 0 ? EXIT_MISSING : EXIT_SUCCESS;
}

/* ---- checking ---- */

/* The newest acknowledged row of each customer, by customer_id. */
struct acked {
    int64_t event_us; /* 0: none */
    int64_t tx_id;
};

static bool acked_read(const char *path, struct acked *customers, uint64_t *rows_out) {
    FILE *file = fopen(path, "r");
    if (!file) {
        perror(path);
        return false;
    }
    int64_t customer, event_us, tx_id;
    while (fscanf(file, "%" SCNd64 " %" SCNd64 " %" SCNd64, &customer, &event_us, &tx_id) == 3 &&
           customer >= 0 && customer < CUSTOMERS_MAX) {
        *rows_out += 1;
        if (event_us >= customers[customer].event_us)
            customers[customer] = (struct acked){.event_us = event_us, .tx_id = tx_id};
    }
    bool is_whole = feof(file) != 0;
    fclose(file);
    if (!is_whole) fprintf(stderr, "replay: %s: expected three numbers a line\n", path);
    return is_whole;
}

/* Whether the row is the acknowledged one, or one that came after it. */
static bool row_is_there(const struct fst_reply *reply, uint32_t index, const struct acked *acked) {
    struct fst_row row = fst_reply_row(reply, index, 0);
    struct fst_value tx_id = fst_reply_value(reply, index, 0);
    if (row.presence != FST_PRESENT && row.presence != FST_ROW_EXPIRED) return false;
    if (row.event_us > acked->event_us) return true;
    return row.event_us == acked->event_us && tx_id.integer == acked->tx_id;
}

/* Asks for the customers in `ids`. Returns how many rows are missing, -1 on failure. */
static int64_t batch_check(struct fst_keys *keys, const struct acked *customers, const int64_t *ids,
                           uint32_t ids_count) {
    struct fst_get_options options = {.as_of_us = FST_NOW, .serves_expired = true};
    struct fst_reply reply;
    fst_keys_clear(keys);
    for (uint32_t i = 0; i < ids_count; i++) fst_keys_put(keys, fst_int64(ids[i]));
    if (fst_get(keys, &options, &reply) != FST_OK) {
        fprintf(stderr, "replay: %s %s\n", fst_status_name(reply.status), reply.text);
        return -1;
    }
    int64_t missing = 0;
    for (uint32_t i = 0; i < ids_count; i++) {
        if (row_is_there(&reply, i, &customers[ids[i]])) continue;
        fprintf(stderr, "replay: customer %" PRId64 ": transaction %" PRId64 " is missing\n",
                ids[i], customers[ids[i]].tx_id);
        missing++;
    }
    return missing;
}

static int64_t customers_check(struct fst_keys *keys, const struct acked *customers,
                               uint64_t *customers_out) {
    int64_t ids[CHECK_BATCH];
    uint32_t ids_count = 0;
    int64_t missing = 0;
    for (int64_t id = 0; id <= CUSTOMERS_MAX; id++) {
        bool is_end = id == CUSTOMERS_MAX;
        if (!is_end && customers[id].event_us == 0) continue;
        if (ids_count == CHECK_BATCH || (is_end && ids_count > 0)) {
            int64_t found = batch_check(keys, customers, ids, ids_count);
            if (found < 0) return -1;
            missing += found;
            ids_count = 0;
        }
        if (is_end) break;
        ids[ids_count++] = id;
        *customers_out += 1;
    }
    return missing;
}

static int check(const struct arguments *arguments, struct fst_client *client) {
    struct acked *customers = calloc(CUSTOMERS_MAX, sizeof *customers);
    uint64_t rows = 0, customers_count = 0;
    const char *features[] = {"customer_last_tx:tx_id"};
    struct fst_handle *handle;
    struct fst_error error;
    if (!customers || !acked_read(arguments->check, customers, &rows)) return EXIT_USAGE;
    if (fst_prepare_features(client, features, 1, &handle, &error) != FST_OK) {
        fprintf(stderr, "replay: %s\n", error.text);
        return EXIT_MISSING;
    }
    struct fst_keys *keys = fst_keys_create(handle);
    int64_t missing = keys ? customers_check(keys, customers, &customers_count) : -1;
    fst_keys_destroy(keys);
    fst_client_close(client);
    free(customers);
    if (missing == 0 && rows > 0)
        printf("%" PRIu64 " acknowledged rows of %" PRIu64 " customers: all there\n", rows,
               customers_count);
    else
        printf("%" PRIu64 " acknowledged rows: %" PRId64 " missing\n", rows, missing);
    return missing == 0 && rows > 0 ? EXIT_SUCCESS : EXIT_MISSING;
}

static bool arguments_parse(struct arguments *arguments, int argc, char **argv) {
    *arguments = (struct arguments){.seconds = 5};
    fst_options_init(&arguments->options);
    arguments->options.attempts_max = 1; /* When the server goes away, so does this program. */
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];
        if (strcmp(name, "--transactions") == 0)
            arguments->transactions = value;
        else if (strcmp(name, "--acked") == 0)
            arguments->acked = value;
        else if (strcmp(name, "--check") == 0)
            arguments->check = value;
        else if (strcmp(name, "--server") == 0)
            arguments->options.server = value;
        else if (strcmp(name, "--key") == 0)
            arguments->options.key = value;
        else if (strcmp(name, "--seconds") == 0)
            arguments->seconds = strtol(value, NULL, 10);
        else
            return false;
    }
    return argc % 2 == 1 && !arguments->check != !arguments->transactions;
}

int main(int argc, char **argv) {
    struct arguments arguments;
    struct fst_client *client;
    struct fst_error error;
    if (!arguments_parse(&arguments, argc, argv)) {
        fprintf(stderr, "usage: replay --transactions FILE.csv [--server HOST:PORT] [--key KEY] "
                        "[--seconds N] [--acked FILE]\n"
                        "       replay --check FILE [--server HOST:PORT] [--key KEY]\n");
        return EXIT_USAGE;
    }
    if (fst_client_open(&client, &arguments.options, &error) != FST_OK) {
        fprintf(stderr, "replay: %s\n", error.text);
        return EXIT_NO_SERVER;
    }
    return arguments.check ? check(&arguments, client) : run(&arguments, client);
}
