"""How many hosts work together on this run: what the environment and a TPU VM's metadata say."""

import glob
import os
import re
import time
import urllib.request


def count() -> int:
    """Hosts of this SLURM job or TPU slice, all slices together; 1 on a single machine.

    jax.distributed finds out by itself who they are, but only when it is asked to, and on a single
    machine it must not be asked.
    """
    tasks = os.environ.get("SLURM_NTASKS", "")
    if tasks.isdigit():
        return int(tasks)
    named = os.environ.get("TPU_PROCESS_ADDRESSES") or os.environ.get("TPU_WORKER_HOSTNAMES")
    hosts = named or _metadata("worker-network-endpoints")
    slices = os.environ.get("MEGASCALE_NUM_SLICES")
    if not slices:
        found = re.search(r"MEGASCALE_NUM_SLICES\W+(\d+)", _metadata("tpu-env"))
        slices = found[1] if found else 1
    return len(hosts.split(",")) * int(slices)


def _metadata(key: str) -> str:
    """An attribute of this Cloud TPU VM; empty on other machines."""
    chips = glob.glob("/dev/accel*") + glob.glob("/dev/vfio/[0-9]*")
    if os.environ.get("TPU_SKIP_MDS_QUERY") or not chips:
        return ""
    server = os.environ.get("GCE_METADATA_IP", "metadata.google.internal")
    address = f"http://{server}/computeMetadata/v1/instance/attributes/{key}"
    request = urllib.request.Request(address, headers={"Metadata-Flavor": "Google"})
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(3):  # at first boot the server may be late
        try:
            return direct.open(request, timeout=10).read().decode()
        except OSError as error:
            if getattr(error, "code", None) == 404:
                break
            time.sleep(0.5)
    return ""
