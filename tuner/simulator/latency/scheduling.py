"""In-flight batching, simulated event by event: when does each request get its first and its last token.

Decode steps between two events (an arrival, an admission, an end) are alike and skipped in one stride, so that the cost
grows with requests, not with tokens. All ranks of attention data parallelism step together.
"""

from __future__ import annotations

import heapq
import math
from typing import Protocol

import numpy as np

from tuner.simulator.latency.arrivals import Traffic
from tuner.simulator.latency.intake import Intake
from tuner.simulator.latency.limits import EngineLimits
from tuner.simulator.latency.ranks import Rank, busiest, steps_until_full
from tuner.simulator.latency.timeline import Timeline


class StepClock(Protocol):
    """What the scheduler needs to know of the hardware: step durations in ms (see ``steps.StepTimes``)."""

    def decode(self, requests: int, mean_length: float) -> float:
        """A generation-only step."""
        ...

    def mixed(self, context_tokens: int, requests: int, mean_length: float, prefix_work: float = 0.0) -> float:
        """A step that prefills too."""
        ...


class _Scheduler:
    """State of one simulated engine; ``run`` plays the traffic through it."""

    def __init__(self, clock: StepClock, limits: EngineLimits, traffic: Traffic) -> None:
        count = len(traffic)
        self.clock, self.limits = clock, limits
        self.inputs: list[int] = traffic.input_tokens.tolist()
        self.outputs: list[int] = traffic.output_tokens.tolist()
        self.first = [float("nan")] * count
        self.end = [float("nan")] * count
        self.ranks = [Rank() for _ in range(limits.ranks)]
        self.rank_of = [0] * count
        self.done_prefill = [0] * count
        self.made = [0] * count
        self.joined = [0] * count
        self.intake = Intake(traffic, limits.host)
        self.waiting = 0
        self.held_since: int | None = None
        self.running_prefill: list[int] = []
        self.finishing: list[tuple[int, int, int]] = []
        self.epoch = [0] * count
        self.now = 0.0
        self.step = 0
        self.gaps: list[float] = []
        self.gap_tokens: list[float] = []
        self.gap_ends: list[float] = []
        self.peak_requests = self.peak_kv = self.evictions = self.longest_queue = 0
        self.unserved: list[int] = []
        self.tracks_order = limits.policy == "MAX_UTILIZATION" and limits.kv_tokens is not None

    # -- requests coming and going -------------------------------------------------------------------------------
    def accept_arrivals(self) -> None:
        for request in self.intake.due(self.now):
            if self.never_fits(request):
                self.unserved.append(request)
                self.intake.replace(self.now)
                continue
            self.queue(request)
        self.longest_queue = max(self.longest_queue, self.waiting)

    def queue(self, request: int) -> None:
        """Give the request to the rank that has the least to do."""
        number = 0
        if len(self.ranks) > 1:
            loads = [rank.load for rank in self.ranks]
            number = loads.index(min(loads))
        self.rank_of[request] = number
        self.ranks[number].waiting.append(request)
        self.waiting += 1

    def never_fits(self, request: int) -> bool:
        limits = self.limits
        if not limits.chunked_prefill and self.inputs[request] > limits.max_num_tokens:
            return True
        return limits.kv_tokens is not None and self.inputs[request] + self.outputs[request] > limits.kv_tokens

    def steps_left(self, request: int) -> int:
        left = self.outputs[request] - self.made[request]
        return max(0, -int(-left // self.limits.tokens_per_step))

    # -- one step ------------------------------------------------------------------------------------------------
    def admit(self, request: int, rank: Rank) -> None:
        rank.waiting.popleft()
        self.waiting -= 1
        self.running_prefill.append(request)
        rank.prefilling += 1
        rank.pending += self.inputs[request] + self.made[request]
        rank.reserved += self.inputs[request] + self.outputs[request]
        self.done_prefill[request] = 0

    def holds_back(self) -> bool:
        """Whether prompts still wait for prompts on the other ranks (attention data parallelism)."""
        patience = self.limits.balance_wait_steps
        if not patience or len(self.ranks) == 1:
            return False
        balanced = all(rank.waiting for rank in self.ranks)
        if balanced or not all(rank.decoding for rank in self.ranks):
            self.held_since = None
            return False
        if self.held_since is None:
            self.held_since = self.step
        if self.step - self.held_since < patience:
            return True
        self.held_since = None
        return False

    def schedule_prefill(self) -> tuple[list[tuple[int, int]], int, float]:
        """Chunks (request, tokens) of this step, the most context tokens of a rank, and that rank's prefix work."""
        chunks: list[tuple[int, int]] = []
        most, work = 0, 0.0
        for number, rank in enumerate(self.ranks):
            if not rank.waiting and not rank.prefilling:
                continue
            tokens, prefix_work = self.fill_rank(number, rank, chunks)
            if tokens > most:
                most, work = tokens, prefix_work
        return chunks, most, work

    def fill_rank(self, number: int, rank: Rank, chunks: list[tuple[int, int]]) -> tuple[int, float]:
        """Take prompts of one rank, oldest first, while the token budget, the batch and the cache have room."""
        limits = self.limits
        budget = limits.max_num_tokens - rank.decoding
        used, work = 0, 0.0
        if rank.prefilling:
            for request in self.running_prefill:
                if self.rank_of[request] != number:
                    continue
                tokens = min(self.inputs[request] + self.made[request] - self.done_prefill[request], budget - used)
                if tokens > 0:
                    work += tokens * self.done_prefill[request]
                    used += tokens
                    rank.cached += tokens
                    rank.pending -= tokens
                    chunks.append((request, tokens))
        while rank.waiting:
            request = rank.waiting[0]
            prompt = self.inputs[request] + self.made[request]
            whole = self.inputs[request] + self.outputs[request]
            tokens = min(prompt, budget - used) if limits.chunked_prefill else prompt
            alone = used == 0 and tokens > budget and rank.decoding == 0
            if tokens <= 0 or (tokens > budget - used and not alone) or not rank.fits(limits, prompt, whole):
                break
            self.admit(request, rank)
            used += tokens
            rank.cached += tokens
            rank.pending -= tokens
            chunks.append((request, tokens))
        return used, work

    def advance(self, steps: int, duration_ms: float) -> None:
        """Let ``steps`` steps of ``duration_ms`` in all pass: every decoding request gains its tokens."""
        self.now += duration_ms
        self.step += steps
        gain = self.limits.tokens_per_step
        total = 0
        for rank in self.ranks:
            rank.cached += int(rank.decoding * steps * gain)
            total += rank.decoding
        if total:
            self.gaps.append(duration_ms / (steps * gain))
            self.gap_tokens.append(total * steps * gain)
            self.gap_ends.append(self.now)
        self.note_peaks()

    def note_peaks(self) -> None:
        for rank in self.ranks:
            self.peak_kv = max(self.peak_kv, rank.cached)
            self.peak_requests = max(self.peak_requests, rank.decoding + rank.prefilling)

    def finish_due(self) -> None:
        finishing = self.finishing
        while finishing and finishing[0][0] <= self.step:
            _, request, epoch = heapq.heappop(finishing)
            if epoch == self.epoch[request]:
                self.leave_decode(request)
                self.complete(request)

    def leave_decode(self, request: int) -> None:
        rank = self.ranks[self.rank_of[request]]
        gained = int((self.step - self.joined[request]) * self.limits.tokens_per_step)
        rank.decoding -= 1
        rank.cached = max(0, rank.cached - self.inputs[request] - self.made[request] - gained)
        rank.reserved -= self.inputs[request] + self.outputs[request]
        self.made[request] += gained
        if self.tracks_order:
            rank.order.remove(request)
        if rank.decoding == 0 and rank.prefilling == 0:
            rank.cached = 0

    def complete(self, request: int) -> None:
        self.end[request] = self.now + self.limits.host.first_token_ms
        self.intake.replace(self.end[request])

    def finish_prefills(self, chunks: list[tuple[int, int]]) -> None:
        for request, tokens in chunks:
            self.done_prefill[request] += tokens
            if self.done_prefill[request] < self.inputs[request] + self.made[request]:
                continue
            self.running_prefill.remove(request)
            rank = self.ranks[self.rank_of[request]]
            rank.prefilling -= 1
            rank.decoding += 1
            if self.made[request] == 0:
                self.first[request] = self.now + self.limits.host.first_token_ms
            self.made[request] += 1
            rank.cached += 1
            self.joined[request] = self.step
            if self.tracks_order:
                rank.order.append(request)
            left = self.steps_left(request)
            if left == 0:
                self.leave_decode(request)
                self.complete(request)
                continue
            heapq.heappush(self.finishing, (self.step + left, request, self.epoch[request]))

    # -- the KV cache --------------------------------------------------------------------------------------------
    def make_room(self) -> None:
        """Pause the youngest requests of every rank whose next decode step would not fit (MAX_UTILIZATION)."""
        capacity = self.limits.kv_tokens
        if not self.tracks_order or capacity is None:
            return
        gain = max(1, math.ceil(self.limits.tokens_per_step))
        for rank in self.ranks:
            while rank.order and len(rank.order) + rank.prefilling > 1 and rank.needed(gain) > capacity:
                request = rank.order[-1]
                self.epoch[request] += 1
                self.leave_decode(request)
                rank.waiting.appendleft(request)
                self.waiting += 1
                self.evictions += 1

    def kv_stride(self) -> int:
        """Decode steps until some rank's cache is full."""
        capacity = self.limits.kv_tokens
        if not self.tracks_order or capacity is None:
            return 1 << 30
        return steps_until_full(self.ranks, capacity, max(1, math.ceil(self.limits.tokens_per_step)))

    # -- the loop ------------------------------------------------------------------------------------------------
    def stride(self, step_ms: float) -> int:
        """How many generation-only steps pass before anything changes."""
        steps = self.finishing[0][0] - self.step if self.finishing else 1
        if self.held_since is not None:
            steps = min(steps, self.held_since + self.limits.balance_wait_steps - self.step)
        if self.intake.arrivals and (not self.waiting or self.held_since is not None):
            wait = self.intake.arrivals[0][0] - self.now
            steps = min(steps, int(wait // step_ms) + 1)
        return max(1, min(steps, self.kv_stride()))

    def run(self) -> None:
        host_ms, floor_ms = self.limits.host.step_ms, self.limits.host.prefill_floor_ms
        clock = self.clock
        gain = self.limits.tokens_per_step
        while True:
            self.accept_arrivals()
            self.make_room()
            chunks: list[tuple[int, int]] = []
            if self.running_prefill or (self.waiting and not self.holds_back()):
                requests, length = busiest(self.ranks)
                chunks, context, work = self.schedule_prefill()
                if chunks:
                    self.advance(1, max(floor_ms, clock.mixed(context, requests, length, work)) + host_ms)
                    self.finish_prefills(chunks)
                    self.finish_due()
                    continue
            requests, length = busiest(self.ranks)
            if requests == 0:
                if not self.intake.arrivals:
                    return
                self.now = max(self.now, self.intake.arrivals[0][0])
                continue
            step_ms = clock.decode(requests, length) + host_ms
            steps = self.stride(step_ms)
            if steps > 1:
                step_ms = clock.decode(requests, length + 0.5 * (steps - 1) * gain) + host_ms
            self.advance(steps, steps * step_ms)
            self.finish_due()


def simulate(clock: StepClock, limits: EngineLimits, traffic: Traffic) -> Timeline:
    """Play ``traffic`` through one engine and say when every request got its tokens.

    Deterministic; all randomness lies in the traffic. Cost: 5-10 us a request. Requests that can never fit come back in
    ``unserved`` with NaN times.
    """
    scheduler = _Scheduler(clock, limits, traffic)
    scheduler.run()
    return Timeline(
        sent_ms=np.asarray(scheduler.intake.sent),
        first_token_ms=np.asarray(scheduler.first),
        end_ms=np.asarray(scheduler.end),
        input_tokens=traffic.input_tokens,
        output_tokens=traffic.output_tokens,
        step_gaps_ms=np.asarray(scheduler.gaps),
        step_ends_ms=np.asarray(scheduler.gap_ends),
        step_tokens=np.asarray(scheduler.gap_tokens),
        peak_requests=scheduler.peak_requests,
        peak_kv_tokens=scheduler.peak_kv,
        evictions=scheduler.evictions,
        longest_queue=scheduler.longest_queue,
        final_queue=scheduler.waiting,
        unserved=tuple(scheduler.unserved),
    )
