// What is drawn over something else, or reaches out of what it stands in: an array of complaints.
() => {
  const SLACK = 1.5;
  const complaints = [];
  const name = (one) => `<${one.tagName.toLowerCase()} class="${one.className.baseVal ?? one.className}"> ${one.textContent.trim().slice(0, 40)}`;
  const scrolls = (one) => /auto|scroll|hidden|clip/.test(getComputedStyle(one).overflowX);
  const isBox = (one) => {
    const { borderLeftWidth, backgroundColor } = getComputedStyle(one);
    return parseFloat(borderLeftWidth) > 0 || backgroundColor !== "rgba(0, 0, 0, 0)";
  };

  // The lines of text that can be seen, with the element that each stands in.
  const lines = [];
  const walker = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode;
    const parent = text.parentElement;
    if (!text.data.trim() || !parent.checkVisibility() || parent.closest(".unseen, thead, select, textarea, title, desc")) continue;
    const range = document.createRange();
    range.selectNodeContents(text);
    for (const box of range.getClientRects()) if (box.width > 1) lines.push({ box, parent });
  }

  for (const { box, parent } of lines) {
    for (let around = parent; around.id !== "main" && !scrolls(around); around = around.parentElement) {
      const outer = around.getBoundingClientRect();
      const isInline = getComputedStyle(around).display === "inline";
      if (!isInline && isBox(around) && (box.right > outer.right + SLACK || box.left < outer.left - SLACK)) {
        complaints.push(`${name(parent)} reaches out of ${name(around)}`);
      }
    }
  }

  // Fields too: one that is wider than its form, or two that cover one another.
  const fields = [...document.querySelectorAll("main :is(input:not([type=hidden]), select, textarea, button, .button)")]
    .filter((one) => one.checkVisibility() && !one.closest(".unseen"))
    .map((one) => ({ box: one.getBoundingClientRect(), parent: one }));
  const all = [...lines, ...fields];
  for (let at = 0; at < all.length; at += 1) {
    for (let other = at + 1; other < all.length; other += 1) {
      const [a, b] = [all[at], all[other]];
      if (a.parent.contains(b.parent) || b.parent.contains(a.parent)) continue;
      const width = Math.min(a.box.right, b.box.right) - Math.max(a.box.left, b.box.left);
      const height = Math.min(a.box.bottom, b.box.bottom) - Math.max(a.box.top, b.box.top);
      if (width > SLACK && height > 4) complaints.push(`${name(a.parent)} covers ${name(b.parent)}`);
    }
  }
  return complaints;
}
