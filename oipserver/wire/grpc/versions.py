"""What a version that does not exist was: a number, or text where only numbers are versions; knows no call."""

from __future__ import annotations

from ...errors import InvalidArgumentError, NotFoundError, OIPError
from ...plane import DataPlane


def about_version(error: NotFoundError, data: DataPlane, model: str, version: str) -> OIPError:
    """``error``, or the one that tells a caller that ``version`` cannot be a version of a loaded ``model``.

    Models whose versions are texts have only unknown versions.
    """
    try:
        number = int(version)
    except ValueError:
        number = 0
        reason = f"failed to get model version from specified version string '{version}' (details: stol)"
    else:
        reason = f"invalid model version specified '{version}' "
    if not version or number > 0 or not _has_numbers_only(data, model):
        return error
    return InvalidArgumentError(f"{reason}, version should be an integral value > 0")


def _has_numbers_only(data: DataPlane, model: str) -> bool:
    try:
        data.model_metadata(model)
    except OIPError:
        return False
    return all(version.isdecimal() for version in data.model_versions(model))
