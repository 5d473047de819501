"""Reads {clouds, tasks, warm} as JSON from standard input, tasks being YAML; writes what SkyPilot's optimizer chooses for each, and its seconds.

Those of `warm` come first, untimed: they load the catalogues.

Nothing leaves the machine: connections fail, and the catalogues are those that were laid below HOME.
"""
import json
import logging
import sys
import time

from offline import answers

import sky
import yaml
from sky import check, exceptions, optimizer
from sky.utils import annotations, common, registry

logging.disable(logging.CRITICAL)
annotations.is_on_api_server = True
request = json.load(sys.stdin)
enabled = [registry.CLOUD_REGISTRY.from_str(name) for name in request['clouds']]
check.get_cached_enabled_clouds_or_refresh = lambda *_args, **_kwargs: enabled


def chosen(text):
    task = sky.Task.from_yaml_config(yaml.safe_load(text))
    with sky.Dag() as dag:
        dag.add(task)
    try:
        optimizer.Optimizer.optimize(dag, minimize=common.OptimizeTarget.COST, quiet=True)
    except exceptions.ResourcesUnavailableError:
        return None
    best = task.best_resources
    return {
        'cloud': str(best.cloud).lower(),
        'instanceType': best.instance_type,
        'region': best.region,
        'useSpot': best.use_spot,
        'cost': best.get_cost(3600) * task.num_nodes,
    }


def timed(text):
    started = time.monotonic()
    return chosen(text), time.monotonic() - started


for text in request['warm']:
    chosen(text)
found = [timed(text) for text in request['tasks']]
json.dump({'chosen': [one for one, _ in found], 'seconds': [took for _, took in found]}, answers)
answers.close()
