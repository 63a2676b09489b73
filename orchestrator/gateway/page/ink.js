// Puts strokes on a canvas.
import { CLEAR } from "./strokes.js";

export const GREEN = [0, 255, 0];
const COLOUR = `rgb(${GREEN})`;

export function drawAll(canvas, strokes) {
  canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
  for (const stroke of strokes) drawStroke(canvas, stroke);
}

// From the point of that number on, so that a stroke can be drawn while it grows.
export function drawStroke(canvas, { tool, size, points }, from = 0) {
  const context = canvas.getContext("2d");
  if (tool === CLEAR) return context.clearRect(0, 0, canvas.width, canvas.height);
  context.save();
  context.scale(canvas.width, canvas.width);
  context.globalCompositeOperation = tool === "eraser" ? "destination-out" : "source-over";
  Object.assign(context, { lineCap: "round", lineJoin: "round", lineWidth: size });
  context.fillStyle = context.strokeStyle = COLOUR;
  context.beginPath();
  if (from === 0) {
    // A line that goes nowhere leaves nothing.
    context.arc(...points[0], size / 2, 0, 2 * Math.PI);
    context.fill();
    context.beginPath();
  }
  context.moveTo(...points[Math.max(0, from - 1)]);
  for (const point of points.slice(from)) context.lineTo(...point);
  context.stroke();
  context.restore();
}
