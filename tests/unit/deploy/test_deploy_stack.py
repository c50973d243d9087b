"""What `deploy/` starts fits together: schemas, names, ports, files and settings."""

import itertools
import json
import re
import shutil
import subprocess
from importlib import resources
from pathlib import Path
from typing import Any

import click
import jsonschema
import kubernetes_validate
import pytest
import yaml

from flags.cli import migration
from flags.serving.settings import Settings
from tests.support.paths import ROOT
from tests.unit.deploy.test_alerts import PROMTOOL

DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
COLLECTORS = (DEPLOY / "otel-collector.yaml", KUBERNETES / "collector.yaml")
MANIFESTS = [
    document
    for path in sorted(KUBERNETES.glob("*.yaml"))
    if path.name not in ("kustomization.yaml", "collector.yaml")
    for document in yaml.safe_load_all(path.read_text())
]
KUSTOMIZATION = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())
OUR_VARIABLES = {name.upper() for name in Settings.model_fields} | {"API_WORKERS", "PLACEMENT"}
KUBECTL = shutil.which("kubectl")
WITHOUT_SHELL = {"collector", "jaeger"}
"""Services whose images hold one program, so that nothing in them could probe it."""
LISTENING = {
    "service": {3000},
    "unleash": {4242},
    "postgres": {5432},
    "collector": {4317, 4318, 8888, 13133},
    "clickhouse": {8123, 9000},
    "jaeger": {4317, 16686},
    "prometheus": {9090},
    "grafana": {3000},
}


def is_read_by_the_service(variable: str) -> bool:
    known = variable in OUR_VARIABLES or variable == "BENTOML_HOME"
    return known or variable.startswith("OTEL_EXPORTER_OTLP_")


def of_kind(kind: str, name: str | None = None) -> dict[str, Any]:
    (found,) = (
        each
        for each in MANIFESTS
        if each["kind"] == kind and name in (None, each["metadata"]["name"])
    )
    assert isinstance(found, dict)
    return found


def pod(name: str) -> dict[str, Any]:
    spec = of_kind("Deployment", name)["spec"]["template"]["spec"]
    assert isinstance(spec, dict)
    return spec


def test_the_stack_is_one_that_compose_reads() -> None:
    vendored = resources.files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json"
    jsonschema.validate(COMPOSE, json.loads(vendored.read_text()))


def test_every_image_of_somebody_else_has_a_version() -> None:
    images = [service["image"] for service in COMPOSE["services"].values()]
    images += [
        container["image"]
        for name in ("fraud-detector", "unleash-edge")
        for container in itertools.chain(
            pod(name)["containers"], pod(name).get("initContainers", [])
        )
    ]
    named = [re.sub(r"^\$\{[A-Z]+_IMAGE:-(.*)\}$", r"\1", image) for image in images]
    others = [image for image in named if "fraud-detector" not in image]
    assert others
    for image in others:
        assert re.search(r":v?\d+(\.\d+)*(-alpine)?$", image), image


def test_every_address_in_the_stack_is_one_that_listens() -> None:
    texts = [(DEPLOY / "compose.yaml").read_text()]
    texts += [path.read_text() for path in (DEPLOY / "grafana").iterdir()]
    texts.append((DEPLOY / "prometheus.yaml").read_text())
    lines = [line for text in texts for line in text.splitlines() if "image:" not in line]
    found = re.findall(rf"\b({'|'.join(LISTENING)}):(\d+)\b", "\n".join(lines))
    assert len(found) >= 6
    for host, port in found:
        assert host in COMPOSE["services"]
        assert int(port) in LISTENING[host], f"{host} does not listen on {port}"


def test_every_variable_of_the_service_is_a_setting() -> None:
    given = set(COMPOSE["services"]["service"]["environment"])
    (generated,) = (
        each for each in KUSTOMIZATION["configMapGenerator"] if each["name"] == "fraud-detector"
    )
    given |= {literal.split("=", 1)[0] for literal in generated["literals"]}
    (service,) = pod("fraud-detector")["containers"]
    given |= {variable["name"] for variable in service["env"]}
    assert given
    assert not [name for name in given if not is_read_by_the_service(name)]


def test_every_secret_is_asked_for_and_none_is_given() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    asked = set(re.findall(r"\$\{(\w+):\?", text))
    assert asked
    example = (DEPLOY / "example.env").read_text()
    assert asked == set(re.findall(r"^(\w+)=", example, re.M))
    for name, service in COMPOSE["services"].items():
        for variable, value in service.get("environment", {}).items():
            if re.search("PASSWORD|TOKEN", variable):
                assert value.startswith("${"), f"{name}: {variable}"


def test_whoever_is_waited_for_to_be_healthy_says_whether_it_is() -> None:
    for service in COMPOSE["services"].values():
        for other, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "healthcheck" in COMPOSE["services"][other], other


def test_every_service_that_goes_on_says_whether_it_is_healthy() -> None:
    ends = {
        name
        for name, each in COMPOSE["services"].items()
        if each.get("restart") != "unless-stopped"
    }
    silent = {name for name, each in COMPOSE["services"].items() if "healthcheck" not in each}
    assert silent == WITHOUT_SHELL | ends


def test_the_flags_are_seeded_by_a_command_that_there_is() -> None:
    seeding = COMPOSE["services"]["flags"]["command"]
    assert seeding[:3] == ["python", "-m", "flags"]
    command = migration.get_command(click.Context(migration), seeding[3])
    assert command is not None
    command.make_parser(click.Context(command)).parse_args(seeding[4:])


def test_every_file_that_is_mounted_exists_and_every_volume_is_declared() -> None:
    for service in COMPOSE["services"].values():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            if source.startswith("./"):
                assert (DEPLOY / source).is_file(), source
            else:
                assert source in COMPOSE["volumes"]


def test_only_loopback_is_published() -> None:
    for service in COMPOSE["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


@pytest.mark.parametrize("path", COLLECTORS, ids=lambda path: path.name)
def test_every_part_of_a_collectors_pipelines_is_configured_and_used(path: Path) -> None:
    config = yaml.safe_load(path.read_text())
    for kind in ("receivers", "processors", "exporters"):
        used = {
            part for pipeline in config["service"]["pipelines"].values() for part in pipeline[kind]
        }
        assert used == set(config[kind])
    assert set(config["service"]["extensions"]) == set(config["extensions"])
    assert config["exporters"]["clickhouse"]["sending_queue"]["storage"] in config["extensions"]


@pytest.mark.parametrize(
    ("path", "given"),
    [
        (COLLECTORS[0], set(COMPOSE["services"]["collector"]["environment"])),
        (
            COLLECTORS[1],
            {each["name"] for each in pod("fraud-detector")["initContainers"][0]["env"]},
        ),
    ],
    ids=["compose", "kubernetes"],
)
def test_a_collector_gets_the_variables_that_it_reads(path: Path, given: set[str]) -> None:
    assert set(re.findall(r"\$\{env:(\w+)\}", path.read_text())) == given


@pytest.mark.parametrize(
    "manifest", MANIFESTS, ids=lambda each: f"{each['kind']}-{each['metadata']['name']}"
)
def test_every_manifest_is_one_that_kubernetes_takes(manifest: dict[str, Any]) -> None:
    kubernetes_validate.validate(manifest, "1.34", strict=True)


def test_kustomize_finds_every_file() -> None:
    files = {path.name for path in KUBERNETES.glob("*.yaml")} - {"kustomization.yaml"}
    generated = {
        name.split("=")[-1]
        for each in KUSTOMIZATION["configMapGenerator"]
        for name in each.get("files", [])
    }
    assert set(KUSTOMIZATION["resources"]) | generated == files


@pytest.mark.skipif(KUBECTL is None, reason="no kubectl, which has kustomize in it")
def test_kustomize_makes_what_kubernetes_takes() -> None:
    assert KUBECTL is not None
    built = subprocess.run(
        [KUBECTL, "kustomize", str(KUBERNETES)], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    made = list(yaml.safe_load_all(built.stdout))
    assert len(made) == len(MANIFESTS) + len(KUSTOMIZATION["configMapGenerator"])
    for each in made:
        kubernetes_validate.validate(each, "1.34", strict=True)
    maps = {each["metadata"]["name"] for each in made if each["kind"] == "ConfigMap"}
    named = set(re.findall(r"(?:configMapRef|configMap):\n +name: (\S+)", built.stdout))
    assert named == maps


def test_whatever_selects_pods_finds_them() -> None:
    labels = {
        each["metadata"]["name"]: each["spec"]["template"]["metadata"]["labels"]
        for each in MANIFESTS
        if each["kind"] == "Deployment"
    }
    for each in MANIFESTS:
        selector = each.get("spec", {}).get("selector")
        if selector:
            wanted = selector.get("matchLabels", selector)
            assert wanted.items() <= labels[each["metadata"]["name"]].items()
    scaled = of_kind("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert (scaled["kind"], scaled["name"]) == ("Deployment", "fraud-detector")


def test_the_autoscaler_alone_says_how_many_pods_there_are() -> None:
    scaler = of_kind("HorizontalPodAutoscaler")["spec"]
    assert "replicas" not in of_kind("Deployment", scaler["scaleTargetRef"]["name"])["spec"]
    assert of_kind("PodDisruptionBudget")["spec"]["maxUnavailable"] < scaler["minReplicas"]


@pytest.mark.parametrize("name", ["fraud-detector", "unleash-edge"])
def test_a_pod_is_one_that_the_namespace_admits(name: str) -> None:
    """By the pod security standard `restricted`."""
    labels = of_kind("Namespace")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    spec = pod(name)
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in itertools.chain(spec["containers"], spec.get("initContainers", [])):
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_a_pod_reaches_its_collector_and_its_flags() -> None:
    (generated,) = (
        each for each in KUSTOMIZATION["configMapGenerator"] if each["name"] == "fraud-detector"
    )
    given = dict(literal.split("=", 1) for literal in generated["literals"])
    collector = yaml.safe_load((KUBERNETES / "collector.yaml").read_text())
    listens = collector["receivers"]["otlp"]["protocols"]["http"]["endpoint"]
    assert given["OTEL_EXPORTER_OTLP_ENDPOINT"] == f"http://{listens}"
    edge = of_kind("Service", "unleash-edge")
    (port,) = edge["spec"]["ports"]
    assert given["UNLEASH_URL"] == f"http://{edge['metadata']['name']}:{port['port']}/api"
    (sidecar,) = pod("fraud-detector")["initContainers"]
    probed = sidecar["startupProbe"]["httpGet"]["port"]
    assert collector["extensions"]["health_check"]["endpoint"].endswith(f":{probed}")


@pytest.mark.parametrize("name", ["fraud-detector", "unleash-edge"])
def test_a_named_port_is_one_that_a_container_has(name: str) -> None:
    (service,) = pod(name)["containers"]
    ports = {port["name"]: port["containerPort"] for port in service["ports"]}
    used = {port["targetPort"] for port in of_kind("Service", name)["spec"]["ports"]}
    used |= {probe["httpGet"]["port"] for kind, probe in service.items() if kind.endswith("Probe")}
    assert used <= set(ports)
    arguments = service.get("args", [])
    if "--port" in arguments:
        assert int(arguments[arguments.index("--port") + 1]) == ports["http"]


def test_the_page_makes_every_secret_that_a_pod_reads() -> None:
    page = (DEPLOY.parent / "docs" / "how-to" / "deploy.md").read_text()
    made = {
        (name, key)
        for name, rest in re.findall(r"create secret generic (\S+)(.*)", page)
        for key in re.findall(r"--from-literal=([\w-]+)=", rest)
    }
    read = {
        (
            variable["valueFrom"]["secretKeyRef"]["name"],
            variable["valueFrom"]["secretKeyRef"]["key"],
        )
        for deployment in ("fraud-detector", "unleash-edge")
        for container in itertools.chain(
            pod(deployment)["containers"], pod(deployment).get("initContainers", [])
        )
        for variable in container["env"]
        if "valueFrom" in variable
    }
    assert made == read


def test_every_container_asks_bentoml_what_it_answers() -> None:
    (service,) = pod("fraud-detector")["containers"]
    assert service["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert service["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert "/readyz" in COMPOSE["services"]["service"]["healthcheck"]["test"][-1]


def test_a_stopping_service_gets_the_time_to_drain() -> None:
    drain = 2 * float(Settings.model_fields["drain_timeout"].default)
    assert drain < float(COMPOSE["services"]["service"]["stop_grace_period"].removesuffix("s"))
    (service,) = pod("fraud-detector")["containers"]
    pause = float(service["lifecycle"]["preStop"]["exec"]["command"][-1])
    assert drain + pause < pod("fraud-detector")["terminationGracePeriodSeconds"]


@pytest.mark.parametrize("path", ["kubernetes/deployment.yaml", "remote/candidate.yaml"])
def test_what_bentoml_writes_is_written_to_a_volume(path: str) -> None:
    """It makes folders in its home; where that is the read-only image, it does not start."""
    manifests = yaml.safe_load_all((DEPLOY / path).read_text())
    (deployment,) = (each for each in manifests if each["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    (home,) = (each["value"] for each in container["env"] if each["name"] == "BENTOML_HOME")
    assert any(home.startswith(f"{each['mountPath']}/") for each in container["volumeMounts"])


def test_what_a_container_mounts_is_a_volume() -> None:
    spec = pod("fraud-detector")
    mounted = {
        mount["name"]
        for container in itertools.chain(spec["containers"], spec["initContainers"])
        for mount in container["volumeMounts"]
    }
    assert mounted == {volume["name"] for volume in spec["volumes"]}


@pytest.mark.skipif(
    PROMTOOL is None, reason="no promtool: it is in Debian's package prometheus (make tools)"
)
def test_prometheus_reads_its_configuration() -> None:
    assert PROMTOOL is not None
    subprocess.run(
        [PROMTOOL, "check", "config", "--syntax-only", "prometheus.yaml"],
        cwd=DEPLOY,
        check=True,
        capture_output=True,
    )


def test_no_container_of_the_stack_may_gain_rights_and_one_that_ends_at_once_is_root() -> None:
    for name, service in COMPOSE["services"].items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
    root = {name for name, each in COMPOSE["services"].items() if each.get("user") == "0:0"}
    assert root == {"collector-volume"}
    # Databases whose entry point is root until it has given its volume to its own user.
    added = {name for name, each in COMPOSE["services"].items() if "cap_add" in each}
    assert added == {"postgres", "clickhouse", "collector-volume"}


def test_every_pod_is_restricted_and_within_limits() -> None:
    for name in ("fraud-detector", "unleash-edge"):
        assert pod(name)["automountServiceAccountToken"] is False
        for container in [*pod(name)["containers"], *pod(name).get("initContainers", [])]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert set(container["resources"]["limits"]) == {"cpu", "memory"}
        assert all("livenessProbe" in container for container in pod(name)["containers"])


@pytest.mark.slow
def test_a_public_scanner_finds_nothing_but_the_named_exceptions() -> None:
    """Checkov, in an environment of its own, which the first run makes."""
    command = ["make", "--silent", "scan"]
    scan = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if "checkov" in scan.stderr and "Failed to" in scan.stderr:
        pytest.skip("no package index to get checkov from")
    assert scan.returncode == 0, scan.stdout + scan.stderr
