"""What can be simulated, over HTTP."""

from fastapi.testclient import TestClient


def test_hardware_lists_gpus_with_memory_precisions_engines_and_price(client: TestClient) -> None:
    gpus = {gpu["name"]: gpu for gpu in client.get("/v1/hardware").json()["items"]}

    h100 = gpus["h100_sxm"]
    assert 70 < h100["memory_gib"] < 85
    assert h100["tdp_watts"] == 700
    assert {"bfloat16", "fp8"} <= set(h100["precisions"])
    assert "nvfp4" not in h100["precisions"]
    assert "tensorrt-llm" in h100["engines"]
    assert h100["gpu_hour_usd"] > 0


def test_models_lists_names_with_their_shapes(client: TestClient) -> None:
    models = {model["name"]: model for model in client.get("/v1/models").json()["items"]}

    llama = models["meta-llama/Llama-3.1-8B-Instruct"]
    assert (llama["layers"], llama["attention_heads"], llama["kv_heads"], llama["is_moe"]) == (32, 32, 8, False)
    assert all(model["layers"] > 0 and model["context_tokens"] > 0 for model in models.values())
