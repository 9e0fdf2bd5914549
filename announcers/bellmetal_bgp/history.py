"""What is remembered of a session: its state and since when, why it is not up, its flaps."""

from __future__ import annotations

from bellmetal.facts import Negotiated, SessionState, SessionTrouble
from bellmetal_bgp.effects import Failure
from bellmetal_bgp.notifications import Notification
from bellmetal_bgp.troubles import trouble_of

COUNTERS = (
    *("opens_sent", "opens_received", "notifications_sent", "notifications_received"),
    *("updates_sent", "updates_received", "keepalives_sent", "keepalives_received"),
    *("route_refresh_sent", "route_refresh_received", "total_sent", "total_received"),
)
STEADY = 30.0  # seconds established, after which a session counts as sound again


class History:
    """Of one session. ``failures``: attempts since it was last sound."""

    def __init__(self, now: float, why: str = "") -> None:
        self.state, self.since = SessionState.IDLE, now
        self.failure = Failure(SessionTrouble.CONNECTING, why or "connecting")
        self.negotiated: Negotiated | None = None
        self.notification, self.notification_sent = "", False
        self.error = ""
        self.flaps = 0
        self.failures = 0
        self.received = 0  # prefixes, since it is up
        self.fault = ""  # what was wrong with an UPDATE of the peer's
        self.up_since: float | None = None
        self._objection: Failure | None = None

    def show(self, state: SessionState, now: float) -> bool:
        """Takes the state that it is in; whether it is another one."""
        if state is self.state:
            return False
        self.state, self.since = state, now
        return True

    def up(self, negotiated: Negotiated | None, now: float) -> None:
        """It is established."""
        self.negotiated, self.up_since = negotiated, now
        self.received, self.fault = 0, ""

    def down(self, now: float) -> None:
        """It is not any more."""
        if self.up_since is not None:
            self.flaps += 1
            if now - self.up_since >= STEADY:
                self.failures = 0
        self.up_since = None

    def object(self, failure: Failure | None) -> None:
        """Says in words what the NOTIFICATION that follows says in numbers."""
        self._objection = failure

    def said(self, notification: Notification) -> None:
        """We ended it."""
        self.notification, self.notification_sent = str(notification), True
        trouble = trouble_of(notification, sent=True)
        self.failure = self._objection or Failure(trouble, f"we ended it: {notification}")
        self._objection = None

    def heard(self, notification: Notification) -> None:
        """The peer ended it."""
        self.notification, self.notification_sent = str(notification), False
        trouble = trouble_of(notification, sent=False)
        self.failure = Failure(trouble, f"the peer ended it: {notification}")

    def lost(self, failure: Failure) -> None:
        """There is no connection, or none any more."""
        self.error, self.failure = failure.message, failure
