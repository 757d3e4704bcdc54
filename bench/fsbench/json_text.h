/*
 * json_text: any text as a JSON string.
 *
 * Threads: any. Memory: none.
 */
#ifndef FSBENCH_JSON_TEXT_H
#define FSBENCH_JSON_TEXT_H

#include <stdio.h>

/* In quotes; what a JSON string may not hold is escaped, and a byte that is no UTF-8 becomes '?'.
 */
void json_text_dump(const char *text, FILE *out);

#endif
