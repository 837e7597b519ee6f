/* A strict reader of HTTP/1.1 messages for the simulation's clients and servers: on purpose not the proxy's own. */
#ifndef WEIR_TESTS_SIM_WIRE_H
#define WEIR_TESTS_SIM_WIRE_H

#include "base/str.h"

struct wire;
struct wire_ops {
    /** A head is there. True: no body follows, whatever it says (a response to HEAD, 204, 304). */
    bool (*on_head)(struct wire *w);
    void (*on_body)(struct wire *w, struct weir_slice bytes);
    void (*on_end)(struct wire *w);
    void (*on_bad)(struct wire *w, const char *why);
};

enum wire_state { WIRE_HEAD, WIRE_LENGTH, WIRE_CHUNK_SIZE, WIRE_CHUNK, WIRE_CHUNK_END, WIRE_TRAILERS, WIRE_UNTIL_CLOSE, WIRE_BAD };

struct wire {
    const struct wire_ops *ops;
    void *arg;
    bool responses;
    enum wire_state state;
    struct weir_str in;
    size_t at;
    uint64_t left;
    /* of the head */
    char method[16];
    uint32_t status;
    bool chunked, has_length, close;
    uint64_t length;
    uint32_t id;     /* x-sim-id; 0 = none */
    bool trailers;   /* some came */
};

void wire_init(struct wire *w, bool responses, const struct wire_ops *ops, void *arg);
void wire_fini(struct wire *w);
void wire_feed(struct wire *w, struct weir_slice bytes);
/** The sender has finished: ends a body that lasts until then. True if that was the end of a message or between two. */
bool wire_eof(struct wire *w);
/** Nothing of a message has come, or it is complete. */
bool wire_idle(const struct wire *w);

#endif
