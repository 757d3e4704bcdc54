/* Runs one fuzz target over files, so that every input that was ever interesting is a plain test.
 *
 *     <noun>_fuzz FILE-OR-FOLDER...
 *
 * Gives the bytes of each file to LLVMFuzzerTestOneInput in name order, then the empty input. The
 * target itself aborts on a wrong answer. Fails if no file was found: an empty corpus tests
 * nothing.
 */
#include <dirent.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* One file: exactly its bytes on the heap, so that a read past the end is seen by a sanitizer. */
static int file_run(const char *path, size_t bytes) {
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(bytes > 0 ? bytes : 1);
    size_t got = 0;
    if (file != NULL && data != NULL) got = fread(data, 1, bytes, file);
    if (file != NULL) (void)fclose(file);
    if (file == NULL || got != bytes) {
        (void)fprintf(stderr, "%s: expected %zu bytes, read %zu\n", path, bytes, got);
        free(data);
        return -1;
    }
    printf("  %s (%zu bytes)\n", path, bytes);
    (void)LLVMFuzzerTestOneInput(data, bytes);
    free(data);
    return 1;
}

/* A file, or all plain files directly in a folder. Answers how many ran, -1 on failure. */
static int path_run(const char *path) {
    struct stat about;
    if (stat(path, &about) != 0) {
        perror(path);
        return -1;
    }
    if (S_ISREG(about.st_mode)) return file_run(path, (size_t)about.st_size);

    struct dirent **entries = NULL;
    int entries_count = scandir(path, &entries, NULL, alphasort);
    if (entries_count < 0) {
        perror(path);
        return -1;
    }
    int runs = 0;
    for (int i = 0; i < entries_count; i++) {
        char name[PATH_MAX];
        (void)snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name);
        free(entries[i]);
        if (runs < 0 || stat(name, &about) != 0 || !S_ISREG(about.st_mode)) continue;
        runs = file_run(name, (size_t)about.st_size) < 0 ? -1 : runs + 1;
    }
    free((void *)entries);
    return runs;
}

int main(int arguments_count, char **arguments) {
    int runs_total = 0;
    for (int i = 1; i < arguments_count; i++) {
        int runs = path_run(arguments[i]);
        if (runs < 0) return 1;
        runs_total += runs;
    }
    (void)LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    printf("%d inputs\n", runs_total);
    if (runs_total == 0) (void)fputs("expected a corpus, found no file\n", stderr);
    return runs_total == 0;
}
