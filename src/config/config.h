/* A configuration that was read: Envoy's own message structs, what each google.protobuf.Any in them holds,
 * and where in the file every message stands, so that later checks can name line, column and path too. */
#ifndef WEIR_CONFIG_CONFIG_H
#define WEIR_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/slice.h"
#include "config/diag.h"
#include "config/node.h"
#include "envoy/config/bootstrap/v3/bootstrap.pb-c.h"

struct weir_config {
    struct weir_arena arena; // every message and string; lives as long as the configuration
    struct weir_diag *diag;  // borrowed; where reading and later checks report
    /* NULL until something was read. After errors it holds all that could be understood. */
    Envoy__Config__Bootstrap__V3__Bootstrap *bootstrap;
    bool lenient;                    // unknown fields are warnings, as in what a control plane sends
    struct weir_config_index *index; // private: message -> place, Any -> content
};

/** An empty configuration that reports to `diag` (which must outlive it). */
struct weir_config *weir_config_new(struct weir_diag *diag);
/** Gives back what only reports need (the trees, the places, what conf->diag has collected) once all checks
 *  are done and printed. The messages and what their Any messages hold stay; a later report is still
 *  possible, without a place. */
void weir_config_seal(struct weir_config *conf);
/** Accepts NULL. */
void weir_config_free(struct weir_config *conf);

/** Reads a bootstrap from a file, from a text that is merged over it (--config-yaml), or both.
 *  `path`: .yaml and .yml are YAML, .json is JSON, .pb is a serialised Bootstrap; other endings are refused,
 *          as Envoy does. NULL = no file. `overlay`: YAML or JSON text, NULL = none; lists are appended, the
 *          rest replaces.
 *  Errors: WEIR_ERR_INVALID when anything was reported as an error (all of it is in conf->diag); WEIR_ERR_IO
 *          when the file cannot be read (reported as well). conf->bootstrap is set whenever the text could be
 *          parsed, so that the caller can go on with its own checks and report all mistakes in one run. */
WEIR_MUST_CHECK enum weir_err weir_config_load(struct weir_config *conf, const char *path,
                                               const char *overlay);

/** Reads one message of any known type from a text; `name` stands for the file in reports.
 *  Errors: as weir_config_load; `*ret` is set even then if the text could be parsed, else NULL. */
WEIR_MUST_CHECK enum weir_err weir_config_read_text(struct weir_config *conf, struct weir_slice name,
                                                    struct weir_slice text,
                                                    const ProtobufCMessageDescriptor *type,
                                                    ProtobufCMessage **ret);
/** Reads one message from its serialised form, as a control plane sends it; the same rules are checked.
 *  Reports carry the path alone, `name` stands for the file. */
WEIR_MUST_CHECK enum weir_err weir_config_read_bytes(struct weir_config *conf, struct weir_slice name,
                                                     struct weir_slice bytes,
                                                     const ProtobufCMessageDescriptor *type,
                                                     ProtobufCMessage **ret);

/* What a google.protobuf.Any holds. TypedStruct is looked through: `type` and `msg` are those inside. */
struct weir_any {
    struct weir_slice type; // full message name, "envoy.extensions...v3.Router"; absent: no type URL given
    const ProtobufCMessage *msg; // NULL: empty, or of a type that weir does not know (reported when read)
};
/** Looks into an Any of this configuration. All absent for NULL and for one that is not of this
 * configuration. */
struct weir_any weir_config_any(const struct weir_config *conf, const Google__Protobuf__Any *any);
/** The message in `any` if it is of type `type`; NULL otherwise, without a report. */
const ProtobufCMessage *weir_config_any_as(const struct weir_config *conf, const Google__Protobuf__Any *any,
                                           const ProtobufCMessageDescriptor *type);
/** The bytes that a plugin gets for its configuration: the string of a StringValue, the bytes of a
 *  BytesValue, the JSON of a Struct, the serialised message of anything else, nothing for an empty Any. Lives
 *  in `arena`. Main thread only.
 *  Rule: Envoy's MessageUtil::anyToBytes. */
struct weir_slice weir_config_any_bytes(const struct weir_config *conf, const Google__Protobuf__Any *any,
                                        struct weir_arena *arena);
/** `msg` of this configuration, serialised together with what its Any messages hold (a TypedStruct's content
 *  excepted). Lives in `arena`. Main thread only. */
struct weir_slice weir_config_pack(const struct weir_config *conf, const ProtobufCMessage *msg,
                                   struct weir_arena *arena);
/** Warns that an extension was found by its name alone and shows the `typed_config` to write. `msg` is the
 *  message whose `typed_config` lacks a type (an HttpFilter, a Filter, ...). */
void weir_config_warn_untyped(struct weir_config *conf, const ProtobufCMessage *msg, const char *field,
                              const ProtobufCMessageDescriptor *type);

/** Reports an extension that weir does not have. `kind` is what it would be ("HTTP filter"), `owner` the
 *  message whose `typed_config` is `any` and whose `name` is `name`. Says whether Envoy knows it, and a near
 *  name otherwise. False, and nothing reported, when its type is unknown: that was reported when it was read.
 *  */
bool weir_config_refuse_extension(struct weir_config *conf, const ProtobufCMessage *owner, const char *kind,
                                  struct weir_any any, const char *name);

/* Reporting at a message. `msg` is any message of the configuration; `field` one of its fields by its proto
 * name, or NULL for the message itself; `index` an element of a repeated field, or -1. The place is the
 * field's value (its key for an error about the whole field), or the message's when the field was not
 * written. */
WEIR_PRINTF(5, 6)
void weir_config_error(struct weir_config *conf, const void *msg, const char *field, int index,
                       const char *fmt, ...);
WEIR_PRINTF(5, 6)
void weir_config_warn(struct weir_config *conf, const void *msg, const char *field, int index,
                      const char *fmt, ...);
/** Adds to the latest report what to write instead. */
#define weir_config_hint(conf, ...) weir_diag_hint((conf)->diag, __VA_ARGS__)
/** "static_resources.listeners[0].name": the path alone, in conf->arena. */
struct weir_slice weir_config_path(struct weir_config *conf, const void *msg, const char *field, int index);
/** The place of a message, or of one of its fields; line 0 when it is not known. */
struct weir_pos weir_config_pos(const struct weir_config *conf, const void *msg, const char *field,
                                int index);
/** Was the field written in the file (also with its default as value)? */
bool weir_config_is_set(const struct weir_config *conf, const void *msg, const char *field);

#endif
