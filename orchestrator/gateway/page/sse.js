// Server-sent events off a response's body. Not EventSource: that one can't send an API key.

// Yields { event, data, id } for each; id is undefined where the server gave none.
export async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split(/\r?\n\r?\n/);
      rest = blocks.pop();
      for (const block of blocks) {
        const found = parsed(block);
        if (found.data !== undefined) yield found;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function parsed(block) {
  const found = { event: "message" };
  for (const line of block.split(/\r?\n/)) {
    const [, field, value] = /^([^:]*):? ?(.*)$/s.exec(line);
    if (field === "data") found.data = found.data === undefined ? value : `${found.data}\n${value}`;
    else if (field === "event" || field === "id") found[field] = value;
  }
  return found;
}
