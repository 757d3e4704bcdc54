/* Texts become trees with the right places, and what is not taken is refused at its place:
 * broken YAML, anchors, aliases, tags, keys given twice, and one past each limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "registry/yaml_tree.h"

enum { DUMP_BYTES = 4096, REGION_BYTES = 256 << 20 };

/* One line a node: "line:column key=text" with indentation; a scalar that is not plain has
 * quotes around it. */
struct dump {
    char text[DUMP_BYTES];
    size_t used;
};

static void dump_node(struct dump *dump, const struct yaml_node *node, int depth) {
    const char *quote = node->is_plain ? "" : "\"";
    const char *kind = node->kind == YAML_MAPPING ? "{}" : "[]";
    dump->used += (size_t)snprintf(
        dump->text + dump->used, DUMP_BYTES - dump->used, "%*s%u:%u %s%s%s%s%s\n", depth * 2, "",
        node->line, node->column, node->key ? node->key->text : "", node->key ? "=" : "",
        node->kind == YAML_SCALAR ? quote : "", node->kind == YAML_SCALAR ? node->text : kind,
        node->kind == YAML_SCALAR ? quote : "");
}

/* The next node in the order of the text. */
static void dump_tree(struct dump *dump, const struct yaml_node *top) {
    const struct yaml_node *parents[YAML_DEPTH_MAX + 1];
    int depth = 0;
    const struct yaml_node *node = top;
    while (node) {
        dump_node(dump, node, depth);
        parents[depth] = node;
        if (node->children) {
            node = node->children;
            depth += 1;
            continue;
        }
        while (depth > 0 && !node->next) node = parents[--depth];
        node = node->next;
    }
}

static const struct tree_case {
    const char *name, *text, *tree;
} tree_cases[] = {
    {"nothing", "", ""},
    {"a comment", "# nothing\n", ""},
    {"empty documents", "---\n---\n...\n", ""},
    {"a scalar", "abc", "1:1 abc\n"},
    {"block style", "a: 1\nb:\n  - x\n  - y: z\n",
     "1:1 {}\n  1:4 a=1\n  3:3 b=[]\n    3:5 x\n    4:5 {}\n      4:8 y=z\n"},
    {"flow style", "{a: [1, 'x, y'], b: \"\\u00e9\"}",
     "1:1 {}\n  1:5 a=[]\n    1:6 1\n    1:9 \"x, y\"\n  1:21 b=\"\xc3\xa9\"\n"},
    {"nulls", "a:\nb: ~\nc: null\nd: \"\"\n",
     "1:1 {}\n  1:1 a=\n  2:4 b=~\n  3:4 c=null\n  4:4 d=\"\"\n"},
    {"folded text", "a: >\n  one\n  two\n", "1:1 {}\n  2:1 a=\"one two\n\"\n"},
    {"many escapes", "a: 'x''y''z''x''y''z''x''y''z''x''y''z'\n",
     "1:1 {}\n  1:4 a=\"x'y'z'x'y'z'x'y'z'x'y'z\"\n"},
    {"many lines", "a: |\n  1\n  2\n  3\n  4\n  5\n  6\n  7\n  8\n  9\n  10\n",
     "1:1 {}\n  2:1 a=\"1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n\"\n"},
    {"several documents", "a: 1\n---\n# x\nb: 2\n", "1:1 {}\n  1:4 a=1\n4:1 {}\n  4:4 b=2\n"},
    {"columns are characters", "\xc3\xa9: [\xe2\x82\xac, b]",
     "1:1 {}\n  1:4 \xc3\xa9=[]\n    1:5 \xe2\x82\xac\n    1:8 b\n"},
};

static const struct refused_case {
    const char *name, *text;
    uint32_t line, column;
    const char *problem; /* a part of it */
} refused_cases[] = {
    {"bracket left open", "a: [1, 2\n", 2, 1, "expected YAML: "},
    {"a tab", "a:\n\t- b\n", 2, 1, "tab character"},
    {"two colons", "a: b: c\n", 1, 5, "expected YAML: "},
    {"quote left open", "a: \"x\n", 0, 0, "expected YAML: "},
    {"bad escape", "a: \"\\q\"\n", 0, 0, "expected YAML: "},
    {"wrong indentation", "a:\n   b: 1\n  c: 2\n", 0, 0, "expected YAML: "},
    {"a key twice", "x: 1\na: 1\nb: 2\na: 3\n", 4, 1, "key 'a' is given twice"},
    {"a key twice, quoted", "{a: 1, \"a\": 2}", 1, 8, "key 'a' is given twice"},
    {"a list as a key", "? [a]\n: 1\n", 1, 3, "expected a key, found a sequence"},
    {"a mapping as a key", "{{a: 1}: 2}", 1, 2, "expected a key, found a mapping"},
    {"an anchor", "a: 1\nb: &x 2\n", 2, 7, "an anchor"},
    {"an anchor on a list", "a: &x [1]\n", 1, 7, "an anchor"},
    {"an anchor on a mapping", "a: &x {b: 1}\n", 1, 7, "an anchor"},
    {"an alias", "a: *x\n", 1, 4, "an alias"},
    {"a tag", "a: !!str 1\n", 1, 10, "a tag"},
    {"an escaped zero", "a: \"x\\0\"\n", 1, 4, "an escaped zero"},
    {"a zero byte", "", 0, 0, "a zero byte"}, /* the text is "a: " and the zero byte */
    {"not UTF-8", "a: \x80\n", 0, 0, "expected UTF-8"},
};

static enum fst_status read_text(const char *text, size_t bytes, struct region *region,
                                 struct yaml_node **tree_out, struct yaml_problem *problem) {
    uint8_t *copy = malloc(bytes + (bytes == 0));
    assert_non_null(copy);
    if (bytes > 0) memcpy(copy, text, bytes);
    enum fst_status status =
        yaml_tree_read((struct bytes){.data = copy, .bytes = bytes}, region, tree_out, problem);
    free(copy);
    return status;
}

static void test_trees(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof tree_cases / sizeof tree_cases[0]; i++) {
        const struct tree_case *c = &tree_cases[i];
        print_message("  %s\n", c->name);
        struct region region;
        struct yaml_node *tree = NULL;
        struct yaml_problem problem = {0};
        struct dump dump = {.text = ""};
        region_init(&region, REGION_BYTES);
        assert_int_equal(read_text(c->text, strlen(c->text), &region, &tree, &problem), FST_OK);
        dump_tree(&dump, tree);
        assert_string_equal(dump.text, c->tree);
        region_deinit(&region);
    }
}

static void test_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof refused_cases / sizeof refused_cases[0]; i++) {
        const struct refused_case *c = &refused_cases[i];
        print_message("  %s\n", c->name);
        struct region region;
        struct yaml_node *tree = NULL;
        struct yaml_problem problem = {0};
        region_init(&region, REGION_BYTES);
        bool has_zero = c->text[0] == 0;
        size_t bytes = has_zero ? 4 : strlen(c->text);
        enum fst_status status =
            read_text(has_zero ? "a: \0" : c->text, bytes, &region, &tree, &problem);
        assert_int_equal(status, FST_INVALID);
        assert_null(tree);
        assert_non_null(strstr(problem.text, c->problem));
        if (c->line > 0) {
            assert_int_equal(problem.line, c->line);
            assert_int_equal(problem.column, c->column);
        }
        region_deinit(&region);
    }
}

/* ---- limits: `count` of something, at the limit and one past it ---- */

static char *text_deep(uint32_t count, char *at) {
    for (uint32_t i = 0; i < count; i++) *at++ = '[';
    for (uint32_t i = 0; i < count; i++) *at++ = ']';
    return at;
}

static char *text_keys(uint32_t count, char *at) {
    for (uint32_t i = 0; i < count; i++) at += sprintf(at, "k%u: 1\n", i);
    return at;
}

/* One list, and the rest of the nodes in it. */
static char *text_nodes(uint32_t count, char *at) {
    at += sprintf(at, "[");
    for (uint32_t i = 1; i < count; i++) at += sprintf(at, "x,");
    return at + sprintf(at, "]");
}

static char *text_bytes(uint32_t count, char *at) {
    memset(at, 'x', count);
    return at + count;
}

static const struct limit_case {
    const char *name;
    uint32_t limit;
    char *(*text)(uint32_t count, char *at);
    const char *problem;
} limit_cases[] = {
    {"depth", YAML_DEPTH_MAX, text_deep, "depth of at most 16"},
    {"keys", YAML_MAPPING_KEYS_MAX, text_keys, "at most 128 keys"},
    {"nodes", YAML_NODES_MAX, text_nodes, "at most 262144 nodes"},
    {"bytes", YAML_TEXT_BYTES_MAX, text_bytes, "at most 4194304 bytes"},
};

static void test_limits(void **state) {
    (void)state;
    char *text = malloc(YAML_TEXT_BYTES_MAX + 64);
    assert_non_null(text);
    for (size_t i = 0; i < sizeof limit_cases / sizeof limit_cases[0]; i++) {
        const struct limit_case *c = &limit_cases[i];
        for (uint32_t extra = 0; extra <= 1; extra++) {
            print_message("  %s, %u past the limit\n", c->name, extra);
            struct region region;
            struct yaml_node *tree = NULL;
            struct yaml_problem problem = {0};
            region_init(&region, REGION_BYTES);
            size_t bytes = (size_t)(c->text(c->limit + extra, text) - text);
            enum fst_status status = read_text(text, bytes, &region, &tree, &problem);
            assert_int_equal(status, extra ? FST_INVALID : FST_OK);
            if (extra) assert_non_null(strstr(problem.text, c->problem));
            region_deinit(&region);
        }
    }
    free(text);
}

static void test_memory_ends(void **state) {
    (void)state;
    static const char text[] = "a: [1, 2, 3]\nb: {c: d}\n";
    for (size_t limit = 0; limit < 1500; limit += 10) {
        struct region region;
        struct yaml_node *tree = NULL;
        struct yaml_problem problem = {0};
        region_init(&region, limit);
        enum fst_status status = read_text(text, strlen(text), &region, &tree, &problem);
        assert_int_equal(status, region.failed ? FST_NO_MEMORY : FST_OK);
        assert_int_equal(tree != NULL, !region.failed);
        region_deinit(&region);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trees),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_memory_ends),
    };
    return cmocka_run_group_tests_name("registry/yaml_tree", tests, NULL, NULL);
}
