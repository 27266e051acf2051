"""What deploy/, docker-compose.yml and docs/metrics.md speak of exists in the code."""

import json
import re
import shlex
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from prometheus_client import CollectorRegistry

from roomstream.cli import app
from runtime.settings import KafkaSettings, Settings, SharedSettings, env_name
from trainer.metrics import TrainerMetrics
from trainer.settings import TrainerSettings
from workers.metrics import WorkerMetrics
from workers.settings import WorkerSettings

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"
OURS = {"roomstream-worker", "roomstream-trainer"}
SETTINGS: tuple[type[Settings], ...] = (
    KafkaSettings,
    SharedSettings,
    WorkerSettings,
    TrainerSettings,
)
PREFIXES = ("KAFKA_", "ROOMSTREAM_", "WORKER_", "TRAINER_")
_NAME = re.compile(r"roomstream_(?:worker|trainer)_\w+")
_SELECTOR = re.compile(r"(roomstream_(?:worker|trainer)_\w+)\{([^}]*)\}")


def _compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return loaded


def _manifests() -> dict[str, dict[str, Any]]:
    """What deploy/kubernetes.yml asks for, by kind."""
    loaded = yaml.safe_load_all((DEPLOY / "kubernetes.yml").read_text())
    return {manifest["kind"]: manifest for manifest in loaded}


def _our_services() -> dict[str, dict[str, Any]]:
    services = _compose()["services"]
    return {name: service for name, service in services.items() if service["image"] in OURS}


def _dockerfile() -> str:
    return (DEPLOY / "Dockerfile").read_text()


def _stage(name: str) -> str:
    """The text of one build stage."""
    stages = re.split(r"^(?=FROM )", _dockerfile(), flags=re.MULTILINE)
    return next(stage for stage in stages if re.match(rf"FROM \S+ AS {name}\b", stage))


def _variables() -> set[str]:
    return {env_name(cls, field) for cls in SETTINGS for field in cls.model_fields}


def _metrics() -> dict[str, set[str]]:
    """The labels of every metric by the name of each of its series."""
    found: dict[str, set[str]] = {}
    for metrics in (WorkerMetrics(), TrainerMetrics()):
        registry: CollectorRegistry = metrics.registry
        for name, collector in registry._names_to_collectors.items():
            found[name] = set(getattr(collector, "_labelnames", ()))
    return {name: labels for name, labels in found.items() if not name.endswith("_created")}


def _documented() -> dict[str, str]:
    """Rows of the tables in docs/metrics.md by metric."""
    rows = re.findall(
        r"^\| `(roomstream_\w+)` \| (.*) \|$", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE
    )
    return dict(rows)


def _expressions() -> list[str]:
    """Every PromQL expression of the alerts and the dashboard."""
    alerts = yaml.safe_load((DEPLOY / "alerts.yml").read_text())
    dashboard = json.loads((DEPLOY / "grafana/dashboards/roomstream.json").read_text())
    return [
        *(rule["expr"] for group in alerts["groups"] for rule in group["rules"]),
        *(target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())),
    ]


def _resolve(words: list[str]) -> tuple[Any, list[str]]:
    """The command that some words name, and what follows it."""
    command: Any = typer.main.get_command(app)
    while words and words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
    return command, words


def _commands() -> list[list[str]]:
    """Every `roomstream …` that compose, Dockerfile, alerts and documents name."""
    commands = [list(service["command"]) for service in _our_services().values()]
    pod = _manifests()["StatefulSet"]["spec"]["template"]["spec"]
    commands += [container["args"] for container in pod["containers"]]
    commands += [json.loads(found) for found in re.findall(r"^CMD (\[.*\])", _dockerfile(), re.M)]
    for path in ("deploy/alerts.yml", "docs/metrics.md", "README.md"):
        text = (ROOT / path).read_text()
        commands += [
            shlex.split(found, comments=True)
            for found in re.findall(r"['`]roomstream ([a-z][^'`\n]*)['`]", text)
        ]
    blocks = re.findall(r"^```\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    commands += [
        shlex.split(found, comments=True)
        for found in re.findall(r"^roomstream (.*)$", "".join(blocks), re.M)
    ]
    return commands


@pytest.mark.parametrize("words", _commands(), ids=" ".join)
def test_every_command_and_option_exists(words: list[str]) -> None:
    """A command that a file or document shows can be typed as it is."""
    command, rest = _resolve(words)
    if words[0] == "COMMAND":
        return
    options = {name for parameter in command.params for name in parameter.opts}
    arguments = [
        parameter for parameter in command.params if parameter.param_type_name == "argument"
    ]

    assert not hasattr(command, "commands"), f"{words} is not a whole command"
    assert {word for word in rest if word.startswith("--")} <= options | {"--help"}
    assert arguments or not [word for word in rest[:1] if not word.startswith("--")]


def test_every_variable_is_a_setting() -> None:
    """A variable for one of our processes is read by one of the settings."""
    names = {
        name for service in _our_services().values() for name in service.get("environment", {})
    }
    names |= set(re.findall(r"\b((?:KAFKA|ROOMSTREAM|WORKER|TRAINER)_[A-Z_]+)=", _dockerfile()))
    for path in ("README.md", "docs/metrics.md"):
        names |= set(
            re.findall(
                r"\b((?:KAFKA|ROOMSTREAM|WORKER|TRAINER)_[A-Z_]*[A-Z])\b", (ROOT / path).read_text()
            )
        )

    assert names
    assert names <= _variables() | {"KAFKA_HOME"}


def test_ports_are_those_of_the_settings() -> None:
    """What is exposed, probed and scraped is where the processes listen."""
    ports = {
        "worker": WorkerSettings.model_fields["metrics_port"].default,
        "trainer": TrainerSettings.model_fields["metrics_port"].default,
    }
    scrape = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())["scrape_configs"]
    targets = {
        job["job_name"].removeprefix("roomstream-"): job["static_configs"][0]["targets"]
        for job in scrape
    }

    for name, port in ports.items():
        assert f"EXPOSE {port}\n" in _stage(name)
        assert f":{port}/healthz" in _stage(name)
        assert {str(port)} == {target.rpartition(":")[2] for target in targets[name]}
    hosts = {target.partition(":")[0] for group in targets.values() for target in group}
    assert hosts == {
        name for name, service in _our_services().items() if "depends_on" in service
    } - {
        "topics",
        "base",
    }


def test_every_metric_is_documented_with_its_labels() -> None:
    """docs/metrics.md names exactly the metrics of the code, and the labels of each."""
    code = _metrics()
    families = {
        name
        for name in code
        if name.endswith("_total")
        or not (f"{name}_total" in code or name.endswith(("_bucket", "_sum", "_count")))
    }
    documented = _documented()

    assert families == set(documented)
    for name, row in documented.items():
        labels = set(re.findall(r"`(\w+)`", row.split("|")[1]))
        assert code[name] == labels, name


def test_expressions_use_metrics_and_labels_that_exist() -> None:
    """Alerts and dashboard ask only for what the processes tell, and the dashboard shows all."""
    code = _metrics()
    used = {name for expression in _expressions() for name in _NAME.findall(expression)}

    assert used <= set(code)
    for expression in _expressions():
        for name, selector in _SELECTOR.findall(expression):
            assert set(re.findall(r"(\w+)\s*[=!]", selector)) <= code[name]
    shown = {re.sub(r"_(bucket|sum|count)$", "", name) for name in used}
    assert set(_documented()) <= shown


def test_the_worker_image_has_no_torch() -> None:
    """The worker stage installs the extra `worker`, and nothing of the trainer's."""
    worker = _stage("worker")

    assert "[worker," in worker
    assert "trainer" not in worker
    assert "torch" not in worker


def test_nobody_is_root_and_nothing_listens_to_the_world() -> None:
    """Every container has a user that is not root, and every published port is on loopback."""
    services = _compose()["services"]

    assert "USER roomstream" in _stage("worker")
    assert "USER roomstream" in _stage("trainer")
    for service in services.values():
        assert not service["user"].startswith(("0", "root"))
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


def test_long_running_services_are_probed() -> None:
    """Compose or the image has a health check for everything that keeps running."""
    for name, service in _compose()["services"].items():
        one_shot = name in ("topics", "base")
        assert one_shot or "healthcheck" in service or service["image"] in OURS


def test_volumes_and_files_exist() -> None:
    """Every named volume is declared, every mounted file is in the repository."""
    compose = _compose()
    sources = [
        volume.split(":")[0]
        for service in compose["services"].values()
        for volume in service.get("volumes", ())
    ]

    named = {source for source in sources if not source.startswith(".")}
    assert named == set(compose["volumes"])
    assert all((ROOT / source).exists() for source in sources if source.startswith("."))
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", _dockerfile(), re.MULTILINE)
    assert all((ROOT / name).exists() for line in copied for name in line.split())


def test_services_wait_for_what_they_need() -> None:
    """Each `depends_on` names a service, and the conditions fit it."""
    services = _compose()["services"]
    for service in services.values():
        for name, wait in service.get("depends_on", {}).items():
            condition = wait["condition"]
            assert condition != "service_healthy" or "healthcheck" in services[name]
            assert condition != "service_completed_successfully" or name in ("topics", "base")


def test_a_pod_of_the_stateful_set_is_a_slot_of_its_own() -> None:
    """Its name, which the worker takes from the host, is stable; Prometheus finds it."""
    service, stateful = _manifests()["Service"], _manifests()["StatefulSet"]["spec"]
    (worker,) = stateful["template"]["spec"]["containers"]
    values = {each["name"]: each["value"] for each in worker["env"]}
    ours = {name for name in values if name.startswith(PREFIXES)}

    assert ours <= _variables() - {"WORKER_SLOT"}
    assert WorkerSettings().slot == socket.gethostname()
    assert worker["args"][:3] == ["worker", "--delivery", "exactly-once"]
    assert stateful["serviceName"] == service["metadata"]["name"]
    labels = stateful["template"]["metadata"]["labels"]
    assert labels == stateful["selector"]["matchLabels"] == service["spec"]["selector"]


def test_a_pod_is_probed_drained_and_given_no_secret_but_in_files() -> None:
    """As compose does it, where the processes listen."""
    pod = _manifests()["StatefulSet"]["spec"]["template"]["spec"]
    (worker,) = pod["containers"]
    probes = {
        name: worker[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")
    }
    files = {x["name"]: x["value"] for x in worker["env"] if x["name"].endswith("FILE")}
    (mounted,) = [x["mountPath"] for x in worker["volumeMounts"] if x["name"] == "secrets"]
    grace = int(_our_services()["worker-1"]["stop_grace_period"].removesuffix("s"))

    assert {name: probe["path"] for name, probe in probes.items()} == {
        "startup": "/healthz",
        "liveness": "/healthz",
        "readiness": "/readyz",
    }
    (port,) = worker["ports"]
    assert {probe["port"] for probe in probes.values()} == {port["name"]}
    assert port["containerPort"] == WorkerSettings.model_fields["metrics_port"].default
    assert pod["terminationGracePeriodSeconds"] >= grace
    assert files
    assert all(path.startswith(f"{mounted}/") for path in files.values())
    assert not {"KAFKA_SASL_PASSWORD", "AWS_SECRET_ACCESS_KEY"} & {x["name"] for x in worker["env"]}
    assert pod["securityContext"]["runAsNonRoot"]
    assert worker["securityContext"]["readOnlyRootFilesystem"]
    assert {x["name"] for x in worker["volumeMounts"]} == {x["name"] for x in pod["volumes"]}


def test_prometheus_accepts_its_files() -> None:
    """`promtool` finds no fault."""
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed")
    subprocess.run(
        ["promtool", "check", "config", str(DEPLOY / "prometheus.yml")], check=True, timeout=60
    )


def test_compose_accepts_its_file() -> None:
    """`docker compose config` finds no fault."""
    compose = ["docker", "compose"]
    if shutil.which("docker") is None or subprocess.run([*compose, "version"]).returncode:
        pytest.skip("docker with the compose plugin is not installed")
    subprocess.run(
        [*compose, "-f", str(ROOT / "docker-compose.yml"), "config", "-q"], check=True, timeout=60
    )
