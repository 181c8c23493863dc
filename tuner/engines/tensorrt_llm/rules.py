"""Combinations of arguments that TensorRT-LLM 1.2 refuses, or fails on later: one named rule each.

Each rule gives the field to change and a message that says what is wrong and what would be right. Source: the
validators of TensorRT-LLM 1.2 and the failures its users report (looked up 2026-11).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from tuner.engines.tensorrt_llm.arguments import TrtllmArguments
from tuner.space.hardware import Gpu
from tuner.space.models import ModelShape
from tuner.space.precision import WEIGHTS

Broken = tuple[str, str]
"""The field to blame, and the message."""

KV_CACHE_CAPABILITY: Final = {"fp8": 89, "nvfp4": 100}
"""Oldest compute capability (times ten) that computes with each KV-cache type: Ada, Blackwell."""
_GENERATIONS: Final = {80: "Ampere", 89: "Ada", 90: "Hopper", 100: "Blackwell"}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the arguments are held against; `None` leaves out the rules that need it.

    `weights` is the precision of the checkpoint, in the words of the public contract.
    """

    model: ModelShape | None = None
    gpu: Gpu | None = None
    weights: str | None = None


NOWHERE: Final = Surroundings()
"""Nothing is known but the arguments themselves."""


@dataclass(frozen=True, slots=True)
class BrokenRule:
    """A rule that the arguments break: its name, the field to change, and what would be right."""

    rule: str
    field: str
    message: str


Rule = Callable[[TrtllmArguments, Surroundings], Broken | None]


def moe_parallel_product(a: TrtllmArguments, _: Surroundings) -> Broken | None:
    """Expert and tensor parallelism of the experts multiply to the tensor-parallel group."""
    tp, cluster = a.tensor_parallel_size, a.moe_cluster_parallel_size or 1
    moe_tp, ep = a.moe_tensor_parallel_size, a.moe_expert_parallel_size
    product = (moe_tp or 1) * (ep or 1) * cluster
    if moe_tp is not None and ep is not None and product != tp:
        return (
            "moe_expert_parallel_size",
            f"moe_tensor_parallel_size {moe_tp} × moe_expert_parallel_size {ep} is not tensor_parallel_size {tp}; "
            f"make the product {tp}, or leave one of the two out",
        )
    if tp % product:
        field = "moe_expert_parallel_size" if ep is not None else "moe_tensor_parallel_size"
        return field, f"{product} does not divide tensor_parallel_size {tp}; use a divisor of {tp}"
    return None


def expert_division(a: TrtllmArguments, s: Surroundings) -> Broken | None:
    """Experts divide among the expert-parallel ranks."""
    ep = a.moe_expert_parallel_size or 1
    if s.model is None or not s.model.is_moe or s.model.experts % ep == 0:
        return None
    return (
        "moe_expert_parallel_size",
        f"{ep} does not divide the {s.model.experts} experts of {s.model.name}; use a divisor of {s.model.experts}",
    )


def attention_heads(a: TrtllmArguments, s: Surroundings) -> Broken | None:
    """Attention heads divide among the tensor-parallel ranks, unless attention runs in data parallel."""
    if s.model is None or a.enable_attention_dp or s.model.attention_heads % a.tensor_parallel_size == 0:
        return None
    return (
        "tensor_parallel_size",
        f"{a.tensor_parallel_size} does not divide the {s.model.attention_heads} attention heads of {s.model.name}; "
        "use a divisor, or enable_attention_dp: true",
    )


def pipeline_layers(a: TrtllmArguments, s: Surroundings) -> Broken | None:
    """Every pipeline stage has a layer."""
    if s.model is None or a.pipeline_parallel_size <= s.model.layers:
        return None
    return (
        "pipeline_parallel_size",
        f"{a.pipeline_parallel_size} stages are more than the {s.model.layers} layers of {s.model.name}; use fewer",
    )


def pipeline_partition(a: TrtllmArguments, s: Surroundings) -> Broken | None:
    """The partition names the layers of every stage, and all layers."""
    parts = a.pp_partition
    if parts is None:
        return None
    if len(parts) != a.pipeline_parallel_size:
        return (
            "pp_partition",
            f"it has {len(parts)} stages and pipeline_parallel_size is {a.pipeline_parallel_size}; give one per stage",
        )
    if s.model is not None and sum(parts) != s.model.layers:
        return "pp_partition", f"it sums to {sum(parts)} layers and {s.model.name} has {s.model.layers}; name them all"
    return None


def attention_dp_waits(a: TrtllmArguments, _: Surroundings) -> Broken | None:
    """A balanced attention data parallelism waits zero iterations or more."""
    config = a.attention_dp_config
    if config is None or not config.enable_balance:
        return None
    for name in ("timeout_iters", "batching_wait_iters"):
        if (wait := getattr(config, name)) < 0:
            return f"attention_dp_config.{name}", f"{wait} iterations with enable_balance; use 0 or more"
    return None


def helix_block(a: TrtllmArguments, _: Surroundings) -> Broken | None:
    """Helix context parallelism and the KV cache have the same block."""
    if a.context_parallel_size == 1 or a.cp_config is None or a.cp_config.cp_type != "HELIX":
        return None
    block, cache = a.cp_config.tokens_per_block, a.kv_cache_config.tokens_per_block
    if block in (None, cache):
        return None
    return "cp_config.tokens_per_block", f"{block} is not kv_cache_config.tokens_per_block {cache}; make them equal"


def cuda_graph_sizes(a: TrtllmArguments, _: Surroundings) -> Broken | None:
    """The largest captured batch is the one named."""
    graphs = a.cuda_graph_config
    if graphs is None or not graphs.batch_sizes or graphs.max_batch_size in (0, max(graphs.batch_sizes)):
        return None
    return (
        "cuda_graph_config.max_batch_size",
        f"{graphs.max_batch_size} is not the largest of batch_sizes, {max(graphs.batch_sizes)}; "
        "give one of the two, or make them equal",
    )


def speculative_backend(a: TrtllmArguments, _: Surroundings) -> Broken | None:
    """The algorithm runs on the `pytorch` backend."""
    config = a.speculative_config
    if config is None or config.runs_on_pytorch:
        return None
    return (
        "speculative_config.decoding_type",
        f"{config.decoding_type} does not run on the pytorch backend; use MTP, Eagle3, NGram or Draft_Target",
    )


def draft_length(a: TrtllmArguments, _: Surroundings) -> Broken | None:
    """An algorithm with a drafter says how many tokens it drafts."""
    config = a.speculative_config
    if config is None or not config.needs_draft_length or config.max_draft_len:
        return None
    return "speculative_config.max_draft_len", f"{config.decoding_type} needs it; give 1 or more draft tokens"


def draft_model(a: TrtllmArguments, _: Surroundings) -> Broken | None:
    """An algorithm with a draft model names it."""
    config = a.speculative_config
    if config is None or not config.needs_draft_model or config.speculative_model:
        return None
    return (
        "speculative_config.speculative_model",
        f"{config.decoding_type} needs a draft model; give its name or checkpoint directory",
    )


def draft_schedule(a: TrtllmArguments, _: Surroundings) -> Broken | None:
    """A schedule of draft lengths starts at batch size 1 with the longest."""
    config = a.speculative_config
    if config is None or config.draft_len_schedule is None:
        return None
    schedule, longest = config.draft_len_schedule, config.max_draft_len
    field = "speculative_config.draft_len_schedule"
    if 1 not in schedule:
        return field, "it lacks batch size 1; add `1: max_draft_len`"
    if longest is not None and (schedule[1] != longest or max(schedule.values()) > longest):
        return field, f"batch size 1 must draft max_draft_len {longest} tokens, and no other more; mend the schedule"
    return None


def draft_tree(a: TrtllmArguments, _: Surroundings) -> Broken | None:
    """A draft tree is either given or grown; a grown one says how wide, and drafts no more than fit into it."""
    config = a.speculative_config
    width = getattr(config, "dynamic_tree_max_topK", None)
    if config is None or not (getattr(config, "use_dynamic_tree", False) or width is not None):
        return None
    if getattr(config, "eagle_choices", None) is not None:
        return "speculative_config.eagle_choices", "it excludes use_dynamic_tree: true; keep one of the two"
    if width is None:
        return "speculative_config.dynamic_tree_max_topK", "use_dynamic_tree needs it; give the drafts per node"
    deep, tokens = config.max_draft_len or 0, config.max_total_draft_tokens
    if tokens is None or deep <= tokens <= width * deep:
        return None
    return (
        "speculative_config.max_total_draft_tokens",
        f"{tokens} is not within max_draft_len {deep} and dynamic_tree_max_topK × max_draft_len {width * deep}",
    )


def speculative_pipeline(a: TrtllmArguments, _: Surroundings) -> Broken | None:
    """Speculative decoding needs one pipeline stage."""
    if a.speculative_config is None or a.pipeline_parallel_size == 1:
        return None
    return (
        "pipeline_parallel_size",
        f"{a.pipeline_parallel_size} stages cannot be combined with speculative_config; use 1, or leave that out",
    )


def kv_cache_precision(a: TrtllmArguments, s: Surroundings) -> Broken | None:
    """The GPU computes with that KV-cache type."""
    needed = KV_CACHE_CAPABILITY.get(a.kv_cache_config.dtype, 0)
    if s.gpu is None or s.gpu.compute_capability >= needed:
        return None
    return (
        "kv_cache_config.dtype",
        f"{a.kv_cache_config.dtype} needs {_GENERATIONS[needed]} or newer, and {s.gpu.name} is older; use auto",
    )


def weight_precision(_: TrtllmArguments, s: Surroundings) -> Broken | None:
    """The GPU computes with the checkpoint's precision."""
    precision = WEIGHTS.get(s.weights or "")
    if s.gpu is None or precision is None or s.gpu.compute_capability >= precision.compute_capability:
        return None
    needed = _GENERATIONS.get(precision.compute_capability, f"compute capability {precision.compute_capability / 10}")
    return "model", f"a {precision.name} checkpoint needs {needed} or newer, and {s.gpu.name} is older; use another"


def lora_prefetch(a: TrtllmArguments, _: Surroundings) -> Broken | None:
    """Adapters are not fetched ahead."""
    if a.peft_cache_config is None or a.peft_cache_config.lora_prefetch_dir is None:
        return None
    return "peft_cache_config.lora_prefetch_dir", "prefetching adapters is not supported; leave it out"


def ray_extension(a: TrtllmArguments, _: Surroundings) -> Broken | None:
    """A Ray worker's extension needs Ray."""
    if a.ray_worker_extension_cls is None or a.orchestrator_type == "ray":
        return None
    return "ray_worker_extension_cls", "it needs orchestrator_type: ray; set that, or leave it out"


def calibration_file(a: TrtllmArguments, _: Surroundings) -> Broken | None:
    """Collected calibration is written somewhere."""
    config = a.layer_wise_benchmarks_config
    if config.calibration_mode != "COLLECT" or config.calibration_file_path:
        return None
    return "layer_wise_benchmarks_config.calibration_file_path", "COLLECT needs it; give a path"


RULES: Final[Mapping[str, Rule]] = {
    rule.__name__: rule
    for rule in (
        moe_parallel_product,
        expert_division,
        attention_heads,
        pipeline_layers,
        pipeline_partition,
        attention_dp_waits,
        helix_block,
        cuda_graph_sizes,
        speculative_backend,
        draft_length,
        draft_model,
        draft_schedule,
        draft_tree,
        speculative_pipeline,
        kv_cache_precision,
        weight_precision,
        lora_prefetch,
        ray_extension,
        calibration_file,
    )
}
"""Every rule by name."""


def broken_rules(arguments: TrtllmArguments, surroundings: Surroundings = NOWHERE) -> list[BrokenRule]:
    """Every rule that the arguments break, in the order of `RULES`."""
    return [
        BrokenRule(name, *broken)
        for name, rule in RULES.items()
        if (broken := rule(arguments, surroundings)) is not None
    ]
