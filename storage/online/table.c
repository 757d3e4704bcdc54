#include "storage/online/table.h"

#include <errno.h>

bool table_reserve(const struct table *table, uint64_t offset, uint64_t bytes) {
    int result = table->io->ops->reserve(table->io, table->file, offset, bytes);
    return result == 0 || result == -EOPNOTSUPP;
}
