/*
 * catalog_fixture: a small catalog made by hand, for tests of query.
 *
 * Entities: customer(customer_id int64), card(bank string, number int64), customer again in the key
 * of pair (customer_id int64, card_no int32). Views: profile(customer: score float64 default 0.5,
 * name string default "unknown", age int32, is_vip bool), spend(customer, ttl 100 us: total
 * decimal(2), n int64), limits(card: max float64), pairs(pair: w float64). profile has two
 * revisions: the first had only score and name.
 *
 * Memory: one static-free allocation per catalog; catalog_fixture_destroy frees it.
 */
#ifndef TESTS_QUERY_CATALOG_FIXTURE_H
#define TESTS_QUERY_CATALOG_FIXTURE_H

#include "model/definition.h"

enum { FIXTURE_PROFILE = 1, FIXTURE_SPEND = 2, FIXTURE_LIMITS = 3, FIXTURE_PAIRS = 4 };

struct catalog_fixture {
    struct catalog catalog;
    struct entity entities[3];
    struct view views[4];
    const struct view *by_id[5];
    struct service services[1];
    struct service_feature service_features[3];
    struct feature features[4][4];
    struct row_column columns[5][4];
    struct view_revision revisions[4][2];
};

struct catalog_fixture *catalog_fixture_create(void);
struct view *catalog_fixture_view(struct catalog_fixture *fixture, uint32_t id);
void catalog_fixture_destroy(struct catalog_fixture *fixture);

#endif
