"""Reads {"schema": …, "files": [text, …]} from standard input; writes what is wrong with each file's documents by the schema, as a JSON list."""
import json
import sys

import jsonschema
import yaml

given = json.load(sys.stdin)
validator = jsonschema.Draft202012Validator(given['schema'])
json.dump([['%s: %s' % (error.json_path, error.message) for document in yaml.safe_load_all(text)
            for error in validator.iter_errors(document)] for text in given['files']], sys.stdout)
