"""What is heard of one address while somebody looks at it: questions, answers. Sans-IO."""

from __future__ import annotations

from dataclasses import dataclass, field

from bellmetal.addresses import IPAddress
from bellmetal_layer2 import arp, ipv6, ndp, testimony
from bellmetal_layer2.testimony import Word

MOST = 16  # hardware addresses that are kept: who lies must not make us grow


@dataclass(slots=True)
class Hearing:
    """``answers``: who says that it has the address, and where; ``questions``: on which interface,
    and how many; ``answered``: those that this node answered."""

    address: IPAddress
    answers: dict[tuple[str, bytes], None] = field(default_factory=dict)
    questions: dict[str, int] = field(default_factory=dict)
    answered: int = 0

    def receive(self, interface: str, frame: bytes) -> None:
        """A frame as it came in; most are about other addresses."""
        if self.address.packed not in frame:
            return
        if _asks_for(self.address, frame):
            self.questions[interface] = self.questions.get(interface, 0) + 1
            return
        word = testimony.read(interface, frame)
        if not isinstance(word, Word) or word.address != self.address or word.wish:
            return
        if len(self.answers) < MOST:
            self.answers[interface, word.mac] = None

    @property
    def asked(self) -> int:
        """All questions."""
        return sum(self.questions.values())


def _asks_for(address: IPAddress, frame: bytes) -> bool:
    """Whether it is a question: a probe is one, an announcement is not."""
    try:
        if frame[12:14] == ipv6.ETHERTYPE_BYTES:
            asked = ndp.decode(frame)
            return isinstance(asked, ndp.Solicitation) and asked.target == address
        request = arp.decode(frame)
    except (arp.DecodeError, ndp.DecodeError):
        return False
    wanted = request.operation == arp.REQUEST and request.target == address
    return wanted and request.sender != request.target
