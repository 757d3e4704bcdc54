#include "bench/fsbench/rate_search.h"

#include "base/assert.h"

enum { GAP_PARTS = 50, LOWER_PARTS = 20 }; /* 2 %, 5 % */

void rate_search_init(struct rate_search *search, uint64_t rate, uint64_t rate_min,
                      uint64_t rate_max) {
    FST_ASSERT(rate_min >= 1 && rate_min <= rate_max);
    if (rate < rate_min) rate = rate_min;
    if (rate > rate_max) rate = rate_max;
    *search = (struct rate_search){.rate = rate, .rate_min = rate_min, .rate_max = rate_max};
}

bool rate_search_is_running(const struct rate_search *search) {
    return search->state != RATE_SEARCH_FOUND && search->state != RATE_SEARCH_FAILED;
}

static void narrow_plan(struct rate_search *search) {
    uint64_t gap = search->missed - search->kept;
    bool is_narrow = gap <= 1 || gap * GAP_PARTS <= search->missed;
    search->state = is_narrow ? RATE_SEARCH_VERIFY : RATE_SEARCH_NARROW;
    search->rate = is_narrow ? search->kept : search->kept + gap / 2;
}

static void span_plan(struct rate_search *search) {
    if (search->kept && search->missed)
        narrow_plan(search);
    else if (search->kept == search->rate_max)
        search->state = RATE_SEARCH_VERIFY;
    else if (search->kept)
        search->rate = search->kept > search->rate_max / 2 ? search->rate_max : search->kept * 2;
    else if (search->missed == search->rate_min)
        search->state = RATE_SEARCH_FAILED;
    else
        search->rate =
            search->missed / 2 > search->rate_min ? search->missed / 2 : search->rate_min;
}

static void lower_plan(struct rate_search *search) {
    uint64_t step = search->missed / LOWER_PARTS;
    search->kept = 0;
    search->rate = search->missed - (step ? step : 1);
    search->state = search->rate >= search->rate_min ? RATE_SEARCH_LOWER : RATE_SEARCH_FAILED;
}

void rate_search_put(struct rate_search *search, bool is_kept) {
    FST_ASSERT(rate_search_is_running(search));
    enum rate_search_state state = search->state;
    if (is_kept)
        search->kept = search->rate;
    else
        search->missed = search->rate;
    if (state == RATE_SEARCH_SPAN)
        span_plan(search);
    else if (state == RATE_SEARCH_NARROW)
        narrow_plan(search);
    else if (!is_kept)
        lower_plan(search);
    else
        search->state = state == RATE_SEARCH_VERIFY ? RATE_SEARCH_FOUND : RATE_SEARCH_VERIFY;
    search->probes_count++;
    if (rate_search_is_running(search) && search->probes_count == RATE_SEARCH_PROBES_MAX)
        search->state = RATE_SEARCH_FAILED;
}
