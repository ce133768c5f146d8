"""Metrics: Prometheus' own parser reads what was measured."""

import math

import pytest
from prometheus_client.parser import text_string_to_metric_families

from processors import measures
from processors.measures import MEASURES, Measure, Metrics
from runtime.metrics import BUCKETS, PrometheusMetrics, name_of
from schemas.failures import Reason


def samples(metrics: PrometheusMetrics) -> dict[tuple[str, ...], float]:
    """Every sample by its name and the values of its labels, by the labels' alphabet."""
    families = text_string_to_metric_families(metrics.render().decode())
    return {(sample.name, *sample.labels.values()): sample.value for family in families for sample in family.samples}


def test_counters_add_up_and_gauges_hold_the_last_value() -> None:
    metrics = PrometheusMetrics()
    metrics.count(measures.FACTS, 3)
    metrics.count(measures.FACTS)
    metrics.count(measures.RECORDS, 7, "assistant.events")
    metrics.gauge(measures.CACHED, 12)
    metrics.gauge(measures.CACHED, 11)
    metrics.gauge(measures.LAG, 5, "manager.labels", "2")
    found = samples(metrics)
    assert found["afterword_facts_total",] == 4
    assert found["afterword_records_total", "assistant.events"] == 7
    assert found["afterword_cached",] == 11
    assert found["afterword_lag", "2", "manager.labels"] == 5


def test_a_value_counts_in_the_bucket_whose_bound_it_does_not_exceed() -> None:
    metrics = PrometheusMetrics()
    metrics.observe(measures.FLUSH_SECONDS, [0.05, 0.0501, 0.1, 60, 61])
    found = samples(metrics)
    counts = {labels[1]: value for labels, value in found.items() if labels[0] == "afterword_flush_seconds_bucket"}
    assert counts == {
        "0.05": 1,
        "0.1": 3,
        "0.25": 3,
        "0.5": 3,
        "1.0": 3,
        "2.5": 3,
        "5.0": 3,
        "10.0": 3,
        "30.0": 3,
        "60.0": 4,
        "+Inf": 5,
    }
    assert found["afterword_flush_seconds_count",] == 5
    assert found["afterword_flush_seconds_sum",] == pytest.approx(121.2001)


def test_observations_of_many_flushes_add_up() -> None:
    metrics = PrometheusMetrics()
    for _ in range(3):
        metrics.observe(measures.EVENT_TO_ROW, [0.7] * 1_000)
    metrics.observe(measures.EVENT_TO_ROW, [])
    found = samples(metrics)
    assert found["afterword_event_to_row_seconds_bucket", "0.5"] == 0
    assert found["afterword_event_to_row_seconds_bucket", "0.75"] == 3_000
    assert found["afterword_event_to_row_seconds_sum",] == pytest.approx(2_100)


def test_a_wait_below_zero_of_clocks_that_differ_does_not_lower_the_sum() -> None:
    metrics = PrometheusMetrics()
    metrics.observe(measures.EVENT_TO_ROW, [-3, 2])
    found = samples(metrics)
    assert found["afterword_event_to_row_seconds_sum",] == 2
    assert found["afterword_event_to_row_seconds_bucket", "0.05"] == 1


def test_every_measure_is_there_before_anything_happened() -> None:
    text = PrometheusMetrics().render().decode()
    for measure in MEASURES:
        assert f"# HELP {name_of(measure)} {measure.meaning}\n" in text
        assert f"# TYPE {name_of(measure)} {measure.kind}\n" in text
    assert "_created" not in text


def test_counters_whose_labels_are_known_begin_at_zero_so_that_an_alert_sees_the_first_growth() -> None:
    found = samples(PrometheusMetrics())
    assert {labels[1] for labels in found if labels[0] == "afterword_dead_letters_total"} == set(Reason)
    assert found["afterword_dead_letters_total", "invalid"] == 0
    assert found["afterword_records_total", "manager.labels"] == 0


def test_the_process_itself_is_measured() -> None:
    found = samples(PrometheusMetrics())
    assert found["process_cpu_seconds_total",] > 0
    assert found["process_resident_memory_bytes",] > 1_000_000
    assert any(labels[0] == "python_info" for labels in found)


def test_two_of_them_do_not_share_anything() -> None:
    one, other = PrometheusMetrics(), PrometheusMetrics()
    one.count(measures.FACTS)
    assert samples(other)["afterword_facts_total",] == 0


def test_an_undeclared_measure_is_an_error() -> None:
    metrics: Metrics = PrometheusMetrics()
    unknown = Measure("unknown", "counter", "Nobody declared it.", "None.")
    with pytest.raises(LookupError, match="unknown is not declared"):
        metrics.count(unknown)
    with pytest.raises(LookupError, match="unknown is not declared"):
        metrics.gauge(unknown, 1)
    with pytest.raises(LookupError, match="unknown is not declared"):
        metrics.observe(unknown, [1])


def test_a_measure_of_another_kind_is_an_error() -> None:
    metrics = PrometheusMetrics()
    with pytest.raises(LookupError, match="it is a gauge"):
        metrics.count(measures.CACHED)
    with pytest.raises(LookupError, match="it is a histogram"):
        metrics.gauge(measures.FLUSH_SECONDS, 1)
    with pytest.raises(LookupError, match="it is a counter"):
        metrics.observe(measures.FACTS, [1])


def test_labels_that_are_missing_or_too_many_are_an_error() -> None:
    metrics = PrometheusMetrics()
    with pytest.raises(ValueError, match="missing label values"):
        metrics.count(measures.RECORDS)
    with pytest.raises(ValueError, match="label"):
        metrics.count(measures.RECORDS, 1, "assistant.events", "0")
    with pytest.raises(ValueError, match="label"):
        metrics.count(measures.FACTS, 1, "assistant.events")


def test_every_histogram_has_buckets_in_order_from_50_ms_to_its_longest() -> None:
    assert set(BUCKETS) == {measure for measure in MEASURES if measure.kind == "histogram"}
    for bounds in BUCKETS.values():
        assert list(bounds) == sorted(set(bounds))
        assert bounds[0] == 0.05
        assert bounds[-1] < math.inf
    assert BUCKETS[measures.FLUSH_SECONDS][-1] == 60
    assert BUCKETS[measures.EVENT_TO_ROW][-1] == 600
