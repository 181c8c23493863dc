"""Predicts every row of a table, on all cores; no row's trouble is another's."""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Final

from tuner.errors import KernelDataError
from tuner.processes import follow_parent
from tuner.simulator.fidelity.cells import BrokenCellError, Row
from tuner.simulator.fidelity.figures import Groups, RowResult
from tuner.simulator.fidelity.table import MeasuredTable, TableKind
from tuner.trial import Failure, FailureKind

if TYPE_CHECKING:
    from tuner.simulator.kernel_data import KernelData

ROWS_AT_ONCE: Final = 24
"""Rows handed to a process together: some seconds of work."""

Progress = Callable[[int, int], None]


def predict_table(table: MeasuredTable, progress: Progress, processes: int | None = None) -> list[RowResult]:
    """A result for every row, in order; `progress` is told how many of all are done.

    Rows of one GPU and engine go to a process together, because loading their kernel data takes up to three seconds.
    """
    if table.kind is TableKind.ENERGY:
        results = [predict_one(table.kind, row) for row in table.rows]
        progress(len(results), len(results))
        return results
    wanted = sorted(range(len(table.rows)), key=lambda number: _home(table.rows[number]))
    chunks = [wanted[start : start + ROWS_AT_ONCE] for start in range(0, len(wanted), ROWS_AT_ONCE)]
    found: dict[int, RowResult] = {}
    with _pool(min(processes or os.cpu_count() or 1, len(chunks))) as pool:
        futures = {pool.submit(_predict_these, [table.rows[number] for number in chunk]): chunk for chunk in chunks}
        for future in as_completed(futures):
            try:
                found |= dict(zip(futures[future], future.result(), strict=True))
            except BrokenProcessPool:
                raise KernelDataError(
                    "a predicting process was killed (out of memory?); run the command again"
                ) from None
            progress(len(found), len(table.rows))
    return [found[number] for number in range(len(table.rows))]


def predict_one(kind: TableKind, row: Row) -> RowResult:
    """The result of one row, whatever is wrong with it."""
    try:
        if kind is TableKind.ENERGY:
            from tuner.simulator.fidelity import energy

            return energy.predict_row(row)
        from tuner.simulator.fidelity import serving
        from tuner.simulator.latency.calibration import shipped

        return serving.predict_row(row, _kernels(), shipped())
    except BrokenCellError as error:
        failure = Failure(FailureKind.UNSUPPORTED, str(error))
        return RowResult(Groups("broken row", "", "", ""), failure=failure, problem=str(error))
    except KernelDataError as error:
        return RowResult(_groups_of(row), failure=Failure(FailureKind.UNSUPPORTED, str(error)))
    except Exception as error:  # noqa: BLE001 - one row must not take the others along; it is told of, loudly
        words = f"{type(error).__name__}: {' '.join(str(error).split())[:200]} (a fault of paretune; please report it)"
        return RowResult(_groups_of(row), failure=Failure(FailureKind.CRASHED, words), problem=words)


def _groups_of(row: Row) -> Groups:
    gpu = row.get("system") or row.get("gpu_model") or ""
    model = row.get("model_path") or row.get("model_id") or ""
    precision = row.get("precision") or row.get("weight_precision") or ""
    return Groups(gpu, precision, model, f"{row.get('isl', '')}/{row.get('osl', '')}")


def _home(row: Row) -> tuple[str, ...]:
    return tuple(row.get(column) or "" for column in ("system", "backend", "model_path", "precision", "tp_size"))


@contextmanager
def _pool(processes: int) -> Iterator[ProcessPoolExecutor]:
    """Processes from a fork server, gone when the block is left, also in the middle of their work."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tuner.simulator.fidelity.serving"])
    executor = ProcessPoolExecutor(processes, mp_context=context, initializer=follow_parent)
    try:
        yield executor
    finally:
        children = list((executor._processes or {}).values())
        executor.shutdown(wait=False, cancel_futures=True)
        for child in children:
            child.terminate()
        for child in children:
            child.join(timeout=5)


def _predict_these(rows: Sequence[Row]) -> list[RowResult]:
    return [predict_one(TableKind.SERVING, row) for row in rows]


@cache
def _kernels() -> "KernelData":
    from tuner.simulator.kernel_data import KernelData

    return KernelData()
