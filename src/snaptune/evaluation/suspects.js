"use strict";
const known = new Set(JSON.parse(document.getElementById("names").textContent));
const cells = [...document.querySelectorAll("li[data-id]")];
const decided = new Map(); // id -> {label, remove}; kept labels are not in the table

function show(cell) {
  const choice = decided.get(cell.dataset.id);
  for (const button of cell.querySelectorAll("button")) {
    const kind = button.dataset.do;
    const on =
      choice !== undefined &&
      ((kind === "keep" && choice.keep) ||
        (kind === "remove" && choice.remove) ||
        (kind === "take" && choice.label === cell.dataset.suggested));
    button.setAttribute("aria-pressed", String(on));
  }
  const input = cell.querySelector("input");
  if (choice === undefined || choice.label === "" || choice.label === cell.dataset.suggested) input.value = "";
  const fixes = [...decided.values()].filter((one) => !one.keep).length;
  document.getElementById("save").disabled = fixes === 0;
  document.getElementById("count").textContent = `${decided.size} of ${cells.length} decided, ${fixes} to fix`;
}

function decide(cell, kind, label = "") {
  const choice = { keep: kind === "keep", remove: kind === "remove", label };
  decided.set(cell.dataset.id, choice);
  show(cell);
}

for (const cell of cells) {
  for (const button of cell.querySelectorAll("button")) {
    const kind = button.dataset.do;
    button.addEventListener("click", () => decide(cell, kind, kind === "take" ? cell.dataset.suggested : ""));
  }
  const input = cell.querySelector("input");
  input.addEventListener("input", () => {
    const name = input.value;
    const fits = name === "" || known.has(name);
    input.setCustomValidity(fits ? "" : "no such class");
    if (known.has(name)) decide(cell, "take", name);
  });
  show(cell);
}
document.getElementById("count").textContent = `${cells.length} to look at`;

document.getElementById("take").addEventListener("click", () => {
  for (const cell of cells) if (!decided.has(cell.dataset.id)) decide(cell, "take", cell.dataset.suggested);
});

function quoted(text) {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

document.getElementById("save").addEventListener("click", () => {
  const rows = [...decided].filter(([, one]) => !one.keep);
  const lines = rows.map(([id, one]) => [quoted(id), quoted(one.label), one.remove ? "yes" : ""].join(","));
  const blob = new Blob([["id,new_label,remove", ...lines].join("\n") + "\n"], { type: "text/csv" });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = "fixes.csv";
  link.click();
  URL.revokeObjectURL(link.href);
});
