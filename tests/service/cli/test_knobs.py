from service.cli.knobs import Knobs, layout, phrase, shared, varying


def test_the_layout_is_one_word() -> None:
    assert layout({"tensor_parallel": 2, "replicas": 4}) == "4×TP2"
    assert layout({"tensor_parallel": 8, "expert_parallel": 4, "attention_dp": True}) == "TP8·EP4·DP"
    assert layout({"tensor_parallel": 4, "pipeline_parallel": 2, "replicas": 1}) == "TP4·PP2"


def test_only_knobs_that_differ_get_a_column() -> None:
    configurations = [{"gpu": "h100_sxm", "concurrency": 8, "weights": weights} for weights in ("fp8", "bfloat16")]

    assert [column.heading for column in varying(configurations)] == ["weights"]
    assert shared(configurations) == "h100_sxm, TP1, 8 in flight"


def test_a_column_that_repeats_another_is_left_out() -> None:
    configurations = [{"concurrency": number, "max_batch_size": number} for number in (8, 16)]

    assert [column.heading for column in varying(configurations)] == ["requests\nin flight"]


def test_a_phrase_says_only_what_is_set() -> None:
    knobs: Knobs = {
        "gpu": "h100_sxm",
        "concurrency": 64,
        "max_batch_size": 64,
        "cuda_graphs": True,
        "chunked_prefill": True,
    }

    assert phrase(knobs) == "h100_sxm, TP1, 64 in flight, chunked prefill"


def test_an_engines_own_knobs_are_shown_after_the_common_ones() -> None:
    configurations: list[Knobs] = [
        {"engine": "llama.cpp", "weights": "q8_0", "threads": threads, "flash_attention": attention, "micro_batch": 64}
        for threads, attention in ((1, True), (2, False))
    ]

    assert [column.heading for column in varying(configurations)] == ["flash\nattention", "threads"]
    assert shared(configurations) == "llama.cpp, TP1, q8_0, micro batch 64"
    assert phrase(configurations[1]) == "llama.cpp, TP1, q8_0, no flash attention, micro batch 64, threads 2"
