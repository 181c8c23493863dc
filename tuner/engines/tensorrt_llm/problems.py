"""Says what is wrong with a field of an engine configuration, and what would be right."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from tuner.engines.tensorrt_llm.arguments import TrtllmArguments
from tuner.engines.tensorrt_llm.arguments_1_3 import TrtllmArguments13
from tuner.engines.tensorrt_llm.kv_cache import KvCacheConfig
from tuner.errors import SpecProblem
from tuner.spec_problems import near

_INSTEAD: Final[Mapping[str, str]] = {
    "build_config": "it has no effect on the pytorch backend; write max_batch_size and the like at the top level",
    "decoding_config": "it is gone; use speculative_config",
    "ep_size": "use moe_expert_parallel_size",
    "extra_llm_api_options": "it is a flag of trtllm-serve, not a field",
    "free_gpu_memory_fraction": "write it inside kv_cache_config",
    "kv_cache_dtype": "use kv_cache_config: {dtype: …}",
    "kv_cache_free_gpu_memory_fraction": "use kv_cache_config: {free_gpu_memory_fraction: …}",
    "pp_size": "use pipeline_parallel_size",
    "pytorch_backend_config": "its fields stand at the top level since 1.0",
    "quant_config": "on the pytorch backend the checkpoint says its own precision; leave it out",
    "sa_spec_threshold": "since 1.3 it is sa_config: {threshold: …}",
    "tp_size": "use tensor_parallel_size",
    "use_sa_spec": "NVIDIA's page names it, and no release has it; since 1.3 it is sa_config: {threshold: …}",
    "use_cuda_graph": "use cuda_graph_config: {…}, or cuda_graph_config: null to switch CUDA graphs off",
}
_TYPE_TAGS: Final = frozenset({"mapping", "path", "str", "int", "float", "bool"})
_PLAIN: Final = {
    "missing": "is missing; give it",
    **dict.fromkeys(("model_type", "model_attributes_type", "dict_type"), "is not a mapping; give its fields below it"),
}

Models = tuple[type[BaseModel], ...]


def problems_of(model: type[BaseModel], errors: Iterable[ErrorDetails], version: str) -> list[SpecProblem]:
    """One problem per wrong field of pydantic's errors over `model`."""
    problems: dict[str, SpecProblem] = {}
    for error in errors:
        field, parents = _resolve(model, error["loc"])
        if error["type"].startswith("union_tag"):
            field = f"{field}.{_tag_name(error)}"
        problems.setdefault(field, SpecProblem(field, _message(error, parents, version)))
    return list(problems.values())


def _resolve(model: type[BaseModel], location: tuple[int | str, ...]) -> tuple[str, Models]:
    """The dotted path of a location, without the tags of unions, and the models that its last field may belong to."""
    path: list[str] = []
    models: Models = (model,)
    parents: Models = ()
    for part in location:
        holder = next((one for one in models if part in one.model_fields), None)
        if holder is not None:
            path.append(str(part))
            parents, models = (holder,), tuple(_models_in(holder.model_fields[str(part)].annotation))
        elif len(models) > 1 and (tagged := tuple(one for one in models if _carries(one, part))):
            models = tagged
        elif part not in _TYPE_TAGS and not str(part).startswith("dict["):
            path.append(str(part))
            parents, models = models, ()
    return ".".join(path), parents


def _carries(model: type[BaseModel], tag: int | str) -> bool:
    return any(tag in get_args(field.annotation) for field in model.model_fields.values() if field.is_required())


def _newer_than(version: str) -> set[str]:
    """Names of fields at any level that came after this version; empty for the newest."""
    if not version.startswith("1.2"):
        return set()
    return _names_in(TrtllmArguments13) - _names_in(TrtllmArguments)


def _names_in(model: type[BaseModel]) -> set[str]:
    below = (held for field in model.model_fields.values() for held in _models_in(field.annotation))
    return set(model.model_fields).union(*(_names_in(held) for held in below))


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _tag_name(error: ErrorDetails) -> str:
    return str(error.get("ctx", {}).get("discriminator", "")).strip("'")


def _message(error: ErrorDetails, parents: Models, version: str) -> str:
    name, given, kind = str(error["loc"][-1]), error.get("input"), error["type"]
    if kind == "extra_forbidden":
        return _unknown(name, parents, version)
    if kind.startswith("union_tag"):
        return _wrong_tag(error, version)
    if name == "backend" and given in ("tensorrt", "trt", "_autodeploy"):
        return f"backend {given!r} takes other arguments, which are not checked here; use pytorch"
    if name == "dtype" and KvCacheConfig in parents and given in ("bfloat16", "bf16", "float16"):
        return f"{given} is not a KV-cache type; write auto, which follows the checkpoint"
    if kind == "value_error":
        return error["msg"].removeprefix("Value error, ")
    message = _PLAIN.get(kind) or error["msg"][0].lower() + error["msg"][1:]
    return f"{message} (given: {given!r})" if isinstance(given, str | int | float | bool | None) else message


def _wrong_tag(error: ErrorDetails, version: str) -> str:
    context = error.get("ctx", {})
    if "tag" not in context:
        return "is missing; it says which of the kinds this is"
    kinds = [tag.strip("' ") for tag in str(context["expected_tags"]).split(",")]
    return f"{context['tag']!r} is not known to TensorRT-LLM {version}; {near(str(context['tag']), kinds)}"


def _unknown(name: str, parents: Models, version: str) -> str:
    if name in _newer_than(version):
        return f"unknown to TensorRT-LLM {version}, it came with 1.3; leave it out"
    known = [field for parent in parents for field in parent.model_fields]
    return f"unknown field; {_INSTEAD.get(name) or near(name, known)}"
