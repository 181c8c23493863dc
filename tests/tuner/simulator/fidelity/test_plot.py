"""The scatter plot is a well-formed picture of every point."""

from xml.etree import ElementTree as ET

from tuner.simulator.fidelity.plot import Panel, scatter_plot


def test_every_point_is_a_dot() -> None:
    panel = Panel("TPOT (ms)", {"a & b": [(1.0, 2.0), (10.0, 9.0)], "c": [(100.0, 120.0)]}, 0.12)
    root = ET.fromstring(scatter_plot([panel, panel], "a < b"))
    drawn = "".join(node.get("d", "") for node in root.iter() if node.tag.endswith("path"))
    assert drawn.count("h0") == 2 * 3
    assert sum(node.tag.endswith("circle") for node in root.iter()) == 2  # the legend


def test_no_points_draw_an_empty_picture() -> None:
    ET.fromstring(scatter_plot([Panel("TPOT (ms)", {})], "nothing"))
    ET.fromstring(scatter_plot([], "nothing"))
