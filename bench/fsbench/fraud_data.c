#include "bench/fsbench/fraud_data.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "bench/fsbench/mt19937.h"

enum {
    SEED_CUSTOMERS = 0,
    SEED_TERMINALS = 1,
    AMOUNT_FRAUD_CENTS = 22000,
    TERMINALS_A_DAY = 2,
    TERMINAL_FRAUD_DAYS = 28,
    CUSTOMERS_A_DAY = 3,
    CUSTOMER_FRAUD_DAYS = 14,
    CUSTOMER_FRAUD_FACTOR = 5,
    PROGRESS_CUSTOMERS = 64,
};

/* What the passes over the transactions share; all arrays are freed at the end. */
struct workshop {
    struct fraud_data *data;
    uint32_t transactions_max;
    uint32_t *near_terminals; /* those the current customer can use */
    uint32_t *order;          /* room for a permutation of customers or terminals */
    uint32_t *day_first;      /* index of each day's first transaction, and the end */
    uint32_t *own;            /* transactions of one customer, then two scratch areas as long */
};

static enum fst_status options_check(const struct fraud_options *options, struct fst_error *error) {
    if (options->customers_count < 1 || options->customers_count > FRAUD_CUSTOMERS_MAX)
        return fst_error_set(error, FST_INVALID, "customers: expected 1 to %d, found %u",
                             FRAUD_CUSTOMERS_MAX, options->customers_count);
    if (options->terminals_count < 1 || options->terminals_count > FRAUD_TERMINALS_MAX)
        return fst_error_set(error, FST_INVALID, "terminals: expected 1 to %d, found %u",
                             FRAUD_TERMINALS_MAX, options->terminals_count);
    if (options->days_count < 1 || options->days_count > FRAUD_DAYS_MAX)
        return fst_error_set(error, FST_INVALID, "days: expected 1 to %d, found %u", FRAUD_DAYS_MAX,
                             options->days_count);
    if (!(options->radius > 0 && options->radius <= 200))
        return fst_error_set(error, FST_INVALID, "radius: expected more than 0, at most 200");
    return FST_OK;
}

static void customers_run(struct fraud_data *data) {
    struct mt19937 numpy;
    mt19937_init_numpy(&numpy, SEED_CUSTOMERS);
    for (uint32_t i = 0; i < data->options.customers_count; i++) {
        struct fraud_customer *customer = &data->customers[i];
        customer->x = mt19937_get_uniform(&numpy, 0, 100);
        customer->y = mt19937_get_uniform(&numpy, 0, 100);
        customer->mean_amount = mt19937_get_uniform(&numpy, 5, 100);
        customer->mean_tx_per_day = mt19937_get_uniform(&numpy, 0, 4);
    }
}

static void terminals_run(struct fraud_data *data) {
    struct mt19937 numpy;
    mt19937_init_numpy(&numpy, SEED_TERMINALS);
    for (uint32_t i = 0; i < data->options.terminals_count; i++) {
        data->terminals[i].x = mt19937_get_uniform(&numpy, 0, 100);
        data->terminals[i].y = mt19937_get_uniform(&numpy, 0, 100);
    }
}

static uint32_t near_terminals_find(const struct fraud_data *data,
                                    const struct fraud_customer *customer, uint32_t *found_out) {
    uint32_t found_count = 0;
    for (uint32_t i = 0; i < data->options.terminals_count; i++) {
        double dx = customer->x - data->terminals[i].x;
        double dy = customer->y - data->terminals[i].y;
        if (sqrt(dx * dx + dy * dy) < data->options.radius) found_out[found_count++] = i;
    }
    return found_count;
}

static enum fst_status transaction_append(struct workshop *shop,
                                          const struct fraud_transaction *transaction) {
    struct fraud_data *data = shop->data;
    if (data->transactions_count == shop->transactions_max) {
        uint32_t max = shop->transactions_max ? shop->transactions_max * 2 : 4096;
        if (max < shop->transactions_max) return FST_NO_MEMORY;
        void *grown = realloc(data->transactions, max * sizeof *data->transactions);
        if (!grown) return FST_NO_MEMORY;
        data->transactions = grown;
        shop->transactions_max = max;
    }
    data->transactions[data->transactions_count] = *transaction;
    data->transactions[data->transactions_count].position = data->transactions_count;
    data->transactions_count++;
    return FST_OK;
}

/* One attempt; times outside the day give no transaction, and draw no amount. */
static enum fst_status attempt_run(struct workshop *shop, uint32_t customer_id, uint32_t day,
                                   struct mt19937 *numpy, struct mt19937 *python,
                                   uint32_t near_count) {
    const struct fraud_customer *customer = &shop->data->customers[customer_id];
    int64_t second = (int64_t)mt19937_get_normal(numpy, FRAUD_DAY_SECONDS / 2.0, 20000);
    if (second <= 0 || second >= FRAUD_DAY_SECONDS) return FST_OK;
    double mean = customer->mean_amount;
    double amount = mt19937_get_normal(numpy, mean, mean / 2);
    if (amount < 0) amount = mt19937_get_uniform(numpy, 0, mean * 2);
    if (near_count == 0) return FST_OK;
    struct fraud_transaction transaction = {
        .second = day * FRAUD_DAY_SECONDS + (uint32_t)second,
        .customer = customer_id,
        .terminal = shop->near_terminals[mt19937_get_below(python, near_count)],
        .amount_cents = (int64_t)rint(amount * 100),
    };
    return transaction_append(shop, &transaction);
}

static enum fst_status customer_transactions_run(struct workshop *shop, uint32_t customer_id) {
    struct fraud_data *data = shop->data;
    const struct fraud_customer *customer = &data->customers[customer_id];
    uint32_t near_count = near_terminals_find(data, customer, shop->near_terminals);
    struct mt19937 numpy, python;
    mt19937_init_numpy(&numpy, customer_id);
    mt19937_init_python(&python, customer_id);
    for (uint32_t day = 0; day < data->options.days_count; day++) {
        uint32_t attempts = mt19937_get_poisson(&numpy, customer->mean_tx_per_day);
        while (attempts-- > 0)
            FST_TRY(attempt_run(shop, customer_id, day, &numpy, &python, near_count));
    }
    return FST_OK;
}

static int transaction_compare(const void *left, const void *right) {
    const struct fraud_transaction *a = left, *b = right;
    if (a->second != b->second) return a->second < b->second ? -1 : 1;
    return (a->position > b->position) - (a->position < b->position);
}

static void day_first_run(struct workshop *shop) {
    const struct fraud_data *data = shop->data;
    uint32_t at = 0;
    for (uint32_t day = 0; day <= data->options.days_count; day++) {
        while (at < data->transactions_count &&
               data->transactions[at].second / FRAUD_DAY_SECONDS < day)
            at++;
        shop->day_first[day] = at;
    }
}

static void transaction_mark(struct fraud_data *data, uint32_t index, enum fraud_kind kind) {
    if (data->transactions[index].kind == FRAUD_NONE) data->added_count[kind]++;
    data->transactions[index].kind = (uint8_t)kind;
}

static void amount_frauds_run(struct fraud_data *data) {
    for (uint32_t i = 0; i < data->transactions_count; i++) {
        if (data->transactions[i].amount_cents > AMOUNT_FRAUD_CENTS)
            transaction_mark(data, i, FRAUD_AMOUNT);
    }
}

/* First and end index of the transactions of `days` days from `day` on. */
static void range_get(const struct workshop *shop, uint32_t day, uint32_t days, uint32_t *first_out,
                      uint32_t *end_out) {
    uint32_t last = day + days;
    if (last > shop->data->options.days_count) last = shop->data->options.days_count;
    *first_out = shop->day_first[day];
    *end_out = shop->day_first[last];
}

static void terminal_frauds_run(struct workshop *shop, uint32_t day) {
    struct fraud_data *data = shop->data;
    struct mt19937 numpy;
    mt19937_init_numpy(&numpy, day);
    mt19937_get_permutation(&numpy, shop->order, data->options.terminals_count);
    uint32_t first, end;
    range_get(shop, day, TERMINAL_FRAUD_DAYS, &first, &end);
    for (uint32_t i = first; i < end; i++) {
        uint32_t terminal = data->transactions[i].terminal;
        for (uint32_t k = 0; k < TERMINALS_A_DAY && k < data->options.terminals_count; k++) {
            if (terminal == shop->order[k]) transaction_mark(data, i, FRAUD_TERMINAL);
        }
    }
}

static void customer_frauds_run(struct workshop *shop, uint32_t day) {
    struct fraud_data *data = shop->data;
    struct mt19937 numpy, python;
    mt19937_init_numpy(&numpy, day);
    mt19937_get_permutation(&numpy, shop->order, data->options.customers_count);
    uint32_t first, end, own_count = 0;
    range_get(shop, day, CUSTOMER_FRAUD_DAYS, &first, &end);
    for (uint32_t i = first; i < end; i++) {
        uint32_t customer = data->transactions[i].customer;
        for (uint32_t k = 0; k < CUSTOMERS_A_DAY && k < data->options.customers_count; k++) {
            if (customer == shop->order[k]) shop->own[own_count++] = i;
        }
    }
    uint32_t *scratch = shop->own + data->transactions_count;
    uint32_t *picked = scratch + data->transactions_count;
    uint32_t picked_count = own_count / 3;
    mt19937_init_python(&python, day);
    mt19937_get_sample(&python, own_count, picked_count, scratch, picked);
    for (uint32_t i = 0; i < picked_count; i++) {
        uint32_t index = shop->own[picked[i]];
        data->transactions[index].amount_cents *= CUSTOMER_FRAUD_FACTOR;
        transaction_mark(data, index, FRAUD_CUSTOMER);
    }
}

static enum fst_status frauds_run(struct workshop *shop) {
    struct fraud_data *data = shop->data;
    if (data->transactions_count == 0) return FST_OK;
    shop->own = malloc(3 * sizeof *shop->own * data->transactions_count);
    if (!shop->own) return FST_NO_MEMORY;
    qsort(data->transactions, data->transactions_count, sizeof *data->transactions,
          transaction_compare);
    day_first_run(shop);
    uint32_t last_second = data->transactions[data->transactions_count - 1].second;
    uint32_t last_day = last_second / FRAUD_DAY_SECONDS;
    amount_frauds_run(data);
    for (uint32_t day = 0; day < last_day; day++) terminal_frauds_run(shop, day);
    for (uint32_t day = 0; day < last_day; day++) customer_frauds_run(shop, day);
    return FST_OK;
}

static enum fst_status transactions_run(struct workshop *shop,
                                        const struct fraud_progress *progress) {
    uint32_t customers_count = shop->data->options.customers_count;
    for (uint32_t i = 0; i < customers_count; i++) {
        FST_TRY(customer_transactions_run(shop, i));
        bool is_due = i % PROGRESS_CUSTOMERS == 0 || i + 1 == customers_count;
        if (is_due && progress && progress->report)
            progress->report(progress->context, i + 1, customers_count);
    }
    return frauds_run(shop);
}

enum fst_status fraud_data_create(struct fraud_data *data_out, const struct fraud_options *options,
                                  const struct fraud_progress *progress, struct fst_error *error) {
    FST_TRY(options_check(options, error));
    uint32_t order_count = options->customers_count > options->terminals_count
                               ? options->customers_count
                               : options->terminals_count;
    struct fraud_data data = {.options = *options};
    struct workshop shop = {.data = &data};
    data.customers = calloc(options->customers_count, sizeof *data.customers);
    data.terminals = calloc(options->terminals_count, sizeof *data.terminals);
    shop.near_terminals = calloc(options->terminals_count, sizeof *shop.near_terminals);
    shop.order = calloc(order_count, sizeof *shop.order);
    shop.day_first = calloc(options->days_count + 1ul, sizeof *shop.day_first);
    enum fst_status status = FST_NO_MEMORY;
    if (data.customers && data.terminals && shop.near_terminals && shop.order && shop.day_first) {
        customers_run(&data);
        terminals_run(&data);
        status = transactions_run(&shop, progress);
    }
    free(shop.near_terminals);
    free(shop.order);
    free(shop.day_first);
    free(shop.own);
    if (status != FST_OK) {
        fraud_data_destroy(&data);
        return fst_error_set(error, status, "not enough memory for the transactions");
    }
    *data_out = data;
    return FST_OK;
}

void fraud_data_destroy(struct fraud_data *data) {
    free(data->customers);
    free(data->terminals);
    free(data->transactions);
    memset(data, 0, sizeof *data);
}

enum fst_status fraud_data_check(const struct fraud_data *data) {
    uint32_t frauds_count = 0;
    for (uint32_t i = 0; i < data->transactions_count; i++) {
        const struct fraud_transaction *at = &data->transactions[i];
        if (at->customer >= data->options.customers_count) return FST_CORRUPT;
        if (at->terminal >= data->options.terminals_count) return FST_CORRUPT;
        if (at->second / FRAUD_DAY_SECONDS >= data->options.days_count) return FST_CORRUPT;
        if (at->amount_cents < 0 || at->kind >= FRAUD_KINDS) return FST_CORRUPT;
        if (at->kind != FRAUD_NONE) frauds_count++;
        if (i == 0) continue;
        const struct fraud_transaction *before = at - 1;
        if (before->second > at->second) return FST_CORRUPT;
        if (before->second == at->second && before->customer > at->customer) return FST_CORRUPT;
    }
    uint32_t added_count = 0;
    for (int kind = FRAUD_AMOUNT; kind < FRAUD_KINDS; kind++)
        added_count += data->added_count[kind];
    return added_count == frauds_count ? FST_OK : FST_CORRUPT;
}
