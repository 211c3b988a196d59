"""Which folders of a model are versions, and which of them its version policy serves; reads no folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .forms import Configuration

#: Folders of a model that hold other things than a version.
NO_VERSIONS = frozenset({"configs", "initial_state", "warmup"})


def is_version(folder: str) -> bool:
    """Whether a folder's name is that of a version: an integer without leading zeros."""
    return folder.isascii() and folder.isdigit() and (folder == "0" or not folder.startswith("0"))


def versions_in(folders: Iterable[str], warn: Callable[[str], None]) -> list[str]:
    """The versions among the names of a model's folders, lowest first. ``warn`` is told of numbers that are none."""
    found = []
    for folder in folders:
        if is_version(folder):
            found.append(folder)
        elif folder.isascii() and folder.isdigit():
            warn(f"version folder '{folder}' is ignored: the number of a version has no leading zeros")
    return sorted(found, key=int)


def served_versions(configuration: Configuration, present: list[str], warn: Callable[[str], None]) -> list[str]:
    """Those of the versions that are ``present``, lowest first, which the configuration's policy serves.

    ``warn`` is told of those it names that are not there.
    """
    policy = configuration.get("version_policy", {})
    if "all" in policy:
        return present
    if "specific" in policy:
        wanted = {str(version) for version in policy["specific"]["versions"]}
        for version in sorted(wanted - set(present), key=int):
            warn(f"version {version} is specified for model '{configuration['name']}', but is not present")
        return [version for version in present if version in wanted]
    return present[-policy.get("latest", {"num_versions": 1})["num_versions"] :]
