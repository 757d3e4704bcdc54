/*
 * fraud_data: simulated card transactions with three kinds of fraud, the same for everybody.
 *
 * This is the simulation of "Reproducible Machine Learning for Credit Card Fraud Detection" (Le
 * Borgne, Siblini, Lebichot, Bontempi, 2022), chapter 3, which is defined by a Python program and
 * its seeds; the random streams come from mt19937. With the default options it gives 1,754,155
 * transactions, 14,681 of them frauds.
 *
 *   customers  a place in a 100 x 100 square, a mean amount, a mean number of transactions a day
 *   terminals  a place; a customer uses those closer than `radius`
 *   frauds     1  every amount above 220.00
 *              2  each day two terminals are compromised: all their transactions for 28 days
 *              3  each day three customers' cards leak: a third of their transactions of 14 days is
 *                 fraud, at five times the amount
 *
 * Invariants:
 *   I1  transactions are sorted by second, ties by customer, then by order of generation.
 *   I2  Equal options give equal data, on every machine whose exp and log round as glibc's do.
 *
 * Threads: no shared state. Memory: `struct fraud_data` owns its arrays until fraud_data_destroy.
 */
#ifndef FSBENCH_FRAUD_DATA_H
#define FSBENCH_FRAUD_DATA_H

#include <stdint.h>

#include "fstore/status.h"

enum {
    FRAUD_CUSTOMERS_MAX = 1000000,
    FRAUD_TERMINALS_MAX = 1000000,
    FRAUD_DAYS_MAX = 3660,
    FRAUD_DAY_SECONDS = 86400,
};

struct fraud_options {
    uint32_t customers_count; /* 1 to FRAUD_CUSTOMERS_MAX; likewise below */
    uint32_t terminals_count;
    uint32_t days_count;
    double radius; /* in the unit of the square's places */
};

struct fraud_customer {
    double x, y;
    double mean_amount;
    double mean_tx_per_day;
};

struct fraud_terminal {
    double x, y;
};

enum fraud_kind { FRAUD_NONE, FRAUD_AMOUNT, FRAUD_TERMINAL, FRAUD_CUSTOMER, FRAUD_KINDS };

struct fraud_transaction {
    uint32_t second; /* since the start of the data */
    uint32_t customer;
    uint32_t terminal;
    uint32_t position; /* in order of generation */
    int64_t amount_cents;
    uint8_t kind; /* enum fraud_kind; the last that applied */
};

struct fraud_data {
    struct fraud_options options;
    struct fraud_customer *customers;
    struct fraud_terminal *terminals;
    struct fraud_transaction *transactions;
    uint32_t transactions_count;
    uint32_t added_count[FRAUD_KINDS]; /* frauds that each kind added, in this order */
};

/* Is told how far the generation has come, in customers. `context` is the caller's. */
struct fraud_progress {
    void (*report)(void *context, uint64_t done, uint64_t total); /* may be NULL */
    void *context;
};

/* FST_INVALID for options out of range; FST_NO_MEMORY. */
FST_MUST_USE enum fst_status fraud_data_create(struct fraud_data *data_out,
                                               const struct fraud_options *options,
                                               const struct fraud_progress *progress,
                                               struct fst_error *error);
void fraud_data_destroy(struct fraud_data *data);

/* Walks everything: I1, ranges, and that the counts of frauds agree. FST_CORRUPT otherwise. */
FST_MUST_USE enum fst_status fraud_data_check(const struct fraud_data *data);

#endif
