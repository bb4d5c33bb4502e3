"""Proof before acting: the records on `events` that a finding or an order rests on, read and checked here; and what waits for the ledger to have them."""

import logging
from typing import Final

from kafka.errors import KafkaError

from tallystick_schemas.errors import ParseError
from tallystick_schemas.messages import Finding, VerifiedSegment
from tallystick_schemas.orders import Order
from tallystick_schemas.roles import Keyring

from .confirming import CONFIRM_S, EVIDENCE_S, Awaited, Confirming
from .lock_events import MAX_EVIDENCE
from .proven import prove, prove_orders, vouch
from .sources import Sources

log: Final = logging.getLogger(__name__)


class Proving:
    """Everything here may block on Kafka for seconds: it is called from a thread."""

    def __init__(self, sources: Sources, keyring: Keyring) -> None:
        self._sources, self._keyring = sources, keyring
        self.confirming = Confirming()

    def finding(self, finding: Finding, raw: bytes | None = None) -> str:
        """Why a finding may lock nobody by its evidence; empty when one signed event says so and its agent may vouch for it.

        `raw`: the record, where it was read already.
        """
        if finding.proof is None:
            return "it names no record that could be looked at"
        if finding.unvouched:
            return f"it rests on what {', '.join(finding.unvouched[:3])} may not vouch for"
        shard, offset, pos = finding.proof
        try:
            raw = self._sources.record_at(shard, offset) if raw is None else raw
            if finding.subject == "agent":
                proven = prove(raw, self._keyring)
                return (
                    ""
                    if proven.holder.agent == finding.principal
                    else f"the record is of {proven.holder.agent}, not of {finding.principal}"
                )
            return vouch(raw, self._keyring, pos, (finding.principal, finding.credential)).reason
        except (ParseError, KafkaError) as error:
            return f"its record at offset {offset} of partition {shard}: {error}"

    def expect_evidence(self, finding: Finding, now: float) -> None:
        """The rest of a finding's evidence must be in the ledger soon."""
        agent = finding.principal if finding.subject == "agent" else ""
        for place in finding.evidence[-MAX_EVIDENCE:]:
            self.confirming.expect(Awaited(f"finding {finding.id}", place, None, None, now + EVIDENCE_S, agent), now)

    def orders(self, shard: int, segment: VerifiedSegment, now: float) -> list[Order]:
        """The orders in the record that a segment of `acts` points at; none, and an error in the log, when it is not what a commander signed."""
        try:
            raw = self._sources.record_at(shard, segment.offset)
            proven = prove(raw, self._keyring)
            found = prove_orders(raw, self._keyring, (shard, segment.index))
        except (ParseError, KafkaError) as error:
            log.error("acts points at offset %d of partition %d, which orders nothing: %s", segment.offset, shard, error)
            return []
        for order in found:
            place = order.lock.evidence[0]
            self.confirming.expect(Awaited(f"order {order.lock.command}", place, proven.header_raw, proven.sig, now + CONFIRM_S), now)
        return found
