"""Holds the files of helk-compose to what they refer to, which no general linter knows. Run by scripts/lint-compose, which has the packages that it needs.

- Index templates and saved objects are valid by the schemas beside this file.
- The templates map the columns that the dataflows say they have, and no others.
- A saved object's references exist, each id is there once, JSON in strings is JSON, and every field that is shown, sorted, counted or searched is mapped by the template of its index.
- The Logstash pipeline parses, writes to indices that a template is for, and tells records apart by columns that exist.
- In the compose files each volume, network and service that is named is declared, and each path that is mounted is there.

Prints what is wrong, one line each, and exits 1.
"""
import json
import re
import sys
from fnmatch import fnmatch
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator
from logstash_pipeline_parser import Pipeline

HERE = Path(__file__).resolve().parent
COMPOSE = HERE.parent
DATAFLOWS = COMPOSE.parent / "dataflows"
# What the template of a dataflow's index is called; the ECS index is not made of columns.
INDICES = {"sysmon-join.json": "sysmon_join.sql", "process-network.json": "process_network.sql"}
# What HELK's own file declares and the override may use.
OF_HELK = {"networks": {"helk"}}

faults = []


def fault(where, what):
    faults.append(f"{where}: {what}")


def validate(where, schema, instance):
    for error in Draft202012Validator(schema).iter_errors(instance):
        fault(where, f"{error.json_path}: {error.message}")


def schema(name):
    found = json.loads((HERE / name).read_text())
    Draft202012Validator.check_schema(found)
    return found


# ---------------------------------------------------------------- Elasticsearch
def paths(properties, prefix=""):
    """Every field of a mapping by its full name, those of `fields` and of nested objects too."""
    for name, field in properties.items():
        yield prefix + name
        for inner in ("properties", "fields"):
            yield from paths(field.get(inner, {}), f"{prefix}{name}.")


def columns(dataflow):
    """The columns that the header of a dataflow lists."""
    return re.findall(r"^--   ([A-Z][A-Z0-9_]*) ", (DATAFLOWS / dataflow).read_text(), re.MULTILINE)


def templates():
    """The fields of each index pattern."""
    fields = {}
    for file in sorted((COMPOSE / "elasticsearch").glob("*.json")):
        template = json.loads(file.read_text())
        validate(file.name, schema("index-template.schema.json"), template)
        mapped = template["mappings"]["properties"]
        for pattern in template["index_patterns"]:
            fields[pattern] = set(paths(mapped))
        if dataflow := INDICES.get(file.name):
            expected, found = set(columns(dataflow)), set(mapped) - {"@timestamp"}
            if not expected:
                fault(dataflow, "lists no columns")
            for column in sorted(expected ^ found):
                fault(file.name, f"{column} is {'not mapped' if column in expected else 'no column of ' + dataflow}")
    return fields


# ---------------------------------------------------------------- Kibana
def fields_of_query(query):
    """The fields of a KQL query: what stands before a colon, inside braces with the name of the nested field before it."""
    nested = ""
    for match in re.finditer(r"([\w.@]+)\s*:\s*(\{)?|(\})", query):
        name, opens, closes = match.groups()
        if closes:
            nested = ""
        else:
            yield nested + name
            if opens:
                nested = name + "."


def fields_of_object(attributes):
    yield from attributes.get("columns", [])
    yield from (field for field, _ in attributes.get("sort", []))
    for aggregation in json.loads(attributes.get("visState", "{}")).get("aggs", []):
        if field := aggregation["params"].get("field"):
            yield field
    yield from fields_of_query(json.loads(attributes["kibanaSavedObjectMeta"]["searchSourceJSON"])["query"]["query"])


def names_of_references(attributes):
    """The references that an object makes use of."""
    source = json.loads(attributes["kibanaSavedObjectMeta"]["searchSourceJSON"])
    yield from (source[key] for key in ("indexRefName",) if key in source)
    panels = json.loads(attributes.get("panelsJSON", "[]"))
    yield from (panel["panelRefName"] for panel in panels)


def overlap(a, b):
    return a["x"] < b["x"] + b["w"] and b["x"] < a["x"] + a["w"] and a["y"] < b["y"] + b["h"] and b["y"] < a["y"] + a["h"]


def saved_objects(fields):
    objects = {}
    for file in sorted((COMPOSE / "kibana").glob("*.ndjson")):
        for number, line in enumerate(file.read_text().splitlines(), 1):
            saved = json.loads(line)
            where = f"{file.name}:{number}"
            validate(where, schema("saved-object.schema.json"), saved)
            if objects.setdefault((saved["type"], saved["id"]), saved) is not saved:
                fault(where, f"{saved['type']} {saved['id']} is there twice")
            if set(saved["migrationVersion"]) != {saved["type"]}:
                fault(where, "has the version of another type")
    for (kind, name), saved in objects.items():
        for reference in saved["references"]:
            if (reference["type"], reference["id"]) not in objects:
                fault(name, f"refers to {reference['type']} {reference['id']}, which is not there")
        if kind == "index-pattern":
            if saved["attributes"]["title"] not in fields:
                fault(name, f"{saved['attributes']['title']} has no template")
            continue
        used, given = sorted(names_of_references(saved["attributes"])), sorted(reference["name"] for reference in saved["references"])
        if used != given:
            fault(name, f"uses the references {used} and has {given}")
        if kind == "dashboard":
            panels = [panel["gridData"] for panel in json.loads(saved["attributes"]["panelsJSON"])]
            if any(overlap(a, b) for i, a in enumerate(panels) for b in panels[:i]) or any(panel["x"] + panel["w"] > 48 for panel in panels):
                fault(name, "has panels that overlap or stand out")
            continue
        pattern = next((objects[key]["attributes"]["title"] for reference in saved["references"] if (key := (reference["type"], reference["id"])) in objects), None)
        for field in fields_of_object(saved["attributes"]):
            if field not in fields.get(pattern, ()):
                fault(name, f"{pattern} has no field {field}")


# ---------------------------------------------------------------- Logstash
def values(tree, key):
    """What is given to every option of that name, flat."""
    if isinstance(tree, list):
        if len(tree) == 2 and tree[0] == key:
            yield from flat(tree[1])
        for branch in tree:
            yield from values(branch, key)


def flat(tree):
    if isinstance(tree, list):
        for branch in tree:
            yield from flat(branch)
    else:
        yield tree


def pipelines(fields):
    known = {path for paths in fields.values() for path in paths}
    for file in sorted((COMPOSE / "logstash").glob("*.conf")):
        try:
            tree = Pipeline(file.read_text()).parse()
        except Exception as error:  # the parser's own are several
            fault(file.name, f"does not parse: {error}")
            continue
        if "read_committed" not in values(tree, "isolation_level"):
            fault(file.name, "reads what is not committed")
        for index in values(tree, "[@metadata][index]"):
            if index != "helkflow-unknown" and not any(fnmatch(f"{index}-2026.01.15", pattern) for pattern in fields):
                fault(file.name, f"no template is for {index}")
        text = re.sub(r"#.*", "", file.read_text())
        for reference in re.findall(r"(?:\[[\w@]+\])+", text) + re.findall(r'match => \["(\w+)"', text):
            field = reference.strip("[]").replace("][", ".")
            if not field.startswith("@metadata") and field not in known:
                fault(file.name, f"no index has a field {field}")


# ---------------------------------------------------------------- Compose
def compose_files():
    for file in sorted(COMPOSE.glob("docker-compose*.yml")):
        model = yaml.safe_load(file.read_text())
        services = model["services"]
        for name, service in services.items():
            where = f"{file.name}: {name}"
            for dependency in service.get("depends_on", {}):
                if dependency not in services:
                    fault(where, f"depends on {dependency}, which is not there")
            for network in service.get("networks", {}):
                if network not in model.get("networks", {}) and network not in OF_HELK["networks"]:
                    fault(where, f"network {network} is not declared")
            for volume in service.get("volumes", []):
                source = volume.split(":")[0]
                if source.startswith("${HELKFLOW_HOME}"):
                    if not (COMPOSE.parent / source.removeprefix("${HELKFLOW_HOME}/")).exists():
                        fault(where, f"there is no {source}")
                elif source not in model.get("volumes", {}):
                    fault(where, f"volume {source} is not declared")
            if dockerfile := service.get("build", {}).get("dockerfile"):
                if not (COMPOSE.parent / dockerfile).exists():
                    fault(where, f"there is no {dockerfile}")
            if "image" in service and service["image"] != "helkflow" and not re.search(r":[\w.-]*\d", service["image"]):
                fault(where, f"image {service['image']} has no version")


fields = templates()
saved_objects(fields)
pipelines(fields)
compose_files()
for line in faults:
    print(line)
sys.exit(bool(faults))
