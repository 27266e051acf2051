"""What this machine has: disk, open files, versions."""

import importlib.metadata
import os
import platform
import resource
import shutil
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from roomstream.doctor.findings import Deployment, Finding

_GIB = 1024**3
_LOW_BYTES, _FULL_BYTES = 5 * _GIB, _GIB // 2
"""A release of DistilBERT base has 260 MB, and a new encoder is kept beside the old one."""
_FEW_FILES, _TOO_FEW_FILES = 1024, 256
_LIBRARIES = ("kafka-python", "faust-streaming", "onnxruntime", "tokenizers", "torch", "fsspec")


def disk(deployment: Deployment) -> Iterator[Finding]:
    """Whether the folders that are written to have room."""
    purposes: dict[int, list[str]] = defaultdict(list)
    folders: dict[int, Path] = {}
    for purpose, folder in _folders(deployment).items():
        existing = next(each for each in (folder, *folder.parents) if each.exists())
        if not os.access(existing, os.W_OK):
            yield Finding(
                "disk",
                "failed",
                f"The folder of the {purpose}, {folder}, cannot be written by this user.",
                "Give this user access, or choose another folder.",
            )
        device = existing.stat().st_dev
        purposes[device].append(purpose)
        folders[device] = existing
    for device, folder in folders.items():
        yield judge_disk(" and ".join(purposes[device]), shutil.disk_usage(folder).free)


def judge_disk(purposes: str, free_bytes: int) -> Finding:
    """Judge what is free for some purposes."""
    says = f"{free_bytes / _GIB:.1f} GiB are free for {purposes}."
    if free_bytes >= _LOW_BYTES:
        return Finding("disk", "ok", says)
    return Finding(
        "disk",
        "failed" if free_bytes < _FULL_BYTES else "warning",
        says,
        "Free some, or move them.",
    )


def files(_: Deployment) -> Iterator[Finding]:
    """Whether enough files and connections may be open at once."""
    yield judge_files(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def judge_files(limit: int) -> Finding:
    """Judge a limit of open files."""
    if limit in (resource.RLIM_INFINITY,) or limit >= _FEW_FILES:
        return Finding("files", "ok", f"{limit:,} files may be open at once.")
    return Finding(
        "files",
        "failed" if limit < _TOO_FEW_FILES else "warning",
        f"Only {limit:,} files may be open at once; a process has one for every broker, blob and probe.",
        "Raise it: ulimit -n 65536, or LimitNOFILE of the service.",
    )


def versions(_: Deployment) -> Iterator[Finding]:
    """What a report of a fault should say."""
    found = []
    for name in ("roomstream", *_LIBRARIES):
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            found.append(f"no {name}")
    yield Finding("versions", "ok", f"Python {platform.python_version()}, {', '.join(found)}.")


def _folders(deployment: Deployment) -> dict[str, Path]:
    folders = {"cache": deployment.shared.cache}
    if deployment.shared.store.startswith("file://"):
        folders["store"] = Path(deployment.shared.store.removeprefix("file://"))
    if deployment.role in (None, "trainer"):
        folders["trainer's database"] = deployment.database.parent
    return {purpose: folder.absolute() for purpose, folder in folders.items()}
