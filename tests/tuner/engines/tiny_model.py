"""Writes a small llama with random weights and a byte-level tokenizer, in a fraction of a second."""

from pathlib import Path

import gguf
import numpy

WIDTH, HEADS, INNER, LAYERS, CONTEXT_TOKENS = 64, 2, 128, 2, 1024
END = 256


def write_model(
    path: Path, kind: str = "F16", seed: int = 0, architecture: str = "llama", width: int = WIDTH, layers: int = LAYERS
) -> Path:
    """A GGUF file that llama.cpp serves: of some 300 kB, unless it is to be slower than the client that loads it."""
    random = numpy.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_context_length(CONTEXT_TOKENS)
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(width // HEADS)
    writer.add_file_type(gguf.LlamaFileType[f"MOSTLY_{kind}"])
    _add_tokenizer(writer)
    for name, shape in _shapes(width, layers).items():
        weights = random.standard_normal(shape, dtype=numpy.float32) * 0.1
        if len(shape) == 1:
            writer.add_tensor(name, numpy.ones(shape, dtype=numpy.float32))
        else:
            stored = gguf.GGMLQuantizationType[kind]
            writer.add_tensor(name, gguf.quantize(weights, stored), raw_dtype=stored)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _shapes(width: int, layers: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (END + 1, width),
        "output.weight": (END + 1, width),
        "output_norm.weight": (width,),
    }
    for layer in range(layers):
        block = f"blk.{layer}"
        shapes |= {f"{block}.attn_{part}.weight": (width, width) for part in ("q", "k", "v", "output")}
        shapes |= {f"{block}.{part}_norm.weight": (width,) for part in ("attn", "ffn")}
        shapes |= {f"{block}.ffn_{part}.weight": (INNER, width) for part in ("gate", "up")}
        shapes[f"{block}.ffn_down.weight"] = (width, INNER)
    return shapes


def _add_tokenizer(writer: gguf.GGUFWriter) -> None:
    """GPT-2's byte-level tokenizer without a merge that is ever used: one token for each byte."""
    plain = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    shifted = iter(range(0x100, 0x200))
    letters = {byte: chr(byte) if byte in plain else chr(next(shifted)) for byte in range(256)}
    tokens = [*(letters[byte] for byte in range(256)), "<|end|>"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.NORMAL] * 256 + [gguf.TokenType.CONTROL])
    writer.add_token_merges([f"{letters[0]} {letters[1]}"])
    writer.add_eos_token_id(END)
    writer.add_bos_token_id(END)
