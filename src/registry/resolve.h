/*
 * resolve: names in declarations become what they mean, among the declared and the stored.
 *
 * A name without a namespace means the namespace of its own document. What cannot be found is a
 * problem at the place of the name, with the nearest known name; but a name whose own declaration
 * is broken is not complained about again.
 *
 * Threads: one. Memory: what is made lies in the region of the declarations.
 */
#ifndef REGISTRY_RESOLVE_H
#define REGISTRY_RESOLVE_H

#include "registry/declaration.h"
#include "registry/state.h"

#define RESOLVE_ALL_FEATURES "*"

/* The entity that a view names, or NULL. */
const Fst__Registry__Entity *resolve_entity(const struct registry_scope *scope,
                                            struct declarations *declarations,
                                            const struct declared_view *view);

/* The features of a service, as many as are declared, or NULL. Without a version a view is its
 * newest. */
Fst__Registry__ServiceFeature **resolve_features(const struct registry_scope *scope,
                                                 struct declarations *declarations,
                                                 const struct declared_service *service);

/* How many features a list of features means, with "*" for all of a view. */
size_t resolve_features_count(const struct registry_scope *scope,
                              Fst__Registry__ServiceFeature *const *features, size_t count);

#endif
