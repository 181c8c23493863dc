"""NVIDIA's published configurations: each is taken, or refused where the engine refuses it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tuner.engines.tensorrt_llm import check_arguments

PUBLISHED: list[Mapping[str, Any]] = yaml.safe_load(Path(__file__).with_name("published.yaml").read_text())


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("example", PUBLISHED, ids=lambda one: one["source"])
def test_a_published_configuration_is_taken_or_refused_for_the_right_field(
    example: Mapping[str, Any], version: str
) -> None:
    blamed = {problem.field for problem in check_arguments(example["fields"], version=version)}
    refused = example.get("refused", {}).get(version)
    assert blamed == set() if refused is None else refused in blamed


def test_what_a_page_names_and_no_release_has_is_mended() -> None:
    fields = {"speculative_config": {"decoding_type": "MTP", "num_nextn_predict_layers": 1, "use_sa_spec": True}}
    [problem] = check_arguments(fields, version="1.3")
    assert "sa_config: {threshold" in problem.message
    mended = {"decoding_type": "MTP", "num_nextn_predict_layers": 1, "sa_config": {"threshold": 4}}
    assert check_arguments({"speculative_config": mended}, version="1.3") == []


def test_a_connector_of_1_3_is_a_preset_or_named_in_full() -> None:
    half = {"kv_connector_config": {"connector_module": "store"}}
    [problem] = check_arguments(half, version="1.3")
    assert (problem.field, "connector_scheduler_class" in problem.message) == ("kv_connector_config", True)
    full = {"connector_scheduler_class": "Leader", "connector_worker_class": "Worker"}
    assert check_arguments({"kv_connector_config": {**half["kv_connector_config"], **full}}, version="1.3") == []
