"""What moto's EC2 does not have and Styx asks for."""
from moto.ec2.models.elastic_block_store import EBSBackend

# moto makes the volumes of RunInstances without the operations that were asked for, and refuses those that need some.
original_volume = EBSBackend.create_volume


def create_volume(self, *args, **kwargs):
    if kwargs.get("volume_type") in ("io1", "io2") and not kwargs.get("iops"):
        kwargs["iops"] = 100
    return original_volume(self, *args, **kwargs)


EBSBackend.create_volume = create_volume
