/* Drives one codec with raw bytes, cut as asked, and writes down every event as compact text, so that a case is an input and the
 * text that must come out, however the input is cut.
 *
 *   >METHOD path authority{name: value; …}   request head       <status{…}   response head      i status{…}  informational
 *   "bytes"                                   body, merged       .            end of the message
 *   T{…}                                      trailers           !status detail  refused (SERVER)
 *   x reason detail                           reset              ;            exchange done
 *   G  goaway                                 F detail           fatal
 * Pseudo-headers that the head shows already are not repeated in the braces. */
#ifndef WEIR_TESTS_CODEC_TRACE_H
#define WEIR_TESTS_CODEC_TRACE_H

#include "base/str.h"
#include "http/codec.h"

enum trace_reply {
    TRACE_REPLY_AT_END,  // 200 without a body once the message is complete
    TRACE_REPLY_AT_HEAD, // 200 "early" as soon as the head is there
    TRACE_REPLY_NEVER,
    TRACE_REPLY_ECHO,    // 200, then what comes
    TRACE_REPLY_SWITCH,  // 101 to an upgrade, 200 to CONNECT, then echoes; AT_END to others
};

#define TRACE_STREAMS 8 /* HTTP/2: streams with texts of their own; later ones share the connection's */

struct trace {
    struct weir_loop loop;
    struct weir_buf in, out;
    struct weir_codec *codec;
    struct weir_arena arena;
    struct weir_headers *head;    /* of the latest stream */
    struct weir_codec_stream *cs; /* the latest stream, NULL once done */
    struct trace_text {
        struct weir_str s;
        bool body_open; /* a body's quotation mark is open */
    } text, by_stream[TRACE_STREAMS]; /* events: HTTP/1 in their order; HTTP/2 by stream, then those of the connection */
    struct weir_str all;
    struct weir_str wrote; /* everything the codec put into out */
    enum trace_reply reply;
    bool reset_at_head, reset_at_data;
    bool gone_at_head, gone_at_data, gone_at_goaway; /* the owner's connection closes from inside the event */
    bool switched;  /* protocols */
    bool quiet_end; /* neither goaway, done nor fatal are written down */
    bool ended;     /* a stream was done or reset */
    bool resumed;
    uint32_t n_streams, n_complete, n_goaway, n_fatal;
};

/** A codec in `role` with `options` (NULL: defaults). */
void trace_init_h1(struct trace *t, enum weir_codec_role role, const struct weir_h1_options *options);
void trace_init_h2(struct trace *t, enum weir_codec_role role, const struct weir_h2_options *options);
void trace_fini(struct trace *t);
/** One packet; then the end of the loop's turn. */
void trace_feed(struct trace *t, struct weir_slice bytes, bool eof);
/** The packet as several segments of `step` bytes in one recv. */
void trace_feed_segments(struct trace *t, struct weir_slice bytes, size_t step, bool eof);
/** End of the turn: tasks run, output is collected. */
void trace_turn(struct trace *t);
/** CLIENT: opens a stream into t->cs. */
void trace_open(struct trace *t);
/** CLIENT: opens a stream and sends a request without a body, or with one to come. */
void trace_request(struct trace *t, const char *method, bool end_stream);
void trace_send(struct trace *t, const char *body, bool end_stream);
/** The events so far; closes an open quotation. */
const char *trace_text(struct trace *t);
const char *trace_wrote(struct trace *t);

#endif
