/*
 * fraud_files: the fraud data as CSV files in a folder, made once.
 *
 *   transactions.csv       tx_id,tx_time,customer_id,terminal_id,amount,is_fraud
 *   customers.csv          event_time,customer_id,x,y,mean_amount,std_amount,mean_tx_per_day
 *   terminals.csv          event_time,terminal_id,x,y
 *   last_transactions.csv  event_time,customer_id,tx_id,terminal_id,amount,is_fraud
 *   fraud.facts            the options, then each file's name, size and checksum
 *
 * Times are microseconds since 1970 UTC; customers and terminals carry the start of the data. The
 * last file but one holds each customer's newest transaction. The facts are written last: a folder
 * is complete exactly when its facts are what they would be if they were written now.
 *
 * Invariants:
 *   I1  Every file is replaced as a whole, so a reader sees the old one or the new one.
 *   I2  Equal options give equal bytes.
 *
 * Threads: no shared state. Memory: about as much as the largest file, freed before returning.
 */
#ifndef FSBENCH_FRAUD_FILES_H
#define FSBENCH_FRAUD_FILES_H

#include <stdbool.h>

#include "base/io.h"
#include "bench/fsbench/fraud_data.h"

struct fraud_folder {
    struct io *io;
    const char *path; /* the folder; borrowed */
    int64_t start_us; /* when second 0 of the data is */
};

/* True if all files are there with the bytes that these options give. Reads them in full. */
bool fraud_files_are_there(const struct fraud_folder *folder, const struct fraud_options *options);

/* Writes all files; makes the folder if it is not there. FST_IO_ERROR, FST_DISK_FULL,
 * FST_NO_MEMORY. */
FST_MUST_USE enum fst_status fraud_files_put(const struct fraud_folder *folder,
                                             const struct fraud_data *data,
                                             struct fst_error *error);

#endif
