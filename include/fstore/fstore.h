/* fstore: everything a program needs to use a feature store, in one include. See client.h. */
#ifndef FSTORE_FSTORE_H
#define FSTORE_FSTORE_H

#include "fstore/client.h"
#include "fstore/status.h"
#include "fstore/value.h"

#endif
