"""The simulate evaluator: figures of a configuration from measured kernel times, power and prices.

Two depths: `screen` gives means by the closed formula in a fraction of a millisecond, to rank a whole space;
`simulate` plays the scheduler and gives distributions in some milliseconds, for everything near the frontier.
"""

from collections.abc import Mapping
from dataclasses import replace

from tuner.configuration import Configuration
from tuner.economics.cost import Tokens, with_economics
from tuner.metrics import Provenance
from tuner.simulator.closed_form import Estimate, estimate
from tuner.simulator.distribution import Demand, goodput_limits, simulate_latency, step_times
from tuner.simulator.kernel_data import KernelData, KernelEngine, UnsupportedError
from tuner.simulator.latency.calibration import corrected, shipped
from tuner.simulator.latency.correction import NO_CORRECTION, Factors
from tuner.simulator.power.engine import EnginePower, Running, Slowdown
from tuner.space.lengths import offered_rate
from tuner.space.meaning import Meaning
from tuner.trial import Failure, FailureKind, Measurement


class SimulateEvaluator:
    """Simulates the configurations of one job."""

    def __init__(self, meaning: Meaning, kernels: KernelData) -> None:
        spec = meaning.spec
        self._meaning = meaning
        self._kernels = kernels
        self._tokens = Tokens(meaning.lengths.input_mean, meaning.lengths.output_mean)
        self._rate = offered_rate(spec.workload)
        self._calibration = shipped() if spec.correction else replace(shipped(), correction=NO_CORRECTION)
        self._power = EnginePower(meaning.model)
        self._demand = Demand(spec.workload, meaning.lengths, goodput_limits(spec.constraints), spec.seed)

    def screen(self, configuration: Configuration) -> Measurement:
        """The mean figures of a configuration, or why it has none.

        Raises `KernelDataError` when the machine lacks the data.
        """
        try:
            found = self._closed_form(configuration)
        except UnsupportedError as error:
            return Measurement(failure=error.failure)
        if found.failure is not None:
            return Measurement(failure=found.failure)
        slow = self._slowdown(configuration, found.output_tokens_per_second, found.tpot_ms)
        found = found if slow is None else found.slowed(slow.prefill, slow.decode, closed=self._rate is None)
        latencies = {
            "ttft_mean_ms": found.ttft_ms,
            "tpot_mean_ms": found.tpot_ms,
            "request_latency_mean_ms": found.request_latency_ms,
        }
        return self._measurement(configuration, latencies, found.output_tokens_per_second, found)

    def simulate(self, configuration: Configuration) -> Measurement:
        """The figures of a configuration with their distributions, or why it has none.

        Raises `KernelDataError` when the machine lacks the data.
        """
        try:
            found = self._closed_form(configuration)
            if found.failure is not None:
                return Measurement(failure=found.failure)
            engine = self._kernels.engine(configuration, self._meaning.model)
            clock = step_times(engine, configuration, self._meaning.lengths)
        except UnsupportedError as error:
            return Measurement(failure=error.failure)
        host = self._calibration.overhead(configuration, found.family, self._meaning.model.layers)
        demand = self._demand_before(self._factors(configuration, found))
        played = simulate_latency(clock, configuration, found, demand, host)
        tpot_ms = played.metrics.get("tpot_mean_ms", 0.0)
        slow = self._slowdown(configuration, played.output_tokens_per_second, tpot_ms)
        if slow is not None:
            slowed = clock.scaled(slow.prefill, slow.decode)
            played = simulate_latency(slowed, configuration, found, demand, host)
        if played.overload is not None:
            return Measurement(failure=Failure(FailureKind.TOO_SLOW, played.overload))
        if not played.output_tokens_per_second > 0:
            detail = "the KV cache does not hold one request; widen tensor_parallel or shorten the requests"
            return Measurement(failure=Failure(FailureKind.OUT_OF_MEMORY, detail))
        return self._measurement(configuration, played.metrics, played.output_tokens_per_second, found)

    def _factors(self, configuration: Configuration, found: Estimate) -> Factors:
        tokens = self._tokens
        name = self._meaning.model.name
        return self._calibration.factors(configuration, name, found.family, tokens.input_mean, tokens.output_mean)

    def _demand_before(self, factors: Factors) -> Demand:
        """The demand with its limits as they are before the correction, so that goodput is counted by corrected ones."""
        by_latency = {"ttft_ms": factors.ttft, "tpot_ms": factors.tpot, "request_latency_ms": factors.tpot}
        limits = {name: limit / by_latency[name] for name, limit in self._demand.limits_ms.items()}
        return replace(self._demand, limits_ms=limits)

    def _slowdown(self, configuration: Configuration, rate: float, tpot_ms: float) -> Slowdown | None:
        return self._power.slowdown(configuration, self._running(rate, tpot_ms))

    def _running(self, rate: float, tpot_ms: float) -> Running:
        return Running(rate, tpot_ms, self._tokens.input_mean, self._tokens.output_mean)

    def _closed_form(self, configuration: Configuration) -> Estimate:
        engine = self._kernels.engine(configuration, self._meaning.model)
        if self._rate is None:
            return estimate(engine, configuration, self._meaning.lengths)
        return self._at_rate(engine, configuration, self._rate)

    def _at_rate(self, engine: KernelEngine, configuration: Configuration, rate: float) -> Estimate:
        """The figures at about the smallest number of requests in flight that serves the rate.

        Too slow when no number up to the scheduler's ceiling does, or out of memory when the KV cache ends first.
        """
        share = rate / configuration.replicas * self._tokens.output_mean
        lengths = self._meaning.lengths
        flight = configuration.data_parallel_ranks * configuration.pipeline_parallel
        below, found = 0, estimate(engine, replace(configuration, concurrency=flight), lengths)
        while found.failure is None and found.output_tokens_per_second < share and flight < configuration.concurrency:
            below, flight = flight, min(2 * flight, configuration.concurrency)
            found = estimate(engine, replace(configuration, concurrency=flight), lengths)
        if found.failure is not None:
            return found
        if found.output_tokens_per_second < share:
            served = found.output_tokens_per_second / share * rate
            detail = f"serves {served:.3g} of {rate:.3g} requests per second; add replicas or raise max_batch_size"
            return replace(found, failure=Failure(FailureKind.TOO_SLOW, detail))
        while flight - below > 1:
            middle = (below + flight) // 2
            tried = estimate(engine, replace(configuration, concurrency=middle), lengths)
            below, flight, found = (
                (middle, flight, found) if tried.output_tokens_per_second < share else (below, middle, tried)
            )
        return replace(found, output_tokens_per_second=share)

    def _measurement(
        self, configuration: Configuration, latencies: Mapping[str, float], rate: float, found: Estimate
    ) -> Measurement:
        """All the figures of a replica that makes `rate` output tokens per second, corrected by what was measured.

        In a closed loop the rate falls as request latency grows (Little's law); an open load has its own.
        """
        factors = self._factors(configuration, found)
        closed = self._rate is None
        metrics, rate = corrected(latencies, rate, factors, self._tokens.output_mean, closed=closed)
        metrics |= {
            "output_tokens_per_second_per_gpu": rate / configuration.gpus_per_replica,
            "requests_per_second": rate / self._tokens.output_mean * configuration.replicas,
            "gpu_memory_gib": found.memory_gib,
        }
        if "goodput_requests_per_second" in metrics:
            metrics["goodput_requests_per_second"] *= configuration.replicas
        if self._tokens.output_mean <= 1:  # a single token has no time between tokens
            metrics = {key: value for key, value in metrics.items() if not key.startswith(("tpot_", "itl_"))}
        if metrics.get("tpot_mean_ms", 0.0) > 0:
            metrics["output_tokens_per_second_per_user"] = 1000 / metrics["tpot_mean_ms"]
        provenance = dict.fromkeys(
            metrics, self._provenance(configuration, corrected=factors.ttft != 1 or factors.tpot != 1)
        )
        provenance["gpu_memory_gib"] = Provenance.SIMULATED
        watts = self._power.watts(configuration, self._running(rate, metrics.get("tpot_mean_ms", 0.0)))
        if watts is not None:
            metrics["power_watts_per_gpu"] = watts
            provenance["power_watts_per_gpu"] = Provenance.MODELLED
        measurement = Measurement(metrics, provenance, measured_share=found.measured_share)
        return with_economics(measurement, configuration.gpu, self._tokens, self._meaning.spec.pricing)

    def _provenance(self, configuration: Configuration, *, corrected: bool) -> Provenance:
        """A limit on power or clock is modelled, a correction learned from measurements calibrated."""
        if configuration.power_limit_watts is not None or configuration.gpu_clock_mhz is not None:
            return Provenance.MODELLED
        return Provenance.CALIBRATED if corrected else Provenance.SIMULATED
