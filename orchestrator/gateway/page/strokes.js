// What was painted, as strokes: { tool, size, points: [[x, y], ...] }. All lengths are shares of the photo's width, so
// that the same strokes paint the photo at any size. No canvas is needed to undo and redo.
export const CLEAR = "clear";

export class Strokes {
  done = [];
  undone = [];

  add(stroke) {
    this.done.push(stroke);
    this.undone = [];
  }

  clear() {
    if (!this.empty) this.add({ tool: CLEAR, size: 0, points: [] });
  }

  undo() {
    return move(this.done, this.undone);
  }

  redo() {
    return move(this.undone, this.done);
  }

  // Whether nothing is painted, as far as strokes tell: what was painted may have been erased again.
  get empty() {
    const last = this.done.findLastIndex((stroke) => stroke.tool === CLEAR);
    return !this.done.slice(last + 1).some((stroke) => stroke.tool === "brush");
  }
}

function move(from, to) {
  const stroke = from.pop();
  if (stroke) to.push(stroke);
  return Boolean(stroke);
}
