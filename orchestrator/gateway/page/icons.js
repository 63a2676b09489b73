// Line drawings of 24 x 24, named after what they stand for.
const PATHS = {
  brush: "M14.5 4.5 19.5 9.5 11 18l-5-5zM6 13c-2.5 1-1 4-3 6 3 1 6.5.5 8-1",
  eraser: "M8 20 3.5 15.5a2 2 0 0 1 0-2.8L12.7 3.5a2 2 0 0 1 2.8 0l5 5a2 2 0 0 1 0 2.8L12 20zM7.5 9l7.5 7.5M8 20h12",
  undo: "M8 5 3.5 9.5 8 14M4 9.5h10a6 6 0 0 1 0 12h-3",
  redo: "M16 5l4.5 4.5L16 14M20 9.5H10a6 6 0 0 0 0 12h3",
  clear: "M5 7h14M10 4h4M7 7l1 13h8l1-13M10.5 11v5.5M13.5 11v5.5",
  photo: "M4 5.5h16v13H4zM4 16l4.5-4.5 3.5 3.5 3-3 5 5M15.5 9.5h.01",
  garment: "M8.5 4 3 7l2 4.5 2.5-1V20h9v-9.5l2.5 1L21 7l-5.5-3a3.5 3.5 0 0 1-7 0z",
  close: "M6 6l12 12M18 6 6 18",
  download: "M12 4v11M7 10.5l5 5 5-5M5 20h14",
  again: "M19.5 12a7.5 7.5 0 1 1-2.2-5.3L20 9.5M20 4v5.5h-5.5",
  stop: "M7 7h10v10H7z",
  waiting: "M12 6.5V12l3.5 2M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z",
  done: "M5 12.5l4.5 4.5L19 7.5",
  failed: "M12 7v6.5M12 17h.01M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z",
  key: "M14.5 9.5 20 4M17 7l2.5 2.5M8.5 10a5 5 0 1 0 0 10 5 5 0 0 0 0-10zM12 11.5l2.5-2",
};
const SVG = "http://www.w3.org/2000/svg";

export function icon(name) {
  const drawing = document.createElementNS(SVG, "svg");
  drawing.setAttribute("viewBox", "0 0 24 24");
  drawing.setAttribute("class", "icon");
  drawing.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(SVG, "path");
  line.setAttribute("d", PATHS[name]);
  drawing.append(line);
  return drawing;
}

// Gives the page's own buttons the drawing that they name.
export function drawIcons(root) {
  for (const element of root.querySelectorAll("[data-icon]")) element.prepend(icon(element.dataset.icon));
}
