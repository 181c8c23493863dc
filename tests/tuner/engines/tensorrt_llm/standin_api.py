"""The HTTP side of the stand-in: health, version, models, and streamed completions with usage; test equipment."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from aiohttp import web

from tests.tuner.engines.tensorrt_llm.standin_batching import Batching, Machine
from tests.tuner.engines.tensorrt_llm.standin_faults import Orders

Say = Callable[[str], None]


class Api:
    """Answers as trtllm-serve does; `ranks` are processes that stand for the other GPUs."""

    def __init__(
        self, model: str, machine: Machine, orders: Orders, data: dict[str, Any], ranks: list[int], say: Say
    ) -> None:
        self._model = model
        self._machine = machine
        self._orders = orders
        self._data = data
        self._ranks = ranks
        self._say = say
        self._batching = Batching(machine)
        self._started = time.monotonic()
        self._background: list[asyncio.Task[None]] = []

    def app(self) -> web.Application:
        """The routes."""
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.add_routes(
            [
                web.get("/health", self._health),
                web.get("/version", self._version),
                web.get("/v1/models", self._models),
                web.post("/v1/completions", self._completions),
                web.post("/v1/chat/completions", self._chat),
            ]
        )
        app.on_startup.append(self._start)
        return app

    async def _start(self, app: web.Application) -> None:
        self._background.append(asyncio.create_task(self._batching.run()))
        self._background.append(asyncio.create_task(self._fall_ill()))

    async def _fall_ill(self) -> None:
        await asyncio.sleep(self._orders.sick_after_seconds)
        if self._fault("rank_death") is not None:
            for rank in self._ranks:
                os.kill(rank, signal.SIGKILL)
            self._batching.stop()
        if self._fault("hang_detected") is not None:
            self._say("[TRT-LLM] [E] Hang detected on rank 0 in PyExecutor.")

    def _fault(self, kind: str) -> Any:
        return self._orders.fault(kind, self._data)

    async def _health(self, request: web.Request) -> web.Response:
        late = time.monotonic() - self._started >= self._orders.sick_after_seconds
        ill = late and (self._fault("rank_death") or self._fault("sick_later"))
        return web.Response(status=503 if ill or self._fault("endless_503") else 200)

    async def _version(self, request: web.Request) -> web.Response:
        return web.json_response({"version": self._orders.version})

    async def _models(self, request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": self._model, "object": "model"}]})

    async def _completions(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        prompt = body["prompt"]
        tokens = len(prompt) if isinstance(prompt, list) else max(1, len(prompt.split()))
        return await self._answer(request, body, tokens, "text_completion")

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        text = " ".join(str(message.get("content", "")) for message in body["messages"])
        return await self._answer(request, body, max(1, len(text.split())), "chat.completion.chunk")

    async def _answer(self, request: web.Request, body: Any, prompt: int, kind: str) -> web.StreamResponse:
        limit = int(self._data.get("max_num_tokens", 8192))
        if prompt > limit and not self._machine.chunked:
            message = (
                f"The sum of prompt length ({prompt:.1f}), query length (0) should not exceed max_num_tokens ({limit})"
            )
            error = {"object": "error", "message": message, "type": "BadRequestError", "param": None, "code": 400}
            return web.json_response(error, status=400)
        output = int(body.get("max_tokens") or body.get("max_completion_tokens") or 16)
        usage = {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output}
        if not body.get("stream"):
            words = [f"w{number} " async for number in self._batching.tokens(prompt, output)]
            return web.json_response({"object": kind, "choices": [_choice("".join(words), kind)], "usage": usage})
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        try:
            async for event in self._events(body, prompt, output, kind, usage):
                await answer.write(f"data: {event}\n\n".encode())
        except ConnectionResetError:
            return answer
        await answer.write_eof()
        return answer

    async def _events(self, body: Any, prompt: int, output: int, kind: str, usage: Any) -> AsyncIterator[str]:
        interval, held = int(self._data.get("stream_interval", 1)), ""
        breaks = self._fault("mid_stream_error")
        async for number in self._batching.tokens(prompt, output):
            held += f"w{number} "
            if breaks is not None and number > output // 2:
                message = "Encountered an error in forward function: Can't allocate new blocks. No free blocks left."
                yield json.dumps({"error": {"message": message, "type": "InternalServerError", "code": 500}})
                return
            if number % interval == 0 or number == output or number == 1:
                yield json.dumps({"object": kind, "model": self._model, "choices": [_choice(held, kind)]})
                held = ""
        if (body.get("stream_options") or {}).get("include_usage"):
            yield json.dumps({"object": kind, "model": self._model, "choices": [], "usage": usage})
        yield "[DONE]"


def _choice(text: str, kind: str) -> dict[str, Any]:
    content = {"text": text} if kind == "text_completion" else {"delta": {"role": "assistant", "content": text}}
    return {"index": 0, "finish_reason": None, **content}
