"""Launches a cluster, awaits its job and takes it down, with Temporal's own SDK: no part of Styx runs here.

python launch.py NAME COMMAND

TEMPORAL_ADDRESS and the like, or a profile of Temporal's, name a server with `codec: optional`; STYX_HOME has its keys.
"""

import asyncio
import dataclasses
import json
import os
import sys
import uuid
from pathlib import Path

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client, WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.converter import default
from temporalio.envconfig import ClientConfig
from temporalio.service import RPCError, RPCStatusCode

from styx_codec import StyxCodec

ENDED = ["SUCCEEDED", "FAILED", "FAILED_SETUP", "FAILED_DRIVER", "CANCELLED"]


async def main(name: str, command: str) -> int:
    home = Path(os.environ.get("STYX_HOME", Path.home() / ".styx"))
    converter = dataclasses.replace(default(), payload_codec=StyxCodec(home))
    client = await Client.connect(**ClientConfig.load_client_connect_config(), data_converter=converter)
    namespace = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))

    # What Styx' own client sends for `run: echo hello`; a longer task is made by changing its fields.
    message = json.loads((Path(__file__).parent / "launch.json").read_text())
    start, launch = message["start"], message["launch"]
    start.update(name=name, installation=namespace.namespace_info.id)
    # The same id gives the same answer, however often it is sent.
    launch["requestId"] = f"python-{uuid.uuid4()}"
    launch["task"]["run"] = command

    answer = await client.execute_update_with_start_workflow(
        "launch",
        launch,
        id=launch["requestId"],
        start_workflow_operation=WithStartWorkflowOperation(
            "cluster",
            start,
            id=f"cluster/{start['workspace']}/{name}",
            task_queue="styx",
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        ),
    )
    cluster = client.get_workflow_handle(f"cluster/{start['workspace']}/{name}")
    print(f"job {answer['jobId']} is submitted", flush=True)

    job = None
    while job is None or job["status"] not in ENDED:
        await asyncio.sleep(0.5)
        view = await cluster.query("view")
        job = next((one for one in view["jobs"] if one["id"] == answer["jobId"]), None)
        failed = [one for one in view["operations"] if one["id"] == answer["operationId"] and one["outcome"] == "failed"]
        if failed:
            print(f"the launch failed: {failed[0]['failure']['message']}")
            break
    if job is not None:
        print(f"job {job['id']} is {job['status']}, exit codes {job['exitCodes']}", flush=True)

    try:
        await cluster.execute_update("down", {"requestId": f"python-{uuid.uuid4()}", "user": "python"})
        await cluster.result()
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise
    print("the cluster is down", flush=True)
    return 0 if job is not None and job["status"] == "SUCCEEDED" else 1


if __name__ == "__main__":
    code = asyncio.run(main(*sys.argv[1:]))
    sys.stdout.flush()
    # Not sys.exit: the SDK's threads may abort the interpreter while it ends, and then the code is lost (temporalio/sdk-python issue 300).
    os._exit(code)
