#include "storage/online/client_table.h"

#include "base/assert.h"

static_assert(sizeof(struct client) == 48, "stored as it is");

enum { WINDOW_BITS = 64 };

/* ---- windows ---- */

static bool window_has(const struct client_window *window, uint64_t sequence) {
    if (sequence > window->newest) return false;
    uint64_t back = window->newest - sequence;
    return back >= WINDOW_BITS || (window->recent >> back & 1);
}

static void window_put(struct client_window *window, uint64_t sequence) {
    if (sequence <= window->newest) {
        uint64_t back = window->newest - sequence;
        if (back < WINDOW_BITS) window->recent |= UINT64_C(1) << back;
        return;
    }
    uint64_t ahead = sequence - window->newest;
    window->recent = ahead < WINDOW_BITS ? window->recent << ahead : 0;
    window->recent |= 1;
    window->newest = sequence;
}

/* What fell out at the end when the window moved on does not come back. */
static void window_remove(struct client_window *window, uint64_t sequence) {
    if (sequence > window->newest || window->newest - sequence >= WINDOW_BITS) return;
    window->recent &= ~(UINT64_C(1) << (window->newest - sequence));
    if (window->recent == 0) {
        window->newest = 0;
    } else if (sequence == window->newest) {
        int back = __builtin_ctzll(window->recent);
        window->recent >>= back;
        window->newest -= (uint64_t)back;
    }
}

/* Adds everything that is known for itself in the other one. */
static void window_merge(struct client_window *window, const struct client_window *other) {
    uint64_t left = other->recent;
    while (left != 0) {
        uint64_t back = (uint64_t)(WINDOW_BITS - 1 - __builtin_clzll(left));
        window_put(window, other->newest - back);
        left &= ~(UINT64_C(1) << back);
    }
}

static bool window_is_same(const struct client_window *a, const struct client_window *b) {
    return a->newest == b->newest && a->recent == b->recent;
}

/* In between nothing is known for itself: the visitor never takes what was recent at one sequence
 * for what was at another. */
static void applied_store(struct client *client, const struct client_window *window) {
    __atomic_store_n(&client->applied.recent, 0, __ATOMIC_RELEASE);
    __atomic_store_n(&client->applied.newest, window->newest, __ATOMIC_RELEASE);
    __atomic_store_n(&client->applied.recent, window->recent, __ATOMIC_RELEASE);
    __atomic_store_n(&client->is_visited, 0, __ATOMIC_RELEASE);
}

/* What the owner is in the middle of storing is waited for: earlier sequences, which the checkpoint
 * promises, are in it. */
static struct client_window applied_load(const struct client *client) {
    struct client_window window;
    bool is_half;
    do {
        window.newest = __atomic_load_n(&client->applied.newest, __ATOMIC_ACQUIRE);
        window.recent = __atomic_load_n(&client->applied.recent, __ATOMIC_ACQUIRE);
        is_half = window.newest != 0 && window.recent == 0;
    } while (is_half ||
             __atomic_load_n(&client->applied.newest, __ATOMIC_RELAXED) != window.newest);
    return window;
}

/* ---- finding a client ---- */

static uint64_t set_number(uint64_t client_id, uint64_t sets) {
    return (client_id * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (sets - 1);
}

/* The owner's look at them. */
static uint64_t clients_count(const struct client_table *clients) {
    return clients->table.header->client_sets * CLIENT_TABLE_WAYS;
}

static struct client *set_of(const struct client_table *clients, uint64_t client_id) {
    uint64_t set = set_number(client_id, clients->table.header->client_sets);
    return &clients->clients[set * CLIENT_TABLE_WAYS];
}

static struct client *client_find(const struct client_table *clients, uint64_t client_id) {
    struct client *set = set_of(clients, client_id);
    for (uint32_t i = 0; i < CLIENT_TABLE_WAYS; i++) {
        if (set[i].client_id == client_id) return &set[i];
    }
    return NULL;
}

/* How willingly a client is given up: free ones first, then idle ones by age, then those with
 * writes in flight. */
static uint64_t client_rank(const struct client_table *clients, const struct client *client) {
    uint32_t age = (uint32_t)clients->table.header->clients_clock - client->used;
    if (client->client_id == 0) return UINT64_MAX;
    if (!window_is_same(&client->admitted, &client->applied)) return age;
    return (UINT64_C(1) << 32) + age;
}

/* The visitor never sees one client's id with another's sequence: the id is 0 in between. */
static void client_clear(struct client *client) {
    __atomic_store_n(&client->client_id, 0, __ATOMIC_RELEASE);
    client->admitted = (struct client_window){0};
    applied_store(client, &client->admitted);
}

/* Whether a client goes to another set when these double. */
static bool client_moves(const struct client *client, uint64_t sets) {
    return client->client_id != 0 && set_number(client->client_id, 2 * sets) >= sets;
}

/* Doubles the sets: false when they are as many as can be, or there is no memory. */
static bool sets_double(struct client_table *clients) {
    uint64_t count = clients_count(clients);
    uint64_t sets = clients->table.header->client_sets;
    uint64_t bytes = 2 * count * sizeof(struct client);
    if (sets == CLIENT_TABLE_SETS_MAX) return false;
    if (!table_reserve(&clients->table, TABLE_CLIENTS_OFFSET, bytes)) return false;
    for (uint64_t i = 0; i < count; i++) {
        const struct client *client = &clients->clients[i];
        if (!client_moves(client, sets)) continue;
        struct client *to = &clients->clients[count + i];
        to->client_id = client->client_id;
        to->admitted = client->admitted;
        to->applied = client->applied;
        to->used = client->used;
        to->is_visited = 0; /* It may be cleared before the visitor that took the mark looks. */
    }
    table_word_store(&clients->table.header->client_sets, 2 * sets);
    for (uint64_t i = 0; i < count; i++) {
        if (client_moves(&clients->clients[i], sets)) client_clear(&clients->clients[i]);
    }
    return true;
}

/* The client of a full set that gives way, or a free place. */
static struct client *client_find_place(const struct client_table *clients, uint64_t client_id) {
    struct client *set = set_of(clients, client_id);
    struct client *client = set;
    for (uint32_t i = 1; i < CLIENT_TABLE_WAYS; i++) {
        if (client_rank(clients, &set[i]) > client_rank(clients, client)) client = &set[i];
    }
    return client;
}

/* Finds a client or makes room for it. */
static struct client *client_get(struct client_table *clients, uint64_t client_id) {
    struct client *client = client_find(clients, client_id);
    if (!client) {
        client = client_find_place(clients, client_id);
        while (client->client_id != 0 && sets_double(clients)) {
            client = client_find_place(clients, client_id);
        }
        client_clear(client);
        __atomic_store_n(&client->client_id, client_id, __ATOMIC_RELEASE);
    }
    table_add(&clients->table.header->clients_clock, 1);
    client->used = (uint32_t)clients->table.header->clients_clock;
    return client;
}

void client_table_open(struct client_table *clients, const struct table *table) {
    *clients = (struct client_table){
        .table = *table,
        .clients = (struct client *)(void *)(table->base + TABLE_CLIENTS_OFFSET),
    };
    for (uint64_t i = 0; i < clients_count(clients); i++) {
        struct client *client = &clients->clients[i];
        if (!window_is_same(&client->admitted, &client->applied)) {
            client->admitted = client->applied;
        }
    }
}

bool client_table_has(const struct client_table *clients, uint64_t client_id, uint64_t sequence) {
    const struct client *client = client_find(clients, client_id);
    return client && window_has(&client->admitted, sequence);
}

void client_table_admit(struct client_table *clients, uint64_t client_id, uint64_t sequence) {
    struct client *client = client_get(clients, client_id);
    FST_ASSERT(!window_has(&client->admitted, sequence));
    window_put(&client->admitted, sequence);
}

void client_table_release(struct client_table *clients, uint64_t client_id, uint64_t sequence) {
    struct client *client = client_find(clients, client_id);
    if (!client || window_has(&client->applied, sequence)) return;
    window_remove(&client->admitted, sequence);
    window_merge(&client->admitted, &client->applied);
}

void client_table_restore(struct client_table *clients, uint64_t client_id,
                          const struct client_window *applied) {
    struct client *client = client_get(clients, client_id);
    struct client_window window = client->applied;
    window_merge(&client->admitted, applied);
    window_merge(&window, applied);
    if (!window_is_same(&client->applied, &window)) applied_store(client, &window);
}

void client_table_apply(struct client_table *clients, uint64_t client_id, uint64_t sequence) {
    const struct client_window one = {.newest = sequence, .recent = 1};
    client_table_restore(clients, client_id, &one);
}

/* Whether it changed. The mark is set before the client is looked at: one that changes later takes
 * it away again. */
static bool visit_take(struct client *client) {
    if (__atomic_load_n(&client->is_visited, __ATOMIC_RELAXED) != 0) return false;
    return __atomic_exchange_n(&client->is_visited, 1, __ATOMIC_ACQ_REL) == 0;
}

enum fst_status client_table_visit(struct client_table *clients, bool is_whole,
                                   const struct partition_visitor *visitor) {
    const uint64_t *sets = &clients->table.header->client_sets;
    for (uint64_t i = 0; i < table_word_load(sets) * CLIENT_TABLE_WAYS; i++) {
        struct client *client = &clients->clients[i];
        if (!visit_take(client) && !is_whole) continue;
        if (!visitor->client) continue;
        uint64_t client_id = __atomic_load_n(&client->client_id, __ATOMIC_ACQUIRE);
        struct client_window applied = applied_load(client);
        if (client_id == 0 || applied.newest == 0) continue;
        if (__atomic_load_n(&client->client_id, __ATOMIC_RELAXED) != client_id) continue;
        FST_TRY(visitor->client(visitor->context, client_id, applied.newest, applied.recent));
    }
    return FST_OK;
}

enum fst_status client_table_check(const struct client_table *clients) {
    uint64_t sets = clients->table.header->client_sets;
    if (!client_table_is_valid(sets)) return FST_CORRUPT;
    for (uint64_t i = 0; i < sets * CLIENT_TABLE_WAYS; i++) {
        const struct client *client = &clients->clients[i];
        uint64_t hash = client->client_id * UINT64_C(0x9e3779b97f4a7c15) >> 32;
        if (client->client_id != 0 && hash % sets != i / CLIENT_TABLE_WAYS) return FST_CORRUPT;
        struct client_window both = client->admitted;
        window_merge(&both, &client->applied);
        if (!window_is_same(&both, &client->admitted)) return FST_CORRUPT;
    }
    return FST_OK;
}
