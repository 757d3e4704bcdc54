/*
 * registry: definitions, access keys and their history, as a fold over numbered changes.
 *
 * Every apply, key creation and revocation is one change: a protobuf (change.proto) with a
 * generation number, who did it and when. The state is what comes out of adopting all changes in
 * order, so the audit trail cannot differ from what is in force. A change is first planned against
 * the current state, which has no effect, then made durable by the caller (log, then LMDB), then
 * adopted.
 *
 *     documents -> yaml -> declarations -> plan (diff, resolve) -> change -> change_check -> state
 *     -> catalog
 *
 * Invariant: the state only changes by adopting a change that passes change_check.
 *
 * Threads: one (the control thread, or start-up). Catalogs and access tables are immutable and may
 *          be read by all; the caller retires old ones when all readers have passed a quiet point.
 * Memory:  owns its state. Catalogs, tables, replies and changes are the caller's.
 */
#ifndef REGISTRY_REGISTRY_H
#define REGISTRY_REGISTRY_H

#include "base/bytes.h"
#include "fstore/control.pb-c.h"
#include "model/definition.h"
#include "registry/access.h"

struct registry;

FST_MUST_USE enum fst_status registry_create(struct registry **registry_out);
/* NULL is allowed. */
void registry_destroy(struct registry *registry);

/* Number of the last change; 0: there was none. */
uint64_t registry_generation(const struct registry *registry);

/* Adopts one stored change. Generations must arrive in order: one that was adopted already is
 * skipped, a gap is FST_CORRUPT, as is a change that makes no sense. */
FST_MUST_USE enum fst_status registry_adopt(struct registry *registry, struct bytes change,
                                            struct fst_error *error);

/* A new catalog of the current state. */
FST_MUST_USE enum fst_status registry_catalog(const struct registry *registry,
                                              struct catalog **catalog_out);

/* Reads the documents, compares them with the state, and fills a reply (changes, problems,
 * refused), to be freed with fst__apply_reply__free_unpacked. If there is something to apply and
 * nothing is refused, `*change_out` is the packed change, to be freed with free(); otherwise it is
 * {NULL, 0}. FST_NO_MEMORY. */
FST_MUST_USE enum fst_status registry_plan_apply(const struct registry *registry,
                                                 const Fst__ApplyRequest *request, int64_t now_us,
                                                 Fst__ApplyReply **reply_out,
                                                 struct bytes *change_out);

/* A key to be made. The secret must be 256 random bits. */
struct access_key_plan {
    const char *name;
    const char *actor; /* for the audit; or NULL */
    uint32_t roles;    /* of enum fst_role, at least one */
    uint8_t secret[ACCESS_SECRET_BYTES];
    int64_t now_us;
    char key_text[ACCESS_KEY_TEXT_BYTES]; /* filled in: what the user gets, this one time */
};

/* FST_EXISTS for a name in use, FST_INVALID for a bad name or no role, FST_TOO_LARGE past
 * ACCESS_KEYS_MAX. */
FST_MUST_USE enum fst_status registry_plan_key_create(const struct registry *registry,
                                                      struct access_key_plan *plan,
                                                      struct bytes *change_out,
                                                      struct fst_error *error);
/* FST_UNKNOWN if there is no such key. */
FST_MUST_USE enum fst_status registry_plan_key_revoke(const struct registry *registry,
                                                      const char *name, int64_t now_us,
                                                      struct bytes *change_out,
                                                      struct fst_error *error);

/* A new table of the keys in force; see access.h. */
FST_MUST_USE enum fst_status registry_access(const struct registry *registry,
                                             struct access_table **access_out);

/* Replies of the control plane, to be freed with their free_unpacked. The kind is "", "entities",
 * "views" or "services" (FST_INVALID otherwise); a name is one of an entity, view or service, in
 * this order (FST_UNKNOWN). */
FST_MUST_USE enum fst_status registry_list(const struct registry *registry, const char *kind,
                                           Fst__ListReply **reply_out);
FST_MUST_USE enum fst_status registry_describe(const struct registry *registry, const char *name,
                                               Fst__DescribeReply **reply_out,
                                               struct fst_error *error);
FST_MUST_USE enum fst_status registry_audit(const struct registry *registry,
                                            Fst__AuditReply **reply_out);
FST_MUST_USE enum fst_status registry_keys(const struct registry *registry,
                                           Fst__KeyList **reply_out);

#endif
