/* Floods: legal frames that cost the receiver more than the sender. Each kind has a limit, a counter and a name; whoever passes one
 * gets GOAWAY ENHANCE_YOUR_CALM. Counts are relative to useful work where Envoy's are. (RFC 9113 10.5; Envoy:
 * source/common/http/http2/codec_impl.cc, ProtocolConstraints.) */
#include "http/h2_priv.h"

void h2_flood(struct weir_h2 *h2, enum weir_h2_stat stat, const char *detail)
{
    if (h2->fatal) {
        return;
    }
    h2_count(h2, stat);
    h2->fatal = detail;
    (void)nghttp2_session_terminate_session(h2->session, NGHTTP2_ENHANCE_YOUR_CALM);
    h2_settle_later(h2);
}

static bool bucket_take(struct h2_bucket *bucket, uint64_t now_ms, uint32_t burst, uint32_t per_second)
{
    uint64_t refill = (now_ms - bucket->at_ms) * per_second / 1000;
    if (refill > 0) {
        bucket->left = (uint32_t)WEIR_MIN((uint64_t)bucket->left + refill, (uint64_t)burst);
        bucket->at_ms = now_ms;
    }
    if (bucket->left == 0) {
        return false;
    }
    bucket->left--;
    return true;
}

static bool count_empty(struct weir_h2 *h2, const nghttp2_frame_hd *hd)
{
    if (hd->length > 0 || (hd->flags & NGHTTP2_FLAG_END_STREAM)) {
        h2->n_empty = 0;
    } else if (++h2->n_empty > h2->options->max_consecutive_empty_frames) {
        h2_flood(h2, WEIR_H2_STAT_EMPTY_FRAMES_FLOOD, "http2.inbound_empty_frames_flood");
        return false;
    }
    return true;
}

static bool count_priority(struct weir_h2 *h2)
{
    if (++h2->n_priority > (uint64_t)h2->options->max_priority_frames_per_stream * (1 + h2->n_streams)) {
        h2_flood(h2, WEIR_H2_STAT_PRIORITY_FLOOD, "http2.inbound_priority_frames_flood");
        return false;
    }
    return true;
}

static bool count_window_update(struct weir_h2 *h2)
{
    uint64_t allowed = H2_WINDOW_UPDATES_FREE +
                       2 * (h2->n_streams + h2->options->max_window_updates_per_data_frame * h2->n_data_sent);
    if (++h2->n_window_updates > allowed) {
        h2_flood(h2, WEIR_H2_STAT_WINDOW_UPDATE_FLOOD, "http2.inbound_window_update_frames_flood");
        return false;
    }
    return true;
}

static bool count_control(struct weir_h2 *h2)
{
    if (!bucket_take(&h2->control, weir_loop_now_ms(h2->base.loop), H2_CONTROL_BURST, H2_CONTROL_PER_SECOND)) {
        h2_flood(h2, WEIR_H2_STAT_CONTROL_FLOOD, "http2.inbound_control_flood");
        return false;
    }
    return true;
}

bool h2_flood_frame(struct weir_h2 *h2, const nghttp2_frame_hd *hd)
{
    switch (hd->type) {
    case NGHTTP2_DATA:
        return count_empty(h2, hd);
    case NGHTTP2_HEADERS:
        h2->n_continuations = 0;
        return count_empty(h2, hd);
    case NGHTTP2_CONTINUATION:
        if (++h2->n_continuations > H2_CONTINUATIONS_MAX) {
            h2_flood(h2, WEIR_H2_STAT_CONTINUATION_FLOOD, "http2.inbound_continuation_flood");
            return false;
        }
        return count_empty(h2, hd);
    case NGHTTP2_PRIORITY:
        return count_priority(h2);
    case NGHTTP2_WINDOW_UPDATE:
        return count_window_update(h2);
    case NGHTTP2_SETTINGS:
    case NGHTTP2_PING:
        return (hd->flags & NGHTTP2_FLAG_ACK) || count_control(h2);
    default:
        return true;
    }
}

void h2_flood_stream_closed(struct weir_h2 *h2, bool premature)
{
    h2->n_closed++;
    h2->n_premature += premature;
    if (premature && h2_is_server(h2) && h2->n_closed >= H2_RESETS_MIN && h2->n_premature * 2 >= h2->n_closed) {
        h2_flood(h2, WEIR_H2_STAT_RESET_FLOOD, "http2.premature_reset_flood");
    }
}

bool h2_flood_outbound(struct weir_h2 *h2)
{
    if (nghttp2_session_get_outbound_queue_size(h2->session) > h2->options->max_outbound_frames) {
        h2_flood(h2, WEIR_H2_STAT_OUTBOUND_FLOOD, "http2.outbound_flood");
        return false;
    }
    return true;
}
