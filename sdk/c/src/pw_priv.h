/* What the library's own files share. */
#ifndef PW_PRIV_H
#define PW_PRIV_H

#include "proxy_wasm.h"

/** A header list in the host's form, in the memory of the running callback; absent when empty. */
pw_str pw_serialize(pw_headers headers);

#endif
