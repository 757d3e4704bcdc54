#include "storage/recovery/identity.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"

enum { TEXT_BYTES = 512, PATH_BYTES = 1024, HEX_BYTES = 2 * STORE_ID_BYTES + 1 };

static void hex_format(const uint8_t *bytes, char text_out[HEX_BYTES]) {
    for (int i = 0; i < STORE_ID_BYTES; i++)
        snprintf(text_out + 2 * (size_t)i, 3, "%02x", bytes[i]);
}

static bool hex_parse(const char *text, uint8_t *bytes_out) {
    for (int i = 0; i < STORE_ID_BYTES; i++) {
        unsigned byte;
        if (sscanf(text + 2 * (size_t)i, "%2x", &byte) != 1) return false;
        bytes_out[i] = (uint8_t)byte;
    }
    return true;
}

static int body_format(const struct identity *identity, char *text_out, size_t bytes) {
    char id[HEX_BYTES];
    hex_format(identity->store_id, id);
    return snprintf(text_out, bytes,
                    "fstore store\nformat %d\nstore_id %s\npartitions %" PRIu32
                    "\ncreated_us %" PRId64 "\n",
                    IDENTITY_FORMAT, id, identity->partitions_count, identity->created_us);
}

/* Reads the fields, then writes them again: a text that is not what identity_write gives is not
 * believed. */
static enum fst_status text_parse(const char *text, struct identity *identity_out) {
    int format = 0;
    char id[HEX_BYTES] = "";
    uint64_t checksum = 0;
    struct identity identity = {.partitions_count = 0};
    int fields = sscanf(text,
                        "fstore store\nformat %d\nstore_id %32s\npartitions %" SCNu32
                        "\ncreated_us %" SCNd64 "\nchecksum %16" SCNx64 "\n",
                        &format, id, &identity.partitions_count, &identity.created_us, &checksum);
    if (fields >= 1 && format != IDENTITY_FORMAT) return FST_INCOMPATIBLE;
    if (fields != 5 || !hex_parse(id, identity.store_id)) return FST_CORRUPT;
    char again[TEXT_BYTES];
    int length = body_format(&identity, again, sizeof again);
    if (strncmp(text, again, (size_t)length) != 0) return FST_CORRUPT;
    if (hash_checksum(again, (size_t)length, 0) != checksum) return FST_CORRUPT;
    if (identity.partitions_count == 0 || identity.partitions_count > PARTITIONS_MAX) {
        return FST_CORRUPT;
    }
    *identity_out = identity;
    return FST_OK;
}

enum fst_status identity_read(struct io *io, const char *dir, struct identity *identity_out,
                              struct fst_error *error) {
    char path[PATH_BYTES];
    char text[TEXT_BYTES] = "";
    snprintf(path, sizeof path, "%s/STORE", dir);
    io_file file;
    int result = io->ops->open(io, path, 0, &file);
    enum fst_status status = fst_status_from_errno(result);
    if (status == FST_NOT_FOUND) return status;
    if (status != FST_OK) return fst_error_set(error, status, "%s: %s", path, strerror(-result));
    int64_t bytes = io->ops->pread(io, file, text, sizeof text - 1, 0);
    (void)io->ops->close(io, file);
    if (bytes < 0) {
        status = fst_status_from_errno((int)bytes);
        return fst_error_set(error, status, "%s: %s", path, strerror((int)-bytes));
    }
    status = text_parse(text, identity_out);
    if (status == FST_OK) return FST_OK;
    return fst_error_set(error, status,
                         status == FST_INCOMPATIBLE
                             ? "%s: made by another version of fstore; this one reads format 1"
                             : "%s: expected the identity of a store, found something else",
                         path);
}

enum fst_status identity_write(struct io *io, const char *dir, const struct identity *identity,
                               struct fst_error *error) {
    char path[PATH_BYTES];
    char text[TEXT_BYTES];
    snprintf(path, sizeof path, "%s/STORE", dir);
    int length = body_format(identity, text, sizeof text);
    length += snprintf(text + length, sizeof text - (size_t)length, "checksum %016" PRIx64 "\n",
                       hash_checksum(text, (size_t)length, 0));
    int result = io_replace(io, dir, path, text, (size_t)length);
    if (result == 0) return FST_OK;
    return fst_error_set(error, fst_status_from_errno(result), "%s: could not be written: %s", path,
                         strerror(-result));
}
