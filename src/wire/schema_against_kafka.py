#!/usr/bin/env python3
"""Goal: weir's schemas say what Kafka's say.

Method: every message in src/wire/schema is held against the schema file of the same name from Kafka itself: key,
versions, flexible versions, and of every field name, type, versions, nullable and tagged versions, tag, default and
ignorable, in order, through all nested structs.

Kafka's files are not in this repository. They are looked for in $WEIR_SHARED/kafka-protocol, else in
../shared/kafka-protocol beside the source folder; without them the test says so and is skipped (status 77).
"""
import json
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))
import wirec  # noqa: E402

SKIPPED = 77
NEVER = wirec.NEVER


def strict_json(text):
    """Kafka's schema files have comments and a comma before a closing bracket; JSON has not. Strings stay whole."""
    string = r'("(?:[^"\\\n]|\\.)*")'
    text = re.sub(string + r"|//[^\n]*|/\*[\s\S]*?\*/", lambda match: match[1] or "", text)
    return re.sub(string + r"|,(?=\s*[\]}])", lambda match: match[1] or "", text)


def kafka_schemas(folder):
    schemas = {}
    for path, _, names in os.walk(folder):
        for name in names:
            if name.endswith(".json"):
                with open(os.path.join(path, name), encoding="utf-8") as file:
                    schema = json.loads(strict_json(file.read()))
                schemas[schema["name"]] = schema
    return schemas


def snake(name):
    return wirec.snake(name[0].upper() + name[1:])


def versions_of(text):
    """Kafka writes 3+ where weir writes 3-."""
    return NEVER if text in (None, "none") else wirec.parse_range(text.replace("+", "-"))


def narrowed(versions, outer):
    first, last = max(versions[0], outer[0]), min(versions[1], outer[1])
    return NEVER if versions == NEVER or first > last else (first, last)


def default_of(kind, array, value):
    """One spelling for every way to write a default; None where it is the type's own."""
    text = None if value is None else str(value)
    if text == "null":
        return "null"
    if array or text in (None, "", "false", "False"):
        return None
    if kind == "bool":
        return text.lower()
    if kind in wirec.NUMBER_LIMITS:
        number = int(text, 0)
        return str(number) if number else None
    return text


class Comparison:
    def __init__(self):
        self.problems = []
        self.fields = 0

    def expect(self, place, what, weir, kafka):
        if weir != kafka:
            self.problems.append(f"{place}: {what} is {weir}, Kafka says {kafka}")

    def message(self, message, schema):
        place = message.name
        self.expect(place, "key", message.key, schema.get("apiKey", -1))
        self.expect(place, "versions", message.versions, versions_of(schema["validVersions"]))
        flexible = versions_of(schema["flexibleVersions"])
        self.expect(place, "first flexible version", message.flexible, wirec.OPEN if flexible == NEVER else flexible[0])
        common = {struct["name"]: struct["fields"] for struct in schema.get("commonStructs", [])}
        self.struct(place, message.body, schema["fields"], common)

    def struct(self, place, struct, kafka_fields, common):
        # Kafka lists tagged fields anywhere, and both write them in the order of their tags.
        places = [i for i, field in enumerate(kafka_fields) if "tag" in field]
        tagged = sorted((kafka_fields[i] for i in places), key=lambda field: int(field["tag"]))
        kafka_fields = list(kafka_fields)
        for i, field in zip(places, tagged):
            kafka_fields[i] = field
        names = [snake(field["name"]) for field in kafka_fields]
        self.expect(place, "list of fields", [field.name for field in struct.fields], names)
        for field, kafka in zip(struct.fields, kafka_fields):
            self.field(f"{place}.{field.name}", field, kafka, common)

    def field(self, place, field, kafka, common):
        self.fields += 1
        kind = kafka["type"].removeprefix("[]")
        versions = versions_of(kafka.get("versions", kafka.get("taggedVersions")))
        self.expect(place, "type", ("[]" if field.array else "") + field.kind, kafka["type"])
        self.expect(place, "versions", field.versions, versions)
        nulls = narrowed(versions_of(kafka.get("nullableVersions")), versions)
        self.expect(place, "nullable versions", field.nulls, nulls)
        self.expect(place, "tag", field.tag, int(kafka.get("tag", -1)))
        tagged = narrowed(versions_of(kafka.get("taggedVersions")), versions)
        self.expect(place, "tagged versions", field.tagged, tagged)
        self.expect(place, "ignorable", field.ignorable, str(kafka.get("ignorable", False)).lower() == "true")
        self.expect(place, "inflexible", field.inflexible, kafka.get("flexibleVersions") == "none")
        weir_default = default_of(field.kind, field.array, field.default)
        kafka_default = kafka.get("default", "") if kafka.get("default", "") is not None else "null"
        self.expect(place, "default", weir_default, default_of(kind, field.array, kafka_default))
        if field.is_struct:
            self.struct(place, field.struct, kafka.get("fields", common.get(kind, [])), common)


def main():
    shared = os.environ.get("WEIR_SHARED", os.path.join(ROOT, "..", "shared"))
    folder = os.path.join(shared, "kafka-protocol")
    if not os.path.isdir(folder):
        print(f"skipped: Kafka's schemas are not at {folder}; set WEIR_SHARED to the folder that has kafka-protocol/")
        return SKIPPED
    schemas = kafka_schemas(folder)
    comparison = Comparison()
    messages = 0
    for path, _, names in sorted(os.walk(os.path.join(ROOT, "src", "wire", "schema"))):
        for name in sorted(names):
            for message in wirec.parse_file(os.path.join(path, name)):
                messages += 1
                if message.name in schemas:
                    comparison.message(message, schemas[message.name])
                else:
                    comparison.problems.append(f"{message.name}: Kafka has no such message")
    for problem in comparison.problems:
        print(problem)
    print(f"{messages} messages, {comparison.fields} fields, {len(comparison.problems)} differences")
    return 1 if comparison.problems or not messages else 0


if __name__ == "__main__":
    sys.exit(main())
