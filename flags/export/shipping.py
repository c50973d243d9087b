"""The start of the shipper, if OpenTelemetry's variables name a receiver."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from flags.errors import DestinationError
from flags.export.destination import Destination
from flags.export.shipped_file import ShippingLimits

if TYPE_CHECKING:
    from flags.export.shipper import Shipper

logger = logging.getLogger(__name__)


def begin_shipping(
    folder: Path, name: str, limits: ShippingLimits, environment: Mapping[str, str]
) -> "Shipper | None":
    """Start to ship the pair files of `folder`; this worker writes the files named `name`.

    Return None if no receiver is set, or if the variables are malformed. The latter is logged, and
    the pairs stay in their files.
    """
    try:
        destination = Destination.from_environment(environment)
    except DestinationError as error:
        logger.warning("pairs are not shipped, they stay in %s: %s", folder, error)
        return None
    if destination is None:
        return None
    from flags.export.shipper import Shipper  # imports protobuf and requests

    logger.info("pairs of %s are shipped to %s", folder, destination)
    return Shipper(folder, name, destination, limits)
