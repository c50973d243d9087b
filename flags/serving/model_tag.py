"""The tag of the model behind a service, as it is recorded and sent to callers."""

import logging
from typing import Any

from bentoml import Service
from bentoml.models import BentoModel

logger = logging.getLogger(__name__)


def model_tag(service: Service[Any]) -> str:
    """Return the tags of the service's models, `latest` resolved, joined by `+`.

    For a service without models of the model store, return its name and the Bento's version.
    """
    tags = [_resolved(model) for model in service.models if isinstance(model, BentoModel)]
    if tags:
        return "+".join(tags)
    version = service.bento.tag.version if service.bento else None
    return f"{service.name}:{version}" if version else service.name


def _resolved(model: BentoModel) -> str:
    try:
        return str(model.stored.tag)
    except Exception as error:  # a missing model fails when the side loads it, not here
        logger.debug("tag %s could not be resolved: %s", model.tag, error)
        return str(model.tag)
