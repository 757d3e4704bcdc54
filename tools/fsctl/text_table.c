#include "tools/fsctl/text_table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum { CELL_BYTES_MIN = 8 };

bool text_table_init(struct text_table *table, uint32_t columns_count, const char *alignment) {
    *table = (struct text_table){.columns_count = columns_count};
    table->is_right = calloc(columns_count, sizeof *table->is_right);
    if (!table->is_right) return false;
    for (uint32_t i = 0; i < columns_count && alignment[i]; i++) {
        table->is_right[i] = alignment[i] == 'r';
    }
    return true;
}

void text_table_deinit(struct text_table *table) {
    for (size_t i = 0; i < table->cells_count; i++) free(table->cells[i]);
    free(table->cells);
    free(table->is_right);
    *table = (struct text_table){0};
}

/* Control characters take four bytes each. */
static void cell_put(struct text_table *table, const char *text, size_t cell_bytes_max) {
    if (table->cells_count == table->cells_max) {
        size_t cells_max = table->cells_max ? table->cells_max * 2 : 64;
        char **grown = realloc(table->cells, cells_max * sizeof *grown);
        if (!grown) return;
        table->cells = grown;
        table->cells_max = cells_max;
    }
    size_t bytes = 4 * strlen(text) + CELL_BYTES_MIN;
    if (bytes > cell_bytes_max) bytes = cell_bytes_max;
    char *cell = malloc(bytes);
    if (!cell) return;
    text_format_printable(text, strlen(text), cell, bytes);
    table->cells[table->cells_count++] = cell;
}

void text_table_put(struct text_table *table, const char *text) {
    cell_put(table, text, TEXT_TABLE_CELL_BYTES);
}

void text_table_put_whole(struct text_table *table, const char *text) {
    cell_put(table, text, SIZE_MAX);
}

void text_table_put_format(struct text_table *table, const char *format, ...) {
    char cell[TEXT_TABLE_CELL_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(cell, sizeof cell, format, arguments);
    va_end(arguments);
    text_table_put(table, cell);
}

/* Characters, as far as a terminal shows one per code point. */
static size_t text_width(const char *text) {
    size_t width = 0;
    for (; *text; text++) width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

static void spaces_print(FILE *out, size_t count) {
    for (size_t i = 0; i < count; i++) fputc(' ', out);
}

/* Cells of the row up to the last that is not empty. */
static uint32_t row_cells(const struct text_table *table, size_t row) {
    uint32_t count = table->columns_count;
    while (count > 0 && table->cells[row * table->columns_count + count - 1][0] == '\0') count--;
    return count;
}

static void row_print(const struct text_table *table, size_t row, const size_t *widths, FILE *out) {
    uint32_t count = row_cells(table, row);
    for (uint32_t c = 0; c < count; c++) {
        const char *cell = table->cells[row * table->columns_count + c];
        size_t pad = widths[c] - text_width(cell);
        bool is_last = c + 1 == count;
        if (table->is_right[c]) spaces_print(out, pad);
        fputs(cell, out);
        if (!table->is_right[c] && !is_last) spaces_print(out, pad);
        if (!is_last) fputs("  ", out);
    }
}

void text_table_print(const struct text_table *table, FILE *out, bool has_color) {
    size_t rows_count = table->cells_count / table->columns_count;
    size_t *widths = calloc(table->columns_count, sizeof *widths);
    if (!widths) return;
    for (size_t i = 0; i < rows_count * table->columns_count; i++) {
        size_t width = text_width(table->cells[i]);
        size_t *widest = &widths[i % table->columns_count];
        if (width > *widest) *widest = width;
    }
    for (size_t row = 0; row < rows_count; row++) {
        bool is_bold = has_color && row == 0;
        if (is_bold) fputs("\033[1m", out);
        row_print(table, row, widths, out);
        if (is_bold) fputs("\033[0m", out);
        fputc('\n', out);
    }
    free(widths);
}
