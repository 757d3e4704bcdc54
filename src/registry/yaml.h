/*
 * yaml: reads definitions from YAML text: every key known, every value of the right form.
 *
 * Each kind of mapping (the document, an entity, a key column, a view, a feature, a service) has a
 * table of its keys, with the function that reads each. All problems of a text are found in one
 * pass, not only the first, except that a text that is no YAML ends at the place where it stops
 * being it. What needs other definitions (references, compatibility) is for the plan.
 * docs/definitions.md is the manual.
 *
 * Threads: pure. Memory: declarations lie in the region of `declarations`.
 */
#ifndef REGISTRY_YAML_H
#define REGISTRY_YAML_H

#include "registry/declaration.h"

#define YAML_NAMESPACE_DEFAULT "default"

/* Adds what one text declares, with its problems. FST_NO_MEMORY; problems are FST_OK. */
FST_MUST_USE enum fst_status yaml_read(struct bytes text, uint32_t document,
                                       struct declarations *declarations);

#endif
