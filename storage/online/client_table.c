#include "storage/online/client_table.h"

#include "base/assert.h"

static_assert(sizeof(struct client) == 32, "stored as it is");

static struct client *set_of(const struct client_table *clients, uint64_t client_id) {
    uint64_t set = (client_id * UINT64_C(0x9e3779b97f4a7c15) >> 32) % CLIENT_TABLE_SETS;
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
    if (client->admitted > client->applied) return age;
    return (UINT64_C(1) << 32) + age;
}

/* Finds a client or makes room for it. The visitor never sees one client's id with another's
 * sequence: the id is 0 in between. */
static struct client *client_get(struct client_table *clients, uint64_t client_id) {
    struct client *client = client_find(clients, client_id);
    if (!client) {
        struct client *set = set_of(clients, client_id);
        client = set;
        for (uint32_t i = 1; i < CLIENT_TABLE_WAYS; i++) {
            if (client_rank(clients, &set[i]) > client_rank(clients, client)) client = &set[i];
        }
        __atomic_store_n(&client->client_id, 0, __ATOMIC_RELAXED);
        client->admitted = 0;
        __atomic_store_n(&client->applied, 0, __ATOMIC_RELEASE);
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
    if (table->header->clients_clock == 0) return; /* Untouched pages stay untaken. */
    for (uint32_t i = 0; i < TABLE_CLIENTS_MAX; i++) {
        struct client *client = &clients->clients[i];
        if (client->admitted != client->applied) client->admitted = client->applied;
    }
}

bool client_table_has(const struct client_table *clients, uint64_t client_id, uint64_t sequence) {
    const struct client *client = client_find(clients, client_id);
    return client && sequence <= client->admitted;
}

void client_table_admit(struct client_table *clients, uint64_t client_id, uint64_t sequence) {
    struct client *client = client_get(clients, client_id);
    FST_ASSERT(sequence > client->admitted);
    client->admitted = sequence;
}

void client_table_release(struct client_table *clients, uint64_t client_id, uint64_t sequence) {
    struct client *client = client_find(clients, client_id);
    if (!client || client->admitted < sequence || client->applied >= sequence) return;
    client->admitted = sequence - 1;
}

void client_table_apply(struct client_table *clients, uint64_t client_id, uint64_t sequence) {
    struct client *client = client_get(clients, client_id);
    if (sequence > client->admitted) client->admitted = sequence;
    if (sequence <= client->applied) return;
    __atomic_store_n(&client->applied, sequence, __ATOMIC_RELEASE);
    __atomic_store_n(&client->is_visited, 0, __ATOMIC_RELEASE);
}

/* Whether it changed. The mark is set before the client is looked at: one that changes later takes
 * it away again. */
static bool visit_take(struct client *client) {
    if (__atomic_load_n(&client->is_visited, __ATOMIC_RELAXED) != 0) return false;
    return __atomic_exchange_n(&client->is_visited, 1, __ATOMIC_ACQ_REL) == 0;
}

enum fst_status client_table_visit(struct client_table *clients, bool is_whole,
                                   const struct partition_visitor *visitor) {
    if (__atomic_load_n(&clients->table.header->clients_clock, __ATOMIC_ACQUIRE) == 0) {
        return FST_OK;
    }
    for (uint32_t i = 0; i < TABLE_CLIENTS_MAX; i++) {
        struct client *client = &clients->clients[i];
        if (!visit_take(client) && !is_whole) continue;
        uint64_t client_id = __atomic_load_n(&client->client_id, __ATOMIC_ACQUIRE);
        uint64_t applied = __atomic_load_n(&client->applied, __ATOMIC_ACQUIRE);
        if (client_id == 0 || applied == 0) continue;
        if (__atomic_load_n(&client->client_id, __ATOMIC_RELAXED) != client_id) continue;
        FST_TRY(visitor->client(visitor->context, client_id, applied));
    }
    return FST_OK;
}

enum fst_status client_table_check(const struct client_table *clients) {
    for (uint32_t i = 0; i < TABLE_CLIENTS_MAX; i++) {
        const struct client *client = &clients->clients[i];
        if (client->applied > client->admitted) return FST_CORRUPT;
    }
    return FST_OK;
}
