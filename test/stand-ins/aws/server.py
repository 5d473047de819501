"""moto's EC2 as an orchestrator meets the real one: with capacity that runs out, states that take time, listings that lag,
idempotency tokens, quotas, and groups that cannot go while a machine is in them. `server.py PORT`; orders come as POST /styx/<what>:

  capacity {"m5.large": {"us-east-1a": 0}, "*": {"*": 5}}   how many more machines; answers as EC2 does, with HTTP 500
  timing   {"pending": 1, "stopping": 1, "ending": 1}        seconds that a state takes
  lag      {"seconds": 2}                                    for so long a new machine is in no listing
  hide     {"i-…": 1}                                        so many listings leave a machine out
  hidden   {}                                                how many still will
  quota    {"L-1216C47A": 8}                                 vCPUs, for Service Quotas and for RunInstances
  zones    {"m5.large": ["us-east-1b"]}                      the only zones that offer a type
  ledger   {}                                                all that there is and was
  reservations {"us-east-1": [{"CapacityReservationId": "cr-1"}]}  of capacity, as EC2 tells them
  regions  {"us-east-1": true}                              the only ones that are switched on
  preempt  {"id": "i-…"}                                     a spot machine taken back
  machines {}                                                every instance of every region, as a hypervisor must know it
  powered-off {"id": "i-…"}                                  it was shut down from inside
"""
import hashlib
import json
import random
import re
import sys
import threading
import time
import urllib.parse

import lacking
import listing
import moto.ec2.utils
from moto.core import DEFAULT_ACCOUNT_ID
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import ec2_backends
from moto.ec2.models import elastic_network_interfaces, instance_types, instances
from moto.servicequotas.models import ServiceQuotasBackend
from moto.s3.responses import S3Response
from moto.server import DomainDispatcherApplication, create_backend_app
from moto.ssm.models import SimpleSystemManagerBackend
from werkzeug.serving import run_simple

capacity, quotas, zones = {}, {}, {}
timing = {"pending": 0.0, "stopping": 0.0, "ending": 0.0}
tokens, ended = {}, set()
lock = threading.RLock()
created = []


put_object = S3Response.put_object


# The condition of a write and the write are one step.
def put_conditionally(self):
    with lock:
        return put_object(self)


S3Response.put_object = put_conditionally


class Refusal(EC2ClientError):
    def __init__(self, code, message, status=400):
        self.code = status
        super().__init__(code, message)


# Addresses that are nobody's (RFC 2544): what is told of a machine must never be reachable.
def public_address():
    return "198.18.%d.%d" % (random.randrange(256), random.randrange(2, 254))


for module in (moto.ec2.utils, instances, elastic_network_interfaces):
    if hasattr(module, "random_public_ip"):
        module.random_public_ip = public_address


# States take time: what moto has done at once is shown only later.
class Phased:
    def __get__(self, one, kind=None):
        state = one.__dict__["_state"]
        phase = one.__dict__.get("phase")
        if phase is not None and time.time() < phase[2]:
            return instances.InstanceState(phase[0], phase[1])
        return state

    def __set__(self, one, state):
        one.__dict__["_state"] = state


Instance = instances.Instance
Instance._state = Phased()


def phased(method, name, code, key):
    original = getattr(Instance, method)

    def changed(self, *args, **kwargs):
        self.phase = None
        before = self._state.name
        answer = original(self, *args, **kwargs)
        if not (method == "terminate" and before == "terminated"):
            self.phase = (name, code, time.time() + timing[key])
        return answer

    setattr(Instance, method, changed)


phased("start", "pending", 0, "pending")
phased("stop", "stopping", 64, "stopping")
phased("terminate", "shutting-down", 32, "ending")


def left_of(kind, zone):
    for by_zone in (capacity.get(kind), capacity.get("*")):
        if by_zone is None:
            continue
        for name in (zone, "*"):
            if name in by_zone:
                return by_zone, name
    return None, None


QUOTA_CODES = {"g": "L-DB2E81BA", "p": "L-417A185B"}


def vcpus_of(kind):
    found = instance_types.INSTANCE_TYPES.get(kind, {})
    return found.get("VCpuInfo", {}).get("DefaultVCpus", 2)


Backend = instances.InstanceBackend
original_run = Backend.run_instances


def run_instances(self, image_id, count, user_data, security_group_names, **kwargs):
    kind = kwargs.get("instance_type") or "m1.small"
    nics = kwargs.get("nics") or [{}]
    zone = self.get_subnet(nics[0].get("SubnetId") or kwargs["subnet_id"]).availability_zone
    for group in [name for nic in nics for name in nic.get("Groups", [])]:
        if self.get_security_group_from_id(group) is None:
            raise Refusal("InvalidGroup.NotFound", "The security group '%s' does not exist" % group)
    with lock:
        limit = quotas.get(QUOTA_CODES.get(kind[0], "L-1216C47A"))
        used = sum(vcpus_of(one.instance_type) for one in everything(self) if one._state.name in ("pending", "running"))
        if limit is not None and used + vcpus_of(kind) * count > limit:
            raise Refusal("VcpuLimitExceeded", "You have requested more vCPU capacity than your current vCPU limit of %d allows" % limit)
        room, name = left_of(kind, zone)
        if room is not None:
            # MaxCount comes as the count: all or none.
            if room[name] < count:
                raise Refusal("InsufficientInstanceCapacity", "We currently do not have sufficient %s capacity in the Availability Zone you requested (%s)." % (kind, zone), 500)
            room[name] -= count
        reservation = original_run(self, image_id, count, user_data, security_group_names, **kwargs)
    for one in reservation.instances:
        one.phase = ("pending", 0, time.time() + timing["pending"])
        one.listed_from = time.time() + listing.lag["seconds"]
        created.append(one.id)
    return reservation


Backend.run_instances = run_instances


def everything(backend):
    return [one for reservation in backend.reservations.values() for one in reservation.instances]


# A group cannot go while a machine has it.
from moto.ec2.models.security_groups import SecurityGroupBackend  # noqa: E402

original_delete = SecurityGroupBackend.delete_security_group


def delete_security_group(self, name=None, group_id=None):
    for one in everything(self):
        if one._state.name != "terminated" and any(g.id == group_id for g in groups_of(one)):
            raise Refusal("DependencyViolation", "resource %s has a dependent object" % group_id)
    return original_delete(self, name, group_id)


def groups_of(one):
    found = list(one.security_groups or [])
    for nic in one.nics.values():
        found += list(nic.group_set or [])
    return found


SecurityGroupBackend.delete_security_group = delete_security_group

# Zones that offer a type.
Offerings = instance_types.InstanceTypeOfferingBackend
original_offerings = Offerings.describe_instance_type_offerings


def offerings(self, *args, **kwargs):
    found = original_offerings(self, *args, **kwargs)
    return [o for o in found if o["InstanceType"] not in zones or o["Location"] in zones[o["InstanceType"]]]


Offerings.describe_instance_type_offerings = offerings

# moto takes a change of what follows a shutdown from inside for one of security groups.
from moto.ec2.responses.instances import InstanceResponse  # noqa: E402

original_attribute = InstanceResponse._dot_value_instance_attribute_handler


def modify_attribute(self):
    behaviour = self._get_param("InstanceInitiatedShutdownBehavior.Value")
    if behaviour is None:
        return original_attribute(self)
    self.error_on_dryrun()
    self.ec2_backend.modify_instance_attribute(self._get_param("InstanceId"), "instance_initiated_shutdown_behavior", behaviour)
    return True


InstanceResponse._dot_value_instance_attribute_handler = modify_attribute

# Quotas of vCPUs.
original_quota = ServiceQuotasBackend.get_service_quota


def get_service_quota(self, service_code, quota_code):
    if service_code == "ec2" and quota_code in quotas:
        return {"ServiceCode": "ec2", "QuotaCode": quota_code, "Value": quotas[quota_code]}
    return original_quota(self, service_code, quota_code)


ServiceQuotasBackend.get_service_quota = get_service_quota

# Public parameters of images: any of moto's own images will do.
original_parameters = SimpleSystemManagerBackend.get_parameters


class Public:
    def __init__(self, name, value):
        self.name, self.value = name, value

    def response_object(self, decrypt=False, region=None):
        return {"Name": self.name, "Type": "String", "Value": self.value, "Version": 1}


def get_parameters(self, names):
    found = original_parameters(self, [n for n in names if not re.match("/aws/service/(canonical|deeplearning)", n)])
    images = ec2_backends[self.account_id][self.region_name].amis
    for name in names:
        if re.match("/aws/service/(canonical|deeplearning)", name):
            arch = "arm64" if "arm64" in name else "x86_64"
            fitting = sorted(one for one, ami in images.items() if ami.architecture == arch)
            if fitting:
                found[name] = Public(name, fitting[0])
    return found


SimpleSystemManagerBackend.get_parameters = get_parameters


def regions():
    return ec2_backends[DEFAULT_ACCOUNT_ID].values()


def ledger(_order):
    left, groups, volumes = [], [], []
    for backend in list(regions()):
        left += [one.id for one in everything(backend) if one._state.name != "terminated"]
        for by_id in backend.groups.values():
            groups += [group.id for group in by_id.values() if group.name.startswith("styx-")]
        volumes += list(backend.volumes)
        groups += [name for name in lacking.placement_groups.get(backend.region_name, {}) if name.startswith("styx-")]
    return {"created": created, "instances": left, "groups": groups, "volumes": volumes}


def find(order):
    return [(b, one) for b in list(regions()) for one in everything(b) if one.id == order["id"]][0]


def preempt(order):
    _, one = find(order)
    one.terminate()
    reason = "Server.SpotInstanceTermination"
    one._reason = reason
    one.state_reason = instances.StateReason(reason + ": Spot instance termination", reason)
    return {}


def machines(_order):
    def told(backend, one):
        tags = {tag["key"]: tag["value"] for tag in one.get_tags()}
        return {
            "id": one.id, "region": backend.region_name, "zone": one._placement.zone, "type": one.instance_type,
            "state": one._state.name, "reason": getattr(one.state_reason, "code", None) or "",
            "index": int(one.ami_launch_index), "spot": one.lifecycle == "spot",
            "privateAddress": one.private_ip, "publicAddress": one.public_ip or None,
            "userData": one.user_data.decode() if one.user_data else "",
            "tags": tags if one.metadata_options.instance_metadata_tags == "enabled" else None,
        }

    return [told(backend, one) for backend in list(regions()) for one in everything(backend)]


def powered_off(order):
    backend, one = find(order)
    if one.instance_initiated_shutdown_behavior == "terminate":
        backend.terminate_instances([one.id])
    else:
        backend.stop_instances([one.id])
    reason = "Client.InstanceInitiatedShutdown"
    one.state_reason = instances.StateReason(reason + ": Instance initiated shutdown", reason)
    return {}


def replace(table):
    def order(given):
        table.clear()
        table.update(given)
        return {}

    return order


def update(table):
    return lambda given: table.update(given) or {}


ORDERS = {
    "capacity": replace(capacity), "quota": replace(quotas), "zones": replace(zones),
    "reservations": replace(lacking.reservations), "regions": replace(lacking.switched_on),
    "timing": update(timing), "lag": update(listing.lag), "ledger": ledger, "preempt": preempt,
    "hide": update(listing.hidden), "hidden": lambda _: {one: left for one, left in listing.hidden.items() if left},
    "machines": machines, "powered-off": powered_off,
}


def answered(start, status, body, kind="application/json", headers=()):
    start(status, [("content-type", kind), ("content-length", str(len(body))), *headers])
    return [body]


def refused(start, code, message):
    text = "<Response><Errors><Error><Code>%s</Code><Message>%s</Message></Error></Errors><RequestID>0</RequestID></Response>"
    return answered(start, "400 Bad Request", (text % (code, message)).encode(), "text/xml")


def as_now(body, states):
    for one, state in states.items():
        told = "<instanceState><code>%d</code><name>%s</name></instanceState>" % (state.code, state.name)
        body = re.sub("(<instanceId>%s</instanceId>.*?)<instanceState>.*?</instanceState>" % one, lambda found: found[1] + told, body, count=1, flags=re.S)
    return body


def with_tokens(app, env, start, body):
    """RunInstances with a ClientToken: once, and afterwards the same machines as they are then."""
    form = dict(urllib.parse.parse_qsl(body.decode(), keep_blank_values=True))
    region = re.search("/([a-z0-9-]+)/ec2/", env.get("HTTP_AUTHORIZATION", ""))
    key = (region and region.group(1), form.pop("ClientToken"))
    digest = hashlib.sha256(json.dumps(sorted(form.items())).encode()).hexdigest()
    with lock:
        known = tokens.get(key)
        if known is not None:
            if known["digest"] != digest:
                return refused(start, "IdempotentParameterMismatch", "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).")
            states = {one.id: one._state for b in list(regions()) for one in everything(b) if one.id in known["ids"]}
            if any(state.name == "terminated" for state in states.values()):
                return refused(start, "IdempotentInstanceTerminated", "The client token was used for instances that are terminated.")
            return answered(start, known["status"], as_now(known["body"].decode(), states).encode(), "text/xml")
        before, held = len(created), {}
        near = lacking.placement_groups.get(region.group(1), {}) if region else {}
        name = form.get("Placement.GroupName")
        if name is not None and name not in near:
            return refused(start, "InvalidPlacementGroup.Unknown", "The Placement Group '%s' is unknown." % name)
        answer = b"".join(app(env, lambda status, headers, *_: held.update(status=status)))
        if held["status"].startswith("200"):
            if name is not None:
                near[name]["machines"] += created[before:]
            tokens[key] = {"digest": digest, "ids": created[before:], "status": held["status"], "body": answer}
        return answered(start, held["status"], answer, "text/xml")


def control(app):
    import io

    def middle(env, start):
        body = env["wsgi.input"].read(int(env.get("CONTENT_LENGTH") or 0))
        env["wsgi.input"] = io.BytesIO(body)
        path = env.get("PATH_INFO", "")
        if path.startswith("/styx/"):
            with lock:
                answer = ORDERS[path[len("/styx/"):]](json.loads(body or b"{}"))
            return answered(start, "200 OK", json.dumps(answer).encode())
        if b"Action=RunInstances" in body and b"ClientToken=" in body and b"DryRun=true" not in body:
            return with_tokens(app, env, start, body)
        return app(env, start)

    return middle


if __name__ == "__main__":
    run_simple("127.0.0.1", int(sys.argv[1]), control(DomainDispatcherApplication(create_backend_app)), threaded=True)
