"""Paths of all keys of SkyPilot's configuration, as JSON; names of the user's own are `*`."""
import json
import sys

from sky.utils import schemas


def paths(schema, path):
    if not isinstance(schema, dict):
        return
    for name, held in schema.get('properties', {}).items():
        yield path + [name]
        yield from paths(held, path + [name])
    extra = schema.get('additionalProperties')
    if isinstance(extra, dict):
        yield from paths(extra, path + ['*'])
    for form in schema.get('anyOf', []) + schema.get('oneOf', []):
        yield from paths(form, path)


json.dump(list(paths(schemas.get_config_schema(), [])), sys.stdout)
