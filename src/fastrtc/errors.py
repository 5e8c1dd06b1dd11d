"""Every exception of this package, as one tree.

::

    Exception
    ├── WebRTCError                 public: raise it to show a message to the client
    └── FastRTCError
        ├── ConfigurationError      a wrong argument, found when it is given (also a ValueError)
        ├── MissingExtraError       an optional package is not installed (also an ImportError)
        ├── AudioFormatError        wrong shape, dtype or rate of audio (also a ValueError)
        ├── VideoFormatError        what should be an image has another shape or dtype (also a ValueError)
        ├── ProtocolError           a peer sent what the protocol does not allow (also a ValueError)
        ├── SignalingError          an offer was refused; carries the code that the client gets
        │   └── AccessDeniedError   this client may not enter; an authorize hook raises it
        ├── EngineError             the WebRTC engine failed
        ├── TurnCredentialsError    a service lends no TURN server
        ├── SpeechServiceError      a service that speaks cannot be reached, or refuses
        ├── ModelDownloadError      weights cannot be fetched (also an OSError; in fastrtc.speech.download)
        └── SessionEndedError       user code waited for a client that is gone; ends that code quietly

``WebRTCError`` lives in :mod:`fastrtc.context`, beside the channel that it writes to.
"""

from __future__ import annotations


class FastRTCError(Exception):
    """Base of the errors that this package raises."""


class ConfigurationError(FastRTCError, ValueError):
    """An argument cannot work; the message says which one and what would."""


class MissingExtraError(FastRTCError, ImportError):
    """A feature needs a package that is not installed.

    Args:
        feature: What the user asked for.
        extra: The name of the extra that brings it: ``pip install "fastrtc[extra]"``.
    """

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f'{feature} needs an optional package: pip install "fastrtc[{extra}]"')
        self.feature = feature
        self.extra = extra


class AudioFormatError(FastRTCError, ValueError):
    """Audio of a shape, dtype or rate that cannot be played; the message names what was given and what is wanted.

    Attributes:
        origin: Which function of the app gave it, and where; empty where that is not known.
    """

    origin: str = ""


class VideoFormatError(FastRTCError, ValueError):
    """An image of a shape or dtype that cannot be sent; the message names what was given and what is wanted."""


class ProtocolError(FastRTCError, ValueError):
    """A message from a peer does not follow the protocol."""


class SignalingError(FastRTCError):
    """An offer or a candidate was refused.

    Args:
        code: Machine-readable reason, sent to the client as ``meta.error``.
        detail: Further fields of ``meta``, for example ``limit``.
    """

    def __init__(self, code: str, **detail: object) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail

    def as_json(self) -> dict[str, object]:
        """The answer that FastRTC clients expect for a refused offer (HTTP status 200)."""
        return {"status": "failed", "meta": {"error": self.code, **self.detail}}


_DENIALS = {401: "unauthorized", 403: "forbidden", 429: "too_many_requests", 500: "authorization_failed"}


class AccessDeniedError(SignalingError):
    """This client may not open a session. Raise it in an ``authorize`` hook to say why.

    Args:
        reason: Sent to the client as ``meta.detail``; empty: nothing is said.
        status: Of the HTTP answer: 401 (who are you?), 403 (not you), or another from 400 to 599.
    """

    def __init__(self, reason: str = "", *, status: int = 401) -> None:
        super().__init__(_DENIALS.get(status, "refused"), **({"detail": reason} if reason else {}))
        self.status = status

    def __str__(self) -> str:
        return str(self.detail.get("detail", self.code))


class EngineError(FastRTCError):
    """The WebRTC engine could not do what it was asked to."""


class TurnCredentialsError(FastRTCError):
    """A service that lends TURN servers cannot be reached, or refuses."""


class SpeechServiceError(FastRTCError):
    """A service that speaks cannot be reached, or refuses; the message says why."""


class SessionEndedError(FastRTCError):
    """Raised inside user code that waits for a client whose session is over; it needs no handling."""
