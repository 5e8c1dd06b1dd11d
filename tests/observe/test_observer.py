"""Observers see everything and can break nothing."""

import logging
from typing import Any

import pytest

from fastrtc import observe
from fastrtc.context import Context
from fastrtc.events import SessionStarted
from fastrtc.observe import observer as module
from fastrtc.observe.observer import Observers, SessionObserver, observe_all
from fastrtc.transports.memory import MemoryLink

SESSION: Any = object()


class Seen(SessionObserver):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def session_opened(self, session: Any) -> None:
        self.calls.append(("opened", session))

    def session_refused(self, code: str) -> None:
        self.calls.append(("refused", code))

    def session_event(self, session: Any, event: Any) -> None:
        self.calls.append(("event", event))

    def session_closed(self, session: Any) -> None:
        self.calls.append(("closed", session))


class Broken(SessionObserver):
    """Fails at everything."""

    def wrap_link(self, link: Any, context: Context) -> Any:
        raise OSError("no room")

    def session_opened(self, session: Any) -> None:
        raise RuntimeError("broken")


def test_a_broken_observer_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    seen, link = Seen(), MemoryLink()
    observers = Observers([Broken(), seen])
    with caplog.at_level(logging.ERROR):
        assert observers.wrap_link(link, Context("a")) is link
        observers.session_opened(SESSION)
    observers.session_refused("server_draining")
    observers.session_event(SESSION, SessionStarted())
    observers.session_closed(SESSION)
    assert seen.calls == [
        ("opened", SESSION),
        ("refused", "server_draining"),
        ("event", SessionStarted()),
        ("closed", SESSION),
    ]
    assert len(caplog.records) == 2


def test_links_are_wrapped_one_around_the_other() -> None:
    class Wrap(SessionObserver):
        def __init__(self, name: str) -> None:
            self.name = name

        def wrap_link(self, link: Any, context: Context) -> Any:
            return [self.name, link]

    assert Observers([Wrap("a"), Wrap("b")]).wrap_link("link", Context("x")) == ["b", ["a", "link"]]  # type: ignore[arg-type]


def test_the_process_s_observers_see_every_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_everywhere", [])
    seen, early = Seen(), Observers()
    observe_all(seen)
    early.session_refused("a")
    Observers().session_refused("b")
    assert seen.calls == [("refused", "a"), ("refused", "b")]


@pytest.mark.parametrize("name", observe.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(observe, name).__name__ == name


def test_no_other_name_is_there() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        _ = observe.nothing
    assert set(observe.__all__) <= set(dir(observe))
