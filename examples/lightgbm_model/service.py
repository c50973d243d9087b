"""Replace a LightGBM model by one with more trees; BentoML makes both services."""

import bentoml

from flags import migrate

BiopsiesV1 = bentoml.lightgbm.get_service("biopsies-v1:latest", name="BiopsiesV1")
BiopsiesV2 = bentoml.lightgbm.get_service("biopsies-v2:latest", name="BiopsiesV2")

Biopsies = migrate(
    BiopsiesV1,
    BiopsiesV2,
    flag="biopsies-v2",
    score={"malignant": "0"},  # of the array that comes back; callers send one row
    threshold=0.5,
    placement="embedded",
    name="Biopsies",
)
