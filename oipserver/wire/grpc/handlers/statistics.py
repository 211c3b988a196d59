"""The statistics extension as messages."""

from __future__ import annotations

from ....pb import inference_pb2 as pb
from ....plane import DataPlane
from ....plane.extensions.statistics import ModelReport, model_statistics
from ....telemetry.statistics import BatchStatistics, Duration, ResponseStatistics, Totals
from .group import CallGroup, Handler, parsed


class StatisticsCalls(CallGroup):
    """What the models have done so far."""

    quick = True

    def __init__(self, data: DataPlane) -> None:
        self._data = data

    @property
    def calls(self) -> dict[str, Handler]:
        return {"ModelStatistics": self.model_statistics}

    async def model_statistics(self, data: bytes) -> bytes:
        """Statistics of all models, of one, or of one version. Raises InvalidArgumentError."""
        request = parsed(pb.ModelStatisticsRequest, data)
        reports = model_statistics(self._data, request.name, request.version)
        return pb.ModelStatisticsResponse(model_stats=[_report(report) for report in reports]).SerializeToString()


def _report(report: ModelReport) -> pb.ModelStatistics:
    totals = report.totals
    return pb.ModelStatistics(
        name=report.name,
        version=report.version,
        last_inference=totals.last_inference_ms,
        inference_count=totals.inference_count,
        execution_count=totals.execution_count,
        inference_stats=_requests(totals),
        batch_stats=[_batch(size, batch) for size, batch in sorted(totals.batches.items())],
        response_stats={str(number): _response(response) for number, response in sorted(totals.responses.items())},
    )


def _duration(duration: Duration) -> pb.StatisticDuration:
    return pb.StatisticDuration(count=duration.count, ns=max(0, duration.ns))


def _requests(totals: Totals) -> pb.InferStatistics:
    return pb.InferStatistics(
        success=_duration(totals.success),
        fail=_duration(totals.fail),
        queue=_duration(totals.queue),
        compute_input=_duration(totals.compute_input),
        compute_infer=_duration(totals.compute_infer),
        compute_output=_duration(totals.compute_output),
        cache_hit=_duration(totals.cache_hit),
        cache_miss=_duration(totals.cache_miss),
    )


def _batch(size: int, batch: BatchStatistics) -> pb.InferBatchStatistics:
    return pb.InferBatchStatistics(
        batch_size=size,
        compute_input=_duration(batch.compute_input),
        compute_infer=_duration(batch.compute_infer),
        compute_output=_duration(batch.compute_output),
    )


def _response(response: ResponseStatistics) -> pb.InferResponseStatistics:
    return pb.InferResponseStatistics(
        compute_infer=_duration(response.compute_infer),
        compute_output=_duration(response.compute_output),
        success=_duration(response.success),
        fail=_duration(response.fail),
        empty_response=_duration(response.empty_response),
        cancel=_duration(response.cancel),
    )
