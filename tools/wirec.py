#!/usr/bin/env python3
"""wirec - turns weir's protocol schemas (src/wire/schema/**/*.wire) into wire/messages.h and wire/messages.c.

    wirec.py --output DIR FILE.wire ...

A schema file describes messages, one field a line; src/wire/README.md explains the notation. The header gets a
struct for every message and for every struct inside one; the source gets the tables that src/wire's one interpreter
walks. The generator refuses what the interpreter could not handle, so that the interpreter need not check it.
"""
import argparse
import os
import re
import sys

OPEN = 32767  # the last version of an open range
DEPTH_MAX = 8  # nested structs; WIRE_DEPTH_MAX in wire/schema.h

# kind: (C type, bytes on the wire before flexible versions, bytes on the wire since)
KINDS = {
    "bool": ("bool", 1, 1),
    "int8": ("int8_t", 1, 1),
    "int16": ("int16_t", 2, 2),
    "uint16": ("uint16_t", 2, 2),
    "int32": ("int32_t", 4, 4),
    "int64": ("int64_t", 8, 8),
    "float64": ("double", 8, 8),
    "uuid": ("wire_uuid", 16, 16),
    "string": ("weir_bytes", 2, 1),
    "bytes": ("weir_bytes", 4, 1),
    "records": ("weir_bytes", 4, 1),
}
ARRAY_BYTES = (4, 1)
TEXT_KINDS = ("string", "bytes", "records")
NUMBER_LIMITS = {
    "int8": (-(2**7), 2**7 - 1),
    "int16": (-(2**15), 2**15 - 1),
    "uint16": (0, 2**16 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1),
}
MESSAGES = {  # first word of a message's line: (suffix of its name, needs a key)
    "request": ("Request", True),
    "response": ("Response", True),
    "header": ("", False),
    "data": ("", False),
    "metadata": ("", True),
    "record_key": ("", True),
    "record_value": ("", True),
}
NEVER = (1, 0)


class SchemaError(Exception):
    pass


def snake(name):
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()


def parse_range(text):
    """'3-' is 3 and later, '0-4' and '2' are closed."""
    match = re.fullmatch(r"(\d+)(-(\d*))?", text)
    if not match:
        raise SchemaError(f"'{text}' is no version range; write 3-, 0-4 or 2")
    first = int(match[1])
    last = first if match[2] is None else OPEN if match[3] == "" else int(match[3])
    if last < first:
        raise SchemaError(f"version range {text} is empty")
    return first, last


class Field:
    def __init__(self, words, where):
        if len(words) < 3:
            raise SchemaError("a field is 'name type versions [option ...]'")
        self.where = where
        self.name, kind, versions = words[:3]
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.name):
            raise SchemaError(f"field name '{self.name}' is not in snake_case")
        self.versions = parse_range(versions)
        self.array = kind.startswith("[]")
        nullable = kind.endswith("?")
        self.kind = kind.removeprefix("[]").removesuffix("?")
        if self.kind not in KINDS and not re.fullmatch(r"[A-Z][A-Za-z0-9]*", self.kind):
            raise SchemaError(f"unknown type '{self.kind}'")
        self.struct = None
        self.nulls = self.versions if nullable else NEVER
        self.tag, self.tagged = -1, NEVER
        self.default = None
        self.ignorable = self.inflexible = False
        for option in words[3:]:
            self.take_option(option)
        self.check()

    def take_option(self, option):
        name, _, value = option.partition("=")
        if name == "default" and value:
            self.default = value
        elif name == "tag" and value.isdigit():
            self.tag = int(value)
            if self.tagged == NEVER:
                self.tagged = self.versions
        elif name == "tagged":
            self.tagged = parse_range(value)
        elif name == "nullable" and self.nulls != NEVER:
            self.nulls = parse_range(value)
        elif option == "ignorable":
            self.ignorable = True
        elif option == "inflexible":
            self.inflexible = True
        else:
            raise SchemaError(f"unknown or misplaced option '{option}'")

    def check(self):
        is_struct = self.kind not in KINDS
        can_be_null = self.array or is_struct or self.kind in TEXT_KINDS
        if self.nulls != NEVER and not can_be_null:
            raise SchemaError(f"{self.kind} cannot be null")
        if self.default == "null" and self.nulls == NEVER:
            raise SchemaError("default=null needs a type with '?'")
        if is_struct and not self.array and self.nulls != NEVER and self.default != "null":
            raise SchemaError("a struct that may be null needs default=null")
        if self.default not in (None, "null"):
            self.number_default()
        if (self.tag < 0) != (self.tagged == NEVER):
            raise SchemaError("tagged= needs tag=")

    def number_default(self):
        """The default of a scalar as a C integer expression."""
        if self.default is None:
            return "0"
        if self.kind == "bool" and not self.array and self.default in ("true", "false"):
            return "1" if self.default == "true" else "0"
        if self.kind not in NUMBER_LIMITS or self.array or not re.fullmatch(r"-?\d+", self.default):
            raise SchemaError(f"default {self.default} does not fit {self.kind}")
        low, high = NUMBER_LIMITS[self.kind]
        value = int(self.default)
        if not low <= value <= high:
            raise SchemaError(f"default {value} is outside {self.kind}")
        return "INT64_MIN" if value == -(2**63) else f"INT64_C({value})"

    @property
    def is_struct(self):
        return self.kind not in KINDS

    @property
    def is_pointer(self):
        return self.is_struct and not self.array and self.nulls != NEVER

    def item_type(self):
        return self.struct.c_name if self.is_struct else KINDS[self.kind][0]

    def declaration(self):
        if not self.array:
            return f"{self.item_type()} {'*' if self.is_pointer else ''}{self.name};"
        if self.is_struct:
            return f"struct {{\n        {self.item_type()} *items;\n        int32_t count;\n    }} {self.name};"
        return f"wire_{self.kind}_array {self.name};"

    def bytes_min(self, version, flexible):
        """The fewest bytes of this field in a version."""
        if not self.versions[0] <= version <= self.versions[1] or self.is_tagged(version):
            return 0
        compact = flexible and not self.inflexible
        if self.array:
            return ARRAY_BYTES[compact]
        if self.is_struct:
            return 1 if self.is_pointer else self.struct.bytes_min_at(version, flexible)
        return KINDS[self.kind][2 if compact else 1]

    def is_tagged(self, version):
        return self.tagged[0] <= version <= self.tagged[1]


class Struct:
    def __init__(self, name):
        self.name = name
        self.fields = []
        self.c_name = None
        self.bytes_min = None
        self.live = set()  # the message's versions in which the struct can occur

    def bytes_min_at(self, version, flexible):
        return sum(field.bytes_min(version, flexible) for field in self.fields) + (1 if flexible else 0)

    def check(self):
        names = [field.name for field in self.fields]
        for name in names:
            if names.count(name) > 1:
                raise SchemaError(f"{self.name} has two fields {name}")
        tags = [field.tag for field in self.fields if field.tag >= 0]
        if tags != sorted(set(tags)):
            raise SchemaError(f"{self.name}: tags must grow from field to field")


class Message:
    def __init__(self, words, where):
        self.where = where
        if len(words) < 2:
            raise SchemaError("a message is 'kind Name [key=] versions= flexible= [advertise=]'")
        self.kind, self.api = words[:2]
        suffix, needs_key = MESSAGES[self.kind]
        self.name = self.api + suffix
        options = dict(word.partition("=")[::2] for word in words[2:])
        unknown = set(options) - {"key", "versions", "flexible", "advertise"}
        if unknown or not {"versions", "flexible"} <= set(options) or ("key" in options) != needs_key:
            raise SchemaError(f"{self.kind} {self.api} needs versions=, flexible={' and key=' if needs_key else ''}")
        self.key = int(options.get("key", -1))
        self.versions = parse_range(options["versions"])
        self.flexible = OPEN if options["flexible"] == "none" else int(options["flexible"])
        self.advertised = parse_range(options.get("advertise", options["versions"]))
        if self.versions[1] == OPEN or self.advertised[1] == OPEN:
            raise SchemaError("a message's versions must end")
        self.body = Struct(self.name)
        self.structs = {}
        self.c_stem = snake(self.name)

    def title(self):
        return {"request": self.api, "response": f"{self.api} response"}.get(self.kind, self.name)

    def add_struct(self, name):
        if name in self.structs:
            raise SchemaError(f"{self.name} has two structs {name}")
        self.structs[name] = Struct(name)
        return self.structs[name]

    def struct_c_name(self, name):
        """The message's name and the struct's, without the words they share at the front."""
        words, prefix = snake(name).split("_"), self.c_stem.split("_")
        shared = 0
        while shared < min(len(words) - 1, len(prefix)) and words[shared] == prefix[shared]:
            shared += 1
        return "wire_" + self.c_stem + "_" + "_".join(words[shared:])

    def resolve(self):
        self.body.c_name = "wire_" + self.c_stem
        for struct in self.structs.values():
            struct.c_name = self.struct_c_name(struct.name)
        for struct in [self.body, *self.structs.values()]:
            for field in struct.fields:
                if field.is_struct:
                    if field.kind not in self.structs:
                        raise SchemaError(f"{field.where}: struct {field.kind} is not described in {self.name}")
                    field.struct = self.structs[field.kind]
            struct.check()
        self.order = []
        self.visit(self.body, range(self.versions[0], self.versions[1] + 1), [])
        for struct in self.structs.values():
            if struct not in self.order:
                raise SchemaError(f"{self.name}: struct {struct.name} is never used")
        for struct in self.order:
            struct.bytes_min = min(struct.bytes_min_at(v, v >= self.flexible) for v in struct.live)
            if struct is not self.body and struct.bytes_min == 0:
                raise SchemaError(f"{self.name}: struct {struct.name} can be empty, so its count could not be checked")

    def visit(self, struct, versions, path):
        """Collects structs, inner ones first, and the versions in which each occurs."""
        if struct in path:
            raise SchemaError(f"{self.name}: struct {struct.name} contains itself")
        if len(path) >= DEPTH_MAX:
            raise SchemaError(f"{self.name}: structs nest deeper than {DEPTH_MAX}")
        struct.live |= set(versions)
        for field in struct.fields:
            if field.is_struct:
                inner = [v for v in versions if field.versions[0] <= v <= field.versions[1]]
                self.visit(field.struct, inner, path + [struct])
        if struct not in self.order:
            self.order.append(struct)


def parse_file(path):
    messages, stack = [], []
    for number, line in enumerate(open(path, encoding="utf-8"), 1):
        text = line.split("#", 1)[0].rstrip()
        if not text:
            continue
        where = f"{path}:{number}"
        try:
            indent = len(text) - len(text.lstrip(" "))
            words = text.split()
            if "\t" in text or indent % 2:
                raise SchemaError("indentation is two spaces a level")
            if indent == 0:
                if words[0] not in MESSAGES:
                    raise SchemaError(f"unknown kind of message '{words[0]}'")
                messages.append(Message(words, where))
                stack = [(2, messages[-1].body)]
                continue
            if not messages:
                raise SchemaError("a field before the first message")
            if indent == 2 and words[0] == "struct" and len(words) == 2:
                stack = stack[:1] + [(4, messages[-1].add_struct(words[1]))]
                continue
            while stack and stack[-1][0] > indent:
                stack.pop()
            if not stack or stack[-1][0] != indent:
                raise SchemaError("indented under a field that is no struct")
            field = Field(words, where)
            stack[-1][1].fields.append(field)
            # A struct used for the first time is described in place; one described before is only named.
            if field.is_struct and next_indent(path, number) > indent:
                stack.append((indent + 2, messages[-1].add_struct(field.kind)))
        except SchemaError as error:
            raise SchemaError(f"{where}: {error}") from None
    for message in messages:
        message.resolve()
    return messages


def next_indent(path, number):
    for line in open(path, encoding="utf-8").readlines()[number:]:
        text = line.split("#", 1)[0].rstrip()
        if text:
            return len(text) - len(text.lstrip(" "))
    return 0


def collect_apis(messages):
    apis = []
    for message in messages:
        if message.kind != "request":
            continue
        answers = [m for m in messages if m.kind == "response" and m.api == message.api]
        if len(answers) != 1 or answers[0].versions != message.versions or answers[0].key != message.key:
            raise SchemaError(f"{message.where}: needs one response with the same key and versions")
        if answers[0].flexible != message.flexible:
            raise SchemaError(f"{message.where}: request and response become flexible together")
        apis.append((message, answers[0]))
    return sorted(apis, key=lambda pair: pair[0].key)


HEADER_OPENING = """/* wire/messages - one struct for every message of the schemas.
 *
 * Generated by tools/wirec.py from src/wire/schema; do not edit.
 *
 * Text and bytes are views: data NULL is null. In an array count -1 is null. A struct that may be null is a pointer.
 * x_init() fills in Kafka's defaults; x_new() takes `count` such structs from an arena, NULL at the arena's limit. */
#ifndef WEIR_WIRE_MESSAGES_H
#define WEIR_WIRE_MESSAGES_H

#include "wire/schema.h"

"""


def write_header(messages, apis, out):
    out.write(HEADER_OPENING)
    out.write("typedef enum wire_message_id {\n")
    for message in messages:
        out.write(f"    WIRE_{message.c_stem.upper()},\n")
    out.write("    WIRE_MESSAGE_COUNT\n} wire_message_id;\n\n")
    out.write("typedef enum wire_api_key {\n")
    for request, _ in apis:
        out.write(f"    WIRE_API_{snake(request.api).upper()} = {request.key},\n")
    out.write(f"}} wire_api_key;\nenum {{ WIRE_API_COUNT = {len(apis)} }};\n\n")
    metadata = [m for m in messages if m.kind == "metadata"]
    if metadata:
        out.write("typedef enum wire_metadata_key { /* kinds of records in __cluster_metadata */\n")
        for message in sorted(metadata, key=lambda m: m.key):
            out.write(f"    WIRE_METADATA_KEY_{message.c_stem.upper().removesuffix('_RECORD')} = {message.key},\n")
        out.write("} wire_metadata_key;\n\n")
    records = [m for m in messages if m.kind == "record_key"]
    if records:
        out.write("typedef enum wire_group_key { /* kinds of records in __consumer_offsets */\n")
        for message in sorted(records, key=lambda m: m.key):
            out.write(f"    WIRE_GROUP_KEY_{message.c_stem.upper().removesuffix('_KEY')} = {message.key},\n")
        out.write("} wire_group_key;\n\n")
    for message in messages:
        out.write(f"/* ---- {message.title()}, versions {message.versions[0]} to {message.versions[1]} ---- */\n\n")
        for struct in message.order:
            write_struct(struct, out)
    out.write("#endif\n")


def write_struct(struct, out):
    name = struct.c_name
    out.write(f"typedef struct {name} {{\n")
    for field in struct.fields:
        out.write(f"    {field.declaration()}\n")
    if not struct.fields:
        out.write("    char nothing; /* the message has no fields */\n")
    out.write(f"}} {name};\n")
    out.write(f"extern const wire_struct {name}_schema;\n")
    out.write(f"static inline void {name}_init({name} *target) {{\n    wire_struct_init(&{name}_schema, target);\n}}\n")
    out.write(f"static inline {name} *{name}_new(weir_arena *arena, int32_t count) {{\n")
    out.write(f"    return ({name} *)wire_struct_new(&{name}_schema, arena, count);\n}}\n\n")


def field_row(struct, field):
    kind = "WIRE_STRUCT" if field.is_struct else "WIRE_" + field.kind.upper()
    parts = [f'.name = "{field.name}"', f".kind = {kind}", f".offset = offsetof({struct.c_name}, {field.name})"]
    parts.append(f".first = {field.versions[0]}, .last = {field.versions[1]}")
    parts.append(f".null_first = {field.nulls[0]}, .null_last = {field.nulls[1]}")
    parts.append(f".tag = {field.tag}, .tag_first = {field.tagged[0]}, .tag_last = {field.tagged[1]}")
    if field.is_struct:
        parts.append(f".type = &{field.struct.c_name}_schema")
    for flag in ("array", "ignorable", "inflexible"):
        if getattr(field, flag):
            parts.append(f".{flag} = true")
    if field.is_pointer:
        parts.append(".pointer = true")
    if field.default == "null":
        parts.append(".null_fallback = true")
    elif field.default is not None:
        parts.append(f".fallback = {field.number_default()}")
    return "    {" + ", ".join(parts) + "},\n"


def write_source(messages, apis, out):
    out.write("/* Generated by tools/wirec.py from src/wire/schema; do not edit. */\n")
    out.write('#include "wire/messages.h"\n\n#include <stddef.h>\n\n')
    for message in messages:
        for struct in message.order:
            name = struct.c_name
            if struct.fields:
                out.write(f"static const wire_field {name}_fields[] = {{\n")
                out.writelines(field_row(struct, field) for field in struct.fields)
                out.write("};\n")
            fields = f"{name}_fields" if struct.fields else "NULL"
            out.write(f'const wire_struct {name}_schema = {{.name = "{struct.name}", .fields = {fields}, ')
            out.write(f".field_count = {len(struct.fields)}, .bytes_min = {struct.bytes_min}, ")
            out.write(f".size = sizeof({name})}};\n\n")
    out.write("const wire_message wire_messages[WIRE_MESSAGE_COUNT] = {\n")
    for message in messages:
        out.write(f'    [WIRE_{message.c_stem.upper()}] = {{.name = "{message.title()}", ')
        out.write(f".kind = WIRE_MESSAGE_{message.kind.upper()}, .body = &wire_{message.c_stem}_schema, ")
        out.write(f".key = {message.key}, .min = {message.versions[0]}, .max = {message.versions[1]}, ")
        out.write(f".flexible = {message.flexible}}},\n")
    out.write("};\n\nconst wire_api wire_apis[WIRE_API_COUNT] = {\n")
    for request, response in apis:
        out.write(f'    {{.name = "{request.api}", .key = {request.key}, .min = {request.versions[0]}, ')
        out.write(f".max = {request.versions[1]}, .advertised_min = {request.advertised[0]}, ")
        out.write(f".advertised_max = {request.advertised[1]}, .flexible = {request.flexible}, ")
        out.write(f".request = WIRE_{request.c_stem.upper()}, .response = WIRE_{response.c_stem.upper()}}},\n")
    out.write("};\n")


def main():
    arguments = argparse.ArgumentParser(description="weir's protocol schemas to C tables")
    arguments.add_argument("--output", required=True, help="folder that gets wire/messages.h and wire/messages.c")
    arguments.add_argument("files", nargs="+")
    options = arguments.parse_args()
    try:
        messages = [message for path in sorted(options.files) for message in parse_file(path)]
        stems = [message.c_stem for message in messages]
        for message in messages:
            if stems.count(message.c_stem) > 1:
                raise SchemaError(f"{message.where}: {message.name} is described twice")
        apis = collect_apis(messages)
    except SchemaError as error:
        sys.exit(f"wirec: {error}")
    folder = os.path.join(options.output, "wire")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "messages.h"), "w", encoding="utf-8") as out:
        write_header(messages, apis, out)
    with open(os.path.join(folder, "messages.c"), "w", encoding="utf-8") as out:
        write_source(messages, apis, out)


if __name__ == "__main__":
    main()
