// Command envoy-api writes what weir knows of Envoy's API, into the current folder:
//
//	envoy_api.binpb    all .proto files as a FileDescriptorSet, from which protoc-gen-c makes C
//	envoy_api_rules.c  what those files say beyond types: validation rules, deprecations, former names (src/config/api_rules.h)
//	files.txt          the names of the files
//
// Usage: envoy-api FOLDER..., the folders of the Go packages that carry the files. The descriptors are read out of the
// generated Go sources: linking some 400 packages only to ask each for its descriptor takes a minute, this a second.
package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("envoy-api: ")
	files := map[string]*descriptorpb.FileDescriptorProto{}
	for _, dir := range os.Args[1:] {
		sources, err := filepath.Glob(filepath.Join(dir, "*.pb.go"))
		check(err)
		for _, source := range sources {
			if file := readDescriptor(source); file != nil {
				files[file.GetName()] = file
			}
		}
	}

	set := &descriptorpb.FileDescriptorSet{}
	inOrder(files, set)
	registry, err := protodesc.NewFiles(set)
	check(err)
	var messages []protoreflect.MessageDescriptor
	var enums []protoreflect.EnumDescriptor
	for _, file := range set.File {
		d, err := registry.FindFileByPath(file.GetName())
		check(err)
		messages = collect(d, messages, &enums)
		avoidCollisions(file.MessageType)
	}
	sort.Slice(messages, func(i, j int) bool { return messages[i].FullName() < messages[j].FullName() })
	sort.Slice(enums, func(i, j int) bool { return enums[i].FullName() < enums[j].FullName() })

	bytes, err := proto.MarshalOptions{Deterministic: true}.Marshal(set)
	check(err)
	check(os.WriteFile("envoy_api.binpb", bytes, 0o644))
	var names strings.Builder
	for _, file := range set.File {
		fmt.Fprintln(&names, file.GetName())
	}
	check(os.WriteFile("files.txt", []byte(names.String()), 0o644))
	check(os.WriteFile("envoy_api_rules.c", writeRules(messages, enums), 0o644))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// readDescriptor returns the file descriptor in a source that protoc-gen-go wrote, nil where there is none. Newer sources
// hold it as a string constant, older ones as a slice of bytes.
func readDescriptor(source string) *descriptorpb.FileDescriptorProto {
	parsed, err := parser.ParseFile(token.NewFileSet(), source, nil, parser.SkipObjectResolution)
	check(err)
	for _, decl := range parsed.Decls {
		gen, ok := decl.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range gen.Specs {
			value, ok := spec.(*ast.ValueSpec)
			if !ok || !strings.HasSuffix(value.Names[0].Name, "_rawDesc") || len(value.Values) == 0 {
				continue
			}
			file := &descriptorpb.FileDescriptorProto{}
			if err := proto.Unmarshal(constantBytes(value.Values[0]), file); err != nil {
				log.Fatalf("%s: %v", source, err)
			}
			return file
		}
	}
	return nil
}

func constantBytes(e ast.Expr) []byte {
	switch e := e.(type) {
	case *ast.BinaryExpr:
		return append(constantBytes(e.X), constantBytes(e.Y)...)
	case *ast.CompositeLit:
		bytes := make([]byte, len(e.Elts))
		for i, element := range e.Elts {
			n, err := strconv.ParseUint(element.(*ast.BasicLit).Value, 0, 8)
			check(err)
			bytes[i] = byte(n)
		}
		return bytes
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		check(err)
		return []byte(text)
	}
	log.Fatalf("a descriptor is neither text nor bytes but %T", e)
	return nil
}

// inOrder adds the files to the set, each after those that it imports.
func inOrder(files map[string]*descriptorpb.FileDescriptorProto, set *descriptorpb.FileDescriptorSet) {
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	sort.Strings(names)
	added := map[string]bool{}
	var add func(name string)
	add = func(name string) {
		if added[name] {
			return
		}
		added[name] = true
		if files[name] == nil {
			log.Fatalf("%s is imported, but no package has it", name)
		}
		for _, dependency := range files[name].Dependency {
			add(dependency)
		}
		set.File = append(set.File, files[name])
	}
	for _, name := range names {
		add(name)
	}
}

type scope interface {
	Messages() protoreflect.MessageDescriptors
	Enums() protoreflect.EnumDescriptors
}

func collect(s scope, messages []protoreflect.MessageDescriptor, enums *[]protoreflect.EnumDescriptor) []protoreflect.MessageDescriptor {
	for i := 0; i < s.Enums().Len(); i++ {
		*enums = append(*enums, s.Enums().Get(i))
	}
	for i := 0; i < s.Messages().Len(); i++ {
		if m := s.Messages().Get(i); !m.IsMapEntry() {
			messages = collect(m, append(messages, m), enums)
		}
	}
	return messages
}

// avoidCollisions renames protobuf-c's own member, `base`, in messages with a field of that name: the option
// (pb_c_msg).base_field_name of protobuf-c.proto.
func avoidCollisions(messages []*descriptorpb.DescriptorProto) {
	for _, m := range messages {
		for _, f := range m.Field {
			if f.GetName() != "base" {
				continue
			}
			option := protowire.AppendTag(nil, 3, protowire.BytesType)
			option = protowire.AppendString(option, "base_message")
			unknown := protowire.AppendTag(nil, 1019, protowire.BytesType)
			unknown = protowire.AppendBytes(unknown, option)
			if m.Options == nil {
				m.Options = &descriptorpb.MessageOptions{}
			}
			m.Options.ProtoReflect().SetUnknown(append(m.Options.ProtoReflect().GetUnknown(), unknown...))
		}
		avoidCollisions(m.NestedType)
	}
}
