/*
 * remote: the server, as the commands see it: connect once, then call.
 *
 * Failures are printed here, where they are first seen; callers pass on the exit code in ctl->exit.
 *
 * Threads: one. Memory: a reply is the caller's, to be freed with
 *          fst__control_reply__free_unpacked().
 */
#ifndef FSCTL_REMOTE_H
#define FSCTL_REMOTE_H

#include "fstore/control.pb-c.h"
#include "tools/fsctl/command.h"

/* Connects if that has not been done. CTL_DONE, or why not, printed. */
enum ctl_exit ctl_connect(struct ctl *ctl);
void ctl_disconnect(struct ctl *ctl);

/* Connects and asks. NULL: failed, and ctl->exit says how. `is_repeatable`: asking twice is
 * harmless. The reply has the case `expected`. */
Fst__ControlReply *ctl_call(struct ctl *ctl, const Fst__ControlRequest *request, bool is_repeatable,
                            Fst__ControlReply__OperationCase expected);

/* A packed request, to be freed by the caller; NULL: no memory, printed. */
uint8_t *ctl_pack(struct ctl *ctl, const Fst__ControlRequest *request, size_t *bytes_out);

/* Prints a refusal by the server, with what may help. */
enum ctl_exit ctl_refused(struct ctl *ctl, const struct fst_reply *reply);

#endif
