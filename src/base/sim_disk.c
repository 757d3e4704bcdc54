#include "base/sim_disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

/* Room for one more item, doubling. */
static void *items_grow(void *items, uint32_t count, uint32_t *room, size_t item_bytes) {
    if (count < *room) return items;
    *room = *room ? *room * 2 : 16;
    void *grown = realloc(items, *room * item_bytes);
    FST_ASSERT(grown != NULL);
    return grown;
}

/* ---- paths ---- */

/* Without a leading "./", doubled and closing slashes. */
static int path_clean(const char *path, char out[SIM_PATH_BYTES]) {
    while (path[0] == '.' && path[1] == '/') path += 2;
    size_t used = 0;
    for (; *path; path++) {
        if (*path == '/' && used > 0 && out[used - 1] == '/') continue;
        if (used == SIM_PATH_BYTES - 1) return -ENAMETOOLONG;
        out[used++] = *path;
    }
    if (used > 1 && out[used - 1] == '/') used--;
    out[used] = '\0';
    return used == 0 ? -ENOENT : 0;
}

static void path_parent(const char *path, char out[SIM_PATH_BYTES]) {
    const char *slash = strrchr(path, '/');
    if (!slash) {
        memcpy(out, ".", 2);
        return;
    }
    size_t bytes = slash == path ? 1 : (size_t)(slash - path);
    memcpy(out, path, bytes);
    out[bytes] = '\0';
}

static bool path_is_root(const char *path) {
    return strcmp(path, ".") == 0 || strcmp(path, "/") == 0;
}

/* What is left of `path` behind the folder `dir`, or NULL if it is not directly in it. */
static const char *path_name_in(const char *path, const char *dir) {
    char parent[SIM_PATH_BYTES];
    path_parent(path, parent);
    if (strcmp(parent, dir) != 0) return NULL;
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

bool sim_disk_is_memory(const struct sim_disk *disk, const char *path) {
    size_t bytes = strlen(disk->memory_prefix);
    return bytes > 0 && strncmp(path, disk->memory_prefix, bytes) == 0;
}

/* ---- entries ---- */

static struct sim_entry *entry_find(const struct sim_entries *entries, const char *path) {
    for (uint32_t i = 0; i < entries->count; i++) {
        if (strcmp(entries->items[i].path, path) == 0) return &entries->items[i];
    }
    return NULL;
}

static void entry_put(struct sim_entries *entries, const char *path, uint32_t node) {
    struct sim_entry *entry = entry_find(entries, path);
    if (!entry) {
        entries->items =
            items_grow(entries->items, entries->count, &entries->room, sizeof *entries->items);
        entry = &entries->items[entries->count++];
        memcpy(entry->path, path, strlen(path) + 1);
    }
    entry->node = node;
}

static void entry_remove(struct sim_entries *entries, struct sim_entry *entry) {
    entries->count -= 1;
    *entry = entries->items[entries->count];
}

static bool is_dir(const struct sim_disk *disk, const struct sim_entries *entries,
                   const char *path) {
    if (path_is_root(path)) return true;
    const struct sim_entry *entry = entry_find(entries, path);
    return entry && disk->nodes[entry->node].is_dir;
}

static int dir_check(const struct sim_disk *disk, const char *path) {
    if (is_dir(disk, &disk->now, path)) return 0;
    return entry_find(&disk->now, path) ? -ENOTDIR : -ENOENT;
}

/* A clean path whose folder is there. */
static int path_resolve(const struct sim_disk *disk, const char *path, char out[SIM_PATH_BYTES]) {
    char parent[SIM_PATH_BYTES];
    int result = path_clean(path, out);
    if (result < 0 || path_is_root(out)) return result;
    path_parent(out, parent);
    return dir_check(disk, parent);
}

/* ---- changes that wait ---- */

/* Either path may be NULL. Names in memory are never durable, so nothing waits for them. */
static void change_append(struct sim_disk *disk, const char *from, const char *to, uint32_t node) {
    if (sim_disk_is_memory(disk, to ? to : from)) return;
    disk->changes =
        items_grow(disk->changes, disk->changes_count, &disk->changes_room, sizeof *disk->changes);
    struct sim_change *change = &disk->changes[disk->changes_count++];
    *change = (struct sim_change){.node = node};
    if (from) memcpy(change->from, from, strlen(from) + 1);
    if (to) memcpy(change->to, to, strlen(to) + 1);
}

/* Changes before this one may be missing in the durable entries. */
static void change_settle(struct sim_disk *disk, const struct sim_change *change) {
    if (change->from[0] != '\0') {
        struct sim_entry *entry = entry_find(&disk->durable, change->from);
        if (entry && entry->node == change->node) entry_remove(&disk->durable, entry);
    }
    if (change->to[0] != '\0') entry_put(&disk->durable, change->to, change->node);
}

static bool change_is_in(const struct sim_change *change, const char *dir) {
    return (change->from[0] != '\0' && path_name_in(change->from, dir)) ||
           (change->to[0] != '\0' && path_name_in(change->to, dir));
}

/* ---- nodes ---- */

static uint32_t node_new(struct sim_disk *disk, bool is_folder, bool is_in_memory) {
    uint32_t index = 0;
    while (index < disk->nodes_count && disk->nodes[index].is_used) index++;
    if (index == disk->nodes_count) {
        disk->nodes_count = disk->nodes_count ? disk->nodes_count * 2 : 16;
        disk->nodes = realloc(disk->nodes, disk->nodes_count * sizeof *disk->nodes);
        FST_ASSERT(disk->nodes != NULL);
        for (uint32_t i = index; i < disk->nodes_count; i++) disk->nodes[i].is_used = false;
    }
    struct sim_node *node = &disk->nodes[index];
    *node = (struct sim_node){.is_used = true, .is_dir = is_folder};
    sim_file_init(&node->file, is_in_memory);
    return index;
}

static bool node_is_named(const struct sim_entries *entries, uint32_t node) {
    for (uint32_t i = 0; i < entries->count; i++) {
        if (entries->items[i].node == node) return true;
    }
    return false;
}

static bool node_is_needed(const struct sim_disk *disk, uint32_t node) {
    const struct sim_node *it = &disk->nodes[node];
    if (it->opens_count > 0 || it->file.mappings_count > 0) return true;
    if (node_is_named(&disk->now, node) || node_is_named(&disk->durable, node)) return true;
    for (uint32_t i = 0; i < disk->changes_count; i++) {
        if (disk->changes[i].node == node) return true;
    }
    return false;
}

void sim_disk_sweep(struct sim_disk *disk) {
    for (uint32_t i = 0; i < disk->nodes_count; i++) {
        if (!disk->nodes[i].is_used || node_is_needed(disk, i)) continue;
        sim_file_deinit(&disk->nodes[i].file);
        disk->nodes[i].is_used = false;
    }
}

uint64_t sim_disk_used_sectors(const struct sim_disk *disk) {
    uint64_t used = 0;
    for (uint32_t i = 0; i < disk->nodes_count; i++) {
        if (disk->nodes[i].is_used) used += disk->nodes[i].file.written_count;
    }
    return used;
}

uint64_t sim_disk_reserved_bytes(const struct sim_disk *disk) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < disk->nodes_count; i++) {
        if (disk->nodes[i].is_used) bytes += disk->nodes[i].file.reserved_bytes;
    }
    return bytes;
}

void sim_disk_deinit(struct sim_disk *disk) {
    for (uint32_t i = 0; i < disk->nodes_count; i++) {
        if (disk->nodes[i].is_used) sim_file_deinit(&disk->nodes[i].file);
    }
    free(disk->nodes);
    free(disk->now.items);
    free(disk->durable.items);
    free(disk->changes);
    *disk = (struct sim_disk){0};
}

/* ---- names ---- */

int sim_disk_find(const struct sim_disk *disk, const char *path, uint32_t *node_out) {
    char clean[SIM_PATH_BYTES];
    int result = path_resolve(disk, path, clean);
    if (result < 0) return result;
    if (is_dir(disk, &disk->now, clean)) return -EISDIR;
    const struct sim_entry *entry = entry_find(&disk->now, clean);
    if (!entry) return -ENOENT;
    *node_out = entry->node;
    return 0;
}

static uint32_t name_create(struct sim_disk *disk, const char *clean, bool is_folder) {
    uint32_t node = node_new(disk, is_folder, sim_disk_is_memory(disk, clean));
    entry_put(&disk->now, clean, node);
    change_append(disk, NULL, clean, node);
    return node;
}

int sim_disk_create(struct sim_disk *disk, const char *path, uint32_t *node_out) {
    char clean[SIM_PATH_BYTES];
    int result = path_resolve(disk, path, clean);
    if (result < 0) return result;
    if (path_is_root(clean) || entry_find(&disk->now, clean)) return -EEXIST;
    *node_out = name_create(disk, clean, false);
    return 0;
}

int sim_disk_mkdir(struct sim_disk *disk, const char *path) {
    char clean[SIM_PATH_BYTES];
    int result = path_resolve(disk, path, clean);
    if (result < 0) return result;
    if (is_dir(disk, &disk->now, clean)) return 0;
    if (entry_find(&disk->now, clean)) return -ENOTDIR;
    name_create(disk, clean, true);
    return 0;
}

int sim_disk_rename(struct sim_disk *disk, const char *from, const char *to) {
    char clean_from[SIM_PATH_BYTES], clean_to[SIM_PATH_BYTES];
    uint32_t node = 0;
    int result = sim_disk_find(disk, from, &node);
    if (result == 0) result = path_clean(from, clean_from);
    if (result == 0) result = path_resolve(disk, to, clean_to);
    if (result < 0) return result;
    if (is_dir(disk, &disk->now, clean_to)) return -EISDIR;
    if (sim_disk_is_memory(disk, clean_from) != sim_disk_is_memory(disk, clean_to)) return -EXDEV;
    if (strcmp(clean_from, clean_to) == 0) return 0;
    entry_remove(&disk->now, entry_find(&disk->now, clean_from));
    entry_put(&disk->now, clean_to, node);
    change_append(disk, clean_from, clean_to, node);
    return 0;
}

int sim_disk_unlink(struct sim_disk *disk, const char *path) {
    char clean[SIM_PATH_BYTES];
    uint32_t node = 0;
    int result = sim_disk_find(disk, path, &node);
    if (result == 0) result = path_clean(path, clean);
    if (result < 0) return result;
    entry_remove(&disk->now, entry_find(&disk->now, clean));
    change_append(disk, clean, NULL, node);
    return 0;
}

int sim_disk_sync_dir(struct sim_disk *disk, const char *path) {
    char clean[SIM_PATH_BYTES];
    int result = path_clean(path, clean);
    if (result == 0) result = dir_check(disk, clean);
    if (result < 0) return result;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < disk->changes_count; i++) {
        if (change_is_in(&disk->changes[i], clean)) {
            change_settle(disk, &disk->changes[i]);
        } else {
            disk->changes[kept++] = disk->changes[i];
        }
    }
    disk->changes_count = kept;
    return 0;
}

static int names_compare(const void *a, const void *b) {
    return strcmp(a, b);
}

int sim_disk_list(const struct sim_disk *disk, const char *path, char (**names_out)[SIM_PATH_BYTES],
                  uint32_t *count_out) {
    char clean[SIM_PATH_BYTES];
    int result = path_clean(path, clean);
    if (result == 0) result = dir_check(disk, clean);
    if (result < 0) return result;
    char(*names)[SIM_PATH_BYTES] = NULL;
    uint32_t count = 0;
    uint32_t room = 0;
    for (uint32_t i = 0; i < disk->now.count; i++) {
        const char *name = path_name_in(disk->now.items[i].path, clean);
        if (!name) continue;
        names = items_grow(names, count, &room, sizeof *names);
        memcpy(names[count++], name, strlen(name) + 1);
    }
    if (count > 0) qsort(names, count, sizeof *names, names_compare);
    *names_out = names;
    *count_out = count;
    return 0;
}

/* ---- power cut and death ---- */

/* Drops durable entries whose folder is not durable, until there are none. */
static void orphans_drop(struct sim_disk *disk) {
    for (uint32_t i = 0; i < disk->durable.count;) {
        char parent[SIM_PATH_BYTES];
        path_parent(disk->durable.items[i].path, parent);
        if (is_dir(disk, &disk->durable, parent)) {
            i++;
        } else {
            entry_remove(&disk->durable, &disk->durable.items[i]);
            i = 0;
        }
    }
}

void sim_disk_crash(struct sim_disk *disk, struct sim_dice *dice) {
    for (uint32_t i = 0; i < disk->changes_count; i++) {
        if (sim_dice_get(dice) >> 63) change_settle(disk, &disk->changes[i]);
    }
    disk->changes_count = 0;
    orphans_drop(disk);
    disk->now.count = 0;
    for (uint32_t i = 0; i < disk->durable.count; i++) {
        entry_put(&disk->now, disk->durable.items[i].path, disk->durable.items[i].node);
    }
    for (uint32_t i = 0; i < disk->nodes_count; i++) {
        struct sim_node *node = &disk->nodes[i];
        node->opens_count = 0;
        node->file.mappings_count = 0;
        if (!node->is_used || node->is_dir || node->file.is_in_memory) continue;
        sim_file_crash(&node->file, dice);
    }
    sim_disk_sweep(disk);
}

void sim_disk_kill(struct sim_disk *disk) {
    for (uint32_t i = 0; i < disk->nodes_count; i++) {
        disk->nodes[i].opens_count = 0;
        disk->nodes[i].file.mappings_count = 0;
    }
    sim_disk_sweep(disk);
}

/* ---- check ---- */

static bool entries_check(const struct sim_disk *disk, const struct sim_entries *entries) {
    for (uint32_t i = 0; i < entries->count; i++) {
        const struct sim_entry *entry = &entries->items[i];
        if (entry->node >= disk->nodes_count || !disk->nodes[entry->node].is_used) return false;
        for (uint32_t j = 0; j < i; j++) {
            if (strcmp(entries->items[j].path, entry->path) == 0) return false;
        }
    }
    return true;
}

static bool parents_check(const struct sim_disk *disk) {
    for (uint32_t i = 0; i < disk->now.count; i++) {
        char parent[SIM_PATH_BYTES];
        path_parent(disk->now.items[i].path, parent);
        if (dir_check(disk, parent) < 0) return false;
    }
    return true;
}

enum fst_status sim_disk_check(const struct sim_disk *disk) {
    bool is_named_once = entries_check(disk, &disk->now) && entries_check(disk, &disk->durable);
    if (!is_named_once) return FST_CORRUPT;       /* D1 */
    if (!parents_check(disk)) return FST_CORRUPT; /* D2 */
    for (uint32_t i = 0; i < disk->nodes_count; i++) {
        if (!disk->nodes[i].is_used) continue;
        enum fst_status status = sim_file_check(&disk->nodes[i].file);
        if (status != FST_OK) return status;              /* D3 */
        if (!node_is_needed(disk, i)) return FST_CORRUPT; /* D4 */
    }
    return FST_OK;
}
