"""Caps through NVML, on the node itself, by NVIDIA's library ``nvidia-ml-py``.

No accelerator is at hand where this is tested: what is run here is the refusal where the library or
a device is missing, and everything around it. Setting a limit needs the rights of root on the node.
"""

from __future__ import annotations

from typing import Any


class NvmlDriver:
    """Sets and reads power limits of this node's accelerators; points are ``gpu/0``, ``gpu/1``, ...

    Args:
        library: stands in for ``pynvml``; None imports it.
    """

    def __init__(self, library: Any = None) -> None:
        self._library = library
        #: Why there are no devices; empty when there are.
        self.trouble = ""
        self._handles: dict[str, Any] = {}
        self._open()

    def _open(self) -> None:
        if self._library is None:
            try:
                import pynvml  # type: ignore[import-not-found]
            except ImportError:
                self.trouble = "nvidia-ml-py is not installed on this node"
                return
            self._library = pynvml
        nvml = self._library
        try:
            nvml.nvmlInit()
            count = int(nvml.nvmlDeviceGetCount())
            self._handles = {f"gpu/{k}": nvml.nvmlDeviceGetHandleByIndex(k) for k in range(count)}
        except nvml.NVMLError as error:
            self.trouble = f"NVML finds no device: {error}"

    def points(self) -> tuple[str, ...]:
        """The devices there are."""
        return tuple(self._handles)

    def read_cap(self, point: str) -> float | None:
        """The power limit a device has now, W; None where it cannot be asked."""
        handle = self._handles.get(point)
        if handle is None:
            return None
        try:
            return float(self._library.nvmlDeviceGetPowerManagementLimit(handle)) / 1000.0
        except self._library.NVMLError:
            return None

    def set_cap(self, point: str, limit_w: float) -> tuple[str, str]:
        """Set a device's power limit, W, and read it back."""
        handle = self._handles.get(point)
        if handle is None:
            return "refused", self.trouble or f"{point} is no accelerator of this node"
        nvml = self._library
        try:
            least, most = nvml.nvmlDeviceGetPowerManagementLimitConstraints(handle)
            if not least <= limit_w * 1000.0 <= most:
                return "refused", f"{limit_w:g} W lies outside {least / 1e3:g} to {most / 1e3:g} W"
            nvml.nvmlDeviceSetPowerManagementLimit(handle, round(limit_w * 1000.0))
        except nvml.NVMLError as error:
            return "refused", f"{point}: {error}"
        held = self.read_cap(point)
        if held is None or abs(held - limit_w) > 1.0:
            return "unknown", f"reads back {held} W"
        return "accepted", ""
