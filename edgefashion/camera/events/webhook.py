"""Events to a webhook: each a POST of JSON, one after the other, signed, and tried again until it has arrived.

An event is delivered at least once and in order, also over the end of this process: it waits in the outbox. Its name
(``webhook-id``, and ``id`` in the body) stays the same however often it is sent, so the receiver can drop a double.

What a receiver answers decides what is done next:

- 2xx: it has the event. So says 409 where the event may have come before: the receiver knows its name.
- 401, 403: the event waits; few more tries, as they may lock an account. 3xx waits too: no redirect is followed, as the
  signature and the event would go where nobody has agreed to.
- 404, 423, and 409 to an event that is new: the event waits, and is sent again seldom. A proxy answers so, too, whose
  receiver is away.
- another 4xx, but not 408, 425 and 429: it does not take this event. After a few tries it is dropped, and counted.
- all else (5xx, 408, 425 and 429 among it), or nothing: the event waits, and is sent again, for as long as it takes.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from typing import Final

from edgefashion.camera.events.message import Message
from edgefashion.camera.events.outbox import Outbox
from edgefashion.camera.events.outgoing import Outgoing
from edgefashion.camera.events.sink import CLOSE_S
from edgefashion.camera.events.webhook_client import Answer, Client, Receiver
from edgefashion.system import backoff as waits
from edgefashion.system.backoff import Backoff
from edgefashion.system.text import reason_of

RETRY_S: Final = (0.5, 60.0)
"""First and longest wait before an event is sent again."""

ELSEWHERE_S: Final = (5.0, 60.0)
"""The same where a person has to correct the address."""

TRIES: Final = 3
"""How often an event is sent that the receiver refuses, before it is dropped."""

_TICK_S: Final = 0.25


class Webhook(Outgoing):
    """A sink that posts. Its one thread has one event on its way at a time, which keeps them in order."""

    def __init__(self, receiver: Receiver, outbox: Outbox) -> None:
        super().__init__(outbox)
        self._receiver, self._client = receiver, Client(receiver)
        self._pauses = {name: Backoff(*times) for name, times in self._times().items()}
        self._refusals = 0
        """How often the oldest event was refused."""
        self._sent = ""
        """The name of the oldest event, if it may have arrived though no answer said so."""
        self._continues = True
        """Whether an earlier run's events may have arrived that it had no time to strike out: they are the oldest."""
        self._thread = threading.Thread(target=self._run, name="webhook", daemon=True)
        self._thread.start()

    @staticmethod
    def _times() -> dict[str, tuple[float, float]]:
        return {"again": RETRY_S, "login": waits.LOGIN_S, "elsewhere": ELSEWHERE_S}

    def _run(self) -> None:
        while (message := self._next()) is not None:
            try:
                wait_s = self._after(message, self._client.post(message))
            except Exception as error:  # whatever fails, this thread goes on: the camera runs for months
                if not isinstance(error, (ConnectionRefusedError, socket.gaierror)):
                    self._sent = message.id
                wait_s = self._failed(message, "again", _reason(error))
            if self._closed and wait_s > CLOSE_S:
                break
            if wait_s:
                self._pause(wait_s)
                if self._closed:
                    time.sleep(_TICK_S)
        self._client.close()

    def _next(self) -> Message | None:
        """The oldest event, once there is one; None when the sink is closed, and what could be delivered is."""
        with self._outbox.changed:
            self._outbox.changed.wait_for(lambda: self._closed or not self._outbox.empty)
        if self._closed_for_s > CLOSE_S:
            return None
        return next(iter(self._outbox.take(1)), None)

    def _after(self, message: Message, answer: Answer) -> float:
        """Do what the answer says; seconds to wait before the next event, or this one again, is sent."""
        has_it = answer.status == 409 and self._may_have_come(message, answer)
        self._continues = self._continues and has_it
        if answer.status // 100 == 2 or has_it:
            self._outbox.delivered(message)
            self._fault, self._refusals = None, 0
            for pauses in self._pauses.values():
                pauses.reset()
            return 0.0
        if answer.status in (401, 403):
            return self._failed(message, "login", f"the receiver refuses us: {answer.words}")
        if answer.status // 100 == 3:
            return self._failed(message, "elsewhere", f"{answer.words}: it leads to another address. Give that one")
        if answer.status in (404, 409, 423):  # of a proxy, too, whose receiver is away: no verdict on this event
            return self._failed(message, "elsewhere", f"the receiver answers {answer.words}. Check the address")
        if answer.status // 100 == 4 and answer.status not in (408, 425, 429):
            self._refusals += 1
            if self._refusals < TRIES:
                return self._failed(message, "again", f"the receiver takes no such event: {answer.words}")
            self._refusals = 0
            self._outbox.delivered(message, refused=True)
            return 0.0
        if answer.status // 100 == 5:
            self._sent = message.id
        wait_s = self._failed(message, "again", f"the receiver answers {answer.words}")
        return max(wait_s, answer.wait_s or 0.0)

    def _may_have_come(self, message: Message, answer: Answer) -> bool:
        """Whether the receiver may have got ``message`` before the post that it answers."""
        of_earlier_run = self._continues and message.run != self._outbox.run
        return answer.repeated or message.id == self._sent or of_earlier_run

    def _failed(self, message: Message, kind: str, reason: str) -> float:
        self._outbox.give_back(message)
        self._fault = self._told(reason)
        return self._pauses[kind].next_s()

    def _told(self, reason: str) -> str:
        return f"{self._receiver.host}:{self._receiver.port}: {reason}"


def _reason(error: Exception) -> str:
    """Why no answer came, without what the other end has sent: that may be anything."""
    if isinstance(error, TimeoutError):
        return "it does not answer"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, socket.gaierror):
        return "no machine is known by this name"
    if isinstance(error, http.client.RemoteDisconnected):
        return "it hangs up without an answer"
    if isinstance(error, http.client.HTTPException):
        return "what answers there is no web server"
    return reason_of(error)
