const box = document.getElementById("q"), found = document.getElementById("found");
const items = [...document.querySelectorAll("[data-find]")];
const total = document.querySelectorAll("article").length;
// A number is a label or the id of an image, whole; a long one may be a part of a WNID too.
function matches(item, word) {
  const inText = item.dataset.find.replaceAll("_", " ").includes(word);
  if (!/^-?[0-9]+$/.test(word)) return inText;
  return ` ${item.dataset.numbers} `.includes(` ${word} `) || (word.length > 4 && inText);
}
function filter() {
  const words = box.value.toLowerCase().replaceAll("_", " ").split(/\s+/).filter(Boolean);
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
