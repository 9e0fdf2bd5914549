"""Walkthrough B1 and B2: a node dies while a client connects, and comes back."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

from rich.text import Text

from lab.capture import Capture
from lab.prober import PATIENCE, Attempt, Prober, outage
from lab.screen import INDENT
from lab.steps import SYSTEM
from lab.story import EVENTS, PODS, WEB, Story

EVERY = 0.01  # seconds between two connections of the client
MARK, WIDTH = 0.05, 48  # the strip: seconds that a mark stands for, and marks in a line
BEFORE, AFTER = 0.5, 3.0  # seconds before the cut that the strip shows, and of watching after it
LIMIT = 1.0  # seconds of outage, at most
LOOK = f"kubectl logs -n {SYSTEM} -l component=speaker --tail=-1"
OK, LOST, OPEN = ("●", "green"), ("x", "bold red"), ("·", "dim")


class Failover(Story):
    """The acts of walkthrough B, after those of A."""

    outage: float = 0.0
    dead: str = ""
    heir: str = ""

    # --- B1 ---------------------------------------------------------------------------------------

    def dies(self) -> None:
        """The owner's node loses its power."""
        self.dead = owner = self.owner()
        self._clear(owner)
        self.step("B1", f"A client connects to {self.address} every 10 ms.")
        self.run(f"ip neigh show {self.address}", on="c1")
        self._prober = Prober(self.lab.client(), self.address, interval=EVERY)
        with self.lab.sniff_arp() as seen:
            fault = self._cut(owner)
        self._measure(fault)
        self._succession(seen, fault)

    def _clear(self, owner: str) -> None:
        """No web pod on the node that will die."""
        self.step(
            "B1", f"{owner} answers for {self.address}. First the web pods are sent off that node:"
        )
        self.screen.say(
            "kube-proxy on the other nodes would send some requests to a pod on the dead node"
        )
        self.screen.say(
            "until Kubernetes has noticed, whoever announces. What is measured is the address."
        )
        self.run(f"kubectl drain {owner} --pod-selector=app=web", look=WEB)
        self.run("kubectl rollout status deployment/web --timeout=60s", look=WEB)
        self.run(
            "kubectl get pods -A -o wide",
            lambda said: not re.search(rf"web-.* {owner} ", said),
            f"no web pod on {owner}",
            WEB,
            within=10,
        )
        self.expect(self.owner() == owner, f"{owner} still owns it", self.owner(), LOOK)

    def _cut(self, owner: str) -> float:
        """Cuts the owner's power with the client at work; when that was."""
        began = time.monotonic()
        with self.screen.live(lambda: strip(self._prober.attempts(), time.monotonic())):
            self.wait(lambda: self._steady(0.8), "a client that connects for 0.8 s", WEB, 10)
            fault = self.lab.kill_node(owner)
            end = fault + AFTER
            self.wait(
                lambda: time.monotonic() > end and self._steady(1.2), "an answer again", LOOK, 20
            )
        attempts = self._prober.attempts(since=began)
        self.step("B1", f"{owner} lost its power: no goodbye, no process left, its link down.")
        self.screen.draw(strip(attempts, fault - BEFORE + WIDTH * MARK))
        self.screen.say(f"{'':{round(BEFORE / MARK)}}↑ power cut; a mark is {MARK * 1000:.0f} ms")
        return fault

    def _steady(self, seconds: float) -> bool:
        """Whether all attempts of the last seconds succeeded (an attempt may take its time)."""
        attempts = self._prober.attempts(since=time.monotonic() - seconds)
        return len(attempts) > 0.8 * seconds / EVERY and all(one.ok for one in attempts)

    def _measure(self, fault: float) -> None:
        after = self._prober.attempts(since=fault)
        self.outage = outage(after, fault)
        lost = sum(not one.ok for one in after)
        self.expect(
            0 < self.outage <= LIMIT,
            f"an outage, and of {LIMIT} s at most",
            f"{self.outage:.3f} s, {lost} of {len(after)} attempts lost",
            LOOK,
        )
        self.screen.say(
            f"Outage: {self.outage * 1000:.0f} ms, measured by the client, from the power cut to",
            "bold",
        )
        self.screen.say(
            f"the first connection after which none failed; {lost} of {len(after)} were lost.",
            "bold",
        )

    def _succession(self, seen: Capture, fault: float) -> None:
        self.step("B1", "The LAN's sniffer saw who said it has the address, and when:")
        told = [one for one in seen.answers(self.address) if one.at > fault]
        for one in told[:3]:
            name = self.lab.name_of(one.sender_mac)
            kind = "gratuitous" if one.gratuitous else "answer"
            self.screen.say(f"+{(one.at - fault) * 1000:4.0f} ms  {name}  {one.sender_mac}  {kind}")
        names = {self.lab.name_of(one.sender_mac) for one in told}
        self.expect(len(names) == 1 and self.dead not in names, "one other node", str(names), LOOK)
        self.heir = names.pop()
        self.step("B1", f"The client's neighbour table has changed, and {self.heir} tells of it.")
        mac = self.lab.node(self.heir).mac
        self.run(
            f"ip neigh show {self.address}",
            lambda said: mac in said,
            f"{mac}, which is {self.heir}",
            LOOK,
            on="c1",
        )
        self.run(
            "kubectl get events --field-selector involvedObject.name=svc1,reason=nodeAssigned",
            lambda said: f'from node "{self.heir}"' in said,
            f"an event that {self.heir} announces",
            EVENTS,
            within=10,
        )

    # --- B2 ---------------------------------------------------------------------------------------

    def returns(self) -> None:
        """The dead node boots; the address stays."""
        self.step("B2", f"{self.dead} is switched on again. The client goes on.")
        with self.lab.sniff_arp() as seen:
            back = time.monotonic()
            with self.screen.live(lambda: strip(self._prober.attempts(), time.monotonic())):
                self.lab.boot_node(self.dead)
                self.wait(self._speaks, f"{self.dead}'s speaker, ready again", PODS, 60)
                time.sleep(2.0)  # in which it could take the address back
            self.run(self._speaker, look=PODS)
            self.run(f"kubectl uncordon {self.dead}")
            self.run(f"kubectl get nodes {self.dead}")
            self._one_row()
            self._asks_again()
        self._stayed(seen, back)

    @property
    def _speaker(self) -> str:
        """The line that shows the dead node's speaker."""
        return (
            f"kubectl get pods -n {SYSTEM} -l component=speaker"
            f" --field-selector spec.nodeName={self.dead}"
        )

    def _speaks(self) -> bool:
        """Whether that speaker is ready, and was started since the boot."""
        path = "{.items[0].status.containerStatuses[0]}"
        said = self.quietly(f"{self._speaker} -o jsonpath='{path}'")
        return '"ready":true' in said and '"restartCount":0' not in said

    def _one_row(self) -> None:
        self.run(
            f"kubectl get servicel2status -n {SYSTEM} -l metallb.io/service-name=svc1",
            lambda said: re.findall(r"(n\d) +svc1 ", said) == [self.heir],
            f"one row: {self.heir} still owns it",
            f"kubectl get announcementslices,speakerreports -n {SYSTEM} -o yaml",
            within=30,
        )

    def _asks_again(self) -> None:
        mac = self.lab.node(self.heir).mac
        self.run(
            f"arping -I eth0 -c 1 {self.address}",
            lambda said: f"from {mac}" in said and "(0 extra)" in said,
            f"one answer, from {mac}, which is {self.heir}",
            LOOK,
            on="c1",
        )

    def _stayed(self, seen: Capture, back: float) -> None:
        names = {self.lab.name_of(mac) for mac in seen.answerers(self.address, since=back)}
        self.expect(names == {self.heir}, f"{self.heir} alone answers", str(names), LOOK)
        time.sleep(PATIENCE + 0.1)  # until the last attempts have ended
        attempts = self._prober.attempts(since=back)
        self._prober.stop()
        self.screen.draw(strip(attempts, attempts[-1].at))
        lost = sum(not one.ok for one in attempts)
        self.screen.say(f"On the LAN {self.heir} alone answered for {self.address} since the boot.")
        self.screen.say(f"{lost} of the client's {len(attempts)} connections failed.", "bold")
        when = ", ".join(
            f"{one.at - back:.2f} s after the boot (took {one.took:.2f} s)"
            for one in attempts
            if not one.ok
        )
        self.expect(lost == 0, "no connection fails as a node returns", f"failed: {when}", LOOK)


def strip(attempts: Sequence[Attempt], end: float) -> Text:
    """The client's connections up to a moment: a mark for each bit of time, in its colour."""
    first = end - WIDTH * MARK
    told: list[bool | None] = [None] * WIDTH
    for one in attempts:
        place = int((one.at - first) / MARK)
        if 0 <= place < WIDTH:
            told[place] = one.ok and told[place] is not False
    marks = [OPEN if ok is None else OK if ok else LOST for ok in told]
    good = sum(one.ok for one in attempts)
    counted = f"  {good} answered, "
    lost = len(attempts) - good
    return Text.assemble(INDENT, *marks, counted, (f"{lost} lost", "bold red" if lost else ""))
