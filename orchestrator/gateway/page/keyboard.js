// Painting with the keyboard: arrows move the brush, space paints.
import { speak } from "./speak.js";

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const FINE = 0.1;
const COARSE = 0.5;

export function paintByKeyboard(painter, tools) {
  const { stage, ring } = painter;
  let at = [0.5, 0.5];
  let held = false;
  let locked = false;

  const within = ([x, y]) => [Math.min(Math.max(x, 0), 1), Math.min(Math.max(y, 0), painter.height)];
  const where = () => {
    const [left, top] = [at[0], at[1] / painter.height].map((share) => Math.round(share * 100));
    return `${left} % from the left, ${top} % from the top`;
  };

  const lift = () => {
    held = locked = false;
    painter.end();
  };

  const move = ([dx, dy], fine) => {
    const step = painter.size * (fine ? FINE : COARSE);
    at = within([at[0] + dx * step, at[1] + dy * step]);
    painter.point(at);
    if (held || locked) painter.extend([at]);
  };

  const down = () => {
    painter.begin(at);
    painter.point(at);
  };

  const keys = {
    " ": () => {
      if (held || locked) return;
      held = true;
      down();
    },
    Enter: () => {
      if (locked) {
        lift();
        return speak(`Brush up, ${where()}.`);
      }
      locked = true;
      down();
      return speak(`Brush down, ${where()}. Enter lifts it.`);
    },
    "[": () => tools.resize(-1),
    "]": () => tools.resize(1),
    b: () => tools.choose("brush"),
    e: () => tools.choose("eraser"),
  };

  stage.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (key in ARROWS) move(ARROWS[key], event.shiftKey);
    else if (key in keys) {
      if (!event.repeat) keys[key]();
    } else return;
    event.preventDefault();
  });

  stage.addEventListener("keyup", (event) => {
    if (event.key !== " " || !held) return;
    lift();
    speak(`${painter.tool === "eraser" ? "Erased" : "Painted"} at ${where()}.`);
  });

  stage.addEventListener("focus", () => {
    at = within(at);
    if (stage.matches(":focus-visible")) painter.point(at);
  });

  stage.addEventListener("blur", () => {
    lift();
    ring.hidden = true;
  });
}
