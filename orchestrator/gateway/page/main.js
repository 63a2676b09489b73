// Puts the page together.
import { read } from "./api.js";
import { Ask } from "./ask.js";
import { pause, serverBack } from "./connection.js";
import { byId } from "./dom.js";
import { History } from "./history.js";
import { drawIcons } from "./icons.js";
import { askForKey } from "./key.js";
import { closeNotice, notice } from "./notice.js";
import { Photos } from "./photos.js";
import { SERVER_AWAY } from "./problems.js";
import { speak } from "./speak.js";
import { openStore } from "./store.js";
import { TryOns } from "./tryons.js";
import { count } from "./words.js";

const RETRY_AFTER = 1000;

async function serverInfo() {
  for (;;) {
    try {
      return await read("/v1/info");
    } catch (problem) {
      if (problem.code === SERVER_AWAY) await serverBack();
      else if (problem.status === 503) await pause((problem.retryAfter ?? 1) * RETRY_AFTER);
      else throw problem;
    }
  }
}

// The newest try-on that knows it says whether miniature models are in use; before there is one, the server does.
function showMiniature(tryons, info) {
  const said = [...tryons.records.values()].map(({ view }) => view?.miniature ?? null).filter((each) => each !== null);
  byId("miniature").hidden = !(said.at(-1) ?? info?.miniature);
}

async function start() {
  drawIcons(document);
  byId("close-notice").addEventListener("click", closeNotice);
  byId("change-key").addEventListener("click", () => askForKey("The server asks for an API key."));

  const store = await openStore();
  const photos = new Photos(store);
  const tryons = new TryOns(store, photos);
  const history = new History(tryons, photos);
  let info = null;
  tryons.addEventListener("change", () => showMiniature(tryons, info));
  byId("not-kept").hidden = store.lasting;

  const ask = new Ask(photos, async (wanted) => {
    const records = await tryons.ask(wanted);
    history.reveal(records[0]);
    speak(`${count(records.length, "try-on", "try-ons")} sent.`);
  });
  await tryons.restore();
  history.listen();

  info = await serverInfo();
  ask.show(info);
  byId("version").textContent = `vtryon ${info.version}`;
  byId("change-key").hidden = !info.api_key_needed;
  showMiniature(tryons, info);
}

start().catch(notice);
