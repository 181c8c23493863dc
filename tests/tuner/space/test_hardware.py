"""GPU types: what is known of them, by which names, and with which engines."""

import pytest

from tuner.errors import SpecError
from tuner.space.hardware import find_gpu, kernel_data_directory, known_gpus, support_matrix


def test_every_gpu_with_kernel_data_is_known_with_its_sizes() -> None:
    gpus = known_gpus()

    assert {"h100_sxm", "h200_sxm", "b200_sxm", "gb200", "a100_sxm", "l40s"} <= {gpu.name for gpu in gpus}
    for gpu in gpus:
        assert min(gpu.memory_gib, gpu.memory_bandwidth_gbps, gpu.tdp_watts, gpu.gpus_per_node) > 0, gpu.name
        assert gpu.tflops["bfloat16"] > 0
        assert gpu.engines


def test_sizes_are_those_of_the_data_sheets() -> None:
    h100, b200 = find_gpu("h100_sxm"), find_gpu("b200_sxm")

    assert (round(h100.memory_gib), h100.tdp_watts, h100.compute_capability) == (80, 700, 90)
    assert h100.memory_bandwidth_gbps == pytest.approx(3350, rel=0.01)
    assert (b200.tdp_watts, b200.compute_capability) == (1000, 100)


@pytest.mark.parametrize(
    ("name", "fp8", "fp4"),
    [("a100_sxm", False, False), ("l40s", True, False), ("h100_sxm", True, False), ("b200_sxm", True, True)],
)
def test_precisions_follow_the_generation(name: str, fp8: bool, fp4: bool) -> None:
    gpu = find_gpu(name)

    assert (gpu.has_fp8, gpu.has_fp4) == (fp8, fp4)


@pytest.mark.parametrize("name", ["h100", "H100", " h100-sxm ", "H100 SXM", "h100_sxm"])
def test_a_gpu_goes_by_its_usual_names(name: str) -> None:
    assert find_gpu(name).name == "h100_sxm"


def test_an_unknown_gpu_is_answered_with_near_ones_or_all() -> None:
    with pytest.raises(SpecError, match="did you mean h100_sxm"):
        find_gpu("h1000")
    with pytest.raises(SpecError, match=r"hardware\.gpu: .*known: a100_sxm, .*h200_sxm"):
        find_gpu("zzzz")


def test_an_engine_of_a_gpu_is_one_that_ran_on_its_kernel_data() -> None:
    backends = {"tensorrt-llm": "trtllm", "vllm": "vllm", "sglang": "sglang"}
    matrix = support_matrix()

    for gpu in known_gpus():
        assert set(gpu.engines) == {name for name, backend in backends.items() if matrix.get((gpu.name, backend))}


def test_the_description_of_every_gpu_lies_in_the_kernel_data() -> None:
    systems = kernel_data_directory() / "systems"

    assert all((systems / f"{gpu.name}.yaml").is_file() for gpu in known_gpus())
