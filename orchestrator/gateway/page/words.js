// How numbers and states are said.
export const STEP_NAMES = {
  latent_encoder: "Read the photo",
  text_encoder: "Read garment and prompt",
  sampling: "Form the picture",
  decoding: "Finish the picture",
};

export const STEP_STATES = {
  waiting: "waiting",
  running: "under way",
  done: "done",
  failed: "failed",
  stopped: "stopped",
};

export function count(number, one, many) {
  return `${number} ${number === 1 ? one : many}`;
}

export function seconds(milliseconds) {
  if (milliseconds < 1000) return "under 1 s";
  if (milliseconds < 9950) return `${(milliseconds / 1000).toFixed(1)} s`;
  const whole = Math.round(milliseconds / 1000);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

export function moment(date) {
  const time = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  const today = date.toDateString() === new Date().toDateString();
  return today ? time : `${date.toLocaleDateString([], { day: "numeric", month: "short" })}, ${time}`;
}

export function place(position) {
  if (!position) return "Waiting for its turn";
  return position === 1 ? "Waiting: next in line" : `Waiting: ${position - 1} ahead of it`;
}

export function listed(name, most = 40) {
  return name.length <= most ? name : `${name.slice(0, most - 1)}…`;
}
