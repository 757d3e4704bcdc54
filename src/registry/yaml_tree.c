#include "registry/yaml_tree.h"

#include <libfyaml.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/text.h"

/* A sequence or mapping that is not closed yet. */
struct open_node {
    struct yaml_node *node;
    struct yaml_node *last; /* its last child */
    const struct yaml_node *key;
};

struct builder {
    struct region *region;
    struct yaml_problem *problem;
    struct yaml_node *first_document;
    struct yaml_node *last_document;
    uint32_t nodes_count;
    uint32_t depth;
    struct open_node open[YAML_DEPTH_MAX];
    uint32_t line; /* of the event under way, from 1; likewise column */
    uint32_t column;
};

static enum fst_status refuse(struct builder *builder, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static enum fst_status refuse(struct builder *builder, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    builder->problem->line = builder->line;
    builder->problem->column = builder->column;
    vsnprintf(builder->problem->text, sizeof builder->problem->text, format, arguments);
    va_end(arguments);
    return FST_INVALID;
}

/* ---- nodes ---- */

static bool key_is_known(const struct yaml_node *mapping, const char *key) {
    for (const struct yaml_node *child = mapping->children; child; child = child->next) {
        if (strcmp(child->key->text, key) == 0) return true;
    }
    return false;
}

static enum fst_status key_put(struct builder *builder, struct open_node *top,
                               const struct yaml_node *node) {
    char found[64];
    if (node->kind != YAML_SCALAR) {
        return refuse(builder, "expected a key, found a %s",
                      node->kind == YAML_MAPPING ? "mapping" : "sequence");
    }
    text_format_printable(node->text, strlen(node->text), found, sizeof found);
    if (key_is_known(top->node, node->text)) {
        return refuse(builder, "key '%s' is given twice", found);
    }
    if (top->node->children_count == YAML_MAPPING_KEYS_MAX) {
        return refuse(builder, "expected at most %d keys in a mapping", YAML_MAPPING_KEYS_MAX);
    }
    top->key = node;
    return FST_OK;
}

/* Puts a new node where it belongs: as the top of a document, a key, or a child. */
static enum fst_status node_put(struct builder *builder, struct yaml_node *node) {
    if (builder->depth == 0) {
        if (yaml_node_is_null(node)) return FST_OK;
        if (builder->last_document)
            builder->last_document->next = node;
        else
            builder->first_document = node;
        builder->last_document = node;
        return FST_OK;
    }
    struct open_node *top = &builder->open[builder->depth - 1];
    if (top->node->kind == YAML_MAPPING && !top->key) return key_put(builder, top, node);
    node->key = top->key;
    top->key = NULL;
    if (top->last)
        top->last->next = node;
    else
        top->node->children = node;
    top->last = node;
    top->node->children_count += 1;
    return FST_OK;
}

static enum fst_status node_open(struct builder *builder, struct yaml_node *node) {
    if (builder->depth == YAML_DEPTH_MAX) {
        return refuse(builder, "expected a depth of at most %d", YAML_DEPTH_MAX);
    }
    FST_TRY(node_put(builder, node));
    builder->open[builder->depth++] = (struct open_node){.node = node};
    return FST_OK;
}

/* ---- events ---- */

static void place_set(struct builder *builder, const struct fy_mark *mark) {
    if (!mark || mark->line < 0 || mark->column < 0) return;
    builder->line = (uint32_t)mark->line + 1;
    builder->column = (uint32_t)mark->column + 1;
}

/* NULL beyond YAML_NODES_MAX, which is told, or when there is no memory. */
static struct yaml_node *node_make(struct builder *builder, enum yaml_kind kind) {
    if (builder->nodes_count == YAML_NODES_MAX) {
        (void)refuse(builder, "expected at most %d nodes", YAML_NODES_MAX);
        return NULL;
    }
    struct yaml_node *node = region_get(builder->region, sizeof *node);
    if (!node) return NULL;
    *node = (struct yaml_node){.kind = kind, .line = builder->line, .column = builder->column};
    builder->nodes_count += 1;
    return node;
}

/* Why node_make answered NULL. */
static enum fst_status node_status(const struct builder *builder) {
    return builder->region->failed ? FST_NO_MEMORY : FST_INVALID;
}

/* The token's text, piece by piece: asked for as a whole, libfyaml 0.7.12 loses memory when a
 * scalar has many lines or escapes. NULL if there is no memory. */
static char *token_text(struct builder *builder, struct fy_token *token, size_t *bytes_out) {
    struct fy_token_iter *iter = fy_token_iter_create(token);
    if (!iter) return NULL;
    size_t bytes = 0;
    int error = 0;
    const struct fy_iter_chunk *chunk = fy_token_iter_chunk_next(iter, NULL, &error);
    for (; chunk; chunk = fy_token_iter_chunk_next(iter, chunk, &error)) bytes += chunk->len;
    fy_token_iter_finish(iter);

    char *text = region_get(builder->region, bytes + 1);
    size_t used = 0;
    fy_token_iter_start(token, iter);
    chunk = text ? fy_token_iter_chunk_next(iter, NULL, &error) : NULL;
    while (chunk && chunk->len <= bytes - used) {
        if (chunk->len > 0) memcpy(text + used, chunk->str, chunk->len);
        used += chunk->len;
        chunk = fy_token_iter_chunk_next(iter, chunk, &error);
    }
    fy_token_iter_finish(iter);
    fy_token_iter_destroy(iter);
    *bytes_out = used;
    return text;
}

static enum fst_status scalar_take(struct builder *builder, struct fy_token *token) {
    size_t bytes = 0;
    enum fy_scalar_style style = token ? fy_token_scalar_style(token) : FYSS_PLAIN;
    bool is_quoted = style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED;
    if (is_quoted && builder->column > 1) builder->column -= 1; /* The mark is behind the quote. */
    struct yaml_node *node = node_make(builder, YAML_SCALAR);
    if (!node) return node_status(builder);
    node->is_plain = style == FYSS_PLAIN;
    node->text = token ? token_text(builder, token, &bytes) : "";
    if (!node->text) return FST_NO_MEMORY;
    if (memchr(node->text, 0, bytes) || !text_is_utf8(node->text, bytes)) {
        return refuse(builder, "expected text, found an escaped zero or half a character");
    }
    return node_put(builder, node);
}

static enum fst_status container_take(struct builder *builder, enum yaml_kind kind) {
    struct yaml_node *node = node_make(builder, kind);
    if (!node) return node_status(builder);
    return node_open(builder, node);
}

static enum fst_status properties_check(struct builder *builder, const struct fy_token *anchor,
                                        const struct fy_token *tag) {
    if (anchor) return refuse(builder, "expected a value, found an anchor: they are not supported");
    if (tag) return refuse(builder, "expected a value, found a tag: they are not supported");
    return FST_OK;
}

static enum fst_status event_take(struct builder *builder, struct fy_event *event) {
    switch (event->type) {
    case FYET_ALIAS:
        if (builder->column > 1) builder->column -= 1; /* The mark is behind the asterisk. */
        return refuse(builder, "expected a value, found an alias: they are not supported");
    case FYET_SCALAR:
        FST_TRY(properties_check(builder, event->scalar.anchor, event->scalar.tag));
        return scalar_take(builder, event->scalar.value);
    case FYET_SEQUENCE_START:
        FST_TRY(properties_check(builder, event->sequence_start.anchor, event->sequence_start.tag));
        return container_take(builder, YAML_SEQUENCE);
    case FYET_MAPPING_START:
        FST_TRY(properties_check(builder, event->mapping_start.anchor, event->mapping_start.tag));
        return container_take(builder, YAML_MAPPING);
    case FYET_SEQUENCE_END:
    case FYET_MAPPING_END:
        builder->depth -= 1;
        return FST_OK;
    default:
        return FST_OK;
    }
}

/* What the parser says about a text it cannot read. */
static enum fst_status parser_problem(struct builder *builder, struct fy_diag *diag) {
    void *at = NULL;
    const struct fy_diag_error *error = fy_diag_errors_iterate(diag, &at);
    if (!error) return refuse(builder, "expected YAML");
    builder->line = error->line > 0 ? (uint32_t)error->line : builder->line;
    builder->column = error->column > 0 ? (uint32_t)error->column : 1;
    char found[YAML_PROBLEM_BYTES / 2];
    text_format_printable(error->msg, strcspn(error->msg, "\n"), found, sizeof found);
    return refuse(builder, "expected YAML: %s", found);
}

static enum fst_status events_take(struct builder *builder, struct fy_parser *parser,
                                   struct fy_diag *diag) {
    enum fst_status status = FST_OK;
    bool is_done = false;
    while (status == FST_OK && !is_done) {
        struct fy_event *event = fy_parser_parse(parser);
        if (!event) return parser_problem(builder, diag);
        is_done = event->type == FYET_STREAM_END;
        place_set(builder, fy_event_start_mark(event));
        status = event_take(builder, event);
        fy_parser_event_free(parser, event);
    }
    return status;
}

static enum fst_status text_check(struct builder *builder, struct bytes text) {
    if (text.bytes > YAML_TEXT_BYTES_MAX) {
        return refuse(builder, "expected at most %d bytes, found %zu", YAML_TEXT_BYTES_MAX,
                      text.bytes);
    }
    if (!text_is_utf8(text.data, text.bytes)) return refuse(builder, "expected UTF-8 text");
    if (text.bytes > 0 && memchr(text.data, 0, text.bytes)) {
        return refuse(builder, "expected text, found a zero byte");
    }
    return FST_OK;
}

enum fst_status yaml_tree_read(struct bytes text, struct region *region,
                               struct yaml_node **tree_out, struct yaml_problem *problem_out) {
    struct builder builder = {.region = region, .problem = problem_out};
    enum fst_status status = text_check(&builder, text);
    if (status != FST_OK || text.bytes == 0) {
        if (status == FST_OK) *tree_out = NULL;
        return status;
    }
    status = FST_NO_MEMORY;
    builder.line = 1;
    builder.column = 1;
    struct fy_diag_cfg diag_cfg;
    fy_diag_cfg_default(&diag_cfg);
    diag_cfg.colorize = false;
    struct fy_diag *diag = fy_diag_create(&diag_cfg);
    if (!diag) goto out;
    fy_diag_set_collect_errors(diag, true);

    struct fy_parse_cfg cfg = {
        .flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG | FYPCF_DEFAULT_VERSION_1_2 | FYPCF_JSON_NONE,
        .diag = diag,
    };
    struct fy_parser *parser = fy_parser_create(&cfg);
    if (!parser) goto destroy_diag;
    if (fy_parser_set_string(parser, (const char *)text.data, text.bytes) != 0) goto destroy_parser;
    status = events_take(&builder, parser, diag);
    if (status == FST_OK) *tree_out = builder.first_document;

destroy_parser:
    fy_parser_destroy(parser);
destroy_diag:
    fy_diag_destroy(diag);
out:
    return status;
}

bool yaml_node_is_null(const struct yaml_node *node) {
    if (node->kind != YAML_SCALAR || !node->is_plain) return false;
    return node->text[0] == 0 || strcmp(node->text, "~") == 0 || strcmp(node->text, "null") == 0;
}
