"""Pairs are shipped where OpenTelemetry's variables say so, and a wrong variable costs no start."""

import subprocess
import sys
from pathlib import Path

import pytest

from flags.export.shipped_file import ShippingLimits
from flags.export.shipping import begin_shipping
from tests.support.paths import ROOT

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


def test_without_an_endpoint_nothing_is_shipped_and_nothing_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert begin_shipping(tmp_path, "w", ShippingLimits(), {}) is None
    assert caplog.text == ""


def test_an_endpoint_that_cannot_be_is_said_and_the_pairs_stay_in_their_files(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A platform may set gRPC for all its programs: that must not keep a service from starting."""
    environment = {ENDPOINT: "http://collector:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    assert begin_shipping(tmp_path, "w", ShippingLimits(), environment) is None
    assert f"pairs are not shipped, they stay in {tmp_path}" in caplog.text
    assert "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL" in caplog.text


def test_with_an_endpoint_they_are_and_a_folder_that_is_not_there_yet_is_not_a_fault(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    environment = {ENDPOINT: "http://user:secret@127.0.0.1:9"}
    with caplog.at_level("INFO"):
        shipper = begin_shipping(
            tmp_path / "pairs", "w", ShippingLimits(interval=0.01), environment
        )
    assert shipper is not None
    shipper.close(within=5)
    assert f"pairs of {tmp_path / 'pairs'} are shipped to http://127.0.0.1:9" in caplog.text
    assert "secret" not in caplog.text
    assert shipper.account.retries == {}
    assert not (tmp_path / "pairs").exists()


def test_who_does_not_ship_does_not_load_protobuf() -> None:
    code = "import flags.serving.worker, sys; assert 'google.protobuf' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=120)
