// A table that is wider than the page scrolls within its box; the keyboard reaches the box, too.
addEventListener("load", () => {
  for (const box of document.querySelectorAll(".md-typeset__scrollwrap")) box.tabIndex = 0;
});
