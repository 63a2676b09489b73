// Makes elements. `h("button", { type: "button", onclick: stop }, "Stop")`
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) set(element, name, value);
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

function set(element, name, value) {
  if (name === "class") element.className = value;
  else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
  else if (name in element) element[name] = value;
  else element.setAttribute(name, value);
}

export const byId = (id) => document.getElementById(id);
