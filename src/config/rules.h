/* The rules of the schema. Private to src/config. */
#ifndef WEIR_CONFIG_RULES_H
#define WEIR_CONFIG_RULES_H

#include "config/index.h"

/** Checks `msg` and everything in it against the rules of validate/validate.proto, and reports every break.
 *  Fields that could not be read are left alone: they are reported already. */
void weir_rules_check(struct weir_config *conf, const ProtobufCMessage *msg);

/** Is the field marked as sensitive (udpa.annotations.sensitive)? */
bool weir_rules_is_sensitive(const ProtobufCMessageDescriptor *type, const ProtobufCFieldDescriptor *field);

#endif
