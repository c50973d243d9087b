"""Load a service with two workers while its flag moves in a real Unleash: `make load`."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from flags.unleash.admin import seed
from flags.unleash.local.unleash import LocalUnleash
from service.serving import Serving

ROOT: Final = Path(__file__).parents[1]
FLAG: Final = "fraud-detector-v2"
OPTIONS: Final = (
    *("--users", "100", "--spawn-rate", "20", "--run-time", "3m", "--processes", "2"),
    *("--flag-plan", "0:0,30:10,80:50,130:100,160:off", "--headless", "--only-summary"),
)


def main(arguments: Sequence[str]) -> int:
    """Run Locust with further `arguments`; return its exit code."""
    with tempfile.TemporaryDirectory(prefix="bentoml-flags-load-") as folder:
        home, pairs = Path(folder) / "bentoml", Path(folder) / "pairs"
        environment = {**os.environ, "BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True"}
        subprocess.run([sys.executable, "-m", "service.training"], env=environment, check=True)
        with LocalUnleash(Path(folder) / "unleash", port=0) as unleash:
            seed(unleash.admin, FLAG)
            settings = {
                "UNLEASH_URL": unleash.sdk_url,
                "UNLEASH_API_TOKEN": unleash.client_token,
                "FLAGS_REFRESH_INTERVAL": "1",
                "PAIRS_DIR": str(pairs),
                "API_WORKERS": "2",
                "BENTOML_HOME": str(home),
            }
            with Serving(
                "service.app:FraudDetector",
                environment=settings,
                log=Path(folder) / "service.log",
                folder=ROOT,
            ) as serving:
                command = [sys.executable, "-m", "locust", "-f", "load_tests/locustfile.py"]
                command += ["--host", serving.url, "--pairs", str(pairs), *OPTIONS, *arguments]
                return subprocess.run(
                    command,
                    cwd=ROOT,
                    env={
                        **environment,
                        "UNLEASH_URL": unleash.url,
                        "UNLEASH_ADMIN_TOKEN": unleash.admin_token,
                        "UNLEASH_ENVIRONMENT": unleash.environment,
                    },
                    check=False,
                ).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
