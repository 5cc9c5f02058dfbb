"""The only place where units are converted. Ours are SI: seconds, joules, grams, bytes."""

J_PER_KWH = 3.6e6
G_PER_KG = 1e3
NS_PER_MS = 1e6


def joules(kwh: float) -> float:
    """Kilowatt hours, as codecarbon reports them, in joules."""
    return kwh * J_PER_KWH


def grams(kg: float) -> float:
    """Kilograms in grams."""
    return kg * G_PER_KG


def milliseconds(ns: int) -> float:
    """Nanoseconds in milliseconds."""
    return ns / NS_PER_MS
