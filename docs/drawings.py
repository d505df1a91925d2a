"""Draws the pictures of the docs: boxes with text, and arrows between them, as SVG.

`make docs-tables` writes them, and a test fails if one is out of date. They are drawn on white, so
that they can be seen on a light and on a dark page.
"""

from __future__ import annotations

import html
from dataclasses import dataclass, field

__all__ = ["pictures"]

BLUE, GREEN, GREY, ORANGE = "#d8ebf2", "#dff0d8", "#eeeeee", "#fbe3c8"
LINE = 18  # the height of a line of text, in pixels
FONT = "font-family='DejaVu Sans, Helvetica, Arial, sans-serif' font-size='13'"


@dataclass
class _Picture:
    """A picture that grows by one shape at a time. All numbers are pixels."""

    width: int
    height: int
    title: str
    shapes: list[str] = field(default_factory=list)

    def box(self, x: int, y: int, width: int, text: str, colour: str = BLUE) -> None:
        """Draw a box with lines of text in its middle."""
        lines = text.split("\n")
        height = LINE * len(lines) + 14
        self.shapes.append(
            f"<rect x='{x}' y='{y}' width='{width}' height='{height}' rx='6' fill='{colour}' "
            "stroke='#445' stroke-width='1'/>"
        )
        for number, line in enumerate(lines):
            self.text(x + width // 2, y + 20 + LINE * number, line)

    def text(self, x: int, y: int, text: str, anchor: str = "middle") -> None:
        """Write one line; `y` is its baseline."""
        shown = html.escape(text)
        self.shapes.append(f"<text x='{x}' y='{y}' text-anchor='{anchor}'>{shown}</text>")

    def arrow(self, *points: tuple[int, int]) -> None:
        """Draw a line through points, with a head at its end."""
        path = " ".join(f"{x},{y}" for x, y in points)
        self.shapes.append(
            f"<polyline points='{path}' fill='none' stroke='#445' stroke-width='1.5' "
            "marker-end='url(#head)'/>"
        )

    def svg(self) -> str:
        """Return the file."""
        head = (
            f"<svg xmlns='http://www.w3.org/2000/svg' width='{self.width}' height='{self.height}' "
            f"viewBox='0 0 {self.width} {self.height}' role='img'>\n"
            f"<title>{html.escape(self.title)}</title>\n"
            "<defs><marker id='head' viewBox='0 0 10 10' refX='9' refY='5' markerWidth='7' "
            "markerHeight='7' orient='auto'><path d='M0,0 L10,5 L0,10 z' fill='#445'/></marker>"
            "</defs>\n"
            f"<rect width='{self.width}' height='{self.height}' fill='white'/>\n"
            f"<g {FONT} fill='#112'>\n"
        )
        return head + "".join(f"{shape}\n" for shape in self.shapes) + "</g>\n</svg>\n"


def pictures() -> dict[str, str]:
    """Return the text of each picture by its name."""
    return {
        "overview.svg": _overview(),
        "build.svg": _build(),
        "loader.svg": _loader(),
        "targets.svg": _targets(),
    }


def _overview() -> str:
    drawn = _Picture(640, 190, "The wheel carries the artifact to the user")
    drawn.text(110, 24, "the machine that builds")
    drawn.box(20, 40, 180, "tool.wasm")
    drawn.arrow((110, 72), (110, 104))
    drawn.text(120, 92, "compile, once", "start")
    drawn.box(20, 106, 180, "tool.x86_64-linux.cwasm", GREEN)
    drawn.text(320, 24, "the wheel")
    drawn.box(250, 62, 140, "tool.wasm\nthe artifact\nthe loader", GREY)
    drawn.arrow((200, 122), (225, 122), (225, 95), (248, 95))
    drawn.text(530, 24, "each user's machine")
    drawn.arrow((390, 95), (438, 95))
    drawn.box(440, 72, 180, "load the artifact:\na millisecond", GREEN)
    drawn.text(320, 176, "No user waits for a compiler.")
    return drawn.svg()


def _build() -> str:
    drawn = _Picture(640, 240, "What a build does")
    drawn.box(20, 20, 150, "assets\ntargets, engines\nprofiles", GREY)
    drawn.arrow((170, 54), (218, 54))
    drawn.box(220, 38, 170, "a key for each artifact")
    drawn.arrow((305, 70), (305, 108))
    drawn.box(220, 110, 170, "is it in the cache?")
    drawn.arrow((220, 126), (150, 126), (150, 178))
    drawn.text(158, 158, "no", "start")
    drawn.box(40, 180, 220, "compile in a child process", ORANGE)
    drawn.arrow((260, 196), (398, 196))
    drawn.text(329, 188, "keep")
    drawn.arrow((390, 126), (510, 126), (510, 178))
    drawn.text(450, 118, "yes")
    drawn.box(400, 180, 220, "copy it into the wheel", GREEN)
    return drawn.svg()


def _loader() -> str:
    drawn = _Picture(640, 250, "What the loader does")
    drawn.box(20, 20, 230, 'load_module("tool.wasm")', GREY)
    drawn.arrow((135, 52), (135, 84))
    drawn.box(20, 86, 230, "does wasmtime accept\nan artifact?")
    drawn.arrow((250, 103), (398, 103))
    drawn.text(315, 95, "yes: 1 ms")
    drawn.box(400, 94, 220, "the module", GREEN)
    drawn.arrow((135, 136), (135, 168))
    drawn.text(145, 158, "no", "start")
    drawn.box(20, 170, 230, "was it compiled\nand kept before?")
    drawn.arrow((250, 184), (350, 184), (350, 119), (398, 119))
    drawn.text(300, 178, "yes")
    drawn.arrow((250, 208), (398, 208))
    drawn.text(324, 226, "no")
    drawn.box(400, 184, 220, "compile it, keep the code,\nand warn with the reason", ORANGE)
    drawn.arrow((560, 184), (560, 128))
    return drawn.svg()


def _targets() -> str:
    drawn = _Picture(640, 250, "The wheels of one build")
    drawn.box(20, 100, 170, "one machine:\nhatch build -t wazcache", GREY)
    systems = (
        "Linux x86_64", "Linux Arm", "macOS x86_64", "macOS Arm", "Windows x86_64", "Windows Arm",
    )  # fmt: skip
    for number, system in enumerate(systems):
        x, y = 270 + 180 * (number % 2), 20 + 56 * (number // 2)
        drawn.box(x, y, 160, system, GREEN)
    drawn.box(270, 196, 340, "wheel any: the .wasm alone, for all other systems")
    for y in (36, 92, 148, 212):
        drawn.arrow((190, 125), (230, 125), (230, y), (268, y))
    return drawn.svg()
