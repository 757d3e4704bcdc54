/*
 * read_plan: what a prepared list of features or a service means, compiled down to offsets.
 *
 * Names are resolved once, at PREPARE. The plan says which rows a key needs (groups, one per view),
 * which canonical key belongs to each entity, where each group lies in a reply row, and how a
 * stored body becomes the group's body: as one copy where the request takes a whole view in its
 * order (group is_whole), and in merged runs otherwise (copy_plan). It also says what the other
 * shapes of a reply need: where each column lies, and how numbers are converted (number_plan). The
 * layout bytes of docs/protocol.md are made here too; their XXH3 is the layout id.
 *
 * Invariants, restated in read_plan_check():
 *   Q1  Groups lie one after another in the row, each a multiple of 8; their sum is row_bytes.
 *   Q2  Every feature lies inside its group, and every column index inside its view.
 *   Q3  A group is_whole exactly if its columns are those of the current revision, in order.
 *   Q4  The copy plan of a group that is not whole passes its own check.
 *   Q5  In columns, views and then features lie one after another; their sum is columns_bytes.
 *   Q6  numbers_count features from the first on are numbers; if all are, the number plans of the
 *       groups pass their own check.
 *
 * Threads: made and used by one shard; reads only the catalog it was made from.
 * Memory:  one allocation, owned by the creator; it borrows views from the catalog and must be made
 *          anew before the catalog goes.
 */
#ifndef QUERY_READ_PLAN_H
#define QUERY_READ_PLAN_H

#include "base/bytes.h"
#include "model/definition.h"
#include "query/copy_plan.h"
#include "query/number_plan.h"

enum {
    PLAN_GROUP_HEADER_BYTES = 32, /* status, event_us, created_us, lsn */
    PLAN_VIEW_COLUMN_BYTES = 25,  /* event_us, created_us, lsn, status; in columns, per key */
    PLAN_ENTITIES_MAX = 8,
    PLAN_KEY_COLUMNS_MAX = 16,
};

enum plan_kind { PLAN_FEATURES = 0, PLAN_SERVICE = 1, PLAN_WRITE = 2 };

struct plan_entity {
    const struct entity *entity;
    uint32_t key_bytes_fixed;              /* 0 when it varies */
    uint16_t key_columns[KEY_COLUMNS_MAX]; /* index of each of its key columns in the plan's */
    bool is_whole_key;                     /* its key is the request's key as it stands */
};

struct plan_group {
    const struct view *view;
    uint32_t entity; /* index into entities */
    uint32_t offset; /* of the group in the row */
    uint32_t bytes;  /* header, body */
    bool is_whole;
    bool has_defaults;
    struct row_body body;       /* of the group */
    uint32_t *columns;          /* column of the view per column of the body */
    uint32_t *features;         /* index in the request per column of the body */
    struct copy_plan copy;      /* from a body of the current revision; empty if is_whole */
    struct number_plan numbers; /* the same for a matrix; empty unless all features are numbers */
    uint32_t columns_offset;    /* of its arrays in columns, per key */
    uint32_t stored_bytes_max;  /* largest body of any revision */
};

struct plan_feature {
    uint32_t group;
    uint32_t column;         /* in the group's body; also its null bit */
    uint32_t columns_offset; /* of its arrays in columns, per key */
    float fill_float32;      /* in a matrix where there is no value: the default, or NaN */
    double fill_float64;
};

struct read_plan {
    enum plan_kind kind;
    uint64_t layout_id;
    uint32_t row_bytes;
    uint32_t columns_bytes; /* of a reply in columns, per key */
    uint32_t key_columns_count;
    uint32_t key_bytes_fixed; /* of a request's key, 0 when it varies */
    uint32_t entities_count;
    uint32_t groups_count;
    uint32_t features_count;
    uint32_t numbers_count; /* how many features come before the first that is no number */
    bool has_references;    /* replies have a heap */
    struct key_column key_columns[PLAN_KEY_COLUMNS_MAX];
    struct type key_types[PLAN_KEY_COLUMNS_MAX];
    struct plan_entity entities[PLAN_ENTITIES_MAX];
    struct plan_group *groups;
    struct plan_feature *features; /* in request order */
    struct bytes layout;           /* without the id, as PREPARE sends it */
};

/* Makes a plan for `count` names as PREPARE has them: FST_UNKNOWN names what is missing,
 * FST_TOO_LARGE past FEATURES_MAX or the limits above, FST_INVALID for a feature asked for twice or
 * key columns that clash. */
FST_MUST_USE enum fst_status read_plan_create(struct read_plan **plan_out,
                                              const struct catalog *catalog, enum plan_kind kind,
                                              const struct bytes *names, uint32_t count,
                                              struct fst_error *error);
void read_plan_destroy(struct read_plan *plan);

FST_MUST_USE enum fst_status read_plan_check(const struct read_plan *plan);

#endif
