"""The only module that converts units; published mJ are 1000 x kWh: defect D7 (docs/defects.md)."""

J_PER_KWH = 3.6e6
G_PER_KG = 1e3
NS_PER_MS = 1e6


def joules(kwh: float) -> float:
    """Convert kilowatt hours, codecarbon's unit, to joules."""
    return kwh * J_PER_KWH


def grams(kg: float) -> float:
    """Convert kilograms to grams."""
    return kg * G_PER_KG


def milliseconds(ns: int) -> float:
    """Convert nanoseconds to milliseconds."""
    return ns / NS_PER_MS
