package main

import (
	"fmt"
	"log"
	"math"
	"sort"
	"strconv"
	"strings"

	udpa "github.com/cncf/xds/go/udpa/annotations"
	"github.com/envoyproxy/go-control-plane/envoy/annotations"
	"github.com/envoyproxy/protoc-gen-validate/validate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// A rule is one row of the C table: struct weir_rule.
type rule struct {
	field   protoreflect.FieldNumber
	scope   string // SELF, ITEM, KEY or VALUE
	op      string // the end of an enumerator of weir_rule_op
	operand string // the C initialiser of the union's member; "" for none
}

// writeRules returns the C source with the tables that src/config/api_rules.h declares.
func writeRules(messages []protoreflect.MessageDescriptor, enums []protoreflect.EnumDescriptor) []byte {
	var externs, rows, index, registry, former, values strings.Builder
	nRows, nIndex, nFormer, nValues := 0, 0, 0, 0
	formerNames := map[string]string{}

	for _, m := range messages {
		name := string(m.FullName())
		descriptor := descriptorName(name)
		fmt.Fprintf(&externs, "extern const ProtobufCMessageDescriptor %s;\n", descriptor)
		fmt.Fprintf(&registry, "    &%s,\n", descriptor)

		rules := messageRules(m)
		if len(rules) > 0 {
			fmt.Fprintf(&index, "    {%s, rules + %d, %d},\n", quote(name), nRows, len(rules))
			nIndex++
			fmt.Fprintf(&rows, "    /* %s */\n", name)
			for _, r := range rules {
				operand := ""
				if r.operand != "" {
					operand = ", {" + r.operand + "}"
				}
				fmt.Fprintf(&rows, "    {%d, WEIR_RULE_%s, WEIR_RULE_%s%s},\n", r.field, r.scope, r.op, operand)
			}
			nRows += len(rules)
		}
		if v, ok := proto.GetExtension(m.Options(), udpa.E_Versioning).(*udpa.VersioningAnnotation); ok && v.GetPreviousMessageType() != "" {
			formerNames[v.GetPreviousMessageType()] = descriptor
		}
	}
	for _, name := range sortedKeys(formerNames) {
		fmt.Fprintf(&former, "    {%s, &%s},\n", quote(name), formerNames[name])
		nFormer++
	}
	for _, e := range enums {
		for i := 0; i < e.Values().Len(); i++ {
			v := e.Values().Get(i)
			disallowed := proto.GetExtension(v.Options(), annotations.E_DisallowedByDefaultEnum).(bool)
			if disallowed || v.Options().(interface{ GetDeprecated() bool }).GetDeprecated() {
				fmt.Fprintf(&values, "    {%s, %d, %t},\n", quote(string(e.FullName())), v.Number(), disallowed)
				nValues++
			}
		}
	}

	var c strings.Builder
	fmt.Fprintf(&c, "/* Written by third_party/envoy-api; do not edit. */\n#include \"config/api_rules.h\"\n\n%s\n", externs.String())
	fmt.Fprintf(&c, "static const struct weir_rule rules[] = {\n%s};\n\n", rows.String())
	table := func(declaration, count string, n int, rows string) {
		fmt.Fprintf(&c, "const %s[] = {\n%s};\nconst size_t %s = %d;\n\n", declaration, rows, count, n)
	}
	table("struct weir_message_rules weir_api_rules", "weir_api_n_rules", nIndex, index.String())
	table("ProtobufCMessageDescriptor *const weir_api_messages", "weir_api_n_messages", len(messages), registry.String())
	table("struct weir_former_name weir_api_former_names", "weir_api_n_former_names", nFormer, former.String())
	table("struct weir_deprecated_value weir_api_deprecated_values", "weir_api_n_deprecated_values", nValues, values.String())
	return []byte(c.String())
}

// messageRules returns the rules of a message's fields and oneofs, by field number.
func messageRules(m protoreflect.MessageDescriptor) []rule {
	if proto.GetExtension(m.Options(), validate.E_Disabled).(bool) || proto.GetExtension(m.Options(), validate.E_Ignored).(bool) {
		return nil
	}
	var rules []rule
	fields := m.Fields()
	for i := 0; i < fields.Len(); i++ {
		f := fields.Get(i)
		if f.JSONName() != lowerCamel(string(f.Name())) {
			log.Fatalf("%s has the JSON name %s, which does not follow from its name", f.FullName(), f.JSONName())
		}
		add := func(scope, op, operand string) {
			rules = append(rules, rule{f.Number(), scope, op, operand})
		}
		if r, ok := proto.GetExtension(f.Options(), validate.E_Rules).(*validate.FieldRules); ok && r != nil {
			fieldRules(f, r, "SELF", add)
		}
		if proto.GetExtension(f.Options(), udpa.E_Sensitive).(bool) {
			add("SELF", "SENSITIVE", "")
		}
		if proto.GetExtension(f.Options(), annotations.E_DisallowedByDefault).(bool) {
			add("SELF", "DISALLOWED", "")
		}
	}
	for i := 0; i < m.Oneofs().Len(); i++ {
		if o := m.Oneofs().Get(i); proto.GetExtension(o.Options(), validate.E_Required).(bool) {
			rules = append(rules, rule{o.Fields().Get(0).Number(), "SELF", "ONEOF", ".s = " + quote(string(o.Name()))})
		}
	}
	sort.SliceStable(rules, func(i, j int) bool {
		a, b := rules[i], rules[j]
		if a.field != b.field {
			return a.field < b.field
		}
		return a.scope+a.op < b.scope+b.op
	})
	return rules
}

// How the fields of the messages in validate.proto are called in weir_rule_op, where it is not their name in capitals.
var opNames = map[string]string{"min_pairs": "MIN_ITEMS", "max_pairs": "MAX_ITEMS"}

// Strings and bytes count their length differently: that of bytes is in octets already.
var bytesOpNames = map[string]string{"len": "LEN_BYTES", "min_len": "MIN_BYTES", "max_len": "MAX_BYTES"}

// fieldRules walks what is set in the rules of a field, or of a field's items, keys or values.
func fieldRules(f protoreflect.FieldDescriptor, r *validate.FieldRules, scope string, add func(scope, op, operand string)) {
	strict := "1"
	if s := r.GetString_(); s != nil && !s.GetStrict() {
		strict = "0"
	}
	r.ProtoReflect().Range(func(kind protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		v.Message().Range(func(option protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			name := string(option.Name())
			op := strings.ToUpper(name)
			if special := opNames[name]; special != "" {
				op = special
			}
			if special := bytesOpNames[name]; special != "" && kind.Name() == "bytes" {
				op = special
			}
			switch {
			case name == "items":
				fieldRules(f, v.Message().Interface().(*validate.FieldRules), "ITEM", add)
			case name == "keys":
				fieldRules(f, v.Message().Interface().(*validate.FieldRules), "KEY", add)
			case name == "values":
				fieldRules(f, v.Message().Interface().(*validate.FieldRules), "VALUE", add)
			case name == "strict": // said with the format that it changes
			case name == "well_known_regex":
				switch validate.KnownRegex(v.Enum()) {
				case validate.KnownRegex_HTTP_HEADER_NAME:
					add(scope, "HEADER_NAME", ".i = "+strict)
				case validate.KnownRegex_HTTP_HEADER_VALUE:
					add(scope, "HEADER_VALUE", ".i = "+strict)
				}
			case option.IsList():
				for i := 0; i < v.List().Len(); i++ {
					addOperand(f, scope, op, option, v.List().Get(i), add)
				}
			case option.Kind() == protoreflect.BoolKind && kind.Name() != "bool":
				if v.Bool() {
					add(scope, op, "")
				}
			default:
				addOperand(f, scope, op, option, v, add)
			}
			return true
		})
		return true
	})
}

func addOperand(f protoreflect.FieldDescriptor, scope, op string, option protoreflect.FieldDescriptor, v protoreflect.Value, add func(scope, op, operand string)) {
	switch value := v.Interface().(type) {
	case bool:
		if value {
			add(scope, op, ".i = 1")
		} else {
			add(scope, op, ".i = 0")
		}
	case int32, int64:
		add(scope, op, fmt.Sprintf(".i = %s", integer(v.Int())))
	case uint32, uint64:
		if v.Uint() <= math.MaxInt64 {
			add(scope, op, fmt.Sprintf(".i = %d", v.Uint()))
		}
	case float32, float64:
		add(scope, op, ".d = "+strconv.FormatFloat(v.Float(), 'g', -1, 64))
	case string:
		add(scope, op, ".s = "+quote(value))
	case []byte:
		add(scope, op, ".s = "+quote(string(value)))
	case protoreflect.Message:
		switch m := value.Interface().(type) {
		case *durationpb.Duration:
			add(scope, op, ".i = "+integer(m.GetSeconds()*1e9+int64(m.GetNanos())))
		case *timestamppb.Timestamp:
			add(scope, op, ".i = "+integer(m.GetSeconds()*1e9+int64(m.GetNanos())))
		default:
			log.Fatalf("%s: no way to write the operand of %s", f.FullName(), option.FullName())
		}
	default:
		log.Fatalf("%s: no way to write the operand of %s", f.FullName(), option.FullName())
	}
}

func integer(n int64) string {
	if n == math.MinInt64 {
		return "INT64_MIN"
	}
	return strconv.FormatInt(n, 10)
}

// quote returns a C string literal. A NUL in it would end it early: no rule has one.
func quote(s string) string {
	var c strings.Builder
	c.WriteByte('"')
	for i := 0; i < len(s); i++ {
		switch b := s[i]; {
		case b == 0:
			log.Fatalf("%q has a NUL", s)
		case b == '"' || b == '\\':
			c.WriteByte('\\')
			c.WriteByte(b)
		case b < ' ' || b > '~' || b == '?':
			fmt.Fprintf(&c, "\\%03o", b)
		default:
			c.WriteByte(b)
		}
	}
	c.WriteByte('"')
	return c.String()
}

// descriptorName returns what protobuf-c calls the descriptor of a message.
func descriptorName(fullName string) string {
	parts := strings.Split(fullName, ".")
	for i, part := range parts {
		var lower strings.Builder
		wasUpper := true
		for _, c := range part {
			upper := c >= 'A' && c <= 'Z'
			if upper && !wasUpper {
				lower.WriteByte('_')
			}
			lower.WriteString(strings.ToLower(string(c)))
			wasUpper = upper
		}
		parts[i] = lower.String()
	}
	return strings.Join(parts, "__") + "__descriptor"
}

// lowerCamel derives a field's JSON name from its name, as protoc does.
func lowerCamel(name string) string {
	var camel strings.Builder
	up := false
	for _, c := range name {
		switch {
		case c == '_':
			up = true
		case up:
			camel.WriteString(strings.ToUpper(string(c)))
			up = false
		default:
			camel.WriteRune(c)
		}
	}
	return camel.String()
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}
