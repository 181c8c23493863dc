"""TensorRT-LLM: its arguments, checked before anything starts, and written from a configuration."""

from tuner.engines.tensorrt_llm.arguments import TrtllmArguments
from tuner.engines.tensorrt_llm.check import check_arguments, parse_arguments
from tuner.engines.tensorrt_llm.deployment import arguments_of, to_yaml
from tuner.engines.tensorrt_llm.rules import RULES, BrokenRule, Surroundings, broken_rules

__all__ = [
    "RULES",
    "BrokenRule",
    "Surroundings",
    "TrtllmArguments",
    "arguments_of",
    "broken_rules",
    "check_arguments",
    "parse_arguments",
    "to_yaml",
]
