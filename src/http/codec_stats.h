/* What the codecs count, as rows for weir_stats_register_group: `http1.` and `http2.` scopes of the listener side, of a cluster
 * upstream. Names that Envoy has are Envoy's; every other refusal has one of its own. */
#ifndef WEIR_HTTP_CODEC_STATS_H
#define WEIR_HTTP_CODEC_STATS_H

#include "http/codec.h"

#define WEIR_H1_STATS(X)                                    \
    X(DROPPED_UNDERSCORES, "dropped_headers_with_underscores") \
    X(METADATA, "metadata_not_supported_error")             \
    X(REJECTED_UNDERSCORES, "requests_rejected_with_underscores_in_headers") \
    X(RESPONSE_FLOOD, "response_flood")                     \
    X(CODEC_ERROR, "refused_syntax")                        \
    X(METHOD, "refused_method")                             \
    X(TARGET, "refused_target")                             \
    X(VERSION, "refused_version")                           \
    X(FIELD, "refused_field")                               \
    X(HOST, "refused_duplicate_host")                       \
    X(LENGTH, "refused_content_length")                     \
    X(LENGTH_AND_CHUNKED, "refused_content_length_and_chunked") \
    X(TRANSFER_ENCODING, "refused_transfer_encoding")       \
    X(TOO_MANY_HEADERS, "refused_too_many_headers")         \
    X(HEADERS_TOO_LARGE, "refused_headers_too_large")       \
    X(CHUNK, "refused_chunk")                               \
    X(INFORMATIONAL, "refused_informational")               \
    X(BODY_NOT_ALLOWED, "refused_body")                     \
    X(TRUNCATED, "truncated_messages")                      \
    X(UNSOLICITED, "unsolicited_bytes")                     \
    X(NOT_SWALLOWED, "request_bodies_not_swallowed")        \
    X(INVALID_OUTPUT, "dropped_invalid_output")

enum weir_h1_stat {
#define X(id, name) WEIR_H1_STAT_##id,
    WEIR_H1_STATS(X)
#undef X
    WEIR_H1_STAT_COUNT
};
/** Rows by enum weir_h1_stat, all counters. */
extern const struct weir_stat_def weir_h1_stat_defs[WEIR_H1_STAT_COUNT];

#define WEIR_H2_STATS(X)                                    \
    X(COOKIES_TOO_LARGE, "cookies_total_bytes_too_large")   \
    X(DROPPED_UNDERSCORES, "dropped_headers_with_underscores") \
    X(GOAWAY_SENT, "goaway_sent")                           \
    X(HEADER_OVERFLOW, "header_overflow")                   \
    X(EMPTY_FRAMES_FLOOD, "inbound_empty_frames_flood")     \
    X(PRIORITY_FLOOD, "inbound_priority_frames_flood")      \
    X(WINDOW_UPDATE_FLOOD, "inbound_window_update_frames_flood") \
    X(CONTINUATION_FLOOD, "inbound_continuation_flood")     \
    X(CONTROL_FLOOD, "inbound_control_flood")               \
    X(RESET_FLOOD, "premature_reset_flood")                 \
    X(OUTBOUND_CONTROL_FLOOD, "outbound_control_flood")     \
    X(OUTBOUND_FLOOD, "outbound_flood")                     \
    X(REJECTED_UNDERSCORES, "requests_rejected_with_underscores_in_headers") \
    X(RX_MESSAGING_ERROR, "rx_messaging_error")             \
    X(RX_RESET, "rx_reset")                                 \
    X(STREAM_REFUSED, "stream_refused_errors")              \
    X(TRAILERS, "trailers")                                 \
    X(TX_RESET, "tx_reset")                                 \
    X(PROTOCOL_ERROR, "protocol_error")                     \
    X(INVALID_OUTPUT, "dropped_invalid_output")

enum weir_h2_stat {
#define X(id, name) WEIR_H2_STAT_##id,
    WEIR_H2_STATS(X)
#undef X
    WEIR_H2_STAT_COUNT
};
/** Rows by enum weir_h2_stat, all counters. */
extern const struct weir_stat_def weir_h2_stat_defs[WEIR_H2_STAT_COUNT];

#endif
