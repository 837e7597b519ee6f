/* The small values inside Envoy's messages (wrappers, durations, strings, fractions) as plain C values. */
#ifndef WEIR_CONFIG_VALUES_H
#define WEIR_CONFIG_VALUES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "envoy/type/v3/percent.pb-c.h"
#include "google/protobuf/duration.pb-c.h"
#include "google/protobuf/wrappers.pb-c.h"

static inline uint32_t weir_u32_value(const Google__Protobuf__UInt32Value *value, uint32_t if_unset)
{
    return value ? value->value : if_unset;
}
static inline uint64_t weir_u64_value(const Google__Protobuf__UInt64Value *value, uint64_t if_unset)
{
    return value ? value->value : if_unset;
}
static inline bool weir_bool_value(const Google__Protobuf__BoolValue *value, bool if_unset)
{
    return value ? value->value : if_unset;
}
/** Milliseconds, parts of one rounded up, so that only a duration of zero is 0. Negative ones count as 0. */
static inline uint64_t weir_duration_ms(const Google__Protobuf__Duration *value, uint64_t if_unset)
{
    if (!value) return if_unset;
    if (value->seconds < 0 || value->nanos < 0) return 0;
    return (uint64_t)value->seconds * 1000 + ((uint64_t)value->nanos + 999999) / 1000000;
}
/** A protobuf string: "" gives the absent slice. */
static inline struct weir_slice weir_proto_str(const char *str)
{
    return str && *str ? weir_slice_str(str) : WEIR_S_NONE;
}
/** As parts in a million. */
static inline uint32_t weir_fraction_ppm(const Envoy__Type__V3__FractionalPercent *value, uint32_t if_unset)
{
    if (!value) return if_unset;
    uint64_t scale = value->denominator == ENVOY__TYPE__V3__FRACTIONAL_PERCENT__DENOMINATOR_TYPE__HUNDRED        ? 10000
                     : value->denominator == ENVOY__TYPE__V3__FRACTIONAL_PERCENT__DENOMINATOR_TYPE__TEN_THOUSAND ? 100
                                                                                                                : 1;
    uint64_t ppm = value->numerator * scale;
    return ppm > 1000000 ? 1000000 : (uint32_t)ppm;
}

#endif
