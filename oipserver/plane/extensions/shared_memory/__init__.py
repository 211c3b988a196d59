"""The shared memory extensions: regions that clients register, and inference on tensors that lie in them."""

from __future__ import annotations

from .cuda import CudaDriver, CudaRegion, open_cuda
from .inference import RegionPlane
from .region import Region
from .system import SystemRegion
from .table import Held, RegionTable

__all__ = ["CudaDriver", "CudaRegion", "Held", "Region", "RegionPlane", "RegionTable", "SystemRegion", "open_cuda"]
