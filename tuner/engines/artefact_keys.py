"""Keys of artefacts: of what they are made of and how, not of names."""

import hashlib
from pathlib import Path
from typing import Final

KEY_LENGTH: Final = 32
_WHOLE_BYTES: Final = 16 * 1024 * 1024
_SAMPLES: Final = 16
_SAMPLE_BYTES: Final = 1024 * 1024


def content_key(source: Path, *parts: str) -> str:
    """A key of a file's content and of what is made of it."""
    with source.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    return text_key(content, *parts)


def folder_key(source: Path, *parts: str) -> str:
    """A key of a checkpoint folder's content and of what is made of it.

    Files above 16 MiB count by size and 16 samples of 1 MiB, the first and the last among them: another training
    changes all of a weight file, and reading 140 GB would take minutes.
    """
    digest = hashlib.sha256()
    for path in sorted(source.rglob("*")):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(source).parts):
            digest.update(f"{path.relative_to(source)}\n{path.stat().st_size}\n".encode())
            _add(digest, path)
    return text_key(digest.hexdigest(), *parts)


def text_key(*parts: str) -> str:
    """A key of texts."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:KEY_LENGTH]


def _add(digest: "hashlib._Hash", path: Path) -> None:
    size = path.stat().st_size
    with path.open("rb") as file:
        if size <= _WHOLE_BYTES:
            digest.update(file.read())
            return
        for index in range(_SAMPLES):
            file.seek((size - _SAMPLE_BYTES) * index // (_SAMPLES - 1))
            digest.update(file.read(_SAMPLE_BYTES))
