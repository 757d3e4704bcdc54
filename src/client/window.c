#include "client/window.h"

#include "base/assert.h"

/* An id is the place in the window, and above it a generation that changes with every use. */
enum { PLACE_BITS = 12, PLACE_MASK = (1 << PLACE_BITS) - 1 };
static_assert(FST_IN_FLIGHT_MAX == 1 << PLACE_BITS, "every place has a number");

static void list_append(struct client_list *list, struct client_request *request) {
    request->list = list;
    request->next = NULL;
    request->previous = list->last;
    if (list->last)
        list->last->next = request;
    else
        list->first = request;
    list->last = request;
}

static void list_remove(struct client_request *request) {
    struct client_list *list = request->list;
    if (request->previous)
        request->previous->next = request->next;
    else
        list->first = request->next;
    if (request->next)
        request->next->previous = request->previous;
    else
        list->last = request->previous;
    request->list = NULL;
}

enum fst_status client_window_init(struct client_window *window, uint32_t requests_max) {
    FST_ASSERT(requests_max > 0 && requests_max <= FST_IN_FLIGHT_MAX);
    *window = (struct client_window){
        .requests = calloc(requests_max, sizeof *window->requests),
        .requests_max = requests_max,
        .deadline_us = INT64_MAX,
    };
    if (!window->requests) return FST_NO_MEMORY;
    for (uint32_t i = 0; i < requests_max; i++) {
        window->requests[i].id = i;
        list_append(&window->free, &window->requests[i]);
    }
    return FST_OK;
}

void client_window_deinit(struct client_window *window) {
    for (uint32_t i = 0; window->requests && i < window->requests_max; i++) {
        client_buffer_deinit(&window->requests[i].frame);
    }
    free(window->requests);
    *window = (struct client_window){0};
}

struct client_request *client_window_get(struct client_window *window) {
    struct client_request *request = window->free.first;
    if (!request) return NULL;
    request->id += PLACE_MASK + 1;
    request->frame.bytes = 0;
    request->handle = NULL;
    request->generation = 0;
    request->rows_count = 0;
    request->attempts = 0;
    request->has_effect = false;
    request->is_repeatable = true;
    request->is_unknown = false;
    return request;
}

void client_window_append(struct client_window *window, struct client_request *request) {
    FST_ASSERT(request->list == &window->free);
    list_remove(request);
    list_append(&window->queued, request);
    window->in_flight += 1;
    if (request->deadline_us < window->deadline_us) window->deadline_us = request->deadline_us;
}

void client_window_put(struct client_window *window, struct client_request *request) {
    FST_ASSERT(request->list != &window->free);
    if (request == window->queued.first) window->head_bytes = 0;
    if (request->list == &window->sent) window->sent_count -= 1;
    list_remove(request);
    list_append(&window->free, request);
    window->in_flight -= 1;
}

void client_window_repeat(struct client_window *window, struct client_request *request) {
    FST_ASSERT(request->list == &window->sent);
    list_remove(request);
    list_append(&window->queued, request);
    window->sent_count -= 1;
}

void client_window_send(struct client_window *window, size_t bytes, int64_t now_us) {
    while (bytes > 0) {
        struct client_request *request = window->queued.first;
        FST_ASSERT(request);
        if (window->head_bytes == 0) {
            request->attempts += 1;
            request->sent_us = now_us;
        }
        size_t left = request->frame.bytes - window->head_bytes;
        if (bytes < left) {
            window->head_bytes += bytes;
            return;
        }
        bytes -= left;
        window->head_bytes = 0;
        list_remove(request);
        list_append(&window->sent, request);
        window->sent_count += 1;
    }
}

void client_window_rewind(struct client_window *window) {
    struct client_list rest = window->queued;
    window->queued = (struct client_list){0};
    window->head_bytes = 0;
    window->sent_count = 0;
    struct client_request *lists[] = {window->sent.first, rest.first};
    window->sent = (struct client_list){0};
    for (uint32_t i = 0; i < 2; i++) {
        for (struct client_request *request = lists[i]; request;) {
            struct client_request *next = request->next;
            request->is_unknown |= i == 0; /* Half a frame is never served. */
            list_append(&window->queued, request);
            request = next;
        }
    }
}

struct client_request *client_window_find(struct client_window *window, uint32_t id) {
    uint32_t place = id & PLACE_MASK;
    if (place >= window->requests_max) return NULL;
    struct client_request *request = &window->requests[place];
    return request->id == id && request->list == &window->sent ? request : NULL;
}

struct client_request *client_window_find_late(struct client_window *window, int64_t now_us) {
    if (now_us < window->deadline_us) return NULL;
    const struct client_list *lists[] = {&window->sent, &window->queued};
    window->deadline_us = INT64_MAX;
    struct client_request *late = NULL;
    for (uint32_t i = 0; i < 2; i++) {
        for (struct client_request *request = lists[i]->first; request; request = request->next) {
            if (request->deadline_us < window->deadline_us)
                window->deadline_us = request->deadline_us;
            if (!late && request->deadline_us <= now_us) late = request;
        }
    }
    return late;
}

enum fst_status client_window_check(const struct client_window *window) {
    uint32_t counts[3] = {0};
    const struct client_list *lists[3] = {&window->free, &window->queued, &window->sent};
    for (uint32_t i = 0; i < 3; i++) {
        const struct client_request *previous = NULL;
        for (const struct client_request *at = lists[i]->first; at; at = at->next) {
            if (at->list != lists[i] || at->previous != previous) return FST_CORRUPT; /* I1 */
            if (++counts[i] > window->requests_max) return FST_CORRUPT;               /* I1 */
            previous = at;
        }
        if (lists[i]->last != previous) return FST_CORRUPT; /* I1 */
    }
    if (counts[0] + counts[1] + counts[2] != window->requests_max) return FST_CORRUPT; /* I1 */
    if (counts[1] + counts[2] != window->in_flight) return FST_CORRUPT;                /* I1 */
    if (counts[2] != window->sent_count) return FST_CORRUPT;                           /* I1 */
    const struct client_request *head = window->queued.first;
    if (window->head_bytes > 0 && (!head || window->head_bytes >= head->frame.bytes)) {
        return FST_CORRUPT; /* I3 */
    }
    return FST_OK;
}
