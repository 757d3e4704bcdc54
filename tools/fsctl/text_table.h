/*
 * text_table: rows of text with aligned columns.
 *
 * Cells are put one after another; after the last column the next row begins. The first row is the
 * head. Widths count characters; control characters are shown as escapes, and long cells are cut.
 *
 * Threads: one. Memory: owns copies of the cells, until destroyed.
 */
#ifndef FSCTL_TEXT_TABLE_H
#define FSCTL_TEXT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { TEXT_TABLE_CELL_BYTES = 120 };

struct text_table {
    uint32_t columns_count;
    bool *is_right; /* by column: aligned at the right, for numbers */
    char **cells;
    size_t cells_count;
    size_t cells_max;
};

/* False: no memory. `alignment` has a letter per column, l or r; columns beyond it are l. */
bool text_table_init(struct text_table *table, uint32_t columns_count, const char *alignment);
void text_table_deinit(struct text_table *table);
/* Cells beyond the memory are dropped. */
void text_table_put(struct text_table *table, const char *text);
/* The same for a cell that is shown whole, however long it is. */
void text_table_put_whole(struct text_table *table, const char *text);
void text_table_put_format(struct text_table *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Two spaces between columns; the head bold if `has_color`. */
void text_table_print(const struct text_table *table, FILE *out, bool has_color);

#endif
