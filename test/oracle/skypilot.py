"""Reads a JSON list of task files from standard input; writes what SkyPilot's parser makes of each, as a JSON list.

Nothing leaves the machine: connections fail, and what would ask a catalogue, a cloud or SkyPilot's own server is answered here.
"""
import json
import logging
import sys

from offline import answers

import sky
from sky.utils import accelerator_registry, annotations, common_utils, dag_utils, schemas, volume, yaml_utils

logging.disable(logging.CRITICAL)
# As on SkyPilot's server, whose verdict is the last one.
schemas._allow_additional_properties = lambda: False
annotations.is_on_api_server = True
common_utils.get_git_commit = lambda _path: None
accelerator_registry.get_devices_by_memory = lambda memory, plus=False, manufacturer=None: [
    'memory/%d/%s/%s' % (memory, 'at-least' if plus else 'exactly', (manufacturer or 'any').lower())
]
# Else the memory of an instance type is looked up.
sky.Resources.memory = property(lambda self: self._memory)
volume.VolumeMount.resolve = classmethod(
    lambda cls, path, name, sub_path=None: cls.resolve_ephemeral_config(path, {'size': '1'}))


def service_of(task):
    spec = task.service
    if spec is None:
        return None
    tls = spec.tls_credential
    return {
        'pool': bool(spec.pool),
        'path': spec.readiness_path,
        'initial_delay_seconds': spec.initial_delay_seconds,
        'timeout_seconds': spec.readiness_timeout_seconds,
        'endpoint_probe_interval_seconds': spec.endpoint_probe_interval_seconds,
        'consecutive_failure_threshold_timeout': spec._consecutive_failure_threshold_timeout,
        'post_data': spec.post_data,
        'headers': spec._readiness_headers,
        'stream_timeout_seconds': spec._lb_stream_timeout_seconds,
        'min': spec.min_replicas,
        'max': spec.max_replicas,
        'num_overprovision': spec.num_overprovision,
        'target_qps_per_replica': spec.target_qps_per_replica,
        'dynamic_ondemand_fallback': spec.dynamic_ondemand_fallback,
        'base_ondemand_fallback_replicas': spec.base_ondemand_fallback_replicas,
        'spot_placer': spec.spot_placer,
        'upscale_delay_seconds': spec.upscale_delay_seconds,
        'downscale_delay_seconds': spec.downscale_delay_seconds,
        'load_balancing_policy': spec._load_balancing_policy,
        'queue_length_threshold': spec._queue_length_threshold,
        'ports': spec.ports,
        'tls': None if tls is None else [tls.keyfile, tls.certfile],
    }


def resources_of(task):
    configs = []
    for one in task.resources:
        config = one.to_yaml_config()
        if isinstance(config.get('image_id'), dict):
            config['image_id'] = {'' if k is None else k: v for k, v in config['image_id'].items()}
        configs.append(config)
    return configs


def task_of(task):
    config = task.to_yaml_config()
    config.pop('_user_specified_yaml', None)
    config.pop('_metadata', None)
    config['service'] = service_of(task)
    config['order'] = 'ordered' if isinstance(task.resources, list) and len(task.resources) > 1 else 'any_of'
    config['resources'] = resources_of(task)
    config['secrets'] = {k: v.get_secret_value() for k, v in task.secrets.items()}
    config['managed_secrets'] = [[r.name, r.scope_override, r.mount_path] for r in task.managed_secret_refs]
    return config


def check(task):
    """What SkyPilot checks before it looks at clouds and catalogues."""
    task.validate_name()
    task.validate_run()
    task.expand_and_validate_workdir()
    task.expand_and_validate_file_mounts()
    for storage in task.storage_mounts.values():
        storage._validate_storage_spec(storage.name)
    task.resolve_and_validate_volumes()
    for one in task.resources:
        one._try_validate_managed_job_attributes()


def parse(text):
    yaml_utils.check_no_duplicate_keys(text)
    if not any(yaml_utils.read_yaml_all_str(text)):
        raise ValueError('empty')
    dag = dag_utils.load_dag_from_yaml_str(text)
    if not dag.tasks:
        raise ValueError('no tasks')
    group = dag.is_job_group()
    if len(dag.tasks) == 1 and dag.name is not None and not group:
        dag.tasks[0].name = dag.name
    tasks = [task_of(task) for task in dag.tasks]
    for task in dag.tasks:
        check(task)
    header = None
    if group:
        header = {
            'name': dag.name,
            'primary_tasks': dag.primary_tasks,
            'termination_delay': dag.termination_delay,
            'inter_connection': dag.inter_connection,
        }
    return {'ok': True, 'group': group, 'name': dag.name, 'header': header, 'tasks': tasks}


def verdict(text):
    try:
        return parse(text)
    except Exception as error:  # A crash of the parser rejects the file too.
        return {'ok': False, 'error': '%s: %s' % (type(error).__name__, error)}


answers.write(json.dumps([verdict(text) for text in json.load(sys.stdin)], default=str))
answers.close()
