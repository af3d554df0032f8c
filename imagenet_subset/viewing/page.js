// Searches, enlarges, follows links. Without it the page shows every class, and each image is a
// link to its place. The address says what is open: #class=3, #train=12 (a row), #find=dog&show=val.
const at = (id) => document.getElementById(id);
const box = at("q"), found = at("found"), nothing = at("nothing"), large = at("large");
const cards = [...document.querySelectorAll("article")];
const bars = [...document.querySelectorAll(".bars li")]; // in the order of the cards
const plain = (text) => text.toLowerCase().replaceAll("_", " ").trim();
const held = JSON.parse(document.body.dataset.held); // images of each split that has any
const nameOf = (card) => card.querySelector("h2").textContent;

const locateBy = (split, what, number) =>
  `imagenet-subset locate ${document.body.dataset.file} --split ${split} --${what} ${number}`;

// The switch

const choices = [...document.querySelectorAll('[name="show"]')];
const shownSplit = () => choices.find((choice) => choice.checked)?.value ?? "both";
function show(split) {
  const chosen = choices.some((choice) => choice.value === split) ? split : "both";
  for (const choice of choices) choice.checked = choice.value === chosen;
  stops();
}
function shownImages() {
  const split = shownSplit() === "both" ? "" : `.${shownSplit()} `;
  return [...document.querySelectorAll(`article:not([hidden]) ${split}.thumbs a`)];
}

// The search

// What there is of a class, and of its images in each split.
const known = cards.map((card) => [
  { text: plain(card.dataset.find), numbers: new Set(card.dataset.numbers.split(" ")), paths: "" },
  ...[...card.querySelectorAll("section")].map((section) => {
    const paths = [...section.querySelectorAll("[data-photo]")].map((a) => a.dataset.photo);
    const ids = [...section.querySelectorAll("figcaption")].map((caption) => caption.textContent);
    return {
      split: section.className, numbers: new Set(ids), paths: plain(paths.join(" ")),
      text: plain(paths.map((path) => path.split("/").pop()).join(" ")),
    };
  }),
]);
// A number is a label, a CLS-LOC id or the id of an image, whole; a long one may be a part of a
// WNID too. Folders are looked at where a word has one: "train" is no photo's name.
const number = /^-?[0-9]+$/;
function matches({ text, numbers, paths }, word) {
  if (numbers.has(word) || (word.includes("/") && paths.includes(word))) return true;
  return text.includes(word) && (!number.test(word) || word.length > 4);
}
function finding(words, split) {
  const isShown = (part) => split === "both" || (part.split ?? split) === split;
  return known.map((parts) => {
    const shown = parts.filter(isShown);
    return words.every((word) => shown.some((part) => matches(part, word)));
  });
}
let counted = ""; // what the search found, in words
function search(mayShowBoth = true) {
  const words = plain(box.value).split(/\s+/).filter(Boolean);
  let hits = finding(words, shownSplit());
  if (mayShowBoth && !hits.includes(true) && finding(words, "both").includes(true)) {
    show("both");
    hits = finding(words, "both");
  }
  hits.forEach((isFound, i) => { cards[i].hidden = bars[i].hidden = !isFound; });
  const n = hits.filter(Boolean).length, count = (classes) => classes.toLocaleString("en");
  const classes = `${count(n)} of ${count(cards.length)} classes`;
  counted = found.value = words.length && n ? classes : "";
  document.querySelector(".filter .found").textContent =
    words.length ? `Only what the search for “${box.value.trim()}” finds is shown: ${classes}.` : "";
  nothing.hidden = n > 0 || !words.length;
  if (!nothing.hidden) explain(box.value.trim());
}
function explain(query) {
  nothing.querySelector("bdi").textContent = query;
  const near = nothing.querySelector(".near");
  near.querySelectorAll("button").forEach((button) => button.remove());
  const names = number.test(query) ? [] : nearest(plain(query));
  const split = number.test(query) && splitOf(Number(query));
  nothing.querySelector(".other").hidden = !split;
  nothing.querySelector("code").textContent = split ? locateBy(split, "id", query) : "";
  for (const name of names) {
    const button = document.createElement("button");
    button.type = "button";
    button.dir = "auto";
    button.textContent = name;
    near.append(button);
  }
  near.hidden = !names.length;
}
// The split whose ids go that far, rather the one that is shown.
function splitOf(id) {
  const shown = (split) => Number(split === shownSplit());
  const fits = ([, { least, most }]) => least <= id && id <= most;
  return Object.entries(held).sort(([a], [b]) => shown(b) - shown(a)).find(fits)?.[0];
}
function nearest(query) {
  const wanted = pairs(query);
  const ranked = cards.map((card) => {
    const name = plain(nameOf(card));
    return [Math.max(...[name, ...name.split(" ")].map((part) => alike(wanted, pairs(part)))), card];
  });
  return ranked.filter(([likeness]) => likeness > 0.3).sort((a, b) => b[0] - a[0]).slice(0, 4)
    .map(([, card]) => nameOf(card));
}
// Dice's coefficient of the pairs of neighbouring letters.
function pairs(text) {
  const padded = ` ${text} `;
  return new Set(Array.from({ length: padded.length - 1 }, (_, i) => padded.slice(i, i + 2)));
}
function alike(a, b) {
  return (2 * [...a].filter((pair) => b.has(pair)).length) / (a.size + b.size);
}
function find(text) {
  box.value = text;
  search();
  rememberSearch();
}
function rememberSearch() {
  const where = new URLSearchParams();
  if (box.value.trim()) where.set("find", box.value.trim());
  if (shownSplit() !== "both") where.set("show", shownSplit());
  remember(`#${where}`);
}

// The address. Browsers refuse one that changes many times a second, as with a key held down.

let soon = 0, next = null;
const isImage = () => /^#(train|val)=/.test(location.hash);
function remember(hash) {
  clearTimeout(soon);
  next = hash;
  soon = setTimeout(write, 120);
}
function write() {
  clearTimeout(soon);
  if (next !== null) history.replaceState(history.state, "", next);
  next = null;
}
function follow(scroll = true) {
  const [, what, value] = /^#(class|train|val)=(.*)$/.exec(location.hash) ?? [];
  const named = what && at(`${what}=${value}`);
  if (named && what !== "class") return enlarge(uncovered(named));
  if (large.open) large.close();
  search(); // which also takes back what was said of another address
  if (named) {
    uncovered(named);
    measure();
    if (scroll) named.scrollIntoView();
    return undefined;
  }
  const where = new URLSearchParams(location.hash.slice(1));
  const isSearch = location.hash.length < 2 || where.has("show") || where.has("find");
  if (isSearch) {
    show(where.get("show"));
    box.value = where.get("find") ?? "";
    search();
  } else if (!leaving) { // who comes back from an image was told before
    found.value = { class: noClass, train: noImage, val: noImage }[what]?.(value, what) ?? noSuch();
  }
  return undefined;
}
function noSuch() {
  return `This page has no ${location.hash}; there are #class=0, #train=0 and #val=0 (a row), ` +
    "#find=dog and #show=val";
}
function noClass(value) {
  const labels = cards.map((card) => Number(card.id.split("=")[1]));
  const range = labels.length ? `: its labels are ${labels[0]} to ${labels.at(-1)}` : "";
  return `This page has no class ${value || "without a label"}${range}`;
}
function noImage(value, split) {
  if (!/^[0-9]+$/.test(value)) return `#${split}=${value} is no image: after = there has to be a row`;
  if (!held[split]) return `The file has no ${split} images`;
  const last = held[split].n - 1;
  if (Number(value) > last) return `The file has no ${split} row ${value}: its rows are 0 to ${last}`;
  return `This page doesn't show ${split} row ${value}; this asks the file for it: ` +
    locateBy(split, "row", value);
}
// A link may name what the search or the switch hides.
function uncovered(element) {
  if (element?.closest("article")?.hidden) {
    box.value = "";
    search();
  }
  const split = element?.closest("article section")?.className;
  if (split && shownSplit() !== "both" && shownSplit() !== split) show("both");
  return element;
}

// Nothing that a link or the focus goes to is below the bar, however many lines that has.
const tools = document.querySelector(".tools");
function measure() {
  document.documentElement.style.setProperty("--bar", `${tools.offsetHeight}px`);
}

// One image, enlarged

let current = null;
function enlarge(link) {
  current = link;
  found.value = counted; // no longer what was said of an address
  const small = link.querySelector("img"), card = link.closest("article");
  const [split, row] = link.id.split("=");
  const id = link.closest("figure").querySelector("figcaption").textContent;
  const photo = link.dataset.photo ?? "", whole = photo && !photo.endsWith("/");
  large.querySelector(".stage img").src = small.src;
  large.querySelector(".stage img").alt = small.alt;
  at("large-name").textContent = nameOf(card);
  large.querySelector("dl").replaceChildren(
    ...fact(link.dataset.class ? "class" : "WNID",
      link.dataset.class ?? card.querySelector(".about code").textContent),
    ...fact("label", card.id.split("=")[1]),
    ...fact("row", `${row} of ${split}`),
    ...fact(`${split}_id`, id),
    ...fact(whole ? "photo" : "photo is in", photo, "wide"),
  );
  const locate = document.createElement("code");
  locate.textContent = `${locateBy(split, "row", row)} --data_dir …`;
  large.querySelector(".note").replaceChildren(
    ...(whole ? [] : ["This prints the photo's name: ", locate]),
  );
  const images = shownImages(), place = images.indexOf(link);
  for (const button of large.querySelectorAll(".step")) {
    button.ariaDisabled = String(!images[place + Number(button.dataset.step)]);
  }
  if (!large.open) large.showModal();
  const pixels = Number(document.body.dataset.pixels), enlarged = large.querySelector(".stage img");
  const size = ["width", "height"].map((side) => Number(small.getAttribute(side)));
  const isWhole = Math.max(...size) === pixels;
  enlarged.classList.toggle("coarse", isWhole && enlarged.clientWidth > 2 * pixels);
}
function fact(term, value, name = "") {
  if (!value) return [];
  const group = document.createElement("div");
  group.className = name;
  group.append(document.createElement("dt"), document.createElement("dd"));
  group.firstChild.textContent = term;
  group.lastChild.textContent = value;
  return [group];
}
function step(by) {
  const images = shownImages();
  const link = images[images.indexOf(current) + by];
  if (!link) return;
  enlarge(link);
  remember(link.hash);
}
// Where the page is afterwards is said by the focus, not by the address.
let leaving = false;
function closed() {
  write();
  if (isImage() && history.state?.enlarged) {
    leaving = true;
    history.scrollRestoration = "manual";
    history.back();
  } else if (isImage()) {
    history.replaceState(null, "", `#${current.closest("article").id}`);
  }
  current.focus();
}

// Keys

function neighbour(link, key) {
  const images = shownImages(), place = images.indexOf(link);
  if (key === "ArrowRight") return images[place + 1];
  if (key === "ArrowLeft") return images[place - 1];
  const by = { ArrowDown: 1, ArrowUp: -1 }[key];
  return by && inNextLine(link, images, place, by);
}
// The one in the next line whose left edge is nearest.
function inNextLine(link, images, place, by) {
  const from = link.getBoundingClientRect();
  let best, line, least = Infinity;
  for (let i = place + by; images[i]; i += by) {
    const to = images[i].getBoundingClientRect();
    if ((to.top - from.top) * by < from.height / 2) continue;
    line ??= to.top;
    if (Math.abs(to.top - line) > from.height / 2) break;
    if (Math.abs(to.left - from.left) < least) {
      best = images[i];
      least = Math.abs(to.left - from.left);
    }
  }
  return best;
}
function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (large.open) {
    if (by) step(by);
    return;
  }
  const field = event.target.closest("input");
  if (event.key === "/" && field?.type !== "search") {
    event.preventDefault();
    box.focus();
    box.select();
  }
  const link = event.target.matches(".thumbs a") && neighbour(event.target, event.key);
  if (link) {
    event.preventDefault();
    link.focus();
  }
}
// Tab stops once in each class, at the image that had the focus last.
function stop(link) {
  for (const other of link.closest("article").querySelectorAll(".thumbs a")) other.tabIndex = -1;
  link.tabIndex = 0;
}
function stops() {
  for (const card of cards) {
    const split = shownSplit() === "both" ? "" : `.${shownSplit()} `;
    const first = card.querySelector(`${split}.thumbs a`);
    if (first) stop(first);
  }
}

box.addEventListener("input", () => { search(); rememberSearch(); });
for (const choice of choices) {
  choice.addEventListener("change", () => { stops(); search(false); rememberSearch(); });
}
nothing.addEventListener("click", ({ target }) => {
  if (target.tagName !== "BUTTON") return;
  find(target.className === "clear" ? "" : target.textContent);
  box.focus();
});
document.addEventListener("click", (event) => {
  const link = event.target.closest(".thumbs a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  write();
  history.pushState({ enlarged: true }, "", link.hash);
  enlarge(link);
});
document.addEventListener("focusin", ({ target }) => {
  if (target.matches(".thumbs a")) stop(target);
});
document.addEventListener("keydown", pressed);
large.addEventListener("click", ({ target }) => {
  if (target === large || target.className === "close") large.close();
  if (target.dataset.step) step(Number(target.dataset.step));
});
large.addEventListener("close", closed);
window.addEventListener("popstate", () => {
  next = null; // it was for the entry that was left
  follow(!leaving && !large.open);
  leaving = false;
  history.scrollRestoration = "auto";
});
let unfolded = []; // for the paper alone
window.addEventListener("beforeprint", () => {
  unfolded = [...document.querySelectorAll("details:not([open])")];
  for (const details of unfolded) details.open = true;
});
window.addEventListener("afterprint", () => {
  for (const details of unfolded) details.open = false;
});
document.querySelector(".search").hidden = false;
document.querySelector(".keys").hidden = false;
new ResizeObserver(measure).observe(tools);
measure();
stops();
follow();
