"""A page as somebody goes through it with the keyboard."""

from dataclasses import dataclass

from playwright.sync_api import Page

LIST = """() => {
  const can = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']";
  window.stops = [...document.querySelectorAll(can)].filter((one) => !one.disabled && one.checkVisibility({ visibilityProperty: true }));
  return window.stops.length;
}"""
STOP = """() => {
  const one = document.activeElement;
  if (one === document.body) return null;
  const { outlineStyle, outlineWidth, opacity } = getComputedStyle(one);
  const box = one.getBoundingClientRect();
  const left = Math.max(box.left, 0), right = Math.min(box.right, innerWidth);
  const top = Math.max(box.top, 0), bottom = Math.min(box.bottom, innerHeight);
  // Of a text of many lines, browsers bring the one with the caret into view: here the first.
  const middle = one.tagName === "TEXTAREA" ? Math.min(top + 16, bottom) : (top + bottom) / 2;
  const hit = document.elementFromPoint((left + right) / 2, middle);
  return {
    number: window.stops.indexOf(one),
    name: one.outerHTML.slice(0, 120),
    is_marked: outlineStyle !== "none" && parseFloat(outlineWidth) >= 2 && opacity !== "0",
    is_seen: right > left && bottom > top && !!hit && (one.contains(hit) || hit.contains(one) || !!hit.closest("label")),
  };
}"""


@dataclass(frozen=True)
class Stop:
    """Where the focus is."""

    number: int
    """In the order of the document; less than 0 for what is no field, button or link, as an area that scrolls."""
    name: str
    is_marked: bool
    """Whether an outline shows that it is here."""
    is_seen: bool
    """Whether it stands in the window and nothing covers it."""


def stops(page: Page) -> tuple[int, list[Stop]]:
    """How many there are, and those that Tab comes to until it begins anew, in that order."""
    count = page.evaluate(LIST)
    come_to: list[Stop] = []
    # A date has several fields in one, and the browser's own frame is one stop more.
    for _ in range(count * 8 + 2):
        page.keyboard.press("Tab")
        at = page.evaluate(STOP)
        if at is None:
            if len(come_to) >= count:
                break
            continue
        stop = Stop(**at)
        if come_to and come_to[-1].name == stop.name and come_to[-1].number == stop.number:
            continue
        if come_to and stop == come_to[0]:
            break
        come_to.append(stop)
    return count, come_to
