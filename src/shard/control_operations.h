/*
 * control_operations: what each CONTROL operation does.
 *
 * Threads: the control thread. Memory: the reply is moved to the call.
 */
#ifndef SHARD_CONTROL_OPERATIONS_H
#define SHARD_CONTROL_OPERATIONS_H

#include "shard/control.h"

/* Fills the call's reply, or its error. */
void control_operation_run(struct control *control, struct control_call *call);

/* Makes the registry's present state the one that shards see. */
FST_MUST_USE enum fst_status control_publish(struct control *control);

/* Makes a change durable in the log, adopts and publishes it. Takes over nothing. */
FST_MUST_USE enum fst_status control_change(struct control *control, struct bytes change,
                                            struct fst_error *error);

/* Rows that come as text: control_rows.c. */
FST_MUST_USE enum fst_status control_import(struct control *control,
                                            const struct control_call *call,
                                            const Fst__ImportChunk *chunk,
                                            Fst__ImportReply **reply_out, struct fst_error *error);
FST_MUST_USE enum fst_status control_put(struct control *control, const struct control_call *call,
                                         const Fst__PutRequest *request,
                                         Fst__ImportReply **reply_out, struct fst_error *error);

/* What `fsctl status` shows: control_status.c. */
FST_MUST_USE enum fst_status control_status(struct control *control, Fst__StatusReply **reply_out);
#endif
