"""Batteries of a real plant, behind `plant.Meter` and `plant.Actuator`: SunSpec over Modbus TCP."""

from gigafactory.adapters.battery.sunspec import SunspecBattery, SunspecSettings

__all__ = ["SunspecBattery", "SunspecSettings"]
