"""The flags of one serving worker: their OpenFeature provider and client."""

import asyncio
import logging
from collections.abc import Mapping

from openfeature import api as openfeature
from openfeature.provider import FeatureProvider, ProviderStatus

from flags.export.outcomes import OutcomeTracking, use_tracking
from flags.export.spans import PairSpans
from flags.monitoring.self_report import FlagReader
from flags.pairing.assignment import DOMAIN
from flags.pairing.tuning import Tuning
from flags.serving.plan import Plan
from flags.serving.settings import Settings
from flags.unleash.provider import UnleashProvider

logger = logging.getLogger(__name__)


def unleash_provider(settings: Settings) -> FeatureProvider:
    """Return the provider for the settings: Unleash, by server or by file."""
    return UnleashProvider(
        settings.flag_source,
        sent=settings.sent_fields,
        max_staleness=settings.flags_max_staleness,
    )


class WorkerFlags:
    """The flags of this worker. Until flags are loaded, the primary answers."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.client = openfeature.get_client(DOMAIN)
        self._provider: FeatureProvider | None = None

    async def load(self, spans: PairSpans) -> None:
        """Set up the provider and wait until it is ready or has failed.

        Outcomes that the application tracks go into `spans`. Raises the error of the plan's own
        provider factory.
        """
        self._provider = (self._plan.provider or unleash_provider)(self._plan.settings)
        self._track_to(spans, self._provider)
        await asyncio.to_thread(self._wait, self._provider)

    async def shut_down(self) -> None:
        """Shut the provider down."""
        if self._provider is not None:
            await asyncio.to_thread(self._provider.shutdown)

    @property
    def are_loaded(self) -> bool:
        """Say whether flags are loaded, even if they are stale."""
        provider = self._provider
        if isinstance(provider, UnleashProvider):
            return provider.has_flags
        return self.client.get_provider_status() in (ProviderStatus.READY, ProviderStatus.STALE)

    def reader(self, tunings: Mapping[str, Tuning]) -> FlagReader:
        """Return the reader of the migration's flag; `tunings` are by name of the API."""
        plan = self._plan
        return FlagReader(
            plan.flag,
            self.client,
            [tunings[name] for name, planned in plan.apis.items() if planned.is_tuned],
            None if plan.provider else plan.settings.flag_source,
        )

    def _track_to(self, spans: PairSpans, provider: FeatureProvider) -> None:
        """Record outcomes tracked by OpenFeature or `flags.track` in the files of the pairs."""
        flag, units = self._plan.flag, self._plan.units

        def stickiness() -> str | None:
            definition = (
                provider.definition(flag) if isinstance(provider, UnleashProvider) else None
            )
            return definition.stickiness if definition else None

        tracking = OutcomeTracking(spans, units.key, stickiness)
        use_tracking(tracking)
        if isinstance(provider, UnleashProvider):
            provider.track_to(tracking)

    def _wait(self, provider: FeatureProvider) -> None:
        try:
            openfeature.set_provider_and_wait(provider, domain=DOMAIN)
        except Exception as error:  # no flags yet: the primary answers until they arrive
            if not isinstance(provider, UnleashProvider):  # which logs this itself
                logger.warning("no flags at the start: %s", error)
            return
        if isinstance(provider, UnleashProvider):
            for warning in provider.warnings(self._plan.flag):
                logger.warning("flag %s: %s", self._plan.flag, warning)
