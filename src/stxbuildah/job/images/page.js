// SPDX-License-Identifier: Apache-2.0
"use strict";
(() => {
  const field = document.getElementById("query");
  const told = document.getElementById("found");
  const rows = Array.from(document.querySelectorAll("#packages tbody tr"), (row) => ({
    row: row,
    images: row.lastElementChild,
    some: row.lastElementChild.textContent,
    all: row.dataset.images || row.lastElementChild.textContent,
    text: (row.textContent + " " + (row.dataset.images || "")).toLowerCase(),
  }));

  // Every word has to be somewhere in the row: in the package, its version, its kind or the names of its images.
  const search = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const one of rows) {
      const found = words.every((word) => one.text.includes(word));
      one.row.hidden = !found;
      one.images.textContent = words.length ? one.all : one.some;
      count += found ? 1 : 0;
    }
    told.textContent = count + " of " + rows.length;
    if (words.length) document.getElementById("packages").open = true;
  };

  const follow = () => {
    const part = location.hash.slice(1);
    if (part.startsWith("q=")) {
      try {
        field.value = decodeURIComponent(part.slice(2));
      } catch {
        field.value = part.slice(2);
      }
      search();
      field.scrollIntoView();
      return;
    }
    const target = part && document.getElementById(part);
    if (target && target.tagName === "DETAILS") {
      target.open = true;
      target.scrollIntoView();
    }
  };

  if (field) {
    field.addEventListener("input", () => {
      history.replaceState(null, "", field.value ? "#q=" + encodeURIComponent(field.value) : "#");
      search();
    });
    document.getElementById("search").hidden = false;
    search();
  }
  addEventListener("hashchange", follow);
  follow();
})();
