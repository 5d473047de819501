"""Listings of machines as EC2 gives them: a new machine is in none for a while, and any may leave one out."""
import copy
import time

from moto.ec2.models.instances import InstanceBackend

lag = {"seconds": 0.0}
#: How many listings will leave a machine out, by its id.
hidden = {}

original = InstanceBackend.describe_instances


def is_new(one):
    return getattr(one, "listed_from", 0) > time.time()


def is_left_out(one):
    left = hidden.get(one.id, 0)
    hidden[one.id] = max(0, left - 1)
    return left > 0


def listed(self, *args, **kwargs):
    shown = []
    for reservation in original(self, *args, **kwargs):
        if any(is_new(one) for one in reservation.instances):
            continue
        part = copy.copy(reservation)
        part.instances = [one for one in reservation.instances if not is_left_out(one)]
        if part.instances:
            shown.append(part)
    return shown


InstanceBackend.describe_instances = listed
