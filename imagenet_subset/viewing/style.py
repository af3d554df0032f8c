"""Look and behaviour of the preview page: CSS and the search box's script."""

STYLE = """
:root {
  --paper: #fbfbfa; --card: #fff; --ink: #1b1f24; --faint: #5f6874; --rule: #e3e6ea;
  --train: #2f6fb3; --val: #d9822b;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171a; --card: #1c2024; --ink: #e6e9ec; --faint: #9aa4af; --rule: #2c3238;
    --train: #6aa5e3; --val: #e8a45c;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 72rem; padding: 2rem 1.25rem 4rem; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 1rem; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .25rem; }
h3 { font-size: 1.0625rem; margin: 0; overflow-wrap: anywhere; }
dl, dd, p, ul, figure { margin: 0; padding: 0; }
.note, article > p, dt { color: var(--faint); font-size: .875rem; }
a { color: inherit; text-decoration-color: var(--rule); text-underline-offset: .2em; }
a:hover { text-decoration-color: currentColor; }
:focus-visible { outline: 2px solid var(--train); outline-offset: 2px; }
[hidden] { display: none !important; }
.facts { display: flex; flex-wrap: wrap; gap: .75rem 2.25rem; }
.facts div { display: flex; flex-direction: column-reverse; }
.facts dd { font-size: 1.5rem; line-height: 1.25; font-variant-numeric: tabular-nums; }
details { margin-top: 1rem; font-size: .875rem; }
summary { cursor: pointer; color: var(--faint); width: fit-content; }
.counts { margin-top: 2.5rem; }
.counts h2 { display: inline; color: var(--ink); }
details dl { display: grid; gap: .25rem; margin-top: .5rem; }
details dl div { display: grid; grid-template-columns: 7rem 1fr; }
details dd { overflow-wrap: anywhere; }
.search {
  position: sticky; top: 0; z-index: 1; display: flex; flex-wrap: wrap; align-items: center;
  gap: .5rem .75rem; margin-top: 2rem; padding: .75rem 0; background: var(--paper);
  border-bottom: 1px solid var(--rule);
}
.search label { font-weight: 600; }
.search input {
  flex: 1 1 12rem; max-width: 24rem; padding: .4rem .7rem; font: inherit; color: inherit;
  background: var(--card); border: 1px solid var(--rule); border-radius: .5rem;
}
.search output { color: var(--faint); font-size: .875rem; }
.counts .note { margin-top: .25rem; }
.key { display: inline-block; width: .75rem; height: .5rem; border-radius: 2px; }
.key.val { margin-left: 1rem; }
.train { background: var(--train); }
.val { background: var(--val); }
.bars {
  display: grid; gap: .1rem 2.5rem; margin-top: .75rem; list-style: none;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 24rem), 1fr));
}
.bars li {
  display: grid; grid-template-columns: minmax(0, 10.5rem) minmax(0, 1fr) auto;
  align-items: center; gap: .75rem; font-size: .875rem; padding: .1rem 0;
}
.bars a { overflow-wrap: anywhere; line-height: 1.25; }
.bar { display: grid; gap: 2px; }
.bar i { height: 5px; min-width: 1px; border-radius: 0 2px 2px 0; }
.bar i[style="width:0%"] { min-width: 0; }
.n { color: var(--faint); font-variant-numeric: tabular-nums; text-align: right; }
.n em { display: inline-block; min-width: 2.6em; font-style: normal; }
.sr { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
article {
  margin-top: .75rem; padding: .9rem 1rem 1rem; background: var(--card);
  border: 1px solid var(--rule); border-radius: .75rem; scroll-margin-top: 5rem;
  content-visibility: auto; contain-intrinsic-size: auto 13.5rem;
}
article:target { border-color: var(--train); }
.thumbs {
  display: grid; gap: .5rem; margin-top: .6rem;
  grid-template-columns: repeat(auto-fill, minmax(6.25rem, 1fr));
}
.thumbs img {
  display: block; width: 100%; max-width: 7rem; height: auto; border-radius: .35rem;
  background: var(--rule);
}
figcaption { color: var(--faint); font-size: .75rem; font-variant-numeric: tabular-nums; }
@media (max-width: 40rem) {
  body { padding: 1.25rem .9rem 3rem; }
  .facts { gap: .5rem 1.5rem; }
  .facts dd { font-size: 1.2rem; }
  .bars li { grid-template-columns: minmax(0, 8rem) minmax(0, 1fr) auto; }
  .thumbs { grid-template-columns: repeat(auto-fill, minmax(4.75rem, 1fr)); }
}
@media print { .search { display: none; } article { break-inside: avoid; } }
"""

# Without the script the page shows every class and no search box.
SCRIPT = """
const box = document.getElementById("q"), found = document.getElementById("found");
const items = [...document.querySelectorAll("[data-find]")];
const total = document.querySelectorAll("article").length;
// A number is a label or the id of an image, whole; a long one may be a part of a WNID too.
function matches(item, word) {
  const inText = item.dataset.find.replaceAll("_", " ").includes(word);
  if (!/^[0-9]+$/.test(word)) return inText;
  return ` ${item.dataset.numbers} `.includes(` ${word} `) || (word.length > 4 && inText);
}
function filter() {
  const words = box.value.toLowerCase().replaceAll("_", " ").split(/\\s+/).filter(Boolean);
  let shown = 0;
  for (const item of items) {
    item.hidden = !words.every((word) => matches(item, word));
    if (!item.hidden && item.tagName === "ARTICLE") shown += 1;
  }
  found.value = words.length ? `${shown} of ${total} classes` : "";
}
box.addEventListener("input", filter);
document.querySelector(".search").hidden = false;
filter();
"""
