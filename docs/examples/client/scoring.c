/*
 * scoring: asks for the features a fraud model needs, scores a payment, and writes it down.
 *
 * Build it with what `cmake --install` has installed:
 *
 *     cc -std=c11 -o scoring scoring.c $(pkg-config --cflags --libs fstore)
 *
 * and run it against a server that has the definitions of docs/examples/fraud:
 *
 *     ./scoring 127.0.0.1:7601 CUSTOMER_ID TERMINAL_ID AMOUNT_IN_CENTS
 *
 * The API key, if the server wants one, is taken from $FSTORE_KEY.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "fstore/fstore.h"

enum { INPUTS_MAX = 64 };

struct payment {
    int64_t customer_id;
    int64_t terminal_id;
    int64_t amount_cents;
    int64_t at_us;
};

/* What is prepared once, before the first payment. */
struct scorer {
    struct fst_client *client;
    struct fst_handle *features; /* of the model */
    struct fst_handle *payments; /* the view that payments are written to */
    struct fst_keys *keys;
    struct fst_batch *batch;
    int32_t mean_amount; /* indices of features; they never change */
    int32_t std_amount;
};

static int failed(const char *what, const char *text) {
    fprintf(stderr, "%s: %s\n", what, text);
    return EXIT_FAILURE;
}

static int scorer_open(struct scorer *scorer, const char *server) {
    /* The columns that will be written, in the order in which they will be put. */
    static const char *const columns[] = {"tx_id", "terminal_id", "amount"};
    struct fst_options options;
    struct fst_error error;
    fst_options_init(&options);
    options.server = server;
    options.key = getenv("FSTORE_KEY");
    options.request_timeout_us = 50000; /* A score that comes later is of no use. */
    if (fst_client_open(&scorer->client, &options, &error) != FST_OK) {
        return failed("connecting", error.text);
    }
    if (fst_prepare_service(scorer->client, "fraud_v1", &scorer->features, &error) != FST_OK ||
        fst_prepare_write(scorer->client, "customer_last_tx", columns, 3, &scorer->payments,
                          &error) != FST_OK) {
        return failed("preparing", error.text);
    }
    scorer->mean_amount = fst_handle_find(scorer->features, "customer_profile:mean_amount");
    scorer->std_amount = fst_handle_find(scorer->features, "customer_profile:std_amount");
    if (scorer->mean_amount < 0 || scorer->std_amount < 0) {
        return failed("preparing", "the service lacks features of the model");
    }
    scorer->keys = fst_keys_create(scorer->features);
    scorer->batch = fst_batch_create(scorer->payments);
    return scorer->keys && scorer->batch ? EXIT_SUCCESS : failed("preparing", "out of memory");
}

static void scorer_close(struct scorer *scorer) {
    fst_keys_destroy(scorer->keys);
    fst_batch_destroy(scorer->batch);
    fst_client_close(scorer->client); /* Closes the handles, too. */
}

static void features_print(const struct fst_reply *reply) {
    for (uint32_t i = 0; i < fst_handle_features_count(reply->handle); i++) {
        struct fst_column column = fst_handle_feature(reply->handle, i);
        struct fst_value value = fst_reply_value(reply, 0, i);
        char text[128];
        fst_value_format(&value, text, sizeof text);
        printf("%-24s %-16s %s\n", column.view, column.name, value.is_given ? text : "-");
    }
}

/* How many standard deviations a payment is away from what the customer usually pays. */
static int payment_score(struct scorer *scorer, const struct payment *payment) {
    struct fst_reply reply;
    fst_keys_clear(scorer->keys);
    /* The key columns of the service: customer_id, terminal_id. Failures come out of fst_get(). */
    (void)fst_keys_put(scorer->keys, fst_int64(payment->customer_id));
    (void)fst_keys_put(scorer->keys, fst_int64(payment->terminal_id));
    if (fst_get(scorer->keys, NULL, &reply) != FST_OK) return failed("reading", reply.text);
    features_print(&reply);
    struct fst_value mean = fst_reply_value(&reply, 0, (uint32_t)scorer->mean_amount);
    struct fst_value deviation = fst_reply_value(&reply, 0, (uint32_t)scorer->std_amount);
    double away = (double)payment->amount_cents / 100 - fst_value_float64(&mean);
    printf("score %.3f\n", deviation.number > 0 ? away / deviation.number : 0.0);
    return EXIT_SUCCESS;
}

/* The same features as a model takes them: numbers in the order of the service, NaN where there is
 * none. A call for many keys gives a row for each. */
static int input_print(struct scorer *scorer) {
    struct fst_get_options options = {.as_of_us = FST_NOW, .shape = FST_SHAPE_FLOAT32};
    struct fst_reply reply;
    float input[INPUTS_MAX];
    uint32_t count = fst_handle_features_count(scorer->features);
    if (count > INPUTS_MAX) count = INPUTS_MAX;
    if (fst_get(scorer->keys, &options, &reply) != FST_OK) return failed("reading", reply.text);
    fst_reply_matrix_float32(&reply, count, input);
    printf("input");
    for (uint32_t i = 0; i < count; i++) printf(" %g", (double)input[i]);
    printf("\n");
    return EXIT_SUCCESS;
}

static int payment_write(struct scorer *scorer, const struct payment *payment) {
    struct fst_reply reply;
    fst_batch_clear(scorer->batch);
    (void)fst_batch_append(scorer->batch, payment->at_us);
    (void)fst_batch_put(scorer->batch, 0, fst_int64(payment->customer_id)); /* the key */
    (void)fst_batch_put(scorer->batch, 1, fst_int64(payment->at_us));
    (void)fst_batch_put(scorer->batch, 2, fst_int64(payment->terminal_id));
    (void)fst_batch_put(scorer->batch, 3, fst_decimal(payment->amount_cents, 2));
    if (fst_write(scorer->batch, FST_ACK_DURABLE, &reply) != FST_OK) {
        return failed("writing", reply.text);
    }
    if (reply.refused_count > 0) {
        return failed("writing", fst_status_text((enum fst_status)reply.row_statuses[0]));
    }
    printf("written, and on disk\n");
    return EXIT_SUCCESS;
}

int main(int argc, char **argv) {
    if (argc != 5) {
        fprintf(stderr, "Usage: scoring HOST:PORT CUSTOMER_ID TERMINAL_ID AMOUNT_IN_CENTS\n");
        return 2;
    }
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    struct payment payment = {
        .customer_id = strtoll(argv[2], NULL, 10),
        .terminal_id = strtoll(argv[3], NULL, 10),
        .amount_cents = strtoll(argv[4], NULL, 10),
        .at_us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000,
    };
    struct scorer scorer = {.client = NULL};
    int result = scorer_open(&scorer, argv[1]);
    if (result == EXIT_SUCCESS) result = payment_score(&scorer, &payment);
    if (result == EXIT_SUCCESS) result = input_print(&scorer);
    if (result == EXIT_SUCCESS) result = payment_write(&scorer, &payment);
    scorer_close(&scorer);
    return result;
}
