// The result over the original, with a line between them that can be moved: by pointer, finger or arrow keys.
import { h } from "./dom.js";

const START = 50;

export function comparison(original, result, name) {
  const label = `How much of the result shows, ${name}`;
  const range = { type: "range", min: 0, max: 100, value: START };
  const slider = h("input", { ...range, class: "line-slider", "aria-label": label });
  const figure = h(
    "div",
    { class: "compare" },
    h("img", { src: result, alt: `The result: ${name} tried on`, draggable: false }),
    h("img", { src: original, alt: "The original photo", class: "before", draggable: false }),
    h("span", { class: "tag before-tag", "aria-hidden": "true" }, "Original"),
    h("span", { class: "tag after-tag", "aria-hidden": "true" }, "Result"),
    h("span", { class: "line", "aria-hidden": "true" }),
    slider,
  );
  const show = () => {
    figure.style.setProperty("--at", slider.value);
    slider.setAttribute("aria-valuetext", `${100 - slider.value} % result`);
  };
  slider.addEventListener("input", show);
  dragOver(figure, (share) => {
    slider.value = share * 100;
    show();
  });
  show();
  return figure;
}

function dragOver(figure, move) {
  const follow = ({ clientX }) => {
    const { left, width } = figure.getBoundingClientRect();
    move((clientX - left) / width);
  };
  figure.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    figure.setPointerCapture(event.pointerId);
    follow(event);
  });
  figure.addEventListener("pointermove", (event) => {
    if (figure.hasPointerCapture(event.pointerId)) follow(event);
  });
}
