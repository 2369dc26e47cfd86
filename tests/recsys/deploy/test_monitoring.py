"""Dashboard, alerts and rules name metrics, labels and values that the service and its proxy have."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from benchmarks.torture.proxy import installed, proxy
from recsys.service import metrics

DEPLOY = Path(__file__).parents[3] / "deploy"
PROMETHEUS = DEPLOY / "prometheus"
DASHBOARD = json.loads((DEPLOY / "grafana" / "dashboards" / "recsys.json").read_text(encoding="utf-8"))
RULES = [rule for group in yaml.safe_load((PROMETHEUS / "alerts.yml").read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]
ADAPTER = yaml.safe_load((PROMETHEUS / "adapter.yml").read_text(encoding="utf-8"))["rules"]
QUERIES = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]] + [rule["expr"] for rule in RULES]
QUERIES += [rule["metricsQuery"].replace("<<.Series>>", rule["seriesQuery"].split("{")[0]) for rule in ADAPTER]
SAMPLES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
# Added by Prometheus or by its histograms, and by the scrape configuration.
EVERYWHERE = {"le", "job", "instance", "namespace", "pod"}
promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed: it is in Debian's package prometheus")


def ours() -> dict[str, tuple[str, ...]]:
    """Name of a sample -> its labels, of all metrics of the service."""
    found = [value for value in vars(metrics).values() if isinstance(value, MetricWrapperBase)]
    return {f"{one._name}{end}": one._labelnames for one in found for end in SAMPLES[str(one._type)]}


def selectors(query: str, prefix: str) -> list[tuple[str, str]]:
    """The metrics of a query, each with what stands in its braces."""
    return re.findall(rf"\b({prefix}_\w+)(?:\{{([^}}]*)\}})?", query)


def test_the_page_of_metrics_has_these_names() -> None:
    page = metrics.page().decode()
    for name, labels in ours().items():
        assert re.search(rf"^# TYPE {name.removesuffix('_bucket').removesuffix('_sum').removesuffix('_count')} ", page, re.MULTILINE), name
        assert labels or re.search(rf"^{name}[ {{]", page, re.MULTILINE), name


@pytest.mark.parametrize("query", QUERIES)
def test_metrics_and_labels_of_the_service_exist(query: str) -> None:
    known = ours()
    for name, inside in selectors(query, "recsys"):
        assert name in known
        named = set(re.findall(r"(\w+)\s*[=!]~?", re.sub(r'"[^"]*"', "", inside)))
        assert named <= {*known[name], *EVERYWHERE}, name
    grouped = {label.strip() for group in re.findall(r"\bby \(([\w, ]+)\)", query) for label in group.split(",")}
    available = {label for name, _ in selectors(query, "recsys") for label in known[name]}
    assert grouped <= available | EVERYWHERE


def test_a_metric_that_is_gone_is_found() -> None:
    with pytest.raises(AssertionError):
        test_metrics_and_labels_of_the_service_exist("rate(recsys_request_minutes_count[5m])")
    with pytest.raises(AssertionError):
        test_metrics_and_labels_of_the_service_exist('recsys_request_seconds_count{rout="/v1/recommend"}')


@pytest.mark.skipif(not installed(), reason="haproxy is not installed")
def test_metrics_of_the_proxy_exist() -> None:
    with proxy(1) as front:
        page = httpx2.get(f"http://127.0.0.1:{front.metrics}/metrics").text
    asked = [found for query in QUERIES for found in selectors(query, "haproxy")]
    assert asked
    for name, inside in asked:
        lines = [line for line in page.splitlines() if line.startswith(f"{name}{{")]
        assert all(any(label in line for line in lines) for label in inside.split(",")), (name, inside)


def test_alerts_say_what_to_do_and_how_urgent_it_is() -> None:
    assert len({rule["alert"] for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert {"summary", "action"} == set(rule["annotations"])


def test_the_dashboard_is_provisioned_with_its_source() -> None:
    (source,) = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text(encoding="utf-8"))["datasources"]
    sources = [panel["datasource"] for panel in DASHBOARD["panels"]]
    sources += [target["datasource"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    assert all(one == {"type": source["type"], "uid": source["uid"]} for one in sources)
    places: list[dict[str, Any]] = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    assert len({(place["x"], place["y"]) for place in places}) == len(places)


@promtool
def test_alerts_fire_when_they_should() -> None:
    for words in (["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]):
        done = subprocess.run(["promtool", *words], cwd=PROMETHEUS, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@promtool
@pytest.mark.parametrize("name", ["prometheus.yml", "kubernetes.yml"])
def test_prometheus_reads_its_configuration(name: str, tmp_path: Path) -> None:
    config = yaml.safe_load((PROMETHEUS / name).read_text(encoding="utf-8"))
    for job in config["scrape_configs"]:  # Debian's promtool is built without Kubernetes
        job.pop("kubernetes_sd_configs", None)
    (tmp_path / name).write_text(yaml.safe_dump(config), encoding="utf-8")
    (tmp_path / "alerts.yml").write_bytes((PROMETHEUS / "alerts.yml").read_bytes())
    done = subprocess.run(["promtool", "check", "config", "--syntax-only", tmp_path / name], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@promtool
def test_queries_of_the_dashboard_are_promql(tmp_path: Path) -> None:
    rules = [{"record": f"panel:{number}", "expr": query} for number, query in enumerate(QUERIES) if "<<" not in query]
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}), encoding="utf-8")
    done = subprocess.run(["promtool", "check", "rules", tmp_path / "rules.yml"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
