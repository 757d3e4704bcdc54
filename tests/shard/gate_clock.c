#include "tests/shard/gate_clock.h"

static int64_t clock_now_us(struct io *io) {
    (void)io;
    return GATE_CLOCK_NOW_US;
}

static int64_t clock_monotonic_us(struct io *io) {
    struct gate_clock *clock = (struct gate_clock *)(void *)io;
    bool is_free = pthread_equal(pthread_self(), clock->free_thread);
    pthread_mutex_lock(&clock->lock);
    clock->held_count += !is_free;
    pthread_cond_broadcast(&clock->changed);
    while (clock->is_closed && clock->passes == 0 && !is_free) {
        pthread_cond_wait(&clock->changed, &clock->lock);
    }
    if (clock->passes > 0 && !is_free) {
        clock->passes -= 1;
        pthread_cond_broadcast(&clock->changed);
    }
    clock->held_count -= !is_free;
    clock->readings += 1;
    int64_t now_us = clock->now_us;
    clock->now_us += clock->reading_us;
    pthread_mutex_unlock(&clock->lock);
    return now_us;
}

static const struct io_ops clock_ops = {.now_us = clock_now_us, .monotonic_us = clock_monotonic_us};

void gate_clock_init(struct gate_clock *clock) {
    *clock = (struct gate_clock){.io.ops = &clock_ops, .free_thread = pthread_self()};
    pthread_mutex_init(&clock->lock, NULL);
    pthread_cond_init(&clock->changed, NULL);
}

void gate_clock_deinit(struct gate_clock *clock) {
    pthread_cond_destroy(&clock->changed);
    pthread_mutex_destroy(&clock->lock);
}

void gate_clock_put(struct gate_clock *clock, int64_t now_us, int64_t reading_us) {
    pthread_mutex_lock(&clock->lock);
    clock->now_us = now_us;
    clock->reading_us = reading_us;
    pthread_mutex_unlock(&clock->lock);
}

static void gate_put(struct gate_clock *clock, bool is_closed) {
    pthread_mutex_lock(&clock->lock);
    clock->is_closed = is_closed;
    pthread_cond_broadcast(&clock->changed);
    pthread_mutex_unlock(&clock->lock);
}

void gate_clock_close_gate(struct gate_clock *clock) {
    gate_put(clock, true);
}

void gate_clock_open_gate(struct gate_clock *clock) {
    gate_put(clock, false);
}

void gate_clock_pass_one(struct gate_clock *clock) {
    pthread_mutex_lock(&clock->lock);
    clock->passes = 1;
    pthread_cond_broadcast(&clock->changed);
    while (clock->passes > 0) pthread_cond_wait(&clock->changed, &clock->lock);
    pthread_mutex_unlock(&clock->lock);
}

bool gate_clock_holds(struct gate_clock *clock, uint32_t held_count) {
    pthread_mutex_lock(&clock->lock);
    bool holds = clock->held_count >= held_count;
    pthread_mutex_unlock(&clock->lock);
    return holds;
}

void gate_clock_await(struct gate_clock *clock, uint32_t held_count) {
    pthread_mutex_lock(&clock->lock);
    while (clock->held_count < held_count) pthread_cond_wait(&clock->changed, &clock->lock);
    pthread_mutex_unlock(&clock->lock);
}
