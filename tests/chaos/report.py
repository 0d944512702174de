# SPDX-License-Identifier: Apache-2.0
"""The table as text, and the run as a picture."""

import html
import math

from .measure import percentile, timeline

COLUMNS = (("fault", 44), ("times", 6), ("bound", 8), ("p50", 8), ("max", 8), ("over", 6),
           ("missed", 8), ("busy", 7), ("creates", 9), ("reads", 7),
           ("whole", 7), ("violations", 11))


def text(rows):
    """The table."""
    def seconds(value):
        return "-" if value is None else f"{value:.1f} s"

    lines = ["".join(f"{name:<{width}}" if name == "fault" else f"{name:>{width}}" for name, width in COLUMNS)]
    for row in rows:
        cells = (row["fault"], row["times"], seconds(row["bound"]), seconds(row["p50"]), seconds(row["max"]),
                 row["over"], row["missed"], "-" if row["stretch"] is None else f"{row['stretch']:.1f}x",
                 row["failed_creates"], row["failed_reads"], seconds(row["whole_max"]), row["violations"])
        lines.append("".join(f"{str(cell):<{width}}" if name == "fault" else f"{str(cell):>{width}}"
                             for cell, (name, width) in zip(cells, COLUMNS)))
    lines.append("p50, max: time without an acknowledged create or without work; over: times over the bound, or "
                 "with a failed\nsafe request where none may be; missed: those of them that the machine's noise does "
                 "not explain; busy: what all\ntook longer by, at most; creates, reads: requests that failed (but for "
                 "refused connections and quotas);\nwhole: until every part was ready again, at most")
    return "\n".join(lines)


def markdown(rows):
    """The table for deploy/docs/faults.md."""
    lines = ["| fault | times | bound | p50 | max | failed creates | failed reads | violations |",
             "|---|---|---|---|---|---|---|---|"]
    for row in rows:
        bound = "both" if row["bound"] is None else f"{row['bound']:g} s"
        lines.append(f"| {row['fault']} | {row['times']} | {bound} | {row['p50']:.1f} s | {row['max']:.1f} s "
                     f"| {row['failed_creates']} | {row['failed_reads']} | {row['violations']} |")
    return "\n".join(lines)


# ---- the picture -------------------------------------------------------------------------------------

LEFT, RIGHT, PANEL, GAP, TOP = 60, 20, 150, 34, 56
COLORS = {"create": "#1b6ac9", "read": "#2a9d5c", "work": "#8a5cc2", "failed": "#d1342f", "band": "#f3c64b"}


class Picture:
    """An SVG with a common time axis."""

    def __init__(self, seconds):
        self.seconds = max(1, seconds)
        self.width = max(900, min(2400, int(self.seconds * 4)))
        self.parts = []

    def x(self, second):
        """Where a second is."""
        return LEFT + (self.width - LEFT - RIGHT) * second / self.seconds

    def add(self, name, content="", **attributes):
        """One element."""
        words = " ".join(f'{key.replace("_", "-")}="{value}"' for key, value in attributes.items())
        self.parts.append(f"<{name} {words}>{content}</{name}>" if content else f"<{name} {words}/>")

    def label(self, x, y, words, size=11, anchor="start", color="#333", **more):
        """Text."""
        self.add("text", html.escape(str(words)), x=f"{x:.1f}", y=f"{y:.1f}", font_size=size, fill=color,
                 text_anchor=anchor, **more)

    def bands(self, steps, began, height):
        """The faults."""
        for step in steps:
            start, end = self.x(step["at"] - began), self.x(step["mended"] - began)
            title = html.escape(f"{step['step']}: {' + '.join(step['faults'])} ({'; '.join(step['what'])}): "
                                f"recovery {step['recovery']} s, bound {step['bound']} s")
            self.add("rect", f"<title>{title}</title>", x=f"{start:.1f}", y=TOP, width=f"{max(2, end - start):.1f}",
                     height=height, fill=COLORS["band"], fill_opacity=0.4)
            if len(steps) <= 60:
                self.label(start, TOP - 18, step["step"], 9)

    def panel(self, number, title, series, logarithmic=False):
        """Lines over one scale; series: (name, color, values or None)."""
        top = TOP + number * (PANEL + GAP)
        highest = max([value for _, _, values in series for value in values if value], default=1) or 1
        lowest = 1.0 if logarithmic else 0.0

        def y(value):
            if logarithmic:
                share = math.log10(max(value, lowest) / lowest) / max(0.1, math.log10(highest / lowest))
            else:
                share = value / highest
            return top + PANEL - share * PANEL

        self.add("rect", x=LEFT, y=top, width=self.width - LEFT - RIGHT, height=PANEL, fill="none", stroke="#bbb")
        marks = [10 ** power for power in range(6) if 10 ** power <= highest] if logarithmic else \
            [highest * part / 4 for part in range(5)]
        for mark in marks:
            self.add("line", x1=LEFT, x2=self.width - RIGHT, y1=f"{y(mark):.1f}", y2=f"{y(mark):.1f}", stroke="#e4e4e4")
            self.label(LEFT - 4, y(mark) + 4, f"{mark:.4g}", 10, "end")
        self.label(LEFT, top - 5, title, 12, font_weight="bold")
        at = LEFT + 250
        for name, color, values in series:
            self.label(at, top - 5, name, 11, color=color)
            at += 20 + 7 * len(name)
            line, points = [], []
            for second, value in enumerate([*values, None]):
                if value is None:
                    line += [" ".join(points)] if points else []
                    points = []
                else:
                    points.append(f"{self.x(second):.1f},{y(value):.1f}")
            for points_text in line:
                self.add("polyline", points=points_text, fill="none", stroke=color, stroke_width=1.2)

    def svg(self, height, title):
        """The file."""
        for mark in range(0, int(self.seconds) + 1, 60 if self.seconds < 1200 else 300):
            self.label(self.x(mark), height - 8, f"{mark // 60} min", 10, "middle")
        self.label(LEFT, 16, title, 13, font_weight="bold")
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {height}" width="{self.width}" '
                f'height="{height}" font-family="sans-serif"><rect width="100%" height="100%" fill="#fff"/>'
                + "\n".join(self.parts) + "</svg>\n")


def picture(measured, title):
    """A timeline of throughput and latency with the faults marked, as SVG."""
    began, rows = timeline(measured)
    drawn = Picture(len(rows))
    height = TOP + 3 * (PANEL + GAP) + 10
    drawn.bands(measured.steps, began, height - TOP - 24)
    drawn.panel(0, "requests per second", [
        ("creates answered", COLORS["create"], [len(row["creates"]) for row in rows]),
        ("reads answered", COLORS["read"], [len(row["reads"]) for row in rows]),
        ("failed requests", COLORS["failed"], [row["failed"] for row in rows])])
    drawn.panel(1, "work per second", [
        ("tasks begun or done", COLORS["work"], [row["work"] for row in rows])])
    drawn.panel(2, "latency, ms (slowest of each second)", [
        ("creates", COLORS["create"], [percentile(row["creates"], 1) if row["creates"] else None for row in rows]),
        ("reads", COLORS["read"], [percentile(row["reads"], 1) if row["reads"] else None for row in rows])],
        logarithmic=True)
    return drawn.svg(height, title)
