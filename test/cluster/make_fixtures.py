"""Writes job_schema.json: Kubernetes' own schema of a Job (strict: it knows every field), cut down to what examples/cluster/job.yaml uses.

    pip install kubernetes-validate pyyaml
    python make_fixtures.py

Every field's name stays, so that one which does not exist is refused; the schema of fields that the manifest leaves out does not.
"""

import json
import pathlib

import kubernetes_validate
import yaml

HERE = pathlib.Path(__file__).parent
FOLDER = pathlib.Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
VERSION = "v1.37.0-local-strict"
KEPT = ("type", "enum", "required", "additionalProperties", "format")


def resolved(schema, file):
    while "$ref" in schema:
        path, _, pointer = schema["$ref"].partition("#")
        file = FOLDER / VERSION / pathlib.PurePosixPath(path).name if path else file
        schema = json.loads(file.read_text())
        for name in pointer.strip("/").split("/") if pointer.strip("/") else []:
            schema = schema[name]
    return schema, file


def cut(schema, file, values):
    schema, file = resolved(schema, file)
    out = {name: schema[name] for name in KEPT if name in schema}
    if isinstance(out.get("additionalProperties"), dict):
        inner = [value for one in values if isinstance(one, dict) for value in one.values()]
        out["additionalProperties"] = cut(out["additionalProperties"], file, inner)
    if "oneOf" in schema:
        out["oneOf"] = [cut(one, file, values) for one in schema["oneOf"]]
    if "items" in schema:
        inner = [value for one in values if isinstance(one, list) for value in one]
        out["items"] = cut(schema["items"], file, inner)
    if "properties" in schema:
        used = lambda name: [one[name] for one in values if isinstance(one, dict) and name in one]
        out["properties"] = {
            name: cut(own, file, used(name)) if used(name) else True for name, own in schema["properties"].items()
        }
    return out


manifest = yaml.safe_load((HERE / "../../examples/cluster/job.yaml").read_text())
file = FOLDER / VERSION / "job-batch-v1.json"
schema = cut(json.loads(file.read_text()), file, [manifest])
(HERE / "job_schema.json").write_text(json.dumps({"version": VERSION, **schema}, separators=(",", ":")) + "\n")
