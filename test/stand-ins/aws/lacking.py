"""What moto's EC2 does not have and Styx asks for."""
from moto.ec2.models.elastic_block_store import EBSBackend

# moto makes the volumes of RunInstances without the operations that were asked for, and refuses those that need some.
original_volume = EBSBackend.create_volume


def create_volume(self, *args, **kwargs):
    if kwargs.get("volume_type") in ("io1", "io2") and not kwargs.get("iops"):
        kwargs["iops"] = 100
    return original_volume(self, *args, **kwargs)


EBSBackend.create_volume = create_volume


# Placement groups, and reservations of capacity in the shape that EC2 tells them.
from moto.core.responses import ActionResult, EmptyResult  # noqa: E402
from moto.ec2.exceptions import EC2ClientError  # noqa: E402
from moto.ec2.responses import EC2Response  # noqa: E402

placement_groups, reservations = {}, {}


class Refusal(EC2ClientError):
    def __init__(self, code, message):
        super().__init__(code, message)


def fits(tags, name, filters):
    def one(key, values):
        if key.startswith("tag:"):
            return tags.get(key[4:]) in values
        return name in values if key == "group-name" else key == "tag-key" and any(v in tags for v in values)

    return all(one(key, values) for key, values in filters.items())


def create_placement_group(self):
    self.error_on_dryrun()
    name, here = self._get_param("GroupName"), placement_groups.setdefault(self.region, {})
    if name in here:
        raise Refusal("InvalidPlacementGroup.Duplicate", "The Placement Group '%s' already exists." % name)
    tags = [tag for spec in self._get_param("TagSpecifications", []) for tag in spec.get("Tags", [])]
    here[name] = {"GroupName": name, "State": "available", "Strategy": self._get_param("Strategy"), "Tags": tags, "machines": []}
    return ActionResult({"PlacementGroup": here[name]})


def describe_placement_groups(self):
    self.error_on_dryrun()
    filters = self._filters_from_querystring()
    found = [
        {key: value for key, value in one.items() if key != "machines"}
        for name, one in placement_groups.get(self.region, {}).items()
        if fits({tag["Key"]: tag["Value"] for tag in one["Tags"]}, name, filters)
    ]
    return ActionResult({"PlacementGroups": found})


def delete_placement_group(self):
    self.error_on_dryrun()
    name, here = self._get_param("GroupName"), placement_groups.get(self.region, {})
    if name not in here:
        raise Refusal("InvalidPlacementGroup.Unknown", "The Placement Group '%s' is unknown." % name)
    ids = here[name]["machines"]
    machines = [one for r in self.ec2_backend.reservations.values() for one in r.instances if one.id in ids]
    if any(one._state.name != "terminated" for one in machines):
        raise Refusal("InvalidPlacementGroup.InUse", "The placement group '%s' is in use and may not be deleted." % name)
    del here[name]
    return EmptyResult()


def describe_capacity_reservations(self):
    self.error_on_dryrun()
    return ActionResult({"CapacityReservations": reservations.get(self.region, [])})


for method in (create_placement_group, describe_placement_groups, delete_placement_group, describe_capacity_reservations):
    setattr(EC2Response, method.__name__, method)


# A spot request stays open while there is no capacity for it, and tells when it was made.
import datetime  # noqa: E402

from moto.ec2.models.spot_requests import SpotInstanceRequest, SpotRequestBackend  # noqa: E402

original_launch, original_request = SpotInstanceRequest.launch_instance, SpotInstanceRequest.__init__


def launch_instance(self):
    try:
        return original_launch(self)
    except EC2ClientError as error:
        if error.code != "InsufficientInstanceCapacity":
            raise
        return None


def request_spot_instance(self, *args, **kwargs):
    self.made_at = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    original_request(self, *args, **kwargs)
    if self.instance is None:
        self.state, self._status_code = "open", "capacity-not-available"


def cancel_spot_instance_requests(self, request_ids):
    for one in request_ids:
        if one not in self.spot_instance_requests:
            raise Refusal("InvalidSpotInstanceRequestID.NotFound", "The spot instance request ID '%s' does not exist" % one)
    return [self.spot_instance_requests.pop(one) for one in request_ids]


SpotInstanceRequest.launch_instance = launch_instance
SpotInstanceRequest.__init__ = request_spot_instance
SpotInstanceRequest.instance_id = property(lambda self: self.instance and self.instance.id)
SpotInstanceRequest.create_time = property(lambda self: self.made_at)
SpotRequestBackend.cancel_spot_instance_requests = cancel_spot_instance_requests


# An account in which few regions are switched on: one question to all of them is quick.
from moto.ec2.models.availability_zones_and_regions import RegionsAndZonesBackend  # noqa: E402

switched_on = {}
original_regions = RegionsAndZonesBackend.describe_regions


def describe_regions(self, *args, **kwargs):
    found = original_regions(self, *args, **kwargs)
    return [one for one in found if not switched_on or one.name in switched_on]


RegionsAndZonesBackend.describe_regions = describe_regions
