"""Starts a managed job by its workflow's name and awaits its result, or cancels one, with Temporal's own SDK: no part of Styx runs here.

python managed_job.py run ID COMMAND
python managed_job.py cancel ID

ID is the job's own, made by you: the same is the same job, however often it is started. TEMPORAL_ADDRESS and the like, or a profile of
Temporal's, name a server with `codec: optional`; STYX_HOME has its keys.
"""

import asyncio
import dataclasses
import json
import os
import sys
import time
import uuid
from pathlib import Path

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.common import WorkflowIDReusePolicy
from temporalio.converter import default
from temporalio.envconfig import ClientConfig
from temporalio.exceptions import WorkflowAlreadyStartedError

from styx_codec import StyxCodec

WORKSPACE = "default"


async def connect() -> Client:
    home = Path(os.environ.get("STYX_HOME", Path.home() / ".styx"))
    converter = dataclasses.replace(default(), payload_codec=StyxCodec(home))
    return await Client.connect(**ClientConfig.load_client_connect_config(), data_converter=converter)


async def run(client: Client, request_id: str, command: str) -> int:
    namespace = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))
    # What Styx' own client sends for `run: echo hello`; a longer task is made by changing its fields.
    job = json.loads((Path(__file__).parent / "managed-job.json").read_text())
    job.update(workspace=WORKSPACE, requestId=request_id, installation=namespace.namespace_info.id)
    job["submittedAt"] = int(time.time() * 1000)
    job["task"]["run"] = command
    workflow_id = f"job/{WORKSPACE}/{request_id}"
    try:
        await client.start_workflow(
            "managedJob",
            job,
            id=workflow_id,
            task_queue="styx",
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
        )
        print("submitted", flush=True)
    except WorkflowAlreadyStartedError:
        print("submitted before", flush=True)
    # It comes when the job has ended and the last of its machines is gone.
    result = await client.get_workflow_handle(workflow_id).result()
    print(f"job {result['number']} is {result['status']}: {result['reason'] or 'all is gone'}", flush=True)
    return 0 if result["status"] == "SUCCEEDED" else 1


async def cancel(client: Client, request_id: str) -> int:
    job = client.get_workflow_handle(f"job/{WORKSPACE}/{request_id}")
    command = {"requestId": f"python-{uuid.uuid4()}", "user": "python"}
    answer = await job.execute_update("cancelJob", command)
    print(f"{answer['status']}: {answer['note'] or 'its machines go'}", flush=True)
    return 0


async def main(action: str, *arguments: str) -> int:
    return await {"run": run, "cancel": cancel}[action](await connect(), *arguments)


if __name__ == "__main__":
    code = asyncio.run(main(*sys.argv[1:]))
    sys.stdout.flush()
    # Not sys.exit: the SDK's threads may abort the interpreter while it ends, and then the code is lost (temporalio/sdk-python issue 300).
    os._exit(code)
