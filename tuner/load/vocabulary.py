"""Tokens that prompts are made of: ids that are ordinary text to the model, and words that are one token each."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from tuner.load.client import Client
from tuner.load.errors import LoadError

_TEXT: Final = """
time year people way day man thing woman life child world school state family student group country problem hand part
place case week company system program question work government number night point home water room mother area money
story fact month lot right study book eye job word business issue side kind head house service friend father power hour
game line end member law car city community name president team minute idea body information back face level office door
health person art war history party result change morning reason research girl moment air teacher force education food
light sound green red blue white black large small long short high low old new young early late full open strong free
"""
WORDS: Final = tuple(_TEXT.split())
"""Short common English words: one token each, with the space before it, in the tokenizers of nearly all models."""
LEAST_PIECES: Final = 16
"""With fewer different tokens than this prompts begin alike too often."""
UNKNOWN_IDS: Final = range(1_000, 10_000)
"""Ids that are ordinary tokens in every vocabulary of 32,000 and more: special ones and bytes stand at the ends."""
ORDINARY_SHARE: Final = (0.1, 0.75)
"""The part of a vocabulary of known size that holds no special tokens."""


class Tokenizer(Protocol):
    """The model's own tokenizer."""

    async def tokens(self, text: str) -> list[int] | None:
        """The ids of a text without special tokens; `None` when they cannot be had."""


@dataclass(frozen=True, slots=True)
class EngineTokenizer:
    """The tokenizer behind an engine's `/tokenize`, in the dialects of llama.cpp, vLLM and SGLang."""

    client: Client

    async def tokens(self, text: str) -> list[int] | None:
        """The ids of a text; `None` where the engine has no such call."""
        asked = {
            "model": self.client.endpoint.model,
            "content": text,
            "prompt": text,
            "add_special": False,
            "add_special_tokens": False,
        }
        reply = await self.client.call("POST", "/tokenize", asked)
        if reply is None or reply.status != 200 or not isinstance(reply.document, dict):
            return None
        found = reply.document.get("tokens")
        return found if isinstance(found, list) and all(isinstance(one, int) for one in found) else None


class FileTokenizer:
    """A `tokenizer.json` on this machine; raises `LoadError` when it cannot be read."""

    def __init__(self, path: Path) -> None:
        try:
            import tokenizers
        except ImportError:
            raise LoadError("reading a tokenizer needs a package; install it with: pip install tokenizers") from None
        try:
            self._tokenizer = tokenizers.Tokenizer.from_file(str(path / "tokenizer.json" if path.is_dir() else path))
        except Exception as error:  # noqa: BLE001 - the package raises bare exceptions
            raise LoadError(f"{path} cannot be read as a tokenizer ({error}); give a tokenizer.json") from None

    async def tokens(self, text: str) -> list[int] | None:
        """The ids of a text."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)


async def token_ids(client: Client, tokenizer: Tokenizer) -> Sequence[int]:
    """Ids that are safe for the model: those of ordinary words, else the middle of its vocabulary."""
    found = await tokenizer.tokens(" " + " ".join(WORDS))
    if found is not None and len(set(found)) >= LEAST_PIECES:
        return sorted(set(found))
    size = await vocabulary_size(client)
    if size is None:
        return UNKNOWN_IDS
    return range(int(size * ORDINARY_SHARE[0]), max(int(size * ORDINARY_SHARE[1]), 1))


async def single_token_words(tokenizer: Tokenizer) -> Sequence[str]:
    """The words that are one token each; all of them where no tokenizer says otherwise (usage will tell)."""
    found = await tokenizer.tokens(" " + " ".join(WORDS))
    if found is None or len(found) == len(WORDS):
        return WORDS
    single = []
    for word in WORDS:
        ids = await tokenizer.tokens(f" {word}")
        if ids is not None and len(ids) == 1:
            single.append(word)
    return single


async def vocabulary_size(client: Client) -> int | None:
    """How many tokens the model knows, where the engine says so (llama.cpp's `/v1/models`)."""
    reply = await client.call("GET", "/v1/models")
    document = reply.document if reply is not None and isinstance(reply.document, dict) else {}
    models = document.get("data")
    first = models[0] if isinstance(models, list) and models else None
    meta = first.get("meta") if isinstance(first, dict) else None
    size = meta.get("n_vocab") if isinstance(meta, dict) else None
    return size if isinstance(size, int) and size > 0 else None
