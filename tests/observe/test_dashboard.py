"""The dashboard asks for metrics that there are."""

import json
import re
from pathlib import Path
from typing import Any

from fastrtc.observe.instruments import INSTRUMENTS
from fastrtc.observe.prometheus import metric_name


def series() -> dict[str, set[str]]:
    """Names of the series that are exposed, with their labels."""
    names = {}
    for one in INSTRUMENTS:
        suffixes = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}[one.kind]
        for suffix in suffixes:
            names[metric_name(one) + suffix] = set(one.labels) | ({"le"} if suffix == "_bucket" else set())
    return names


def test_every_query_names_series_and_labels_that_exist(root: Path) -> None:
    dashboard: dict[str, Any] = json.loads((root / "deploy" / "grafana" / "fastrtc.json").read_text())
    known, asked = series(), set()
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            for name, labels in re.findall(r"(fastrtc_\w+)\{([^}]*)\}", target["expr"]):
                assert name in known, panel["title"]
                used = set(re.findall(r"(\w+)(?:=|!=|=~)\"", labels)) - {"job"}
                assert used <= known[name], panel["title"]
                asked.add(name)
    shown = {name.removesuffix("_bucket") for name in asked}
    missing = {metric_name(one) for one in INSTRUMENTS} - {name.removesuffix("_total") for name in shown}
    assert missing <= {"fastrtc_network_concealed_samples"}, "measured, and shown nowhere"


def test_panels_do_not_overlap(root: Path) -> None:
    dashboard: dict[str, Any] = json.loads((root / "deploy" / "grafana" / "fastrtc.json").read_text())
    places = [panel["gridPos"] for panel in dashboard["panels"]]
    cells = [(x, y) for p in places for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) == 23
