"""Whose an address is to be: rules 1 to 5, applied to one address at a time."""

from __future__ import annotations

from dataclasses import replace

from bellmetal.facts import ClaimOrder
from bellmetal_layer2 import succession
from bellmetal_layer2.peers import Life
from bellmetal_layer2.possession import Possession
from bellmetal_layer2.roster import Roster
from bellmetal_layer2.succession import Candidacy
from bellmetal_layer2.voice import Voice

MOVE = 10.0  # seconds that a planned move may take before it is reported


class Decider:
    """Judges by the roster, claims and gives up through the possession."""

    def __init__(self, me: str, roster: Roster, voice: Voice, possession: Possession) -> None:
        self.me, self._roster, self._voice, self._possession = me, roster, voice, possession

    def decide(self, item: Candidacy, now: float) -> None:
        """Rules 1 to 5 for one address."""
        address = item.address
        if item.place is None:
            self._give_up(item, now)
            return
        if not self._voice.settled:
            return
        self._decide(item, now)
        order = self._voice.mine.orders.get(address)
        late = order is not None and order.term < item.announcement.term
        self._possession.unclear(address, order is not None and (late or not order.firm))

    def _decide(self, item: Candidacy, now: float) -> None:
        address, claims = item.address, self._voice.mine.orders
        mine = None if self._voice.leaving else claims.get(address)  # a leaver yields to any
        holder = succession.holder(item, self._roster, mine)
        if holder is not None:
            self._possession.unclaimed.pop(address, None)
            if holder[0] != self.me:
                item.unable = succession.NOBODY
        if holder is not None and holder[0] != self.me:
            self._follow(item, *holder, now)
        elif self._voice.leaving:
            return  # what is answered for stays until another claims it; nothing new is claimed
        elif holder is not None:
            self._keep(item, holder[1], now)
        else:
            self._claim_if_next(item, now)

    def _give_up(self, item: Candidacy, now: float) -> None:
        """Rule 3: no carrier, owns nothing. Who could take it is told, and need not wait."""
        seeded = item.announcement.owner == self.me and self.me not in item.unable
        if item.address not in self._voice.mine.orders and not seeded:
            return
        item.took_from = ""
        item.unable |= {self.me}
        self._possession.decline(item.address, now)

    def _follow(self, item: Candidacy, name: str, order: ClaimOrder, now: float) -> None:
        """Another holds it: yield, unless the slices order a move to us (rule 4)."""
        ordered = item.announcement.owner == self.me and order.term < item.announcement.term
        if ordered and not self._voice.leaving:
            fresh = self._is_fresh(item)
            self._possession.claim(item.address, item.seed, f"moved here from {name}", now, fresh)
            return
        item.took_from = ""
        self._possession.drop(item.address, name, now)

    def _keep(self, item: Candidacy, order: ClaimOrder, now: float) -> None:
        """We hold it: go on, with the term and the firmness that are due."""
        announcement = item.announcement
        last, former = succession.last_claim(item, self._roster, order.term)
        if last is not None and last > order:
            # it does not bind now; ours must stand above it when its holder is back
            order = self._above(item, last.term, former, now)
        if order.term < announcement.term:
            if announcement.owner == self.me:
                order = item.seed
            elif self._gone(item, announcement.owner, now):
                # the node that it should move to is not there: it stays here, in the new term
                order = self._above(item, announcement.term, announcement.owner, now)
            else:
                self._report_stuck(item, now)
        elif not order.firm and succession.may_be_firm(item, self._roster, now):
            order = replace(order, firm=True)
        self._possession.keep(item.address, order, now)

    def _gone(self, item: Candidacy, name: str, now: float) -> bool:
        """Whether a node cannot take an address over."""
        life = succession.life(item, self._roster, name, now)
        return name in item.unable or life in (Life.DEAD, Life.SILENT)

    def _report_stuck(self, item: Candidacy, now: float) -> None:
        """Rule 4: the new owner lives and does not claim; the old one keeps and reports."""
        if now - item.since > MOVE and not item.stuck:
            item.stuck = True
            where = f"{item.address} should move to {item.announcement.owner}"
            self._possession.say("moveStuck", f"{where}, which does not claim it")

    def _claim_if_next(self, item: Candidacy, now: float) -> None:
        """Nobody living holds it: the slices' owner, else the next that lives (rule 3)."""
        address, announcement = item.address, item.announcement
        if self.me not in item.nodes:
            return  # what we answer for stays until a node of the set has claimed it (rule 4)
        last, former = succession.last_claim(item, self._roster, announcement.term)
        remembered = self._possession.remembered.pop(address, None)
        if remembered and remembered >= (last or ClaimOrder(announcement.term, False, 0)):
            self._possession.claim(address, remembered, "as before the restart", now)
            return
        if not former and announcement.owner == self.me:
            fresh = self._is_fresh(item)
            self._possession.claim(address, item.seed, "the controller names us", now, fresh)
            return
        former = former or announcement.owner
        waited = now - self._possession.unclaimed.setdefault(address, now)
        if not succession.is_our_turn(item, former, self._roster, now, waited):
            return
        term = last.term if last else announcement.term
        order = self._above(item, term, former, now)
        life = succession.life(item, self._roster, former, now)
        why = f"is {life.value}"
        if former in item.unable:
            why = "cannot announce it"
        elif former not in item.nodes:
            why = "may not own it any more"
        elif life is Life.ALIVE:
            why = "lives but does not claim it"
        fresh = self._is_fresh(item)
        self._possession.claim(address, order, f"{former} {why}", now, fresh)

    def _is_fresh(self, item: Candidacy) -> bool:
        """Whether no node of the cluster answers for it: a foreign device may."""
        known = [*self._roster.claims_on(item.address)]
        return not known or any(item.address in peer.quiet for peer, _ in known)

    def _above(self, item: Candidacy, term: int, former: str, now: float) -> ClaimOrder:
        """A claim in place of one whose holder is not there: firm, if that is sure (rule 3)."""
        item.took_from = former
        epoch = succession.next_epoch(item, self._roster, term)
        return ClaimOrder(term, succession.is_sure(item, former, self._roster, now), epoch)
