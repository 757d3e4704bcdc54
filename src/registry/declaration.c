#include "registry/declaration.h"

#include <stdarg.h>
#include <stdio.h>

void declarations_init(struct declarations *declarations, struct region *region) {
    *declarations = (struct declarations){.region = region};
    declarations->entities_end = &declarations->entities;
    declarations->views_end = &declarations->views;
    declarations->services_end = &declarations->services;
}

static int place_order(struct place a, struct place b) {
    if (a.document != b.document) return a.document < b.document ? -1 : 1;
    if (a.line != b.line) return a.line < b.line ? -1 : 1;
    return (a.column > b.column) - (a.column < b.column);
}

void declarations_put_problem(struct declarations *declarations, struct place place,
                              const char *format, ...) {
    char text[FST_ERROR_TEXT_BYTES];
    declarations->problems_count += 1;
    if (declarations->problems_count > DECLARED_PROBLEMS_MAX) return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    struct problem *problem = region_get(declarations->region, sizeof *problem);
    char *copy = region_get_text(declarations->region, text, strlen(text));
    if (!problem || !copy) return;
    *problem = (struct problem){.place = place, .text = copy};
    struct problem **link = &declarations->problems;
    while (*link && place_order((*link)->place, place) <= 0) link = &(*link)->next;
    problem->next = *link;
    *link = problem;
}

/* Names that could not be read are NULL and equal no other. */
static bool is_named(const char *space_a, const char *name_a, const char *space_b,
                     const char *name_b) {
    return name_a && name_b && strcmp(space_a, space_b) == 0 && strcmp(name_a, name_b) == 0;
}

struct declared_entity *declarations_find_entity(const struct declarations *declarations,
                                                 const char *space, const char *name) {
    struct declared_entity *entity = declarations->entities;
    while (entity && !is_named(entity->space, entity->name.text, space, name)) {
        entity = entity->next;
    }
    return entity;
}

struct declared_view *declarations_find_view(const struct declarations *declarations,
                                             const char *space, const char *name,
                                             uint32_t version) {
    struct declared_view *view = declarations->views;
    for (; view; view = view->next) {
        if (!is_named(view->space, view->name.text, space, name)) continue;
        if (version == 0 || view->version == version) break;
    }
    return view;
}

struct declared_service *declarations_find_service(const struct declarations *declarations,
                                                   const char *space, const char *name) {
    struct declared_service *service = declarations->services;
    while (service && !is_named(service->space, service->name.text, space, name)) {
        service = service->next;
    }
    return service;
}
