/*
 * yaml_tree: a YAML text as a tree of nodes that know where they stand.
 *
 * The one file that knows libfyaml. It follows the parser event by event, so that limits hold
 * while the text is read and not after: depth, nodes, keys of a mapping. Of YAML it takes what
 * definitions need: mappings with scalar keys, sequences, scalars of every style, comments, several
 * documents in one text. Anchors, aliases and tags are refused: with them, a few lines of text can
 * mean more nodes than there is memory.
 *
 * Invariants:
 *   Y1  A node has at most YAML_DEPTH_MAX ancestors; a text at most YAML_NODES_MAX nodes.
 *   Y2  Keys of a mapping are scalars, and different.
 *   Y3  Texts are UTF-8 without a zero byte.
 *
 * Threads: pure. Memory: nodes lie in the caller's region.
 */
#ifndef REGISTRY_YAML_TREE_H
#define REGISTRY_YAML_TREE_H

#include <stdint.h>

#include "base/bytes.h"
#include "fstore/status.h"
#include "registry/region.h"

enum {
    YAML_DEPTH_MAX = 16,
    YAML_NODES_MAX = 1 << 18,
    YAML_MAPPING_KEYS_MAX = 128,
    YAML_TEXT_BYTES_MAX = 4 << 20,
    YAML_PROBLEM_BYTES = 256,
};

enum yaml_kind { YAML_SCALAR, YAML_SEQUENCE, YAML_MAPPING };

struct yaml_node {
    enum yaml_kind kind;
    uint32_t line; /* from 1; likewise column */
    uint32_t column;
    bool is_plain;              /* a scalar without quotes */
    const char *text;           /* of a scalar, 0-ended */
    uint32_t children_count;    /* of a sequence or mapping */
    struct yaml_node *children; /* the first */
    struct yaml_node
        *next; /* the next child of the same parent; of a top node: the next document */
    const struct yaml_node *key; /* of a child of a mapping */
};

struct yaml_problem {
    uint32_t line; /* 0: the text as a whole */
    uint32_t column;
    char text[YAML_PROBLEM_BYTES]; /* what was expected, what was found */
};

/* Reads a whole text. `*tree_out` is the top node of the first document that is not empty, or NULL
 * if there is none. FST_INVALID with the first problem; FST_NO_MEMORY. */
FST_MUST_USE enum fst_status yaml_tree_read(struct bytes text, struct region *region,
                                            struct yaml_node **tree_out,
                                            struct yaml_problem *problem_out);

/* Whether the node is a scalar that means nothing: empty, ~ or null, without quotes. */
bool yaml_node_is_null(const struct yaml_node *node);

#endif
