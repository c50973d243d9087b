"""What `deploy/remote` adds: the candidate as a deployment of its own, which the service finds."""

import ast
import json
import shutil
import subprocess
from importlib import resources
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.support.paths import ROOT
from tests.unit.deploy.test_deploy_stack import COMPOSE, DEPLOY, is_read_by_the_service

REMOTE = DEPLOY / "remote"
ADDED = yaml.safe_load((REMOTE / "compose.yaml").read_text())
MANIFESTS = list(yaml.safe_load_all((REMOTE / "candidate.yaml").read_text()))
KUSTOMIZATION = yaml.safe_load((REMOTE / "kustomization.yaml").read_text())
BENTOFILE = yaml.safe_load((REMOTE / "candidate.bentofile.yaml").read_text())
LITERALS = dict(
    literal.split("=", 1) for literal in KUSTOMIZATION["configMapGenerator"][0]["literals"]
)


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [each for each in MANIFESTS if each["kind"] == kind]


def test_what_is_added_is_what_compose_reads() -> None:
    vendored = resources.files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json"
    jsonschema.validate(ADDED, json.loads(vendored.read_text()))
    assert "service" in COMPOSE["services"]


@pytest.mark.parametrize(
    "manifest", MANIFESTS, ids=lambda each: f"{each['kind']}-{each['metadata']['name']}"
)
def test_every_manifest_is_one_that_kubernetes_takes(manifest: dict[str, Any]) -> None:
    kubernetes_validate.validate(manifest, "1.34", strict=True)


@pytest.mark.parametrize("given", [ADDED["services"]["service"]["environment"], LITERALS])
def test_every_variable_is_a_setting(given: dict[str, str]) -> None:
    assert {"PLACEMENT", "CANDIDATE_URL"} <= set(given)
    assert [name for name in given if not is_read_by_the_service(name)] == []


def test_the_candidates_address_is_one_that_listens() -> None:
    assert ADDED["services"]["service"]["environment"]["CANDIDATE_URL"] == "http://fraud-v2:3000"
    assert ADDED["services"]["fraud-v2"]["command"][-1] == "3000"
    (service,) = of_kind("Service")
    assert LITERALS["CANDIDATE_URL"] == f"http://{service['metadata']['name']}"
    assert [port["port"] for port in service["spec"]["ports"]] == [80]


def test_whatever_selects_the_candidates_pods_finds_them() -> None:
    (deployment,) = of_kind("Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    selectors = [each["spec"]["selector"] for each in of_kind("Service")]
    selectors += [
        each["spec"]["selector"]["matchLabels"] for each in of_kind("PodDisruptionBudget")
    ]
    into, out_of = of_kind("NetworkPolicy")
    selectors.append(into["spec"]["podSelector"]["matchLabels"])
    selectors.append(out_of["spec"]["egress"][0]["to"][0]["podSelector"]["matchLabels"])
    assert all(selector.items() <= labels.items() for selector in selectors)
    (scaler,) = of_kind("HorizontalPodAutoscaler")
    assert scaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert "replicas" not in deployment["spec"]


def test_the_candidates_bento_has_the_modules_that_it_imports_and_none_of_ours() -> None:
    included = set(BENTOFILE["include"])
    for name in included:
        for node in ast.walk(ast.parse((ROOT / name).read_text())):
            module = getattr(node, "module", None) if isinstance(node, ast.ImportFrom) else None
            if module and module.split(".")[0] in ("service", "flags", "comparison"):
                assert module.replace(".", "/") + ".py" in included


def test_kustomize_makes_both_deployments() -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("no kubectl, which has kustomize in it")
    built = subprocess.run(
        [kubectl, "kustomize", str(REMOTE)], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    made = list(yaml.safe_load_all(built.stdout))
    names = {each["metadata"]["name"] for each in made if each["kind"] == "Deployment"}
    assert names == {"fraud-detector", "unleash-edge", "fraud-v2"}
    (settings,) = (
        each["data"] for each in made if each["kind"] == "ConfigMap" and "PLACEMENT" in each["data"]
    )
    assert settings["PLACEMENT"] == "remote"
    assert "UNLEASH_URL" in settings
