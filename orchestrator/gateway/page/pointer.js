// Painting with mouse, finger or pen.
const ERASER_BUTTON = 32;

export function paintByPointer(painter) {
  const { stage, ring } = painter;
  let painting = null;

  const place = ({ clientX, clientY }) => {
    const { left, top, width } = stage.getBoundingClientRect();
    return [(clientX - left) / width, (clientY - top) / width];
  };

  stage.addEventListener("pointerdown", (event) => {
    if (painting !== null || !event.isPrimary || (event.button !== 0 && !(event.buttons & ERASER_BUTTON))) return;
    painting = event.pointerId;
    stage.setPointerCapture(painting);
    painter.begin(place(event), event.buttons & ERASER_BUTTON ? "eraser" : painter.tool);
  });

  stage.addEventListener("pointermove", (event) => {
    if (event.pointerType !== "touch") painter.point(place(event));
    if (event.pointerId !== painting) return;
    const all = event.getCoalescedEvents?.() ?? [];
    painter.extend((all.length ? all : [event]).map(place));
  });

  stage.addEventListener("pointerup", (event) => {
    if (event.pointerId !== painting) return;
    painting = null;
    painter.end();
  });

  stage.addEventListener("pointercancel", (event) => {
    if (event.pointerId !== painting) return;
    painting = null;
    painter.drop();
  });

  stage.addEventListener("pointerleave", () => {
    if (document.activeElement !== stage) ring.hidden = true;
  });
}
