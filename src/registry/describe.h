/*
 * describe: replies of the control plane about a state: lists, descriptions, keys, audit.
 *
 * A reply is put together in a region, packed, and unpacked again: so it is one message that its
 * receiver owns, and every text in it is a copy.
 *
 * Threads: pure. Memory: replies are the caller's, to be freed with their free_unpacked.
 */
#ifndef REGISTRY_DESCRIBE_H
#define REGISTRY_DESCRIBE_H

#include "fstore/control.pb-c.h"
#include "registry/region.h"
#include "registry/state.h"

/* See registry.h. */
FST_MUST_USE enum fst_status describe_list(const struct registry_state *state, const char *kind,
                                           Fst__ListReply **reply_out);
FST_MUST_USE enum fst_status describe_object(const struct registry_state *state, const char *name,
                                             Fst__DescribeReply **reply_out,
                                             struct fst_error *error);
FST_MUST_USE enum fst_status describe_audit(const struct registry_state *state,
                                            Fst__AuditReply **reply_out);
FST_MUST_USE enum fst_status describe_keys(const struct registry_state *state,
                                           Fst__KeyList **reply_out);

/* A message that owns itself, made of one whose parts lie in a region; NULL if there is no memory.
 * The type is that of `message`. */
void *describe_own(struct region *region, const ProtobufCMessage *message);

#endif
