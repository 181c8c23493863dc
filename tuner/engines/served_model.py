"""What an OpenAI-compatible server says of itself: the model it serves, and its gauges and counters."""

from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families

from tuner.engines.asking import get, get_json
from tuner.engines.base import Address

_PARTS = ("_bucket", "_created")


def served_name(address: Address) -> str:
    """The name by which the server knows its model: the asked one where it lists it, else the first that it lists."""
    listed = get_json(address, "/v1/models")
    entries = listed.get("data") if isinstance(listed, Mapping) else None
    names = [
        str(entry["id"]) for entry in entries or [] if isinstance(entry, Mapping) and isinstance(entry.get("id"), str)
    ]
    return address.model if address.model in names or not names else names[0]


def gauges(address: Address, path: str) -> dict[str, float]:
    """Gauges and counters that the server shows in Prometheus' text format, summed over labels; empty without any."""
    answer = get(address, path)
    if answer is None or answer[0] != 200:
        return {}
    found: dict[str, float] = {}
    try:
        for family in text_string_to_metric_families(answer[1].decode("utf-8", "replace")):
            for sample in family.samples:
                if not sample.name.endswith(_PARTS):
                    found[sample.name] = found.get(sample.name, 0.0) + float(sample.value)
    except ValueError:
        return {}
    return found
