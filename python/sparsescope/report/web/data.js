// The embedded numbers. Arrays stand as base64 in JSON and are decoded when they are first used.
"use strict";

const DATA = JSON.parse(document.getElementById("data").textContent);
const AXES = DATA.axes;
const TYPES = { f4: Float32Array, u2: Uint16Array, u1: Uint8Array };

function unpack(packed) {
  if (!packed.values) {
    const bytes = Uint8Array.from(atob(packed.data), (letter) => letter.charCodeAt(0));
    packed.values = new TYPES[packed.type](bytes.buffer);
    delete packed.data;
  }
  return packed.values;
}

// packed [n0, n1, ...] at leading indices -> the rest, flat.
function block(packed, indices) {
  const values = unpack(packed);
  let length = values.length;
  let start = 0;
  indices.forEach((index, axis) => {
    length /= packed.shape[axis];
    start += index * length;
  });
  return values.subarray(start, start + length);
}

function nearest(list, wanted) {
  return list.reduce((best, one) => (Math.abs(one - wanted) < Math.abs(best - wanted) ? one : best), list[0]);
}

const has = (name) => name in DATA.fields;

// A field at a selection {branch, step, prompt, layer, head}: {mean, low, high} flat over the field's own
// axes, and
// note where the page holds something else than was asked for. layer or head undefined: all of them.
function read(name, at) {
  const entry = DATA.fields[name];
  const notes = [];
  const step = nearest(entry.steps, at.step);
  if (step !== at.step) notes.push(`step ${step}, the nearest that the page keeps`);
  let branch = entry.branches.indexOf(at.branch);
  if (branch < 0) {
    branch = 0;
    notes.push("the conditional branch");
  }
  const prompt = AXES.prompts.findIndex((one) => one.number === at.prompt);
  const ofPrompt = prompt >= 0 && entry.prompts;
  if (prompt >= 0 && !entry.prompts && AXES.prompts.length > 1) notes.push("mean over prompts");
  const indices = [branch, entry.steps.indexOf(step)];
  if (at.layer !== undefined) indices.push(at.layer);
  if (at.layer !== undefined && at.head !== undefined && !name.endsWith("/heads")) {
    indices.push(entry.heads ? at.head : 0);
    if (!entry.heads) notes.push("mean over the heads of the layer");
  }
  const note = notes.length ? `Shown: ${notes.join("; ")}.` : "";
  if (ofPrompt) return { mean: block(entry.prompts, [prompt, ...indices]), note };
  return {
    mean: block(entry.mean, indices),
    low: entry.low && block(entry.low, indices),
    high: entry.high && block(entry.high, indices),
    note,
  };
}

// One number of a field at one head: {value, low, high, note}. place: index on the field's last axis.
function numberAt(name, at, place = 0) {
  const found = read(name, at);
  const value = found.mean[place];
  return {
    value: Number.isFinite(value) ? value : null,
    low: found.low ? found.low[place] : NaN,
    high: found.high ? found.high[place] : NaN,
    note: found.note,
  };
}

// A kept tile map as lift, flat [query, key], or null: of the call nearest to the selection among its
// layer's.
function tileMap(at) {
  const calls = Object.keys((DATA.maps || {}).calls || {}).map((name) => {
    const [prompt, branch, step, layer] = name.match(/\d+/g).map(Number);
    return { name, prompt, branch, step, layer };
  });
  const wanted = at.prompt === "mean" ? AXES.prompts[0].number : at.prompt;
  const distance = (call) =>
    (call.prompt !== wanted) * 1e6 + (call.branch !== at.branch) * 1e4 + Math.abs(call.step - at.step);
  const fitting = calls.filter((call) => call.layer === at.layer).sort((a, b) => distance(a) - distance(b));
  if (!fitting.length) return null;
  const call = fitting[0];
  const codes = block(DATA.maps.calls[call.name], [at.head]);
  const lift = Array.from(codes, (code) => (code === 65535 ? NaN : 10 ** (-4 + (8 * code) / 65534)));
  return { call, lift, size: DATA.maps.size };
}

// Text of numbers. An unknown one is a dash.
function text(value, digits = 3) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (typeof value !== "number") return String(value);
  const rounded = value.toFixed(digits);
  return Number(rounded) === 0 ? rounded.replace("-", "") : rounded;
}

function rangeText(cell, digits = 3) {
  const known = Number.isFinite(cell.low) && Number.isFinite(cell.high);
  return known ? `${text(cell.low, digits)} to ${text(cell.high, digits)}` : "";
}

function fractionText(value) {
  const inverse = Math.round(1 / value);
  return inverse > 1 && Math.abs(1 / value - inverse) < 1e-6 ? `1/${inverse}`
    : String(Number(value.toPrecision(3)));
}

// Elements without markup in strings: text is always text.
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") made.className = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

const byId = (id) => document.getElementById(id);
