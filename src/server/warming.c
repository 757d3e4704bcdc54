#include "server/warming.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/logger.h"

enum {
    RING_ENTRIES = 256,
    RING_BUFFERS = 256,
    RING_BUFFER_BYTES = FRAME_HELLO_BYTES_MAX,
    COMPLETIONS_MAX = 256,
    WAIT_US_MAX = 100000,
    ACCEPT_AGAIN_US = 100000,
    LOG_US = 1000000,
    RETRY_US_MIN = 10000,
    RETRY_US_FIRST = 100000, /* while nothing is known */
    RETRY_US_MAX = 1000000,
    END_US = 50000, /* for each of the two things that the end waits for */
    TEXT_BYTES = 128,
    PHASE_SHIFT = 8, /* of `told` */
    PERCENT_MASK = 255,
};

static const char *const phase_names[] = {[RECOVERY_ROWS] = "rows", [RECOVERY_LOG] = "log"};

/* ---- answering ---- */

static void text_make(struct warming *warming, char text_out[TEXT_BYTES]) {
    uint32_t told = atomic_load(&warming->told);
    bool is_log = told >> PHASE_SHIFT == RECOVERY_LOG;
    snprintf(text_out, TEXT_BYTES, "the server is rebuilding its tables (%s%u %%)",
             is_log ? "log " : "", told & PERCENT_MASK);
}

static void frames_answer(struct warming *warming, struct conn *conn) {
    struct frame frame;
    while (conn_next_frame(conn, &frame)) {
        char text[TEXT_BYTES];
        text_make(warming, text);
        const struct frame_error fault = {
            .status = FST_WARMING, .retry_us = atomic_load(&warming->retry_us), .text = text};
        conn_reply_error(conn, &frame, &fault);
        conn->session = warming; /* It has had an answer. */
    }
}

/* ---- accepting: a listener's token is its number from 1 ---- */

static void listeners_arm(struct warming *warming) {
    if (warming->now_us < warming->accept_again_us) return;
    warming->accept_again_us = INT64_MAX;
    for (uint32_t i = 0; i < warming->options.listeners_count; i++) {
        if (warming->is_accepting[i]) continue;
        int result =
            warming->ring->ops->accept(warming->ring, warming->options.listeners[i], i + 1);
        warming->is_accepting[i] = result == 0;
        if (result != 0) warming->accept_again_us = warming->now_us + ACCEPT_AGAIN_US;
    }
}

static void listeners_cancel(struct warming *warming) {
    for (uint32_t i = 0; i < warming->options.listeners_count; i++) {
        if (!warming->is_accepting[i]) continue;
        int result =
            warming->ring->ops->cancel(warming->ring, warming->options.listeners[i], i + 1);
        if (result == -ENOENT) warming->is_accepting[i] = false;
    }
}

static bool is_accepting(const struct warming *warming) {
    for (uint32_t i = 0; i < warming->options.listeners_count; i++) {
        if (warming->is_accepting[i]) return true;
    }
    return false;
}

static void accepted(struct warming *warming, const struct io_ring_completion *completion) {
    if (!completion->is_armed) {
        warming->is_accepting[completion->token - 1] = false;
        warming->accept_again_us = warming->now_us + ACCEPT_AGAIN_US;
    }
    if (completion->result < 0) return;
    (void)conns_open(&warming->conns, completion->result, warming->now_us);
}

/* ---- the thread ---- */

static void tick(struct warming *warming, struct io_ring_completion *completions) {
    int64_t limit_us = conns_deadline_us(&warming->conns) - warming->now_us;
    if (limit_us > WAIT_US_MAX) limit_us = WAIT_US_MAX;
    if (limit_us < 0) limit_us = 0;
    int count = warming->ring->ops->wait(warming->ring, completions, COMPLETIONS_MAX, limit_us);
    FST_ASSERT(count >= 0);
    warming->now_us = io_monotonic_us(warming->options.io);
    for (int i = 0; i < count; i++) {
        struct conn *conn = NULL;
        if (conns_is_token(completions[i].token)) {
            conn = conns_complete(&warming->conns, &completions[i], warming->now_us);
        } else {
            accepted(warming, &completions[i]);
        }
        if (conn) frames_answer(warming, conn);
    }
    struct conn *conn;
    while ((conn = conns_next_turn(&warming->conns))) frames_answer(warming, conn);
    conns_expire(&warming->conns, warming->now_us);
    conns_flush(&warming->conns);
}

/* Whether somebody connected and had no answer yet. */
static bool is_awaited(const struct warming *warming) {
    for (uint32_t i = 0; i < warming->conns.slots_count; i++) {
        const struct conn *conn = &warming->conns.slots[i];
        if (conn->state == CONN_OPEN && !conn->session) return true;
    }
    return false;
}

/* No completion of an accept may be left, for it holds a connection. */
static void end(struct warming *warming, struct io_ring_completion *completions) {
    listeners_cancel(warming);
    int64_t until_us = warming->now_us + END_US;
    while (is_accepting(warming) || (is_awaited(warming) && warming->now_us < until_us)) {
        tick(warming, completions);
    }
    conns_drain(&warming->conns);
    conns_flush(&warming->conns);
    until_us = warming->now_us + END_US;
    while (!conns_is_sent(&warming->conns) && warming->now_us < until_us) {
        tick(warming, completions);
    }
}

static void *warming_main(void *context) {
    struct warming *warming = context;
    struct io_ring_completion completions[COMPLETIONS_MAX];
    warming->now_us = io_monotonic_us(warming->options.io);
    while (!atomic_load(&warming->is_ending)) {
        listeners_arm(warming);
        tick(warming, completions);
    }
    end(warming, completions);
    return NULL;
}

static enum fst_status start(struct warming *warming, struct fst_error *error) {
    const struct warming_options *options = &warming->options;
    const struct io_ring_options ring = {.entries = RING_ENTRIES,
                                         .receive_buffers = RING_BUFFERS,
                                         .receive_buffer_bytes = RING_BUFFER_BYTES};
    FST_TRY(ring_create(options->ring_kind, &ring, &warming->ring, error));
    struct conns_options conns = CONNS_OPTIONS_DEFAULT;
    conns.connections_max = options->connections_max;
    conns.handshake_us = options->handshake_us;
    conns.partial_us = options->partial_us;
    enum fst_status status = conns_init(&warming->conns, &conns, warming->ring);
    if (status == FST_OK && pthread_create(&warming->thread, NULL, warming_main, warming) != 0) {
        conns_deinit(&warming->conns);
        status = FST_NO_MEMORY;
    }
    if (status != FST_OK) {
        warming->ring->ops->close(warming->ring);
        return fst_error_set(error, status, "no memory for a thread and connections");
    }
    warming->is_running = true;
    return FST_OK;
}

/* ---- told ---- */

static uint32_t retry_us(const struct warming *warming, const struct recovery_progress *progress,
                         int64_t now_us) {
    if (progress->done == 0) return RETRY_US_FIRST;
    double pace_us = (double)(now_us - warming->phase_us) / (double)progress->done;
    double left_us = pace_us * (double)(progress->total - progress->done);
    if (left_us < RETRY_US_MIN) return RETRY_US_MIN;
    return left_us < RETRY_US_MAX ? (uint32_t)left_us : RETRY_US_MAX;
}

void warming_tell(struct warming *warming, const struct recovery_progress *progress) {
    int64_t now_us = io_monotonic_us(warming->options.io);
    bool is_first = !warming->is_told;
    bool is_new = is_first || progress->phase != warming->phase;
    if (is_new) {
        warming->phase = progress->phase;
        warming->phase_us = now_us;
    }
    uint64_t total = progress->total > 0 ? progress->total : 1;
    uint32_t percent = (uint32_t)((double)progress->done * 100 / (double)total);
    atomic_store(&warming->told, (uint32_t)progress->phase << PHASE_SHIFT | percent);
    atomic_store(&warming->retry_us, retry_us(warming, progress, now_us));
    if (is_new || now_us - warming->logged_us >= LOG_US) {
        warming->logged_us = now_us;
        log_info("store.rebuild", "phase=%s percent=%u done=%" PRIu64 " total=%" PRIu64,
                 phase_names[progress->phase], percent, progress->done, progress->total);
    }
    if (!is_first) return;
    warming->is_told = true;
    struct fst_error error;
    if (start(warming, &error) != FST_OK) {
        log_warn("warming.failed", "text=\"%s\" action=connections_wait", error.text);
    }
}

/* ---- life ---- */

void warming_init(struct warming *warming, const struct warming_options *options) {
    *warming = (struct warming){.options = *options};
}

void warming_deinit(struct warming *warming) {
    if (!warming->is_running) return;
    atomic_store(&warming->is_ending, true);
    warming->ring->ops->wake(warming->ring);
    pthread_join(warming->thread, NULL);
    warming->ring->ops->close(warming->ring);
    conns_deinit(&warming->conns);
    warming->is_running = false;
}
