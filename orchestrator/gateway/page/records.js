// A try-on as this browser knows it. What is stored of it:
//   id        its name here; `remote` is the server's, once it has one
//   batch     the Idempotency-Key of the click that it was sent with, for several garments the same; `index` among them
//   photos    { person, mask, original, garment, result }: keys of kept pictures
//   name      of the garment's file
//   lying     whether the photo is wider than high
//   fields    the settings that were changed
//   created   when
//   view      the server's last word on it
//   problem   why it was not sent, or is not known any more
// Besides, for as long as the page is open: preview (an address), cancelling, and held: it waits for the server.
import { randomName } from "./random.js";

const ENDED = new Set(["succeeded", "failed", "cancelled", "refused"]);

export function newRecords({ person, mask, original, lying, garments, fields }) {
  const [batch, created] = [randomName(), Date.now()];
  return garments.map(({ key, name }, index) => ({
    id: randomName(),
    remote: null,
    batch,
    index,
    photos: { person, mask, original, garment: key, result: null },
    name,
    lying,
    fields,
    created,
    view: null,
    problem: null,
  }));
}

export function stored({ preview, cancelling, held, ...kept }) {
  return kept;
}

const LOST = new Set(["TRYON_UNKNOWN", "IMAGE_GONE"]);

// unsent, sending, waiting, running, succeeded, failed, cancelled; lost: the server has it no more; or stuck: it does
// not tell
export function phase({ remote, view, problem }) {
  if (problem && !remote) return "unsent";
  if (problem) return LOST.has(problem.code) ? "lost" : "stuck";
  if (!view) return "sending";
  return view.state === "refused" ? "failed" : view.state;
}

export const isOver = (record) => Boolean(record.problem) || ENDED.has(record.view?.state);

// What the server tells step by step, put into its last word on the whole.
export function withProgress(view, { step, state, node, done, total }) {
  const news = { node, done, total, ...(state === "done" ? {} : { state: "running" }) };
  const steps = view.steps.map((each) =>
    each.name === step && ["waiting", "running"].includes(each.state) ? { ...each, ...news } : each,
  );
  return { ...view, state: view.state === "waiting" ? "running" : view.state, steps };
}

// A word on the whole does not say how far a running step is: that stays as it was told last.
export function withView(before, view) {
  const steps = view.steps.map((step, index) => {
    const { state, attempt, node, done, total } = before?.steps[index] ?? {};
    const same = step.state === "running" && state === "running" && step.attempt === attempt && !step.total;
    return same ? { ...step, node, done, total } : step;
  });
  return { ...view, steps };
}

export const seedOf = ({ view, fields }) => view?.seed_text ?? fields.seed ?? null;
