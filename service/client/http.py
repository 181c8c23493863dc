"""The calls of the REST API over HTTP."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self, cast
from urllib.parse import quote, urlsplit

import httpx

from service.client.answers import FrontierAnswer, JobAnswer, JsonData, PredictionAnswer, TrialAnswer
from service.client.errors import RefusedError, UnreachableError

DEFAULT_URL: Final = "http://127.0.0.1:8321"
TIMEOUT_SECONDS: Final = 60.0
CONNECT_SECONDS: Final = 5.0
TRIALS_PAGE: Final = 1000
JOBS_PAGE: Final = 200
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class ExportAnswer:
    """One exported file: the name that the service proposes, and its text."""

    name: str
    text: str


class ServiceClient:
    """Calls one service; a context manager that closes its connections.

    Every call raises `UnreachableError` when nothing answers, and `RefusedError` when the service says no.
    """

    def __init__(self, url: str = DEFAULT_URL, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self.url = _checked(url)
        self._http = httpx.Client(
            base_url=self.url,
            timeout=httpx.Timeout(timeout_seconds, connect=CONNECT_SECONDS),
            trust_env=urlsplit(self.url).hostname not in _LOOPBACK,  # a proxy has nothing to do with this machine
        )

    def submit(self, spec: Mapping[str, object], idempotency_key: str | None = None) -> JobAnswer:
        """Queues a job; with a key used before, the job of then."""
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        return cast(JobAnswer, self._json("POST", "/v1/jobs", json=spec, headers=headers))

    def job(self, job_id: str) -> JobAnswer:
        """A job as it stands."""
        return cast(JobAnswer, self._json("GET", _job(job_id)))

    def cancel(self, job_id: str) -> JobAnswer:
        """Asks a queued or running job to stop."""
        return cast(JobAnswer, self._json("POST", _job(job_id) + "/cancel"))

    def delete(self, job_id: str) -> JobAnswer:
        """Removes a job that has ended, with its trials; the job as it was."""
        return cast(JobAnswer, self._json("DELETE", _job(job_id)))

    def jobs(self, state: str | None = None, model: str | None = None) -> Iterator[JobAnswer]:
        """Jobs, newest first, read page by page as they are asked for."""
        wanted = {"state": state, "model": model, "limit": str(JOBS_PAGE)}
        for item in self._pages("/v1/jobs", {key: value for key, value in wanted.items() if value}):
            yield cast(JobAnswer, item)

    def trials(self, job_id: str) -> Iterator[TrialAnswer]:
        """The trials of a job by number, read page by page as they are asked for."""
        for item in self._pages(_job(job_id) + "/trials", {"limit": str(TRIALS_PAGE)}):
            yield cast(TrialAnswer, item)

    def frontier(self, job_id: str) -> FrontierAnswer:
        """The frontier of a job, also while it runs."""
        return cast(FrontierAnswer, self._json("GET", _job(job_id) + "/frontier"))

    def recommendations(self, job_id: str) -> dict[str, TrialAnswer]:
        """The recommended trials by name; those that are not known are absent."""
        found = self._json("GET", _job(job_id) + "/recommendations")
        return {name: cast(TrialAnswer, trial) for name, trial in found.items() if trial}

    def predictions(self, job_id: str) -> Iterator[PredictionAnswer]:
        """What is expected of the configurations that a job did not measure, those nearest to the frontier first."""
        for item in self._pages(_job(job_id) + "/predictions", {"limit": str(TRIALS_PAGE)}):
            yield cast(PredictionAnswer, item)

    def retune(self, job_id: str, changes: Mapping[str, object] | None = None) -> JobAnswer:
        """A new job that starts from what this one learned, its spec changed by a JSON merge patch."""
        return cast(JobAnswer, self._json("POST", _job(job_id) + "/retune", json=dict(changes or {})))

    def export(self, job_id: str, format_name: str, pick: str) -> ExportAnswer:
        """A recommendation, or a trial by its number, in an export format."""
        path = f"{_job(job_id)}/exports/{quote(format_name, safe='')}"
        response = self._send("GET", path, params={"pick": pick})
        named = re.search(r'filename="([^"/\\]+)"', response.headers.get("content-disposition", ""))
        name = named[1] if named and not named[1].startswith(".") else format_name
        return ExportAnswer(name, response.text)

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _pages(self, path: str, wanted: dict[str, str]) -> Iterator[object]:
        while True:
            page = self._json("GET", path, params=wanted)
            yield from cast("list[object]", page["items"])
            cursor = page.get("next_cursor")
            if cursor is None:
                return
            wanted = wanted | {"cursor": str(cursor)}

    def _json(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> JsonData:
        response = self._send(method, path, params=params, json=json, headers=headers)
        data = _object(response)
        if data is None:
            raise UnreachableError(f"what answers at {self.url} is no paretune service; check --url or PARETUNE_URL")
        return data

    def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        try:
            response = self._http.request(method, path, params=params, json=json, headers=headers)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise UnreachableError(
                f"no service answers at {self.url} ({_reason(error)}); start one with `paretune serve`, "
                "or name another with --url or PARETUNE_URL"
            ) from None
        if not response.is_success:
            raise self._refusal(response)
        return response

    def _refusal(self, response: httpx.Response) -> RefusedError | UnreachableError:
        data = _object(response)
        if data is None or "detail" not in data or "status" not in data:
            return UnreachableError(
                f"what answers at {self.url} is no paretune service (HTTP {response.status_code}); "
                "check --url or PARETUNE_URL"
            )
        problems = cast("list[dict[str, str]]", data.get("errors") or [])
        lines = [f"{found['field']}: {found['message']}" if found["field"] else found["message"] for found in problems]
        return RefusedError(response.status_code, str(data["detail"]), lines)


def _job(job_id: str) -> str:
    return f"/v1/jobs/{quote(job_id, safe='')}"


def _checked(url: str) -> str:
    """The URL without a trailing slash; raises `UnreachableError` for what is no HTTP URL."""
    try:
        parts = urlsplit(url)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = False
    if not valid:
        raise UnreachableError(f"{url!r} is no HTTP URL; give one like {DEFAULT_URL} with --url or PARETUNE_URL")
    return url.rstrip("/")


def _object(response: httpx.Response) -> JsonData | None:
    try:
        data = response.json()
    except ValueError:
        return None
    return data if isinstance(data, dict) else None


def _reason(error: Exception) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "it took too long"
    text = str(error).strip().splitlines()
    return text[0].removeprefix("[Errno 111] ").lower() if text else type(error).__name__
