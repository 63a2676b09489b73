// Files that a person drops, pastes or chooses.

// `zone` is a label with an <input type="file"> in it; `take` gets the files.
export function takeFiles(zone, take) {
  const input = zone.querySelector("input[type=file]");
  input.addEventListener("change", () => {
    const files = [...input.files];
    // So that the same file can be chosen once more.
    input.value = "";
    if (files.length) take(files);
  });
}

// Wherever on the page they are dropped or pasted; `take` gets the files and the element under them.
export function takeAnywhere(take) {
  const show = (zone) => {
    for (const each of document.querySelectorAll("[data-drop]")) each.classList.toggle("over", each === zone);
  };
  const zoneOf = (event) => event.target.closest?.("[data-drop]") ?? null;
  const holdsFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");

  addEventListener("dragover", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    show(zoneOf(event));
  });
  addEventListener("dragleave", (event) => event.relatedTarget ?? show(null));
  addEventListener("drop", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    show(null);
    take([...event.dataTransfer.files], zoneOf(event)?.dataset.drop);
  });
  addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length) take(files);
  });
}
